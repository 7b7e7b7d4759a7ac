"""Requests as bytes: read by the websockets library, parsed by json, signed as Python's hmac signs; and the published HMAC vector."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from websockets.frames import Frame
from websockets.protocol import SERVER, Protocol, State

from hftkit.binance.line import client_order_id_text
from hftkit.codes import OrderFlag, OrderType, TimeInForce
from hftkit.kernels.wire.binance.encode import put_decimal
from hftkit.kernels.wire.encode import encode_cancel_all, encode_logout
from hftkit.kernels.wire.sha256 import SCRATCH_WORDS, hmac_sha256, key_midstates
from tests.unit.kernels.binance_messages import COID, EPOCH, MS, Hand

SECRET = b"2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
VECTOR = b"symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943"
PUBLISHED = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"


def digest(text: bytes, secret: bytes) -> str:
    scratch = np.zeros(SCRATCH_WORDS, np.int64)
    hmac_sha256(np.frombuffer(bytearray(text + b"zz"), np.uint8), len(text), key_midstates(0, secret), scratch)
    return "".join(f"{int(word):08x}" for word in scratch[64:72])


def requests(payload: bytes) -> list[dict[str, Any]]:
    server = Protocol(SERVER, state=State.OPEN)
    server.receive_data(payload)
    return [json.loads(event.data) for event in server.events_received() if isinstance(event, Frame)]


def signed(params: dict[str, Any], secret: bytes) -> str:
    """The documented rule: all but the signature, sorted by name, k=v joined with &."""
    text = "&".join(f"{key}={params[key]}" for key in sorted(params) if key != "signature")
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def test_the_published_hmac_vector() -> None:
    assert digest(VECTOR, SECRET) == PUBLISHED


def test_hmac_of_every_length_is_pythons() -> None:
    rng = random.Random(1)
    for n in range(300):
        text, secret = rng.randbytes(n), rng.randbytes(rng.randint(1, 64))
        assert digest(text, secret) == hmac.new(secret, text, hashlib.sha256).hexdigest()


def test_a_limit_order_signed() -> None:
    hand = Hand(api_key="the-key", secret=SECRET)
    (request,) = requests(hand.place())
    params = request["params"]
    assert request["id"] == f"n{COID:016x}"
    assert request["method"] == "order.place"
    assert params == {
        **{"apiKey": "the-key", "newClientOrderId": client_order_id_text(COID), "price": "64000.2", "quantity": "0.010", "recvWindow": 5000},
        **{"side": "BUY", "symbol": "BTCUSDT", "timeInForce": "GTC", "timestamp": MS, "type": "LIMIT", "signature": signed(params, SECRET)},
    }


def test_a_secret_longer_than_a_block_signs_as_rfc_2104_says() -> None:
    hand = Hand(api_key="the-key", secret=SECRET * 2)
    (request,) = requests(hand.place())
    assert request["params"]["signature"] == signed(request["params"], SECRET * 2)


@pytest.mark.parametrize("secret", [b"", SECRET])
def test_every_kind_of_request(secret: bytes) -> None:
    hand = Hand(api_key="k" if secret else "", secret=secret)
    seen = []
    for payload in (hand.place(), hand.cancel(), hand.query(), hand.place(COID + 1, kind=OrderType.MARKET, side=1, instrument=1), hand.heartbeat(77)):
        (request,) = requests(payload)
        params = request["params"]
        assert ("signature" in params) == ("apiKey" in params) == bool(secret)
        assert not secret or params["signature"] == signed(params, secret)
        seen.append((request["method"], request["id"], params.get("origClientOrderId", params.get("newClientOrderId"))))
    ours, other = client_order_id_text(COID), client_order_id_text(COID + 1)
    assert seen == [
        ("order.place", f"n{COID:016x}", ours),
        ("order.cancel", f"c{COID:016x}", ours),
        ("order.status", f"q{COID:016x}", ours),
        ("order.place", f"n{COID + 1:016x}", other),
        ("session.status", f"h{77:016x}", None),
    ]
    counted = [hand.count(name) for name in ("orders_encoded", "cancels_encoded", "queries_encoded", "heartbeats_encoded", "not_encoded")]
    assert counted == [2, 1, 1, 1, 0]


def test_flags_and_times_in_force() -> None:
    hand = Hand()
    cases: list[tuple[int, int, int, dict[str, str]]] = [
        (OrderType.LIMIT, TimeInForce.IOC, 0, {"timeInForce": "IOC"}),
        (OrderType.LIMIT, TimeInForce.FOK, OrderFlag.REDUCE_ONLY, {"timeInForce": "FOK", "reduceOnly": "true"}),
        (OrderType.LIMIT, TimeInForce.GTC, OrderFlag.POST_ONLY, {"timeInForce": "GTX"}),
        (OrderType.LIMIT, TimeInForce.GTC, OrderFlag.EXPIRE_TAKER, {"selfTradePreventionMode": "EXPIRE_TAKER", "timeInForce": "GTC"}),
        (OrderType.LIMIT, TimeInForce.GTC, OrderFlag.EXPIRE_TAKER | OrderFlag.EXPIRE_MAKER, {"selfTradePreventionMode": "EXPIRE_BOTH"}),
        (OrderType.MARKET, TimeInForce.GTC, 0, {"type": "MARKET"}),
    ]
    for i, (kind, tif, flags, want) in enumerate(cases):
        (request,) = requests(hand.place(COID + i, kind=kind, tif=tif, flags=flags))
        params = request["params"]
        assert {key: params[key] for key in want} == want
        assert ("price" in params) == ("timeInForce" in params) == (kind == OrderType.LIMIT)
        assert list(params) == sorted(params)


def test_amounts_are_exact_decimals() -> None:
    out = np.zeros(64, np.uint8)
    rng = random.Random(2)
    for _ in range(2000):
        steps, mantissa, decimals = rng.choice((0, 1, 9, rng.randrange(10**12))), rng.choice((1, 5, 25)), rng.randint(0, 8)
        text = out[: put_decimal(out, 0, steps, mantissa, decimals)].tobytes().decode()
        assert Decimal(text) == Decimal(steps * mantissa).scaleb(-decimals)
        assert len(text.partition(".")[2]) == decimals


def test_a_random_order_comes_back_as_it_was() -> None:
    hand, rng = Hand(api_key="k", secret=SECRET), random.Random(3)
    for i in range(300):
        qty, price, side, instrument = rng.randint(1, 10**7), rng.randint(1, 10**8), rng.randrange(2), rng.randrange(3)
        (request,) = requests(hand.place(EPOCH + i + 1, instrument, side, qty, price))
        params = request["params"]
        tick, lot = (("0.1", "0.001"), ("0.01", "0.001"), ("0.00001", "1"))[instrument]
        assert Decimal(params["price"]) == price * Decimal(tick)
        assert Decimal(params["quantity"]) == qty * Decimal(lot)
        assert (params["side"], params["symbol"]) == (("BUY", "SELL")[side], ("BTCUSDT", "ETHUSDT", "1000PEPEUSDT")[instrument])
        assert params["signature"] == signed(params, SECRET)


def test_what_this_dialect_cannot_say_is_counted_not_sent() -> None:
    hand = Hand()
    nonsense = [
        hand.place(COID, kind=OrderType.STOP_MARKET),
        hand.place(COID, tif=TimeInForce.GTD),
        hand.place(COID, qty=0),
        hand.place(COID, price=0),
        hand.place(0),
        hand.place(COID, instrument=3),
        hand.encode(np.array([0], np.int64)),
    ]
    assert nonsense == [b""] * 7
    assert hand.count("not_encoded") == 7


def test_cancel_all_cancels_each_open_order_by_id() -> None:
    hand = Hand()
    for i in range(3):
        hand.place(COID + i)
    words = np.zeros(8, np.int64)
    found = requests(hand.encode(words[: encode_cancel_all(words, 0, 1)]))
    assert [request["id"] for request in found] == [f"c{COID + i:016x}" for i in range(3)]
    assert hand.encode(words[: encode_logout(words, 0, 1)]) == b""


def test_neither_key_nor_secret_is_shown_by_an_error() -> None:
    for key in ('bad"key', "bad\nkey"):
        with pytest.raises(Exception, match="API key") as caught:
            Hand(api_key=key, secret=SECRET)
        assert key not in str(caught.value)
