"""Pairs whose truth is known, and what the estimators make of them: the yardstick before any real price is looked at.

hedge   h[t] = h[t-1] + volatility * e[t]                                   a random walk of log prices
spread  s[t] = 2^(-1/half_life) s[t-1] + noise, stationary deviation `spread_sd`
lead    l[t] = hedge_ratio * h[t] + s[t]
and on both an error of measurement, `bounce` (half the bid-ask spread, say), that is new in every bar
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from hftkit.kernels.stats.half_life import half_life
from research.data.progress import progress
from research.stats.cointegration import engle_granger
from research.stats.discovery.pair_scan import discoveries, scan_pairs
from research.stats.spread.hedge import dols_hedge_ratio, kalman_hedge_ratios, ols_hedge_ratio, tls_hedge_ratio


def known_pair(
    seed: int,
    n: int = 2000,
    hedge_ratio: float = 0.8,
    half_life_bars: float = 20.0,
    spread_sd: float = 0.003,
    volatility: float = 0.0006,
    bounce: float = 0.0,
    shift_at: int | None = None,
) -> pd.DataFrame:
    """One pair of prices, columns lead and hedge, one-minute bars. `shift_at`: row from which the spread lies 3 deviations higher."""
    rng = np.random.default_rng(seed)
    phi = 2.0 ** (-1.0 / half_life_bars)
    noise = rng.normal(size=n) * spread_sd * np.sqrt(1.0 - phi**2)
    noise[0] = rng.normal() * spread_sd  # begins in its stationary state
    spread = lfilter([1.0], [1.0, -phi], noise)
    if shift_at is not None:
        spread[shift_at:] += 3.0 * spread_sd
    hedge = np.cumsum(rng.normal(size=n)) * volatility
    lead = hedge_ratio * hedge + spread
    errors = rng.normal(size=(2, n)) * bounce
    index = pd.date_range("2026-01-05", periods=n, freq="min", tz="UTC", name="open_time")
    return pd.DataFrame({"lead": 100.0 * np.exp(lead + errors[0]), "hedge": 50.0 * np.exp(hedge + errors[1])}, index=index)


def estimates(seeds: int, rows: tuple[int, ...] = (500, 2000, 8000), **truth: float) -> pd.DataFrame:
    """Estimates over known pairs and sample lengths: columns rows, seed, OLS, TLS, DOLS, Kalman (last bar), half_life. `truth`: as in known_pair."""
    found = []
    for n in rows:
        for seed in progress(range(seeds), f"{seeds} pairs of {n} bars"):
            pair = known_pair(seed, n, **truth)  # type: ignore[arg-type]
            lead, hedge = pair["lead"], pair["hedge"]
            residual = engle_granger(np.log(lead), np.log(hedge), maxlag=0, autolag=None).residual
            found.append(
                {
                    "rows": n,
                    "seed": seed,
                    "OLS": ols_hedge_ratio(lead, hedge),
                    "TLS": tls_hedge_ratio(lead, hedge),
                    "DOLS": dols_hedge_ratio(lead, hedge),
                    "Kalman": float(kalman_hedge_ratios(lead, hedge)[-1, 0]),
                    "half_life": half_life(residual),
                }
            )
    return pd.DataFrame(found)


def false_discoveries(universes: int = 200, symbols: int = 12, rows: int = 400, level: float = 0.05, seed: int = 0) -> pd.DataFrame:
    """Universes of independent random walks: how many "pairs" (unordered) each finds where there is none.

    One row a universe: p_value (no correction: p <= level in either direction), bh, by, bonferroni at `level`.
    """
    rng = np.random.default_rng(seed)
    counts = []
    for _ in progress(range(universes), f"{universes} universes of {symbols} random walks"):
        walks = pd.DataFrame(np.exp(np.cumsum(rng.normal(size=(rows, symbols)), axis=0) * 5e-4)).add_prefix("WALK")
        scan = scan_pairs(walks, autolag="bic", maxlag=4)
        low = scan[scan["pvalue"] <= level]
        naive = {frozenset(pair) for pair in zip(low["lead"], low["hedge"], strict=True)}
        counts.append({"p_value": len(naive), **{method: len(discoveries(scan, level, method=method)) for method in ("bh", "by", "bonferroni")}})
    return pd.DataFrame(counts)
