"""Which sessions are removed, and what of them: finished ones of ours, and only the files that hftkit writes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hftkit.cli.journal_commands import journals
from hftkit.codes import RecordType
from hftkit.errors import ConfigError
from hftkit.session.journal import JournalWriter, segment_path
from hftkit.session.sessions import find_sessions, look_at_session, prune_at_start, remove_session, to_prune

DAY = 86400
NOW = 1_800_000_000


def session(root: Path, name: str, days: float = 0.0, ended: bool = True, records: int = 3) -> Path:
    writer = JournalWriter(root / name, 1, 1, 65536)
    for i in range(records):
        writer.append(RecordType.TIMER_IN, i, np.zeros(1, np.int64))
    if ended:
        writer.append(RecordType.SESSION_END, 9, np.array([1, 2, 3, -4], np.int64))
        writer.close()
    (root / name / "session.log").write_text("{}\n")
    for path in (root / name).iterdir():
        os.utime(path, (NOW - days * DAY, NOW - days * DAY))
    return root / name


@pytest.mark.parametrize("records", [0, 1, 7, 500, 1633, 3000])
def test_the_end_record_is_found_wherever_it_lies(tmp_path: Path, records: int) -> None:
    found = look_at_session(session(tmp_path, "a", records=records))
    assert found is not None
    assert found.finished
    running = look_at_session(session(tmp_path, "b", ended=False, records=records))
    assert running is not None
    assert not running.finished
    assert running.size == sum(path.stat().st_size for path in (tmp_path / "b").iterdir())


def test_a_prepared_segment_behind_the_end_changes_nothing(tmp_path: Path) -> None:
    folder = session(tmp_path, "a")
    segment_path(folder, 2).write_bytes(bytes(65536))
    assert look_at_session(folder).finished  # type: ignore[union-attr]


def test_by_age_and_by_size_the_oldest_first_and_unfinished_ones_never(tmp_path: Path) -> None:
    for name, days, ended in (("old", 40, True), ("crashed", 50, False), ("week", 7, True), ("new", 1, True)):
        session(tmp_path, name, days, ended)
    found = find_sessions(tmp_path)
    assert [one.path.name for one in found] == ["crashed", "old", "week", "new"]
    names = lambda gone: [one.path.name for one in gone]  # noqa: E731
    assert names(to_prune(found, NOW, 30, 0)) == ["old"]
    assert names(to_prune(found, NOW, 30, 0, force=True)) == ["crashed", "old"]
    assert names(to_prune(found, NOW, 0, 0)) == []
    total = sum(one.size for one in found) / 1e9
    assert names(to_prune(found, NOW, 0, total)) == []
    assert names(to_prune(found, NOW, 0, total - 1e-9)) == ["old"]
    assert names(to_prune(found, NOW, 0, 1e-9)) == ["old", "week", "new"]
    assert names(to_prune(found, NOW, 5, 1e-9)) == ["old", "week", "new"]


def test_what_is_not_ours_is_no_session_and_stays(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "segment-000001.hftj").write_bytes(b"something else" * 100)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    real = session(tmp_path / "elsewhere", "s")
    (tmp_path / "link").symlink_to(real)
    assert find_sessions(tmp_path) == []
    assert look_at_session(tmp_path / "link") is None
    (tmp_path / "fifo").mkdir()
    os.mkfifo(tmp_path / "fifo" / "segment-000001.hftj")
    assert look_at_session(tmp_path / "fifo") is None


def test_only_our_files_go_and_links_are_not_followed(tmp_path: Path) -> None:
    folder = session(tmp_path, "a")
    (tmp_path / "precious").write_text("keep")
    (folder / "notes.txt").write_text("mine")
    (folder / "result.json").symlink_to(tmp_path / "precious")
    (folder / "session.log.1").write_text("{}\n")
    found = look_at_session(folder)
    assert found is not None
    freed, stays = remove_session(found)
    assert stays == ["notes.txt", "result.json"]
    assert sorted(path.name for path in folder.iterdir()) == stays
    assert freed > 0
    assert (tmp_path / "precious").read_text() == "keep"
    clean = look_at_session(session(tmp_path, "b"))
    assert clean is not None
    assert remove_session(clean)[1] == []
    assert not (tmp_path / "b").exists()


def test_at_start_nothing_goes_unless_asked_and_what_goes_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    session(tmp_path, "old", 20_000)
    session(tmp_path, "crashed", 20_000, ended=False)
    prune_at_start(tmp_path, 0.0, 0.0, lambda event, **facts: said.append(event))
    assert said == []
    assert (tmp_path / "old").exists()
    prune_at_start(tmp_path, 30.0, 0.0, lambda event, **facts: said.append(f"{event} {Path(facts['folder']).name}"))
    assert said == ["session_removed old"]
    assert (tmp_path / "crashed").exists()
    prune_at_start(tmp_path / "none", 30.0, 1.0, lambda event, **facts: said.append(event))
    assert len(said) == 1


def test_the_command_says_what_it_does_and_wants_a_limit(tmp_path: Path) -> None:
    session(tmp_path, "old", 20_000)
    session(tmp_path, "crashed", 20_000, ended=False)
    run = CliRunner()
    with pytest.raises(ConfigError, match="which sessions may go"):
        run.invoke(journals, ["prune", str(tmp_path)], catch_exceptions=False)
    would = run.invoke(journals, ["prune", str(tmp_path), "--keep-days", "30", "--dry-run"], catch_exceptions=False).stdout
    assert "would remove" in would
    assert (tmp_path / "old").exists()
    done = run.invoke(journals, ["prune", str(tmp_path), "--keep-days", "30"], catch_exceptions=False).stdout
    assert "1 of 2 sessions" in done
    assert "1 without an end record are left" in done
    assert not (tmp_path / "old").exists()
    assert "no end record" in run.invoke(journals, ["list", str(tmp_path)], catch_exceptions=False).stdout
