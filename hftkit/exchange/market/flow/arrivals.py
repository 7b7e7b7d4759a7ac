"""When traders arrive: a Poisson or a Hawkes process of one instrument.

Hawkes (Biometrika 1971), exponential kernel: each arrival raises the intensity by n b, which decays at the rate b, so that it brings about n further
arrivals in the mean (the branching ratio):

    intensity(t) = rate (1 - n) + the sum over past arrivals s of n b exp(-b (t - s))

The mean rate is `rate` whatever n. Sampled exactly, by Ogata's thinning (1981): between arrivals the intensity only falls, so its present value
bounds it.
"""

from __future__ import annotations

from typing import Any

from hftkit.exchange.market.flow.random import exponential_function, uniform, waiting_time_ns
from hftkit.kernels.jit import kernel

BRANCHING, DECAY, EXCITED = 0, 1, 2  # places of a row of excitation
_LONG = 30.0  # half-lives, in natural units, after which nothing is left


@kernel
def wait_ns(states: Any, stream: int, rate: float, excitation: Any) -> int:
    """Time from now to the next arrival, ns; brings the excited part of the intensity up to that moment.

    `excitation`: float64 (3,): branching ratio, decay 1/s, state: intensity above the base, 1/s. `rate`: mean of all arrivals, 1/s.
    """
    if excitation[BRANCHING] == 0.0:
        return waiting_time_ns(states, stream, rate)
    base, total = rate * (1.0 - excitation[BRANCHING]), 0
    while True:
        bound = base + excitation[EXCITED]
        wait = waiting_time_ns(states, stream, bound)
        total += wait
        excitation[EXCITED] *= exponential_function(-min(_LONG, excitation[DECAY] * float(wait) * 1e-9))
        if uniform(states, stream) * bound <= base + excitation[EXCITED]:
            return total


@kernel
def next_wait_ns(states: Any, stream: int, rate: float, excitation: Any) -> int:
    """The same after an arrival now, which excites the following ones."""
    excitation[EXCITED] += excitation[BRANCHING] * excitation[DECAY]
    return wait_ns(states, stream, rate, excitation)


@kernel
def schedule(agents: Any, states: Any, excitation: Any) -> None:
    """The first arrival of every instrument. `agents`: layout.AGENT (n,), `next_ns` the start; `excitation`: float64 (n, 3)."""
    for i in range(agents.size):
        agents[i].next_ns += wait_ns(states, i, agents[i].rate, excitation[i])
