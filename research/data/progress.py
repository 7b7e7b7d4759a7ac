"""Progress bars on standard error: shown when it is a terminal, silent otherwise (pipes, notebooks, tests)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield `items`, drawing a bar labelled `what`. `total` where `items` has no length."""
    shown = sys.stderr.isatty()
    yield from track(items, what, total=total, console=Console(stderr=True), disable=not shown, transient=True)
