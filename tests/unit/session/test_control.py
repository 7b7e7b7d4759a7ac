"""The control page as a file: private, made once, refused where it is not one; answers in words."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys

import numpy as np
import pytest

from hftkit.codes import Control, Outcome, Trading
from hftkit.compilation.warmup_core import example_session
from hftkit.errors import HftkitError
from hftkit.kernels.memory.control import SLOTS, answer_command, command_at
from hftkit.session.control import CONTROL_MAGIC, Answer, ControlPage, send_control
from hftkit.session.engine_state import build_engine_state


def obey(page: ControlPage, number: int, trading: Trading, admitted: bool = True) -> None:
    rooms = build_engine_state(example_session())
    rooms.risk[0]["trading"] = int(trading)
    answer_command(page.words, number, int(command_at(page.words, number - 1)), admitted, rooms.risk, rooms.session, 5)


def test_it_is_private_and_allocated_whole(tmp_path):
    old = os.umask(0)
    try:
        ControlPage.create(tmp_path / "session" / "control.page")
    finally:
        os.umask(old)
    found = (tmp_path / "session" / "control.page").stat()
    assert found.st_mode & 0o777 == 0o600
    assert (tmp_path / "session").stat().st_mode & 0o777 == 0o700
    assert found.st_blocks * 512 >= found.st_size >= 1


def test_what_is_there_already_is_never_taken_over(tmp_path):
    (tmp_path / "theirs").write_bytes(b"x" * 4096)
    (tmp_path / "control.page").symlink_to(tmp_path / "theirs")
    with pytest.raises(HftkitError, match="exists already"):
        ControlPage.create(tmp_path / "control.page")
    assert (tmp_path / "theirs").read_bytes() == b"x" * 4096


@pytest.mark.parametrize("what", ["nothing", "short", "foreign", "older", "link", "fifo", "folder"])
def test_what_is_no_control_page_is_refused_in_one_line(tmp_path, what):
    path = tmp_path / "control.page"
    words = np.zeros(512, np.int64)
    if what == "short":
        path.write_bytes(b"HFTKC2")
    elif what in ("foreign", "older"):
        words[0] = 0x3143_4B54_4648 if what == "older" else 1
        path.write_bytes(words.tobytes())
    elif what == "link":
        ControlPage.create(tmp_path / "real.page")
        path.symlink_to(tmp_path / "real.page")
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    with pytest.raises(HftkitError) as refused:
        ControlPage.attach(path)
    assert "\n" not in str(refused.value)
    assert refused.value.cure


def test_the_page_of_another_session_is_refused(tmp_path):
    ControlPage.create(tmp_path / "control.page", key=7)
    assert ControlPage.attach(tmp_path / "control.page", key=7).words[0] == CONTROL_MAGIC
    with pytest.raises(HftkitError, match="another session"):
        ControlPage.attach(tmp_path / "control.page", key=8)


def test_a_lock_on_the_file_holds_nobody_up(tmp_path):
    """Another process that may read it holds every kind of lock there is: commands go through all the same."""
    page = ControlPage.create(tmp_path / "control.page")
    program = "import fcntl, sys; f = open(sys.argv[1], 'rb'); fcntl.flock(f, fcntl.LOCK_EX); print('locked', flush=True); sys.stdin.read()"
    locker = subprocess.Popen(
        [sys.executable, "-c", program, str(page.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    try:
        assert locker.stdout is not None
        assert locker.stdout.readline() == "locked\n"
        with page.path.open("rb") as stream, pytest.raises(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert send_control(page.path, Control.FLATTEN) == 1
        assert page.post(Control.STOP) == 2
    finally:
        locker.communicate()


def test_the_engine_keeps_its_page_when_the_path_is_gone_or_replaced(tmp_path):
    page = ControlPage.create(tmp_path / "control.page")
    page.path.unlink()
    ControlPage.create(tmp_path / "control.page")
    assert page.post(Control.STOP) == 1
    assert command_at(page.words, 0) == Control.STOP


def test_an_engine_that_answers_nothing_is_not_written_over(tmp_path):
    page = ControlPage.create(tmp_path / "control.page")
    assert [page.send(Control.PAUSE) for _ in range(SLOTS)] == list(range(1, SLOTS + 1))
    with pytest.raises(HftkitError, match="not answered"):
        page.send(Control.FLATTEN)
    assert page.post(Control.STOP) == 0
    obey(page, 1, Trading.PAUSED)
    assert page.post(Control.STOP) == SLOTS + 1


def test_an_answer_is_waited_for_and_says_done_or_why_not(tmp_path):
    page = ControlPage.create(tmp_path / "control.page")
    number = page.send(Control.RESUME)
    assert page.wait(number, 0.01) is None
    obey(page, number, Trading.HALTED)
    told = page.wait(number, 5.0)
    assert told is not None
    assert (told.outcome, told.trading) == (Outcome.REFUSED, Trading.HALTED)
    assert told.text.startswith("refused: trading is halted")
    number = page.send(Control.PAUSE)
    obey(page, number, Trading.PAUSED)
    assert page.answer(number).text == "done: trading is paused"
    assert isinstance(page.answer(1), Answer)


def test_nobody_there_is_known_soon(tmp_path):
    page = ControlPage.create(tmp_path / "control.page")
    assert page.wait(page.send(Control.STOP), 3600.0, alive=lambda: False) is None


def test_a_command_that_was_not_taken_can_be_withdrawn(tmp_path):
    page = ControlPage.create(tmp_path / "control.page")
    first, second = page.send(Control.RESUME), page.send(Control.RESUME)
    obey(page, first, Trading.ENABLED)
    assert not page.withdraw(first, Control.RESUME)
    assert page.withdraw(second, Control.RESUME)
    assert page.command(second) == Control.NONE
