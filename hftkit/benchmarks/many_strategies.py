"""Benchmark of many strategies over one account: a decision with 20 of them over 50 instruments, beside one over two, in one run."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from hftkit.benchmarks.engine_rooms import bench_config
from hftkit.benchmarks.registry import Benchmark, Result, WrongAnswer
from hftkit.benchmarks.timing import percentiles
from hftkit.codes import Control, EventKind, MessageType
from hftkit.kernels.hooks import HOOKS_TYPE
from hftkit.kernels.jit import compiled_driver, kernel
from hftkit.kernels.step import commit, decide, sense, step
from hftkit.kernels.wire.decode import clear_event
from hftkit.kernels.wire.frame import frame_type
from hftkit.session.engine_state import EngineState, SessionConfig, build_engine_state, strategy_kernels
from hftkit.system.syscalls import monotonic_ns

STRATEGIES, INSTRUMENTS = 20, 50
SAMPLES, ROUNDS = 20_000, 9
_BBO, _CANCELED = int(EventKind.BBO), int(EventKind.ORDER_CANCELED)
_CONTROL, _LOGON_ACK = int(EventKind.CONTROL), int(EventKind.LOGON_ACK)


def many_config(n_strategies: int = STRATEGIES, n_instruments: int = INSTRUMENTS) -> SessionConfig:
    """The benchmark engine's pair many times: strategy s leads in instrument s and hedges in one of the others, which some share."""
    one = bench_config()
    instruments = tuple(msgspec.structs.replace(one.instruments[0], symbol=f"S{i:03}USD") for i in range(n_instruments))
    strategies = []
    for s in range(n_strategies):
        lead, hedge = instruments[s], instruments[n_strategies + s * 7 % (n_instruments - n_strategies)]
        legs = msgspec.structs.replace(one.strategies[0].legs, lead=lead.symbol, hedge=hedge.symbol)
        strategies.append(msgspec.structs.replace(one.strategies[0], name=f"bench-{s}", instruments=(lead, hedge), legs=legs, digest=""))
    return msgspec.structs.replace(one, instruments=instruments, strategies=tuple(strategies))


def ready_engine(config: SessionConfig) -> tuple[EngineState, np.ndarray]:
    """An engine that is logged on and enabled, every book quoted but those of the leads."""
    rooms, strategies = build_engine_state(config), strategy_kernels(config)
    run = compiled_driver(step, rooms, HOOKS_TYPE)
    hedges = [(_BBO, i, 1, 0) for i in range(len(config.strategies), len(config.instruments))]
    for kind, instrument, seq, code in (
        (_CONTROL, -1, 0, Control.CONNECT),
        (_LOGON_ACK, -1, 1, 0),
        (_CONTROL, -1, 0, Control.ENABLE),
        *hedges,
    ):
        clear_event(rooms.event, kind, instrument, 1_000_000_000, 1, seq)
        rooms.event[0]["code"] = int(code)
        if kind == _BBO:
            rooms.event[0]["price"], rooms.event[0]["price2"], rooms.event[0]["qty"], rooms.event[0]["qty2"] = 400, 401, 50, 50
        run(rooms, strategies)
    rooms.out_end[:] = 0
    return rooms, strategies


@kernel
def decide_in_turn(rooms: Any, strategies: Any, samples: Any, scratch: Any, n_leads: int, start_at: int) -> int:
    """Change the book of one lead after the other; time each walk (ns, two readings of the clock included). Orders made, each cancelled again."""
    now = start_at
    orders = 0
    for i in range(samples.size):
        now += 1_000_000
        lead = i % n_leads
        clear_event(rooms.event, _BBO, lead, now, now, rooms.book[lead].seq_bbo + 1)
        rooms.event[0].price = 1000 + i // n_leads % 5
        rooms.event[0].price2 = 1002 + i // n_leads % 5
        rooms.event[0].qty = 50
        rooms.event[0].qty2 = 50
        rooms.out_end[0] = 0
        start = monotonic_ns(scratch)
        sensed = sense(rooms, strategies)
        n_want = decide(rooms, sensed)
        commit(rooms, sensed, n_want)
        samples[i] = monotonic_ns(scratch) - start
        if rooms.out_end[0] == 0:
            continue
        orders += 1
        clear_event(rooms.event, _CANCELED, lead, now + 10, now, rooms.session[0].seq_in + 1)
        rooms.event[0].client_order_id = rooms.order_out[2]
        rooms.event[0].qty = 100
        sensed = sense(rooms, strategies)
        n_want = decide(rooms, sensed)
        commit(rooms, sensed, n_want)
    return orders


def _check(rooms: EngineState, n_leads: int, orders: int, samples: int) -> None:
    """Every change led to one order, of the strategy that leads there, and every strategy had its share."""
    if orders != samples:
        raise WrongAnswer(f"{orders} orders for {samples} events with {n_leads} strategies")
    if frame_type(rooms.order_out[0]) != MessageType.NEW_ORDER or int(rooms.order_out[0]) >> 32 != (samples - 1) % n_leads:
        raise WrongAnswer(f"the last order is {rooms.order_out[:12].tolist()}")
    shares = rooms.slots["n_orders"]
    if shares.max() - shares.min() > 1 or int(shares.sum()) != orders:
        raise WrongAnswer(f"orders by strategy are {shares.tolist()}")


def decision_of_many() -> list[Result]:
    """Decoded event -> approved, encoded order, with 20 strategies over 50 instruments, beside one strategy over two (ST-7)."""
    engines = {1: ready_engine(many_config(1, 2)), STRATEGIES: ready_engine(many_config())}
    scratch, found = np.zeros(2, np.int64), {n: np.zeros((ROUNDS, SAMPLES), np.float64) for n in engines}
    run = compiled_driver(decide_in_turn, engines[1][0], HOOKS_TYPE, found[1][0], scratch, 1, 1)
    for n, (rooms, strategies) in engines.items():
        warm = np.zeros(SAMPLES, np.float64)
        _check(rooms, n, run(rooms, strategies, warm, scratch, n, 2_000_000_000), SAMPLES)
    for k in range(ROUNDS):  # in turns, so that a busy machine is as busy for both
        for n, (rooms, strategies) in engines.items():
            run(rooms, strategies, found[n][k], scratch, n, (k + 2) * 1_000_000_000_000)
    many, one = percentiles(found[STRATEGIES].reshape(-1)), percentiles(found[1].reshape(-1))
    config = {
        "strategies": STRATEGIES,
        "instruments": INSTRUMENTS,
        "rounds": ROUNDS,
        "events": SAMPLES,
        "includes": "two clock readings (about 50 ns)",
    }
    ratio = one["p50"] / many["p50"]
    return [Result("decision_of_many", "ns", many["p50"], many, "one strategy", one["p50"], ratio, config, goal="ratio >= 0.333")]


BENCHMARKS = [Benchmark("decision_of_many", decision_of_many)]
