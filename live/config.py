"""What `hftkit live` can be told, with defaults that trade the built-in simulator."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hftkit.session.engine_state import Limits
from live.venues.binance.config import BinanceConfig

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
_NAME = r"\A([A-Za-z0-9][A-Za-z0-9._-]{0,63})?\Z"
_Positive = Annotated[int, msgspec.Meta(ge=1)]


class VenueConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where to trade. Ports and URLs may come from the ready file that `hftkit sim --ready-file` writes."""

    kind: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,31}\Z")] = "binary"  # an adapter of the entry point group hftkit.venues
    binance: BinanceConfig = BinanceConfig()
    options: dict[str, bool | int | float | str] = {}  # table [venue.options]: an adapter's own settings
    host: str = "127.0.0.1"
    order_port: Port = 7001
    market_port: Port = 7002
    account: _Positive = 1
    ready_file: str = ""
    connect_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0


class LoopConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the hot loop waits. spin: lowest latency, a whole core; yield: shares the core; block: sleeps when idle."""

    wait: Literal["spin", "yield", "block"] = "yield"
    timer_us: Annotated[int, msgspec.Meta(ge=100, le=1_000_000)] = 1000  # how often it is looked whether something is due
    idle_timer_ms: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100  # a timer event comes at least so often, though nothing is due
    heartbeat_ms: Annotated[int, msgspec.Meta(ge=10, le=60_000)] = 1000
    order_timeout_ms: Annotated[int, msgspec.Meta(ge=10, le=60_000)] = 2000
    silence_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] = 5000  # nothing on order entry for so long: the line is lost; 0: never
    feed_silence_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] = 20_000  # likewise on market data
    stall_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 1000  # the loop stood still for longer: what waits for it is old; 0: never looked at


class SessionSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to trade, for how long, and where to keep the journal."""

    params: tuple[str, ...] = ()
    mode: Literal["live", "observe"] = "live"  # observe: signals are logged, no order leaves
    adopt: bool = False  # begin with the positions that the account holds; --adopt
    require_signature: str = ""  # public key file, or folder of them: refuse parameters that none of these signed
    journal_dir: str = "data/journals"
    session_id: Annotated[str, msgspec.Meta(pattern=_NAME)] = ""  # names the session's folder: never a path
    duration_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # 0: until stopped
    stale_halt_s: Annotated[float, msgspec.Meta(ge=0)] = 60.0  # a position whose book is stale for so long is left at market; 0: it is held
    stop_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 15.0  # to get flat and log out
    segment_mb: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 16
    orphans: Literal["cancel", "refuse"] = "cancel"  # open orders that an earlier session of ours has left
    strangers: Literal["warn", "halt"] = "warn"  # open orders and order events of others on this account; at start "halt" refuses
    foreign_orders: Literal["halt", "warn"] = "halt"  # another engine of ours, seen at the venue
    space_warn_h: Annotated[float, msgspec.Meta(ge=0)] = 24.0  # hours of journal that the disk has room for: said below
    space_alarm_h: Annotated[float, msgspec.Meta(ge=0)] = 2.0  # said again; below 4 MB the session is stopped
    status_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 5.0  # a line on what it does, so often at the most; 0: none
    keep_days: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # at start, finished sessions in journal_dir older than this are removed; 0: none
    keep_gb: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # likewise the oldest, until all take no more than this; 0: none
    log_mb: Annotated[float, msgspec.Meta(gt=0)] = 16.0  # session.log is rotated at this size
    log_files: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 8  # of them are kept, the current one among them


class LiveLimits(Limits, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Table [limits] of a live session: quotes have an age limit unless it is set to 0."""

    max_quote_age_ms: int = 2000


class RecoverySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What happens after a lost line, and after the engine's death."""

    supervisor: bool = True  # a second process stands by and takes over; --no-supervisor
    reconnect_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 10.0  # a lost line is opened again for so long; 0: not at all
    then: Literal["resume", "flatten"] = "resume"  # what the engine that takes over does: trade on, or get flat and stop
    crashes: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3  # so many deaths within crash_window_s: flat if possible, stop
    crash_window_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 60.0


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole TOML of `hftkit live`."""

    venue: VenueConfig = VenueConfig()
    loop: LoopConfig = LoopConfig()
    session: SessionSection = SessionSection()
    limits: LiveLimits = LiveLimits()
    recovery: RecoverySection = RecoverySection()
