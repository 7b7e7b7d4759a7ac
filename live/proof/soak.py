"""Does a session grow? Memory, descriptors and journal of an engine and its venue, watched from outside for as long as one likes.

Both are real processes, started as a shell would start them. What is read of them is what any user can read: `/proc` and
the telemetry page. The verdict is about growth, not about speed: resident memory by a straight line through the samples
after the first tenth (imports, caches and the first segment are not growth), open descriptors at the end beside those
after the first tenth.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from hftkit.clock import monotonic_s
from hftkit.errors import HftkitError, VenueError
from hftkit.session.child_process import LiveSession, Simulator
from hftkit.session.replay import replay

_WARM = 0.1  # of the samples: not judged
MB = 1e6


class Process(msgspec.Struct, frozen=True):
    """What the operating system holds for one process."""

    rss_mb: float  # resident memory
    descriptors: int  # open files, sockets, pipes
    threads: int


class Sample(msgspec.Struct, frozen=True):
    """One look."""

    seconds: float  # since trading was enabled
    engine: Process
    venue: Process
    messages: int  # of market data, taken in
    orders: int
    fills: int


class Growth(msgspec.Struct, frozen=True):
    """What a process held after the first tenth and at the end, and the slope between."""

    rss_mb_first: float
    rss_mb_last: float
    rss_mb_most: float
    rss_mb_per_hour: float  # least squares
    descriptors_first: int
    descriptors_last: int
    threads_last: int


class Soak(msgspec.Struct, frozen=True):
    """The report of `hftkit soak --json`."""

    hours: float
    dialect: str
    speed: float  # exchange seconds a second
    exit_code: int
    messages: int
    orders: int
    fills: int
    journal_mb: float
    journal_mb_per_hour: float
    replay_identical: bool | None  # None: not asked for
    engine: Growth
    venue: Growth
    samples: tuple[Sample, ...]


def held_by(pid: int) -> Process:
    """Resident memory, descriptors and threads of a process. Raises HftkitError where there is no /proc, or no such process."""
    folder = Path("/proc") / str(pid)
    try:
        rows = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
        return Process(int(rows["VmRSS"].split()[0]) * 1024 / MB, sum(1 for _ in (folder / "fd").iterdir()), int(rows["Threads"]))
    except (OSError, KeyError) as reason:
        raise HftkitError(f"process {pid} cannot be looked at ({reason})", "A soak needs Linux's /proc, and a process that still runs") from None


def growth(samples: tuple[Sample, ...], of: Callable[[Sample], Process]) -> Growth:
    """Of samples in time order, at least two."""
    judged = samples[int(len(samples) * _WARM) :]
    held = [of(sample) for sample in judged]
    hours = np.array([sample.seconds for sample in judged]) / 3600.0
    memory = np.array([one.rss_mb for one in held])
    slope = float(np.polyfit(hours - hours.mean(), memory, 1)[0]) if len(judged) > 2 and np.ptp(hours) > 0 else 0.0
    return Growth(held[0].rss_mb, held[-1].rss_mb, float(memory.max()), slope, held[0].descriptors, held[-1].descriptors, held[-1].threads)


def watch(session: LiveSession, simulator: Simulator, seconds: float, every_s: float) -> Iterator[Sample]:
    """Looks, from the first message on, until the time is over. Raises VenueError if one of the two ends before."""
    session.wait_until(lambda now: now.session["n_market_data"] > 0)
    started = monotonic_s()
    while True:
        for child in (session, simulator):
            if not child.running:
                raise VenueError(f"{child.log.stem} ended before the soak", f"See {child.log}")
        now = session.telemetry().session
        at = monotonic_s() - started
        engine, venue = held_by(session.process.pid), held_by(simulator.process.pid)
        yield Sample(at, engine, venue, int(now["n_market_data"]), int(now["n_orders"]), int(now["n_fills"]))
        if at >= seconds:
            return
        time.sleep(max(min(every_s, seconds - at), 0.05))


def soak(
    params: Path,
    folder: Path,
    hours: float,
    *,
    dialect: str = "binary",
    speed: float = 1.0,
    sim_config: Path | None = None,
    live_config: Path | None = None,
    every_s: float = 10.0,
    verify: bool = False,
    said: Callable[[Sample], None] = lambda sample: None,
) -> Soak:
    """Run a simulator and a session for `hours`, look at both every `every_s` seconds, end them in order.

    Parameters
    ----------
    params : Path
        The frozen file that is traded.
    folder : Path
        New or empty: logs, journal, result.
    hours : float
        Of wall time.
    dialect : str
        "binary" or "binance": what the session speaks with the simulator.
    speed : float
        Exchange seconds a second of the simulator.
    sim_config, live_config : Path, optional
        Configurations as `hftkit sim --config` and `hftkit live --config` take them.
    every_s : float
        Seconds between two looks.
    verify : bool
        Replay the whole journal at the end.
    said : callable
        Told of each look.

    Returns
    -------
    Soak

    Raises
    ------
    VenueError
        If engine or venue end before their time.
    HftkitError
        Where there is no /proc.
    """
    if dialect == "binance" and live_config is None:
        raise HftkitError("a soak of the Binance dialect needs a configuration of the session", "Give --config live/configs/sim-binance-fast.toml")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise HftkitError(f"{folder} is not empty", "Name a new folder with --out: the journal's size is measured there")
    options = ("--binance-port", "0") if dialect == "binance" else ()
    seconds = hours * 3600.0
    with Simulator(folder, speed, sim_config, options) as simulator:
        simulator.wait_ready()
        config = ("--config", str(live_config)) if live_config is not None else ()
        with LiveSession(params, simulator.ready_file, folder / "journals", "soak", seconds + 3600.0, (*config, "--no-supervisor")) as session:
            samples = []
            for sample in watch(session, simulator, seconds, every_s):
                samples.append(sample)
                said(sample)
    code = session.process.wait(0)
    journal = sum(path.stat().st_size for path in session.folder.glob("*.hftj")) / MB
    seen = tuple(samples)
    lasted = seen[-1].seconds / 3600.0
    return Soak(
        hours=lasted,
        dialect=dialect,
        speed=speed,
        exit_code=code,
        messages=seen[-1].messages,
        orders=seen[-1].orders,
        fills=seen[-1].fills,
        journal_mb=journal,
        journal_mb_per_hour=journal / lasted,
        replay_identical=replay(session.folder).identical if verify else None,
        engine=growth(seen, lambda sample: sample.engine),
        venue=growth(seen, lambda sample: sample.venue),
        samples=seen,
    )
