"""The compiled bookTicker events: the same text as the plain ones, whole frames, whatever the sizes of the buffers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hftkit.codes import MessageType
from hftkit.exchange.config import load_config
from hftkit.exchange.core.tap import Batch
from hftkit.exchange.dialects.binance.config import BinanceDialectConfig
from hftkit.exchange.dialects.binance.market.symbols import Symbol, Symbols
from hftkit.exchange.dialects.binance.streams.book_ticker import BookTickers
from hftkit.exchange.dialects.binance.streams.market_events import Texts, book_ticker_event
from hftkit.exchange.dialects.binance.streams.stream_hub import text_frame
from hftkit.exchange.market.flow.build import new_market
from hftkit.exchange.testing import frame
from hftkit.exchange.venue import new_venue

BBO, DEPTH, TRADE = int(MessageType.BBO), int(MessageType.DEPTH), int(MessageType.TRADE)
SEND_MS = 1_790_000_000_125


@pytest.fixture(scope="module")
def symbols() -> list[Symbol]:
    config = load_config("binance")
    return Symbols(config, BinanceDialectConfig(), new_venue(config, new_market(config)[1])).all


def a_batch(seed: int, n_symbols: int) -> tuple[Batch, list[tuple[int, int, tuple[int, ...]]]]:
    """Random frames, and of each BBO: instrument, update id, body."""
    rng, data, quotes, ids = np.random.default_rng(seed), b"", [], [0] * n_symbols
    for _ in range(400):
        i, kind = int(rng.integers(n_symbols)), int(rng.choice([BBO, DEPTH, TRADE]))
        ts = int(rng.integers(1_000_000, 2**60))
        if kind == BBO:
            body = (ts, *(int(rng.choice([0, 1, 9, 10, 99_999, 2**31, int(rng.integers(2**38))])) for _ in range(4)))
            quotes.append((i, 2 * ids[i], body))
        else:
            ids[i] += kind == DEPTH
            body = (ts, 0, 0, 100, 5)
        data += frame(kind, ids[i], *body, instrument=i)
    return Batch(np.frombuffer(data, np.int64)), quotes


@pytest.mark.parametrize(("seed", "most"), [(1, 4096), (2, 7), (3, 2)])
def test_compiled_events_are_the_plain_ones(symbols: list[Symbol], seed: int, most: int) -> None:
    batch, quotes = a_batch(seed, len(symbols))
    watched = (np.arange(len(symbols)) != 1).astype(np.int64)
    for combined in (False, True):
        tickers = BookTickers(symbols, np.zeros(len(symbols), np.int64), combined=combined, most=most)
        parts = tickers.format(batch, watched, SEND_MS)
        frames = [(data[first:end], i) for data, spans in parts for first, end, i in spans.tolist()]
        wanted: list[tuple[bytes, int]] = []
        for i, update_id, (ts, *quote) in quotes:
            if not watched[i]:
                continue
            text = book_ticker_event(Texts(symbols[i]), SEND_MS, ts // 1_000_000, update_id, tuple(quote))
            if combined:
                text = b'{"stream":"%b@bookTicker","data":%b}' % (symbols[i].name.lower().encode(), text)
            wanted.append((text_frame(text), i))
        assert frames == wanted
        assert all(data == b"".join(data[first:end] for first, end in spans[:, :2].tolist()) for data, spans in parts)


def test_its_keys_and_types_are_those_of_the_real_venue(symbols: list[Symbol]) -> None:
    event: dict[str, Any] = json.loads(book_ticker_event(Texts(symbols[0]), SEND_MS, SEND_MS - 2, 9000000101, (640001, 3250, 640002, 1004)))
    assert list(event) == ["e", "u", "s", "ps", "b", "B", "a", "A", "T", "E", "st"]
    assert (event["b"], event["B"], event["a"], event["A"]) == ("64000.1", "3.250", "64000.2", "1.004")
