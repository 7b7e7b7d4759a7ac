"""The files that `hftkit strategy new NAME` writes: a strategy that works, its test, and what pip needs to install it."""

from __future__ import annotations

STRATEGY = '''"""NAME: say here what it believes about the market, in one sentence.

It buys what has fallen by `entry_ticks` below its slow average, and sells it once it is back there.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from hftkit import FrozenParams, Instrument, SignalReason, Strategy
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.signals import mid_ticks
from hftkit.params.execution import SinglePlan


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is frozen, with the range of each: distance of an entry in ticks, weight of a new price in the average."""

    entry_ticks: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
    weight: Annotated[float, msgspec.Meta(gt=0, lt=1)]


ENTRY, WEIGHT = range(2)  # places in params
MEAN, TARGET = range(2)  # places in state
NONE, NO_BOOK, ENTER, LEAVE = (int(one) for one in (SignalReason.NONE, SignalReason.NO_BOOK, SignalReason.ENTRY, SignalReason.EXIT))


@kernel
def on_book(slot, event, book, watch, held, params, state, signal):
    """After a change of the book: write the wanted target into this strategy's own row of `signal`; returns the reason."""
    s = signal[slot]
    s.ts_event = event[0].ts_event  # the venue's clock: the only one that a replay has
    mid = mid_ticks(book[watch[slot, 0]])
    if not mid > 0.0:  # NaN unless the book is whole
        s.reason = NO_BOOK
        return s.reason
    if state[MEAN] == 0.0:
        state[MEAN] = mid
    state[MEAN] += (mid - state[MEAN]) * params[WEIGHT]
    target, reason = int(state[TARGET]), NONE
    if target == 0 and mid <= state[MEAN] - params[ENTRY]:
        target, reason = 1, ENTER
    elif target == 1 and mid >= state[MEAN]:
        target, reason = 0, LEAVE
    state[TARGET] = target
    s.spread, s.mean, s.std, s.zscore = mid, state[MEAN], params[ENTRY], (mid - state[MEAN]) / params[ENTRY]
    s.target, s.reason = target, reason
    return reason


def pack_params(frozen):
    """Parameters as the hook reads them: float64 (2,)."""
    values = STRATEGY.check(frozen, frozen.name)
    return np.array([values.entry_ticks, values.weight], np.float64)


def pack_state(frozen):
    """State before the first event: float64 (2,)."""
    return np.zeros(2, np.float64)


STRATEGY = Strategy(
    name="NAME",
    version=1,  # raise it whenever the same parameters would trade differently
    module=__name__,
    schema=Params,
    pack_params=pack_params,
    pack_state=pack_state,
    beliefs="what has fallen by some ticks comes back",
    policies=("single",),
)


def example():
    """Parameters to try it with: `hftkit strategy check` does."""
    one = Instrument(symbol="AAAUSD", tick_size="0.01", lot_size="0.1", min_notional="5", taker_fee_ppm=100)
    return FrozenParams(
        schema_version=1,
        name="NAME-example",
        strategy="NAME",
        strategy_version=STRATEGY.version,
        instruments=(one,),
        execution=SinglePlan(instrument="AAAUSD", unit_lots=100, slippage_ticks=5, retry_ns=10_000_000),
        parameters={"entry_ticks": "3.0", "weight": "0.01"},
        arrays={},
        provenance={"made_by": "hftkit strategy new"},
        valid_from_ns=0,
        valid_until_ns=2**62,
    )
'''

TEST = '''"""What `hftkit strategy check` asks of it, as a test."""

from pathlib import Path

from hftkit.strategy_tools.check import check_strategy

FILE = Path(__file__).with_name("NAME.py")


def test_it_may_trade():
    report = check_strategy(str(FILE))
    assert report.passed, "\\n".join(report.lines())
'''

PYPROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "NAME-strategy"
version = "1"
requires-python = ">=3.11"
dependencies = ["hftkit"]

# hftkit finds the strategy by this name.
[project.entry-points."hftkit.strategies"]
NAME = "NAME:STRATEGY"

[tool.setuptools]
py-modules = ["NAME"]
"""

FILES = {"NAME.py": STRATEGY, "test_NAME.py": TEST, "pyproject.toml": PYPROJECT}
