"""A session that is only its pages: a real telemetry page and a real control page, written as an engine would, without a venue."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hftkit.clock import monotonic_ns, unix_ns
from hftkit.codes import Control, Hop, SessionStatus, Trading
from hftkit.compilation.warmup_core import example_session
from hftkit.kernels.memory import telemetry as page_kernel
from hftkit.kernels.memory.control import NO_COMMAND, admits, answer_command, command_at
from hftkit.kernels.memory.histogram import record
from hftkit.kernels.memory.telemetry import publish, publish_fill
from hftkit.session.control import LOST, ControlPage
from hftkit.session.engine_state import build_engine_state
from hftkit.session.telemetry import create_page

EXCHANGE_TIME = 1_769_850_000 * 10**9


class PageSession:
    """Pages of one session of the pair AAA/BBB in a folder; `publish` shows what the rooms hold."""

    def __init__(self, folder: Path, **info: Any) -> None:
        self.folder = folder
        config = example_session()
        frozen = config.strategies[0]
        self.rooms, self.obeyed = build_engine_state(config), 0
        self.control = ControlPage.create(folder / "control.page", key=7)
        strategy = {
            "name": "pairs-AAA-BBB",
            "strategy": "pairs",
            "digest": "0123456789abcdef" * 4,
            "lead": "AAA",
            "hedge": "BBB",
            "watched": ["AAA", "BBB"],
        }
        facts = {
            "session": folder.name,
            "control": str(folder / "control.page"),
            "control_key": 7,
            "instruments": [msgspec.to_builtins(instrument) for instrument in config.instruments],
            "strategies": [{**strategy, "parameters": dict(frozen.parameters)}],
        }
        self.page_path = folder / "telemetry.page"
        self.page = create_page(self.page_path, 2, 1, {**facts, **info})
        (folder / "telemetry.path").write_text(str(self.page_path))
        self.page.head[page_kernel.STARTED_UNIX_NS], self.page.head[page_kernel.STARTED_MONOTONIC_NS] = unix_ns(), monotonic_ns()
        self.status(SessionStatus.TRADING)
        self.rooms.risk[0]["trading"] = int(Trading.ENABLED)
        self.publish()

    def status(self, status: SessionStatus) -> None:
        self.page.head[page_kernel.STATUS] = int(status)

    def publish(self, now_ns: int | None = None) -> None:
        publish(self.rooms, self.page, monotonic_ns() if now_ns is None else now_ns)

    def signal(self, number: int, zscore: float) -> None:
        """The strategy's signal at `number` minutes of exchange time."""
        signal = self.rooms.signal[0]
        signal["ts_event"], signal["zscore"], signal["n_bars"] = EXCHANGE_TIME + number * 60 * 10**9, zscore, 10

    def trade(self) -> None:
        """A held pair with fills, money and latencies."""
        session, ledger = self.rooms.session[0], self.rooms.ledger
        session["n_orders"], session["n_fills"], session["n_rejects"] = 12, 9, 1
        # 250 lots of 0.01 bought at 101.50, marked at 102.00; 300 lots of 0.01 sold at 99.00, marked at 98.75; e8 money
        for row, position, price, half_ticks in ((0, 250, 101_50, 204_00), (1, -300, 99_00, 197_50)):
            tick_lot = int(self.rooms.instruments[row]["tick_lot_e8"])
            ledger[row]["position"], ledger[row]["n_fills"], ledger[row]["mark_price"] = position, 4, half_ticks
            ledger[row]["cost_e8"] = position * price * tick_lot
            ledger[row]["unrealized_e8"] = position * half_ticks * tick_lot // 2 - int(ledger[row]["cost_e8"])
            ledger[row]["realized_e8"], ledger[row]["fees_e8"] = 350_000_000, 12_345_678
        for value in range(2_000, 9_000, 7):
            for hop in Hop:
                record(self.page.histograms[int(hop)], value)
        event = self.rooms.event[0]
        event["ts_event"], event["instrument"], event["side"], event["price"], event["qty"] = EXCHANGE_TIME, 0, 0, 101_50, 250
        event["fee_e8"], event["flags"] = 4_060_000, 1
        publish_fill(self.page, self.rooms.event, 0)
        for minute in range(120):
            self.signal(minute, 2.4 * math.sin(minute / 9))

    def commands(self) -> list[Control]:
        """Commands given so far, oldest first (the last SLOTS of them)."""
        codes = []
        while (code := self.control.command(len(codes) + 1)) is not None:
            codes.append(code)
        return [Control(code) for code in codes if code != LOST]

    def obey(self) -> None:
        """Take the commands that wait and answer them, as the hot loop does; the rooms stand for the state after them."""
        words, now = self.control.words, monotonic_ns()
        while (code := int(command_at(words, self.obeyed))) != NO_COMMAND:
            self.obeyed += 1
            answer_command(words, self.obeyed, code, admits(words, code), self.rooms.risk, self.rooms.session, now)


def zscores(n: int) -> np.ndarray:
    """A mean-reverting line that visits every band."""
    random = np.random.default_rng(7)
    path = np.zeros(n)
    for i in range(1, n):
        path[i] = 0.93 * path[i - 1] + 0.75 * random.standard_normal()
    return path
