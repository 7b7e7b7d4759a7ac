"""Order events that are nobody's of this session: another engine of ours on the same account, or a stranger. Told, counted, and by rule a halt.

Another engine is known by its session number in the order's id. It may run on another machine, where no lock of ours is seen: both then alarm, and
both halt if the rule says so, since two engines that correct each other's positions would trade for ever. Orders known to be left by an ended
session are no alarm. Pure but for what it calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from live.account.open_orders import epoch_of

AGAIN_S = 60.0  # the same alarm is told again after so long
_TELLERS = 64  # different sessions and symbols that are told apart
EXECUTIONS = ("new", "canceled", "calculated", "expired", "trade", "amendment", "rejected")


class ForeignOrders:
    """`epoch`: this session's number; `halts`: whether another session of ours halts trading; `strangers_halt`: whether a stranger does; `account`:
    the ACCOUNT record; `say(event, **facts)`: the log; `halt(why)`: the operator's door.

    Owner: the venue loop.
    """

    def __init__(self, epoch: int, halts: bool, strangers_halt: bool, account: Any, say: Callable[..., None], halt: Callable[[str], None]) -> None:
        self.epoch, self._halts, self._strangers_halt = epoch, halts, strangers_halt
        self._account, self._say, self._halt = account, say, halt
        self._told: dict[tuple[str, object], tuple[float, int]] = {}  # when, and how many since
        self.known: set[int] = set()  # orders of ended sessions, whose last events are expected

    def event(self, client_order_id: int, client: str, symbol: str, execution: int, now_s: float) -> None:
        """An order event of the user stream that is not in the engine's table. `client_order_id` 0: not of our form; `client`: its first bytes."""
        what = EXECUTIONS[execution] if 0 <= execution < len(EXECUTIONS) else "unknown"
        if client_order_id == 0:
            self._account["n_stranger_events"] += 1
            self._tell("stranger_order", symbol, now_s, symbol=symbol, client_order_id=client, execution=what)
            if self._strangers_halt:
                self._halt("a stranger trades this account")
        elif epoch_of(client_order_id) == self.epoch:
            self._tell("ended_order_event", symbol, now_s, symbol=symbol, client_order_id=client_order_id, execution=what)
        elif client_order_id in self.known:
            self._tell("orphan_event", client_order_id, now_s, symbol=symbol, client_order_id=client_order_id, execution=what)
        else:
            self.twin(client_order_id, symbol, what, now_s)

    def twin(self, client_order_id: int, symbol: str, execution: str, now_s: float) -> None:
        """An order of another session of ours, which is alive."""
        self._account["n_foreign"] += 1
        other = f"{epoch_of(client_order_id):08x}"
        self._tell("foreign_order", other, now_s, symbol=symbol, client_order_id=client_order_id, execution=execution, session_number=other)
        if self._halts:
            self._halt(f"another engine of ours (session number {other}) trades this account")

    def _tell(self, event: str, subject: object, now_s: float, **facts: Any) -> None:
        """The first of its kind at once, then one line a minute with the number of those left out."""
        if len(self._told) >= _TELLERS:
            subject = "others"
        when, left_out = self._told.get((event, subject), (-AGAIN_S, 0))
        if now_s - when < AGAIN_S:
            self._told[event, subject] = (when, left_out + 1)
            return
        self._told[event, subject] = (now_s, 0)
        self._say(event, **facts, **({"more_before": left_out} if left_out else {}))
