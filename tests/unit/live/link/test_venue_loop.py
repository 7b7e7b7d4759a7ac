"""Tasks of the cold side: one that fails is told and started again, each time after a longer pause; one that ends is left."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise

from hftkit.clock import monotonic_s
from live.link.venue_loop import VenueLoop


def test_a_task_that_fails_is_told_and_started_again():
    failures, done, starts = [], threading.Event(), []
    loop = VenueLoop(lambda name, error: failures.append((name, str(error))), 0.01)

    async def task() -> None:
        starts.append(monotonic_s())
        if len(starts) < 4:
            raise TypeError(f"unforeseen {len(starts)}")
        done.set()

    loop.spawn(task, "clock")
    try:
        assert done.wait(20)
        assert failures == [("clock", f"unforeseen {n}") for n in (1, 2, 3)]
        pauses = [later - earlier for earlier, later in pairwise(starts)]
        assert all(pause >= least for pause, least in zip(pauses, (0.01, 0.02, 0.04), strict=True))
    finally:
        loop.stop()
    assert len(starts) == 4


def test_stopping_ends_a_task_that_runs_and_one_that_waits_for_its_next_start():
    ended, failed = threading.Event(), threading.Event()
    loop = VenueLoop(lambda name, error: failed.set(), 60.0)

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def broken() -> None:
        raise KeyError("no such member")

    loop.spawn(endless, "endless")
    loop.spawn(broken, "broken")
    assert failed.wait(20)
    loop.stop()
    assert ended.is_set()
