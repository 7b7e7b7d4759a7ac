"""What everybody may know of an instrument: trades, level changes, best bid and offer, whether the market is open.

Each is written once, as a frame of hftkit's own protocol (docs/protocol.md), numbered by instrument and channel, into `venue.frame`; the sinks
(sinks.py) take it from there.
"""

from __future__ import annotations

from hftkit.codes import Channel, DepthFlag
from hftkit.exchange.sinks import emit_market
from hftkit.exchange.venue import BBO_ROW, DEPTH_ROW, TRADE_ROW, Exchange
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.wire.venue_codec import encode_bbo, encode_depth, encode_market_status, encode_trade

_BBO, _TRADE, _DEPTH = int(Channel.BBO), int(Channel.TRADE), int(Channel.DEPTH)
_ALL = _BBO | _TRADE | _DEPTH
_END_OF_BATCH = int(DepthFlag.END_OF_BATCH)


@inner_kernel
def publish_trade(venue: Exchange, instrument: int, trade_id: int, side: int, price: int, qty: int) -> None:
    """One trade."""
    venue.sequences[instrument, TRADE_ROW] += 1
    seq = venue.sequences[instrument, TRADE_ROW]
    emit_market(venue, instrument, _TRADE, encode_trade(venue.frame, 0, instrument, seq, venue.state[0].ts, trade_id, side, price, qty))


@inner_kernel
def publish_level(venue: Exchange, instrument: int, side: int, price: int, qty: int, last: bool) -> None:
    """One level change; `last`: the book is whole again after it."""
    venue.sequences[instrument, DEPTH_ROW] += 1
    seq = venue.sequences[instrument, DEPTH_ROW]
    flags = _END_OF_BATCH if last else 0
    emit_market(venue, instrument, _DEPTH, encode_depth(venue.frame, 0, instrument, seq, venue.state[0].ts, side, flags, price, qty))


@inner_kernel
def _read_quote(venue: Exchange, instrument: int) -> bool:
    """Bring `venue.quotes` up to date. Was anything different?"""
    top, quote = venue.books.tops[instrument], venue.quotes[instrument]
    bid_qty = venue.books.levels[instrument, top.bid - top.base].qty if top.bid != 0 else 0
    ask_qty = venue.books.levels[instrument, top.ask - top.base].qty if top.ask != 0 else 0
    if quote[0] == top.bid and quote[1] == bid_qty and quote[2] == top.ask and quote[3] == ask_qty:
        return False
    quote[0], quote[1], quote[2], quote[3] = top.bid, bid_qty, top.ask, ask_qty
    return True


@inner_kernel
def publish_quote(venue: Exchange, instrument: int) -> None:
    """Best bid and offer, if they changed since they were last published."""
    if _read_quote(venue, instrument):
        venue.sequences[instrument, BBO_ROW] += 1
        q, seq = venue.quotes[instrument], venue.sequences[instrument, BBO_ROW]
        emit_market(venue, instrument, _BBO, encode_bbo(venue.frame, 0, instrument, seq, venue.state[0].ts, q[0], q[1], q[2], q[3]))


@inner_kernel
def set_market(venue: Exchange, instrument: int, is_open: int) -> None:
    """Open (1) or halt (0) a market: while it is halted new orders are refused and cancels are not. Everybody who follows it is told."""
    venue.limits[instrument].open = is_open
    emit_market(venue, instrument, _ALL, encode_market_status(venue.frame, 0, instrument, 0, venue.state[0].ts, is_open))
