"""Kill the engine again and again, and let the venue's own ledger be the judge.

Simulator, supervisor and engines are the processes that a shell would start. The engine is ended by SIGKILL: from outside at a random moment, or by
itself at a named boundary (live/ending/failpoints.py). Then one takes over. What the journals of all these sessions hold together must be what the
venue recorded (`hftkit sim --record`): each order once, each fill once, positions and money to the last unit.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from hftkit.clock import monotonic_ns, monotonic_s
from hftkit.codes import EventKind, MessageType, RecordType
from hftkit.errors import HftkitError, VenueError
from hftkit.exchange.core.layout import EXECUTION, ExecutionKind, TapKind
from hftkit.kernels.wire.decode import decode_order_entry
from hftkit.kernels.wire.frame import frame_instrument, frame_type, frame_words
from hftkit.layout import EVENT, FRAME
from hftkit.params.format import FrozenParams, LegPlan, freeze
from hftkit.session.child_process import LiveSession, Simulator
from hftkit.session.control import CONTROL_PAGE, ControlPage
from hftkit.session.journal import JournalReader
from hftkit.session.replay import LAST_SNAPSHOT, ReplayResult, replay
from hftkit.system import private_files
from hftkit.system.process_handle import AttachedProcess
from live.ending import failpoints
from live.venues.binary.discovery import discover

_PATIENCE_S = 60.0
_FIRST_FILLS = 12  # before the first kill: there is something to lose
_CONFIG = """[loop]
wait = "block"
[session]
segment_mb = 1
stop_timeout_s = 60.0
[recovery]
crashes = 100
crash_window_s = 1.0
"""
BOUNDARIES = ("journal roll", "snapshot", "snapshot written", "journal sync")
_ID = FRAME[MessageType.NEW_ORDER].word("client_order_id")
_DRILL: dict[str, int | str] = {
    "hedge_ratio": "1.0",
    "bar_ns": 60_000_000_000,
    "window": 10,
    "entry_z": "0.5",
    "exit_z": "0.1",
    "stop_z": "50.0",
    "max_holding_bars": 20,
}


class Times(msgspec.Struct, frozen=True):
    """Milliseconds from a kill to trading enabled in the session that took over."""

    p50: float
    p99: float
    max: float
    n: int


class Chaos(msgspec.Struct, frozen=True, kw_only=True):
    """The report of `hftkit chaos --json`."""

    kills: int
    at_boundaries: dict[str, int]
    seed: int
    dialect: str
    sessions: int
    orders: int
    fills: int
    orders_lost: int  # known to one side alone: at the venue and in no journal, or acknowledged and not at the venue
    orders_doubled: int  # journalled, or at the venue, more than once
    fills_equal: bool  # the journals' fills, each once, are the venue's
    ledger_equal: bool  # positions, realised profit and fees of the last session are the venue's
    left_open: int  # positions and orders at the venue at the end
    recovery_ms: Times
    replay_identical: bool  # of every session, from its beginning and from its last snapshot
    exit_code: int
    problems: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, doubled, wrong or left."""
        return not (self.orders_lost or self.orders_doubled or self.left_open or self.problems) and (
            self.fills_equal and self.ledger_equal and self.replay_identical
        )


def drill_file(simulator: Simulator, folder: Path) -> Path:
    """A frozen pair of the simulator's own symbols that trades often."""
    ready = simulator.wait_ready()
    listed = {one.symbol: one for one in discover(ready["host"], ready["market_port"], _PATIENCE_S)}
    if not {"CHARUSD", "DELTUSD"} <= set(listed):
        raise HftkitError("the drill's pair CHARUSD/DELTUSD is not among the simulator's symbols", "Give --params, and --sim-config")
    legs = LegPlan(
        lead="CHARUSD", hedge="DELTUSD", unit_lead_lots=1500, unit_hedge_lots=-5000, slippage_ticks=10,
        hedge_deadline_ns=10**9, retry_ns=10**6, residual_lots=0,
    )  # fmt: skip
    body = FrozenParams(
        schema_version=1, name="chaos-drill", strategy="pairs", strategy_version=1, instruments=(listed["CHARUSD"], listed["DELTUSD"]), legs=legs,
        parameters=_DRILL, arrays={}, provenance={}, valid_from_ns=0, valid_until_ns=2**62,
    )  # fmt: skip
    return freeze(body, folder)


class _Engines:
    """The engines of one supervised session, one after the other. `kills`: monotonic ns. Owner: whoever kills them."""

    def __init__(self, journals: Path) -> None:
        self.journals = journals
        self.kills: list[int] = []

    def folders(self) -> list[Path]:
        """Of all its sessions, the oldest first."""
        found = [path.parent for path in self.journals.glob("*/segment-000001.hftj") if has_begun(path.parent)]
        return sorted(found, key=lambda folder: (folder / "segment-000001.hftj").stat().st_ctime_ns)

    def alive(self) -> AttachedProcess | None:
        """The engine that runs."""
        for folder in reversed(self.folders()):
            with suppress(HftkitError, ProcessLookupError):
                return AttachedProcess(ControlPage.attach(folder / CONTROL_PAGE).owner)
        return None

    def goes_on(self, sessions: int, just_begun: bool) -> bool:
        """Whether there are so many sessions by now; and, unless `just_begun` is enough, the last of them trades."""
        return len(self.folders()) >= sessions and (just_begun or len(self.recovered()) >= sessions - 1)

    def recovered(self) -> list[int]:
        """Monotonic ns at which each session that took over traded."""
        found = []
        for folder in self.folders():
            with suppress(OSError, ValueError):
                for line in (folder / "session.log").read_text().splitlines():
                    entry = json.loads(line)
                    if entry.get("event") == "recovered":
                        found.append(int(entry["at_ns"]))
        return found


def chaos(
    folder: Path,
    kills: int,
    seed: int,
    *,
    params: Path | None = None,
    speed: float = 120.0,
    longest_s: float = 2.0,
    at_boundaries: bool = False,
    sim_config: Path | None = None,
    said: Callable[[str], None] = lambda line: None,
) -> Chaos:
    """Trade against a recorded simulator of the binary protocol, kill the engine `kills` times, end in order, compare.

    Parameters
    ----------
    folder : Path
        New or empty: everything lies there.
    kills : int
        SIGKILLs of the engine, each `longest_s` at most after the one before it trades.
    seed : int
        Of the moments.
    params : Path, optional
        What is traded; by default a pair that trades often.
    speed : float
        Exchange seconds a second.
    at_boundaries : bool
        The engines also end themselves, at each of BOUNDARIES in turn.
    said : callable
        Told of what happens.

    Returns
    -------
    Chaos

    Raises
    ------
    HftkitError
        Where it could not be run at all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise HftkitError(f"{folder} is not empty", "Name a new folder")
    config = folder / "live.toml"
    private_files.write(
        config, '[loop]\nwait = "block"\n[session]\nsegment_mb = 1\nstop_timeout_s = 60.0\n[recovery]\ncrashes = 100\ncrash_window_s = 1.0\n'
    )
    rnd = random.Random(seed)
    problems: list[str] = []
    codes: list[int] = []
    runs: list[_Engines] = []
    boundary_kills: Counter[str] = Counter()
    with Simulator(folder, speed, sim_config, ("--record", str(folder / "venue"))) as simulator:
        simulator.wait_ready()
        traded = params or drill_file(simulator, folder / "frozen")
        plan = [("", kills), *((name, 3) for name in BOUNDARIES if at_boundaries)]
        for account, (name, n) in enumerate(plan, start=1):
            run = _Engines(folder / f"journals-{account}")
            runs.append(run)
            problem = _one_run(run, name, n, account, traded, simulator, config, rnd, longest_s, codes, said)
            if name:
                boundary_kills[name] = len(run.folders()) - 1
            if problem:
                problems.append(problem)
        simulator.stop()
    return _judge(folder, seed, runs, boundary_kills, problems, codes)


def _one_run(
    run: _Engines,
    boundary: str,
    kills: int,
    account: int,
    params: Path,
    simulator: Simulator,
    config: Path,
    rnd: random.Random,
    longest_s: float,
    codes: list[int],
    said: Callable[[str], None],
) -> str:
    """One supervised session on an account of its own, killed so often. What went wrong, ''."""
    left = run.journals.with_suffix(".kills")
    private_files.write(left, "x" * kills)
    with environment(boundary, left):
        session = LiveSession(params, simulator.ready_file, run.journals, "chaos", 0.0, ("--config", str(config), "--account", str(account)))
    try:
        with suppress(VenueError):
            session.wait_until(lambda now: now.session["n_fills"] >= (1 if boundary else _FIRST_FILLS), _PATIENCE_S)
        for n in range(kills):
            if not boundary:
                time.sleep(rnd.random() * longest_s)
                engine = run.alive()
                if engine is None:
                    return f"no engine runs after kill {n}: {session.messages()[-1:]}"
                run.kills.append(monotonic_ns())
                engine.kill()
            problem = _until(partial(run.goes_on, n + 2, bool(boundary)), session)
            if problem:
                return f"{boundary or 'kill'} {n + 1}: {problem}"
            said(f"{boundary or 'kill -9'} {n + 1} of {kills}: session {run.folders()[-1].name} goes on")
    finally:
        session.process.send_signal(signal.SIGINT)
        try:
            codes.append(session.process.wait(_PATIENCE_S * 2))
        except subprocess.TimeoutExpired:
            session.kill()
            codes.append(-9)
    return "" if codes[-1] in (0, 3) else f"exit status {codes[-1]}: {session.messages()[-1:]}"


@contextmanager
def environment(boundary: str, left: Path) -> Iterator[None]:
    """A supervisor, whatever the surroundings say; and the drill of an engine's own end at a boundary, for processes started within."""
    wanted = {"HFTKIT_RECOVERY__SUPERVISOR": "true"}
    wanted |= {failpoints.VARIABLE: f"{boundary},1,kill", failpoints.KILLS_VARIABLE: str(left)} if boundary else {}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _until(happened: Callable[[], Any], session: LiveSession) -> str:
    deadline = monotonic_s() + _PATIENCE_S
    while not happened():
        if not session.running:
            return f"the supervisor has ended: {session.messages()[-3:]}"
        if monotonic_s() > deadline:
            return f"nobody has taken over within {_PATIENCE_S:g} s: {session.messages()[-3:]}"
        time.sleep(0.01)
    return ""


# -- the judgement ----------------------------------------------------------------------------------------------------


def has_begun(folder: Path) -> bool:
    """Whether a journal has a configuration: one that was killed before is nobody's."""
    with suppress(HftkitError):
        return any(record.type == RecordType.CONFIG for record in islice(JournalReader(folder), 2))
    return False


def executions(folder: Path) -> np.ndarray:
    """What happened to clients' orders, as the venue recorded it (EXECUTION)."""
    rows = []
    for words, records in JournalReader(folder).chunks():
        for at, n_words, _ in records[records[:, 2] == RecordType.DROP_COPY]:
            if frame_type(words[at]) == TapKind.EXECUTION:
                rows.append(words[at : at + n_words].copy())
    return np.array(rows, np.int64).reshape(len(rows), EXECUTION.dtype.itemsize // 8).view(EXECUTION.dtype).reshape(-1)


def orders_in(folder: Path) -> Iterator[int]:
    """Client order id of every NEW_ORDER that a journal holds."""
    for record in JournalReader(folder):
        at = 0
        while record.type == RecordType.ORDER_ENTRY_OUT and at < record.payload.size:
            if frame_type(record.payload[at]) == MessageType.NEW_ORDER:
                yield int(record.payload[at + _ID])
            at += int(frame_words(record.payload[at]))


def fills_in(folder: Path) -> Iterator[tuple[int, ...]]:
    """(trade, order, instrument, side, price, qty, fee) of every ORDER_FILL that a journal holds, but for those that came again."""
    event, seen = np.zeros(1, EVENT.dtype), 0
    for record in JournalReader(folder):
        if record.type != RecordType.ORDER_ENTRY_IN or frame_type(record.payload[0]) != MessageType.ORDER_FILL:
            continue
        if decode_order_entry(record.payload, 0, event, 0, 1 << 20) == EventKind.ORDER_FILL and int(event[0]["seq"]) > seen:
            seen = int(event[0]["seq"])
            e = event[0]
            yield (
                int(e["trade_id"]), int(e["client_order_id"]), int(frame_instrument(record.payload[0])), int(e["side"]), int(e["price"]),
                int(e["qty"]), int(e["fee_e8"]),
            )  # fmt: skip


class _Verdict(NamedTuple):
    """What the journals of one account came to beside the venue's record."""

    orders: int
    fills: int
    lost: int
    doubled: int
    left: int
    fills_equal: bool
    ledger_equal: bool
    identical: bool
    problems: tuple[str, ...]


def _compare(sessions: list[Path], mine: np.ndarray) -> _Verdict:
    """The sessions of an account, the oldest first, and its executions at the venue (EXECUTION)."""
    problems: list[str] = []
    journalled = Counter(number for one in sessions for number in orders_in(one))
    arrived = Counter(int(n) for n in mine[mine["kind"] == ExecutionKind.NEW]["client_order_id"])
    refused = {int(n) for n in mine[mine["kind"] == ExecutionKind.REJECTED]["client_order_id"]}
    last, identical = _replayed(sessions, problems)
    acknowledged = {int(row["client_order_id"]) for row in last.rooms.orders if row["order_id"]}
    trades = mine[mine["kind"] == ExecutionKind.TRADE]
    names = ("trade_id", "client_order_id", "instrument", "side", "last_price", "last_qty", "fee_e8")
    theirs = Counter(tuple(int(row[name]) for name in names) for row in trades)
    ours = Counter(fill for one in sessions for fill in fills_in(one))
    if ours != theirs:
        problems.append(f"{sum((ours - theirs).values())} fills are only ours, {sum((theirs - ours).values())} only the venue's")
    held = {int(i): int(trades[trades["instrument"] == i]["position"][-1]) for i in np.unique(trades["instrument"])}
    ledger = last.rooms.ledger
    money = (int(ledger["realized_e8"].sum()), int(ledger["fees_e8"].sum()))
    venues = (int(trades["realised_e8"].sum()), int(trades["fee_e8"].sum()))
    same_lots = all(int(ledger["position"][i]) == lots for i, lots in held.items())
    if money != venues or not same_lots:
        problems.append(f"realised and fees {money}, the venue's {venues}; positions {'agree' if same_lots else 'differ'}")
    leaves = {int(row["client_order_id"]): int(row["leaves"]) for row in mine if row["kind"] != ExecutionKind.CANCEL_REJECTED}
    gone = {int(n) for n in mine[mine["kind"] == ExecutionKind.CANCELED]["client_order_id"]} | refused
    return _Verdict(
        orders=len(journalled),
        fills=len(trades),
        lost=len(set(arrived) - set(journalled)) + len(acknowledged - set(arrived) - refused),
        doubled=sum(n - 1 for n in journalled.values()) + sum(n - 1 for n in arrived.values()),
        left=sum(1 for lots in held.values() if lots) + sum(1 for number, lots in leaves.items() if lots and number not in gone),
        fills_equal=ours == theirs,
        ledger_equal=money == venues and same_lots,
        identical=identical,
        problems=tuple(problems),
    )


def _replayed(sessions: list[Path], problems: list[str]) -> tuple[ReplayResult, bool]:
    """The replay of the last session, and whether those of all are identical, from the beginning and from the last snapshot."""
    identical = True
    for one in sessions:
        whole, part = replay(one), replay(one, from_snapshot=LAST_SNAPSHOT)
        if not (whole.identical and part.identical):
            identical = False
            problems.append(f"{one.name}: {whole.difference or part.difference}")
    return whole, identical


def _judge(folder: Path, seed: int, runs: list[_Engines], boundaries: Counter[str], problems: list[str], codes: list[int]) -> Chaos:
    venue = executions(folder / "venue")
    found = [_compare(run.folders(), venue[venue["account_id"] == account]) for account, run in enumerate(runs, start=1)]
    times = [(now - kill) / 1e6 for run in runs for kill, now in zip(run.kills, run.recovered(), strict=False)]
    p50, p99, most = (round(float(np.percentile(times or [0.0], at)), 1) for at in (50, 99, 100))
    return Chaos(
        kills=sum(len(run.kills) for run in runs) + sum(boundaries.values()),
        at_boundaries=dict(boundaries),
        seed=seed,
        dialect="binary",
        sessions=sum(len(run.folders()) for run in runs),
        orders=sum(one.orders for one in found),
        fills=sum(one.fills for one in found),
        orders_lost=sum(one.lost for one in found),
        orders_doubled=sum(one.doubled for one in found),
        fills_equal=all(one.fills_equal for one in found),
        ledger_equal=all(one.ledger_equal for one in found),
        left_open=sum(one.left for one in found),
        recovery_ms=Times(p50, p99, most, len(times)),
        replay_identical=all(one.identical for one in found),
        exit_code=max(codes, key=abs, default=0),
        problems=(*problems, *(text for one in found for text in one.problems)),
    )
