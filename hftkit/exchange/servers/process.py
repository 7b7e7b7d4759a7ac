"""The simulator as a process: which options contradict each other, the ready file, the signals that end it, recording, the last lines."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hftkit.clock import monotonic_ns, unix_ns
from hftkit.errors import ConfigError, HftkitError
from hftkit.reading import read_object
from hftkit.system import private_files
from hftkit.units import NS_PER_S

if TYPE_CHECKING:
    from hftkit.exchange.servers.binance_service import BinanceService
    from hftkit.exchange.servers.binary import BinaryServer

PATIENCE_NS = 5 * NS_PER_S  # at the end of a history, with a client that reads nothing

# An option, those that contradict it, why, and what to leave out
_OF_THE_MARKET = {
    "scenario_name": ("--scenario", "a scenario moves the synthetic market, and a history is none"),
    "seed": ("--seed", "a seed makes a synthetic market, and a history is none"),
    "speed": ("--speed", "a history has --rate"),
    "start_from_sample": ("--start-from-sample", "a history has its own time"),
}
_OF_HISTORY = {"rate": "--rate", "estimate": "--queue", "participation": "--participation", "hold": "--hold"}


def refuse_contradictions(given: set[str], has_binance: bool, order_port: int, market_port: int) -> None:
    """Raise ConfigError where options (the names of their parameters, those that were given) do not go together."""
    for name, (option, why) in _OF_THE_MARKET.items():
        if "history_path" in given and name in given:
            raise ConfigError(why, f"Leave out {option}, or --history")
    for name, option in _OF_HISTORY.items():
        if "history_path" not in given and name in given:
            raise ConfigError(f"{option} says how a history is played, and there is none", f"Leave out {option}, or give --history")
    if has_binance and given & {"rate", "hold"}:
        raise ConfigError(
            "clients of the Binance dialect live at the present time, so a history must run at their pace", "Leave out --rate and --hold"
        )
    if order_port == market_port and order_port != 0:
        raise ConfigError(f"order entry and market data both have port {order_port}", "Give them different ports, or 0")


# -- the ready file ----------------------------------------------------------------------------------------------------


def refuse_if_in_use(path: Path) -> None:
    """Raise ConfigError if a running simulator has written this ready file, or if a file of this name is none: it is somebody's, and stays.

    One that was left behind by a crash does not matter: it will be replaced.
    """
    from hftkit.exchange.faults.plan import FaultControl

    if not os.path.lexists(path):
        return

    def refuse(why: str) -> ConfigError:
        return ConfigError(f"{path} is no ready file ({why}): it is not overwritten", "Give another --ready-file, or move it away")

    content = read_object(path, refuse, 1 << 20)
    if not {"pid", "order_port", "market_port"} <= content.keys():
        raise refuse("it names no pid and ports")
    pid = content["pid"]
    try:
        control = FaultControl(path)
    except HftkitError:
        return
    if control.answers(0.5):
        raise ConfigError(f"{path} belongs to a simulator that is running (process {pid})", "Give another --ready-file, or stop that one")


def write_ready_file(path: Path, content: dict[str, Any]) -> os.stat_result:
    """Whoever waits for the file sees nothing, or all of it; only its owner may read it. `refuse_if_in_use` has looked at what was there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return private_files.write(path, json.dumps(content) + "\n", "ready file", replace=True)
    except OSError as error:
        raise ConfigError(f"cannot write the ready file {path}: {error.strerror}", "Give --ready-file a folder that may be written") from None
    except HftkitError as error:
        raise ConfigError(error.problem, "Give --ready-file a folder that may be written") from None


# -- running -----------------------------------------------------------------------------------------------------------


def stop_on_signals(stop: threading.Event) -> None:
    """Ctrl-C, Ctrl-\\, SIGTERM and a closed terminal end the run in order. Whoever has SIGHUP ignored (nohup) keeps it so."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        signal.signal(number, lambda *_: stop.set())


def warn_of_clients(server: BinaryServer, service: BinanceService | None) -> None:
    """Say on standard error, if it can be said, that somebody is still connected."""
    connected = int((server.venue.clients["port"] != 0).sum()) + (len(service.streams.hub.connections) if service is not None else 0)
    if connected:
        with contextlib.suppress(OSError, ValueError):
            click.echo(f"stopping with {connected} connections of clients open: their sessions lose the venue and keep what they hold", err=True)


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


class Recording:
    """Drains the drop copy after each slice into a journal."""

    def __init__(self, server: BinaryServer, folder: Path, service: BinanceService | None, market: dict[str, Any]) -> None:
        """Shares the tap of the Binance service where there is one."""
        from hftkit.exchange.core.tap import Tap
        from hftkit.exchange.recorder import TapeRecorder

        self._recorder = TapeRecorder(folder, server.venue, server.config, unix_ns(), monotonic_ns(), market)
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


# -- the last lines ----------------------------------------------------------------------------------------------------


def _happened(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What went wrong on purpose, a text for each direction where something did."""
    rows = {where: {kind: n for kind, n in row.items() if kind not in ("offered", "delivered")} for where, row in counts.items()}
    return [
        f"{where.replace('_', ' ')} " + ", ".join(f"{kind.replace('_', ' ')} {n:,}" for kind, n in row.items()) for where, row in rows.items() if row
    ]


def report(summary: dict[str, Any], as_json: bool) -> None:
    """What the run was, for people or as JSON."""
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
    if texts := _happened(summary["faults"]):
        click.echo("faults: " + "; ".join(texts))
    if summary["history"] is not None:
        from hftkit.exchange.market.history.build import queue_table

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
        click.echo(
            f"it fell behind by up to {summary['max_lag_ms']:,.0f} ms: choose a lower {'--rate' if summary['history'] is not None else '--speed'}"
        )
