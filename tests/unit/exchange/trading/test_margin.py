"""Margins, liquidation, funding: the rules one by one, and the figures of published examples."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from hftkit.codes import Reject
from hftkit.exchange.core.layout import TapKind
from hftkit.exchange.testing import ACCOUNT_QUERY, CANCEL_ALL, CONDITIONAL_ORDER, MASS_QUOTE, NEW_ORDER, REPLACE_ORDER, Message
from tests.unit.exchange.hand import SECOND, Hand

E8 = 10**8
TICK_LOT = 1000  # of the first instrument: 0.01 * 0.001
BUY, SELL = 0, 1
LIMIT, MARKET, STOP_MARKET = 0, 1, 2
GTC, IOC, FOK, GTD = range(4)
POST_ONLY, REDUCE_ONLY = 1, 2
MINUTE = 60 * SECOND
FAIR = {"initial_balance": "1000", "leverage": 10, "maintenance_margin_ppm": 50_000}


class Desk(Hand):
    """Orders in the first instrument, with ids of their own."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{**FAIR, **options})  # type: ignore[arg-type]
        self.at(0)
        self.last_id = 0

    def order(self, who: int, side: int, price: int, qty: int, kind: int = LIMIT, tif: int = GTC, flags: int = 0, instrument: int = 0) -> Message:
        """First answer to a new order; its id is `last_id`."""
        self.last_id += 1
        return self.send(who, NEW_ORDER, self.last_id, side, kind, tif, flags, price, qty, instrument=instrument)[0]

    def swap(self, seller: int, buyer: int, price: int, qty: int, instrument: int = 0) -> None:
        """The two trade with each other, whoever quotes what: the price becomes the last one."""
        assert self.order(seller, SELL, price, qty, instrument=instrument).name == "ORDER_ACK"
        assert self.order(buyer, BUY, price, qty, instrument=instrument).name == "ORDER_ACK"
        self.drain(seller)
        self.drain(buyer)

    def wallet(self, account: int) -> Fraction:
        return Fraction(int(self.venue.accounts["wallet_e8"][account]), E8)


def test_the_initial_margin_of_a_published_example() -> None:
    """1 BTC at 9,253.30 with leverage 20: 462.66 (Binance help centre, "How to Calculate Cost Required to Open a Position"), which is 462.665."""
    for balance, name in (("462.665", "ORDER_ACK"), ("462.66499999", "ORDER_REJECT")):
        desk = Desk(start_price="9000.00", initial_balance=balance, leverage=20, maintenance_margin_ppm=25_000)
        answer = desk.order(desk.enter(1), BUY, 925_330, 1000)
        assert answer.name == name
        assert name == "ORDER_ACK" or answer.reason == Reject.VENUE_INSUFFICIENT_MARGIN


@pytest.mark.parametrize(
    ("wallet", "others_maintenance", "others_profit", "amount", "position", "entry", "rate_ppm", "start", "liquidation"),
    [
        ("1535443.01", "71200.81144", "-56354.57", "135365", 3_683_979, 145_684, 100_000, "1300.00", "1153.26"),
        ("1535443.01", "356512.508", "-448192.89", "16300", 109_488, 3_248_198, 25_000, "26500.00", "26316.89"),
    ],
)
def test_liquidation_prices_of_a_published_example(
    wallet: str, others_maintenance: str, others_profit: str, amount: str, position: int, entry: int, rate_ppm: int, start: str, liquidation: str
) -> None:
    """The two cross positions of Binance's example (help centre, "How to Calculate Liquidation Price of USD-M Futures Contracts"): one tick apart.

    Its other contracts and the maintenance amount of its bracket, which are constants there, are put into the wallet.
    """
    cash = Decimal(wallet) - Decimal(others_maintenance) + Decimal(others_profit) + Decimal(amount)
    price = int(Decimal(liquidation) * 100)
    for mark, happens in ((price + 2, False), (price - 2, True)):
        desk = Desk(start_price=start, initial_balance="10000000", leverage=1_000_000 // rate_ppm, maintenance_margin_ppm=rate_ppm)
        venue, holder = desk.venue, desk.enter(1)
        a, b = desk.enter(2), desk.enter(3)
        venue.accounts["wallet_e8"][2] = int(cash * E8)
        venue.holdings["position"][2, 0] = venue.books.exposures["position"][2, 0] = position
        venue.holdings["cost_e8"][2, 0] = position * entry * TICK_LOT
        desk.swap(a, b, mark, 1000)
        desk.at(SECOND)
        assert (venue.accounts["n_liquidations"][2] == 1) == happens
        names = [m.name for m in desk.take(holder)]
        assert ("POSITION" in names) == happens


def test_a_sell_below_the_bid_is_valued_at_the_bid() -> None:
    desk = Desk(max_order_qty=2**40)
    a, b = desk.enter(1), desk.enter(2)
    desk.order(b, BUY, 10_000, 95_000)  # 95 at 100.00, margin 950
    assert desk.order(a, SELL, 100, 101_000, tif=IOC).reason == Reject.VENUE_INSUFFICIENT_MARGIN  # at 1.00 it would need 10.10
    assert desk.order(a, SELL, 100, 2**40, tif=IOC).reason == Reject.VENUE_INSUFFICIENT_MARGIN  # 1.1e19 at the bid
    assert desk.order(a, SELL, 100, 90_000, tif=IOC).name == "ORDER_ACK"
    assert desk.venue.holdings["position"][2, 0] == -90_000


def test_a_replace_is_charged_for_what_is_open() -> None:
    desk = Desk()
    a, b = desk.enter(1), desk.enter(2)
    desk.order(a, BUY, 10_000, 90_000)
    mine = desk.last_id
    desk.order(b, SELL, 10_000, 80_000, tif=IOC)
    desk.drain(a)
    answers = desk.send(a, REPLACE_ORDER, mine, 10_001, 90_000, instrument=0)  # 80 are held, 10 are open: 900, and not 1,700
    assert answers[0].name == "ORDER_ACK"
    assert desk.send(a, REPLACE_ORDER, mine, 10_001, 110_000, instrument=0)[0].reason == Reject.VENUE_INSUFFICIENT_MARGIN


def test_a_replace_that_needs_less_is_taken_from_an_account_that_is_short() -> None:
    desk = Desk()
    a, b, c = (desk.enter(1 + i) for i in range(3))
    desk.swap(b, a, 10_000, 80_000)
    desk.order(a, BUY, 9_600, 10_000)
    mine = desk.last_id
    desk.swap(b, c, 9_700, 1000)
    status = desk.send(a, ACCOUNT_QUERY)[0]
    assert status.initial_margin_e8 == 776 * E8 + 96 * E8
    assert status.wallet_e8 + status.unrealised_e8 == 1000 * E8 - 240 * E8 - 240_000_000  # the fee: 2.4
    assert desk.order(a, BUY, 9_000, 1000).reason == Reject.VENUE_INSUFFICIENT_MARGIN
    assert desk.send(a, REPLACE_ORDER, mine, 9_600, 10_001, instrument=0)[0].reason == Reject.VENUE_INSUFFICIENT_MARGIN
    assert desk.send(a, REPLACE_ORDER, mine, 9_500, 10_000, instrument=0)[0].name == "ORDER_ACK"
    assert desk.order(a, SELL, 9_800, 10_000).name == "ORDER_ACK"  # makes nothing larger


def test_reduce_only_orders_need_no_margin_and_count_for_none() -> None:
    desk = Desk(leverage=20)
    a, b = desk.enter(1), desk.enter(2)
    desk.swap(b, a, 10_000, 190_000)  # 19,000 at leverage 20: 950 of 1,000
    before = desk.send(a, ACCOUNT_QUERY)[0].initial_margin_e8
    for price in (10_100, 10_200, 10_300):  # a ladder of exits, together the whole position
        assert desk.order(a, SELL, price, 60_000, flags=REDUCE_ONLY).name == "ORDER_ACK"
    assert desk.order(a, SELL, 10_300, 20_000, flags=REDUCE_ONLY).reason == Reject.VENUE_REDUCE_ONLY  # 10,000 are left for it
    assert desk.order(a, SELL, 10_300, 10_000, flags=REDUCE_ONLY).name == "ORDER_ACK"
    assert desk.send(a, ACCOUNT_QUERY)[0].initial_margin_e8 == before
    assert desk.send(a, REPLACE_ORDER, desk.last_id, 10_400, 10_001, instrument=0)[0].reason == Reject.VENUE_REDUCE_ONLY
    assert desk.send(a, REPLACE_ORDER, desk.last_id, 10_400, 10_000, instrument=0)[0].name == "ORDER_ACK"
    assert desk.order(a, SELL, 10_300, 395_000).reason == Reject.VENUE_INSUFFICIENT_MARGIN
    assert desk.order(a, SELL, 10_200, 190_000).name == "ORDER_ACK"  # makes nothing larger by itself; with the stop it would
    stop = (77, SELL, STOP_MARKET, GTC, REDUCE_ONLY, 0, 190_000, 9_900, 0)
    assert desk.send(a, CONDITIONAL_ORDER, *stop, instrument=0)[0].name == "ORDER_ACK"
    desk.order(b, BUY, 9_900, 300_000)
    desk.order(b, SELL, 9_900, 1000, tif=IOC)  # the last price is 99.00: the stop is active, and needs no margin
    assert desk.venue.holdings["position"][2, 0] == 0
    assert desk.venue.books.exposures["open_ask"][2, 0] == 10_200 * 190_000


def test_reduce_only_orders_without_room_are_ended_last_in_line_first() -> None:
    desk = Desk()
    a, b = desk.enter(1), desk.enter(2)
    desk.swap(b, a, 10_000, 1000)
    ladder = {}
    for price, qty in ((10_200, 600), (10_100, 400)):
        assert desk.order(a, SELL, price, qty, flags=REDUCE_ONLY).name == "ORDER_ACK"
        ladder[price] = desk.last_id
    assert desk.order(a, SELL, 10_150, 601, flags=REDUCE_ONLY).reason == Reject.VENUE_REDUCE_ONLY
    desk.drain(a)
    answers = desk.send(a, NEW_ORDER, 99, SELL, LIMIT, GTC, REDUCE_ONLY, 10_150, 100, instrument=0)  # comes before the order at 102.00
    assert [(m.name, getattr(m, "client_order_id", 0)) for m in answers] == [("ORDER_ACK", 99), ("ORDER_CANCELED", ladder[10_200])]
    assert answers[-1].reason == Reject.VENUE_REDUCE_ONLY
    desk.order(b, BUY, 9_900, 450)
    answers = desk.send(a, NEW_ORDER, 100, SELL, LIMIT, IOC, 0, 9_900, 450, instrument=0)  # 550 are held, 500 stand in line
    assert [m.name for m in answers] == ["ORDER_ACK", "ORDER_FILL"]
    desk.order(b, BUY, 9_900, 1100)
    answers = desk.send(a, NEW_ORDER, 101, SELL, LIMIT, IOC, 0, 9_900, 1100, instrument=0)  # turned: nothing is left to sell
    ended = [m.client_order_id for m in answers if m.name == "ORDER_CANCELED"]
    assert ended == [99, ladder[10_100]]
    assert desk.venue.books.exposures[2, 0]["reducing_ask"] == 0
    assert desk.order(a, SELL, 10_000, 1, flags=REDUCE_ONLY).reason == Reject.VENUE_REDUCE_ONLY


@pytest.mark.parametrize("rate", [137, -137])
def test_funding_is_paid_for_every_interval_that_has_passed(rate: int) -> None:
    desk = Desk(funding_rate_ppm=rate, funding_interval_minutes=1)
    a, b = desk.enter(1), desk.enter(2)
    desk.swap(b, a, 10_003, 333)
    paid = Fraction(333 * 10_003 * TICK_LOT * rate, 1_000_000)
    floor = paid.__floor__()
    fund = int(desk.venue.accounts["wallet_e8"][-1])
    for now, intervals in ((MINUTE - 1, 0), (MINUTE, 1), (MINUTE + SECOND, 0), (4 * MINUTE + SECOND, 3)):
        desk.at(now)
        told = [m.amount_e8 for m in desk.take(a) if m.name == "FUNDING"]
        assert told == [floor] * intervals
        received = [m.amount_e8 for m in desk.take(b) if m.name == "FUNDING"]
        assert received == [(-paid).__floor__()] * intervals
    assert paid != floor
    assert int(desk.venue.accounts["wallet_e8"][-1]) == fund - 4  # what rounding costs


def test_margins_are_looked_at_right_after_funding() -> None:
    desk = Desk(funding_rate_ppm=100_000, funding_interval_minutes=1, margin_check_ms=3_600_000)
    a, b = desk.enter(1), desk.enter(2)
    desk.swap(b, a, 10_000, 90_000)
    desk.at(MINUTE - 1)
    assert desk.venue.accounts["n_liquidations"][2] == 0
    desk.at(MINUTE)  # 900 of 997 are paid; the next look at margins would be in an hour
    assert desk.venue.accounts["n_liquidations"][2] == 1


def test_a_debt_without_a_position_is_made_up_by_the_fund_which_may_go_below_zero() -> None:
    desk = Desk(insurance_fund="10")
    a, b, c = (desk.enter(1 + i) for i in range(3))
    desk.swap(b, a, 10_000, 90_000)
    desk.order(c, BUY, 9_000, 50_000)
    desk.order(c, BUY, 8_500, 50_000)
    desk.order(a, BUY, 8_000, 1000)
    desk.order(a, SELL, 0, 90_000, MARKET)  # leaves before the venue looks: 50 at 90.00 and 40 at 85.00 lose 1,100
    lost = desk.wallet(2)
    assert lost < -100
    desk.drain(a)
    desk.at(SECOND)
    assert desk.wallet(2) == 0
    assert desk.wallet(-1) == 10 + lost < 0
    canceled, *told = desk.take(a)
    assert (canceled.name, canceled.reason) == ("ORDER_CANCELED", Reject.VENUE_LIQUIDATION)
    assert [m.name for m in told] == ["POSITION", "POSITION"]
    desk.at(2 * SECOND)
    assert desk.venue.accounts["n_liquidations"][2] == 1
    assert desk.take(a) == []


def test_a_fill_beyond_the_cross_wallet_of_an_isolated_position_is_no_debt() -> None:
    desk = Desk()
    a, b = desk.enter(1), desk.enter(2)
    desk.venue.holdings["is_isolated"][2, 0] = 1
    desk.swap(b, a, 10_000, 100_000)  # all of 1,000 is its margin; the fee of 3 is owed
    desk.at(SECOND)
    assert desk.venue.accounts["n_liquidations"][2] == 0
    assert desk.wallet(2) == 997
    assert desk.venue.accounts["isolated_e8"][2] == 1000 * E8


def test_without_a_maintenance_margin_the_end_is_at_zero() -> None:
    desk = Desk(maintenance_margin_ppm=0, initial_balance="101")
    a, b, c = (desk.enter(1 + i) for i in range(3))
    desk.swap(b, a, 10_000, 10_000)
    desk.swap(c, b, 9_001, 1000)
    desk.at(SECOND)
    assert desk.venue.accounts["n_liquidations"][2] == 0  # 101 - 0.3 - 99.9
    desk.swap(c, b, 8_990, 1000)
    desk.at(2 * SECOND)
    assert desk.venue.accounts["n_liquidations"][2] == 1


def test_nothing_is_traded_for_a_liquidation_where_the_market_is_halted() -> None:
    desk = Desk()
    a, b, c = (desk.enter(1 + i) for i in range(3))
    desk.swap(b, a, 10_000, 90_000)
    desk.order(c, BUY, 9_300, 50_000)
    desk.swap(c, b, 9_350, 1000)
    desk.halt(0, 0)
    trades = int(desk.venue.books.counters["n_trades"][0])
    fund = desk.wallet(-1)
    desk.at(SECOND)
    assert desk.venue.accounts["n_liquidations"][2] == 1
    assert desk.venue.books.counters["n_trades"][0] == trades
    assert desk.venue.holdings["position"][-1, 0] == 90_000
    assert desk.wallet(2) == 1000 - Fraction(9000 * 300, 10**6) - 585  # closed at the mark, 93.50; the rest is the owner's
    assert desk.wallet(-1) == fund


def test_ids_below_one_are_the_venues_own() -> None:
    """An open order with the id of the venue's closing order would keep the position from the market."""
    desk = Desk()
    a, b, c = (desk.enter(1 + i) for i in range(3))
    for client_order_id in (0, -1, -(2**63)):
        (answer,) = desk.send(a, NEW_ORDER, client_order_id, BUY, LIMIT, GTC, 0, 9_000, 1000, instrument=0)
        assert (answer.name, answer.reason) == ("ORDER_REJECT", Reject.VENUE_DUPLICATE_CLIENT_ORDER_ID)
    desk.swap(b, a, 10_000, 90_000)
    desk.order(c, BUY, 9_300, 90_000)
    desk.swap(c, b, 9_350, 1000)
    desk.drain(a)
    desk.at(SECOND)
    fills = [m for m in desk.take(a) if m.name == "ORDER_FILL"]
    assert [(m.client_order_id < 0, m.price, m.qty) for m in fills] == [(True, 9_300, 90_000)]


def test_post_only_is_for_orders_that_may_rest() -> None:
    desk = Desk()
    a = desk.enter(1)
    for kind, tif in ((MARKET, GTC), (LIMIT, IOC), (LIMIT, FOK)):
        assert desk.order(a, BUY, 9_000, 1000, kind, tif, POST_ONLY).reason == Reject.VENUE_BAD_TYPE
    assert desk.order(a, BUY, 9_000, 1000, flags=POST_ONLY).name == "ORDER_ACK"


def test_a_triggered_fill_or_kill_order_is_never_cut_to_the_position() -> None:
    for tif, left, names in ((IOC, 0, ["ORDER_TRIGGERED", "ORDER_FILL", "ORDER_CANCELED"]), (FOK, 5_000, ["ORDER_TRIGGERED", "ORDER_CANCELED"])):
        desk = Desk()
        a, b, c = (desk.enter(1 + i) for i in range(3))
        desk.swap(b, a, 10_000, 5_000)
        stop = (70, SELL, STOP_MARKET, tif, REDUCE_ONLY, 0, 8_000, 9_900, 0)
        assert desk.send(a, CONDITIONAL_ORDER, *stop, instrument=0)[0].name == "ORDER_ACK"
        desk.order(b, BUY, 9_800, 20_000)
        desk.swap(c, b, 9_900, 1000)
        told = desk.take(a)
        assert [m.name for m in told] == names
        assert told[-1].reason == Reject.VENUE_REDUCE_ONLY
        assert desk.venue.holdings["position"][2, 0] == left


def test_the_drop_copy_of_a_replaced_order_keeps_its_date() -> None:
    desk = Desk()
    a, tap = desk.enter(1), desk.venue.tap
    tap.state["on"] = 1
    assert desk.send(a, CONDITIONAL_ORDER, 1, BUY, LIMIT, GTD, 0, 9_000, 1000, 0, 5 * SECOND, instrument=0)[0].name == "ORDER_ACK"
    desk.send(a, REPLACE_ORDER, 1, 9_001, 2000, instrument=0)
    row = tap.execution[0]
    assert (row["header"] >> 16) & 0xFF == TapKind.EXECUTION
    assert (row["price"], row["time_in_force"], row["expire_ts"], row["qty"]) == (9_001, GTD, 5 * SECOND, 2000)
    desk.send(a, CANCEL_ALL)
    assert row["leaves"] == 0


def test_turning_an_isolated_position_round_needs_the_margin_of_what_it_opens() -> None:
    desk = Desk(initial_balance="110")
    a, b, c = (desk.enter(1 + i) for i in range(3))
    desk.venue.holdings["is_isolated"][2, 0] = 1
    desk.venue.accounts["wallet_e8"][3:5] = 100_000 * E8
    desk.swap(b, a, 10_000, 10_000)  # 10 at 100.00: 100 isolated, 9.7 left
    assert desk.order(a, SELL, 10_000, 20_000).name == "ORDER_ACK"  # closing gives 100 back, which is the margin of the other 10
    assert desk.send(a, CANCEL_ALL)[0].name == "ORDER_CANCELED"
    assert desk.order(a, SELL, 10_000, 22_000).reason == Reject.VENUE_INSUFFICIENT_MARGIN
    desk.swap(b, c, 9_200, 1000)
    assert desk.order(a, SELL, 9_200, 20_000).reason == Reject.VENUE_INSUFFICIENT_MARGIN  # now it gives 20 back, and 92 are needed
    assert desk.order(a, SELL, 9_200, 13_000).name == "ORDER_ACK"
    assert desk.order(a, SELL, 9_200, 10_000, flags=REDUCE_ONLY).name == "ORDER_ACK"
    desk.send(a, CANCEL_ALL)
    desk.swap(b, c, 8_000, 1000)  # before the venue looks: 200 lost of 100
    assert desk.order(a, SELL, 8_000, 10_000).name == "ORDER_ACK"  # closing is never a matter of margin


def test_nearly_all_money_opens_an_isolated_position_and_closing_it_is_free() -> None:
    desk = Desk(initial_balance="101")
    a, b, c = (desk.enter(1 + i) for i in range(3))
    desk.venue.holdings["is_isolated"][2, 0] = 1
    desk.venue.accounts["wallet_e8"][3:5] = 100_000 * E8
    desk.swap(a, b, 10_000, 10_000)  # short
    assert desk.order(a, SELL, 10_100, 1000).reason == Reject.VENUE_INSUFFICIENT_MARGIN
    assert desk.order(a, BUY, 9_900, 10_000).name == "ORDER_ACK"
    assert desk.order(a, BUY, 9_800, 11_000).reason == Reject.VENUE_INSUFFICIENT_MARGIN  # 21 to buy, 10 to close: 108 against 100 and 0.7
    desk.send(a, CANCEL_ALL)
    desk.swap(b, c, 12_000, 1000)  # before the venue looks: 200 lost of 100
    assert desk.order(a, BUY, 12_000, 10_000).name == "ORDER_ACK"


def test_a_position_of_billions_of_lots_is_closed_in_parts() -> None:
    """Profit of a part is right to 1e-9 of the cost, that of the whole to the unit."""
    desk = Desk(start_price="1.00", initial_balance="10000000", max_order_qty=2**40, leverage=20)
    a, b = desk.enter(1), desk.enter(2)
    bought = ((97, 2**33 + 1), (101, 2**32 + 12_345))
    for price, qty in bought:
        desk.swap(b, a, price, qty)
    lots, cost = sum(qty for _, qty in bought), TICK_LOT * sum(price * qty for price, qty in bought)
    exact, sold = Fraction(0), 0
    for qty in (2**32 + 1, 2**31 + 77, lots - 2**32 - 2**31 - 78):
        desk.swap(a, b, 103, qty)
        sold += qty
        exact = Fraction(103 * TICK_LOT * sold) - Fraction(cost * sold, lots)
        holding = desk.venue.holdings[2, 0]
        assert abs(int(holding["realised_e8"]) - exact) <= cost // 10**9
    assert (holding["position"], holding["cost_e8"], holding["realised_e8"]) == (0, 0, exact)


def test_waiting_orders_count_as_open_ones_and_a_quote_makes_room_for_itself() -> None:
    desk = Desk(max_open_orders=4)
    a = desk.enter(1)
    for number in (901, 902):
        stop = (number, BUY, STOP_MARKET, GTC, 0, 0, 1000, 11_000, 0)
        assert desk.send(a, CONDITIONAL_ORDER, *stop, instrument=0)[0].name == "ORDER_ACK"
    assert [m.name for m in desk.send(a, MASS_QUOTE, 903, 904, 9_900, 1000, 10_100, 1000, instrument=0)] == ["ORDER_ACK"] * 2
    assert desk.order(a, BUY, 9_000, 1000).reason == Reject.VENUE_TOO_MANY_ORDERS
    again = desk.send(a, MASS_QUOTE, 905, 906, 9_900, 1000, 10_100, 1000, instrument=0)
    assert [m.name for m in again] == ["ORDER_CANCELED"] * 2 + ["ORDER_ACK"] * 2
    too_much = desk.send(a, MASS_QUOTE, 907, 908, 9_900, 1000, 10_100, 102_000, instrument=0)  # the offer alone needs 1,030.2
    assert [(m.name, m.client_order_id) for m in too_much[2:]] == [("ORDER_ACK", 907), ("ORDER_REJECT", 908)]
    assert too_much[3].reason == Reject.VENUE_INSUFFICIENT_MARGIN


def test_a_cross_liquidation_leaves_isolated_positions_and_their_orders() -> None:
    desk = Desk(initial_balance="1000")
    a, b, c = (desk.enter(1 + i) for i in range(3))
    desk.venue.holdings["is_isolated"][2, 0] = 1
    desk.venue.accounts["wallet_e8"][3:5] = 100_000 * E8
    desk.swap(b, a, 10_000, 10_000)  # isolated: 10 at 100.00
    desk.order(a, BUY, 9_000, 1000)
    desk.swap(b, a, 100, 100, instrument=1)  # cross: 100 at 50.0
    desk.order(a, BUY, 80, 10, instrument=1)
    desk.swap(b, c, 85, 10, instrument=1)  # 750 lost
    desk.at(SECOND)
    assert desk.venue.holdings["position"][2].tolist() == [10_000, 0]
    assert [m.instrument for m in desk.take(a) if m.name == "ORDER_CANCELED" and m.reason == Reject.VENUE_LIQUIDATION] == [1]
    assert desk.venue.books.owners["n_open"][2] == 1
    assert desk.venue.accounts["isolated_e8"][2] == 100 * E8


def test_every_order_whose_date_has_come_ends() -> None:
    desk = Desk()
    a = desk.enter(1)
    for number, date in ((1, 5), (2, 3), (3, 5), (4, 9)):
        assert desk.send(a, CONDITIONAL_ORDER, number, BUY, LIMIT, GTD, 0, 9_000, 1000, 0, date * SECOND, instrument=0)[0].name == "ORDER_ACK"
    desk.at(6 * SECOND)
    ended = desk.take(a)
    assert [(m.client_order_id, m.reason) for m in ended] == [(number, Reject.VENUE_EXPIRED) for number in (2, 1, 3)]
