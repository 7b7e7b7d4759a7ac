"""A frozen pair over candles, event by event, on the step that trades live: pandas in, pandas out. The engine half is hftkit/backtest/run.py.

Each bar is one quote of both legs at its close. What the sweep assumes (the change of target is filled at the close, at a stated cost) is
here done by orders, risk checks, fills and fees; with no latency and enough quantity both must hold the same position after every bar,
and `compare_with_rule` says where they do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from hftkit.backtest.run import BAR_LOTS, BacktestResult, Depth, Latency, Queue, backtest, bars_to_tape, quotes_to_tape, session_of
from hftkit.backtest.run import FUNDING_COLUMNS as PAID_COLUMNS
from hftkit.codes import SignalReason
from hftkit.errors import DataError
from hftkit.instruments import Instrument
from hftkit.params.format import FrozenParams
from hftkit.session.engine_state import Limits
from hftkit.session.replay import FILL_COLUMNS, SAMPLE_COLUMNS
from research.pairs.strategy_optimizer import Gate, PairBars, Thresholds, walk

_E8 = 1e8
FUNDING_COLUMNS = ("symbol", "position", "rate", "paid")


@dataclass(frozen=True)
class PairBacktest:
    """`bars`: by bar close (UTC), state after the bar's own fills: spread, mean, std, zscore, lead_position and hedge_position in lots,
    target (-1, 0, 1), equity (quote).

    `fills`: one row a fill: symbol, side, price, qty (base units), fee, cost (paid against the mid of its bar), slippage (the part of cost beyond
    the touch), all three in quote. `funding`: one row a payment: symbol, position (base units), rate, paid (quote, negative: received); equity
    is after it.
    `trades`: one row a round trip from flat to flat: entry, exit, side (of the spread), bars, gross, fees, net in quote; exit NaT where still open.
    `capital`: value of the lead leg of one unit at the first bar, what returns refer to.
    """

    frozen: FrozenParams
    bars: pd.DataFrame
    fills: pd.DataFrame
    trades: pd.DataFrame
    capital: float
    engine: BacktestResult
    funding: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(FUNDING_COLUMNS)))

    @property
    def returns(self) -> pd.Series:
        """Return of each bar on `capital`, not compounded."""
        return self.bars["equity"].diff().fillna(self.bars["equity"].iloc[0]) / self.capital


def closes_in_ticks(closes: pd.Series, instrument: Instrument) -> np.ndarray:
    """Closes as whole ticks, int64 (n,). Raises DataError naming the first that is not on the instrument's grid."""
    raw = closes.to_numpy(np.float64) / float(instrument.tick_size)
    ticks = np.round(raw)
    off = np.flatnonzero(~(np.abs(raw - ticks) <= 1e-3))
    if off.size:
        row = int(off[0])
        raise DataError(
            f"{instrument.symbol}: {closes.iloc[row]} at {closes.index[row]} is no multiple of the tick {instrument.tick_size}",
            "Use the scales these prices were recorded with",
        )
    return ticks.astype(np.int64)


def backtest_bars(
    frozen: FrozenParams,
    closes: pd.DataFrame,
    *,
    half_spread_ticks: tuple[int, int] = (1, 1),
    lots: int = BAR_LOTS,
    latency: Latency | None = None,
    depth: Depth | None = None,
    queue: str = "neutral",
    funding: pd.DataFrame | None = None,
    limits: Limits | None = None,
    journal: Path | None = None,
) -> PairBacktest:
    """Trade one frozen strategy over the closes of its legs (one column a symbol, index the open time of each bar, UTC): a pair, or one symbol.

    `half_spread_ticks`: of lead and hedge, what a fill pays against the close; `lots`: quantity shown at the touch; `depth`: what stands
    behind it (slippage by size); `queue`: "optimistic", "neutral" or "pessimistic", how resting orders fill on bars (docs/backtest.md);
    `funding`: rates by payment time (UTC index, a column a symbol), paid by the venue on the position held then at the last close, booked by the
    engine's ledger; `journal`: folder for a journal that `hftkit replay --verify` accepts.
    """
    config = session_of(frozen) if limits is None else session_of(frozen, limits)
    if not frozen.legs.lead:
        cure = "Send it over quotes: hftkit.backtest.run.backtest with quotes_to_tape"
        raise DataError(f"bars trade pairs and single instruments, {frozen.name} is of policy {frozen.policy}", cure)
    known = {instrument.symbol: instrument for instrument in frozen.instruments}
    legs = [known[symbol] for symbol in legs_of(frozen)]
    for one in legs:
        if one.symbol not in closes:
            raise DataError(f"there are no prices of {one.symbol}", f"The frozen file trades {' and '.join(legs_of(frozen))}")
    if [instrument.symbol for instrument in config.instruments] != [one.symbol for one in legs]:
        raise DataError(f"{frozen.name} names its instruments in another order than its legs", "Freeze lead and hedge in this order")
    bar_ns = bar_ns_of(frozen, closes)
    close_ns = pd.DatetimeIndex(closes.index).as_unit("ns").asi8 + bar_ns
    ticks = [closes_in_ticks(closes[one.symbol], one) for one in legs]
    if len(legs) == 2:
        tape = bars_to_tape(close_ns, ticks[0], ticks[1], bar_ns // 2, half_spread_ticks, lots)
    else:
        tape = _one_leg_tape(close_ns, ticks[0], bar_ns // 2, half_spread_ticks[0], lots)
    result = backtest(
        config,
        tape,
        latency=latency,
        depth=depth,
        queue=Queue(queue, quotes="bars"),
        funding=None if funding is None else funding_schedule(funding, [one.symbol for one in legs]),
        sample_every_ns=bar_ns * 3 // 4,
        max_fills=16 * len(closes) + 64,
        journal=journal,
    )
    bars = _bars(result, close_ns)
    fills = _fills(result, closes, bar_ns, half_spread_ticks)
    capital = float(closes[legs[0].symbol].iloc[0]) * float(legs[0].lot_size) * frozen.legs.unit_lead_lots
    return PairBacktest(frozen, bars, fills, _trades(result, fills, bars.index, bar_ns), capital, result, _funding(result))


def legs_of(frozen: FrozenParams) -> tuple[str, ...]:
    """The symbols that a frozen file trades: lead and hedge, or the one there is."""
    return frozen.traded


def bar_ns_of(frozen: FrozenParams, closes: pd.DataFrame) -> int:
    """Length of the bars: what the parameters say, else the usual distance of these closes, ns."""
    if "bar_ns" in frozen.parameters:
        return int(frozen.parameters["bar_ns"])
    if len(closes) < 2:
        raise DataError(f"{len(closes)} bars have no length", "Give two or more")
    return int(np.median(np.diff(pd.DatetimeIndex(closes.index).as_unit("ns").asi8)))


def _one_leg_tape(close_ns: np.ndarray, ticks: np.ndarray, settle_ns: int, half_spread: int, lots: int) -> np.ndarray:
    """As `bars_to_tape` for one instrument: its quotes are withdrawn `settle_ns` before each close, and come back at the close's price."""
    if half_spread < 1 or ticks.min() - half_spread < 1:
        raise DataError(f"a half spread of {half_spread} ticks leaves no bid", "Use at least 1 and less than the lowest price")
    bid, ask, shown = (np.zeros((len(ticks), 2), np.int64) for _ in range(3))
    bid[:, 1], ask[:, 1], shown[:, 1] = ticks - half_spread, ticks + half_spread, lots
    times = np.stack([close_ns - settle_ns, close_ns], axis=1)
    return quotes_to_tape(times.ravel(), np.zeros(2 * len(ticks), np.int64), bid.ravel(), shown.ravel(), ask.ravel(), shown.ravel())


def backtest_many_bars(
    frozen: Iterable[FrozenParams], closes: pd.DataFrame, *, processes: int | None = None, **options: object
) -> Iterator[PairBacktest]:
    """`backtest_bars` of many parameter sets over the same closes, in `processes` processes (default: one a core); in order, the same whatever
    their number."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(_one_of_many, closes=closes, options=options), frozen)


def _one_of_many(frozen: FrozenParams, closes: pd.DataFrame, options: dict[str, object]) -> PairBacktest:
    return backtest_bars(frozen, closes, **options)  # type: ignore[arg-type]


def funding_schedule(rates: pd.DataFrame, symbols: Sequence[str]) -> np.ndarray:
    """Funding rates (UTC index, a column a symbol) as `backtest` takes them: int64 (m, 3), time ns, place in `symbols`, rate in 1e-8.

    Symbols without a column pay nothing. Raises DataError for rates without a time zone or that are not finite.
    """
    times = pd.DatetimeIndex(rates.index)
    known = [symbol for symbol in symbols if symbol in rates]
    if times.tz is None or not np.isfinite(rates[known].to_numpy(np.float64)).all():
        raise DataError(
            "funding rates need a UTC index and finite values", "See research.data.remote.archive (fundingRate) for rates as they were paid"
        )
    rows = [
        np.stack([times.as_unit("ns").asi8, np.full(len(times), symbols.index(symbol)), np.rint(rates[symbol] * _E8)], axis=1) for symbol in known
    ]
    schedule = np.concatenate(rows).astype(np.int64) if rows else np.zeros((0, 3), np.int64)
    return schedule[np.argsort(schedule[:, 0], kind="stable")]


def _funding(result: BacktestResult) -> pd.DataFrame:
    raw = pd.DataFrame(result.funding, columns=list(PAID_COLUMNS))
    scales = [result.config.instruments[number] for number in raw["instrument"]]
    columns = {
        "symbol": [one.symbol for one in scales],
        "position": raw["position_lots"].to_numpy() * np.array([float(one.lot_size) for one in scales]),
        "rate": raw["rate_e8"].to_numpy() / _E8,
        "paid": raw["paid_e8"].to_numpy() / _E8,
    }
    return pd.DataFrame(columns, index=pd.to_datetime(raw["ts_event"].to_numpy(), utc=True), columns=list(FUNDING_COLUMNS))


def compare_with_rule(run: PairBacktest, bars: PairBars, thresholds: Thresholds, gate: Gate | None = None) -> pd.DataFrame:
    """Bars at which the engine's position after the bar is not the rule's target: empty where sweep and engine trade the same.

    Columns target (rule) and engine, index the close of the bar.
    """
    targets, reasons, _ = walk(bars, thresholds, gate=gate)
    both = pd.DataFrame(
        {"target": targets, "engine": run.bars["target"].to_numpy(), "reason": [SignalReason(int(code)).text for code in reasons]},
        index=run.bars.index,
    )
    return both[both["target"] != both["engine"]]


def _bars(result: BacktestResult, close_ns: np.ndarray) -> pd.DataFrame:
    """State after each bar: the engine is sampled at the first quote of a bar, so a sample shows how the bar before it ended."""
    samples = pd.DataFrame(result.samples, columns=list(SAMPLE_COLUMNS))
    if len(samples) != len(close_ns):
        raise DataError(f"{len(close_ns)} bars gave {len(samples)} samples", "Give bars in time order, one bar_ns or more apart")
    frame = samples.drop(columns="ts_event").shift(-1)
    signal, legs, risk = result.rooms.signal[0], result.rooms.legs[0], result.rooms.risk[0]
    last = [signal["spread"], signal["mean"], signal["std"], signal["zscore"], risk["equity_e8"], legs["lead_position"], legs["hedge_position"]]
    frame.iloc[-1] = [float(value) for value in last]
    frame.index = pd.to_datetime(close_ns, utc=True)
    frame["equity"] = frame.pop("equity_e8") / _E8
    for name in ("lead_position", "hedge_position"):
        frame[name] = frame[name].astype(np.int64)
    frame["target"] = np.sign(frame["lead_position"])
    return frame


def _fills(result: BacktestResult, closes: pd.DataFrame, bar_ns: int, half_spread_ticks: tuple[int, int]) -> pd.DataFrame:
    table = pd.DataFrame(result.fills, columns=list(FILL_COLUMNS))
    instruments = result.config.instruments
    symbols = np.array([instrument.symbol for instrument in instruments], object)
    tick = np.array([float(instrument.tick_size) for instrument in instruments])
    lot = np.array([float(instrument.lot_size) for instrument in instruments])
    names = table["instrument"].to_numpy()
    price, qty = table["price_ticks"].to_numpy() * tick[names], table["qty_lots"].to_numpy() * lot[names]
    open_ns = pd.DatetimeIndex(closes.index).as_unit("ns").asi8
    row = np.searchsorted(open_ns + bar_ns, table["ts_event"].to_numpy(), side="right") - 1
    mid = closes[[instrument.symbol for instrument in instruments]].to_numpy()[row, names]
    sign = 1.0 - 2.0 * table["side"].to_numpy()
    frame = pd.DataFrame(
        {
            "symbol": symbols[names],
            "side": np.where(sign > 0, "buy", "sell"),
            "price": price,
            "qty": qty,
            "fee": table["fee_e8"].to_numpy() / _E8,
            "cost": sign * (price - mid) * qty,
            "slippage": (sign * (price - mid) - np.array(half_spread_ticks)[names] * tick[names]) * qty,
        },
        index=pd.to_datetime(table["ts_event"].to_numpy(), utc=True),
    )
    frame.index.name = "time"
    return frame


def _trades(result: BacktestResult, fills: pd.DataFrame, index: pd.DatetimeIndex, bar_ns: int) -> pd.DataFrame:
    """Round trips: from the first fill out of flat to the fill that makes both legs flat again."""
    rows: list[dict[str, object]] = []
    lots = {0: 0, 1: 0}
    start = 0
    raw = result.fills
    for i in range(len(raw)):
        if not any(lots.values()):
            start = i
        lots[int(raw[i, 1])] += int(raw[i, 4]) * (1 if raw[i, 2] == 0 else -1)
        flat = not any(lots.values())
        if not flat and i < len(raw) - 1:
            continue
        part = fills.iloc[start : i + 1]
        sign = np.where(part["side"] == "buy", -1.0, 1.0)
        gross = float((sign * part["price"] * part["qty"]).sum()) if flat else float("nan")
        fees = float(part["fee"].sum())
        lead_first = part[part["symbol"] == result.config.instruments[0].symbol].iloc[0]
        bars = round((part.index[-1] - part.index[0]).value / bar_ns)
        rows.append(
            {
                "entry": part.index[0],
                "exit": part.index[-1] if flat else pd.NaT,
                "side": 1 if lead_first["side"] == "buy" else -1,
                "bars": bars,
                "gross": gross,
                "fees": fees,
                "net": gross - fees,
            }
        )
    return pd.DataFrame(rows, columns=["entry", "exit", "side", "bars", "gross", "fees", "net"])
