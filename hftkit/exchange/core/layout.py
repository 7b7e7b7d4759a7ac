"""Arrays of the exchange simulator, declared once (same kinds of tables as hftkit/layout.py).

Slots and levels hold 32-bit links: slot 0 is "none", so that zeroed memory is an empty exchange and pages that nobody
has used stay untouched. Prices are ticks, quantities lots, money 1e-8 quote units, time exchange ns.

Long because it is tables: whoever looks for a field finds it here and nowhere else.
"""

from __future__ import annotations

from enum import IntEnum

from hftkit.layout import Field, Record

LADDER_TICKS = 64**3  # most ticks one instrument's price window may have: three levels of 64-bit summary words
BITMAP_WORDS = 64**2 + 64 + 1
SUMMARY1 = 64**2  # word offsets of the two summaries inside a bitmap
SUMMARY2 = 64**2 + 64


class Op(IntEnum):
    """What a command asks of the matching engine."""

    NEW = 1
    CANCEL = 2
    REPLACE = 3
    CANCEL_ALL = 4  # every open order of the account, in one instrument or (-1) in all
    QUOTE = 5  # a new order in place of the account's last quote on that side; quantity 0 only withdraws


class ReportKind(IntEnum):
    """What happened, in the order it happened."""

    ACK = 1
    REJECT = 2  # a new or replace was refused and changed nothing
    TRADE = 3
    CANCELED = 4
    CANCEL_REJECT = 5
    LEVEL = 6  # new total of one price level
    TRIGGERED = 7  # a waiting order becomes active


def _i(name: str, unit: str, doc: str, kind: str = "<i8") -> Field:
    return Field(name, kind, unit, doc)


def _f(name: str, unit: str, doc: str) -> Field:
    return Field(name, "<f8", unit, doc)


RESTING = Record(
    "RESTING",
    "exchange/matching.py",
    "One order slot, exactly one cache line. Free slots are chained through `next`. A waiting order stands in the queue of its trigger price.",
    (
        _i("order_id", "id", "given by the venue, increasing"),
        _i("client_order_id", "id", "chosen by the owner"),
        _i("price", "ticks", "limit price; of a waiting order the trigger price"),
        _i("leaves", "lots", "still open; 0 in a free slot"),
        _i("filled", "lots", "traded so far"),
        _i("own_next", "slot", "next open order of the same account, 0 at the end", "<i4"),
        _i("own_prev", "slot", "previous open order of the same account", "<i4"),
        _i("next", "slot", "next order of the level, 0 at its end", "<i4"),
        _i("prev", "slot", "previous order of the level, 0 at its head", "<i4"),
        _i("account", "index", "owner", "<i4"),
        _i("instrument", "index", "instrument", "<i2"),
        _i("side", "codes.Side", "0 buy, 1 sell", "<i1"),
        _i("flags", "bits", "codes.OrderFlag as sent, WAITING and TIMED", "<i1"),
    ),
)
WAITING = 16  # bits of RESTING.flags beside codes.OrderFlag: the order waits for its trigger,
TIMED = 32  # the order has a date

CONDITION = Record(
    "CONDITION",
    "exchange/matching.py",
    "What only waiting and dated orders have, by slot; the other slots' pages stay untouched.",
    (
        _i("limit_price", "ticks", "price once triggered, 0 for a market order"),
        _i("order_type", "codes.OrderType", "as sent"),
        _i("time_in_force", "codes.TimeInForce", "as sent"),
        _i("expire_ts", "ns, exchange clock", "last moment of its life"),
        _i("place", "index", "where the slot stands in Books.dates"),
    ),
)

OWNER = Record(
    "OWNER",
    "exchange/matching.py",
    "One account as the matching engine knows it: the chain of its open orders, oldest first.",
    (
        _i("n_open", "count", "open orders, waiting ones included"),
        _i("first", "slot", "oldest open order, 0 if none", "<i4"),
        _i("last", "slot", "newest open order", "<i4"),
    ),
)

EXPOSURE = Record(
    "EXPOSURE",
    "exchange/matching.py",
    "One account in one instrument as the matching engine knows it.",
    (
        _i("position", "lots", "signed"),
        _i("open_bid", "ticks * lots", "sum over resting buy orders, reduce-only ones not counted"),
        _i("open_ask", "ticks * lots", "sum over resting sell orders, likewise"),
        _i("reducing_bid", "lots", "open of resting reduce-only buy orders"),
        _i("reducing_ask", "lots", "likewise, of sell orders"),
        _i("bid_quote", "id", "client_order_id of the last quote on that side, 0 if none"),
        _i("ask_quote", "id", ""),
    ),
)

LEVEL = Record(
    "LEVEL",
    "exchange/matching.py",
    "One price of the ladder: a queue of orders. A price holds bids or asks, never both.",
    (
        _i("qty", "lots", "sum of what is open at this price"),
        _i("head", "slot", "first in the queue, 0 if empty", "<i4"),
        _i("tail", "slot", "last in the queue", "<i4"),
    ),
)

KEY = Record(
    "KEY",
    "exchange/matching.py",
    "One cell of the open-addressing table (account, client_order_id) -> slot; slot 0 is an empty cell.",
    (
        _i("client_order_id", "id", ""),
        _i("account", "index", "", "<i4"),
        _i("slot", "slot", "", "<i4"),
    ),
)

TOP = Record(
    "TOP",
    "exchange/matching.py",
    "Per instrument: window and best prices.",
    (
        _i("base", "ticks", "lowest price of the window"),
        _i("bid", "ticks", "best bid, 0 if none"),
        _i("ask", "ticks", "best ask, 0 if none"),
        _i("n_orders", "count", "orders resting"),
        _i("n_bid", "levels", "bid levels"),
        _i("n_ask", "levels", "ask levels"),
        _i("last", "ticks", "price of the last trade, 0 if none"),
        _i("up", "ticks", "lowest trigger that waits for a rise, 0 if none"),
        _i("down", "ticks", "highest trigger that waits for a fall, 0 if none"),
        _i("n_reducing", "count", "reduce-only orders resting"),
    ),
)

COUNTERS = Record(
    "COUNTERS",
    "exchange/matching.py",
    "One record for the whole matching engine.",
    (
        _i("free", "slot", "head of the chain of freed slots, 0 if none"),
        _i("high_water", "slot", "slots ever used"),
        _i("n_open", "count", "open orders: resting in the books, or waiting"),
        _i("n_dates", "count", "open orders that have a date"),
        _i("last_order_id", "id", ""),
        _i("last_trade_id", "id", ""),
        _i("n_orders", "count", "orders accepted"),
        _i("n_rejects", "count", "commands refused"),
        _i("n_trades", "count", "trades"),
    ),
)

COMMAND = Record(
    "COMMAND",
    "exchange/venue.py, exchange/market/flow/agents.py",
    "One request to the matching engine, from a client or from the synthetic market.",
    (
        _i("op", "Op", ""),
        _i("instrument", "index", ""),
        _i("account", "index", ""),
        _i("client_order_id", "id", ""),
        _i("side", "codes.Side", ""),
        _i("order_type", "codes.OrderType", ""),
        _i("time_in_force", "codes.TimeInForce", ""),
        _i("flags", "codes.OrderFlag bits", ""),
        _i("price", "ticks", "ignored by market orders and cancels"),
        _i("qty", "lots", "total quantity of the order, filled part included"),
        _i("trigger_price", "ticks", "stop and take-profit orders only"),
        _i("expire_ts", "ns, exchange clock", "good-till-date orders only"),
    ),
)

REPORT = Record(
    "REPORT",
    "exchange/matching.py",
    "One thing that happened. Fields that the kind lacks keep whatever was there.",
    (
        _i("kind", "ReportKind", ""),
        _i("instrument", "index", ""),
        _i("account", "index", "owner of the command; of a TRADE the taker"),
        _i("client_order_id", "id", ""),
        _i("order_id", "id", ""),
        _i("side", "codes.Side", "of the order; of a TRADE the aggressor; of a LEVEL the book side"),
        _i("price", "ticks", ""),
        _i("qty", "lots", "traded, cancelled, or the level's new total"),
        _i("leaves", "lots", "open after it"),
        _i("filled", "lots", "filled so far"),
        _i("reason", "codes.Reject", ""),
        _i("trade_id", "id", "TRADE only, and so are the next four"),
        _i("maker_account", "index", ""),
        _i("maker_client_order_id", "id", ""),
        _i("maker_order_id", "id", ""),
        _i("maker_leaves", "lots", ""),
        _i("maker_filled", "lots", "filled so far of the maker's order"),
    ),
)

FUNDAMENTAL = Record(
    "FUNDAMENTAL",
    "exchange/market/flow/fundamentals.py",
    "Model and state of one instrument's fundamental value (flow/fundamentals.py has the formulas).",
    (
        _i("hedge", "index", "the instrument it is cointegrated with, -1 if none; itself, at ratio 0, if it is pegged"),
        _f("ratio", "1", "hedge ratio r"),
        _f("persistence", "1", "f, AR(1) coefficient of the deviation per step"),
        _f("noise", "log", "d sqrt(1 - f^2), deviation's innovation per step"),
        _f("beta", "1", "b, sensitivity to the market factor"),
        _f("sigma", "log", "s, own volatility per step"),
        _f("start", "ticks", "value at step 0"),
        _f("x", "log", "state: log value relative to the start"),
        _f("u", "log", "state: deviation of a partner, or from the peg"),
        _f("anchor", "log", "state: how far a scenario has moved for good what the deviation returns to"),
        _f("value", "ticks", "state: fundamental value"),
    ),
)

AGENT = Record(
    "AGENT",
    "exchange/market/flow/agents.py",
    "Behaviour of the synthetic traders of one instrument.",
    (
        _f("rate", "1/s", "arrivals of all agents together"),
        _f("maker_share", "1", "probability that an arrival is a maker"),
        _f("informed_share", "1", "probability that an arrival is an informed taker; the rest is noise"),
        _f("half_spread", "ticks", "distance from the fundamental at which makers start to quote"),
        _f("depth", "ticks", "mean distance of further quotes behind that"),
        _i("max_qty", "lots", "quantities are uniform in 1 .. max_qty times the scale"),
        _f("qty_scale", "1", "what a scenario makes of max_qty"),
        _i("next_ns", "ns, exchange clock", "state: next arrival"),
        _i("last_id", "id", "state: last client_order_id given to a synthetic order"),
    ),
)

# -- the venue round the matching engine --------------------------------------------------------------------------------


class Port(IntEnum):
    """Which of the two TCP ports a client came through."""

    ORDER_ENTRY = 1
    MARKET_DATA = 2


class ClientState(IntEnum):
    """Life of a connection."""

    FREE = 0
    CONNECTED = 1
    LOGGED_ON = 2  # order entry only
    CLOSING = 3  # what is in the send buffer still goes out, then the shell closes


CLIENT = Record(
    "CLIENT",
    "exchange/sessions.py",
    "One connection. Its buffers are Venue.inboxes[i] and Venue.send_buffers[i].",
    (
        _i("port", "Port", "0 if the record is free"),
        _i("state", "ClientState", ""),
        _i("account", "index", "account logged on, -1 if none"),
        _i("seq_in", "count", "last sequence received"),
        _i("seq_out", "count", "last sequence sent"),
        _i("heartbeat_ns", "ns", "longest silence agreed at logon, 0 for no supervision"),
        _i("cancel_on_disconnect", "flag", ""),
        _i("ts_connected", "ns, monotonic", "when it was accepted"),
        _i("ts_in", "ns, monotonic", "last bytes received"),
        _i("ts_out", "ns, monotonic", "last frame written"),
        _i("in_bytes", "bytes", "received and not yet handled"),
        _i("out_start", "bytes", "first byte of the send_buffer not yet sent"),
        _i("out_end", "bytes", "end of the send_buffer, a whole number of words"),
        _i("n_pending", "count", "instruments of which it is owed something (Venue.pending)"),
        _i("close_reason", "codes.Reject", "why the venue closes it"),
        _i("n_frames", "count", "frames received"),
        _i("n_dropped", "count", "times a slow consumer lost its stream"),
    ),
)

ACCOUNT = Record(
    "ACCOUNT",
    "exchange/sessions.py",
    "One account; the first ones are the house's (synthetic traders).",
    (
        _i("id", "id", "account number on the wire, 0 for a free record; those of the house and of the venue are negative"),
        _i("client", "index", "connection logged on, -1 if none"),
        _i("wallet_e8", "1e-8 quote", "deposits, realised profit, fees and funding; written by exchange/accounts.py"),
        _i(
            "isolated_e8",
            "1e-8 quote",
            "the part of the wallet that isolated positions hold; the rest is the cross wallet; written by exchange/accounts.py",
        ),
        _i("n_liquidations", "count", "times the venue took over; written by exchange/margin.py"),
        _i("session", "flag", "1 from logon to logout: frames are numbered and kept, also while the connection is lost"),
        _i("seq_in", "count", "last sequence received when the connection was lost"),
        _i("seq_out", "count", "last sequence sent"),
        _i("log_seq", "count", "sequence of the oldest frame kept"),
        _i("log_start", "words", "where it begins in Venue.log, counted without end"),
        _i("log_end", "words", "end of the newest frame"),
        _i("ts_logon", "ns, unix", "client time of the last signed LOGON: the next must be later"),
        _i("credit_ns", "ns", "unused time of the order rate limit"),
        _i("ts_credit", "ns, monotonic", "when the credit was counted"),
    ),
)

LIMITS = Record(
    "LIMITS",
    "exchange/venue.py, exchange/market_data.py",
    "What the filters and the margin rules of one instrument allow.",
    (
        _i("tick_lot_e8", "1e-8 quote", "value of one lot moving one tick"),
        _i("min_qty", "lots", "smaller orders are refused"),
        _i("max_qty", "lots", "larger orders are refused"),
        _i("min_notional_e8", "1e-8 quote", "smaller orders are refused, unless they only reduce"),
        _i("band_ppm", "1e-6", "limit prices further than this from the mark are refused, 0 for no band"),
        _i("max_open", "count", "open orders an account may have, in all instruments together"),
        _i("initial_ppm", "1e-6", "initial margin, part of the notional"),
        _i("maintenance_ppm", "1e-6", "maintenance margin"),
        _i("open", "flag", "1 while the market is open"),
    ),
)

HOLDING = Record(
    "HOLDING",
    "exchange/accounts.py",
    "One account in one instrument. Over all accounts position and cash sum to zero.",
    (
        _i("position", "lots", "signed"),
        _i("cost_e8", "1e-8 quote", "what the position cost, signed as it: average entry = cost / position"),
        _i("cash_e8", "1e-8 quote", "received minus paid, fees not included"),
        _i("realised_e8", "1e-8 quote", "profit of what was closed, fees not included"),
        _i("funding_e8", "1e-8 quote", "funding paid, received negative"),
        _i("fees_e8", "1e-8 quote", "fees paid, rebates negative"),
        _i("n_fills", "count", ""),
        _i("n_maker", "count", "fills as maker"),
        _i("initial_ppm", "1e-6", "initial margin that the account chose for this instrument (its leverage), 0: the venue's"),
        _i("is_isolated", "flag", "1: isolated margin, the position answers with its own wallet only; 0: cross margin"),
        _i("isolated_e8", "1e-8 quote", "that wallet: a part of the account's, 0 without a position"),
    ),
)

CLOSED = Record(
    "CLOSED",
    "exchange/accounts.py",
    "An order that is no more, kept for ORDER_QUERY and against reuse of its id. A ring: the oldest is forgotten first.",
    (
        _i("client_order_id", "id", ""),
        _i("account", "index", ""),
        _i("instrument", "index", ""),
        _i("order_id", "id", ""),
        _i("state", "codes.OrderState", "filled, cancelled or rejected"),
        _i("filled", "lots", ""),
    ),
)

VENUE = Record(
    "VENUE",
    "exchange/venue.py",
    "Clock, limits and counters of the venue (one record).",
    (
        _i("ts", "ns, exchange clock", "now"),
        _i("ts_mono", "ns, monotonic", "now"),
        _i("order_interval_ns", "ns", "an account earns one order in this time, 0 for no limit"),
        _i("order_burst_ns", "ns", "most credit an account can save"),
        _i("logon_deadline_ns", "ns", "a connection that has not logged on, or asked for market data, by then is closed"),
        _i("signed", "flag", "1: a logon must be signed"),
        _i("funding_interval_ns", "ns, exchange clock", "0 for none"),
        _i("funding_ppm", "1e-6", "paid by longs to shorts, part of the notional at the mark"),
        _i("next_funding", "ns, exchange clock", ""),
        _i("margin_interval_ns", "ns, exchange clock", "between two looks at maintenance margins"),
        _i("next_margin", "ns, exchange clock", ""),
        _i("n_liquidations", "count", "accounts taken over"),
        _i("n_throttled", "count", "orders refused for coming too fast"),
        _i("n_resent", "count", "frames sent again after a reconnection"),
        _i("n_subscribers", "count", "market data connections"),
        _i("n_closed", "count", "orders ever put into the ring of closed ones"),
        _i("n_frames_in", "count", "frames received"),
        _i("n_frames_out", "count", "frames written"),
        _i("n_malformed", "count", "frames refused, sessions closed for it"),
        _i("n_client_orders", "count", "new orders received from clients"),
        _i("n_client_fills", "count", "fills reported to clients"),
        _i("n_client_rejects", "count", "orders of clients refused"),
        _i("n_connections", "count", "connections accepted"),
        _i("n_refused", "count", "connections refused: all records taken"),
        _i("n_dropped", "count", "times a slow consumer was dropped to a snapshot"),
        _i("n_arrivals", "count", "arrivals of synthetic traders"),
        _i("max_lag_ns", "ns", "furthest the synthetic market fell behind, in wall time"),
    ),
)

# -- the drop copy ------------------------------------------------------------------------------------------------------


class TapKind(IntEnum):
    """Type byte of the frames that only the drop copy has; beside them it has the market data frames of codes.MessageType, word for word."""

    EXECUTION = 96
    BALANCE = 97
    LOST = 98  # body: how many records did not fit into the ring


class ExecutionKind(IntEnum):
    """What happened to an order of a client's account."""

    NEW = 1
    REPLACED = 2
    TRADE = 3
    CANCELED = 4  # `reason` says by whom or what, 0 is the owner
    TRIGGERED = 5
    REJECTED = 6  # a new order, quote or replace; nothing has changed
    CANCEL_REJECTED = 7


class BalanceKind(IntEnum):
    """Why a wallet or a position changed, other than by a trade."""

    FUNDING = 1  # one payment of one position
    FUNDING_RATE = 2  # a settlement of an instrument: account -1, price is the mark
    LIQUIDATION = 3  # the venue takes over the account: nothing has changed yet
    TAKEN_OVER = 4  # the insurance fund takes a position that found no buyer, at the mark
    INSURED = 5  # the fund makes up a negative wallet
    TRANSFER = 6  # deposit or withdrawal
    ISOLATED = 7  # a fill, funding or a liquidation moved so much to the wallet of an isolated position; of the account's nothing has changed
    MARGIN_TRANSFER = 8  # the same, because the owner asked for it
    POSITION = 9  # what is held after a liquidation; for the compiled sinks only, the drop copy has none


TAP = Record(
    "TAP",
    "exchange/tap.py",
    "The ring of the drop copy (one record). Words are counted without end; word w is ring[w % ring.size].",
    (
        _i("on", "flag", "1 while somebody drains it"),
        _i("head", "words", "end of what is written"),
        _i("tail", "words", "end of what is read"),
        _i("seq", "count", "EXECUTION and BALANCE records made, lost ones included"),
        _i("n_missing", "count", "records lost since the last that fitted"),
        _i("n_lost", "count", "records ever lost"),
    ),
)

EXECUTION = Record(
    "EXECUTION",
    "exchange/trading/records.py",
    "One event of one order of a client's account, whatever dialect sent it, with the account after it. A frame: header, sequence, body.",
    (
        _i("header", "word", "as of a wire frame: length, type, version, instrument"),
        _i("seq", "count", "of EXECUTION and BALANCE together; a gap is what was lost"),
        _i("ts", "ns, exchange clock", ""),
        _i("account", "index", "record of Venue.accounts"),
        _i("account_id", "id", "account number on the wire"),
        _i("instrument", "index", ""),
        _i("client_order_id", "id", "negative: an order of the venue's own, closing a position"),
        _i("order_id", "id", "0 if the order was refused"),
        _i("kind", "ExecutionKind", ""),
        _i("side", "codes.Side", ""),
        _i("order_type", "codes.OrderType", "as sent, in NEW, REPLACED, TRIGGERED and while the order meets the book; else -1: as in its NEW"),
        _i("time_in_force", "codes.TimeInForce", "like order_type"),
        _i("flags", "codes.OrderFlag bits", "like order_type"),
        _i("price", "ticks", "limit price; like order_type, but 0"),
        _i("trigger_price", "ticks", "like price"),
        _i("expire_ts", "ns, exchange clock", "like price"),
        _i("qty", "lots", "total quantity of the order"),
        _i("filled", "lots", "traded so far"),
        _i("leaves", "lots", "still open"),
        _i("last_price", "ticks", "of this TRADE, and so are the next five; else 0"),
        _i("last_qty", "lots", ""),
        _i("trade_id", "id", ""),
        _i("maker", "flag", ""),
        _i("fee_e8", "1e-8 quote", "negative: rebate"),
        _i("realised_e8", "1e-8 quote", "profit of what this fill closed, fee not included"),
        _i("reason", "codes.Reject", "of CANCELED, REJECTED, CANCEL_REJECTED"),
        _i("wallet_e8", "1e-8 quote", "after it"),
        _i("position", "lots", "in this instrument, after it"),
        _i("cost_e8", "1e-8 quote", "of the position, after it: average entry = cost / position"),
    ),
)

BALANCE = Record(
    "BALANCE",
    "exchange/trading/records.py",
    "A wallet or a position changed without a trade. A frame, like EXECUTION.",
    (
        _i("header", "word", ""),
        _i("seq", "count", ""),
        _i("ts", "ns, exchange clock", ""),
        _i("account", "index", "-1: all"),
        _i("account_id", "id", ""),
        _i("instrument", "index", "-1: none"),
        _i("kind", "BalanceKind", ""),
        _i(
            "amount_e8",
            "1e-8 quote",
            "change of the wallet, profit of what closed included; of ISOLATED and MARGIN_TRANSFER: of the position's wallet",
        ),
        _i("moved", "lots", "change of the position"),
        _i("price", "ticks", "the mark at which it happened, 0 where there is none"),
        _i("rate_ppm", "1e-6", "of FUNDING and FUNDING_RATE"),
        _i("wallet_e8", "1e-8 quote", "after it"),
        _i("position", "lots", "in this instrument, after it"),
        _i("cost_e8", "1e-8 quote", "of the position, after it"),
    ),
)

HOUSE_ACCOUNTS = 2  # the first accounts are the market's own
