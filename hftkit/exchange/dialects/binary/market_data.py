"""Market data: one stream per instrument and channel for everybody, snapshots for those who join or could not keep up.

A slow consumer never holds up the others. What does not fit into its buffer it is owed (`Exchange.pending`), and gets once it has read enough: for
levels that is a snapshot, and the depth stream of that instrument stops until then; for quotes the present one, for market status the present one.
Trades that did not fit are gaps in their sequence.
"""

from __future__ import annotations

from hftkit.codes import Channel, DepthFlag, Side
from hftkit.exchange.core.ladder import level_above, level_below
from hftkit.exchange.core.layout import ClientState
from hftkit.exchange.dialects.binary.send_buffer import commit, make_room
from hftkit.exchange.venue import BBO_ROW, DEPTH_ROW, SNAPSHOT_LEVELS, Exchange
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.wire.venue_codec import (
    DEPTH_WORDS,
    SNAPSHOT_FRAME_WORDS,
    encode_bbo,
    encode_depth,
    encode_instrument,
    encode_market_status,
    encode_snapshot_begin,
    encode_snapshot_end,
)
from hftkit.layout import MAX_FRAME_WORDS, WORD

_BBO, _TRADE, _DEPTH = int(Channel.BBO), int(Channel.TRADE), int(Channel.DEPTH)
_ALL = _BBO | _TRADE | _DEPTH
QUOTE, SNAPSHOT, STATUS = _BBO, _DEPTH, 8  # bits of Exchange.pending
_FROM_SNAPSHOT = int(DepthFlag.SNAPSHOT)
_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_CLOSING = int(ClientState.CLOSING)


@inner_kernel
def owe(venue: Exchange, index: int, instrument: int, what: int) -> None:
    """From now on this client needs the present `what` (SNAPSHOT, QUOTE, STATUS bits) of this instrument; its depth stream waits for the snapshot."""
    if venue.pending[index, instrument] == 0:
        venue.clients[index].n_pending += 1
    venue.pending[index, instrument] |= what


@inner_kernel
def _settle(venue: Exchange, index: int, instrument: int, what: int) -> None:
    """It is owed `what` no longer."""
    was = venue.pending[index, instrument]
    venue.pending[index, instrument] = was & ~what
    if was != 0 and was & ~what == 0:
        venue.clients[index].n_pending -= 1


@inner_kernel
def broadcast(venue: Exchange, instrument: int, channel: int, n_words: int) -> None:
    """Copy `venue.frame` to every client that subscribed to this channel of this instrument and can take it."""
    state = venue.state[0]
    for a in range(state.n_subscribers):
        index = venue.subscribers[a]
        if venue.channels[index, instrument] & channel == 0:
            continue
        if channel == _DEPTH and venue.pending[index, instrument] & SNAPSHOT != 0:
            continue
        client, send_buffer = venue.clients[index], venue.send_buffers[index]
        if client.state == _CLOSING:
            continue
        if not make_room(client, send_buffer, n_words):
            if channel == _DEPTH:
                client.n_dropped += 1
                state.n_dropped += 1
            if channel != _TRADE:
                owe(venue, index, instrument, STATUS if channel == _ALL else channel)
            continue
        at = client.out_end // WORD
        for i in range(n_words):
            send_buffer[at + i] = venue.frame[i]
        commit(venue, index, n_words)
        if channel == _BBO:
            _settle(venue, index, instrument, QUOTE)  # a newer one


@inner_kernel
def _write_levels(venue: Exchange, index: int, instrument: int, side: int, n_levels: int) -> None:
    """`n_levels` DEPTH frames of a snapshot, best price first."""
    books = venue.books
    top, send_buffer, ts = books.tops[instrument], venue.send_buffers[index], venue.state[0].ts
    seq = venue.sequences[instrument, DEPTH_ROW]
    level = (top.bid if side == _BUY else top.ask) - top.base
    for _ in range(n_levels):
        qty = books.levels[instrument, level].qty
        at = venue.clients[index].out_end // WORD
        commit(venue, index, encode_depth(send_buffer, at, instrument, seq, ts, side, _FROM_SNAPSHOT, top.base + level, qty))
        bitmap = books.bitmaps[instrument, side]
        level = level_below(bitmap, level) if side == _BUY else level_above(bitmap, level)


@inner_kernel
def _snapshot(venue: Exchange, index: int, instrument: int) -> bool:
    """Write a whole snapshot into a client's send buffer, if it fits."""
    top, client, send_buffer = venue.books.tops[instrument], venue.clients[index], venue.send_buffers[index]
    n_bid, n_ask = min(top.n_bid, SNAPSHOT_LEVELS), min(top.n_ask, SNAPSHOT_LEVELS)
    if not make_room(client, send_buffer, SNAPSHOT_FRAME_WORDS + (n_bid + n_ask) * DEPTH_WORDS):
        return False
    seq, ts = venue.sequences[instrument, DEPTH_ROW], venue.state[0].ts
    commit(venue, index, encode_snapshot_begin(send_buffer, client.out_end // WORD, instrument, seq, ts, n_bid, n_ask))
    _write_levels(venue, index, instrument, _BUY, n_bid)
    _write_levels(venue, index, instrument, _SELL, n_ask)
    commit(venue, index, encode_snapshot_end(send_buffer, client.out_end // WORD, instrument, seq, ts))
    return True


@inner_kernel
def _status(venue: Exchange, index: int, instrument: int) -> bool:
    client, send_buffer = venue.clients[index], venue.send_buffers[index]
    if not make_room(client, send_buffer, MAX_FRAME_WORDS):
        return False
    is_open = venue.limits[instrument].open
    commit(venue, index, encode_market_status(send_buffer, client.out_end // WORD, instrument, 0, venue.state[0].ts, is_open))
    return True


@inner_kernel
def _quote(venue: Exchange, index: int, instrument: int) -> bool:
    client, send_buffer = venue.clients[index], venue.send_buffers[index]
    if not make_room(client, send_buffer, MAX_FRAME_WORDS):
        return False
    q, seq = venue.quotes[instrument], venue.sequences[instrument, BBO_ROW]
    commit(venue, index, encode_bbo(send_buffer, client.out_end // WORD, instrument, seq, venue.state[0].ts, q[0], q[1], q[2], q[3]))
    return True


@inner_kernel
def refill(venue: Exchange, index: int) -> None:
    """Write what a client is owed, as far as its buffer (half of it: the stream needs the rest) has room."""
    client = venue.clients[index]
    if client.n_pending == 0 or client.state == _CLOSING:
        return
    for instrument in range(venue.pending.shape[1]):
        if (client.out_end - client.out_start) * 2 > venue.send_buffers.shape[1] * WORD:
            return
        owed = venue.pending[index, instrument]
        if owed & STATUS != 0 and _status(venue, index, instrument):
            _settle(venue, index, instrument, STATUS)
        if owed & QUOTE != 0 and _quote(venue, index, instrument):
            _settle(venue, index, instrument, QUOTE)
        if owed & SNAPSHOT != 0 and _snapshot(venue, index, instrument):
            _settle(venue, index, instrument, SNAPSHOT)


@inner_kernel
def subscribe(venue: Exchange, index: int, instrument: int, channels: int) -> bool:
    """Set the channels of one instrument: its scales, its quote if asked for, and a snapshot is due if depth is. False: no room."""
    client, send_buffer = venue.clients[index], venue.send_buffers[index]
    if not make_room(client, send_buffer, 3 * MAX_FRAME_WORDS):
        return False
    venue.channels[index, instrument] = channels
    _settle(venue, index, instrument, QUOTE | SNAPSHOT | STATUS)
    symbol, scales = venue.symbols[instrument], venue.instruments[instrument]
    commit(venue, index, encode_instrument(send_buffer, client.out_end // WORD, instrument, 0, symbol, scales, venue.instruments.size))
    _status(venue, index, instrument)
    if channels & _BBO:
        _quote(venue, index, instrument)
    if channels & _DEPTH:
        owe(venue, index, instrument, SNAPSHOT)
    return True
