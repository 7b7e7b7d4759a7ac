"""The binary protocol as a kind of venue: `venue.kind = "binary"`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from hftkit.instruments import Instrument
from live.addresses import host_of
from live.config import EngineConfig, VenueConfig
from live.operate.flatten_report import Flattened
from live.ready_file import ReadyFile
from live.recovery.adopt import Holding
from live.venue import Address, Venue


class BinaryAdapter:
    """See `Adapter` in live/venue.py."""

    positions_in_order = True
    resumes = True

    def place(self, venue: VenueConfig) -> str:
        """Host and order port."""
        return f"{venue.host}:{venue.order_port}"

    def final(self, venue: VenueConfig, ready: ReadyFile | None) -> VenueConfig:
        """Host and ports of the ready file, if there is one."""
        if ready is None:
            return venue
        host, order_port, market_port = ready.binary()
        return msgspec.structs.replace(venue, host=host, order_port=order_port, market_port=market_port, ready_file="")

    def addresses(self, venue: VenueConfig) -> tuple[Address, ...]:
        """The order port."""
        return (Address(f"{venue.host}:{venue.order_port}", host_of(venue.host, "venue.host")),)

    def always_real(self, venue: VenueConfig) -> bool:
        """Its host decides."""
        return False

    def session(
        self,
        config: EngineConfig,
        control: Callable[[Any], int],
        commands: Callable[[int], int | None],
        say: Callable[..., None],
        wait: Callable[[float], bool],
    ) -> Venue:
        """Two sockets."""
        from live.venues.binary.venue import BinaryVenue  # late: an address is asked for without an engine

        return BinaryVenue(config, control, say, wait)

    def holdings(self, venue: VenueConfig, instruments: tuple[Instrument, ...]) -> dict[int, Holding]:
        """As a logon tells it."""
        from live.venues.binary.holdings import holdings

        return holdings(venue, instruments)

    def flatten(self, venue: VenueConfig, timeout_s: float, wait: Callable[[float], bool]) -> Flattened:
        """One connection closes, a second logon confirms."""
        from live.venues.binary.flatten import flatten_binary

        return flatten_binary(venue, timeout_s)


ADAPTER = BinaryAdapter()
