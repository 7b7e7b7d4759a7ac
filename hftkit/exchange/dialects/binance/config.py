"""The `[binance]` section of a simulator configuration: port, accounts, limits. Secrets are never in it (keys.py)."""

from __future__ import annotations

from typing import Annotated

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
_Ppm = Annotated[int, msgspec.Meta(ge=0, le=999_999)]


class BinanceDialectConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The Binance USD-M futures dialect of the simulator. The defaults are the real venue's where it has such a figure."""

    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0  # HTTP and WebSocket on one port; 0 picks a free one
    margin_asset: str = ""  # what wallets hold; empty: the quote asset of the instruments
    accounts: dict[str, Annotated[int, msgspec.Meta(ge=1, le=2**62)]] = {}  # API key to account number; its secret: see keys.py
    key_file: str = ""  # TOML, API key = "secret" or a PEM public key; read beside the environment
    demo_accounts: tuple[Annotated[int, msgspec.Meta(ge=1, le=2**62)], ...] = (1, 2)  # keys made at the start, told in the ready file only
    certificate: str = ""  # PEM files: HTTPS and WSS in place of HTTP and WS
    private_key: str = ""
    wall_clock: bool = True  # exchange time begins at the present wall time, whatever the configuration's start
    check_timestamps: bool = True  # off where exchange time does not run like the clients' clocks
    recv_window_ms: _Count = 5000
    max_recv_window_ms: _Count = 60_000
    weight_per_minute: _Count = 2400  # per address
    orders_per_10s: _Count = 300  # per account
    orders_per_minute: _Count = 1200
    funding_requests_per_5_minutes: _Count = 500
    data_requests_per_5_minutes: _Count = 1000
    requests_until_ban: _Count = 30  # answered 429 within one window; the next is a ban
    max_open_orders: _Count = 200  # per account and symbol
    max_algo_orders: _Count = 200  # per account
    max_leverage: Annotated[int, msgspec.Meta(ge=1, le=125)] = 125  # lowered to what the maintenance margin permits
    percent_price_ppm: _Ppm = 50_000  # limit prices beyond the mark by more than this are refused
    strict_routes: bool = False  # true: streams asked for on the wrong route stay silent, as on the real venue since April 2026
    stream_messages_per_s: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0  # of one stream connection; the real venue's is 10; 0: no limit
    stream_buffer_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=2**31)] = 16 * 2**20  # unread beyond this, a stream connection is cut
    ping_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 180.0  # between two pings of the venue
    pong_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 600.0  # a connection without a pong for so long is closed
    request_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10.0  # for a connection's first headers, and for each request's body
    idle_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 75.0  # a connection without a request for so long is closed
    connection_life_s: Annotated[float, msgspec.Meta(gt=0, le=864_000)] = 86_400.0

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.private_key):
            raise ValueError("certificate and private_key go together: give both, or neither")
        if any(not (key.isascii() and key.isalnum()) for key in self.accounts):
            raise ValueError("accounts: an API key is letters and digits only")
