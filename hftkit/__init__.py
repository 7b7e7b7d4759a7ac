"""hftkit: what research and live agree on, the engine's past (backtest, replay) and the simulated exchange.

The names below are the public ones: they keep their meaning from release to release, and are imported when they are
first used. Kernels that a strategy of one's own calls are in `hftkit.kernels` (docs/own-strategy.md).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what the type checker reads; at run time `__getattr__` finds the same, when it is asked
    from hftkit.backtest.run import Depth as Depth
    from hftkit.backtest.run import Latency as Latency
    from hftkit.backtest.run import Queue as Queue
    from hftkit.backtest.run import backtest as run_backtest
    from hftkit.backtest.run import backtest_estimates as backtest_estimates
    from hftkit.backtest.run import bars_to_tape as bars_to_tape
    from hftkit.backtest.run import estimates_table as estimates_table
    from hftkit.backtest.run import quotes_to_tape as quotes_to_tape
    from hftkit.backtest.run import session_of as session_of
    from hftkit.backtest.run import trades_to_tape as trades_to_tape
    from hftkit.codes import Control as Control
    from hftkit.codes import MessageType as MessageType
    from hftkit.codes import RecordType as RecordType
    from hftkit.codes import SessionStatus as SessionStatus
    from hftkit.codes import SignalReason as SignalReason
    from hftkit.codes import Trading as Trading
    from hftkit.errors import ConfigError as ConfigError
    from hftkit.errors import DataError as DataError
    from hftkit.errors import HftkitError as HftkitError
    from hftkit.errors import JournalError as JournalError
    from hftkit.errors import ParamsError as ParamsError
    from hftkit.errors import VenueError as VenueError
    from hftkit.exchange.config import VolatilityConfig as VolatilityConfig
    from hftkit.exchange.config import load_config as load_exchange_config
    from hftkit.exchange.faults.plan import FaultControl as FaultControl
    from hftkit.exchange.market.flow.scenarios import load_scenario as load_scenario
    from hftkit.exchange.market.tape import make_tape as make_tape
    from hftkit.exchange.market.ticks import depth_of as depth_of
    from hftkit.exchange.market.ticks import make_ticks as make_ticks
    from hftkit.instruments import Instrument as Instrument
    from hftkit.params.format import FrozenParams as FrozenParams
    from hftkit.params.format import LegPlan as LegPlan
    from hftkit.params.format import freeze as freeze_params
    from hftkit.params.format import load as load_params
    from hftkit.params.format import text_of as digit_text
    from hftkit.params.signing import make_key as make_key
    from hftkit.params.signing import sign as sign_params
    from hftkit.params.signing import verify as verify_params
    from hftkit.params.text import describe as describe_params
    from hftkit.session.child_process import LiveSession as LiveSession
    from hftkit.session.child_process import Simulator as Simulator
    from hftkit.session.journal import JournalReader as JournalReader
    from hftkit.session.replay import replay as replay
    from hftkit.strategies import Strategy as Strategy
    from hftkit.units import from_e8 as from_e8
    from hftkit.units import to_e8 as to_e8

__version__ = "0.1.0"

_PUBLIC = {
    # errors and codes
    "HftkitError": "hftkit.errors:HftkitError",
    "ConfigError": "hftkit.errors:ConfigError",
    "DataError": "hftkit.errors:DataError",
    "JournalError": "hftkit.errors:JournalError",
    "ParamsError": "hftkit.errors:ParamsError",
    "VenueError": "hftkit.errors:VenueError",
    "Control": "hftkit.codes:Control",
    "MessageType": "hftkit.codes:MessageType",
    "RecordType": "hftkit.codes:RecordType",
    "SessionStatus": "hftkit.codes:SessionStatus",
    "SignalReason": "hftkit.codes:SignalReason",
    "Trading": "hftkit.codes:Trading",
    "from_e8": "hftkit.units:from_e8",
    "to_e8": "hftkit.units:to_e8",
    # frozen files
    "Instrument": "hftkit.instruments:Instrument",
    "FrozenParams": "hftkit.params.format:FrozenParams",
    "LegPlan": "hftkit.params.format:LegPlan",
    "freeze_params": "hftkit.params.format:freeze",
    "load_params": "hftkit.params.format:load",
    "digit_text": "hftkit.params.format:text_of",
    "describe_params": "hftkit.params.text:describe",
    "make_key": "hftkit.params.signing:make_key",
    "sign_params": "hftkit.params.signing:sign",
    "verify_params": "hftkit.params.signing:verify",
    "Strategy": "hftkit.strategies:Strategy",
    # sessions
    "LiveSession": "hftkit.session.child_process:LiveSession",
    "Simulator": "hftkit.session.child_process:Simulator",
    "JournalReader": "hftkit.session.journal:JournalReader",
    "replay": "hftkit.session.replay:replay",
    # the past through the live step
    "Depth": "hftkit.backtest.run:Depth",
    "Latency": "hftkit.backtest.run:Latency",
    "Queue": "hftkit.backtest.run:Queue",
    "run_backtest": "hftkit.backtest.run:backtest",
    "backtest_estimates": "hftkit.backtest.run:backtest_estimates",
    "bars_to_tape": "hftkit.backtest.run:bars_to_tape",
    "estimates_table": "hftkit.backtest.run:estimates_table",
    "quotes_to_tape": "hftkit.backtest.run:quotes_to_tape",
    "session_of": "hftkit.backtest.run:session_of",
    "trades_to_tape": "hftkit.backtest.run:trades_to_tape",
    # the simulated exchange
    "VolatilityConfig": "hftkit.exchange.config:VolatilityConfig",
    "load_exchange_config": "hftkit.exchange.config:load_config",
    "FaultControl": "hftkit.exchange.faults.plan:FaultControl",
    "load_scenario": "hftkit.exchange.market.flow.scenarios:load_scenario",
    "make_tape": "hftkit.exchange.market.tape:make_tape",
    "depth_of": "hftkit.exchange.market.ticks:depth_of",
    "make_ticks": "hftkit.exchange.market.ticks:make_ticks",
}
__all__ = [
    "ConfigError",
    "Control",
    "DataError",
    "Depth",
    "FaultControl",
    "FrozenParams",
    "HftkitError",
    "Instrument",
    "JournalError",
    "JournalReader",
    "Latency",
    "LegPlan",
    "LiveSession",
    "MessageType",
    "ParamsError",
    "Queue",
    "RecordType",
    "SessionStatus",
    "SignalReason",
    "Simulator",
    "Strategy",
    "Trading",
    "VenueError",
    "VolatilityConfig",
    "backtest_estimates",
    "bars_to_tape",
    "depth_of",
    "describe_params",
    "digit_text",
    "estimates_table",
    "freeze_params",
    "from_e8",
    "load_exchange_config",
    "load_params",
    "load_scenario",
    "make_key",
    "make_tape",
    "make_ticks",
    "quotes_to_tape",
    "replay",
    "run_backtest",
    "session_of",
    "sign_params",
    "to_e8",
    "trades_to_tape",
    "verify_params",
]


def __getattr__(name: str) -> object:
    """A public name, imported now. Raises AttributeError for any other."""
    where = _PUBLIC.get(name)
    if where is None:
        raise AttributeError(f"hftkit has no public name {name!r}; `hftkit.__all__` lists them")
    module, _, attribute = where.partition(":")
    found = import_module(module)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value  # asked once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
