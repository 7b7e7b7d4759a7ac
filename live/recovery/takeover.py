"""A session that goes on with another one: what it needs of that before it may trade."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from hftkit import clock
from hftkit.codes import Control, EventKind, RecordType, Trading
from hftkit.errors import HftkitError
from hftkit.params.format import FrozenParams
from hftkit.session.code_identity import code_identity
from hftkit.session.engine_state import EngineState, SessionConfig
from hftkit.session.journal import words_of
from hftkit.session.resume import Past, carry, check_same, mark_continued, told
from hftkit.session.snapshot import Kind, parts_of, snapshot_words
from live.config import EngineConfig
from live.operate.reload import live_limits
from live.recovery.adopt import write_state

if TYPE_CHECKING:
    from live.engine import Engine


def frozen_of_past(past: Past, config: EngineConfig, resumes: bool) -> tuple[FrozenParams, ...]:
    """The frozen files that the old session traded, out of its journal. Raises HftkitError where this session may not go on with it."""
    name = past.folder.name
    if not resumes:
        raise HftkitError(f"a session at a venue of kind {config.venue.kind!r} cannot be resumed", "`hftkit flatten` closes what is open")
    if config.session.mode != "live":
        raise HftkitError(f"session {name} cannot be resumed to observe", "Leave --mode out")
    if config.session.require_signature:
        raise HftkitError(
            f"session {name} has its frozen files in its journal, unsigned", "Name them with --params: their signatures are checked then"
        )
    return past.config.strategies


def state_of(past: Past, config: SessionConfig) -> EngineState:
    """The state that the new session begins with. Raises HftkitError where it does not trade what the old one did."""
    check_same(past, config)
    return carry(past, config, clock.monotonic_ns())


def take_limits(engine: Engine) -> None:
    """Limits that the old session was given while it ran go on, whatever the configuration file says: that one is older, or says the same."""
    past = engine.past
    if past is not None and past.limits_reloaded:
        engine.config = msgspec.structs.replace(engine.config, limits=live_limits(past.config.limits))
        engine.say(f"limits: those that session {past.folder.name} was given while it ran; `hftkit reload --limits` changes them")


def begin_journal(engine: Engine, frozen: tuple[FrozenParams, ...], now_ns: int) -> None:
    """SESSION_BEGIN, CONFIG, and where there is an old session its state. From then on nobody else may go on with that."""
    past = engine.past
    begun = code_identity(item.strategy for item in frozen)
    begun |= {"continues": told(past)} if past is not None else {"adopted": engine.adopted} if engine.adopted is not None else {}
    engine.journal.append(RecordType.SESSION_BEGIN, now_ns, words_of(json.dumps(begun).encode()))
    engine.journal.append(RecordType.CONFIG, now_ns, words_of(engine.session_config.to_bytes()))
    if past is not None:
        for part in parts_of(snapshot_words(engine.rooms, Kind.GIVEN), 0):
            engine.journal.append(RecordType.SNAPSHOT, now_ns, part)
        engine.shell = engine.shell._replace(segment=engine.journal.segment)
        mark_continued(past.folder, engine.folder.name)
    elif engine.adopted is not None:
        write_state(engine, now_ns)


def let_trade(engine: Engine) -> None:
    """Orders may leave: what the old session had paused, halted or was leaving stays so."""
    if engine.takeover is not None and not engine.takeover.was_trading:
        engine.control.open_door()
        engine.say(f"trading stays {Trading(int(engine.rooms.risk[0]['trading'])).text}, as it was")
    elif not engine.observing:
        engine.command(Control.ENABLE)
    if engine.past is not None and engine.config.recovery.then == "flatten":
        engine.ask_stop('recovered, and [recovery] then = "flatten"')


class Takeover:
    """Follows the answers of the venue until all is known that the old session did not see. Owner: the engine's thread.

    The venue sends again, in order, what was missed, and answers a heartbeat behind that: its echo says that nothing more is to come.
    """

    def __init__(self, past: Past) -> None:
        self.was_trading = int(past.rooms.risk["trading"][0]) == Trading.ENABLED
        self.began_ns = clock.monotonic_ns()
        self._name, self._snapshot = past.folder.name, past.from_snapshot
        self._in_sequence = past.next_seq_in > 1
        self._known = {int(number) for number in past.rooms.orders["client_order_id"] if number}
        self._unresolved = {int(number) for number in past.open_orders["client_order_id"]}
        self.caught_up = not self._in_sequence
        self.n_unresolved = len(self._unresolved)
        self.n_missed_fills = 0

    def as_json(self) -> dict[str, object]:
        """For the log and the result."""
        return {"continues": self._name, "unresolved_orders": self.n_unresolved, "missed_fills": self.n_missed_fills, "from_snapshot": self._snapshot}

    def note(self, event: np.void) -> bool:
        """An order entry answer (EVENT). Whether it is about an order of the old session, which is ours now."""
        if event["kind"] == EventKind.VENUE_HEARTBEAT and int(event["qty"]) >= self.began_ns:
            self.caught_up = True
        known = int(event["client_order_id"]) in self._known
        if known and event["kind"] == EventKind.ORDER_FILL:
            self.n_missed_fills += 1
        return known

    def settled(self, rooms: EngineState) -> bool:
        """Whether everything that was missed is in, and no order of the old session is without an outcome or an acknowledgement."""
        if not self.caught_up:
            return False
        for number in tuple(self._unresolved):
            row = rooms.orders[(number & 0xFFFFFFFF) % rooms.orders.size]
            if int(row["client_order_id"]) != number or int(row["ts_ack"]):
                self._unresolved.discard(number)
        return not self._unresolved
