"""Who wrote what: the rule that each array of the engine has one writer, executed.

hftkit/layout.py says which file writes each record, docs/architecture.md shows it. Here a session runs through the step in plain Python: the kernels'
own text, called one by one, over arrays that note every write. So each write has a name: the array, the field, the file whose function wrote it, and
the way that led there (`sense > _sense_order_entry > ...`). What a file writes that is not its own is a breach, unless `EXCEPTIONS` has it with a
reason. Outputs and state are those of the compiled step, so a replay that is checked this way still proves itself against its journal.

What cannot run as plain Python (strategies, which are their authors' own, and the kernels of memory/ and stats/) runs compiled, between two copies of
the arrays that it is given: what differs afterwards it has written.

Some thousand events a second: for tests, and for `hftkit replay JOURNAL --check-writers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from hftkit import layout
from hftkit.codes import EventKind, Hook
from hftkit.kernels import due, step
from hftkit.kernels import replay as replay_kernel
from hftkit.session.engine_state import EngineState

STRATEGY = "strategies/*.py"  # whatever file the strategy is in: one of ours, or of a package of somebody's
_AS_COMPILED = ("hftkit.kernels.memory.", "hftkit.kernels.stats.")
_BOOK, _ENCODE, _LEGS = "kernels/market/book.py", "kernels/wire/encode.py", "kernels/execution/pair.py"
_STEP, _RESTING, _DUE = "kernels/step.py", "kernels/execution/resting.py", "kernels/due.py"
_REPLAY, _VALIDITY = "kernels/replay.py", "kernels/trading/validity.py"
_ATTRIBUTION, _POLICIES = "kernels/trading/attribution.py", "kernels/execution/policies.py"
_COUNTS = ("n_signals", "n_orders", "n_fills", "n_rejects", "n_vetoes")

# The file that writes each array of EngineState; "": nobody does once the engine is built. Of records it is layout's `writer`.
OWNERS: dict[str, str] = {
    "event": layout.EVENT.writer,
    "book": layout.BOOK.writer,
    "levels": _BOOK,
    "signal": STRATEGY,
    "legs": layout.LEGS.writer,
    "quotes": layout.QUOTES.writer,
    "baskets": layout.BASKET.writer,
    "basket_legs": layout.BASKET_LEG.writer,
    "want": layout.WANT.writer,
    "allowed": layout.ALLOWED.writer,
    "orders": layout.ORDER.writer,
    "open_qty": layout.OPEN.writer,
    "ledger": layout.LEDGER.writer,
    "external": layout.EXTERNAL.writer,
    "refused": _LEGS,
    "risk": layout.RISK.writer,
    "slots": layout.SLOT.writer,
    "held": layout.LEDGER.writer,
    "open_held": _ATTRIBUTION,
    "touched": _STEP,
    "session": layout.SESSION.writer,
    "state": STRATEGY,
    "order_out": _ENCODE,
    "data_out": _ENCODE,
    "out_end": _STEP,
    "tried_legs": _LEGS,
    "tried_quotes": layout.QUOTES.writer,
    "tried_baskets": layout.BASKET.writer,
    "tried_words": _DUE,
    "tried_want": _LEGS,
    **dict.fromkeys(("instruments", "rules", "limit", "valid_until", "units", "params", "logon", "signal_words", "allowed_words", "legs_words"), ""),
    **dict.fromkeys(("watch", "watcher_start", "watchers", "tried_basket_legs"), ""),
}


@dataclass(frozen=True)
class Permission:
    """Fields of an array that a file may write although another one owns the array."""

    array: str
    fields: tuple[str, ...]  # ("",) of an array of plain numbers
    writer: str
    why: str


_WANT_FIELDS = tuple(one.name for one in layout.WANT.fields)
EXCEPTIONS: tuple[Permission, ...] = (
    Permission("allowed", ("action", "reason"), _STEP, "an order that risk has passed finds the order table full"),
    Permission("allowed", ("client_order_id",), _STEP, "the id that the order table has given it goes out with it"),
    Permission("event", ("code",), _REPLAY, "a timer, a command or a lost connection is no frame: whoever runs the step makes its event"),
    Permission("ledger", ("venue_position",), _STEP, "what the venue last said, beside what we count; no money moves"),
    Permission("legs", ("n_pulls", "queue_ahead"), _RESTING, "the resting lead order of a pair: what stands before it, how often it was pulled"),
    Permission("order_out", ("",), _STEP, "the LOGON frame, ready made in `logon`, is copied"),
    Permission("orders", ("ts_query",), _STEP, "an order is asked for in the step that encodes the query"),
    Permission("out_end", ("",), _REPLAY, "whoever has taken the frames empties the buffers"),
    Permission("refused", ("",), _STEP, "an order that was not refused ends the row of refusals"),
    Permission("risk", ("trading",), _STEP, "the operator's commands, and PAUSED once a flattening is done"),
    Permission("session", ("next_order",), "kernels/trading/orders.py", "an id is used up as the order is entered"),
    Permission("slots", _COUNTS, _STEP, "what the step has done for a strategy is counted where it is done"),
    Permission("signal", ("reason", "target"), _VALIDITY, "an expired frozen file wants nothing new, whatever its strategy says"),
    Permission("want", _WANT_FIELDS, layout.QUOTES.writer, "a quote is a want like any other"),
    Permission("tried_want", _WANT_FIELDS, layout.QUOTES.writer, "likewise"),
    Permission("basket_legs", ("order", "retry_at"), _POLICIES, "the order that a leg works on, and when it is tried again"),
    Permission("refused", ("",), _POLICIES, "refusals of quotes and baskets are counted where they are told apart"),
    Permission("want", _WANT_FIELDS, _RESTING, "the cancel of a resting order is a want like any other"),
    Permission("tried_want", _WANT_FIELDS, _RESTING, "likewise, where it is only tried whether a timer is due"),
    Permission("tried_legs", ("n_pulls",), _RESTING, "likewise"),
)


@dataclass
class Breach:
    """A write by a file that does not own the array."""

    array: str
    field: str
    writer: str
    way: str  # functions, the outermost first
    event: str
    count: int = 1

    def __str__(self) -> str:
        what = f"{self.array}.{self.field}" if self.field else self.array
        owner = OWNERS[self.array] or "nobody"
        return f"{self.writer} writes {what}, which {owner} owns: {self.way}, at {self.event} ({self.count} times)"


def _file_of(module: str) -> str:
    return module.removeprefix("hftkit.").replace(".", "/") + ".py"


def _in_64_bits(value: Any) -> Any:
    """A Python integer as a kernel would hold it: what is beyond 64 bits is gone."""
    return (value + 2**63) % 2**64 - 2**63 if isinstance(value, int) and not -(2**63) <= value < 2**63 else value


class _Words:
    """An array of plain numbers that notes its writes, or a part of one."""

    __slots__ = ("array", "name", "watch")

    def __init__(self, array: np.ndarray, name: str, watch: WriterWatch) -> None:
        self.array, self.name, self.watch = array, name, watch

    @property
    def size(self) -> int:
        return self.array.size

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def __getitem__(self, index: Any) -> Any:
        value = self.array[index]
        return _Words(value, self.name, self.watch) if isinstance(value, np.ndarray) else value.item()

    def __setitem__(self, index: Any, value: Any) -> None:
        self.watch.wrote(self.name, "")
        self.array[index] = _in_64_bits(value)


class _Row:
    """One record that notes its writes: `row.field`, as in a kernel."""

    __slots__ = ("_of", "_row")

    def __init__(self, row: np.void, of: _Records) -> None:
        object.__setattr__(self, "_row", row)
        object.__setattr__(self, "_of", of)

    def __getattr__(self, name: str) -> Any:
        return self._row[name].item()

    def __setattr__(self, name: str, value: Any) -> None:
        self._of.watch.wrote(self._of.name, name)
        self._row[name] = _in_64_bits(value)


class _Records:
    """A structured array that notes its writes."""

    __slots__ = ("_rows", "array", "name", "size", "watch")

    def __init__(self, array: np.ndarray, name: str, watch: WriterWatch) -> None:
        self.array, self.name, self.watch, self.size = array, name, watch, array.size
        self._rows: dict[int, _Row] = {}

    def __getitem__(self, index: int) -> _Row:
        found = self._rows.get(index)
        if found is None:
            found = self._rows[index] = _Row(self.array[index], self)
        return found

    def __setitem__(self, index: int, value: _Row) -> None:
        for name in self.array.dtype.names or ():
            self.watch.wrote(self.name, name)
        self.array[index] = value._row


@dataclass
class WriterWatch:
    """An engine whose writes are watched. `rooms`: as `build_engine_state` made them; they are changed as the compiled step would.

    Parameters
    ----------
    rooms : EngineState
        The engine's arrays.
    strategies : list of the hooks of each strategy
        As of `hooks_of`; they run compiled.

    Notes
    -----
    `breaches` holds what was written by a file that does not own it; `written` every (array, field, file) that was seen, exceptions among them.
    """

    rooms: EngineState
    strategies: Sequence[Mapping[Hook, Any]]
    breaches: dict[tuple[str, str, str], Breach] = field(default_factory=dict)
    written: set[tuple[str, str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._way: list[tuple[str, str]] = []
        self._modules: dict[str, dict[str, Any]] = {}
        self._watched: Any = EngineState._make(
            (_Records if array.dtype.names else _Words)(array, name, self) for name, array in zip(self.rooms._fields, self.rooms, strict=True)
        )
        self._hooks: list[Callable[..., Any]] = []
        self._asked = np.zeros((len(self.strategies), len(Hook)), np.int64)  # instead of addresses: numbers of `_hooks`, from 1
        for slot, hooks in enumerate(self.strategies):
            for hook, one in hooks.items():
                self._hooks.append(self._as_compiled(one, STRATEGY, hook.name.lower()))
                self._asked[slot, hook] = len(self._hooks)
        self._allowed = {(one.array, name, one.writer) for one in EXCEPTIONS for name in one.fields}

    def replace(self, rooms: EngineState) -> None:
        """Some arrays are new ones: the LOGON frame of the next connection, or what a reload has changed."""
        for name, old, new in zip(rooms._fields, self.rooms, rooms, strict=True):
            if old is not new:
                self._watched = self._watched._replace(**{name: (_Records if new.dtype.names else _Words)(new, name, self)})
        self.rooms = rooms

    # -- what a caller does with it ----------------------------------------------------------------------------------
    def take_frame(self, words: np.ndarray, position: int, verdict: int, is_order_entry: bool, t1: int) -> bool:
        """`take_frame` of kernels/step.py, watched."""
        return bool(self._run(step.take_frame, self._watched, words, position, verdict, is_order_entry, t1))

    def step(self) -> int:
        """`step` of kernels/step.py for the event in `rooms.event`, watched."""
        return int(self._run(step.step, self._watched, self._asked))

    def timer_due(self, now: int) -> bool:
        """`timer_due` of kernels/due.py, watched."""
        return bool(self._run(due.timer_due, self._watched, now))

    def replay_segment(self, words: np.ndarray, cursor: np.ndarray, samples: np.ndarray, fills: np.ndarray, every_ns: int) -> int:
        """`replay_segment` of kernels/replay.py, watched."""
        return int(self._run(replay_kernel.replay_segment, self._watched, self._asked, words, cursor, samples, fills, every_ns))

    def report(self) -> tuple[str, ...]:
        """A line for each breach."""
        return tuple(str(one) for one in self.breaches.values())

    # -- how it sees -------------------------------------------------------------------------------------------------
    def wrote(self, array: str, name: str) -> None:
        """The function that runs now writes a field of an array ("" where it has none)."""
        writer = self._way[-1][0]
        key = (array, name, writer)
        self.written.add(key)
        if writer == OWNERS[array] or key in self._allowed:
            return
        if key in self.breaches:
            self.breaches[key].count += 1
            return
        kind = int(self.rooms.event[0]["kind"])
        way = " > ".join(function for _, function in self._way)
        self.breaches[key] = Breach(array, name, writer, way, f"an event {EventKind(kind).name if kind in set(EventKind) else kind}")

    def _run(self, kernel: Any, *arguments: Any) -> Any:
        with np.errstate(all="ignore"):  # as in a kernel: a division by zero is no error
            return self._plain(kernel)(*arguments)

    def _plain(self, kernel: Any) -> Callable[..., Any]:
        """A kernel as a Python function whose own calls are watched too."""
        function = kernel.py_func
        file, name = _file_of(function.__module__), function.__name__
        if function.__module__.startswith(_AS_COMPILED):
            return self._as_compiled(kernel, file, name)
        plain = FunctionType(function.__code__, self._names_of(function), name, function.__defaults__)

        def run(*arguments: Any) -> Any:
            self._way.append((file, name))
            try:
                return plain(*arguments)
            finally:
                self._way.pop()

        return run

    def _names_of(self, function: Any) -> dict[str, Any]:
        """The global names of a kernel's module, each kernel among them as `_plain` makes it."""
        names = self._modules.get(function.__module__)
        if names is None:
            names = self._modules[function.__module__] = dict(function.__globals__)
            if "call_hook" in names:
                names["call_hook"] = lambda number, *arguments: self._hooks[number - 1](*arguments)
            for key, value in list(names.items()):
                if isinstance(value, Dispatcher):
                    names[key] = self._plain(value)
        return names

    def _as_compiled(self, kernel: Any, file: str, name: str) -> Callable[..., Any]:
        """A kernel that runs as it is, between two copies of the watched arrays that it is given."""

        def run(*arguments: Any) -> Any:
            watched = [one for one in arguments if isinstance(one, _Words | _Records)]
            before = [one.array.copy() for one in watched]
            result = kernel(*(one.array if isinstance(one, _Words | _Records) else one for one in arguments))
            self._way.append((file, name))
            for one, old in zip(watched, before, strict=True):
                for changed in _changed(old, one.array):
                    self.wrote(one.name, changed)
            self._way.pop()
            return result

        return run


def _changed(old: np.ndarray, new: np.ndarray) -> list[str]:
    """The fields whose bytes differ, [""] for an array without fields."""
    if old.tobytes() == new.tobytes():
        return []
    return [name for name in old.dtype.names if old[name].tobytes() != new[name].tobytes()] if old.dtype.names else [""]
