"""Whether the books that are traded are fresh, for people: what the step decides by itself (kernels/market/book.py), said in words and counted.

The step refuses orders on a stale book whoever watches. Here each change is told once (`book_stale` with the reason, `book_fresh`), a book stream on
which one symbol has fallen silent is opened afresh, and a position that stands in a stale book for too long is left (Control.HALT_STALE).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hftkit.codes import Sync

_NS = 1_000_000_000
LOST_TOLD_NS = _NS  # a book that is being loaded anew is worth a line only if that takes so long
REFRESH_AFTER_NS, REFRESH_EVERY_NS = 10 * _NS, 60 * _NS
OFTEN, OFTEN_NS = 5, 60 * _NS  # a symbol that goes stale more often than that is told of once, until it has been fresh for as long


class _Book:
    """What is remembered of one book between two looks.

    Owner: the engine's thread.
    """

    def __init__(self) -> None:
        self.ts_recv = self.seq_trade = self.lost_since = self.stale_since = 0
        self.turns: deque[int] = deque(maxlen=OFTEN)
        self.quiet = False


class BookWatch:
    """`symbols`: by instrument id; `watched`: ids that are traded; `say(event, **facts)`: the log; `refresh()`: open the book stream afresh;
    `halt()`: HALT_STALE to the engine; `halt_after_s`: how long a position may stand in a stale book, 0: for ever.

    Owner: the engine's thread.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        watched: Sequence[int],
        say: Callable[..., None],
        refresh: Callable[[], None],
        halt: Callable[[], object],
        halt_after_s: float,
    ) -> None:
        self._symbols, self._say, self._refresh, self._halt = symbols, say, refresh, halt
        self._halt_after_ns = int(halt_after_s * _NS)
        self._books = {i: _Book() for i in watched}
        self._refreshed_at, self._is_halted = 0, False
        self.n_stale = dict.fromkeys(watched, 0)

    def turn(self, now: int, book: np.ndarray, in_use: set[int]) -> None:
        """Look at all books. `now`: ns monotonic, read after `book` (BOOK (n,), a copy); `in_use`: ids of pairs that hold a position."""
        why = {i: self._why_stale(i, now, book) for i in self._books}
        for i, seen in self._books.items():
            if why[i] and not seen.stale_since:
                seen.stale_since = now
                self.n_stale[i] += 1
                self._tell_stale(i, seen, now, why[i])
            elif not why[i] and seen.stale_since:
                if not seen.quiet:
                    self._say("book_fresh", symbol=self._symbols[i], after_s=round((now - seen.stale_since) / _NS, 1))
                seen.stale_since = 0
            if seen.quiet and not seen.stale_since and now - seen.turns[-1] > OFTEN_NS:
                seen.quiet = False
        self._act(now, book, in_use)

    def _tell_stale(self, i: int, seen: _Book, now: int, why: str) -> None:
        often = len(seen.turns) == OFTEN and now - seen.turns[0] < OFTEN_NS
        seen.turns.append(now)
        if often and not seen.quiet:
            seen.quiet = True
            self._say("book_often_stale", symbol=self._symbols[i], why=f"{why}; not told again before it has been fresh for {OFTEN_NS // _NS} s")
        elif not seen.quiet:
            self._say("book_stale", symbol=self._symbols[i], why=why)

    def _why_stale(self, i: int, now: int, book: np.ndarray) -> str:
        """'' for a book that may be traded on."""
        b, seen = book[i], self._books[i]
        if int(b["ts_recv"]) != seen.ts_recv:
            seen.ts_recv, seen.seq_trade = int(b["ts_recv"]), int(b["seq_trade"])
        if b["sync"] != Sync.SYNCED:
            seen.lost_since = seen.lost_since or now
            if now - seen.lost_since < LOST_TOLD_NS and not seen.stale_since:
                return ""
            return "no whole book: an event of it is missing or could not be read, and there is no newer snapshot yet"
        seen.lost_since = 0
        if not is_stale(b, now):
            return ""
        if now < int(b["hold_until"]):
            return "our own process stood still; it is caught up with, but nothing newer has come yet"
        silent = f"no depth event for {(now - int(b['ts_recv'])) / _NS:.1f} s"
        if int(b["behind_ts"]) and now - int(b["ts_recv"]) < int(b["max_age_ns"]):
            return f"the book is behind: a trade {(now - int(b['behind_since'])) / _NS:.1f} s ago is still newer than it"
        if int(b["seq_trade"]) != seen.seq_trade or int(b["behind_ts"]):
            return f"{silent} while trades arrive"
        if any(not is_stale(book[k], now) for k in self._books if k != i):
            return f"{silent} while other books move"
        return silent

    def _act(self, now: int, book: np.ndarray, in_use: set[int]) -> None:
        old = [i for i, seen in self._books.items() if seen.stale_since and now - seen.stale_since > REFRESH_AFTER_NS]
        others_move = len(old) < len(self._books) or any(int(book[i]["behind_ts"]) for i in old)
        if old and others_move and now - self._refreshed_at > REFRESH_EVERY_NS:
            self._refreshed_at = now
            self._refresh()
        if self._is_halted or not self._halt_after_ns:
            return
        for i, seen in self._books.items():
            if i in in_use and seen.stale_since and now - seen.stale_since > self._halt_after_ns:
                self._is_halted = True
                why = f"a position stands in the book of {self._symbols[i]}, stale for {self._halt_after_ns / _NS:g} s: it is left at market"
                self._say("halt", why=why, symbol=self._symbols[i])
                self._halt()
                return


def is_stale(b: Any, now: int) -> bool:
    """The step's own rule (kernels/market/signals.py `stale`) over one BOOK record, in Python."""
    return bool(b["max_age_ns"] and now > b["good_until"])
