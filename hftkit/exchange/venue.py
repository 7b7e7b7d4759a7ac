"""The venue without sockets: bytes in per client, bytes out per client, and a time. Shells (servers/) only carry the bytes.

A shell does this, all of it through compiled functions, so that it can be compiled itself:

1. `set_time(venue, ts, ts_mono)`: exchange time and monotonic time of what follows;
2. `connect(venue, port)` for a new connection; -1 means no room;
3. put received bytes into `venue.inboxes[client]` from byte `clients[client].in_bytes` on, then `sessions.receive(venue, client, n_bytes)`;
4. `run_flow(venue, flow, until, limit)`: the synthetic market up to an exchange time, a bounded number of arrivals;
5. `market_data.refill(venue, client)`, send `venue.outboxes[client]` from byte out_start to out_end, then `sent(venue, client, n_bytes)`;
6. `sessions.supervise(venue)` now and then: heartbeats and dead sessions;
7. close a connection whose state is CLOSING once its outbox is empty, or that the peer has closed: `sessions.disconnect(venue, client)`.

Everything is allocated by `new_venue`. Each matching event is published by `orders.carry_out` at once, in one order for
everybody: answers to the owners, trades, levels (the last one flagged), best bid and offer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hftkit.exchange.config import SimConfig
from hftkit.exchange.flow.agents import HOUSE_ACCOUNTS
from hftkit.exchange.layout import ACCOUNT, CLIENT, CLOSED, COMMAND, HOLDING, KEY, VENUE
from hftkit.exchange.matching import Books, new_reports
from hftkit.instruments import instrument_array
from hftkit.layout import MAX_FRAME_WORDS

INBOX_WORDS = 2048
SNAPSHOT_LEVELS = 512  # levels a side that a snapshot carries at most: what a replica keeps (layout.BOOK_DEPTH)


class Venue(NamedTuple):
    """All state of the venue but the synthetic market: plain arrays."""

    state: np.ndarray  # VENUE (1,)
    books: Books
    reports: np.ndarray  # REPORT: of the last command
    command: np.ndarray  # COMMAND (1,): the client order being handled
    instruments: np.ndarray  # layout.INSTRUMENT (n,)
    symbols: np.ndarray  # int64 (n, 2)
    clients: np.ndarray  # CLIENT (max_clients,)
    inboxes: np.ndarray  # int64 (max_clients, INBOX_WORDS)
    outboxes: np.ndarray  # int64 (max_clients, out_words)
    channels: np.ndarray  # int64 (max_clients, n): codes.Channel bits subscribed
    pending: np.ndarray  # int64 (max_clients, n): 1 while the depth stream waits for a snapshot
    audience: np.ndarray  # int64 (max_clients,): market data connections, state.n_audience of them
    sequences: np.ndarray  # int64 (n, 3): last BBO, TRADE, DEPTH sequence
    quotes: np.ndarray  # int64 (n, 4): last published bid, bid quantity, ask, ask quantity
    accounts: np.ndarray  # ACCOUNT (max_accounts,)
    holdings: np.ndarray  # HOLDING (max_accounts, n)
    closed: np.ndarray  # CLOSED (order_history,)
    closed_keys: np.ndarray  # KEY: slot = index in `closed` + 1
    frame: np.ndarray  # int64 (MAX_FRAME_WORDS,): the market data frame being published


def new_venue(config: SimConfig, books: Books) -> Venue:
    """A venue with no clients round `books`."""
    limits = config.venue
    n = len(config.instruments)
    state = np.zeros(1, VENUE.dtype)
    state["max_order_qty"], state["max_open_orders"] = limits.max_order_qty, limits.max_open_orders
    accounts = np.zeros(limits.max_accounts, ACCOUNT.dtype)
    accounts["client"] = -1
    accounts["id"][:HOUSE_ACCOUNTS] = -1 - np.arange(HOUSE_ACCOUNTS)
    clients = np.zeros(limits.max_clients, CLIENT.dtype)
    return Venue(
        state=state,
        books=books,
        reports=new_reports(books),
        command=np.zeros(1, COMMAND.dtype),
        instruments=instrument_array(config.scales),
        symbols=np.array([instrument.symbol_words() for instrument in config.scales], np.int64),
        clients=clients,
        inboxes=np.zeros((limits.max_clients, INBOX_WORDS), np.int64),
        outboxes=np.zeros((limits.max_clients, limits.out_words), np.int64),
        channels=np.zeros((limits.max_clients, n), np.int64),
        pending=np.zeros((limits.max_clients, n), np.int64),
        audience=np.zeros(limits.max_clients, np.int64),
        sequences=np.zeros((n, 3), np.int64),
        quotes=np.zeros((n, 4), np.int64),
        accounts=accounts,
        holdings=np.zeros((limits.max_accounts, n), HOLDING.dtype),
        closed=np.zeros(limits.order_history, CLOSED.dtype),
        closed_keys=np.zeros(1 << (2 * limits.order_history - 1).bit_length(), KEY.dtype),
        frame=np.zeros(MAX_FRAME_WORDS, np.int64),
    )
