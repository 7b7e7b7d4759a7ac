"""A simulated market like a given one.

`calibrate_market` takes volatilities, correlations and spread from a panel. `market_like` takes the pair found in real prices, cointegrated as
estimated, in a universe with the others' volatility; its venue trades those symbols at their last prices. It is a model, not the market: the
pair's relation holds in it by construction, which is what the research claimed and the session may rehearse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tomli_w

from hftkit.errors import DataError
from hftkit.exchange.config import Cointegration, FlowConfig, InstrumentConfig, SimConfig
from hftkit.instruments import Instrument
from hftkit.units import decimal, iso_from_ns
from research.data_loader import Panel
from research.pipeline import PipelineResult
from research.stylised_facts import roll_spread

YEAR_MINUTES = 365 * 24 * 60
MAX_INSTRUMENTS = 12


def market_like(result: PipelineResult, instruments: dict[str, Instrument], speed: float, seed: int = 1) -> SimConfig:
    """A simulator configuration with the chosen pair and up to ten other symbols of the panel, starting where the panel ends."""
    panel, chosen = result.panel, result.chosen
    others = [symbol for symbol in panel.closes if symbol not in (chosen.lead, chosen.hedge)][: MAX_INSTRUMENTS - 2]
    spread = np.log(panel.closes[chosen.lead]) - chosen.hedge_ratio * np.log(panel.closes[chosen.hedge])
    window = chosen.sweep.chosen.window
    tail = spread.iloc[-window:]
    anchor = float(np.exp(tail.mean() + chosen.hedge_ratio * np.log(panel.closes[chosen.hedge].iloc[-1])))
    relation = Cointegration(
        hedge=chosen.hedge,
        hedge_ratio=round(chosen.hedge_ratio, 6),
        half_life_minutes=round(float(chosen.test_of_train.half_life) * panel.bar_ns / 60e9, 3),
        spread_sd_bps=round(float(tail.std()) * 1e4, 3),
    )
    rows = [_instrument(instruments[chosen.hedge], panel, None), _instrument(instruments[chosen.lead], panel, relation, anchor)]
    rows += [_instrument(instruments[symbol], panel, None) for symbol in others]
    return SimConfig(
        name="market-like",
        seed=seed,
        start=iso_from_ns(panel.end_ns),
        minutes=1,
        market_annual_volatility=0.0,
        flow=FlowConfig(
            arrivals_per_s=min(3.0, 1800.0 / speed),
            maker_share=0.85,
            informed_share=0.05,
            half_spread_bps=0.8,
            depth_bps=4.0,
            quotes_per_side=10,
            max_quote_notional="20000",
        ),
        instruments=tuple(rows),
    )


def calibrate_market(
    panel: Panel, instruments: dict[str, Instrument], *, seed: int = 1, arrivals_per_s: float = 3.0, name: str = "calibrated"
) -> SimConfig:
    """A synthetic market with this panel's volatilities, correlations and spread: one common factor, a random walk of its own for each symbol.

    Volatility and covariance are those of the efficient price: the bounce between bid and offer is taken out with the first autocovariance
    (Roll 1984). The
    factor is fitted to the covariances by principal axis factoring. Closes do not tell how many traders there are: `arrivals_per_s` does. Starts
    where the panel ends, at its last prices. Raises DataError for fewer than three symbols, which do not identify a factor.
    """
    symbols = [symbol for symbol in panel.closes if symbol in instruments]
    if len(symbols) < 3:
        raise DataError(f"{len(symbols)} symbols with known scales do not identify a common factor", "Give a panel of three or more")
    logs = np.log(panel.closes[symbols].to_numpy())
    covariance = efficient_covariance(np.diff(logs, axis=0)) * YEAR_MINUTES * 60e9 / panel.bar_ns
    loadings = _one_factor(covariance)
    factor = float(loadings.mean())
    spread = float(np.median([roll_spread(column) for column in logs.T]))
    rows = []
    for i, symbol in enumerate(symbols):
        own = float(np.sqrt(max(0.0, covariance[i, i] - loadings[i] ** 2)))
        row = _instrument(instruments[symbol], panel, None)
        rows.append(
            msgspec.structs.replace(row, market_beta=round(float(loadings[i]) / factor, 6) if factor > 0 else 0.0, annual_volatility=round(own, 6))
        )
    return SimConfig(
        name=name,
        seed=seed,
        start=iso_from_ns(panel.end_ns),
        minutes=1,
        market_annual_volatility=round(max(factor, 0.0), 6),
        flow=FlowConfig(
            arrivals_per_s=arrivals_per_s,
            maker_share=0.85,
            informed_share=0.05,
            half_spread_bps=round(max(0.1, 1e4 * spread / 2), 3),
            depth_bps=round(max(0.5, 1e4 * spread * 2.5), 3),
            quotes_per_side=10,
            max_quote_notional="20000",
        ),
        instruments=tuple(rows),
    )


def efficient_covariance(returns: np.ndarray) -> np.ndarray:
    """Covariance (n, n) of a bar's returns (bars, n), the first autocovariances added both ways; a variance stays at least half the plain one."""
    centred = returns - returns.mean(axis=0)
    plain = centred.T @ centred / len(centred)
    lagged = centred[1:].T @ centred[:-1] / (len(centred) - 1)
    result = plain + lagged + lagged.T
    np.fill_diagonal(result, np.maximum(np.diag(result), 0.5 * np.diag(plain)))
    return result


def _one_factor(covariance: np.ndarray, rounds: int = 200) -> np.ndarray:
    """Loadings l with l l' closest to the covariance off its diagonal (principal axis factoring of the correlations)."""
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    communality = np.clip(np.abs(correlation - np.eye(len(scale))).max(axis=1), 0.0, 0.95)
    for _ in range(rounds):
        reduced = correlation.copy()
        np.fill_diagonal(reduced, communality)
        values, vectors = np.linalg.eigh(reduced)
        loading = vectors[:, -1] * np.sqrt(max(values[-1], 0.0))
        communality = np.clip(loading**2, 0.0, 0.98)
    return np.asarray(loading * np.sign(loading.sum()) * scale)


def _instrument(scales: Instrument, panel: Panel, relation: Cointegration | None, price: float | None = None) -> InstrumentConfig:
    closes = panel.closes[scales.symbol]
    last = price if price is not None else float(closes.iloc[-1])
    ticks = max(1, round(last / float(scales.tick_size)))
    per_bar = float(np.log(closes).diff().std())
    return InstrumentConfig(
        **msgspec.to_builtins(scales),
        start_price=format(ticks * decimal(scales.tick_size), "f"),
        market_beta=0.0,
        annual_volatility=0.0 if relation else round(per_bar * float(np.sqrt(YEAR_MINUTES * 60e9 / panel.bar_ns)), 6),
        cointegrated=relation,
    )


def write_config(config: SimConfig, path: Path) -> Path:
    """Write the configuration as TOML for `hftkit sim --config`."""
    body: dict[str, Any] = msgspec.to_builtins(config)
    for row in body["instruments"]:
        if row["cointegrated"] is None:
            del row["cointegrated"]
    path.write_text(tomli_w.dumps(body))
    return path
