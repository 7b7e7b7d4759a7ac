"""What a supervisor does when its engine has ended: one pure table.

how it ended                                         then
with an exit status of its own                       END         the status is ours
died, and nobody knows a session of its              START       nothing can have been traded: from the beginning
died, with a session                                 TAKE_OVER   the one that stands by goes on with it
died once too often within the window                FLATTEN     close what is open, say so, end
took over, and could not start                       FLATTEN     likewise: what the dead one held is still there
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Next(IntEnum):
    """What to do now."""

    END = 0
    START = 1
    TAKE_OVER = 2
    FLATTEN = 3


@dataclass
class Deaths:
    """Counts deaths. `most` within `window_s` are a crash loop. Owner: the supervisor."""

    most: int
    window_s: float
    times: list[float] = field(default_factory=list)

    def next(self, status: int, now_s: float, has_session: bool, took_over_in_vain: bool) -> Next:
        """`status`: exit status, or minus the signal that ended it; `has_session`: there is a journal to go on with; `took_over_in_vain`: it was to
        go on with one, and never traded."""
        if status >= 0:
            return Next.FLATTEN if status > 0 and took_over_in_vain else Next.END
        self.times = [then for then in self.times if now_s - then < self.window_s] + [now_s]
        if len(self.times) >= self.most:
            return Next.FLATTEN
        return Next.TAKE_OVER if has_session else Next.START
