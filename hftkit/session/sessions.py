"""Session folders on disk: which are ours and finished, how large they are, and removing old ones.

Careful on purpose: a folder counts as a session only if its first segment begins as a journal of ours does and it belongs to this user; it counts
as finished only if its last segment ends with SESSION_END. Of it only files that hftkit itself writes are removed, by name, through a descriptor of
the folder, following no link; whatever else lies there stays, and the folder with it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hftkit import clock
from hftkit.codes import RecordType
from hftkit.errors import HftkitError
from hftkit.session.journal import SEGMENT_MAGIC

_DAY_S = 86400.0
_SEGMENT = re.compile(r"segment-\d{6,}\.hftj")
_OURS = re.compile(
    r"segment-\d{6,}\.hftj|session\.log(\.\d+)?|result\.json|latency\.hlog|control\.page|telemetry\.page|telemetry\.path|continued\.json|[a-z_]+\.json\.tmp"
)
_END_WORDS = 8  # SESSION_END: four words of header, four of digest
_TAIL_BYTES = 1 << 16


@dataclass(frozen=True)
class SessionFolder:
    """One session on disk. `ended_s`: unix time of the last write; `finished`: its journal has an end record."""

    path: Path
    size: int  # bytes
    ended_s: float
    finished: bool


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _words(folder: int, name: str, tail: bool) -> np.ndarray:
    """First or last words of a file of a folder."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
    try:
        size = os.fstat(fd).st_size // 8 * 8
        at = max(size - _TAIL_BYTES, 0) if tail else 0
        return np.frombuffer(os.pread(fd, min(size - at, _TAIL_BYTES), at)[: size // 8 * 8], np.int64)
    finally:
        os.close(fd)


def _ends(folder: int, segments: list[str]) -> bool:
    """Whether the last segment that was used ends with SESSION_END: found from behind, past the empty rest of the last page."""
    for name in reversed(segments):
        words = _words(folder, name, tail=True)
        used = np.flatnonzero(words)
        if used.size:
            head = int(words[used[-1] + 1 - _END_WORDS]) if used[-1] + 1 >= _END_WORDS else 0
            return head == (32 | int(RecordType.SESSION_END) << 32)
    return False


def look_at_session(path: Path) -> SessionFolder | None:
    """The session in a folder; None if it is none of ours."""
    try:
        folder = _opened(path)
    except OSError:
        return None
    try:
        if os.fstat(folder).st_uid != os.getuid():
            return None
        with os.scandir(folder) as entries:
            files = {entry.name: entry.stat(follow_symlinks=False) for entry in entries if entry.is_file(follow_symlinks=False)}
        segments = sorted(name for name in files if _SEGMENT.fullmatch(name))
        if not segments:
            return None
        first = _words(folder, segments[0], tail=False)
        if not first.size or first[0] != SEGMENT_MAGIC:
            return None
        latest = max(status.st_mtime for status in files.values())
        return SessionFolder(path, sum(status.st_size for status in files.values()), latest, _ends(folder, segments))
    except OSError:
        return None
    finally:
        os.close(folder)


def find_sessions(root: Path) -> list[SessionFolder]:
    """All sessions directly under a folder, the oldest first."""
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    found = [session for name in names if (session := look_at_session(root / name)) is not None]
    return sorted(found, key=lambda session: (session.ended_s, session.path.name))


def to_prune(sessions: list[SessionFolder], now_s: float, keep_days: float, keep_gb: float, force: bool = False) -> list[SessionFolder]:
    """Which go: older than `keep_days`, then the oldest until all take `keep_gb` at most; 0: no such limit. Unfinished ones only with `force`.

    `sessions`: the oldest first.
    """
    removable = [session for session in sessions if session.finished or force]
    gone = [session for session in removable if keep_days and now_s - session.ended_s > keep_days * _DAY_S]
    total = sum(session.size for session in sessions) - sum(session.size for session in gone)
    for session in removable:
        if not keep_gb or total <= keep_gb * 1e9:
            break
        if session not in gone:
            gone.append(session)
            total -= session.size
    return gone


def remove_session(session: SessionFolder) -> tuple[int, list[str]]:
    """Remove our files of a session, and its folder if nothing else is in it. Returns bytes freed, and the names that stay. Raises HftkitError."""
    try:
        folder = _opened(session.path)
    except OSError as error:
        raise HftkitError(f"the session {session.path} cannot be opened ({error.strerror})", "Look at who owns it") from None
    freed, stays = 0, []
    try:
        with os.scandir(folder) as entries:
            files = [(entry.name, entry.stat(follow_symlinks=False).st_size, entry.is_file(follow_symlinks=False)) for entry in entries]
        # the end record goes last: what was removed by half still counts as unfinished
        for name, size, is_file in sorted(files, key=lambda file: (bool(_SEGMENT.fullmatch(file[0])), file[0])):
            if is_file and _OURS.fullmatch(name):
                os.unlink(name, dir_fd=folder)
                freed += size
            else:
                stays.append(name)
    except OSError as error:
        raise HftkitError(f"the session {session.path} cannot be removed ({error.strerror})", "Look at who may write there") from None
    finally:
        os.close(folder)
    if not stays:
        with contextlib.suppress(OSError):  # somebody has just put something there: it stays
            session.path.rmdir()
    return freed, sorted(stays)


def prune_at_start(root: Path, keep_days: float, keep_gb: float, say: Callable[..., Any]) -> None:
    """What [session] keep_days and keep_gb ask for; nothing without them. A session that cannot be removed keeps none from starting."""
    if not keep_days and not keep_gb:
        return
    for session in to_prune(find_sessions(root), clock.unix_ns() / 1e9, keep_days, keep_gb):
        try:
            freed, stays = remove_session(session)
            say("session_removed", folder=str(session.path), mb=round(freed / 1e6, 1), stays=", ".join(stays))
        except HftkitError as error:
            say("session_not_removed", folder=str(session.path), why=str(error))
