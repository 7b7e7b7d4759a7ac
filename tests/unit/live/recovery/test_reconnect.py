"""Why a connection was refused (live/recovery/reconnect.py)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hftkit.codes import EventKind, MessageType, Reject
from hftkit.layout import EVENT
from live.hot_loop import LoopStatus
from live.recovery.reconnect import LINE_LOST, refusal
from tests.support import NOBODY, frame


def told(status: LoopStatus, kind: EventKind, code: int, words: bytes) -> int:
    event = np.zeros(1, EVENT.dtype)
    event["kind"], event["code"] = int(kind), code
    shell = SimpleNamespace(order_in=np.frombuffer(words.ljust(64, b"\0"), np.int64).copy())
    return refusal(SimpleNamespace(event=event), shell, status)  # type: ignore[arg-type]


def test_the_step_has_seen_it():
    assert told(LoopStatus.SESSION_REFUSED, EventKind.SESSION_REJECT, 301, b"") == Reject.SESSION_NOT_LOGGED_ON


def test_the_step_has_passed_over_it():
    words = frame(MessageType.SESSION_REJECT, NOBODY, 1, 5, int(Reject.SESSION_DUPLICATE_LOGON))
    assert told(LoopStatus.ORDER_ENTRY_LOST, EventKind.TIMER, 0, words) == Reject.SESSION_DUPLICATE_LOGON


@pytest.mark.parametrize("status", [LoopStatus.ORDER_ENTRY_LOST, LoopStatus.SESSION_REFUSED])
def test_nobody_has_refused_it(status):
    assert told(status, EventKind.ORDER_FILL, 9, frame(MessageType.POSITION, 0, 4, 5, 6)) == 0


def test_a_line_is_lost_by_all_that_can_be_mended():
    others = {LoopStatus.LOGGED_OUT, LoopStatus.JOURNAL_FULL, LoopStatus.ABANDONED, LoopStatus.ASKED, LoopStatus.RUNNING}
    assert others.isdisjoint(LINE_LOST)
    assert len(LINE_LOST) + len(others) == len(LoopStatus)
