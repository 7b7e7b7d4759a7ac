"""An asyncio loop in a thread of its own: where the cold side talks HTTP while the engine's own thread keeps its rhythm."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VenueLoop:
    """Start it, `call` for an answer, `spawn` what runs for the session; a spawned task that fails tells `on_failure`."""

    def __init__(self, on_failure: Callable[[str, BaseException], None]) -> None:
        self.loop = asyncio.new_event_loop()
        self._on_failure = on_failure
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

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Run it until it ends or the loop is stopped. From any thread."""
        self.loop.call_soon_threadsafe(self._start, work, name)

    def _start(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        task = self.loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(task.get_name(), error)

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
