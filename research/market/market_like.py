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
import pandas as pd
import tomli_w

from hftkit.errors import DataError
from hftkit.exchange.config import Cointegration, FlowConfig, InstrumentConfig, SimConfig, VolatilityConfig
from hftkit.exchange.core.layout import LADDER_TICKS
from hftkit.exchange.market.ticks import make_ticks
from hftkit.instruments import Instrument
from hftkit.params.format import FrozenParams
from hftkit.units import E8, decimal, iso_from_ns
from research.data.data_loader import Panel
from research.market.market_facts import MarketFacts, measure
from research.pairs.freezing.pipeline import PipelineResult

YEAR_MINUTES = 365 * 24 * 60
MAX_INSTRUMENTS = 12
MAX_TRADES_PER_S, MIN_TRADES_PER_S = 5.0, 0.01  # of one symbol: more than this a simulator at many times wall time would not keep up with
MIN_SPREAD_BPS = 0.5
FIT_MINUTES = (60, 60, 120, 240)  # of the rounds of the fit: the last correction should not be noise
MAX_START_TICKS = LADDER_TICKS // 2  # up to here a book's window reaches from nearly nothing to twice the price
_FLOW = FlowConfig(
    arrivals_per_s=3.0, maker_share=0.85, informed_share=0.05, half_spread_bps=0.8, depth_bps=4.0, quotes_per_side=10, max_quote_notional="20000"
)


def market_like(result: PipelineResult, instruments: dict[str, Instrument], speed: float, seed: int = 1) -> SimConfig:
    """A simulator configuration with the chosen pair and up to ten other symbols of the panel, starting where the panel ends."""
    chosen = result.chosen
    half_life = float(chosen.test_of_train.half_life) * result.panel.bar_ns
    return _with_pair(result.panel, instruments, (chosen.lead, chosen.hedge), chosen.hedge_ratio, chosen.sweep.chosen.window, half_life, speed, seed)


def market_like_frozen(frozen: FrozenParams, panel: Panel, instruments: dict[str, Instrument], speed: float = 1.0, seed: int = 1) -> SimConfig:
    """The same for the pair of a frozen file, over the candles that it was made of: its scales are the file's, it starts where they end.

    Raises DataError for a file without a pair, or without the half-life that research found.
    """
    legs, values = frozen.legs, frozen.parameters
    if not legs.hedge or "hedge_ratio" not in values:
        raise DataError(f"{frozen.name} holds no pair", "A market is made round a pair that hftkit freeze has found")
    if missing := [symbol for symbol in (legs.lead, legs.hedge) if symbol not in panel.closes]:
        raise DataError(f"there are no prices of {' and '.join(missing)}", f"{frozen.name} trades {legs.lead} and {legs.hedge}")
    try:
        half_life = float(frozen.provenance["engle_granger"]["half_life_bars"]) * int(values["bar_ns"])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"the provenance of {frozen.name} has no half-life", "Freeze it with hftkit freeze") from None
    scales = {**instruments, **{one.symbol: one for one in frozen.instruments}}
    return _with_pair(panel, scales, (legs.lead, legs.hedge), float(values["hedge_ratio"]), int(values.get("window", 60)), half_life, speed, seed)


def _with_pair(
    panel: Panel,
    instruments: dict[str, Instrument],
    pair: tuple[str, str],
    hedge_ratio: float,
    window: int,
    half_life_ns: float,
    speed: float,
    seed: int,
) -> SimConfig:
    """`window`: bars of the panel whose spread gives level and deviation."""
    lead, hedge = pair
    others = [symbol for symbol in panel.closes if symbol not in pair][: MAX_INSTRUMENTS - 2]
    spread = np.log(panel.closes[lead]) - hedge_ratio * np.log(panel.closes[hedge])
    tail = spread.iloc[-window:]
    anchor = float(np.exp(tail.mean() + hedge_ratio * np.log(panel.closes[hedge].iloc[-1])))
    relation = Cointegration(
        hedge=hedge,
        hedge_ratio=round(hedge_ratio, 6),
        half_life_minutes=round(half_life_ns / 60e9, 3),
        spread_sd_bps=round(float(tail.std()) * 1e4, 3),
    )
    rows = [_instrument(instruments[hedge], panel, None), _instrument(instruments[lead], panel, relation, anchor)]
    rows += [_instrument(instruments[symbol], panel, None) for symbol in others]
    return SimConfig(
        name="market-like",
        seed=seed,
        start=iso_from_ns(panel.end_ns),
        minutes=1,
        market_annual_volatility=0.0,
        flow=msgspec.structs.replace(_FLOW, arrivals_per_s=min(3.0, 1800.0 / speed)),
        instruments=tuple(rows),
    )


def calibrate_market(
    panel: Panel,
    instruments: dict[str, Instrument],
    *,
    facts: MarketFacts | None = None,
    trades_per_s: float = 0.3,
    seed: int = 1,
    name: str = "calibrated",
) -> SimConfig:
    """A synthetic market like this panel: per symbol volatility, spread, trade rate and trade size; one common factor; clustered volatility.

    Volatility and covariance are those of the efficient price (the bounce between bid and offer taken out with the first autocovariance, Roll 1984);
    the factor is fitted to the covariances by principal axis factoring. What traders make of their settings (spread, trade rate and size) is
    found by simulation: four times the market runs for one to four hours, is measured, and the settings are corrected by the ratio (indirect
    inference, Gourieroux, Monfort, Renault 1993). `facts`: measured with volumes and counts, else of the closes alone. A symbol without counts
    gets `trades_per_s`, each so large that the turnover is the measured one; a symbol above MAX_TRADES_PER_S gets that, of its own size; one whose
    spread the bars cannot show gets one tick. A tick too fine for the window of a book is made coarser. Starts where the panel ends, at its last
    prices. Raises DataError for fewer than three symbols, which do not identify a factor.
    """
    symbols = [symbol for symbol in panel.closes if symbol in instruments]
    if len(symbols) < 3:
        left_out = "".join(f"; left out: {name}: {why}" for name, why in panel.excluded)
        raise DataError(f"{len(symbols)} symbols with known scales do not identify a common factor{left_out}", "Give a panel of three or more")
    facts = facts or measure(panel.closes[symbols], panel.bar_ns)
    order = [list(facts.table.index).index(symbol) for symbol in symbols]
    covariance = facts.covariance[np.ix_(order, order)]
    loadings = _one_factor(covariance)
    factor = max(0.0, float(loadings.mean()))
    rows = []
    for i, symbol in enumerate(symbols):
        own = float(np.sqrt(max(0.0, covariance[i, i] - loadings[i] ** 2)))
        row = _instrument(_within_window(instruments[symbol], float(panel.closes[symbol].iloc[-1])), panel, None)
        beta = round(float(loadings[i]) / factor, 6) if factor > 0 else 0.0
        rows.append(msgspec.structs.replace(row, market_beta=beta, annual_volatility=round(own, 6)))
    config = SimConfig(
        name=name,
        seed=seed,
        start=iso_from_ns(panel.end_ns),
        minutes=1,
        market_annual_volatility=round(factor, 6),
        volatility=_model_volatility(facts.volatility, float(np.mean(loadings**2 / np.diag(covariance)))),
        flow=_FLOW,
        instruments=tuple(rows),
    )
    return _fit_traders(config, targets_of(config, facts, trades_per_s))


def _within_window(scales: Instrument, price: float) -> Instrument:
    """The same with the next coarser tick (1, 2, 5, 10 ... times its own) at which the price is at most MAX_START_TICKS ticks."""
    tick, factor = decimal(scales.tick_size), (1, 2, 5)
    steps = next(f * 10**k for k in range(20) for f in factor if price / float(tick * f * 10**k) <= MAX_START_TICKS)
    return scales if steps == 1 else msgspec.structs.replace(scales, tick_size=format(tick * steps, "f"))


def _model_volatility(measured: VolatilityConfig, share: float) -> VolatilityConfig:
    """The model's volatility factors from those measured on returns, of whose variance the market factor has the part `share`.

    A return's log volatility is about share v_market + (1 - share) v_own, so with q = sqrt(common share of the model) its variance is D V,
    D = share^2 + (1 - share)^2 + 2 share (1 - share) q, of which (share + (1 - share) q)^2 / D is common. Solved for q on a grid, then for V.
    """
    q = np.linspace(0.0, 1.0, 201)
    whole = share**2 + (1.0 - share) ** 2 + 2.0 * share * (1.0 - share) * q
    k = int(np.argmin(np.abs((share + (1.0 - share) * q) ** 2 / whole - measured.common_share)))
    scale = 1.0 / float(np.sqrt(whole[k]))
    return msgspec.structs.replace(
        measured,
        fast_sd=round(min(1.0, scale * measured.fast_sd), 4),
        slow_sd=round(min(1.0, scale * measured.slow_sd), 4),
        common_share=round(float(q[k] ** 2), 4),
    )


def targets_of(config: SimConfig, facts: MarketFacts, trades_per_s: float) -> pd.DataFrame:
    """What the traders of each symbol should make: `spread_bps`, `trades_per_s`, `trade_size` in quote units (NaN: no wish)."""
    rows = {}
    for row in config.instruments:
        fact = facts.table.loc[row.symbol]
        tick_bps = 1e4 / row.start_ticks
        known = np.isfinite(fact["trades_per_s"]) and fact["trades_per_s"] > 0
        rate = fact["trades_per_s"] if known else trades_per_s
        rows[row.symbol] = {
            "spread_bps": max(tick_bps, fact["spread_bps"]) if np.isfinite(fact["spread_bps"]) else max(tick_bps, MIN_SPREAD_BPS),
            "trades_per_s": min(MAX_TRADES_PER_S, max(MIN_TRADES_PER_S, rate)),
            "trade_size": fact["turnover_per_s"] / rate if fact["turnover_per_s"] > 0 else np.nan,
        }
    return pd.DataFrame(rows).T


def traders_of(config: SimConfig, minutes: int) -> pd.DataFrame:
    """The same of the simulated market: mean effective spread, twice the distance of a trade from the mid before it; trade rate; mean size."""
    ticks = make_ticks(config, minutes)
    trades = ticks.trades[ticks.trades["twice_mid"] > 0]
    spread = 1e4 * np.abs(2 * trades["price"] - trades["twice_mid"]) / (trades["twice_mid"] / 2)
    rows = {}
    for i, row in enumerate(config.instruments):
        mine = trades["instrument"] == i
        n = int(mine.sum())
        value = float(np.mean(trades["price"][mine] * trades["qty"][mine])) * row.instrument.tick_lot_e8 / E8 if n else np.nan
        rows[row.symbol] = {"spread_bps": float(spread[mine].mean()) if n else np.nan, "trades_per_s": n / (60 * minutes), "trade_size": value}
    return pd.DataFrame(rows).T


def _fit_traders(config: SimConfig, targets: pd.DataFrame) -> SimConfig:
    """Settings of each symbol's traders with which the simulated market meets the targets; first guess from the defaults' proportions."""
    rows = []
    for row in config.instruments:
        wish = targets.loc[row.symbol]
        half = max(0.05, 0.4 * wish["spread_bps"])
        size = 3.0 * wish["trade_size"] if np.isfinite(wish["trade_size"]) else 20_000.0
        rate = float(wish["trades_per_s"]) / 0.15
        rows.append(_with_traders(row, half, rate, size))
    config = msgspec.structs.replace(config, instruments=tuple(rows))
    calm = VolatilityConfig()
    for minutes in FIT_MINUTES:
        seen = traders_of(msgspec.structs.replace(config, volatility=calm), minutes)
        ratio = (targets / seen).clip(0.25, 4.0).fillna(1.0)
        rows = []
        for row in config.instruments:
            by = ratio.loc[row.symbol]
            half, rate = (row.half_spread_bps or 1.0) * by["spread_bps"], (row.arrivals_per_s or 1.0) * by["trades_per_s"]
            size = float(row.max_quote_notional or "20000") * by["trade_size"]
            rows.append(_with_traders(row, half, rate, size))
        config = msgspec.structs.replace(config, instruments=tuple(rows))
    return config


def _with_traders(row: InstrumentConfig, half_spread_bps: float, arrivals_per_s: float, size: float) -> InstrumentConfig:
    return msgspec.structs.replace(
        row,
        half_spread_bps=round(float(np.clip(half_spread_bps, 0.05, 200.0)), 4),
        depth_bps=round(float(np.clip(5.0 * half_spread_bps, 0.5, 1000.0)), 4),
        arrivals_per_s=round(float(np.clip(arrivals_per_s, 0.02, 500.0)), 5),
        max_quote_notional=str(round(float(np.clip(size, 10.0, 1e8)))),
    )


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


def _known(value: Any) -> Any:
    """Plain data without its None values: TOML has none."""
    if isinstance(value, dict):
        return {key: _known(entry) for key, entry in value.items() if entry is not None}
    return [_known(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def write_config(config: SimConfig, path: Path) -> Path:
    """Write the configuration as TOML for `hftkit sim --config`."""
    path.write_text(tomli_w.dumps(_known(msgspec.to_builtins(config))))
    return path
