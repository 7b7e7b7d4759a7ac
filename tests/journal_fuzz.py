"""A fuzzer of journals whose checksums fit: a small session is recorded, changed in one of many ways, sealed again and read by every reader.

    python -m tests.journal_fuzz SEED COUNT FOLDER

Prints how many variants were refused, how many differed and how many replayed as they are. A reader that raises anything but HftkitError ends it
with the variant's number; a crash of the interpreter or a hang is for the caller to see.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba.np import numpy_support

from hftkit.codes import Control, EventKind, MessageType, RecordType
from hftkit.errors import HftkitError
from hftkit.kernels.wire.decode import clear_event
from hftkit.session.engine_state import Limits, state_digest
from hftkit.session.journal import JournalReader, JournalWriter, bytes_of, words_of
from hftkit.session.reload import Change, Replacement, carry_out
from hftkit.session.snapshot import PART_HEADER_WORDS, Kind, parts_of, snapshot_words
from tests.support import NOBODY, Machine, frame, frozen_pair

SEGMENT = 1 << 16
LONGEST_S = 20  # for one variant
Row = tuple[int, int, np.ndarray]  # type, time, payload
EXTREMES = (0, 1, -1, 2, 7, 8, 255, 2**15, 2**16, 2**31, 2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1, -(2**63), -(2**31), 0x4141414141414141)


_RECORDS = {
    EventKind.TIMER: RecordType.TIMER_IN,
    EventKind.CONTROL: RecordType.CONTROL_IN,
    EventKind.DISCONNECT: RecordType.DISCONNECT_IN,
}
_WORDS = (None, True, "", "x" * 300, "\0", "nan", "../..", "1e999", "__init__", "sys", 1.5, [], {}, [[]])
_NUMBERS = (-1, 0, 2**31, 2**63, 2**64, 10**11, 10**400)


class Tape(Machine):
    """A machine that keeps what a journal would hold: inputs with their outputs."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.reloads = 0
        self.rows: list[Row] = [
            (RecordType.SESSION_BEGIN, 1, words_of(b'{"kernels": "none"}')),
            (RecordType.CONFIG, 1, words_of(self.config.to_bytes())),
        ]

    def run(self) -> list[Any]:
        """Step, keep the outputs."""
        self._step(self.rooms, self.strategies)
        refused = self.rooms.allowed[self.rooms.allowed["reason"] != 0]
        self.rows += [(RecordType.DECISION, self.now, np.frombuffer(row.tobytes(), np.int64)) for row in refused]
        self.rooms.allowed["reason"] = 0  # of this step alone
        for words, end, kind in ((self.rooms.order_out, 0, RecordType.ORDER_ENTRY_OUT), (self.rooms.data_out, 1, RecordType.MARKET_DATA_OUT)):
            if self.rooms.out_end[end]:
                self.rows.append((kind, self.now, words[: self.rooms.out_end[end]].copy()))
        self.rooms.out_end[:] = 0
        return []

    def feed(self, data: bytes, is_order_entry: bool) -> list[Any]:
        """A frame, kept as it came."""
        kind = RecordType.ORDER_ENTRY_IN if is_order_entry else RecordType.MARKET_DATA_IN
        self.rows.append((kind, self.now, np.frombuffer(data, np.int64).copy()))
        return super().feed(data, is_order_entry)

    def reload(self, change: Change) -> list[Any]:
        """New parameters or limits as a session takes them: the record, what it does, and the command behind it."""
        self.reloads += 1
        self.rows += [(RecordType.RELOAD, self.now, part) for part in parts_of(change.to_words(), self.reloads)]
        self.rooms, self.config = carry_out(self.rooms, self.config, change)
        return self.own(EventKind.CONTROL, int(Control.RELOAD))

    def snapshot(self, number: int) -> None:
        """The state as it is, where a segment would begin."""
        words = snapshot_words(self.rooms, Kind.CHECK, self.config if self.reloads else None)
        self.rows += [(RecordType.SNAPSHOT, self.now, part) for part in parts_of(words, number)]

    def own(self, kind: EventKind, code: int = 0) -> list[Any]:
        """A timer or a command, kept."""
        record = _RECORDS[kind]
        self.rows.append((record, self.now, np.array([code], np.int64)))
        clear_event(self.rooms.event, int(kind), -1, self.now, 0, 0)
        self.rooms.event[0]["code"] = code
        return self.run()


def traded(tape: Tape, at_step: Callable[[], object] = lambda: None) -> None:
    """A small session: books with depth and gaps, a pair that is entered, filled, hedged and stopped. `at_step`: called between its steps."""
    tape.own(EventKind.CONTROL, int(Control.CONNECT))
    tape.answer(MessageType.LOGON_ACK, NOBODY, 7, 2)
    tape.own(EventKind.CONTROL, int(Control.ENABLE))
    for instrument in (0, 1):
        tape.feed(frame(MessageType.SNAPSHOT_BEGIN, instrument, 5, tape.exchange_now, 1, 1), False)
        for side, price in ((0, 9_999), (0, 9_998), (1, 10_001), (1, 10_002)):
            tape.feed(frame(MessageType.DEPTH, instrument, 5, tape.exchange_now, side, 2, price - 8_000 * instrument, 1_000), False)
        tape.feed(frame(MessageType.SNAPSHOT_END, instrument, 5, tape.exchange_now), False)
    for n in range(6):
        for instrument in (0, 1):
            tape.feed(frame(MessageType.DEPTH, instrument, 6 + n, tape.exchange_now, 0, 1, 9_999 - 8_000 * instrument, 900 + n), False)
            tape.feed(frame(MessageType.TRADE, instrument, 1 + n, tape.exchange_now, 11 + n, 0, 10_000 - 8_000 * instrument, 3), False)
        for row in tape.rooms.orders[tape.rooms.orders["client_order_id"] != 0]:
            order_id, instrument, side, qty = (int(row[name]) for name in ("client_order_id", "instrument", "side", "qty"))
            if int(row["state"]) < 5 and int(row["filled_qty"]) == 0:
                price = (10_001 if side == 0 else 9_999) - 8_000 * instrument
                tape.answer(MessageType.ORDER_FILL, instrument, order_id, 9, 5 + n, side, 0, price, qty, 0, 12)
        tape.timer(500_000_000)
        at_step()
    tape.answer(MessageType.FUNDING, 0, 100, 10_000, 250)
    tape.own(EventKind.CONTROL, int(Control.STOP))
    tape.timer(2_000_000_000)
    tape.own(EventKind.DISCONNECT)
    tape.rows.append((RecordType.SESSION_END, tape.now, np.frombuffer(state_digest(tape.rooms), np.int64).copy()))


def recorded() -> list[Row]:
    """The rows of a small session. Snapshots are among them: one that it was given, three between its steps; and a reload before the last."""
    tape, taken = Tape(), []
    given = snapshot_words(tape.rooms, Kind.GIVEN)
    tape.rows += [(RecordType.SNAPSHOT, 1, part) for part in parts_of(given, 0)]

    def take() -> None:
        taken.append(len(tape.rows))
        if len(taken) % 2:
            tape.snapshot(len(taken) // 2 + 1)
        if len(taken) == 4:
            tape.reload(Change(strategies=(Replacement(slot=0, frozen=frozen_pair(unit_lead_lots=120)),), limits=Limits(max_loss=4_000)))

    traded(tape, take)
    return tape.rows


def seal(rows: list[Row], folder: Path) -> None:
    """Write rows as a journal whose lengths, sequences and checksums fit."""
    shutil.rmtree(folder, ignore_errors=True)
    needed = (max((payload.size for _, _, payload in rows), default=0) + 64) * 8
    writer = JournalWriter(folder, 1, 1, max(SEGMENT, -(-needed // 4096) * 4096))
    for n, (kind, time_ns, payload) in enumerate(rows):
        if n > 10 and kind == RecordType.SNAPSHOT and payload.size > 1 and payload[1] == 0:
            writer.roll()  # where a session has them: at the beginning of a segment
        writer.append(kind, time_ns, np.ascontiguousarray(payload, np.int64))  # type: ignore[arg-type]
    writer.close()


def _hostile_value(rnd: random.Random, old: Any) -> Any:
    if isinstance(old, int) and rnd.random() < 0.6:
        return rnd.choice((*EXTREMES, old + 1, -old, old * 10**9))
    if isinstance(old, list) and rnd.random() < 0.6:
        return rnd.choice((old * 2, old[:-1], old * 5_000 if len(old) < 50 else [], [*old, None]))
    return copy.deepcopy(rnd.choice(_WORDS + _NUMBERS))  # the next change may go into it


def change_json(rnd: random.Random, payload: np.ndarray) -> np.ndarray:
    """Another value, key or length somewhere in the JSON; a frozen file in it may be sealed again as well."""
    body = json.loads(bytes_of(payload))
    for _ in range(rnd.randint(1, 3)):
        place: Any = body
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = rnd.choice(keys)
            if isinstance(place[key], dict | list) and place[key] and rnd.random() < 0.75:
                place = place[key]
                continue
            what = rnd.random()
            if what < 0.1 and isinstance(place, dict):
                place[f"new_{rnd.randint(0, 9)}"] = place.pop(key)
            elif what < 0.2:
                del place[key]
            else:
                place[key] = _hostile_value(rnd, place[key])
            break
    if rnd.random() < 0.8:
        listed = body.get("strategies")
        for frozen in listed if isinstance(listed, list) else ():
            if isinstance(frozen, dict):
                sealed_again = frozen.get("frozen", frozen)  # of a reload: beside its slot
                if isinstance(sealed_again, dict):
                    sealed_again["digest"] = ""
    return words_of(json.dumps(body).encode())


def variant(rnd: random.Random, rows: list[Row]) -> list[Row]:
    """The rows, changed in one to four places."""
    rows = list(rows)
    for _ in range(rnd.randint(1, 4)):
        if not rows:
            break
        at = rnd.randrange(len(rows))
        kind, time_ns, payload = rows[at]
        how = rnd.random()
        payload = payload.copy()
        if how < 0.35 and payload.size:
            for _ in range(rnd.choice((1, 1, 1, 2, 8))):
                word = rnd.randrange(payload.size)
                old = int(payload[word])
                new = rnd.choice((rnd.choice(EXTREMES), old ^ 1 << rnd.randrange(63), old + rnd.choice((-1, 1)), rnd.getrandbits(63)))
                payload[word] = np.array(new & (2**64 - 1), np.uint64).view(np.int64)
            rows[at] = (kind, time_ns, payload)
        elif how < 0.45:
            wanted = rnd.choice((RecordType.CONFIG, RecordType.CONFIG, RecordType.RELOAD))
            at = next((i for i, row in enumerate(rows) if row[0] == wanted), at)
            head = PART_HEADER_WORDS if wanted == RecordType.RELOAD else 0
            if rows[at][0] == wanted:
                changed = change_json(rnd, _safe(rows[at][2][head:], payload))
                rows[at] = (rows[at][0], rows[at][1], np.concatenate([rows[at][2][:head], changed]))
        elif how < 0.6:
            rows[at] = (rnd.choice((*(int(one) for one in RecordType), 0, 5, 15, 22, 33, 47, 99, 65535)), time_ns, payload)
        elif how < 0.7:
            rows[at] = (kind, time_ns, payload[: rnd.randrange(payload.size + 1)])
        elif how < 0.78:
            rows[at] = (kind, time_ns, np.concatenate([payload, np.array([rnd.choice(EXTREMES)] * rnd.choice((1, 2, 40, 5_000)), np.int64)]))
        elif how < 0.84:
            rows[at] = (kind, rnd.choice((*EXTREMES, time_ns + 10**18)), payload)
        elif how < 0.9:
            del rows[at]
        elif how < 0.95:
            rows.insert(rnd.randrange(len(rows) + 1), rows[at])
        else:
            other = rnd.randrange(len(rows))
            rows[at], rows[other] = rows[other], rows[at]
    return rows


def _safe(payload: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """The payload if it still is JSON, else an empty object."""
    try:
        return payload if isinstance(json.loads(bytes_of(payload)), dict) else words_of(b"{}")
    except (HftkitError, ValueError):
        return words_of(b"{}")


def read_all(folder: Path) -> str:
    """Every reader of journals over one folder: 'refused', 'differs' or 'identical'. Raises what is not HftkitError."""
    from hftkit.exchange.market.history.files import journal_history
    from hftkit.session.replay import LAST_SNAPSHOT, replay

    readers: tuple[Callable[[], object], ...] = (
        lambda: list(JournalReader(folder)),
        lambda: [records.shape for _, records in JournalReader(folder).chunks()],
        lambda: journal_history(folder),
    )
    for reader in readers:
        with contextlib.suppress(HftkitError):
            reader()
    with contextlib.suppress(HftkitError):
        replay(folder, from_snapshot=LAST_SNAPSHOT)
    try:
        return "identical" if replay(folder).identical else "differs"
    except HftkitError as error:
        lines = len(str(error).splitlines())
    if lines != 1:
        raise AssertionError(f"a refusal of {lines} lines")
    return "refused"


def main() -> None:
    """Run COUNT variants from SEED."""
    seed, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    numpy_support.from_struct_dtype = functools.cache(numpy_support.from_struct_dtype)  # half the time of a variant: the same records again
    rows = recorded()
    seal(rows, folder)
    assert read_all(folder) == "identical", "the journal itself must replay"
    found = {"refused": 0, "differs": 0, "identical": 0}
    for number in range(seed, seed + count):
        print(number, file=sys.stderr, flush=True)
        signal.setitimer(signal.ITIMER_PROF, LONGEST_S)  # the default action ends the process: also out of a compiled loop
        signal.alarm(20 * LONGEST_S)  # of wall time, for a wait that takes no processor
        seal(variant(random.Random(number), rows), folder)
        try:
            found[read_all(folder)] += 1
        except Exception as error:
            raise AssertionError(f"variant {number}: {error!r}") from error
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
