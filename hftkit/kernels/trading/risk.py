"""The synchronous risk check. Owns ALLOWED and RISK.

Every order passes here, in the step that wants it, before it has an id. The check can only shrink or veto. It assumes that every open order
fills, so no sequence of fills can breach a position or exposure limit. An order *reduces* if, every open order filled, the position
could not end further from zero than it is now; when trading is paused, flattening or halted only such orders pass. A cancel always passes, and costs
nothing of the order rate.

First come the limits of the strategy that asks (strategy_risk.py). Where several strategies share the account, what reduces the position of the one
that asks passes too: two that are opposite in one instrument are flat together, and each must be able to leave. The limits of the account hold for it
as for any order, and it is not sent as reduce-only unless it reduces the account's position.

No order is priced on a quote that is too old (kernels/market/book.py), or on a book that is not whole. Where an age limit is set, one kind of order
needs no quote: a market order that reduces. So a position can always be left, and a leg that lost its hedge is unwound at its deadline.
"""

from __future__ import annotations

from hftkit.codes import Action, OrderFlag, OrderType, Reject, Side, Trading
from hftkit.kernels.arrays import (
    BookArray,
    BookRecord,
    HeldArray,
    InstrumentArray,
    Int64Array,
    LedgerArray,
    LimitArray,
    LimitRecord,
    OpenArray,
    OpenHeldArray,
    RiskArray,
    RiskRecord,
    SlotArray,
    WantArray,
    WantRecord,
)
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.market.signals import stale, tradable
from hftkit.kernels.trading.lot_value import lot_value
from hftkit.kernels.trading.strategy_risk import check_strategy, own_reducible

_BUY = int(Side.BUY)
_NEW, _NO_ACTION = int(Action.NEW), int(Action.NONE)
_LIMIT, _MARKET = int(OrderType.LIMIT), int(OrderType.MARKET)
_ENABLED, _HALTED = int(Trading.ENABLED), int(Trading.HALTED)
NS_PER_S = 1_000_000_000
_SURELY = 0.999  # a product of floats below this share of a limit is below it in integers, too: the division is for what is near
_PPM = 1_000_000

_POSITION, _SIZE, _NOTIONAL = int(Reject.RISK_POSITION_LIMIT), int(Reject.RISK_ORDER_SIZE), int(Reject.RISK_ORDER_NOTIONAL)
_RATE, _EXPOSURE, _LOSS = int(Reject.RISK_ORDER_RATE), int(Reject.RISK_EXPOSURE_LIMIT), int(Reject.RISK_LOSS_LIMIT)
_NOT_TRADING, _OPEN_ORDERS, _BAND = int(Reject.RISK_NOT_TRADING), int(Reject.RISK_OPEN_ORDERS), int(Reject.RISK_PRICE_BAND)
_REJECTS, _REDUCE_ONLY = int(Reject.RISK_REJECTS_IN_ROW), int(OrderFlag.REDUCE_ONLY)
_MIN_NOTIONAL, _BAD, _NO_MARKET = int(Reject.RISK_MIN_NOTIONAL), int(Reject.RISK_BAD_ORDER), int(Reject.RISK_NO_MARKET)
_STALE, _COLLAR, _DRAWDOWN = int(Reject.RISK_STALE_QUOTE), int(Reject.RISK_PRICE_COLLAR), int(Reject.RISK_DRAWDOWN)


@kernel
def _room(position: int, open_same_side: int, sign: int, limit: int) -> int:
    """Lots that may still be added on one side before |position| could pass `limit`."""
    return limit - sign * position - open_same_side


@kernel
def worst_exposure(ledger: LedgerArray, open_qty: OpenArray, instruments: InstrumentArray) -> int:
    """Sum over instruments of the largest |position| that open orders could lead to, at mark, in 1e-8 quote."""
    total = 0
    for i in range(ledger.size):
        row, o = ledger[i], open_qty[i]
        worst = max(abs(row.position + o.buy_qty), abs(row.position - o.sell_qty))
        total += worst * row.mark_price * instruments[i].tick_lot_e8 // 2
    return total


@kernel
def _refill(r: RiskRecord, now: int, cost: int) -> None:
    if now > r.ts_tokens:
        r.tokens_ns = min(r.tokens_ns + now - r.ts_tokens, r.order_burst * cost)
        r.ts_tokens = now


@kernel
def _beyond_collar(price: int, b: BookRecord, limit: LimitRecord) -> bool:
    """Whether a limit price (ticks) lies too far from the middle of the book, to either side."""
    middle = b.best_bid + b.best_ask  # half ticks
    return limit.collar_ppm != 0 and abs(2 * price - middle) > middle * limit.collar_ppm // _PPM


@kernel
def _check_shape(a: WantRecord, book: BookArray, limit: LimitArray, reducible: int, now: int) -> int:
    """Is it an order at all, at a price that fits the market? 0 or the reason. A market order that needs no quote is cut to `reducible` lots."""
    if a.qty <= 0 or a.side < 0 or a.side > 1 or (a.order_type != _LIMIT and a.order_type != _MARKET):
        return _BAD
    b = book[a.instrument]
    if not tradable(b) or stale(b, now):
        if b.max_age_ns == 0 or a.order_type != _MARKET or reducible <= 0:
            return _STALE if tradable(b) else _NO_MARKET
        a.qty = min(a.qty, reducible)
    if a.order_type == _LIMIT:
        if a.price <= 0:
            return _BAD
        through = a.price - b.best_ask if a.side == _BUY else b.best_bid - a.price
        if through > limit[a.instrument].price_band_ticks:
            return _BAND
        if _beyond_collar(a.price, b, limit[a.instrument]):
            return _COLLAR
    return 0


@inlined_kernel
def check_order(
    a: WantRecord,
    book: BookArray,
    instruments: InstrumentArray,
    ledger: LedgerArray,
    open_qty: OpenArray,
    limit: LimitArray,
    risk: RiskArray,
    slots: SlotArray,
    held: HeldArray,
    open_held: OpenHeldArray,
    watch: Int64Array,
    now: int,
    n_open: int,
) -> int:
    """Check one NEW in place: `a` (ALLOWED record) keeps its quantity, gets a smaller one, or is refused. 0 or the codes.Reject.

    `now`: ns monotonic; `n_open`: open orders over all instruments, those of this step included.
    """
    r, lim, row, o, ins = risk[0], limit[a.instrument], ledger[a.instrument], open_qty[a.instrument], instruments[a.instrument]
    sign = 1 if a.side == _BUY else -1
    same_side = o.buy_qty if a.side == _BUY else o.sell_qty
    reducible = -sign * row.position - same_side  # lots that bring the position to zero, not past it
    leaving = max(reducible, own_reducible(a, held, open_held))
    reason = _check_shape(a, book, limit, leaving, now)
    if reason != 0:
        return reason
    if r.trading != _ENABLED:
        if leaving <= 0:
            return _NOT_TRADING
        a.qty = min(a.qty, leaving)
    b = book[a.instrument]
    price = a.price if a.order_type == _LIMIT else (b.best_ask if a.side == _BUY else b.best_bid)
    if price == 0:
        price = (row.mark_price + 1) // 2  # no book: the last mid that was trusted
    reason = check_strategy(a, price, instruments, ledger, slots, held, open_held, watch)
    if reason != 0:
        return reason
    reduces = a.qty <= reducible
    a.qty = min(a.qty, lim.max_order_qty)
    if not reduces:
        a.qty = min(a.qty, _room(row.position, same_side, sign, lim.max_position))
        if a.qty <= 0:
            return _POSITION if lim.max_order_qty > 0 else _SIZE
    if a.qty <= 0:
        return _SIZE
    lot_notional = lot_value(price, ins.tick_lot_e8)
    surely = lot_notional > 0 and float(a.qty) * lot_notional < _SURELY * lim.max_order_notional_e8  # a product of integers could pass 63 bits
    if not surely:
        a.qty = min(a.qty, lim.max_order_notional_e8 // lot_notional if lot_notional > 0 else 0)
        if a.qty <= 0:
            return _NOTIONAL
    if reduces:
        a.flags |= _REDUCE_ONLY  # a venue takes these below its minimum notional
    else:
        if a.qty * lot_notional < ins.min_notional_e8:
            return _MIN_NOTIONAL
        if worst_exposure(ledger, open_qty, instruments) + a.qty * lot_notional > r.max_exposure_e8:
            return _EXPOSURE
    if n_open >= r.max_open_orders:
        return _OPEN_ORDERS
    cost = NS_PER_S // r.max_orders_per_s
    _refill(r, now, cost)
    kept = 0 if reduces or a.qty <= leaving or a.leg != 0 else r.order_reserve * cost  # an entry leaves room for its hedge
    if r.tokens_ns < cost + kept:
        return _RATE
    r.tokens_ns -= cost
    return 0


@inlined_kernel
def check_want(
    want: WantArray,
    index: int,
    book: BookArray,
    instruments: InstrumentArray,
    ledger: LedgerArray,
    open_qty: OpenArray,
    limit: LimitArray,
    allowed: WantArray,
    risk: RiskArray,
    slots: SlotArray,
    held: HeldArray,
    open_held: OpenHeldArray,
    watch: Int64Array,
    now: int,
) -> int:
    """Copy WANT[index] into ALLOWED[index], checked (a NEW). 0 if it passed (whole or shrunk), else the codes.Reject; the action is then NONE.

    To be called want by want, with each approved order entered into the order table before the next: its open quantity counts.
    """
    allowed[index] = want[index]
    a = allowed[index]
    a.reason = 0
    if a.action != _NEW:
        return 0
    n_open = 0
    for i in range(open_qty.size):
        n_open += open_qty[i].n_orders
    asked = a.qty
    a.reason = check_order(a, book, instruments, ledger, open_qty, limit, risk, slots, held, open_held, watch, now, n_open)
    if a.reason != 0:
        a.action = _NO_ACTION
        risk[0].n_vetoes += 1
    elif a.qty < asked:
        risk[0].n_shrunk += 1
    return a.reason


@kernel
def halt(risk: RiskArray, reason: int) -> None:
    """Stop trading for the rest of the session; only orders that reduce positions pass from now on."""
    if risk[0].trading < _HALTED:
        risk[0].trading = _HALTED
        risk[0].halt_reason = reason


@kernel
def watch_equity(ledger: LedgerArray, instruments: InstrumentArray, risk: RiskArray) -> None:
    """Session P&L, drawdown and exposure at mark after a change; halts when the loss limit is reached."""
    equity = 0
    exposure = 0
    for i in range(ledger.size):
        row = ledger[i]
        equity += row.realized_e8 + row.unrealized_e8 - row.fees_e8 - row.funding_e8
        exposure += abs(row.position) * row.mark_price * instruments[i].tick_lot_e8 // 2
    r = risk[0]
    r.equity_e8 = equity
    r.peak_equity_e8 = max(r.peak_equity_e8, equity)
    r.drawdown_e8 = r.peak_equity_e8 - equity
    r.exposure_e8 = exposure
    if equity <= -r.max_loss_e8:
        halt(risk, _LOSS)
    elif r.max_drawdown_e8 != 0 and r.drawdown_e8 >= r.max_drawdown_e8:
        halt(risk, _DRAWDOWN)


@kernel
def watch_rejects(rejected: int, risk: RiskArray) -> None:
    """Count venue rejects in a row (`rejected` 1 for a reject, 0 for an acknowledgement); halts at the limit."""
    r = risk[0]
    if rejected == 0:
        r.rejects_in_row = 0
        return
    r.rejects_in_row += 1
    if r.rejects_in_row >= r.max_rejects:
        halt(risk, _REJECTS)
