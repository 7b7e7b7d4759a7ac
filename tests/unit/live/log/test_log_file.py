"""A log that no failure ends: the kernel's own refusals (a full device, a limit on file size) are the failures."""

from __future__ import annotations

import json
import os
import resource
import threading

import numpy as np
import pytest

from live.ending import failpoints
from live.ending.faults import Faults
from live.log.log import SessionLog
from live.log.log_file import LogFile


@pytest.fixture
def small_files():
    """Files of this process may not grow beyond 4 KiB: what a full disk does, with a part of a line written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(n_bytes=4096):
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_lines_of_a_full_disk_are_kept_told_and_written_whole_once_there_is_room(tmp_path, small_files, capsys):
    log = SessionLog(tmp_path / "session.log")
    small_files()
    for number in range(200):
        log.event(f"line {number}", number=number)
    assert log.failing
    assert not log.flush()
    told = capsys.readouterr().err.splitlines()
    small_files(resource.RLIM_INFINITY)
    assert log.flush()
    assert not log.failing
    log.event("line", number=200)
    log.close()
    written = [json.loads(line)["number"] for line in (tmp_path / "session.log").read_text().splitlines()]
    assert written == list(range(201))
    assert 0 < len(told) < 200
    assert json.loads(told[-1])["number"] == 199


def test_memory_is_bounded_and_what_it_had_no_room_for_is_counted(tmp_path, small_files):
    log = LogFile(tmp_path / "log", most_lines=10)
    small_files(1)
    for number in range(30):
        log.write(f"{number}\n")
    small_files(resource.RLIM_INFINITY)
    assert log.flush()
    log.close()
    assert log.n_dropped == 20
    assert (tmp_path / "log").read_text().splitlines() == [str(number) for number in range(20, 30)]


@pytest.mark.parametrize("room", [1, 100, 4096])
def test_a_log_that_ends_on_a_full_disk_holds_whole_lines(tmp_path, small_files, room):
    log = SessionLog(tmp_path / "session.log")
    small_files(room)
    for number in range(200):
        log.event(f"line {number}", number=number)
    log.close()
    text = (tmp_path / "session.log").read_text()
    written = [json.loads(line)["number"] for line in text.splitlines()]
    assert written == list(range(len(written)))
    assert text == "" or text.endswith("\n")


def test_a_device_that_is_full_a_closed_file_and_a_fact_that_cannot_be_rendered_raise_nothing(tmp_path, capsys):
    os.symlink("/dev/full", tmp_path / "full")
    with pytest.raises(OSError, match="symbolic"):
        LogFile(tmp_path / "full")  # never through a link
    log = SessionLog(tmp_path / "session.log")

    class Bad:
        def __repr__(self):
            raise ValueError("no")

    log.event("bad", fact=Bad())
    log.event("good")
    log.close()
    log.event("late")
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "session.log").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["bad", "good"]
    assert lines[0]["facts"] == ["fact"]
    assert "late" in capsys.readouterr().err


def test_threads_write_whole_lines(tmp_path):
    log = LogFile(tmp_path / "log")
    threads = [threading.Thread(target=lambda n=n: [log.write(f"{n} {'x' * 300}\n") for _ in range(200)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 800
    assert all(line[2:] == "x" * 300 for line in lines)


def test_each_part_is_run_apart_and_the_first_failure_of_each_is_told_once():
    said, alerts = [], []
    faults = Faults(lambda event, **facts: said.append((event, facts["part"])), alerts.append)

    def fail(error):
        raise error

    assert faults.guard("a", lambda: None)
    assert not faults.guard("b", lambda: fail(OSError("disk")))
    assert not faults.guard("b", lambda: fail(OSError("disk")))
    assert not faults.guard("c", lambda: fail(SystemExit("library")))
    assert faults.counts() == {"b": 2, "c": 1}
    assert said == [("fault", "b"), ("fault", "c")]
    assert len(alerts) == 2
    assert faults.first == "b failed (OSError: disk)"


def test_a_failpoint_works_as_often_as_it_is_told_and_then_fails_for_good():
    faults = Faults(lambda event, **facts: None, lambda line: None)
    try:
        failpoints.arm("notes,2")
        assert [faults.guard("notes", lambda: None) for _ in range(4)] == [True, True, False, False]
        assert faults.guard("signals", lambda: None)
        failpoints.arm("signals,0,exit")
        assert not faults.guard("signals", lambda: None)
        assert "SystemExit" in str(faults.first) or faults.counts() == {"notes": 2, "signals": 1}
        for wrong in ("nothing", "notes,x", "notes,1,perhaps"):
            with pytest.raises(Exception, match="failpoint"):
                failpoints.arm(wrong)
    finally:
        failpoints.arm("")


def test_a_note_of_the_hot_thread_that_cannot_be_written_raises_nothing(tmp_path, small_files):
    log = SessionLog(tmp_path / "session.log")
    small_files(1)
    log.note(np.zeros(18, np.int64))
    assert log.failing
