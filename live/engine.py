"""The engine: owns the memory of one live session and runs its five start-up phases (NF-7).

    1 configuration    frozen files verified, configuration validated
    2 infrastructure   session folder, journal, control page
    3 components       kernels compiled or loaded from the cache
    4 connections      venue's instruments checked against the frozen scales, rooms built, sockets opened, logon, books synchronised
    5 trading enabled  the operator's ENABLE event goes in: orders may leave

The hot loop runs in a thread of its own without the interpreter; this thread keeps the cold side: signals, log lines from the notes ring, journal
segments made ready and synced, the stop. All files of a session lie in one folder: segments, control page, log, result.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hftkit import clock
from hftkit.code_identity import code_identity
from hftkit.codes import Control, EventKind, Hop, RecordType, SessionStatus, SignalReason, Sync, Trading
from hftkit.control import CONTROL_PAGE, ControlPage, load_kernels
from hftkit.errors import HftkitError, VenueError
from hftkit.histogram import write_hlog
from hftkit.instruments import Instrument
from hftkit.journal import JournalWriter, words_of
from hftkit.kernels import jit  # not a kernel source: its edits need no new cache
from hftkit.kernels.memory import telemetry as page_kernel
from hftkit.kernels.memory.ring import format_ring, ring_pop, ring_words
from hftkit.layout import EVENT
from hftkit.params import FrozenParams, check_scales, check_validity, load
from hftkit.rooms import Limits, Rooms, SessionConfig, build_rooms, state_digest, strategy_kernels
from hftkit.running import register
from hftkit.telemetry import create_page
from live import hot_loop as hot
from live.account import held_in_words
from live.config import EngineConfig
from live.confirm import check_confirmed
from live.epoch import new_epoch, session_name, used_epochs
from live.gateways.logon import refusal_in_words
from live.log import SessionLog
from live.open_orders import epoch_of
from live.result import session_result
from live.signals import StopRequest, StopSignals
from live.venue import Venue, make_venue

NOTES_SLOTS = 4096
FINAL_PAGE = "telemetry.page"  # where the page lies once the session is over
_TURN_S = 0.02  # the cold side's own rhythm
_SYNC_EVERY_S = 0.2


class Engine:
    """One live session: `run()` goes through the phases, trades, stops and returns the result as plain data."""

    def __init__(
        self, config: EngineConfig, say: Callable[[str], None], confirmed: Sequence[str] = (), started_with: Sequence[str] = ("", "")
    ) -> None:
        """`config`: its addresses are final; `confirmed`: the real hosts among them that a person has typed (live/confirm.py). Raises ConfigError.

        `started_with`: the TOML file and the ready file that it was made from, for whoever has to see to what a killed session leaves.
        """
        if config.session.mode == "live":
            check_confirmed(config.venue, confirmed)
        self.config = config
        self._say = say
        self.result: dict[str, Any] = {}
        self._status = hot.LoopStatus.RUNNING
        self._stop_signal = StopRequest()
        self.observing = config.session.mode == "observe"
        self._targets: dict[int, int] = {}
        self._started_with = started_with
        self._waiting_commands: queue.SimpleQueue[Control] = queue.SimpleQueue()
        self.venue: Venue = make_venue(config, self.command, lambda number: self.control.command(number), self._note, self._stop_signal.wait)

    # -- phase 1 -----------------------------------------------------------------------------------------------------
    def _configuration(self) -> tuple[FrozenParams, ...]:
        session = self.config.session
        if not session.params:
            raise HftkitError("no frozen parameter file given", "Name one with --params FILE; `hftkit freeze` makes them")
        if session.require_signature:
            from hftkit.signing import verify  # late: only a host that asks for signatures needs the cryptography package

            for path in session.params:
                verify(path, session.require_signature)
        frozen = tuple(load(path) for path in session.params)
        self._phase(SessionStatus.CONFIGURATION, ", ".join(f"{f.name} {f.digest[:12]}" for f in frozen))
        return frozen

    # -- phase 2 -----------------------------------------------------------------------------------------------------
    def _infrastructure(self) -> None:
        journals = Path(self.config.session.journal_dir)
        self.epoch = new_epoch(used_epochs(journals))
        name = self.config.session.session_id or session_name(clock.unix_ns(), self.epoch)
        self.folder = journals / name
        self.venue.begin(name, self.folder, self.epoch)
        self.journal = JournalWriter(self.folder, self.epoch, clock.unix_ns(), self.config.session.segment_mb * 1024 * 1024)
        self.session_key = secrets.randbits(62)  # the panel's proof that telemetry and control page belong together
        self.control = ControlPage.create(self.folder / CONTROL_PAGE, self.session_key)
        self.log = SessionLog(self.folder / "session.log")
        self._register(name)
        self._phase(SessionStatus.INFRASTRUCTURE, f"session {name} in {self.folder}, number {self.epoch:08x}")

    def _register(self, name: str) -> None:
        """Let panels and commands find this session (hftkit/running.py)."""
        toml, ready = self._started_with
        venue = self.config.venue
        self._registration = register("live", self.folder, name=name, account=venue.account, venue=venue.account_text, config=toml, ready_file=ready)
        if self._registration.problem:
            self._note("not_listed", why=self._registration.problem)

    # -- phase 3 -----------------------------------------------------------------------------------------------------
    def _components(self, frozen: tuple[FrozenParams, ...]) -> None:
        self._phase(SessionStatus.COMPONENTS, f"kernels {jit.sources_digest()[:12]}")
        sample = SessionConfig(epoch=1, account=1, instruments=_own_instruments(frozen), strategies=frozen, limits=Limits())
        rooms = build_rooms(sample)
        load_kernels()  # of the control page: no command may wait for them once sockets are open
        self.venue.compile(rooms, self._shell(rooms))

    # -- phase 4 -----------------------------------------------------------------------------------------------------
    def _connections(self, frozen: tuple[FrozenParams, ...]) -> None:
        offered = self.venue.discover(frozen)
        self.log.secrets.learn(*self.venue.secrets)
        for item in frozen:
            check_scales(item, {instrument.symbol: instrument for instrument in offered}, item.name)
        loop, limits = self.config.loop, self.venue.limits(self.config.limits)
        if self.observing:
            limits = msgspec.structs.replace(limits, max_open_orders=0)  # the last of several locks on the same door
        self.session_config = SessionConfig(
            epoch=self.epoch,
            account=self.config.venue.account,
            instruments=offered,
            strategies=frozen,
            limits=limits,
            heartbeat_ns=loop.heartbeat_ms * 1_000_000,
            order_timeout_ns=loop.order_timeout_ms * 1_000_000,
            logon_words=self.venue.logon_words(),
            positions_in_order=self.config.venue.kind == "binary",
        )
        self.rooms = build_rooms(self.session_config)
        self.strategies = strategy_kernels(self.session_config)
        self.page = create_page(page_path(self.folder), len(offered), len(frozen), self._page_info(frozen, offered))
        self.page.head[page_kernel.STARTED_UNIX_NS], self.page.head[page_kernel.STARTED_MONOTONIC_NS] = clock.unix_ns(), clock.monotonic_ns()
        (self.folder / "telemetry.path").write_text(str(page_path(self.folder)))
        self.shell = self._shell(self.rooms)
        now = clock.monotonic_ns()
        self.journal.append(RecordType.SESSION_BEGIN, now, words_of(json.dumps(code_identity(f.strategy for f in frozen)).encode()))
        self.journal.append(RecordType.CONFIG, now, words_of(self.session_config.to_bytes()))
        self.venue.prepare(self.rooms, self.shell, page_path(self.folder), self.session_config)
        self._thread = threading.Thread(target=self._run_loop, name="hot-loop", daemon=True)
        self.command(Control.CONNECT)
        self._thread.start()
        self.venue.connect()
        self._wait_ready(frozen, self.config.venue.connect_timeout_s)
        self._phase(SessionStatus.CONNECTIONS, f"{self.venue.where()}, {len(offered)} instruments")

    def _wait_ready(self, frozen: tuple[FrozenParams, ...], timeout_s: float) -> None:
        """Logged on, scales as frozen, the books of every leg synchronised, the account flat in them."""
        deadline = clock.monotonic_s() + timeout_s
        legs = {int(i) for name in ("lead", "hedge") for i in self.rooms.legs[name] if i >= 0}
        session = self.rooms.session[0]
        while clock.monotonic_s() < deadline and self._status == hot.LoopStatus.RUNNING:
            logged_on = session["logged_on"] or self.observing
            settled = self.venue.settled()
            if logged_on and settled and session["instruments_ok"] == 1 and all(self.rooms.book["sync"][i] == Sync.SYNCED for i in legs):
                break
            self._turn()
        else:
            if self._status != hot.LoopStatus.RUNNING:
                raise self._lost()
            missing = self.venue.missing() or ("logon" if not session["logged_on"] and not self.observing else "book snapshots")
            raise VenueError(f"the venue did not answer with {missing} within {timeout_s:g} s", "See the venue's log")
        for item in frozen:  # by the venue's clock: a simulated market has its own date
            check_validity(item, int(session["ts_exchange"]), item.file_name)
        held = {self.session_config.instruments[i].symbol: int(self.rooms.ledger["venue_position"][i]) for i in legs}
        if any(held.values()):
            raise VenueError(*held_in_words({symbol: lots for symbol, lots in held.items() if lots}))

    # -- phase 5 and after -------------------------------------------------------------------------------------------
    def run(self) -> dict[str, Any]:
        """The whole session. Raises HftkitError where it could not start; afterwards the result says how it ended."""
        started = clock.monotonic_ns()
        frozen = self._configuration()
        self._infrastructure()
        try:
            self._components(frozen)
            self._connections(frozen)
            if not self.observing:
                self.command(Control.ENABLE)
            self.startup_s = (clock.monotonic_ns() - started) / 1e9
            self._phase(SessionStatus.TRADING, f"after {self.startup_s:.2f} s; telemetry {page_path(self.folder)}; control {self.control.path}")
            self._trade()
        except BaseException:
            self._abandon()
            self._finish(SessionStatus.FAILED)
            raise
        ended_well = self._status == (hot.LoopStatus.ABANDONED if self.observing else hot.LoopStatus.LOGGED_OUT)
        self._finish(SessionStatus.STOPPED if ended_well else SessionStatus.FAILED)
        if not ended_well:
            raise self._lost()
        return self.result

    def _trade(self) -> None:
        """Until the session is over: the duration, a signal or the operator asks for the stop; the loop ends it once flat."""
        duration, ended_at = self.config.session.duration_s, None
        end = clock.monotonic_s() + duration if duration else float("inf")
        while self._thread.is_alive():
            self._turn()
            now = clock.monotonic_s()
            if self.observing and (now >= end or self._stop_signal.is_set()):
                self._abandon()  # nothing to flatten, nothing to log out of
                continue
            stopping = self.rooms.risk[0]["trading"] >= Trading.STOPPING and self.rooms.session[0]["stop_requested"] > 0
            if not stopping and (now >= end or self._stop_signal.is_set()):
                self.command(Control.STOP)
                end = float("inf")
                self._stop_signal.clear()
            if stopping and ended_at is None:
                ended_at = now
            if ended_at is not None and now - ended_at > self.config.session.stop_timeout_s:
                self.log.event("stop_timeout", positions=self.positions())
                self._abandon()

    def install_signals(self) -> None:
        """Every signal that would end the process asks for a clean stop: flat, logged out, journal closed."""
        StopSignals(self._stop_signal.set, self._say).install()

    def command(self, code: Control) -> int:
        """Give the hot loop a command, through our own mapping of the control page. Its number; 0 where it has to wait for room.

        What waits is given again in the next turn, but for PAUSE and RESUME: the door decides them anew.
        """
        number = self.control.post(code)
        if not number and code not in (Control.PAUSE, Control.RESUME):
            self._waiting_commands.put(code)
        return number

    def positions(self) -> dict[str, int]:
        """Signed position in lots of every instrument that is not flat."""
        held = self.rooms.ledger["position"]
        return {self.session_config.instruments[i].symbol: int(held[i]) for i in np.flatnonzero(held)}

    def _run_loop(self) -> None:
        while True:
            status = hot.LoopStatus(self.venue.run(self.rooms, self.strategies, self.shell, self.page))
            if status != hot.LoopStatus.JOURNAL_FULL:
                self._status = status
                return
            self.shell = self.shell._replace(segment=self.journal.roll())

    def _turn(self) -> None:
        """One turn of the cold side."""
        self._stop_signal.wait(_TURN_S)
        self.journal.prepare()
        if clock.monotonic_s() - getattr(self, "_synced", 0.0) > _SYNC_EVERY_S:
            self.journal.sync()
            self._synced = clock.monotonic_s()
        note = np.zeros(hot.NOTE_WORDS, np.int64)
        while ring_pop(self.shell.notes, note, 0):
            self.log.note(note)
            self._meet_stray(note)
        for _ in range(self._waiting_commands.qsize()):
            self.command(self._waiting_commands.get())
        self.venue.turn()
        self._log_signals()

    def _meet_stray(self, note: np.ndarray) -> None:
        """An answer about an order of another session goes to the venue's rules."""
        if note[0] == hot.NOTE_EVENT:
            event = note[1 : 1 + EVENT.dtype.itemsize // 8].view(EVENT.dtype)[0]
            number = int(event["client_order_id"])
            if EventKind.ORDER_ACK <= event["kind"] <= EventKind.ORDER_STATUS and number and epoch_of(number) != self.epoch:
                self.venue.stray(event)

    def _log_signals(self) -> None:
        """Each change of what a strategy wants, in words (ST-8: in observe mode that is all there is)."""
        for slot, target in enumerate(self.rooms.signal["target"].tolist()):
            if self._targets.get(slot, 0) != target:
                self._targets[slot] = target
                row = self.rooms.signal[slot]
                reason = SignalReason(int(row["reason"])).text
                self.log.event(
                    "signal", strategy=slot, target=target, zscore=round(float(row["zscore"]), 4), reason=reason, ts_event=int(row["ts_event"])
                )

    def _abandon(self) -> None:
        if hasattr(self, "shell"):
            self.shell.io[hot.ABANDON] = 1
        if hasattr(self, "_thread") and self._thread.is_alive():
            self._thread.join(timeout=5)

    def _finish(self, status: SessionStatus) -> None:
        """Close journal, sockets and log; write the result. Never loses what was journalled."""
        if hasattr(self, "rooms"):
            while ring_pop(self.shell.notes, note := np.zeros(hot.NOTE_WORDS, np.int64), 0):
                self.log.note(note)
            self.venue.close()
            digest = np.frombuffer(state_digest(self.rooms), np.int64)
            self.journal.append(RecordType.SESSION_END, clock.monotonic_ns(), digest)
            self.page.head[page_kernel.STATUS] = int(status)
            self.result = session_result(self, status)
            (self.folder / "result.json").write_text(json.dumps(self.result, indent=2, sort_keys=True) + "\n")
            write_hlog(
                self.folder / "latency.hlog", self._named_histograms(), self.page.head[page_kernel.STARTED_UNIX_NS] / 1e9, clock.unix_ns() / 1e9
            )
        self.venue.close()  # again, where there were no rooms yet
        self._registration.close()
        self.journal.close()
        self.log.close()
        if hasattr(self, "page"):
            self._keep_page()

    def _keep_page(self) -> None:
        """Move the telemetry page from shared memory into the session's folder, where panels find its last state."""
        running, final = page_path(self.folder), self.folder / FINAL_PAGE
        if running != final:
            shutil.copyfile(running, final)
            (self.folder / "telemetry.path").write_text(str(final))
            running.unlink()

    def _named_histograms(self) -> dict[str, np.ndarray]:
        return {hop.name.lower(): self.page.histograms[int(hop)] for hop in Hop}

    def _lost(self) -> VenueError:
        """The one line that says how the session was lost."""
        last = self.rooms.event[0]
        refused, cure = "an answer of the venue is missing (a gap in its sequence)", ""
        if int(last["kind"]) == EventKind.SESSION_REJECT:
            refused, cure = refusal_in_words(int(last["code"]), self.config.venue.account)
        reasons = {
            hot.LoopStatus.ORDER_ENTRY_LOST: "the venue closed the order entry connection",
            hot.LoopStatus.MARKET_DATA_LOST: "the venue closed the market data connection",
            hot.LoopStatus.MARKET_DATA_BROKEN: "the venue sent a market data frame of impossible length",
            hot.LoopStatus.ORDER_ENTRY_BROKEN: "the venue sent an order entry frame of impossible length",
            hot.LoopStatus.BACKPRESSURE: "the venue does not read its order entry socket",
            hot.LoopStatus.SESSION_REFUSED: refused,
            hot.LoopStatus.ABANDONED: "the session could not get flat in time",
        }
        held = self.positions()
        state = f"positions {held} lots remain" if held else "no position remains"
        return VenueError(
            f"{reasons.get(self._status, self._status.name)}; {state}; the journal is complete up to that moment",
            cure or f"See {self.folder}; check the account at the venue before the next session",
        )

    def _shell(self, rooms: Rooms) -> hot.Shell:
        notes_words = ring_words(NOTES_SLOTS, hot.NOTE_WORDS)
        io = np.zeros(hot.IO_WORDS, np.int64)
        io[hot.WAIT] = int(hot.Wait[self.config.loop.wait.upper()])
        io[hot.TIMER_NS], io[hot.IDLE_NS] = self.config.loop.timer_us * 1000, self.config.loop.idle_timer_ms * 1_000_000
        return hot.Shell(
            io=io,
            order_in=np.zeros(hot.RECEIVE_WORDS, np.int64),
            data_in=np.zeros(hot.RECEIVE_WORDS, np.int64),
            segment=self.journal.segment,
            journal=self.journal.state,
            control=self.control.words,
            notes=format_ring(np.zeros(notes_words, np.int64), NOTES_SLOTS, hot.NOTE_WORDS),
            event_words=rooms.event.view(np.int64),
            scratch=np.zeros(32, np.int64),
            sent_at=np.zeros(rooms.orders.size, np.int64),
        )

    def _page_info(self, frozen: tuple[FrozenParams, ...], offered: tuple[Instrument, ...]) -> dict[str, Any]:
        return {
            "session": self.folder.name,
            "journal": str(self.folder),
            "control": str(self.control.path),
            "control_key": self.session_key,
            "account": self.session_config.account,
            "instruments": [msgspec.to_builtins(instrument) for instrument in offered],
            "strategies": [
                {
                    "name": f.name,
                    "strategy": f.strategy,
                    "digest": f.digest,
                    "lead": f.legs.lead,
                    "hedge": f.legs.hedge,
                    "parameters": dict(f.parameters),
                }
                for f in frozen
            ],
            "limits": msgspec.to_builtins(self.config.limits),
        }

    def _note(self, event: str, **facts: Any) -> None:
        """What the venue's threads have to tell, for the log."""
        if hasattr(self, "log"):
            self.log.event(event, **facts)

    def _phase(self, status: SessionStatus, detail: str) -> None:
        name = {SessionStatus.TRADING: "trading enabled"}.get(status, status.text)
        self._say(f"[{int(status)}/5] {name}: {detail}")
        if hasattr(self, "log"):
            self.log.event("phase", number=int(status), phase=name, detail=detail)
        if hasattr(self, "page"):
            self.page.head[page_kernel.STATUS] = int(status)  # last: whoever sees it finds the line


def page_path(folder: Path) -> Path:
    """Where a session's telemetry page lies: in shared memory if there is such a file system, else in the session's folder."""
    shared = Path("/dev/shm")
    if shared.is_dir() and os.access(shared, os.W_OK):
        return shared / f"hftkit-{os.getuid()}-{folder.name}-{os.getpid()}.page"
    return folder / FINAL_PAGE


def _own_instruments(frozen: tuple[FrozenParams, ...]) -> tuple[Instrument, ...]:
    found: dict[str, Instrument] = {}
    for item in frozen:
        for instrument in item.instruments:
            found.setdefault(instrument.symbol, instrument)
    return tuple(found.values())
