"""Who keeps trading paused: our reasons and the operator, through a real control page; a plain model of what each wants is the judge."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Control, Trading
from hftkit.control import FIRST_SLOT, SLOTS, WRITTEN, create_control, send_control
from live.door import Door


class Room:
    """A control page, an engine that obeys it as kernels/step.py does, and a door."""

    def __init__(self, folder: Path) -> None:
        self.path, self.said = folder / "control.page", []
        self.words, self.obeyed, self.trading = create_control(self.path), 0, Trading.ENABLED
        self.door = Door(lambda: self.words, lambda code: send_control(self.path, code), lambda event, **_: self.said.append(event))

    def operator(self, code: Control) -> None:
        send_control(self.path, code)

    def engine(self) -> None:
        while self.obeyed < self.words[WRITTEN]:
            code = int(self.words[FIRST_SLOT + self.obeyed % SLOTS])
            self.obeyed += 1
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
