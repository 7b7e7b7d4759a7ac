"""The four hooks: which event calls which, of whom; what is missing is not called. And the capacity of one engine, with its errors."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from hftkit import layout
from hftkit.codes import EventKind, Hook, MessageType, Side
from hftkit.errors import ConfigError, ParamsError
from hftkit.instruments import Instrument
from hftkit.kernels.jit import kernel
from hftkit.params.execution import SinglePlan
from hftkit.params.format import FrozenParams
from hftkit.session.engine_state import Limits, SessionConfig, StrategyLimits, build_engine_state
from hftkit.strategies import Strategy, _registered
from hftkit.strategies.hook_table import hook_table
from tests.support import AAA, BBB, Machine, frame, frozen_by, frozen_pair, sealed

SEEN_POSITION = 4  # of state: what the strategy held when it was called last


@kernel
def on_book(slot, event, book, watch, held, params, state, signal):
    """Count; want one unit of the first instrument."""
    state[0] += 1.0
    state[SEEN_POSITION] = held[slot, 0].position
    signal[slot].zscore, signal[slot].target = 0.0, 1
    return 0


@kernel
def on_trade(slot, event, book, watch, held, params, state, signal):
    """Sum the lots."""
    state[1] += event[0].qty
    return 0


@kernel
def on_fill(slot, event, book, watch, held, params, state, signal):
    """Sum the lots; the position is that after the fill."""
    state[2] += event[0].qty
    state[SEEN_POSITION] = held[slot, 0].position
    return 0


@kernel
def on_timer(slot, event, book, watch, held, params, state, signal):
    """Count."""
    state[3] += 1.0
    return 0


HOOKS = {Hook.ON_BOOK: on_book, Hook.ON_TRADE: on_trade, Hook.ON_FILL: on_fill, Hook.ON_TIMER: on_timer}


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No parameters."""


def zeros(frozen: FrozenParams) -> np.ndarray:
    """Eight words."""
    return np.zeros(8)


def machine(monkeypatch: pytest.MonkeyPatch, *which: dict[Hook, object]) -> Machine:
    """Strategies that trade AAAUSD, watch BBBUSD besides, and have these hooks."""
    nothing = Strategy(name="counting", version=1, module=__name__, schema=Nothing, pack_params=zeros, pack_state=zeros, beliefs="nothing")
    monkeypatch.setitem(_registered, "counting", nothing)
    plan = SinglePlan(instrument="AAAUSD", unit_lots=100, slippage_ticks=5, retry_ns=10, watch=("BBBUSD",))
    frozen = [frozen_by(plan, "counting", {}, (AAA, BBB)) for _ in which]
    made = Machine(tuple(sealed(msgspec.structs.replace(one, name=f"counting-{i}")) for i, one in enumerate(frozen)))
    made.strategies = hook_table(which)
    made.start()
    return made


def trade(one: Machine, instrument: int, lots: int) -> None:
    one.feed(frame(MessageType.TRADE, instrument, 1, one.exchange_now, 1, int(Side.BUY), 1000, lots), False)


def test_each_event_calls_its_hook_and_no_other(monkeypatch):
    one = machine(monkeypatch, HOOKS, {Hook.ON_TRADE: on_trade})
    state = one.rooms.state
    orders = one.bbo(0, 1000, 1002)
    assert state[:, :4].tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]
    one.bbo(1, 400, 401)
    assert state[0, 0] == 2, "an instrument that is only watched calls it too"
    trade(one, 0, 7)
    trade(one, 1, 5)
    assert state[:, 1].tolist() == [12, 12]
    one.timer()
    assert state[:, 3].tolist() == [1, 0]
    (sent,) = orders
    one.answer(MessageType.ORDER_FILL, 0, sent[3][0], 9, 5, Side.BUY, 0, 1002, 60, 40, 0)
    assert state[:, 2].tolist() == [60, 0], "a fill is told to the strategy whose order it is"
    assert state[0, SEEN_POSITION] == 60
    assert one.rooms.slots["n_signals"].tolist() == [2 + 2 + 1 + 1, 2]
    assert one.rooms.session[0]["n_signals"] == 8
    assert math.isnan(one.rooms.signal["zscore"][1])


def test_a_fill_of_another_client_calls_nobody(monkeypatch):
    one = machine(monkeypatch, HOOKS)
    one.bbo(0, 1000, 1002)
    one.exchange_now += 1
    one.answer(MessageType.EXTERNAL_FILL, 0, 77, 5, int(Side.BUY), 1001, 30, 0, 0)
    assert one.rooms.state[0, 2] == 0
    assert one.rooms.held[0, 0]["position"] == 30, "but what it holds has changed"


def many(n: int, n_instruments: int = 2) -> SessionConfig:
    more = tuple(Instrument(symbol=f"X{i}USD", tick_size="0.01", lot_size="0.1") for i in range(n_instruments - 2))
    one = frozen_pair()
    strategies = tuple(msgspec.structs.replace(one, name=f"pair-{i}", digest="") for i in range(n))
    return SessionConfig(epoch=1, account=1, instruments=(AAA, BBB, *more), strategies=strategies, limits=Limits())


def test_64_strategies_over_256_instruments_are_built_and_have_room_for_all_their_wants():
    rooms = build_engine_state(many(64, 256))
    assert rooms.want.size == 128
    assert rooms.watchers.shape == (128, 2)
    assert rooms.watcher_start[-1] == 128
    assert rooms.order_out.size - 3584 == 384 + 16 * 128


def test_64_strategies_trade_in_one_step():
    one = Machine(many(64).strategies, Limits(max_open_orders=1000, order_burst=1000, max_exposure=10**6))
    one.start()
    one.bbo(1, 400, 401)
    orders = one.bbo(0, 1000, 1002)
    assert len(orders) == 64
    assert one.rooms.slots["n_orders"].tolist() == [1] * 64
    assert sorted(one.rooms.orders["strategy"][1:65].tolist()) == list(range(64))
    one.own(EventKind.TIMER)


def test_what_is_too_much_is_said_in_a_line():
    with pytest.raises(ConfigError, match="65 frozen files given, an engine runs 1 to 64"):
        build_engine_state(many(65))
    symbols = tuple(Instrument(symbol=f"W{i}USD", tick_size="0.01", lot_size="0.1") for i in range(layout.MAX_WATCHED))
    plan = SinglePlan(instrument="AAAUSD", unit_lots=1, slippage_ticks=0, retry_ns=0, watch=tuple(one.symbol for one in symbols))
    frozen = frozen_by(plan, "fixed_target", {"target": 1}, (AAA, *symbols))
    with pytest.raises(ParamsError, match="watches 65 instruments, a strategy watches 64 at the most"):
        build_engine_state(SessionConfig(epoch=1, account=1, instruments=(AAA, *symbols), strategies=(frozen,), limits=Limits()))
    with pytest.raises(ConfigError, match=r"limits\.strategy names nobody, which the session does not run"):
        build_engine_state(msgspec.structs.replace(many(1), limits=Limits(strategy={"nobody": StrategyLimits()})))
