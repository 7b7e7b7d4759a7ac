"""What a line's counters and the ledger say about the account, watched by the engine's thread: look at once, or halt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hftkit.binance.line import Counter
from hftkit.codes import Control
from hftkit.instruments import Instrument
from live.account.reconcile import OutsideWatch, Reconciler
from live.venues.binance.tasks import VenueTasks


class AccountWatch:
    """`call_soon`: runs a function in the loop of the tasks, from any thread."""

    def __init__(
        self, tasks: VenueTasks, call_soon: Callable[[Callable[[], None]], Any], reconciler: Reconciler, instruments: Sequence[Instrument]
    ) -> None:
        self._tasks, self._call_soon, self._instruments = tasks, call_soon, instruments
        self._outside = OutsideWatch(reconciler)

    def turn(self, new: np.ndarray, ledger: np.ndarray) -> None:
        """What says that the account is not what we think is looked into at once; what others have done to it beyond the limit halts trading.

        `new`: int64, by Counter, since the last turn; `ledger`: LEDGER (n,).
        """
        if new[Counter.POSITION_DOUBTED]:
            self._call_soon(self._tasks.look_now)
        if new[Counter.HEDGE_MODE]:
            why = "the account has positions of hedge mode: its position mode was changed while the session runs"
            self._tasks.halt(Control.HALT_ACCOUNT, why)
        for i, lots in self._outside.beyond(ledger["corrected_qty"].tolist()):
            why = "the account's position was changed by others than this session"
            self._tasks.halt(Control.HALT_ACCOUNT, why, symbol=self._instruments[i].symbol, lots=lots)
