"""A seeded market with known truth, and candle files made from it."""

from __future__ import annotations

import numpy as np
import pandas as pd


def make_prices(n: int = 4000, pairs: int = 2, walks: int = 3, half_life: float = 20.0, seed: int = 14) -> pd.DataFrame:
    """One-minute closes: `pairs` cointegrated pairs (A0/B0, ...; hedge ratio 0.8, 1.0, ...) and `walks` independent walks (W0, ...)."""
    rng = np.random.default_rng(seed)
    columns = {}
    for i in range(pairs):
        hedge = np.cumsum(rng.normal(size=n)) * 6e-4
        spread = np.zeros(n)
        phi = 2 ** (-1 / half_life)
        for t, noise in enumerate(rng.normal(size=n - 1)):
            spread[t + 1] = phi * spread[t] + noise * 8e-4
        columns[f"A{i}USDT"] = 100 * np.exp((0.8 + 0.2 * i) * hedge + spread)
        columns[f"B{i}USDT"] = 50 * np.exp(hedge)
    for i in range(walks):
        columns[f"W{i}USDT"] = 20 * np.exp(np.cumsum(rng.normal(size=n)) * 6e-4)
    index = pd.date_range("2026-01-05", periods=n, freq="min", tz="UTC", name="open_time")
    return pd.DataFrame(columns, index=index).round(4)


def candles_of(close: pd.Series, volume: float = 3.0) -> pd.DataFrame:
    """Candles round a series of closes, as columns with `open_time` first; `volume`: base units a bar."""
    opened = close.shift(fill_value=close.iloc[0])
    frame = pd.DataFrame({"open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close, "volume": volume})
    return frame.rename_axis("open_time").reset_index()
