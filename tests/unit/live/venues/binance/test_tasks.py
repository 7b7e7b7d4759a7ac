"""Answers that are under way when a session ends."""

from __future__ import annotations

import asyncio
import functools

from live.venues.binance.tasks import _landed


def test_a_request_that_is_cancelled_at_the_end_is_no_error() -> None:
    """Asked for its exception, a cancelled task raises: asyncio printed that as a traceback at the end of the session."""
    told: list[dict[str, object]] = []

    async def answered() -> None:
        return None

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: told.append(context))
        flying = {(1,), (2,)}
        tasks = [loop.create_task(asyncio.Event().wait()), loop.create_task(answered())]
        for wanted, task in zip(((1,), (2,)), tasks, strict=True):
            task.add_done_callback(functools.partial(_landed, flying, wanted))
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not flying

    asyncio.run(run())
    assert not told
