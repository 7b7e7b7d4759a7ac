"""The trial of one strategy, in a process of its own that may be ended: what is checked, one line of JSON before each step and after it.

Run as `python -m hftkit.strategy_tools.trial NAME PARAMS STEP`. The first step runs with bounds checked, so that an access beyond an array is an
error and not a wrong number; the parent (check.py) ends a step that takes too long, and knows from the last line which hook it was in.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hftkit.backtest.run import backtest, quotes_to_tape, session_of, trades_to_tape
from hftkit.codes import EventKind, Hook, Sync
from hftkit.compilation.strategy_kernels import compile_strategies
from hftkit.errors import HftkitError
from hftkit.kernels.wire.decode import clear_event
from hftkit.params.format import FrozenParams, check_frozen
from hftkit.session.engine_state import EngineState, build_engine_state
from hftkit.session.replay import replay
from hftkit.strategies import Strategy
from hftkit.strategy_tools.find import find_strategy, parameters_for

EVENTS, START = 400, 1_700_000_000_000_000_000
_GUARD = 64  # words on either side of a strategy's own memory
_SENTINEL = -1.2345678912345e250
_KIND = {Hook.ON_BOOK: EventKind.BBO, Hook.ON_TRADE: EventKind.TRADE, Hook.ON_FILL: EventKind.ORDER_FILL, Hook.ON_TIMER: EventKind.TIMER}


class Refused(Exception):
    """The strategy has not passed a step."""


def say(**facts: Any) -> None:
    """A line for the parent."""
    print(json.dumps(facts), flush=True)


def check_schema(found: Strategy, frozen: FrozenParams) -> str:
    """Parameters within their ranges, hooks that are kernels of the policy of hftkit: no allocation, no fast mathematics."""
    check_frozen(frozen, frozen.name)
    for name in frozen.parameters:
        wrong = {**frozen.parameters, name: "nan"}
        try:
            found.check(type(frozen)(**{**_fields(frozen), "parameters": wrong}), frozen.name)
        except HftkitError:
            continue
        raise Refused(f"parameter {name} may be 'nan': give it a type and a range in the schema")
    hooks = found.hooks()
    for hook, kernel in hooks.items():
        options = getattr(kernel, "targetoptions", None)
        if options is not None and (options.get("_nrt", True) or options.get("fastmath")):
            raise Refused(f"{hook.name.lower()} is compiled by other rules than hftkit's: decorate it with hftkit.kernels.jit.kernel")
    compile_strategies([found.name])
    return ", ".join(hook.name.lower() for hook in hooks)


def _fields(frozen: FrozenParams) -> dict[str, Any]:
    return {name: getattr(frozen, name) for name in frozen.__struct_fields__}


def _guarded(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same values in the middle of a larger memory; that memory."""
    whole = np.full(values.size + 2 * _GUARD, _SENTINEL)
    inner = whole[_GUARD : _GUARD + values.size]
    inner[:] = values
    return inner, whole


def _market(rooms: EngineState, frozen: FrozenParams, seed: int, same_until: int) -> Iterator[tuple[int, Hook]]:
    """Change the books and make events, at random; with another seed the same ones until event `same_until`. Yields its number and a hook to call."""
    first, after = np.random.default_rng(7), np.random.default_rng(seed)
    n, mids = len(frozen.watched), np.linspace(1000, 4000, len(frozen.watched))
    hooks = list(Hook)
    for number in range(EVENTS):
        rng = first if number < same_until else after
        i, kind = int(rng.integers(n)), hooks[int(rng.integers(len(hooks)))]
        mids[i] = max(mids[i] + rng.normal() * 4, 50.0)
        book = rooms.book[i]
        book["sync"], book["best_bid"], book["best_ask"] = int(Sync.SYNCED), int(mids[i]) - 1, int(mids[i]) + 1
        book["best_bid_qty"], book["best_ask_qty"] = rng.integers(1, 500, 2)
        rooms.held[0, 0]["position"] = int(rng.integers(-50, 50))
        clear_event(rooms.event, int(_KIND[kind]), i, number * 10**7, START + number * 10**9, number + 1)
        rooms.event[0]["price"], rooms.event[0]["qty"], rooms.event[0]["side"] = int(mids[i]), int(rng.integers(1, 50)), int(rng.integers(2))
        yield number, kind


def run_hooks(found: Strategy, frozen: FrozenParams, seed: int = 7, same_until: int = EVENTS) -> list[bytes]:
    """Call the hooks one by one and look after each call what it has written. What its row of SIGNAL held after each event."""
    config = session_of((frozen, frozen))  # two slots, so that a row beside its own is there to be written
    rooms, hooks = build_engine_state(config), found.hooks()
    state, whole_state = _guarded(found.pack_state(frozen))
    params, whole_params = _guarded(found.pack_params(frozen))
    own, seen = 0, []
    for number, hook in _market(rooms, frozen, seed, same_until):
        if hook not in hooks:
            continue
        name = hook.name.lower()
        if number < 20:
            say(calling=name)
        arrays = {"event": rooms.event, "book": rooms.book, "watch": rooms.watch, "held": rooms.held}
        before = {key: array.tobytes() for key, array in arrays.items()}
        others, fixed = rooms.signal[1:].tobytes(), whole_params.tobytes()
        try:
            hooks[hook](own, rooms.event, rooms.book, rooms.watch, rooms.held, params, state, rooms.signal)
        except IndexError as error:
            raise Refused(f"{name} reaches beyond an array: {error}") from None
        for key, array in arrays.items():
            if array.tobytes() != before[key]:
                raise Refused(f"{name} writes into `{key}`, which is not its own")
        if whole_params.tobytes() != fixed:
            raise Refused(f"{name} writes into `params`, which is frozen")
        if rooms.signal[1:].tobytes() != others:
            raise Refused(f"{name} writes into the signal of another strategy")
        if (whole_state[:_GUARD] != _SENTINEL).any() or (whole_state[-_GUARD:] != _SENTINEL).any():
            raise Refused(f"{name} writes beyond its state of {state.size} words")
        seen.append(rooms.signal[own].tobytes() + state.tobytes())
    return seen


def check_writes(found: Strategy, frozen: FrozenParams) -> str:
    """Every hook writes its own state and its own row of SIGNAL, and nothing else."""
    compile_strategies([found.name])
    return f"{len(run_hooks(found, frozen))} calls"


def check_lookahead(found: Strategy, frozen: FrozenParams) -> str:
    """Twice the same events give the same bits; another future changes nothing that was said before it."""
    compile_strategies([found.name])
    one, again = run_hooks(found, frozen), run_hooks(found, frozen)
    if one != again:
        raise Refused(f"call {_first(one, again)} gives other bits when it is made again: it reads what is not in its arguments")
    half = EVENTS // 2
    other = run_hooks(found, frozen, seed=8, same_until=half)
    events = _market(build_engine_state(session_of(frozen)), frozen, 7, half)
    calls = sum(hook in found.hooks() for number, hook in events if number < half)
    if one[:calls] != other[:calls]:
        raise Refused(f"call {_first(one, other)} depends on what comes after it")
    return f"{len(one)} calls, twice, and with another future"


def _first(one: list[bytes], other: list[bytes]) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def check_replay(found: Strategy, frozen: FrozenParams) -> str:
    """A session over a random market, journalled: its replay makes every byte again."""
    say(calling=", ".join(hook.name.lower() for hook in found.hooks()))
    rng, n = np.random.default_rng(11), 4000
    ts = START + np.cumsum(rng.integers(1, 10**9, n))
    instrument = rng.integers(0, len(frozen.instruments), n)
    mids = 1000 * (1 + instrument) + np.rint(np.cumsum(rng.normal(size=n))).astype(np.int64)
    mids = np.maximum(mids, 100)
    lots = rng.integers(10, 500, n)
    tape = np.concatenate(
        [quotes_to_tape(ts, instrument, mids - 1, lots, mids + 1, lots), trades_to_tape(ts, instrument, rng.integers(0, 2, n), mids, lots)]
    )
    tape = tape[np.argsort(tape[:, 2], kind="stable")]
    with tempfile.TemporaryDirectory() as folder:
        done = backtest(session_of(frozen), tape, journal=Path(folder) / "journal", timer_ns=10**8)
        again = replay(Path(folder) / "journal")
    if not again.identical:
        raise Refused(f"its replay is another one: {again.difference}")
    return f"{done.events:,} events, {done.orders:,} orders, {len(done.fills):,} fills"


STEPS = {"schema": check_schema, "writes": check_writes, "look-ahead": check_lookahead, "replay": check_replay}


def main(name: str, params: str, step: str) -> None:
    """One step, or why it was refused."""
    try:
        found = find_strategy(name)
        frozen = parameters_for(found, params)
        say(started=step)
        say(passed=step, found=STEPS[step](found, frozen))
    except Refused as error:
        say(refused=step, why=str(error))
    except HftkitError as error:
        say(refused=step, why=error.problem)


if __name__ == "__main__":
    main(*sys.argv[1:])
