"""Synchronisation of a diff depth stream with a REST snapshot (Binance USD-M futures, "How to manage a local order book correctly").

    state      event                         outcome
    WAITING    depth event                   buffered; a snapshot is asked for
    WAITING    snapshot older than the stream (first buffered event has pu > L)   asked for again
    WAITING    snapshot L                    events with u < L dropped, the others applied -> SYNCED; if there was no event yet -> LOADED
    LOADED     first event with pu <= L      applied -> SYNCED
    SYNCED     event with u <= ours          stale: left, counted
    SYNCED     event with pu <= ours         applied
    SYNCED     event with pu > ours          gap: the engine's book is emptied -> WAITING with this event buffered
    any        line down                     the engine's book is emptied -> WAITING
    any        an event that cannot be read  the engine's book is emptied -> WAITING, nothing buffered

An event says what every level that changed in (pu, u] has at u. So it may be applied to any book whose update id lies in [pu, u]; the
documented rules (first U <= L <= u, then pu = previous u) are cases of it, and so is the overlap of two connections. A crossed book of the
venue is withheld until it is not crossed any more; one whose event came too late (MAX_LATE), until one comes in time.

An event that cannot be read (a price that is no whole tick, a malformed level) is a hole: the levels in it are not known. The first hole is mended
at once by a snapshot; the next ones within a minute after 1, 2, 4 ... 64 s, since the venue counts requests. From the second one on, and when a
snapshot cannot be read, the instrument's scales are asked for again: the venue may have changed its tick size.

The levels kept here are the truth; the engine's replica is told of them in frames. A bookTicker that is newer than the depth book goes over
it: levels better than its prices are shown as 0, its own quantities at its prices; the next depth event shows the truth again first. At most
LINE_LEVELS a side are kept; beyond a horizon (end of the snapshot, or what was dropped) nothing is known and nothing is told.

Long because the table, the truth and what the engine is shown of it are one state machine.
Prices ticks, quantities lots, times ns, ids of the venue; `words` int64, frames appended at `position`, the new position is returned.
"""

from __future__ import annotations

from hftkit.codes import DepthFlag, MessageType
from hftkit.kernels.arrays import Int64Array, LineState, SyncRecord
from hftkit.kernels.jit import inlined_kernel, inner_kernel, kernel
from hftkit.kernels.market.book import LOW_LEVELS, set_level
from hftkit.kernels.memory.ring import ring_push
from hftkit.kernels.wire.binance import state as s
from hftkit.kernels.wire.binance.state import Counter, Request
from hftkit.kernels.wire.venue_codec import (
    DEPTH_WORDS,
    encode_bbo,
    encode_depth,
    encode_snapshot_begin,
    encode_snapshot_end,
    encode_trade,
)
from hftkit.layout import FRAME

WAITING, LOADED, SYNCED = 0, 1, 2
RETRY_NS = 5_000_000_000  # a request unanswered for this long is repeated
FORGIVEN_NS = 60_000_000_000  # a hole so long after the last one counts as the first
MOST_DOUBLINGS = 6  # of the second that a snapshot waits after holes in a row
WHOLE_SNAPSHOT = 400  # an event with more levels than this is told as a snapshot
_EVENT_HEAD = 7  # words of a buffered event before its levels: length, U, u, pu, time, bids, asks
_END, _SNAPSHOT = int(DepthFlag.END_OF_BATCH), int(DepthFlag.SNAPSHOT)
_FLAGS_WORD = FRAME[MessageType.DEPTH].word("flags")

_C = Counter
_EVENTS, _STALE, _GAPS, _BUFFERED = int(_C.DEPTH_EVENTS), int(_C.DEPTH_STALE), int(_C.DEPTH_GAPS), int(_C.DEPTH_BUFFERED)
_CLEARED, _SNAPSHOTS, _OLD, _UNASKED = int(_C.DEPTH_BUFFER_CLEARED), int(_C.SNAPSHOTS), int(_C.SNAPSHOTS_OLD), int(_C.SNAPSHOTS_UNASKED)
_N_SYNCED, _CROSSED, _TICKERS, _TICKERS_OLD = int(_C.SYNCED), int(_C.CROSSED), int(_C.TICKERS), int(_C.TICKERS_OLD)
_TICKERS_OVER, _TRADES, _TRADES_OLD, _TRADES_LOST = int(_C.TICKERS_OVER), int(_C.TRADES), int(_C.TRADES_OLD), int(_C.TRADES_LOST)
_REQUESTS, _NO_ROOM, _LOST, _LATE = int(_C.REQUESTS), int(_C.NO_ROOM), int(_C.BOOKS_LOST), int(_C.LATE)
_ASK_SNAPSHOT, _ASK_INSTRUMENTS = int(Request.SNAPSHOT), int(Request.INSTRUMENTS)


@inner_kernel
def ask(line: LineState, kind: int, instrument: int, client_order_id: int, order_id: int) -> None:
    """Push a request (codes of `state.Request`) to the cold side. One that finds no room is repeated by whoever still needs it."""
    line.note[s.REQUEST_KIND] = kind
    line.note[s.REQUEST_INSTRUMENT] = instrument
    line.note[s.REQUEST_CLIENT_ORDER_ID] = client_order_id
    line.note[s.REQUEST_ORDER_ID] = order_id
    ring_push(line.requests, line.note, 0)
    line.counters[_REQUESTS] += 1


@inner_kernel
def _ask_snapshot(line: LineState, instrument: int, t_recv: int) -> None:
    y = line.sync[instrument]
    if t_recv >= y.not_before and (y.asked_at == 0 or t_recv - y.asked_at > RETRY_NS):
        y.asked_at = max(t_recv, 1)
        ask(line, _ASK_SNAPSHOT, instrument, 0, 0)


@inner_kernel
def doubt_scales(line: LineState, instrument: int, t_recv: int) -> None:
    """Ask whether the instrument is still counted as we count it (time ns monotonic), not more often than every RETRY_NS."""
    y = line.sync[instrument]
    if y.doubted_at == 0 or t_recv - y.doubted_at > RETRY_NS:
        y.doubted_at = max(t_recv, 1)
        ask(line, _ASK_INSTRUMENTS, instrument, 0, 0)


@inlined_kernel
def is_late(line: LineState, sent: int, t_recv: int) -> bool:
    """Whether what the venue sent at `sent` (ns, exchange clock) was received later than allowed."""
    offset, most = line.state[s.VENUE_OFFSET], line.state[s.MAX_LATE]
    return most != 0 and offset != 0 and t_recv + offset - sent > most


# -- the engine's book ----------------------------------------------------------------------------------------------------


@inner_kernel
def show_nothing(line: LineState, instrument: int, words: Int64Array, position: int) -> int:
    """Empty the engine's book: a snapshot that begins and does not end."""
    y = line.sync[instrument]
    y.n_over = 0
    if y.shown == 0:
        return position
    y.shown = 0
    return position + encode_snapshot_begin(words, position, instrument, y.seq_depth, y.ts_event, 0, 0)


@inner_kernel
def show_all(line: LineState, instrument: int, words: Int64Array, position: int) -> int:
    """Give the engine the whole book as a snapshot."""
    y = line.sync[instrument]
    seq, ts = y.seq_depth, y.ts_event
    position += encode_snapshot_begin(words, position, instrument, seq, ts, y.n_bid, y.n_ask)
    for side in range(2):
        for k in range(y.n_bid if side == 0 else y.n_ask):
            level = line.levels[instrument, side, k]
            position += encode_depth(words, position, instrument, seq, ts, side, _SNAPSHOT, level[0], level[1])
    y.shown = 1
    y.n_over = 0
    line.counters[_N_SYNCED] += 1
    return position + encode_snapshot_end(words, position, instrument, seq, ts)


@inner_kernel
def _tell(line: LineState, instrument: int, side: int, price: int, qty: int, ts: int, words: Int64Array, position: int) -> int:
    y = line.sync[instrument]
    y.seq_depth += 1
    return position + encode_depth(words, position, instrument, y.seq_depth, ts, side, 0, price, qty)


@inlined_kernel
def _end_batch(words: Int64Array, first: int, position: int) -> int:
    if position > first:
        words[position - DEPTH_WORDS + _FLAGS_WORD] |= _END
    return position


@kernel
def _qty_at(side_levels: Int64Array, n: int, direction: int, price: int) -> int:
    i = n - 1
    while i >= 0 and side_levels[i, 0] * direction > price * direction:
        i -= 1
    return side_levels[i, 1] if i >= 0 and side_levels[i, 0] == price else 0


@inner_kernel
def _set(line: LineState, instrument: int, side: int, price: int, qty: int, tell: bool, words: Int64Array, position: int) -> int:
    """One level of the truth; with `tell` the engine hears of it. Beyond the horizon: left."""
    y = line.sync[instrument]
    levels = line.levels[instrument, side]
    direction = 1 - 2 * side
    horizon = y.ask_horizon if side else y.bid_horizon
    if horizon != 0 and price * direction < horizon * direction:
        return position
    before = y.n_ask if side else y.n_bid
    n = set_level(levels, before, direction, price, qty)
    if tell and (qty > 0 or n != before):
        position = _tell(line, instrument, side, price, qty, y.ts_event, words, position)
    if n > s.LINE_LEVELS:
        dropped = levels[0, 0]
        n = set_level(levels, n, direction, dropped, 0)
        if tell:
            position = _tell(line, instrument, side, dropped, 0, y.ts_event, words, position)
        if side:
            y.ask_horizon = dropped - 1
        else:
            y.bid_horizon = dropped + 1
    if side:
        y.n_ask = n
    else:
        y.n_bid = n
    return position


# -- a newer bookTicker over the depth book ---------------------------------------------------------------------------------


@kernel
def _n_better(side_levels: Int64Array, n: int, direction: int, price: int) -> int:
    count = 0
    while count < n and count < s.OVER_LEVELS and (price == 0 or side_levels[n - 1 - count, 0] * direction > price * direction):
        count += 1
    return count


@inlined_kernel
def _over_qty(y: SyncRecord, side: int, price: int, truth: int, active: bool) -> int:
    """What the engine's book should show at a price that a bookTicker may have changed."""
    if not active:
        return truth
    best = y.ticker_ask if side else y.ticker_bid
    if price == best:
        return y.ticker_ask_qty if side else y.ticker_bid_qty
    return 0 if best == 0 or (price < best if side else price > best) else truth


@inner_kernel
def _put_over(line: LineState, instrument: int, active: bool, words: Int64Array, position: int) -> int:
    """Show the truth (not `active`), or the truth with the bookTicker over it. Tells only what differs from what is shown."""
    y = line.sync[instrument]
    over, levels = line.over[instrument], line.levels[instrument]
    bids, asks = _n_better(levels[0], y.n_bid, 1, y.ticker_bid), _n_better(levels[1], y.n_ask, -1, y.ticker_ask)
    active = active and bids + asks + 2 <= s.OVER_LEVELS
    kept = 0
    for k in range(y.n_over):
        side, price, shown = over[k, 0], over[k, 1], over[k, 2]
        truth = _qty_at(levels[side], y.n_ask if side else y.n_bid, 1 - 2 * side, price)
        qty = _over_qty(y, side, price, truth, active)
        if qty != shown:
            position = _tell(line, instrument, side, price, qty, y.ticker_ts if active else y.ts_event, words, position)
        if qty != truth:
            over[kept, 0], over[kept, 1], over[kept, 2] = side, price, qty
            kept += 1
    y.n_over = kept
    if active:
        for side in range(2):
            n = y.n_ask if side else y.n_bid
            for k in range((asks if side else bids) + 1):
                better = k < (asks if side else bids)
                price = levels[side, n - 1 - k, 0] if better else (y.ticker_ask if side else y.ticker_bid)
                if price != 0:
                    position = _over_level(line, instrument, side, price, words, position)
    return position


@inner_kernel
def _over_level(line: LineState, instrument: int, side: int, price: int, words: Int64Array, position: int) -> int:
    """One level of an active bookTicker, unless `_put_over` has already seen to it."""
    y = line.sync[instrument]
    over = line.over[instrument]
    for k in range(y.n_over):
        if over[k, 0] == side and over[k, 1] == price:
            return position
    truth = _qty_at(line.levels[instrument, side], y.n_ask if side else y.n_bid, 1 - 2 * side, price)
    qty = _over_qty(y, side, price, truth, True)
    if qty == truth:
        return position
    over[y.n_over, 0], over[y.n_over, 1], over[y.n_over, 2] = side, price, qty
    y.n_over += 1
    return _tell(line, instrument, side, price, qty, y.ticker_ts, words, position)


@inner_kernel
def take_ticker(
    line: LineState,
    instrument: int,
    update_id: int,
    ts: int,
    bid: int,
    bid_qty: int,
    ask_: int,
    ask_qty: int,
    late: bool,
    words: Int64Array,
    position: int,
) -> int:
    """A bookTicker: the book itself where depth is not followed, else put over the depth book if it is newer. A late one shows nothing."""
    y = line.sync[instrument]
    line.counters[_TICKERS] += 1
    if late:
        line.counters[_LATE] += 1
        return show_nothing(line, instrument, words, position) if line.scales[instrument].depth == 0 else position
    if update_id <= y.ticker_id:
        line.counters[_TICKERS_OLD] += 1
        return position
    y.ticker_id = update_id
    if bid != 0 and ask_ != 0 and bid >= ask_:
        line.counters[_CROSSED] += 1
        if line.scales[instrument].depth == 0:
            return show_nothing(line, instrument, words, position)
        y.ticker_id = y.update_id  # nothing to put over the book
        first = position
        return _end_batch(words, first, _put_over(line, instrument, False, words, position)) if y.shown else position
    y.ticker_bid, y.ticker_bid_qty, y.ticker_ask, y.ticker_ask_qty, y.ticker_ts = bid, bid_qty, ask_, ask_qty, ts
    if line.scales[instrument].depth == 0:
        y.seq_bbo += 1
        y.shown = 1
        y.ts_event = ts
        return position + encode_bbo(words, position, instrument, y.seq_bbo, ts, bid, bid_qty, ask_, ask_qty)
    if y.shown == 0 or update_id <= y.update_id:
        line.counters[_TICKERS_OLD] += 1
        return position
    line.counters[_TICKERS_OVER] += 1
    return _end_batch(words, position, _put_over(line, instrument, True, words, position))


@inner_kernel
def take_trade(line: LineState, instrument: int, trade_id: int, ts: int, side: int, price: int, qty: int, words: Int64Array, position: int) -> int:
    """A trade with an id that grows by one: repeated ones are left, missing ones leave a gap in our sequence too. qty 0: only its id counts."""
    y = line.sync[instrument]
    if y.trade_id != 0:
        if trade_id <= y.trade_id:
            line.counters[_TRADES_OLD] += 1
            return position
        if trade_id > y.trade_id + 1:
            line.counters[_TRADES_LOST] += trade_id - y.trade_id - 1
            y.seq_trade += 1
    y.trade_id = trade_id
    if qty == 0:
        return position
    line.counters[_TRADES] += 1
    y.seq_trade += 1
    return position + encode_trade(words, position, instrument, y.seq_trade, ts, trade_id, side, price, qty)


# -- depth ------------------------------------------------------------------------------------------------------------------


@inner_kernel
def _is_crossed(line: LineState, instrument: int) -> bool:
    y = line.sync[instrument]
    return y.n_bid > 0 and y.n_ask > 0 and line.levels[instrument, 0, y.n_bid - 1, 0] >= line.levels[instrument, 1, y.n_ask - 1, 0]


@inlined_kernel
def _runs_low(y: SyncRecord) -> bool:
    return (y.bid_horizon != 0 and y.n_bid < LOW_LEVELS) or (y.ask_horizon != 0 and y.n_ask < LOW_LEVELS)


@inner_kernel
def _start_over(line: LineState, instrument: int, words: Int64Array, position: int) -> int:
    y = line.sync[instrument]
    y.state = WAITING
    y.buffered = 0
    y.n_bid = 0
    y.n_ask = 0
    y.asked_at = 0
    return show_nothing(line, instrument, words, position)


@inner_kernel
def lose_book(line: LineState, instrument: int, t_recv: int, words: Int64Array, position: int) -> int:
    """An event of this book could not be read: what it said is missing. The engine's book is emptied at once, a snapshot mends it."""
    y = line.sync[instrument]
    if line.scales[instrument].depth == 0:
        doubt_scales(line, instrument, t_recv)
        return show_nothing(line, instrument, words, position)
    if y.state == WAITING:
        y.buffered = 0
        _ask_snapshot(line, instrument, t_recv)
        return position
    y.n_lost = 1 if y.lost_at == 0 or t_recv - y.lost_at > FORGIVEN_NS else y.n_lost + 1
    y.lost_at = max(t_recv, 1)
    line.counters[_LOST] += 1
    if y.n_lost > 1:
        y.not_before = t_recv + (1_000_000_000 << min(y.n_lost - 2, MOST_DOUBLINGS))
        doubt_scales(line, instrument, t_recv)
    position = _start_over(line, instrument, words, position)
    _ask_snapshot(line, instrument, t_recv)
    return position


@inner_kernel
def line_down(line: LineState, t_recv: int, words: Int64Array, position: int) -> int:
    """The market line is lost (time ns monotonic): all books empty, all ids forgotten. A trade may be missed: our sequence has a gap."""
    for i in range(line.sync.size):
        position = _start_over(line, i, words, position)
        y = line.sync[i]
        y.ticker_id = 0
        y.update_id = 0
        if y.trade_id != 0:
            y.trade_id = 0
            y.seq_trade += 1
    return position


@inner_kernel
def _buffer_event(line: LineState, instrument: int, first_id: int, last_id: int, previous_id: int, ts: int, n_bid: int, n_ask: int) -> None:
    y = line.sync[instrument]
    if y.buffered > 0:
        if last_id <= y.buffer_last:
            line.counters[_STALE] += 1
            return
        if previous_id > y.buffer_last:
            y.buffered = 0  # events are missing between: those before are of no use
            line.counters[_CLEARED] += 1
    size = _EVENT_HEAD + 2 * (n_bid + n_ask)
    if y.buffered + size > line.buffer.shape[1]:
        y.buffered = 0
        line.counters[_CLEARED] += 1
    buffer = line.buffer[instrument]
    at = y.buffered
    buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3] = size, first_id, last_id, previous_id
    buffer[at + 4], buffer[at + 5], buffer[at + 6] = ts, n_bid, n_ask
    at += _EVENT_HEAD
    for side in range(2):
        for k in range(n_ask if side else n_bid):
            buffer[at], buffer[at + 1] = line.incoming[side, k, 0], line.incoming[side, k, 1]
            at += 2
    y.buffered = at
    y.buffer_last = last_id
    line.counters[_BUFFERED] += 1


@inner_kernel
def take_depth(
    line: LineState,
    instrument: int,
    first_id: int,
    last_id: int,
    previous_id: int,
    ts: int,
    sent: int,
    n_bid: int,
    n_ask: int,
    t_recv: int,
    words: Int64Array,
    position: int,
) -> int:
    """A depth event (U, u, pu; its levels are in line.incoming) by the table above. `sent`: the venue's time of the message, ns."""
    y = line.sync[instrument]
    line.counters[_EVENTS] += 1
    if y.state == WAITING:
        _buffer_event(line, instrument, first_id, last_id, previous_id, ts, n_bid, n_ask)
        _ask_snapshot(line, instrument, t_recv)
        return position
    if last_id < y.update_id or (last_id == y.update_id and y.state == SYNCED):
        line.counters[_STALE] += 1
        return position
    if previous_id > y.update_id:
        line.counters[_GAPS] += 1
        position = _start_over(line, instrument, words, position)
        _buffer_event(line, instrument, first_id, last_id, previous_id, ts, n_bid, n_ask)
        _ask_snapshot(line, instrument, t_recv)
        return position
    y.state = SYNCED
    return _apply(line, instrument, last_id, ts, n_bid, n_ask, is_late(line, sent, t_recv), t_recv, words, position)


@inner_kernel
def _apply(
    line: LineState, instrument: int, last_id: int, ts: int, n_bid: int, n_ask: int, late: bool, t_recv: int, words: Int64Array, position: int
) -> int:
    """The levels of line.incoming onto the truth, and what follows for the engine."""
    y = line.sync[instrument]
    first, seq = position, y.seq_depth
    tell = y.shown != 0 and n_bid + n_ask <= WHOLE_SNAPSHOT
    if tell and y.n_over > 0:
        position = _put_over(line, instrument, False, words, position)
    y.update_id = last_id
    y.ts_event = ts
    for side in range(2):
        for k in range(n_ask if side else n_bid):
            position = _set(line, instrument, side, line.incoming[side, k, 0], line.incoming[side, k, 1], tell, words, position)
    crossed, low = _is_crossed(line, instrument), _runs_low(y)
    line.counters[_LATE] += 1 if late else 0
    if crossed or low or late:
        y.seq_depth = seq  # what was told above is taken back: the engine's book goes empty
        line.counters[_CROSSED] += 1 if crossed else 0
        if not low or crossed:
            return show_nothing(line, instrument, words, first)
        position = _start_over(line, instrument, words, first)
        _ask_snapshot(line, instrument, t_recv)
        return position
    if not tell:
        position = show_all(line, instrument, words, position)
        first = position
    if y.ticker_id > y.update_id and line.scales[instrument].depth != 0:
        position = _put_over(line, instrument, True, words, position)
    return _end_batch(words, first, position)


@inner_kernel
def _replay_buffer(line: LineState, instrument: int, at: int) -> None:
    """The buffered events from word `at` onto the truth; the engine hears nothing yet."""
    y = line.sync[instrument]
    buffer = line.buffer[instrument]
    while at < y.buffered:
        y.update_id = buffer[at + 2]
        y.ts_event = buffer[at + 4]
        level = at + _EVENT_HEAD
        for side in range(2):
            for _ in range(buffer[at + 6] if side else buffer[at + 5]):
                _set(line, instrument, side, buffer[level], buffer[level + 1], False, buffer, 0)
                level += 2
        at += buffer[at]
    y.buffered = 0


@inner_kernel
def take_snapshot(
    line: LineState, instrument: int, last_id: int, ts: int, n_bid: int, n_ask: int, t_recv: int, words: Int64Array, position: int
) -> int:
    """A REST snapshot (levels best first in line.incoming) by the table above."""
    y = line.sync[instrument]
    if y.state != WAITING or line.scales[instrument].depth == 0:
        line.counters[_UNASKED] += 1
        return position
    line.counters[_SNAPSHOTS] += 1
    y.asked_at = 0
    buffer = line.buffer[instrument]
    at = 0
    while at < y.buffered and buffer[at + 2] < last_id:
        at += buffer[at]
    if at < y.buffered and buffer[at + 3] > last_id:
        line.counters[_OLD] += 1
        _ask_snapshot(line, instrument, t_recv)
        return position
    y.n_bid, y.n_ask, y.bid_horizon, y.ask_horizon = 0, 0, 0, 0
    limit = line.state[s.SNAPSHOT_LIMIT]
    for side in range(2):
        n = n_ask if side else n_bid
        keep = min(n, s.LINE_LEVELS)
        for k in range(keep - 1, -1, -1):
            _set(line, instrument, side, line.incoming[side, k, 0], line.incoming[side, k, 1], False, words, position)
        if n > keep or n >= limit:
            if side:
                y.ask_horizon = line.incoming[side, keep - 1, 0]
            else:
                y.bid_horizon = line.incoming[side, keep - 1, 0]
    y.update_id = last_id
    y.ts_event = ts
    y.state = SYNCED if y.buffered > 0 else LOADED
    _replay_buffer(line, instrument, at)
    if y.state == LOADED:
        return position
    return _apply(line, instrument, y.update_id, y.ts_event, 0, 0, False, t_recv, words, position)
