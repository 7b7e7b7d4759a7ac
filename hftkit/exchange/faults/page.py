"""The fault page: the names of all settings, and the mapped file of int64 words on which they stand while a simulator runs.

The server reads the page in every turn and counts on it (layout: fault_line.py); whoever else has it mapped may write settings. A setting is one
word, so that no lock is needed: of two that write the same one, the later wins.
"""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from hdrh.log import HistogramLogReader

from hftkit.codes import Reject
from hftkit.errors import ConfigError, HftkitError
from hftkit.exchange.dialects.registry import FAULT_SETTINGS
from hftkit.exchange.faults import line
from hftkit.exchange.faults.setting import Setting
from hftkit.kernels.memory.histogram import COUNTS_LEN
from hftkit.session.histogram import to_hdr
from hftkit.system import private_files

PAGE_MAGIC = 0x3346_4B54_4648  # "HFTKF3"
DIRECTIONS = ("feed", "order_entry", "response")
DIALECTS = tuple(FAULT_SETTINGS)  # in place of a direction: what that dialect does by itself
KINDS: dict[str, str] = {  # in the order of fault_line.py
    "drop": "is not delivered, its sequence number is missing",
    "lose": "vanishes and nobody can see it; of an order, or with all answers to an order: outcome unknown",
    "duplicate": "comes twice",
    "reorder": "comes after the next of its kind",
    "truncate": "loses its second half",
    "gap": "has a sequence number too many before it, nothing is missing",
    "late": "comes late_us later, if it is an acknowledgement, and all behind it",
    "reject": "is refused at the door, if it is a new order",
    "disconnect": "is the last of its connection",
    "burst": "is the first of a burst of dropped ones",
}
LATENCY_FROM = "latency_from"  # DIRECTION.latency_from: a histogram file, where every other setting is a number
_NEVER = {"feed": ("lose", "late", "reject"), "order_entry": ("late", "burst", "bytes", "skew"), "response": ("reject",)}
_UNTIL = {line.FREEZE: line.FROZEN, line.DOWN: line.DOWN_UNTIL}


SETTINGS: dict[str, Setting] = {
    "latency_us": Setting(line.LATENCY, 1_000, 60e6, "constant delay"),
    "jitter_us": Setting(line.JITTER, 1_000, 60e6, "further delay, uniform from 0 to this"),
    "recorded": Setting(line.RECORDED, 1, 1, "1: further delay, drawn from the histogram that latency_from has given; 0: none"),
    "max_per_s": Setting(line.RATE, 1, 1e9, "throttling: at most so many frames a second for each connection, the others queue; 0: no limit"),
    "bytes_per_s": Setting(line.BYTE_RATE, 1, 1e9, "bandwidth of each connection; 1000: byte by byte, one a millisecond; 0: no limit"),
    "skew_us": Setting(line.SKEW, 1_000, 1e13, "the venue's clock in its frames is wrong by this (may be negative)", lowest=-1e13),
    "late_us": Setting(line.LATE_BY, 1_000, 60e6, "how late a late acknowledgement is"),
    "burst_frames": Setting(line.BURST_FRAMES, 1, 1e6, "mean length of a burst of loss; 0: 10"),
    "reject_reason": Setting(line.REJECT_REASON, 1, 999, "code of a reject storm; 0 is 305, session throttled"),
    "freeze_ms": Setting(line.FREEZE, 1_000_000, 600e3, "nothing moves in this direction for so long, once"),
    "cut": Setting(line.CUT, 1, 2, "1: end every connection of this direction now; 2: with RST, what is under way is lost"),
    "vanish": Setting(line.VANISH, 1, 1, "1: every connection of this direction goes dead now, without FIN or RST; the venue's end of it is gone"),
    "down_ms": Setting(line.DOWN, 1_000_000, 600e3, "every connection ends, and new ones are turned away for so long"),
    **{f"{kind}_ppm": Setting(line.PPM + k, 1, 1e6, f"in millionths: a frame {doc}") for k, (kind, doc) in enumerate(KINDS.items())},
    **{f"{kind}_next": Setting(line.NEXT + k, 1, 1e9, f"so many of the next: a frame {doc}") for k, (kind, doc) in enumerate(KINDS.items())},
}


@functools.cache
def all_settings() -> dict[str, Setting]:
    """Every name that can be set with a number ("direction.name"), in the order of the tables."""
    possible = {f"{d}.{key}": setting for d in DIRECTIONS for key, setting in SETTINGS.items() if key.split("_")[0] not in _NEVER[d]}
    return possible | {f"{dialect}.{key}": setting for dialect, settings in FAULT_SETTINGS.items() for key, setting in settings.items()}


def dialect_words(page: np.ndarray, dialect: str) -> tuple[np.ndarray, np.ndarray]:
    """Settings and counts of a dialect on a page: two views, int64 (DIALECT_WORDS,) each."""
    at = line.DIALECT + DIALECTS.index(dialect) * 2 * line.DIALECT_WORDS
    return page[at : at + line.DIALECT_WORDS], page[at + line.DIALECT_WORDS : at + 2 * line.DIALECT_WORDS]


def _no_such(name: str) -> str:
    """What is wrong with a name that is none, and which was meant."""
    direction, _, key = name.partition(".")
    if direction in DIRECTIONS and key in SETTINGS:
        return f"{name}: {key.split('_')[0]} cannot happen to the {direction.replace('_', ' ')}"
    names = [*all_settings(), *(f"{d}.{LATENCY_FROM}" for d in DIRECTIONS)]
    near = [full for full in names if full.partition(".")[2] == name] or difflib.get_close_matches(name, names, n=3, cutoff=0.75)
    meant = f"did you mean {' or '.join(near)}?" if near else "`hftkit faults names` lists them all"
    return f"there is no fault setting {name!r}: write DIRECTION.NAME with {', '.join(DIRECTIONS)} or {', '.join(DIALECTS)}; {meant}"


def words_and_values(name: str, value: float) -> list[tuple[int, int]]:
    """Words of the page and the integers they get. Raises ValueError naming what is wrong and what is allowed."""
    setting = all_settings().get(name)
    if setting is None:
        raise ValueError(_no_such(name))
    direction, _, key = name.partition(".")
    if isinstance(value, bool) or not isinstance(value, int | float) or not setting.lowest <= value <= setting.highest:
        raise ValueError(f"{name} is {value!r}: allowed are {setting.lowest:.12g} to {setting.highest:.12g}")
    if setting.scale == 1 and value != round(value):
        raise ValueError(f"{name} is {value!r}: allowed are whole numbers from {setting.lowest:.12g} to {setting.highest:.12g}")
    if direction in DIALECTS:
        block = line.DIALECT + DIALECTS.index(direction) * 2 * line.DIALECT_WORDS
        return [(block + setting.word, round(value * setting.scale))]
    if key == "reject_reason" and value != 0 and value not in set(Reject):
        raise ValueError(f"{name} is {value!r}: give a reason code of docs/protocol.md")
    block = line.SETTINGS + DIRECTIONS.index(direction) * line.BLOCK
    words = [(block + setting.word, round(value * setting.scale))]
    if value == 0 and setting.word in _UNTIL:  # what is under way ends too
        words.append((block + _UNTIL[setting.word], 0))
    return words


def quantiles_ns(path: Path | str) -> np.ndarray:
    """A latency histogram (`FILE.hlog`, or `FILE.hlog#TAG` for one tag of it) as int64 (QUANTILES,) equally likely values, ns."""
    file, _, tag = str(path).partition("#")
    try:
        reader = HistogramLogReader(file, to_hdr(np.zeros(COUNTS_LEN, np.int64)))
        found, tags = None, []
        while found is None and (interval := reader.get_next_interval_histogram()) is not None:
            if interval.get_total_count():
                tags.append(str(interval.get_tag()))
                found = interval if not tag or interval.get_tag() == tag else None
    except (OSError, ValueError, IndexError) as error:
        raise ConfigError(f"cannot read the latency histogram {file}: {error}", "Give a .hlog file, as `hftkit live` writes latency.hlog") from None
    if found is None:
        raise ConfigError(
            f"{file} holds no latencies{f' with the tag {tag}' if tag else ''}",
            f"Name another tag, FILE.hlog#TAG: it has {', '.join(tags) or 'none'}",
        )
    places = ((np.arange(line.QUANTILES) + 0.5) * 100.0 / line.QUANTILES).tolist()
    values = found.get_percentile_to_value_dict(places)
    return np.array([values[place] for place in places], np.int64)


def write_settings(page: np.ndarray, settings: Mapping[str, float | str]) -> None:
    """Put settings ("direction.name" to value) on a page; the server follows at once. Raises ConfigError before anything is written.

    `direction.latency_from` takes the name of a histogram file (see `quantiles_ns`), and switches `recorded` on.
    """
    words, tables = [], []
    try:
        for name, value in settings.items():
            direction, _, key = name.partition(".")
            if key == LATENCY_FROM and direction in DIRECTIONS:
                tables.append((DIRECTIONS.index(direction), quantiles_ns(str(value))))
            else:
                words += words_and_values(name, value)  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigError(str(error)) from None
    for d, table in tables:
        at = line.TABLES + d * line.QUANTILES
        page[at : at + line.QUANTILES] = table
        page[line.SETTINGS + d * line.BLOCK + line.RECORDED] = 1
    for word, value in words:
        page[word] = value
    page[line.ACTIVE] = int(page[line.SETTINGS : line.TABLES].any())  # of the compiled loop; the dialect reads its own words


def has_table(page: np.ndarray, name: str) -> bool:
    """Was a histogram given for the direction of this setting ("direction.name")? True also where the name is none: that is for others to say."""
    direction = name.partition(".")[0]
    if direction not in DIRECTIONS:
        return True
    at = line.TABLES + DIRECTIONS.index(direction) * line.QUANTILES
    return bool(page[at : at + line.QUANTILES].any())


def clear_settings(page: np.ndarray) -> None:
    """Fair weather: every setting 0, and what is frozen or down moves again. Frames under way still arrive when they are due."""
    page[line.SETTINGS : line.TABLES] = 0
    for dialect in DIALECTS:
        dialect_words(page, dialect)[0][:] = 0
    page[line.ACTIVE] = 0


def map_page(path: Path) -> np.ndarray:
    """The page in a file of this user, int64 (PAGE_WORDS,). Raises HftkitError where there is none."""
    buffer = private_files.map_own(path, "fault page")
    if len(buffer) != line.PAGE_WORDS * 8:
        raise HftkitError(f"{path} is not a fault page", "Give the file that `hftkit sim --ready-file` wrote")
    return np.frombuffer(buffer, np.int64)


def _is_page(path: Path) -> bool:
    try:
        return bool(map_page(path)[line.MAGIC] == PAGE_MAGIC)
    except HftkitError:
        return False


def new_page(path: Path | None = None) -> np.ndarray:
    """An empty fault page, int64 (PAGE_WORDS,): in a mapped file where a path is given, else in memory only."""
    if path is None:
        page = np.zeros(line.PAGE_WORDS, np.int64)
    else:  # a file of its own takes the place of an older one, which another simulator may still have mapped
        if os.path.lexists(path) and not _is_page(path):
            raise ConfigError(f"{path} exists and is no fault page: it is not overwritten", "Give --ready-file another name, or move it away")
        partial = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            page = np.frombuffer(private_files.create_mapped(partial, line.PAGE_WORDS * 8, "fault page"), np.int64)
            partial.replace(path)
        except HftkitError as error:
            raise ConfigError(error.problem, "Give --ready-file a folder that may be written") from None
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise ConfigError(f"cannot make the fault page {path}: {error.strerror}", "Give --ready-file a folder that may be written") from None
    page[line.MAGIC] = PAGE_MAGIC
    return page


_COUNTED = {**dict(enumerate(KINDS)), line.FREEZES: "freeze", line.ENDED: "ended", line.TURNED_AWAY: "turned_away"}


def counts_of(page: np.ndarray) -> dict[str, dict[str, int]]:
    """What has happened so far, by direction: frames offered and delivered, and each kind of fault that happened at all.

    `drop` holds the frames of bursts too, `burst` is how many there were; `ended`: connections that `cut`, `vanish` or `down_ms` has ended.
    """
    result = {}
    for d, direction in enumerate(DIRECTIONS):
        block = page[line.COUNTS + d * line.COUNT_BLOCK :][: line.COUNT_BLOCK]
        happened = {what: int(block[k]) for k, what in _COUNTED.items() if block[k]}
        result[direction] = {"offered": int(block[line.OFFERED]), "delivered": int(block[line.DELIVERED]), **happened}
    for dialect, settings in FAULT_SETTINGS.items():
        _, counts = dialect_words(page, dialect)
        if counts.any():
            result[dialect] = {name: int(counts[setting.word]) for name, setting in settings.items() if counts[setting.word]}
    return result


def settings_of(page: np.ndarray) -> dict[str, float]:
    """Every setting that is not zero, "direction.name" to value; of a freeze or an outage under way, what is left of it."""
    result = {}
    for d, direction in enumerate(DIRECTIONS):
        block = page[line.SETTINGS + d * line.BLOCK :][: line.BLOCK]
        for name, setting in SETTINGS.items():
            word = int(block[setting.word])
            if setting.word in _UNTIL and word == 0 and block[_UNTIL[setting.word]]:
                word = max(setting.scale, int(block[_UNTIL[setting.word]]) - int(page[line.BEAT]))
                word -= word % setting.scale
            if word:
                result[f"{direction}.{name}"] = word / setting.scale
    for dialect, settings in FAULT_SETTINGS.items():
        words, _ = dialect_words(page, dialect)
        for name, setting in settings.items():
            if word := int(words[setting.word]):
                result[f"{dialect}.{name}"] = word / setting.scale
    return result
