"""Scenarios: what happens to a market at stated minutes, scripted in TOML (configs/scenarios/*.toml).

    name = "crash"
    universe = "binance"           # the configuration it is written for, if not the sample universe
    [[events]]
    at_minute = 10                 # after the market's start, exchange time
    over_s = 60                    # spread over so many seconds; 0: at once
    symbols = []                   # none named: all; those that follow no other move, and their partners go with them
    move_bps = -800                # of the fundamental value
    lasting = false                # true: a partner's or a pegged coin's move stays as well: a relation that breaks, a lost peg
    volatility = 4.0               # factors on what is there
    rate = 3.0
    spread = 5.0
    quantity = 0.3
    maker_share = 0.6              # a new share, not a factor
    for_minutes = 5                # the factors and the share go back after so long; 0: they stay. A move stays.

    [stochastic_volatility]        # from the start and for as long as it runs: the keys of [volatility] in a configuration
    fast_sd = 0.35

    [faults.feed]                  # a whole fault plan may go with it (faults.py); its script counts seconds of wall time

A move of a cointegrated partner or a pegged coin goes into its deviation, which reverts, unless it is lasting; of any other instrument into its
value, which stays. Events may stand in any order. Where factors of several overlap they multiply; of shares the last one set counts.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from hftkit.config import load_config as load_toml
from hftkit.errors import ConfigError
from hftkit.exchange.config import SimConfig, VolatilityConfig
from hftkit.exchange.faults.plan import FaultPlan
from hftkit.exchange.market.flow.agents import (
    SCALE_MARKET,
    SCALE_QUANTITY,
    SCALE_RATE,
    SCALE_SPREAD,
    SCALE_VOLATILITY,
    SET_MAKER_SHARE,
    SHIFT_ANCHOR,
    SHIFT_VALUE,
)
from hftkit.exchange.market.flow.random import natural_log

_Factor = Annotated[float, msgspec.Meta(ge=0.001, le=100)]
_NotNegative = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
_BPS = 1e-4


class ScenarioEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that happens; the module's text explains every key."""

    at_minute: _NotNegative
    over_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 0
    symbols: tuple[str, ...] = ()
    move_bps: Annotated[float, msgspec.Meta(ge=-9900, le=20_000)] = 0.0
    lasting: bool = False
    volatility: _Factor = 1.0
    rate: _Factor = 1.0
    spread: _Factor = 1.0
    quantity: _Factor = 1.0
    maker_share: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    for_minutes: _NotNegative = 0.0


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A named script of a market, and the faults that go with it."""

    name: str
    universe: str = ""
    events: tuple[ScenarioEvent, ...] = ()
    stochastic_volatility: VolatilityConfig | None = None  # in place of the market's own
    faults: FaultPlan = FaultPlan()


def shipped_scenarios() -> list[str]:
    """Names of the scenarios that ship with hftkit."""
    return sorted(Path(item.name).stem for item in resources.files("hftkit.exchange").joinpath("configs", "scenarios").iterdir())


def load_scenario(path: Path | str) -> Scenario:
    """Read a scenario: a TOML file, or the name of one that ships with hftkit (`crash`). Raises ConfigError naming key and value."""
    shipped = resources.files("hftkit.exchange").joinpath("configs", "scenarios", f"{path}.toml")
    if not shipped.is_file() and not Path(path).exists():
        raise ConfigError(f"there is no scenario {path}", f"Give a TOML file, or one of {', '.join(shipped_scenarios())}")
    return load_toml(Scenario, Path(str(shipped)) if shipped.is_file() else Path(path), env={})


def _targets(event: ScenarioEvent, config: SimConfig) -> list[int]:
    unknown = sorted(set(event.symbols) - set(config.symbols))
    if unknown:
        raise ConfigError(
            f"the scenario names {', '.join(unknown)}, which the universe {config.name} does not have",
            f"It has {', '.join(config.symbols)}: change the scenario's symbols, or --config",
        )
    return [i for i, symbol in enumerate(config.symbols) if not event.symbols or symbol in event.symbols]


def _factors(event: ScenarioEvent) -> list[tuple[int, float]]:
    rows = ((SCALE_VOLATILITY, event.volatility), (SCALE_RATE, event.rate), (SCALE_SPREAD, event.spread), (SCALE_QUANTITY, event.quantity))
    return [(what, factor) for what, factor in rows if factor != 1.0]


def script_of(scenario: Scenario, config: SimConfig, first_step: int) -> np.ndarray:
    """The script as the kernel follows it: float64 (m, 4) of step, what, instrument, value. Raises ConfigError for an unknown symbol."""
    rows: list[tuple[float, float, float, float]] = []
    for event in scenario.events:
        begin = first_step + round(event.at_minute * 60)
        end = begin + round(event.for_minutes * 60)
        steps = max(1, event.over_s)
        if not event.symbols and event.volatility != 1.0:
            rows.append((begin, SCALE_MARKET, 0, event.volatility))
            if event.for_minutes > 0:
                rows.append((end, SCALE_MARKET, 0, 1.0 / event.volatility))
        for i in _targets(event, config):
            follows = config.instruments[i].cointegrated is not None or config.instruments[i].pegged is not None
            if event.move_bps and (event.symbols or not follows):
                factor = 1.0 + event.move_bps * _BPS
                part = (natural_log(factor) if factor < 1.0 else -natural_log(1.0 / factor)) / steps  # the same bits everywhere
                rows += [(begin + k, SHIFT_ANCHOR if event.lasting and follows else SHIFT_VALUE, i, part) for k in range(steps)]
            rows += [(begin, what, i, factor) for what, factor in _factors(event)]
            if event.maker_share is not None:
                rows.append((begin, SET_MAKER_SHARE, i, event.maker_share))
            if event.for_minutes > 0:
                rows += [(end, what, i, 1.0 / factor) for what, factor in _factors(event)]
                if event.maker_share is not None:
                    rows.append((end, SET_MAKER_SHARE, i, config.flow.maker_share))
    return np.array(sorted(rows, key=lambda row: row[0]), np.float64).reshape(-1, 4)
