"""Names of the arrays that kernels take, for readers and for the type checker: dtype, shape, and of a record every field.

Nothing here exists in a compiled kernel: numba takes the types from the arrays that it is called with. But a reader sees what `orders` is, and mypy
refuses a field that the record has not. Fields with unit and meaning: hftkit/layout.py, and of a Binance line kernels/wire/binance/state.py; a test
compares them (tests/structure/test_array_types.py).

Long because it is tables, one for each record.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Int64Array: TypeAlias = NDArray[np.int64]  # ticks, lots, money in 1e-8, ns, codes, words: the kernel's docstring gives shape and unit
Float64Array: TypeAlias = NDArray[np.float64]  # statistics
OctetArray: TypeAlias = NDArray[np.uint8]  # bytes of a message or a text
StrategyKernels: TypeAlias = Int64Array  # (k, hooks) addresses of each slot's functions, 0 where it has none: hooks.py

_Record = TypeVar("_Record")


class Records(Protocol[_Record]):
    """A one-dimensional structured array whose elements are read by field, as numba has it: `orders[slot].qty`."""

    @property
    def size(self) -> int:
        """Number of records."""

    def __getitem__(self, index: int, /) -> _Record: ...

    def __setitem__(self, index: int, value: _Record, /) -> None: ...


class RecordTable(Protocol[_Record]):
    """A two-dimensional structured array: `held[slot, place].position`."""

    @property
    def size(self) -> int:
        """Number of records."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""

    def __getitem__(self, index: tuple[int, int], /) -> _Record: ...

    def __setitem__(self, index: tuple[int, int], value: _Record, /) -> None: ...


class InstrumentRecord:
    """One INSTRUMENT."""

    tick_lot_e8: int
    tick_size_e8: int
    lot_size_e8: int
    min_notional_e8: int
    maker_fee_ppm: int
    taker_fee_ppm: int


class EventRecord:
    """One EVENT."""

    kind: int
    instrument: int
    ts_recv: int
    ts_event: int
    seq: int
    side: int
    flags: int
    price: int
    qty: int
    price2: int
    qty2: int
    client_order_id: int
    order_id: int
    trade_id: int
    leaves_qty: int
    fee_e8: int
    code: int


class BookRecord:
    """One BOOK."""

    sync: int
    seq_depth: int
    seq_trade: int
    seq_bbo: int
    ts_event: int
    ts_recv: int
    n_bid: int
    n_ask: int
    best_bid: int
    best_bid_qty: int
    best_ask: int
    best_ask_qty: int
    last_price: int
    last_qty: int
    last_side: int
    truncated: int
    n_updates: int
    n_gaps: int
    n_stale: int
    max_age_ns: int
    max_behind_ns: int
    good_until: int
    hold_until: int
    behind_ts: int
    behind_since: int


class SignalRecord:
    """One SIGNAL."""

    ts_event: int
    target: int
    reason: int
    n_bars: int
    spread: float
    mean: float
    std: float
    zscore: float
    imbalance: float
    unit_hedge: int
    bid_price: int
    bid_qty: int
    ask_price: int
    ask_qty: int


class LegsRecord:
    """One LEGS."""

    lead: int
    hedge: int
    unit_lead: int
    unit_hedge: int
    slippage_ticks: int
    hedge_deadline_ns: int
    retry_ns: int
    residual_lots: int
    maker_patience_ns: int
    reprice_ticks: int
    state: int
    target: int
    skip: int
    lead_position: int
    hedge_position: int
    lead_order: int
    hedge_order: int
    ts_naked: int
    ts_state: int
    ts_since: int
    take_at: int
    queue_ahead: int
    lead_retry_at: int
    hedge_retry_at: int
    n_entries: int
    n_exits: int
    n_unwinds: int
    n_posts: int
    n_pulls: int
    entering_ns: int
    exiting_ns: int


class QuotesRecord:
    """One QUOTES."""

    instrument: int
    max_position: int
    requote_ticks: int
    front_ticks: int
    min_rest_ns: int
    retry_ns: int
    bid_order: int
    ask_order: int
    close_order: int
    bid_since: int
    ask_since: int
    bid_ahead: int
    ask_ahead: int
    bid_retry_at: int
    ask_retry_at: int
    close_retry_at: int
    n_posts: int
    n_pulls: int


class BasketRecord:
    """One BASKET."""

    n_legs: int
    slippage_ticks: int
    deadline_ns: int
    retry_ns: int
    state: int
    target: int
    skip: int
    ts_naked: int
    ts_state: int
    ts_since: int
    n_entries: int
    n_exits: int
    n_unwinds: int
    entering_ns: int
    exiting_ns: int


class BasketLegRecord:
    """One BASKET_LEG."""

    instrument: int
    unit: int
    order: int
    retry_at: int


class WantRecord:
    """One WANT."""

    action: int
    strategy: int
    leg: int
    instrument: int
    side: int
    order_type: int
    time_in_force: int
    flags: int
    price: int
    qty: int
    client_order_id: int
    reason: int


class OrderRecord:
    """One ORDER."""

    client_order_id: int
    order_id: int
    state: int
    strategy: int
    leg: int
    instrument: int
    side: int
    order_type: int
    time_in_force: int
    flags: int
    price: int
    qty: int
    filled_qty: int
    ts_cancel: int
    ts_sent: int
    ts_ack: int
    ts_query: int
    reason: int


class OpenRecord:
    """One OPEN."""

    buy_qty: int
    sell_qty: int
    n_orders: int


class LedgerRecord:
    """One LEDGER."""

    position: int
    cost_e8: int
    realized_e8: int
    fees_e8: int
    funding_e8: int
    unrealized_e8: int
    mark_price: int
    bought_qty: int
    sold_qty: int
    turnover_e8: int
    n_fills: int
    n_maker: int
    maker_turnover_e8: int
    venue_position: int
    corrected_qty: int
    n_corrections: int


class ExternalRecord:
    """One EXTERNAL."""

    n_fills: int
    n_forced: int
    n_old: int
    ts_known: int
    reason: int


class LimitRecord:
    """One LIMIT."""

    max_position: int
    max_order_qty: int
    max_order_notional_e8: int
    price_band_ticks: int
    collar_ppm: int


class RiskRecord:
    """One RISK."""

    max_exposure_e8: int
    max_loss_e8: int
    max_orders_per_s: int
    order_burst: int
    order_reserve: int
    max_open_orders: int
    max_rejects: int
    trading: int
    halt_reason: int
    tokens_ns: int
    ts_tokens: int
    equity_e8: int
    peak_equity_e8: int
    drawdown_e8: int
    exposure_e8: int
    rejects_in_row: int
    n_vetoes: int
    n_shrunk: int
    max_drawdown_e8: int


class SlotRecord:
    """One SLOT."""

    policy: int
    n_watched: int
    n_traded: int
    max_position: int
    max_exposure_e8: int
    max_loss_e8: int
    max_open_orders: int
    on_loss: int
    trading: int
    reason: int
    equity_e8: int
    peak_equity_e8: int
    n_signals: int
    n_orders: int
    n_fills: int
    n_rejects: int
    n_vetoes: int


class SessionRecord:
    """One SESSION."""

    epoch: int
    account: int
    heartbeat_ns: int
    cancel_on_disconnect: int
    channels: int
    order_timeout_ns: int
    logged_on: int
    instruments_ok: int
    ts_now: int
    ts_exchange: int
    next_order: int
    first_open: int
    seq_out: int
    seq_in: int
    seq_md_out: int
    ts_last_sent: int
    stop_requested: int
    n_market_data: int
    n_order_entry: int
    n_timers: int
    n_malformed: int
    n_signals: int
    n_not_finite: int
    n_orders: int
    n_cancels: int
    n_queries: int
    n_acks: int
    n_fills: int
    n_canceled: int
    n_rejects: int
    n_post_refused: int
    n_unknown: int
    n_illegal: int
    n_sequence_gaps: int


class LoopRecord:
    """One LOOP."""

    order_fd: int
    data_fd: int
    wait: int
    timer_ns: int
    control_seen: int
    next_timer: int
    order_fill: int
    data_fill: int
    abandon: int
    dirty: int
    since_publish: int
    order_start: int
    data_start: int
    first_order: int
    n_unsent: int
    first_unsent: int
    unsent_since: int
    t2: int
    t3: int
    idle_ns: int
    idle_until: int
    stall_ns: int
    seen: int
    is_behind: int
    drained: int
    walked: int
    n_stalls: int
    stalled_ns: int
    silence_ns: int
    feed_silence_ns: int
    order_heard: int
    data_heard: int
    held_fd: int
    offered_fd: int
    venue_offset_ns: int
    bell: int
    out_bell: int
    rest_bell: int
    batch_at: int
    batch_end: int
    batch_orders: int
    send_failed: int
    frames_out: int
    order_way: int
    n_requests: int


class ScaleRecord:
    """One SCALE."""

    tick_mantissa: int
    tick_decimals: int
    lot_mantissa: int
    lot_decimals: int
    symbol_bytes: int
    depth: int
    tick_lot_e8: int
    maker_fee_ppm: int
    taker_fee_ppm: int


class SyncRecord:
    """One SYNC."""

    state: int
    shown: int
    update_id: int
    n_bid: int
    n_ask: int
    bid_horizon: int
    ask_horizon: int
    ticker_id: int
    ticker_bid: int
    ticker_bid_qty: int
    ticker_ask: int
    ticker_ask_qty: int
    ticker_ts: int
    n_over: int
    buffered: int
    buffer_last: int
    asked_at: int
    ts_event: int
    seq_depth: int
    seq_bbo: int
    seq_trade: int
    trade_id: int
    n_lost: int
    lost_at: int
    not_before: int
    doubted_at: int


class MarkRecord:
    """One MARK."""

    ts_event: int
    mark_e8: int
    index_e8: int
    funding_e8: int
    funding_ts: int


class TrackRecord:
    """One TRACK."""

    client_order_id: int
    order_id: int
    instrument: int
    side: int
    qty: int
    filled: int
    venue_filled: int
    last_trade: int
    stage: int
    ending: int
    end_reason: int
    end_ts: int
    absent: int
    absent_since: int
    asked_trades: int
    asked_at: int


class OutsideRecord:
    """One OUTSIDE."""

    trade_id: int
    order_id: int
    filled: int


class FeeAssetRecord:
    """One FEE_ASSET."""

    name: int
    n_bytes: int
    price_e8: int
    n_fills: int
    n_at_rate: int
    paid_e8: int
    quote_e8: int


InstrumentArray: TypeAlias = Records[InstrumentRecord]  # INSTRUMENT (n,)
EventArray: TypeAlias = Records[EventRecord]  # EVENT (1,)
BookArray: TypeAlias = Records[BookRecord]  # BOOK (n,)
SignalArray: TypeAlias = Records[SignalRecord]  # SIGNAL (k,)
LegsArray: TypeAlias = Records[LegsRecord]  # LEGS (k,)
QuotesArray: TypeAlias = Records[QuotesRecord]  # QUOTES (k,), or none
BasketArray: TypeAlias = Records[BasketRecord]  # BASKET (k,), or none
BasketLegArray: TypeAlias = Records[BasketLegRecord]  # BASKET_LEG (k * BASKET_LEGS,), or none
WantArray: TypeAlias = Records[WantRecord]  # WANT and ALLOWED (wants,)
OrderArray: TypeAlias = Records[OrderRecord]  # ORDER (capacity,)
OpenArray: TypeAlias = Records[OpenRecord]  # OPEN (n,)
LedgerArray: TypeAlias = Records[LedgerRecord]  # LEDGER (n,)
HeldArray: TypeAlias = RecordTable[LedgerRecord]  # LEDGER (k, w): of each strategy in the instruments that it watches
OpenHeldArray: TypeAlias = RecordTable[OpenRecord]  # OPEN (k, w)
ExternalArray: TypeAlias = Records[ExternalRecord]  # EXTERNAL (n,)
LimitArray: TypeAlias = Records[LimitRecord]  # LIMIT (n,)
RiskArray: TypeAlias = Records[RiskRecord]  # RISK (1,)
SlotArray: TypeAlias = Records[SlotRecord]  # SLOT (k,)
SessionArray: TypeAlias = Records[SessionRecord]  # SESSION (1,)
LoopArray: TypeAlias = Records[LoopRecord]  # LOOP (1,)
ScaleArray: TypeAlias = Records[ScaleRecord]  # SCALE (n,)
SyncArray: TypeAlias = Records[SyncRecord]  # SYNC (n,)
MarkArray: TypeAlias = Records[MarkRecord]  # MARK (n,)
TrackArray: TypeAlias = Records[TrackRecord]  # TRACK (order capacity,)
OutsideArray: TypeAlias = Records[OutsideRecord]  # OUTSIDE (n,)
FeeAssetArray: TypeAlias = Records[FeeAssetRecord]  # FEE_ASSET (FEE_ASSETS,)


class EngineState:
    """The arrays of one engine, as the step sees them: hftkit.session.engine_state.EngineState, which says what each is for."""

    instruments: InstrumentArray
    event: EventArray
    book: BookArray
    levels: Int64Array
    signal: SignalArray
    legs: LegsArray
    quotes: QuotesArray
    baskets: BasketArray
    basket_legs: BasketLegArray
    want: WantArray
    allowed: WantArray
    orders: OrderArray
    open_qty: OpenArray
    ledger: LedgerArray
    external: ExternalArray
    refused: Int64Array
    rules: Int64Array
    limit: LimitArray
    risk: RiskArray
    slots: SlotArray
    held: HeldArray
    open_held: OpenHeldArray
    watch: Int64Array
    watcher_start: Int64Array
    watchers: Int64Array
    touched: Int64Array
    session: SessionArray
    valid_until: Int64Array
    units: Int64Array
    params: Float64Array
    state: Float64Array
    order_out: Int64Array
    data_out: Int64Array
    out_end: Int64Array
    logon: Int64Array
    signal_words: Int64Array
    allowed_words: Int64Array
    legs_words: Int64Array
    tried_legs: LegsArray
    tried_quotes: QuotesArray
    tried_baskets: BasketArray
    tried_basket_legs: BasketLegArray
    tried_words: Int64Array
    tried_want: WantArray


class LineState:
    """The arrays of one line to Binance: hftkit.binance.line.Line, which says what each is for."""

    state: Int64Array
    counters: Int64Array
    symbol_table: Int64Array
    symbols: OctetArray
    scales: ScaleArray
    sync: SyncArray
    levels: Int64Array
    over: Int64Array
    buffer: Int64Array
    mark: MarkArray
    tracks: TrackArray
    positions: Int64Array
    outside: OutsideArray
    fee_assets: FeeAssetArray
    funded: Int64Array
    requests: Int64Array
    note: Int64Array
    incoming: Int64Array
    tokens: Int64Array
    inner: Int64Array
    number: Int64Array
    key: Int64Array
    api_key: OctetArray
    hash_words: Int64Array
    text: OctetArray
