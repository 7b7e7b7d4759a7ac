"""Who keeps trading paused: our reasons and the operator, through a real control page; a plain model of what each wants is the judge."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Control, Trading
from hftkit.compilation.warmup_core import example_session
from hftkit.kernels.memory.control import NO_COMMAND, SLOTS, WRITTEN, answer_command, command_at
from hftkit.session.control import ControlPage, send_control
from hftkit.session.engine_state import build_engine_state
from live.link.door import TradingGate


class Room:
    """A control page, an engine that obeys it as kernels/step.py does, and a door."""

    def __init__(self, folder: Path) -> None:
        self.path, self.said = folder / "control.page", []
        self.page, self.obeyed, self.trading = ControlPage.create(self.path), 0, Trading.ENABLED
        self.rooms, self.words = build_engine_state(example_session()), self.page.words
        self.door = TradingGate(self.page.command, self.page.post, lambda event, **_: self.said.append(event))

    def operator(self, code: Control) -> None:
        send_control(self.path, code)

    def engine(self) -> None:
        while (code := int(command_at(self.words, self.obeyed))) != NO_COMMAND:
            self.obeyed += 1
            answer_command(self.words, self.obeyed, code, True, self.rooms.risk, self.rooms.session, 0)
            if code == Control.PAUSE:
                self.trading = max(self.trading, Trading.PAUSED)
            elif code == Control.RESUME and self.trading <= Trading.FLATTENING:
                self.trading = Trading.ENABLED

    def turn(self, *reasons: str) -> Trading:
        self.engine()
        self.door.turn(int(self.trading), set(reasons))
        self.engine()
        return self.trading


def test_a_pause_of_ours_is_lifted_by_us(tmp_path):
    room = Room(tmp_path)
    assert [room.turn(), room.turn("breaker"), room.turn("breaker"), room.turn()] == [0, 1, 1, 0]
    assert room.said == ["paused", "resumed"]
    assert room.words[WRITTEN] == 2


def test_an_operators_pause_during_ours_stays_and_is_his_to_lift(tmp_path):
    room = Room(tmp_path)
    room.turn("breaker")
    room.operator(Control.PAUSE)
    assert [room.turn("breaker"), room.turn(), room.turn()] == [Trading.PAUSED] * 3
    assert room.said == ["paused", "stays_paused"]
    room.operator(Control.RESUME)
    assert room.turn() == Trading.ENABLED


def test_an_operators_pause_before_ours_stays_too(tmp_path):
    room = Room(tmp_path)
    room.operator(Control.PAUSE)
    assert [room.turn(), room.turn("breaker"), room.turn()] == [Trading.PAUSED] * 3
    assert room.said == []


def test_a_resume_while_a_reason_stands_is_answered_with_another_pause(tmp_path):
    room = Room(tmp_path)
    room.turn("breaker")
    room.operator(Control.RESUME)
    room.turn("breaker")
    assert room.turn("breaker") == Trading.PAUSED
    assert room.turn() == Trading.ENABLED


def test_a_burst_longer_than_the_page_counts_as_a_pause_of_the_operator(tmp_path):
    """What it cannot read any more may have been a PAUSE: it is the operator's RESUME that puts this right, not ours."""
    room = Room(tmp_path)
    room.turn("breaker")
    room.operator(Control.PAUSE)
    for _ in range(SLOTS + 1):
        room.operator(Control.NONE)
        room.engine()
    assert [room.turn(), room.turn()] == [Trading.PAUSED] * 2
    room.operator(Control.RESUME)
    assert room.turn() == Trading.ENABLED


def test_a_page_that_has_no_room_delays_our_pause_and_loses_none(tmp_path):
    room = Room(tmp_path)
    for _ in range(SLOTS):
        room.operator(Control.NONE)
    room.door.turn(int(room.trading), {"breaker"})
    assert room.said == []
    assert room.turn("breaker") == Trading.PAUSED  # the engine has taken them: there is room
    assert room.turn() == Trading.ENABLED


def test_a_halt_is_nobodys_to_lift(tmp_path):
    room = Room(tmp_path)
    room.turn("breaker")
    room.trading = Trading.HALTED
    assert [room.turn("breaker"), room.turn()] == [Trading.HALTED] * 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["pause", "resume", "breaker", "well", "nothing"]), max_size=40))
def test_trading_is_paused_exactly_while_one_of_the_two_wants_it(history):
    with tempfile.TemporaryDirectory() as folder:
        room, reasons, operator = Room(Path(folder)), (), False
        for event in history:
            if event in ("pause", "resume"):
                operator = event == "pause"
                room.operator(Control[event.upper()])
            elif event != "nothing":
                reasons = ("breaker",) if event == "breaker" else ()
            room.turn(*reasons)
            room.turn(*reasons)  # a turn of the engine between
            assert (room.trading == Trading.PAUSED) == (operator or bool(reasons))
