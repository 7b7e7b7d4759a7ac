"""From configuration to the arrays of the synthetic market."""

from __future__ import annotations

import hashlib

import numpy as np

from hftkit.exchange.config import SimConfig
from hftkit.exchange.core.layout import AGENT, COMMAND, FUNDAMENTAL
from hftkit.exchange.core.matching import Books, new_books
from hftkit.exchange.market.flow.agents import Flow
from hftkit.exchange.market.flow.arrivals import schedule
from hftkit.exchange.market.flow.fundamentals import STEP_NS, advance_fundamentals, persistence_of
from hftkit.exchange.market.flow.random import LN2
from hftkit.exchange.market.flow.scenarios import Scenario, script_of
from hftkit.exchange.market.flow.splitting import HIDDEN
from hftkit.exchange.market.flow.volatility import new_volatility

SECONDS_PER_YEAR = 365 * 86_400
_BPS = 1e-4


def _streams(purpose: str, seed: int, n: int) -> np.ndarray:
    """Start states of n random streams, uint64 (n,).

    Hashed, because SplitMix64 streams whose states differ by a multiple of its increment are one stream, shifted.
    """
    texts = (f"{purpose} {seed} {i}".encode() for i in range(n))
    return np.array([int.from_bytes(hashlib.sha256(text).digest()[:8], "little") for text in texts], np.uint64)


def _fundamentals(config: SimConfig) -> np.ndarray:
    rows = np.zeros(len(config.instruments), FUNDAMENTAL.dtype)
    for i, (row, instrument) in enumerate(zip(rows, config.instruments, strict=True)):
        row["hedge"] = -1
        row["start"] = row["value"] = instrument.start_ticks
        row["beta"] = instrument.market_beta
        row["sigma"] = instrument.annual_volatility / np.sqrt(SECONDS_PER_YEAR)
        returns = instrument.cointegrated or instrument.pegged
        if returns is not None:
            persistence = persistence_of(returns.half_life_minutes * 60.0)
            row["hedge"] = i if instrument.cointegrated is None else config.symbols.index(instrument.cointegrated.hedge)
            row["ratio"] = 0.0 if instrument.cointegrated is None else instrument.cointegrated.hedge_ratio
            row["persistence"] = persistence
            row["noise"] = returns.spread_sd_bps * _BPS * np.sqrt(1.0 - persistence * persistence)
    return rows


def _own(value: float | None, common: float) -> float:
    return common if value is None else value


def _agents(config: SimConfig, values: np.ndarray, start_ns: int) -> np.ndarray:
    rows = np.zeros(len(config.instruments), AGENT.dtype)
    flow = config.flow
    for i, (row, instrument, value) in enumerate(zip(rows, config.instruments, values, strict=True)):
        row["last_id"] = (i + 1) << 40  # ids are unique within a house account, over all instruments
        row["rate"] = config.arrivals_per_s(i)
        row["maker_share"] = flow.maker_share
        row["informed_share"] = flow.informed_share
        row["half_spread"] = _own(instrument.half_spread_bps, flow.half_spread_bps) * _BPS * value
        row["depth"] = _own(instrument.depth_bps, flow.depth_bps) * _BPS * value
        row["max_qty"] = instrument.lots_for(instrument.max_quote_notional or flow.max_quote_notional)
        row["qty_scale"] = 1.0
        row["next_ns"] = start_ns
    return rows


def _excitation(config: SimConfig) -> np.ndarray:
    """Branching ratio, decay (1/s) and, as state, the stationary mean of the excess intensity."""
    flow = config.flow
    decay = LN2 / flow.excitation_half_life_s
    rows = [(flow.branching_ratio, decay, flow.branching_ratio * config.arrivals_per_s(i)) for i in range(len(config.instruments))]
    return np.array(rows, np.float64)


def new_market(config: SimConfig, seed: int | None = None, skip_minutes: int = 0, scenario: Scenario | None = None) -> tuple[Flow, Books]:
    """A synthetic market and its empty books, standing `skip_minutes` after the start of the configured span.

    `scenario` begins where the market stands. Same configuration, seed, skip and scenario: the same market, bit for bit.
    The fundamentals at a given time do not depend on the skip.
    """
    seed = config.seed if seed is None else seed
    n = len(config.instruments)
    places = config.flow.quotes_per_side
    steps = skip_minutes * 60
    start_ns = config.start_ns + steps * STEP_NS
    fundamentals, value_states = _fundamentals(config), _streams("fundamentals", seed, n + 1)
    market = np.array([config.market_annual_volatility / np.sqrt(SECONDS_PER_YEAR), 0.0])
    story = scenario or Scenario(name="calm")
    volatility = new_volatility(story.stochastic_volatility or config.volatility, _streams("volatility", seed, n + 1), persistence_of)
    clock = np.array([0, config.start_ns])
    advance_fundamentals(fundamentals, value_states, market, volatility, clock, steps)
    agent_states = _streams(f"agents {skip_minutes}", seed, n)
    agents = _agents(config, fundamentals["value"], start_ns)
    excitation = _excitation(config)
    schedule(agents, agent_states, excitation)
    flow = Flow(
        fundamentals=fundamentals,
        agents=agents,
        value_states=value_states,
        agent_states=agent_states,
        market=market,
        volatility=volatility,
        clock=clock,
        quotes=np.zeros((n, 2, places, 2), np.int64),
        commands=np.zeros(4 * places + 4, COMMAND.dtype),
        excitation=excitation,
        momentum=np.tile([config.flow.momentum_share, 0.0], (n, 1)),
        splitting=np.array([config.flow.splitting_exponent]),
        hidden=np.zeros((n, HIDDEN, 2), np.int64),
        script=script_of(story, config, steps),
        script_at=np.zeros(1, np.int64),
    )
    return flow, new_books([c.start_ticks for c in config.instruments], config.venue.max_orders, config.venue.ladder_ticks, config.venue.n_accounts)
