"""Recorded history as a tape: reading and checking it, from a history file (.npz) or from a journal.

A history file is a NumPy .npz (never pickled) of two arrays: `tape` int64 (rows, 7), BBO, TRADE and DEPTH frames in the order of their exchange time;
and `header`, canonical JSON as bytes: format, name, instruments in id order, grade of each, where it came from. `hftkit data history` writes one from
candles, trades, book tickers or depth. A journal is a folder: of `hftkit sim --record`, or of a live session (the market data it received).
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hftkit.codes import DepthFlag, MessageType, RecordType, Side
from hftkit.errors import DataError
from hftkit.exchange.config import InstrumentConfig, SimConfig
from hftkit.exchange.market.history.market import CANDLES, DEPTH, GRADES, QUOTES, TAPE_WORDS, TRADES
from hftkit.instruments import Instrument
from hftkit.params.format import canonical_bytes
from hftkit.session.journal import JournalReader, instruments_of, json_of
from hftkit.units import from_steps, iso_from_ns

FORMAT = 1
_BBO, _TRADE, _DEPTH = int(MessageType.BBO), int(MessageType.TRADE), int(MessageType.DEPTH)
_BEGIN, _END = int(MessageType.SNAPSHOT_BEGIN), int(MessageType.SNAPSHOT_END)
_SNAPSHOT, _END_OF_BATCH = int(DepthFlag.SNAPSHOT), int(DepthFlag.END_OF_BATCH)
_BLOCK = 1 << 18  # rows looked at at a time
_NO_PRICE = 2**62
_HOW = "Make it with: hftkit data history SOURCE FILE.npz"


@dataclass(frozen=True)
class HistoryTape:
    """Recorded market data of some instruments.

    `tape`: int64 (rows, 7), frames of docs/protocol.md in time order; `grades`: market.CANDLES .. DEPTH of each instrument; `origin`: where it
    came from, in words and digests.
    """

    name: str
    tape: np.ndarray
    instruments: tuple[Instrument, ...]
    grades: tuple[int, ...]
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def first_ns(self) -> int:
        """Exchange time of the first row."""
        return int(self.tape[0, 2])

    @property
    def last_ns(self) -> int:
        """Exchange time of the last row."""
        return int(self.tape[-1, 2])

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of instruments and rows."""
        digest = hashlib.sha256(canonical_bytes(msgspec.to_builtins(self.instruments)))
        digest.update(np.ascontiguousarray(self.tape).data)
        return digest.hexdigest()

    def price_range(self, instrument: int) -> tuple[int, int]:
        """Lowest and highest price of an instrument, ticks. Raises DataError if it has none."""
        low, high = _NO_PRICE, 0
        for at in range(0, len(self.tape), _BLOCK):
            rows = self.tape[at : at + _BLOCK]
            rows = rows[rows[:, 0] >> 32 == instrument]
            quotes = rows[rows[:, 0] >> 16 & 0xFF == _BBO]
            prices = np.concatenate([rows[rows[:, 0] >> 16 & 0xFF != _BBO][:, 5], quotes[:, 3], quotes[:, 5]])
            prices = prices[prices > 0]
            low, high = min(low, int(prices.min(initial=_NO_PRICE))), max(high, int(prices.max(initial=0)))
        if high == 0:
            raise DataError(f"the history {self.name} has no prices of {self.instruments[instrument].symbol}", "Leave it out")
        return low, high


def check_tape(history: HistoryTape, where: str) -> HistoryTape:
    """The same history, if it can be a market. Raises DataError naming the row and what is wrong with it."""
    tape, n = history.tape, len(history.instruments)
    if tape.dtype != np.int64 or tape.ndim != 2 or tape.shape[1] != TAPE_WORDS or not len(tape):
        raise DataError(f"{where}: the tape is {tape.dtype} {tape.shape}, must be int64 (rows, {TAPE_WORDS}) with at least one row", _HOW)
    if len(history.grades) != n or not set(history.grades) <= set(GRADES):
        raise DataError(f"{where}: grades {history.grades} for {n} instruments", _HOW)
    for at in range(0, len(tape), _BLOCK):  # a block at a time: a long tape is not copied to be looked at
        _check_rows(tape[at : at + _BLOCK], int(tape[max(0, at - 1), 2]), n, at, where)
    return history


def _check_rows(tape: np.ndarray, earlier: int, n: int, first: int, where: str) -> None:
    """Some rows of a tape: `earlier`, the time of the row before them; `n` instruments; `first`, the number of the first."""
    kind, number = tape[:, 0] >> 16 & 0xFF, tape[:, 0] >> 32
    is_quote, is_trade, is_depth = kind == _BBO, kind == _TRADE, kind == _DEPTH
    quoted = (
        (tape[:, [4, 6]] >= 0).all(1)
        & (tape[:, [3, 5]] >= 0).all(1)
        & ((tape[:, 3] > 0) == (tape[:, 4] > 0))
        & ((tape[:, 5] > 0) == (tape[:, 6] > 0))
    )
    crossed = (tape[:, 3] > 0) & (tape[:, 5] > 0) & (tape[:, 3] >= tape[:, 5])
    side = np.where(is_trade, tape[:, 4], tape[:, 3])
    sided = np.isin(side, (int(Side.BUY), int(Side.SELL))) & (tape[:, 5] > 0)
    faults = (
        (~(is_quote | is_trade | is_depth), "is no BBO, TRADE or DEPTH frame"),
        ((number < 0) | (number >= n), f"names an instrument that is not among the {n}"),
        (np.diff(tape[:, 2], prepend=earlier) < 0, "is earlier than the row before it"),
        (is_quote & ~quoted, "quotes a price without a quantity, or a negative one"),
        (is_quote & crossed, "quotes a bid at or above the ask"),
        (is_trade & ~(sided & (tape[:, 6] > 0)), "is a trade without side, price or quantity"),
        (is_depth & ~(sided & (tape[:, 6] >= 0)), "is a level without side or price, or of negative quantity"),
        (np.abs(tape[:, 3:]).max(axis=1) >= 2**44, "holds a price or a quantity beyond 2^44"),
    )
    for wrong, what in faults:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(f"{where}: row {first + row} {what}: {tape[row, 2:].tolist()}", _HOW)


def save_history(history: HistoryTape, path: Path | str) -> Path:
    """Write a history file. Raises DataError if it could not be read again."""
    path = Path(path)
    check_tape(history, str(path))
    header = {
        "format": FORMAT,
        "name": history.name,
        "instruments": msgspec.to_builtins(history.instruments),
        "grades": [GRADES[grade] for grade in history.grades],
        "origin": history.origin,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # given a name, numpy would add a suffix
        np.savez_compressed(file, tape=history.tape, header=np.frombuffer(canonical_bytes(header), np.uint8))
    return path


def load_history(path: Path | str) -> HistoryTape:
    """Read a history file or a journal folder. Raises DataError or JournalError saying what is wrong and what to do."""
    path = Path(path)
    if path.is_dir() and any(path.glob("segment-*.hftj")):
        return check_tape(journal_history(path), str(path))
    if path.is_file() and zipfile.is_zipfile(path):
        return check_tape(_read_file(path), str(path))
    what = "there is nothing" if not path.exists() else "no history file and no journal"
    raise DataError(
        f"{path}: {what}", f"Give a .npz, or the folder of a journal. Candles, trades and depth become one with: hftkit data history {path} FILE.npz"
    )


def _read_file(path: Path) -> HistoryTape:
    try:
        with np.load(path, allow_pickle=False) as content:
            tape, header = content["tape"], json.loads(content["header"].tobytes())
        if header["format"] != FORMAT:
            raise DataError(f"{path} has history format {header['format']}, this hftkit reads {FORMAT}", _HOW)
        instruments = msgspec.convert(header["instruments"], tuple[Instrument, ...])
        numbers = {name: grade for grade, name in GRADES.items()}
        return HistoryTape(header["name"], tape, instruments, tuple(numbers[name] for name in header["grades"]), header["origin"])
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, msgspec.ValidationError) as error:
        raise DataError(f"{path} is no history file ({str(error).splitlines()[0][:100]})", _HOW) from None


# -- journals --------------------------------------------------------------------------------------------------------


def journal_history(folder: Path) -> HistoryTape:
    """The market data in a journal. Snapshots become the level changes they stand for; where there is depth, BBO frames say nothing new and go."""
    reader = JournalReader(folder)
    instruments: tuple[Instrument, ...] = ()
    parts: list[np.ndarray] = [np.zeros((0, TAPE_WORDS), np.int64)]
    for words, records in reader.chunks():
        for at, n_words, _ in records[records[:, 2] == RecordType.CONFIG]:
            instruments = instruments_of(json_of(words[at : at + n_words]))
        chosen = records[(records[:, 2] == RecordType.MARKET_DATA_IN) & (records[:, 1] >= 2)]
        at = chosen[words[chosen[:, 0]] & 0xFFFF == chosen[:, 1] * 8, 0]  # one whole frame: its own length is the record's
        parts.append(words[np.minimum(at[:, None] + np.arange(TAPE_WORDS), words.size - 1)])  # shorter frames: what follows is not looked at
    frames = np.concatenate(parts)
    kind = frames[:, 0] >> 16 & 0xFF
    if not np.isin(kind, (_BBO, _TRADE, _DEPTH)).any() or not instruments:
        raise DataError(f"the journal {folder} holds no market data", "Record a run with: hftkit sim --record FOLDER")
    return with_grades(folder.name, _rows_of(frames, kind), instruments, {"journal": folder.name, "epoch": reader.epoch, "torn": reader.torn})


def _rows_of(frames: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Rows of a tape from the market data frames of a journal (n, 7): a snapshot in place of its level changes."""
    numbers, is_level = frames[:, 0] >> 32, (kind == _DEPTH) & (frames[:, 4] & _SNAPSHOT != 0)
    plain = np.isin(kind, (_BBO, _TRADE, _DEPTH)) & ~is_level
    books: dict[int, dict[tuple[int, int], int]] = {}
    begun: dict[int, int] = {}
    seen: dict[int, int] = {}
    rows, done = [], 0
    for at in np.flatnonzero((kind == _BEGIN) | (kind == _END)).tolist():
        number = int(numbers[at])
        if kind[at] == _BEGIN:
            begun[number] = at
        elif number in begun:  # else the journal begins within a snapshot
            span, first, last = slice(begun[number], at), seen.get(number, 0), at
            changes = frames[first:last][plain[first:last] & (kind[first:last] == _DEPTH) & (numbers[first:last] == number)]
            old = books.get(number, {}) | _levels(changes)
            books[number] = _levels(frames[span][is_level[span] & (numbers[span] == number)])
            rows += [frames[done:at][plain[done:at]], _changes(old, books[number], frames[at], number)]
            seen[number] = done = at
    return _in_time(np.concatenate([*rows, frames[done:][plain[done:]]]))


def _levels(rows: np.ndarray) -> dict[tuple[int, int], int]:
    """What DEPTH rows leave at each (side, price): the last of each."""
    _, last = np.unique((rows[:, 3] << 60 | rows[:, 5])[::-1], return_index=True)
    return {(int(row[3]), int(row[5])): int(row[6]) for row in rows[::-1][last]}


def _changes(old: dict[tuple[int, int], int], new: dict[tuple[int, int], int], end: np.ndarray, number: int) -> np.ndarray:
    """DEPTH rows that turn the book `old` into `new`: what goes first, so that the book is never crossed in between."""
    changed = [(key, 0) for key, qty in old.items() if qty and not new.get(key)]
    changed += [(key, qty) for key, qty in new.items() if qty != old.get(key, 0)]
    word = TAPE_WORDS * 8 | _DEPTH << 16 | 1 << 24 | number << 32
    made = np.array([[word, end[1], end[2], side, 0, price, qty] for (side, price), qty in changed], np.int64).reshape(-1, TAPE_WORDS)
    made[-1:, 4] = _END_OF_BATCH
    return made


def _in_time(rows: np.ndarray) -> np.ndarray:
    """Rows in the order of exchange time, trades before what they left: several streams of a venue arrive out of step."""
    if (np.diff(rows[:, 2]) >= 0).all():
        return rows
    is_trade = rows[:, 0] >> 16 & 0xFF == _TRADE
    for number in np.unique(rows[:, 0] >> 32):  # a snapshot may carry an older time than the changes before it
        mine = (rows[:, 0] >> 32 == number) & ~is_trade
        rows[mine, 2] = np.maximum.accumulate(rows[mine, 2])
    return rows[np.lexsort((~is_trade, rows[:, 2]))]


def with_grades(name: str, tape: np.ndarray, instruments: tuple[Instrument, ...], origin: dict[str, Any]) -> HistoryTape:
    """A history whose grades follow from what is there: depth, else quotes, else trades. BBO rows beside depth are left out."""
    kind, number = tape[:, 0] >> 16 & 0xFF, tape[:, 0] >> 32
    with_depth = np.unique(number[kind == _DEPTH])
    kept = ~((kind == _BBO) & np.isin(number, with_depth))
    quoted = set(number[kind == _BBO].tolist())
    grades = tuple(DEPTH if i in with_depth else QUOTES if i in quoted else TRADES for i in range(len(instruments)))
    return HistoryTape(name, np.ascontiguousarray(tape if kept.all() else tape[kept]), instruments, grades, origin)


# -- the venue that plays it -----------------------------------------------------------------------------------------


def config_for(history: HistoryTape, base: SimConfig) -> SimConfig:
    """The configuration of a venue that plays a history: the manners of `base`, the instruments of the history (fees of an instrument named
    alike in `base` are kept). Raises DataError if a price range does not fit into the books."""
    known = {one.symbol: one for one in base.instruments}
    rows = []
    for i, instrument in enumerate(history.instruments):
        low, high = history.price_range(i)
        if high - low > base.venue.ladder_ticks * 9 // 10:
            raise DataError(
                f"{instrument.symbol} moves over {high - low} ticks, the books hold {base.venue.ladder_ticks}",
                "Use a shorter span, a coarser --tick, or a larger ladder_ticks",
            )
        fees = known.get(instrument.symbol, instrument)
        body = {**msgspec.structs.asdict(instrument), "maker_fee_ppm": fees.maker_fee_ppm, "taker_fee_ppm": fees.taker_fee_ppm}
        rows.append(InstrumentConfig(**body, start_price=from_steps((low + high) // 2, instrument.tick_size)))
    return msgspec.structs.replace(
        base, name=f"history {history.name}", start=iso_from_ns(history.first_ns), minutes=1, market_annual_volatility=0.0, instruments=tuple(rows)
    )


__all__ = [
    "CANDLES",
    "DEPTH",
    "QUOTES",
    "TRADES",
    "HistoryTape",
    "check_tape",
    "config_for",
    "journal_history",
    "load_history",
    "save_history",
    "with_grades",
]
