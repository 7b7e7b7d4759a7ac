"""The control page's queue: a plain list is the judge of what is put, taken, answered and withdrawn; threads that race lose and double nothing."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Control, Outcome, Trading
from hftkit.compilation.warmup_core import example_session
from hftkit.kernels.memory.control import (
    A_CODE,
    A_NUMBER,
    A_OUTCOME,
    ANSWER_WORDS,
    FIRST_ANSWER,
    FIRST_SLOT,
    NO_COMMAND,
    OPEN,
    SLOTS,
    WORDS,
    WRITTEN,
    admits,
    answer_command,
    command_at,
    put_command,
    withdraw_command,
)
from hftkit.session.engine_state import build_engine_state

ROOMS = build_engine_state(example_session())


def answer(words: np.ndarray, number: int, code: int, admitted: bool = True) -> None:
    answer_command(words, number, code, admitted, ROOMS.risk, ROOMS.session, number)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.integers(1, 9), st.just("take"), st.just("withdraw")), max_size=120))
def test_commands_come_out_in_order_once_and_none_overruns_another(history):
    words, given_, taken, seen = np.zeros(WORDS, np.int64), [], [], 0
    for what in history:
        if what == "take":
            code = int(command_at(words, seen))
            if code != NO_COMMAND:
                seen += 1
                taken.append(code)
                answer(words, seen, code)
        elif what == "withdraw":
            if given_:
                was = withdraw_command(words, len(given_), given_[-1])
                assert was == (len(given_) > seen and given_[-1] != 0) or (given_[-1] == 0 and len(given_) > seen)
                if was:
                    given_[-1] = 0
        else:
            number = put_command(words, what)
            assert number == (len(given_) + 1 if len(given_) - seen < SLOTS else 0)
            if number:
                given_.append(what)
        assert taken == given_[:seen]


def test_writers_that_race_lose_nothing_and_double_nothing():
    """Four writers of 500 commands each against one reader; each writer's commands stay in its own order."""
    words, n, taken = np.zeros(WORDS, np.int64), 500, []
    numbers: list[list[int]] = [[] for _ in range(4)]

    def write(me: int) -> None:
        for _ in range(n):
            while not (number := int(put_command(words, me + 1))):
                pass
            numbers[me].append(number)

    threads = [threading.Thread(target=write, args=(me,)) for me in range(4)]
    for thread in threads:
        thread.start()
    while len(taken) < 4 * n:
        code = int(command_at(words, len(taken)))
        if code != NO_COMMAND:
            taken.append(code)
            answer(words, len(taken), code)
    for thread in threads:
        thread.join()
    assert sorted(number for mine in numbers for number in mine) == list(range(1, 4 * n + 1))
    for me, mine in enumerate(numbers):
        assert mine == sorted(mine)
        assert [taken[number - 1] for number in mine] == [me + 1] * n


def test_a_writer_that_dies_between_its_two_writes_holds_nobody_up():
    words = np.zeros(WORDS, np.int64)
    words[FIRST_SLOT] = 1 << 8 | int(Control.PAUSE)  # published; it was killed before it could say so in `written`
    assert words[WRITTEN] == 0
    assert put_command(words, int(Control.STOP)) == 2
    assert [int(command_at(words, seen)) for seen in range(3)] == [Control.PAUSE, Control.STOP, NO_COMMAND]


@pytest.mark.parametrize("code", [0, max(Control) + 1, 200, 255])
def test_a_code_that_is_none_is_not_admitted(code):
    words = np.zeros(WORDS, np.int64)
    words[OPEN] = 1
    assert not admits(words, code)


def test_until_start_up_is_complete_a_person_may_only_stop():
    words = np.zeros(WORDS, np.int64)
    person = (Control.PAUSE, Control.RESUME, Control.FLATTEN, Control.STOP)
    assert [admits(words, int(code)) for code in person] == [False, False, False, True]
    answer(words, 1, int(Control.ENABLE))
    assert all(admits(words, int(code)) for code in person)


@pytest.mark.parametrize(
    ("code", "trading", "stop", "outcome"),
    [
        (Control.PAUSE, Trading.PAUSED, 0, Outcome.DONE),
        (Control.PAUSE, Trading.HALTED, 0, Outcome.DONE),
        (Control.RESUME, Trading.ENABLED, 0, Outcome.DONE),
        (Control.RESUME, Trading.HALTED, 0, Outcome.REFUSED),
        (Control.RESUME, Trading.STOPPING, 1, Outcome.REFUSED),
        (Control.FLATTEN, Trading.FLATTENING, 0, Outcome.DONE),
        (Control.FLATTEN, Trading.PAUSED, 0, Outcome.DONE),
        (Control.STOP, Trading.STOPPING, 1, Outcome.DONE),
        (Control.STOP, Trading.HALTED, 1, Outcome.DONE),
        (Control.HALT_CLOCK, Trading.HALTED, 0, Outcome.DONE),
    ],
)
def test_an_answer_says_what_the_state_after_it_says(code, trading, stop, outcome):
    words, rooms = np.zeros(WORDS, np.int64), build_engine_state(example_session())
    rooms.risk[0]["trading"], rooms.session[0]["stop_requested"] = int(trading), stop
    answer_command(words, 3, int(code), True, rooms.risk, rooms.session, 5)
    row = words[FIRST_ANSWER + 2 * ANSWER_WORDS :]
    assert [int(row[A_NUMBER]), int(row[A_CODE]), int(row[A_OUTCOME])] == [3, code, outcome]
