"""Instruments: scales that make P&L exact, symbols that survive the wire."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftkit.errors import UnitError
from hftkit.instruments import Instrument, instrument_array, symbol_from_words

BTC = Instrument(symbol="BTCUSDT", tick_size="0.10", lot_size="0.001", min_notional="5", maker_fee_ppm=-50, taker_fee_ppm=400)
SYMBOL = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=16)


def test_the_money_of_one_lot_and_one_tick() -> None:
    assert BTC.tick_lot_e8 == 10_000  # 0.1 * 0.001 = 0.0001 quote
    assert (BTC.tick_size_e8, BTC.lot_size_e8, BTC.min_notional_e8) == (10_000_000, 100_000, 500_000_000)


@given(st.integers(0, 5), st.integers(0, 3), st.integers(1, 99), st.integers(1, 99))
def test_tick_lot_agrees_with_fractions(tick_places: int, lot_places: int, tick: int, lot: int) -> None:
    instrument = Instrument(symbol="X", tick_size=f"{tick}e-{tick_places}", lot_size=f"{lot}e-{lot_places}")
    assert instrument.tick_lot_e8 == Fraction(tick, 10**tick_places) * Fraction(lot, 10**lot_places) * 10**8


@given(SYMBOL)
def test_the_symbol_survives_the_two_words_of_the_wire(symbol: str) -> None:
    words = Instrument(symbol=symbol, tick_size="1", lot_size="1").symbol_words()
    assert symbol_from_words(*words) == symbol
    assert all(-(2**63) <= word < 2**63 for word in words)


def test_the_array_holds_what_the_instrument_says() -> None:
    other = Instrument(symbol="ETHUSDT", tick_size="0.01", lot_size="0.01")
    table = instrument_array([BTC, other])
    assert table.shape == (2,)
    assert list(table["tick_lot_e8"]) == [10_000, 10_000]
    assert (table[0]["maker_fee_ppm"], table[0]["taker_fee_ppm"], table[1]["min_notional_e8"]) == (-50, 400, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbol": ""}, "1 to 16 printable ASCII"),
        ({"symbol": "ABCDEFGHIJKLMNOPQ"}, "1 to 16 printable ASCII"),
        ({"symbol": "BTC€"}, "printable ASCII"),
        ({"symbol": "BTC\0"}, "printable ASCII"),  # would come back from the wire as BTC
        ({"symbol": "BTC USD"}, "without spaces"),
        ({"tick_size": "0"}, "tick_size of BTCUSDT must be positive"),
        ({"lot_size": "-1"}, "lot_size of BTCUSDT must be positive"),
        ({"tick_size": "nan"}, "not finite"),
        ({"tick_size": "0.1x"}, "not a decimal number"),
        ({"min_notional": "-5"}, "min_notional of BTCUSDT is negative"),
        ({"tick_size": "0.00001", "lot_size": "0.00001"}, "finer than 1e-8"),
        ({"tick_size": "0.000000001", "lot_size": "10"}, "not a multiple"),  # the product is exact, the tick is not
        ({"min_notional": "0.000000001"}, "not a multiple"),
    ],
)
def test_scales_that_would_make_money_inexact_are_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(UnitError, match=message):
        Instrument(**{**msgspec.structs.asdict(BTC), **change})
