"""Fundamental values: what each instrument is worth, second by second, whether anyone trades or not.

Model, for the log value x_i relative to its start (t in steps of one second, e independent standard normals):

    m(t)   = m(t-1) + w_m s_m e_m                              the market factor
    x_i(t) = x_i(t-1) + b_i (m(t) - m(t-1)) + w_i s_i e_i      an instrument of its own: a random walk, correlated through m
    u_i(t) = f_i u_i(t-1) + w_i d_i sqrt(1 - f_i^2) e_i        Ornstein-Uhlenbeck deviation, sampled exactly where w_i = 1
    x_i(t) = a_i + r_i x_h(t) + u_i(t)                         a partner: cointegrated with its hedge h at ratio r_i
    x_i(t) = a_i + u_i(t)                                      pegged to its start: a stablecoin

The anchors a are 0 until a scenario moves them: a relation that breaks, a peg that is lost. The factors w are 1, or wander round 1 (volatility.py).
Correlation through m is not cointegration: only partners return. The path depends on nothing but the seed and the step, so it can be fast-forwarded
without a market: that is how the simulator continues where the sample data ends.
"""

from __future__ import annotations

from typing import Any

from hftkit.exchange.market.flow.random import LN2, exponential_function, normal
from hftkit.exchange.market.flow.volatility import Volatility, step_volatility
from hftkit.kernels.jit import kernel

STEP_NS = 1_000_000_000


@kernel
def step_fundamentals(params: Any, states: Any, market: Any, volatility: Volatility) -> None:
    """One second of the model.

    `params`: layout.FUNDAMENTAL (n,), a partner after its hedge; its `x`, `u`, `value` are the state written here.
    `states`: uint64 (n + 1,), random streams, the last is the market's. `market`: float64 (2,) [s_m, m].
    `volatility`: the factors w, brought forward here.
    """
    n, factors = params.size, volatility.factors
    step_volatility(volatility)
    shock = market[0] * factors[n] * normal(states, n)
    market[1] += shock
    for i in range(n):
        row = params[i]
        if row.hedge < 0:
            row.x += row.beta * shock + row.sigma * factors[i] * normal(states, i)
        else:
            row.u = row.persistence * row.u + row.noise * factors[i] * normal(states, i)
            row.x = row.anchor + (row.ratio * params[row.hedge].x + row.u)
        row.value = row.start * exponential_function(row.x)


@kernel
def advance_fundamentals(params: Any, states: Any, market: Any, volatility: Volatility, clock: Any, until_step: int) -> None:
    """Run the model up to step `until_step`. `clock`: int64 (1,), steps done so far."""
    while clock[0] < until_step:
        step_fundamentals(params, states, market, volatility)
        clock[0] += 1


@kernel
def persistence_of(half_life_steps: float) -> float:
    """AR(1) coefficient per step of an Ornstein-Uhlenbeck process: 2 ** (-1 / half-life), the same bits everywhere."""
    return exponential_function(-LN2 / half_life_steps) if half_life_steps > 0.0 else 0.0
