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
    [latency_from]               # further delay, drawn from a recorded histogram
    feed = "latency.hlog#ack"
    [binance]                    # what a dialect does by itself (dialects/registry.py): the answers of this one
    unknown_next = 1
    [[script]]
    after_s = 5.0                # wall time since the start
    set = { "feed.drop_next" = 3, "response.freeze_ms" = 200 }

page.py has the names; line.py and each dialect's faults.py say what each kind of fault does. A terminal (`hftkit faults`) or a notebook
(`FaultControl`) changes the weather of a running simulator at once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from hftkit.codes import MessageType
from hftkit.config import load_config as load_toml
from hftkit.errors import ConfigError, HftkitError
from hftkit.exchange.dialects.registry import FaultSections
from hftkit.exchange.faults import line
from hftkit.exchange.faults.line import Faults
from hftkit.exchange.faults.page import (
    DIALECTS,
    DIRECTIONS,
    LATENCY_FROM,
    PAGE_MAGIC,
    clear_settings,
    counts_of,
    has_table,
    map_page,
    new_page,
    settings_of,
    words_and_values,
    write_settings,
)
from hftkit.kernels.wire.frame import header
from hftkit.layout import MAX_FRAME_WORDS
from hftkit.reading import read_object
from hftkit.units import NS_PER_S

_QUEUE_IN_WORDS, _STAGE_WORDS, _TX_WORDS, _GRAVES = 16_384, 2_048, 8_192, 64
PATIENCE_S = 5.0  # for a simulator that looks at its page a hundred times a second, or ten thousand times
_POLL_S = 0.001
_CURE = "Give the file that `hftkit sim --ready-file` wrote; it is there while the simulator runs"


class ScriptLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """At `after_s` seconds of wall time after the start, `set` these settings ("direction.name" to value)."""

    after_s: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    set: dict[str, float]


class FaultPlan(FaultSections, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of each direction from the start, recorded latencies, and a script. The default is fair weather.

    `latency_from`: direction to "FILE.hlog" or "FILE.hlog#TAG", as `hftkit live` writes them: delays are drawn from that distribution.
    """

    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 1
    feed: dict[str, float] = msgspec.field(default_factory=dict)
    order_entry: dict[str, float] = msgspec.field(default_factory=dict)
    response: dict[str, float] = msgspec.field(default_factory=dict)
    latency_from: dict[str, str] = msgspec.field(default_factory=dict)
    script: tuple[ScriptLine, ...] = ()

    def __post_init__(self) -> None:
        for name, value in self.settings.items():
            words_and_values(name, value)
        for entry in self.script:
            for name, value in entry.set.items():
                words_and_values(name, value)
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
        return {f"{where}.{name}": value for where in (*DIRECTIONS, *DIALECTS) for name, value in getattr(self, where).items()}


def load_plan(path: Path | str) -> FaultPlan:
    """Read a plan: a TOML file, or the name of one that ships with hftkit (`rough_sea`). Raises ConfigError naming key and value."""
    shipped = resources.files("hftkit.exchange").joinpath("configs", "faults", f"{path}.toml")
    if not shipped.is_file() and not Path(path).exists():
        raise ConfigError(f"there is no fault plan {path}", f"Give a TOML file, or one of {', '.join(shipped_plans())}")
    return load_toml(FaultPlan, Path(str(shipped)) if shipped.is_file() else Path(path), env={})


def shipped_plans() -> list[str]:
    """Names of the plans that ship with hftkit."""
    return sorted(Path(item.name).stem for item in resources.files("hftkit.exchange").joinpath("configs", "faults").iterdir())


def new_faults(plan: FaultPlan, n_clients: int, out_words: int, page_path: Path | None = None) -> Faults:
    """The memory of a server's faults. Pages that no connection uses stay untouched."""
    page = new_page(page_path)
    write_settings(page, {**plan.settings, **{f"{direction}.{LATENCY_FROM}": file for direction, file in plan.latency_from.items()}})
    script = [
        (round(entry.after_s * NS_PER_S), word, number)
        for entry in plan.script
        for name, value in entry.set.items()
        for word, number in words_and_values(name, value)
    ]
    seeds = (hashlib.sha256(f"faults {plan.seed} {i}".encode()).digest()[:8] for i in range(2 * n_clients))
    return Faults(
        page=page,
        script=np.array(sorted(script, key=lambda row: row[0]), np.int64).reshape(-1, 3),
        cursor=np.zeros(2, np.int64),
        lines=np.zeros((n_clients, 2, line.LINE_WORDS), np.int64),
        queue_in=np.zeros((n_clients, _QUEUE_IN_WORDS), np.int64),
        queue_out=np.zeros((n_clients, 8 * out_words), np.int64),
        stage=np.zeros((n_clients, _STAGE_WORDS), np.int64),
        tx=np.zeros((n_clients, _TX_WORDS), np.int64),
        held=np.zeros((n_clients, 2, MAX_FRAME_WORDS), np.int64),
        lost=np.zeros((n_clients, line.LOST_IDS), np.int64),
        graves=np.full(_GRAVES, -1, np.int64),
        scratch=np.zeros(MAX_FRAME_WORDS, np.int64),
        random=np.array([int.from_bytes(seed, "little") for seed in seeds], np.uint64),
    )


class FaultControl:
    """Switch the faults of a running simulator: `FaultControl("sim.json").set(feed__latency_us=500)`; names as in SETTINGS, `__` for the dot.

    When `set` or `clear` returns, the simulator has seen it. Any number of controllers may write; of two that set the same name, the later one wins.
    """

    def __init__(self, ready_file: Path | str) -> None:
        """`ready_file`: what `hftkit sim --ready-file` wrote. Raises HftkitError if there is no simulator behind it."""
        self._ready_file = ready_file
        try:
            self.path = Path(read_object(ready_file, lambda why: HftkitError(why, _CURE), 1 << 20)["faults"])
            self.page: np.ndarray = map_page(self.path)
        except (HftkitError, ValueError, KeyError, TypeError) as error:
            why = error.problem if isinstance(error, HftkitError) else str(error)
            problem = f"no fault page behind {ready_file}: {' '.join(why.split())}"
            raise HftkitError(problem, _CURE) from None
        if self.page[line.MAGIC] != PAGE_MAGIC:
            raise HftkitError(f"{self.path} is not a fault page", _CURE)

    def answers(self, patience_s: float = PATIENCE_S) -> bool:
        """Does the simulator look at its page once more, within so many seconds?"""
        last = int(self.page[line.BEAT])
        for _ in range(int(patience_s / _POLL_S)):
            if int(self.page[line.BEAT]) != last:
                return True
            time.sleep(_POLL_S)
        return False

    def _wait_until_seen(self) -> None:
        if not self.answers(PATIENCE_S):
            raise HftkitError(f"the simulator behind {self._ready_file} does not answer: it has ended, or stands still", "Start it again")

    def set(self, settings: Mapping[str, float | str] | None = None, **named: float | str) -> None:
        """Change settings; what is not named stays. `feed__latency_from="FILE.hlog#TAG"` draws delays from a recorded histogram.

        Raises ConfigError for a name or value that is not allowed, HftkitError if the simulator is gone.
        """
        wanted = {**(settings or {}), **{name.replace("__", "."): value for name, value in named.items()}}
        for name in wanted:
            if name.endswith(".recorded") and wanted[name] and not has_table(self.page, name):
                raise ConfigError(f"{name} is {wanted[name]!r}, and no histogram was given", f"Set {name.partition('.')[0]}.latency_from=FILE.hlog")
        write_settings(self.page, wanted)
        self._wait_until_seen()

    def clear(self) -> None:
        """Fair weather: every setting 0. Frames under way still arrive when they are due."""
        clear_settings(self.page)
        self._wait_until_seen()

    @property
    def settings(self) -> dict[str, float]:
        """What is switched on."""
        return settings_of(self.page)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """What has happened so far (see `counts_of`). Raises HftkitError if the simulator is gone."""
        self._wait_until_seen()
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
