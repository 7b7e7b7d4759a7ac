"""Small histories and requests, written by hand or drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import DepthFlag, MessageType, Side
from hftkit.exchange.config import SimConfig
from hftkit.exchange.market.history.files import HistoryTape
from hftkit.exchange.market.history.rehearsal import REQUEST, small_venue
from hftkit.instruments import Instrument
from hftkit.kernels.wire.frame import header

START = 1_700_000_000_000_000_000
INSTRUMENT = Instrument(symbol="ONE", tick_size="0.01", lot_size="0.001", maker_fee_ppm=20, taker_fee_ppm=500)
BUY, SELL = int(Side.BUY), int(Side.SELL)


def word(kind: MessageType) -> int:
    return header(int(kind), 7, 0)


def bbo(t: int, bid: int, bid_qty: int, ask: int, ask_qty: int) -> list[int]:
    return [word(MessageType.BBO), 0, START + t, bid, bid_qty, ask, ask_qty]


def trade(t: int, side: int, price: int, qty: int) -> list[int]:
    return [word(MessageType.TRADE), 0, START + t, 0, side, price, qty]


def depth(t: int, side: int, price: int, qty: int, last: bool = True) -> list[int]:
    return [word(MessageType.DEPTH), 0, START + t, side, int(DepthFlag.END_OF_BATCH) if last else 0, price, qty]


def history(rows: list[list[int]], grade: int) -> HistoryTape:
    return HistoryTape("by hand", np.array(rows, np.int64), (INSTRUMENT,), (grade,))


def requests(*rows: dict[str, Any]) -> np.ndarray:
    """`t` after START, and fields of REQUEST; a new good-till-cancelled limit order unless it says otherwise."""
    array = np.zeros(len(rows), REQUEST)
    for at, row in zip(array, rows, strict=True):
        for name, value in row.items():
            at["ts" if name == "t" else name] = START + value if name == "t" else value
    return array


def config() -> SimConfig:
    return small_venue(ladder_ticks=512, max_orders=256, max_accounts=4, max_clients=1, out_words=16_384, order_history=64)
