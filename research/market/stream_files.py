"""Files of recorded Binance streams: reading what is whole of them, each symbol for itself, and saying what is missing.

A line is a receive time and the JSON, or the JSON alone: an envelope (`stream`, `data`) or a plain payload.
Read as well: gzip of several members whose last one was cut by a kill (all that is whole), a damaged member
(what comes behind it), a byte order mark, CRLF, blank lines, lines in any order. Nothing of this is silent:
every finding is one line in `Recording.remarks`. A recording without one usable message is a DataError.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hftkit.errors import DataError
from hftkit.units import iso_from_ns
from research.data.files.file_names import symbol_of
from research.market.stream_book import Change, StreamBook

_GZIP, _MEMBER = b"\x1f\x8b", b"\x1f\x8b\x08\x00"
_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20
_LONGEST_LINE = 64 << 20
_MOST_SAID = 20  # remarks of one kind and symbol
_PAUSE_S, _PAUSE_MEDIANS = 5.0, 200  # a time gap: this long, and this many times the usual distance of two messages
_KIND_OF_EVENT = {"depthUpdate": "depth", "trade": "trade", "aggTrade": "aggTrade", "bookTicker": "bookTicker"}
_BAD = (AttributeError, KeyError, ValueError, TypeError, IndexError, OverflowError)
Trades = dict[tuple[int, int], tuple[int, float, float, bool]]  # by id and time: time ns, price, quantity, whether the buyer rested


@dataclass
class SymbolStreams:
    """What was recorded of one symbol. Times ns, exchange clock."""

    trades: Trades = field(default_factory=dict)
    agg_trades: Trades = field(default_factory=dict)
    tickers: list[tuple[int, float, float, float, float]] = field(default_factory=list)  # time, bid, quantity, ask, quantity
    book: StreamBook = field(default_factory=StreamBook)
    stamps: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where a message stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


@dataclass
class Recording:
    """Files of recorded streams. `remarks`: what is missing or was left out, a line each."""

    symbols: dict[str, SymbolStreams] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def read_streams(paths: Sequence[Path], symbols: Sequence[str] | None = None) -> Recording:
    """Read the files one after another. `symbols`: only these. Raises DataError if nothing is usable, or a symbol is not there."""
    found = Recording()
    left_out: Counter[str] = Counter()
    first_bad = ""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for path in paths:
        now, here = 0, set()
        nameless: list[tuple[dict[str, Any], int, Place]] = []
        for number, line in read_lines(path, found.remarks):
            place = Place(path.name, number)
            try:
                received, message = _message(line, decode)
                kind, symbol, data = _subject(message)
                if not symbol:
                    nameless.append((data, now or received, place))
                    continue
                now = _take(found, kind, symbol, data, now or received, place)
                here.add(symbol)
            except _Other as other:
                left_out[f"of other streams ({other})"] += 1
            except _BAD as error:
                left_out["that are no message"] += 1
                first_bad = first_bad or f"{place} is no recorded message ({error})"
        if len(here) > 1 and nameless:
            left_out["that are snapshots of no symbol, in a file of several"] += len(nameless)
        elif nameless:
            for data, when, place in nameless:
                _take(found, "snapshot", next(iter(here), symbol_of(path)), data, when, place)
    if not found.symbols:
        raise DataError(first_bad or f"{paths[0].name} holds no depth, book tickers or trades", "Give files of recorded Binance streams")
    found.remarks += [f"left out {count:,} lines {what}" for what, count in left_out.items()]
    if first_bad:
        found.remarks.append(f"the first of them: {first_bad}")
    for symbol in symbols or ():
        if symbol not in found.symbols:
            raise DataError(f"there is no {symbol} in {', '.join(path.name for path in paths)}", f"It holds {', '.join(sorted(found.symbols))}")
    found.symbols = {symbol: found.symbols[symbol] for symbol in sorted(symbols or found.symbols)}
    for symbol, streams in found.symbols.items():
        streams.book.build()
        found.remarks += _few([f"{symbol}: {line}" for line in streams.book.remarks])
        found.remarks += _few([f"{symbol}: {line}" for line in pauses(np.array(streams.stamps, np.int64))])
    return found


def _few(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _MOST_SAID else [*lines[:_MOST_SAID], f"{lines[0].split(':')[0]}: and {len(lines) - _MOST_SAID:,} more like these"]


def pauses(stamps: np.ndarray) -> list[str]:
    """Times (ns, any order) without a message, where that is unusual: one line each."""
    ordered = np.sort(stamps)
    apart = np.diff(ordered)
    if not apart.size:
        return []
    least = max(_PAUSE_S * 1e9, _PAUSE_MEDIANS * float(np.median(apart)))
    return [f"no message for {apart[i] / 1e9:.1f} s from {iso_from_ns(int(ordered[i]))}" for i in np.flatnonzero(apart > least)]


# -- lines ---------------------------------------------------------------------------------------------------------------


@dataclass
class _Source:
    """What reading a file found out about it."""

    name: str
    cut: bool = False  # it ends within a gzip member
    lost: int = 0  # bytes of damaged members


def read_lines(path: Path, remarks: list[str]) -> Iterator[tuple[int, bytes]]:
    """Lines that are whole and not blank, with their numbers. A file that was cut or damaged is one line in `remarks`."""
    source, number, rest = _Source(path.name), 0, b""
    for block in _blocks(path, source):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if len(rest) > _LONGEST_LINE:
            raise DataError(
                f"{path.name}: a line of more than {_LONGEST_LINE >> 20} MB", "Give files of recorded Binance streams, one message a line"
            )
        for line in lines:
            number += 1
            text = _bare(line, number)
            if text:
                yield number, text
    text = _bare(rest, number + 1)
    whole = text.endswith(b"}") and not source.cut
    if whole:
        number += 1
        yield number, text
    if source.lost:
        remarks.append(f"{path.name} is damaged: {source.lost:,} bytes could not be read; what is whole before and behind them was")
    elif source.cut or (text and not whole):
        remarks.append(f"{path.name} is cut: read up to line {number}, all that is whole")


def _bare(line: bytes, number: int) -> bytes:
    return (line.removeprefix(_BOM) if number == 1 else line).strip()


def _blocks(path: Path, source: _Source) -> Iterator[bytes]:
    with path.open("rb") as stream:
        start = stream.read(len(_GZIP))
        stream.seek(0)
        raw = iter(lambda: stream.read(_BLOCK), b"")
        yield from _members(source, raw) if start == _GZIP else raw


def _members(source: _Source, raw: Iterator[bytes]) -> Iterator[bytes]:
    """Content of a gzip file, member by member. A newline stands where something is missing, so that no line is made of two halves."""
    member, rest, seeking = zlib.decompressobj(31), b"", False
    source.cut = False
    for block in raw:
        rest += block
        while rest:
            if seeking:  # for the next member behind a damaged one
                at = rest.find(_MEMBER)
                skipped = max(len(rest) - len(_MEMBER) + 1, 0) if at < 0 else at
                source.lost, rest = source.lost + skipped, rest[skipped:]
                if at < 0:
                    break
                member, seeking = zlib.decompressobj(31), False
            try:
                text = member.decompress(rest)
            except zlib.error:
                source.lost, rest, seeking = source.lost + 1, rest[1:], True
                yield b"\n"
                continue
            source.cut, rest = not member.eof, member.unused_data
            yield text
            if source.cut:
                rest = b""
            else:
                member, seeking = zlib.decompressobj(31), bool(rest) and not rest.startswith(_GZIP[: len(rest)])
    source.lost += len(rest) if seeking else 0


# -- messages ------------------------------------------------------------------------------------------------------------


class _Other(Exception):
    """A message of a stream that makes no history."""


def _message(line: bytes, decode: Any) -> tuple[int, dict[str, Any]]:
    at = line.index(b"{")
    stamp = line[:at].strip()
    return int(stamp) if stamp else 0, decode(line[at:])


def _subject(message: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Kind, symbol ('' of a snapshot that does not say) and payload of a message."""
    stream = str(message.get("stream", ""))
    data = message.get("data", message) if stream else message
    if isinstance(data, list) or "result" in message:
        raise _Other(stream.lstrip("!") or "answers")
    prefix, _, name = stream.partition("@")
    kind = name.split("@")[0] or _KIND_OF_EVENT.get(str(data.get("e", "")), "")
    if not kind:
        if "e" in data:
            raise _Other(str(data["e"]))
        kind = "snapshot" if "lastUpdateId" in data else "bookTicker" if {"b", "B", "a", "A"} <= set(data) else ""
    if not kind:
        raise ValueError("neither stream nor e says what it is")
    if kind == "snapshot":
        _levels(data["bids"], data["asks"])
    symbol = str(data.get("s") or prefix).upper()
    if not symbol and kind != "snapshot":
        raise ValueError("no symbol")
    return kind, symbol, data


def _take(found: Recording, kind: str, symbol: str, data: dict[str, Any], now: int, place: Place) -> int:
    """Enter a message. Returns the latest exchange time, ns."""
    if kind not in ("trade", "aggTrade", "bookTicker", "depth", "snapshot"):
        raise _Other(kind)
    stamp = int(data.get("T") or data.get("E") or 0) * 1_000_000
    streams = found.symbols.get(symbol) or SymbolStreams()
    if kind in ("trade", "aggTrade"):
        price, qty = _positive(data["p"]), float(data["q"])
        table, ident = (streams.trades, "t") if kind == "trade" else (streams.agg_trades, "a")
        if qty > 0:  # the venue marks trades of its insurance fund with 0
            table[int(data.get(ident, -len(table) - 1)), stamp] = (stamp or now, price, _positive(qty), bool(data["m"]))
    elif kind == "bookTicker":
        bid, bid_qty, ask, ask_qty = (_positive(data[name]) for name in ("b", "B", "a", "A"))
        if bid >= ask:
            raise ValueError("bid not below the ask")
        streams.tickers.append((stamp or now, bid, bid_qty, ask, ask_qty))
    elif kind == "depth":
        last = int(data["u"])
        before = int(data["pu"]) if "pu" in data else int(data["U"]) - 1
        streams.book.add(Change(stamp or now, last, before, _levels(data["b"], data["a"]), str(place)))
    else:
        streams.book.add(Change(stamp or now, int(data["lastUpdateId"]), -1, _levels(data["bids"], data["asks"]), str(place), snapshot=True))
    streams.stamps.append(stamp or now)
    found.symbols[symbol] = streams
    return max(now, stamp)


def _levels(bids: Any, asks: Any) -> list[tuple[int, str, str]]:
    """(side, price, quantity) of every level, as they were written. Raises ValueError for what is no price."""
    levels = [(side, str(price), str(qty)) for side, rows in ((0, bids), (1, asks)) for price, qty, *_ in rows]
    for _, price, qty in levels:
        _positive(price)
        if not 0 <= float(qty) < np.inf:
            raise ValueError(f"a quantity of {qty}")
    return levels


def _positive(value: Any) -> float:
    number = float(value)
    if not 0 < number < np.inf:
        raise ValueError(f"{value!r} is no positive number")
    return number
