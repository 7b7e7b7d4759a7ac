"""Names of the faults of the Binance dialect (`binance.NAME` in a plan, in `hftkit faults set`), with their words on the fault page.

Apart from faults.py so that the fault page knows the names (dialects/registry.py) without the dialect. Words: each fault has one for its
settings, and the same word of the following block counts how often it has happened.
"""

from __future__ import annotations

from hftkit.exchange.faults.setting import Setting

# Kinds of answers that go wrong: the next n of them for certain, or each with a probability.
KINDS: dict[str, str] = {
    "unknown": "HTTP 503 of unknown outcome, though the request was carried out",
    "lost": "the same answer, and the request was not carried out",
    "unavailable": "HTTP 503 Service Unavailable, not carried out",
    "throttle": "HTTP 503 with -1008 for new orders, not carried out; reducing orders are exempt",
    "timeout": "HTTP 408 with -1007, though the request was carried out",
    "too_many": "HTTP 429 with -1003, not carried out",
    "hang_up": "the connection is closed without an answer, though the request was carried out",
}
NEXT, PPM = 0, 16  # + place in KINDS
DELAY_US, JITTER_US, SKEW_MS, BAN_S, EXPIRE_LISTEN_KEYS = 40, 41, 42, 43, 44
DROP_DEPTH, USER_DELAY_US, SWAP_USER, LOSE_USER, CUT_STREAMS, FREEZE_STREAMS, MUTE_PONGS, SILENT_STREAM = range(45, 53)
SILENT_STREAMS = "0 none, 1 bookTicker, 2 depth, 3 trade and aggTrade, 4 markPrice, 5 user data"

DIALECT_SETTINGS: dict[str, Setting] = {
    **{f"{kind}_next": Setting(NEXT + k, 1, 1e9, f"how many of the next requests: {doc}") for k, (kind, doc) in enumerate(KINDS.items())},
    **{f"{kind}_ppm": Setting(PPM + k, 1, 1e6, f"in millionths of the requests: {doc}") for k, (kind, doc) in enumerate(KINDS.items())},
    "delay_us": Setting(DELAY_US, 1, 60e6, "answers come so much later"),
    "jitter_us": Setting(JITTER_US, 1, 60e6, "further delay of answers, uniform from 0 to this"),
    "skew_ms": Setting(SKEW_MS, 1, 1e9, "the clock that requests are checked with, and that /time tells, is wrong by this (may be negative)", -1e9),
    "ban_s": Setting(BAN_S, 1, 259_200, "the next address that asks is banned for so long (HTTP 418), once"),
    "expire_listen_keys": Setting(EXPIRE_LISTEN_KEYS, 1, 1, "1: every listen key ends now, once"),
    "drop_depth_next": Setting(DROP_DEPTH, 1, 1e9, "how many of the next depth events are lost, so that pu does not fit"),
    "user_delay_us": Setting(USER_DELAY_US, 1, 60e6, "user events go out so much later"),
    "swap_user_next": Setting(SWAP_USER, 1, 1e9, "how many of the next user events go out after the one that follows them"),
    "lose_user_next": Setting(LOSE_USER, 1, 1e9, "how many of the next user events are lost"),
    "cut_streams": Setting(CUT_STREAMS, 1, 1, "1: every stream connection is cut now, once, without a close frame"),
    "freeze_streams": Setting(FREEZE_STREAMS, 1, 1, "1: stream connections stay open and nothing but answers comes"),
    "mute_pongs": Setting(MUTE_PONGS, 1, 1, "1: pings of clients are not answered, and the venue sends none"),
    "silent_stream": Setting(SILENT_STREAM, 1, 5, f"one kind of stream falls silent: {SILENT_STREAMS}"),
}
