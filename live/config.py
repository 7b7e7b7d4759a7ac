"""What `hftkit live` can be told, with defaults that trade the built-in simulator (NF-8)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hftkit.rooms import Limits

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
_Positive = Annotated[int, msgspec.Meta(ge=1)]


class VenueConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where to trade. Ports may come from the ready file that `hftkit sim --ready-file` writes."""

    kind: Literal["binary"] = "binary"
    host: str = "127.0.0.1"
    order_port: Port = 7001
    market_port: Port = 7002
    account: _Positive = 1
    ready_file: str = ""
    connect_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0


class LoopConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the hot loop waits. spin: lowest latency, a whole core; yield: shares the core; block: sleeps when idle."""

    wait: Literal["spin", "yield", "block"] = "yield"
    timer_us: Annotated[int, msgspec.Meta(ge=100, le=1_000_000)] = 1000
    heartbeat_ms: Annotated[int, msgspec.Meta(ge=10, le=60_000)] = 1000
    order_timeout_ms: Annotated[int, msgspec.Meta(ge=10, le=60_000)] = 2000


class SessionSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to trade, for how long, and where to keep the journal."""

    params: tuple[str, ...] = ()
    require_signature: str = ""  # public key file, or folder of them: refuse parameters that none of these signed
    journal_dir: str = "data/journals"
    session_id: str = ""
    duration_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # 0: until stopped
    stop_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 15.0  # to get flat and log out
    segment_mb: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 16


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole TOML of `hftkit live`."""

    venue: VenueConfig = VenueConfig()
    loop: LoopConfig = LoopConfig()
    session: SessionSection = SessionSection()
    limits: Limits = Limits()
