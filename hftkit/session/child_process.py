"""Simulator and engine as child processes: the small synchronous client that notebooks, the demo and tests use.

A notebook's kernel has an event loop of its own and may die at any time; an engine therefore never runs in it. These classes start the same
commands that a shell would, wait for them, and stop them in order. Use them as context managers: leaving the block ends the child.

Each child has a session of its own: a kernel that is killed, restarted or interrupted, and a terminal's Ctrl-C, do not reach it. `attach` finds one
again that is still running. An interrupted cell leaves it running too; leaving the block in any other way ends it in order.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hftkit.clock import monotonic_s
from hftkit.codes import Control
from hftkit.errors import VenueError
from hftkit.session.control import CONTROL_PAGE, Answer, ControlPage
from hftkit.session.find_session import find_session, find_simulator
from hftkit.session.telemetry import Snapshot, TelemetryReader
from hftkit.system.process_handle import AttachedProcess
from hftkit.system.process_id import ProcessId

HFTKIT = [sys.executable, "-m", "hftkit.cli"]
_POLL_S = 0.02


_SIMULATOR_ENDS_S = 20.0
_ENGINE_ENDS_S = 120.0  # to close its positions and log out


class _Child:
    """A process with its output kept in a file, so that it can never block on a full pipe, and with a session of its own."""

    process: subprocess.Popen[bytes] | AttachedProcess

    def __init__(self, command: list[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._out = log.with_suffix(".out")
        with log.open("w") as errors, self._out.open("w") as out:
            # no terminal and no notebook of ours is its own: what they send to their processes does not reach it
            self.process = subprocess.Popen([*HFTKIT, *command], stdin=subprocess.DEVNULL, stdout=out, stderr=errors, start_new_session=True)

    def _attach(self, process: ProcessId, log: Path) -> None:
        self.log, self._out = log, log.with_suffix(".out")
        try:
            self.process = AttachedProcess(process)
        except ProcessLookupError:
            raise VenueError(f"process {process.pid} does not run any more", f"See {log}") from None

    @property
    def running(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def messages(self) -> list[str]:
        """What the process has told people so far, one string a line."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def _result(self) -> dict[str, Any]:
        text = self._out.read_text().strip() if self._out.exists() else ""
        return dict(json.loads(text)) if text.startswith("{") else {}

    def _end(self) -> None:
        """Ask it to end, and wait for that."""
        raise NotImplementedError

    def _ask_to_end(self, patience_s: float) -> bool:
        if self.running:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _last_words(self) -> str:
        lines = [line for line in self.messages() if line.strip()]
        return lines[-1] if lines else f"status {self.process.returncode}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt) and in_notebook():
            return  # the cell was interrupted, not the session
        self._end()


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    application = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    return application is not None and bool(application.initialized())


class Simulator(_Child):
    """`hftkit sim` on free ports. `speed`: exchange seconds per second; `options`: further command line options.

    The first start on a machine compiles its kernels (some twenty seconds); `hftkit warmup` does that ahead.
    """

    def __init__(self, folder: Path | str, speed: float = 1.0, config: Path | None = None, options: tuple[str, ...] = ()) -> None:
        self.ready_file = Path(folder) / "simulator.json"
        command = ["sim", "--speed", f"{speed:g}", "--order-port", "0", "--market-port", "0", "--ready-file", str(self.ready_file), "--json"]
        super().__init__([*command, *(["--config", str(config)] if config else []), *options], Path(folder) / "simulator.log")

    def wait_ready(self, timeout_s: float = 240.0) -> dict[str, Any]:
        """Host, ports and more, once clients may connect. Raises VenueError if it does not come up."""
        deadline = monotonic_s() + timeout_s
        while not self.ready_file.exists():
            if not self.running or monotonic_s() > deadline:
                raise VenueError(f"the simulator did not start: {self._last_words()}", f"See {self.log}")
            time.sleep(_POLL_S)
        return dict(json.loads(self.ready_file.read_text()))

    @classmethod
    def attach(cls, ready_file: Path | str | None = None) -> Simulator:
        """The running simulator that wrote this ready file (None: the only one that runs). Raises HftkitError if there is none."""
        found = find_simulator(ready_file)
        self = cls.__new__(cls)
        self.ready_file = Path(found.ready_file)
        self._attach(found.process, self.ready_file.parent / "simulator.log")
        return self

    def _end(self) -> None:
        if not self._ask_to_end(_SIMULATOR_ENDS_S):
            self.process.kill()
            self.process.wait()

    def stop(self) -> dict[str, Any]:
        """Stop it in order; returns its summary (orders, fills and clients as the venue counted them)."""
        self._end()
        if self.process.returncode:
            raise VenueError(f"the simulator ended badly: {self._last_words()}", f"See {self.log}")
        return self._result()


class LiveSession(_Child):
    """`hftkit live` against a venue's ready file. Its journal, log and result are in `folder`."""

    def __init__(
        self, params: Path | str, ready_file: Path, journals: Path | str, session_id: str, duration_s: float, options: tuple[str, ...] = ()
    ) -> None:
        self.folder = Path(journals) / session_id
        command = ["live", "--params", str(params), "--ready-file", str(ready_file), "--duration", f"{duration_s:g}", "--json"]
        command += ["--journal-dir", str(journals), "--session-id", session_id, *options]
        super().__init__(command, Path(journals) / f"{session_id}.log")
        self._reader: TelemetryReader | None = None

    @classmethod
    def attach(cls, session: Path | str | None = None) -> LiveSession:
        """A session that runs already: its id, its folder, or None for the only one there is. Raises HftkitError if there is none."""
        found = find_session(session)
        if found.process is None:
            raise VenueError(f"session {found.name} does not run any more", f"See {found.folder}")
        self = cls.__new__(cls)
        self.folder, self._reader = found.folder, None
        log = found.folder.parent / f"{found.folder.name}.log"
        self._attach(found.process, log if log.exists() else found.folder / "session.log")
        return self

    def _end(self) -> None:
        if not self._ask_to_end(_ENGINE_ENDS_S):
            warnings.warn(
                f"session {self.folder.name} (process {self.process.pid}) still closes its positions, and goes on with that: see {self.log}",
                stacklevel=3,
            )  # never killed: that would leave what is open

    def telemetry(self, timeout_s: float = 120.0) -> Snapshot:
        """A snapshot of the running engine; waits until it publishes. Raises VenueError if it ended before it did."""
        deadline = monotonic_s() + timeout_s
        pointer = self.folder / "telemetry.path"
        while self._reader is None:
            if pointer.exists() and pointer.read_text():
                self._reader = TelemetryReader(pointer.read_text())
            elif not self.running or monotonic_s() > deadline:
                raise VenueError(f"the engine did not start: {self._last_words()}", f"See {self.log}")
            else:
                time.sleep(_POLL_S)
        return self._reader.read()

    def wait_until(self, happened: Callable[[Snapshot], bool], timeout_s: float = 120.0) -> Snapshot:
        """Look some fifty times a second until `happened` is true of a snapshot, and return that one; a core is left to the engine and its venue.

        Example: `session.wait_until(lambda now: now.session["n_fills"] >= 4)`.
        Raises VenueError if the session ends before, or if it does not happen in `timeout_s`; HftkitError if its page cannot be read.
        """
        deadline = monotonic_s() + timeout_s
        while True:
            ended = not self.running  # asked first: the last thing an engine does is to publish
            now = self.telemetry(timeout_s)
            if happened(now):
                return now
            if ended:
                raise VenueError(f"the session ended before what was waited for: {self._last_words()}", f"See {self.log}")
            if monotonic_s() > deadline:
                raise VenueError(f"what was waited for did not happen in {timeout_s:g} s", f"See {self.folder / 'session.log'}")
            time.sleep(_POLL_S)

    def send(self, code: Control) -> int:
        """Tell the engine to pause, resume, flatten or stop; the command's number. Does not wait for its answer."""
        return ControlPage.attach(self.folder / CONTROL_PAGE).send(code)

    def command(self, code: Control, timeout_s: float = 5.0) -> Answer:
        """The same, waiting for the engine's answer. Raises VenueError if nobody gives one."""
        page = ControlPage.attach(self.folder / CONTROL_PAGE)
        answer = page.wait(page.send(code), timeout_s, lambda: self.running)
        if answer is None:
            raise VenueError(f"session {self.folder.name} did not answer {code.text!r} within {timeout_s:g} s", "Look with `hftkit sessions`")
        return answer

    def wait(self, timeout_s: float = 600.0, accept: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """Wait for the end; returns the session's result. Raises VenueError with the engine's own words if its exit status is none of `accept`.

        Exit statuses: docs/operations.md; 3, say, is a session that ended flat after a risk limit had halted it.
        """
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise VenueError(f"the session still runs after {timeout_s:g} s", "Stop it with send(Control.STOP)") from None
        if self.process.returncode not in accept:
            raise VenueError(f"hftkit live ended with status {self.process.returncode}: {self._last_words()}", f"See {self.log}")
        if isinstance(self.process, subprocess.Popen):
            return self._result()
        result = self.folder / "result.json"  # not our child: its output and its status are another's
        body = dict(json.loads(result.read_text())) if result.exists() else {}
        if body.get("status") != "stopped":
            raise VenueError(f"session {self.folder.name} ended badly: {self._last_words()}", f"See {self.log}")
        return body

    def kill(self) -> None:
        """kill -9 of all its processes, the supervisor's first: what a power cut would do."""
        page = self.folder / CONTROL_PAGE
        engine = ControlPage.attach(page).owner if page.exists() else None
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            if engine is not None:
                other = AttachedProcess(engine)
                other.kill()
                other.wait(10)
