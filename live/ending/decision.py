"""How a session ends: what it is told, what the operator reads, and the exit status, as one pure decision (docs/operations.md).

`Stopping` decides when the engine asks for the stop and when it gives up; `halt_of` puts a halt into words and numbers; `decide` makes
of all facts at the end one `Ending`. Nothing here knows a thread, a file or a socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from hftkit.codes import Reject
from hftkit.units import from_e8
from live.hot_loop import LoopStatus

_REPEAT_S = 1.0  # a STOP that the hot thread has not taken is asked for again


class ExitCode(IntEnum):
    """Exit status of `hftkit live`. 2 is click's, for a wrong command line; 130 a Ctrl-C before the session had begun."""

    FLAT = 0  # stopped as asked: no position, no order left
    NOT_STARTED = 1  # nothing was traded: the one line says why
    HALTED = 3  # flat, but a risk limit had halted trading: `halt` in the result says which
    LEFT = 4  # positions or orders are left at the venue: the one line names them
    BROKEN = 5  # flat, but ended by a failure (of the venue's connection, the disk, a part of the engine), not as asked
    UNCONFIRMED = 6  # flat by its own ledger, but the venue could not be asked whether anything is open


@dataclass(frozen=True)
class Left:
    """What the venue says is open, asked after the last order. `unknown`: why it could not be asked, '' if it could."""

    positions: Mapping[str, int] = field(default_factory=dict)  # signed lots by symbol
    orders: tuple[str, ...] = ()  # symbol, side, quantity, client order id
    unknown: str = ""
    switch: str = ""  # what became of the dead man's switch, in words
    rescue: str = ""  # how a lost session was closed over a new one, in words


@dataclass(frozen=True)
class Halt:
    """Trading was halted: the limit, and where they are known its value and its bound."""

    reason: Reject
    value: str = ""
    bound: str = ""
    why: str = ""

    @property
    def text(self) -> str:
        """In words, with numbers."""
        numbers = f": {self.value}, the bound is {self.bound}" if self.value else f": {self.why}" if self.why else ""
        return f"trading was halted by {self.reason.text}{numbers}"

    def as_json(self) -> dict[str, Any]:
        """For result.json and the log."""
        return {"limit": self.reason.name.lower(), "value": self.value, "bound": self.bound, "why": self.why}


def halt_of(risk: np.void, why: str = "") -> Halt:
    """The halt that a RISK record shows. `why`: what a watcher of the venue said when it asked for it."""
    reason = Reject(int(risk["halt_reason"]))
    if reason is Reject.RISK_LOSS_LIMIT:
        return Halt(reason, from_e8(int(risk["equity_e8"]), 4), from_e8(-int(risk["max_loss_e8"]), 4), why)
    if reason is Reject.RISK_REJECTS_IN_ROW:
        return Halt(reason, str(int(risk["rejects_in_row"])), str(int(risk["max_rejects"])), why)
    return Halt(reason, why=why)


class Step(IntEnum):
    """What `Stopping` asks the engine to do now."""

    GO_ON = 0
    SEND_STOP = 1  # flatten, log out
    GIVE_UP = 2  # the deadline is over: end the hot loop as it is


class Stopping:
    """When a trading session is stopped, and when that takes too long. Times in seconds of one monotonic clock.

    Owner: the engine's thread.
    """

    def __init__(self, end_s: float, timeout_s: float, observing: bool) -> None:
        self._end_s, self._timeout_s, self._observing = end_s, timeout_s, observing
        self._sent_s = self._asked_s = float("inf")
        self.why = ""  # the first reason; '' until there is one

    def next(self, now_s: float, asked: str, stopping: bool) -> Step:
        """`asked`: why the session is to end, '' if it is not; `stopping`: whether the hot thread has taken a STOP."""
        reason = asked or ("its duration is over" if now_s >= self._end_s else "the operator asked" if stopping else "")
        if not self.why:
            if not reason:
                return Step.GO_ON
            self.why, self._asked_s = reason, now_s
        if self._observing:
            return Step.GIVE_UP  # nothing to flatten, nothing to log out of
        if now_s - self._asked_s > self._timeout_s:
            return Step.GIVE_UP
        if not stopping and not 0 <= now_s - self._sent_s < _REPEAT_S:
            self._sent_s = now_s
            return Step.SEND_STOP
        return Step.GO_ON

    def left_s(self, now_s: float) -> float:
        """Seconds of the deadline that are left, all of them before anybody has asked."""
        return self._timeout_s if not self.why else max(0.0, self._timeout_s - (now_s - self._asked_s))


@dataclass(frozen=True)
class Facts:
    """All that the end of a session is judged by. `positions` (signed lots) and `orders` are the ledger's; `venue`: what the venue said,
    None: not asked; `loop`: why the hot loop ended; `alive`: it did not, and was left behind; `refused`: why it could not start, or why the
    venue ended it; `stop_asked`: before it had started; `why`: why the stop was asked for; `faults`: failures of parts, by name.
    """

    started: bool
    observing: bool
    loop: LoopStatus
    why: str = ""
    alive: bool = False
    refused: str = ""
    stop_asked: bool = False
    halt: Halt | None = None
    positions: Mapping[str, int] = field(default_factory=dict)
    orders: tuple[str, ...] = ()
    venue: Left | None = None
    faults: Mapping[str, int] = field(default_factory=dict)
    first_fault: str = ""
    cure: str = ""


@dataclass(frozen=True)
class Ending:
    """How it ended: exit status, one line for a person, and what is left."""

    code: ExitCode
    line: str
    positions: Mapping[str, int]
    orders: tuple[str, ...]
    confirmed: bool
    switch: str = ""

    def left(self) -> dict[str, Any]:
        """For result.json."""
        return {"positions": dict(self.positions), "orders": list(self.orders), "confirmed_by_venue": self.confirmed, "switch": self.switch}


LOST: dict[LoopStatus, str] = {
    LoopStatus.RUNNING: "the hot loop failed",
    LoopStatus.JOURNAL_FULL: "the journal has no room left, its reserve included",
    LoopStatus.ORDER_ENTRY_LOST: "the venue closed the order entry connection",
    LoopStatus.MARKET_DATA_LOST: "the venue closed the market data connection",
    LoopStatus.MARKET_DATA_BROKEN: "the venue sent a market data frame of impossible length",
    LoopStatus.ORDER_ENTRY_BROKEN: "the venue sent an order entry frame of impossible length",
    LoopStatus.BACKPRESSURE: "the venue does not read its order entry socket",
    LoopStatus.SESSION_REFUSED: "an answer of the venue is missing (a gap in its sequence)",
    LoopStatus.SILENT: "the venue has fallen silent",
    LoopStatus.ABANDONED: "the session could not get flat and log out in time",
}


def decide(facts: Facts) -> Ending:
    """The ending that these facts make. The gravest wins: something left, then not confirmed, halted, broken, flat."""
    asked = facts.venue is not None and not facts.venue.unknown
    venue = facts.venue or Left()
    positions, orders = (venue.positions, venue.orders) if asked else (facts.positions, facts.orders)
    ordered = facts.loop is (LoopStatus.ABANDONED if facts.observing else LoopStatus.LOGGED_OUT) and not facts.alive
    told = []
    if facts.alive:
        told.append("the hot loop does not end")
    elif not ordered:
        told.append(facts.refused or LOST.get(facts.loop, facts.loop.name))
        if facts.started:
            told.append("the journal is complete up to that moment")
    if facts.first_fault:
        told.append(facts.first_fault)
    if facts.halt is not None:
        told.append(facts.halt.text)
    if venue.rescue:
        told.append(venue.rescue)
    if not told:
        told.append(f"stopped: {facts.why}" if facts.why else "stopped")
    if positions or orders:
        code = ExitCode.LEFT
        told.append(f"LEFT {'at the venue' if asked else 'by its own ledger'}: {', '.join([*_lots(positions), *(f'order {o}' for o in orders)])}")
    elif not facts.started:
        code = ExitCode.FLAT if facts.stop_asked else ExitCode.NOT_STARTED
    elif facts.venue is not None and facts.venue.unknown:
        code = ExitCode.UNCONFIRMED
        told.append(f"no position and no order remains by its own ledger, but the venue could not be asked ({facts.venue.unknown})")
    else:
        code = ExitCode.HALTED if facts.halt is not None else ExitCode.BROKEN if facts.faults or not ordered else ExitCode.FLAT
        told.append("no position and no order remains")
    if venue.switch:
        told.append(venue.switch)
    line = "; ".join(told)
    if code in (ExitCode.LEFT, ExitCode.UNCONFIRMED):
        line = f"{line}. {facts.cure}"
    return Ending(code, line, dict(positions), tuple(orders), asked, venue.switch)


def _lots(positions: Mapping[str, int]) -> list[str]:
    return [f"{symbol} {lots:+d} lots" for symbol, lots in positions.items()]
