"""`hftkit monitor`: what an engine publishes, again and again. On a terminal one screen, kept up to date; in a pipe a block of lines each time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import click

from hftkit.clock import monotonic_ns
from live.panels.render import text_lines
from live.panels.session import find_pages
from live.panels.view import ENDED, view


def watch(session: str | None, once: bool, every_s: float, wait: Callable[[float], object] = time.sleep) -> None:
    """Show it until the session ends, or once. A killed engine ends it too."""
    reader, _ = find_pages(session)
    before = None
    terminal = sys.stdout.isatty() and not once
    while True:
        snapshot = reader.read()
        seen = view(snapshot, reader.info, monotonic_ns(), before)
        lines = text_lines(seen)
        if terminal:
            click.echo("\x1b[H\x1b[J" + "\n".join([*lines, "", "Ctrl-C ends the watching; hftkit stop ends the session"]))
        else:
            click.echo("\n".join(lines))
        if once or snapshot.status in ENDED or not reader.alive():
            return
        if not terminal:
            click.echo("")
        before = snapshot
        wait(every_s)
