"""Flatten an account at a binary venue: log on, cancel everything, close every position with reduce-only market orders, log on again and look.

The second logon is the confirmation: its welcome (docs/protocol.md) is what the venue has, told after the last of our orders has ended.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from hftkit import clock
from hftkit.codes import MessageType, OrderFlag, OrderType, Reject, Side, TimeInForce
from hftkit.errors import VenueError
from hftkit.instruments import Instrument
from hftkit.kernels.wire.frame import frame_instrument, frame_type, frame_words, header
from hftkit.layout import ALL_INSTRUMENTS, FRAME
from live.config import VenueConfig
from live.operate.flatten_report import Flattened
from live.venue import account_text
from live.venues.binary.discovery import ConnectionLostError, connect, discover
from live.venues.binary.logon import logon_frame

_HEARTBEAT_NS = 1_000_000_000
_STEP_S = 0.2  # between two rounds of closing orders: a market that was empty may have filled up again
_ANSWER_S = 10.0
_COUNTERS = 1 << 31  # ids of ours begin here within their second; those of an engine begin at 1


def _lost(error: OSError | None) -> ConnectionLostError:
    return ConnectionLostError(f"the venue closed the order entry connection{f' ({error.strerror})' if error else ''}", "Try again")


@dataclass
class _Account:
    """What the venue has said of the account since the logon. `positions`: lots by instrument; `orders`: leaves by client order id."""

    positions: dict[int, int] = field(default_factory=dict)
    orders: dict[int, tuple[int, int]] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)
    too_large: set[int] = field(default_factory=set)  # instruments whose last order was above the venue's largest


class Connection:
    """One logged-on order entry connection, blocking."""

    def __init__(self, venue: VenueConfig, n_instruments: int) -> None:
        self.socket = connect(venue.host, venue.order_port, "order entry", venue.connect_timeout_s)
        self.account, self._seq, self._rest = _Account(), 1, b""
        self._transmit(logon_frame(venue.account, clock.unix_ns(), 0, cancel_on_disconnect=True))
        self.logged_on, self._n = False, n_instruments
        if not self.until(lambda: self.logged_on and len(self.account.positions) >= n_instruments, _ANSWER_S):
            self.socket.close()
            raise VenueError(f"{account_text(venue)}: the venue did not answer the logon within {_ANSWER_S:g} s", "See the venue's log")
        self.until(lambda: False, 0.05)  # ORDER_STATUS of open orders follows at once

    def send(self, kind: MessageType, *body: int, instrument: int = ALL_INSTRUMENTS) -> None:
        """One frame with the next sequence number."""
        self._seq += 1
        self._transmit([header(int(kind), FRAME[kind].words, instrument), self._seq, *body])

    def _transmit(self, words: Sequence[int]) -> None:
        try:
            self.socket.sendall(np.array(words, np.int64).tobytes())
        except OSError as error:
            raise _lost(error) from None

    def until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Take what comes until `done()`; False after `timeout_s`. Raises VenueError if the venue closes."""
        deadline = clock.monotonic_s() + timeout_s
        while not done():
            left_s = deadline - clock.monotonic_s()
            if left_s <= 0:
                return False
            self.socket.settimeout(left_s)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                return bool(done())
            except OSError as error:
                raise _lost(error) from None
            if not data:
                raise _lost(None)
            self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= 8:
            words = np.frombuffer(self._rest[: len(self._rest) // 8 * 8], np.int64)
            n = int(frame_words(words[0]))
            if n < 2:
                what = "the venue sent something that is not a frame of this protocol"
                raise ConnectionLostError(what, "Try again") if self.logged_on else VenueError(what, "Check host and port in [venue]")
            if words.size < n:
                return
            self._rest = self._rest[n * 8 :]
            self._hear(int(frame_type(words[0])), int(frame_instrument(words[0])), words[:n])

    def _hear(self, kind: int, instrument: int, words: np.ndarray) -> None:
        me = self.account

        def field_of(name: str) -> int:
            return int(words[FRAME[MessageType(kind)].word(name)])

        if kind == MessageType.LOGON_ACK:
            self.logged_on = True
        elif kind == MessageType.SESSION_REJECT:
            refused = Reject(field_of("reason"))
            cure = "An engine, or another program, is logged on: stop it" if refused is Reject.SESSION_DUPLICATE_LOGON else "Check account and secret"
            raise VenueError(f"the venue refused the session: {refused.text}", cure)
        elif kind == MessageType.POSITION:
            me.positions[instrument] = field_of("position")
        elif kind == MessageType.ORDER_STATUS:
            if field_of("leaves_qty") > 0:
                me.orders[field_of("client_order_id")] = (instrument, field_of("leaves_qty"))
        elif kind == MessageType.ORDER_FILL:
            me.positions[instrument] = me.positions.get(instrument, 0) + field_of("qty") * (1 if field_of("side") == Side.BUY else -1)
            if field_of("leaves_qty") == 0:
                self._end(field_of("client_order_id"))
        elif kind in (MessageType.ORDER_CANCELED, MessageType.ORDER_REJECT):
            reason = field_of("reason")
            me.told[str(instrument)] = Reject(reason).text if reason in set(Reject) else f"reason {reason}"
            if kind == MessageType.ORDER_REJECT and reason == Reject.VENUE_BAD_QTY:
                me.too_large.add(instrument)
            self._end(field_of("client_order_id"))

    def _end(self, client_order_id: int) -> None:
        self.account.ended.add(client_order_id)
        self.account.orders.pop(client_order_id, None)

    def close(self) -> None:
        """Log out, as far as that can be done."""
        with contextlib.suppress(OSError, ConnectionLostError):
            self.send(MessageType.LOGOUT)
            self.socket.shutdown(socket.SHUT_WR)
        self.socket.close()


def flatten_binary(venue: VenueConfig, timeout_s: float, only: tuple[str, ...] = ()) -> Flattened:
    """Flatten `venue.account`; with `only`, its positions in these symbols, and no order is cancelled.

    A connection that is lost meanwhile is made again, until `timeout_s` has passed.

    Raises VenueError where the venue cannot be reached or refuses the session.
    """
    report = Flattened(account_text(venue))
    deadline = clock.monotonic_s() + timeout_s
    while True:
        try:
            return _flatten_once(venue, report, deadline, only)
        except ConnectionLostError:
            if clock.monotonic_s() > deadline:
                raise
            time.sleep(_STEP_S)


def _flatten_once(venue: VenueConfig, report: Flattened, deadline: float, only: tuple[str, ...]) -> Flattened:
    instruments = discover(venue.host, venue.market_port, venue.connect_timeout_s)
    connection = log_on(venue, len(instruments), _ANSWER_S)  # a killed engine's connection may not be gone yet
    try:
        _close_everything(connection, instruments, report, deadline, only)
    finally:
        connection.close()
    connection = log_on(venue, len(instruments), max(deadline - clock.monotonic_s(), _ANSWER_S))
    me = connection.account
    connection.close()
    report.lots = {instruments[i].symbol: lots for i, lots in me.positions.items() if lots and (not only or instruments[i].symbol in only)}
    report.positions = {symbol: f"{lots:+d} lots" for symbol, lots in report.lots.items()}
    report.orders = [f"{client_order_id} ({instruments[i].symbol}, {leaves} lots)" for client_order_id, (i, leaves) in me.orders.items()]
    report.confirmed = True
    return report


def log_on(venue: VenueConfig, n_instruments: int, timeout_s: float) -> Connection:
    """The venue may need a moment to see that the connection before has gone."""
    deadline = clock.monotonic_s() + timeout_s
    while True:
        try:
            return Connection(venue, n_instruments)
        except VenueError as error:
            if "duplicate logon" not in error.problem or clock.monotonic_s() > deadline:
                raise


def _close_everything(connection: Connection, instruments: tuple[Instrument, ...], report: Flattened, deadline: float, only: tuple[str, ...]) -> None:
    me, counter = connection.account, (clock.unix_ns() // 1_000_000_000 & 0x7FFFFFFF) << 32 | _COUNTERS
    if me.orders and not only:
        report.canceled += len(me.orders)
        connection.send(MessageType.CANCEL_ALL)
        connection.until(lambda: not me.orders, _ANSWER_S)
    pieces = dict.fromkeys(range(len(instruments)), 1)

    def held() -> dict[int, int]:
        return {i: lots for i, lots in me.positions.items() if lots and (not only or instruments[i].symbol in only)}

    while held() and clock.monotonic_s() < deadline:
        sent = []
        for i, lots in held().items():
            counter += 1
            qty = max(abs(lots) // pieces[i], 1)
            side = Side.SELL if lots > 0 else Side.BUY
            order = (int(side), int(OrderType.MARKET), int(TimeInForce.IOC), int(OrderFlag.REDUCE_ONLY), 0, qty)
            connection.send(MessageType.NEW_ORDER, counter, *order, instrument=i)
            sent.append(counter)
        report.closing_orders += len(sent)
        if not connection.until(partial(me.ended.issuperset, sent), min(_ANSWER_S, max(deadline - clock.monotonic_s(), 0.1))):
            break  # an answer is missing: the second logon tells
        for i in me.too_large:
            pieces[i] *= 2
        me.too_large.clear()
        if held():
            connection.until(lambda: False, _STEP_S)
    report.told = {instruments[int(i)].symbol: why for i, why in me.told.items() if me.positions.get(int(i))}
