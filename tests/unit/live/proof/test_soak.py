"""`hftkit soak` (live/proof/soak.py): growth is told from what only warms up; a short soak of real processes."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from hftkit.errors import HftkitError
from live.proof.commands import soak as command
from live.proof.soak import Process, Sample, Soak, growth, held_by, soak
from tests.faults.binance_drill import CONFIG, frozen_file


def samples(memory: list[float], descriptors: list[int]) -> tuple[Sample, ...]:
    still = Process(50.0, 9, 2)
    return tuple(Sample(360.0 * k, Process(rss, n, 4), still, k, 0, 0) for k, (rss, n) in enumerate(zip(memory, descriptors, strict=True)))


def test_memory_that_grows_is_a_slope_and_what_warms_up_is_not() -> None:
    found = growth(samples([80.0] + [100.0 + 2.0 * k for k in range(10)], [20, *range(30, 40)]), lambda sample: sample.engine)
    assert found.rss_mb_per_hour == pytest.approx(20.0)
    assert (found.rss_mb_first, found.rss_mb_last, found.descriptors_first, found.descriptors_last) == (100.0, 118.0, 30, 39)
    flat = growth(samples([80.0] + [100.0] * 10, [20] * 11), lambda sample: sample.engine)
    assert (flat.rss_mb_per_hour, flat.rss_mb_most, flat.threads_last) == (pytest.approx(0.0, abs=1e-9), 100.0, 4)


def test_a_process_is_looked_at_in_proc() -> None:
    before = held_by(os.getpid())
    with open("/dev/null"), open("/dev/null"):
        within = held_by(os.getpid())
    assert within.descriptors == before.descriptors + 2
    assert 10.0 < before.rss_mb < 10_000.0
    with pytest.raises(HftkitError, match="cannot be looked at"):
        held_by(2**22 + 1)


def test_a_folder_in_use_and_a_dialect_without_its_configuration_are_refused(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("")
    with pytest.raises(HftkitError, match="is not empty"):
        soak(tmp_path / "none.json", tmp_path, 1.0)
    with pytest.raises(HftkitError, match="needs a configuration"):
        soak(tmp_path / "none.json", tmp_path / "new", 1.0, dialect="binance")


def test_a_short_soak_of_real_processes(tmp_path: Path) -> None:
    """Some seconds of trading against the simulator: what it did, what both held, and the replay."""
    (tmp_path / "frozen").mkdir()
    params = frozen_file(tmp_path / "frozen")
    config = tmp_path / "live.toml"
    config.write_text(CONFIG.format(extra="reconcile_s = 1.0"))
    options = ["--params", str(params), "--hours", "0.003", "--dialect", "binance", "--sim-config", "binance", "--config", str(config)]
    options += ["--every", "0.5", "--verify", "--json", str(tmp_path / "soak.json")]
    done = CliRunner().invoke(command, options, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "replay: identical" in done.output
    report = msgspec.json.decode((tmp_path / "soak.json").read_bytes(), type=Soak)
    assert report.exit_code == 0
    assert report.replay_identical
    assert report.orders > 0, "some orders are filled in several parts: fills may be more"
    assert report.journal_mb > 0.0
    assert len(report.samples) >= 4
    assert [sample.messages for sample in report.samples] == sorted(sample.messages for sample in report.samples)
    assert min(report.engine.descriptors_last, report.venue.descriptors_last) > 5
