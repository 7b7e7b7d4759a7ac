"""Answers that are under way when a session ends."""

from __future__ import annotations

import asyncio
import functools

from live.venues.binance.tasks import _landed


def test_a_request_that_is_cancelled_at_the_end_is_no_error() -> None:
    """Asked for its exception, a cancelled task raises: asyncio printed that as a traceback at the end of the session."""
    told: list[dict[str, object]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        flying = {(1,), (2,)}
        for wanted, work in (((1,), asyncio.sleep(60)), ((2,), asyncio.sleep(0))):
            task = asyncio.get_running_loop().create_task(work)
            task.add_done_callback(functools.partial(_landed, flying, wanted))
            await asyncio.sleep(0)
            if wanted == (1,):
                task.cancel()
        await asyncio.sleep(0.01)
        assert not flying

    asyncio.run(run())
    assert not told
