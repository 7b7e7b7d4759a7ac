"""What an account at a binary venue holds, and at what mark: asked before a session that adopts it (`hftkit live --adopt`)."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import numpy as np

from hftkit import clock
from hftkit.codes import MessageType, Side
from hftkit.errors import VenueError
from hftkit.instruments import Instrument
from hftkit.kernels.wire.encode import encode_subscribe
from hftkit.kernels.wire.frame import FRAME_INCOMPLETE, FRAME_OK, check_frame, frame_instrument, frame_type, frame_words
from hftkit.layout import FRAME
from live.config import VenueConfig
from live.recovery.adopt import Holding
from live.venues.binary.discovery import connect
from live.venues.binary.flatten import log_on

_DEPTH_CHANNEL = 4
_CURE = "Is this the market data port of a binary venue?"
_SIDE, _PRICE, _QTY = (FRAME[MessageType.DEPTH].word(name) for name in ("side", "price", "qty"))


def holdings(venue: VenueConfig, instruments: tuple[Instrument, ...]) -> dict[int, Holding]:
    """Lots and mark by instrument id, of what is not flat. Raises VenueError where the venue does not say, or an instrument has no two-sided book."""
    connection = log_on(venue, len(instruments), venue.connect_timeout_s)
    lots = {i: n for i, n in connection.account.positions.items() if n}
    connection.close()
    return {i: Holding(n, _mark(venue, i, instruments[i].symbol)) for i, n in sorted(lots.items())}


def _mark(venue: VenueConfig, instrument: int, symbol: str) -> int:
    """Best bid + best ask of a snapshot, in half ticks."""
    request, best = np.zeros(8, np.int64), {int(Side.BUY): 0, int(Side.SELL): 0}
    with connect(venue.host, venue.market_port, "market data", venue.connect_timeout_s) as line:
        line.sendall(request[: encode_subscribe(request, 0, 1, instrument, _DEPTH_CHANNEL)].tobytes())
        for words in _frames(line, venue.connect_timeout_s):
            kind = frame_type(words[0])
            if kind == MessageType.DEPTH and frame_instrument(words[0]) == instrument and words[_QTY] > 0:
                side, price = int(words[_SIDE]), int(words[_PRICE])
                best[side] = price if not best[side] else max(best[side], price) if side == Side.BUY else min(best[side], price)
            elif kind == MessageType.SNAPSHOT_END and frame_instrument(words[0]) == instrument:
                break
    if not all(best.values()):
        raise VenueError(f"{symbol} has no bid and ask to value the position at", "Wait for its market, or close the position at the venue")
    return sum(best.values())


def _frames(line: socket.socket, timeout_s: float) -> Iterator[np.ndarray]:
    """Whole frames as they come, for `timeout_s`."""
    deadline, rest = clock.monotonic_s() + timeout_s, b""
    while True:
        words = np.frombuffer(rest[: len(rest) // 8 * 8], np.int64)
        at = 0
        while (verdict := check_frame(words, at, words.size)) != FRAME_INCOMPLETE:
            if verdict != FRAME_OK:
                raise VenueError("the venue's market data port sent something that is not a frame of this protocol", _CURE)
            n = int(frame_words(words[at]))
            yield words[at : at + n]
            at += n
        rest = rest[at * 8 :]
        left_s = deadline - clock.monotonic_s()
        if left_s <= 0:
            raise VenueError(f"the venue sent no book within {timeout_s:g} s", _CURE)
        line.settimeout(left_s)
        try:
            data = line.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            raise VenueError("the venue closed the market data connection", _CURE)
        rest += data
