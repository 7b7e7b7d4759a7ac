"""A session that is stopped in the midst of trading (SIGSTOP, SIGCONT): what waited for it is old, and it knows."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import numpy as np

from hftkit.codes import Control, MessageType, OrderType, RecordType
from hftkit.kernels.wire.frame import frame_type, frame_words
from hftkit.layout import FRAME
from hftkit.session.child_process import Simulator
from hftkit.session.journal import JournalReader
from tests.faults.binance_drill import PATIENCE_S, Venue, assert_whole, frozen_file, said, start, trades_on, wait_for

HOLD_NS = 2_000_000_000  # of the default age limit


def priced_orders(payload: np.ndarray) -> int:
    """New orders with a limit price. (A leg without its hedge may be left at market.)"""
    count = at = 0
    word = FRAME[MessageType.NEW_ORDER].word("order_type")
    while at < payload.size:
        count += frame_type(payload[at]) == MessageType.NEW_ORDER and payload[at + word] == OrderType.LIMIT
        at += int(frame_words(payload[at]))
    return count


def test_after_a_stop_of_its_own_a_session_trades_on_nothing_old(tmp_path: Path) -> None:
    frozen = frozen_file(tmp_path / "frozen")
    folder = tmp_path / "live"
    folder.mkdir()
    with Simulator(tmp_path / "venue", 1.0, Path("binance"), ("--binance-port", "0")) as simulator:
        venue = Venue(simulator)
        with start(frozen, venue, folder) as session:
            trades_on(session)
            stalls = len(said(session, "stall"))
            os.kill(session.process.pid, signal.SIGSTOP)
            with contextlib.suppress(subprocess.TimeoutExpired):  # the stop itself
                session.process.wait(3)
            os.kill(session.process.pid, signal.SIGCONT)
            wait_for(session, "a stall that is told", lambda: len(said(session, "stall")) > stalls)
            trades_on(session)
            session.send(Control.STOP)
            result = session.wait(PATIENCE_S)
        assert result["status"] == "stopped"
        assert_whole(session, venue, result)
    held_until, stops = 0, 0
    for record in JournalReader(session.folder):
        if record.type == RecordType.CONTROL_IN and int(record.payload[0]) in (Control.STALL, Control.CAUGHT_UP):
            held_until = record.time_ns + HOLD_NS
            stops += int(record.payload[0]) == Control.STALL
        elif record.type == RecordType.CONTROL_IN and int(record.payload[0]) == Control.STOP:
            break
        elif record.type == RecordType.ORDER_ENTRY_OUT and record.time_ns < held_until:
            assert priced_orders(record.payload) == 0, "an order on a quote from before the stop"
    assert stops >= 1
