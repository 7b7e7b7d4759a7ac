"""The venue's thread and its doorbell: calls run between slices, on one thread, in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from hftkit.errors import VenueError
from hftkit.exchange.config import load_config
from hftkit.exchange.host import VenueHost
from hftkit.exchange.servers.binary import BinaryServer
from hftkit.exchange.testing import PlainClient
from tests.unit.exchange.running import HOST, QUIET


@pytest.fixture
def host() -> Iterator[VenueHost]:
    server = BinaryServer(load_config(QUIET))
    server.ports = server.start(HOST, 0, 0)  # type: ignore[attr-defined]
    host = VenueHost(server, slice_ns=2_000_000_000)  # so long that only the doorbell can end it in time
    host.start()
    yield host
    host.stop()
    server.close()


def test_calls_run_on_the_venue_thread_and_wake_it(host: VenueHost) -> None:
    """A hundred calls one after the other: without the doorbell each would wait for two seconds."""

    async def ask() -> list[str]:
        return [await host.call(lambda: threading.current_thread().name) for _ in range(100)]

    assert asyncio.run(asyncio.wait_for(ask(), 5)) == ["venue"] * 100


def test_the_venues_time_is_fresh_in_a_call(host: VenueHost) -> None:
    def now() -> int:
        return int(host.server.venue.state[0]["ts"])  # type: ignore[attr-defined]

    times = [host.call_and_wait(now) for _ in range(20)]
    assert times == sorted(times)
    assert times[-1] > times[0]


def test_what_a_call_raises_goes_to_its_caller_only(host: VenueHost) -> None:
    def wrong() -> None:
        raise KeyError("this one")

    first, second = host.submit(wrong), host.submit(lambda: 7)
    with pytest.raises(KeyError, match="this one"):
        first.result(5)
    assert second.result(5) == 7


def test_calls_from_many_threads_run_one_after_the_other(host: VenueHost) -> None:
    inside, most, done = [0], [0], []

    def call(number: int) -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        done.append(number)
        inside[0] -= 1

    threads = [threading.Thread(target=lambda n=n: [host.call_and_wait(call, n) for _ in range(25)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most[0] == 1
    assert sorted(done) == [n for n in range(4) for _ in range(25)]


def test_hooks_run_between_slices_and_sockets_are_served(host: VenueHost) -> None:
    seen = threading.Event()
    host.hooks.append(seen.set)
    host.call_and_wait(int)
    assert seen.wait(5)
    with PlainClient(HOST, host.server.ports[0]) as client:  # type: ignore[attr-defined]
        assert client.logon(7).name == "LOGON_ACK"


def test_after_the_end_callers_are_told() -> None:
    server = BinaryServer(load_config(QUIET))
    server.start(HOST, 0, 0)
    host = VenueHost(server)
    waiting = host.submit(int)
    host.stop()
    with pytest.raises(VenueError, match="stopped"):
        waiting.result(1)
    with pytest.raises(VenueError, match="stopped"):
        host.submit(int)
    server.close()


def test_a_hook_with_a_defect_is_noted_and_the_others_run_on(host: VenueHost) -> None:
    ran: list[int] = []

    def broken() -> None:
        raise KeyError("a defect")

    host.hooks += [broken, lambda: ran.append(1)]
    assert host.call_and_wait(lambda: 7) == 7
    assert host.call_and_wait(lambda: 8) == 8
    host.hooks.clear()
    assert ran
    assert host.failure is None
    assert host.internal_errors.count >= 1
    assert host.internal_errors.last.endswith("KeyError: 'a defect'")


def test_a_full_disk_ends_the_venue_and_says_why() -> None:
    server = BinaryServer(load_config(QUIET))
    server.start(HOST, 0, 0)
    host = VenueHost(server)

    def broken() -> None:
        raise OSError("the disk is full")

    host.hooks.append(broken)
    threading.excepthook, hook = (lambda _: None), threading.excepthook
    try:
        host.start()
        host._thread.join(10)  # type: ignore[union-attr]
    finally:
        threading.excepthook = hook
    assert str(host.failure) == "the disk is full"
    with pytest.raises(VenueError):
        host.submit(int)
    server.close()
