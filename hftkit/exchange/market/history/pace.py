"""How fast a tape goes: held until somebody listens, by the clock, or as fast as the clients follow; and how its end is told."""

from __future__ import annotations

from hftkit.exchange.market.history.market import AT_MAX, CLOSED, HOLD, ROW, ROWS, TAPE_WORDS, PlayedHistory
from hftkit.exchange.trading.publication import set_market
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inner_kernel
from hftkit.layout import WORD


@inner_kernel
def wait_for_somebody(venue: Exchange, history: PlayedHistory) -> None:
    """End the hold once a client has subscribed to market data or sent an order: a connection alone would miss the beginning."""
    if venue.state[0].n_client_orders > 0:
        history.plan[HOLD] = 0
    for a in range(venue.state[0].n_subscribers):
        for instrument in range(venue.instruments.size):
            if venue.channels[venue.subscribers[a], instrument] != 0:
                history.plan[HOLD] = 0


@inner_kernel
def close_markets(venue: Exchange, history: PlayedHistory) -> None:
    """After the last row, once: every market halts, and everybody who follows one is told."""
    if history.io[CLOSED] == 0 and history.io[ROW] >= history.io[ROWS]:
        history.io[CLOSED] = 1
        for instrument in range(venue.instruments.size):
            set_market(venue, instrument, 0)


@inner_kernel
def target_time(venue: Exchange, history: PlayedHistory, clock_ns: int, rows: int) -> int:
    """How far a turn should go: nowhere while held, to the clock's time, or at maximum rate `rows` further, unless a client cannot follow."""
    if history.plan[HOLD] != 0:
        return venue.state[0].ts
    if history.plan[AT_MAX] == 0:
        return clock_ns
    now, row = venue.state[0].ts, history.io[ROW] + rows - 1
    for a in range(venue.state[0].n_subscribers):
        client = venue.clients[venue.subscribers[a]]
        if client.out_end - client.out_start > venue.send_buffers.shape[1] * WORD // 4:  # the rest has room for a turn
            return now
    if history.io[ROWS] == 0:
        return now
    return max(now, history.tape[min(row, history.io[ROWS] - 1) * TAPE_WORDS + 2])
