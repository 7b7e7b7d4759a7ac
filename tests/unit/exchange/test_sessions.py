"""Sessions without sockets: the venue driven by hand, with a clock of our own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Reject
from hftkit.exchange.config import load_config
from hftkit.exchange.flow.build import new_market
from hftkit.exchange.layout import ClientState, Port
from hftkit.exchange.outbox import sent
from hftkit.exchange.sessions import connect, disconnect, receive, set_time, supervise
from hftkit.exchange.testing import LOGON, Message, frame, parse
from hftkit.exchange.venue import INBOX_WORDS, Venue, new_venue
from hftkit.kernels.jit import kernel
from tests.unit.exchange.running import QUIET

SECOND = 1_000_000_000


@kernel
def drive(venue: Venue, what: int, index: int, a: int, b: int) -> int:
    """The calls of a shell, as one entry from Python: 0 time, 1 connect, 2 receive, 3 sent, 4 supervise, 5 disconnect."""
    if what == 0:
        set_time(venue, a, b)
    elif what == 1:
        return connect(venue, a)
    elif what == 2:
        receive(venue, index, a)
    elif what == 3:
        sent(venue, index, a)
    elif what == 4:
        supervise(venue)
    else:
        disconnect(venue, index)
    return 0


class Hand:
    """A shell made of method calls."""

    def __init__(self) -> None:
        config = load_config(QUIET)
        self.venue = new_venue(config, new_market(config)[1])

    def at(self, ns: int) -> None:
        drive(self.venue, 0, 0, ns, ns)

    def connect(self, port: Port) -> int:
        return drive(self.venue, 1, 0, int(port), 0)

    def give(self, index: int, data: bytes) -> None:
        """As many bytes as fit at a time, as recv would."""
        while data and self.venue.clients[index]["state"] != ClientState.CLOSING:
            inbox = self.venue.inboxes[index].view(np.uint8)
            start = int(self.venue.clients[index]["in_bytes"])
            part, data = data[: inbox.size - start], data[inbox.size - start :]
            inbox[start : start + len(part)] = np.frombuffer(part, np.uint8)
            drive(self.venue, 2, index, len(part), 0)

    def take(self, index: int) -> list[Message]:
        client = self.venue.clients[index]
        start, end = int(client["out_start"]), int(client["out_end"])
        data = self.venue.outboxes[index].view(np.uint8)[start:end].tobytes()
        drive(self.venue, 3, index, end - start, 0)
        messages, rest = parse(data)
        assert rest == b""
        return messages

    def supervise(self) -> None:
        drive(self.venue, 4, 0, 0, 0)

    def disconnect(self, index: int) -> None:
        drive(self.venue, 5, index, 0, 0)


def logon(account: int, heartbeat_ns: int = 0) -> bytes:
    return frame(LOGON, 1, account, 0, 0, heartbeat_ns, 1, 0, 0, 0, 0)


def test_a_silent_venue_sends_heartbeats_and_a_silent_client_is_closed() -> None:
    hand = Hand()
    hand.at(0)
    index = hand.connect(Port.ORDER_ENTRY)
    hand.give(index, logon(1, SECOND))
    assert [m.name for m in hand.take(index)] == ["LOGON_ACK", "POSITION", "POSITION"]
    hand.at(SECOND)
    hand.supervise()
    assert hand.take(index) == []
    hand.at(SECOND + 1)
    hand.supervise()
    assert [m.name for m in hand.take(index)] == ["VENUE_HEARTBEAT"]
    hand.at(3 * SECOND + 1)
    hand.supervise()
    assert [m.name for m in hand.take(index)] == ["SESSION_REJECT"]
    assert hand.venue.clients[index]["state"] == ClientState.CLOSING


def test_a_connection_that_never_logs_on_is_closed() -> None:
    hand = Hand()
    hand.at(0)
    index = hand.connect(Port.ORDER_ENTRY)
    hand.at(10 * SECOND + 1)
    hand.supervise()
    (message,) = hand.take(index)
    assert (message.name, message.reason) == ("SESSION_REJECT", Reject.SESSION_NOT_LOGGED_ON)


def test_answers_that_nobody_reads_end_the_session_not_the_venue() -> None:
    hand = Hand()
    hand.at(0)
    index = hand.connect(Port.ORDER_ENTRY)
    hand.give(index, logon(1))
    for seq in range(2, 8000):
        hand.give(index, frame(3, seq, seq))
    client = hand.venue.clients[index]
    assert client["state"] == ClientState.CLOSING
    assert client["close_reason"] == Reject.SESSION_THROTTLED
    assert client["out_end"] <= hand.venue.outboxes.shape[1] * 8
    hand.disconnect(index)
    assert hand.connect(Port.ORDER_ENTRY) == index


@pytest.mark.parametrize("size", [1, 7, 8, 13, 100, 4096])
def test_chunks_of_any_size_are_the_same_session(size: int) -> None:
    stream = logon(1) + b"".join(frame(4, 2 + i, 1 + i, i % 2, 0, 0, 0, 90 + i, 2, instrument=1) for i in range(20))
    whole, cut = Hand(), Hand()
    answers: list[Any] = []
    for hand, step in ((whole, len(stream)), (cut, size)):
        hand.at(0)
        index = hand.connect(Port.ORDER_ENTRY)
        for start in range(0, len(stream), step):
            hand.give(index, stream[start : start + step])
        answers.append(hand.take(index))
    assert answers[0] == answers[1]
    assert len(answers[0]) > 23


def mutated() -> st.SearchStrategy[bytes]:
    """Frames with fields at the edges, and bytes that are no frames."""
    edge = st.sampled_from([0, 1, -1, 2, 7, 100, 2**31, 2**62, -(2**63), 2**63 - 1])
    lengths = {1: 9, 2: 0, 3: 1, 4: 7, 5: 1, 6: 0, 7: 1, 8: 1, 9: 0, 10: 3}
    bodies = st.sampled_from(sorted(lengths)).flatmap(
        lambda kind: st.tuples(st.just(kind), st.lists(edge, min_size=lengths[kind], max_size=lengths[kind]), st.sampled_from([0, 1, 2, 2**32 - 1]))
    )
    return st.lists(bodies, max_size=30).map(lambda items: b"".join(frame(k, 2 + i, *body, instrument=n) for i, (k, body, n) in enumerate(items)))


@settings(max_examples=150, deadline=None)
@given(mutated(), st.binary(max_size=40), st.sampled_from([Port.ORDER_ENTRY, Port.MARKET_DATA]))
def test_no_input_breaks_the_venue(frames: bytes, tail: bytes, port: Port) -> None:
    hand = HANDS.setdefault("shared", Hand())  # state builds up over the examples
    index = hand.connect(port)
    assert index >= 0
    hand.give(index, (logon(1) if port == Port.ORDER_ENTRY else frame(8, 1, 7)) + frames + tail)
    client = hand.venue.clients[index]
    assert 0 <= client["in_bytes"] <= INBOX_WORDS * 8
    assert 0 <= client["out_start"] <= client["out_end"] <= hand.venue.outboxes.shape[1] * 8
    messages = hand.take(index)
    assert all(m.seq == i + 1 for i, m in enumerate(messages)) or port == Port.MARKET_DATA
    hand.disconnect(index)
    holdings = hand.venue.holdings
    assert holdings["position"].sum() == 0
    assert holdings["cash_e8"].sum() == 0
    tops = hand.venue.books.tops
    assert ((tops["bid"] == 0) | (tops["ask"] == 0) | (tops["bid"] < tops["ask"])).all()


HANDS: dict[str, Hand] = {}
