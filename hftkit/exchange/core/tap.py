"""The drop copy ("tap"): a ring in which the compiled venue writes down what it publishes, for dialects and recorders of the same process.

It carries every market data frame once (trades, level changes, best bid and offer, market status: word for word as on the wire), and for every
event of an order of a client's account one EXECUTION record, and a BALANCE record where a wallet or a position changes without a trade
(trading/records.py). Everything is a frame with the header word of the wire, so that one walk reads it all.

Off by default: then it costs a look at one flag. Writer and reader are the same thread (the venue's, between two slices), so nothing is atomic.
The venue never waits for it: what does not fit is counted, and the next record that fits comes after a LOST frame that says how many are missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hftkit.exchange.core.layout import BALANCE, EXECUTION, TAP, TapKind
from hftkit.kernels.arrays import Int64Array
from hftkit.kernels.jit import inlined_kernel, inner_kernel, kernel
from hftkit.kernels.wire.frame import frame_instrument, frame_type, frame_words, header
from hftkit.layout import HEADER_WORDS

TAP_WORDS = 1 << 20  # untouched memory costs nothing; a slice ends when half of it is full
LOST_WORDS = HEADER_WORDS + 1
_LOST = int(TapKind.LOST)
_EXECUTION, _EXECUTION_WORDS = int(TapKind.EXECUTION), EXECUTION.dtype.itemsize // 8
_BALANCE, _BALANCE_WORDS = int(TapKind.BALANCE), BALANCE.dtype.itemsize // 8


class TapRing(NamedTuple):
    """The ring and what is written into it next."""

    state: np.ndarray  # TAP (1,)
    ring: np.ndarray  # int64 (a power of two,)
    execution: np.ndarray  # EXECUTION (1,): the record being made, for every sink
    execution_words: np.ndarray  # int64: the same memory
    balance: np.ndarray  # BALANCE (1,), likewise
    balance_words: np.ndarray  # int64: the same memory


def new_tap(n_words: int = TAP_WORDS) -> TapRing:
    """A ring that is off. `n_words`: a power of two."""
    execution, balance = np.zeros(1, EXECUTION.dtype), np.zeros(1, BALANCE.dtype)
    return TapRing(np.zeros(1, TAP.dtype), np.zeros(n_words, np.int64), execution, execution.view(np.int64), balance, balance.view(np.int64))


# -- the venue writes ------------------------------------------------------------------------------------------------


@inlined_kernel
def _put(tap: TapRing, value: int) -> None:
    state = tap.state[0]
    tap.ring[state.head & (tap.ring.size - 1)] = value
    state.head += 1


@inner_kernel
def copy_to_tap(tap: TapRing, words: Int64Array, n_words: int) -> None:
    """Put the frame `words[:n_words]` into the ring if it fits, else count it."""
    state = tap.state[0]
    needed = n_words if state.n_missing == 0 else n_words + LOST_WORDS
    if state.head - state.tail + needed > tap.ring.size:
        state.n_missing += 1
        state.n_lost += 1
        return
    if state.n_missing != 0:
        _put(tap, header(_LOST, LOST_WORDS, -1))
        _put(tap, state.n_lost)
        _put(tap, state.n_missing)
        state.n_missing = 0
    for i in range(n_words):
        _put(tap, words[i])


@inner_kernel
def tap_execution(tap: TapRing) -> None:
    """The EXECUTION record as it stands, numbered, into the ring."""
    row = tap.execution[0]
    tap.state[0].seq += 1
    row.header, row.seq = header(_EXECUTION, _EXECUTION_WORDS, row.instrument), tap.state[0].seq
    copy_to_tap(tap, tap.execution_words, _EXECUTION_WORDS)


@inner_kernel
def tap_balance(tap: TapRing) -> None:
    """The BALANCE record as it stands, numbered, into the ring."""
    row = tap.balance[0]
    tap.state[0].seq += 1
    row.header, row.seq = header(_BALANCE, _BALANCE_WORDS, row.instrument), tap.state[0].seq
    copy_to_tap(tap, tap.balance_words, _BALANCE_WORDS)


@inlined_kernel
def half_full(tap: TapRing) -> bool:
    """Is it time to drain? Half of the ring (4 MB) is more than one turn of the loop writes."""
    return (tap.state[0].head - tap.state[0].tail) * 2 > tap.ring.size


# -- the reader --------------------------------------------------------------------------------------------------------


@kernel
def index_frames(words: Int64Array, starts: Int64Array, kinds: Int64Array, instruments: Int64Array) -> int:
    """First word, type and instrument id (-1: none) of each frame of words (n,) into int64 arrays. Returns the number of frames."""
    n, at = 0, 0
    while at < words.size:
        starts[n], kinds[n], instruments[n] = at, frame_type(words[at]), frame_instrument(words[at])
        at += frame_words(words[at])
        n += 1
    return n


class Batch:
    """What the venue wrote between two looks, in order: `words` int64, and of each frame its first word, type and instrument."""

    def __init__(self, words: np.ndarray) -> None:
        most = words.size // LOST_WORDS + 1
        columns = np.empty((3, most), np.int64)
        n = index_frames(words, columns[0], columns[1], columns[2])
        self.words = words
        self.starts, self.kinds, self.instruments = columns[0, :n], columns[1, :n], columns[2, :n]

    def frames(self, kind: int, n_words: int) -> np.ndarray:
        """All frames of one type (codes.MessageType or TapKind) and their length: int64 (n, n_words), header and sequence first."""
        starts = self.starts[self.kinds == kind]
        return self.words[starts[:, None] + np.arange(n_words)]

    def executions(self) -> np.ndarray:
        """EXECUTION records, in order."""
        return self.frames(int(TapKind.EXECUTION), EXECUTION.dtype.itemsize // 8).view(EXECUTION.dtype).reshape(-1)

    def balances(self) -> np.ndarray:
        """BALANCE records, in order."""
        return self.frames(int(TapKind.BALANCE), BALANCE.dtype.itemsize // 8).view(BALANCE.dtype).reshape(-1)

    @property
    def n_lost(self) -> int:
        """Records that did not fit before or within this batch: whoever follows books must start again from the venue's arrays."""
        return int(self.frames(_LOST, LOST_WORDS)[:, HEADER_WORDS].sum())


class Tap:
    """The reader: `pump` on the venue's thread between two slices (VenueHost.hooks) hands what was written to every consumer."""

    def __init__(self, ring: TapRing) -> None:
        self.ring = ring
        self.consumers: list[Callable[[Batch], None]] = []

    def open(self) -> None:
        """From now on the venue writes."""
        state = self.ring.state[0]
        state["tail"], state["n_missing"], state["on"] = state["head"], 0, 1

    def close(self) -> None:
        """The venue writes no more."""
        self.ring.state[0]["on"] = 0

    def drain(self) -> np.ndarray:
        """Everything written since the last time: int64 words, a copy."""
        state = self.ring.state[0]
        head, tail, mask = int(state["head"]), int(state["tail"]), self.ring.ring.size - 1
        state["tail"] = head
        first, last = tail & mask, head & mask
        if first <= last and head - tail <= mask:
            return self.ring.ring[first:last].copy()
        return np.concatenate((self.ring.ring[first:], self.ring.ring[:last]))

    def pump(self) -> None:
        """Drain, and hand the batch to the consumers if there is anything in it."""
        words = self.drain()
        if words.size:
            batch = Batch(words)
            for consume in self.consumers:
                consume(batch)
