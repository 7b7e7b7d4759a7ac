"""Market messages: documented ones, recorded ones against Python's json and Decimal, the short way against the general one, refusals by counter."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from hftkit.binance.line import Kind, Trades, new_line
from hftkit.codes import MessageType, Side
from hftkit.instruments import Instrument
from tests.shared_data import documented, recorded
from tests.unit.kernels.binance_messages import (
    MS,
    Hand,
    Replica,
    agg_trade,
    depth,
    mark_price,
    snapshot,
    text,
    ticker,
    trade,
)


def ticks(price: str, step: str) -> int:
    steps = Decimal(price) / Decimal(step)
    assert steps == int(steps)
    return int(steps)


def test_a_book_ticker_is_a_quote_where_depth_is_not_followed() -> None:
    hand = Hand(depth=False)
    (quote,) = hand.give(ticker())
    assert quote.type == MessageType.BBO
    assert (quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty) == (640001, 3250, 640002, 1004)
    assert (quote.ts_event, quote.seq, quote.instrument) == ((MS + 123) * 1_000_000, 1, 0)
    assert hand.give(ticker()) == []
    assert hand.count("tickers_old") == 1


def test_scales_follow_the_symbol() -> None:
    hand = Hand(depth=False)
    (quote,) = hand.give(ticker(symbol="1000PEPEUSDT", b="0.0101200", a="0.0101300", bq="5", aq="7"))
    assert (quote.instrument, quote.bid_price, quote.ask_price, quote.bid_qty) == (2, 1012, 1013, 5)
    (emptied,) = hand.give(ticker(symbol="1000PEPEUSDT", u=102, b="0.01012001", a="0.0101300", bq="5", aq="7"))
    assert (emptied.type, emptied.instrument) == (MessageType.SNAPSHOT_BEGIN, 2)  # no whole tick: what it said of that book is missing
    assert hand.count("bad_number") == 1


@pytest.mark.parametrize(("use", "message"), [(Trades.TRADE, trade), (Trades.AGG_TRADE, agg_trade)])
def test_trades_come_from_the_stream_that_was_chosen(use: Trades, message: Any) -> None:
    hand = Hand(trades=use)
    (print_,) = hand.give(message(7))
    assert (print_.type, print_.trade_id, print_.side, print_.price) == (MessageType.TRADE, 7, Side.BUY, 640002)
    assert hand.give(trade(8) if use == Trades.AGG_TRADE else agg_trade(8)) == []
    assert hand.count("ignored") == 1
    assert hand.give(message(7)) == []
    assert [frame.seq for frame in hand.give(message(8)) + hand.give(message(11))] == [2, 4]
    assert (hand.count("trades_old"), hand.count("trades_lost")) == (1, 2)


def test_the_maker_flag_names_the_aggressor_and_other_prints_have_no_volume() -> None:
    hand = Hand()
    assert hand.give(trade(1, maker=True))[0].side == Side.SELL
    assert hand.give(trade(2, x="INSURANCE_FUND")) == []
    assert hand.give(trade(3, price="0", qty="0", x="NA")) == []
    assert hand.give(trade(4))[0].seq == 2
    assert hand.count("trades_lost") == 0


def test_a_mark_price_is_kept() -> None:
    hand = Hand()
    assert hand.give(mark_price()) == []
    row = hand.line.mark[0]
    assert (row["mark_e8"], row["index_e8"], row["funding_e8"]) == (6400153120000, 6402011893617, 10000)
    assert row["ts_event"] == (MS + 1000) * 1_000_000


def test_answers_to_control_messages_and_known_other_events_are_counted() -> None:
    hand = Hand()
    for message in ({"result": None, "id": 1}, {"code": 2, "msg": "x"}, {"error": {"code": 2, "msg": "x"}, "id": 2}):
        assert hand.give(message) == []
    assert hand.give({"e": "kline", "E": MS, "s": "BTCUSDT", "k": {"t": 1}}) == []
    assert hand.give({"e": "whatItMayBe", "E": MS}) == []
    assert hand.give(ticker(symbol="NOTUSDT")) == []
    counted = [hand.count(name) for name in ("control_answers", "ignored", "unknown_event", "unknown_symbol")]
    assert counted == [3, 1, 1, 1]


def shapes(message: dict[str, Any]) -> dict[str, bytes]:
    """The same message in other clothes."""
    reverse = dict(reversed(list(message.items())))
    extra = {"zz": [1, {"e": "trade"}, "]}"], **message, "yy": {"a": None}}
    return {
        "documented": text(message),
        "reversed": text(reverse),
        "extra members": text(extra),
        "white space": json.dumps(message, indent=1).encode(),
        "combined": text({"stream": "btcusdt@x", "data": message}),
        "combined, reversed": text({"data": reverse, "stream": "btcusdt@x"}),
        "combined, white space": json.dumps({"stream": "btcusdt@x", "data": message}).encode(),
        "escapes": text(message).replace(b"BTCUSDT", b"BTC\\u0055SDT").replace(b'"s"', b'"\\u0073"'),
        "older": text({key: value for key, value in message.items() if key not in ("st", "ps", "nq")}),
    }


MESSAGES = {
    "ticker": ticker(),
    "trade": trade(),
    "aggTrade": agg_trade(),
    "depth": depth(90, 101, 89, [("64000.10", "3.250")], [("64000.30", "0.000")]),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_short_way_and_the_general_one_read_the_same(name: str) -> None:
    answers = {}
    for shape, payload in shapes(MESSAGES[name]).items():
        hand = Hand(trades=Trades.AGG_TRADE if name == "aggTrade" else Trades.TRADE)
        hand.give(depth(80, 89, 70, [("64000.00", "1")], [("64000.50", "1")]))
        hand.give(snapshot(85, [("64000.00", "1")], [("64000.50", "1")]), Kind.REST_DEPTH)
        before = hand.count("fast")
        answers[shape] = [repr(frame) for frame in hand.give(payload)]
        assert (hand.count("fast") > before) == (shape in ("documented", "combined", "older")), shape
    assert answers["documented"]
    assert all(answer == answers["documented"] for answer in answers.values()), answers


def test_numbers_instead_of_strings_are_taken_exactly() -> None:
    hand = Hand(depth=False)
    payload = text(ticker()).replace(b'"64000.10"', b"64000.1").replace(b'"3.250"', b"325e-2")
    (quote,) = hand.give(payload)
    assert (quote.bid_price, quote.bid_qty) == (640001, 3250)


def plain_quotes_and_trades(name: str) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    quotes, trades, last = [], [], 0
    for line in recorded(name):
        data = json.loads(line).get("data", {})
        if data.get("e") == "bookTicker" and data["u"] > last:
            last = data["u"]
            row = (ticks(data["b"], "0.1"), ticks(data["B"], "0.001"), ticks(data["a"], "0.1"), ticks(data["A"], "0.001"))
            quotes.append((data["T"] * 1_000_000, *row))
        elif data.get("e") == "trade" and data["X"] == "MARKET":
            row = (data["t"], int(data["m"]), ticks(data["p"], "0.1"), ticks(data["q"], "0.001"))
            trades.append((data["T"] * 1_000_000, *row))
    return quotes, trades


def test_every_recorded_quote_and_trade_is_what_json_and_decimal_say() -> None:
    name = "binance_usdm_btcusdt_20240808.jsonl.gz"
    quotes, trades = plain_quotes_and_trades(name)
    hand = Hand(depth=False)
    found: dict[MessageType, list[tuple[int, ...]]] = {MessageType.BBO: [], MessageType.TRADE: []}
    for line in recorded(name):
        for frame in hand.give(line):
            found[frame.type].append(tuple(frame.fields.values()))
    assert found[MessageType.BBO] == quotes
    assert found[MessageType.TRADE] == trades
    assert len(quotes) > 40_000
    assert hand.count("general") < 10_000  # depth events, which this line does not follow, and the snapshot


def apply_plain(book: tuple[dict[int, int], dict[int, int]], event: dict[str, Any]) -> None:
    for side, key in zip(book, ("b", "a"), strict=True):
        for price, qty in event[key]:
            lots = ticks(qty, "0.001")
            if lots:
                side[ticks(price, "0.1")] = lots
            else:
                side.pop(ticks(price, "0.1"), None)


def test_the_recorded_depth_stream_gives_the_recorded_book() -> None:
    """The engine's replica, fed by the line, beside a dictionary, over the whole recording (which has no gap)."""
    hand, replica = Hand(), Replica()
    book: tuple[dict[int, int], dict[int, int]] = ({}, {})
    waiting: list[dict[str, Any]] = []
    applied, compared = -1, 0
    for line in recorded("binance_usdm_btcusdt_20240808.jsonl.gz"):
        message = json.loads(line)
        if "lastUpdateId" in message:
            applied = message["lastUpdateId"]
            apply_plain(book, {"b": message["bids"], "a": message["asks"]})
            for event in waiting:
                if event["u"] >= applied:
                    apply_plain(book, event)
            replica.take(hand.give_bytes(line, Kind.REST_DEPTH))
        elif message["data"]["e"] == "depthUpdate":
            if applied < 0:
                waiting.append(message["data"])
            else:
                apply_plain(book, message["data"])
            replica.take(hand.give_bytes(line))
        else:
            continue
        if replica.is_synced() and hand.count("depth_events") % 5 == 0:
            low, high = int(hand.line.sync[0]["bid_horizon"]), int(hand.line.sync[0]["ask_horizon"])
            assert replica.sides() == ({p: q for p, q in book[0].items() if p >= low}, {p: q for p, q in book[1].items() if p <= high})
            compared += 1
    assert compared > 100
    assert (hand.count("depth_gaps"), hand.count("snapshots_old"), hand.count("crossed")) == (0, 0, 0)


def test_documented_single_messages_of_another_project_are_taken_or_counted() -> None:
    names = ("ETHUSDT", "BTCUSDT", "BNBUSDT")
    hand = Hand()
    hand.line = new_line([Instrument(symbol=name, tick_size="0.00001", lot_size="0.001") for name in names])
    refused = ("not_json", "missing", "wrong_type", "bad_number")
    for name, message in documented("ws_futures_*.json"):
        is_user = any(word in name for word in ("order_update", "algo", "trade_lite"))
        hand.give(message, Kind.USER if is_user else Kind.MARKET)
        assert [hand.count(counter) for counter in refused] == [0, 0, 0, 0], name


def test_a_stream_in_every_split_buffer_position_needs_no_neighbours() -> None:
    """A message cut short anywhere is refused: the bytes behind its end are never read as part of it."""
    for message in (*MESSAGES.values(), mark_price()):
        payload = text(message)
        hand = Hand()
        for n in range(len(payload)):
            assert hand.give(payload[:n]) == []
        assert hand.count("not_json") == len(payload)
