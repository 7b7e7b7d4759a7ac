"""The ledger of trials: looks are counted by the days' prices, the same trial is no second look, foreign and held files are refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

from hftkit.errors import DataError
from hftkit.params.format import load
from research.cli import commands
from research.data.data_loader import load_panel
from research.data.instruments import infer_instrument
from research.pairs.calibration import calibrate_pair
from research.pairs.costs import Costs
from research.pairs.freezing.pipeline import find_and_freeze
from research.pairs.freezing.reproduce import reproduce
from research.pairs.freezing.trial_ledger import TrialLedger, ledger_path, test_days, trial_of
from research.pairs.performance import Trials, deflated_sharpe
from research.pairs.strategy_optimizer import Grid, Thresholds
from research.pairs.walkforward import three_way

duckdb = pytest.importorskip("duckdb", reason="duckdb is in the research extra")
test_days.__test__ = False  # a name of the library, not a test
GRID = Grid(windows=(60, 120), entries=(1.5, 2.0), exits=(0.0,), stops=(5.0,))
OTHERS = [Thresholds(60, entry, 0.0, 5.0, 40) for entry in (1.0, 1.1, 1.2)]


@pytest.fixture(scope="module")
def panel(data_folder):
    return load_panel(data_folder)


@pytest.fixture(scope="module")
def instruments(panel):
    return {symbol: infer_instrument(symbol, panel.closes[symbol], taker_fee_ppm=50) for symbol in panel.closes}


@pytest.fixture(scope="module")
def calibration(panel):
    return calibrate_pair(panel, "A0USDT", "B0USDT", three_way(len(panel.closes), embargo=240), Costs(50.0), GRID, ticks=(1e-4, 1e-4))


@pytest.fixture
def ledger(tmp_path):
    return TrialLedger(tmp_path / "trials.duckdb", wait_s=0.2)


def test_each_other_trial_that_opened_the_span_counts_once(panel, calibration, ledger):
    trials = [calibration, *(calibration.with_rule(rule) for rule in OTHERS)]
    assert ledger.looks(panel, calibration) == 0
    ledger.note(panel, trials[3], "a")
    assert ledger.looks(panel, calibration) == 0  # noted, its test span closed
    assert [ledger.open(panel, one, "a") for one in trials[:3]] == [0, 1, 2]
    assert [ledger.open(panel, one, "b") for one in trials[:3]] == [0, 1, 2]  # the same again: no second look
    assert ledger.looks(panel, trials[3]) == 3
    assert ledger.open(panel, trials[3], "b") == 3
    table = ledger.table()
    assert len(table) == 4
    assert table["test_sharpe"].notna().all()
    assert set(table["made_by"]) == {"a"}


def test_a_span_is_known_by_its_prices(panel, calibration, ledger):
    """In a longer panel, for the other direction, under other names; other prices and other days are another span."""
    ledger.open(panel, calibration, "a")
    back = calibrate_pair(panel, "B0USDT", "A0USDT", calibration.split, Costs(50.0), GRID, ticks=(1e-4, 1e-4))
    assert ledger.looks(panel, back) == 1
    renamed = replace(panel, closes=panel.closes.rename(columns={"A0USDT": "X", "B0USDT": "Y"}))
    same = replace(calibration, lead="X", hedge="Y")
    assert trial_of(renamed, same) == trial_of(panel, calibration)
    assert ledger.looks(renamed, same) == 0  # itself
    later = replace(panel, closes=panel.closes.iloc[500:])
    shorter = calibrate_pair(later, "A0USDT", "B0USDT", three_way(3500, embargo=100), Costs(50.0), GRID, ticks=(1e-4, 1e-4))
    assert ledger.looks(later, shorter) == 1
    other = replace(panel, closes=panel.closes * 1.01)
    assert ledger.looks(other, calibration) == 0
    early = replace(calibration, split=replace(calibration.split, test=slice(0, 600)))
    assert not set(test_days(panel, early)) & set(test_days(panel, calibration))
    assert ledger.looks(panel, early) == 0


def test_a_frozen_file_says_how_often_its_span_was_looked_at(panel, instruments, calibration, ledger, data_folder, tmp_path):
    free = find_and_freeze(panel, instruments, tmp_path / "none", grid=GRID)
    assert load(free.path).provenance["test_span"] == {"looks_before": "not recorded"}
    first = find_and_freeze(panel, instruments, tmp_path / "one", grid=GRID, ledger=ledger)
    assert load(first.path).provenance["test_span"] == {"looks_before": 0}
    assert set(ledger.table()["lead"].str[1]) == {"0", "1"}  # the other candidate is noted, its span closed
    assert ledger.table()["opened_ns"].notna().sum() == 1
    again = find_and_freeze(panel, instruments, tmp_path / "two", grid=GRID, ledger=ledger)
    assert again.path.read_bytes() == first.path.read_bytes()
    other = find_and_freeze(panel, instruments, tmp_path / "three", grid=replace(GRID, max_holding_bars=60), ledger=ledger)
    seen = load(other.path).provenance
    assert seen["test_span"] == {"looks_before": 1}
    assert "was looked at by 1 other trials before" in seen["warnings"][0]
    net = other.chosen.test.frame["net"].to_numpy()
    assert float(seen["out_of_sample"]["deflated_sharpe"]) == deflated_sharpe(net, Trials(2, 1, 0.0, 0.0, net.size))
    made = reproduce(other.path, data_folder, tmp_path / "again")
    assert made.same
    assert "test_span.looks_before" in made.taken_over


def test_calibrate_opens_a_span_once(data_folder, tmp_path):
    def ask(*more):
        options = ["A0USDT", "B0USDT", str(data_folder), "--fee-ppm", "50", "--json", "--ledger", str(tmp_path / "t.duckdb"), *more]
        done = CliRunner().invoke(commands.calibrate, options)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return json.loads(done.stdout)

    assert ask()["test_span"] == "closed"
    assert ask("--open-test")["test_span"] == {"looks_before": 0}
    assert ask("--open-test")["test_span"] == {"looks_before": 0}
    with pytest.raises(DataError, match=r"the test span of A0USDT/B0USDT was opened by 1 other trials before"):
        ask("--slippage-bps", "1", "--open-test")
    assert ask("--slippage-bps", "1")["test_span"] == "closed"
    assert ask("--slippage-bps", "1", "--open-test", "--again")["test_span"] == {"looks_before": 1}
    assert ask("--slippage-bps", "2", "--open-test", "--no-ledger")["test_span"] == {"looks_before": "not recorded"}


def test_files_that_are_no_ledger_of_this_version_are_refused(panel, calibration, ledger, tmp_path):
    ledger.note(panel, calibration, "a")
    with duckdb.connect(str(ledger.path)) as connection:
        connection.execute("UPDATE ledger SET version = 7")
    with pytest.raises(DataError, match="has version 7, this hftkit reads 1"):
        ledger.note(panel, calibration, "a")
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE prices (x INTEGER)")
    with pytest.raises(DataError, match="is a database of something else"):
        TrialLedger(other).note(panel, calibration, "a")
    text = tmp_path / "text.duckdb"
    text.write_text("not a database, by any means" * 400)
    with pytest.raises(DataError, match="is no ledger of trials"):
        TrialLedger(text).note(panel, calibration, "a")


def test_another_writer_is_waited_for_and_then_named(panel, calibration, ledger):
    ledger.note(panel, calibration, "a")
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", code, str(ledger.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DataError, match=r"another process has held the ledger of trials .* for 0\.2 s"):
            ledger.note(panel, calibration, "a")
    finally:
        holder.communicate("", timeout=30)
    assert ledger.open(panel, calibration, "a") == 0


def test_where_the_ledger_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HFTKIT_TRIALS", str(tmp_path / "team.duckdb"))
    assert ledger_path() == tmp_path / "team.duckdb"
    assert ledger_path(tmp_path / "mine.duckdb") == tmp_path / "mine.duckdb"
    monkeypatch.delenv("HFTKIT_TRIALS")
    assert str(ledger_path()) == "data/trials.duckdb"
