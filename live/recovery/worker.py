"""A process of a supervisor: `python -m live.recovery.worker FD`, with its end of a Channel as descriptor FD.

Its first message says what it is. `start`: trade. `stand by`: import and load everything, then wait to be told which dead session to go on with; just
before it does, it leaves a copy of itself (`fork`) that stands by in its place and has everything loaded. `flatten`: close what the account has. It
ends as `hftkit live` does, with the same lines and exit status; where the supervisor is gone, a session that trades stops flat, and one that waits
ends.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hftkit.cli.application import for_people
from hftkit.errors import HftkitError
from live.config import EngineConfig
from live.recovery.channel import Channel

if TYPE_CHECKING:
    from live.engine import Engine

FLAT_AFTER_CRASHES, LEFT = 5, 4  # exit status of ExitCode.BROKEN and LEFT


def work(channel: Channel) -> int:
    """Do what the supervisor asks; the exit status."""
    order = channel.receive()
    if order is None:
        return 0
    settings = msgspec.convert(order["settings"], EngineConfig)
    if order["at"] == "flatten":
        return flatten(settings, order["why"])
    if order["at"] == "stand by":
        warm(settings, [Path(path) for path in order["frozen"]])
        waited = stand_by(channel)
        if waited is None:
            return 0
        channel, told = waited
        order |= told
        settings = msgspec.convert(order["settings"], EngineConfig)
    return trade(channel, settings, order)


def stand_by(channel: Channel) -> tuple[Channel, dict[str, Any]] | None:
    """Wait to be needed: the channel then, and what was told; None where nobody is. A copy of this process waits for the next time."""
    while True:
        channel.send("warm", pid=os.getpid())
        told = channel.receive()
        if told is None:
            return None
        descriptor = told.pop("descriptor", None)
        if descriptor is None:
            return channel, told
        if threading.active_count() > 1 or os.fork():  # a copy has but the thread that made it
            os.close(descriptor)
            return channel, told
        os.setsid()
        channel.close()
        channel = Channel(socket.socket(fileno=descriptor))


def trade(channel: Channel, settings: EngineConfig, order: dict[str, Any]) -> int:
    """One session, from the beginning or gone on with."""
    from hftkit.session.resume import rebuild
    from live.one_session import run_session

    past = rebuild(Path(order["resume"])) if order.get("resume") else None
    return run_session(
        settings,
        order["confirmed"],
        order["started_with"],
        bool(order["as_json"]),
        past,
        channel.send,
        lambda engine: _attend(engine, channel),
    )


def _attend(engine: Engine, channel: Channel) -> None:
    """Signals are the engine's now; and if the supervisor goes, it is to stop."""
    channel.send("up")
    threading.Thread(target=_follow, args=(engine, channel), name="supervisor", daemon=True).start()


def _follow(engine: Engine, channel: Channel) -> None:
    while channel.receive() is not None:
        pass
    engine.ask_stop("its supervisor is gone")


def warm(settings: EngineConfig, frozen: list[Path]) -> None:
    """Have everything in memory that a session needs: modules, kernels, strategies. Gives way to others meanwhile."""
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        _load(settings, frozen)
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _load(settings: EngineConfig, frozen: list[Path]) -> None:
    import live.one_session  # noqa: F401
    from hftkit.compilation.strategy_kernels import compile_strategies
    from hftkit.params.format import load
    from hftkit.session.code_identity import code_identity
    from hftkit.session.control import load_kernels
    from hftkit.session.engine_state import Limits, SessionConfig, build_engine_state, state_digest, strategy_kernels
    from hftkit.session.replay import load_kernels as load_replay
    from live.example import example_shell
    from live.session_page import own_instruments
    from live.venue import adapter

    files = tuple(load(path) for path in frozen)
    sample = SessionConfig(epoch=1, account=1, instruments=own_instruments(files), strategies=files, limits=Limits())
    rooms = build_engine_state(sample)
    compile_strategies(item.strategy for item in files)
    strategy_kernels(sample)
    load_kernels()
    load_replay(rooms)
    state_digest(rooms)
    code_identity(item.strategy for item in files)  # reads all kernel sources, once
    kind = adapter(settings.venue.kind)
    kind.session(settings, lambda code: 0, lambda number: None, lambda event, **facts: None, lambda seconds: True).compile(
        rooms, example_shell(rooms)
    )


def flatten(settings: EngineConfig, why: str) -> int:
    """Close what the account has, after too many deaths. Status 5 once the venue says that nothing is left, else 4."""
    from live.venue import adapter

    try:
        report = adapter(settings.venue.kind).flatten(settings.venue, settings.session.stop_timeout_s, threading.Event().wait)
    except HftkitError as error:
        print(f"hftkit: {why}; the account could not be closed ({error})", file=sys.stderr, flush=True)
        return LEFT
    flat = report.confirmed and not report.lots and not report.orders
    left = "the account is flat" if flat else f"LEFT at the venue: {', '.join([*report.positions.values(), *report.orders]) or 'not known'}"
    print(f"hftkit: {why}; {left}", file=sys.stderr, flush=True)
    return FLAT_AFTER_CRASHES if flat else LEFT


def main() -> None:
    """Entry point."""
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    for_people(lambda: work(channel))


if __name__ == "__main__":
    main()
