"""Errors inside the simulator's own Python code: counted and logged, and the venue goes on. One client's request must never end it for everybody.

Whoever catches one decides what its client is told (-1000, a close with 1011); here it is only kept. An internal error is a defect of the
simulator: what is counted here belongs into a bug report.
"""

from __future__ import annotations

import logging

_log = logging.getLogger("hftkit.exchange")
_LOGGED = 20  # with their tracebacks; later ones are only counted


class InternalErrors:
    """All of one venue."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""

    def note(self, where: str, error: Exception) -> None:
        """Count and log one. `where`: what was being done."""
        self.count += 1
        self.last = f"{where}: {type(error).__name__}: {error}"
        if self.count <= _LOGGED:
            _log.error("error inside the simulator in %s (the venue goes on)", where, exc_info=error)
