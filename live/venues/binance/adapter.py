"""Binance USD-M futures, and what is compatible with it, as a kind of venue: `venue.kind = "binance"`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from hftkit.errors import VenueError
from hftkit.instruments import Instrument
from live.addresses import host_of_url
from live.config import EngineConfig, VenueConfig
from live.operate.flatten_report import Flattened
from live.ready_file import ReadyFile, read_ready_file
from live.recovery.adopt import Holding
from live.venue import Address, Venue
from live.venues.binance.config import BinanceConfig


class BinanceAdapter:
    """See `Adapter` in live/venue.py."""

    positions_in_order = False
    resumes = False

    def place(self, venue: VenueConfig) -> str:
        """The REST address."""
        return venue.binance.rest_url.rstrip("/")

    def final(self, venue: VenueConfig, ready: ReadyFile | None) -> VenueConfig:
        """The three addresses, of the configuration first. The ready file stays: demo keys are read from it."""
        return msgspec.structs.replace(venue, binance=urls_from_ready(venue.binance, ready.offered() if ready is not None else {}))

    def addresses(self, venue: VenueConfig) -> tuple[Address, ...]:
        """The order WebSocket and REST."""
        named = {"venue.binance.order_url": venue.binance.order_url, "venue.binance.rest_url": venue.binance.rest_url}
        return tuple(Address(url, host_of_url(url, name)) for name, url in named.items())

    def always_real(self, venue: VenueConfig) -> bool:
        """As configured."""
        return venue.binance.real_money

    def session(
        self,
        config: EngineConfig,
        control: Callable[[Any], int],
        commands: Callable[[int], int | None],
        say: Callable[..., None],
        wait: Callable[[float], bool],
    ) -> Venue:
        """A link of several connections."""
        from live.venues.binance.venue import BinanceVenue  # late: an address is asked for without an engine

        return BinanceVenue(config, control, commands, say, wait)

    def holdings(self, venue: VenueConfig, instruments: tuple[Instrument, ...]) -> dict[int, Holding]:
        """Not yet."""
        raise VenueError("positions at a Binance-compatible venue cannot be adopted", "`hftkit flatten --config FILE` closes them")

    def flatten(self, venue: VenueConfig, timeout_s: float, wait: Callable[[float], bool]) -> Flattened:
        """Over REST."""
        from live.venues.binance.flatten import flatten_binance
        from live.venues.binance.keys import load_key

        ready = read_ready_file(Path(venue.ready_file), venue.connect_timeout_s, wait).offered() if venue.ready_file else {}
        key = load_key(venue.binance.key_file, ready, None, venue.account, venue.binance.key_kind)
        return flatten_binance(venue, key, timeout_s)


def urls_from_ready(config: BinanceConfig, ready: Mapping[str, Any]) -> BinanceConfig:
    """The configuration with the URLs and certificate of a simulator's ready file where none are set. Raises VenueError if some are missing."""
    told = {"rest_url": ready.get("url"), "stream_url": ready.get("ws_url"), "ca_file": ready.get("certificate")}
    if ready.get("ws_url"):
        told["order_url"] = f"{ready['ws_url']}/ws-fapi/v1"
    config = msgspec.structs.replace(config, **{name: text for name, text in told.items() if text and not getattr(config, name)})
    lacking = [name for name in ("rest_url", "stream_url", "order_url") if not getattr(config, name)]
    if lacking:
        raise VenueError(f"[venue.binance] lacks {', '.join(lacking)}", "Set them, or give the --ready-file of `hftkit sim --binance-port`")
    return config


ADAPTER = BinanceAdapter()
