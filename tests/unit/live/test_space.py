"""The watch on the disk, by numbers that the test chooses; rotation and repeats of the log; memory touched ahead."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

from live.log.log import SessionLog
from live.log.log_limit import BURST, PERIOD_S, RepeatLimit
from live.log.rotation import rotate_if_large
from live.space import SpaceLeft, SpaceLevel, SpaceWatch, look_at
from live.touch import touch

MB, GB = 1 << 20, 1 << 30
SEGMENT = 16 * MB


class Disk:
    """A disk and a session on it; time passes in looks of five seconds."""

    def __init__(self, free: int) -> None:
        self.look, self.now, self.position, self.asked = SpaceLeft(free, 0, 0), 0.0, 0, 0
        self.said: list[dict[str, object]] = []
        self.told: list[str] = []
        self.watch = SpaceWatch(
            Path("/session"), SEGMENT, 24.0, 2.0, lambda event, **facts: self.said.append({"event": event, **facts}), self.told.append, self.stop,
            lambda folder: self.look,
        )  # fmt: skip

    def stop(self) -> None:
        self.asked += 1

    def run(self, seconds: float, ours_per_h: float, others_per_h: float = 0.0) -> None:
        for _ in range(int(seconds // 5)):
            self.now += 5
            before = self.position
            self.position = int(self.position + ours_per_h * 5 / 3600) % SEGMENT
            held = self.look.held + (SEGMENT if self.position < before or not self.look.held else 0)  # segments take their room whole
            self.look = self.look._replace(free=self.look.free - int(others_per_h * 5 / 3600) - (held - self.look.held), held=held)
            self.watch.turn(self.now, self.position)


def test_hours_are_by_what_the_journal_takes_not_by_segments_made_ready() -> None:
    disk = Disk(100 * GB)
    assert not disk.watch.first(0.0).measured
    disk.run(1200, 10 * MB)
    assert disk.watch.room.measured
    assert disk.watch.room.bytes_per_h == pytest.approx(10 * MB, rel=0.05)
    assert disk.watch.room.hours == pytest.approx(disk.look.free / (10 * MB), rel=0.05)
    assert (disk.said, disk.told, disk.asked) == ([], [], 0)


def test_what_others_take_counts_and_each_level_is_said_once() -> None:
    disk = Disk(10 * GB)
    disk.run(600, 20 * MB, 200 * MB)
    assert disk.watch.level is SpaceLevel.OK
    disk.run(600, 20 * MB, 500 * MB)  # 19 hours
    assert [line["level"] for line in disk.said] == ["low"]
    disk.run(900, 20 * MB, 20_000 * MB)
    assert [line["level"] for line in disk.said] == ["low", "very_low"]
    assert len(disk.told) == 2
    assert "hftkit journals prune" in disk.told[0]
    disk.run(1200, 20 * MB, 20_000 * MB)
    assert [line["level"] for line in disk.said] == ["low", "very_low", "critical"]
    assert disk.asked == 1
    assert "the session is stopped" in disk.told[2]
    disk.look = disk.look._replace(free=100 * GB)
    disk.run(1500, 20 * MB)
    assert [line["level"] for line in disk.said][3:] == ["ok"]


def test_a_rate_that_trembles_round_a_limit_says_nothing_twice() -> None:
    disk = Disk(int(24 * 20 * MB * 1.01))
    for _ in range(40):
        disk.run(300, 19 * MB)
        disk.run(300, 21 * MB)
        disk.look = disk.look._replace(free=int(24 * 20 * MB))
    assert [line["level"] for line in disk.said] == ["low"]


def test_a_disk_that_cannot_be_asked_is_said_once() -> None:
    said: list[str] = []

    def gone(folder: Path) -> SpaceLeft:
        raise OSError(5, "Input/output error")

    watch = SpaceWatch(Path("/x"), SEGMENT, 24, 2, lambda event, **facts: said.append(event), said.append, lambda: None, gone)
    for now in range(0, 100, 5):
        watch.turn(float(now), 0)
    assert said == ["space_unknown"]


def test_a_look_at_a_real_folder(tmp_path: Path) -> None:
    (tmp_path / "segment-000001.hftj").write_bytes(bytes(100_000))
    (tmp_path / "session.log").write_bytes(b"x" * 5000)
    found = look_at(tmp_path)
    assert found.beside == 5000
    assert found.held >= 5000
    assert found.free > 0


def test_a_log_is_rotated_by_size_and_no_line_is_lost_between(tmp_path: Path) -> None:
    log = SessionLog(tmp_path / "session.log", 20_000, 4)
    over = threading.Event()

    def talk(number: int) -> None:
        for i in range(300):
            log.event("order", client_order_id=number * 1000 + i)

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(2)]
    turner = threading.Thread(target=lambda: [log.rotate() for _ in iter(over.is_set, True)])
    for thread in (*threads, turner):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    turner.join()
    log.close()
    files = sorted(tmp_path.iterdir())
    assert 2 <= len(files) <= 4
    lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    assert len({line["client_order_id"] for line in lines}) == len(lines)
    if len(files) < 4:
        assert len(lines) == 600


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_rotation_keeps_so_many_files_and_the_newest_lines(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "session.log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for i in range(10):
        os.write(fd, b"%d" % i * 100)
        assert rotate_if_large(path, fd, 100, keep)
        assert not rotate_if_large(path, fd, 100, keep)
    os.write(fd, b"last")
    os.close(fd)
    assert path.read_bytes() == b"last"
    assert len(list(tmp_path.iterdir())) == keep
    for number in range(1, keep):
        assert (tmp_path / f"session.log.{number}").read_bytes() == b"%d" % (10 - number) * 100
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_repeated_lines_are_counted_and_orders_never_left_out(tmp_path: Path) -> None:
    now = [0.0]
    limit = RepeatLimit(lambda: now[0])
    log = SessionLog(tmp_path / "session.log")
    log._repeats._now_s = limit._now_s  # the test's clock
    for i in range(1000):
        now[0] += 0.1
        log.event("veto", instrument=1, qty_lots=i, reason="price band")
        if i % 100 == 0:
            log.event("veto", instrument=1, qty_lots=i, reason="another")
        log.event("order fill", client_order_id=7)
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "session.log").read_text().splitlines()]
    vetoes = [line for line in lines if line["event"] == "veto" and line["reason"] == "price band"]
    assert len(vetoes) <= BURST + 100 / PERIOD_S + 1
    left_out = sum(line.get("repeated", 0) for line in vetoes) + sum(line["count"] for line in lines if line["event"] == "repeated")
    assert len(vetoes) + left_out == 1000
    assert sum(line["event"] == "veto" and line["reason"] == "another" for line in lines) == 10
    assert sum(line["event"] == "order fill" for line in lines) == 1000


def test_touched_memory_keeps_what_it_holds() -> None:
    held = np.arange(5000, dtype=np.int64)
    records = np.zeros(3, np.dtype([("a", "<i8"), ("b", "<f8")]))
    records["b"] = 1.5
    fixed = np.zeros(10)
    fixed.flags.writeable = False
    assert touch(held, (records, (fixed,)), "no array", held[::2]) == held.nbytes + records.nbytes
    assert np.array_equal(held, np.arange(5000))
    assert (records["b"] == 1.5).all()
