"""The step: what one event does to one engine. Pure: the time is in the event, everything else in the rooms.

The walk in reading order, split where a shell may want to stamp the time (docs/architecture.md):

    sense    bytes are already an EVENT: book and its synchronisation, signal; or order table, ledger, legs, risk watch    -> T2
    decide   policies plan, risk checks, order table takes what was approved                                                  -> T3
    commit   encode approved orders, cancels, queries, heartbeats, snapshot requests into the output buffers                       -> T4 once sent

`step` is the three in a row. Live stamps the clock between them, replay and backtest call them as they are: the answer is the
same, because none of them reads a clock, a random number or anything outside its arguments.

Long because it is the one walk, in its reading order.
"""

from __future__ import annotations

import math

from hftkit import layout
from hftkit.codes import Action, Control, EventKind, Hook, MessageType, OrderState, Reject, Trading
from hftkit.kernels.arrays import EngineState, Int64Array, OrderRecord, SessionRecord, StrategyKernels
from hftkit.kernels.execution.policies import (
    all_flat,
    end,
    expire,
    plan,
    refused_by_risk,
    refused_by_venue,
    sent,
    take_fill,
    watch_queue_of,
    works_on,
)
from hftkit.kernels.hooks import call_hook
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.market.book import BOOK_CHANGED, BOOK_LOST, apply_to_book, forget_books, hold_books
from hftkit.kernels.market.signals import stale
from hftkit.kernels.trading.attribution import followed, held_fill, held_funding, mark_held, opened
from hftkit.kernels.trading.external import take_correction, take_external_fill
from hftkit.kernels.trading.forbidden import pull_forbidden
from hftkit.kernels.trading.ledger import apply_fill, apply_funding, correct_position, mark_to_book
from hftkit.kernels.trading.orders import (
    COUNTER_BITS,
    SENT,
    apply_order_event,
    create,
    is_final,
    move,
    next_slot_free,
    note_cancel,
    slot_of,
    wants_query,
)
from hftkit.kernels.trading.risk import check_want, halt, watch_equity, watch_rejects
from hftkit.kernels.trading.strategy_risk import watch_strategy
from hftkit.kernels.wire.decode import MALFORMED, decode_market_data, decode_order_entry
from hftkit.kernels.wire.encode import (
    encode_cancel,
    encode_heartbeat,
    encode_logout,
    encode_new_order,
    encode_order_query,
    encode_snapshot_request,
    encode_subscribe,
)
from hftkit.kernels.wire.frame import FRAME_OK, frame_words
from hftkit.layout import BY_STRATEGY, FRAME, POSITIONS_IN_ORDER, VENUE_IS_FINAL

_MARKET_DATA_LAST = int(EventKind.MARKET_STATUS)
_INSTRUMENT, _TRADE = int(EventKind.INSTRUMENT), int(EventKind.TRADE)
_ON_BOOK, _ON_TRADE, _ON_FILL, _ON_TIMER = int(Hook.ON_BOOK), int(Hook.ON_TRADE), int(Hook.ON_FILL), int(Hook.ON_TIMER)
_TIMER, _CONTROL, _DISCONNECT = int(EventKind.TIMER), int(EventKind.CONTROL), int(EventKind.DISCONNECT)
_LOGON_ACK, _LOGOUT_ACK, _POSITION = int(EventKind.LOGON_ACK), int(EventKind.LOGOUT_ACK), int(EventKind.POSITION)
_SESSION_REJECT, _FUNDING, _POSITION_CORRECTION = int(EventKind.SESSION_REJECT), int(EventKind.FUNDING), int(EventKind.POSITION_CORRECTION)
_ORDER_FIRST, _ORDER_LAST = int(EventKind.ORDER_ACK), int(EventKind.ORDER_STATUS)
_ORDER_ACK, _ORDER_FILL, _ORDER_REJECT = int(EventKind.ORDER_ACK), int(EventKind.ORDER_FILL), int(EventKind.ORDER_REJECT)
_ORDER_CANCELED, _EXTERNAL_FILL = int(EventKind.ORDER_CANCELED), int(EventKind.EXTERNAL_FILL)
_PAUSE, _RESUME, _FLATTEN = int(Control.PAUSE), int(Control.RESUME), int(Control.FLATTEN)
_STOP, _CONNECT, _ENABLE = int(Control.STOP), int(Control.CONNECT), int(Control.ENABLE)
_HALT_ACCOUNT, _HALT_CLOCK, _HALT_VENUE = int(Control.HALT_ACCOUNT), int(Control.HALT_CLOCK), int(Control.HALT_VENUE)
_ENABLED, _PAUSED, _FLATTENING, _STOPPING = int(Trading.ENABLED), int(Trading.PAUSED), int(Trading.FLATTENING), int(Trading.STOPPING)
_NEW, _CANCEL = int(Action.NEW), int(Action.CANCEL)
_TABLE_FULL, _SCALES = int(Reject.ORDERS_TABLE_FULL), int(Reject.RISK_SCALES_CHANGED)
_ILLEGAL, _WOULD_TAKE = int(Reject.ORDERS_ILLEGAL_TRANSITION), int(Reject.BOOK_POST_ONLY_WOULD_TAKE)
_ACCOUNT_MISMATCH, _CLOCK_OFFSET = int(Reject.RISK_ACCOUNT_MISMATCH), int(Reject.RISK_CLOCK_OFFSET)
_VENUE_REFUSES, _STALE_QUOTE = int(Reject.RISK_VENUE_REFUSES), int(Reject.RISK_STALE_QUOTE)
_STALL, _CAUGHT_UP, _HALT_STALE = int(Control.STALL), int(Control.CAUGHT_UP), int(Control.HALT_STALE)
_RELOAD = int(Control.RELOAD)
_FORCED_CLOSE, _REJECTS_IN_ROW = int(Reject.RISK_FORCED_CLOSE), int(Reject.RISK_REJECTS_IN_ROW)
_VENUE_REASONS, _BOOK_REASONS = 400, 500  # refusals of the venue's own checks lie between
_LIQUIDATION, _REJECTED = int(Reject.VENUE_LIQUIDATION), int(OrderState.REJECTED)

# What `sense` tells `decide` and the shell
SENSED_NOTHING = 0  # nothing that could lead to an order
SENSED_CHANGE = 1  # plan the legs
SENSED_LOST_BOOK = 2  # a gap in market data: commit asks for a snapshot
SENSED_LOST_SESSION = 3  # order entry cannot be followed any further: the shell must reconnect
SENSED_CONNECT = 4
SENSED_TIMER = 5

_NEXT_SEQ_IN = FRAME[MessageType.LOGON].word("next_seq_in")
MAX_QUERIES = 32  # order queries one timer event may send
STOP_WANTED, LOGOUT_SENT, LOGGED_OUT = 1, 2, 3


@inlined_kernel
def out_reserve(rooms: EngineState) -> int:
    """Words of an output buffer that one step may need: every want an order, and the queries of a timer."""
    return 384 + 16 * rooms.want.size


@inlined_kernel
def journal_reserve(rooms: EngineState) -> int:
    """Words of the journal that one message and what comes of it may need: every want refused, or sent."""
    return 768 + 32 * rooms.want.size


@kernel
def _touch_all(rooms: EngineState) -> None:
    """What happens now concerns every strategy."""
    rooms.touched[0] = rooms.slots.size
    for slot in range(rooms.slots.size):
        rooms.touched[1 + slot] = slot


@inlined_kernel
def _touch(rooms: EngineState, slot: int) -> None:
    """What happens now concerns this strategy: it is planned. Once an event, in the order of the slots."""
    rooms.touched[0] += 1
    rooms.touched[rooms.touched[0]] = slot


@inlined_kernel
def _call(rooms: EngineState, strategies: StrategyKernels, slot: int, hook: int) -> None:
    """Ask one strategy. `hook`: codes.Hook, one that it has."""
    address, params, state = strategies[slot, hook], rooms.params[slot], rooms.state[slot]
    call_hook(address, slot, rooms.event, rooms.book, rooms.watch, rooms.held, params, state, rooms.signal)
    rooms.slots[slot].n_signals += 1
    rooms.session[0].n_signals += 1
    if not math.isfinite(rooms.signal[slot].zscore):
        rooms.session[0].n_not_finite += 1  # no trade: see the signal's reason


@inlined_kernel
def _watches_stale(rooms: EngineState, slot: int) -> bool:
    """Whether a quote that the strategy watches is too old to be asked about."""
    old = False
    if rooms.book[rooms.event[0].instrument].max_age_ns == 0:
        return old  # the same for every book: of any age
    for place in range(rooms.slots[slot].n_watched):
        old = old or stale(rooms.book[rooms.watch[slot, place]], rooms.session[0].ts_now)
    return old


@inlined_kernel
def _sense_market_data(rooms: EngineState, strategies: StrategyKernels) -> int:
    e, s = rooms.event[0], rooms.session[0]
    s.n_market_data += 1
    s.ts_exchange = max(s.ts_exchange, e.ts_event)
    if e.kind == _INSTRUMENT:
        ins = rooms.instruments[e.instrument]
        if e.price != ins.tick_size_e8 or e.qty != ins.lot_size_e8:
            s.instruments_ok = -1
            halt(rooms.risk, _SCALES)
        elif s.instruments_ok == 0:
            s.instruments_ok = 1
        return SENSED_NOTHING
    outcome = apply_to_book(rooms.event, rooms.book, rooms.levels)
    if rooms.open_qty[e.instrument].n_orders > 0:
        for i in range(rooms.watcher_start[e.instrument], rooms.watcher_start[e.instrument + 1]):
            watch_queue_of(rooms.watchers[i, 0], rooms)
    if outcome == BOOK_LOST:
        return SENSED_LOST_BOOK
    hook = _ON_BOOK if outcome == BOOK_CHANGED else _ON_TRADE
    if hook == _ON_TRADE and e.kind != _TRADE:
        return SENSED_NOTHING
    marked = hook == _ON_BOOK and mark_to_book(rooms.ledger, rooms.instruments, rooms.book, e.instrument)
    if marked:
        watch_equity(rooms.ledger, rooms.instruments, rooms.risk)
    by_strategy = rooms.rules[0] & BY_STRATEGY != 0
    for i in range(rooms.watcher_start[e.instrument], rooms.watcher_start[e.instrument + 1]):
        slot = rooms.watchers[i, 0]
        if hook == _ON_BOOK:
            _touch(rooms, slot)
            if by_strategy and mark_held(slot, rooms.watchers[i, 1], e.instrument, rooms.instruments, rooms.ledger, rooms.held):
                watch_strategy(slot, rooms.slots, rooms.held, rooms.watch)
        if strategies[slot, hook] == 0 or _watches_stale(rooms, slot):
            continue  # the strategy is not asked about a quote that is too old
        _call(rooms, strategies, slot, hook)
        if hook == _ON_TRADE:
            _touch(rooms, slot)
    return SENSED_CHANGE if rooms.touched[0] > 0 else SENSED_NOTHING


@kernel
def _sense_external_fill(rooms: EngineState, reason: int) -> int:
    """The fill in rooms.event is of an order that this session did not send. `reason`: 413, 415, 416, or 0 for another client."""
    if not take_external_fill(rooms, reason, rooms.session[0].ts_now):
        return SENSED_NOTHING
    if reason != 0:
        halt(rooms.risk, _FORCED_CLOSE)
    watch_equity(rooms.ledger, rooms.instruments, rooms.risk)
    _touch_all(rooms)
    return SENSED_CHANGE


@kernel
def _sense_position(rooms: EngineState) -> int:
    """What the venue says of a position: taken in where it is a correction, or stands in order with the fills and differs from them."""
    e, s = rooms.event[0], rooms.session[0]
    held, final = rooms.ledger[e.instrument].position, rooms.rules[0] & VENUE_IS_FINAL != 0
    if e.kind == _POSITION:
        rooms.ledger[e.instrument].venue_position = e.qty
        if not final or rooms.rules[0] & POSITIONS_IN_ORDER == 0 or s.n_orders == 0 or e.qty == held:
            return SENSED_NOTHING
    elif not final:
        if correct_position(rooms.ledger, rooms.instruments, e.instrument, e.qty, e.qty2):
            watch_equity(rooms.ledger, rooms.instruments, rooms.risk)
        return SENSED_NOTHING
    in_order = e.kind == _POSITION
    compared_with, until = held if in_order else e.qty2, 0 if in_order else e.ts_event
    if not take_correction(rooms, compared_with, until, s.ts_now):
        return SENSED_NOTHING
    if in_order:
        halt(rooms.risk, _FORCED_CLOSE)  # unasked, and no fill says why: the venue has taken the position over
    watch_equity(rooms.ledger, rooms.instruments, rooms.risk)
    _touch_all(rooms)
    return SENSED_CHANGE


@kernel
def _watch_refusal(rooms: EngineState, o: OrderRecord) -> None:
    """The order `o` of a leg has ended in this event: was it refused, whatever it was for, and by whatever answer we know?

    Refused is what was rejected, and what the venue's own checks ended before anything of it had traded. Each leg counts for itself: that
    the other one is accepted does not excuse this one.
    """
    e = rooms.event[0]
    told = e.kind == _ORDER_REJECT or e.kind == _ORDER_CANCELED
    reason = e.code if told else 0
    rejected = o.state == _REJECTED and reason != _WOULD_TAKE
    ended_by_venue = e.kind == _ORDER_CANCELED and o.filled_qty == 0 and _VENUE_REASONS <= reason < _BOOK_REASONS
    if not rejected and not ended_by_venue:
        rooms.refused[o.strategy, o.leg] = 0
        return
    if e.kind != _ORDER_REJECT:
        watch_rejects(1, rooms.risk)
    n = refused_by_venue(rooms, o, reason, rooms.session[0].ts_now)
    if n >= rooms.risk[0].max_rejects:
        halt(rooms.risk, _REJECTS_IN_ROW)


@kernel
def _book_fill(rooms: EngineState, strategies: StrategyKernels, o: OrderRecord) -> None:
    """The fill in rooms.event of our order `o`: into the ledger, to its strategy, to the policy that wanted it."""
    e = rooms.event[0]
    rooms.session[0].n_fills += 1
    apply_fill(rooms.ledger, rooms.instruments, e.instrument, e.side, e.price, e.qty, e.fee_e8, e.flags)
    take_fill(rooms, o)
    watch_equity(rooms.ledger, rooms.instruments, rooms.risk)
    if rooms.rules[0] & BY_STRATEGY != 0:
        held_fill(rooms.event, o, rooms.instruments, rooms.ledger, rooms.held)
        rooms.slots[o.strategy].n_fills += 1
        watch_strategy(o.strategy, rooms.slots, rooms.held, rooms.watch)
    if strategies[o.strategy, _ON_FILL] != 0:
        _call(rooms, strategies, o.strategy, _ON_FILL)


@kernel
def _sense_order_answer(rooms: EngineState, strategies: StrategyKernels) -> int:
    e, s = rooms.event[0], rooms.session[0]
    final = rooms.rules[0] & VENUE_IS_FINAL != 0
    before = slot_of(rooms.orders, e.client_order_id)
    was_open = before >= 0 and not is_final(rooms.orders[before].state)
    filled = rooms.orders[before].filled_qty if before >= 0 else 0
    slot = apply_order_event(rooms.event, rooms.orders, rooms.open_qty)
    if slot == -1 and final and e.kind == _ORDER_FILL and e.client_order_id >> COUNTER_BITS != s.epoch:
        return _sense_external_fill(rooms, _LIQUIDATION if e.client_order_id < 0 else 0)  # negative: the venue's own order
    if slot == -1:
        s.n_unknown += 1
        return SENSED_NOTHING
    if slot == -2:
        s.n_illegal += 1
        halt(rooms.risk, _ILLEGAL)
        return SENSED_NOTHING
    o = rooms.orders[slot]
    if was_open and rooms.rules[0] & BY_STRATEGY != 0:
        followed(o, rooms.open_held, filled)
    if e.kind == _ORDER_FILL:
        _book_fill(rooms, strategies, o)
    elif e.kind == _ORDER_ACK:
        s.n_acks += 1
        watch_rejects(0, rooms.risk)
    elif e.code == _WOULD_TAKE and (e.kind == _ORDER_REJECT or e.kind == _ORDER_CANCELED):
        s.n_post_refused += 1  # the touch has moved meanwhile: no failure
    elif e.kind == _ORDER_REJECT:
        s.n_rejects += 1
        rooms.slots[o.strategy].n_rejects += 1
        watch_rejects(1, rooms.risk)
    elif e.kind == _ORDER_CANCELED:
        s.n_canceled += 1
    if is_final(o.state):
        working = works_on(rooms, o)
        end(rooms, o, s.ts_now)
        if final and working:
            _watch_refusal(rooms, o)
    if final and e.code == _LIQUIDATION and (e.kind == _ORDER_CANCELED or e.kind == _ORDER_REJECT):
        halt(rooms.risk, _FORCED_CLOSE)
    _touch(rooms, o.strategy)
    return SENSED_CHANGE


@kernel
def _next_seq_in(rooms: EngineState) -> int:
    """Sequence that our LOGON asks the venue to go on from: 1 begins a session, more resumes one."""
    return rooms.logon[_NEXT_SEQ_IN] if rooms.logon.size > _NEXT_SEQ_IN else 1


@kernel
def _sense_order_entry(rooms: EngineState, strategies: StrategyKernels) -> int:
    e, s = rooms.event[0], rooms.session[0]
    s.n_order_entry += 1
    s.ts_exchange = max(s.ts_exchange, e.ts_event)
    if e.kind == _LOGON_ACK and e.seq == 0 and _next_seq_in(rooms) > 1:  # resumed: what we have missed follows
        s.logged_on = 1
        s.seq_out = e.qty - 1  # what we sent beyond never arrived: those orders are queried
        s.ts_last_sent = 0  # so a heartbeat leaves now, before any order: its echo comes behind all that was missed
        return SENSED_TIMER
    if e.seq <= s.seq_in:
        return SENSED_NOTHING  # already seen: a resend after reconnect
    if e.seq != s.seq_in + 1:
        s.n_sequence_gaps += 1
        return SENSED_LOST_SESSION
    s.seq_in = e.seq
    if _ORDER_FIRST <= e.kind <= _ORDER_LAST:
        return _sense_order_answer(rooms, strategies)
    if e.kind == _LOGON_ACK:
        s.logged_on = 1
    elif e.kind == _LOGOUT_ACK:
        s.logged_on = 0
        s.stop_requested = LOGGED_OUT
    elif e.kind == _POSITION or e.kind == _POSITION_CORRECTION:
        return _sense_position(rooms)
    elif e.kind == _EXTERNAL_FILL:
        return _sense_external_fill(rooms, e.code)
    elif e.kind == _FUNDING:
        apply_funding(rooms.ledger, e.instrument, e.fee_e8)
        watch_equity(rooms.ledger, rooms.instruments, rooms.risk)
        if rooms.rules[0] & BY_STRATEGY != 0:
            held_funding(e.instrument, e.fee_e8, rooms.ledger, rooms.held, rooms.watcher_start, rooms.watchers)
            for i in range(rooms.watcher_start[e.instrument], rooms.watcher_start[e.instrument + 1]):
                watch_strategy(rooms.watchers[i, 0], rooms.slots, rooms.held, rooms.watch)
        _touch_all(rooms)
        return SENSED_CHANGE
    elif e.kind == _SESSION_REJECT:
        return SENSED_LOST_SESSION
    return SENSED_NOTHING


@kernel
def _sense_control(rooms: EngineState) -> int:
    code, r, s = rooms.event[0].code, rooms.risk[0], rooms.session[0]
    if code == _CONNECT:
        if rooms.logon.size > 0:
            forget_books(rooms.book)
            s.logged_on = 0  # of a line that was lost
        return SENSED_CONNECT
    if (code == _ENABLE or code == _RESUME) and r.trading <= _FLATTENING:
        r.trading = _ENABLED
    elif code == _PAUSE and r.trading < _PAUSED:
        r.trading = _PAUSED
    elif code == _FLATTEN and r.trading < _FLATTENING:
        r.trading = _FLATTENING
    elif code == _STOP:
        r.trading = max(r.trading, _STOPPING)
        s.stop_requested = max(s.stop_requested, STOP_WANTED)
    elif code == _HALT_ACCOUNT:
        halt(rooms.risk, _ACCOUNT_MISMATCH)
    elif code == _HALT_CLOCK:
        halt(rooms.risk, _CLOCK_OFFSET)
    elif code == _HALT_VENUE:
        halt(rooms.risk, _VENUE_REFUSES)
    elif code == _STALL or code == _CAUGHT_UP:
        hold_books(rooms.book, s.ts_now, code == _STALL)
    elif code == _HALT_STALE:
        halt(rooms.risk, _STALE_QUOTE)
    elif code == _RELOAD:
        watch_equity(rooms.ledger, rooms.instruments, rooms.risk)
        for slot in range(rooms.slots.size):
            if rooms.rules[0] & BY_STRATEGY != 0:
                watch_strategy(slot, rooms.slots, rooms.held, rooms.watch)
    return SENSED_CHANGE


@inlined_kernel
def _sense_kind(rooms: EngineState, strategies: StrategyKernels) -> int:
    e, s = rooms.event[0], rooms.session[0]
    if e.kind <= _MARKET_DATA_LAST:
        return _sense_market_data(rooms, strategies)
    if e.kind < _TIMER:
        return _sense_order_entry(rooms, strategies)
    if e.kind == _TIMER:
        s.n_timers += 1
        for slot in range(rooms.slots.size):
            if strategies[slot, _ON_TIMER] != 0:
                _call(rooms, strategies, slot, _ON_TIMER)
        _touch_all(rooms)
        return SENSED_TIMER
    if e.kind == _CONTROL:
        _touch_all(rooms)
        return _sense_control(rooms)
    if e.kind == _DISCONNECT:
        s.logged_on = 0
    return SENSED_NOTHING


@inlined_kernel
def sense(rooms: EngineState, strategies: StrategyKernels) -> int:
    """Take in rooms.event: update the room it concerns, call the hooks it concerns. Returns a SENSED_* code; `touched` says who is to be planned.

    `rooms`: hftkit.session.engine_state.EngineState; `strategies` int64 (k, hooks): addresses of the strategies' hooks (kernels/hooks.py).
    """
    s = rooms.session[0]
    s.ts_now = max(s.ts_now, rooms.event[0].ts_recv)
    rooms.touched[0] = 0
    trading = rooms.risk[0].trading
    sensed = _sense_kind(rooms, strategies)
    if rooms.risk[0].trading != trading or rooms.rules[0] & BY_STRATEGY == 0:
        _touch_all(rooms)
    return sensed


@inlined_kernel
def _enter(rooms: EngineState, i: int, now: int) -> None:
    """Check want `i`, and enter it into the order table if it passes."""
    a = rooms.allowed[i]
    refused = check_want(
        rooms.want,
        i,
        rooms.book,
        rooms.instruments,
        rooms.ledger,
        rooms.open_qty,
        rooms.limit,
        rooms.allowed,
        rooms.risk,
        rooms.slots,
        rooms.held,
        rooms.open_held,
        rooms.watch,
        now,
    )
    if refused == 0 and not next_slot_free(rooms.orders, rooms.session):
        a.action = 0
        a.reason = _TABLE_FULL
        refused = _TABLE_FULL
    if refused != 0:
        rooms.slots[a.strategy].n_vetoes += 1
        refused_by_risk(rooms, a, now)
    elif a.action == _NEW:
        o = rooms.orders[create(rooms.allowed, i, rooms.orders, rooms.open_qty, rooms.session)]
        a.client_order_id = o.client_order_id
        rooms.slots[a.strategy].n_orders += 1
        if rooms.rules[0] & BY_STRATEGY != 0:
            opened(o, rooms.open_held)
        sent(rooms, a)
    elif a.action == _CANCEL:
        note_cancel(rooms.orders, a.client_order_id, now)


@inlined_kernel
def decide(rooms: EngineState, sensed: int) -> int:
    """Have the policies plan, check each want, enter the approved ones into the order table. Returns the number of wants (refused included).

    Only the strategies that the event concerns are planned (`touched`). A file whose validity is over by the venue's clock wants nothing new from
    here on (trading/validity.py).
    """
    s = rooms.session[0]
    if sensed != SENSED_CHANGE and sensed != SENSED_TIMER:
        return 0
    for k in range(1, rooms.touched[0] + 1):
        slot = rooms.touched[k]
        if s.ts_exchange >= rooms.valid_until[slot]:
            expire(slot, rooms)
    if s.logged_on == 0 or s.stop_requested > STOP_WANTED:
        return 0
    trading, now = rooms.risk[0].trading, s.ts_now
    n = 0
    for k in range(1, rooms.touched[0] + 1):
        slot = rooms.touched[k]
        allowed = max(trading, rooms.slots[slot].trading)
        n = plan(slot, rooms, rooms.legs, rooms.quotes, rooms.baskets, rooms.basket_legs, rooms.want, n, allowed, now)
    if rooms.event[0].kind == _CONTROL and rooms.event[0].code == _RELOAD:
        n = pull_forbidden(rooms, n)
    for i in range(n):
        _enter(rooms, i, now)
    if rooms.risk[0].trading == _FLATTENING and n == 0 and all_flat(rooms):
        rooms.risk[0].trading = _PAUSED
    return n


@kernel
def _next_sequence(s: SessionRecord) -> int:
    s.seq_out += 1
    s.ts_last_sent = s.ts_now
    return s.seq_out


@kernel
def _commit_connect(rooms: EngineState) -> int:
    s = rooms.session[0]
    end = rooms.out_end[0]
    for i in range(rooms.logon.size):
        rooms.order_out[end + i] = rooms.logon[i]
    rooms.out_end[0] = end + rooms.logon.size
    s.seq_out = 1
    at = frame_words(rooms.logon[0]) if rooms.logon.size > 0 else 0
    while at < rooms.logon.size:  # what goes out right behind the LOGON has the next numbers
        s.seq_out += 1
        at += max(frame_words(rooms.logon[at]), 1)
    s.seq_in = _next_seq_in(rooms) - 1
    s.ts_last_sent = s.ts_now
    s.seq_md_out = 1 if rooms.logon.size > 0 else s.seq_md_out + 1
    rooms.out_end[1] = encode_subscribe(rooms.data_out, rooms.out_end[1], s.seq_md_out, layout.ALL_INSTRUMENTS, s.channels)
    return 1


@kernel
def _commit_timer(rooms: EngineState) -> int:
    """Heartbeat, queries for orders and cancels without an answer, logout once flat."""
    s = rooms.session[0]
    if s.logged_on == 0:
        return 0
    end = rooms.out_end[0]
    n_open = 0
    for i in range(rooms.open_qty.size):
        n_open += rooms.open_qty[i].n_orders
    if n_open > 0:
        while s.first_open < s.next_order and is_final(rooms.orders[s.first_open % rooms.orders.size].state):
            s.first_open += 1
        queries = 0
        for counter in range(s.first_open, s.next_order):
            o = rooms.orders[counter % rooms.orders.size]
            if queries < MAX_QUERIES and wants_query(o, s.ts_now, s.order_timeout_ns):
                o.ts_query = s.ts_now
                queries += 1
                s.n_queries += 1
                end = encode_order_query(rooms.order_out, end, _next_sequence(s), o.instrument, o.client_order_id)
    elif s.stop_requested == STOP_WANTED and all_flat(rooms):
        s.stop_requested = LOGOUT_SENT
        end = encode_logout(rooms.order_out, end, _next_sequence(s))
    if s.ts_now - s.ts_last_sent >= s.heartbeat_ns:
        end = encode_heartbeat(rooms.order_out, end, _next_sequence(s), s.ts_now)
    sent = 1 if end > rooms.out_end[0] else 0
    rooms.out_end[0] = end
    return sent


@inlined_kernel
def commit(rooms: EngineState, sensed: int, n_want: int) -> int:
    """Encode what was decided into order_out and data_out. Returns 1 if anything is to be sent."""
    s = rooms.session[0]
    produced = 0
    for i in range(n_want):
        a = rooms.allowed[i]
        if a.action == _NEW:
            o = rooms.orders[(a.client_order_id & 0xFFFFFFFF) % rooms.orders.size]
            rooms.out_end[0] = encode_new_order(rooms.order_out, rooms.out_end[0], _next_sequence(s), o)
            move(o, rooms.open_qty, SENT, 0)
            s.n_orders += 1
            produced = 1
        elif a.action == _CANCEL:
            rooms.out_end[0] = encode_cancel(rooms.order_out, rooms.out_end[0], _next_sequence(s), a.instrument, a.client_order_id)
            s.n_cancels += 1
            produced = 1
    if sensed == SENSED_LOST_BOOK:
        s.seq_md_out += 1
        rooms.out_end[1] = encode_snapshot_request(rooms.data_out, rooms.out_end[1], s.seq_md_out, rooms.event[0].instrument)
        produced = 1
    elif sensed == SENSED_TIMER:
        produced |= _commit_timer(rooms)
    elif sensed == SENSED_CONNECT:
        produced |= _commit_connect(rooms)
    return produced


@inlined_kernel
def take_frame(rooms: EngineState, words: Int64Array, position: int, verdict: int, is_order_entry: bool, t1: int) -> bool:
    """Decode the frame at words[position] into rooms.event. False if it is malformed: counted, and nothing else happens.

    `verdict`: of `check_frame`; `t1`: ns monotonic at which its bytes became readable.
    """
    decoded = MALFORMED
    if verdict == FRAME_OK:
        if is_order_entry:
            decoded = decode_order_entry(words, position, rooms.event, t1, rooms.book.size)
        else:
            decoded = decode_market_data(words, position, rooms.event, t1, rooms.book.size)
    if decoded == MALFORMED:
        rooms.session[0].n_malformed += 1
        return False
    return True


@kernel
def step(rooms: EngineState, strategies: StrategyKernels) -> int:
    """sense, decide, commit. Returns 1 if anything is to be sent; the frames are in order_out and data_out up to out_end."""
    sensed = sense(rooms, strategies)
    n_want = decide(rooms, sensed)
    return commit(rooms, sensed, n_want)
