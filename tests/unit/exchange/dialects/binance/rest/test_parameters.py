"""Parameters: whatever arrives becomes a value or a refusal, never anything else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftkit.exchange.dialects.binance.market.contracts import FAR_DELIVERY_MS, contract_type, dated
from hftkit.exchange.dialects.binance.market.symbols import places_of, quote_of, split_symbol, text_of
from hftkit.exchange.dialects.binance.rest.errors import OF_REJECT, STATUSES, TEXTS, Refusal, refusal_of
from hftkit.exchange.dialects.binance.rest.parameters import Parameters

NAMES = st.sampled_from(["symbol", "quantity", "price", "limit", "orderId", "reduceOnly", "signature", "batchOrders", "orderidlist", "x"])


def outcome(function: Callable[[], Any]) -> Any:
    """What a function returns, or how it refuses."""
    try:
        return function()
    except Refusal as refusal:
        return refusal


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20)))
def test_form_texts_are_read_like_the_standard_library_reads_them(fields: dict[str, str]) -> None:
    text = urlencode(fields, errors="replace")
    params = Parameters.of_request(text, b"")
    expected = dict(parse_qsl(text, keep_blank_values=True))
    signature = expected.pop("signature", "")
    assert (params.values, params.signature) == (expected, signature)


@given(st.text(max_size=80), st.binary(max_size=80))
def test_any_bytes_give_values_or_a_refusal(query: str, body: bytes) -> None:
    params = outcome(lambda: Parameters.of_request(query, body))
    if isinstance(params, Refusal):
        assert params.code in (-1101, -1130)
        return
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in params.values.items())


@given(NAMES, st.text(max_size=30))
def test_every_getter_gives_its_type_or_a_documented_code(name: str, value: str) -> None:
    params = Parameters({name: value})
    kinds = {"integer": int, "number": Decimal, "boolean": bool, "client_id": str, "json_list": list}
    for getter, kind in kinds.items():
        result = outcome(lambda getter=getter: getattr(params, getter)(name))
        if isinstance(result, Refusal):
            assert result.code in {-1100, -1102, -1111, -1130, -4015} & set(TEXTS)
        else:
            assert isinstance(result, kind)


def test_what_is_signed_is_the_text_without_the_signature() -> None:
    params = Parameters.of_request("a=1&signature=ff&b=%5B2%5D", b"c=3&d=4")
    assert (params.payload, params.signature) == ("a=1&b=%5B2%5Dc=3&d=4", "ff")
    assert params.values == {"a": "1", "b": "[2]", "c": "3", "d": "4"}
    assert Parameters.of_request("", b"a=1&signature=ee").payload == "a=1"


def test_numbers_booleans_and_lists_as_clients_write_them() -> None:
    params = Parameters.of_json({"a": 60000.0, "b": True, "c": "False", "d": 12, "e": None, "f": "0.10", "orderidlist": [1, "2"]})
    assert (params.integer("a"), params.boolean("b"), params.boolean("c"), params.integer("d")) == (60000, True, False, 12)
    assert "e" not in params
    assert params.number("f") == Decimal("0.1")
    assert params.json_list("orderIdList") == [1, "2"]
    for bad in ("1.5", "0x1", "١", "", "9" * 25, "--1", "1e3"):
        with pytest.raises(Refusal):
            Parameters({"n": bad}).integer("n")
    with pytest.raises(Refusal, match="-1100"):
        Parameters({"n": "1e999"}).number("n")


def test_the_query_wins_over_the_body() -> None:
    assert Parameters.of_request("symbol=A", b"symbol=B&x=1").values == {"symbol": "A", "x": "1"}
    assert Parameters.of_request("", b'{"symbol": "A", "quantity": 1.5}').values == {"symbol": "A", "quantity": "1.5"}


def test_every_reason_of_the_matching_engine_has_a_text_here() -> None:
    for reason, code in OF_REJECT.items():
        refusal = refusal_of(reason, "5")
        assert refusal.code in (code, -2010)
        assert "{}" not in refusal.msg
    assert refusal_of(499).code == -2010
    assert set(STATUSES) <= set(TEXTS)


@given(st.integers(-(10**18), 10**18), st.integers(0, 10))
def test_integers_as_decimal_text(value: int, places: int) -> None:
    assert Decimal(text_of(value, places)) == Decimal(value).scaleb(-places)
    assert text_of(value, places) == format(Decimal(value).scaleb(-places), f".{places}f")


@pytest.mark.parametrize(
    ("name", "now", "pair", "contract", "delivery"),
    [
        ("BTCUSDT", (2025, 5, 1), "BTCUSDT", "PERPETUAL", None),
        ("BTCUSDT_250627", (2025, 5, 1), "BTCUSDT", "CURRENT_QUARTER", (2025, 6, 27, 8)),
        ("BTCUSDT_250926", (2025, 5, 1), "BTCUSDT", "NEXT_QUARTER", (2025, 9, 26, 8)),
        ("BTCUSDT_250926", (2025, 6, 27, 8), "BTCUSDT", "CURRENT_QUARTER", (2025, 9, 26, 8)),
        ("BTCUSDT_251226", (2025, 9, 27), "BTCUSDT", "CURRENT_QUARTER", (2025, 12, 26, 8)),
        ("BTCUSDT_260327", (2025, 12, 27), "BTCUSDT", "CURRENT_QUARTER", (2026, 3, 27, 8)),
        ("BTCUSDT_250627", (2026, 1, 1), "BTCUSDT", "CURRENT_QUARTER", (2025, 6, 27, 8)),
        ("ONE_251399", (2025, 5, 1), "ONE_251399", "PERPETUAL", None),
        ("A_B", (2025, 5, 1), "A_B", "PERPETUAL", None),
    ],
)
def test_a_dated_future_says_so(name, now, pair, contract, delivery) -> None:
    now_ms = int(datetime(*now, tzinfo=UTC).timestamp()) * 1000
    expected = FAR_DELIVERY_MS if delivery is None else int(datetime(*delivery, tzinfo=UTC).timestamp()) * 1000
    assert (*dated(name), contract_type(name, now_ms)) == (pair, expected, contract)


def test_symbols_fall_apart_into_assets() -> None:
    names = {"BTCUSDT": ("BTC", "USDT"), "ALFAUSD": ("ALFA", "USD"), "ETHFDUSD": ("ETH", "FDUSD"), "ONE": ("ONE", "USDT"), "USDT": ("USDT", "USDT")}
    assert {name: split_symbol(name, "USDT") for name in names} == names
    assert split_symbol("DELTUSD", "USD") == ("DELT", "USD")
    assert split_symbol("BTCUSDT_250627", "USDT") == ("BTC", "USDT")
    assert quote_of(["ETHBTC_250627", "SOLBTC"]) == "BTC"
    assert [quote_of(universe) for universe in (["ALFAUSD", "DELTUSD"], ["BTCUSDT", "ETHUSDT"], ["ETHBTC", "BTCUSDT"], ["ONE"])] == [
        "USD",
        "USDT",
        "BTC",
        "USDT",
    ]
    assert [places_of(Decimal(step)) for step in ("0.10", "0.0005", "1", "10")] == [1, 4, 0, 0]
