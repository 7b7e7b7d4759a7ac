"""Commissions in any asset, in 1e-8 quote: as they are, at the price of their asset, or at the expected rate.

The venue charges in the margin asset, in BNB where the account burns it, in BNFCR, USDC and others. Ledger, loss limit and log count in the quote:

    the quote asset           as it is
    an asset with a price     commission * price, towards minus infinity; the cold side asks for prices, and for each asset when it first appears
    no price (yet)            the expected rate of the instrument, maker or taker, of the fill's value

The conversion happens here, before the frame is journalled, so a replay needs no price. What was charged in each asset is kept (FEE_ASSET), counted
when the fill is told to the engine, so once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.kernels.arrays import Int64Array, LineState, OctetArray, ScaleRecord
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.memory.intrinsics import load_8
from hftkit.kernels.wire.binance.decimal import REFUSED, steps_of
from hftkit.kernels.wire.binance.json import ABSENT, STRING
from hftkit.kernels.wire.binance.state import Counter

_E8, _PPM = 100_000_000, 1_000_000
_FEE_OTHER, _FEE_AT_RATE = int(Counter.FEE_OTHER_ASSET), int(Counter.FEE_AT_RATE)
NAME_BYTES = 8
# Words of Line.number that fee_of leaves for note_fee: row of the asset (-1 none), commission in it, what was booked, whether at the expected rate
_ROW, _PAID, _BOOKED, _AT_RATE = 3, 4, 5, 6


@inner_kernel
def times_price(amount_e8: int, price_e8: int) -> int:
    """floor(amount * price / 1e8), without overflow up to a price of 1e9 quote: both are split at one."""
    whole, part = amount_e8 // _E8, amount_e8 % _E8
    return whole * price_e8 + part * (price_e8 // _E8) + part * (price_e8 % _E8) // _E8


@inner_kernel
def expected_fee(scale: ScaleRecord, price: int, qty: int, maker: int) -> int:
    """Fee in 1e-8 quote of a fill at the rate of the instrument (SCALE record): price ticks, qty lots."""
    notional, ppm = price * qty * scale.tick_lot_e8, scale.maker_fee_ppm if maker != 0 else scale.taker_fee_ppm
    return notional // _PPM * ppm + notional % _PPM * ppm // _PPM


@inner_kernel
def asset_row(line: LineState, name: int, n_bytes: int) -> int:
    """Row of an asset in line.fee_assets, a free one on first sight, -1 if there is none. `name`: its bytes in one word."""
    for i in range(line.fee_assets.size):
        row = line.fee_assets[i]
        if row.n_bytes == 0:
            row.name, row.n_bytes = name, n_bytes
            return i
        if row.name == name and row.n_bytes == n_bytes:
            return i
    return -1


@inner_kernel
def asset_of(line: LineState, data: OctetArray, tokens: Int64Array, slot: int) -> int:
    """Row of the asset that a string token names: 0 the quote asset or none named, -1 one that has no row."""
    if tokens[slot, 0] != STRING:
        return 0
    n = tokens[slot, 2] - tokens[slot, 1]
    if n <= 0 or n > NAME_BYTES:
        return -1
    name: Any = 0
    for i in range(n):
        name |= np.int64(data[tokens[slot, 1] + i]) << (8 * i)
    return asset_row(line, name, n)


@inner_kernel
def fee_of(line: LineState, data: OctetArray, tokens: Int64Array, fee: int, asset: int, instrument: int, price: int, qty: int, maker: int) -> int:
    """Commission of a fill (ticks, lots) in 1e-8 quote, REFUSED if token `fee` is no such number; absent it is 0. `asset`: its asset's token."""
    n = line.number
    n[_ROW] = -1
    if tokens[fee, 0] == ABSENT:
        return 0
    paid = steps_of(data, tokens, fee, 1, 8)
    if paid == REFUSED:
        return REFUSED
    row = asset_of(line, data, tokens, asset) if paid != 0 else 0
    n[_ROW], n[_PAID], n[_BOOKED], n[_AT_RATE] = row, paid, paid, 0
    if row == 0:
        return paid
    if row > 0 and line.fee_assets[row].price_e8 > 0:
        n[_BOOKED] = times_price(paid, line.fee_assets[row].price_e8)
    else:
        n[_BOOKED], n[_AT_RATE] = expected_fee(line.scales[instrument], price, qty, maker), 1
    return n[_BOOKED]


@inner_kernel
def note_fee(line: LineState) -> None:
    """The fill whose commission `fee_of` has read last was told to the engine: count it, by its asset."""
    n = line.number
    if n[_ROW] != 0:
        line.counters[_FEE_OTHER] += 1 if n[_ROW] > 0 or n[_AT_RATE] != 0 else 0
        line.counters[_FEE_AT_RATE] += n[_AT_RATE]
    if n[_ROW] >= 0:
        row = line.fee_assets[n[_ROW]]
        row.n_fills += 1
        row.n_at_rate += n[_AT_RATE]
        row.paid_e8 += n[_PAID]
        row.quote_e8 += n[_BOOKED]


@inner_kernel
def take_fee_price(line: LineState, data: OctetArray, start: int, n_bytes: int) -> None:
    """The price of an asset, from the cold side: three int64 words, name, its length, price in 1e-8 quote."""
    if n_bytes != 24:
        return
    name, length, price = load_8(data, start), load_8(data, start + 8), load_8(data, start + 16)
    if 0 < length <= NAME_BYTES and price > 0:
        row = asset_row(line, name, length)
        if row > 0:
            line.fee_assets[row].price_e8 = price
