"""Balances and positions of the user data stream, the rows of positions of REST too: POSITION and FUNDING frames, the wallet for watchers.

Funding comes as an ACCOUNT_UPDATE with m FUNDING_FEE; since 2026-08 it names its symbol (`S`), without which it stays in the wallet alone, counted.
In another asset than the quote it is booked at that asset's price (fees.py); without one it stays in the wallet alone, counted.
As in market.py a message is taken whole or not at all, and a reader gives a position or `refused(counter)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.kernels.arrays import Int64Array, LineState, OctetArray
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.wire.binance import state as s
from hftkit.kernels.wire.binance.decimal import REFUSED, is_text, steps_of
from hftkit.kernels.wire.binance.fees import asset_of, times_price
from hftkit.kernels.wire.binance.json import ABSENT, ARRAY, STRING, next_item, scan_object, text_number
from hftkit.kernels.wire.binance.market import refused, why_not
from hftkit.kernels.wire.binance.names import key_table
from hftkit.kernels.wire.binance.state import Counter
from hftkit.kernels.wire.binance.tracks import doubt, next_order_seq
from hftkit.kernels.wire.venue_codec import encode_funding, encode_position

_ACCOUNT = ["B", "P", "m", "a", "wb", "s", "pa", "ps", "symbol", "positionAmt", "positionSide", "S", "bc"]
ACCOUNT_KEYS = key_table(_ACCOUNT)
N_ACCOUNT = len(_ACCOUNT)
_B, _P, _m, _asset, _wb, _ps_symbol, _pa, _ps, _long_symbol, _long_amount, _long_side, _S, _bc = range(N_ACCOUNT)
_FUNDING_FEE = key_table(["FUNDING_FEE"])
_BOTH = key_table(["BOTH"])
# Reasons of an update that move no position, or by a fill that is told. For any other (INSURANCE_CLEAR ...) the account is compared at once
_PLAIN = key_table(
    [
        *("ORDER", "FUNDING_FEE", "DEPOSIT", "WITHDRAW", "MARGIN_TRANSFER", "MARGIN_TYPE_CHANGE", "ASSET_TRANSFER"),
        *("COIN_SWAP_DEPOSIT", "COIN_SWAP_WITHDRAW"),
    ]
)
_C = Counter
_NOT_JSON, _MISSING, _WRONG_TYPE = int(_C.NOT_JSON), int(_C.MISSING), int(_C.WRONG_TYPE)
_ACCOUNT_UPDATES, _HEDGE, _UNKNOWN_SYMBOL = int(_C.ACCOUNT_UPDATES), int(_C.HEDGE_MODE), int(_C.UNKNOWN_SYMBOL)
_FUNDING_OTHER_ASSET = int(_C.FUNDING_OTHER_ASSET)
_FUNDING, _FUNDING_REPEATED, _FUNDING_UNNAMED = int(_C.FUNDING), int(_C.FUNDING_REPEATED), int(_C.FUNDING_UNNAMED)


@inner_kernel
def _position_row(line: LineState, data: OctetArray, at: int, end: int) -> int:
    """One row of positions (stream or REST) into line.positions. 0, or `refused`. A symbol that is not ours: left, counted."""
    k = line.inner
    if scan_object(data, at, end, ACCOUNT_KEYS, k, N_ACCOUNT) < 0:
        return refused(_WRONG_TYPE)
    symbol, amount, side = _ps_symbol, _pa, _ps
    if k[_long_symbol, 0] != ABSENT:
        symbol, amount, side = _long_symbol, _long_amount, _long_side
    if not is_text(k, symbol):
        return refused(_MISSING if k[symbol, 0] == ABSENT else _WRONG_TYPE)
    instrument = text_number(data, k, symbol, line.symbol_table)
    if instrument < 0:
        line.counters[_UNKNOWN_SYMBOL] += 1
        return 0
    if k[side, 0] != ABSENT and text_number(data, k, side, _BOTH) < 0:
        line.counters[_HEDGE] += 1
        return 0
    c = line.scales[instrument]
    lots = steps_of(data, k, amount, c.lot_mantissa, c.lot_decimals)
    if lots == REFUSED:
        return why_not(k, amount, STRING)
    line.positions[instrument] = lots
    return 0


@inner_kernel
def position_rows(line: LineState, data: OctetArray, start: int, end: int) -> int:
    """All rows of the array data[start:end], checked before. 0, or `refused`."""
    at = next_item(data, start + 1, end)
    while at >= 0:
        status = _position_row(line, data, at, end)
        if status < 0:
            return status
        at = scan_object(data, at, end, ACCOUNT_KEYS, line.inner, N_ACCOUNT)
        at = next_item(data, at, end)
    return 0


@inner_kernel
def tell_positions(line: LineState, ts: int, words: Int64Array, position: int) -> int:
    """A POSITION frame for each instrument of which line.positions (lots) has one. New position in `words`."""
    for i in range(line.positions.size):
        if line.positions[i] != REFUSED:
            position += encode_position(words, position, i, next_order_seq(line), ts, line.positions[i])
    return position


@inner_kernel
def _wallet(line: LineState, data: OctetArray, start: int, end: int) -> int:
    """The quote asset's row of `B`: wallet balance and its change (`bc`) in 1e-8 into line.number[1] and [2], REFUSED if there is none.

    The first other asset whose balance has changed: its row of fee_assets into [3], -2 if there is none, and its change into [4]. 0, or `refused`.
    """
    k = line.inner
    line.number[1] = line.number[2] = REFUSED
    line.number[3], line.number[4] = -2, 0
    at = next_item(data, start + 1, end)
    while at >= 0:
        at = scan_object(data, at, end, ACCOUNT_KEYS, k, N_ACCOUNT)
        if at < 0:
            return refused(_WRONG_TYPE)
        w0: Any = 0
        n = k[_asset, 2] - k[_asset, 1]
        if k[_asset, 0] == STRING and n == line.state[s.QUOTE_BYTES] and n <= 8:
            for i in range(n):
                w0 |= np.int64(data[k[_asset, 1] + i]) << (8 * i)
            if w0 == line.state[s.QUOTE0]:
                line.number[1] = steps_of(data, k, _wb, 1, 8)
                if line.number[1] == REFUSED:
                    return why_not(k, _wb, STRING)
                line.number[2] = steps_of(data, k, _bc, 1, 8)
        if line.number[3] == -2 and w0 != line.state[s.QUOTE0]:
            change = steps_of(data, k, _bc, 1, 8)
            if change != REFUSED and change != 0:
                line.number[3], line.number[4] = asset_of(line, data, k, _asset), change
        at = next_item(data, at, end)
    return 0


@inner_kernel
def account_update(line: LineState, data: OctetArray, start: int, end: int, ts: int, words: Int64Array, position: int) -> int:
    """The `a` object data[start:end] of ACCOUNT_UPDATE, of exchange time `ts` ns. New position in `words`, or `refused`."""
    k = line.inner
    if scan_object(data, start, end, ACCOUNT_KEYS, k, N_ACCOUNT) < 0:
        return refused(_WRONG_TYPE)
    if k[_B, 0] != ARRAY or k[_P, 0] != ARRAY:
        return refused(_MISSING if k[_B, 0] == ABSENT or k[_P, 0] == ABSENT else _WRONG_TYPE)
    b0, b1, p0, p1 = k[_B, 1], k[_B, 2], k[_P, 1], k[_P, 2]
    plain = text_number(data, k, _m, _PLAIN) >= 0
    is_funding, paid_on = text_number(data, k, _m, _FUNDING_FEE) == 0, text_number(data, k, _S, line.symbol_table)
    for i in range(line.positions.size):
        line.positions[i] = REFUSED
    status = position_rows(line, data, p0, p1)
    if status < 0:
        return status
    status = _wallet(line, data, b0, b1)
    if status < 0:
        return status
    if is_funding and line.number[2] == REFUSED and line.number[3] == -2:
        return refused(_MISSING)
    if line.number[1] != REFUSED:
        line.state[s.WALLET_E8] = line.number[1]
    line.counters[_ACCOUNT_UPDATES] += 1
    if not plain and p1 - p0 > 2:  # it has rows of positions
        doubt(line)
    if is_funding:
        position = _funding(line, paid_on, ts, words, position)
    return tell_positions(line, ts, words, position)


@inner_kernel
def _funding(line: LineState, instrument: int, ts: int, words: Int64Array, position: int) -> int:
    """What `_wallet` has found of a payment on `instrument`: in the quote asset, or in another one at its price."""
    n = line.number
    change = n[2]
    if change == REFUSED or (change == 0 and n[3] != -2):
        price = line.fee_assets[n[3]].price_e8 if n[3] >= 0 else 0
        if price == 0:
            line.counters[_FUNDING_OTHER_ASSET] += 1
            return position
        change = times_price(n[4], price)
    return _tell_funding(line, instrument, -change, ts, words, position)


@inner_kernel
def _tell_funding(line: LineState, instrument: int, paid_e8: int, ts: int, words: Int64Array, position: int) -> int:
    """FUNDING, once for each symbol and time of the transaction (`T`): a second connection, or a repeated message, tells nothing new.

    The venue settles a symbol an hour apart at the least, so what is not later than the last one is that one again.
    """
    if instrument < 0:
        line.counters[_FUNDING_UNNAMED] += 1
        return position
    if ts <= line.funded[instrument]:
        line.counters[_FUNDING_REPEATED] += 1
        return position
    line.funded[instrument] = ts
    line.counters[_FUNDING] += 1
    return position + encode_funding(words, position, instrument, next_order_seq(line), ts, 0, 0, paid_e8)
