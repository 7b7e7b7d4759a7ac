"""The venue without sockets: bytes in per client, bytes out per client, and a time. Shells (servers/) only carry the bytes.

A shell does this, all of it through compiled functions, so that it can be compiled itself:

1. `set_time(venue, ts, ts_mono)`: exchange time and monotonic time of what follows;
2. `connect(venue, port)` for a new connection; -1 means no room;
3. put received bytes into `venue.inboxes[client]` from byte `clients[client].in_bytes` on, then `sessions.receive(venue, client, n_bytes)`;
4. `run_flow(venue, flow, until, limit)`: the synthetic market up to an exchange time, a bounded number of arrivals;
5. `market_data.refill(venue, client)`, send `venue.send_buffers[client]` from byte out_start to out_end, then `sent(venue, client, n_bytes)`;
6. `sessions.supervise(venue)` now and then: heartbeats and dead sessions;
7. close a connection whose state is CLOSING once its send_buffer is empty, or that the peer has closed: `sessions.disconnect(venue, client)`.

Everything is allocated by `new_venue`. Each matching event is published by `orders.carry_out` at once, in one order for
everybody: answers to the owners, trades, levels (the last one flagged), best bid and offer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hftkit.exchange.config import SimConfig
from hftkit.exchange.core.books import touch
from hftkit.exchange.core.layout import ACCOUNT, CLIENT, CLOSED, COMMAND, HOLDING, HOUSE_ACCOUNTS, KEY, LIMITS, VENUE
from hftkit.exchange.core.matching import Books, new_reports
from hftkit.exchange.core.tap import TapRing, new_tap
from hftkit.instruments import instrument_array
from hftkit.kernels.wire.sha256 import KEY_WORDS, SCRATCH_WORDS
from hftkit.layout import MAX_FRAME_WORDS
from hftkit.units import E8, NS_PER_MINUTE, NS_PER_S, decimal

INBOX_WORDS = 2048
BBO_ROW, TRADE_ROW, DEPTH_ROW = 0, 1, 2  # of Exchange.sequences
SNAPSHOT_LEVELS = 512  # levels a side that a snapshot carries at most: what a replica keeps (layout.BOOK_DEPTH)


class Exchange(NamedTuple):
    """All state of the venue but the synthetic market: plain arrays."""

    state: np.ndarray  # VENUE (1,)
    books: Books
    reports: np.ndarray  # REPORT: of the last command
    command: np.ndarray  # COMMAND (1,): the client order being handled
    instruments: np.ndarray  # layout.INSTRUMENT (n,)
    symbols: np.ndarray  # int64 (n, 2)
    clients: np.ndarray  # CLIENT (max_clients,)
    inboxes: np.ndarray  # int64 (max_clients, INBOX_WORDS)
    send_buffers: np.ndarray  # int64 (max_clients, out_words)
    channels: np.ndarray  # int64 (max_clients, n): codes.Channel bits subscribed
    pending: np.ndarray  # int64 (max_clients, n): what is owed to a client that could not take it (bits of market_data.py)
    subscribers: np.ndarray  # int64 (max_clients,): market data connections, state.n_subscribers of them
    sequences: np.ndarray  # int64 (n, 3): last BBO, TRADE, DEPTH sequence
    quotes: np.ndarray  # int64 (n, 4): last published bid, bid quantity, ask, ask quantity
    accounts: np.ndarray  # ACCOUNT (max_accounts,)
    holdings: np.ndarray  # HOLDING (max_accounts, n)
    closed: np.ndarray  # CLOSED (order_history,)
    closed_keys: np.ndarray  # KEY: slot = index in `closed` + 1
    frame: np.ndarray  # int64 (MAX_FRAME_WORDS,): the market data frame being published
    message: np.ndarray  # int64 (MAX_FRAME_WORDS,): the order entry frame being written
    log: np.ndarray  # int64 (max_accounts, a power of two): frames sent to each account, see send_buffer.py
    limits: np.ndarray  # LIMITS (n,)
    keys: np.ndarray  # int64 (n_keys, sha256.KEY_WORDS)
    scratch: np.ndarray  # int64 (sha256.SCRATCH_WORDS,)
    tap: TapRing  # the drop copy


def _limits(config: SimConfig) -> np.ndarray:
    """What the filters and the margin rules allow."""
    rows, venue = np.zeros(len(config.instruments), LIMITS.dtype), config.venue
    scales = instrument_array(config.scales)
    rows["tick_lot_e8"], rows["min_notional_e8"] = scales["tick_lot_e8"], scales["min_notional_e8"]
    rows["min_qty"], rows["max_qty"], rows["max_open"] = venue.min_order_qty, venue.max_order_qty, venue.max_open_orders
    rows["band_ppm"], rows["maintenance_ppm"], rows["open"] = venue.price_band_ppm, venue.maintenance_margin_ppm, 1
    rows["initial_ppm"] = 1_000_000 // venue.leverage
    return rows


def _state(config: SimConfig) -> np.ndarray:
    limits, state = config.venue, np.zeros(1, VENUE.dtype)
    if limits.orders_per_s:
        state["order_interval_ns"] = max(1, NS_PER_S // limits.orders_per_s)
        state["order_burst_ns"] = limits.orders_burst * state["order_interval_ns"]
    state["logon_deadline_ns"] = limits.logon_deadline_ms * 1_000_000
    state["signed"] = limits.signed_logon
    state["funding_interval_ns"] = limits.funding_interval_minutes * NS_PER_MINUTE if limits.funding_rate_ppm else 0
    state["funding_ppm"] = limits.funding_rate_ppm
    state["margin_interval_ns"] = limits.margin_check_ms * 1_000_000
    return state


def _accounts(config: SimConfig, order_burst_ns: int) -> np.ndarray:
    """The house's accounts first, the venue's last (fees, insurance fund)."""
    accounts = np.zeros(config.venue.n_accounts, ACCOUNT.dtype)
    accounts["client"], accounts["credit_ns"] = -1, order_burst_ns
    accounts["id"][:HOUSE_ACCOUNTS] = -1 - np.arange(HOUSE_ACCOUNTS)
    accounts["id"][-2:] = -1001, -1002
    accounts["wallet_e8"][HOUSE_ACCOUNTS:-2] = int(decimal(config.venue.initial_balance) * E8)
    accounts["wallet_e8"][-1] = int(decimal(config.venue.insurance_fund) * E8)
    return accounts


def new_venue(config: SimConfig, books: Books, keys: np.ndarray | None = None) -> Exchange:
    """A venue with no clients round `books`.

    `keys`: what signed logons are verified with (dialects/binary/secrets.py). Without them nobody can log on where logons must be signed.
    """
    limits = config.venue
    n = len(config.instruments)
    clients, state = np.zeros(limits.max_clients, CLIENT.dtype), _state(config)
    venue = Exchange(
        state=state,
        books=books,
        reports=new_reports(books),
        command=np.zeros(1, COMMAND.dtype),
        instruments=instrument_array(config.scales),
        symbols=np.array([instrument.symbol_words() for instrument in config.scales], np.int64),
        clients=clients,
        inboxes=np.zeros((limits.max_clients, INBOX_WORDS), np.int64),
        send_buffers=np.zeros((limits.max_clients, limits.out_words), np.int64),
        channels=np.zeros((limits.max_clients, n), np.int64),
        pending=np.zeros((limits.max_clients, n), np.int64),
        subscribers=np.zeros(limits.max_clients, np.int64),
        sequences=np.zeros((n, 3), np.int64),
        quotes=np.zeros((n, 4), np.int64),
        accounts=_accounts(config, int(state["order_burst_ns"][0])),
        holdings=np.zeros((limits.n_accounts, n), HOLDING.dtype),
        closed=np.zeros(limits.order_history, CLOSED.dtype),
        closed_keys=np.zeros(1 << (2 * limits.order_history - 1).bit_length(), KEY.dtype),
        frame=np.zeros(MAX_FRAME_WORDS, np.int64),
        message=np.zeros(MAX_FRAME_WORDS, np.int64),
        log=np.zeros((limits.n_accounts, 1 << ((limits.out_words // 2).bit_length() - 1)), np.int64),
        limits=_limits(config),
        keys=np.zeros((1, KEY_WORDS), np.int64) if keys is None else keys,
        scratch=np.zeros(SCRATCH_WORDS, np.int64),
        tap=new_tap(),
    )
    touch(
        venue.closed, venue.closed_keys, venue.inboxes
    )  # rings that fill within minutes; send buffers when somebody connects, each account's log when it logs on
    return venue
