"""Which side noise takers trade on: each time anew by a coin, or as pieces of large orders that were split.

Lillo, Mike, Farmer (Physical Review E 71, 2005): HIDDEN large orders are being worked at any time. Each piece is of one of them, picked at random;
one that is done is replaced by another of a random side, whose number of pieces L has the tail P(L >= l) = l^-a. The signs of the pieces then have an
autocorrelation that falls as lag^-(a - 1): long memory for 1 < a < 2, as in real order flow, where a is about 1.5 (Lillo, Farmer 2004).
"""

from __future__ import annotations

from typing import Any

from hftkit.codes import Side
from hftkit.exchange.market.flow.random import below, exponential_function, natural_log, uniform
from hftkit.kernels.jit import kernel

HIDDEN = 4
SIDE, LEFT = 0, 1  # columns of a hidden order
_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_MOST = 1e6  # pieces of one order


@kernel
def toss(states: Any, stream: int) -> int:
    """Either side, a coin's throw."""
    return _BUY if uniform(states, stream) < 0.5 else _SELL


@kernel
def next_side(states: Any, stream: int, hidden: Any, exponent: float) -> int:
    """Side of the next piece. `hidden`: int64 (HIDDEN, 2), state: side and pieces left, 0 before the first; `exponent`: a, 0 for the coin alone."""
    if exponent == 0.0:
        return toss(states, stream)
    order = hidden[below(states, stream, HIDDEN)]
    if order[LEFT] == 0:
        order[SIDE] = toss(states, stream)
        order[LEFT] = int(min(_MOST, exponential_function(-natural_log(1.0 - uniform(states, stream)) / exponent)))
    order[LEFT] -= 1
    return int(order[SIDE])
