"""What the live side compiles for `hftkit warmup`: the hot loop, and the frames of discovery."""

from __future__ import annotations

import numpy as np

from hftkit.control import WORDS
from hftkit.kernels.jit import compiled_driver
from hftkit.kernels.memory.journal import STATE_WORDS
from hftkit.kernels.memory.ring import format_ring, ring_words
from hftkit.kernels.step import STRATEGIES_TYPE
from hftkit.rooms import build_rooms
from hftkit.warmup import Task
from hftkit.warmup_core import example_session
from live import hot_loop as hot
from live.engine import example_page


def _hot_loop() -> None:
    rooms = build_rooms(example_session())
    shell = hot.Shell(
        io=np.zeros(hot.IO_WORDS, np.int64),
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
    compiled_driver(hot.hot_loop, rooms, STRATEGIES_TYPE, shell, example_page())


def warm() -> list[Task]:
    """The live side's part of `hftkit warmup`."""
    return [("hot loop", _hot_loop)]
