"""What a session does, in a line every few seconds: money, positions, and, where nothing happens, why.

Said when something has changed, and otherwise twice a minute; nothing at all with `every_s` 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hftkit import clock
from hftkit.codes import LegState, Reject, SignalReason, Trading
from hftkit.layout import WANT
from hftkit.params.format import FrozenParams
from hftkit.session.telemetry import write_veto
from hftkit.strategies.pairs import tail_bars
from hftkit.units import NS_PER_MINUTE, from_e8, iso_from_ns
from live.hot_loop import NOTE_EVENT

if TYPE_CHECKING:
    from live.engine import Engine

AT_LEAST_S = 30.0
_WANT = WANT.dtype


class StatusLine:
    """Owner: the engine's thread. `every_s`: how often it is looked; 0: never."""

    def __init__(self, engine: Engine, every_s: float) -> None:
        self._engine, self._every = engine, every_s
        self._looked = self._said = float("-inf")
        self._known, self._veto, self._greeted = "", "", False

    def note(self, words: np.ndarray) -> None:
        """A note of the hot loop: the reason of a veto is kept, for the line and for panels."""
        if words[0] == NOTE_EVENT:
            return
        want = words[1 : 1 + _WANT.itemsize // 8].view(_WANT)[0]
        symbol = self._engine.session_config.instruments[int(want["instrument"])].symbol
        self._veto = f"{Reject(int(want['reason'])).text} ({symbol})"
        write_veto(self._engine.page.head, int(want["reason"]), int(want["instrument"]))

    def turn(self) -> None:
        """Say it if it is time."""
        now = clock.monotonic_s()
        engine = self._engine
        if not self._every or engine.trading_since == 0.0 or now - self._looked < self._every or not engine.started:
            return
        self._looked = now
        if not self._greeted:
            self._greeted = True
            engine.say(f"stop it with Ctrl-C or `hftkit stop` (both close every position); watch it with: hftkit monitor {engine.folder}")
        line = self.line()
        if line != self._known or now - self._said >= AT_LEAST_S:
            self._known, self._said = line, now
            engine.say(f"{iso_from_ns(clock.unix_ns())[11:19]} {line}")

    def line(self) -> str:
        """The line without its time."""
        rooms = self._engine.rooms
        ledger, session, risk = rooms.ledger, rooms.session[0], rooms.risk[0]
        money = int((ledger["realized_e8"] + ledger["unrealized_e8"] - ledger["fees_e8"] - ledger["funding_e8"]).sum())
        parts = [f"P&L {from_e8(money, 2)}, {int(session['n_orders'])} orders, {int(session['n_fills'])} fills"]
        trading = Trading(int(risk["trading"]))
        if trading != Trading.ENABLED:
            parts.append("observing, no order leaves" if self._engine.observing else trading.text)
        if count := int(risk["n_vetoes"]):
            parts.append(f"{count} vetoes, last: {self._veto or 'not told'}")
        strategies = self._engine.session_config.strategies
        parts += [_strategy(frozen, rooms.signal[slot], rooms.legs[slot], rooms.held[slot]) for slot, frozen in enumerate(strategies)]
        return " | ".join(parts)


def _strategy(frozen: FrozenParams, signal: Any, legs: Any, held_lots: Any) -> str:
    """Where one strategy stands, and why it does nothing."""
    if not frozen.legs.lead:  # quotes, or a basket
        lots = "/".join(f"{int(row['position']):+,}" for row in held_lots[: len(frozen.traded)])
        quotes = f", quotes {int(signal['bid_price']):,} / {int(signal['ask_price']):,}" if frozen.policy == "quotes" else ""
        return f"{'/'.join(frozen.traded)} {lots} lots{quotes}, {why(frozen, signal)}"
    pair = "/".join(symbol for symbol in (frozen.legs.lead, frozen.legs.hedge) if symbol)
    held = int(legs["lead_position"])
    state = LegState(int(legs["state"]))
    hedge = f"/{int(legs['hedge_position']):+,}" if frozen.legs.hedge else ""
    where = f"{held:+,}{hedge} lots" if held or int(legs["hedge_position"]) else "flat" if state == LegState.FLAT else state.text
    return f"{pair} {where}, {why(frozen, signal)}"


def why(frozen: FrozenParams, signal: Any) -> str:
    """What the strategy waits for, or what it sees."""
    reason = SignalReason(int(signal["reason"]))
    values = frozen.parameters
    if reason == SignalReason.WARMING_UP and "window" in values:
        wanted = tail_bars(str(values.get("zscore", "rolling")), int(values["window"]), "reversion_trees" in frozen.arrays)
        missing = max(wanted - int(signal["n_bars"]), 0)
        minutes = missing * int(values.get("bar_ns", 0)) / NS_PER_MINUTE
        return f"warming up {int(signal['n_bars'])} of {wanted} bars, {minutes:,.0f} min of the market's time to go"
    z = float(signal["zscore"])
    if not np.isfinite(z) or "entry_z" not in values:
        return reason.text
    if int(signal["target"]):
        return f"z {z:+.2f}, leaves at {float(values['exit_z']):g}, stops at {float(values['stop_z']):g}"
    more = "" if reason in (SignalReason.NONE, SignalReason.EXIT) else f", {reason.text}"
    return f"z {z:+.2f}, enters beyond {float(values['entry_z']):g}{more}"
