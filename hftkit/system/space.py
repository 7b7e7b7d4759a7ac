"""Room for journals: what a file system has free, and for how many hours that is enough."""

from __future__ import annotations

import os
from pathlib import Path

ASSUMED_BYTES_PER_H = 32 << 20  # of a session that has not been measured yet: an active one of two symbols, with its log (docs/journal.md)


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def free_bytes(path: Path) -> int:
    """Bytes that this user may still write on the file system of `path`, which need not exist yet. Raises OSError."""
    found = os.statvfs(existing(path))
    return found.f_bavail * found.f_frsize


def hours_in_words(hours: float) -> str:
    """\"3.4 hours\", \"12 days\"."""
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:,.0f} days"


def bytes_in_words(size: int) -> str:
    """\"12.3 MB\", \"4.0 GB\"."""
    return f"{size / 1e9:,.1f} GB" if size >= 10**9 else f"{size / 1e6:,.1f} MB"
