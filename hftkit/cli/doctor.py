"""Is this machine fit to run hftkit? Each check gives one finding: what was seen, whether it is fine, and the cure if it is not.

Checks only look (one temporary file in the cache folder, one loopback connection), except `clean_stale_caches`, which the user asks for.
"""

from __future__ import annotations

import itertools
import os
import re
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import requires, version
from pathlib import Path

import numba

from hftkit.benchmarks.machine import cores, cpu_model, installed
from hftkit.clock import monotonic_ns
from hftkit.compilation.kernel_programs import place_of
from hftkit.kernels import jit
from hftkit.session import pages
from hftkit.system.space import ASSUMED_BYTES_PER_H, bytes_in_words, free_bytes, hours_in_words

MIB = 1 << 20
SHM = Path("/dev/shm")
ROUGH_CLOCK_NS = 1_000  # a clock coarser than this cannot measure microseconds
ENOUGH_LOCKED = 64 * MIB  # journal segment, pages and rings of one engine
ENOUGH_SHM = 64 * MIB
ENOUGH_HOURS = 24.0  # of journal
_EXTRA = re.compile(r"""(?P<name>[\w.-]+).*;.*\bextra == ["'](?P<extra>\w+)["']""")
_ELSEWHERE = {"docs"}  # `make docs` installs them into an environment of its own


@dataclass(frozen=True)
class Finding:
    """One line of `hftkit doctor`. `fatal`: nothing works until it is cured; otherwise `ok=False` is a warning."""

    subject: str
    ok: bool
    seen: str
    cure: str = ""
    fatal: bool = False


def check_python() -> Finding:
    """Version of the interpreter."""
    seen = f"{sys.version.split()[0]} at {sys.executable}"
    return Finding("python", sys.version_info >= (3, 11), seen, "install Python 3.11 or newer", fatal=True)


def check_numba() -> Finding:
    """Whether numba compiles here at all, with the switches in force."""
    switched_off = bool(getattr(numba.config, "DISABLE_JIT", 0))
    seen = f"{numba.__version__}, compiling {'switched off' if switched_off else 'on'}"
    return Finding("numba", not switched_off, seen, "unset NUMBA_DISABLE_JIT: uncompiled kernels are a thousand times slower")


def check_cache() -> Finding:
    """Whether compiled kernels can be kept, where, and how large they are."""
    folder = jit.cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        cure = "set HFTKIT_CACHE to a folder you may write; without one every start compiles for a minute"
        return Finding("kernel cache", False, f"{folder}: {error.strerror}", cure)
    kernels = len(list(folder.rglob("*.nbi")))
    size = folder_bytes(folder) / MIB
    return Finding("kernel cache", kernels > 0, f"{folder}, {kernels} kernels, {size:.1f} MiB", "run: hftkit warmup")


def check_stale_caches() -> Finding:
    """Caches of other versions of the sources, which nothing will read again unless you go back to them."""
    stale = stale_caches()
    size = sum(folder_bytes(folder) for folder in stale) / MIB
    return Finding("stale caches", size < 500, f"{len(stale)} folders, {size:.1f} MiB", "remove them: hftkit doctor --clean")


def check_cores() -> Finding:
    """Cores: the engine spins on one, the venue and the watchers need another."""
    return Finding("cores", cores() >= 2, f"{cores()} of {cpu_model()}", "with one core, choose the waiting strategy block instead of spin")


def check_clock() -> Finding:
    """Smallest step of the monotonic clock that Python sees."""
    readings = [monotonic_ns() for _ in range(10_000)]
    steps = [after - before for before, after in itertools.pairwise(readings) if after > before]
    smallest = min(steps, default=10**9)
    return Finding("clock", smallest <= ROUGH_CLOCK_NS, f"smallest step {smallest} ns", "latencies will be rough: check the machine's clock source")


def check_loopback() -> Finding:
    """A TCP connection to this machine: the simulator and the engine talk over one."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), timeout=5) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        return Finding("loopback", False, f"{error.strerror}", "allow TCP on 127.0.0.1: the demo, the simulator and the tests need it", fatal=True)
    return Finding("loopback", True, "TCP on 127.0.0.1 works")


def check_memory_lock() -> Finding:
    """How much memory may be locked against swapping."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    unlimited = soft == resource.RLIM_INFINITY
    seen = "unlimited" if unlimited else f"{soft / MIB:.0f} MiB"
    return Finding(
        "memory lock", unlimited or soft >= ENOUGH_LOCKED, seen, "for steady latency raise it: ulimit -l unlimited (or LimitMEMLOCK= in a unit file)"
    )


def check_shared_memory() -> Finding:
    """Space for rings and pages shared with other processes."""
    if not SHM.is_dir():
        return Finding("/dev/shm", False, "missing", "mount a tmpfs there; the session folder is used meanwhile")
    free = shutil.disk_usage(SHM).free
    return Finding(
        "/dev/shm",
        free >= ENOUGH_SHM and os.access(SHM, os.W_OK),
        f"{free / MIB:.0f} MiB free",
        "free some, or give the container a larger --shm-size",
    )


def check_left_pages() -> Finding:
    """Telemetry pages of engines that died: each takes some 600 kB of shared memory until somebody removes it."""
    left = pages.find_left()
    size = sum(page.size for page in left) / MIB
    return Finding("dead pages", not left, f"{len(left)} telemetry pages of dead engines, {size:.1f} MiB", "remove them: hftkit doctor --clean")


def check_journal_space() -> Finding:
    """Room for journals, where `hftkit live` puts them by default."""
    folder = Path("data/journals")
    free = free_bytes(folder)
    hours = free / ASSUMED_BYTES_PER_H
    seen = f"{bytes_in_words(free)} free for {folder}: {hours_in_words(hours)} at {bytes_in_words(ASSUMED_BYTES_PER_H)} an hour"
    return Finding("journal space", hours >= ENOUGH_HOURS, seen, "free some, or: hftkit journals prune --keep-days 30")


def check_extras() -> list[Finding]:
    """Which extras are whole: `demo` for the commands of research, `research` for notebooks, `dev` for the tests."""
    missing: dict[str, list[str]] = {}
    for text in requires("hftkit") or []:
        requirement = _EXTRA.match(text)
        if requirement and requirement["extra"] not in _ELSEWHERE:
            absent = missing.setdefault(requirement["extra"], [])
            if installed(requirement["name"]) is None:
                absent.append(requirement["name"])
    return [
        Finding(f"extra {extra}", not absent, f"lacks {', '.join(absent)}" if absent else "complete", f"pip install 'hftkit[{extra}]'")
        for extra, absent in missing.items()
    ]


def folder_bytes(folder: Path) -> int:
    """Bytes of all files under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def stale_caches() -> list[Path]:
    """Kernel cache folders of other numba versions or switches than those in force, and of sources that have changed since."""
    current = jit.cache_folder()
    if not current.parent.is_dir():
        return []
    others = [folder for folder in current.parent.iterdir() if folder.is_dir() and folder.name != current.name]
    return sorted(others) + sorted(_outdated(current))


def _outdated(current: Path) -> Iterator[Path]:
    """Folders `module-digest` of a module that has another one now; of a module that is not hftkit's, all but the latest."""
    of_module: dict[str, list[Path]] = {}
    for folder in current.iterdir() if current.is_dir() else ():
        if folder.is_dir():
            of_module.setdefault(folder.name.rpartition("-")[0], []).append(folder)
    own = {jit.module_of(path): path for path in jit.kernel_sources()}
    for module, folders in of_module.items():
        latest = max(folders, key=lambda folder: folder.stat().st_mtime_ns).name
        keep = place_of(module, own[module]) if module in own else latest
        yield from (folder for folder in folders if folder.name != keep)


def clean_stale_caches() -> int:
    """Remove them; returns the bytes freed."""
    freed = 0
    for folder in stale_caches():
        freed += folder_bytes(folder)
        shutil.rmtree(folder, ignore_errors=True)
    return freed


CHECKS: tuple[Callable[[], Finding], ...] = (
    check_python,
    check_numba,
    check_cache,
    check_stale_caches,
    check_cores,
    check_clock,
    check_loopback,
    check_memory_lock,
    check_shared_memory,
    check_left_pages,
    check_journal_space,
)


def examine() -> list[Finding]:
    """All findings, in the order in which they are shown."""
    own = Finding("hftkit", True, f"{version('hftkit')}, kernel sources {jit.sources_digest()[:12]}")
    return [own, *(check() for check in CHECKS), *check_extras()]
