"""What the live side compiles for `hftkit warmup`: the hot loop, and the frames of discovery."""

from __future__ import annotations

from hftkit.compilation.warmup import Task
from hftkit.compilation.warmup_core import example_session
from hftkit.session.engine_state import build_engine_state
from live.config import EngineConfig, VenueConfig
from live.example import example_shell
from live.venue import adapter


def _compile(kind: str) -> None:
    rooms = build_engine_state(example_session())
    config = EngineConfig(venue=VenueConfig(kind=kind))
    shell = example_shell(rooms)
    adapter(kind).session(config, lambda code: 0, lambda number: None, lambda event, **facts: None, lambda seconds: True).compile(rooms, shell)


def warm() -> list[Task]:
    """The live side's part of `hftkit warmup`."""
    return [("hot loop of a line", lambda: _compile("binance")), ("hot loop", lambda: _compile("binary"))]
