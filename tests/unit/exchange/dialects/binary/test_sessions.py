"""Sessions without sockets: the venue driven by hand, with a clock of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import OrderState, Reject
from hftkit.errors import ConfigError
from hftkit.exchange.core.layout import ClientState, Port
from hftkit.exchange.testing import (
    ACCOUNT_QUERY,
    CANCEL_ORDER,
    CONDITIONAL_ORDER,
    HEARTBEAT,
    MASS_QUOTE,
    NEW_ORDER,
    ORDER_QUERY,
    REPLACE_ORDER,
    SUBSCRIBE,
    frame,
)
from hftkit.exchange.venue import INBOX_WORDS
from tests.unit.exchange.hand import SECOND, Hand, logon


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


def test_a_connection_that_sends_byte_by_byte_has_no_longer() -> None:
    hand = Hand(logon_deadline_ms=1000)
    hand.at(0)
    index = hand.connect(Port.ORDER_ENTRY)
    for k, byte in enumerate(logon(1)[:-1]):
        hand.at(k * SECOND // 80)
        hand.give(index, bytes([byte]))
        hand.supervise()
    (message,) = hand.take(index)
    assert (message.name, message.reason) == ("SESSION_REJECT", Reject.SESSION_NOT_LOGGED_ON)


def test_a_market_data_connection_must_ask_for_something() -> None:
    hand = Hand(logon_deadline_ms=1000)
    hand.at(0)
    idle, follower = hand.connect(Port.MARKET_DATA), hand.connect(Port.MARKET_DATA)
    assert hand.send(follower, SUBSCRIBE, 1)[0].name == "INSTRUMENT"
    hand.at(3600 * SECOND)
    hand.supervise()
    assert [m.reason for m in hand.take(idle)] == [Reject.SESSION_NOT_LOGGED_ON]
    assert hand.venue.clients[follower]["state"] == ClientState.CONNECTED


def test_a_session_that_was_ended_is_resumed_without_being_ended_again() -> None:
    """SESSION_REJECT ended a connection; whoever resumes the session gets its number as a heartbeat, and no gap."""
    hand = Hand()
    hand.at(0)
    index = hand.connect(Port.ORDER_ENTRY)
    hand.give(index, logon(1, SECOND))
    seen = hand.take(index)
    hand.at(4 * SECOND)
    hand.supervise()
    ended = hand.take(index)
    assert [(m.name, m.seq) for m in ended] == [("SESSION_REJECT", seen[-1].seq + 1)]
    for expected in (seen[-1].seq + 1, seen[-1].seq + 2):  # it was lost on the way, or was not
        hand.disconnect(index)
        index = hand.connect(Port.ORDER_ENTRY)
        hand.give(index, logon(1, next_seq_in=expected))
        ack, *missed = hand.take(index)
        assert (ack.name, ack.next_seq_out) == ("LOGON_ACK", 2)
        assert [(m.name, m.seq) for m in missed] == [("VENUE_HEARTBEAT", s) for s in range(expected, ended[-1].seq + 1)]
    assert hand.send(index, HEARTBEAT, 5)[0].seq == ended[-1].seq + 1


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
    assert client["out_end"] <= hand.venue.send_buffers.shape[1] * 8
    hand.disconnect(index)
    assert hand.connect(Port.ORDER_ENTRY) == index


def test_a_lost_connection_is_resumed_where_it_broke() -> None:
    hand = Hand()
    hand.at(0)
    index, other = hand.enter(1), hand.enter(2)
    seen = hand.send(index, NEW_ORDER, 1, 0, 0, 0, 0, 9900, 200, instrument=0)
    assert [m.name for m in seen] == ["ORDER_ACK"]
    hand.give(index, frame(NEW_ORDER, 3, 2, 0, 0, 0, 0, 9890, 200, instrument=0))  # its answer is lost
    hand.disconnect(index)
    assert hand.send(other, NEW_ORDER, 1, 1, 0, 1, 0, 9890, 300, instrument=0)[-1].leaves_qty == 0  # fills him while he is away
    again = hand.connect(Port.ORDER_ENTRY)
    hand.give(again, logon(1, next_seq_in=seen[-1].seq + 1))
    ack, *missed = hand.take(again)
    assert (ack.name, ack.seq, ack.next_seq_out) == ("LOGON_ACK", 0, 4)
    assert [(m.name, m.seq) for m in missed] == [("ORDER_ACK", 5), ("ORDER_FILL", 6), ("ORDER_FILL", 7)]
    hand.give(again, frame(HEARTBEAT, 4, 77))
    assert [(m.name, m.seq) for m in hand.take(again)] == [("VENUE_HEARTBEAT", 8)]


def test_what_is_no_longer_kept_cannot_be_resumed() -> None:
    hand = Hand()
    hand.at(0)
    index = hand.enter(1)
    for _ in range(3000):
        hand.send(index, HEARTBEAT, 1)
    last = int(hand.venue.accounts[2]["seq_out"])
    hand.disconnect(index)
    for expected, reason in ((2, Reject.SESSION_RESEND_TOO_OLD), (last + 2, Reject.SESSION_BAD_SEQUENCE)):
        again = hand.connect(Port.ORDER_ENTRY)
        hand.give(again, logon(1, next_seq_in=expected))
        assert hand.take(again)[0].reason == reason
        hand.disconnect(again)
    again = hand.connect(Port.ORDER_ENTRY)
    hand.give(again, logon(1, next_seq_in=last - 99))
    assert [m.seq for m in hand.take(again)] == [0, *range(last - 99, last + 1)]
    never = hand.connect(Port.ORDER_ENTRY)
    hand.give(never, logon(2, next_seq_in=5))
    assert hand.take(never)[0].reason == Reject.SESSION_RESEND_TOO_OLD


def test_a_signed_venue_takes_only_the_right_signature(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HFTKIT_SIM_SECRET_7", "open sesame")
    (tmp_path / "keys.toml").write_text('8 = "' + "x" * 64 + '"')
    hand = Hand(signed_logon=True, key_file=str(tmp_path / "keys.toml"))
    hand.at(0)
    for account, secret, name in (
        (7, b"open sesame", "LOGON_ACK"),
        (8, b"x" * 64, "LOGON_ACK"),
        (7, b"", "SESSION_REJECT"),
        (8, b"open sesame", "SESSION_REJECT"),
        (9, b"open sesame", "SESSION_REJECT"),
    ):
        index = hand.connect(Port.ORDER_ENTRY)
        hand.give(index, logon(account, secret=secret))
        answer = hand.take(index)[0]
        assert answer.name == name
        assert name == "LOGON_ACK" or answer.reason == Reject.SESSION_BAD_SIGNATURE
        hand.disconnect(index)
    altered = bytearray(logon(7, secret=b"open sesame"))
    altered[40] ^= 1
    index = hand.connect(Port.ORDER_ENTRY)
    hand.give(index, bytes(altered))
    assert hand.take(index)[0].reason == Reject.SESSION_BAD_SIGNATURE


def test_a_logon_that_was_overheard_cannot_be_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFTKIT_SIM_SECRET_7", "s")
    hand = Hand(signed_logon=True)
    hand.at(0)
    first, second = logon(7, secret=b"s", ts_client=100), logon(7, secret=b"s", ts_client=101)

    def answer(data: bytes) -> Any:
        index = hand.connect(Port.ORDER_ENTRY)
        hand.give(index, data)
        return index, hand.take(index)[0]

    index, message = answer(first)
    assert message.name == "LOGON_ACK"
    assert answer(first)[1].reason == Reject.SESSION_BAD_SIGNATURE
    assert answer(second)[1].reason == Reject.SESSION_DUPLICATE_LOGON
    hand.disconnect(index)
    for data in (first, second):
        assert answer(data)[1].reason == Reject.SESSION_BAD_SIGNATURE
    assert answer(logon(7, secret=b"s", ts_client=102))[1].name == "LOGON_ACK"


def test_secrets_that_are_missing_or_too_long_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no account has a secret"):
        Hand(signed_logon=True)
    monkeypatch.setenv("HFTKIT_SIM_SECRET_7", "x" * 65)
    with pytest.raises(ConfigError, match="account 7 has 65 bytes"):
        Hand(signed_logon=True)


def test_orders_that_come_too_fast_are_refused_and_time_gives_credit_back() -> None:
    hand = Hand(orders_per_s=10, orders_burst=3)
    hand.at(0)
    index = hand.enter(1)
    names = [hand.send(index, NEW_ORDER, i, 0, 0, 0, 0, 9000, 200, instrument=0)[0] for i in range(1, 6)]
    assert [m.name for m in names] == ["ORDER_ACK"] * 3 + ["ORDER_REJECT"] * 2
    assert names[-1].reason == Reject.SESSION_THROTTLED
    assert hand.send(index, CANCEL_ORDER, 1, instrument=0)[0].name == "ORDER_CANCELED"
    hand.at(SECOND // 10)
    assert hand.send(index, NEW_ORDER, 5, 0, 0, 0, 0, 9000, 200, instrument=0)[0].name == "ORDER_ACK"
    assert hand.send(index, NEW_ORDER, 6, 0, 0, 0, 0, 9000, 200, instrument=0)[0].reason == Reject.SESSION_THROTTLED
    hand.disconnect(index)
    again, other = hand.enter(1), hand.enter(2)  # reconnecting gives no credit, and others have their own
    assert hand.send(again, NEW_ORDER, 7, 0, 0, 0, 0, 9000, 200, instrument=0)[0].reason == Reject.SESSION_THROTTLED
    assert hand.send(other, NEW_ORDER, 1, 0, 0, 0, 0, 9000, 200, instrument=0)[0].name == "ORDER_ACK"
    hand.at(3600 * SECOND)
    burst = [hand.send(again, NEW_ORDER, i, 0, 0, 0, 0, 9000, 200, instrument=0)[0].name for i in range(10, 15)]
    assert burst == ["ORDER_ACK"] * 3 + ["ORDER_REJECT"] * 2


def test_a_stop_is_triggered_by_a_trade_and_a_dated_order_ends_on_time() -> None:
    hand = Hand()
    hand.at(0)
    a, b = hand.enter(1), hand.enter(2)
    stop = (1, 1, 2, 0, 0, 0, 200, 9900, 0)  # sell 200 at the market once the price falls to 99.00
    assert hand.send(a, CONDITIONAL_ORDER, *stop, instrument=0)[0].name == "ORDER_ACK"
    assert hand.send(a, REPLACE_ORDER, 1, 9000, 100, instrument=0)[0].reason == Reject.VENUE_BAD_TYPE
    hand.send(a, NEW_ORDER, 2, 0, 0, 0, 0, 9900, 200, instrument=0)
    hand.send(a, NEW_ORDER, 3, 0, 0, 0, 0, 9800, 200, instrument=0)
    hand.send(b, NEW_ORDER, 1, 1, 0, 1, 0, 9900, 200, instrument=0)
    names = [m.name for m in hand.take(a)]
    assert names == ["ORDER_FILL", "ORDER_TRIGGERED", "ORDER_FILL", "ORDER_FILL"]
    dated = (4, 0, 0, 3, 0, 9000, 200, 0, 5 * SECOND)
    assert hand.send(a, CONDITIONAL_ORDER, *dated, instrument=0)[0].name == "ORDER_ACK"
    hand.at(5 * SECOND - 1)
    assert hand.take(a) == []
    hand.at(5 * SECOND)
    (ended,) = hand.take(a)
    assert (ended.name, ended.reason) == ("ORDER_CANCELED", Reject.VENUE_EXPIRED)
    assert hand.send(a, ORDER_QUERY, 4)[0].state == OrderState.EXPIRED
    late = hand.send(a, CONDITIONAL_ORDER, 5, 0, 0, 3, 0, 9000, 200, 0, 5 * SECOND, instrument=0)
    assert late[0].reason == Reject.VENUE_EXPIRED
    assert hand.send(a, NEW_ORDER, 6, 0, 2, 0, 0, 9000, 200, instrument=0)[0].reason == Reject.VENUE_BAD_TYPE


def test_a_quote_replaces_the_former_one_on_both_sides() -> None:
    hand = Hand()
    hand.at(0)
    index = hand.enter(1)
    first = hand.send(index, MASS_QUOTE, 1, 2, 9900, 200, 9910, 300, instrument=0)
    assert [m.name for m in first] == ["ORDER_ACK", "ORDER_ACK"]
    second = hand.send(index, MASS_QUOTE, 3, 4, 9910, 200, 9920, 300, instrument=0)  # the bid passes the former offer
    assert [(m.name, m.client_order_id) for m in second] == [
        *(("ORDER_CANCELED", 1), ("ORDER_CANCELED", 2)),
        *(("ORDER_ACK", 3), ("ORDER_ACK", 4)),
    ]
    assert [m.name for m in hand.send(index, MASS_QUOTE, 0, 0, 0, 0, 0, 0, instrument=0)] == ["ORDER_CANCELED"] * 2
    assert hand.venue.books.owners[2]["n_open"] == 0


def test_a_halted_market_takes_cancels_only() -> None:
    hand = Hand()
    hand.at(0)
    index, data = hand.enter(1), hand.connect(Port.MARKET_DATA)
    names = [m.name for m in hand.send(data, SUBSCRIBE, 1)]
    assert names == ["INSTRUMENT", "MARKET_STATUS", "BBO"] * 2
    hand.send(index, NEW_ORDER, 1, 0, 0, 0, 0, 9000, 200, instrument=0)
    assert [m.name for m in hand.take(data)] == ["BBO"]
    hand.halt(0, 0)
    (status,) = hand.take(data)
    assert (status.name, status.instrument, status.open) == ("MARKET_STATUS", 0, 0)
    assert hand.send(index, NEW_ORDER, 2, 0, 0, 0, 0, 9000, 200, instrument=0)[0].reason == Reject.VENUE_MARKET_CLOSED
    assert hand.send(index, NEW_ORDER, 3, 0, 0, 0, 0, 90, 2, instrument=1)[0].name == "ORDER_ACK"
    assert hand.send(index, CANCEL_ORDER, 1, instrument=0)[0].name == "ORDER_CANCELED"
    hand.halt(0, 1)
    assert hand.send(index, NEW_ORDER, 4, 0, 0, 0, 0, 9000, 200, instrument=0)[0].name == "ORDER_ACK"


def test_an_account_sees_its_money_and_cannot_spend_more() -> None:
    hand = Hand(initial_balance="1000", leverage=10, maintenance_margin_ppm=50_000)
    hand.at(0)
    a, b = hand.enter(1), hand.enter(2)
    hand.send(a, NEW_ORDER, 1, 1, 0, 0, 0, 10_000, 50_000, instrument=0)  # 50 at 100.00: 5000, margin 500
    hand.send(b, NEW_ORDER, 1, 0, 0, 0, 0, 10_000, 50_000, instrument=0)
    (status,) = hand.send(b, ACCOUNT_QUERY)
    fee = 5000 * 300 * 100  # ppm of 5000.00000000
    assert (status.wallet_e8, status.unrealised_e8) == (1000 * 10**8 - fee, 0)
    assert (status.initial_margin_e8, status.maintenance_margin_e8) == (500 * 10**8, 250 * 10**8)
    assert hand.send(b, NEW_ORDER, 2, 0, 0, 0, 0, 10_000, 50_000, instrument=0)[0].reason == Reject.VENUE_INSUFFICIENT_MARGIN
    assert hand.send(b, NEW_ORDER, 3, 0, 0, 0, 0, 10_000, 40_000, instrument=0)[0].name == "ORDER_ACK"
    assert hand.send(b, REPLACE_ORDER, 3, 10_000, 60_000, instrument=0)[0].reason == Reject.VENUE_INSUFFICIENT_MARGIN
    assert hand.send(b, NEW_ORDER, 4, 1, 0, 0, 0, 10_001, 50_000, instrument=0)[0].name == "ORDER_ACK"  # makes nothing larger


def test_a_triggered_order_needs_its_margin_then() -> None:
    hand = Hand(initial_balance="1000", leverage=10, maintenance_margin_ppm=50_000)
    hand.at(0)
    a, b = hand.enter(1), hand.enter(2)
    large = (1, 0, 2, 0, 0, 0, 110_000, 10_100, 0)  # buy 110 at the market once the price rises to 101.00: 11,110, margin 1,111
    small = (2, 0, 2, 0, 0, 0, 50_000, 10_100, 0)
    for stop in (large, small):
        assert hand.send(b, CONDITIONAL_ORDER, *stop, instrument=0)[0].name == "ORDER_ACK"  # waiting, it needs none
    hand.send(a, NEW_ORDER, 1, 1, 0, 0, 0, 10_100, 60_000, instrument=0)
    hand.send(a, NEW_ORDER, 2, 0, 0, 1, 0, 10_150, 200, instrument=0)
    hand.take(a)
    c = hand.enter(3)
    hand.send(c, NEW_ORDER, 1, 0, 0, 1, 0, 10_100, 200, instrument=0)  # trades at 101.00
    told = [(m.name, m.client_order_id) for m in hand.take(b)]
    assert told[0] == ("ORDER_CANCELED", 1)
    assert told[1:3] == [("ORDER_TRIGGERED", 2), ("ORDER_FILL", 2)]
    assert hand.send(b, ORDER_QUERY, 1, instrument=0)[0].state == OrderState.CANCELED
    (status,) = hand.send(b, ACCOUNT_QUERY)
    assert status.initial_margin_e8 <= status.wallet_e8 + status.unrealised_e8
    reduce = (3, 1, 2, 0, 2, 0, 50_000, 9_000, 0)  # an order that only reduces needs none
    assert hand.send(b, CONDITIONAL_ORDER, *reduce, instrument=0)[0].name == "ORDER_ACK"


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
    lengths = {1: 9, 2: 0, 3: 1, 4: 7, 5: 1, 6: 0, 7: 1, 8: 1, 9: 0, 10: 3, 11: 9, 12: 6, 13: 0}
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
    assert 0 <= client["out_start"] <= client["out_end"] <= hand.venue.send_buffers.shape[1] * 8
    messages = hand.take(index)
    assert all(m.seq == i + 1 for i, m in enumerate(messages)) or port == Port.MARKET_DATA
    hand.disconnect(index)
    holdings = hand.venue.holdings
    assert holdings["position"].sum() == 0
    assert holdings["cash_e8"].sum() == 0
    tops = hand.venue.books.tops
    assert ((tops["bid"] == 0) | (tops["ask"] == 0) | (tops["bid"] < tops["ask"])).all()


HANDS: dict[str, Hand] = {}
