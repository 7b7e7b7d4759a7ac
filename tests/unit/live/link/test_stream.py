"""The thread of one part against a real `websockets` server: up, lost and back, silent and replaced, replaced early without a gap."""

from __future__ import annotations

import contextlib
import os
import socket
import threading

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from hftkit import clock, layout
from hftkit.binance.line import Kind, kind_of
from hftkit.codes import LinePart, LineState
from hftkit.kernels.memory.byte_ring import VIEW_KIND, VIEW_WORDS, byte_ring_front, byte_ring_release
from live.link.breaker import Breaker, BreakerConfig
from live.link.raw_ring import payload, raw_ring
from live.link.stream import Stream, StreamPlan
from live.link.websocket import open_websocket

UP, DOWN = -kind_of(Kind.LINE_UP, Kind.MARKET), -kind_of(Kind.LINE_DOWN, Kind.MARKET)  # below every number that the feed counts to
PATIENCE_S = 20.0


class Feed:
    """A server that counts 0, 1, 2 ... to every connection at the same pace, as a venue's stream does; and can be told to misbehave."""

    def __init__(self):
        self.n_connections, self.closed, self.silent, self.refuse = 0, threading.Event(), threading.Event(), threading.Event()
        self._number, self._lock, self._open = 0, threading.Lock(), []

    def handler(self, connection):
        self.n_connections += 1
        with self._lock:
            self._open.append(connection)
        with contextlib.suppress(ConnectionClosed):
            for _ in connection:
                pass
        with self._lock:
            self._open.remove(connection)

    def tick(self):
        with self._lock:
            self._number += 1
            for connection in self._open:
                with contextlib.suppress(ConnectionClosed):
                    connection.send(str(self._number))

    def cut(self):
        with self._lock:
            for connection in self._open:
                connection.socket.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def part():
    """(feed, stream, read): `read()` gives what is new in the ring, after letting the feed speak once."""
    feed, ring, said, bell = Feed(), raw_ring(1 << 17), np.zeros(VIEW_WORDS, np.int64), os.eventfd(0, os.EFD_NONBLOCK)
    with serve(feed.handler, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        status = np.zeros(1, layout.LINE.dtype)[0]
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        plan = StreamPlan(LinePart.PUBLIC, Kind.MARKET, 0.5, 0.0, 10.0, lambda: open_websocket(url, 5, None), first_pause_s=0.01)
        stream = Stream(plan, ring, status, Breaker(BreakerConfig(failures=100)), lambda event, **facts: None, bell)

        def read():
            feed.tick()
            found = []
            while byte_ring_front(ring.words, said):
                kind = -int(said[VIEW_KIND])
                found.append(kind if kind in (UP, DOWN) else int(payload(ring, said)))
                byte_ring_release(ring.words, said)
            return found

        stream.start()
        yield feed, stream, read
        stream.stop()
        stream.join(PATIENCE_S)
        server.shutdown()
        thread.join()
        assert not stream.is_alive()
        assert int(status["state"]) == LineState.CLOSED
        os.close(bell)


def read_until(read, done):
    """Everything read until `done(all)`; bounded."""
    found, deadline = [], clock.monotonic_s() + PATIENCE_S
    while not done(found):
        assert clock.monotonic_s() < deadline, found[-10:]
        found += read()
    return found


def test_up_comes_first_and_messages_come_whole_and_in_order(part):
    _, _, read = part
    found = read_until(read, lambda all_: len(all_) > 200)
    numbers = found[1:]
    assert found[0] == UP
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_lost_connection_is_announced_and_comes_back(part):
    feed, stream, read = part
    read_until(read, lambda all_: len(all_) > 5)
    feed.cut()
    found = read_until(read, lambda all_: UP in all_ and len(all_) > all_.index(UP) + 3)
    assert found.count(DOWN) == 1
    assert found.index(DOWN) < found.index(UP)
    after = found[found.index(UP) + 1 :]
    assert all(isinstance(number, int) and number > max(found[: found.index(DOWN)], default=0) for number in after)
    assert int(stream.status["n_failures"]) == 1
    assert int(stream.status["n_connects"]) == 2


def test_an_early_replacement_opens_the_second_first_and_loses_nothing(part):
    _, stream, read = part
    before = read_until(read, lambda all_: len(all_) > 20)
    stream.replace()
    found = before + read_until(read, lambda all_: int(stream.status["n_connects"]) == 2 and len(all_) > 400)
    assert DOWN not in found
    assert found.count(UP) == 1
    numbers = found[1:]
    assert sorted(set(numbers)) == list(range(numbers[0], max(numbers) + 1))  # no gap; what comes twice is dropped by its id further on
    assert int(stream.status["n_failures"]) == 0


def test_a_silent_stream_is_found_and_replaced(part):
    feed, stream, read = part
    read_until(read, lambda all_: len(all_) > 5)
    deadline = clock.monotonic_s() + PATIENCE_S
    while int(stream.status["n_silent"]) == 0:  # nobody ticks: silence, although the connection stands
        assert clock.monotonic_s() < deadline
    found = read_until(read, lambda all_: UP in all_ and len(all_) > all_.index(UP) + 3)
    assert DOWN in found
    assert feed.n_connections == 2


def test_a_connection_known_to_be_useless_is_given_up_at_once(part):
    _, stream, read = part
    read_until(read, lambda all_: len(all_) > 5)
    stream.drop()
    found = read_until(read, lambda all_: UP in all_)
    assert found[found.index(DOWN) :].count(UP) == 1


def test_a_fault_that_nobody_foresaw_is_told_and_the_part_goes_on(part):
    """Once while it opens, once while it reads: LINE_DOWN is announced, the loss counted, and the part comes back."""
    _, stream, read = part
    told, opens, turn, broken = [], stream.plan.open, stream._turn, []
    stream._say = lambda event, **facts: told.append((event, facts))
    read_until(read, lambda all_: len(all_) > 5)

    def open_badly():
        stream.plan.open = opens
        raise TypeError("'NoneType' object is not subscriptable")

    def turn_badly(connections):
        if not broken:
            broken.append(True)
            raise ZeroDivisionError
        turn(connections)

    stream.plan.open, stream._turn = open_badly, turn_badly
    found = read_until(read, lambda all_: UP in all_ and len(all_) > all_.index(UP) + 3)
    assert found.count(DOWN) == 1
    assert [facts["error"] for event, facts in told if event == "part_failed"] == [
        "ZeroDivisionError()",
        "TypeError(\"'NoneType' object is not subscriptable\")",
    ]
    assert int(stream.status["n_failures"]) == 2


def test_nothing_is_opened_while_the_venue_wants_a_pause(part):
    feed, stream, read = part
    read_until(read, lambda all_: len(all_) > 5)
    asked = threading.Event()
    stream.plan.may_open = lambda: asked.set() or False
    feed.cut()
    read_until(read, lambda all_: DOWN in all_)
    assert asked.wait(PATIENCE_S)
    assert feed.n_connections == 1
    stream.plan.may_open = lambda: True
    read_until(read, lambda all_: UP in all_)
