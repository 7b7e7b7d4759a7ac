"""What the simulator compiles: `hftkit warmup` calls this, so that the first `hftkit sim` starts at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hftkit.codes import MessageType
from hftkit.exchange.config import load_config
from hftkit.instruments import Instrument
from hftkit.kernels.wire.frame import header


def warm() -> list[tuple[str, Callable[[], object]]]:
    """(label, function) for each outermost loop of the simulator."""

    def server() -> object:
        from hftkit.exchange.servers.binary import BinaryServer

        simulator = BinaryServer(load_config())
        simulator.start("127.0.0.1", 0, 0)
        simulator.run_slice(1)
        simulator.close()
        return simulator

    def desk() -> object:
        from hftkit.exchange.servers.binary import BinaryServer
        from hftkit.exchange.trading.order_entry_api import OrderEntryApi

        return OrderEntryApi(BinaryServer(load_config()).venue)

    def tape() -> object:
        from hftkit.exchange.market.tape import make_tape

        return make_tape(load_config(), minutes=1)

    def history() -> object:
        from hftkit.exchange.market.history.build import HistoryPlan
        from hftkit.exchange.market.history.files import with_grades
        from hftkit.exchange.market.history.rehearsal import REQUEST, rehearse

        frame = header(int(MessageType.TRADE), 7, 0)
        tape = with_grades("warm-up", np.array([[frame, 1, 1, 1, 0, 100, 1]]), (Instrument(symbol="ONE", tick_size="1", lot_size="1"),), {})
        return rehearse(HistoryPlan(tape), np.zeros(0, REQUEST))

    return [("exchange simulator", server), ("exchange dialects", desk), ("exchange tape", tape), ("history as the market", history)]
