"""The one-writer rule, executed: sessions of every kind run through the step in plain Python, each write by its name (hftkit/session/writers.py).

The same sessions run compiled beside it: what the plain step sends and leaves behind must be the same, or the check would be one of something else.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from hftkit.backtest.run import Latency, backtest, quotes_to_tape, session_of
from hftkit.benchmarks.engine_rooms import bench_config
from hftkit.cli.replay_commands import replay as replay_command
from hftkit.codes import Control, EventKind, Hook, MessageType, Reject, Side
from hftkit.errors import HftkitError
from hftkit.kernels import step as step_module
from hftkit.kernels.jit import kernel
from hftkit.kernels.step import take_frame
from hftkit.kernels.wire.frame import check_frame
from hftkit.session import writers
from hftkit.session.engine_state import EngineState, build_engine_state, hooks_of, state_digest
from hftkit.session.replay import replay
from hftkit.session.writers import EXCEPTIONS, OWNERS, STRATEGY, WriterWatch
from tests.properties import maker_twin, test_baskets, test_final, test_quotes
from tests.properties import test_maker_first as maker
from tests.support import Machine, frame, frozen_pair, unpack_frames

ROOT = Path(__file__).parents[3]


class WatchedMachine(Machine):
    """A machine that steps in plain Python, watched, beside the compiled step on a state of its own."""

    made: list[WatchedMachine] = []  # noqa: RUF012

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.compiled, self.twin = self._step, build_engine_state(self.config)
        self.watch = WriterWatch(self.rooms, hooks_of(self.config))
        self._step = lambda rooms, strategies: self.both()
        self.made.append(self)

    def both(self) -> None:
        self.twin.params[:] = self.rooms.params  # the test's own hand
        self.twin.event[:] = self.rooms.event
        self.watch.step()
        self.compiled(self.twin, self.strategies)
        assert unpack_frames(self.twin.order_out[: self.twin.out_end[0]].tobytes()) == unpack_frames(
            self.rooms.order_out[: self.rooms.out_end[0]].tobytes()
        )
        self.twin.out_end[:] = 0

    def feed(self, data: bytes, is_order_entry: bool) -> list[Any]:
        words = np.frombuffer(data, np.int64).copy()
        verdict = check_frame(words, 0, words.size)
        taken = self.watch.take_frame(words, 0, verdict, is_order_entry, self.now)
        assert taken == take_frame(self.twin, words, 0, verdict, is_order_entry, self.now)
        return self.run() if taken else []

    def timer(self, after_ns: int = 1_000_000) -> list[Any]:
        self.watch.timer_due(self.now + after_ns)
        return super().timer(after_ns)


def makers_session(rng: random.Random) -> None:
    """Orders that rest, are filled, rejected, cancelled, lost and asked for."""
    moves = [(rng.choice(maker.MOVES + maker.MOVES + maker.RARE), rng.randint(0, 120)) for _ in range(60)]
    twin = maker_twin.Twin()
    maker.play(twin, moves)
    twin.quote(0)
    twin.control(rng.choice([Control.STOP, Control.HALT_VENUE, Control.FLATTEN]))
    twin.settle()


def accounts_session(rng: random.Random, route: str) -> None:
    """A venue that closes positions by itself, cuts, refuses and loses; a stranger on the account; corrections."""
    account = test_final.Account(route)
    for _ in range(40):
        account.act(rng.choice(test_final.NAMES), rng.randint(1, 120), rng.randint(0, 1))


def policies_session(rng: random.Random) -> None:
    """Quotes and a basket before venues that answer when they like; what they hold is closed at last."""
    quotes = test_quotes.Twin()
    quotes.process(), quotes.process(refuse=True), quotes.deliver(), quotes.deliver()
    quotes.take(quotes.machine.timer(test_quotes.RETRY + 1))  # that a timer would post the ask again is tried before
    for _ in range(60):
        test_quotes.act(quotes, rng.choice(test_quotes.KINDS), rng.randint(1, 90))
    quotes.quote(0)
    quotes.control(Control.FLATTEN)
    quotes.settle()
    basket = test_baskets.Market()
    for _ in range(40):
        test_baskets.act(basket, rng.choice([*test_baskets.KINDS, "external"]), rng.randint(1, 120))


def odd_session() -> None:
    """What the others never meet: depth books and gaps, funding, other scales, a full order table, a file past its validity, broken frames."""
    logon = np.frombuffer(frame(MessageType.LOGON, 0, 1, *range(4), 1, *range(4)), np.int64)  # next_seq_in 1: a fresh session
    machine = WatchedMachine(order_capacity=1, logon_words=tuple(logon.tolist()))
    machine.start()
    for instrument, price in ((0, 10_000), (1, 2000)):
        machine.feed(frame(MessageType.SNAPSHOT_BEGIN, instrument, 3, machine.exchange_now, 1, 1), False)
        for side in (Side.BUY, Side.SELL):
            machine.feed(frame(MessageType.DEPTH, instrument, 3, machine.exchange_now, side, 2, price + 2 * side, 50), False)
        machine.feed(frame(MessageType.SNAPSHOT_END, instrument, 3, machine.exchange_now), False)
        machine.feed(frame(MessageType.DEPTH, instrument, 4, machine.exchange_now, Side.SELL, 1, price + 2, 30), False)
        machine.feed(frame(MessageType.TRADE, instrument, 1, machine.exchange_now, 1, Side.BUY, price + 2, 5), False)
    machine.feed(frame(MessageType.DEPTH, 1, 9, machine.exchange_now, Side.SELL, 1, 2002, 30), False)  # a gap: the book is lost
    machine.feed(frame(MessageType.DEPTH, 77, 9, machine.exchange_now, Side.SELL, 1, 2002, 30), False)  # no such instrument
    machine.bbo(1, 1999, 2001)
    machine.answer(MessageType.ORDER_FILL, 0, 1 << 32 | 1, 9, 5, Side.BUY, 0, 10_002, 30, 70, 0)  # the hedge finds the table full
    machine.answer(MessageType.ORDER_FILL, 0, 1 << 32 | 9, 9, 5, Side.BUY, 0, 10_002, 30, 70, 0)  # an order of ours that nobody knows
    machine.answer(MessageType.FUNDING, 0, 30, 100, 1234)
    machine.own(EventKind.CONTROL, int(Control.STALL))
    machine.own(EventKind.CONTROL, int(Control.CAUGHT_UP))
    machine.feed(frame(MessageType.INSTRUMENT, 0, 1, 0, 0, 1, 10_000_000, 0, 20, 100, 2), False)  # another tick size
    machine.answer(MessageType.SESSION_REJECT, 0, Reject.VENUE_BAD_QTY)
    machine.own(EventKind.DISCONNECT)
    expired = WatchedMachine(msgspec.structs.replace(frozen_pair(), valid_until_ns=1), watch_validity=True)
    expired.start()
    expired.bbo(0, 9999, 10_001), expired.bbo(1, 1999, 2001)


def replayed(folder: Path, *only: str) -> list[WriterWatch]:
    """Backtests with a journal, replayed with the check: orders taken at once, or worked with patience; a strategy with memory."""
    rows = 240
    names, step_ns = np.arange(rows) % 2, 50_000_000
    walk = np.cumsum(np.random.default_rng(3).integers(-1, 2, rows)) // 4
    bid = np.where(names == 0, 9999, 1999) + walk
    lots = np.full(rows, 70)
    tape = quotes_to_tape(10**12 + np.arange(rows) * step_ns, names, bid, lots, bid + 2, lots)
    rule = {"hedge_ratio": "0.8", "bar_ns": 4 * step_ns, "window": 5, "entry_z": "0.5", "exit_z": "0.1", "stop_z": "9.0", "max_holding_bars": 30}
    sessions = {
        "taken": frozen_pair(),
        "posted": frozen_pair(maker_patience_ns=200_000_000),
        "pairs": frozen_pair("pairs", rule, unit_hedge_lots=-100),
    }
    watches = []
    for name, frozen in sessions.items():
        if only and name not in only:
            continue
        done = backtest(session_of(frozen), tape, latency=Latency(1000, 1000, 1000), timer_ns=10**8, journal=folder / name)
        assert len(done.fills) > 0, name
        found = replay(folder / name, check_writers=True)
        assert found.identical, found.difference
        assert found.writers is not None
        watches.append(found.writers)
    return watches


@pytest.fixture(scope="module")
def watches(tmp_path_factory) -> list[WriterWatch]:
    """Every session of this file, run once."""
    patch = pytest.MonkeyPatch()
    patch.setattr(maker_twin, "Machine", WatchedMachine)
    patch.setattr(test_final, "Machine", WatchedMachine)
    patch.setattr(test_quotes, "Machine", WatchedMachine)
    patch.setattr(test_baskets, "Machine", WatchedMachine)
    WatchedMachine.made.clear()
    for seed in range(4):
        makers_session(random.Random(seed))
        policies_session(random.Random(seed))
        for route in ("binance", "binary"):
            accounts_session(random.Random(seed), route)
    twin, _ = maker.resting_entry()
    twin.take(twin.machine.timer(maker_twin.PATIENCE))  # it has rested for long enough: that a timer would pull it is tried before
    odd_session()
    patch.undo()
    for machine in WatchedMachine.made:
        assert state_digest(machine.rooms) == state_digest(machine.twin)
    return [machine.watch for machine in WatchedMachine.made] + replayed(tmp_path_factory.mktemp("journals"))


def test_every_array_is_written_by_its_own_file(watches):
    breaches = sorted({line for watch in watches for line in watch.report()})
    assert not breaches, "\n".join(breaches) + "\nCure: let the owner write it, or declare it in EXCEPTIONS of hftkit/session/writers.py."


def test_every_exception_and_every_owner_is_met(watches):
    written = set().union(*(watch.written for watch in watches))
    idle = [(one.array, name, one.writer) for one in EXCEPTIONS for name in one.fields if (one.array, name, one.writer) not in written]
    assert not idle, f"nobody uses the exceptions {idle}. Cure: remove them from EXCEPTIONS, or add the session that needs them here."
    owners = {(array, writer) for array, _, writer in written}
    never = [(array, owner) for array, owner in OWNERS.items() if owner and (array, owner) not in owners]
    assert not never, f"{never}: no session here writes it. Cure: is the owner another file?"


def test_every_array_has_an_owner_and_exceptions_name_what_exists():
    assert set(OWNERS) == set(EngineState._fields)
    rooms = build_engine_state(bench_config())
    for one in EXCEPTIONS:
        assert one.why
        names = getattr(rooms, one.array).dtype.names
        assert set(one.fields) <= set(names or ("",)), one


def test_the_document_names_the_owners():
    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if line.startswith("| ") and line.count("|") == 4]
    for name, owner in OWNERS.items():
        record = {"open_qty": "OPEN", "orders": "ORDER"}.get(name, name.upper())
        stated = [row for row in rows if record in row.split("|")[1].replace(",", " ").split()]
        assert not stated or Path(owner).name in stated[0], f"{name}: {owner} is not in {stated}"


@kernel
def planted(ledger, instruments, book, instrument):  # in place of mark_to_book of trading/ledger.py
    ledger[instrument].mark_price = 3
    book[instrument].n_stale += 1
    return False


def test_a_wrong_writer_is_found_and_named(monkeypatch):
    monkeypatch.setattr(step_module, "mark_to_book", planted)
    machine = Machine()
    watch = WriterWatch(machine.rooms, hooks_of(machine.config))
    machine._step = lambda rooms, strategies: watch.step()
    machine.start()
    machine.bbo(0, 9999, 10_001), machine.bbo(0, 9999, 10_002)
    lines = [line for line in watch.report() if "test_writers.py" in line]
    assert len(lines) == 2
    assert lines[1] == (
        "tests/unit/session/test_writers.py writes book.n_stale, which kernels/market/book.py owns: "
        "step > sense > _sense_kind > _sense_market_data > planted, at an event BBO (2 times)"
    )


def test_a_strategy_that_reaches_beyond_its_signal_is_found():
    def greedy(slot, event, book, watch, held, params, state, signal):
        held["position"][slot, 0] = 3
        params[0] = 7.0
        signal["target"][slot], state[0] = 1, 1.0
        return 0

    machine = Machine()
    watch = WriterWatch(machine.rooms, [{Hook.ON_BOOK: greedy}])
    machine._step = lambda rooms, strategies: watch.step()
    machine.start()
    machine.bbo(0, 9999, 10_001)
    assert [(one.array, one.field, one.writer) for one in watch.breaches.values()] == [("held", "position", STRATEGY), ("params", "", STRATEGY)]


def test_the_command_says_it(tmp_path, monkeypatch):
    replayed(tmp_path, "taken")
    told = CliRunner().invoke(replay_command, [str(tmp_path / "taken"), "--check-writers"])
    assert (told.exit_code, "each array was written by its own file alone" in told.output) == (0, True), told.output
    monkeypatch.setattr(writers, "EXCEPTIONS", ())
    refused = CliRunner().invoke(replay_command, [str(tmp_path / "taken"), "--check-writers"])
    assert isinstance(refused.exception, HftkitError)
    assert "kernels/step.py writes allowed.client_order_id, which kernels/trading/risk.py owns" in str(refused.exception)
