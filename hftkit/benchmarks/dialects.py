"""The Binance dialect's fastest stream: bookTicker events from the drop copy to WebSocket frames, beside msgspec encoding the same events."""

from __future__ import annotations

import struct

import msgspec
import numpy as np

from hftkit.benchmarks.registry import Benchmark, Result, WrongAnswer
from hftkit.benchmarks.timing import alternate
from hftkit.codes import MessageType
from hftkit.exchange.config import load_config
from hftkit.exchange.core.tap import Batch
from hftkit.exchange.dialects.binance.config import BinanceDialectConfig
from hftkit.exchange.dialects.binance.market.symbols import Symbol, Symbols
from hftkit.exchange.dialects.binance.streams.book_ticker import BookTickers
from hftkit.exchange.dialects.binance.streams.stream_hub import text_frame
from hftkit.exchange.market.flow.build import new_market
from hftkit.exchange.venue import new_venue

EVENTS = 4000
SEND_MS = 1_790_000_000_125


def _batch(n_symbols: int) -> Batch:
    """BBO frames of all symbols in turn."""
    rng, data = np.random.default_rng(42), b""
    for k in range(EVENTS):
        bid = int(rng.integers(1000, 1_000_000))
        body = (SEND_MS * 1_000_000, bid, int(rng.integers(1, 100_000)), bid + 1, int(rng.integers(1, 100_000)))
        data += struct.pack("<HBBIq5q", 56, int(MessageType.BBO), 1, k % n_symbols, k, *body)
    return Batch(np.frombuffer(data, np.int64))


def _with_msgspec(batch: Batch, symbols: list[Symbol], encoder: msgspec.json.Encoder) -> bytes:
    frames = []
    for (_, _, ts, bid, bid_qty, ask, ask_qty), i in zip(batch.frames(int(MessageType.BBO), 7).tolist(), batch.instruments.tolist(), strict=True):
        symbol = symbols[i]
        event = {"e": "bookTicker", "u": 0, "s": symbol.name, "ps": symbol.name, "b": symbol.price(bid), "B": symbol.qty(bid_qty)}
        event |= {"a": symbol.price(ask), "A": symbol.qty(ask_qty), "T": ts // 1_000_000, "E": SEND_MS, "st": 1}
        frames.append(text_frame(encoder.encode(event)))
    return b"".join(frames)


def book_ticker() -> list[Result]:
    """Events encoded per second, by the kernel and by msgspec; both give the same bytes."""
    config = load_config("binance")
    symbols = Symbols(config, BinanceDialectConfig(), new_venue(config, new_market(config)[1])).all
    batch, watched, encoder = _batch(len(symbols)), np.ones(len(symbols), np.int64), msgspec.json.Encoder()
    tickers = BookTickers(symbols, np.zeros(len(symbols), np.int64), combined=False)
    if b"".join(frames for frames, _ in tickers.format(batch, watched, SEND_MS)) != _with_msgspec(batch, symbols, encoder):
        raise WrongAnswer("book_ticker: the kernel's frames differ from msgspec's")
    rounds = alternate(
        {"kernel": lambda: tickers.format(batch, watched, SEND_MS), "msgspec": lambda: _with_msgspec(batch, symbols, encoder)}, rounds=9
    )
    rate, reference = (EVENTS * 1e9 / rounds[name].median_ns for name in ("kernel", "msgspec"))
    return [
        Result(
            name="book_ticker_frames",
            unit="events/s",
            value=rate,
            reference="msgspec.json.Encoder and a frame header in Python, the same bytes",
            reference_value=reference,
            ratio=rate / reference,
            config={"events": EVENTS, "symbols": len(symbols), "spread": rounds["kernel"].spread},
            goal="> 1000000",
        )
    ]


BENCHMARKS = [Benchmark("book_ticker", book_ticker)]
