"""An asyncio loop in a thread of its own: where the cold side talks HTTP while the engine's own thread keeps its rhythm."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hftkit.clock import monotonic_s
from live.feeds.backoff import FIRST_S, Backoff

T = TypeVar("T")
_WELL_S = 60.0  # a task that has run for so long begins anew with its pauses


class VenueLoop:
    """Start it, `call` for an answer, `spawn` what runs for the session. A spawned task that fails is told to `on_failure` and started again after
    1, 2, 4 ... 60 s.

    Owner: its own thread keeps the tasks; `call`, `spawn` and `stop` hand work over to it.
    """

    def __init__(self, on_failure: Callable[[str, Exception], None], first_pause_s: float = FIRST_S) -> None:
        self.loop = asyncio.new_event_loop()
        self._on_failure, self._first_pause_s = on_failure, first_pause_s
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self.loop.run_forever, name="venue-rest", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Run it in the loop and wait for its result. Raises what it raises; TimeoutError when it takes too long."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
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
                await make()
            except Exception as error:
                self._on_failure(name, error)
            else:
                return
            if monotonic_s() - started > _WELL_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    def stop(self, last: Coroutine[Any, Any, Any] | None = None) -> None:
        """Cancel what still runs, run `last`, stop the thread."""

        async def end() -> None:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if last is not None:
                await last

        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(5)
            self.loop.close()
