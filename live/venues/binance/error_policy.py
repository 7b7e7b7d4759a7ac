"""What to do about an error of a Binance-compatible venue: one table by code, one by HTTP status (GW-9).

The question that matters for an order is whether it may have executed. Only QUERY says "maybe": such an order is asked for by its client id until the
venue has answered, and never sent again. Source: the venue's error code and HTTP return code pages (docs/live-binance.md).
"""

from __future__ import annotations

from enum import Enum


class Reaction(Enum):
    """What the client does next."""

    NEVER = "never"  # refused for a reason that will not go away: do not send it again unchanged
    RETRY_LATER = "retry later"  # failed for certain, for a passing reason: may be tried again after a pause
    BACK_OFF = "back off"  # a limit was broken: nothing is sent until the venue's pause is over
    SYNC_CLOCK = "sync clock"  # our time stamp was off: estimate the offset afresh first
    QUERY = "query"  # unknown outcome: ask by client id until the venue has answered
    STOP = "stop"  # keys, permissions, account: trading ends, a person looks


_NEVER, _LATER, _BACK, _CLOCK, _QUERY, _STOP = (
    Reaction.NEVER, Reaction.RETRY_LATER, Reaction.BACK_OFF, Reaction.SYNC_CLOCK, Reaction.QUERY, Reaction.STOP,
)  # fmt: skip

BY_CODE: dict[int, Reaction] = {
    -1000: _QUERY,  # unknown error while processing
    -1001: _LATER,  # internal error: documented as failed for certain
    -1002: _STOP,  # not authorised
    -1003: _BACK,  # too many requests
    -1006: _QUERY,  # unexpected response from the message bus: execution status unknown
    -1007: _QUERY,  # timeout of the backend: execution status unknown
    -1008: _LATER,  # overload protection: failed for certain
    -1011: _STOP,  # this address may not use the route
    -1015: _BACK,  # too many orders
    -1016: _STOP,  # the service is shutting down
    -1021: _CLOCK,  # outside recvWindow
    -1022: _STOP,  # signature
    -1125: _NEVER,  # listen key gone: the caller asks for a new one
    -2013: _NEVER,  # order does not exist: the caller decides whether it may not be visible yet
    -2014: _STOP,  # key format
    -2015: _STOP,  # key, address or permission
    -2017: _STOP,  # keys locked
    -2023: _STOP,  # account in liquidation
    -4061: _STOP,  # the position mode was changed while we run: every order is refused
    -4088: _STOP,  # account may not place orders
    -4109: _STOP,  # inactive account
    -4117: _LATER,  # a stop order is triggering at this moment
    -5028: _CLOCK,  # outside the matching engine's recvWindow
    -5043: _LATER,  # another amendment is pending
}

BY_STATUS: dict[int, Reaction] = {
    401: _STOP,
    403: _BACK,  # web application firewall
    404: _NEVER,
    408: _QUERY,  # timeout of the backend
    418: _BACK,  # banned
    429: _BACK,
}

FAILED_FOR_CERTAIN = ("service unavailable", "internal error; unable to process", "request throttled by system-level protection")


def reaction(status: int, code: int = 0, text: str = "") -> Reaction:
    """What to do about an answer. `status`: HTTP status, 0 when no answer came; `code`: the venue's code, 0 if none; `text`: its message.

    No answer at all, and any 5xx that does not say that it failed for certain, count as unknown outcome.
    """
    if status in (418, 429):
        return Reaction.BACK_OFF
    if status == 0 or status >= 500:
        known = BY_CODE.get(code)
        certain = any(words in text.lower() for words in FAILED_FOR_CERTAIN) or known is Reaction.RETRY_LATER
        return Reaction.RETRY_LATER if certain else Reaction.QUERY
    if code in BY_CODE:
        return BY_CODE[code]
    return BY_STATUS.get(status, Reaction.NEVER)
