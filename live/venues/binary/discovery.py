"""Ask a binary venue what it trades, before anything else: a short blocking connection to the market data port."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

import numpy as np

from hftkit import clock
from hftkit.codes import MessageType
from hftkit.errors import VenueError
from hftkit.instruments import Instrument, symbol_from_words
from hftkit.kernels.wire.encode import encode_subscribe
from hftkit.kernels.wire.frame import FRAME_INCOMPLETE, FRAME_OK, check_frame, frame_instrument, frame_type, frame_words
from hftkit.layout import ALL_INSTRUMENTS
from hftkit.units import from_e8
from live.errors import StopAsked
from live.link.connection_faults import explain

_SLICE_S = 0.25  # no call of the system waits longer before the stop is looked at
_TRIES, _PAUSE_S = 3, 0.05
_CURE = "Is this the market data port of a binary venue?"


class ConnectionLostError(VenueError):
    """A connection was closed in the middle, or what came over it was cut off: to be tried again."""


def _never(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def connect(host: str, port: int, what: str, timeout_s: float, wait: Callable[[float], bool] = _never) -> socket.socket:
    """A TCP connection without Nagle's delay. Retries until `timeout_s`; raises VenueError naming address and cure.

    `wait(s)`: waits so long, True to give up: that is `StopAsked`.
    """
    deadline = clock.monotonic_s() + timeout_s
    patience_s = _SLICE_S
    while True:
        try:
            connection = socket.create_connection((host, port), timeout=max(0.05, min(patience_s, deadline - clock.monotonic_s())))
            connection.settimeout(timeout_s)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError as error:
            if clock.monotonic_s() >= deadline:
                cause, cure = explain(error)
                raise VenueError(f"cannot reach the {what} port {host}:{port}: {cause}", f"{cure} ([venue]; `hftkit sim` starts one)") from None
            patience_s = min(2 * patience_s, 2.0)  # a far host may take longer than a slice
            if wait(0.05):
                raise StopAsked from None


def discover(host: str, port: int, timeout_s: float, wait: Callable[[float], bool] = _never) -> tuple[Instrument, ...]:
    """The venue's instruments, in the order of their ids. `wait`: see `connect`.

    Asked again, `_TRIES` times at most, where the connection is lost in the middle. Raises VenueError if the venue is silent or its list has holes.
    """
    for _ in range(_TRIES - 1):
        with contextlib.suppress(ConnectionLostError):
            return _discover_once(host, port, timeout_s, wait)
        if wait(_PAUSE_S):
            raise StopAsked
    return _discover_once(host, port, timeout_s, wait)


def _discover_once(host: str, port: int, timeout_s: float, wait: Callable[[float], bool]) -> tuple[Instrument, ...]:
    found: dict[int, Instrument] = {}
    words = np.zeros(8192, np.int64)
    fill = 0
    with connect(host, port, "market data", timeout_s, wait) as connection:
        request = np.zeros(8, np.int64)
        n = encode_subscribe(request, 0, 1, ALL_INSTRUMENTS, 0)
        try:
            connection.sendall(request[:n].tobytes())
        except OSError as error:
            raise ConnectionLostError(f"{host}:{port} closed the market data connection ({error.strerror})", _CURE) from None
        deadline = clock.monotonic_s() + timeout_s
        count = 0  # every INSTRUMENT frame says how many there are
        while (not count or len(found) < count) and clock.monotonic_s() < deadline:
            connection.settimeout(max(0.001, min(_SLICE_S, deadline - clock.monotonic_s())))
            try:
                data = connection.recv(words.nbytes - fill)
            except TimeoutError:
                if wait(0.001):
                    raise StopAsked from None
                continue
            except OSError as error:
                raise ConnectionLostError(f"{host}:{port} closed the market data connection ({error.strerror})", _CURE) from None
            if not data:
                raise ConnectionLostError(f"{host}:{port} did not list its instruments: it closed the connection", _CURE)
            words.view(np.uint8)[fill : fill + len(data)] = np.frombuffer(data, np.uint8)
            fill, count = _take_instruments(words, fill + len(data), found, count)
    if not count or sorted(found) != list(range(count)):
        raise VenueError(f"{host}:{port} did not list its instruments within {timeout_s:g} s", _CURE)
    return tuple(found[i] for i in range(len(found)))


def _take_instruments(words: np.ndarray, fill: int, found: dict[int, Instrument], count: int) -> tuple[int, int]:
    """Take whole frames off the front, until all instruments are there. Returns (bytes left, instruments the venue says it has)."""
    position, end = 0, fill // 8
    while len(found) < (count or 1) and (verdict := check_frame(words, position, end)) != FRAME_INCOMPLETE:
        if verdict != FRAME_OK:
            what = "the venue's market data port sent something that is not a frame of this protocol"
            if found or position:  # it speaks the protocol: a frame was cut off on its way
                raise ConnectionLostError(what, _CURE)
            raise VenueError(what, "Check host and port in [venue]")
        if frame_type(words[position]) == MessageType.INSTRUMENT:
            w = words[position + 2 : position + 10]
            count = int(w[7])
            found[int(frame_instrument(words[position]))] = Instrument(
                symbol=symbol_from_words(w[0], w[1]),
                tick_size=from_e8(int(w[2])).rstrip("0").rstrip("."),
                lot_size=from_e8(int(w[3])).rstrip("0").rstrip("."),
                min_notional=from_e8(int(w[4])).rstrip("0").rstrip(".") or "0",
                maker_fee_ppm=int(w[5]),
                taker_fee_ppm=int(w[6]),
            )
        position += int(frame_words(words[position]))
    rest = fill - position * 8
    words.view(np.uint8)[:rest] = words.view(np.uint8)[position * 8 : fill].copy()
    return rest, count
