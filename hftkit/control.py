"""The control page: how a panel, a terminal or a signal handler tells a running engine to pause, resume, flatten or stop.

One mapped file of int64 words: [0] magic, [1] commands written so far, [8 + k] command k modulo SLOTS. The engine looks at word 1
in every turn of its loop; writers take a file lock, so several panels may be open.
"""

from __future__ import annotations

import fcntl
import mmap
from pathlib import Path

import numpy as np

from hftkit.codes import Control
from hftkit.errors import HftkitError
from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.intrinsics import store_release

CONTROL_MAGIC = 0x3143_4B54_4648  # "HFTKC1"
WRITTEN, FIRST_SLOT, SLOTS = 1, 8, 16
WORDS = FIRST_SLOT + SLOTS


@kernel
def _write(words: np.ndarray, code: int) -> int:
    written = words[WRITTEN]
    words[FIRST_SLOT + written % SLOTS] = code
    store_release(words, WRITTEN, written + 1)
    return written + 1


def create_control(path: Path) -> np.ndarray:
    """Make the control page of one engine; returns its words, int64 (WORDS,)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # never truncate a page that somebody has mapped
    with open(path, "w+b") as stream:
        stream.truncate(WORDS * 8)
        words = np.frombuffer(mmap.mmap(stream.fileno(), WORDS * 8), np.int64)
    words[0] = CONTROL_MAGIC
    return words


def send_control(path: Path | str, code: Control) -> int:
    """Give the engine a command; returns its number. Raises HftkitError if there is no such page."""
    try:
        with open(path, "r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            words = np.frombuffer(mmap.mmap(stream.fileno(), WORDS * 8), np.int64)
            if words[0] != CONTROL_MAGIC:
                raise HftkitError(f"{path} is not a control page", "Give the path that `hftkit live` printed")
            return int(_write(words, int(code)))
    except (OSError, ValueError) as error:
        raise HftkitError(f"no control page at {path}: {error}", "Is the engine running? `hftkit live` prints the path when it starts") from None
