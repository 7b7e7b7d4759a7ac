"""What the binary dialect adds to the `[venue]` section of a simulator configuration: connections, logons, send buffers, order rate."""

from __future__ import annotations

from typing import Annotated

import msgspec

_SUBSCRIBE_WORDS = 21  # what a SUBSCRIBE is answered with, for each instrument: INSTRUMENT, MARKET_STATUS, BBO


class BinaryDialectConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Capacities and manners of the two binary ports."""

    max_clients: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 128  # connections, both ports together
    out_words: Annotated[int, msgspec.Meta(ge=16_384, le=2**24)] = 32_768  # send buffer of one client
    orders_per_s: Annotated[int, msgspec.Meta(ge=0, le=100_000_000)] = 0  # per account, 0: no limit
    orders_burst: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 100
    logon_deadline_ms: Annotated[int, msgspec.Meta(ge=100, le=3_600_000)] = 10_000  # for a connection to log on, or to ask for market data
    signed_logon: bool = False  # secrets come from the environment or from key_file, never from this file
    key_file: str = ""

    def check_room(self, n_instruments: int) -> None:
        """A send buffer holds the answer to a subscription of everything.

        Raises
        ------
        ValueError
            It does not: names the key, its value and the least that is allowed.
        """
        needed = _SUBSCRIBE_WORDS * n_instruments + 96
        if self.out_words < needed:
            raise ValueError(f"venue.out_words {self.out_words} is too small for {n_instruments} instruments, must be at least {needed}")
