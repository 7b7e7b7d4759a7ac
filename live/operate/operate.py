"""Commands to a running session, and what came of them: done, refused, or nobody listens, and then what is held and what to do.

For shell commands and for the panel's buttons alike. A command that nobody answers is not left behind to surprise its sender: RESUME and PAUSE are
taken back, STOP and FLATTEN stay for an engine that only hangs.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hftkit.clock import monotonic_ns
from hftkit.codes import Control, Outcome, Reject, SessionStatus, Trading
from hftkit.errors import HftkitError
from hftkit.session.control import CONTROL_PAGE, Answer, ControlPage
from hftkit.session.find_session import RESULT, FoundSession
from hftkit.session.telemetry import TelemetryReader
from hftkit.system.process_handle import AttachedProcess
from hftkit.system.process_id import ProcessId

TIMEOUT_S = 5.0
DONE, REFUSED, NOBODY, SILENT = "done", "refused", "nobody", "no answer"
EXIT_CODES = {DONE: 0, REFUSED: 3, NOBODY: 4, SILENT: 5}
_KEEPS = (Control.STOP, Control.FLATTEN)  # still worth doing whenever the engine comes back to itself
_ENDED = (SessionStatus.STOPPED, SessionStatus.FAILED)


@dataclass(frozen=True)
class Holdings:
    """What a session holds. `positions`: signed lots by symbol; `known`: whether there was anything to read it from; `age_s`: how old, 0 if final."""

    positions: dict[str, int] = field(default_factory=dict)
    known: bool = False
    final: bool = False
    age_s: float = 0.0

    @property
    def text(self) -> str:
        """In words."""
        if not self.known:
            return "what it holds is not known"
        held = ", ".join(f"{lots:+d} lots of {symbol}" for symbol, lots in self.positions.items()) or "no position"
        if self.final:
            return f"it ended with {held}"
        return f"{self.age_s:.0f} s ago it held {held}; orders may rest or have filled since"


@dataclass(frozen=True)
class Told:
    """What a command came to. `what`: DONE, REFUSED, NOBODY or SILENT; `text`: one line for people; `answer`: the engine's own."""

    session: str
    command: str
    what: str
    text: str
    number: int = 0
    answer: Answer | None = None
    held: Holdings | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data for programs."""
        held = None if self.held is None else {"positions": self.held.positions, "known": self.held.known, "final": self.held.final}
        state = None if self.answer is None else self.answer.trading.name.lower()
        return {
            "session": self.session, "command": self.command, "outcome": self.what, "text": self.text, "number": self.number, "trading": state,
            "held": held,
        }  # fmt: skip


def reader_of(folder: Path) -> TelemetryReader | None:
    """The telemetry page of a session's folder, None if there is none that can be read."""
    with contextlib.suppress(HftkitError, OSError, ValueError):
        return TelemetryReader((folder / "telemetry.path").read_text().strip())
    return None


def holdings(folder: Path) -> Holdings:
    """From the session's result where it has ended, else from the last that its engine published."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        result = json.loads((folder / RESULT).read_text())
        return Holdings({symbol: int(lots) for symbol, lots in result["end_positions"].items() if lots}, known=True, final=True)
    with contextlib.suppress(HftkitError, OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        reader = reader_of(folder)
        if reader is not None:
            snapshot = reader.read()
            symbols = [instrument["symbol"] for instrument in reader.info["instruments"]]
            held = snapshot.ledger["position"]
            positions = {symbols[i]: int(held[i]) for i in np.flatnonzero(held)}
            return Holdings(positions, known=True, age_s=max(monotonic_ns() - snapshot.ts_published, 0) / 1e9)
    return Holdings()


def what_to_do(found: FoundSession, held: Holdings) -> str:
    """The cure for a session that nobody runs any more."""
    if held.known and held.final and not held.positions:
        return "Nothing is left to do"
    running = found.running
    options = []
    if running is not None and running.config:
        options.append(f"--config {shlex.quote(running.config)}")
    if running is not None and running.ready_file:
        options.append(f"--ready-file {shlex.quote(running.ready_file)}")
    if running is not None:
        options.append(f"--account {running.account}")
    return f"Close what is left with: hftkit flatten {' '.join(options) or '--config FILE --account N'}"


def give(found: FoundSession, code: Control, timeout_s: float = TIMEOUT_S) -> Told:
    """Give a session a command and wait for the engine's answer. Never raises for what an operator can meet: it is told."""

    def told(what: str, text: str, number: int = 0, answer: Answer | None = None, held: Holdings | None = None) -> Told:
        return Told(found.name, code.text, what, text, number, answer, held)

    def nobody(why: str, number: int = 0) -> Told:
        held = holdings(found.folder)
        return told(NOBODY, f"nobody received this: {why}; {held.text}. {what_to_do(found, held)}", number, held=held)

    reader = reader_of(found.folder)
    key = reader.info.get("control_key") if reader is not None else None
    try:
        page = ControlPage.attach(found.folder / CONTROL_PAGE, key)
    except HftkitError as error:
        if found.process is None or not found.process.alive:
            return nobody(f"no engine runs ({error.problem})")
        return _without_a_page(found, found.process, code, error, told)
    process = found.process if found.process is not None else page.owner
    if not process.alive:
        return nobody("no engine runs")
    try:
        number = page.send(code)
    except HftkitError as error:
        held = holdings(found.folder)
        return told(SILENT, f"{error.problem}; {held.text}. Stop its process with: kill -TERM {process.pid}", held=held)
    answer = page.wait(number, timeout_s, lambda: process.alive)
    if answer is not None:
        what = DONE if answer.outcome is Outcome.DONE else REFUSED
        return told(what, f"{code.text} {answer.text} (command {number})", number, answer)
    if not process.alive:
        return nobody("the engine has just ended", number)
    return _silent(found, process, page, code, number, timeout_s, told)


def _without_a_page(found: FoundSession, process: ProcessId, code: Control, error: HftkitError, told: Any) -> Told:
    """The engine runs, and its page cannot be found: a signal still reaches it."""
    held = holdings(found.folder)
    if code is Control.STOP:
        with contextlib.suppress(OSError):
            AttachedProcess(process).terminate()
            return told(DONE, f"stop sent as a signal to process {process.pid} ({error.problem})", held=held)
    text = f"{code.text} was not sent: {error.problem}; the engine runs (process {process.pid}), {held.text}"
    return told(SILENT, f"{text}. Stop it, flat, with: kill -TERM {process.pid}", held=held)


def _silent(found: FoundSession, process: ProcessId, page: ControlPage, code: Control, number: int, timeout_s: float, told: Any) -> Told:
    held = holdings(found.folder)
    kept = code in _KEEPS or not page.withdraw(number, code)
    why = "is suspended: wake it with kill -CONT" if process.suspended else "runs but does not answer: try kill -TERM"
    fate = "it stands in its queue" if kept else "it was taken back"
    text = f"{code.text} was not answered in {timeout_s:g} s, {fate}; process {process.pid} {why} {process.pid}; {held.text}"
    return told(SILENT, text, number, held=held)


def state_text(found: FoundSession) -> str:
    """How a session is, in words: its phase and what trading is, or how it ended."""
    reader = reader_of(found.folder)
    if reader is None:
        return "starting" if found.process is not None else "never came to trade"
    try:
        snapshot = reader.read()
        risk = snapshot.risk
        trading, status = Trading(int(risk["trading"])), SessionStatus(int(snapshot.status))
        halted = f" ({Reject(int(risk['halt_reason'])).text})" if trading is Trading.HALTED else ""
    except (HftkitError, OSError, ValueError):
        return "its telemetry page cannot be read"
    if found.process is None:
        return status.text if status in _ENDED else "killed"
    if found.process.suspended:
        return "suspended"
    return f"trading {trading.text}{halted}" if status is SessionStatus.TRADING else status.text
