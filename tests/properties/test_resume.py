"""A session that dies at any moment, with frames under way in both directions, and another one that goes on with it: nothing lost, nothing doubled.

The venue is plain Python with a ledger of its own: it numbers and keeps what it says, cancels what rests when the line is gone, and says again what
was missed. What the engine has booked at the end must be what that ledger has, to the last unit of money.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hftkit.codes import Control, EventKind, MessageType, OrderState, RecordType, Trading
from hftkit.errors import HftkitError
from hftkit.layout import MONEY_SCALE
from hftkit.session.engine_state import Limits, SessionConfig
from hftkit.session.journal import JournalWriter, words_of
from hftkit.session.replay import replay
from hftkit.session.resume import CONTINUED, Past, carry, check_same, mark_continued, rebuild, told
from hftkit.session.snapshot import Kind, parts_of, snapshot_words
from live.venues.binary.logon import logon_frame
from tests.journal_fuzz import Tape
from tests.support import AAA, BBB, NOBODY, frame, frozen_pair, unpack_frames

SCALES = [float(one.tick_size) * float(one.lot_size) for one in (AAA, BBB)]
TICK_LOT_E8 = [round(scale * MONEY_SCALE) for scale in SCALES]
PRICES = (10_000, 2_000)


class Venue:
    """Fills what it gets at its own price, all or a part of it; the rest of an order rests if it may, else it is cancelled."""

    def __init__(self, rnd: random.Random) -> None:
        self.rnd = rnd
        self.log: list[bytes] = []
        self.heard = 0  # sequence of the last frame of the client
        self.orders: dict[int, dict[str, int]] = {}
        self.position, self.cash_e8, self.fees_e8, self.n_fills = [0, 0], 0, 0, 0
        self.ts, self.trade = 1_700_000_000_000_000_000, 0

    def say(self, kind: MessageType, instrument: int, *body: int) -> None:
        """Number it, keep it."""
        self.ts += 1
        self.log.append(frame(kind, instrument, len(self.log) + 1, self.ts, *body))

    def hear(self, frames: list[Any]) -> None:
        """Frames of the client, in order and without a gap."""
        for kind, instrument, seq, body in frames:
            if kind == MessageType.LOGON:
                self.heard = 1
                assert body[4] == 1 or body[4] <= len(self.log) + 1
                if body[4] == 1:
                    self.say(MessageType.LOGON_ACK, NOBODY, 7, 2)
                    for i in range(2):
                        self.say(MessageType.POSITION, i, self.position[i])
                continue
            assert seq == self.heard + 1, "the client's frames have a gap"
            self.heard = seq
            if kind == MessageType.NEW_ORDER:
                self._order(instrument, *body)
            elif kind == MessageType.CANCEL_ORDER:
                self._cancel(body[0])
            elif kind == MessageType.ORDER_QUERY:
                self._status(body[0])
            elif kind == MessageType.HEARTBEAT:
                self.say(MessageType.VENUE_HEARTBEAT, NOBODY, body[0])
            elif kind == MessageType.LOGOUT:
                self.say(MessageType.LOGOUT_ACK, NOBODY)

    def lost(self) -> None:
        """The connection is gone: what rests is cancelled."""
        for number in [number for number, order in self.orders.items() if order["open"]]:
            self._cancel(number)

    def resume(self) -> None:
        """Another connection: the client's numbers go on where they were heard."""

    def _order(self, instrument: int, number: int, side: int, kind: int, tif: int, flags: int, price: int, qty: int) -> None:
        assert number not in self.orders, "an order was sent twice"
        order = self.orders[number] = {"instrument": instrument, "side": side, "qty": qty, "filled": 0, "open": 1, "state": 3}
        if self.rnd.random() < 0.1:
            order["open"], order["state"] = 0, int(OrderState.REJECTED)
            self.say(MessageType.ORDER_REJECT, instrument, number, 504)
            return
        self.say(MessageType.ORDER_ACK, instrument, number, 1000 + len(self.orders))
        for _ in range(2):
            part = self.rnd.choice((0, order["qty"] - order["filled"], self.rnd.randint(0, order["qty"] - order["filled"])))
            if part:
                self._fill(number, order, part)
        if order["open"] and tif == 1:
            self._cancel(number)

    def _fill(self, number: int, order: dict[str, int], qty: int) -> None:
        i, sign = order["instrument"], 1 - 2 * order["side"]
        price, fee = PRICES[i] + self.rnd.randint(-3, 3), self.rnd.randint(0, 1000)
        order["filled"] += qty
        left = order["qty"] - order["filled"]
        order["state"] = int(OrderState.PARTIALLY_FILLED if left else OrderState.FILLED)
        order["open"] = int(left > 0)
        self.position[i] += sign * qty
        self.cash_e8 -= sign * qty * price * TICK_LOT_E8[i]
        self.fees_e8 += fee
        self.n_fills += 1
        self.trade += 1
        self.say(MessageType.ORDER_FILL, i, number, 1, self.trade, order["side"], 0, price, qty, left, fee)

    def _cancel(self, number: int) -> None:
        order = self.orders.get(number)
        if order is None or not order["open"]:
            self.say(MessageType.CANCEL_REJECT, 0, number, 503)
            return
        order["open"], order["state"] = 0, int(OrderState.CANCELED)
        self.say(MessageType.ORDER_CANCELED, order["instrument"], number, 1, order["qty"] - order["filled"], 504)

    def _status(self, number: int) -> None:
        order = self.orders.get(number)
        if order is None:
            self.say(MessageType.ORDER_STATUS, 0, number, 0, 0, 0, 0)
            return
        left = order["qty"] - order["filled"] if order["open"] else 0
        self.say(MessageType.ORDER_STATUS, order["instrument"], number, 1, order["state"], order["filled"], left)


class Session(Tape):
    """An engine with its journal's rows, and what it has sent."""

    def __init__(self, epoch: int, past: Past | None = None) -> None:
        words = logon_frame(7, 1, 10**9, cancel_on_disconnect=True, next_seq_in=past.next_seq_in if past else 1, secret="")
        super().__init__(logon_words=words)
        self.config: SessionConfig = msgspec.structs.replace(self.config, epoch=epoch, limits=Limits(max_rejects=10**6))
        self.out: list[Any] = []
        self.rows = [(RecordType.SESSION_BEGIN, 1, words_of(b'{"kernels": "none"}')), (RecordType.CONFIG, 1, words_of(self.config.to_bytes()))]
        if past is None:
            from hftkit.session.engine_state import build_engine_state

            self.rooms = build_engine_state(self.config)
        else:
            check_same(past, self.config)
            self.rooms = carry(past, self.config, self.now)
            self.rows += [(RecordType.SNAPSHOT, 1, part) for part in parts_of(snapshot_words(self.rooms, Kind.GIVEN), 0)]

    def run(self) -> list[Any]:
        """Step; what is sent goes out in order."""
        before = len(self.rows)
        super().run()
        for kind, _, words in self.rows[before:]:
            if kind == RecordType.ORDER_ENTRY_OUT:
                self.out += unpack_frames(words.tobytes())
        return []

    def past(self) -> Past:
        """What its journal would give."""
        return Past(Path("old"), self.config, self.rooms, ended=False, records=len(self.rows), from_snapshot=0)


class World:
    """One engine after the other at one venue."""

    def __init__(self, seed: int) -> None:
        self.rnd = random.Random(seed)
        self.venue = Venue(self.rnd)
        self.engine, self.epoch, self.told = Session(1), 1, 0
        self.quotes = 0
        self.engine.own(EventKind.CONTROL, int(Control.CONNECT))
        self.exchange()
        self.engine.own(EventKind.CONTROL, int(Control.ENABLE))

    def exchange(self, all_of_it: bool = True) -> None:
        """Frames travel: all of them, or some."""
        engine, n = self.engine, len(self.engine.out)
        n = n if all_of_it else self.rnd.randint(0, n)
        self.venue.hear(engine.out[:n])
        engine.out = engine.out[n:]
        upto = len(self.venue.log) if all_of_it else self.rnd.randint(self.told, len(self.venue.log))
        while self.told < upto:
            self.told += 1
            engine.feed(self.venue.log[self.told - 1], True)

    def quote(self) -> None:
        self.quotes += 1
        for i in (0, 1):
            mid = PRICES[i] + self.rnd.randint(-2, 2)
            self.engine.feed(frame(MessageType.BBO, i, self.quotes, self.engine.exchange_now, mid - 1, 10_000, mid + 1, 10_000), False)

    def act(self) -> None:
        what = self.rnd.random()
        if what < 0.5:
            self.quote()
        elif what < 0.8:
            self.engine.timer(self.rnd.choice((1_000_000, 20_000_000, 1_500_000_000)))
        else:
            self.engine.own(EventKind.CONTROL, int(self.rnd.choice((Control.FLATTEN, Control.RESUME))))
        self.exchange(all_of_it=self.rnd.random() < 0.5)

    def die(self) -> None:
        """The engine is gone: what it had sent may have arrived in part; another one goes on with its state."""
        old = self.engine
        self.venue.hear(old.out[: self.rnd.randint(0, len(old.out))])
        self.venue.lost()
        self.epoch += 1
        past = old.past()
        self.told = past.next_seq_in - 1
        self.engine = Session(self.epoch, past)
        self.engine.now = old.now + 100_000_000
        self.engine.own(EventKind.CONTROL, int(Control.CONNECT))
        ack = self.venue.heard + 1
        self.venue.hear(self.engine.out)
        self.engine.out, self.venue.heard = [], ack - 1
        self.engine.feed(frame(MessageType.LOGON_ACK, NOBODY, 0, self.venue.ts, 7, ack), True)

    def settle(self) -> None:
        """Until it is flat and has logged out."""
        self.engine.own(EventKind.CONTROL, int(Control.STOP))
        for _ in range(200):
            self.quote()
            self.exchange()
            self.engine.timer(50_000_000)
            self.exchange()
            if self.engine.rooms.session[0]["stop_requested"] == 3:
                return
        raise AssertionError("it does not get flat")


def agree(world: World) -> None:
    """The engine's ledger is the venue's; nothing is open; nothing was illegal or unknown."""
    rooms, venue = world.engine.rooms, world.venue
    ledger, session = rooms.ledger, rooms.session[0]
    assert ledger["position"].tolist() == venue.position == [0, 0]
    assert int(ledger["realized_e8"].sum()) == venue.cash_e8
    assert int(ledger["fees_e8"].sum()) == venue.fees_e8
    assert int(ledger["n_fills"].sum()) == venue.n_fills == int(session["n_fills"])
    assert int(session["n_illegal"]) == int(session["n_unknown"]) == int(session["n_sequence_gaps"]) == 0
    assert int(rooms.open_qty["n_orders"].sum()) == 0
    assert int(rooms.legs["lead_position"].sum()) == int(rooms.legs["hedge_position"].sum()) == 0
    assert not any(order["open"] for order in venue.orders.values())


def life(seed: int) -> World:
    world = World(seed)
    for _ in range(world.rnd.randint(1, 5)):
        for _ in range(world.rnd.randint(0, 25)):
            world.act()
        world.die()
    for _ in range(10):
        world.act()
    world.settle()
    return world


@pytest.mark.parametrize("part", range(4))
def test_whenever_it_dies_the_ledger_is_the_venues_at_the_end(part):
    fills = 0
    for seed in range(100 * part, 100 * part + 60):
        try:
            world = life(seed)
            agree(world)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        fills += world.venue.n_fills
    assert fills > 300


def test_each_journal_of_such_a_life_replays_by_itself(tmp_path):
    """Also that of a session that was given another one's state, and from that state on."""
    world = World(5)
    for n in range(3):
        for _ in range(15):
            world.act()
        seal(world.engine, tmp_path / str(n))
        found = replay(tmp_path / str(n))
        assert found.identical, found.difference
        past = rebuild(tmp_path / str(n))
        assert past.next_seq_in == world.engine.past().next_seq_in
        assert past.rooms.ledger.tobytes() == world.engine.rooms.ledger.tobytes()
        world.die()
    assert int(world.engine.rooms.session[0]["n_fills"]) > 0


def seal(session: Session, folder: Path) -> None:
    writer = JournalWriter(folder, session.config.epoch, 1, 1 << 20)
    for kind, time_ns, payload in session.rows:
        writer.append(kind, time_ns, np.ascontiguousarray(payload, np.int64))
    writer.close()


def test_what_is_carried_and_what_is_not():
    world = World(11)
    for _ in range(30):
        world.act()
    old = world.engine
    old.rooms.risk["trading"], old.rooms.risk["halt_reason"] = int(Trading.HALTED), 106
    new = carry(old.past(), msgspec.structs.replace(old.config, epoch=99, limits=Limits(max_loss=1)), old.now)
    assert new.session[0]["epoch"] == 99
    assert new.session[0]["next_order"] == old.rooms.session[0]["next_order"]
    assert (new.session[0]["logged_on"], new.session[0]["seq_in"], new.session[0]["instruments_ok"]) == (0, 0, 0)
    assert (int(new.risk[0]["trading"]), int(new.risk[0]["halt_reason"])) == (Trading.HALTED, 106), "a halt survives"
    assert new.risk[0]["max_loss_e8"] == MONEY_SCALE, "limits are those of the new configuration"
    for name in ("ledger", "legs", "state", "open_qty", "refused", "external"):
        assert getattr(new, name).tobytes() == getattr(old.rooms, name).tobytes(), name
    assert new.risk[0]["equity_e8"] == old.rooms.risk[0]["equity_e8"], "the day's loss counts on"
    assert not new.book["sync"].any()


def test_after_a_restart_of_the_machine_the_clock_begins_anew():
    """CLOCK_MONOTONIC is small then: deadlines keep their distance, and no time lies in the future."""
    world = World(3)
    for _ in range(40):
        world.act()
    old = world.engine.rooms
    world.engine.now += 10**15
    world.engine.timer()
    new = carry(world.engine.past(), msgspec.structs.replace(world.engine.config, epoch=2), 5 * 10**9)
    assert new.session[0]["ts_now"] == 5 * 10**9
    for name, record in (("legs", new.legs), ("orders", new.orders), ("risk", new.risk)):
        for field in record.dtype.names:
            if field.startswith("ts_") and field != "ts_state":
                assert (record[field] <= 5 * 10**9).all(), (name, field)
    assert old is world.engine.rooms


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"account": 8}, "traded account 7, not 8"),
        ({"strategies": (frozen_pair("fixed_target", {"target": -1}),)}, "traded other frozen files"),
        ({"instruments": (BBB, AAA)}, "instruments are not those of session"),
        ({"order_capacity": 64}, "had an order table of 4096, not 64"),
    ],
)
def test_another_session_is_refused_in_one_line(change, why):
    past = World(1).engine.past()
    with pytest.raises(HftkitError, match=why):
        check_same(past, msgspec.structs.replace(past.config, **change))


def test_a_session_is_gone_on_with_once(tmp_path):
    world = World(2)
    seal(world.engine, tmp_path / "old")
    assert rebuild(tmp_path / "old").next_seq_in == 4
    assert told(rebuild(tmp_path / "old"))["session"] == "old"
    mark_continued(tmp_path / "old", "new-one")
    assert (tmp_path / "old" / CONTINUED).stat().st_mode & 0o777 == 0o600
    with pytest.raises(HftkitError, match="was taken over by new-one"):
        rebuild(tmp_path / "old")
