"""The supervisor: holds an engine and one that stands by, and lets it take over when the first has died (docs/operations.md, "The supervisor").

It trades nothing and decides little (deaths.py): it starts processes, passes signals on, and counts. Its own end stops the engine flat. The processes
have sessions of their own, so that a terminal's Ctrl-C reaches them through it alone, once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from hftkit import clock
from live.config import EngineConfig
from live.ending.signals import passed_on
from live.recovery.channel import Channel
from live.recovery.deaths import Deaths, Next

_WORKER = [sys.executable, "-m", "live.recovery.worker"]
_STANDBY_ENDS_S = 5.0
_SET_CHILD_SUBREAPER = 36  # of prctl(2)


class _Process:
    """A worker, started here, or left behind as a copy by the one that has begun to trade. `message(None)` is its end of file."""

    def __init__(self, copy_of: _Process | None = None, **told: Any) -> None:
        """`copy_of`: a worker that stands by; it is told to start with `told`, and this is the copy that it leaves."""
        self.channel, theirs = Channel.pair()
        self.process: subprocess.Popen[bytes] | None = None
        self.pid, self.pidfd = 0, -1
        if copy_of is None:
            self.process = subprocess.Popen(
                [*_WORKER, str(theirs.fileno())], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
            )
            self.is_known_as(self.process.pid)
        else:
            copy_of.channel.send_with(theirs.end, "start", **told)
        theirs.close()
        self.folder: Path | None = None
        self.is_up = self.is_warm = self.has_traded = False

    def is_known_as(self, pid: int) -> None:
        """It has said who it is. One that is gone already is seen by its end of file."""
        with contextlib.suppress(ProcessLookupError):
            self.pid, self.pidfd = pid, os.pidfd_open(pid)

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self.pidfd >= 0 and bool(select.select([self.pidfd], [], [], 0)[0])

    def status(self, patience_s: float | None = None) -> int:
        """Exit status, or minus a signal. It has ended, or ends now: it is waited for, `patience_s` at the most, then killed."""
        if not select.select([self.pidfd], [], [], patience_s)[0]:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        if self.process is not None:
            return self.process.wait()
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return -signal.SIGKILL  # a copy whose parent lives: only the parent is told, and it does not ask

    def forget(self) -> None:
        """Nothing more of it."""
        self.channel.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)


class Supervisor:
    """`run()`: the exit status of what it supervises. `say(line)`: for people; `settings`: addresses are final.

    Owner: the main thread of its process.
    """

    def __init__(
        self, settings: EngineConfig, confirmed: Sequence[str], started_with: Sequence[str], as_json: bool, say: Callable[[str], None]
    ) -> None:
        self._settings, self._say = settings, say
        self._base = {"confirmed": list(confirmed), "started_with": list(started_with), "as_json": as_json}
        recovery = settings.recovery
        self._deaths = Deaths(recovery.crashes, recovery.crash_window_s)
        self._signals: list[int] = []
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._standby: _Process | None = None
        self._last: Path | None = None  # folder of the last session that has a journal
        self._trading_since = 0.0
        self._died_ns = 0
        self._takeovers = 0
        self._stopping = False
        self.recovery_ms: list[float] = []

    def run(self, resume: str = "") -> int:
        """Start an engine, and see that there is one until it ends by itself. `resume`: folder of a dead session to begin with."""
        self._catch_signals()
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # a copy's parent is an engine: once that is dead, it is ours
        self._last = Path(resume) if resume else None
        self._takeovers += bool(resume)
        self._engine = _Process()
        self._engine.channel.send("start", settings=msgspec.to_builtins(self._settings), resume=resume, **self._base)
        while True:
            self._wait()
            if self._engine.has_ended():
                self._drain(self._engine)
                status = self._ended()
                if status is not None:
                    self._dismiss()
                    return status

    # -- what comes in -----------------------------------------------------------------------------------------------
    def _wait(self) -> None:
        watched: list[Any] = [self._engine.channel, self._engine.pidfd, self._wake_read]
        if self._standby is not None:
            watched += [self._standby.channel, *([self._standby.pidfd] if self._standby.pidfd >= 0 else [])]
        ready = select.select(watched, [], [])[0]
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        if self._engine.channel in ready:
            self._hear(self._engine)
        if self._standby is not None and self._standby.channel in ready and not self._hear(self._standby):
            self._lose_standby()
        self._pass_signals()

    def _lose_standby(self) -> None:
        """The one that stands by has ended: without one, a takeover takes as long as a start."""
        assert self._standby is not None
        if self._standby.pidfd >= 0:
            self._standby.status(_STANDBY_ENDS_S)
        self._standby.forget()
        self._standby = None

    def _drain(self, worker: _Process) -> None:
        while select.select([worker.channel], [], [], 0)[0] and self._hear(worker):
            pass

    def _hear(self, worker: _Process) -> bool:
        message = worker.channel.receive()
        if message is None:
            return False
        if message["at"] == "up":
            worker.is_up = True
        elif message["at"] == "warm":
            worker.is_warm = True
            if worker.pidfd < 0:
                worker.is_known_as(int(message["pid"]))
        elif message["at"] == "session":
            worker.folder = Path(message["folder"])
        elif message["at"] == "reloaded":  # whoever takes over verifies these files
            session = msgspec.structs.replace(self._settings.session, params=tuple(message["params"]))
            self._settings = msgspec.structs.replace(self._settings, session=session)
        elif message["at"] == "trading":
            worker.has_traded = True
            self._trading(int(message["ns"]))
        return True

    def _trading(self, now_ns: int) -> None:
        """The engine trades: the next one may get ready."""
        self._trading_since = self._trading_since or clock.monotonic_s()
        if self._died_ns:
            self.recovery_ms.append((now_ns - self._died_ns) / 1e6)
            self._say(f"trading again {self.recovery_ms[-1]:.0f} ms after the engine's death")
            self._died_ns = 0
        if self._standby is None:
            self._standby = _Process()
            self._standby.channel.send(
                "stand by", settings=msgspec.to_builtins(self._settings), frozen=list(self._settings.session.params), **self._base
            )

    # -- what is done ------------------------------------------------------------------------------------------------
    def _ended(self) -> int | None:
        """The engine has ended: what now? The exit status if that is all."""
        dead, status, now_ns = self._engine, self._engine.status(), clock.monotonic_ns()
        self._last = dead.folder or self._last
        dead.forget()
        step = self._deaths.next(status, now_ns / 1e9, self._last is not None, self._takeovers > 0 and not dead.has_traded)
        if step is Next.END:
            return status
        died = f"the engine was ended by {signal.Signals(-status).name}" if status < 0 else "the engine that took over could not start"
        self._died_ns = self._died_ns or now_ns
        if step is Next.FLATTEN:
            times = f", death {len(self._deaths.times)} in {self._settings.recovery.crash_window_s:g} s" if status < 0 else ""
            return self._give_up(f"{died}{times}: no other one is started")
        if self._stopping and step is Next.START:
            return 0
        self._say(f"{died}: {'another one takes over' if step is Next.TAKE_OVER else 'it had not begun, and is started again'}")
        self._takeovers += 1
        if self._standby is not None:
            self._drain(self._standby)
        self._engine, self._standby = self._standby or _Process(), None
        told = {"settings": msgspec.to_builtins(self._next_settings()), "resume": str(self._last) if step is Next.TAKE_OVER else "", **self._base}
        if self._engine.is_warm:
            self._standby = _Process(self._engine, **told)
        else:
            self._engine.channel.send("start", **told)
        return None

    def _next_settings(self) -> EngineConfig:
        session, recovery = self._settings.session, self._settings.recovery
        changes: dict[str, Any] = {}
        if session.session_id:
            changes["session_id"] = f"{session.session_id[:56]}-r{self._takeovers}"
        if session.duration_s and self._trading_since:
            changes["duration_s"] = max(session.duration_s - (clock.monotonic_s() - self._trading_since), 0.001)
        if not session.require_signature:
            changes["params"] = ()  # they are in the journal, as they were verified
        if self._stopping:
            recovery = msgspec.structs.replace(recovery, then="flatten")
        return msgspec.structs.replace(self._settings, session=msgspec.structs.replace(session, **changes), recovery=recovery)

    def _give_up(self, why: str) -> int:
        self._dismiss()
        self._standby = None
        worker = _Process()
        worker.channel.send("flatten", settings=msgspec.to_builtins(self._settings), why=why)
        status = worker.status()
        worker.forget()
        return status

    def _dismiss(self) -> None:
        """The one that stands by is not needed."""
        if self._standby is not None:
            self._standby.channel.end.shutdown(socket.SHUT_WR)  # its end of file
            self._lose_standby()

    # -- signals -----------------------------------------------------------------------------------------------------
    def _catch_signals(self) -> None:
        for number in passed_on():
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"!")

    def _pass_signals(self) -> None:
        """To the engine, once it has taken signals over: before, they would end it."""
        while self._signals and self._engine.is_up:
            number = self._signals.pop(0)
            self._stopping = self._stopping or number != signal.SIGTSTP
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._engine.pidfd, number)
