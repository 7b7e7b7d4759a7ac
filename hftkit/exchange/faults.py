"""A FaultPlan: what goes wrong between the venue and its clients, seeded and scripted; and the page on which it is switched while it runs.

A plan is TOML (configs/faults/*.toml): a table of settings for each direction, and a script:

    seed = 7
    [feed]                       # market data, venue to client
    latency_us = 500
    drop_ppm = 1000
    [order_entry]                # client to venue
    [response]                   # venue to client, answers to orders
    late_next = 1
    late_us = 300000
    [binance]                    # answers of the Binance dialect
    unknown_next = 1
    [[script]]
    after_s = 5.0                # wall time since the start
    set = { "feed.drop_next" = 3, "response.freeze_ms" = 200 }

SETTINGS is the table of the names of a direction, DIALECT_SETTINGS of those of the Binance dialect; fault_line.py and
dialects/binance/faults.py say what each kind of fault does. The page is one mapped file of int64 words that the
server reads in every turn, so that a terminal (`hftkit faults`) or a notebook (`FaultControl`) changes the weather at once.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from hdrh.log import HistogramLogReader

from hftkit.codes import MessageType, Reject
from hftkit.config import load_config as load_toml
from hftkit.errors import ConfigError, HftkitError
from hftkit.exchange import fault_line as line
from hftkit.exchange.dialects.binance.fault_names import DIALECT_SETTINGS, Setting
from hftkit.exchange.fault_line import Faults
from hftkit.histogram import to_hdr
from hftkit.kernels.memory.histogram import COUNTS_LEN
from hftkit.kernels.wire.frame import header
from hftkit.layout import MAX_FRAME_WORDS
from hftkit.units import NS_PER_S

PAGE_MAGIC = 0x3246_4B54_4648  # "HFTKF2"
DIRECTIONS = ("feed", "order_entry", "response")
BINANCE = "binance"  # in place of a direction: the answers of that dialect
KINDS = ("drop", "lose", "duplicate", "reorder", "truncate", "gap", "late", "reject", "disconnect")
_NEVER = {"feed": ("lose", "late", "reject"), "order_entry": ("late",), "response": ("reject",)}
_QUEUE_IN_WORDS, _STAGE_WORDS, _TX_WORDS = 16_384, 2_048, 8_192


SETTINGS: dict[str, Setting] = {
    "latency_us": Setting(line.LATENCY, 1_000, 60e6, "constant delay"),
    "jitter_us": Setting(line.JITTER, 1_000, 60e6, "further delay, uniform from 0 to this"),
    "max_per_s": Setting(line.RATE, 1, 1e9, "throttling: at most so many frames a second, the others queue; 0 for no limit"),
    "skew_us": Setting(line.SKEW, 1_000, 1e13, "the venue's clock in its frames is wrong by this (may be negative)", lowest=-1e13),
    "late_us": Setting(line.LATE_BY, 1_000, 60e6, "how late a late acknowledgement is"),
    "reject_reason": Setting(line.REJECT_REASON, 1, 999, "code of a reject storm; 0 is 305, session throttled"),
    "freeze_ms": Setting(line.FREEZE, 1_000_000, 600e3, "nothing moves in this direction for so long, once"),
    "cut": Setting(line.CUT, 1, 1, "1: end every connection of this direction now"),
    **{f"{kind}_ppm": Setting(line.PPM + k, 1, 1e6, f"probability of {kind}, in millionths") for k, kind in enumerate(KINDS)},
    **{f"{kind}_next": Setting(line.NEXT + k, 1, 1e9, f"how many of the next frames meet {kind} for certain") for k, kind in enumerate(KINDS)},
}


class ScriptLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """At `after_s` seconds of wall time after the start, `set` these settings ("direction.name" to value)."""

    after_s: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    set: dict[str, float]


class FaultPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of each direction from the start, recorded latencies, and a script. The default is fair weather.

    `latency_from`: direction to "FILE.hlog" or "FILE.hlog#TAG", as `hftkit live` writes them: delays are drawn from that distribution.
    """

    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 1
    feed: dict[str, float] = {}
    order_entry: dict[str, float] = {}
    response: dict[str, float] = {}
    binance: dict[str, float] = {}
    latency_from: dict[str, str] = {}
    script: tuple[ScriptLine, ...] = ()

    def __post_init__(self) -> None:
        for name, value in self.settings.items():
            _word_and_value(name, value)
        for entry in self.script:
            for name, value in entry.set.items():
                _word_and_value(name, value)
        for direction in self.latency_from:
            if direction not in DIRECTIONS:
                raise ValueError(f"latency_from names {direction!r}: directions are {', '.join(DIRECTIONS)}")

    @property
    def is_fair(self) -> bool:
        """No fault at all."""
        return not (self.settings or self.latency_from or self.script)

    @property
    def settings(self) -> dict[str, float]:
        """What is set from the start, "direction.name" to value."""
        return {f"{where}.{name}": value for where in (*DIRECTIONS, BINANCE) for name, value in getattr(self, where).items()}


def _dialect_word(name: str, key: str, value: float) -> tuple[int, int]:
    if key not in DIALECT_SETTINGS:
        raise ValueError(f"there is no fault setting {name!r}: of {BINANCE} there are {', '.join(DIALECT_SETTINGS)}")
    setting = DIALECT_SETTINGS[key]
    if isinstance(value, bool) or not setting.lowest <= value <= setting.highest:
        raise ValueError(f"{name} is {value!r}: allowed are {setting.lowest:g} to {setting.highest:g}")
    return line.DIALECT + setting.word, round(value * setting.scale)


def _word_and_value(name: str, value: float) -> tuple[int, int]:
    """Word of the page and the integer it gets. Raises ValueError naming what is wrong and what is allowed."""
    direction, _, key = name.partition(".")
    if direction == BINANCE:
        return _dialect_word(name, key, value)
    if direction not in DIRECTIONS or key not in SETTINGS:
        raise ValueError(
            f"there is no fault setting {name!r}: write DIRECTION.NAME with {', '.join(DIRECTIONS)}, {BINANCE} and {', '.join(SETTINGS)}"
        )
    if key.split("_")[0] in _NEVER[direction]:
        raise ValueError(f"{name}: {key.split('_')[0]} cannot happen to the {direction.replace('_', ' ')}")
    setting = SETTINGS[key]
    if isinstance(value, bool) or not setting.lowest <= value <= setting.highest:
        raise ValueError(f"{name} is {value!r}: allowed are {setting.lowest:g} to {setting.highest:g}")
    if key == "reject_reason" and value != 0 and value not in set(Reject):
        raise ValueError(f"{name} is {value!r}: give a reason code of docs/protocol.md")
    return line.SETTINGS + DIRECTIONS.index(direction) * line.BLOCK + setting.word, round(value * setting.scale)


def load_plan(path: Path | str) -> FaultPlan:
    """Read a plan: a TOML file, or the name of one that ships with hftkit (`rough_sea`). Raises ConfigError naming key and value."""
    shipped = resources.files("hftkit.exchange").joinpath("configs", "faults", f"{path}.toml")
    return load_toml(FaultPlan, Path(str(shipped)) if shipped.is_file() else Path(path), env={})


def shipped_plans() -> list[str]:
    """Names of the plans that ship with hftkit."""
    return sorted(Path(item.name).stem for item in resources.files("hftkit.exchange").joinpath("configs", "faults").iterdir())


def quantiles_ns(path: Path | str) -> np.ndarray:
    """A latency histogram (`FILE.hlog`, or `FILE.hlog#TAG` for one tag of it) as int64 (QUANTILES,) equally likely values, ns."""
    file, _, tag = str(path).partition("#")
    try:
        reader = HistogramLogReader(file, to_hdr(np.zeros(COUNTS_LEN, np.int64)))
        found = None
        while (interval := reader.get_next_interval_histogram()) is not None:
            if interval.get_total_count() and (not tag or interval.get_tag() == tag):
                found = interval
                break
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the latency histogram {file}: {error}", "Give a .hlog file, as `hftkit live` writes latency.hlog") from None
    if found is None:
        raise ConfigError(f"{file} holds no latencies{f' with the tag {tag}' if tag else ''}", "Name another tag: FILE.hlog#TAG")
    places = (np.arange(line.QUANTILES) + 0.5) * 100.0 / line.QUANTILES
    return np.array([found.get_value_at_percentile(place) for place in places], np.int64)


def write_settings(page: np.ndarray, settings: Mapping[str, float]) -> None:
    """Put settings ("direction.name" to value) on a page; the server follows at once. Raises ConfigError before anything is written."""
    try:
        words = [_word_and_value(name, value) for name, value in settings.items()]
    except ValueError as error:
        raise ConfigError(str(error)) from None
    for word, value in words:
        page[word] = value
    blocks = page[line.SETTINGS : line.TABLES].reshape(3, line.BLOCK)
    page[line.ACTIVE] = int(blocks.any())  # of the compiled loop; the dialect reads its own words


def _plan_to_page(plan: FaultPlan, page: np.ndarray) -> None:
    for d, direction in enumerate(DIRECTIONS):
        if direction in plan.latency_from:
            at = line.TABLES + d * line.QUANTILES
            page[at : at + line.QUANTILES] = quantiles_ns(plan.latency_from[direction])
            page[line.SETTINGS + d * line.BLOCK + line.RECORDED] = 1
    write_settings(page, plan.settings)


def new_page(path: Path | None = None) -> np.ndarray:
    """An empty fault page, int64 (PAGE_WORDS,): in a mapped file where a path is given, else in memory only."""
    if path is None:
        page = np.zeros(line.PAGE_WORDS, np.int64)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w+b") as stream:
            stream.truncate(line.PAGE_WORDS * 8)
            page = np.frombuffer(mmap.mmap(stream.fileno(), line.PAGE_WORDS * 8), np.int64)
    page[line.MAGIC] = PAGE_MAGIC
    return page


def new_faults(plan: FaultPlan, n_clients: int, out_words: int, page_path: Path | None = None) -> Faults:
    """The memory of a server's faults. Pages that no connection uses stay untouched."""
    page = new_page(page_path)
    _plan_to_page(plan, page)
    script = [(round(entry.after_s * NS_PER_S), *_word_and_value(name, value)) for entry in plan.script for name, value in entry.set.items()]
    seeds = (hashlib.sha256(f"faults {plan.seed} {i}".encode()).digest()[:8] for i in range(2 * n_clients))
    return Faults(
        page=page,
        script=np.array(sorted(script, key=lambda row: row[0]), np.int64).reshape(-1, 3),
        cursor=np.zeros(4, np.int64),
        lines=np.zeros((n_clients, 2, line.LINE_WORDS), np.int64),
        queue_in=np.zeros((n_clients, _QUEUE_IN_WORDS), np.int64),
        queue_out=np.zeros((n_clients, 8 * out_words), np.int64),
        stage=np.zeros((n_clients, _STAGE_WORDS), np.int64),
        tx=np.zeros((n_clients, _TX_WORDS), np.int64),
        held=np.zeros((n_clients, 2, MAX_FRAME_WORDS), np.int64),
        scratch=np.zeros(MAX_FRAME_WORDS, np.int64),
        random=np.array([int.from_bytes(seed, "little") for seed in seeds], np.uint64),
    )


def counts_of(page: np.ndarray) -> dict[str, dict[str, int]]:
    """What has happened so far, by direction: frames offered and delivered, and each kind of fault that happened at all."""
    result = {}
    for d, direction in enumerate(DIRECTIONS):
        block = page[line.COUNTS + d * line.COUNT_BLOCK :][: line.COUNT_BLOCK]
        happened = {kind: int(block[k]) for k, kind in enumerate(KINDS) if block[k]}
        result[direction] = {"offered": int(block[line.OFFERED]), "delivered": int(block[line.DELIVERED]), **happened}
    counts = page[line.DIALECT + line.DIALECT_WORDS :]
    if counts.any():
        result[BINANCE] = {name: int(counts[setting.word]) for name, setting in DIALECT_SETTINGS.items() if counts[setting.word]}
    return result


def settings_of(page: np.ndarray) -> dict[str, float]:
    """Every setting that is not zero, "direction.name" to value."""
    blocks = [(direction, SETTINGS, line.SETTINGS + d * line.BLOCK) for d, direction in enumerate(DIRECTIONS)]
    return {
        f"{where}.{name}": int(word) / setting.scale
        for where, table, at in (*blocks, (BINANCE, DIALECT_SETTINGS, line.DIALECT))
        for name, setting in table.items()
        if (word := page[at + setting.word])
    }


class FaultControl:
    """Switch the faults of a running simulator: `FaultControl("sim.json").set(feed__latency_us=500)`; names as in SETTINGS, `__` for the dot."""

    def __init__(self, ready_file: Path | str) -> None:
        """`ready_file`: what `hftkit sim --ready-file` wrote. Raises HftkitError if there is no simulator behind it."""
        try:
            self.path = Path(json.loads(Path(ready_file).read_text())["faults"])
            with open(self.path, "r+b") as stream:
                self.page: Any = np.frombuffer(mmap.mmap(stream.fileno(), line.PAGE_WORDS * 8), np.int64)
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"no fault page behind {ready_file}: {' '.join(str(error).split())}"
            raise HftkitError(problem, "Give the file that `hftkit sim --ready-file` wrote; it is there while the simulator runs") from None
        if self.page[line.MAGIC] != PAGE_MAGIC:
            raise HftkitError(f"{self.path} is not a fault page", "Give the file that `hftkit sim --ready-file` wrote")

    def set(self, settings: Mapping[str, float] | None = None, **named: float) -> None:
        """Change settings; what is not named stays. Raises ConfigError for a name or value that is not allowed."""
        write_settings(self.page, {**(settings or {}), **{name.replace("__", "."): value for name, value in named.items()}})

    def clear(self) -> None:
        """Fair weather: every setting 0. Frames under way still arrive when they are due."""
        for word in (*range(line.SETTINGS, line.TABLES), *range(line.DIALECT, line.DIALECT + line.DIALECT_WORDS)):
            self.page[word] = 0
        self.page[line.ACTIVE] = 0

    @property
    def settings(self) -> dict[str, float]:
        """What is switched on."""
        return settings_of(self.page)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """What has happened so far (see `counts_of`)."""
        return counts_of(self.page)


def rehearse(plan: FaultPlan, n_frames: int, every_ns: int) -> tuple[np.ndarray, np.ndarray]:
    """A feed of `n_frames` DEPTH frames, one every `every_ns`, under a plan: (sequences, ns after the start) in the order of arrival, int64.

    The plan's script does not run here. For looking at a plan before a client has to live with it.
    """
    faults = new_faults(plan, 1, 16_384)
    words = np.zeros((n_frames, 7), np.int64)
    words[:, 0] = header(int(MessageType.DEPTH), 7, 0)
    words[:, 1] = 1 + np.arange(n_frames)
    times = np.arange(n_frames) * every_ns
    out, out_times = np.zeros((3 * n_frames, 7), np.int64), np.zeros(3 * n_frames + 1, np.int64)
    line.carry(faults, line.FEED, words.reshape(-1), times, out.reshape(-1), out_times)
    n = int(out_times[-1])
    return out[:n, 1], out_times[:n]
