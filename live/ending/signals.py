"""Signals of a session: every one that would end the process asks for a clean stop instead, and the flattening is never cut short.

HUP TERM INT QUIT and whatever else ends a process by default      flat, logged out, journal closed
a second one          said: the flattening goes on
a third one           said: only kill -9 ends it at once, and leaves what is open
TSTP TTIN TTOU        not obeyed: a session that stands still manages nothing
HUP that was ignored when we were started (nohup)                  stays ignored
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable
from types import FrameType

_STOPS = (
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGXCPU", "SIGPWR", "SIGIO", "SIGSTKFLT",
)  # fmt: skip
_SUSPENDS = ("SIGTSTP", "SIGTTIN", "SIGTTOU")
_IGNORED = ("SIGPIPE", "SIGXFSZ")  # the write fails instead, and is told as an error


def _named(names: tuple[str, ...]) -> list[signal.Signals]:
    return [found for name in names if isinstance(found := getattr(signal, name, None), signal.Signals)]


def passed_on() -> list[signal.Signals]:
    """The signals that a supervisor passes on to its engine; it ignores those that the engine ignores."""
    for number in _named(("SIGTTIN", "SIGTTOU", *_IGNORED)):
        signal.signal(number, signal.SIG_IGN)
    return [one for one in _named((*_STOPS, "SIGTSTP")) if not (one == signal.SIGHUP and signal.getsignal(one) is signal.SIG_IGN)]


class StopRequest:
    """A flag to wait for, as threading.Event, that a signal handler may set at any moment.

    An Event may not: its lock could be held by the very thread that the handler interrupts.
    """

    def __init__(self) -> None:
        self._set = False
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def is_set(self) -> bool:
        """Whether it has been asked for."""
        return self._set

    def set(self) -> None:
        """Ask for it."""
        self._set = True
        os.eventfd_write(self._bell, 1)

    def clear(self) -> None:
        """It has been seen to."""
        self._set = False
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)

    def wait(self, timeout_s: float) -> bool:
        """Sleep until it is set, `timeout_s` at most. Whether it is."""
        if not self._set:
            poll = select.poll()
            poll.register(self._bell, select.POLLIN)
            poll.poll(timeout_s * 1000)
        return self._set

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._bell)


class StopSignals:
    """`install()` in the main thread. `stop()` is called at the first signal; `say(line)`: told to people, must not raise.

    Owner: the main thread.
    """

    def __init__(self, stop: Callable[[], None], say: Callable[[str], None]) -> None:
        self._stop, self._say = stop, say
        self.received: list[str] = []

    def install(self) -> None:
        """Take the signals over."""
        for number in _named(_STOPS):
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            with contextlib.suppress(OSError, ValueError):  # one that this system does not let us have
                signal.signal(number, self._on_stop)
        for number in _named(_SUSPENDS):
            # with SIGTTOU ignored, a write from the background succeeds; a handler would make it fail again and again
            signal.signal(number, signal.SIG_IGN if number != signal.SIGTSTP else self._on_suspend)
        for number in _named(_IGNORED):
            signal.signal(number, signal.SIG_IGN)

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        self.received.append(name)
        self._stop()
        if len(self.received) == 1:
            self._say(f"{name}: stopping; positions are closed first")
        elif len(self.received) == 2:
            self._say(f"{name}: the stop goes on, a second signal does not shorten it: positions are being closed")
        else:
            self._say(f"{name}: still closing positions; only kill -9 ends it at once, and leaves what is open at the venue")

    def _on_suspend(self, number: int, _frame: FrameType | None) -> None:
        self._say(f"{signal.Signals(number).name}: not suspended, a session that stands still manages no position; Ctrl-C stops it")
