"""A timer event that is left out would have done nothing, and one that is run does something (kernels/due.py).

The step itself is the witness: every timer is run on the whole state, and what `timer_due` said before is held against what changed. Then the same
night twice: one engine is given every timer, the other only those that are due; both must send the same bytes and end in the same state.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Control, EventKind, MessageType
from hftkit.kernels.due import timer_due
from hftkit.session.engine_state import STATE_ROOMS
from tests import support
from tests.properties import maker_twin
from tests.properties import test_legs as legs_moves
from tests.properties import test_maker_first as maker_moves

COUNTED_ALONE = ("ts_now", "n_timers")  # what an idle timer changes in SESSION


def state_of(machine: support.Machine) -> dict[str, bytes]:
    """Every room that the digest covers, without what an idle timer changes."""
    state = {name: getattr(machine.rooms, name).tobytes() for name in STATE_ROOMS}
    session = machine.rooms.session.copy()
    for name in COUNTED_ALONE:
        session[name] = 0
    return {**state, "session": session.tobytes()}


class Witness(support.Machine):
    """Runs every timer, and holds what timer_due said against what the step did. Time passes in `parts` of what the test asks for."""

    n_idle = n_due = 0
    parts = 7

    def timer(self, after_ns: int = 1_000_000):
        sent = []
        for _ in range(self.parts):
            self.now += after_ns // self.parts
            sent += self.tick()
        return sent

    def tick(self):
        due, before = timer_due(self.rooms, self.now), state_of(self)
        n_data, n_vetoes = len(self.data_sent), int(self.rooms.risk["n_vetoes"][0])
        frames = self.own(EventKind.TIMER)
        did = bool(frames) or len(self.data_sent) > n_data or int(self.rooms.risk["n_vetoes"][0]) > n_vetoes or state_of(self) != before
        assert due == did, "a timer that would have done something was called idle" if did else "an idle timer was called due"
        type(self).n_due += due
        type(self).n_idle += not due
        return frames


class Thinned(Witness):
    """Runs the timers that are due, and no others."""

    def tick(self):
        return self.own(EventKind.TIMER) if timer_due(self.rooms, self.now) else []


def game(kind: type[support.Machine], module, player, monkeypatch: pytest.MonkeyPatch):
    """A player of another property test whose engine is of this kind."""
    with monkeypatch.context() as patch:
        patch.setattr(module, "Machine", kind)
        return player()


@settings(max_examples=120)
@given(maker_moves.EVENTS)
def test_an_idle_timer_does_nothing_and_a_due_one_does_something(events):
    with pytest.MonkeyPatch.context() as patch:
        maker_moves.play(game(Witness, maker_twin, maker_twin.Twin, patch), events)


@settings(max_examples=120)
@given(legs_moves.EVENTS)
def test_the_same_holds_for_a_pair_that_takes(events):
    with pytest.MonkeyPatch.context() as patch:
        market = game(Witness, legs_moves, legs_moves.Market, patch)
        for name, number in events:
            if name in ("fill", "part", "cancel", "reject"):
                market.venue(name, number)
            elif name == "quote":
                market.quote(number % 7 - 3)
            elif name in ("timer", "long"):
                market.take(market.machine.timer(legs_moves.RETRY if name == "timer" else legs_moves.DEADLINE + 7))
            elif name == "flip":
                market.machine.rooms.params[0, 0] = number % 3 - 1
                market.quote(0)
            elif name == "ratio":
                market.move_ratio(-20 - number)
            else:
                market.take(market.machine.own(EventKind.CONTROL, int(Control[name.upper()])))
            market.check()


@settings(max_examples=100)
@given(maker_moves.EVENTS, st.sampled_from([Control.STOP, Control.HALT_VENUE, Control.RESUME]))
def test_a_session_without_its_idle_timers_sends_the_same_bytes_and_ends_in_the_same_state(events, last):
    nights = []
    for kind in (Witness, Thinned):
        with pytest.MonkeyPatch.context() as patch:
            twin = game(kind, maker_twin, maker_twin.Twin, patch)
            maker_moves.play(twin, events)
            twin.control(last)
            twin.take(twin.machine.timer(maker_twin.DEADLINE))
            nights.append((twin.machine.sent, twin.machine.data_sent, state_of(twin.machine)))
    assert nights[0] == nights[1]


def test_a_quiet_session_is_left_alone_until_its_heartbeat():
    machine = support.Machine(heartbeat_ns=1_000_000_000)
    assert not timer_due(machine.rooms, machine.now), "nothing is due before the logon"
    machine.start()
    machine.bbo(0, 1000, 1002)
    machine.bbo(1, 400, 401)
    looks = [after for after in range(1_000_000, 1_500_000_000, 1_000_000) if timer_due(machine.rooms, machine.now + after)]
    assert looks[0] == 1_000_000_000
    machine.now += 1_000_000_000
    assert [kind for kind, *_ in machine.own(EventKind.TIMER)] == [MessageType.HEARTBEAT]
    assert not timer_due(machine.rooms, machine.now)


def test_the_copy_that_is_tried_leaves_the_state_alone():
    machine = support.Machine()
    machine.start()
    machine.bbo(0, 1000, 1002)
    machine.bbo(1, 400, 401)
    machine.rooms.signal[0]["target"] = 0  # the entry is under way
    before = {name: np.copy(getattr(machine.rooms, name)) for name in (*STATE_ROOMS, "want", "allowed", "order_out", "out_end")}
    assert timer_due(machine.rooms, machine.now), "it is not wanted any more"
    for name, room in before.items():
        assert room.tobytes() == getattr(machine.rooms, name).tobytes(), name
