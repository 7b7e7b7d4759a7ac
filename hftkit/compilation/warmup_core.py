"""What the core compiles for `hftkit warmup`: the strategies, the replay of a journal and the backtest, which hold the whole step."""

from __future__ import annotations

import numpy as np

from hftkit.backtest.run import backtest, quotes_to_tape
from hftkit.codes import Control
from hftkit.compilation.strategy_kernels import compile_strategies
from hftkit.compilation.warmup import Task
from hftkit.instruments import Instrument
from hftkit.kernels.hooks import HOOKS_TYPE
from hftkit.kernels.jit import compiled_driver
from hftkit.kernels.memory.control import WORDS, command_at, put_command, withdraw_command
from hftkit.kernels.memory.journal import check_record
from hftkit.kernels.replay import CURSOR_WORDS, replay_segment
from hftkit.params.format import FrozenParams, LegPlan
from hftkit.session.engine_state import EngineState, Limits, SessionConfig, build_engine_state
from hftkit.session.replay import FILL_COLUMNS, SAMPLE_COLUMNS
from hftkit.strategies import strategy


def example_session() -> SessionConfig:
    """A small session: kernels are compiled for types, whatever the sizes of the arrays."""
    instruments = tuple(Instrument(symbol=symbol, tick_size="0.01", lot_size="0.01") for symbol in ("AAA", "BBB"))
    legs = LegPlan(lead="AAA", hedge="BBB", unit_lead_lots=1, unit_hedge_lots=-1, slippage_ticks=0, hedge_deadline_ns=1, retry_ns=0, residual_lots=0)
    parameters: dict[str, int | str] = {
        **{"hedge_ratio": "1.0", "bar_ns": 60_000_000_000, "window": 10, "entry_z": "2.0", "exit_z": "0.5", "stop_z": "4.0"},
        **{"max_holding_bars": 100, "max_imbalance": "0.9"},
    }
    frozen = FrozenParams(
        schema_version=1,
        name="example",
        strategy="pairs",
        strategy_version=strategy("pairs").version,
        instruments=instruments,
        legs=legs,
        parameters=parameters,
        arrays={},
        provenance={},
        valid_from_ns=0,
        valid_until_ns=1,
    )
    return SessionConfig(epoch=1, account=1, instruments=instruments, strategies=(frozen,), limits=Limits())


def _replay(rooms: EngineState) -> None:
    words, cursor = np.zeros(16, np.int64), np.zeros(CURSOR_WORDS, np.int64)
    samples, fills = np.zeros((0, len(SAMPLE_COLUMNS))), np.zeros((0, len(FILL_COLUMNS)), np.int64)
    compiled_driver(replay_segment, rooms, HOOKS_TYPE, words, cursor, samples, fills, 0)


def _backtest() -> None:
    quotes = np.full(2, 100)
    tape = quotes_to_tape(np.array([1, 2]), np.array([0, 1]), quotes, quotes, quotes + 1, quotes)
    backtest(example_session(), tape)


def _control_page() -> None:
    words = np.zeros(WORDS, np.int64)
    number = put_command(words, int(Control.STOP))
    withdraw_command(words, number, command_at(words, 0))


def warm() -> list[Task]:
    """The core's part of `hftkit warmup`."""
    rooms = build_engine_state(example_session())
    return [
        ("replay", lambda: _replay(rooms)),
        ("backtest", _backtest),
        ("strategy pairs", lambda: compile_strategies(["pairs"])),
        ("control page", _control_page),
        ("journal check", lambda: check_record(np.zeros(16, np.int64), 8, 1, 0)),
    ]
