"""`hftkit sim --record FOLDER`: what the venue published and what happened to clients' orders, as a journal (docs/journal.md).

Fed by the drop copy (tap.py): market data frames become MARKET_DATA_IN records, word for word; EXECUTION, BALANCE and LOST records become DROP_COPY.
The books as they stand come first, as snapshots; after a loss they come again. The result is research data (research/market/market_data.py,
research/market/executions.py), and a history that `hftkit sim --history` plays.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hftkit.codes import DepthFlag, MessageType, RecordType, Side
from hftkit.exchange.config import SimConfig
from hftkit.exchange.core.layout import TapKind
from hftkit.exchange.core.tap import Batch
from hftkit.exchange.venue import DEPTH_ROW, Exchange
from hftkit.kernels.jit import kernel, sources_digest
from hftkit.kernels.memory.journal import append
from hftkit.kernels.wire.frame import frame_type, frame_words, header
from hftkit.params.format import canonical_bytes
from hftkit.session.journal import JournalWriter, words_of

_MARKET_DATA, _DROP_COPY = int(RecordType.MARKET_DATA_IN), int(RecordType.DROP_COPY)
_FIRST_OF_TAP = min(int(kind) for kind in TapKind)


@kernel
def write_frames(words: Any, segment: Any, state: Any, at: int, time_ns: int) -> int:
    """Append the frames of `words` (int64 (n,)) from word `at` on, a record each. Returns the word at which the segment was full, n if it was not."""
    while at < words.size:
        n_words = frame_words(words[at])
        kind = _DROP_COPY if frame_type(words[at]) >= _FIRST_OF_TAP else _MARKET_DATA
        if append(words, segment, state, kind, time_ns, at, n_words) == 0:
            return at
        at += n_words
    return at


def snapshot_frames(venue: Exchange) -> np.ndarray:
    """The books as they stand, as the frames a client would get for them: int64 words. Call it on the venue's thread."""
    frames: list[list[int]] = []
    books, ts = venue.books, int(venue.state[0]["ts"])
    for i in range(venue.instruments.size):
        seq, base = int(venue.sequences[i, DEPTH_ROW]), int(books.tops[i]["base"])
        places = np.flatnonzero(books.levels[i]["head"])
        sides = books.orders["side"][books.levels[i]["head"][places]]
        count = [int((sides == side).sum()) for side in Side]
        frames.append([header(int(MessageType.SNAPSHOT_BEGIN), 5, i), seq, ts, *count])
        for place, side in zip(places.tolist(), sides.tolist(), strict=True):
            qty = int(books.levels[i]["qty"][place])
            frames.append([header(int(MessageType.DEPTH), 7, i), seq, ts, side, int(DepthFlag.SNAPSHOT), base + place, qty])
        frames.append([header(int(MessageType.SNAPSHOT_END), 3, i), seq, ts])
    return np.array([word for frame in frames for word in frame], np.int64)


class TapeRecorder:
    """A consumer of the tap that writes a journal. All calls on the venue's thread."""

    def __init__(self, folder: Path, venue: Exchange, config: SimConfig, unix_ns: int, time_ns: int, market: dict[str, Any]) -> None:
        """`unix_ns`: now, for the header; `time_ns`: monotonic; `market`: what the market is (seed and scenario, or the history's digest).

        Raises JournalError if the folder holds a journal already.
        """
        self.venue = venue
        self.n_frames = 0
        self.time_ns = time_ns  # of the records that follow; the caller moves it on
        self._writer = JournalWriter(folder, unix_ns // 10**9, unix_ns)
        body = {"instruments": msgspec.to_builtins(config.scales), "market": market, "name": config.name}
        self._writer.append(RecordType.SESSION_BEGIN, time_ns, words_of(json.dumps({"kernels": sources_digest(), "recording": True}).encode()))
        self._writer.append(RecordType.CONFIG, time_ns, words_of(canonical_bytes(body)))
        self.write(snapshot_frames(venue))

    def write(self, words: np.ndarray) -> None:
        """Append frames."""
        at = 0
        while at < words.size:
            at = write_frames(words, self._writer.segment, self._writer.state, at, self.time_ns)
            if at < words.size:
                self._writer.roll()

    def consume(self, batch: Batch) -> None:
        """Append a batch of the tap; after a loss the books once more."""
        self.write(batch.words)
        self.n_frames += batch.starts.size
        if batch.n_lost:
            self.write(snapshot_frames(self.venue))

    def close(self) -> None:
        """End the journal: without this it reads as one that was cut."""
        self._writer.append(RecordType.SESSION_END, self.time_ns, np.zeros(4, np.int64))
        self._writer.close()
