"""What the page of `hftkit sim` is drawn from: counters and tables copied out of the venue's arrays at one moment (screen.py draws them).

Only reads, and never waits: a figure that is being written meanwhile belongs to the next look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hftkit.exchange.core.layout import HOUSE_ACCOUNTS
from hftkit.exchange.faults.line import ENGAGED
from hftkit.exchange.faults.page import counts_of, settings_of
from hftkit.exchange.market.history.market import FILLS, RESTED, ROW, ROWS
from hftkit.exchange.venue import TRADE_ROW
from hftkit.kernels.market.queue import ESTIMATES

DEPTH = 8  # levels of a side that are shown
_REACH = 512  # ticks from the best price in which they are looked for


@dataclass(frozen=True)
class VenueSnapshot:
    """Counters and tables at one moment. `time_ns`: monotonic."""

    time_ns: int
    exchange_ns: int
    messages_in: int
    messages_out: int
    orders: int
    trades: int
    lag_ms: float
    tops: np.ndarray  # TOP (n,)
    quotes: np.ndarray  # int64 (n, 4): bid, lots, ask, lots
    depths: np.ndarray  # int64 (n, 2, DEPTH): lots of the best levels, bids and asks, the best first
    n_trades: np.ndarray  # int64 (n,)
    clients: np.ndarray  # CLIENT, those connected
    indexes: np.ndarray  # their numbers
    open_orders: np.ndarray  # of each client's account
    account_ids: np.ndarray
    subscribed: np.ndarray  # bool: to any market data?
    engaged: np.ndarray  # bool: does a fault line carry this client's bytes?
    faults: dict[str, float]
    fault_counts: dict[str, dict[str, int]]
    history: tuple[int, int, list[float]] | None  # rows worked, rows in all, filled share by estimate (empty: nothing rested)


def _depths(books: Any, tops: np.ndarray) -> np.ndarray:
    depths = np.zeros((len(tops), 2, DEPTH), np.int64)
    n_ticks = books.levels.shape[1]
    for i, top in enumerate(tops):
        for side, best, step in ((0, int(top["bid"]), -1), (1, int(top["ask"]), 1)):
            if best:
                at = best - int(top["base"])
                places = np.arange(at, at + step * _REACH, step)
                shown = books.levels["qty"][i, places[(places >= 0) & (places < n_ticks)]]
                shown = shown[shown > 0][:DEPTH]
                depths[i, side, : len(shown)] = shown
    return depths


def look(server: Any, time_ns: int) -> VenueSnapshot:
    """Copy what is shown. `server`: a BinaryServer."""
    venue, state = server.venue, server.venue.state[0]
    used = np.flatnonzero(venue.clients["port"] != 0)
    clients = venue.clients[used].copy()
    account = np.maximum(clients["account"], 0)
    tops = venue.books.tops.copy()
    history = None
    if server.history is not None:
        sums = server.shell.history.sums.sum(axis=0)
        shares = [float(sums[FILLS + e] / sums[RESTED]) for e in range(len(ESTIMATES))] if sums[RESTED] else []
        history = (int(server.shell.history.io[ROW]), int(server.shell.history.io[ROWS]), shares)
    return VenueSnapshot(
        time_ns=time_ns,
        exchange_ns=int(state["ts"]),
        messages_in=int(state["n_frames_in"]),
        messages_out=int(state["n_frames_out"]),
        orders=int(venue.books.counters[0]["n_orders"]),
        trades=int(venue.books.counters[0]["n_trades"]),
        lag_ms=server.lag_ms,
        tops=tops,
        quotes=venue.quotes.copy(),
        depths=_depths(venue.books, tops),
        n_trades=venue.sequences[:, TRADE_ROW].copy(),
        clients=clients,
        indexes=used,
        open_orders=np.where(clients["account"] >= HOUSE_ACCOUNTS, venue.books.owners["n_open"][account], 0),
        account_ids=np.where(clients["account"] >= 0, venue.accounts["id"][account], 0),
        subscribed=(venue.channels[used] != 0).any(axis=1),
        engaged=(server.shell.faults.lines[used, :, ENGAGED] != 0).any(axis=1),
        faults=settings_of(server.shell.faults.page),
        fault_counts=counts_of(server.shell.faults.page),
        history=history,
    )
