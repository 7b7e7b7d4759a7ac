"""Who runs on this machine: one small private file for each engine and simulator of this user, so that panels and commands find them again.

The folder is `$XDG_STATE_HOME/hftkit/running` (`~/.local/state/hftkit/running`). A process writes its file when it starts and removes it when it
ends. One that is left behind is that of a process that was killed: it says what that session was, until it is forgotten. A pid alone is never
believed (hftkit/system/process_id.py). Nothing secret is in it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import msgspec

from hftkit.clock import unix_ns
from hftkit.system.process_id import ProcessId, own_process_id

MAX_BYTES = 65536  # of one file: more is none of ours
FORGET_AFTER_NS = 14 * 86_400 * 10**9


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """One engine (`live`) or simulator (`sim`). Paths are absolute; what does not apply is empty."""

    kind: str
    process: ProcessId
    started_unix_ns: int
    name: str  # session id, or ready file
    folder: str  # the session's folder, or that of the ready file
    account: int = 0
    venue: str = ""  # where it trades, in words
    config: str = ""  # TOML it was started with
    ready_file: str = ""

    @property
    def alive(self) -> bool:
        """Whether the process runs now."""
        return self.process.alive


def state_folder() -> Path:
    """Where the files are. Made, private, by whoever writes the first."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local/state") / "hftkit/running"


class Registration:
    """This process among those that run: `close()` when it has ended in order. A folder that cannot be written is no reason not to trade."""

    def __init__(self, running: Running) -> None:
        self.running, self.problem = running, ""
        self._path: Path | None = None
        try:
            folder = state_folder()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = folder / f"{running.kind}-{running.process.pid}-{running.process.started}.json"
            with contextlib.suppress(FileNotFoundError):
                path.unlink()  # of an earlier session of this very process
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as stream:
                stream.write(msgspec.json.encode(running) + b"\n")
            self._path = path
        except (OSError, RuntimeError) as error:
            self.problem = f"not listed among the running sessions: {error}"

    def close(self) -> None:
        """Take the file away."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._path = None


def register(kind: str, folder: Path, *, name: str, account: int = 0, venue: str = "", config: str = "", ready_file: str = "") -> Registration:
    """List this process."""
    running = Running(
        kind=kind,
        process=own_process_id(),
        started_unix_ns=unix_ns(),
        name=name,
        folder=str(folder.absolute()),
        account=account,
        venue=venue,
        config=str(Path(config).absolute()) if config and Path(config).exists() else config,
        ready_file=str(Path(ready_file).absolute()) if ready_file else "",
    )
    return Registration(running)


def _read(path: Path) -> Running | None:
    """One file, None if it is not what we write: another's, a link, too long, of another form."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_size > MAX_BYTES:
                return None
            return msgspec.json.decode(stream.read(MAX_BYTES), type=Running)
    except (OSError, ValueError, msgspec.DecodeError, msgspec.ValidationError):
        return None


def listed(kind: str = "") -> list[Running]:
    """All that are listed, of one kind or of both, the oldest first; those of the dead too. Very old ones of the dead are taken away."""
    found = []
    try:
        paths = sorted(state_folder().glob("*.json"))
    except (OSError, RuntimeError):
        return []
    for path in paths:
        running = _read(path)
        if running is None or (kind and running.kind != kind):
            continue
        if not running.alive and running.process.here and unix_ns() - running.started_unix_ns > FORGET_AFTER_NS:
            with contextlib.suppress(OSError):
                path.unlink()
            continue
        found.append(running)
    return sorted(found, key=lambda running: running.started_unix_ns)


def forget(running: Running) -> None:
    """Take the file of a dead process away: somebody has seen to what it left."""
    if not running.alive:
        with contextlib.suppress(OSError):
            (state_folder() / f"{running.kind}-{running.process.pid}-{running.process.started}.json").unlink()
