"""The venue's thread, and the way in for everybody who is not on it: Python callables run between two compiled slices.

The compiled loop (servers/binary.py) owns the books; nobody may touch them while it runs. `VenueHost` runs it slice by slice on one thread.
Another thread (an asyncio loop with HTTP and WebSockets) hands in a callable; the doorbell ends the slice after the turn under way, the
callable runs on the venue thread, where it may call compiled functions on the venue's arrays like any client's frame does, and its result
goes back. So every dialect sees the same books in one order, reads are consistent, and there are no locks.

Hooks run on the venue thread after every slice, whatever ended it: draining the drop copy, recording. They must be short.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from hftkit.errors import HftkitError, VenueError
from hftkit.exchange.internal_errors import InternalErrors

SLICE_NS = 5_000_000  # longest time between two runs of the hooks
_GONE = "the venue has stopped"
_RESTART = "Start the simulator again"


class Slices(Protocol):
    """What a host needs of a server: BinaryServer has it."""

    def run_slice(self, slice_ns: int) -> None:
        """Serve for about so long, or until the doorbell rings."""

    def ring(self) -> None:
        """Ring the doorbell, from any thread."""

    def answer_the_door(self) -> bool:
        """Was it rung since last asked?"""


class VenueHost:
    """Runs a started server and everybody's calls, on one thread."""

    def __init__(self, server: Slices, slice_ns: int = SLICE_NS) -> None:
        """`server`: a BinaryServer after `start`. Either call `turn` again and again on a thread of your own, or `start`."""
        self.server = server
        self.slice_ns = slice_ns
        self.hooks: list[Callable[[], None]] = []
        self.failure: BaseException | None = None
        self.internal_errors = InternalErrors()  # what hooks raised
        self._calls: deque[tuple[Callable[..., Any], tuple[Any, ...], Future[Any]]] = deque()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    # -- on the venue thread ---------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """One slice, then the calls that were handed in, then the hooks. A defect in a hook is noted and stops neither the others nor the venue."""
        self.server.run_slice(self.slice_ns)
        if self.server.answer_the_door():
            self.run_calls()
        for hook in self.hooks:
            try:
                hook()
            except (HftkitError, OSError):  # of the recorder: a full disk
                raise
            except Exception as error:
                self.internal_errors.note(f"hook {getattr(hook, '__qualname__', hook)}", error)

    def run_calls(self) -> None:
        """Run what was handed in so far; what a callable raises goes to its caller."""
        for _ in range(len(self._calls)):
            function, arguments, answer = self._calls.popleft()
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                result = function(*arguments)
            except Exception as error:
                answer.set_exception(error)
            else:
                answer.set_result(result)

    def _serve(self) -> None:
        try:
            while not self._stopped.is_set():
                self.turn()
        except BaseException as error:
            self.failure = error
            raise
        finally:
            self.stop_answering()

    # -- from other threads ----------------------------------------------------------------------------------------------

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run `function(*arguments)` on the venue thread. The future holds what it returns or raises. Raises VenueError after `stop`."""
        answer: Future[Any] = Future()
        with self._lock:
            if self._stopped.is_set():
                raise VenueError(_GONE, _RESTART)
            self._calls.append((function, arguments, answer))
            self.server.ring()
        return answer

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`submit` for asyncio: awaits the result."""
        return await asyncio.wrap_future(self.submit(function, *arguments))

    def call_and_wait(self, function: Callable[..., Any], *arguments: Any, timeout_s: float = 10.0) -> Any:
        """`submit` for plain threads: waits for the result. Never call it on the venue thread."""
        return self.submit(function, *arguments).result(timeout_s)

    # -- life ------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Run on a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self._serve, name="venue", daemon=True)
        self._thread.start()

    def stop_answering(self) -> None:
        """No more calls: whoever still waits for one is told that the venue is gone. The loop of `turn` must have ended."""
        with self._lock:
            self._stopped.set()
            waiting = list(self._calls)
            self._calls.clear()
        for _, _, answer in waiting:
            if answer.set_running_or_notify_cancel():
                answer.set_exception(VenueError(_GONE, _RESTART))

    def stop(self) -> None:
        """End the thread that `start` began, after its slice. The server stays open; whoever made it closes it."""
        with self._lock:
            if not self._stopped.is_set():
                self._stopped.set()
                self.server.ring()
        if self._thread is not None:
            self._thread.join()
        self.stop_answering()
