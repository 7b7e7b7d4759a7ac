"""Commissions in any asset become the quote asset's: at a price, at the expected rate, by every route, counted once and by asset."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hftkit.binance.line import Kind, fee_price_words, fees_by_asset, new_line
from hftkit.codes import MessageType
from hftkit.instruments import Instrument
from tests.unit.kernels.binance_messages import USER_TRADES, Frame, Hand, fill, funding_fee

E8 = 10**8
MAKER, TAKER = 200, 500  # ppm
VALUE = Decimal("64000.20") * 2 / 1000  # of the fills below


def hand(*prices: tuple[str, str]) -> Hand:
    """A line with one order of ten lots sent, and prices of assets known."""
    made = Hand()
    scales = (Instrument(symbol=s, tick_size=t, lot_size="0.001", maker_fee_ppm=MAKER, taker_fee_ppm=TAKER) for s, t in (("BTCUSDT", "0.10"),))
    made.line = new_line(tuple(scales))
    for subject in (Kind.ORDER_API, Kind.USER):
        made.give(b"x", Kind.LINE_UP, int(subject))
    made.place(qty=10)
    for asset, price in prices:
        assert made.give(fee_price_words(asset, int(Decimal(price) * E8)), Kind.FEE_PRICE) == []
    return made


def fee(frames: list[Frame]) -> int:
    (found,) = (frame.fee_e8 for frame in frames if frame.type is MessageType.ORDER_FILL)
    return found


@pytest.mark.parametrize(
    ("asset", "amount", "price", "booked"),
    [
        ("USDT", "0.06400020", None, "0.06400020"),
        ("USDT", "-0.00640002", None, "-0.00640002"),
        ("BNB", "0.00010667", "600.01", "0.06400306"),
        ("BNB", "-0.00001067", "600", "-0.00640200"),
        ("BNFCR", "0.06400020", "1", "0.06400020"),
        ("USDC", "0.06410000", "0.9987", "0.06401667"),
        ("BTC", "0.00000100", "98765.43210", "0.09876543"),
        ("BNB", "12.5", "123456.78", "1543209.75"),
    ],
)
def test_a_commission_at_the_price_of_its_asset(asset: str, amount: str, price: str | None, booked: str) -> None:
    line = hand(*([(asset, price)] if price else []))
    told = fee(line.give(fill("0.002", "0.002", 5, n=amount, N=asset), Kind.USER))
    assert abs(told - Decimal(booked) * E8) <= 1  # towards minus infinity
    row = fees_by_asset(line.line)[asset]
    assert (row["n_fills"], row["n_at_rate"], row["paid_e8"], row["quote_e8"]) == (1, 0, int(Decimal(amount) * E8), told)
    assert line.count("fee_other_asset") == (asset != "USDT")


@pytest.mark.parametrize(("maker", "ppm"), [(False, TAKER), (True, MAKER)])
@pytest.mark.parametrize("asset", ["BNB", "AVERYLONGASSET", "BNFCR"])
def test_without_a_price_the_expected_rate_is_booked(asset: str, maker: bool, ppm: int) -> None:
    line = hand()
    told = fee(line.give(fill("0.002", "0.002", 5, n="0.00010667", N=asset, m=maker), Kind.USER))
    assert told == int(VALUE * ppm * E8 / 10**6)
    assert line.count("fee_at_rate") == line.count("fee_other_asset") == 1


@pytest.mark.parametrize(("changes", "booked"), [({"n": "0", "N": "BNB"}, 0), ({"n": "0", "N": None}, 0), ({"N": None}, 6_400_020)])
def test_no_commission_and_no_asset(changes: dict[str, str | None], booked: int) -> None:
    line = hand()
    assert fee(line.give(fill("0.002", "0.002", 5, **changes), Kind.USER)) == booked
    assert line.count("fee_other_asset") == 0


def test_the_same_by_stream_and_by_rest_and_never_twice() -> None:
    line = hand(("BNB", "600"))
    line.give(fill("0.002", "0.004", 62, n="0.0001", N="BNB"), Kind.USER)  # the one before it is missing: held
    assert fees_by_asset(line.line)["BNB"]["n_fills"] == 0
    row = {**USER_TRADES[0], "commission": "0.0001", "commissionAsset": "BNB"}
    rows = [{**row, "id": 61}, {**row, "id": 62}]
    told = [frame.fee_e8 for frame in line.give(rows, Kind.REST_TRADES) if frame.type is MessageType.ORDER_FILL]
    line.give(rows, Kind.REST_TRADES)
    line.give(fill("0.002", "0.004", 62, n="0.0001", N="BNB"), Kind.USER)
    assert told == [6_000_000, 6_000_000]
    assert [fees_by_asset(line.line)["BNB"][name] for name in ("n_fills", "paid_e8", "quote_e8")] == [2, 20_000, 12_000_000]


def test_a_ninth_asset_has_no_row_and_is_booked_all_the_same() -> None:
    line = hand(*((f"A{i}", "2") for i in range(1, 9)))
    assert len(fees_by_asset(line.line)) == 8
    assert fee(line.give(fill("0.002", "0.002", 5, n="1", N="A8"), Kind.USER)) == int(VALUE * TAKER * E8 / 10**6)
    assert fee(line.give(fill("0.002", "0.004", 6, n="1", N="A7"), Kind.USER)) == 2 * E8


@pytest.mark.parametrize(("price", "booked"), [("600", 60_000_000), (None, None)])
def test_funding_in_another_asset(price: str | None, booked: int | None) -> None:
    line = hand(*([("BNB", price)] if price else []))
    payment = funding_fee(change="-0.001")
    payment["a"]["B"][0]["a"] = "BNB"
    told = [frame.amount_e8 for frame in line.give(payment, Kind.USER) if frame.type is MessageType.FUNDING]
    assert told == ([booked] if booked else [])
    assert line.count("funding_other_asset") == (not booked)


def test_prices_that_cannot_be_are_left() -> None:
    line = hand(("USDT", "3"), ("BNB", "0"))
    assert fees_by_asset(line.line)["USDT"]["price_e8"] == E8
    assert line.give(b"short", Kind.FEE_PRICE) == []
    with pytest.raises(ValueError, match="1 to 8 bytes"):
        fee_price_words("AVERYLONGASSET", 1)
