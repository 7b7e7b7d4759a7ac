"""live: what trades a frozen file, and what watches it.

The names below are the public ones: they keep their meaning from release to release, and are imported when they are
first used, so that a trading host pays for no panel.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what the type checker reads; at run time `__getattr__` finds the same, when it is asked
    from live.config import EngineConfig as EngineConfig
    from live.panels.widgets import EnginePanel as EnginePanel
    from live.venue import Adapter as Adapter
    from live.venue import Address as Address
    from live.venue import Venue as Venue

_PUBLIC = {
    # panels
    "EnginePanel": "live.panels.widgets:EnginePanel",
    # configuration
    "EngineConfig": "live.config:EngineConfig",
    # venues of your own
    "Adapter": "live.venue:Adapter",
    "Address": "live.venue:Address",
    "Venue": "live.venue:Venue",
}
__all__ = ["Adapter", "Address", "EngineConfig", "EnginePanel", "Venue"]


def __getattr__(name: str) -> object:
    """A public name, imported now. Raises AttributeError for any other."""
    where = _PUBLIC.get(name)
    if where is None:
        raise AttributeError(f"live has no public name {name!r}; `live.__all__` lists them")
    module, _, attribute = where.partition(":")
    found = import_module(module)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value  # asked once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
