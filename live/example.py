"""Memory of the right types and of no particular size: what the compiler needs to know of a session."""

from __future__ import annotations

import numpy as np

from hftkit import layout
from hftkit.kernels.memory.control import WORDS
from hftkit.kernels.memory.journal import STATE_WORDS
from hftkit.kernels.memory.ring import format_ring, ring_words
from hftkit.kernels.memory.telemetry import HEAD_WORDS, Page
from hftkit.session.engine_state import EngineState
from live import hot_loop as hot


def example_page() -> Page:
    """A page in ordinary memory with the types of a real one: what the compiler needs to know."""
    return Page(
        head=np.zeros(HEAD_WORDS, np.int64),
        session=np.zeros(1, layout.SESSION.dtype),
        risk=np.zeros(1, layout.RISK.dtype),
        book=np.zeros(1, layout.BOOK.dtype),
        ledger=np.zeros(1, layout.LEDGER.dtype),
        signal=np.zeros(1, layout.SIGNAL.dtype),
        legs=np.zeros(1, layout.LEGS.dtype),
        quotes=np.zeros(1, layout.QUOTES.dtype),
        baskets=np.zeros(1, layout.BASKET.dtype),
        slots=np.zeros(1, layout.SLOT.dtype),
        held=np.zeros((1, 2), layout.LEDGER.dtype),
        histograms=np.zeros((1, 8), np.int64),
        fills=np.zeros((1, 8), np.int64),
    )


def example_shell(rooms: EngineState) -> hot.LoopContext:
    """A shell in ordinary memory with the types of a real one."""
    loop = np.zeros(1, layout.LOOP.dtype)
    return hot.LoopContext(
        loop=loop,
        loop_words=loop.view(np.int64),
        order_in=np.zeros(8, np.int64),
        data_in=np.zeros(8, np.int64),
        segment=np.zeros(16, np.int64),
        journal=np.zeros(STATE_WORDS, np.int64),
        control=np.zeros(WORDS, np.int64),
        notes=format_ring(np.zeros(ring_words(2, hot.NOTE_WORDS), np.int64), 2, hot.NOTE_WORDS),
        event_words=rooms.event.view(np.int64),
        scratch=np.zeros(32, np.int64),
        sent_at=np.zeros(1, np.int64),
    )
