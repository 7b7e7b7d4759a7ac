"""How much money a pair can carry: profit grows with the size, impact faster.

Impact follows the square-root law: executing a notional Q of an instrument that trades V a day moves its price by Y sigma sqrt(Q / V), sigma its
daily volatility, Y of order one (B. Toth et al. 2011, "Anomalous price impact and the critical nature of liquidity in financial markets",
Physical Review X 1, 021006; R. Almgren et al. 2005, "Direct estimation of equity market impact", Risk 18, find an exponent near 0.6). On the way
there the average price paid is two thirds of the final move. So at size N a strategy earns

    P(N) = a N - b N^1.5        per unit of time, a: net of all other costs, b: from the impact of its trades

which is most at N = (2a / 3b)^2, has half the return of a small size at (a / 2b)^2, and nothing left at (a / b)^2. Not in it: that others see
the trades, that books are thin at bad moments, that impact decays between two trades. An estimate of an order of magnitude, with a band.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.data.calendars import bars_a_year
from research.data.data_loader import Panel, candles_in
from research.pairs.performance import bootstrap_band
from research.pairs.strategy_optimizer import Run

AVERAGE_OF_FINAL = 2.0 / 3.0  # mean of sqrt over the execution
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class Impact:
    """The square-root law of one instrument. `daily_volatility`: standard deviation of a day's log return; `daily_notional`: traded a day, in
    quote currency; `coefficient`: Y.
    """

    daily_volatility: float
    daily_notional: float
    coefficient: float = 1.0

    def __post_init__(self) -> None:
        for name in ("daily_volatility", "daily_notional", "coefficient"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise DataError(f"impact: {name} is {getattr(self, name)}", "Give positive numbers: volatility a day, quote currency traded a day")

    def average(self, notional: Any) -> Any:
        """Mean fraction of the price lost in executing `notional` (quote currency): what a fill pays on average."""
        return AVERAGE_OF_FINAL * self.coefficient * self.daily_volatility * np.sqrt(np.asarray(notional, np.float64) / self.daily_notional)


def impact_of(candles: pd.DataFrame, coefficient: float = 1.0) -> Impact:
    """The law of one instrument from its candles: columns close and volume (base currency) or quote_volume, open times as index or open_time.

    Volatility of all bars scaled to a day, median turnover of the days. Raises DataError without volume, or for less than a day.
    """
    times = pd.DatetimeIndex(candles.get("open_time", candles.index))
    if "quote_volume" not in candles and "volume" not in candles:
        raise DataError("impact needs the traded volume, and these candles have none", "Give candles with a volume or quote_volume column")
    if len(times) < 2 or times[-1] - times[0] < pd.Timedelta(days=1):
        raise DataError(f"{len(times)} bars are less than a day", "Give at least one day of candles")
    turnover = candles["quote_volume"] if "quote_volume" in candles else candles["volume"] * candles["close"]
    daily = pd.Series(turnover.to_numpy(np.float64), times).resample("D").sum()
    whole = daily.iloc[1:-1] if len(daily) > 2 else daily  # the first and last day may be parts of one
    bar_ns = int(np.median(np.diff(times.as_unit("ns").asi8)))
    returns = np.diff(np.log(candles["close"].to_numpy(np.float64)))
    return Impact(float(np.std(returns, ddof=1) * np.sqrt(_DAY_NS / bar_ns)), float(whole.median()), coefficient)


def impacts_in(folder: Path | str, lead: str, hedge: str) -> tuple[Impact, Impact] | None:
    """The laws of two symbols from their candle files in a folder; None where these have no volume or less than a day."""
    try:
        candles = candles_in(folder, (lead, hedge))
        laws = [impact_of(candles[symbol].frame) for symbol in (lead, hedge)]
    except DataError:
        return None
    return laws[0], laws[1]


def impacts_of(panel: Panel, lead: str, hedge: str) -> tuple[Impact, Impact] | None:
    """The laws of two symbols of a panel: volatility of its closes, mean turnover a day of their files. None where volumes are not known."""
    laws = []
    for symbol in (lead, hedge):
        known = symbol in panel.quality.index and "turnover_day" in panel.quality
        turnover = float(panel.quality.loc[symbol, "turnover_day"]) if known else float("nan")
        returns = np.diff(np.log(panel.closes[symbol].to_numpy(np.float64)))
        daily = float(np.std(returns, ddof=1) * np.sqrt(_DAY_NS / panel.bar_ns))
        if not (0.0 < turnover < float("inf") and 0.0 < daily < float("inf")):
            return None
        laws.append(Impact(daily, turnover))
    return laws[0], laws[1]


@dataclass(frozen=True)
class Capacity:
    """`table`: one row a notional (of the lead leg of one unit, quote currency): before_impact, impact, net and its band (low, high), all in quote
    currency a year, and net_return (net / notional). `best`, `halves`, `exhausted`: notionals of the largest profit, of half the return of a
    small size, of no profit left (with its band); NaN for a strategy that earns nothing at any size.
    """

    table: pd.DataFrame
    best: float
    halves: float
    exhausted: float
    exhausted_band: tuple[float, float]

    def __str__(self) -> str:
        if not self.best > 0:
            return "no capacity: it earns nothing even at the smallest size"
        low, high = (f"{value:,.0f}" for value in self.exhausted_band)
        return (
            f"most profit at a notional of {self.best:,.0f} a unit, half the return at {self.halves:,.0f}, "
            f"nothing left at {self.exhausted:,.0f} (90 % band {low} to {high})"
        )


def capacity(
    run: Run, hedge_ratio: float, lead: Impact, hedge: Impact, notionals: Any = None, bars_per_year: float | None = None, seed: int = 0
) -> Capacity:
    """What `run` (whose returns are net of fees, spread and slippage of small size) would earn at each notional of the lead.

    The hedge leg has |hedge_ratio| times that. `notionals`: quote currency [default: a geometric grid to beyond the point where nothing is left].
    """
    net = run.frame["net"].to_numpy(np.float64)
    target = run.frame["target"].to_numpy(np.float64)
    per_year = bars_per_year if bars_per_year is not None else bars_a_year(pd.DatetimeIndex(run.frame.index))
    scale = per_year / len(net)
    sizes = np.abs(np.diff(target, prepend=0.0))  # units traded at each bar: 1, or 2 where it turns round
    weight = abs(hedge_ratio)
    at_one = lead.average(sizes) * sizes + hedge.average(sizes * weight) * sizes * weight  # a notional of 1; grows with its 3/2 power
    gain, loss = float(net.sum() * scale), float(at_one.sum() * scale)
    low, high = (value * scale for value in bootstrap_band(net, np.sum, seed=seed))
    best, halves, exhausted = (_notional(gain, loss, share) for share in (2.0 / 3.0, 0.5, 1.0))
    if notionals is None:
        top = exhausted if exhausted > 0 else 1e6
        notionals = np.geomspace(top / 500.0, top * 2.0, 120)
    sizes_of = np.asarray(notionals, np.float64)
    impact = loss * sizes_of**1.5
    table = pd.DataFrame(
        {
            "notional": sizes_of,
            "before_impact": gain * sizes_of,
            "impact": impact,
            "net": gain * sizes_of - impact,
            "low": low * sizes_of - impact,
            "high": high * sizes_of - impact,
            "net_return": gain - impact / sizes_of,
        }
    )
    return Capacity(table, best, halves, exhausted, (max(_notional(low, loss, 1.0), 0.0) if low > 0 else 0.0, _notional(high, loss, 1.0)))


def _notional(gain: float, loss: float, share: float) -> float:
    """Where the impact eats `share` of the gain per unit of notional: (share a / b)^2; NaN without a gain, infinite without trades."""
    if not gain > 0.0:
        return float("nan")
    return (share * gain / loss) ** 2 if loss > 0.0 else float("inf")
