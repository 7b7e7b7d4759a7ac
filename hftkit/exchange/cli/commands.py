"""`hftkit sim`: the exchange simulator as a process of its own."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from hftkit.clock import monotonic_ns, unix_ns
from hftkit.compilation.compile_progress import compilation_said
from hftkit.errors import ConfigError
from hftkit.exchange.config import SimConfig, load_config
from hftkit.exchange.servers.process import (
    Recording,
    refuse_contradictions,
    refuse_if_in_use,
    report,
    serve,
    stop_on_signals,
    warn_of_clients,
    write_ready_file,
)
from hftkit.session.running import Registration, register
from hftkit.system import private_files
from hftkit.units import iso_from_ns

if TYPE_CHECKING:
    from hftkit.exchange.cli.screen import Screen
    from hftkit.exchange.market.flow.scenarios import Scenario
    from hftkit.exchange.market.history.build import HistoryPlan  # loads kernels
    from hftkit.exchange.servers.binance_service import BinanceService
    from hftkit.exchange.servers.binary import BinaryServer


def _history_plan(path: Path, rate: str, estimate: str, participation: float | None, hold: bool) -> HistoryPlan:
    from hftkit.exchange.market.history.build import HistoryPlan
    from hftkit.exchange.market.history.files import load_history

    try:
        speed = None if rate == "max" else float(rate)
    except ValueError:
        speed = -1.0
    if speed is not None and not 0 < speed < 1e9:
        raise ConfigError(f"rate {rate!r} is no speed", "Give a positive number, or max")
    return HistoryPlan(load_history(path), estimate, participation, speed, hold)


def _market(server: BinaryServer, scenario: str | None) -> dict[str, Any]:
    if server.history is not None:
        return {"history": server.history.history.digest, "queue": server.history.estimate}
    return {"seed": server.config.seed, "scenario": scenario or ""}


def _with_binance(config: SimConfig, port: int | None, tls: bool, ready_file: Path | None, made: private_files.Made) -> SimConfig:
    """The configuration with its `[binance]` section as the command line wants it."""
    if port is None and not tls:
        return config
    from hftkit.exchange.dialects.binance.config import BinanceDialectConfig

    binance = config.binance or BinanceDialectConfig()
    if port is not None:
        binance = msgspec.structs.replace(binance, port=port)
    if tls:
        if ready_file is None:
            raise ConfigError("--binance-tls writes a certificate beside the ready file, and there is none", "Give --ready-file")
        from hftkit.exchange.servers.certificates import self_signed

        certificate, key = self_signed(ready_file.resolve().parent, stem=f"{ready_file.name}.", made=made)
        binance = msgspec.structs.replace(binance, certificate=str(certificate), private_key=str(key))
    return msgspec.structs.replace(config, binance=binance)


def _number(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is no number", context, option)
    return value


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False),
    default=None,
    help="TOML file, `binance` or `stablecoins`. [default: the scenario's, else the sample universe]",
)
@click.option("--seed", type=click.IntRange(min=0), default=None, help="Another market. [default: the configuration's]")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, max=1e9, min_open=True),
    callback=_number,
    default=1.0,
    show_default=True,
    help="Exchange seconds per second.",
)
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
@click.option("--duration", type=click.FloatRange(min=0, max=1e9, min_open=True), callback=_number, default=None, help="Stop after so many seconds.")
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
@click.pass_context
def sim(
    context: click.Context,
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
      hftkit sim --scenario crash --faults rough_sea --ready-file sim.json    (then: hftkit faults --sim sim.json show)
    """
    given = {name for name in context.params if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT}
    scenario: Scenario | None = None
    if scenario_name is not None:
        from hftkit.exchange.market.flow.scenarios import load_scenario  # loads kernels

        scenario = load_scenario(scenario_name)
    config_path = config_path or (scenario.universe if scenario is not None else "") or None
    config = load_config(config_path)
    has_binance = config.binance is not None or binance_port is not None or binance_tls
    refuse_contradictions(given, has_binance, order_port, market_port)
    if ready_file is not None:
        refuse_if_in_use(ready_file)
    made = private_files.Made()
    context.call_on_close(made.remove)  # whatever ends it: a port in use as well as a signal
    config = _with_binance(config, binance_port, binance_tls, ready_file, made)
    history = _history_plan(history_path, rate, estimate, participation, hold) if history_path is not None else None
    from hftkit.exchange.faults.plan import load_plan

    plan = load_plan(fault_plan) if fault_plan is not None else None
    if plan is not None and scenario is not None and not scenario.faults.is_fair:
        raise ConfigError(f"scenario {scenario_name} brings faults of its own", "Leave out --faults, or write one TOML file with both")
    compiling = contextlib.ExitStack()
    context.call_on_close(compiling.close)
    compiling.enter_context(compilation_said())
    from hftkit.exchange.servers.binary import BinaryServer  # late: loads the kernels, which a wrong option should not wait for

    stop = threading.Event()
    stop_on_signals(stop)
    continues = history is None and config_path is None if start_from_sample is None else start_from_sample
    fault_page = ready_file.with_name(ready_file.name + ".faults") if ready_file is not None else None
    skip = config.minutes if continues else 0
    if config.binance is not None:
        from hftkit.exchange.servers.binance_service import at_wall_time, history_at_wall_time

        config = at_wall_time(config, skip, speed)
        if history is not None and config.binance is not None and config.binance.wall_clock:
            history = history_at_wall_time(history)
    server = BinaryServer(config, seed=seed, speed=speed, skip_minutes=skip, scenario=scenario, plan=plan, fault_page=fault_page, history=history)
    if fault_page is not None:
        made.note(fault_page)
    config, speed = server.config, server.speed
    starts_now = config.binance is not None and config.binance.wall_clock
    service: BinanceService | None = None
    recording: Recording | None = None
    screen: Screen | None = None
    registration: Registration | None = None
    try:
        ports = server.start(host, order_port, market_port, unix_ns() if starts_now else None)
        compiling.close()
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
        if config.binance is not None:
            from hftkit.exchange.servers.binance_service import BinanceService

            service = BinanceService(server, config)
            ready["binance"] = service.start(host, config.binance.port)
        if record is not None:
            recording = Recording(server, record, service, _market(server, scenario_name))
        if ready_file is not None:
            made.note(ready_file, write_ready_file(ready_file, ready))
        place = ready_file if ready_file is not None else Path.cwd() / f"sim-{os.getpid()}"
        registration = register("sim", place.parent, name=place.name, ready_file=str(ready_file or ""), venue=f"{host}:{ports[0]}")
        click.echo(
            f"simulator {config.name}: {len(config.instruments)} instruments, orders {host}:{ports[0]}, market data {host}:{ports[1]}, "
            + (f"binance {ready['binance']['url']}, " if service is not None else "")
            + f"speed {'max' if history is not None and history.rate is None else f'{speed:g}'}, exchange time {iso_from_ns(server.start_ts)}",
            err=as_json,
        )
        if sys.stdout.isatty() and not quiet and not as_json:
            from hftkit.exchange.cli.screen import Screen

            title = f"orders :{ports[0]}  data :{ports[1]}  Ctrl-C stops"
            screen = Screen(server, title, monotonic_ns)
        serve(server, recording.turn if recording is not None else server.run_slice if service is None else service.host.turn, stop, duration)
        if stop.is_set():
            warn_of_clients(server, service)
    finally:
        try:
            if registration is not None:
                registration.close()
            if screen is not None:
                screen.close()
            if service is not None:
                service.stop()
            server.close()
            if recording is not None:
                recording.close()  # on a full disk it fails, and what follows must not wait for that
        finally:
            made.remove()
    with contextlib.suppress(OSError) if stop.is_set() else contextlib.nullcontext():  # the terminal may be what has ended it
        report({**server.summary(), "binance": service.venue.summary() if service is not None else None}, as_json)
