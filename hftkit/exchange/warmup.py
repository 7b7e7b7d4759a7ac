"""What the simulator compiles: `hftkit warmup` calls this, so that the first `hftkit sim` starts at once."""

from __future__ import annotations

from collections.abc import Callable

from hftkit.exchange.config import load_config


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
        from hftkit.exchange.desk import Desk
        from hftkit.exchange.servers.binary import BinaryServer

        return Desk(BinaryServer(load_config()).venue)

    def tape() -> object:
        from hftkit.exchange.tape import make_tape

        return make_tape(load_config(), minutes=1)

    return [("exchange simulator", server), ("exchange dialects", desk), ("exchange tape", tape)]
