"""A strategy that is no pair: frozen with parameters of one's own, traded over candles; the money against a plain sum."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from hftkit.errors import DataError, ParamsError
from hftkit.params.format import load
from hftkit.params.text import describe
from research.backtest.event_backtest import backtest_bars
from research.cli.backtest_commands import backtest
from research.cli.commands import freeze
from research.data.data_loader import load_panel
from research.data.instruments import find_scales
from research.pairs.freezing.freeze import Execution
from research.pairs.freezing.freeze_strategy import BY_HAND, freeze_strategy
from research.report.tear_sheet import figures_of


@pytest.fixture(scope="module")
def panel(data_folder):
    return load_panel(data_folder)


@pytest.fixture(scope="module")
def scales(panel, data_folder):
    return find_scales(data_folder, panel.closes)


@pytest.fixture(scope="module")
def single(panel, scales, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    return freeze_strategy(panel, scales, "fixed_target", "W0USDT", values={"target": "1"}, folder=folder, execution=Execution(unit_notional=500.0))


def test_the_file_says_what_it_is(single, panel):
    frozen = load(single)
    (instrument,) = frozen.instruments
    assert (frozen.strategy, frozen.legs.hedge, frozen.legs.unit_hedge_lots, frozen.parameters) == ("fixed_target", "", 0, {"target": 1})
    assert frozen.legs.unit_lead_lots * float(instrument.lot_size) * panel.closes["W0USDT"].iloc[-1] == pytest.approx(500, rel=0.01)
    assert frozen.provenance["warnings"] == [BY_HAND]
    assert set(frozen.provenance["guessed"]["W0USDT"]) == {"tick_size", "lot_size", "min_notional", "maker_fee_ppm", "taker_fee_ppm"}
    assert BY_HAND in describe(frozen)
    assert "no venue has told them" in describe(frozen)


def test_it_trades_over_candles_as_a_plain_sum_says(single, panel):
    """Bought at the first ask, held: the last mid against what was paid, less one fee."""
    frozen, closes = load(single), panel.closes[["W0USDT"]]
    run = backtest_bars(frozen, closes)
    (instrument,) = frozen.instruments
    qty, tick = frozen.legs.unit_lead_lots * float(instrument.lot_size), float(instrument.tick_size)
    paid = closes["W0USDT"].iloc[0] + tick
    expected = qty * (closes["W0USDT"].iloc[-1] - paid) - qty * paid * instrument.taker_fee_ppm * 1e-6
    assert len(run.fills) == 1
    assert run.bars["equity"].iloc[-1] == pytest.approx(expected, abs=1e-4)
    assert (run.bars["target"] == 1).all()
    assert figures_of(run)["turnover"] == pytest.approx(1.0, rel=1e-4)


def test_the_commands_go_the_same_way(data_folder, tmp_path):
    frozen = CliRunner().invoke(
        freeze, [str(data_folder), "--strategy", "fixed_target", "--lead", "W0USDT", "--set", "target=-1", "--out", str(tmp_path)]
    )
    assert frozen.exit_code == 0, frozen.output
    (path,) = tmp_path.glob("fixed-target-w0usdt-*.json")
    done = CliRunner().invoke(backtest, [str(path), str(data_folder), "--start", "2026-01-06"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "1 orders, 1 fills" in done.output
    with pytest.raises(DataError, match="'yesterday' is no date"):
        CliRunner().invoke(backtest, [str(path), str(data_folder), "--start", "yesterday"], catch_exceptions=False)


def test_what_is_missing_or_unknown_is_named(panel, scales, tmp_path):
    with pytest.raises(ParamsError, match=r"needs target\. --set target="):
        freeze_strategy(panel, scales, "fixed_target", "W0USDT", folder=tmp_path)
    with pytest.raises(ParamsError, match="has no parameter colour"):
        freeze_strategy(panel, scales, "fixed_target", "W0USDT", values={"target": "1", "colour": "2"}, folder=tmp_path)
    with pytest.raises(ParamsError, match="parameter"):
        freeze_strategy(panel, scales, "fixed_target", "W0USDT", values={"target": "7"}, folder=tmp_path)
    with pytest.raises(DataError, match="no prices of NOPE"):
        freeze_strategy(panel, scales, "fixed_target", "NOPE", values={"target": "1"}, folder=tmp_path)
    with pytest.raises(ParamsError, match=r"there is no strategy .nothing."):
        freeze_strategy(panel, scales, "nothing", "W0USDT", folder=tmp_path)
