"""`venue.kind = "gate"`: what hftkit asks of a venue that it does not know (live/venue.py), in one file.

A bridge of two loopback ports stands between the engine and the venue. What is particular to the venue happens there: here a greeting, elsewhere a
translation. The engine speaks its own frames to the bridge.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from hftkit import ConfigError, VenueError
from hftkit.instruments import Instrument
from live.addresses import host_of
from live.config import EngineConfig, VenueConfig
from live.operate.flatten_report import Flattened
from live.ready_file import ReadyFile
from live.recovery.adopt import Holding
from live.venue import Address, Venue
from live.venues.binary.flatten import flatten_binary
from live.venues.binary.venue import BinaryVenue


class GateOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Table [venue.options]: where the gate is, and its word."""

    host: str
    port: int
    word: str


class GateAdapter:
    """See `Adapter` in live/venue.py."""

    positions_in_order = True
    resumes = False

    def place(self, venue: VenueConfig) -> str:
        return f"gate {options(venue).host}:{options(venue).port}"

    def final(self, venue: VenueConfig, ready: ReadyFile | None) -> VenueConfig:
        if ready is not None:
            raise ConfigError("a gate has no ready file", "Set host, port and word in [venue.options]")
        return venue

    def addresses(self, venue: VenueConfig) -> tuple[Address, ...]:
        gate = options(venue)
        return (Address(f"{gate.host}:{gate.port}", host_of(gate.host, "venue.options.host")),)

    def always_real(self, venue: VenueConfig) -> bool:
        return False

    def session(
        self,
        config: EngineConfig,
        control: Callable[[Any], int],
        commands: Callable[[int], int | None],
        say: Callable[..., None],
        wait: Callable[[float], bool],
    ) -> Venue:
        return BinaryVenue(msgspec.structs.replace(config, venue=bridged(config.venue)), control, say, wait)

    def holdings(self, venue: VenueConfig, instruments: tuple[Instrument, ...]) -> dict[int, Holding]:
        raise VenueError("a gate tells no positions", "Start flat")

    def flatten(self, venue: VenueConfig, timeout_s: float, wait: Callable[[float], bool]) -> Flattened:
        return flatten_binary(bridged(venue), timeout_s)


def options(venue: VenueConfig) -> GateOptions:
    """The adapter's own section, checked."""
    try:
        return msgspec.convert(venue.options, GateOptions)
    except msgspec.ValidationError as error:
        raise ConfigError(f"[venue.options]: {error}", "A gate has host, port and word") from None


def bridged(venue: VenueConfig) -> VenueConfig:
    """The same venue as the engine meets it: two ports of this machine."""
    gate = options(venue)
    ports = {f"{name}_port": _listen(gate, name) for name in ("order", "market")}
    return msgspec.structs.replace(venue, kind="binary", host="127.0.0.1", **ports)


def _listen(gate: GateOptions, name: str) -> int:
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(listener, gate, name), daemon=True).start()
    return int(listener.getsockname()[1])


def _serve(listener: socket.socket, gate: GateOptions, name: str) -> None:
    with listener:
        while True:
            near, _ = listener.accept()
            try:
                far = socket.create_connection((gate.host, gate.port), timeout=5.0)
                far.sendall(f"{gate.word} {name}\n".encode())
                if far.recv(1) != b"+":
                    raise VenueError("the gate does not know this word")
            except (OSError, VenueError):
                near.close()  # the engine sees a refused connection
                continue
            far.settimeout(None)
            relay(near, far)


def relay(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways, until either end closes."""
    for source, target in ((one, other), (other, one)):
        source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_carry, args=(source, target), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


ADAPTER = GateAdapter()
