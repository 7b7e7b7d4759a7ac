"""The survival campaign: whatever is done to a session, no order is lost or doubled, and what is left is flat or named. `make survive`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from hftkit.clock import unix_ns
from hftkit.session.child_process import LiveSession, Simulator
from hftkit.units import iso_from_ns
from tests.campaigns.survival import Found, Round, evidence, table, venue_config
from tests.faults.binance_drill import frozen_file

KILLS = int(os.environ.get("HFTKIT_SURVIVE_KILLS", "3"))
EACH = int(os.environ.get("HFTKIT_SURVIVE_EACH", "1"))
SEED = int(os.environ.get("HFTKIT_SURVIVE_SEED", "1"))
RECORD = Path(__file__).resolve().parents[2] / "data" / "runs" / "survival.json"  # rows of the evidence: copy it to docs/evidence
ACCOUNTS = 100  # of one simulator
pytestmark = pytest.mark.slow
ROWS: list[Found] = []
KERNEL_CODE = """
from hftkit.session.child_process import LiveSession
session = LiveSession({params!r}, {ready!r}, {journals!r}, "session", 600.0, ("--config", {config!r}))
print("started", session.process.pid)
"""


class Venues:
    """Simulators, each serving as many rounds as it has accounts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "frozen").mkdir()
        self.params = frozen_file(folder / "frozen")
        self.simulator: Simulator | None = None
        self.used = self.n = 0

    def round(self, what: str) -> Round:
        """A round on a fresh account, the dialects in turn."""
        if self.simulator is None or self.used == ACCOUNTS:
            self.close()
            home = self.folder / f"venue-{self.n}"
            home.mkdir(parents=True)
            self.simulator = Simulator(home, 1.0, venue_config(home, ACCOUNTS), ("--binance-port", "0"))
            self.simulator.wait_ready()
            self.n, self.used = self.n + 1, 0
        self.used += 1
        kind = ("binary", "binance")[self.used % 2]
        return Round(self.simulator, self.params, self.folder / f"rounds-{self.n}", self.used, kind, what, SEED)

    def close(self) -> None:
        """End the one that runs."""
        if self.simulator is not None:
            self.simulator.stop()
            self.simulator = None


@pytest.fixture(scope="module")
def venues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venues]:
    made = Venues(tmp_path_factory.mktemp("survival"))
    yield made
    made.close()
    print("\n" + table(ROWS))
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_bytes(msgspec.json.format(msgspec.json.encode(evidence(ROWS, iso_from_ns(unix_ns())[:10]))))


def kill(this: Round) -> None:
    this.start().kill()


def hang_up(this: Round) -> None:
    this.start().process.send_signal(signal.SIGHUP)


def stand_still(this: Round) -> None:
    """SIGSTOP for some seconds, SIGCONT, then a stop."""
    session = this.start()
    session.process.send_signal(signal.SIGSTOP)
    this.linger(this.random.uniform(2.0, 20.0))
    session.process.send_signal(signal.SIGCONT)
    this.linger(2.0)
    session.process.send_signal(signal.SIGTERM)


def _fill(path: Path) -> int:
    """Leave no room on a file system. Returns the bytes that it took."""
    written = 0
    with (path / "filler").open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            written += stream.write(b"\0" * (1 << 16))
    return written


@contextlib.contextmanager
def _small_file_system(at: Path, size: str) -> Iterator[None]:
    at.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(at)], check=False).returncode:
        pytest.skip("a small file system needs root and the right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(at)], check=False)


def full_disk(this: Round) -> None:
    """The journal's file system is full from some moment on; segments are of 1 MiB, so that the next is soon due."""
    with _small_file_system(this.journals, "24m"):
        session = this.start()
        _fill(this.journals)
        this.linger(20.0)
        if session.running:
            (this.journals / "filler").unlink(missing_ok=True)
            session.process.send_signal(signal.SIGTERM)
        ROWS.append(this.end())


def full_shared_memory(this: Round) -> None:
    """Another process takes what is left of shared memory, for some seconds."""
    filler = Path("/dev/shm") / f"hftkit-survival-{os.getpid()}"
    free = os.statvfs("/dev/shm").f_bavail * os.statvfs("/dev/shm").f_frsize
    if not Path("/dev/shm").is_dir() or free > 4 << 30:
        pytest.skip(f"/dev/shm has {free >> 20} MiB free: filling it would take the machine's memory")
    session = this.start()
    try:
        with filler.open("wb") as stream, contextlib.suppress(OSError):
            os.posix_fallocate(stream.fileno(), 0, free)
        this.linger(5.0)
    finally:
        filler.unlink(missing_ok=True)
    if session.running:
        session.process.send_signal(signal.SIGTERM)


def killed_kernel(this: Round) -> None:
    """A notebook's kernel starts the session and is killed, or restarted: the session goes on, is found again, and stops when asked."""
    manager_of = pytest.importorskip("jupyter_client").KernelManager
    manager = manager_of()
    manager.start_kernel()
    try:
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(120)
        code = KERNEL_CODE.format(params=str(this.params), ready=str(this.simulator.ready_file), journals=str(this.journals), config=str(this.config))
        client.execute_interactive(code, timeout=120, output_hook=lambda message: None)
        ready = this.journals / "session" / "telemetry.path"
        while not ready.exists():
            client.execute_interactive("import os", timeout=120, output_hook=lambda message: None)
        this.session = LiveSession.attach(this.journals / "session")
        this.session.wait_until(lambda now: now.session["n_orders"] >= 2)
        client.stop_channels()
        if this.random.random() < 0.5:
            manager.restart_kernel(now=True)
        else:
            manager.interrupt_kernel()
    finally:
        manager.shutdown_kernel(now=True)
    this.linger(2.0)
    assert this.session.running, "the session died with the kernel"
    LiveSession.attach(this.journals / "session").process.terminate()


WHAT: dict[str, tuple[Callable[[Round], None], int]] = {
    "kill": (kill, KILLS),
    "hup": (hang_up, EACH),
    "stopcont": (stand_still, EACH),
    "disk": (full_disk, EACH),
    "shm": (full_shared_memory, EACH),
    "kernel": (killed_kernel, EACH),
}


@pytest.mark.parametrize(("what", "number"), [(what, i) for what, (_, count) in WHAT.items() for i in range(count)])
def test_a_session_survives(venues: Venues, what: str, number: int) -> None:
    this, before = venues.round(what), len(ROWS)
    WHAT[what][0](this)
    if len(ROWS) == before:
        ROWS.append(this.end())
    assert not ROWS[-1].problems, ROWS[-1]
