"""The synthetic market closely: every trade with its side, and every book sampled once a second. At full speed, without sockets.

What notebooks and calibration look at; tape.py has the same market as candles.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hftkit.exchange.config import SimConfig
from hftkit.exchange.core.ladder import level_above, level_below
from hftkit.exchange.core.layout import ReportKind
from hftkit.exchange.core.matching import Books, apply, new_reports
from hftkit.exchange.market.flow.agents import Flow, act, next_arrival, open_book
from hftkit.exchange.market.flow.build import new_market
from hftkit.exchange.market.flow.scenarios import Scenario
from hftkit.kernels.jit import inner_kernel, kernel
from hftkit.units import NS_PER_S

TICK = np.dtype(
    [
        ("ts", "<i8"),  # ns, exchange clock
        ("instrument", "<i8"),
        ("side", "<i8"),  # of the aggressor, codes.Side
        ("price", "<i8"),  # ticks
        ("qty", "<i8"),  # lots
        ("twice_mid", "<i8"),  # best bid + best ask before the order that traded, ticks; 0 if a side was empty
    ]
)
SAMPLE = np.dtype([("bid", "<i8"), ("ask", "<i8"), ("bid_qty", "<i8"), ("ask_qty", "<i8"), ("bid_depth", "<i8"), ("ask_depth", "<i8")])
DEPTH_LEVELS = 5  # whose lots `bid_depth` and `ask_depth` sum
_MARGIN = 1024  # rows of TICK that one arrival can never fill
_TRADE = int(ReportKind.TRADE)
N_TICKS, NEXT_SAMPLE = 0, 1  # places of the cursor


class Ticks(NamedTuple):
    """`trades`: TICK (n,), in time order. `samples`: SAMPLE (seconds, n_instruments), 0 where a side is empty. `books`: as they are at the end."""

    trades: np.ndarray
    samples: np.ndarray
    books: Books


@inner_kernel
def _sample(books: Books, row: Any, instrument: int) -> None:
    top, levels = books.tops[instrument], books.levels[instrument]
    row.bid, row.ask = top.bid, top.ask
    row.bid_qty = row.ask_qty = row.bid_depth = row.ask_depth = 0
    level = top.bid - top.base if top.bid != 0 else -1
    for k in range(DEPTH_LEVELS):
        if level >= 0:
            row.bid_qty += levels[level].qty if k == 0 else 0
            row.bid_depth += levels[level].qty
            level = level_below(books.bitmaps[instrument, 0], level)
    level = top.ask - top.base if top.ask != 0 else -1
    for k in range(DEPTH_LEVELS):
        if level >= 0:
            row.ask_qty += levels[level].qty if k == 0 else 0
            row.ask_depth += levels[level].qty
            level = level_above(books.bitmaps[instrument, 1], level)


@inner_kernel
def _carry_out(flow: Flow, books: Books, reports: Any, ticks: Any, cursor: Any, n_commands: int, ts: int) -> None:
    for c in range(n_commands):
        top = books.tops[flow.commands[c].instrument]
        twice_mid = top.bid + top.ask if top.bid != 0 and top.ask != 0 else 0
        n = apply(flow.commands[c], books, reports, ts)
        for r in range(n):
            if reports[r].kind == _TRADE:
                row = ticks[cursor[N_TICKS]]
                row.ts, row.instrument, row.side = ts, reports[r].instrument, reports[r].side
                row.price, row.qty, row.twice_mid = reports[r].price, reports[r].qty, twice_mid
                cursor[N_TICKS] += 1


@kernel
def _open_books(flow: Flow, books: Books, reports: Any, ticks: Any, cursor: Any, ts: int) -> None:
    for instrument in range(flow.agents.size):
        _carry_out(flow, books, reports, ticks, cursor, open_book(flow, books, instrument), ts)


@kernel
def _run(flow: Flow, books: Books, reports: Any, ticks: Any, samples: Any, cursor: Any, start_ns: int) -> bool:
    """Arrivals until every sample is taken (True), or until `ticks` is nearly full (False)."""
    while cursor[N_TICKS] + _MARGIN < ticks.size:
        instrument = next_arrival(flow)
        ts = flow.agents[instrument].next_ns
        while start_ns + (cursor[NEXT_SAMPLE] + 1) * NS_PER_S <= ts:
            for i in range(flow.agents.size):
                _sample(books, samples[cursor[NEXT_SAMPLE], i], i)
            cursor[NEXT_SAMPLE] += 1
            if cursor[NEXT_SAMPLE] == samples.shape[0]:
                return True
        _carry_out(flow, books, reports, ticks, cursor, act(flow, books, instrument), ts)
    return False


def make_ticks(config: SimConfig, minutes: int, seed: int | None = None, scenario: Scenario | None = None) -> Ticks:
    """Run the synthetic market for `minutes`; same configuration, seed and scenario: the same ticks."""
    flow, books = new_market(config, seed, scenario=scenario)
    reports, cursor = new_reports(books), np.zeros(2, np.int64)
    ticks, samples = np.zeros(1 << 16, TICK), np.zeros((minutes * 60, len(config.instruments)), SAMPLE)
    _open_books(flow, books, reports, ticks, cursor, config.start_ns)
    parts, done = [], False
    while not done:
        done = _run(flow, books, reports, ticks, samples, cursor, config.start_ns)
        parts.append(ticks[: cursor[N_TICKS]].copy())
        cursor[N_TICKS] = 0
    return Ticks(np.concatenate(parts), samples, books)


def depth_of(books: Books, instrument: int) -> tuple[np.ndarray, np.ndarray]:
    """The whole book of an instrument: bids and asks, each int64 (levels, 2) of price in ticks and lots, the best price first."""
    levels, top = books.levels[instrument], books.tops[instrument]
    prices = np.flatnonzero(levels["qty"]) + top["base"]
    rows = np.stack([prices, levels["qty"][prices - top["base"]]], axis=1)
    return rows[prices <= top["bid"]][::-1], rows[prices > top["bid"]]
