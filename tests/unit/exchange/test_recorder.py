"""A recorded run: replayed as history it gives the same tape; its journal is whole, and refused where it must be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hftkit.codes import MessageType, RecordType
from hftkit.errors import DataError, JournalError
from hftkit.exchange.config import load_config
from hftkit.exchange.core.layout import EXECUTION, ExecutionKind, TapKind
from hftkit.exchange.core.tap import Tap
from hftkit.exchange.market.history.build import HistoryPlan
from hftkit.exchange.market.history.files import DEPTH, load_history
from hftkit.exchange.recorder import TapeRecorder
from hftkit.exchange.servers.binary import BinaryServer
from hftkit.exchange.testing import CANCEL_ORDER, PlainClient
from hftkit.kernels.memory.journal import RECORD_HEADER_WORDS, SEGMENT_HEADER_WORDS
from hftkit.kernels.wire.frame import header
from hftkit.session.journal import JournalReader, JournalWriter, words_of
from tests.unit.exchange.running import HOST

TRADE, BBO, LEVEL = int(MessageType.TRADE), int(MessageType.BBO), int(MessageType.DEPTH)
FAST = 600.0


class Recorded:
    """A server whose drop copy goes into a journal, driven slice by slice by the test."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.server = BinaryServer(load_config(), **options)  # type: ignore[arg-type]
        self.ports = self.server.start(HOST, 0, 0)
        self.recorder = TapeRecorder(folder, self.server.venue, self.server.config, 1_700_000_000 * 10**9, 1, {"seed": 1})
        self.tap = Tap(self.server.venue.tap)
        self.tap.consumers.append(self.recorder.consume)
        self.tap.open()

    def run(self, slices: int = 1) -> None:
        for _ in range(slices):
            self.server.run_slice(5_000_000)
            self.tap.pump()

    def close(self) -> None:
        self.server.close()
        self.tap.pump()
        self.recorder.close()


def frames(folder: Path, kind: int, n_words: int = 7, record: RecordType = RecordType.MARKET_DATA_IN) -> np.ndarray:
    parts = [np.zeros((0, n_words), np.int64)]
    for words, records in JournalReader(folder).chunks():
        at = records[records[:, 2] == record, 0]
        at = at[words[at] >> 16 & 0xFF == kind]
        parts.append(words[at[:, None] + np.arange(n_words)])
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some minutes of the synthetic market at 600 times the speed, with a client that trades in it."""
    folder = tmp_path_factory.mktemp("recorded") / "first"
    run = Recorded(folder, speed=FAST)
    client = PlainClient(HOST, run.ports[0])
    client.seq += 1
    client.socket.sendall(logon_frame())
    run.run(20)
    top = run.server.venue.books.tops[0]
    client.order(1, 0, 0, int(top["ask"]) + 50, 500, tif=1)
    client.order(2, 0, 0, int(top["bid"]) - 3, 200)
    run.run(40)
    client.send(CANCEL_ORDER, 2, instrument=0)
    run.run(40)
    client.close()
    run.close()
    return folder


def logon_frame() -> bytes:
    from hftkit.exchange.testing import LOGON, frame

    return frame(LOGON, 1, 7, 0, 0, 0, 1, 0, 0, 0, 0)


def test_a_recorded_run_replayed_as_history_gives_the_same_tape(first: Path, tmp_path: Path) -> None:
    history = load_history(first)
    assert set(history.grades) == {DEPTH}
    again = Recorded(tmp_path / "again", history=HistoryPlan(history, rate=None))
    while not again.server.finished:
        again.run()
    again.close()
    trades, quotes, levels = frames(first, TRADE), frames(first, BBO), frames(first, LEVEL)
    assert len(trades) > 500
    assert frames(tmp_path / "again", TRADE).tolist() == trades.tolist()  # word for word, sequences and trade ids included
    replayed = frames(tmp_path / "again", BBO)
    whole = replayed[len(replayed) - len(quotes) :]  # before them, the quotes of the books as they stood
    assert whole[:, [0, *range(2, 7)]].tolist() == quotes[:, [0, *range(2, 7)]].tolist()
    changes = levels[levels[:, 4] & 2 == 0]
    mine = frames(tmp_path / "again", LEVEL)
    mine = mine[mine[:, 4] & 2 == 0]
    assert mine[len(mine) - len(changes) :, [0, *range(2, 7)]].tolist() == changes[:, [0, *range(2, 7)]].tolist()


def test_executions_of_clients_are_in_the_journal(first: Path) -> None:
    rows = frames(first, int(TapKind.EXECUTION), EXECUTION.dtype.itemsize // 8, RecordType.DROP_COPY).view(EXECUTION.dtype).reshape(-1)
    assert set(rows["account_id"]) == {7}
    kinds = [(int(row["client_order_id"]), ExecutionKind(row["kind"]).name) for row in rows]
    assert kinds[0] == (1, "NEW")
    assert (2, "CANCELED") in kinds or rows[rows["client_order_id"] == 2]["leaves"].min() == 0
    taken = rows[(rows["client_order_id"] == 1) & (rows["kind"] == int(ExecutionKind.TRADE))]
    assert taken["last_qty"].sum() == taken["filled"].max() > 0
    on_tape = {int(row[3]): (int(row[5]), int(row[6])) for row in frames(first, TRADE)}
    assert all(on_tape[int(row["trade_id"])] == (row["last_price"], row["last_qty"]) for row in rows[rows["kind"] == int(ExecutionKind.TRADE)])


def test_chunks_are_the_records_one_by_one(first: Path) -> None:
    one_by_one = [(int(record.type), record.payload.tobytes()) for record in JournalReader(first)]
    reader = JournalReader(first)
    chunks = [(int(t), words[at : at + n].tobytes()) for words, records in reader.chunks(1000) for at, n, t in records.tolist()]
    assert chunks == one_by_one
    assert reader.ended
    assert reader.torn == ""


def test_after_a_loss_the_books_come_again(first: Path, tmp_path: Path) -> None:
    run = Recorded(tmp_path / "lossy", speed=FAST)
    run.run(3)
    run.recorder.write(np.array([header(int(TapKind.LOST), 3, -1), 1, 4], np.int64))
    from hftkit.exchange.recorder import snapshot_frames

    run.recorder.write(snapshot_frames(run.server.venue))  # what `consume` does with such a batch
    run.run(3)
    run.close()
    history = load_history(tmp_path / "lossy")  # the second snapshot is what the books were, so it changes nothing
    plain = frames(tmp_path / "lossy", LEVEL)
    first_snapshot = plain[plain[:, 4] & 2 != 0]
    changes = plain[plain[:, 4] & 2 == 0]
    n_levels = len(first_snapshot[first_snapshot[:, 2] == first_snapshot[0, 2]])
    assert (history.tape[:, 0] >> 16 & 0xFF == LEVEL).sum() == n_levels + len(changes)


def test_a_damaged_recording_is_refused_and_a_torn_one_cut(first: Path, tmp_path: Path) -> None:
    whole = (first / "segment-000001.hftj").read_bytes()
    words = np.frombuffer(whole, np.int64)
    position = SEGMENT_HEADER_WORDS
    for _ in range(100):  # a recording's length varies with the machine; its hundredth record is always there
        position += RECORD_HEADER_WORDS + int(words[position] & 0xFFFFFFFF) // 8
    damages = {"wrong sequence number": 1, "CRC": 2, "CRC that does not fit": RECORD_HEADER_WORDS, "impossible length": 0}
    for number, (message, word) in enumerate(damages.items()):
        bad = tmp_path / f"bad{number}"
        bad.mkdir()
        segment = bytearray(whole)
        segment[(position + word) * 8] ^= 1
        (bad / "segment-000001.hftj").write_bytes(segment)
        with pytest.raises(JournalError, match=message):
            load_history(bad)
    with pytest.raises(JournalError, match="already holds a journal"):
        Recorded(first, speed=FAST)
    empty = Recorded(tmp_path / "empty", speed=1.0)
    empty.close()
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no history file and no journal"):
        load_history(tmp_path / "none")


def test_a_journal_whose_streams_arrived_out_of_step_is_put_in_order(tmp_path: Path) -> None:
    """As a live session's may be: the quotes' stream ahead of the trades', and a snapshot again after a gap, with a time of its own."""

    def frame(kind: MessageType, ts: int, *body: int) -> np.ndarray:
        return np.array([header(int(kind), 3 + len(body), 0), 0, ts, *body], np.int64)

    began, ended, level, trade = MessageType.SNAPSHOT_BEGIN, MessageType.SNAPSHOT_END, MessageType.DEPTH, MessageType.TRADE
    writer = JournalWriter(tmp_path / "j", 7, 1)
    instrument = {"symbol": "ONE", "tick_size": "0.01", "lot_size": "0.001"}
    writer.append(RecordType.CONFIG, 1, words_of(json.dumps({"instruments": [instrument]}).encode()))
    for words in (
        frame(level, 90, 0, 2, 98, 9),  # the end of a snapshot whose beginning nobody has
        frame(ended, 90),
        frame(began, 100, 1, 1), frame(level, 100, 0, 2, 99, 50), frame(level, 100, 1, 2, 101, 50), frame(ended, 100),
        frame(level, 210, 0, 1, 99, 30),  # left by the trade that arrives after it
        frame(trade, 200, 1, 1, 99, 20),
        frame(level, 220, 0, 1, 97, 5),
        frame(began, 215, 1, 1), frame(level, 215, 0, 2, 99, 30), frame(level, 215, 1, 2, 102, 40), frame(ended, 215),
        frame(level, 230, 1, 1, 103, 7),
    ):  # fmt: skip
        writer.append(RecordType.MARKET_DATA_IN, 1, words)
    writer.close()
    rows = load_history(tmp_path / "j").tape
    assert rows[:, [2, 3, 4, 5, 6]].tolist() == [
        [100, 0, 0, 99, 50], [100, 1, 1, 101, 50],
        [200, 1, 1, 99, 20],
        [210, 0, 1, 99, 30],
        [220, 0, 1, 97, 5],
        [220, 1, 0, 101, 0], [220, 0, 0, 97, 0], [220, 1, 1, 102, 40],  # what the second snapshot no longer has, then what is new
        [230, 1, 1, 103, 7],
    ]  # fmt: skip
