"""An asyncio loop in a thread of its own: where the cold side talks HTTP while the engine's own thread keeps its rhythm."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hftkit.clock import monotonic_s
from live.ending import failpoints
from live.errors import StopAsked
from live.link.backoff import FIRST_S, Backoff

T = TypeVar("T")
_POLL_S = 0.02
_WELL_S = 60.0  # a task that has run for so long begins anew with its pauses


class VenueLoop:
    """Start it, `call` for an answer, `spawn` what runs for the session. A spawned task that fails is told to `on_failure` and started again after
    1, 2, 4 ... 60 s.

    Owner: its own thread keeps the tasks; `call`, `spawn`, `cancel_tasks` and `stop` hand work over to it.
    """

    def __init__(self, on_failure: Callable[[str, BaseException], None], first_pause_s: float = FIRST_S) -> None:
        self.loop = asyncio.new_event_loop()
        self._on_failure, self._first_pause_s = on_failure, first_pause_s
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self.loop.run_forever, name="venue-rest", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float, wait: Callable[[float], bool] | None = None) -> T:
        """Run it in the loop and wait for its result. Raises what it raises; TimeoutError when it takes too long.

        `wait(s)` waits so long, True to give up: that is `StopAsked`.
        """
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        deadline = monotonic_s() + timeout_s
        try:
            while wait is not None and not future.done() and monotonic_s() < deadline:
                if wait(_POLL_S):
                    raise StopAsked
            return future.result(0 if wait is not None else timeout_s)
        except BaseException:
            future.cancel()
            raise

    def spawn(self, make: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Run what `make` makes until it ends or the loop is stopped. From any thread."""
        self.loop.call_soon_threadsafe(self._start, make, name)

    def _start(self, make: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        task = self.loop.create_task(self._keep(make, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, make: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        backoff = Backoff(first_s=self._first_pause_s)
        while True:
            started = monotonic_s()
            try:
                failpoints.reach(f"task {name}")
                await make()
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # asyncio would let a SystemExit end the whole loop
                self._on_failure(name, error)
            else:
                return
            if monotonic_s() - started > _WELL_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def cancel_tasks(self, patience_s: float) -> None:
        """End what was spawned, and what was asked for by `call`; the loop itself goes on. Never raises."""

        async def end() -> None:
            me = asyncio.current_task()
            others = [task for task in asyncio.all_tasks() if task is not me]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(end(), self.loop).result(patience_s)

    def stop(self, last: Coroutine[Any, Any, Any] | None = None, patience_s: float = 3.0) -> None:
        """Cancel what still runs, run `last`, stop the thread. Never raises, and takes little longer than `patience_s`."""

        async def end() -> None:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if last is not None:
                await last

        if self._thread.is_alive():
            with contextlib.suppress(Exception):  # what does not end in time ends with the process
                asyncio.run_coroutine_threadsafe(end(), self.loop).result(patience_s)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(1)
            if not self._thread.is_alive():
                self.loop.close()
