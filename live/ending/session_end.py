"""The end of a session, whatever ended it: ask the venue what is left, close everything, say how it ended, write the result.

Every part is guarded apart (faults.py): none of them keeps another from its work, and nothing is raised. What it all comes to is decided in
live/ending/decision.py. The journal is closed before the result is written: what it had in reserve is room for it on a full disk.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hftkit import clock
from hftkit.codes import EventKind, Hop, RecordType, Reject, SessionStatus
from hftkit.kernels.memory import telemetry as page_kernel
from hftkit.session.engine_state import state_digest
from hftkit.session.histogram import write_hlog
from hftkit.session.watching import watched_by_any
from hftkit.system import private_files
from live import hot_loop as hot
from live.ending.decision import LOST, ExitCode, Facts, Left, decide
from live.ending.result import session_result

if TYPE_CHECKING:
    from live.engine import Engine

FINAL_PAGE = "telemetry.page"  # where the page lies once the session is over
_ASK_PATIENCE_S = 3.0  # for the last questions to the venue, where the stop has used up its own time


def end_session(engine: Engine, refused: str, stop_asked: bool = False) -> None:
    """Set `engine.ending` and `engine.result`. `refused`: why it did not start, '' if it did; `stop_asked`: somebody asked for that."""
    guard = engine.faults.guard
    guard("life", engine.live)
    guard("abandon", engine.abandon)
    alive = engine.built and engine.thread.is_alive()
    left: list[Left] = []
    if engine.built:
        guard("notes", engine.log_notes)
        guard("watch", engine.watch)
        patience_s = engine.stopping.left_s(clock.monotonic_s()) if engine.started else 0.0
        if not guard("ask what is left", lambda: left.extend(engine.venue.left(max(patience_s, _ASK_PATIENCE_S), _lost(engine, alive)))):
            left.append(Left(unknown="asking failed"))
    guard("close venue", engine.venue.close)
    guard("registration", engine.registration.close)
    if not alive:
        if engine.built:
            guard("session end", lambda: _journal_end(engine))
        guard("journal close", engine.journal.close)
    said = left[0] if left else None
    engine.ending = decide(_facts(engine, refused, stop_asked, alive, said))
    status = SessionStatus.STOPPED if engine.ending.code in (ExitCode.FLAT, ExitCode.HALTED) else SessionStatus.FAILED
    engine.result = {"session": engine.folder.name, "journal": str(engine.folder), "status": status.name.lower()} | _how(engine)
    if engine.built:
        guard("result", lambda: _write_result(engine, status))
        guard("latency", lambda: _write_latency(engine))
        engine.page.head[page_kernel.STATUS] = int(status)
        guard("keep page", lambda: keep_page(engine.folder, engine.page_path))
    engine.ending = decide(_facts(engine, refused, stop_asked, alive, said))  # with what has failed meanwhile
    engine.result |= _how(engine)
    engine.over = True
    guard("life", engine.live)
    engine.log.event("ended", **_how(engine))
    guard("log close", engine.log.close)


def _lost(engine: Engine, alive: bool) -> tuple[str, ...]:
    """The symbols that the engine trades, if its session was lost: it did not log out, and its thread is not at work any more."""
    over = engine.started and not engine.observing and not alive and engine.loop_status is not hot.LoopStatus.LOGGED_OUT
    return tuple(engine.session_config.instruments[i].symbol for i in watched_by_any(engine.rooms.watch)) if over else ()


def _facts(engine: Engine, refused: str, stop_asked: bool, alive: bool, left: Left | None) -> Facts:
    toml, ready = engine.started_with
    flatten = f"`hftkit flatten {f'--config {toml}' if toml else f'--ready-file {ready}' if ready else '--config FILE'}`"
    return Facts(
        started=engine.started,
        observing=engine.observing,
        loop=engine.loop_status,
        why=engine.stopping.why if engine.started else "",
        alive=alive,
        stop_asked=stop_asked,
        refused=refused or (_refusal(engine) if engine.built else ""),
        halt=engine.halt,
        positions=engine.positions() if engine.built else {},
        orders=engine.open_orders() if engine.built else (),
        venue=left,
        faults=engine.faults.counts(),
        first_fault=engine.faults.first,
        cure=f"Get flat with {flatten} or on the venue's own site; see {engine.folder}",
    )


def _refusal(engine: Engine) -> str:
    last = engine.rooms.event[0]
    if engine.loop_status is hot.LoopStatus.SESSION_REFUSED and int(last["kind"]) == EventKind.SESSION_REJECT:
        return f"the venue refused the session ({Reject(int(last['code'])).text})"
    return ""


def lost(engine: Engine) -> str:
    """Why the hot loop has ended by itself, in words."""
    return _refusal(engine) or LOST.get(engine.loop_status, engine.loop_status.name)


def _how(engine: Engine) -> dict[str, Any]:
    return {
        "ended": engine.ending.line,
        "exit_code": int(engine.ending.code),
        "halt": engine.halt.as_json() if engine.halt is not None else None,
        "left": engine.ending.left(),
        "faults": engine.faults.counts(),
    }


def _journal_end(engine: Engine) -> None:
    digest = np.frombuffer(state_digest(engine.rooms), np.int64)
    engine.journal.append(RecordType.SESSION_END, clock.monotonic_ns(), digest)


def _write_result(engine: Engine, status: SessionStatus) -> None:
    engine.result = session_result(engine, status) | _how(engine)
    unfinished, finished = engine.folder / "result.json.part", engine.folder / "result.json"
    try:
        private_files.write(unfinished, json.dumps(engine.result, indent=2, sort_keys=True) + "\n")
        unfinished.replace(finished)  # whole, or not there
    finally:
        unfinished.unlink(missing_ok=True)


def _write_latency(engine: Engine) -> None:
    histograms = {hop.name.lower(): engine.page.histograms[int(hop)] for hop in Hop}
    started_s = engine.page.head[page_kernel.STARTED_UNIX_NS] / 1e9
    write_hlog(engine.folder / "latency.hlog", histograms, started_s, clock.unix_ns() / 1e9)


def keep_page(folder: Path, running: Path) -> None:
    """Move the telemetry page from shared memory into the session's folder, where panels find its last state."""
    final = folder / FINAL_PAGE
    if running == final:
        return
    try:
        private_files.write(final, running.read_bytes())
        private_files.write(folder / "telemetry.path", str(final), replace=True)
    except BaseException:
        final.unlink(missing_ok=True)  # a part of a page is none
        raise
    finally:
        running.unlink()  # shared memory is given back whatever happens
