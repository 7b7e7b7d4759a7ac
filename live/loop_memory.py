"""What the hot loop owns besides the engine's rooms, allocated once."""

from __future__ import annotations

import numpy as np

from hftkit.kernels.memory.ring import format_ring, ring_words
from hftkit.layout import LOOP
from hftkit.session.control import ControlPage
from hftkit.session.engine_state import EngineState
from hftkit.session.journal import JournalWriter
from live import hot_loop as hot
from live.config import LoopConfig

NOTES_SLOTS = 4096


def loop_context(settings: LoopConfig, rooms: EngineState, journal: JournalWriter, control: ControlPage) -> hot.LoopContext:
    """The memory of the loop of one session."""
    loop = np.zeros(1, LOOP.dtype)
    loop["wait"], loop["stall_ns"] = int(hot.Wait[settings.wait.upper()]), settings.stall_ms * 1_000_000
    loop["timer_ns"], loop["idle_ns"] = settings.timer_us * 1000, settings.idle_timer_ms * 1_000_000
    return hot.LoopContext(
        loop=loop,
        loop_words=loop.view(np.int64),
        order_in=np.zeros(hot.RECEIVE_WORDS, np.int64),
        data_in=np.zeros(hot.RECEIVE_WORDS, np.int64),
        segment=journal.segment,
        journal=journal.state,
        control=control.words,
        notes=format_ring(np.zeros(ring_words(NOTES_SLOTS, hot.NOTE_WORDS), np.int64), NOTES_SLOTS, hot.NOTE_WORDS),
        event_words=rooms.event.view(np.int64),
        scratch=np.zeros(32, np.int64),
        sent_at=np.zeros(rooms.orders.size, np.int64),
    )
