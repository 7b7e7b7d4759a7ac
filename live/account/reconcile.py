"""The ledger against the venue's account: the venue is the truth (AC-2). Pure: positions in, a verdict out.

Our ledger lives by fills, the venue's answer is a moment in the past: while orders fly the two may differ for good reasons. So only a *quiet*
comparison counts: from before the question until after the answer no order was in flight (one that rests is not) and no fill came. A difference that
stands, unchanged, over quiet comparisons:

    first time    WAIT       nothing is done
    second time   RECOVER    the trades of recent orders are asked for: a fill that was missed comes in as what it is, with its own id
    third time    ACCEPT or HALT    it is not ours (someone else trades this account, say): the ledger takes the venue's position over
                                    (ledger.correct_position), and the legs with it; beyond the limit trading halts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum


def held_in_words(lots: Mapping[str, int]) -> tuple[str, str]:
    """Problem and cure where a session is to start on an account that holds positions. `lots`: signed, by symbol."""
    held = ", ".join(f"{symbol} {n:+d} lots" for symbol, n in sorted(lots.items()))
    return (
        f"the account already holds {held}",
        "A session starts flat: `hftkit live --resume SESSION` goes on with one that died; or run `hftkit flatten --config FILE`",
    )


class Verdict(IntEnum):
    """What a comparison asks for. The larger number is the graver one."""

    AGREES = 0
    WAIT = 1
    RECOVER = 2
    ACCEPT = 3
    HALT = 4


@dataclass
class _Seen:
    """A difference under observation."""

    lots: int
    times: int


class Reconciler:
    """Owner: the venue loop.

    `units`: lots of one unit of each instrument; a standing difference above `share` of it halts (and above one lot, where a unit is small).
    """

    def __init__(self, units: Sequence[int], share: float) -> None:
        self._limits = [max(int(abs(unit) * share), 0) for unit in units]
        self._seen: dict[int, _Seen] = {}
        self.n_compared = self.n_agreed = 0

    @property
    def differs(self) -> bool:
        """Whether a difference is under observation."""
        return bool(self._seen)

    def is_beyond(self, instrument: int, lots: int) -> bool:
        """Whether so many lots from outside are more than the session goes on with."""
        return abs(lots) > self._limits[instrument]

    def compare(self, ours: Sequence[int], venue: Sequence[int], quiet: Sequence[bool]) -> dict[int, tuple[Verdict, int]]:
        """Positions in lots of the ledger and of the venue, and whether the comparison is quiet, by instrument.

        Returns {instrument: (verdict, venue's lots minus ours)} for those that differ.
        """
        self.n_compared += 1
        found: dict[int, tuple[Verdict, int]] = {}
        for i, (mine, theirs, still) in enumerate(zip(ours, venue, quiet, strict=True)):
            lots = int(theirs) - int(mine)
            if not still:
                found |= {i: (Verdict.WAIT, lots)} if lots else {}
                continue
            if lots == 0:
                self._seen.pop(i, None)
                continue
            seen = self._seen.get(i)
            if seen is None or seen.lots != lots:
                self._seen[i] = seen = _Seen(lots, 0)
            seen.times += 1
            verdict = (Verdict.WAIT, Verdict.RECOVER)[seen.times - 1] if seen.times <= 2 else Verdict.ACCEPT
            if verdict is Verdict.ACCEPT and self.is_beyond(i, lots):
                verdict = Verdict.HALT
            found[i] = (verdict, lots)
        self.n_agreed += not found
        return found


class OutsideWatch:
    """Adds up what others have moved in the account, up or down, by instrument: ten small changes are as much as a large one.

    Owner: the engine's thread.
    """

    def __init__(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler
        self._last: dict[int, int] = {}
        self._moved: dict[int, int] = {}

    def beyond(self, corrected: Sequence[int]) -> list[tuple[int, int]]:
        """(instrument, lots moved) where that is more than the session goes on with. `corrected`: the ledger's `corrected_qty`."""
        for i, lots in enumerate(corrected):
            self._moved[i] = self._moved.get(i, 0) + abs(int(lots) - self._last.get(i, 0))
            self._last[i] = int(lots)
        return [(i, lots) for i, lots in self._moved.items() if lots and self._reconciler.is_beyond(i, lots)]
