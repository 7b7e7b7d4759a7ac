"""Simulator and engine as child processes: the small synchronous client that notebooks, the demo and tests use.

A notebook's kernel has an event loop of its own and may die at any time; an engine therefore never runs in it. These classes start the same
commands that a shell would, wait for them, and stop them in order. Use them as context managers: leaving the block ends the child.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hftkit.clock import monotonic_s
from hftkit.codes import Control
from hftkit.control import send_control
from hftkit.errors import VenueError
from hftkit.telemetry import Snapshot, TelemetryReader

HFTKIT = [sys.executable, "-m", "hftkit.cli"]
_POLL_S = 0.02


class _Child:
    """A child process with its output kept in a file, so that it can never block on a full pipe."""

    def __init__(self, command: list[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._out = log.with_suffix(".out")
        with log.open("w") as errors, self._out.open("w") as out:
            self.process = subprocess.Popen([*HFTKIT, *command], stdout=out, stderr=errors)

    @property
    def running(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def messages(self) -> list[str]:
        """What the process has told people so far, one string a line."""
        return self.log.read_text().splitlines()

    def _result(self) -> dict[str, Any]:
        text = self._out.read_text().strip()
        return dict(json.loads(text)) if text.startswith("{") else {}

    def _end(self, patience_s: float) -> None:
        if self.running:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _last_words(self) -> str:
        lines = [line for line in self.messages() if line.strip()]
        return lines[-1] if lines else f"status {self.process.returncode}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self._end(20.0)


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

    def stop(self) -> dict[str, Any]:
        """Stop it in order; returns its summary (orders, fills and clients as the venue counted them)."""
        self._end(20.0)
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
        """Tell the engine to pause, resume, flatten or stop."""
        return send_control(self.folder / "control.page", code)

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
        return self._result()

    def kill(self) -> None:
        """kill -9: what a power cut or the kernel's memory killer would do."""
        self.process.kill()
        self.process.wait()
