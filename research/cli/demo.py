"""The whole story once: find pairs, calibrate, freeze, trade against the simulator, replay, report. What `make demo` runs.

Research happens in this process; the simulator and the live engine are processes of their own, reached over TCP, as in real use. The kernels that
those will need compile in a fourth process meanwhile. The report is one page, report.html (demo_report.py); its numbers and pictures lie beside it.
"""

from __future__ import annotations

import io
import json
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hftkit.clock import monotonic_s, unix_ns
from hftkit.errors import HftkitError
from hftkit.session.child_process import HFTKIT, LiveSession, Simulator
from hftkit.units import from_e8, iso_from_ns
from research.data.data_loader import load_panel
from research.data.data_sets import find_data_sets
from research.data.instruments import find_instruments
from research.pairs.freezing.pipeline import PipelineResult, find_and_freeze
from research.pairs.freezing.settings import Execution
from research.report.demo_report import Truth, write_report

if TYPE_CHECKING:
    from research.report.session import Session

HALF_LIVES_WANTED = 25  # how much market half a minute should hold
# Small enough for the books of the simulator; a retry is short because exchange time runs hundreds of times faster than the engine
EXECUTION = Execution(unit_notional=4_000.0, retry_ns=5_000_000, hedge_deadline_ns=1_000_000_000)
_BASE_SPEED = 600.0  # what the two times above are right for; a faster market gets as many times more
MARKET_SPEED = 15_000.0  # of a market.toml beside the data: three minutes of wall time are a month
_COMPILED = ("strategy pairs", "control page", "journal check", "exchange simulator", "hot loop", "replay")  # what the demo runs, no more
_KERNELS = [word for label in _COMPILED for word in ("--only", label)]


@dataclass
class DemoResult:
    """Where everything is, and the report as written to report.json; `page`: report.html."""

    folder: Path
    report: dict[str, Any]
    found: PipelineResult
    page: Path


def run_demo(data: Path, runs: Path, seconds: float, console: Console, maker_patience_s: float = 0.0) -> DemoResult:
    """Run all seven acts and return the result. `maker_patience_s`: docs/execution.md. Raises HftkitError where one fails."""
    started = monotonic_s()
    truth = _truth(data)
    is_sample = truth is not None  # the simulator's own universe: it trades on where this data ends
    folder = runs / iso_from_ns(unix_ns() // 10**9 * 10**9).replace(":", "").replace("-", "").removesuffix("Z")
    folder.mkdir(parents=True, exist_ok=True)
    warm = subprocess.Popen([*HFTKIT, "warmup", "--quiet", *_KERNELS], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        if not is_sample:
            data = _choose(data, console)
        _act(console, 1, f"prices: {data}")
        panel = load_panel(data, on_gap="refuse" if is_sample else "drop", span="common" if is_sample else "longest")
        instruments, _ = find_instruments(data, panel.closes)
        console.print(f"    {panel.closes.shape[1]} instruments, {len(panel.closes):,} bars to {panel.closes.index[-1]:%Y-%m-%d %H:%M} UTC")
        _act(console, 2, "research: cointegrated pairs, both directions, false-discovery rate 5 %")
        market = data.parent / "market.toml"
        execution = _execution_at(MARKET_SPEED if market.is_file() else _BASE_SPEED, maker_patience_s)
        found = find_and_freeze(panel, instruments, folder / "frozen", execution=execution, insist=not is_sample)
        _show_research(console, found, truth)
        speed = (
            _BASE_SPEED
            if is_sample
            else max(_BASE_SPEED, HALF_LIVES_WANTED * float(found.chosen.test_of_train.half_life) * panel.bar_ns / 1e9 / seconds)
        )
        _wait_for_kernels(warm, console)
    finally:
        if warm.poll() is None:
            warm.kill()
    config = None if is_sample else _market_like(found, instruments, speed, folder)
    if market.is_file():
        speed, config = MARKET_SPEED, market
    _act(console, 4, f"exchange simulator: its own process, exchange time at {speed:,.0f} times wall time")
    with Simulator(folder, speed, config) as simulator:
        if not market.is_file():
            simulator.wait_ready()  # on a slow machine that takes longer than an engine waits for its venue
        _act(console, 5, f"hftkit live: its own process, {seconds:.0f} s through the compiled hot loop")
        with LiveSession(found.path, simulator.ready_file, folder / "journal", "session", seconds) as live:
            try:
                _watch(live, seconds, console)
                result = live.wait()
            finally:
                for line in live.messages():
                    console.print(f"    {line.split(';')[0]}", highlight=False, markup=False)
        venue = simulator.stop()
    _act(console, 6, "replay: the session again from its journal")
    from research.report.session import load_session

    session = load_session(result["journal"])
    console.print(f"    {session.replayed.inputs:,} inputs, {session.replayed.outputs:,} outputs: [green]identical, every byte[/]")
    _act(console, 7, "report")
    pictures = _pictures(folder, found, truth, session)
    report = _report(found, truth, result, venue, session, seconds, speed, monotonic_s() - started)
    (folder / "report.json").write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    page = write_report(folder / "report.html", report, found, truth, pictures, _next_commands(folder, found, data, session))
    return DemoResult(folder, report, found, page)


def _execution_at(speed: float, maker_patience_s: float) -> Execution:
    """The execution for a market at `speed`: how long to wait is wall time at heart, and the frozen file states exchange time."""
    times = max(1.0, speed / _BASE_SPEED)
    retry, deadline = (round(times * ns) for ns in (EXECUTION.retry_ns, EXECUTION.hedge_deadline_ns))
    return replace(EXECUTION, maker_patience_ns=round(maker_patience_s * 1e9), retry_ns=retry, hedge_deadline_ns=deadline)


def _act(console: Console, number: int, text: str) -> None:
    console.print(f"[bold cyan][{number}/7][/] {text}")


def _choose(data: Path, console: Console) -> Path:
    """The folder of candles to take where `data` holds several data sets: the finest bars."""
    sets = find_data_sets(data)
    if len(sets) > 1:
        listed = ", ".join(f"{found.folder.name} ({found.symbols} symbols, {found.bar_ns / 60e9:g} min)" for found in sets)
        console.print(f"    {data} holds {len(sets)} data sets: {listed}; taking the first, name another with --data")
    return sets[0].folder


def _truth(data: Path) -> Truth | None:
    path = data.parent / "truth.json"
    return list(json.loads(path.read_text())["pairs"]) if path.is_file() else None


def _tied(truth: Truth) -> list[tuple[str, str]]:
    """Lead and hedge of the pairs that are tied to this day."""
    return [(pair["lead"], pair["hedge"]) for pair in truth if not pair.get("until")]


def _show_research(console: Console, found: PipelineResult, truth: Truth | None) -> None:
    pairs = [f"{row.lead}/{row.hedge}" for row in found.found.itertuples()]
    left_out = len(found.scan) - found.search.pairs_tested
    tested = f"{found.search.pairs_tested} of {len(found.scan)} ordered pairs tested" + (f" ({left_out} hardly correlated)" if left_out else "")
    console.print(f"    {tested}, {len(pairs)} found: {', '.join(pairs[:8]) or 'none'}{' …' if len(pairs) > 8 else ''}")
    if truth is not None:
        known, ended = ({frozenset((pair["lead"], pair["hedge"])) for pair in truth if bool(pair.get("until")) is gone} for gone in (False, True))
        hit = {frozenset(pair.split("/")) for pair in pairs}
        over = f", {len(hit & ended)} that was one and broke later" if hit & ended else ""
        console.print(f"    against the truth: {len(hit & known)} of {len(known)} found{over}, {len(hit - known - ended)} false")
    for warning in found.warnings:
        console.print(f"    [yellow]note: {warning}[/]")
    chosen, best = found.chosen, found.chosen.sweep.chosen
    _act(
        console,
        3,
        f"calibrated {chosen.lead}/{chosen.hedge}: hedge ratio {chosen.hedge_ratio:.4f}, half-life {float(chosen.test_of_train.half_life):.1f} bars",
    )
    console.print(
        f"    window {best.window}, entry {best.entry_z:g}, exit {best.exit_z:g}, stop {best.stop_z:g} of {chosen.sweep.trials} sets;"
        f" out of sample after costs: net {chosen.test.net:+.2%}, Sharpe {chosen.test.sharpe:.1f}, {chosen.test.trades} trades"
    )
    console.print(f"    frozen: {found.path.name}")


def _wait_for_kernels(warm: subprocess.Popen[str], console: Console) -> None:
    if warm.poll() is None:
        with console.status("compiling kernels (once on this machine)"):
            _, errors = warm.communicate()  # a slow or busy machine may need many minutes: Ctrl-C ends it
    else:
        _, errors = warm.communicate()
    if warm.returncode:
        raise HftkitError(
            f"the kernels did not compile: {errors.strip().splitlines()[-1] if errors.strip() else warm.returncode}", "Run `hftkit doctor`"
        )


def _market_like(found: PipelineResult, instruments: Any, speed: float, folder: Path) -> Path:
    from research.market.market_like import market_like, write_config

    return write_config(market_like(found, instruments, speed), folder / "market_like.toml")


def _watch(session: LiveSession, seconds: float, console: Console) -> None:
    """A progress bar fed from the engine's telemetry page, until the process ends."""
    columns = (TextColumn("    {task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("starting", total=seconds)
        while session.running:
            now = session.telemetry()
            z, pnl = float(now.signal[0]["zscore"]), from_e8(int(now.risk["equity_e8"]), 2)
            text = f"z {z:+5.2f}  orders {int(now.session['n_orders']):3d}  fills {int(now.session['n_fills']):3d}  P&L {pnl:>9}"
            elapsed = (now.ts_published - now.started_monotonic_ns) / 1e9
            progress.update(bar, completed=min(elapsed, seconds), description=text)
            time.sleep(0.1)


def _report(
    found: PipelineResult,
    truth: Truth | None,
    result: dict[str, Any],
    venue: dict[str, Any],
    session: Session,
    seconds: float,
    speed: float,
    wall_s: float,
) -> dict[str, Any]:
    received = int(venue.get("client_orders", result["orders_sent"]))
    chosen = found.chosen
    return {
        "pairs_found": [f"{row.lead}/{row.hedge}" for row in found.found.itertuples()],
        "pairs_true": None if truth is None else ["/".join(pair) for pair in _tied(truth)],
        "pairs_tested": found.search.pairs_tested,
        "pair_traded": f"{chosen.lead}/{chosen.hedge}",
        "warnings": list(found.warnings),
        "out_of_sample": chosen.test.summary(),
        "params_file": found.path.name,
        "params_digest": found.params.digest,
        "exchange_speed": speed,
        "orders_sent": result["orders_sent"],
        "orders_received_by_venue": received,
        "orders_lost": max(0, result["orders_sent"] - received) + result["orders_without_outcome"],
        "orders_duplicated": max(0, received - result["orders_sent"]),
        "fills": result["fills"],
        "fills_at_venue": venue.get("client_fills"),
        "rejects": result["rejects"],
        "vetoes": result["vetoes"],
        "execution": result["execution"],
        "entries": result["entries"],
        "exits": result["exits"],
        "unwinds": result["unwinds"],
        "realized_pnl": result["realized_pnl"],
        "fees": result["fees"],
        "net_pnl": result["net_pnl"],
        "end_positions": result["end_positions"],
        "market_data_frames": result["market_data_frames"],
        "book_gaps": result["book_gaps"],
        "tick_to_order_us": result["latency_us"]["tick_to_order"],
        "latency_us": result["latency_us"],
        "startup_s": result["startup_s"],
        "resident_mb": result["resident_mb"],
        "seconds": seconds,
        "exchange_hours": round(session.hours, 3),
        "replay_identical": session.replayed.identical,
        "replay_inputs": session.replayed.inputs,
        "replay_outputs": session.replayed.outputs,
        "simulator_max_lag_ms": venue.get("max_lag_ms"),
        "wall_s": round(wall_s, 1),
    }


def _pictures(folder: Path, found: PipelineResult, truth: Truth | None, session: Session) -> dict[str, bytes]:
    """Each picture as a PNG file, drawn once: written into the folder, and returned for the page."""
    from research.report import figures, session_figures

    drawn = {
        "pairs": figures.pair_heat_map(found.scan, None if truth is None else _tied(truth)),
        "calibration": figures.stability_map(found.chosen.sweep),
        "out_of_sample": figures.out_of_sample(found.chosen),
        "spread": session_figures.session_spread(session),
        "equity": session_figures.session_equity(session),
        "latency": session_figures.latency_by_percentile(session.folder),
    }
    pictures = {}
    for name, figure in drawn.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        pictures[name] = buffer.getvalue()
        (folder / f"{name}.png").write_bytes(pictures[name])
    return pictures


def _next_commands(folder: Path, found: PipelineResult, data: Path, session: Session) -> list[str]:
    return [
        f"hftkit params show {found.path}",
        f"hftkit replay {session.folder} --verify",
        f"hftkit backtest {found.path} {data} --report {folder / 'tear_sheet.html'}",
        "hftkit notebook open        # notebooks/00_tour.ipynb first",
        "hftkit demo --data FOLDER   # the same with your own candles",
    ]
