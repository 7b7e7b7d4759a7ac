"""One part of a line: a thread that keeps one WebSocket alive and hands its bytes to the compiled deframer, and so to the hot thread's ring.

    OPEN      connect, upgrade, greet (subscribe or log on); LINE_UP goes into the ring ahead of the first message
    READ      recv into one buffer, deframe into the ring; pings answered, own pings sent
    REPLACE   before the venue's 24 hours, or when asked to: the second connection is opened first, and the first one is left once the second has
              spoken, or after a grace. Both are read meanwhile: what comes twice is dropped by its ids, so there is no gap
    LOST      closed, broken or silent: LINE_DOWN goes into the ring; after a pause (1, 2, 4 ... 60 s, jitter) the next attempt, if the breaker
              lets it and no pause that the venue has asked for is on
    FAILED    an exception that nobody foresaw: told, counted, and treated as a loss. The part goes on; its breaker decides how often it is tried

The thread is the ring's only producer. It never waits for the hot thread: a message that finds the ring full is lost, and a lost message means LOST.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from hftkit import clock
from hftkit.codes import LinePart, LineState
from hftkit.errors import HftkitError, VenueError
from hftkit.kernels.wire.link import Kind
from live.ending import failpoints
from live.link.backoff import FIRST_S, Backoff, ProgressClock
from live.link.breaker import Breaker
from live.link.websocket import Opened, control_frame
from live.link.wire_reader import BROKEN, CLOSED, RING_FULL, WireReader

_TURN_S = 0.05
_PING, _CLOSE = 9, 8
_GRACE_S = 3.0  # a quiet second connection is taken as good after so long
_NS = 1_000_000_000


class StreamPlan:
    """How one part is kept: `open_` connects and greets; `silence_s` 0 allows any silence of messages; `ping_s`: own pings, whose pong is a sign of
    life; `announced`: whether the hot thread is told when it comes and goes; `may_open()`: whether connections may be opened now."""

    def __init__(
        self,
        part: LinePart,
        kind: Kind,
        silence_s: float,
        replace_s: float,
        ping_s: float,
        open_: Callable[[], Opened],
        announced: bool = True,
        first_pause_s: float = FIRST_S,
        may_open: Callable[[], bool] = lambda: True,
    ) -> None:
        self.part, self.kind, self.silence_s, self.replace_s, self.ping_s, self.open = part, kind, silence_s, replace_s, ping_s, open_
        self.announced, self.first_pause_s, self.may_open = announced, first_pause_s, may_open


class Connection:
    """One connection with its reader."""

    def __init__(self, opened: Opened, reader: WireReader, now_ns: int) -> None:
        self.socket, self.reader, self.opened_ns, self.pinged_ns, self.alive_ns = opened.connection, reader, now_ns, now_ns, now_ns
        self.socket.setblocking(False)
        self.fd = self.socket.fileno()

    def send(self, frame: bytes) -> None:
        """A small control frame; a socket that does not take it is as good as lost."""
        with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError):
            self.socket.send(frame)


class Stream(threading.Thread):
    """The thread of one part. Owner: that thread; `_second` gets what another one has opened, whole.

    `ring`: the raw ring it alone writes; `status`: its LINE record; `bell`: eventfd of who sleeps at the ring, or -1."""

    def __init__(self, plan: StreamPlan, ring: Any, status: Any, breaker: Breaker, say: Callable[..., None], bell: int, seed: int = 0) -> None:
        super().__init__(name=f"line-{plan.part.text}", daemon=True)
        self.plan, self.ring, self.status, self.breaker, self._say, self._bell = plan, ring, status, breaker, say, bell
        self.status["state"] = int(LineState.CONNECTING)
        self._backoff = Backoff(seed, plan.first_pause_s)
        self._over = threading.Event()
        self._replace = threading.Event()
        self._drop = threading.Event()
        self._second: queue.SimpleQueue[Connection | BaseException] = queue.SimpleQueue()  # from the thread that opens it
        self._opening = False
        self.reader = WireReader(ring, plan.kind)
        self.lost_why = ""

    # -- what others ask for ----------------------------------------------------------------------------------------
    def stop(self) -> None:
        """End the thread; the connection is closed in order."""
        self._over.set()

    def replace(self) -> None:
        """Open a second connection, then leave the first."""
        self._replace.set()

    def drop(self) -> None:
        """Give the connection up at once and start afresh: it is known to be useless (an expired listen key, say)."""
        self._drop.set()

    @property
    def up(self) -> bool:
        """Whether messages can come."""
        return int(self.status["state"]) == LineState.UP

    # -- hooks of the order part ------------------------------------------------------------------------------------
    def on_up(self, connection: Connection) -> None:
        """The connection is about to be announced."""

    def on_second(self, connection: Connection) -> None:
        """A second connection is read too from now on."""

    def on_turn(self, connections: list[Connection], now: int, spoke: bool) -> None:
        """All connections have been looked at; `spoke`: whether one has brought a message. Raises VenueError to give them up."""

    def on_down(self) -> None:
        """The loss is about to be announced."""

    def extra_descriptors(self) -> list[int]:
        """Descriptors to wake up for besides the sockets."""
        return []

    def on_extra(self, connection: Connection) -> None:
        """One of them is readable."""

    # -- the thread -------------------------------------------------------------------------------------------------
    def run(self) -> None:
        """Until stopped."""
        while not self._over.is_set():
            if not self.plan.may_open() or not self.breaker.allow(clock.monotonic_s()):
                self._state(LineState.DOWN)
                self._over.wait(_TURN_S)
                continue
            try:
                self._one_connection()
            except BaseException as error:  # whatever it is: a part that is gone leaves orders without answers
                self._failed(error)
            self._state(LineState.DOWN)
            self._over.wait(self._backoff.next_s())
        self._state(LineState.CLOSED)

    def _one_connection(self) -> None:
        """From the first connection to the loss of the last one that followed it."""
        self._state(LineState.CONNECTING)
        first = self._connect()
        if first is None:
            return
        connections = [first]
        try:
            self.on_up(first)
            self._announce(True)
            self._state(LineState.UP)
            self._read(connections)
        finally:
            self.on_down()
            self._announce(False)
            if self._opening and isinstance(second := self._second_if_there(), Connection):
                connections.append(second)
            for connection in connections:
                self.leave(connection)
        if not self._over.is_set():
            self.lost(self.lost_why)

    def _failed(self, error: BaseException) -> None:
        """A fault of ours must not end the part in silence."""
        self.status["n_failures"] += 1
        self.breaker.fail(clock.monotonic_s())
        self._say("part_failed", part=self.plan.part.text, error=repr(error))

    def lost(self, why: str) -> None:
        """Count a loss."""
        self.status["n_failures"] += 1
        self.breaker.fail(clock.monotonic_s())
        self._say("line_lost", part=self.plan.part.text, why=why)

    def _announce(self, up: bool) -> None:
        if self.plan.announced:
            self.reader.announce(up, clock.monotonic_ns())
            self._ring_bell()

    def _ring_bell(self) -> None:
        if self._bell >= 0:
            os.eventfd_write(self._bell, 1)

    def _state(self, state: LineState) -> None:
        self.status["state"] = int(state)
        self.breaker.tick(clock.monotonic_s())

    def _open(self) -> Connection:
        opened = self.plan.open()
        connection = Connection(opened, WireReader(self.ring, self.plan.kind), clock.monotonic_ns())
        if opened.rest:
            connection.reader.prime(opened.rest)
        return connection

    def _connect(self) -> Connection | None:
        try:
            connection = self._open()
        except (HftkitError, OSError) as error:
            self.lost(str(error))
            return None
        self._connected()
        return connection

    def _connected(self) -> None:
        self.status["n_connects"] += 1
        self._say("line_up", part=self.plan.part.text)

    def _open_second(self) -> None:
        """In a thread of its own: what comes of it is handed over, and counted by the part's thread alone."""
        try:
            self._second.put(self._open())
        except BaseException as error:
            self._second.put(error)

    def _second_if_there(self) -> Connection | None:
        """The second connection, once it is open; one that could not be opened is counted."""
        try:
            second = self._second.get_nowait()
        except queue.Empty:
            return None
        self._opening = False
        if isinstance(second, Connection):
            self._connected()
            return second
        if isinstance(second, (HftkitError, OSError)):
            self.lost(str(second))
        else:
            self._failed(second)
        return None

    def _read(self, connections: list[Connection]) -> None:
        """Read until the last of `connections` is lost or the thread is stopped; `self.lost_why` says why."""
        self._drop.clear()
        self._progress = ProgressClock(int(self.plan.silence_s * _NS), clock.monotonic_ns())
        while not self._over.is_set():
            try:
                failpoints.reach(f"stream {self.plan.part.text}")
                self._turn(connections)
            except (OSError, VenueError) as error:
                self.lost_why = str(error)
                break

    def _turn(self, connections: list[Connection]) -> None:
        """Read what is there; replace the connection if its time has come. Raises when there is none left to read."""
        readable = self._wait(connections)
        now, heard = clock.monotonic_ns(), False
        for connection in list(connections):
            try:
                spoke = connection.fd in readable and self._receive(connection, now)
                self._ping(connection, now)
            except (OSError, VenueError):
                if len(connections) == 1 or connection.reader.ring_was_full:
                    raise
                connections.remove(connection)  # the other one goes on
                self.leave(connection)
                continue
            if spoke:
                heard = True
                self._progress.progress(now)
            if len(connections) == 2 and connection is connections[1] and (spoke or now - connection.opened_ns > _GRACE_S * _NS):
                self.leave(connections.pop(0))
                self._say("line_replaced", part=self.plan.part.text)
        if any(fd in readable for fd in self.extra_descriptors()):
            self.on_extra(connections[-1])
        self.on_turn(connections, now, heard)
        if self._drop.is_set():
            raise VenueError("given up on purpose")
        if self._progress.silent(now):
            self.status["n_silent"] += 1
            raise VenueError(f"silent for {self.plan.silence_s:g} s")
        if self._opening and (second := self._second_if_there()) is not None:
            connections.append(second)
            self.on_second(second)
        aged = self.plan.replace_s and now - connections[0].opened_ns > self.plan.replace_s * _NS
        if len(connections) == 1 and not self._opening and (aged or self._replace.is_set()):
            self._replace.clear()
            self._opening = True
            threading.Thread(target=self._open_second, name=f"{self.name}-second", daemon=True).start()

    def _wait(self, connections: list[Connection]) -> set[int]:
        """Descriptors with something to read. A TLS connection may hold decrypted bytes that no descriptor shows."""
        pending = {c.fd for c in connections if (isinstance(c.socket, ssl.SSLSocket) and c.socket.pending()) or c.reader.primed}
        descriptors = [c.fd for c in connections] + self.extra_descriptors()
        poll = select.poll()
        for fd in descriptors:
            poll.register(fd, select.POLLIN)
        return pending | {fd for fd, _ in poll.poll(0 if pending else _TURN_S * 1000)}

    def _receive(self, connection: Connection, now: int) -> bool:
        """Read once. Whether at least one message came; raises VenueError when the connection is over."""
        reader = connection.reader
        if not reader.primed:
            try:
                n = connection.socket.recv_into(reader.space())
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            if n == 0:
                raise VenueError("the venue closed the connection")
            self.status["n_bytes"] += n
        else:
            n = reader.take_primed()
        before = reader.n_messages
        status = reader.received(n, clock.monotonic_ns())
        connection.alive_ns = now
        if pongs := reader.pongs():
            connection.send(pongs)
        messages = reader.n_messages - before
        if messages:
            self._ring_bell()
            self.status["n_messages"] += messages
            self.status["ts_progress"] = now
            self._backoff.reset()
            self.breaker.succeed(clock.monotonic_s())
        if status == RING_FULL:
            self.status["n_dropped"] += 1
            raise VenueError("the hot thread did not keep up: its ring is full")
        if status == BROKEN:
            raise VenueError("the venue broke the WebSocket protocol")
        if status == CLOSED:
            raise VenueError("the venue said goodbye")
        return messages > 0

    def _ping(self, connection: Connection, now: int) -> None:
        """Ask for a sign of life now and then; no byte at all for three of them means that the connection is dead."""
        every = int(self.plan.ping_s * _NS)
        if every and now - connection.pinged_ns > every:
            connection.pinged_ns = now
            connection.send(control_frame(_PING))
        if every and now - connection.alive_ns > 3 * every:
            raise VenueError(f"no answer to pings for {3 * self.plan.ping_s:g} s")

    def leave(self, connection: Connection) -> None:
        """Close a connection in order."""
        with contextlib.suppress(OSError):
            connection.send(control_frame(_CLOSE, b"\x03\xe8"))
            connection.socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            connection.socket.close()
