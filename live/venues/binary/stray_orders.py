"""Orders of the account that are not of this session, in the binary protocol: left open by an earlier connection, told in the welcome after LOGON.

An account has one connection there, so nobody else can have made them, and the venue cancels them by the CANCEL_ALL that follows our LOGON. One that
fills before it is cancelled makes a position that no ledger has: the session does not start, or halts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hftkit.codes import EventKind, OrderState
from hftkit.errors import VenueError

_OPEN = (OrderState.SUBMITTED, OrderState.PARTIALLY_FILLED)


class StrayOrders:
    """`orphans`: "cancel" or "refuse"; `say(event, **facts)`: the log; `halt()`: only orders that reduce positions from now on.

    Owner: the engine's thread.
    """

    def __init__(self, orphans: str, say: Callable[..., None], halt: Callable[[], object]) -> None:
        self._orphans, self._say, self._halt = orphans, say, halt
        self.seen: set[int] = set()
        self.open: set[int] = set()
        self.filled = 0

    def event(self, event: np.void) -> None:
        """An order entry answer (EVENT record) about an order that is not of this session."""
        number, kind = int(event["client_order_id"]), int(event["kind"])
        if number <= 0:
            return  # the venue's own, a liquidation say: not an order that somebody left
        if number not in self.seen:
            self.seen.add(number)
            self._say("orphan", client_order_id=number, instrument=int(event["instrument"]), rule=self._orphans)
        if kind == EventKind.ORDER_STATUS and int(event["code"]) in _OPEN:
            self.open.add(number)
        elif kind == EventKind.ORDER_FILL:
            self.filled += 1
            self._say("halt", why="an order of an earlier session has filled", client_order_id=number, qty_lots=int(event["qty"]))
            self._halt()
        elif kind == EventKind.ORDER_CANCELED:
            self.open.discard(number)

    def settled(self) -> bool:
        """Whether nothing is left open of earlier sessions. Raises VenueError where trading must not begin."""
        if self.filled:
            raise VenueError(
                "an order of an earlier session filled while it was being cancelled", "Look at the account; `hftkit flatten --config FILE` closes it"
            )
        if self.open and self._orphans == "refuse":
            raise VenueError(
                f"{len(self.open)} orders of an earlier session are open: {sorted(self.open)[:5]}", 'Cancel them, or set [session] orphans = "cancel"'
            )
        return not self.open
