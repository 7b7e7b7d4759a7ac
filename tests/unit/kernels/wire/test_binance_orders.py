"""Orders through the line: what the venue says in any order, twice or not at all becomes a sequence that the engine takes without fault."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from hftkit.binance.line import Kind, wrap_rest_answer
from hftkit.codes import MessageType, OrderState, Reject
from hftkit.kernels.trading.orders import SENT, apply_order_event, is_final, move
from hftkit.kernels.wire.binance.state import Request
from hftkit.kernels.wire.decode import MALFORMED, decode_order_entry
from hftkit.kernels.wire.encode import encode_logout
from hftkit.kernels.wire.frame import header
from hftkit.layout import ALL_INSTRUMENTS, EVENT, FRAME, OPEN, ORDER
from live.venues.binance.stream_names import listen_key_code
from tests.shared_data import documented
from tests.unit.kernels.binance_messages import (
    COID,
    MS,
    POSITIONS,
    USER_OTHERS,
    USER_TRADES,
    Frame,
    Hand,
    account_update,
    api_answer,
    api_error,
    fill,
    frames_of,
    funding_fee,
    order_update,
    text,
)

ACK, FILL, CANCELED, REJECT = MessageType.ORDER_ACK, MessageType.ORDER_FILL, MessageType.ORDER_CANCELED, MessageType.ORDER_REJECT


def types(frames: list[Frame]) -> list[MessageType]:
    return [frame.type for frame in frames]


def placed() -> Hand:
    hand = Hand()
    hand.place()
    return hand


def user(hand: Hand, message: Any) -> list[Frame]:
    return hand.give(message, Kind.USER)


def api(hand: Hand, message: Any) -> list[Frame]:
    return hand.give(message, Kind.ORDER_API)


def row(trade_id: int, qty: str, **changes: Any) -> dict[str, Any]:
    return {**USER_TRADES[0], "id": trade_id, "qty": qty, **changes}


@pytest.mark.parametrize("first", ["api", "user"])
def test_an_order_is_acknowledged_once_whoever_speaks_first(first: str) -> None:
    hand = placed()
    answers = [lambda: api(hand, api_answer()), lambda: user(hand, order_update())]
    given = [types(answer()) for answer in (answers if first == "api" else answers[::-1])]
    assert given == [[ACK], []]
    assert hand.count("repeated") == 1
    assert hand.line.state[[13, 14, 15]].tolist() == [12, 3, 4]  # used of the rate limits


def test_a_fill_before_its_acknowledgement_brings_it_along() -> None:
    hand = placed()
    frames = user(hand, fill("0.010", "0.010", 5, "FILLED", m=True))
    assert types(frames) == [ACK, FILL]
    assert [frame.seq for frame in frames] == [1, 2]
    last = frames[1]
    assert (last.qty, last.leaves_qty, last.price, last.fee_e8, last.maker, last.trade_id) == (10, 0, 640002, 6_400_020, 1, 5)
    assert api(hand, api_answer()) == []
    assert user(hand, fill("0.010", "0.010", 5, "FILLED")) == []
    assert hand.count("fills_repeated") == 1


def test_order_updates_in_the_documented_order_go_the_short_way() -> None:
    for message in (fill("0.002", "0.002", 5), order_update()):
        answers = []
        for payload in (text(message), json.dumps(message).encode(), text({"stream": "key", "data": message})):
            hand = placed()
            answers.append([repr(frame) for frame in user(hand, payload)])
            assert (hand.count("fast"), hand.count("general")) == ((1, 0) if payload == text(message) else (0, 1))
        assert answers[0]
        assert answers[0] == answers[1] == answers[2]


def test_fills_that_were_lost_are_fetched_and_booked_once() -> None:
    hand = placed()
    api(hand, api_answer())
    assert types(user(hand, fill("0.002", "0.002", 5))) == [FILL]
    assert user(hand, fill("0.003", "0.009", 9)) == []  # 0.004 between are missing
    assert hand.count("fills_held") == 1
    (request,) = hand.requests()
    assert request == [Request.TRADES, 0, COID, 700800901]
    rows = [row(5, "0.002"), row(7, "0.004"), row(9, "0.003")]
    frames = hand.give(rows, Kind.REST_TRADES)
    assert [(frame.trade_id, frame.qty, frame.leaves_qty) for frame in frames] == [(7, 4, 4), (9, 3, 1)]
    assert hand.give(rows, Kind.REST_TRADES) == []
    assert types(user(hand, fill("0.001", "0.010", 11, "FILLED"))) == [FILL]


def test_an_end_waits_for_the_fills_before_it() -> None:
    hand = placed()
    api(hand, api_answer())
    assert user(hand, order_update("CANCELED", "CANCELED", z="0.006")) == []
    assert hand.requests() == [[Request.TRADES, 0, COID, 700800901]]
    frames = hand.give([row(5, "0.006")], Kind.REST_TRADES)
    assert types(frames) == [FILL, CANCELED]
    assert (frames[1].canceled_qty, frames[1].reason) == (4, 0)
    assert user(hand, order_update("CANCELED", "CANCELED", z="0.006")) == []


@pytest.mark.parametrize(
    ("er", "reason"),
    [("0", 0), ("1", Reject.BOOK_SELF_TRADE), ("2", Reject.BOOK_NO_LIQUIDITY), ("5", Reject.VENUE_LIQUIDATION), ("7", Reject.VENUE_MARKET_CLOSED)],
)
def test_an_expiry_says_why(er: str, reason: int) -> None:
    hand = placed()
    api(hand, api_answer())
    (end,) = user(hand, order_update("EXPIRED", "EXPIRED", f="IOC", er=er))
    assert (end.type, end.reason, end.canceled_qty) == (CANCELED, reason, 10)


@pytest.mark.parametrize(
    ("f", "z", "er", "reason"),
    [
        ("GTX", "0", "0", Reject.BOOK_POST_ONLY_WOULD_TAKE),
        ("GTX", "0", None, Reject.BOOK_POST_ONLY_WOULD_TAKE),
        ("GTX", "0", "5", Reject.VENUE_LIQUIDATION),  # it had rested
        ("GTC", "0", "0", 0),
    ],
)
def test_a_post_only_order_that_expires_untouched_would_have_taken(f: str, z: str, er: str | None, reason: int) -> None:
    hand = placed()
    api(hand, api_answer())
    (end,) = user(hand, order_update("EXPIRED", "EXPIRED", f=f, z=z, **({} if er is None else {"er": er})))
    assert (end.type, end.reason) == (CANCELED, reason)


def test_a_refused_cancel_says_so_and_a_fill_that_crossed_it_is_told_once() -> None:
    hand = placed()
    api(hand, api_answer())
    hand.cancel()
    assert types(api(hand, api_error(-2011, "c"))) == [MessageType.CANCEL_REJECT]
    assert types(user(hand, fill("0.010", "0.010", 11, "FILLED"))) == [FILL]
    assert types(user(hand, fill("0.010", "0.010", 11, "FILLED"))) == []
    assert api(hand, api_error(-2011, "c")) == []  # after the end there is nothing to refuse


def test_a_cancel_may_be_confirmed_by_the_order_api() -> None:
    hand = placed()
    api(hand, api_answer())
    hand.cancel()
    assert types(api(hand, api_answer("c", status="CANCELED"))) == [CANCELED]
    assert user(hand, order_update("CANCELED", "CANCELED")) == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        *((-2019, Reject.VENUE_INSUFFICIENT_MARGIN), (-5022, Reject.BOOK_POST_ONLY_WOULD_TAKE), (-4164, Reject.VENUE_MIN_NOTIONAL)),
        *((-1021, Reject.SESSION_BAD_SIGNATURE), (-1015, Reject.SESSION_THROTTLED), (-2022, Reject.VENUE_REDUCE_ONLY)),
        *((-4014, Reject.VENUE_BAD_PRICE), (-1102, Reject.SESSION_MALFORMED), (-99999, Reject.VENUE_BAD_TYPE)),
    ],
)
def test_a_refusal_has_its_reason(code: int, reason: Reject) -> None:
    hand = placed()
    (refusal,) = api(hand, api_error(code))
    assert (refusal.type, refusal.reason, refusal.client_order_id) == (REJECT, reason, COID)
    assert api(hand, api_error(code)) == []


@pytest.mark.parametrize(("code", "status"), [(-1007, 408), (-1000, 503), (-1006, 400), (-4116, 400), (-1234, 500)])
def test_an_unknown_outcome_is_asked_for_and_changes_nothing(code: int, status: int) -> None:
    hand = placed()
    assert api(hand, api_error(code, status=status)) == []
    assert hand.requests() == [[Request.ORDER, 0, COID, 0]]
    assert hand.count("unknown_outcomes") == 1
    assert types(hand.give(text(api_answer("q")), Kind.REST_ORDER)) == [ACK, MessageType.ORDER_STATUS]


@pytest.mark.parametrize(("code", "status"), [(-1008, 503), (-1001, 503)])
def test_some_overloads_say_that_nothing_happened(code: int, status: int) -> None:
    assert types(api(placed(), api_error(code, status=status))) == [REJECT]


def test_absence_is_believed_the_third_time_once_the_receive_window_is_over() -> None:
    window, absent = 5_000_000_000, api_error(-2013, "q")

    def at(hand: Hand, after_ns: int) -> list[Frame]:
        hand.now = 10**12 + after_ns - 1_000_000  # `give` lets a millisecond pass
        return api(hand, absent)

    hand, twice = placed(), placed()
    assert [at(hand, after) for after in (0, 1, 2, window - 1)] == [[]] * 4  # it may still be on its way
    (status,) = at(hand, window)
    assert (status.type, status.state) == (MessageType.ORDER_STATUS, OrderState.FREE)
    assert [at(twice, after) for after in (0, window)] == [[], []]
    acknowledged = placed()
    api(acknowledged, api_answer())
    assert [api(acknowledged, api_error(-2013, "q")) for _ in range(5)] == [[]] * 5


def test_rest_answers_have_the_same_meaning() -> None:
    hand = placed()
    body = text(api_answer()["result"])
    assert types(hand.give(wrap_rest_answer("place", COID, 200, body), Kind.REST_ORDER)) == [ACK]
    assert hand.give(wrap_rest_answer("status", COID, 502, b"<html>"), Kind.REST_ORDER) == []
    other = placed()
    assert other.give(wrap_rest_answer("place", COID, 503, b"<html>bad gateway</html>"), Kind.REST_ORDER) == []
    assert other.requests() == [[Request.ORDER, 0, COID, 0]]
    assert types(other.give(wrap_rest_answer("place", COID, 400, b'{"code":-2019,"msg":"Margin"}'), Kind.REST_ORDER)) == [REJECT]


def test_orders_of_others_are_counted_not_guessed() -> None:
    hand = placed()
    for name in ("web_1", "hk0123", f"hk{COID:016X}", "hk" + "f" * 16):
        assert user(hand, order_update(c=name)) == []
    assert user(hand, order_update("CALCULATED", "FILLED", c="autoclose-12")) == []
    assert user(hand, order_update(coid=COID + 1)) == []
    assert [hand.count(name) for name in ("foreign_orders", "forced", "unknown_orders")] == [4, 1, 1]


@pytest.mark.parametrize("wrong", [{"S": "SELL"}, {"s": "ETHUSDT"}, {"z": "0.011"}, {"l": "0.009"}, {"i": 5}])
def test_an_update_that_contradicts_the_order_is_refused(wrong: dict[str, Any]) -> None:
    hand = placed()
    api(hand, api_answer())
    assert user(hand, fill("0.002", "0.002", 5, **wrong)) == []
    assert hand.count("out_of_range") == 1


def test_a_hint_is_never_booked_and_other_events_are_counted() -> None:
    hand = placed()
    for message in USER_OTHERS:
        assert user(hand, message) == []
    counted = [hand.count(n) for n in ("hints", "listen_key_expired", "config_updates", "margin_calls", "algo_updates", "fills")]
    assert counted == [1, 1, 2, 1, 1, 0]
    assert hand.requests() == [[Request.LISTEN_KEY, 0, listen_key_code("pq"), 0]]


def test_positions_from_the_stream_and_by_rest() -> None:
    hand = Hand()
    (position,) = user(hand, account_update("-0.002"))
    assert (position.instrument, position.position) == (0, -2)
    assert hand.line.state[16] == 99_993_599_980
    rows = [*POSITIONS, {"symbol": "ZZZUSDT", "positionAmt": "1"}, {"symbol": "ETHUSDT", "positionSide": "LONG", "positionAmt": "1"}]
    assert [(frame.instrument, frame.position) for frame in hand.give(rows, Kind.REST_POSITION)] == [(0, -2), (1, 0), (2, 0)]
    assert hand.count("hedge_mode") == 1
    assert hand.give([{"symbol": "BTCUSDT", "positionAmt": "0.0005"}], Kind.REST_POSITION) == []
    assert hand.give({"code": -1}, Kind.REST_POSITION) == []


def test_funding_is_told_once_for_each_symbol_and_time() -> None:
    hand = Hand()
    (paid,) = user(hand, funding_fee("-0.01280015"))
    assert (paid.type, paid.instrument, paid.amount_e8, paid.position, paid.rate) == (MessageType.FUNDING, 0, 1_280_015, 0, 0)
    assert hand.line.state[16] == 99_992_319_965
    assert user(hand, funding_fee("-0.01280015")) == []  # the second connection of an overlap, or a resend
    assert user(hand, funding_fee("-0.5", at_ms=MS + 999)) == []
    (received,) = user(hand, funding_fee("0.25", symbol="ETHUSDT"))  # the same moment, another symbol
    assert (received.instrument, received.amount_e8, received.ts_event) == (1, -25_000_000, (MS + 1000) * 10**6)
    (later,) = user(hand, funding_fee("-1", at_ms=MS + 3_601_000))
    assert [paid.seq, received.seq, later.seq] == [1, 2, 3]
    for nameless in (funding_fee(symbol=None, at_ms=MS + 9_000_000), funding_fee(symbol="ZZZUSDT", at_ms=MS + 9_000_000)):
        assert user(hand, nameless) == []
    assert [hand.count(n) for n in ("funding", "funding_repeated", "funding_unnamed")] == [3, 2, 2]
    broken = funding_fee(at_ms=MS + 9_000_001)
    del broken["a"]["B"][0]["bc"]
    assert user(hand, broken) == []
    assert hand.count("missing") == 1


def logon(hand: Hand) -> None:
    words = np.zeros(32, np.int64)
    n = FRAME[MessageType.LOGON].words
    words[0] = header(int(MessageType.LOGON), n, ALL_INSTRUMENTS)
    assert hand.encode(words[:n]) == b""


def test_logon_is_acknowledged_when_both_connections_are_up() -> None:
    hand = Hand()
    logon(hand)
    assert hand.give(b"", Kind.DUE) == []
    assert hand.give(b"", Kind.LINE_UP, Kind.ORDER_API) == []
    assert [(f.type, f.seq) for f in hand.give(b"", Kind.LINE_UP, Kind.USER)] == [(MessageType.LOGON_ACK, 1)]
    assert hand.requests() == [[Request.POSITIONS, 0, 0, 0]]
    assert hand.give(b"", Kind.DUE) == []
    assert [f.seq for f in user(hand, account_update())] == [2]
    logon(hand)  # the engine connects again: its sequence starts again
    assert [(f.type, f.seq) for f in hand.give(b"", Kind.DUE)] == [(MessageType.LOGON_ACK, 1)]
    words = np.zeros(8, np.int64)
    hand.encode(words[: encode_logout(words, 0, 1)])
    assert types(hand.give(b"", Kind.DUE)) == [MessageType.LOGOUT_ACK]


def test_a_new_user_stream_asks_for_every_open_order() -> None:
    hand = Hand()
    for i in range(3):
        hand.place(COID + i)
    api(hand, api_error(-2019, coid=COID + 1))
    hand.give(b"", Kind.LINE_UP, Kind.USER)
    assert [request[2] for request in hand.requests()] == [COID, COID + 2, 0]


def test_a_heartbeat_brings_the_venues_time() -> None:
    hand = Hand()
    answer = {"id": f"h{77:016x}", "status": 200, "result": {"apiKey": None, "authorizedSince": None, "serverTime": MS}}
    (beat,) = api(hand, answer)
    assert (beat.type, beat.ts_event, beat.ts_client) == (MessageType.VENUE_HEARTBEAT, MS * 1_000_000, 77)


def test_documented_order_updates_of_another_project_are_read() -> None:
    hand = Hand()
    for name, message in documented("ws_futures_order_update*.json"):
        user(hand, message)
        assert hand.count("foreign_orders") + hand.count("forced") > 0, name
    assert sum(hand.count(counter) for counter in ("not_json", "missing", "wrong_type", "bad_number", "out_of_range")) == 0


class Table:
    """The engine's own order table, with one order sent."""

    def __init__(self) -> None:
        self.orders, self.open = np.zeros(4096, ORDER.dtype), np.zeros(3, OPEN.dtype)
        self.event = np.zeros(1, EVENT.dtype)
        order = self.orders[COID % 2**32 % 4096]
        order["client_order_id"], order["qty"], order["state"], order["ts_sent"] = COID, 10, OrderState.PENDING_SUBMIT, 1
        self.open[0]["buy_qty"], self.open[0]["n_orders"] = 10, 1
        self.order = order
        self.seq = 0
        move(self.orders[COID % 2**32 % 4096], self.open, SENT, 0)

    def take(self, words: np.ndarray, frames: list[Frame]) -> None:
        at = 0
        for frame in frames:
            assert frame.seq == self.seq + 1
            self.seq = frame.seq
            assert decode_order_entry(words, at, self.event, 1, 3) != MALFORMED
            assert apply_order_event(self.event, self.orders, self.open) >= 0, f"illegal for the engine: {frame}"
            at += FRAME[frame.type].words


def life(rng: random.Random) -> tuple[list[tuple[Any, Kind]], int, list[dict[str, Any]]]:
    """All that a venue says of one order's life, its filled lots, and its trades."""
    said: list[tuple[Any, Kind]] = [(api_answer(), Kind.ORDER_API), (order_update(), Kind.USER)]
    total, rows = 0, []
    while total < 10 and rng.random() < 0.7:
        n = rng.randint(1, 10 - total)
        total += n
        rows.append(row(100 + len(rows), f"0.{n:03d}"))
        said.append((fill(f"0.{n:03d}", f"0.{total:03d}", 99 + len(rows), "FILLED" if total == 10 else "PARTIALLY_FILLED"), Kind.USER))
    if total < 10:
        said.append((order_update("CANCELED", "CANCELED", z=f"0.{total:03d}"), Kind.USER))
    return said, total, rows


def test_no_order_of_answers_leads_the_engine_into_an_illegal_move() -> None:
    """A life's messages dropped, doubled and shuffled; then the queries that the line asks for: the engine ends with what the venue has."""
    ends: dict[int, int] = {}
    for seed in range(400):
        rng = random.Random(seed)
        hand, table = placed(), Table()
        said, total, rows = life(rng)
        told = [message for message in said for _ in range(rng.choice((0, 1, 1, 1, 2)))]
        for i in range(len(told) - 1):
            if rng.random() < 0.3:
                told[i], told[i + 1] = told[i + 1], told[i]
        for message, kind in told:
            words = hand.give_bytes(text(message), kind)
            table.take(words, frames_of(words))
        final = {"status": "FILLED" if total == 10 else "CANCELED", "executedQty": f"0.{total:03d}"}
        for _ in range(4):  # the stream comes back: everything is asked for
            for message, kind in ((b"", Kind.LINE_UP), *((r, None) for r in hand.requests())):
                if kind == Kind.LINE_UP:
                    hand.now += 10**10
                    words = hand.give_bytes(b"", Kind.LINE_UP, Kind.USER)
                elif message[0] == Request.ORDER:
                    words = hand.give_bytes(text(api_answer("q", **final)), Kind.REST_ORDER)
                elif message[0] == Request.TRADES:
                    words = hand.give_bytes(text(rows), Kind.REST_TRADES)
                else:
                    continue
                table.take(words, frames_of(words))
        assert table.order["filled_qty"] == total, seed
        assert is_final(int(table.order["state"])), seed
        assert table.open[0].tolist() == (0, 0, 0)
        ends[int(table.order["state"])] = ends.get(int(table.order["state"]), 0) + 1
    assert set(ends) == {OrderState.FILLED, OrderState.CANCELED}
