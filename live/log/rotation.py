"""Rotation of a log by its size: session.log, session.log.1 (the one before), ... a fixed number of files, 0600."""

from __future__ import annotations

import os
from pathlib import Path


def numbered(path: Path, number: int) -> Path:
    """The file that `path` has become `number` rotations ago."""
    return path.with_name(f"{path.name}.{number}")


def rotate_if_large(path: Path, descriptor: int, most_bytes: int, keep: int) -> bool:
    """Move `path` to path.1, that to path.2 and so on, `keep` files in all, once it has `most_bytes`. Whether it was. Raises OSError.

    `descriptor` is what writers append to: from then on it is the new file, in one system call, so that a line that another thread is writing
    goes whole into one of the two. With `keep` 1 the file is emptied.
    """
    if os.fstat(descriptor).st_size < most_bytes:
        return False
    if keep == 1:
        os.ftruncate(descriptor, 0)
        return True
    for number in range(keep - 1, 1, -1):
        if numbered(path, number - 1).exists():
            numbered(path, number - 1).replace(numbered(path, number))
    path.replace(numbered(path, 1))
    fresh = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.dup2(fresh, descriptor, inheritable=False)
    finally:
        os.close(fresh)
    return True
