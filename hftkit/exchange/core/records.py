"""Names of the records and arrays that the core's kernels take: kernels/arrays.py for the exchange. Units and meanings: exchange/core/layout.py.

A test compares the fields (tests/structure/test_array_types.py).
"""

from __future__ import annotations

from typing import TypeAlias

from hftkit.kernels.arrays import Records


class RestingRecord:
    """One RESTING."""

    order_id: int
    client_order_id: int
    price: int
    leaves: int
    filled: int
    own_next: int
    own_prev: int
    next: int
    prev: int
    account: int
    instrument: int
    side: int
    flags: int


class LevelRecord:
    """One LEVEL."""

    qty: int
    head: int
    tail: int


class KeyRecord:
    """One KEY."""

    client_order_id: int
    account: int
    slot: int


class TopRecord:
    """One TOP."""

    base: int
    bid: int
    ask: int
    n_orders: int
    n_bid: int
    n_ask: int
    last: int
    up: int
    down: int
    n_reducing: int


class CommandRecord:
    """One COMMAND."""

    op: int
    instrument: int
    account: int
    client_order_id: int
    side: int
    order_type: int
    time_in_force: int
    flags: int
    price: int
    qty: int
    trigger_price: int
    expire_ts: int


class ReportRecord:
    """One REPORT."""

    kind: int
    instrument: int
    account: int
    client_order_id: int
    order_id: int
    side: int
    price: int
    qty: int
    leaves: int
    filled: int
    reason: int
    trade_id: int
    maker_account: int
    maker_client_order_id: int
    maker_order_id: int
    maker_leaves: int
    maker_filled: int


class LimitsRecord:
    """One LIMITS."""

    tick_lot_e8: int
    min_qty: int
    max_qty: int
    min_notional_e8: int
    band_ppm: int
    max_open: int
    initial_ppm: int
    maintenance_ppm: int
    open: int


class AccountRecord:
    """One ACCOUNT."""

    id: int
    client: int
    wallet_e8: int
    isolated_e8: int
    n_liquidations: int
    session: int
    seq_in: int
    seq_out: int
    log_seq: int
    log_start: int
    log_end: int
    ts_logon: int
    credit_ns: int
    ts_credit: int


class ExecutionRecord:
    """One EXECUTION."""

    header: int
    seq: int
    ts: int
    account: int
    account_id: int
    instrument: int
    client_order_id: int
    order_id: int
    kind: int
    side: int
    order_type: int
    time_in_force: int
    flags: int
    price: int
    trigger_price: int
    expire_ts: int
    qty: int
    filled: int
    leaves: int
    last_price: int
    last_qty: int
    trade_id: int
    maker: int
    fee_e8: int
    realised_e8: int
    reason: int
    wallet_e8: int
    position: int
    cost_e8: int


KeyArray: TypeAlias = Records[KeyRecord]  # KEY (power of two,)
CommandArray: TypeAlias = Records[CommandRecord]  # COMMAND (m,)
ReportArray: TypeAlias = Records[ReportRecord]  # REPORT (m,)
AccountArray: TypeAlias = Records[AccountRecord]  # ACCOUNT (n_accounts,)
