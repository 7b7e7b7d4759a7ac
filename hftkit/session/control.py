"""The control page: how a panel, a terminal or a signal handler tells a running engine to pause, resume, flatten or stop, and hears what came of it.

One mapped file of int64 words, private to its user: a queue without locks (kernels/memory/control.py). The engine looks at it in every turn of its
loop and answers each command in the turn that runs it. It keeps its own mapping: what happens to the path later does not concern it.
"""

from __future__ import annotations

import mmap
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hftkit.clock import monotonic_s
from hftkit.codes import Control, Outcome, Reject, Trading
from hftkit.errors import HftkitError
from hftkit.kernels.memory import control as queue
from hftkit.system.process_id import ProcessId, own_process_id

CONTROL_PAGE = "control.page"  # its name in a session's folder
CONTROL_MAGIC = 0x3243_4B54_4648  # "HFTKC2"
_FIRST_MAGIC = 0x3143_4B54_4648  # "HFTKC1": a page without answers
PAGE_BYTES = 4096
WORDS = queue.WORDS
LOST = -1  # in place of the code of a command that is too long ago
_POLL_S = 0.002
_GRACE_S = 0.5  # a process that cannot be seen is dead, or lives in another container: it may answer still


@dataclass(frozen=True)
class Answer:
    """What the engine made of command `number`. `trading`, `halt_reason`: its state after it; `time_ns`: monotonic."""

    number: int
    code: int
    outcome: Outcome
    trading: Trading
    halt_reason: Reject
    time_ns: int

    @property
    def text(self) -> str:
        """In words: done, or refused and why."""
        if self.outcome is Outcome.DONE:
            return f"done: trading is {self.state}"
        if self.code == Control.NONE:
            return "refused: no such command"
        if self.code in (Control.PAUSE, Control.RESUME, Control.FLATTEN) and self.trading is Trading.PAUSED:
            return "refused: start-up is not complete, or the session only observes"
        return f"refused: trading is {self.state}"

    @property
    def state(self) -> str:
        """What the engine may do, in words."""
        halted = f" ({self.halt_reason.text})" if self.trading is Trading.HALTED else ""
        return f"{self.trading.text}{halted}"


class ControlPage:
    """A mapped control page. `create` in the engine, `attach` anywhere else; `words`: int64 (WORDS,)."""

    def __init__(self, path: Path, words: np.ndarray) -> None:
        self.path, self.words = path, words

    @classmethod
    def create(cls, path: Path, key: int = 0) -> ControlPage:
        """Make the page of this process. `key`: a number that names the session. Raises HftkitError if something is there already."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise HftkitError(f"{path} exists already", "Choose another session id: each session has a folder of its own") from None
        try:
            os.posix_fallocate(descriptor, 0, PAGE_BYTES)  # its block now: on a full disk a touched page would kill the process
            words = np.frombuffer(mmap.mmap(descriptor, PAGE_BYTES), np.int64)[:WORDS]
        except OSError as error:
            path.unlink()
            raise HftkitError(f"no room for the control page {path} ({error.strerror})", "Free some space") from None
        finally:
            os.close(descriptor)
        me = own_process_id()
        words[queue.PID], words[queue.STARTED], words[queue.KEY] = me.pid, me.started, key
        words[queue.MAGIC] = CONTROL_MAGIC
        return cls(path, words)

    @classmethod
    def attach(cls, path: Path | str, key: int | None = None) -> ControlPage:
        """Map the page of an engine. `key`: refuse that of any other session. Raises HftkitError, in one line."""
        path = Path(path)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise HftkitError(f"no control page at {path}: {why}", "Is the engine running? `hftkit sessions` lists them") from None
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size < WORDS * 8:
                raise HftkitError(f"{path} is not a control page", "Give the session's folder; `hftkit sessions` lists them")
            if found.st_uid != os.geteuid() and os.geteuid() != 0:
                raise HftkitError(f"{path} belongs to another user", "Send commands as the user that runs the engine")
            words = np.frombuffer(mmap.mmap(descriptor, WORDS * 8), np.int64)
        finally:
            os.close(descriptor)
        if words[queue.MAGIC] == _FIRST_MAGIC:
            raise HftkitError(f"{path} was made by an older hftkit", "Stop that engine with kill -TERM")
        if words[queue.MAGIC] != CONTROL_MAGIC:
            raise HftkitError(f"{path} is not a control page", "Give the session's folder; `hftkit sessions` lists them")
        if key is not None and words[queue.KEY] != key:
            raise HftkitError(f"{path} is the control page of another session", "Name the session by its folder; `hftkit sessions` lists them")
        return cls(path, words)

    @property
    def owner(self) -> ProcessId:
        """The engine's process."""
        return ProcessId(pid=int(self.words[queue.PID]), started=int(self.words[queue.STARTED]))

    def open_door(self) -> None:
        """Let a person's commands in, as ENABLE does, without trading being enabled. For the engine itself."""
        self.words[queue.OPEN] = 1

    def post(self, code: Control) -> int:
        """Add a command; its number, or 0 where the engine has not answered the last ones yet. Never waits, never fails: for the engine itself."""
        return int(queue.put_command(self.words, int(code)))

    def send(self, code: Control) -> int:
        """Add a command; its number. Raises HftkitError where the engine has not answered the last ones."""
        number = self.post(Control(code))
        if not number:
            raise HftkitError(
                f"{self.path}: the last {queue.SLOTS} commands are not answered yet", "The engine hangs: stop its process with kill -TERM"
            )
        return number

    def command(self, number: int) -> int | None:
        """The code of command `number`, None if there is none yet; LOST if it is too long ago to be known, NONE if it was withdrawn."""
        if int(self.words[queue.WRITTEN]) >= number + queue.SLOTS:
            return LOST
        code = int(queue.command_at(self.words, number - 1))
        return None if code == queue.NO_COMMAND else code

    def taken(self, number: int) -> bool:
        """Whether the engine has taken command `number`."""
        return int(self.words[queue.DONE]) >= number

    def answer(self, number: int) -> Answer | None:
        """What the engine made of command `number`, None if it has not said so (or it is too long ago)."""
        at = queue.FIRST_ANSWER + (number - 1) % queue.SLOTS * queue.ANSWER_WORDS
        row = self.words[at : at + queue.ANSWER_WORDS].copy()
        if int(row[queue.A_NUMBER]) != number or int(self.words[at]) != number:
            return None
        try:
            return Answer(
                number,
                int(row[queue.A_CODE]),
                Outcome(int(row[queue.A_OUTCOME])),
                Trading(int(row[queue.A_TRADING])),
                Reject(int(row[queue.A_HALT_REASON])),
                int(row[queue.A_TIME]),
            )
        except ValueError:
            return None

    def wait(self, number: int, timeout_s: float, alive: Callable[[], bool] | None = None) -> Answer | None:
        """The answer to command `number`; None after `timeout_s`, or soon after `alive()` says that nobody is there to give one."""
        started, alive = monotonic_s(), alive or (lambda: self.owner.alive)
        while True:
            patience_s = timeout_s if alive() else min(timeout_s, _GRACE_S)
            found = self.answer(number)
            if found is not None or monotonic_s() - started > patience_s:
                return found
            time.sleep(_POLL_S)

    def withdraw(self, number: int, code: Control) -> bool:
        """Take a command back that the engine has not taken yet. Whether it could be."""
        return bool(queue.withdraw_command(self.words, number, int(code)))


def load_kernels() -> None:
    """Compile what commands need, or load it."""
    words = np.zeros(WORDS, np.int64)
    queue.withdraw_command(words, queue.put_command(words, int(Control.NONE)), queue.command_at(words, 0))


def create_control(path: Path) -> np.ndarray:
    """Make the control page of one engine; returns its words, int64 (WORDS,)."""
    return ControlPage.create(path).words


def send_control(path: Path | str, code: Control) -> int:
    """Give the engine a command; returns its number, and does not wait for the answer. Raises HftkitError if there is no such page."""
    return ControlPage.attach(path).send(code)
