"""`hftkit doctor`: each finding is seen on the real machine, each warning has a cure."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from hftkit.cli import doctor
from hftkit.cli.commands import doctor as command
from hftkit.compilation.kernel_programs import place_of
from hftkit.errors import HftkitError
from hftkit.kernels import bits, jit


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HFTKIT_CACHE", str(tmp_path))
    return tmp_path


def test_every_finding_has_a_subject_and_every_warning_a_cure() -> None:
    findings = doctor.examine()
    assert len({finding.subject for finding in findings}) == len(findings)
    assert all(finding.ok or finding.cure for finding in findings)
    assert {"python", "numba", "kernel cache", "stale caches", "cores", "clock", "loopback", "memory lock", "/dev/shm"} <= {
        f.subject for f in findings
    }


def test_this_test_run_has_its_extras() -> None:
    extras = {finding.subject: finding for finding in doctor.check_extras()}
    assert set(extras) == {"extra demo", "extra research", "extra dev"}
    assert all(finding.ok for finding in extras.values()), extras


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.installed
    monkeypatch.setattr(doctor, "installed", lambda package: None if package == "vectorbt" else real(package))
    research = next(finding for finding in doctor.check_extras() if finding.subject == "extra research")
    assert (research.ok, research.seen, research.cure) == (False, "lacks vectorbt", "pip install 'hftkit[research]'")


def test_an_empty_cache_asks_for_a_warmup_and_a_filled_one_does_not() -> None:
    finding = doctor.check_cache()
    assert (finding.ok, finding.cure) == (False, "run: hftkit warmup")
    (jit.cache_folder() / "kernel.nbi").write_bytes(b"x" * (1 << 20))
    assert doctor.check_cache().ok
    assert "1 kernels, 1.0 MiB" in doctor.check_cache().seen


def test_a_cache_folder_that_cannot_be_made_is_a_warning(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").write_text("")
    monkeypatch.setenv("HFTKIT_CACHE", str(cache / "file"))
    finding = doctor.check_cache()
    assert not finding.ok
    assert "HFTKIT_CACHE" in finding.cure


def test_clean_removes_only_caches_of_other_sources(cache: Path) -> None:
    current, stale = jit.cache_folder(), cache / "kernels" / "0123456789abcdef"
    for folder in (current, stale):
        folder.mkdir(parents=True)
        (folder / "kernel.nbi").write_bytes(b"x" * 1000)
    assert "1 folders" in doctor.check_stale_caches().seen
    done = CliRunner().invoke(command, ["--clean"], catch_exceptions=False)
    assert "removed stale kernel caches: 0.0 MB" in done.output
    assert (current.exists(), stale.exists()) == (True, False)


def test_kernels_of_sources_that_have_changed_are_stale(cache: Path) -> None:
    """hftkit's own are held against its sources; of a strategy of the user the latest is kept."""
    current = jit.cache_folder()
    now = place_of("hftkit.kernels.bits", Path(bits.__file__))
    for age, folder in enumerate((now, "hftkit.kernels.bits-0000000000000000", "mine-1111111111111111", "mine-2222222222222222")):
        (current / folder).mkdir(parents=True)
        os.utime(current / folder, (1_000_000 + age, 1_000_000 + age))
    assert [folder.name for folder in doctor.stale_caches()] == ["hftkit.kernels.bits-0000000000000000", "mine-1111111111111111"]


def test_one_core_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert not doctor.check_cores().ok


def test_no_loopback_is_fatal_and_fails_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "create_server", refuse)
    finding = doctor.check_loopback()
    assert (finding.ok, finding.fatal, finding.seen) == (False, True, "Operation not permitted")
    failed = CliRunner().invoke(command, [])
    assert isinstance(failed.exception, HftkitError)
    assert "FAIL loopback" in failed.output
    assert "cure: allow TCP on 127.0.0.1" in failed.output


def test_the_findings_can_be_read_by_a_program() -> None:
    done = CliRunner().invoke(command, ["--json"], catch_exceptions=False)
    rows = json.loads(done.stdout)
    assert {"subject", "ok", "seen", "cure", "fatal"} == set(rows[0])
    assert rows[0]["subject"] == "hftkit"
