"""What a reload does to an engine's state, and what it refuses (hftkit/session/reload.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hftkit.codes import Control, EventKind, MessageType, Reject, SignalReason, Trading
from hftkit.errors import ConfigError, JournalError, ParamsError
from hftkit.params.format import FrozenParams
from hftkit.session.engine_state import Limits, StrategyLimits
from hftkit.session.reload import Change, Replacement, carry_out, carry_out_recorded, config_after, plan_change
from hftkit.session.resume import Past, carry
from hftkit.strategies import pairs, strategy
from tests.support import AAA, BBB, CCC, Machine, frozen_basket, frozen_by, frozen_pair, frozen_quotes, sealed

_NEW, _CANCEL = MessageType.NEW_ORDER, MessageType.CANCEL_ORDER
BAR = 60_000_000_000
PAIRS = {"hedge_ratio": "1.0", "bar_ns": BAR, "window": 4, "entry_z": "1.0", "exit_z": "0.1", "stop_z": "9.0", "max_holding_bars": 3}


def take(machine: Machine, *files: FrozenParams, limits: Limits | None = None) -> list[Any]:
    """A reload of the slots in order; what leaves in its step."""
    change = Change(strategies=tuple(Replacement(slot=i, frozen=one) for i, one in enumerate(files)), limits=limits)
    machine.rooms, machine.config = carry_out(machine.rooms, machine.config, change)
    return machine.own(EventKind.CONTROL, int(Control.RELOAD))


def orders(sent: list[Any]) -> list[tuple[int, int, int]]:
    """Instrument, side and lots of the new orders."""
    return [(instrument, body[1], body[6]) for kind, instrument, _, body in sent if kind == _NEW]


def fill_all(machine: Machine) -> list[Any]:
    """The venue fills all that is open at the book; what leaves meanwhile."""
    before = len(machine.sent)
    for _ in range(8):
        for row in machine.rooms.orders[(machine.rooms.orders["client_order_id"] != 0) & np.isin(machine.rooms.orders["state"], (3, 4, 5))]:
            number, i, side, qty = (int(row[name]) for name in ("client_order_id", "instrument", "side", "qty"))
            book = machine.rooms.book[i]
            price = int(book["best_ask"] if side == 0 else book["best_bid"])
            machine.answer(MessageType.ORDER_FILL, i, number, 1, number & 0xFFFF, side, 0, price, qty, 0, 0)
    return machine.sent[before:]


def entered(frozen: FrozenParams | None = None, limits: Limits | None = None) -> Machine:
    """A pair that holds one unit."""
    machine = Machine(frozen or frozen_pair(), limits)
    machine.start()
    machine.bbo(0, 10_000, 10_001)
    machine.bbo(1, 2_000, 2_001)
    fill_all(machine)
    assert (int(machine.rooms.legs[0]["lead_position"]), int(machine.rooms.legs[0]["hedge_position"])) == (100, -80)
    machine.sent.clear()
    return machine


def test_what_is_held_keeps_its_unit_until_it_is_flat() -> None:
    machine = entered()
    assert orders(take(machine, frozen_pair(unit_lead_lots=50, unit_hedge_lots=-40))) == []
    assert int(machine.rooms.legs[0]["unit_lead"]) == 100
    leaving = frozen_pair(parameters={"target": 0}, unit_lead_lots=50, unit_hedge_lots=-40)
    assert orders(take(machine, leaving)) == [], "the target is the strategy's: it counts with its next look at a book"
    assert orders(machine.bbo(0, 10_000, 10_001)) == [(0, 1, 100)]
    fill_all(machine)
    assert int(machine.rooms.ledger["position"].any()) == 0
    take(machine, frozen_pair(unit_lead_lots=50, unit_hedge_lots=-40))
    assert orders(machine.bbo(0, 10_000, 10_001)) == [(0, 0, 50)]
    assert [entry[2] for entry in orders(fill_all(machine))] == [40]


def test_a_session_that_goes_on_with_this_one_holds_the_old_unit_and_enters_the_new_one() -> None:
    machine = entered()
    take(machine, frozen_pair(unit_lead_lots=50, unit_hedge_lots=-40))
    past = Past(Path("dead"), machine.config, machine.rooms, False, 1, 0)
    rooms = carry(past, msgspec.structs.replace(machine.config, epoch=2), machine.now)
    assert (int(rooms.legs[0]["unit_lead"]), int(rooms.legs[0]["unit_hedge"])) == (100, -80)
    assert rooms.units[0, :2].tolist() == [50, -40]


def test_what_fails_while_it_is_planned_changes_nothing() -> None:
    machine = entered()
    before = {name: getattr(machine.rooms, name).tobytes() for name in ("params", "state", "units", "limit", "risk", "slots", "legs")}
    planned = plan_change(machine.rooms, machine.config, Change(limits=Limits(max_loss=7)))
    assert {name: getattr(machine.rooms, name).tobytes() for name in before} == before
    assert planned.config.limits.max_loss == 7


def test_a_basket_keeps_its_units_too() -> None:
    machine = Machine(frozen_basket())
    machine.start()
    for i, (bid, ask) in enumerate(((10_000, 10_001), (2_000, 2_001), (2_000, 2_001))):
        machine.bbo(i, bid, ask)
    fill_all(machine)
    held = machine.rooms.held[0, :3]["position"].tolist()
    assert held == [100, -80, 60]
    take(machine, frozen_basket((50, -40, 30)))
    assert machine.rooms.basket_legs["unit"][:3].tolist() == [100, -80, 60]
    stopped = msgspec.structs.replace(frozen_basket((50, -40, 30)), parameters={"target": 0})
    take(machine, sealed(stopped))
    machine.bbo(0, 10_000, 10_001)
    fill_all(machine)
    machine.timer()
    assert not machine.rooms.held[0]["position"].any()
    assert machine.rooms.basket_legs["unit"][:3].tolist() == [50, -40, 30]


def test_a_loss_limit_below_the_loss_halts_at_once_and_leaves() -> None:
    machine = entered()
    loss = -int(machine.rooms.risk[0]["equity_e8"])
    assert 0 < loss < 10**8, "the spread that was paid"
    machine.bbo(0, 9_900, 9_901)  # 10 lots of a base unit, 1.00 down
    assert Trading(int(machine.rooms.risk[0]["trading"])) is Trading.ENABLED
    sent = take(machine, limits=Limits(max_loss=5))
    assert Reject(int(machine.rooms.risk[0]["halt_reason"])) is Reject.RISK_LOSS_LIMIT
    assert orders(sent) == [(0, 1, 100)]
    take(machine, limits=Limits(max_loss=5_000))
    assert Trading(int(machine.rooms.risk[0]["trading"])) is Trading.HALTED, "a halt of the account is for the session"


@pytest.mark.parametrize(
    ("limits", "again"),
    [
        (StrategyLimits(max_loss=5), False),
        (StrategyLimits(max_loss=6), False),
        (StrategyLimits(max_loss=1_000), True),
        (StrategyLimits(), True),
    ],
)
def test_a_strategy_that_its_loss_limit_has_stopped_trades_again_only_where_the_new_one_allows_it(limits: StrategyLimits, again: bool) -> None:
    machine = entered(limits=Limits(strategy={"test-pair": StrategyLimits(max_loss=5)}))
    machine.bbo(0, 9_900, 9_901)
    assert Trading(int(machine.rooms.slots[0]["trading"])) is Trading.FLATTENING
    fill_all(machine)
    take(machine, limits=Limits(strategy={"test-pair": limits}))
    assert (Trading(int(machine.rooms.slots[0]["trading"])) is Trading.ENABLED) == again


def quoting() -> Machine:
    """Two quotes of 90 lots that rest, acknowledged."""
    machine = Machine(frozen_quotes())
    machine.start()
    machine.bbo(0, 10_000, 10_002)
    for row in machine.rooms.orders[machine.rooms.orders["client_order_id"] != 0]:
        machine.answer(MessageType.ORDER_ACK, 0, int(row["client_order_id"]), 1000 + int(row["client_order_id"]) % 100)
    assert int(machine.rooms.open_qty[0]["n_orders"]) == 2
    return machine


@pytest.mark.parametrize(
    "limits",
    [
        Limits(max_position_lots=60),
        Limits(max_order_lots=60),
        Limits(max_order_notional=800),
        Limits(max_exposure=800),
        Limits(max_open_orders=1),
        Limits(strategy={"test-fixed_spread": StrategyLimits(max_position_lots=60)}),
        Limits(strategy={"test-fixed_spread": StrategyLimits(max_exposure=800)}),
        Limits(strategy={"test-fixed_spread": StrategyLimits(max_open_orders=1)}),
    ],
)
def test_a_resting_order_is_pulled_where_a_new_limit_forbids_it(limits: Limits) -> None:
    machine = quoting()
    pulled = [body[0] for kind, _, _, body in take(machine, limits=limits) if kind == _CANCEL]
    assert sorted(pulled) == sorted(int(row["client_order_id"]) for row in machine.rooms.orders if row["client_order_id"])


def test_and_else_it_is_not_touched() -> None:
    machine = quoting()
    allowing = Limits(max_position_lots=90, max_order_lots=90, max_exposure=1_000, max_open_orders=2)
    assert take(machine, frozen_quotes(retry_ns=5), limits=allowing) == []
    assert take(machine, limits=Limits()) == []


def test_the_window_goes_on_where_its_bars_are_the_same() -> None:
    before = frozen_pair("pairs", PAIRS)
    state = pairs.pack_state(before)
    state[pairs.TARGET], state[pairs.BARS_HELD], state[pairs.COUNT], state[pairs.MEAN] = 1.0, 7.0, 4.0, 0.25
    rule = strategy("pairs")
    assert rule.go_on(before, frozen_pair("pairs", {**PAIRS, "entry_z": "2.0"}), np.append(state, [0.0, 0.0])).tobytes() == state.tobytes()
    for other in ({"window": 5}, {"hedge_ratio": "1.1"}, {"zscore": "ewma"}, {"bar_ns": 2 * BAR}):
        fresh = rule.go_on(before, frozen_pair("pairs", {**PAIRS, **other}), state)
        assert (fresh[pairs.TARGET], fresh[pairs.COUNT], fresh[pairs.STARTED]) == (1.0, 0.0, 0.0)
        assert fresh[pairs.BARS_HELD] == (3.0 if "bar_ns" in other else 7.0)


def test_a_position_is_left_by_its_holding_limit_though_the_window_warms_up() -> None:
    machine = Machine(frozen_pair("pairs", PAIRS))
    machine.start()
    machine.rooms.state[0, pairs.TARGET] = machine.rooms.signal[0]["target"] = 1
    targets = []
    for _ in range(5):
        machine.bbo(0, 10_000, 10_001)
        machine.bbo(1, 2_000, 2_001)
        targets.append((int(machine.rooms.signal[0]["target"]), SignalReason(int(machine.rooms.signal[0]["reason"]))))
        machine.exchange_now += BAR
    assert [target for target, _ in targets[:4]] == [1, 1, 1, 0]
    assert targets[3][1] in (SignalReason.HOLDING_LIMIT, SignalReason.WARMING_UP)


def test_the_regression_goes_on_and_a_unit_of_its_lead_stays() -> None:
    rule = strategy("moving_hedge")
    values = {"bar_ns": BAR, "window": 3, "entry_z": "1.0", "exit_z": "0.1", "stop_z": "9.0", "max_holding_bars": 5}
    before = frozen_pair("moving_hedge", values)
    state = rule.pack_state(before)
    state[2] = 3.0
    assert rule.go_on(before, frozen_pair("moving_hedge", {**values, "entry_z": "2.0"}), state)[2] == 3.0
    assert rule.go_on(before, frozen_pair("moving_hedge", {**values, "drift": "0.01"}), state)[2] == 0.0
    with pytest.raises(ParamsError, match="keeps its unit"):
        rule.go_on(before, frozen_pair("moving_hedge", values, unit_lead_lots=50), state)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (sealed(msgspec.structs.replace(frozen_pair(), name="other")), "its name is other, the session runs test-pair"),
        (frozen_pair("pairs", PAIRS), "its strategy is pairs, the session runs fixed_target"),
        (frozen_pair(hedge=""), "its policy is single, the session runs pair"),
        (
            sealed(msgspec.structs.replace(frozen_pair(hedge="CCCUSD"), instruments=(AAA, BBB, CCC))),
            "its instruments traded differ: AAAUSD, CCCUSD, the session runs AAAUSD, BBBUSD",
        ),
    ],
)
def test_what_is_no_successor_is_refused_and_says_why(other: FrozenParams, why: str) -> None:
    machine = Machine(frozen_pair())
    with pytest.raises(ConfigError, match=why):
        config_after(machine.config, Change(strategies=(Replacement(slot=0, frozen=other),)))


def test_limits_of_what_is_not_there_and_the_age_of_quotes_are_refused() -> None:
    machine = entered()
    before = machine.rooms
    for limits, why in (
        (Limits(strategy={"nobody": StrategyLimits(max_loss=1)}), "limits.strategy names nobody"),
        (Limits(max_position_lots_by_symbol={"ZZZUSD": 1}), "names ZZZUSD"),
        (Limits(max_quote_age_ms=5), "max_quote_age_ms is 0 for the whole session"),
    ):
        with pytest.raises(ConfigError, match=why):
            carry_out(machine.rooms, machine.config, Change(limits=limits))
    assert machine.rooms is before
    assert int(machine.rooms.limit[0]["max_position"]) == Limits().max_position_lots


def test_a_recorded_change_that_was_altered_is_refused() -> None:
    machine = Machine(frozen_pair())
    altered = msgspec.structs.replace(frozen_pair(parameters={"target": -1}), parameters={"target": 0})
    words = Change(strategies=(Replacement(slot=0, frozen=altered),)).to_words()
    with pytest.raises(JournalError, match="holds what no session takes"):
        carry_out_recorded(machine.rooms, machine.config, words)
    with pytest.raises(JournalError, match="impossible length"):
        Change.from_words(words[:1])


def test_a_strategy_that_does_not_say_begins_anew_with_other_parameters() -> None:
    quotes = frozen_quotes()
    rule = strategy("fixed_spread")
    state = np.array([5.0])
    assert rule.go_on(quotes, frozen_quotes(requote_ticks=3), state)[0] == 5.0
    other = frozen_by(quotes.execution, "fixed_spread", {**quotes.parameters, "size_lots": 5}, (AAA,))  # type: ignore[arg-type]
    assert rule.go_on(quotes, other, state)[0] == 0.0
