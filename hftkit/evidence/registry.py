"""What a row of the evidence is: a figure of ours beside an independent one, how far apart they may be, and the command that makes it.

A source of rows is a function that returns a list of `Row`, registered under the entry point group `hftkit.evidence`. It computes when it is asked;
what takes hours is recorded once by its own command (docs/evidence/*.json) and shown with its date.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import msgspec

from hftkit.errors import DataError, HftkitError

GROUP = "hftkit.evidence"
Source = Callable[[], "list[Row]"]


class NotHere(HftkitError):
    """A source cannot be asked on this machine (a package or a file is missing): its rows are left out, with the reason."""


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes
    ----------
    subject : str
        What is compared, with its sample: "Engle-Granger, 200 pairs of 60 to 2,000 rows".
    ours, theirs : str
        The two figures, or how far apart they are ("largest difference 2e-12") and "0".
    source : str
        Whose figure the second is: a package with its version, a table with its printed place, the venue's own ledger.
    tolerance : str
        How far apart they may be, in words.
    holds : bool
        Whether they are no farther apart.
    command : str
        What makes the row again.
    when : str
        Date of a recorded row, '' for one that was computed now.
    """

    subject: str
    ours: str
    theirs: str
    source: str
    tolerance: str
    holds: bool
    command: str
    when: str = ""


def difference(subject: str, apart: float, source: str, tolerance: float, command: str = "hftkit evidence") -> Row:
    """A row on many figures at once: the largest difference of ours from theirs. A NaN does not hold."""
    return Row(subject, f"largest difference {apart:.2g}", "0", source, f"{tolerance:.0e}", bool(apart <= tolerance), command)


def recorded(path: Path) -> list[Row]:
    """Rows that a long command has written. Raises DataError for a file that is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Row])
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path} holds no rows of evidence: {error}", "Make it again with the command that its rows name") from None


def sources(names: tuple[str, ...]) -> tuple[dict[str, Source], list[str]]:
    """The sources named, or all of them, by name; and a line for each whose package is not installed. Raises HftkitError for an unknown name."""
    offered = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    if unknown := sorted(set(names) - {entry.name for entry in offered}):
        raise HftkitError(f"there is no evidence called {', '.join(unknown)}", f"Choose among: {', '.join(entry.name for entry in offered)}")
    found: dict[str, Source] = {}
    skipped: list[str] = []
    for entry in offered:
        if names and entry.name not in names:
            continue
        try:
            found[entry.name] = entry.load()
        except ModuleNotFoundError as error:
            skipped.append(f"{entry.name} left out: {error.name} is not installed")
    return found, skipped
