"""What a recording has on disk is a whole gzip file after every write, whatever happens to the one who writes it."""

from __future__ import annotations

import errno
import gzip
import os
import stat
from pathlib import Path

import pytest

from hftkit.errors import ConfigError, DataError
from live.record.recorder import StreamRecorder
from live.record.recording_file import RecordingFile
from live.venues.binance.config import BinanceConfig


def test_lines_are_on_disk_after_a_second_as_whole_members(tmp_path: Path) -> None:
    file = RecordingFile(tmp_path, "AAAUSDT-1")
    for i in range(10):
        file.add(b"%d {}\n" % i)
    file.flush(100.0)
    assert gzip.decompress(file.path.read_bytes()).count(b"\n") == 10, "the first ones at once"
    file.add(b"10 {}\n")
    file.flush(100.5)
    assert gzip.decompress(file.path.read_bytes()).count(b"\n") == 10
    file.flush(101.0)
    assert gzip.decompress(file.path.read_bytes()).count(b"\n") == 11
    file.add(b"11 {}\n")
    file.close(101.1)
    file.close(101.1)
    assert gzip.decompress(file.path.read_bytes()) == b"".join(b"%d {}\n" % i for i in range(12))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_nothing_that_is_there_is_written_into(tmp_path: Path) -> None:
    (tmp_path / "AAAUSDT-1.jsonl.gz").write_bytes(b"somebody's")
    (tmp_path / "AAAUSDT-1-1.jsonl.gz").symlink_to(tmp_path / "elsewhere")
    file = RecordingFile(tmp_path, "AAAUSDT-1")
    file.add(b"1 {}\n")
    file.close(0.0)
    assert file.path.name == "AAAUSDT-1-2.jsonl.gz"
    assert (tmp_path / "AAAUSDT-1.jsonl.gz").read_bytes() == b"somebody's"
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_without_a_line_is_not_made(tmp_path: Path) -> None:
    RecordingFile(tmp_path, "AAAUSDT-1").close(0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_the_whole_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RecordingFile(tmp_path, "AAAUSDT-1")
    file.add(b"1 {}\n")
    file.flush(1.0)
    whole, write, calls = file.path.read_bytes(), os.write, []

    def full(fd: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            return write(fd, bytes(data[:7]))  # a part of it still fits
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file.add(b"2 {}\n" * 100)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DataError, match=r"cannot be written .*No space left on device.*was written until now is whole"):
        file.flush(2.5)
    assert file.path.read_bytes() == whole


@pytest.mark.parametrize("symbols", [[], [" "], ["../BTCUSDT"], ["BTC/USDT"], [""]])
def test_a_symbol_that_is_no_symbol_is_refused(tmp_path: Path, symbols: list[str]) -> None:
    with pytest.raises(ConfigError, match="cannot record"):
        StreamRecorder(BinanceConfig(), symbols, ["trade"], tmp_path, lambda event, **facts: None)
