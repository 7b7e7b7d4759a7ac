"""Every code of hftkit, once: plain integers for the kernels, each with its text for people.

A code is a small integer that travels on the wire, in the journal and in the telemetry page. The enums below are the
only definition; kernels import the members as module constants (`SIDE_BUY = int(Side.BUY)` and so on, below).
Reject reasons are numbered in bands of one hundred, so that a number alone says which room refused.
"""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """An integer code with a text: `code.text` is what a person reads."""

    @property
    def text(self) -> str:
        """The code in words: its name in lower case with spaces."""
        return self.name.lower().replace("_", " ")


class Side(Code):
    """Buy raises the position, sell lowers it. `1 - 2 * side` is the sign of the position change."""

    BUY = 0
    SELL = 1


class OrderType(Code):
    """How the venue treats the price."""

    LIMIT = 0
    MARKET = 1
    STOP_MARKET = 2  # waits until the last price reaches its trigger, against the position it protects; then a market order
    STOP_LIMIT = 3  # the same, then a limit order
    TAKE_PROFIT_MARKET = 4  # waits for the last price to reach its trigger from the other side; then a market order
    TAKE_PROFIT_LIMIT = 5


class TimeInForce(Code):
    """How long the order may rest."""

    GTC = 0  # good till cancelled
    IOC = 1  # immediate or cancel: what does not trade at once is cancelled
    FOK = 2  # fill or kill: all at once or nothing
    GTD = 3  # good till date: rests until an exchange time


class OrderFlag(Code):
    """Bits of the order's flag byte."""

    POST_ONLY = 1  # rejected if it would take liquidity
    REDUCE_ONLY = 2  # may only bring the position towards zero
    EXPIRE_TAKER = 4  # self-trade prevention: meeting an order of its own account, the rest of this order is cancelled
    EXPIRE_MAKER = 8  # self-trade prevention: the resting order is cancelled instead; with EXPIRE_TAKER: both


class OrderState(Code):
    """Life of an order as its owner knows it (REQUIREMENTS GW-7). The legal moves are in kernels/trading/orders.py."""

    FREE = 0  # the slot holds no order
    NEW = 1
    VALIDATING = 2
    PENDING_SUBMIT = 3  # journalled, bytes not yet written
    SUBMITTED = 4  # bytes written or acknowledged, nothing filled
    PARTIALLY_FILLED = 5
    FILLED = 6
    CANCELED = 7
    REJECTED = 8
    EXPIRED = 9


class MessageType(Code):
    """Type byte of a wire frame. 1..31 client to venue, 32..63 venue to client (orders), 64..95 market data."""

    LOGON = 1
    LOGOUT = 2
    HEARTBEAT = 3
    NEW_ORDER = 4
    CANCEL_ORDER = 5
    CANCEL_ALL = 6
    ORDER_QUERY = 7
    SUBSCRIBE = 8
    SNAPSHOT_REQUEST = 9
    REPLACE_ORDER = 10
    CONDITIONAL_ORDER = 11
    MASS_QUOTE = 12
    ACCOUNT_QUERY = 13
    LOGON_ACK = 32
    LOGOUT_ACK = 33
    VENUE_HEARTBEAT = 34
    ORDER_ACK = 35
    ORDER_REJECT = 36
    ORDER_FILL = 37
    ORDER_CANCELED = 38
    CANCEL_REJECT = 39
    ORDER_STATUS = 40
    POSITION = 41
    SESSION_REJECT = 42
    ORDER_TRIGGERED = 43
    ACCOUNT_STATUS = 44
    FUNDING = 45
    POSITION_CORRECTION = 46
    EXTERNAL_FILL = 47
    INSTRUMENT = 64
    BBO = 65
    TRADE = 66
    DEPTH = 67
    SNAPSHOT_BEGIN = 68
    SNAPSHOT_END = 69
    MARKET_STATUS = 70


class EventKind(Code):
    """Kind of a normalised event (layout EVENT): what `step` dispatches on."""

    NONE = 0
    BBO = 1
    TRADE = 2
    DEPTH = 3
    SNAPSHOT_BEGIN = 4
    SNAPSHOT_END = 5
    INSTRUMENT = 6
    MARKET_STATUS = 7
    LOGON_ACK = 10
    LOGOUT_ACK = 11
    VENUE_HEARTBEAT = 12
    ORDER_ACK = 13
    ORDER_REJECT = 14
    ORDER_FILL = 15
    ORDER_CANCELED = 16
    CANCEL_REJECT = 17
    ORDER_STATUS = 18
    POSITION = 19
    SESSION_REJECT = 20
    FUNDING = 21
    POSITION_CORRECTION = 22  # the venue's position, taken into the ledger although no fill explains it
    ORDER_TRIGGERED = 23  # changes nothing: the engine has no order that waits
    ACCOUNT_STATUS = 24  # changes nothing: the ledger is our own
    EXTERNAL_FILL = 25  # a fill of an order that this session did not send: the venue's own, or another client's
    TIMER = 30
    CONTROL = 31
    DISCONNECT = 32


class Channel(Code):
    """Bits of a market data subscription; each channel of each instrument has its own sequence."""

    BBO = 1
    TRADE = 2
    DEPTH = 4


class DepthFlag(Code):
    """Bits of a DEPTH message."""

    END_OF_BATCH = 1  # last level change of one matching event: the book is whole again
    SNAPSHOT = 2  # a level of a snapshot, not a change


class Sync(Code):
    """State of a book replica (kernels/market/book.py)."""

    EMPTY = 0  # nothing received yet, or a gap seen: a snapshot has been asked for
    LOADING = 1  # between SNAPSHOT_BEGIN and SNAPSHOT_END
    SYNCED = 2


class Control(Code):
    """Operator commands, from a panel or a signal handler to the engine."""

    NONE = 0
    PAUSE = 1  # no new entries; open positions are still managed
    RESUME = 2
    FLATTEN = 3  # leave every position, then stay paused
    STOP = 4  # flatten, log out, end the session
    CONNECT = 5  # the sockets are open: log on and subscribe
    ENABLE = 6  # start-up is complete: trading may begin
    HALT_ACCOUNT = 7  # the venue's account differs from the ledger beyond the limit: only orders that reduce positions from now on
    HALT_CLOCK = 8  # the venue's clock is too far from ours, or not known well enough: likewise
    HALT_VENUE = 9  # the venue refuses this account or key: likewise
    STALL = 10  # the engine's own process stood still: what waits for it is old, no book may be traded on until it has caught up
    CAUGHT_UP = 11  # what had piled up meanwhile has been read: a book may be traded on again once it has changed after a pause
    HALT_STALE = 12  # a position stands in a book that has been stale for too long: like HALT_ACCOUNT
    RELOAD = 13  # parameters or limits have just been replaced (a RELOAD record): the limits are looked at, and every strategy is planned


class Outcome(Code):
    """What the engine made of a command (the control page's answers)."""

    UNANSWERED = 0
    DONE = 1
    REFUSED = 2


class Trading(Code):
    """What the engine may do now (telemetry `trading`). Order matters: a higher number allows less."""

    ENABLED = 0
    PAUSED = 1
    FLATTENING = 2
    STOPPING = 3
    HALTED = 4  # a limit that says so was breached: only orders that reduce positions pass


class Hook(Code):
    """What a strategy may be called for, each optional. The number is the column of the table of its functions."""

    ON_BOOK = 0  # a book that it watches has changed
    ON_TRADE = 1  # a trade of an instrument that it watches
    ON_FILL = 2  # a fill of an order of its own, booked already
    ON_TIMER = 3


class Policy(Code):
    """How a strategy's wish becomes orders (hftkit/kernels/execution)."""

    PAIR = 0  # a target position in two instruments, or in one
    QUOTES = 1  # two-sided quotes kept in the market
    BASKET = 2  # a target position in several instruments, in fixed ratios


class LegState(Code):
    """State of a pair as one position (kernels/execution/pair.py)."""

    FLAT = 0
    ENTERING = 1
    OPEN = 2
    EXITING = 3
    UNWINDING = 4  # the hedge missed its deadline: bring the lead leg back to what is hedged


class Action(Code):
    """What a WANT asks for."""

    NONE = 0
    NEW = 1
    CANCEL = 2


class SignalReason(Code):
    """Why a strategy does or does not want a position now."""

    NONE = 0
    WARMING_UP = 1
    NO_BOOK = 2
    NOT_FINITE = 3
    ZERO_VARIANCE = 4
    INSIDE_BAND = 5
    ENTRY = 6
    HOLD = 7
    EXIT = 8
    STOP = 9
    HOLDING_LIMIT = 10
    IMBALANCE = 11
    COOLDOWN = 12
    EXPIRED = 13
    LOW_CONFIDENCE = 14  # the frozen reversion model does not believe in this entry, or cannot tell


class Reject(Code):
    """Reason numbers: 0 accepted; 1xx our risk; 2xx order table; 3xx venue session; 4xx venue order checks; 5xx venue book."""

    NONE = 0
    # 1xx: refused by our own risk check, before anything was sent
    RISK_POSITION_LIMIT = 101
    RISK_ORDER_SIZE = 102
    RISK_ORDER_NOTIONAL = 103
    RISK_ORDER_RATE = 104
    RISK_EXPOSURE_LIMIT = 105
    RISK_LOSS_LIMIT = 106
    RISK_NOT_TRADING = 107
    RISK_OPEN_ORDERS = 108
    RISK_PRICE_BAND = 109
    RISK_MIN_NOTIONAL = 110
    RISK_BAD_ORDER = 111
    RISK_NO_MARKET = 112
    RISK_REJECTS_IN_ROW = 113
    RISK_SCALES_CHANGED = 114
    RISK_ACCOUNT_MISMATCH = 115
    RISK_CLOCK_OFFSET = 116
    RISK_VENUE_REFUSES = 117
    RISK_STALE_QUOTE = 118
    RISK_PRICE_COLLAR = 119
    RISK_DRAWDOWN = 120
    RISK_FORCED_CLOSE = 121  # the venue has closed a position by itself
    RISK_STRATEGY_POSITION = 122  # 122 to 126: limits of one strategy
    RISK_STRATEGY_EXPOSURE = 123
    RISK_STRATEGY_LOSS = 124
    RISK_STRATEGY_ORDERS = 125
    RISK_STRATEGY_STOPPED = 126
    # 2xx: order table
    ORDERS_TABLE_FULL = 201
    ORDERS_UNKNOWN = 202
    ORDERS_ILLEGAL_TRANSITION = 203
    # 3xx: venue session
    SESSION_NOT_LOGGED_ON = 301
    SESSION_BAD_SEQUENCE = 302
    SESSION_BAD_VERSION = 303
    SESSION_MALFORMED = 304
    SESSION_THROTTLED = 305
    SESSION_UNKNOWN_ACCOUNT = 306
    SESSION_BAD_SIGNATURE = 307
    SESSION_DUPLICATE_LOGON = 308
    SESSION_RESEND_TOO_OLD = 309
    SESSION_VENUE_FULL = 310
    # 4xx: venue order checks
    VENUE_UNKNOWN_INSTRUMENT = 401
    VENUE_BAD_PRICE = 402
    VENUE_BAD_QTY = 403
    VENUE_MIN_NOTIONAL = 404
    VENUE_PRICE_BAND = 405
    VENUE_DUPLICATE_CLIENT_ORDER_ID = 406
    VENUE_BAD_TYPE = 407
    VENUE_INSUFFICIENT_MARGIN = 408
    VENUE_REDUCE_ONLY = 409
    VENUE_TOO_MANY_ORDERS = 410
    VENUE_WOULD_TRIGGER = 411
    VENUE_EXPIRED = 412
    VENUE_LIQUIDATION = 413
    VENUE_MARKET_CLOSED = 414
    VENUE_ADL = 415  # auto-deleveraging
    VENUE_SETTLEMENT = 416  # delivery or delisting
    # 5xx: venue book
    BOOK_FULL = 501
    BOOK_POST_ONLY_WOULD_TAKE = 502
    BOOK_UNKNOWN_ORDER = 503
    BOOK_NO_LIQUIDITY = 504
    BOOK_FOK_NOT_FILLABLE = 505
    BOOK_SELF_TRADE = 506
    BOOK_PRICE_OUT_OF_RANGE = 507


class RecordType(Code):
    """Type of a journal record (docs/journal.md). 1..9 session, 16..31 inputs of `step`, 32..47 outputs, 48.. a venue's own."""

    SESSION_BEGIN = 1
    CONFIG = 2  # the session's configuration and frozen files, as canonical JSON
    SESSION_END = 3
    SNAPSHOT = 4  # a part of the engine's state, at a segment boundary or as a resumed session was given it (session/snapshot.py)
    LOGON = 5  # the LOGON frame of the next connection: a lost line is opened anew
    RELOAD = 6  # a part of new parameters or limits, which count from here on (session/reload.py)
    MARKET_DATA_IN = 16  # one frame from the market data socket
    ORDER_ENTRY_IN = 17  # one frame from the order entry socket
    TIMER_IN = 18
    CONTROL_IN = 19
    DISCONNECT_IN = 20
    ORDER_ENTRY_OUT = 32  # bytes handed to the order entry socket, written here first
    MARKET_DATA_OUT = 33  # bytes handed to the market data socket (snapshot requests)
    DECISION = 34  # a decision that sent nothing: a veto with its reason
    DROP_COPY = 48  # of a recorded simulator: an EXECUTION, BALANCE or LOST record (exchange/layout.py)


class Hop(Code):
    """Latency histograms of the telemetry page, in order. T1 bytes readable .. T5 acknowledged (docs/architecture.md)."""

    SIGNAL = 0  # T1 -> T2
    RISK = 1  # T2 -> T3
    SEND = 2  # T3 -> T4
    TICK_TO_ORDER = 3  # T1 -> T4
    ACK = 4  # T4 -> T5
    TICK = 5  # T1 -> step done, for every message


class SessionStatus(Code):
    """Life of an engine process, as the telemetry page shows it. The first five are the start-up phases (NF-7)."""

    CONFIGURATION = 1
    INFRASTRUCTURE = 2
    COMPONENTS = 3
    CONNECTIONS = 4
    TRADING = 5
    STOPPED = 6
    FAILED = 7


class LinePart(Code):
    """Parts of a line to a venue of several connections, in the order of their rows on the telemetry page (layout LINE)."""

    REST = 0
    PUBLIC = 1  # books: order book changes and best prices
    MARKET = 2  # trades, mark prices
    PRIVATE = 3  # the account: order updates, balances
    ORDERS = 4  # order entry


class LineState(Code):
    """State of one part of a line."""

    OFF = 0  # not used in this session
    DOWN = 1  # lost, waiting for the next attempt
    CONNECTING = 2
    UP = 3
    CLOSED = 4  # ended on purpose


class OrderRoute(Code):
    """How the orders of a line leave."""

    CLOSED = 0  # not at all: the venue's pause is not over
    SOCKET = 1  # over the WebSocket order API
    REST = 2  # one call an order: as configured, or while the order API is away


class BreakerState(Code):
    """A circuit breaker (live/link/breaker.py)."""

    CLOSED = 0  # calls go through
    OPEN = 1  # too many failures: nothing goes through for a while
    HALF_OPEN = 2  # a few probes go through
