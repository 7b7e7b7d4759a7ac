"""Two-sided quotes kept in the market: what a strategy wishes at the bid and at the ask, one post-only order a side. Owns QUOTES.

    a side wants an order      the strategy names a price and a size (SIGNAL), trading is enabled, the book is whole and fresh, and what the
                               strategy holds leaves room: position and this order stay within `max_position`
    it is posted               at the wished price, never through the other side of the book, never at or through our own other quote
    it stays                   while it is wanted and the wished price is less than `requote_ticks` away; `front_ticks` further where no more stands
                               before it in its queue than its own size; and until it has rested for `min_rest_ns`
    it is pulled at once       not wanted any more, the book stale or broken, trading paused, flattening or halted, its size beyond the room

Each side has at most one order, and at most one cancel under way; until the venue has said what became of it, the order counts: nothing is posted
on its side, and its rest may still fill. What is held when trading is flattening, stopping or halted, or the frozen file has expired, is closed by
market orders once both quotes are gone. The queue before an order is estimated as for a resting lead (resting.py).
"""

from __future__ import annotations

from hftkit.codes import Action, OrderFlag, OrderType, Side, SignalReason, TimeInForce, Trading
from hftkit.kernels.arrays import (
    BookArray,
    BookRecord,
    EventRecord,
    HeldArray,
    OrderArray,
    OrderRecord,
    QuotesArray,
    QuotesRecord,
    SignalArray,
    WantArray,
    WantRecord,
)
from hftkit.kernels.execution.resting import cancel_of, queue_after
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.signals import stale, tradable
from hftkit.kernels.trading.orders import slot_of, working

_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_NEW = int(Action.NEW)
_LIMIT, _MARKET = int(OrderType.LIMIT), int(OrderType.MARKET)
_GTC, _IOC, _POST_ONLY = int(TimeInForce.GTC), int(TimeInForce.IOC), int(OrderFlag.POST_ONLY)
_ENABLED, _PAUSED, _EXPIRED = int(Trading.ENABLED), int(Trading.PAUSED), int(SignalReason.EXPIRED)


@kernel
def quote_order(q: QuotesRecord, side: int) -> int:
    """Client order id of the quote on a side (codes.Side), 0 if there is none."""
    return q.bid_order if side == _BUY else q.ask_order


@kernel
def _wish(q: QuotesRecord, b: BookRecord, bid: int, ask: int, side: int) -> int:
    """Price in ticks at which a side may be quoted, 0: not at all. It never takes: nothing of the book, nothing of our own."""
    if bid > 0 and ask > 0 and bid >= ask:
        return 0  # the strategy would trade with itself
    if side == _BUY:
        return min(bid, b.best_ask - 1)
    return max(ask, b.best_bid + 1) if ask > 0 else 0


@kernel
def _crosses_own(q: QuotesRecord, orders: OrderArray, side: int, price: int) -> bool:
    """Whether an order at `price` would meet our own quote on the other side."""
    at = slot_of(orders, quote_order(q, 1 - side))
    if at < 0:
        return False
    return price >= orders[at].price if side == _BUY else price <= orders[at].price


@kernel
def _stays(q: QuotesRecord, o: OrderRecord, price: int, room: int, now: int) -> bool:
    """Whether the quote `o` (ORDER record) may rest on. `price`: wished, ticks, 0: none; `room`: lots that may still be added on its side."""
    leaves = o.qty - o.filled_qty
    if price <= 0 or leaves > room:
        return False
    ahead = q.bid_ahead if o.side == _BUY else q.ask_ahead
    since = q.bid_since if o.side == _BUY else q.ask_since
    tolerance = q.requote_ticks + (q.front_ticks if ahead <= leaves else 0)
    return abs(price - o.price) < tolerance or now - since < q.min_rest_ns


@kernel
def _fill_in(w: WantRecord, q: QuotesRecord, slot: int, side: int, price: int, qty: int) -> None:
    """A want for `qty` lots: post-only at `price`, or at market where that is 0."""
    w.action, w.strategy, w.leg, w.instrument, w.side = _NEW, slot, 0, q.instrument, side
    w.order_type = _LIMIT if price > 0 else _MARKET
    w.time_in_force = _GTC if price > 0 else _IOC
    w.flags = _POST_ONLY if price > 0 else 0
    w.price, w.qty, w.client_order_id, w.reason = price, qty, 0, 0


@kernel
def _plan_side(
    slot: int,
    side: int,
    price: int,
    qty: int,
    room: int,
    quotes: QuotesArray,
    b: BookRecord,
    orders: OrderArray,
    want: WantArray,
    n: int,
    now: int,
) -> int:
    """Leave, pull or post the quote of one side. `price` wished, ticks, 0: none; `qty` wished, `room` allowed, lots. New number of wants."""
    q = quotes[slot]
    order = quote_order(q, side)
    if order != 0:
        at = slot_of(orders, order)
        if at < 0 or _stays(q, orders[at], price, room, now):
            return n
        after = cancel_of(slot, orders[at], want, n)
        q.n_pulls += after - n
        return after
    lots = min(qty, room)
    retry_at = q.bid_retry_at if side == _BUY else q.ask_retry_at
    if price <= 0 or lots <= 0 or now < retry_at or n >= want.size or _crosses_own(q, orders, side, price):
        return n
    _fill_in(want[n], q, slot, side, price, lots)
    best, shown = (b.best_bid, b.best_bid_qty) if side == _BUY else (b.best_ask, b.best_ask_qty)
    ahead = shown if price == best else 0  # behind the touch nothing is known of the queue yet: the next change of the level says
    if side == _BUY:
        q.bid_ahead, q.bid_since = ahead, now
    else:
        q.ask_ahead, q.ask_since = ahead, now
    q.n_posts += 1
    return n + 1


@kernel
def plan_quotes(
    slot: int,
    signal: SignalArray,
    book: BookArray,
    quotes: QuotesArray,
    held: HeldArray,
    orders: OrderArray,
    want: WantArray,
    n: int,
    trading: int,
    now: int,
) -> int:
    """Keep the quotes of one strategy, and append what that needs. Returns the number of wants.

    `signal` SIGNAL (k,), `quotes` QUOTES (k,), `held` LEDGER (k, w), `orders` ORDER (capacity,), `want` WANT (wants,), `n`: wants already there,
    `trading`: codes.Trading, `now`: ns monotonic.
    """
    q, s = quotes[slot], signal[slot]
    b, position = book[q.instrument], held[slot, 0].position
    leaving = trading > _PAUSED or s.reason == _EXPIRED
    may_quote = trading == _ENABLED and not leaving and tradable(b) and not stale(b, now)
    for side in range(2):
        qty = (s.bid_qty if side == _BUY else s.ask_qty) if may_quote else 0
        price = _wish(q, b, s.bid_price if s.bid_qty > 0 else 0, s.ask_price if s.ask_qty > 0 else 0, side) if qty > 0 else 0
        room = q.max_position - position if side == _BUY else q.max_position + position
        n = _plan_side(slot, side, price, qty, room, quotes, b, orders, want, n, now)
    if leaving and position != 0 and q.bid_order == 0 and q.ask_order == 0 and q.close_order == 0 and now >= q.close_retry_at and n < want.size:
        _fill_in(want[n], q, slot, _SELL if position > 0 else _BUY, 0, abs(position))
        n += 1
    return n


@kernel
def watch_quotes(q: QuotesRecord, e: EventRecord, orders: OrderArray) -> None:
    """Take one market data event (EVENT record) of its instrument into the estimates of what stands before the quotes (QUOTES record)."""
    at = slot_of(orders, q.bid_order)
    if at >= 0:
        q.bid_ahead = queue_after(q.bid_ahead, e, orders[at])
    at = slot_of(orders, q.ask_order)
    if at >= 0:
        q.ask_ahead = queue_after(q.ask_ahead, e, orders[at])


@kernel
def note_quote_sent(q: QuotesRecord, w: WantRecord) -> None:
    """Remember the order that the approved want `w` (ALLOWED record) has become."""
    if w.order_type == _MARKET:
        q.close_order = w.client_order_id
    elif w.side == _BUY:
        q.bid_order = w.client_order_id
    else:
        q.ask_order = w.client_order_id


@kernel
def pause_quote(q: QuotesRecord, is_close: bool, side: int, at: int) -> None:
    """Ask for nothing more on a side, or for no close, before `at` (ns monotonic)."""
    if is_close:
        q.close_retry_at = at
    elif side == _BUY:
        q.bid_retry_at = at
    else:
        q.ask_retry_at = at


@kernel
def end_quote(q: QuotesRecord, o: OrderRecord, now: int) -> None:
    """Forget an order once it is final (ORDER record `o`); one that filled nothing, without our wish, is tried again only after `retry_ns`."""
    is_close = o.client_order_id == q.close_order
    if not is_close and o.client_order_id != quote_order(q, o.side):
        return
    if o.filled_qty == 0 and o.ts_cancel == 0:
        pause_quote(q, is_close, o.side, now + q.retry_ns)
    if is_close:
        q.close_order = 0
    elif o.side == _BUY:
        q.bid_order, q.bid_ahead = 0, 0
    else:
        q.ask_order, q.ask_ahead = 0, 0


@kernel
def has_quotes(q: QuotesRecord, orders: OrderArray) -> bool:
    """Whether any order of the strategy is at work."""
    return working(orders, q.bid_order) or working(orders, q.ask_order) or working(orders, q.close_order)
