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

import contextlib
import queue
import secrets
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hftkit import clock
from hftkit.codes import Control, EventKind, SessionStatus, Side, Trading
from hftkit.compilation.compile_progress import compilation_said
from hftkit.compilation.strategy_kernels import compile_strategies
from hftkit.errors import HftkitError
from hftkit.kernels import jit  # not a kernel source: its edits need no new cache
from hftkit.kernels.memory import telemetry as page_kernel
from hftkit.kernels.memory.ring import ring_pop
from hftkit.layout import EVENT
from hftkit.params.format import FrozenParams, check_scales, parse_frozen, read_frozen
from hftkit.session.control import CONTROL_PAGE, ControlPage, load_kernels
from hftkit.session.engine_state import Limits, SessionConfig, build_engine_state, strategy_kernels
from hftkit.session.journal import RESERVE_BYTES, JournalWriter
from hftkit.session.resume import Past
from hftkit.session.running import register
from hftkit.session.sessions import prune_at_start
from hftkit.session.telemetry import create_page
from hftkit.system import private_files
from live import hot_loop as hot
from live.account.epoch import new_epoch, session_name, used_epochs
from live.account.open_orders import epoch_of
from live.config import EngineConfig
from live.ending import failpoints
from live.ending.decision import Ending, ExitCode, Halt, Step, Stopping, halt_of
from live.ending.faults import Faults
from live.ending.result import FINAL_STATES
from live.ending.session_end import end_session
from live.ending.signals import StopRequest, StopSignals
from live.errors import SessionLeft, StopAsked
from live.lifecycle import LifeCycle, stands_at
from live.limit_check import check_session, refuse_twice
from live.log.log import SessionLog
from live.log.tell import Tell
from live.loop_memory import loop_context
from live.operate.confirm import check_confirmed
from live.operate.reload import Reload
from live.readiness import wait_ready
from live.recovery.adopt import adopt
from live.recovery.reconnect import Reconnect
from live.recovery.takeover import Takeover, begin_journal, frozen_of_past, let_trade, state_of, take_limits
from live.segments import next_segment
from live.session_page import own_instruments, page_info, page_path
from live.space import SpaceWatch
from live.touch import touch
from live.venue import Venue, account_text, adapter

_TURN_S = 0.02  # the cold side's own rhythm
_SYNC_EVERY_S = 0.2


class Engine:
    """One live session: `run()` goes through the phases, trades, stops and returns the result as plain data.

    Owner: the engine's thread. The hot thread runs `_run_loop` and hands over by binding `shell`, `loop_status` and, after a reload, `rooms` and
    `session_config`; others reach `command`, `_note`.
    """

    def __init__(
        self,
        config: EngineConfig,
        say: Callable[[str], None],
        confirmed: Sequence[str] = (),
        started_with: Sequence[str] = ("", ""),
        past: Past | None = None,
        report: Callable[..., None] | None = None,
    ) -> None:
        """`config`: its addresses are final; `confirmed`: the real hosts among them that a person has typed (operate/confirm.py). Raises ConfigError.

        `started_with`: the TOML file and the ready file that it was made from, for whoever has to see to what a session leaves. `past`: the session
        that this one goes on with. `report(at, **facts)`: for a supervisor, that it has a session, and trades.
        """
        if config.session.mode == "live":
            check_confirmed(config.venue, confirmed)
        self.config, self.past, self.report = config, past, report or (lambda at, **facts: None)
        self._say = say
        self.result: dict[str, Any] = {}
        self.ending: Ending
        self.loop_status = hot.LoopStatus.RUNNING
        self._stop_signal = StopRequest()
        self.observing = config.session.mode == "observe"
        self.trading_since, self.started_with = 0.0, started_with
        self.faults = Faults(self._note, self.say)
        self.halt: Halt | None = None
        self._halt_why = ""
        self._waiting_commands: queue.SimpleQueue[Control] = queue.SimpleQueue()
        self._signalled, self._given_up, self._synced = "", False, 0.0
        self.snapshots = self.snapshot_ns = 0  # snapshots in the journal; what the last one cost the hot thread
        self.has_log = self.configured = False  # the log is open; the frozen files are verified
        self.built = self.ready = self.started = self.over = False  # memory and hot thread are there; all is in; trading was enabled; it has ended
        self.life = LifeCycle(self._note)
        self.adapter, last = adapter(config.venue.kind), lambda number: self.control.command(number)
        self.venue: Venue = self.adapter.session(config, self.command, last, self._note, self._stop_signal.wait)
        self.adopted: dict[str, int] | None = None  # signed lots by symbol, where the session began with what its account held
        self.takeover = Takeover(past) if past is not None else None
        self.reconnect = Reconnect(self)
        self.reload = Reload(self)
        self.leaves = False  # the hot loop is to return as it is

    # -- phase 1 -----------------------------------------------------------------------------------------------------
    def _configuration(self) -> tuple[FrozenParams, ...]:
        session = self.config.session
        if self.past is not None and not session.params:
            frozen = frozen_of_past(self.past, self.config, self.adapter.resumes)
            self._phase(SessionStatus.CONFIGURATION, f"goes on with session {self.past.folder.name}: {', '.join(f.name for f in frozen)}")
            return frozen
        if not session.params:
            raise HftkitError("no frozen parameter file given", "Name one with --params FILE; `hftkit freeze` makes them")
        texts = {path: read_frozen(path) for path in session.params}  # read once: what is verified is what is traded
        if session.require_signature:
            from hftkit.params.signing import verify  # late: only a host that asks for signatures needs the cryptography package

            for path, text in texts.items():
                verify(path, session.require_signature, text)
        frozen = tuple(parse_frozen(text, str(path)) for path, text in texts.items())
        refuse_twice(session.params, frozen)
        self._phase(SessionStatus.CONFIGURATION, ", ".join(f"{f.name} {f.digest[:12]}" for f in frozen))
        return frozen

    # -- phase 2 -----------------------------------------------------------------------------------------------------
    def _infrastructure(self) -> None:
        journals = Path(self.config.session.journal_dir)
        self.epoch = new_epoch(used_epochs(journals))
        name = self.config.session.session_id or session_name(clock.unix_ns(), self.epoch)
        self.folder = private_files.private_folder(journals / name)
        self.venue.begin(name, self.folder, self.epoch)
        session = self.config.session
        segment_bytes = session.segment_mb * 1024 * 1024
        self.journal = JournalWriter(self.folder, self.epoch, clock.unix_ns(), segment_bytes, RESERVE_BYTES)
        self.session_key = secrets.randbits(62)  # the panel's proof that telemetry and control page belong together
        try:
            self.control = ControlPage.create(self.folder / CONTROL_PAGE, self.session_key)
            self.log = SessionLog(self.folder / "session.log", int(session.log_mb * 2**20), session.log_files)
        except BaseException:
            self.journal.close()
            raise
        self.has_log = True
        self._register(name)
        prune_at_start(self.folder.parent, session.keep_days, session.keep_gb, self._note)
        full = f"the disk of {self.folder} is full"
        warn_h, alarm_h = session.space_warn_h, session.space_alarm_h
        self.space = SpaceWatch(self.folder, segment_bytes, warn_h, alarm_h, self._note, self._say, lambda: self.ask_stop(full))
        fits = self.space.first(clock.monotonic_s()).text
        self._phase(SessionStatus.INFRASTRUCTURE, f"session {name} in {self.folder}, number {self.epoch:08x}; journal: {fits}")

    def _register(self, name: str) -> None:
        """Let panels and commands find this session (hftkit/session/running.py)."""
        toml, ready = self.started_with
        venue = self.config.venue
        self.registration = register("live", self.folder, name=name, account=venue.account, venue=account_text(venue), config=toml, ready_file=ready)
        if self.registration.problem:
            self._note("not_listed", why=self.registration.problem)

    # -- phase 3 -----------------------------------------------------------------------------------------------------
    def _components(self, frozen: tuple[FrozenParams, ...]) -> None:
        self._phase(SessionStatus.COMPONENTS, f"kernels {jit.sources_digest()[:12]}")
        sample = SessionConfig(epoch=1, account=1, instruments=own_instruments(frozen), strategies=frozen, limits=Limits())
        rooms = build_engine_state(sample)
        with compilation_said():
            compile_strategies(item.strategy for item in frozen)
            load_kernels()  # of the control page: no command may wait for them once sockets are open
            self.venue.compile(rooms, loop_context(self.config.loop, rooms, self.journal, self.control))

    # -- phase 4 -----------------------------------------------------------------------------------------------------
    def _connections(self, frozen: tuple[FrozenParams, ...]) -> None:
        offered = self.venue.discover(frozen)
        self.log.secrets.learn(*self.venue.secrets)
        for item in frozen:
            check_scales(item, {instrument.symbol: instrument for instrument in offered}, item.name)
        take_limits(self)
        loop, limits = self.config.loop, self.venue.limits(self.config.limits, frozen)
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
            logon_words=self.venue.logon_words(self.past.next_seq_in) if self.past is not None else self.venue.logon_words(),
            watch_validity=True,
            positions_in_order=self.adapter.positions_in_order,
        )
        self.rooms = build_engine_state(self.session_config) if self.past is None else state_of(self.past, self.session_config)
        if self.config.session.adopt and self.past is None:
            adopt(self, offered)
        self.strategies = strategy_kernels(self.session_config)
        self.page_path = page_path(self.folder)
        self.page = create_page(self.page_path, len(offered), len(frozen), page_info(self, frozen, offered), self.rooms.watch.shape[1])
        self.page.head[page_kernel.STARTED_UNIX_NS], self.page.head[page_kernel.STARTED_MONOTONIC_NS] = clock.unix_ns(), clock.monotonic_ns()
        private_files.write(self.folder / "telemetry.path", str(self.page_path))
        self.shell = loop_context(self.config.loop, self.rooms, self.journal, self.control)
        self.thread = threading.Thread(target=self._run_loop, name="hot-loop", daemon=True)
        self.built = True
        self.live()
        now = clock.monotonic_ns()
        begin_journal(self, frozen, now)
        self.report("session", folder=str(self.folder.absolute()))
        self.venue.prepare(self.rooms, self.shell, self.page_path, self.session_config)
        touch(self.rooms, self.shell._replace(segment=self.shell.scratch, control=self.shell.scratch), self.page)
        self.tell = Tell(self)
        self.command(Control.CONNECT)
        self.thread.start()
        self.venue.connect()
        wait_ready(self, frozen, self.config.venue.connect_timeout_s)
        check_session(self, frozen)
        self._phase(SessionStatus.CONNECTIONS, f"{self.venue.where()}, {len(offered)} instruments")

    # -- phase 5 and after -------------------------------------------------------------------------------------------
    def run(self) -> dict[str, Any]:
        """The whole session. Raises HftkitError where it could not start; after that it raises nothing: `ending` and the result say how it ended."""
        started = clock.monotonic_ns()
        failpoints.arm()
        frozen = self._configuration()
        self.configured = True
        self._infrastructure()
        self.live()
        try:
            self._components(frozen)
            self.stop_if_asked()
            self._connections(frozen)
            self.stop_if_asked()
            let_trade(self)
            self.startup_s, self.trading_since = (clock.monotonic_ns() - started) / 1e9, clock.monotonic_s()
        except BaseException as error:
            end_session(self, str(error), stop_asked=isinstance(error, StopAsked))
            if self.ending.code is ExitCode.LEFT:  # graver than what kept it from starting
                raise SessionLeft(self.ending.line) from error
            raise
        self.started = True
        self.report("trading", ns=clock.monotonic_ns())
        if self.takeover is not None:
            self.log.event("recovered", at_ns=clock.monotonic_ns(), **self.takeover.as_json())
        self._phase(SessionStatus.TRADING, f"after {self.startup_s:.2f} s; telemetry {self.page_path}; control {self.control.path}")
        self._trade()
        end_session(self, "")
        return self.result

    def stop_if_asked(self) -> None:
        """Raise, while the session starts, where it is not to go on."""
        if self._signalled:
            raise HftkitError(f"the session was not started: {self._signalled}", f"See {self.folder / 'session.log'}")
        if self._stop_signal.is_set():
            raise StopAsked
        if self.faults.first:
            raise HftkitError(f"a part of the engine failed during start-up: {self.faults.first}", f"See {self.folder / 'session.log'}")

    def _trade(self) -> None:
        """Until the hot loop is over: the duration, a signal, the operator or a failure asks for the stop; the loop ends once flat."""
        duration = self.config.session.duration_s
        end_s = clock.monotonic_s() + duration if duration else float("inf")
        self.stopping = Stopping(end_s, self.config.session.stop_timeout_s, self.observing)
        while self.thread.is_alive() and not self._given_up:
            self.turn()
            self.faults.guard("steer", self._steer)

    def _steer(self) -> None:
        """Ask for the stop, or give up, where that is due."""
        stopping = self.rooms.risk[0]["trading"] >= Trading.STOPPING and self.rooms.session[0]["stop_requested"] > 0
        if self._stop_signal.is_set():
            self._signalled = self._signalled or "a signal"
            self._stop_signal.clear()  # it is also what a turn waits for
        asked = self._signalled or self.faults.first
        known = self.stopping.why
        step = self.stopping.next(clock.monotonic_s(), asked, bool(stopping))
        if self.stopping.why != known:
            self.log.event("stopping", why=self.stopping.why)
        if step is Step.SEND_STOP:
            self.command(Control.STOP)
        elif step is Step.GIVE_UP:
            if not self.observing:
                self.log.event("stop_timeout", positions=self.positions(), orders=list(self.open_orders()))
            self.abandon()
            self._given_up = True  # also where the loop does not return

    def ask_stop(self, why: str) -> None:
        """Ask for a clean stop, as a signal does."""
        self._signalled = why
        self._stop_signal.set()

    def install_signals(self) -> None:
        """Every signal that would end the process asks for a clean stop: flat, logged out, journal closed."""
        StopSignals(self._stop_signal.set, self._say).install()

    def command(self, code: Control) -> int:
        """Give the hot loop a command, through our own mapping of the control page. Its number; 0 where it has to wait for room.

        What waits is given again in the next turn, but for PAUSE and RESUME: the door decides them anew.
        """
        try:
            failpoints.reach("command")
        except BaseException as error:
            self.faults.note("command", error)  # and it is given all the same
        number = self.control.post(code)
        if not number and code not in (Control.PAUSE, Control.RESUME):
            self._waiting_commands.put(code)
        return number

    def positions(self) -> dict[str, int]:
        """Signed position in lots of every instrument that is not flat."""
        held = self.rooms.ledger["position"]
        return {self.session_config.instruments[i].symbol: int(held[i]) for i in np.flatnonzero(held)}

    def open_orders(self) -> tuple[str, ...]:
        """Orders without an outcome, by our own table."""
        orders, instruments = self.rooms.orders, self.session_config.instruments
        return tuple(
            f"{instruments[int(row['instrument'])].symbol} {Side(int(row['side'])).text} {int(row['qty'] - row['filled_qty'])} lots "
            f"({int(row['client_order_id'])})"
            for row in orders[~np.isin(orders["state"], FINAL_STATES)]
        )

    def _run_loop(self) -> None:
        """The hot thread: the compiled loop, and between two runs of it the next segment."""
        try:
            while True:
                status = hot.LoopStatus(self.venue.run(self.rooms, self.strategies, self.shell, self.page))
                if self.reconnect.again(status) or (status == hot.LoopStatus.ASKED and self.reload.take_up()):
                    continue
                segment = next_segment(self) if status == hot.LoopStatus.JOURNAL_FULL else None
                if segment is None:
                    self.loop_status = hot.LoopStatus.JOURNAL_FULL if status is hot.LoopStatus.ASKED else status
                    return
                self.shell = self.shell._replace(segment=segment)
        except BaseException as error:
            self.faults.note("hot loop", error)

    def turn(self, pause_s: float = _TURN_S) -> None:
        """One turn of the cold side: each duty apart, so that one that fails keeps none of the others from its work."""
        with contextlib.suppress(Exception):
            self._stop_signal.wait(pause_s)
        guard = self.faults.guard
        guard("watch", self.watch)
        guard("life", self.live)
        guard("line", self.reconnect.tell)
        guard("venue turn", self.venue.turn)
        guard("journal prepare", self.journal.prepare)
        if clock.monotonic_s() - self._synced > _SYNC_EVERY_S:
            self._synced = clock.monotonic_s()
            guard("journal sync", self.journal.sync)
        guard("notes", self.log_notes)
        guard("commands", self._give_waiting)
        guard("reload", self.reload.turn)
        guard("signals", self.tell.signals)
        guard("books", self.tell.books)
        guard("space", self.tell.space)
        guard("page", self.venue.publish)
        guard("status", self.tell.status.turn)
        if self.log.failing and not self.log.flush():
            self.faults.note("log file", OSError(self.log.failing))

    def live(self) -> None:
        """Note where the session stands."""
        self.life.enter(stands_at(self))

    def watch(self) -> None:
        """Tell a halt, once, with its reason and numbers."""
        if self.halt is None and self.rooms.risk[0]["trading"] == Trading.HALTED:
            self.halt = halt_of(self.rooms.risk[0].copy(), self._halt_why)
            self.log.event("halt", **self.halt.as_json(), reason=self.halt.text)
            self.say(f"HALT: {self.halt.text}: leaving every position, no new entry in this session")

    def log_notes(self) -> None:
        """What the hot thread has noted goes into the log."""
        note = np.zeros(hot.NOTE_WORDS, np.int64)
        while ring_pop(self.shell.notes, note, 0):
            self.log.note(note)
            self.tell.status.note(note)
            self._meet_stray(note)

    def _give_waiting(self) -> None:
        """Commands that found no room on the page, once more."""
        for _ in range(self._waiting_commands.qsize()):
            self.command(self._waiting_commands.get())

    def _meet_stray(self, note: np.ndarray) -> None:
        """An answer about an order of another session goes to the venue's rules."""
        if note[0] == hot.NOTE_EVENT:
            event = note[1 : 1 + EVENT.dtype.itemsize // 8].view(EVENT.dtype)[0]
            number = int(event["client_order_id"])
            if self.takeover is not None and self.takeover.note(event):
                return
            if EventKind.ORDER_ACK <= event["kind"] <= EventKind.ORDER_STATUS and number and epoch_of(number) != self.epoch:
                self.venue.stray(event)

    def abandon(self) -> None:
        """Have the hot loop return as it is."""
        if self.built:
            self.leaves = True
            self.shell.loop["abandon"] = hot.LEAVE
            if self.thread.is_alive():
                self.thread.join(timeout=5)

    def _note(self, event: str, **facts: Any) -> None:
        """What the venue's threads have to tell, for the log."""
        if event == "halt_asked":
            self._halt_why = str(facts.get("why", ""))
        if self.has_log:
            self.log.event(event, **facts)

    def say(self, line: str) -> None:
        """Say it to a person; a terminal that is closed is no reason to stop."""
        with contextlib.suppress(Exception):
            self._say(line)

    def _phase(self, status: SessionStatus, detail: str) -> None:
        name = {SessionStatus.TRADING: "trading enabled"}.get(status, status.text)
        self.say(f"[{int(status)}/5] {name}: {detail}")
        if self.has_log:
            self.log.event("phase", number=int(status), phase=name, detail=detail)
        if self.built:
            self.page.head[page_kernel.STATUS] = int(status)  # last: whoever sees it finds the line
