"""A first compilation is said while it lasts: plain lines in a pipe, one line kept up to date on a terminal, nothing where all is cached."""

from __future__ import annotations

import io

import pytest
from numba.core import event

from hftkit.compilation.compile_progress import PATIENCE_S, PLAIN_EVERY_S, Announcer, compilation_said
from hftkit.kernels.jit import kernel


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock():
    return [0.0]


def test_a_pipe_gets_a_line_now_and_then(clock):
    out = io.StringIO()
    announcer = Announcer(out, lambda: clock[0])
    announcer.started("hot_loop")
    announcer.turn()
    assert out.getvalue() == ""  # not worth a word yet
    clock[0] = PATIENCE_S
    announcer.turn()
    announcer.turn()
    announcer.started("inner")
    announcer.ended()
    clock[0] += PLAIN_EVERY_S
    announcer.turn()
    announcer.ended()
    announcer.finish()
    lines = out.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "compiling hot_loop",
        "compiling hot_loop",
        "compiled 2 functions in 12 s, kept for the next time",
    ]
    assert "1 functions done" in lines[1]
    assert "hftkit warmup" in lines[0]


def test_a_terminal_keeps_one_line_up_to_date(clock):
    out = Terminal()
    announcer = Announcer(out, lambda: clock[0])
    announcer.started("hot_loop")
    for clock[0] in (2.0, 3.0):
        announcer.turn()
    announcer.ended()
    announcer.finish()
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().count("\r\x1b[2K") == 3


def test_what_is_quick_or_cached_is_not_said(clock):
    out = io.StringIO()
    announcer = Announcer(out, lambda: clock[0])
    announcer.turn()
    announcer.started("small")
    announcer.turn()
    announcer.ended()
    clock[0] = 60.0
    announcer.turn()
    announcer.finish()
    assert out.getvalue() == ""


def test_numba_tells_of_what_it_compiles():
    """numba's own event, as its dispatcher triggers it where the disk cache has nothing."""
    with compilation_said(io.StringIO()) as announcer:
        with event.trigger_event("numba:compile", data={"dispatcher": kernel(lambda x: x)}):
            assert announcer._running == ["<lambda>"]
        assert (announcer._done, announcer._running) == (1, [])
    with event.trigger_event("numba:compile", data={}):
        assert announcer._running == []  # nobody listens any more
