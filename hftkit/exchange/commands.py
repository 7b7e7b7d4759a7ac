"""`hftkit sim`: the exchange simulator as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from hftkit.clock import monotonic_ns, unix_ns
from hftkit.errors import ConfigError
from hftkit.exchange.config import SimConfig, load_config
from hftkit.units import NS_PER_S, iso_from_ns

PATIENCE_NS = 5 * NS_PER_S  # at the end of a history, with a client that reads nothing

if TYPE_CHECKING:
    from hftkit.exchange.flow.scenarios import Scenario
    from hftkit.exchange.history.build import HistoryPlan  # loads kernels
    from hftkit.exchange.screen import Screen
    from hftkit.exchange.servers.binance_service import BinanceService
    from hftkit.exchange.servers.binary import BinaryServer


def _write_atomically(path: Path, content: dict[str, Any], private: bool) -> None:
    """Whoever waits for the file sees nothing, or all of it. `private`: only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644), "w") as stream:
        stream.write(json.dumps(content) + "\n")
    partial.replace(path)


def serve(server: Any, run_slice: Callable[[], None], stop: threading.Event, duration_s: float | None) -> None:
    """Run a started server in slices until `stop` is set, the time is over, or the history at its end and every client has read it."""
    end = monotonic_ns() + int(duration_s * NS_PER_S) if duration_s is not None else None
    while not stop.is_set() and (end is None or monotonic_ns() < end) and not server.finished:
        run_slice()
    if server.finished:
        _last_answers(server, run_slice, stop)


def _last_answers(server: Any, run_slice: Callable[[], None], stop: threading.Event) -> None:
    """What the clients have not taken yet; one that takes nothing for a while is not waited for."""
    run_slice()
    left, end = server.unsent, monotonic_ns() + PATIENCE_NS
    while left and not stop.is_set() and monotonic_ns() < end:
        run_slice()
        if server.unsent < left:
            left, end = server.unsent, monotonic_ns() + PATIENCE_NS


def _history_plan(path: Path, rate: str, estimate: str, participation: float | None, hold: bool) -> HistoryPlan:
    from hftkit.exchange.history.build import HistoryPlan
    from hftkit.exchange.history.files import load_history

    try:
        speed = None if rate == "max" else float(rate)
    except ValueError:
        speed = -1.0
    if speed is not None and not 0 < speed < 1e9:
        raise ConfigError(f"rate {rate!r} is no speed", "Give a positive number, or max")
    return HistoryPlan(load_history(path), estimate, participation, speed, hold)


class Recording:
    """Drains the drop copy after each slice into a journal."""

    def __init__(self, server: BinaryServer, folder: Path, service: BinanceService | None, market: dict[str, Any]) -> None:
        """Shares the tap of the Binance service where there is one."""
        from hftkit.exchange.recorder import Recorder
        from hftkit.exchange.tap import Tap

        self._recorder = Recorder(folder, server.venue, server.config, unix_ns(), monotonic_ns(), market)
        self._tap = service.tap if service is not None else Tap(server.venue.tap)
        self._tap.consumers.append(self._recorder.consume)
        self._tap.open()
        self._run = service.host.turn if service is not None else server.run_slice
        self._pumps = service is None

    def turn(self) -> None:
        """One slice, and what it left in the drop copy."""
        self._recorder.time_ns = monotonic_ns()
        self._run()
        if self._pumps:
            self._tap.pump()

    def close(self) -> None:
        """What the end of the connections left, and the end of the journal."""
        self._tap.pump()
        self._tap.close()
        self._recorder.close()


def _market(server: BinaryServer, scenario: str | None) -> dict[str, Any]:
    if server.history is not None:
        return {"history": server.history.history.digest, "queue": server.history.estimate}
    return {"seed": server.config.seed, "scenario": scenario or ""}


def _report(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(summary))
        return
    words = (
        f"stopped after {summary['exchange_seconds']:,.0f} exchange seconds:",
        f"{summary['messages_in']:,} messages in, {summary['messages_out']:,} out,",
        f"{summary['orders']:,} orders ({summary['client_orders']:,} from clients), {summary['trades']:,} trades,",
        f"{summary['connections']} connections",
    )
    click.echo(" ".join(words))
    if summary["history"] is not None:
        from hftkit.exchange.history.build import queue_table

        played = summary["history"]
        click.echo(
            f"history {played['name']} ({played['digest'][:12]}): {played['rows']:,} of {played['of_rows']:,} rows, {played['prints']:,} prints, ",
            nl=False,
        )
        click.echo(f"clients may have {played['participation']:.0%} of a print")
        click.echo("\n".join(queue_table(played)))
    if summary["binance"] is not None and summary["binance"]["internal_errors"]:
        click.echo(f"{summary['binance']['internal_errors']:,} errors inside the Binance dialect: see the log above, and report them")
    if summary["max_lag_ms"] > 50.0:
        click.echo(f"it fell behind by up to {summary['max_lag_ms']:,.0f} ms: choose a lower --speed")


def _with_binance(config: SimConfig, port: int | None, tls: bool, ready_file: Path | None) -> SimConfig:
    """The configuration with its `[binance]` section as the command line wants it."""
    if port is None and not tls:
        return config
    from hftkit.exchange.dialects.binance.config import BinanceConfig

    binance = config.binance or BinanceConfig()
    if port is not None:
        binance = msgspec.structs.replace(binance, port=port)
    if tls:
        if ready_file is None:
            raise ConfigError("--binance-tls writes a certificate beside the ready file, and there is none", "Give --ready-file")
        from hftkit.exchange.servers.certificates import self_signed

        certificate, key = self_signed(ready_file.resolve().parent)
        binance = msgspec.structs.replace(binance, certificate=str(certificate), private_key=str(key))
    return msgspec.structs.replace(config, binance=binance)


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False),
    default=None,
    help="TOML file, `binance` or `stablecoins`. [default: the scenario's, else the sample universe]",
)
@click.option("--seed", type=click.IntRange(min=0), default=None, help="Another market. [default: the configuration's]")
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, help="Exchange seconds per second.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--order-port", type=click.IntRange(0, 65535), default=7001, show_default=True, help="Order entry; 0 picks a free port.")
@click.option("--market-port", type=click.IntRange(0, 65535), default=7002, show_default=True, help="Market data; 0 picks a free port.")
@click.option("--binance-port", type=click.IntRange(0, 65535), default=None, help="Serve the Binance dialect too; 0 picks a free port.")
@click.option("--binance-tls", is_flag=True, help="The same over HTTPS and WSS, with a self-signed certificate beside the ready file.")
@click.option("--ready-file", type=click.Path(dir_okay=False, path_type=Path), default=None, help="JSON file written once clients may connect.")
@click.option(
    "--start-from-sample/--start-from-scratch",
    default=None,
    help="Exchange time continues where data/sample ends. [default: yes for the sample universe]",
)
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), default=None, help="Stop after so many seconds.")
@click.option("--scenario", "scenario_name", default=None, help="What happens to the market: a TOML file, or crash, gap, depeg, drought, ...")
@click.option("--faults", "fault_plan", default=None, help="Fault plan: a TOML file, or one that ships with hftkit (rough_sea, lossy_feed, ...).")
@click.option(
    "--history", "history_path", type=click.Path(path_type=Path), help="Recorded data as the market: a .npz of `hftkit data history`, or a journal."
)
@click.option("--rate", default="1", show_default=True, help="Of the history: exchange seconds per second, or max (as fast as clients can follow).")
@click.option(
    "--queue",
    "estimate",
    type=click.Choice(["optimistic", "neutral", "pessimistic"]),
    default="neutral",
    show_default=True,
    help="Of the history: where a resting order stands in the recorded queue.",
)
@click.option(
    "--participation",
    type=click.FloatRange(0, 1, min_open=True),
    help="Of the history: part of a print that clients may have. [default: 1; candles 0.1]",
)
@click.option("--hold", is_flag=True, help="Of the history: the clock stands until the first client connects.")
@click.option("--record", type=click.Path(path_type=Path, file_okay=False), help="New folder for a journal of market data and executions.")
@click.option("--quiet", is_flag=True, help="No live page, only the first and the last lines. [default where the output is no terminal]")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def sim(
    config_path: str | None,
    seed: int | None,
    speed: float,
    host: str,
    order_port: int,
    market_port: int,
    binance_port: int | None,
    binance_tls: bool,
    ready_file: Path | None,
    start_from_sample: bool | None,
    duration: float | None,
    scenario_name: str | None,
    fault_plan: str | None,
    history_path: Path | None,
    rate: str,
    estimate: str,
    participation: float | None,
    hold: bool,
    record: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run the exchange simulator until Ctrl-C, or to the end of a history.

    \b
    Examples:
      hftkit sim --speed 60 --order-port 0 --market-port 0 --ready-file sim.json
      hftkit sim --config binance --binance-port 8080 --ready-file sim.json
      hftkit sim --history day.npz --rate max --hold
      hftkit sim --record data/journals/calm --duration 600 --speed 10
    """
    scenario: Scenario | None = None
    if scenario_name is not None:
        from hftkit.exchange.flow.scenarios import load_scenario  # loads kernels

        scenario = load_scenario(scenario_name)
    config_path = config_path or (scenario.universe if scenario is not None else "") or None
    config = _with_binance(load_config(config_path), binance_port, binance_tls, ready_file)
    history = _history_plan(history_path, rate, estimate, participation, hold) if history_path is not None else None
    if history is not None and scenario_name is not None:
        raise ConfigError("a scenario moves the synthetic market, and a history is none", "Leave out --scenario, or --history")
    if history is not None and config.binance is not None and (history.rate != 1.0 or history.hold):
        raise ConfigError(
            "clients of the Binance dialect live at the present time, so a history must run at their pace", "Leave out --rate and --hold"
        )
    if order_port == market_port and order_port != 0:
        raise ConfigError(f"order entry and market data both have port {order_port}", "Give them different ports, or 0")
    from hftkit.exchange.faults import load_plan

    plan = load_plan(fault_plan) if fault_plan is not None else None
    from hftkit.exchange.servers.binary import BinaryServer  # late: loads the kernels, which a wrong option should not wait for

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    continues = history is None and config_path is None if start_from_sample is None else start_from_sample
    fault_page = ready_file.with_name(ready_file.name + ".faults") if ready_file is not None else None
    skip = config.minutes if continues else 0
    if config.binance is not None:
        from hftkit.exchange.servers.binance_service import at_wall_time, history_at_wall_time

        config = at_wall_time(config, skip, speed)
        if history is not None and config.binance is not None and config.binance.wall_clock:
            history = history_at_wall_time(history)
    server = BinaryServer(config, seed=seed, speed=speed, skip_minutes=skip, scenario=scenario, plan=plan, fault_page=fault_page, history=history)
    config, speed = server.config, server.speed
    starts_now = config.binance is not None and config.binance.wall_clock
    ports = server.start(host, order_port, market_port, unix_ns() if starts_now else None)
    ready: dict[str, Any] = {
        "host": host,
        "order_port": ports[0],
        "market_port": ports[1],
        "pid": os.getpid(),
        "speed": speed,
        "exchange_start_ns": server.start_ts,
        "symbols": list(config.symbols),
        "faults": str(fault_page.resolve()) if fault_page is not None else None,
    }
    service: BinanceService | None = None
    recording: Recording | None = None
    screen: Screen | None = None
    try:
        if config.binance is not None:
            from hftkit.exchange.servers.binance_service import BinanceService

            service = BinanceService(server, config)
            ready["binance"] = service.start(host, config.binance.port)
        if record is not None:
            recording = Recording(server, record, service, _market(server, scenario_name))
        if ready_file is not None:
            _write_atomically(ready_file, ready, private=service is not None)
        click.echo(
            f"simulator {config.name}: {len(config.instruments)} instruments, orders {host}:{ports[0]}, market data {host}:{ports[1]}, "
            + (f"binance {ready['binance']['url']}, " if service is not None else "")
            + f"speed {'max' if history is not None and history.rate is None else f'{speed:g}'}, exchange time {iso_from_ns(server.start_ts)}",
            err=as_json,
        )
        if sys.stdout.isatty() and not quiet and not as_json:
            from hftkit.exchange.screen import Screen

            title = f"orders :{ports[0]}  data :{ports[1]}  Ctrl-C stops"
            screen = Screen(server, title, monotonic_ns)
        serve(server, recording.turn if recording is not None else server.run_slice if service is None else service.host.turn, stop, duration)
    finally:
        if screen is not None:
            screen.close()
        if service is not None:
            service.stop()
        server.close()
        if recording is not None:
            recording.close()
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
        if fault_page is not None:
            fault_page.unlink(missing_ok=True)
    _report({**server.summary(), "binance": service.venue.summary() if service is not None else None}, as_json)
