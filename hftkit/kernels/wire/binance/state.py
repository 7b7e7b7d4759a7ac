"""Records and numbers of a Binance line: what the kernels of this folder share, declared once (as hftkit/layout.py does for the engine).

A line translates between the venue's bytes and the engine's frames. It has memory of its own because the venue's messages need some:
books that are synchronised here, orders whose answers may come twice, sequences that the engine expects without gaps.
`hftkit/binance/line.py` allocates it all and says how a shell uses it.
"""

from __future__ import annotations

from hftkit.codes import Code
from hftkit.kernels.wire.link import (  # noqa: F401  (words of state and kinds that every link has: known here beside Binance's own)
    HEARTBEAT_DUE,
    HEARTBEAT_ECHO,
    HEARTBEAT_TS,
    LOGON_DUE,
    LOGOUT_DUE,
    ORDER_SEQ,
    ORDER_UP,
    ROOM_WORDS,
    VENUE_OFFSET,
    Kind,
    Request,
)
from hftkit.layout import Field, Record

# Words of a request slot
REQUEST_KIND, REQUEST_INSTRUMENT, REQUEST_CLIENT_ORDER_ID, REQUEST_ORDER_ID = range(4)
# of a FOREIGN_ORDER: the id if it has our form, else 0; then the first 16 bytes each of symbol and client order id, zero padded
FOREIGN_EXECUTION, FOREIGN_ID, FOREIGN_ORDER_ID, FOREIGN_SYMBOL, FOREIGN_CLIENT = 1, 2, 3, 4, 6
REQUEST_SLOTS, REQUEST_WORDS = 8192, 8  # all orders of a table may be asked for at once

# Words of Line.state; those that a loop of any link knows are in kernels/wire/link.py
LOGGED_ON = 4  # LOGON_ACK was given
SIGNED = 5  # 1: each request carries apiKey and signature; 0: the connection is logged on
RECV_WINDOW = 6  # ms; 0: not sent
MASK_STATE = 7  # state of the generator of masking keys
USE_TRADES = 8  # Trades code: which stream TRADE frames are made of
SNAPSHOT_LIMIT = 9  # levels a side a REST snapshot can hold: that many means that there are more
QUOTE0, QUOTE1, QUOTE_BYTES = 10, 11, 12  # the asset money is counted in, as identity words
WEIGHT_1M, ORDERS_10S, ORDERS_1M = 13, 14, 15  # used of the rate limits, as the last answer said; -1 unknown
WALLET_E8 = 16  # wallet balance in the quote asset
TS_SERVER = 17  # latest time the venue stated in an answer of the order API, ns
TS_CLIENT = 18  # what the last session.status echoed of our clock
LAST_ERROR = 19  # last error code of the venue
N_STATUS = 20  # HTTP status of the last answer of the order API
EPOCH = 24  # high half of the ids of this session's orders
MAX_LATE = 29  # ns: a book event that the venue sent longer ago is old, and its book is withheld; 0: however late
STATE_WORDS = 32


class Trades(Code):
    """Which stream TRADE frames come from; the other one is counted and left."""

    AGG_TRADE = 1
    TRADE = 2


class Counter(Code):
    """Index into Line.counters. Everything that is refused or left is counted here."""

    MESSAGES = 0
    FRAMES = 1  # written towards the engine
    NOT_JSON = 2  # not a JSON object (or array where one is expected)
    MISSING = 3  # a field that is needed is absent
    WRONG_TYPE = 4  # a field has another type
    BAD_NUMBER = 5  # not a number, not a whole number of ticks or lots, too large
    OUT_OF_RANGE = 6  # negative quantity, time or id that cannot be
    UNKNOWN_EVENT = 7
    UNKNOWN_SYMBOL = 8
    IGNORED = 9  # known events that the engine does not need
    NO_ROOM = 10  # larger than the line's memory for one message
    DEPTH_EVENTS = 11
    DEPTH_STALE = 12  # at or before what the book has
    DEPTH_GAPS = 13
    DEPTH_BUFFERED = 14
    DEPTH_BUFFER_CLEARED = 15
    SNAPSHOTS = 16
    SNAPSHOTS_OLD = 17  # older than the buffered stream
    SNAPSHOTS_UNASKED = 18
    SYNCED = 19  # times a book became whole
    CROSSED = 20  # times a book or ticker of the venue was crossed
    TICKERS = 21
    TICKERS_OLD = 22
    TICKERS_OVER = 23  # put over the depth book
    TRADES = 24
    TRADES_OLD = 25
    TRADES_LOST = 26  # trade ids that never came
    MARK_PRICES = 27
    CONTROL_ANSWERS = 28
    ORDER_UPDATES = 29
    FILLS = 30
    FILLS_REPEATED = 31
    FILLS_HELD = 32  # a fill before this one has not come yet: asked for
    HINTS = 33  # TRADE_LITE: never booked
    FOREIGN_ORDERS = 34  # client order id is not ours
    UNKNOWN_ORDERS = 35  # ours by its form, not in this line's table
    FORCED = 36  # liquidation, auto-deleveraging, settlement
    ACCOUNT_UPDATES = 37
    ALGO_UPDATES = 38
    MARGIN_CALLS = 39
    CONFIG_UPDATES = 40
    LISTEN_KEY_EXPIRED = 41
    HEDGE_MODE = 42  # a row of a LONG or SHORT position: one-way mode only
    API_ANSWERS = 43
    API_ERRORS = 44
    UNKNOWN_OUTCOMES = 45
    NOT_VISIBLE_YET = 46  # "order does not exist" for an order that may still appear
    FEE_OTHER_ASSET = 47  # commissions in another asset than the quote
    ORDERS_ENCODED = 48
    CANCELS_ENCODED = 49
    QUERIES_ENCODED = 50
    HEARTBEATS_ENCODED = 51
    NOT_ENCODED = 52  # frames this dialect has no words for
    REPEATED = 53  # answers already given to the engine
    REQUESTS = 54
    FAST = 55  # messages in the documented order
    GENERAL = 56  # messages in another order
    FUNDING = 57  # payments told to the engine
    FUNDING_REPEATED = 58  # told before: same symbol, not later
    FUNDING_UNNAMED = 59  # without the symbol of one of our instruments: in the wallet, not in the ledger
    EXTERNAL_FILLS = 60  # of orders that this session did not send: told to the engine
    EXTERNAL_REPEATED = 61  # told before
    POSITION_DOUBTED = 62  # the venue has refused, cut or closed something: the account is compared at once
    FEE_AT_RATE = 63  # commissions whose asset has no price: booked at the expected rate
    FUNDING_OTHER_ASSET = 64  # payments in an asset without a price: in the wallet, not in the ledger
    BOOKS_LOST = 66  # times a book was given up because an event of it could not be read
    LATE = 67  # book events that came later than MAX_LATE


N_COUNTERS = 72


def _i(name: str, unit: str, doc: str) -> Field:
    return Field(name, "<i8", unit, doc)


SCALE = Record(
    "SCALE",
    "hftkit/binance/line.py",
    "How decimals of one instrument become integers: a tick is tick_mantissa / 10 ** tick_decimals.",
    (
        _i("tick_mantissa", "count", "tick size without its decimal point"),
        _i("tick_decimals", "count", "decimals of the tick size"),
        _i("lot_mantissa", "count", "lot size without its decimal point"),
        _i("lot_decimals", "count", "decimals of the lot size"),
        _i("symbol_bytes", "bytes", "length of the symbol in Line.symbols"),
        _i("depth", "flag", "1: the book comes from diff depth (bookTicker on top of it), 0: from bookTicker alone"),
        _i("tick_lot_e8", "1e-8 quote", "value of one lot moving one tick"),
        _i("maker_fee_ppm", "1e-6", "expected fee of a maker fill"),
        _i("taker_fee_ppm", "1e-6", "expected fee of a taker fill"),
    ),
)

SYNC = Record(
    "SYNC",
    "kernels/market/depth_sync.py",
    "Synchronisation of one instrument's book with the stream, and the sequences of its normalised frames.",
    (
        _i("state", "depth_sync code", "what is known of the book"),
        _i("shown", "flag", "1: the engine holds this book, 0: it holds none"),
        _i("update_id", "id", "u of the last depth event applied, or the snapshot's"),
        _i("n_bid", "levels", "bid levels held here"),
        _i("n_ask", "levels", "ask levels held here"),
        _i("bid_horizon", "ticks", "bids below it are not known, 0: all are"),
        _i("ask_horizon", "ticks", "asks above it are not known, 0: all are"),
        _i("ticker_id", "id", "u of the newest bookTicker"),
        _i("ticker_bid", "ticks", "its best bid"),
        _i("ticker_bid_qty", "lots", "quantity there"),
        _i("ticker_ask", "ticks", "its best ask"),
        _i("ticker_ask_qty", "lots", "quantity there"),
        _i("ticker_ts", "ns, exchange clock", "its time"),
        _i("n_over", "count", "levels of the engine's book that the bookTicker changed, in Line.over"),
        _i("buffered", "words", "used of Line.buffer"),
        _i("buffer_last", "id", "u of the last buffered event"),
        _i("asked_at", "ns, monotonic", "when a snapshot was last asked for, 0: not since the last one came"),
        _i("ts_event", "ns, exchange clock", "time of the last change"),
        _i("seq_depth", "count", "last sequence of a DEPTH frame"),
        _i("seq_bbo", "count", "last sequence of a BBO frame"),
        _i("seq_trade", "count", "last sequence of a TRADE frame"),
        _i("trade_id", "id", "last trade seen"),
        _i("n_lost", "count", "times in a row that the book was given up because an event of it could not be read"),
        _i("lost_at", "ns, monotonic", "when it last was, 0: never"),
        _i("not_before", "ns, monotonic", "no snapshot is asked for before"),
        _i("doubted_at", "ns, monotonic", "when the scales of the instrument were last asked for, 0: never"),
    ),
)

MARK = Record(
    "MARK",
    "kernels/wire/binance/market.py",
    "Last mark price message of one instrument.",
    (
        _i("ts_event", "ns, exchange clock", "its time"),
        _i("mark_e8", "1e-8 quote", "mark price"),
        _i("index_e8", "1e-8 quote", "index price"),
        _i("funding_e8", "1e-8", "estimated funding rate"),
        _i("funding_ts", "ns, exchange clock", "next funding"),
    ),
)

TRACK = Record(
    "TRACK",
    "kernels/wire/binance/tracks.py",
    "What the engine has been told of one order. Slot: low half of client_order_id modulo the capacity, as in the engine's table.",
    (
        _i("client_order_id", "id", "ours, 0: the slot is free"),
        _i("order_id", "id", "the venue's, 0 until known"),
        _i("instrument", "index", "what it trades"),
        _i("side", "codes.Side", "buy or sell"),
        _i("qty", "lots", "ordered"),
        _i("filled", "lots", "filled, as told to the engine"),
        _i("venue_filled", "lots", "filled, the most the venue has said"),
        _i("last_trade", "id", "last trade told to the engine"),
        _i("stage", "tracks code", "sent, acknowledged, final"),
        _i("ending", "tracks code", "how the venue ended it while fills are still missing, 0 if it did not"),
        _i("end_reason", "codes.Reject", "why"),
        _i("end_ts", "ns, exchange clock", "when"),
        _i("absent", "count", "times the venue said that it does not exist"),
        _i("absent_since", "ns, monotonic", "when it first said so"),
        _i("asked_trades", "count", "times its trades were asked for"),
        _i("asked_at", "ns, monotonic", "when its trades were last asked for"),
    ),
)

OUTSIDE = Record(
    "OUTSIDE",
    "kernels/wire/binance/external.py",
    "Last fill of an order that this session did not send, of one instrument: what is not later than it has been told.",
    (
        _i("trade_id", "id", "highest trade told"),
        _i("order_id", "id", "order of the last one"),
        _i("filled", "lots", "what that order had filled"),
    ),
)

FEE_ASSET = Record(
    "FEE_ASSET",
    "kernels/wire/binance/fees.py",
    "One asset that commissions are charged in. Row 0 is the quote asset; a row without a name is free.",
    (
        _i("name", "ascii", "bytes 0-7, zero padded"),
        _i("n_bytes", "bytes", "length of the name"),
        _i("price_e8", "1e-8 quote", "price of one, 0: not known"),
        _i("n_fills", "count", "fills charged in it"),
        _i("n_at_rate", "count", "those booked at the expected rate, since its price was not known"),
        _i("paid_e8", "1e-8 of it", "commission in the asset itself"),
        _i("quote_e8", "1e-8 quote", "what was booked for it"),
    ),
)

LINE_RECORDS = (SCALE, SYNC, MARK, TRACK, OUTSIDE, FEE_ASSET)

EVENT_LEVELS = 5000  # levels a side one message may carry
BUFFER_WORDS = 65536  # of depth events per instrument, while a snapshot is on its way
LINE_LEVELS = 480  # levels kept a side: less than layout.BOOK_DEPTH, so that a bookTicker over a full book drops none of the engine's
OVER_LEVELS = 32  # levels one bookTicker may change in the engine's book
SYMBOL_BYTES = 16
FEE_ASSETS = 8  # that a line knows apart; any other is booked at the expected rate
TOKENS = 64
TEXT_BYTES = 1024  # of a request, unsigned
