"""What goes wrong on purpose with answers: reads the dialect's words of the fault page (names: fault_names.py) and decides, seeded.

`unknown`, `lost`, `timeout` and `hang_up` meet requests that change something; `throttle` meets new orders; `unavailable` and `too_many` any
request. Of several that are due the first in the table of KINDS happens.
"""

from __future__ import annotations

import random

import numpy as np

from hftkit.exchange.dialects.binance import fault_names as names
from hftkit.exchange.faults.page import dialect_words

_CHANGES = ("unknown", "lost", "timeout", "hang_up")


class AnswerFaults:
    """The dialect's view of a fault page."""

    def __init__(self, page: np.ndarray, seed: int = 1) -> None:
        """`page`: int64 (PAGE_WORDS,)."""
        self._words, self._counts = dialect_words(page, "binance")
        self._random = random.Random(seed)

    def kind(self, changes: bool, places_order: bool, exempt: bool = False) -> str:
        """Which fault meets this request, "" for none. `changes`: it is no mere query; `exempt`: -1008 does not meet it."""
        if not self._words.any():
            return ""
        for k, kind in enumerate(names.KINDS):
            concerned = changes if kind in _CHANGES else places_order and not exempt if kind == "throttle" else True
            if concerned and self._happens(k):
                self._counts[names.NEXT + k] += 1
                return kind
        return ""

    def _happens(self, k: int) -> bool:
        if self._words[names.NEXT + k] > 0:
            self._words[names.NEXT + k] -= 1
            return True
        return bool(self._words[names.PPM + k]) and self._random.random() * 1e6 < int(self._words[names.PPM + k])

    def delay_s(self) -> float:
        """How much later the answer goes out, seconds."""
        jitter = int(self._words[names.JITTER_US])
        return (int(self._words[names.DELAY_US]) + (self._random.random() * jitter if jitter else 0.0)) / 1e6

    @property
    def skew_ms(self) -> int:
        """Error of the clock that clients see, ms."""
        return int(self._words[names.SKEW_MS])

    def once(self, word: int) -> int:
        """The value of a setting that works once, 0 if it is not set; resets it."""
        value = int(self._words[word])
        if value:
            self._words[word] = 0
            self._counts[word] += 1
        return value
