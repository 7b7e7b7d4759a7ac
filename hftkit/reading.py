"""Reading small files that somebody else may have written: regular files only, bounded in size, read once, faults in one line.

A pipe or a device in a file's place would block, never end, or give other bytes at a second reading. Whoever verifies a file and then uses it
takes both from the one `read_bytes`.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hftkit.errors import HftkitError

MOST_BYTES = 64 * 1024 * 1024  # of a configuration, a frozen file, a ready file; data files have readers of their own
_CHUNK = 1 << 20


def read_bytes(path: Path | str, most: int = MOST_BYTES, first: int | None = None, whole_words: bool = False) -> bytes:
    """All bytes of a regular file, or of what a symbolic link names. Raises OSError, its `strerror` fit for a message.

    A file that changes while it is read gives what was read: one reading, to be verified and used. `first`: no more than so many; `whole_words`:
    a last part of eight bytes is left out.
    """
    if "\0" in str(path):
        raise OSError(0, "a path cannot hold a NUL character")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # NONBLOCK: opening a pipe must not wait for its writer
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, f"it is {_kind(status.st_mode)}, not a regular file")
        if status.st_size > most:
            raise OSError(0, f"it has {status.st_size:,} bytes, more than the {most:,} allowed")
        parts, left = [], most + 1 if first is None else first
        while left and (part := os.read(descriptor, min(_CHUNK, left))):
            parts.append(part)
            left -= len(part)
    finally:
        os.close(descriptor)
    if not left and first is None:
        raise OSError(0, f"it has more than the {most:,} bytes allowed")
    content = b"".join(parts)
    return content[: len(content) // 8 * 8] if whole_words else content


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFDIR: "a folder", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "something else")


def parse_object(text: bytes | str, refuse: Callable[[str], HftkitError]) -> dict[str, Any]:
    """A JSON object, and nothing else: no other shape, no key twice, no nesting without end. `refuse(why)` makes the error that is raised."""
    try:
        body = json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise refuse("it is nested too deeply") from None
    except ValueError as error:  # UnicodeDecodeError and integers of too many digits among them
        raise refuse(f"it is truncated or not JSON ({error})") from None
    if not isinstance(body, dict):
        raise refuse("it is not a JSON object")
    return body


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """One reader may take the first of two equal keys, another the last: neither is right."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return found


def read_object(path: Path | str, refuse: Callable[[str], HftkitError], most: int = MOST_BYTES) -> dict[str, Any]:
    """The JSON object in a file: `read_bytes` and `parse_object`."""
    try:
        text = read_bytes(path, most)
    except OSError as error:
        raise refuse(error.strerror or str(error)) from None
    return parse_object(text, refuse)


_UNPRINTED = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}
_UNPRINTED |= {code: f"\\u{code:04x}" for code in (0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF)}


def printable(text: str) -> str:
    """Foreign text for a terminal: control characters (escape sequences begin with one) and marks that turn the writing direction are spelt out."""
    return text.translate(_UNPRINTED)
