"""Price files become a history that the simulator plays (`hftkit data history`, then `hftkit sim --history`): the reading side of exchange/history.

What each grade of data becomes, in rows of docs/protocol.md:

* **candles**: four prints a bar (open, the two extremes, close; a rising bar makes its low first), a quarter of the volume each, at the start,
  after a third, after two thirds and 1 ns before the end of the bar, each with a quote `half_spread` ticks to either side. The aggressor is the
  direction of the move.
* **trades** (`trades`, `aggTrades`): each with its own side, and a quote whose touched side is the trade's price.
* **quotes** (`bookTicker`), best with the trades of the same time beside them.
* **streams**: Binance messages as a recorder wrote them, one line each: depth with its snapshot, book tickers, trades.

Where quotes are our own (candles, trades) they show a part of the print, and the venue does not let them fill resting orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from hftkit.codes import DepthFlag, MessageType, Side
from hftkit.errors import DataError
from hftkit.exchange.market.history.files import CANDLES, TRADES, HistoryTape, with_grades
from hftkit.instruments import Instrument
from hftkit.kernels.wire.frame import header
from research.data.data_loader import candles_in, checked, sha256_of, symbol_of
from research.data.files.file_names import symbol_text
from research.data.files.tick_files import SUFFIXES, clean, distinct, joined, kind_of, read_columns
from research.data.instruments import FILE_NAME, infer_instrument, load_instruments
from research.market.stream_files import SymbolStreams, read_streams

Span = tuple[str | None, str | None]
_LONGEST_SYMBOL = 16
SHOWN = 0.1  # part of a candle's print that its quotes show
WINDOW_TICKS = 100_000  # recorded levels further than this from the first price are left out: no order of ours stands there
_FINEST = 8


@dataclass
class _Rows:
    """Rows of a tape before they are sorted: parts of one kind each, with their rank within a time."""

    parts: list[np.ndarray] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)

    def add(self, kind: MessageType, number: int, rank: int, ts: np.ndarray, *body: Any) -> None:
        """Rows of one kind: `body` are the four words behind the time."""
        words = np.empty((len(ts), 7), np.int64)
        words[:, 0], words[:, 1], words[:, 2] = header(int(kind), 7, number), 0, ts
        for column, values in enumerate(body, start=3):
            words[:, column] = values
        self.parts.append(words)
        self.ranks.append(rank)

    def tape(self) -> np.ndarray:
        """All rows in the order of time; at one time in the order of rank, then as they were added. Trades are numbered."""
        if not sum(map(len, self.parts)):
            raise DataError("there is nothing to replay in this span", "Give a longer span, or other files")
        ranks = np.repeat(np.array(self.ranks, np.int8), [len(part) for part in self.parts])
        tape = self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)
        one_rank = len(set(self.ranks)) == 1
        self.parts, self.ranks = [], []
        if not one_rank or (np.diff(tape[:, 2]) < 0).any():
            tape = tape[np.lexsort((ranks, tape[:, 2]))]
        is_trade = tape[:, 0] >> 16 & 0xFF == int(MessageType.TRADE)
        tape[is_trade, 3] = np.arange(1, int(is_trade.sum()) + 1)
        return tape


def steps(values: Any, step: str, what: str, block: int = 1 << 20) -> np.ndarray:
    """Decimal numbers as whole ticks or lots, int64 (n,). Raises DataError naming the first that is none."""
    given = np.asarray(values, np.float64)
    whole = np.empty(len(given), np.int64)
    for at in range(0, len(given), block):
        raw = given[at : at + block] / float(step)
        near = np.round(raw)
        off = np.flatnonzero(~(np.abs(raw - near) <= 1e-3))
        if off.size:
            raise DataError(f"{what}: {given[at + off[0]]} is no multiple of {step}", "Give the scales these data were recorded with (--instruments)")
        whole[at : at + block] = near
    return whole


def scales_of(symbol: str, prices: Any, quantities: Any | None = None) -> Instrument:
    """Scales guessed from prices, and from quantities where each was recorded alone (a lot is then their finest step)."""
    guessed = infer_instrument(symbol, pd.Series(np.asarray(prices, np.float64)))
    if quantities is None:
        return guessed
    sizes = np.asarray(quantities, np.float64)
    places = next((d for d in range(_FINEST + 1) if np.allclose(sizes * 10**d, np.round(sizes * 10**d), rtol=1e-12, atol=1e-6)), _FINEST)
    most = _FINEST - (len(guessed.tick_size) - 2 if "." in guessed.tick_size else 0)
    return msgspec.structs.replace(guessed, lot_size="1" if min(places, most) == 0 else "0." + "0" * (min(places, most) - 1) + "1")


# -- candles -----------------------------------------------------------------------------------------------------------


def candles_to_history(
    frames: Mapping[str, pd.DataFrame], instruments: Mapping[str, Instrument] | None = None, *, half_spread: int = 1, shown: float = SHOWN
) -> HistoryTape:
    """Candles (load_candles: open, high, low, close, volume, index the open time) of some symbols. Bars without volume print nothing.

    `instruments`: scales, guessed from the prices where missing; `half_spread`: ticks; `shown`: part of a print that the quotes show.
    """
    rows, scales = _Rows(), []
    for number, (symbol, frame) in enumerate(frames.items()):
        if "volume" not in frame or not {"open", "high", "low"} <= set(frame):
            raise DataError(f"{symbol}: candles without open, high, low or volume are no market", "Use files that have all five columns")
        prices = frame[["open", "high", "low", "close"]].to_numpy()
        instrument = (instruments or {}).get(symbol) or scales_of(symbol, prices.ravel())
        scales.append(instrument)
        _candle_rows(rows, number, frame, instrument, half_spread, shown)
    history = HistoryTape("candles", rows.tape(), tuple(scales), (CANDLES,) * len(scales), {"half_spread_ticks": half_spread, "shown": str(shown)})
    return history


def _candle_rows(rows: _Rows, number: int, frame: pd.DataFrame, instrument: Instrument, half_spread: int, shown: float) -> None:
    o, h, low, c = (steps(frame[name], instrument.tick_size, f"{instrument.symbol} {name}") for name in ("open", "high", "low", "close"))
    volume = np.round(frame["volume"].to_numpy(np.float64) / float(instrument.lot_size)).astype(np.int64)
    rising = c >= o
    prices = np.column_stack([o, np.where(rising, low, h), np.where(rising, h, low), c])
    lots = np.repeat((volume // 4)[:, None], 4, axis=1)
    lots[:, 3] += volume - 4 * (volume // 4)
    open_ns = pd.DatetimeIndex(frame.index).as_unit("ns").asi8
    bar = int(np.median(np.diff(open_ns))) if len(frame) > 1 else 60_000_000_000
    times = open_ns[:, None] + np.array([0, bar // 3, 2 * bar // 3, bar - 1])
    prices, lots, times = prices.ravel(), lots.ravel(), times.ravel()
    kept = lots > 0
    prices, lots, times = prices[kept], lots[kept], times[kept]
    rows.add(MessageType.TRADE, number, 0, times, 0, _direction(prices), prices, lots)
    seen = np.maximum(1, (lots * shown).astype(np.int64))
    rows.add(
        MessageType.BBO, number, 1, times, np.maximum(1, prices - half_spread), seen, np.maximum(1, prices - half_spread) + 2 * half_spread, seen
    )


def _direction(prices: np.ndarray) -> np.ndarray:
    """Aggressor of prints whose side nobody recorded: up is bought, down is sold, unchanged is as the one before (tick rule, Lee and Ready 1991)."""
    move = np.sign(np.diff(prices, prepend=prices[:1]))
    last = np.maximum.accumulate(np.where(move != 0, np.arange(move.size), 0))
    return np.where(move[last] < 0, int(Side.SELL), int(Side.BUY))


# -- trades and book tickers ---------------------------------------------------------------------------------------------


def ticks_to_history(
    trades: Mapping[str, Mapping[str, Any]],
    quotes: Mapping[str, Mapping[str, Any]],
    instruments: Mapping[str, Instrument] | None = None,
    *,
    spread: int = 1,
) -> HistoryTape:
    """Trades and book tickers, by symbol, in the columns of the archive (research/data/remote/archive_kinds.py): tables, or arrays by name.

    A symbol without quotes gets a quote `spread` ticks wide round each trade. At one time the trades come first: a book ticker shows what they left.
    What was left out and why (tick_files.clean) stands in the origin.
    """
    rows, scales, only_trades = _Rows(), [], []
    left_out: dict[str, int] = {}
    for number, symbol in enumerate(sorted({*trades, *quotes})):
        traded, bad_trades = clean(trades.get(symbol), False, symbol)
        quoted, bad_quotes = clean(quotes.get(symbol), True, symbol)
        left_out |= {f"{symbol} {what}: {reason}": n for what, bad in (("trades", bad_trades), ("quotes", bad_quotes)) for reason, n in bad.items()}
        prices = distinct([part[name] for part, names in ((traded, ("price",)), (quoted, ("bid", "ask"))) for name in names if part])
        sizes = distinct([part[name] for part, names in ((traded, ("qty",)), (quoted, ("bid_qty", "ask_qty"))) for name in names if part])
        if not prices.size:
            raise DataError(f"{symbol} has no usable row in this span", "Give a longer span, or look at the file: every row was left out")
        instrument = (instruments or {}).get(symbol) or scales_of(symbol, prices, sizes)
        scales.append(instrument)
        if traded:
            _trade_rows(rows, number, traded, instrument, 0 if quoted else spread)
        if quoted:
            ticks = [steps(quoted.pop(name), instrument.tick_size, f"{symbol} {name}") for name in ("bid", "ask")]
            lots = [steps(quoted.pop(name), instrument.lot_size, f"{symbol} {name}") for name in ("bid_qty", "ask_qty")]
            rows.add(MessageType.BBO, number, 1, quoted["ts"], ticks[0], lots[0], ticks[1], lots[1])
        else:
            only_trades.append(number)
    made = with_grades("ticks", rows.tape(), tuple(scales), {"spread_ticks": spread, "left_out": left_out})
    grades = tuple(TRADES if i in only_trades else grade for i, grade in enumerate(made.grades))
    return HistoryTape(made.name, made.tape, made.instruments, grades, made.origin)


def _trade_rows(rows: _Rows, number: int, traded: dict[str, np.ndarray], instrument: Instrument, spread: int) -> None:
    price = steps(traded["price"], instrument.tick_size, f"{instrument.symbol} price")
    qty = steps(traded["qty"], instrument.lot_size, f"{instrument.symbol} qty")
    side, ts = np.where(traded["sell"], int(Side.SELL), int(Side.BUY)), traded["ts"]
    rows.add(MessageType.TRADE, number, 0, ts, 0, side, price, qty)
    if spread:
        bid = np.maximum(1, np.where(side == int(Side.SELL), price, price - spread))
        rows.add(MessageType.BBO, number, 1, ts, bid, qty, bid + spread, qty)


# -- recorded streams ----------------------------------------------------------------------------------------------------


def streams_to_history(
    paths: list[Path], grade: str = "depth", instruments: Mapping[str, Instrument] | None = None, symbols: Sequence[str] | None = None
) -> HistoryTape:
    """Recorded Binance streams, a symbol an instrument, in the order of their exchange time.

    `grade`: depth, or quotes to leave the depth out; `symbols`: only these. Holes, cuts and what was left out stand in the origin, a line each.
    """
    recording = read_streams(paths, symbols)
    rows, scales, left_out = _Rows(), [], 0
    for number, (symbol, streams) in enumerate(recording.symbols.items()):
        instrument, far = _stream_rows(rows, number, symbol, streams, grade, (instruments or {}).get(symbol))
        scales.append(instrument)
        left_out += far
    breaks = sum(streams.book.breaks for streams in recording.symbols.values())
    origin = {"levels_left_out": left_out, "breaks": breaks, "remarks": recording.remarks}
    return with_grades("+".join(recording.symbols), rows.tape(), tuple(scales), origin)


def _stream_rows(rows: _Rows, number: int, symbol: str, streams: SymbolStreams, grade: str, known: Instrument | None) -> tuple[Instrument, int]:
    """Rows of one symbol. Returns its scales, and how many levels were left out for being too far away."""
    trades, tickers = list((streams.trades or streams.agg_trades).values()), streams.tickers
    times, levels = streams.book.rows() if grade == "depth" else (np.zeros(0, np.int64), np.zeros((0, 4)))
    prices = np.concatenate([[t[1] for t in trades], [t[1] for t in tickers], [t[3] for t in tickers], levels[:, 1]])
    sizes = np.concatenate([[t[2] for t in trades], [t[2] for t in tickers], [t[4] for t in tickers], levels[:, 2]])
    if not prices.size:
        raise DataError(f"the recording holds no price of {symbol}", "Choose others with --symbols, or record depth from its snapshot on")
    instrument = known or scales_of(symbol, prices, sizes)
    if trades:
        ts, price, qty, sell = (np.array(column) for column in zip(*trades, strict=True))
        _trade_rows(rows, number, {"ts": ts.astype(np.int64), "price": price, "qty": qty, "sell": sell}, instrument, 0)
    left_out = _level_rows(rows, number, times, levels, instrument, prices[0]) if len(levels) else 0
    if tickers and not len(levels):
        ts, bid, bid_qty, ask, ask_qty = (np.array(column) for column in zip(*tickers, strict=True))
        ticks = [steps(side, instrument.tick_size, symbol) for side in (bid, ask)]
        lots = [steps(side, instrument.lot_size, symbol) for side in (bid_qty, ask_qty)]
        rows.add(MessageType.BBO, number, 1, ts.astype(np.int64), ticks[0], lots[0], ticks[1], lots[1])
    return instrument, left_out


def _level_rows(rows: _Rows, number: int, times: np.ndarray, levels: np.ndarray, instrument: Instrument, middle: float) -> int:
    """DEPTH rows of (side, price, qty, last). Returns how many were left out for being too far away."""
    near = np.abs(levels[:, 1] - middle) <= WINDOW_TICKS * float(instrument.tick_size)
    batch = np.cumsum(np.concatenate([[0], levels[:-1, 3]]))[near]  # number of the message each row came with
    kept = levels[near]
    last = np.append(batch[1:] != batch[:-1], True)
    price, qty = steps(kept[:, 1], instrument.tick_size, instrument.symbol), steps(kept[:, 2], instrument.lot_size, instrument.symbol)
    flags = np.where(last, int(DepthFlag.END_OF_BATCH), 0)
    rows.add(MessageType.DEPTH, number, 1, times[near], kept[:, 0].astype(np.int64), flags, price, qty)
    return int((~near).sum())


# -- whatever there is ---------------------------------------------------------------------------------------------------


def read_history(
    source: Path, *, symbols: list[str] | None = None, start: str | None = None, end: str | None = None,
    grade: str = "depth", instruments: Path | None = None, half_spread: int = 1,
) -> HistoryTape:  # fmt: skip
    """A file or folder of candles, trades, book tickers (Parquet, CSV) or recorded streams (.jsonl, .jsonl.gz) as a history.

    Ticks may be several files of a symbol: days, or trades beside book tickers. `symbols`: these only; of a single file, the name of what it holds.
    `start`, `end`: ISO times, UTC, `end` excluded. `instruments`: JSON list of scales; else `instruments.json` beside the data, else guessed.
    """
    paths = [source] if source.is_file() else sorted(path for path in source.iterdir() if path.is_file()) if source.is_dir() else []
    if not paths:
        raise DataError(f"there is nothing at {source}", "Give a file or folder of candles, trades, book tickers or recorded streams")
    known = _known_instruments(source, instruments)
    streams = [path for path in paths if ".jsonl" in path.name]
    tables = {} if streams else {path: kind_of(path) for path in paths if path.name.endswith(SUFFIXES)}
    if streams:
        if start is not None or end is not None:
            raise DataError("recorded streams are taken whole: their book begins with its snapshot", "Leave --start and --end out")
        history, used = streams_to_history(streams, grade, known, symbols), streams
    elif any(tables.values()):
        if not all(tables.values()):
            raise DataError(f"candles and ticks lie in {source}", "Convert one of them at a time")
        history, used = _ticks_of(tables, symbols, source.is_file(), known, (start, end))
    else:
        found = candles_in(source, None if source.is_file() else symbols)
        used = list(dict.fromkeys(path for one in found.values() for path in one.paths))
        frames = {
            _named(name, one.paths[0], symbols if len(found) == 1 and source.is_file() else None): _cut(
                checked(one.frame, str(one.paths[0]), "drop")[0], (start, end)
            )
            for name, one in found.items()
            if len(found) == 1 or symbols is None or name in {symbol_text(symbol) for symbol in symbols}
        }
        history = candles_to_history(frames, known, half_spread=half_spread)
    origin = {**history.origin, "files": [{"name": path.name, "sha256": sha256_of(path)} for path in used]}
    return HistoryTape(source.name.split(".")[0], history.tape, history.instruments, history.grades, origin)


def _known_instruments(source: Path, given: Path | None) -> dict[str, Instrument]:
    if given is not None:
        return load_instruments(given)
    folder = source if source.is_dir() else source.parent
    beside = [place / FILE_NAME for place in (folder, folder.resolve().parent) if (place / FILE_NAME).is_file()]
    return load_instruments(beside[0]) if beside else {}


def _symbol(path: Path, given: list[str] | None) -> str:
    """The symbol of a file: what the caller says, if it is a single one, else its name."""
    return _named(symbol_of(path), path, given)


def _named(symbol: str, path: Path, given: list[str] | None) -> str:
    symbol = given[0] if given and len(given) == 1 else symbol
    if len(symbol) > _LONGEST_SYMBOL:
        raise DataError(f"the name of {path.name} is no symbol ({symbol})", "Say which it is: --symbols BTCUSDT")
    return symbol


def _ticks_of(
    tables: dict[Path, str], symbols: list[str] | None, alone: bool, known: dict[str, Instrument], span: Span
) -> tuple[HistoryTape, list[Path]]:
    """Files of trades and book tickers, any number of a symbol (days, or both kinds)."""
    found: dict[str, dict[str, list[Path]]] = {}
    for path, kind in tables.items():
        symbol = _symbol(path, symbols if alone else None)
        if alone or symbols is None or symbol in symbols:
            found.setdefault(symbol, {}).setdefault(kind, []).append(path)
    for symbol in symbols or ():
        if symbol not in found:
            raise DataError(f"there is no file of {symbol}", f"There are files of {', '.join(sorted({symbol_of(path) for path in tables}))}")
    start_ns, end_ns = (_ns(text, default) for text, default in zip(span, (-(2**63), 2**63 - 1), strict=True))
    trades: dict[str, dict[str, Any]] = {}
    quotes: dict[str, dict[str, Any]] = {}
    for symbol, kinds in found.items():
        if {"trades", "aggregate trades"} <= set(kinds):
            raise DataError(f"{symbol} has trades and aggregate trades: the same twice", "Keep one kind")
        for kind, paths in kinds.items():
            (quotes if kind == "quotes" else trades)[symbol] = joined([read_columns(path, start_ns, end_ns) for path in paths], f"{symbol} ({kind})")
    used = [path for kinds in found.values() for paths in kinds.values() for path in paths]
    return ticks_to_history(trades, quotes, known), used


def _ns(text: str | None, default: int) -> int:
    return default if text is None else int(_time(text).value)


def _time(text: str) -> pd.Timestamp:
    try:
        stamp = pd.Timestamp(text)
    except ValueError:
        raise DataError(f"{text!r} is no time", "Use ISO 8601, as 2026-01-05T00:00") from None
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp


def _cut(frame: pd.DataFrame, span: Span) -> pd.DataFrame:
    start, end = (None if text is None else _time(text) for text in span)
    kept = np.ones(len(frame), bool)
    if start is not None:
        kept &= frame.index >= start
    if end is not None:
        kept &= frame.index < end
    return frame[kept]
