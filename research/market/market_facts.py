"""What a market is like, in figures that a synthetic one can be given: per symbol volatility, spread, trade rate, turnover; correlation; clustering.

Everything is measured from candles, and the same on the simulator's own, so that the two can be laid side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from hftkit.exchange.config import VolatilityConfig
from research.data.data_loader import Panel, candles_in, load_panel
from research.data.files.candle_columns import PLAIN, Reading
from research.data.files.file_formats import read_table
from research.market.stylised_facts import excess_kurtosis, facts_of_prices

YEAR_NS = 365 * 86_400 * 10**9
FAST_MINUTES, SLOW_MINUTES = 10.0, 720.0  # half-lives of the volatility factors
MIN_BARS = 200  # fewer say next to nothing of a covariance, and nothing of clustering
_COUNTS = ("count", "trades", "n_trades", "number_of_trades")  # columns that hold a candle's number of trades


@dataclass(frozen=True)
class MarketFacts:
    """Measured facts. `table`: a row a symbol; `covariance`: of log returns of the efficient price, per year, (n, n).

    Columns of `table`: `volatility` (of the efficient price, per year), `spread_bps` (Roll; NaN where it is below what so many bars can show,
    which is `spread_seen_from_bps`), `trades_per_s` and `turnover_per_s` in quote units (NaN where the candles have no such column),
    `excess_kurtosis` and `clustering` (mean autocorrelation of absolute returns over 30 bars). `volatility`: the clustering as two factors.
    """

    bar_ns: int
    table: pd.DataFrame
    covariance: np.ndarray
    volatility: VolatilityConfig

    @property
    def correlation(self) -> pd.DataFrame:
        """Correlation of the efficient prices' returns."""
        scale = np.sqrt(np.diag(self.covariance))
        return pd.DataFrame(self.covariance / np.outer(scale, scale), self.table.index, self.table.index)


def efficient_covariance(returns: np.ndarray) -> np.ndarray:
    """Covariance (n, n) of a bar's returns (bars, n), the first autocovariances added both ways; a variance stays at least half the plain one."""
    centred = returns - returns.mean(axis=0)
    plain = centred.T @ centred / len(centred)
    lagged = centred[1:].T @ centred[:-1] / (len(centred) - 1)
    result = plain + lagged + lagged.T
    np.fill_diagonal(result, np.maximum(np.diag(result), 0.5 * np.diag(plain)))
    return result


def spread_of(returns: np.ndarray) -> tuple[float, float]:
    """Roll's spread of one symbol's log returns and the smallest that so many bars can show, as shares of the price; NaN and it if below.

    The first autocovariance of white noise has the standard error var / sqrt(bars); two of them are asked for. Each bar's return is first cut at
    four standard deviations: one crash would otherwise be the whole estimate.
    """
    centred = returns - returns.mean()
    limit = 4.0 * centred.std()
    cut = np.clip(centred, -limit, limit)
    covariance = float(np.mean(cut[1:] * cut[:-1]))
    error = float(np.var(cut)) / np.sqrt(len(cut))
    seen_from = 2.0 * np.sqrt(2.0 * error)
    return (2.0 * np.sqrt(-covariance) if covariance < -2.0 * error else np.nan), seen_from


def volatility_factors(returns: np.ndarray, bar_ns: int) -> VolatilityConfig:
    """The two factors of flow/volatility.py with half-lives of 10 minutes and 12 hours, fitted to the autocovariances of log |return|.

    `returns`: (bars, n). The noise in log |r| of a bar is not autocorrelated, so its covariance at each lag is fast_sd^2 2^(-lag/fast) +
    slow_sd^2 2^(-lag/slow): least squares, neither negative, over lags up to four hours, the mean over the symbols. The common share is the
    same covariance between symbols, divided by that within. Returns below a fifth of the usual are raised to it (a price that stood still says
    nothing). Only the others move with the volatility, and of their variance only the part that is no bounce: both shares are divided out.
    """
    sizes = np.abs(returns - returns.mean(axis=0))
    floor = 0.2 * np.median(sizes, axis=0) + 1e-12
    logs = np.log(np.maximum(sizes, floor))
    moved = np.clip(np.diag(efficient_covariance(returns)) / np.maximum(returns.var(axis=0), 1e-300), 0.3, 1.0) * (sizes > floor).mean(axis=0)
    logs = (logs - logs.mean(axis=0)) / moved
    step = bar_ns / 60e9
    lags = np.arange(1, max(3, min(int(240 / step), len(logs) // 4)))
    within = np.array([(logs[lag:] * logs[:-lag]).mean() for lag in lags])
    total = logs.sum(axis=1)
    n = logs.shape[1]
    everything = np.array([(total[lag:] * total[:-lag]).mean() for lag in lags])
    shapes = np.stack([2.0 ** (-lags * step / FAST_MINUTES), 2.0 ** (-lags * step / SLOW_MINUTES)], axis=1)
    fast, slow = _non_negative(shapes, within)
    between, fitted = (everything / n - within) / max(1, n - 1), shapes @ np.array([fast, slow])  # the fit weighs the lags: the others are noise
    common = float(np.clip(between @ fitted / (within @ fitted), 0.0, 1.0)) if fitted.any() and within @ fitted > 0 else 0.0
    return VolatilityConfig(
        fast_sd=round(min(1.0, float(np.sqrt(fast))), 4),
        slow_sd=round(min(1.0, float(np.sqrt(slow))), 4),
        fast_half_life_minutes=FAST_MINUTES,
        slow_half_life_minutes=SLOW_MINUTES,
        common_share=round(common, 4),
    )


def _non_negative(shapes: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Least squares with two coefficients, neither negative: the better of the two corners if the free solution is outside."""
    free = np.linalg.lstsq(shapes, values, rcond=None)[0]
    if (free >= 0).all():
        return float(free[0]), float(free[1])
    corners = []
    for k in range(2):
        alone = np.zeros(2)
        alone[k] = max(0.0, float(shapes[:, k] @ values) / float(shapes[:, k] @ shapes[:, k]))
        corners.append(alone)
    best = min(corners, key=lambda c: float(((shapes @ c - values) ** 2).sum()))
    return float(best[0]), float(best[1])


def measure(closes: pd.DataFrame, bar_ns: int, *, volumes: pd.DataFrame | None = None, counts: pd.DataFrame | None = None) -> MarketFacts:
    """Facts of aligned closes, one column a symbol; `volumes` in base units and `counts` of trades, the same shape, where known.

    Raises DataError for fewer than MIN_BARS bars, and for a symbol whose close never changes.
    """
    if len(closes) < MIN_BARS:
        raise DataError(f"{len(closes)} bars are too few to measure a market", f"Give at least {MIN_BARS} that all symbols have")
    still = [str(symbol) for symbol in closes if closes[symbol].nunique() < 2]
    if still:
        raise DataError(f"the close of {', '.join(still)} never changes: no volatility, no correlation", "Leave it out with --symbols")
    logs = np.log(closes.to_numpy(float))
    returns = np.diff(logs, axis=0)
    covariance = efficient_covariance(returns) * YEAR_NS / bar_ns
    rows, bar_s = {}, bar_ns / 1e9
    for i, symbol in enumerate(closes):
        facts = facts_of_prices(closes[symbol].to_numpy(float))
        spread, seen_from = spread_of(returns[:, i])
        rows[symbol] = {
            "volatility": float(np.sqrt(covariance[i, i])),
            "spread_bps": 1e4 * spread,
            "spread_seen_from_bps": 1e4 * seen_from,
            "trades_per_s": float(counts[symbol].mean()) / bar_s if counts is not None and symbol in counts else np.nan,
            "turnover_per_s": float((volumes[symbol] * closes[symbol]).mean()) / bar_s if volumes is not None and symbol in volumes else np.nan,
            "excess_kurtosis": excess_kurtosis(returns[:, i]),
            "clustering": facts.clustering,
        }
    return MarketFacts(bar_ns, pd.DataFrame(rows).T, covariance, volatility_factors(returns, bar_ns))


def measure_folder(
    folder: Path | str, symbols: Sequence[str] | None = None, *, span: str = "common", on_gap: str = "refuse", timeframe: str = "",
    calendar: str = "infer", reading: Reading = PLAIN,
) -> tuple[MarketFacts, Panel]:  # fmt: skip
    """Facts of a folder of candles, with the panel they come from. Volumes and counts are used where every bar of a symbol has them."""
    panel = load_panel(folder, symbols, span=span, on_gap=on_gap, timeframe=timeframe, calendar=calendar, reading=reading)  # type: ignore[arg-type]
    volumes, counts = {}, {}
    for symbol, one in candles_in(folder, list(panel.closes), timeframe=timeframe, reading=reading).items():
        if "volume" in one.frame:
            volumes[symbol] = one.frame["volume"].reindex(panel.closes.index)
        count = _counts(one.paths[0], one.frame) if len(one.paths) == 1 and not one.table else None
        if count is not None:
            counts[symbol] = count.reindex(panel.closes.index)
    whole = [pd.DataFrame({s: c for s, c in found.items() if c.notna().all()}) for found in (volumes, counts)]
    return measure(panel.closes, panel.bar_ns, volumes=whole[0], counts=whole[1]), panel


def _counts(path: Path, frame: pd.DataFrame) -> pd.Series | None:
    """The number of trades of each bar, if the file has such a column."""
    raw = read_table(path).frame
    names = {str(name).strip().lower(): name for name in raw.columns}
    name = next((names[n] for n in _COUNTS if n in names), None)
    if name is None or len(raw) != len(frame):
        return None
    if any(remark.startswith("newest bar first") for remark in frame.attrs.get("remarks", ())):
        raw = raw.iloc[::-1]
    counts = pd.to_numeric(raw[name], errors="coerce").to_numpy(float)
    bad = np.flatnonzero((np.isnan(counts) & raw[name].notna().to_numpy()) | (counts < 0) | np.isinf(counts))
    if bad.size:
        value = raw[name].tolist()[bad[0]]
        raise DataError(f"{path}: row {bad[0]} has {value!r} for its {name}", "It must be the number of trades, 0 or more, or empty")
    return pd.Series(counts, frame.index)
