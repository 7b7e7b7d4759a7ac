"""A process that this one did not start, with the methods of subprocess.Popen that one needs: to re-attach to an engine or a simulator."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess

from hftkit.system.process_id import ProcessId


class AttachedProcess:
    """`returncode` of a process that is not our child is nobody's to read: 0 once it has ended, whatever it was."""

    def __init__(self, process: ProcessId) -> None:
        """Raises ProcessLookupError if it does not run."""
        self.pid, self.returncode = process.pid, None if process.alive else 0
        self._descriptor = os.pidfd_open(process.pid)
        if not process.alive:  # asked again: the number may have changed hands before the descriptor was ours
            os.close(self._descriptor)
            raise ProcessLookupError(process.pid)

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.close(self._descriptor)

    def poll(self) -> int | None:
        """None while it runs."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired([str(self.pid)], timeout or 0.0)
        return 0

    def _ended(self, timeout_s: float | None) -> int | None:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLIN)
            if poll.poll(None if timeout_s is None else timeout_s * 1000):
                self.returncode = 0
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing if it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)
