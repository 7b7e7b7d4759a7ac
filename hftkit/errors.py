"""Errors a user can act on: each says what is wrong, where, and what to do. The command line prints them as one line."""

from __future__ import annotations


class HftkitError(Exception):
    """Base of all errors meant for people. `cure` says what to do about it; `exit_code` is the command's exit status."""

    exit_code = 1

    def __init__(self, problem: str, cure: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.problem}. {self.cure}" if self.cure else self.problem


class UnitError(HftkitError):
    """A decimal text that is not a whole number of ticks or lots, or is not a number."""


class ConfigError(HftkitError):
    """A configuration key that is missing, unknown or out of range."""


class ParamsError(HftkitError):
    """A frozen parameter file that must not be traded."""


class DataError(HftkitError):
    """Market data that cannot be used as it is."""


class JournalError(HftkitError):
    """A journal that cannot be read, or whose replay differs."""


class VenueError(HftkitError):
    """The venue cannot be reached, refused the session, or went away."""
