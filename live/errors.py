"""Errors of the live side that say more than a line of text."""

from __future__ import annotations

from hftkit.errors import HftkitError


class StopAsked(HftkitError):
    """Somebody asked for the stop while the session was still starting: nothing was traded."""

    exit_code = 0

    def __init__(self) -> None:
        super().__init__("stopped before trading began: no order was sent")


class SessionLeft(HftkitError):
    """The session could not start, and something is open at the venue all the same."""

    exit_code = 4
