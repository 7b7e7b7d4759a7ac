"""The tear sheet: one file that needs nothing else, costs that add up, and the command that writes it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from hftkit.params import format as params
from research.backtest.event_backtest import PairBacktest, backtest_bars
from research.cli.backtest_commands import backtest as command
from research.report.tear_sheet import calendar_figure, cost_split, figures_of, write_tear_sheet
from tests.unit.research.backtest.test_event_backtest import RULE, frozen_pair


@pytest.fixture(scope="module")
def run(prices) -> PairBacktest:
    return backtest_bars(frozen_pair(RULE), prices, half_spread_ticks=(2, 2))


def test_one_file_with_everything(run, tmp_path):
    text = write_tear_sheet(run, tmp_path / "deep" / "sheet.html").read_text()
    assert text.count("data:image/png;base64,") == 3
    assert "http" not in text
    assert text.count("the spread</td>") == len(run.trades)
    assert f"{figures_of(run)['sharpe']:.2f}" in text


def test_costs_add_up(run):
    split = cost_split(run)
    assert split["gross"] == pytest.approx(split["fees"] + split["crossing"] + split["net"])
    assert split["net"] == pytest.approx(run.engine.net_e8 / 1e8, abs=1e-6)
    closed = run.trades["net"].sum()
    assert closed == pytest.approx(run.trades["gross"].sum() - run.trades.loc[run.trades["net"].notna(), "fees"].sum())


def test_calendar_holds_every_return(run):
    cells = calendar_figure(run).axes[0].images[0].get_array()
    assert np.ma.filled(np.ma.masked_invalid(cells), 0.0).sum() == pytest.approx(run.returns.sum())


def test_command(data_folder, tmp_path):
    path = params.freeze(frozen_pair(RULE), tmp_path)
    arguments = [str(path), str(data_folder), "--end", "2026-01-06", "--report", str(tmp_path / "sheet.html"), "--json"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    body = json.loads(result.stdout)
    assert body["bars"] == 1440
    assert body["orders"] > 50
    assert (tmp_path / "sheet.html").stat().st_size > 50_000
    other = params.freeze(frozen_pair(RULE.__class__(60, 1.5, 0.25, 3.0, 25)), tmp_path)
    assert CliRunner().invoke(command, [str(other), str(data_folder), "--start", "2030-01-01"]).exit_code != 0
