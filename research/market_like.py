"""A simulated market like a given one: the pair found in real prices, cointegrated as estimated, in a universe with the others' volatility.

The venue then trades those symbols at their last prices. It is a model, not the market: the pair's relation holds in it by
construction, which is what the research claimed and the session may rehearse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tomli_w

from hftkit.exchange.config import Cointegration, FlowConfig, InstrumentConfig, SimConfig
from hftkit.instruments import Instrument
from hftkit.units import decimal, iso_from_ns
from research.data_loader import Panel
from research.pipeline import PipelineResult

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
