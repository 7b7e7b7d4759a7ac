"""The backtest's venue takes requests: what rests, what is refused, what a fill costs, and the fill contract of bars."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.backtest.run import Depth, Latency, Queue, backtest, bars_to_tape, quotes_to_tape, session_of
from hftkit.benchmarks.engine_rooms import bench_config
from hftkit.codes import MessageType, OrderFlag, Reject, Side, TimeInForce
from hftkit.errors import DataError
from hftkit.instruments import Instrument
from hftkit.kernels import backtest_desk as words
from hftkit.kernels.market.queue import ESTIMATES
from hftkit.session.replay import replay
from tests.backtest_desk import DirectVenue, Frame
from tests.unit.exchange.market.history.tapes import bbo, trade

ONE = Instrument(symbol="ONE", tick_size="0.01", lot_size="0.001", min_notional="0.001", maker_fee_ppm=-20, taker_fee_ppm=500)
T = 1_700_000_000_000_000_000
BUY, SELL, IOC = int(Side.BUY), int(Side.SELL), int(TimeInForce.IOC)
POST = int(OrderFlag.POST_ONLY)
BUY_ONE_UNIT = bench_config().strategies[0]  # wants +100 lead lots and -80 hedge lots, whatever the market does


def venue(*rows: list[int], queue: Queue | None = None, depth: Depth | None = None, capacity: int = 4096) -> DirectVenue:
    return DirectVenue.of(np.array(rows, np.int64), (ONE,), queue or Queue(), depth, capacity)


def kinds(answers: list[Frame]) -> list[MessageType]:
    return [kind for kind, *_ in answers]


def test_a_limit_order_takes_then_rests_and_pays_as_taker_then_as_maker():
    desk = venue(bbo(0, 99, 10, 101, 4), bbo(5, 99, 10, 102, 7), trade(6, SELL, 100, 3), trade(7, SELL, 100, 9))
    desk.new(T, 1, BUY, 101, 10)
    desk.until(T + 9)
    assert kinds(desk.answers) == [MessageType.ORDER_ACK, MessageType.ORDER_FILL, MessageType.ORDER_FILL, MessageType.ORDER_FILL]
    fills = [body for kind, _, _, body in desk.answers[1:]]
    assert [(b[0] - T, b[5], b[6], b[7], b[8]) for b in fills] == [(0, 0, 101, 4, 6), (6, 1, 101, 3, 3), (7, 1, 101, 3, 0)]
    worth = 101 * ONE.tick_lot_e8
    assert [b[9] for b in fills] == [4 * worth * 500 // 10**6, 3 * worth * -20 // 10**6, 3 * worth * -20 // 10**6]
    assert desk.desk.market[0, words.POSITION] == 10
    assert [seq for _, _, seq, _ in desk.answers] == [1, 2, 3, 4]


def test_post_only_is_refused_where_it_would_take_and_rests_where_not():
    desk = venue(bbo(0, 99, 10, 101, 4))
    desk.new(T, 1, BUY, 101, 1, flags=POST)
    desk.new(T, 2, BUY, 100, 1, flags=POST)
    desk.new(T, 3, SELL, 99, 2, flags=POST)
    assert kinds(desk.answers) == [MessageType.ORDER_REJECT, MessageType.ORDER_ACK, MessageType.ORDER_REJECT]
    assert {body[2] for kind, _, _, body in desk.answers if kind == MessageType.ORDER_REJECT} == {int(Reject.BOOK_POST_ONLY_WOULD_TAKE)}
    assert desk.desk.loop[0]["resting"] == 1


def test_a_cancel_takes_out_what_is_left_and_an_unknown_one_is_rejected():
    desk = venue(bbo(0, 99, 10, 101, 4), trade(5, SELL, 98, 3))
    desk.new(T, 1, BUY, 99, 10)
    desk.cancel(T + 6, 1)
    desk.cancel(T + 7, 1)
    desk.cancel(T + 7, 9)
    assert kinds(desk.answers)[2:] == [MessageType.ORDER_CANCELED, MessageType.CANCEL_REJECT, MessageType.CANCEL_REJECT]
    assert desk.answers[2][3][3:] == (7, 0)  # three were traded through
    assert desk.answers[3][3][2] == int(Reject.BOOK_UNKNOWN_ORDER)


def test_what_cannot_rest_is_refused_with_the_venue_s_own_reason():
    desk = venue(bbo(0, 99, 10, 101, 4), capacity=4)
    desk.new(T, 1, BUY, 99, 10)
    for coid, price, qty, tif in ((1, 99, 10, 0), (5, 99, 10, 0), (2, -1, 10, 0), (2, 99, 0, 0), (2, 99, 10, 3), (2, 1, 1, 0)):
        desk.new(T, coid, BUY, price, qty, tif)
    reasons = [body[2] for kind, _, _, body in desk.answers if kind == MessageType.ORDER_REJECT]
    wanted = (Reject.VENUE_DUPLICATE_CLIENT_ORDER_ID, Reject.BOOK_FULL, Reject.VENUE_BAD_PRICE, Reject.VENUE_BAD_QTY, Reject.VENUE_BAD_TYPE)
    assert reasons == [*map(int, wanted), int(Reject.VENUE_MIN_NOTIONAL)]


def test_immediate_orders_and_markets_leave_nothing_behind():
    desk = venue(bbo(0, 99, 10, 101, 4), depth=Depth(levels=2, growth=2))
    desk.new(T, 1, BUY, 101, 6, IOC)
    desk.new(T, 2, BUY, 0, 99)
    ends = [body[3] for kind, _, _, body in desk.answers if kind == MessageType.ORDER_CANCELED]
    assert ends == [2, 99 - 12]  # 4 at the touch, 12 one tick behind
    assert desk.desk.loop[0]["resting"] == 0


@pytest.mark.parametrize(("estimate", "reached"), [("optimistic", 3), ("neutral", 3), ("pessimistic", 4)])
def test_on_bars_the_touch_of_a_close_fills_and_the_pessimistic_estimate_wants_it_beyond(estimate: str, reached: int):
    """Closes 100, 101, 99, 98, 97, one tick to either side: the offer is at 99 (touching a bid of 99) at the close of 98, below it at that of 97."""
    closes = np.array([100, 101, 99, 98, 97])
    tape = bars_to_tape(T + 10 * np.arange(5), closes, np.full(5, 50), 5)
    desk = DirectVenue.of(tape, (ONE, ONE), Queue(estimate, quotes="bars"))
    desk.new(T, 1, BUY, 99, 1000)
    desk.until(T + 100)
    assert desk.fills == [(T + 10 * reached, 1, 99, 1000)]


def test_bars_say_the_same_of_the_three_estimates_only_beyond_the_price():
    tape = bars_to_tape(T + 10 * np.arange(2), np.array([100, 90]), np.full(2, 50), 5)
    for estimate in ESTIMATES:
        desk = DirectVenue.of(tape, (ONE, ONE), Queue(estimate, quotes="bars"))
        desk.new(T, 1, BUY, 99, 1000)
        desk.until(T + 100)
        assert desk.fills == [(T + 10, 1, 99, 1000)]


def test_a_second_instrument_does_not_touch_the_orders_of_the_first():
    names = np.array([0, 1, 1, 1])
    tape = quotes_to_tape(T + np.arange(4), names, np.array([99, 50, 40, 30]), np.full(4, 5), np.array([101, 52, 42, 32]), np.full(4, 5))
    desk = DirectVenue.of(tape, (ONE, ONE), Queue())
    desk.new(T, 1, BUY, 99, 1000)
    desk.new(T + 1, 2, BUY, 45, 1000, instrument=1)
    desk.until(T + 100)
    assert desk.fills == [(T + 2, 2, 45, 5), (T + 3, 2, 45, 5)]


def test_a_queue_that_does_not_exist_is_refused():
    with pytest.raises(DataError, match="'lucky' is not known"):
        Queue("lucky")
    with pytest.raises(DataError, match="out of range"):
        Queue(participation=0.0)
    with pytest.raises(DataError, match="no kind 'drawn'"):
        Queue(quotes="drawn")
    with pytest.raises(DataError, match="2 kinds of quotes for 1 instruments"):
        DirectVenue.of(np.array([bbo(0, 1, 1, 2, 1)]), (ONE,), Queue(quotes=("bars", "made")))


def test_funding_is_paid_on_what_was_held_and_reaches_the_ledger(tmp_path):
    """100 lots of the lead are bought at 0, 80 of the hedge sold. At 10 ms both pay; at 20 ms the lead has no offer: its last whole quote counts."""
    start, ms = 1_000_000_000_000, 1_000_000
    at = np.arange(40)
    names = at % 2
    bid, ask = np.where(names == 0, 9999, 1999), np.where(names == 0, 10_001, 2001)
    tape = quotes_to_tape(start + at * ms, names, bid, np.full(40, 1000), np.where((names == 0) & (at > 15), 0, ask), np.full(40, 1000))
    rows = [(0, 0, 10_000), (10, 0, 10_000), (10, 1, 30_000), (20, 0, -777), (99, 0, 10_000)]  # the first before the fill, the last after the tape
    schedule = np.array([(start + t * ms, instrument, rate) for t, instrument, rate in rows], np.int64)
    config = session_of(BUY_ONE_UNIT)
    run = backtest(config, tape, funding=schedule, latency=Latency(answer_ns=500), journal=tmp_path / "j")
    lead, hedge = (100 * 10_000 * config.instruments[0].tick_lot_e8, -80 * 2000 * config.instruments[1].tick_lot_e8)
    wanted = [(10, 0, 10_000, 100, lead * 10_000), (10, 1, 30_000, -80, hedge * 30_000), (20, 0, -777, 100, lead * -777)]
    assert run.funding.tolist() == [[start + t * ms, i, rate, lots, amount // 10**8] for t, i, rate, lots, amount in wanted]
    assert run.rooms.ledger["funding_e8"].tolist() == [run.funding[0, 4] + run.funding[2, 4], run.funding[1, 4]]
    assert run.net_e8 == backtest(config, tape).net_e8 - run.funding[:, 4].sum()
    replayed = replay(tmp_path / "j")
    assert replayed.identical, replayed.difference
    assert replayed.rooms.ledger["funding_e8"].tolist() == run.rooms.ledger["funding_e8"].tolist()


def test_a_funding_schedule_must_be_one():
    config, tape = session_of(BUY_ONE_UNIT), quotes_to_tape(np.array([1]), np.zeros(1), np.ones(1), np.ones(1), np.full(1, 2), np.ones(1))
    with pytest.raises(DataError, match="a funding schedule is int64"):
        backtest(config, tape, funding=np.zeros((1, 3)))
    with pytest.raises(DataError, match="out of order, or names an instrument"):
        backtest(config, tape, funding=np.array([[1, 7, 0]]))
