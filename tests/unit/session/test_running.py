"""The list of what runs: private files, believed only where pid and start agree, hostile files passed over, sessions found by what people type."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from hftkit.errors import HftkitError
from hftkit.session.control import ControlPage
from hftkit.session.find_session import find_session, find_simulator, sessions
from hftkit.session.running import MAX_BYTES, Running, forget, listed, register, state_folder
from hftkit.system.process_id import own_process_id


@pytest.fixture(autouse=True)
def own_list(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def entry(kind: str = "live", **changes: object) -> Running:
    body = {"kind": kind, "process": own_process_id(), "started_unix_ns": 1, "name": "a", "folder": "/nowhere/a"}
    return Running(**{**body, **changes})  # type: ignore[arg-type]


def dead() -> object:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return msgspec.structs.replace(own_process_id(), pid=child.pid)


def test_a_process_is_listed_from_start_to_end_and_privately(tmp_path):
    old = os.umask(0)
    try:
        registration = register("live", tmp_path / "j" / "one", name="one", account=3, venue="v", config="live.toml")
    finally:
        os.umask(old)
    (path,) = state_folder().glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    (found,) = listed("live")
    assert (found.name, found.account, found.folder, found.alive) == ("one", 3, str(tmp_path / "j" / "one"), True)
    assert listed("sim") == []
    registration.close()
    registration.close()
    assert listed() == []


def test_a_recycled_pid_and_another_boot_are_not_alive(tmp_path):
    me = own_process_id()
    assert entry().alive
    assert not entry(process=msgspec.structs.replace(me, started=me.started - 1)).alive
    assert not entry(process=msgspec.structs.replace(me, boot="another")).alive
    assert not entry(process=dead()).alive


def test_a_folder_that_cannot_be_written_is_no_reason_not_to_trade(tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    registration = register("live", tmp_path, name="one")
    assert "not listed" in registration.problem
    registration.close()
    assert listed() == []


def test_what_is_not_ours_is_passed_over(tmp_path):
    register("live", tmp_path / "one", name="one")
    folder = state_folder()
    (folder / "junk.json").write_text("{")
    (folder / "list.json").write_text("[1]")
    (folder / "types.json").write_text('{"kind": "live", "process": {"pid": "x"}}')
    (folder / "large.json").write_bytes(b" " * (MAX_BYTES + 1))
    (folder / "link.json").symlink_to(next(folder.glob("live-*.json")))
    os.mkfifo(folder / "fifo.json")
    (folder / "dir.json").mkdir()
    assert [running.name for running in listed()] == ["one"]


def test_a_killed_session_stays_listed_until_it_is_forgotten(tmp_path, monkeypatch):
    registration = register("live", tmp_path / "one", name="one")
    killed = msgspec.structs.replace(registration.running, process=dead())
    registration.close()
    (state_folder() / f"live-{killed.process.pid}-{killed.process.started}.json").write_bytes(msgspec.json.encode(killed))
    (found,) = sessions()
    assert (found.name, found.process) == ("one", None)
    with pytest.raises(HftkitError, match="no session runs"):
        find_session(None)
    assert find_session("one").process is None
    forget(killed)
    assert listed() == []


def test_a_session_is_found_by_what_people_type(tmp_path):
    journals = tmp_path / "journals"
    for name in ("one", "two"):
        ControlPage.create(journals / name / "control.page")
    register("live", journals / "one", name="one")
    here = own_process_id()
    for typed in ("one", journals / "one", journals / "one" / "control.page", None):
        found = find_session(typed)
        assert (found.folder, found.process.pid) == (journals / "one", here.pid)
    assert find_session("two", journals).process.pid == here.pid  # not listed: by the owner of its page
    with pytest.raises(HftkitError, match="2 sessions run: one, two"):
        find_session(None, journals)
    for typed in ("three", "../one", "a\0b", "x" * 5000):
        with pytest.raises(HftkitError) as refused:
            find_session(typed, journals)
        assert "\n" not in str(refused.value)


def test_a_simulator_is_found_by_its_ready_file(tmp_path):
    register("sim", tmp_path, name="sim.json", ready_file=str(tmp_path / "sim.json"))
    assert find_simulator(None).process == own_process_id()
    assert find_simulator(tmp_path / "sim.json").process.pid == os.getpid()
    with pytest.raises(HftkitError, match="no simulator runs"):
        find_simulator(tmp_path / "other.json")
