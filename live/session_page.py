"""What a session's telemetry page says of it beside the numbers, and where the page lies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hftkit.instruments import Instrument
from hftkit.params.format import FrozenParams
from hftkit.session.pages import shared_page
from hftkit.system.private_files import SHARED_MEMORY
from live.ending.session_end import FINAL_PAGE

if TYPE_CHECKING:
    from live.engine import Engine


def page_info(engine: Engine, frozen: tuple[FrozenParams, ...], offered: tuple[Instrument, ...]) -> dict[str, Any]:
    """The text part of the page, as plain data."""
    return {
        "session": engine.folder.name,
        "journal": str(engine.folder),
        "control": str(engine.control.path),
        "control_key": engine.session_key,
        "account": engine.session_config.account,
        "instruments": [msgspec.to_builtins(instrument) for instrument in offered],
        "strategies": [
            {
                "name": f.name,
                "strategy": f.strategy,
                "digest": f.digest,
                "lead": f.legs.lead,
                "hedge": f.legs.hedge,
                "watched": list(f.watched),
                "parameters": dict(f.parameters),
            }
            for f in frozen
        ],
        "limits": msgspec.to_builtins(engine.config.limits),
    }


def page_path(folder: Path) -> Path:
    """Where a session's telemetry page lies: in shared memory if there is such a file system, else in the session's folder."""
    if SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK):
        return shared_page(folder.name, os.getpid())
    return folder / FINAL_PAGE


def own_instruments(frozen: tuple[FrozenParams, ...]) -> tuple[Instrument, ...]:
    """The instruments that the frozen files name, each once."""
    found: dict[str, Instrument] = {}
    for item in frozen:
        for instrument in item.instruments:
            found.setdefault(instrument.symbol, instrument)
    return tuple(found.values())
