"""What happened to orders and wallets of clients' accounts, in no dialect's words: EXECUTION and BALANCE records (core/layout.py).

They are made where things happen, one at a time, in the venue's one record of each kind, and handed to the sinks (sinks.py) at once.
Every function returns at once while nobody listens, and for accounts of the house and of the venue.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import OrderFlag
from hftkit.exchange.core.layout import BalanceKind, ExecutionKind, Op, ReportKind
from hftkit.exchange.sinks import emit_balance, emit_execution, is_heard
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inlined_kernel, inner_kernel

_NEW, _REPLACED, _TRADE, _CANCELED = (int(ExecutionKind[name]) for name in ("NEW", "REPLACED", "TRADE", "CANCELED"))
_TRIGGERED, _REJECTED, _CANCEL_REJECTED = (int(ExecutionKind[name]) for name in ("TRIGGERED", "REJECTED", "CANCEL_REJECTED"))
_ACK_REPORT, _TRIGGERED_REPORT = int(ReportKind.ACK), int(ReportKind.TRIGGERED)
_OP_NEW, _OP_REPLACE, _OP_QUOTE = int(Op.NEW), int(Op.REPLACE), int(Op.QUOTE)
_FUNDING_RATE, _POSITION, _ALL_FLAGS = int(BalanceKind.FUNDING_RATE), int(BalanceKind.POSITION), sum(int(flag) for flag in OrderFlag)


@inlined_kernel
def _begin(venue: Exchange, kind: int, account: int, instrument: int, client_order_id: int, order_id: int, side: int) -> None:
    """Fields that every EXECUTION has; those of the order's terms, fill and refusal are blank."""
    row = venue.tap.execution[0]
    row.ts, row.account, row.account_id, row.instrument = venue.state[0].ts, account, venue.accounts[account].id, instrument
    row.client_order_id, row.order_id, row.kind, row.side = client_order_id, order_id, kind, side
    row.order_type = row.time_in_force = row.flags = -1
    row.price = row.trigger_price = row.expire_ts = 0
    row.last_price = row.last_qty = row.trade_id = row.maker = row.fee_e8 = row.realised_e8 = row.reason = 0


@inlined_kernel
def _terms(venue: Exchange, command: Any) -> None:
    """What was sent."""
    row = venue.tap.execution[0]
    row.order_type, row.time_in_force, row.flags = command.order_type, command.time_in_force, command.flags & _ALL_FLAGS
    row.price, row.trigger_price, row.expire_ts = command.price, command.trigger_price, command.expire_ts


@inlined_kernel
def _end(venue: Exchange, qty: int, filled: int, leaves: int) -> None:
    """Quantities, the account as it is now; and whoever listens hears of it."""
    row = venue.tap.execution[0]
    row.qty, row.filled, row.leaves = qty, filled, leaves
    row.wallet_e8, row.position, row.cost_e8 = venue.accounts[row.account].wallet_e8, 0, 0
    if 0 <= row.instrument < venue.instruments.size:
        holding = venue.holdings[row.account, row.instrument]
        row.position, row.cost_e8 = holding.position, holding.cost_e8
    emit_execution(venue)


@inner_kernel
def record_event(venue: Exchange, row: Any, command: Any, op: int) -> None:
    """ACK, TRIGGERED or CANCELED of one report. `command`: the order that met the book, if `op` is one that does."""
    if not is_heard(venue, row.account):
        return
    kind = _CANCELED
    if row.kind == _ACK_REPORT:
        kind = _REPLACED if op == _OP_REPLACE else _NEW
    elif row.kind == _TRIGGERED_REPORT:
        kind = _TRIGGERED
    _begin(venue, kind, row.account, row.instrument, row.client_order_id, row.order_id, row.side)
    meets = op == _OP_NEW or op == _OP_REPLACE or op == _OP_QUOTE
    if meets and row.account == command.account and row.client_order_id == command.client_order_id:
        _terms(venue, command)
    if kind == _CANCELED:
        venue.tap.execution[0].reason = row.reason
        _end(venue, row.filled + row.qty, row.filled, 0)
    else:
        _end(venue, row.filled + row.leaves, row.filled, row.leaves)


@inner_kernel
def record_fill(
    venue: Exchange,
    row: Any,
    command: Any,
    account: int,
    client_order_id: int,
    order_id: int,
    side: int,
    maker: bool,
    leaves: int,
    filled: int,
    fee: int,
    realised: int,
) -> None:
    """One side of a trade, already booked. `fee`, `realised`: 1e-8 quote."""
    if not is_heard(venue, account):
        return
    _begin(venue, _TRADE, account, row.instrument, client_order_id, order_id, side)
    if not maker:
        _terms(venue, command)
    record = venue.tap.execution[0]
    record.last_price, record.last_qty, record.trade_id, record.maker = row.price, row.qty, row.trade_id, np.int64(maker)
    record.fee_e8, record.realised_e8 = fee, realised
    _end(venue, filled + leaves, filled, leaves)


@inner_kernel
def record_refusal(venue: Exchange, account: int, instrument: int, client_order_id: int, reason: int, of_cancel: bool) -> None:
    """A new order, replace or cancel that was refused."""
    if not is_heard(venue, account):
        return
    _begin(venue, _CANCEL_REJECTED if of_cancel else _REJECTED, account, instrument, client_order_id, 0, -1)
    venue.tap.execution[0].reason = reason
    _end(venue, 0, 0, 0)


@inner_kernel
def record_balance(venue: Exchange, kind: int, account: int, instrument: int, amount_e8: int, moved: int, price: int, rate_ppm: int) -> None:
    """A change of wallet or position without a trade, already booked. `amount_e8`: 1e-8 quote; `moved`: lots; `price`: ticks."""
    if not is_heard(venue, account):
        return
    row = venue.tap.balance[0]
    row.account, row.account_id, row.wallet_e8 = account, venue.accounts[account].id, venue.accounts[account].wallet_e8
    row.position = row.cost_e8 = 0
    if instrument >= 0:
        row.position, row.cost_e8 = venue.holdings[account, instrument].position, venue.holdings[account, instrument].cost_e8
    row.kind, row.amount_e8, row.moved, row.price, row.rate_ppm = kind, amount_e8, moved, price, rate_ppm
    row.ts, row.instrument = venue.state[0].ts, instrument
    emit_balance(venue)


@inner_kernel
def record_position(venue: Exchange, account: int, instrument: int) -> None:
    """What an account holds after a liquidation. Nothing changes by it: the drop copy has the records of what did, and does without this one."""
    record_balance(venue, _POSITION, account, instrument, 0, 0, 0, 0)


@inner_kernel
def record_funding_rate(venue: Exchange, instrument: int, price: int, rate_ppm: int) -> None:
    """A funding settlement of one instrument. `price`: the mark, ticks."""
    row = venue.tap.balance[0]
    row.kind, row.account, row.account_id, row.price, row.rate_ppm = _FUNDING_RATE, -1, 0, price, rate_ppm
    row.amount_e8 = row.moved = row.wallet_e8 = row.position = row.cost_e8 = 0
    row.ts, row.instrument = venue.state[0].ts, instrument
    emit_balance(venue)
