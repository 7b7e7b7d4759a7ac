"""What goes wrong on purpose with streams: reads the dialect's words of the fault page (names: fault_names.py). Market data and user data."""

from __future__ import annotations

import numpy as np

from hftkit.exchange.dialects.binance import fault_names
from hftkit.exchange.dialects.binance.streams import stream_names as names
from hftkit.exchange.faults.page import dialect_words

# What `silent_stream` can be, by number; the order of fault_names.SILENT_STREAMS.
_SILENT: tuple[tuple[str, ...], ...] = (
    (),
    (names.BOOK_TICKER, names.ALL_BOOK_TICKERS),
    (names.DEPTH, names.PARTIAL),
    (names.TRADE, names.AGG_TRADE),
    (names.MARK_PRICE, names.ALL_MARK_PRICES),
    (names.USER,),
)


class StreamFaults:
    """The streams' view of a fault page."""

    def __init__(self, page: np.ndarray) -> None:
        """`page`: int64 (PAGE_WORDS,)."""
        self._words, self._counts = dialect_words(page, "binance")

    def _next(self, word: int) -> bool:
        if self._words[word] <= 0:
            return False
        self._words[word] -= 1
        self._counts[word] += 1
        return True

    def is_silent(self, kind: str) -> bool:
        """Is nothing sent on streams of this kind, though they are open?"""
        return kind in _SILENT[min(int(self._words[fault_names.SILENT_STREAM]), len(_SILENT) - 1)]

    def drops_depth(self) -> bool:
        """Is this depth event lost, so that the next one's pu fits nothing?"""
        return self._next(fault_names.DROP_DEPTH)

    def swaps_user_event(self) -> bool:
        """Does this user event go out after the one that follows it?"""
        return self._next(fault_names.SWAP_USER)

    def loses_user_event(self) -> bool:
        """Is this user event lost?"""
        return self._next(fault_names.LOSE_USER)

    @property
    def user_delay_ns(self) -> int:
        """How much later user events go out, ns."""
        return int(self._words[fault_names.USER_DELAY_US]) * 1000

    @property
    def frozen(self) -> bool:
        """Does nothing but answers go out on any stream?"""
        return bool(self._words[fault_names.FREEZE_STREAMS])

    @property
    def mutes_pongs(self) -> bool:
        """Are pings of clients not answered?"""
        return bool(self._words[fault_names.MUTE_PONGS])

    def cuts(self) -> bool:
        """Is every stream connection cut now, once?"""
        if not self._words[fault_names.CUT_STREAMS]:
            return False
        self._words[fault_names.CUT_STREAMS] = 0
        self._counts[fault_names.CUT_STREAMS] += 1
        return True
