"""Telemetry pages in shared memory that dead engines have left: found and, when asked, removed. A live one is never touched.

A page is left over only if all of this holds: this user owns it, its name and its magic number are those of a page, nobody holds the lock that its
writer took when it was made (system/private_files.py), and the process that it names is gone, or began after the page was made. The lock is what
counts where the writer lives in another container; the process is what counts for pages of versions that took none.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hftkit.kernels.memory import telemetry as page_kernel
from hftkit.system.private_files import SHARED_MEMORY, has_writer

PAGE_MAGIC = 0x3154_4B54_4648  # "HFTKT1"
_TICKS = os.sysconf("SC_CLK_TCK")
_SLACK_NS = 10 * 1_000_000_000  # between the clocks that are compared


@dataclass(frozen=True)
class LeftPage:
    """A page whose writer is dead."""

    path: Path
    size: int
    inode: int


def shared_page(name: str, pid: int) -> Path:
    """Where the page of a session's engine lies in shared memory."""
    return SHARED_MEMORY / f"hftkit-{os.getuid()}-{name}-{pid}.page"


def find_left(folder: Path = SHARED_MEMORY) -> list[LeftPage]:
    """The pages of this user's dead engines, in order of their names."""
    found = []
    for path in sorted(folder.glob(f"hftkit-{os.getuid()}-*.page")):
        with contextlib.suppress(OSError):
            if is_dead(path):
                status = path.stat(follow_symlinks=False)
                found.append(LeftPage(path, status.st_blocks * 512, status.st_ino))
    return found


def remove_left(pages: list[LeftPage]) -> int:
    """Remove those of the pages that still are what was found, and still dead; returns the bytes freed."""
    freed = 0
    for page in pages:
        with contextlib.suppress(OSError):
            if page.path.stat(follow_symlinks=False).st_ino == page.inode and is_dead(page.path):
                page.path.unlink()
                freed += page.size
    return freed


def is_dead(path: Path) -> bool:
    """Whether a file is a page of this user whose writer is gone. False for whatever is in doubt. Raises OSError if it cannot be read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
            return False
        words = np.frombuffer(os.pread(descriptor, page_kernel.HEAD_WORDS * 8, 0).ljust(page_kernel.HEAD_WORDS * 8, b"\0"), np.int64)
        if has_writer(descriptor) or words[page_kernel.MAGIC] != PAGE_MAGIC:
            return False
        return not _writes(int(words[page_kernel.PID]), int(words[page_kernel.STARTED_UNIX_NS]))
    finally:
        os.close(descriptor)


def _writes(pid: int, started_unix_ns: int) -> bool:
    """Whether the process may be the one that made a page at that time: it is there, and began before."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    except FileNotFoundError:
        return False
    except (OSError, IndexError, StopIteration):
        return True  # cannot be told: it is left alone
    if fields[0] in "ZX":
        return False  # ended, only not asked for yet
    began_ns = (int(boot.split()[1]) + int(fields[19]) / _TICKS) * 1e9
    return started_unix_ns == 0 or began_ns <= started_unix_ns + _SLACK_NS
