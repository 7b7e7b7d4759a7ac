"""What a session needs of a venue, and how its adapter is found. The engine owns memory and phases; a venue owns its connections and its loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from hftkit.errors import ConfigError
from hftkit.instruments import Instrument
from hftkit.params.format import FrozenParams
from hftkit.session.engine_state import EngineState, Limits, SessionConfig
from live.config import EngineConfig, VenueConfig
from live.ending.decision import Left
from live.operate.flatten_report import Flattened
from live.ready_file import ReadyFile
from live.recovery.adopt import Holding

GROUP = "hftkit.venues"


class Venue(Protocol):
    """In order: `begin`, `compile`, `discover`, `limits`, `prepare`, `connect`; then `run` in the hot thread, `turn` on the engine's; at last
    `close`."""

    secrets: tuple[str, ...]  # texts that must not reach a log, once `discover` has read them

    def begin(self, session: str, folder: Path, epoch: int) -> None:
        """The session has a name, a folder and a number (the high half of its order ids)."""
        ...

    def compile(self, rooms: EngineState, shell: Any) -> None:
        """Compile the loop, or load it. `rooms`, `shell`: of any size."""
        ...

    def discover(self, frozen: Sequence[FrozenParams]) -> tuple[Instrument, ...]:
        """The instruments that can be traded, in the order of their ids. Raises VenueError."""
        ...

    def limits(self, limits: Limits, frozen: Sequence[FrozenParams]) -> Limits:
        """The configured limits, narrowed by what the venue takes. Raises ConfigError for a unit of a strategy that it does not take."""
        ...

    def logon_words(self, next_seq_in: int = 1) -> tuple[int, ...]:
        """The LOGON frame, () where the session never logs on. `next_seq_in`: more than 1 to resume the venue session of an engine that died."""
        ...

    def prepare(self, rooms: EngineState, shell: Any, page_path: Path, config: SessionConfig) -> None:
        """Memory and sockets, before anything runs. Raises VenueError."""
        ...

    def connect(self) -> None:
        """What runs beside the hot thread begins."""
        ...

    def reopen(self, shell: Any, next_seq_in: int) -> tuple[int, ...]:
        """Open a lost line anew, on the hot thread: the LOGON frame that resumes it. () where the venue keeps its connections up by itself."""
        ...

    def run(self, rooms: EngineState, strategies: np.ndarray, shell: Any, page: Any) -> int:
        """The hot loop, until it needs the interpreter: a LoopStatus."""
        ...

    def turn(self) -> None:
        """One turn of the cold side: what may change how orders leave."""
        ...

    def publish(self) -> None:
        """Its rows of the telemetry page."""
        ...

    def refresh_books(self) -> None:
        """Open the stream of books afresh, if there is one: a symbol on it has fallen silent while others have not."""
        ...

    def where(self) -> str:
        """Where it is, in words."""
        ...

    def missing(self) -> str:
        """Which connection is not there yet, '' if all are."""
        ...

    def left(self, patience_s: float, lost: tuple[str, ...]) -> tuple[Left, ...]:
        """What the venue says is open, asked once the hot loop is over, for `patience_s` at most; () where it has no such answer.

        `lost`: the symbols that the engine trades, where it has lost its session, else empty: what is held in them is closed, if that can be done.

        Orders of ours that still rest are cancelled; a dead man's switch is let go only if nothing is open.
        """
        ...

    def close(self) -> None:
        """End all connections. May be called at any moment, also before `prepare`."""
        ...

    def stray(self, event: np.void) -> None:
        """An order entry answer (EVENT record) about an order that is not of this session."""
        ...

    def settled(self) -> bool:
        """Whether nothing that earlier sessions have left is open any more. Raises VenueError where trading must not begin."""
        ...

    def result(self) -> dict[str, Any]:
        """What it adds to the session's result."""
        ...


class Address(NamedTuple):
    """Where orders go: the text as configured, and its host as a person types it."""

    text: str
    host: str


class Adapter(Protocol):
    """What a kind of venue brings, before any session runs. An entry point of the group `hftkit.venues` names one, by `venue.kind`."""

    positions_in_order: bool  # the positions of the logon come before any fill (SessionConfig)
    resumes: bool  # the venue session of an engine that died can be gone on with (`--resume`)

    def place(self, venue: VenueConfig) -> str:
        """Where its accounts are, in words: the same for whoever means the same. The addresses are final."""
        ...

    def final(self, venue: VenueConfig, ready: ReadyFile | None) -> VenueConfig:
        """The configuration with the addresses of a simulator's ready file in it. Raises ConfigError or VenueError where some are missing."""
        ...

    def addresses(self, venue: VenueConfig) -> tuple[Address, ...]:
        """All addresses that orders may go to, by `addresses.py`, which refuses what could be read in two ways."""
        ...

    def always_real(self, venue: VenueConfig) -> bool:
        """Whether every address counts as real money, whatever its host."""
        ...

    def session(
        self,
        config: EngineConfig,
        control: Callable[[Any], int],
        commands: Callable[[int], int | None],
        say: Callable[..., None],
        wait: Callable[[float], bool],
    ) -> Venue:
        """The venue of one session. `control(code)`: the operator's door, `commands(n)`: its n-th command; `say(event, **facts)`: the log."""
        ...

    def holdings(self, venue: VenueConfig, instruments: tuple[Instrument, ...]) -> dict[int, Holding]:
        """What the account holds, by instrument id, for `--adopt`. Raises VenueError, also where that cannot be."""
        ...

    def flatten(self, venue: VenueConfig, timeout_s: float, wait: Callable[[float], bool]) -> Flattened:
        """Cancel and close all that the account has, until the venue confirms it or the time is over (`hftkit flatten --config`)."""
        ...


def adapter(kind: str) -> Adapter:
    """The adapter of a kind of venue, imported now: a session of one kind pays for no other. Raises ConfigError for a kind that nobody offers."""
    offered = entry_points(group=GROUP)
    for entry in offered:
        if entry.name == kind:
            found: Adapter = entry.load()
            return found
    known = ", ".join(sorted({entry.name for entry in offered}))
    cure = f"Choose one of {known}" if known else "This installation is of an older hftkit: pip install -e . (or make setup) again"
    raise ConfigError(f"venue.kind is {kind!r}, which no adapter is installed for", cure)


def supervised(config: EngineConfig) -> bool:
    """Whether a session is to have a supervisor: it sends orders, at a venue whose sessions can be gone on with."""
    return config.recovery.supervisor and config.session.mode == "live" and adapter(config.venue.kind).resumes


def account_text(venue: VenueConfig) -> str:
    """Which account at which venue, in words: the same for whoever means the same. The addresses must be final."""
    return f"{venue.kind} {adapter(venue.kind).place(venue)} account {venue.account}"
