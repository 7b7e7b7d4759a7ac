"""Honest signals pass the look-ahead check, leaky ones are caught with the first bar they used the future for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from hftkit.errors import DataError
from research.cli.lookahead_commands import check_lookahead as command
from research.data.data_loader import load_panel
from research.pairs.calibration import calibrate_pair
from research.pairs.costs import Costs
from research.pairs.lookahead import check_lookahead, load_signal
from research.pairs.strategy_optimizer import Grid
from research.pairs.walkforward import three_way

SAMPLE = Path("data/sample/1m")


@pytest.fixture
def prices() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    index = pd.date_range("2026-01-01", periods=400, freq="min", tz="UTC")
    return pd.DataFrame(100 * np.exp(np.cumsum(rng.normal(0, 1e-3, (400, 2)), axis=0)), index, ["A", "B"])


def _honest(data: pd.DataFrame) -> pd.Series:
    window = data["A"].rolling(20)
    return (data["A"] - window.mean()) / window.std()


LEAKS = {
    "whole sample": (lambda d: (d["A"] - d["A"].mean()) / d["A"].std(), 0),
    "shifted the wrong way": (lambda d: d["A"].shift(-1), None),
    "centred window": (lambda d: d["A"].rolling(11, center=True).mean(), None),
    "filled from the future": (lambda d: d["A"].where(d["A"] > d["A"].iloc[0]).bfill(), 0),
    "rank over everything": (lambda d: d["A"].rank(), 0),
}


def test_an_honest_signal_passes_whatever_it_returns(prices: pd.DataFrame) -> None:
    for signal in (
        _honest,
        lambda d: _honest(d).to_numpy(),
        lambda d: pd.DataFrame({"z": _honest(d), "long": _honest(d) > 1}),
        lambda d: np.where(_honest(d) > 1, "long", "flat").astype(object),
        lambda d: d.expanding().mean(),
    ):
        report = check_lookahead(signal, prices, cuts=40)
        assert report.honest
        assert report.cuts == 40
        assert report.first is None
        assert "no look-ahead" in str(report)


@pytest.mark.parametrize("kind", LEAKS)
def test_every_kind_of_leak_is_caught_with_its_first_bar(prices: pd.DataFrame, kind: str) -> None:
    signal, row = LEAKS[kind]
    report = check_lookahead(signal, prices, cuts=30, name=kind)
    assert not report.honest
    assert report.first in prices.index
    if row is not None:
        assert report.first <= report.leaks["cut"].iloc[0]
    assert kind in str(report)
    assert "looks ahead" in str(report)


def test_the_first_bar_is_the_one_that_really_changed(prices: pd.DataFrame) -> None:
    def knows_bar_250(data: pd.DataFrame) -> np.ndarray:
        values = np.zeros(len(data))
        if len(data) > 300:
            values[250] = data["A"].iloc[300]
        return values

    report = check_lookahead(knows_bar_250, prices, cuts=list(range(2, 400)))
    assert report.first == prices.index[250]
    assert len(report.leaks) == 50  # cuts 251..300 hold bar 250 but not bar 300
    assert report.leaks["cut"].iloc[0] == prices.index[250]


def test_minus_zero_and_the_last_bit_count(prices: pd.DataFrame) -> None:
    assert not check_lookahead(lambda d: np.full(len(d), 0.0 if len(d) == 400 else -0.0), prices).honest
    assert not check_lookahead(lambda d: np.full(len(d), 1.0 if len(d) == 400 else np.nextafter(1.0, 2)), prices).honest


def test_what_cannot_be_checked_is_refused(prices: pd.DataFrame) -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(DataError, match="twice on the same data"):
        check_lookahead(lambda d: rng.normal(size=len(d)), prices)
    with pytest.raises(DataError, match=r"returned \(399,\) values for 400 rows"):
        check_lookahead(lambda d: d["A"].diff().dropna(), prices)
    with pytest.raises(DataError, match="cuts must lie"):
        check_lookahead(_honest, prices, cuts=[400])
    with pytest.raises(DataError, match="too few"):
        check_lookahead(_honest, prices.iloc[:2])
    for where in ("zscore", "no.such.module:f", "nothere.py:f", "math:nothing"):
        with pytest.raises(DataError):
            load_signal(where)


def test_a_signal_that_spoils_its_data_cannot_spoil_ours(prices: pd.DataFrame) -> None:
    def spoils(data: pd.DataFrame) -> pd.Series:
        data.iloc[:, 0] = 0.0
        return data["B"]

    before = prices.copy()
    assert check_lookahead(spoils, prices, cuts=5).honest
    pd.testing.assert_frame_equal(prices, before)


def test_our_own_calibrated_rule_is_honest() -> None:
    panel = load_panel(SAMPLE, ["CHARUSD", "DELTUSD"])
    chosen = calibrate_pair(panel, "CHARUSD", "DELTUSD", three_way(len(panel.closes), embargo=60), Costs(), Grid(windows=(60, 120)), min_trades=1)
    assert check_lookahead(chosen.decisions, panel.closes, cuts=12, warmup=200).honest


def test_the_command_says_where_and_ends_with_status_1(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def good(closes):\n    return closes['CHARUSD'].rolling(30).mean()\n\n\n"
        "def bad(closes):\n    return closes['CHARUSD'] - closes['CHARUSD'].mean()\n"
    )
    runner = CliRunner()
    good = runner.invoke(command, [f"{file}:good", str(SAMPLE), "--cuts", "5"])
    assert (good.exit_code, "no look-ahead at 5 cuts" in good.output) == (0, True)
    bad = runner.invoke(command, [f"{file}:bad", str(SAMPLE), "--cuts", "5", "--json"])
    assert bad.exit_code == 1
    answer = json.loads(bad.stdout.splitlines()[-1])
    assert (answer["honest"], len(answer["leaks"])) == (False, 5)
