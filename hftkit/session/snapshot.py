"""Snapshots: the whole state of an engine as records of its journal, so that a replay or a restart need not begin at the beginning.

One is written where the journal goes on in another segment (CHECK: a replay makes the same one and compares it word by word), and at the beginning of
a session that continues another one (GIVEN: the state that it was given). What an array holds beyond what is used, old levels of a book, is set
to zero first, in the session and in its replay alike: so a snapshot is small and the state that comes back is the same bit for bit.

It travels in parts, records of PART_WORDS at most, one right behind the other. A part: number of the snapshot, index of the part, number of parts,
then its words. The words of all parts: a header (H_*), after a reload the configuration as it then is, then each
array: name (4 words), type, dimensions, shape, how many words follow, those.

A snapshot whose checksum fits may still have been made by anybody, and kernels have no bounds checks. So what comes back is checked before it is
used (CHECKS): every index, count and code; what the configuration says must be what it says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np

from hftkit import layout
from hftkit.codes import LegState, OrderState, Reject, Sync, Trading
from hftkit.errors import HftkitError, JournalError
from hftkit.params.ranges import MOST_LOTS
from hftkit.reading import printable
from hftkit.session.engine_state import EngineState, SessionConfig, state_digest
from hftkit.session.journal import bytes_of, words_of
from hftkit.strategies import strategy

FORMAT, FORMAT_RELOADED = 1, 2  # the second one has the configuration behind its header: frozen files or limits were changed (session/reload.py)
PART_WORDS = 3_584  # payload of a part: a record stays below what a reader looks over for a torn tail (journal.MAX_RECORD_WORDS)
MOST_WORDS = 1 << 24
H_FORMAT, H_KIND, H_EPOCH, H_ACCOUNT, H_ARRAYS, H_DIGEST = range(6)  # H_DIGEST: 4 words
HEADER_WORDS = H_DIGEST + 4
P_NUMBER, P_INDEX, P_PARTS = range(3)
PART_HEADER_WORDS = 3
_NAME_BYTES = 32

SCRATCH = ("event", "want", "allowed", "touched", "order_out", "data_out", "out_end")  # of one step, or of the socket
# As the configuration makes them; what a reload changes in them is in the configuration that a snapshot has after one
CONSTANT = ("instruments", "rules", "limit", "valid_until", "units", "params", "watch", "watcher_start", "watchers")
_AGAIN = "Replay from the beginning of the journal"


class Kind(IntEnum):
    """What a snapshot is for."""

    CHECK = 0  # at a segment boundary
    GIVEN = 1  # what a session that continues another one began with


def arrays_of(rooms: EngineState) -> dict[str, np.ndarray]:
    """The arrays that a snapshot holds: all that the step remembers from one event to the next."""
    left_out = (*SCRATCH, *CONSTANT)
    return {
        name: array
        for name, array in zip(rooms._fields, rooms, strict=True)
        if not (name in left_out or name.endswith("_words") or name.startswith("tried_"))
    }


def tidy(rooms: EngineState) -> None:
    """Set what no book uses of its levels to zero: it means nothing, and would have to be kept."""
    for i in range(rooms.book.size):
        for side, name in enumerate(("n_bid", "n_ask")):
            rooms.levels[i, side, int(rooms.book[name][i]) :] = 0


@cache
def _type_word(dtype: np.dtype) -> int:
    """A number for a type and its fields: another version of hftkit, with other fields, has another one."""
    text = repr(dtype.descr if dtype.names else dtype.str)
    return int(np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], np.int64)[0])


def _stored(name: str, array: np.ndarray, rooms: EngineState) -> np.ndarray:
    """The words of an array that are kept: used levels only; of others all but the zeros at the end."""
    if name == "levels":
        used = [
            rooms.levels[i, side, : int(rooms.book[count][i])].reshape(-1)
            for i in range(rooms.book.size)
            for side, count in enumerate(("n_bid", "n_ask"))
        ]
        return np.concatenate(used) if used else np.zeros(0, np.int64)
    data = np.ascontiguousarray(array).tobytes()
    words = np.frombuffer(data.ljust(-(-len(data) // 8) * 8, b"\0"), np.int64)
    used_words = np.flatnonzero(words)
    return words[: int(used_words[-1]) + 1] if used_words.size else words[:0]


def snapshot_words(rooms: EngineState, kind: Kind, reloaded: SessionConfig | None = None) -> np.ndarray:
    """The words of a snapshot of `rooms`, which are tidied first. `reloaded`: the configuration, where it is not the one the journal begins with."""
    tidy(rooms)
    arrays = arrays_of(rooms)
    session = rooms.session[0]
    head = np.zeros(HEADER_WORDS, np.int64)
    head[[H_FORMAT, H_KIND, H_EPOCH, H_ACCOUNT, H_ARRAYS]] = FORMAT, int(kind), int(session["epoch"]), int(session["account"]), len(arrays)
    head[H_DIGEST:] = np.frombuffer(state_digest(rooms), np.int64)
    pieces = [head]
    if reloaded is not None:
        head[H_FORMAT] = FORMAT_RELOADED
        pieces.append(words_of(reloaded.to_bytes()))
    for name, array in arrays.items():
        words = _stored(name, array, rooms)
        label = np.frombuffer(name.encode().ljust(_NAME_BYTES, b"\0"), np.int64)
        pieces += [label, np.array([_type_word(array.dtype), array.ndim, *array.shape, words.size], np.int64), words]
    return np.concatenate(pieces)


def parts_of(words: np.ndarray, number: int) -> list[np.ndarray]:
    """The payloads of the records that hold a snapshot. `number`: of the snapshot in its journal, from 1; 0 for the one a session was given."""
    room = PART_WORDS - PART_HEADER_WORDS
    n = max(-(-words.size // room), 1)
    return [np.concatenate([np.array([number, i, n], np.int64), words[i * room : (i + 1) * room]]) for i in range(n)]


class Collector:
    """Puts the parts of snapshots together as a reader meets them. `open`: one has begun and is not whole yet."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []
        self.number = -1

    @property
    def open(self) -> bool:
        """Whether parts are missing."""
        return bool(self._parts)

    def take(self, payload: np.ndarray) -> np.ndarray | None:
        """The words of the snapshot that this part makes whole, None if others are missing. Raises JournalError for one that cannot be the next."""
        if payload.size < PART_HEADER_WORDS:
            raise JournalError("a part of a snapshot is too short", "The journal was altered: replay the untouched copy")
        number, index, parts = (int(word) for word in payload[:PART_HEADER_WORDS])
        follows = index == len(self._parts) and (index == 0 or number == self.number)
        if not follows or not 0 <= index < parts or parts * PART_WORDS > MOST_WORDS or not 0 <= number < 2**31:
            raise JournalError(f"part {index} of snapshot {number} stands where it cannot", "The journal was altered: replay the untouched copy")
        self.number = number
        self._parts.append(payload[PART_HEADER_WORDS:])
        if len(self._parts) < parts:
            return None
        words = np.concatenate(self._parts)
        self._parts = []
        return words


def _altered(why: str) -> JournalError:
    return JournalError(f"the snapshot cannot be used: {why}", _AGAIN)


def kind_of(words: np.ndarray) -> Kind:
    """What a snapshot is for. Raises JournalError where it is none of this format."""
    if words.size < HEADER_WORDS:
        raise _altered("it is cut")
    if words[H_FORMAT] not in (FORMAT, FORMAT_RELOADED):
        raise _altered(f"it has format {words[H_FORMAT]}, this hftkit reads {FORMAT}")
    if words[H_KIND] not in tuple(Kind):
        raise _altered(f"its kind {words[H_KIND]} does not exist")
    return Kind(int(words[H_KIND]))


def digest_in(words: np.ndarray) -> bytes:
    """The state digest that a snapshot says it has."""
    return words[H_DIGEST:HEADER_WORDS].tobytes()


def reloaded_in(words: np.ndarray) -> tuple[SessionConfig | None, np.ndarray]:
    """The configuration that a snapshot has of its own, None for the journal's, and the words without it. Raises JournalError."""
    kind_of(words)
    if words[H_FORMAT] == FORMAT:
        return None, words
    size = int(words[HEADER_WORDS]) if words.size > HEADER_WORDS else -1
    end = HEADER_WORDS + 1 - (-size // 8)
    if not 0 <= size <= (words.size - HEADER_WORDS - 1) * 8:
        raise _altered("its configuration is cut")
    try:
        config = SessionConfig.from_bytes(bytes_of(words[HEADER_WORDS:end]))
    except HftkitError as error:
        raise _altered(error.problem) from None
    plain = np.concatenate([words[:HEADER_WORDS], words[end:]])
    plain[H_FORMAT] = FORMAT
    return config, plain


def restore(words: np.ndarray, rooms: EngineState, config: SessionConfig) -> EngineState:
    """Put the state of a snapshot (as `reloaded_in` gives it) into `rooms`, which `config` has made. Returns them, with its LOGON
    frame.

    Raises JournalError, with `rooms` unusable, where it is of another format, version, session or account, is cut, or holds what no engine writes.
    """
    kind_of(words)
    if words[H_FORMAT] != FORMAT:
        raise _altered(f"it has format {words[H_FORMAT]}, this hftkit reads {FORMAT}")
    if (int(words[H_EPOCH]), int(words[H_ACCOUNT])) != (config.epoch, config.account):
        raise _altered(
            f"it is of session {words[H_EPOCH]:08x}, account {words[H_ACCOUNT]}, the journal of {config.epoch:08x}, account {config.account}"
        )
    built = {name: array.copy() for name, array in arrays_of(rooms).items()}
    levels, logon = _fill(words, rooms)
    for name, check in CHECKS.items():
        problem = check(rooms, built, config)
        if problem:
            raise _altered(f"{name}: {problem}")
    _fill_levels(levels, rooms)
    if state_digest(rooms) != digest_in(words):
        raise _altered("its state does not have the digest that it names")
    return rooms._replace(logon=logon)


def _fill(words: np.ndarray, rooms: EngineState) -> tuple[np.ndarray, np.ndarray]:
    """All arrays but the levels and the LOGON frame, whose words are returned."""
    arrays = arrays_of(rooms)
    if words[H_ARRAYS] != len(arrays):
        raise _altered(f"it has {words[H_ARRAYS]} arrays, this version of hftkit {len(arrays)}")
    at, levels, logon = HEADER_WORDS, words[:0], words[:0]
    for name, array in arrays.items():
        head = at + _NAME_BYTES // 8
        found = words[at:head].tobytes().rstrip(b"\0")
        if found != name.encode():
            raise _altered(f"it has an array {printable(repr(found[:_NAME_BYTES]))} where this version of hftkit has {name!r}")
        shape = np.array([_type_word(array.dtype), array.ndim, *array.shape], np.int64)
        if name == "logon" and head + 2 < words.size:
            array = np.zeros(min(max(int(words[head + 2]), 0), layout.MAX_FRAME_WORDS), np.int64)  # of another length each time
            shape[2] = array.size
        if not np.array_equal(words[head : head + shape.size], shape):
            raise _altered(f"its array {name!r} has another type or shape than this version of hftkit, or this configuration, gives it")
        at = head + shape.size + 1
        n = int(words[at - 1]) if at <= words.size else -1
        if not 0 <= n <= -(-array.nbytes // 8) or at + n > words.size:
            raise _altered(f"its array {name!r} is cut")
        if name == "levels":
            levels = words[at : at + n]
        else:
            data = np.frombuffer(words[at : at + n].tobytes().ljust(-(-array.nbytes // 8) * 8, b"\0")[: array.nbytes], array.dtype)
            array[...] = data.reshape(array.shape)
        logon = array if name == "logon" else logon
        at += n
    if at != words.size:
        raise _altered("there is more in it than its arrays")
    return levels, logon


def _fill_levels(levels: np.ndarray, rooms: EngineState) -> None:
    counts = [(i, side, int(rooms.book[name][i])) for i in range(rooms.book.size) for side, name in enumerate(("n_bid", "n_ask"))]
    if levels.size != 2 * sum(n for _, _, n in counts):
        raise _altered("its levels are not those that its books count")
    rooms.levels[...] = 0
    at = 0
    for i, side, n in counts:
        rooms.levels[i, side, :n] = levels[at : at + 2 * n].reshape(n, 2)
        at += 2 * n


# -- what an engine can have written ----------------------------------------------------------------------------------

Check = Callable[[EngineState, dict[str, np.ndarray], SessionConfig], str]


def _within(column: np.ndarray, low: int, high: int) -> bool:
    """Whether every value of an int64 column is in low .. high."""
    return bool(((column >= low) & (column <= high)).all())


def _same(rooms: np.ndarray, built: np.ndarray, names: tuple[str, ...]) -> str:
    changed = [name for name in names if not np.array_equal(rooms[name], built[name])]
    return f"{changed[0]} is not what the configuration says" if changed else ""


# What of a record is configuration: so many of its first fields, and some more
_SETTINGS = (
    ("risk", layout.RISK, 7, ("max_drawdown_e8",)),
    ("legs", layout.LEGS, 10, ()),
    ("quotes", layout.QUOTES, 6, ()),
    ("baskets", layout.BASKET, 4, ()),
    ("basket_legs", layout.BASKET_LEG, 2, ()),
    ("slots", layout.SLOT, 8, ()),
)
_UNITS = (("legs", "unit_lead"), ("legs", "unit_hedge"), ("basket_legs", "unit"))  # what is held keeps the unit that it was entered with
SETTINGS = {name: (*(one.name for one in record.fields[:n] if (name, one.name) not in _UNITS), *more) for name, record, n, more in _SETTINGS}


def _check_book(rooms: EngineState, built: dict[str, np.ndarray], config: SessionConfig) -> str:
    book = rooms.book
    if not (_within(book["n_bid"], 0, layout.BOOK_DEPTH) and _within(book["n_ask"], 0, layout.BOOK_DEPTH)):
        return "a book has an impossible number of levels"
    if not np.isin(book["sync"], [int(one) for one in Sync]).all():
        return "a book is in a state that does not exist"
    return _same(book, built["book"], ("max_age_ns", "max_behind_ns"))


def _check_legs(rooms: EngineState, built: dict[str, np.ndarray], config: SessionConfig) -> str:
    legs = rooms.legs
    if not np.isin(legs["state"], [int(one) for one in LegState]).all():
        return "a pair is in a state that does not exist"
    if ((legs["hedge"] >= 0) & (legs["unit_hedge"] == 0)).any():
        return "a pair has no hedge lots"
    traded = legs["lead"] >= 0
    if not (_within(legs["unit_lead"][traded], 1, MOST_LOTS) and _within(legs["unit_hedge"], -MOST_LOTS, MOST_LOTS)):
        return "a pair has an impossible unit"
    return _same(legs, built["legs"], SETTINGS["legs"])


def _check_quotes(rooms: EngineState, built: dict[str, np.ndarray], config: SessionConfig) -> str:
    return _same(rooms.quotes, built["quotes"], SETTINGS["quotes"])


def _check_baskets(rooms: EngineState, built: dict[str, np.ndarray], config: SessionConfig) -> str:
    if not np.isin(rooms.baskets["state"], [int(one) for one in LegState]).all():
        return "a basket is in a state that does not exist"
    return _same(rooms.baskets, built["baskets"], SETTINGS["baskets"])


def _check_basket_legs(rooms: EngineState, built: dict[str, np.ndarray], config: SessionConfig) -> str:
    unit = rooms.basket_legs["unit"]
    if not (_within(unit, -MOST_LOTS, MOST_LOTS) and np.array_equal(unit == 0, built["basket_legs"]["unit"] == 0)):
        return "a basket has an impossible unit"
    return _same(rooms.basket_legs, built["basket_legs"], SETTINGS["basket_legs"])


def _check_slots(rooms: EngineState, built: dict[str, np.ndarray], config: SessionConfig) -> str:
    slots = rooms.slots
    if not (np.isin(slots["trading"], [int(one) for one in Trading]).all() and np.isin(slots["reason"], [int(one) for one in Reject]).all()):
        return "a strategy is in a state that does not exist"
    return _same(slots, built["slots"], SETTINGS["slots"])


def _check_orders(rooms: EngineState, built: dict[str, np.ndarray], config: SessionConfig) -> str:
    orders, session = rooms.orders, rooms.session[0]
    number = orders["client_order_id"]
    taken = number != 0
    used = orders[taken]
    if not np.array_equal((number[taken] & 0xFFFFFFFF) % orders.size, np.flatnonzero(taken)) or (number < 0).any():
        return "an order is not in its slot"
    fits = (
        _within(used["strategy"], 0, rooms.legs.size - 1)
        and _within(used["leg"], 0, rooms.watch.shape[1] - 1)
        and _within(used["side"], 0, 1)
        and _within(used["instrument"], 0, rooms.book.size - 1)
        and np.isin(orders["state"], [int(one) for one in OrderState]).all()
        and (used["qty"] > 0).all()
        and ((used["filled_qty"] >= 0) & (used["filled_qty"] <= used["qty"])).all()
        and (orders["state"][~taken] == 0).all()
    )
    if not fits:
        return "an order holds what no order can"
    first, following = int(session["first_open"]), int(session["next_order"])
    return "" if 1 <= first <= following < 2**32 and following - first <= orders.size else "its counters cannot be"


def _check_session(rooms: EngineState, built: dict[str, np.ndarray], config: SessionConfig) -> str:
    names = ("epoch", "account", "heartbeat_ns", "cancel_on_disconnect", "channels", "order_timeout_ns")
    return _same(rooms.session, built["session"], names)


def _check_risk(rooms: EngineState, built: dict[str, np.ndarray], config: SessionConfig) -> str:
    row = rooms.risk[0]
    if int(row["trading"]) not in set(Trading) or int(row["halt_reason"]) not in set(Reject):
        return "it is in a state that does not exist"
    return _same(rooms.risk, built["risk"], SETTINGS["risk"])


def _check_refused(rooms: EngineState, built: dict[str, np.ndarray], config: SessionConfig) -> str:
    return "" if _within(rooms.refused, 0, 2**31) else "a count is impossible"


def _check_state(rooms: EngineState, built: dict[str, np.ndarray], config: SessionConfig) -> str:
    for slot, frozen in enumerate(config.strategies):
        objection: Any = strategy(frozen.strategy).state_objection(frozen, rooms.state[slot])
        if objection:
            return f"{frozen.name[:64]}: {objection}"
    return ""


def _anything(rooms: EngineState, built: dict[str, np.ndarray], config: SessionConfig) -> str:
    """Numbers that are counted and compared, never used to find something."""
    return ""


CHECKS: dict[str, Check] = {
    "book": _check_book,
    "levels": _anything,  # as many as the books count: _fill_levels
    "signal": _anything,
    "legs": _check_legs,
    "quotes": _check_quotes,
    "baskets": _check_baskets,
    "basket_legs": _check_basket_legs,
    "orders": _check_orders,
    "open_qty": _anything,
    "ledger": _anything,
    "external": _anything,
    "refused": _check_refused,
    "risk": _check_risk,
    "slots": _check_slots,
    "held": _anything,
    "open_held": _anything,
    "session": _check_session,
    "state": _check_state,
    "logon": _anything,  # at most MAX_FRAME_WORDS: _fill
}
