"""What the loop of a link and a venue's translator agree on, whatever the venue: kinds of payloads, requests to the cold side, words of state.

A translator is three compiled functions of fixed types (hftkit/binance/line.py describes those of Binance); the loop (live/link/line_loop.py) calls
them with payloads of these kinds and reads these words of the translator's state.
"""

from __future__ import annotations

from hftkit.codes import Code


class Kind(Code):
    """What a payload is: the low byte of `kind`. Above it (`kind >> 8`): the instrument of a REST_DEPTH, the Kind of a line that is up or down."""

    MARKET = 1  # message of a market stream, raw or in a combined envelope
    USER = 2  # message of the user data stream
    ORDER_API = 3  # answer of the WebSocket order API
    REST_DEPTH = 4  # body of GET depth
    REST_ORDER = 5  # answer of an order endpoint by REST, wrapped like an answer of the order API
    REST_POSITION = 6  # body of GET positionRisk: instruments that it lacks are flat
    REST_TRADES = 7  # body of GET userTrades of one order
    LINE_UP = 8
    LINE_DOWN = 9
    FEE_PRICE = 11  # int64 words of the cold side: an asset's name, its length, its price in 1e-8 quote
    DUE = 10  # no payload: write what the order line owes the engine (logon and logout acknowledged, positions)


class Request(Code):
    """What a line asks of its shell: word 0 of a slot of the requests ring."""

    SNAPSHOT = 1  # GET depth of `instrument`, answer as REST_DEPTH
    ORDER = 2  # GET order by `client_order_id`, answer as REST_ORDER
    TRADES = 3  # GET userTrades of `order_id` of `instrument`, answer as REST_TRADES
    POSITIONS = 4  # GET positionRisk, answer as REST_POSITION
    LISTEN_KEY = 5  # a listen key has expired: `client_order_id` is the text_code of the key that was named, 0 if none was
    RECONNECT = 6  # the venue announces that it will close
    FOREIGN_ORDER = 7  # no answer wanted: an order event that is nobody's of this line; words FOREIGN_* of the slot
    INSTRUMENTS = 8  # messages of `instrument` cannot be read: has the venue changed its tick or lot size?


def kind_of(kind: Kind, subject: int = 0) -> int:
    """The `kind` argument of translate: REST_DEPTH with its instrument, LINE_UP and LINE_DOWN with the Kind of the line."""
    return int(kind) | int(subject) << 8


# Words of a translator's state that the loop reads or writes; the others are the venue's own
ORDER_SEQ = 0  # last sequence written towards the engine's order entry
ORDER_UP = 1  # the connections that orders need are open (bits 1, 2)
LOGON_DUE, LOGOUT_DUE = 2, 3  # the engine waits for an acknowledgement
HEARTBEAT_DUE, HEARTBEAT_TS, HEARTBEAT_ECHO = 21, 22, 23
VENUE_OFFSET = 28  # the venue's clock minus CLOCK_MONOTONIC, ns; 0: not known
ROOM_WORDS = 8192  # the most one call of `translate` appends
