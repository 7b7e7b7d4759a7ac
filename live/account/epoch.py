"""The session's number: the high half of every client order id. Random, so that two sessions share none, wherever and whenever they start.

31 bits of the system's entropy. Of n sessions whose orders a venue still remembers, two share a number with probability n**2 / 2**32: one in four
thousand for a thousand sessions. So it is checked too: against the journals beside ours before the session begins, and at the venue, which is asked
for orders under our first id (live/venues/binance/open_orders.py). It says nothing about the time; the session's folder is named by that.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hftkit.session.journal import EPOCH, MAGIC, SEGMENT_MAGIC, segment_path

EPOCH_BITS = 31  # an order id is a positive int64, its low half counts
_HEADER_BYTES = 64


def used_epochs(journals: Path) -> set[int]:
    """Numbers of the sessions whose journals lie in a folder; what is no journal is passed over."""
    found = set()
    folders = [entry.path for entry in os.scandir(journals) if entry.is_dir()] if journals.is_dir() else []
    for folder in folders:
        try:
            fd = os.open(segment_path(Path(folder), 1), os.O_RDONLY | os.O_NONBLOCK)  # what is no file must not hold us up
        except OSError:
            continue
        with open(fd, "rb") as stream:
            head = stream.read(_HEADER_BYTES) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
        words = np.frombuffer(head[: len(head) // 8 * 8], np.int64)
        if words.size == _HEADER_BYTES // 8 and words[MAGIC] == SEGMENT_MAGIC:
            found.add(int(words[EPOCH]))
    return found


def new_epoch(used: set[int], entropy: Callable[[int], bytes] = os.urandom) -> int:
    """A session number in 1 .. 2**31 - 1 that is not among `used`. `entropy(n)`: n random bytes."""
    while True:
        epoch = int.from_bytes(entropy(4), "little") & ((1 << EPOCH_BITS) - 1)
        if epoch > 0 and epoch not in used:
            return epoch


def session_name(unix_ns: int, epoch: int) -> str:
    """The folder of a session that was given no name: its start in seconds, and its number: two of one second have two folders."""
    return f"{unix_ns // 1_000_000_000:010d}-{epoch:08x}"
