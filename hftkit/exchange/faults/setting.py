"""One setting of the fault page: where it stands and what is allowed. Every dialect declares its own with it."""

from __future__ import annotations

from typing import NamedTuple


class Setting(NamedTuple):
    """One name: its word in its block, its scale to the page's unit, the values allowed, what it does."""

    word: int
    scale: int
    highest: float
    doc: str
    lowest: float = 0
