"""The section [venue.binance] of a session's configuration."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from live.link.breaker import BreakerConfig

_Positive = Annotated[int, msgspec.Meta(ge=1)]


class BinanceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A Binance-compatible USD-M futures venue: table [venue.binance]. URLs may come from the simulator's ready file. Never a secret in here."""

    rest_url: str = ""
    stream_url: str = ""  # ws:// or wss://; /public, /market and /private are appended
    order_url: str = ""  # WebSocket order API
    ca_file: str = ""  # certificates to trust, where the venue has its own
    key_file: str = ""  # private JSON file; the environment goes before it (docs/live-binance.md)
    key_kind: Literal["HMAC", "ED25519"] = "HMAC"  # which of a simulator's demo keys to take
    real_money: bool = False  # orders need --real-orders and a typed confirmation
    orders: Literal["websocket", "rest"] = "websocket"
    rest_after_s: Annotated[float, msgspec.Meta(ge=0)] = 3.0  # orders go by REST while the order WebSocket is away for longer; 0: they wait for it
    recv_window_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 2000  # an order that reaches the venue later is refused there
    answer_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0  # an order WebSocket that leaves requests unanswered for so long is replaced
    ping_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0  # between two pings of ours; a connection without a byte for three of them is dead
    feed: Literal["depth", "book_ticker"] = "depth"  # books from changes of every level, or best prices alone
    book_limit: Literal[100, 500, 1000] = 1000
    depth_speed: Literal["100ms", "250ms", "500ms"] = "100ms"
    reconnect_h: Annotated[float, msgspec.Meta(gt=0, lt=24)] = 23.0  # early, with the second connection first
    first_pause_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0  # before the first attempt to reconnect; then twice as long each time, up to 60 s
    info_every_s: Annotated[float, msgspec.Meta(ge=1)] = 300.0  # how often tick, lot and status of the symbols are asked for again
    silence_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0  # a market stream silent for so long is replaced
    reconcile_s: Annotated[float, msgspec.Meta(ge=0.2)] = 5.0
    clock_every_s: Annotated[float, msgspec.Meta(ge=0.05)] = 2.0
    clock_alarm_ms: _Positive = 500
    clock_halt_ms: _Positive = 2000
    position_mode: Literal["one-way"] = "one-way"  # the only one there is: an account in hedge mode is refused at start
    margin_type: Literal["", "crossed", "isolated"] = ""  # what the account must have for every symbol; "": any
    leverage: Annotated[int, msgspec.Meta(ge=0, le=125)] = 0  # likewise; 0: any
    multi_assets: bool | None = None  # likewise
    settings_differ: Literal["refuse", "warn"] = "refuse"  # an account that is not set so: no session, or a line in the log
    dead_man_s: Annotated[float, msgspec.Meta(ge=0)] = 30.0  # countdownCancelAll per symbol, refreshed at a third; 0: none
    listen_key_minutes: Annotated[float, msgspec.Meta(gt=0, le=30)] = 25.0
    mismatch_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05  # of a leg's unit: a larger unexplained difference halts
    breaker: BreakerConfig = BreakerConfig()
