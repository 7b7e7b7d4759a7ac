"""What the simulator compiles for `hftkit warmup`: the whole venue behind its sockets, and the opening of its books."""

from __future__ import annotations

from hftkit.exchange.config import load_config
from hftkit.exchange.servers.binary import BinaryServer
from hftkit.warmup import Task


def warm() -> list[Task]:
    """The simulator's part of `hftkit warmup`: making a server compiles what it runs; no port is opened."""
    return [("exchange simulator", lambda: BinaryServer(load_config()))]
