"""All streams of one venue: hub, market data, user data and their faults, driven by the drop copy and by time, on the venue's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hftkit.exchange.core.tap import Batch
from hftkit.exchange.dialects.binance.streams.market_streams import MarketStreams
from hftkit.exchange.dialects.binance.streams.stream_faults import StreamFaults
from hftkit.exchange.dialects.binance.streams.stream_hub import INTERNAL_ERROR, StreamHub
from hftkit.exchange.dialects.binance.streams.user_streams import UserStreams

if TYPE_CHECKING:
    import numpy as np

    from hftkit.exchange.dialects.binance.venue import BinanceDialect


class Streams:
    """`take` is a consumer of the drop copy, after the store's; `after_slice` a hook of the host, after the venue's."""

    def __init__(self, venue: BinanceDialect, fault_page: np.ndarray) -> None:
        """`fault_page`: int64 (PAGE_WORDS,)."""
        self.faults, self.internal_errors = StreamFaults(fault_page), venue.internal_errors
        self.hub = StreamHub(venue.config, venue.symbols.all, venue.now_ms)
        self.market = MarketStreams(venue, self.hub, self.faults)
        self.user = UserStreams(venue, self.hub, self.faults)

    def take(self, batch: Batch) -> None:
        """One batch of the drop copy; its executions have been heard through the store."""
        self.user.flush()
        try:
            self.market.take(batch)
        except Exception as error:  # part of it is missing now in who knows which stream
            self.internal_errors.note("market streams", error)
            self.hub.cut_all(INTERNAL_ERROR)

    def after_slice(self) -> list[tuple[int, bytes, int]]:
        """What has become due. Returns what is to go out: see StreamHub.outgoing."""
        self.hub.frozen = self.faults.frozen
        if self.hub.connections:
            self.market.advance()
        self.user.advance()
        if self.faults.cuts():
            self.hub.cut_all()
        return self.hub.outgoing()

    def shut_down(self) -> list[tuple[int, bytes, int]]:
        """The venue is about to close: everybody is told. Returns what is to go out."""
        self.hub.tell_everybody(msgspec.json.encode({"e": "serverShutdown", "E": self.hub.now_ms()}))
        return self.hub.outgoing()
