"""Frames of the engine -> parameters of POST /fapi/v1/order: what the venue reads is what the engine meant."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit import layout
from hftkit.codes import OrderFlag, OrderType, Side, TimeInForce
from hftkit.instruments import Instrument
from hftkit.kernels.wire.encode import encode_new_order
from live.venues.binance.rest_orders import order_params

BTC = Instrument(symbol="BTCUSDT", tick_size="0.10", lot_size="0.001", min_notional="100")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"side": "BUY", "type": "LIMIT", "timeInForce": "IOC", "price": "64000.10", "quantity": "0.002"}),
        ({"side": Side.SELL, "time_in_force": TimeInForce.FOK}, {"side": "SELL", "timeInForce": "FOK"}),
        ({"flags": OrderFlag.POST_ONLY, "time_in_force": TimeInForce.GTC}, {"timeInForce": "GTX"}),
        ({"flags": OrderFlag.REDUCE_ONLY}, {"reduceOnly": "true"}),
        ({"order_type": OrderType.MARKET, "price": 0}, {"type": "MARKET"}),
    ],
)
def test_an_order_frame_becomes_parameters(changes, expected):
    order = np.zeros(1, layout.ORDER.dtype)[0]
    values = {"client_order_id": (7 << 32) | 5, "price": 640_001, "qty": 2, "time_in_force": TimeInForce.IOC, **changes}
    for name, value in values.items():
        order[name] = int(value)
    words = np.zeros(32, np.int64)
    encode_new_order(words, 0, 1, np.array([order])[0])
    params = order_params(words, BTC)
    assert params["newClientOrderId"] == "hk0000000700000005"
    assert {name: params[name] for name in expected} == expected
    assert ("price" in params) == ("timeInForce" in params) == (params["type"] == "LIMIT")
    assert "reduceOnly" not in params or changes.get("flags") == OrderFlag.REDUCE_ONLY
