"""Which process a number means: a pid with the moment it was started, so that a recycled number is not taken for the process it once was."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import msgspec

_START_FIELD = 19  # of /proc/PID/stat, counted after the name in parentheses
_STATE_FIELD = 0


class ProcessId(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A process of this machine. `started`: clock ticks since boot; `boot`: which boot, and which container's numbering of processes."""

    pid: int
    started: int
    boot: str = ""

    @property
    def here(self) -> bool:
        """Whether its number is one of those that we see: not of another machine, container or boot."""
        return not self.boot or self.boot == boot()

    @property
    def alive(self) -> bool:
        """Whether it runs now. A process that has ended and was not waited for does not."""
        fields = _stat(self.pid) if self.here else []
        return bool(fields) and int(fields[_START_FIELD]) == self.started and fields[_STATE_FIELD] not in ("Z", "X")

    @property
    def suspended(self) -> bool:
        """Whether it stands still by a signal (SIGSTOP), or under a debugger."""
        fields = _stat(self.pid) if self.alive else []
        return bool(fields) and fields[_STATE_FIELD] in ("T", "t")


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the name, [] if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() if pid > 0 else []
    except (OSError, ValueError):
        return []


def process_id(pid: int) -> ProcessId | None:
    """The process that has this number now, None if there is none."""
    fields = _stat(pid)
    return ProcessId(pid=pid, started=int(fields[_START_FIELD]), boot=boot()) if fields else None


def own_process_id() -> ProcessId:
    """This process."""
    found = process_id(os.getpid())
    return found if found is not None else ProcessId(pid=os.getpid(), started=0)  # no /proc: the number alone


@functools.cache
def boot() -> str:
    """This boot of this machine, and this container's numbering of processes; '' where the system does not say."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""
