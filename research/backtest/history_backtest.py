"""A frozen strategy over recorded history, quote by quote, on the step that trades live; and what posting its orders would have given.

What the engine takes does not depend on a queue: it fills at the touch, at most with the quantity shown, which is gone until the next quote. What it
posts does: the run follows one of three estimates (docs/backtest.md), and `backtest_history_estimates` runs all of them. Of orders that took, the
choice not made is measured too: had each been posted at its own side of the touch and left there for a while, how much of it would have been
filled, and what saved? That is asked of the simulated venue under all three estimates (docs/simulator.md), for the same orders at the same moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hftkit.backtest.run import UNLIMITED, BacktestResult, Latency, Queue, backtest, session_of
from hftkit.codes import MessageType, Side
from hftkit.errors import DataError
from hftkit.exchange.market.history.build import HistoryPlan
from hftkit.exchange.market.history.files import HistoryTape
from hftkit.exchange.market.history.market import DEPTH, QUOTES
from hftkit.exchange.market.history.rehearsal import CANCEL, REQUEST, rehearse_all
from hftkit.kernels.market.queue import ESTIMATES
from hftkit.kernels.wire.frame import header
from hftkit.params.format import FrozenParams
from hftkit.session.engine_state import Limits, SessionConfig
from hftkit.session.replay import FILL_COLUMNS

_BBO, _TRADE, _DEPTH = int(MessageType.BBO), int(MessageType.TRADE), int(MessageType.DEPTH)
_E8 = 1e8


@dataclass(frozen=True)
class HistoryBacktest:
    """`engine`: what the strategy did. `fills`: one row a fill: symbol, side, price, qty (base units), fee (quote).

    `posted`: of the orders that took, one row an estimate: orders, filled_share of their quantity, price_gain and fee_gain against what was
    paid for taking (quote, of the filled part only; what was not filled would have missed the move).
    """

    engine: BacktestResult
    fills: pd.DataFrame
    posted: pd.DataFrame


def engine_tape(history: HistoryTape, config: SessionConfig) -> np.ndarray:
    """The history as the engine's backtest takes it: BBO and TRADE frames of the session's instruments, int64 (rows, 7). Depth becomes best quotes.

    Raises DataError where an instrument is missing or has other scales.
    """
    known = {one.symbol: (number, one) for number, one in enumerate(history.instruments)}
    parts, order = [], []
    for number, wanted in enumerate(config.instruments):
        if wanted.symbol not in known:
            raise DataError(f"the history {history.name} has no {wanted.symbol}", f"It has {', '.join(known)}")
        own, scales = known[wanted.symbol]
        if (scales.tick_size_e8, scales.lot_size_e8) != (wanted.tick_size_e8, wanted.lot_size_e8):
            theirs, ours = f"tick {scales.tick_size} and lot {scales.lot_size}", f"{wanted.tick_size} and {wanted.lot_size}"
            raise DataError(
                f"{wanted.symbol} has {theirs} in the history, {ours} in the session",
                "Make the history with the session's scales: hftkit data history --instruments",
            )
        places = np.flatnonzero(history.tape[:, 0] >> 32 == own)
        rows = history.tape[places]
        if history.grades[own] == DEPTH:
            places, rows = _best_quotes(places, rows)
        kind = rows[:, 0] >> 16 & 0xFF
        for code in (_BBO, _TRADE):
            rows[kind == code, 0] = header(code, 7, number)
        rows[kind == _BBO, 1] = np.arange(1, int((kind == _BBO).sum()) + 1)
        rows[kind == _TRADE, 1] = np.arange(1, int((kind == _TRADE).sum()) + 1)
        parts.append(rows)
        order.append(places)
    return np.concatenate(parts)[np.argsort(np.concatenate(order), kind="stable")]


def _best_quotes(places: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trades as they are, and a BBO row where the end of a batch of levels left another best quote."""
    books: tuple[dict[int, int], dict[int, int]] = ({}, {})
    best, shown, kept, made = [0, 0], (0, 0, 0, 0), [], []
    for place, row in zip(places.tolist(), rows.tolist(), strict=True):
        if row[0] >> 16 & 0xFF != _DEPTH:
            kept.append(place)
            made.append(row)
            continue
        side, last, price, qty = row[3:]
        book = books[side]
        if qty:
            book[price] = qty
            if best[side] == 0 or (price > best[side] if side == Side.BUY else price < best[side]):
                best[side] = price
        elif book.pop(price, 0) and price == best[side]:
            best[side] = (max(book) if side == Side.BUY else min(book)) if book else 0
        quote = (best[0], books[0].get(best[0], 0), best[1], books[1].get(best[1], 0))
        if last & 1 and quote != shown and not 0 < best[1] <= best[0]:
            shown = quote
            kept.append(place)
            made.append([header(_BBO, 7, 0), 0, row[2], *quote])
    return np.array(kept, np.int64), np.array(made, np.int64).reshape(-1, 7)


def backtest_history(
    frozen: FrozenParams,
    history: HistoryTape,
    *,
    latency: Latency | None = None,
    queue: str = "neutral",
    limits: Limits = UNLIMITED,
    post_ns: int = 10_000_000_000,
    journal: Path | None = None,
) -> HistoryBacktest:
    """Trade frozen parameters over a history.

    `queue`: the estimate that resting orders fill by; `post_ns`: how long a posted order would have waited;
    `journal`: folder for a journal that `hftkit replay --verify` accepts.
    """
    config = session_of(frozen, limits)
    tape = engine_tape(history, config)
    engine = backtest(config, tape, latency=latency, queue=_queue(queue, history, config), timer_ns=100_000_000, journal=journal)
    fills = pd.DataFrame(engine.fills, columns=list(FILL_COLUMNS))
    table = _fill_table(fills, config)
    return HistoryBacktest(engine, table, _posted(fills[fills["maker"] == 0], tape, history, config, post_ns))


def backtest_history_estimates(frozen: FrozenParams, history: HistoryTape, **options: Any) -> dict[str, HistoryBacktest]:
    """`backtest_history` under each of the three estimates of the queue: three whole runs."""
    return {name: backtest_history(frozen, history, queue=name, **options) for name in ESTIMATES}


def _queue(estimate: str, history: HistoryTape, config: SessionConfig) -> Queue:
    """What the grades of a history mean for resting orders: quotes that a converter made fill nothing, candles give a tenth of their volume."""
    grades = {one.symbol: grade for one, grade in zip(history.instruments, history.grades, strict=True)}
    kinds = tuple("recorded" if grades[one.symbol] >= QUOTES else "made" for one in config.instruments)
    return Queue(estimate, HistoryPlan(history).participation_ppm / 1_000_000, kinds)


def _fill_table(fills: pd.DataFrame, config: SessionConfig) -> pd.DataFrame:
    scales = [config.instruments[number] for number in fills["instrument"]]
    columns = {
        "symbol": [one.symbol for one in scales],
        "side": [Side(side).text for side in fills["side"]],
        "price": fills["price_ticks"].to_numpy() * np.array([float(one.tick_size) for one in scales]),
        "qty": fills["qty_lots"].to_numpy() * np.array([float(one.lot_size) for one in scales]),
        "fee": fills["fee_e8"].to_numpy() / _E8,
    }
    return pd.DataFrame(columns, index=pd.DatetimeIndex(pd.to_datetime(fills["ts_event"].to_numpy(), utc=True), name="time"))


def _posted(fills: pd.DataFrame, tape: np.ndarray, history: HistoryTape, config: SessionConfig, post_ns: int) -> pd.DataFrame:
    """The three estimates side by side."""
    value = fills["price_ticks"] * fills["qty_lots"]
    orders = fills.assign(value=value).groupby("client_order_id", sort=False)
    taken = orders.agg({"ts_event": "first", "instrument": "first", "side": "first", "qty_lots": "sum", "value": "sum", "fee_e8": "sum"})
    numbers = {one.symbol: number for number, one in enumerate(history.instruments)}
    quotes = [tape[tape[:, 0] == header(_BBO, 7, number)] for number in range(len(config.instruments))]
    requests = np.zeros(2 * len(taken), REQUEST)
    for i, row in enumerate(taken.itertuples(index=False)):
        mine = quotes[row.instrument]
        last = mine[np.searchsorted(mine[:, 2], row.ts_event, side="right") - 1]
        touch = int(last[3 if row.side == Side.BUY else 5]) or round(row.value / row.qty_lots)
        own = numbers[config.instruments[row.instrument].symbol]
        requests[2 * i] = (row.ts_event, 0, i + 1, own, row.side, 0, 0, 0, touch, row.qty_lots)
        requests[2 * i + 1] = (row.ts_event + post_ns, CANCEL, i + 1, own, row.side, 0, 0, 0, 0, 0)
    requests = requests[np.argsort(requests["ts"], kind="stable")]
    lots, paid, fees = (taken[name].to_numpy(np.float64) for name in ("qty_lots", "value", "fee_e8"))
    worth = np.array([float(config.instruments[number].tick_lot_e8) for number in taken["instrument"]])
    sign = np.where(taken["side"] == int(Side.BUY), 1.0, -1.0)
    rows = {}
    for name, done in rehearse_all(HistoryPlan(history), requests).items() if len(taken) else ():
        at = done.fills[:, 1] - 1
        part = np.bincount(at, done.fills[:, 6], len(taken))
        price = np.bincount(at, done.fills[:, 5] * done.fills[:, 6], len(taken))
        fee = np.bincount(at, done.fills[:, 7], len(taken))
        share = part / lots
        rows[name] = {
            "orders": len(taken),
            "filled_share": float(part.sum() / lots.sum()),
            "price_gain": float((sign * (paid * share - price) * worth).sum() / _E8),
            "fee_gain": float((fees * share - fee).sum() / _E8),
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["orders", "filled_share", "price_gain", "fee_gain"])
