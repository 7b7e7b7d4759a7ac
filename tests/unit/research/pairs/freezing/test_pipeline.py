"""From candle files to a frozen file that live trading accepts: truth found, same bytes, refusals, figures that draw."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError, ParamsError
from hftkit.instruments import Instrument
from hftkit.params.format import load
from hftkit.strategies import pairs
from hftkit.strategies.pairs import PairsParams, pack_state
from research.data.data_loader import load_panel
from research.data.instruments import GUESSED, find_instruments, infer_instrument
from research.pairs.freezing.freeze import Execution
from research.pairs.freezing.pipeline import find_and_freeze
from research.pairs.performance import bootstrap_band
from research.pairs.strategy_optimizer import Grid
from research.report import figures
from research.stats.cointegration import engle_granger
from research.stats.discovery.prefilter import Prefilter
from research.stats.unit_root import dickey_fuller
from tests.unit.research.synthetic_market import candles_of

GRID = Grid(windows=(60, 120), entries=(1.5, 2.0), exits=(0.0,), stops=(5.0,))


@pytest.fixture(scope="module")
def panel(data_folder):
    return load_panel(data_folder)


@pytest.fixture(scope="module")
def instruments(panel):
    return {symbol: infer_instrument(symbol, panel.closes[symbol], taker_fee_ppm=50) for symbol in panel.closes}


@pytest.fixture(scope="module")
def result(panel, instruments, tmp_path_factory):
    return find_and_freeze(panel, instruments, tmp_path_factory.mktemp("frozen"), grid=GRID)


def test_the_true_pairs_are_found(result):
    assert {frozenset(pair) for pair in zip(result.found["lead"], result.found["hedge"], strict=True)} == {
        frozenset({"A0USDT", "B0USDT"}),
        frozenset({"A1USDT", "B1USDT"}),
    }
    assert [line for line in result.warnings if "hardly ever seen in a real market" not in line] == []


def test_the_frozen_file_is_what_was_calibrated(result, panel):
    frozen, chosen = load(result.path), result.chosen
    values = PairsParams(**{key: float(value) if isinstance(value, str) else value for key, value in frozen.parameters.items()})
    assert values.hedge_ratio == chosen.hedge_ratio
    assert (values.window, values.entry_z, values.bar_ns) == (chosen.sweep.chosen.window, chosen.sweep.chosen.entry_z, panel.bar_ns)
    assert values.tail_end_ns == frozen.valid_from_ns == panel.end_ns
    np.testing.assert_array_equal(frozen.array("spread_tail"), chosen.bars.spread[-values.window :])
    assert np.isin(frozen.array("spread_tail"), pack_state(frozen)).all()
    by_symbol = {instrument.symbol: instrument for instrument in frozen.instruments}
    lead_value = frozen.legs.unit_lead_lots * float(by_symbol[chosen.lead].lot_size) * panel.closes[chosen.lead].iloc[-1]
    assert frozen.legs.unit_hedge_lots < 0 < frozen.legs.unit_lead_lots  # sold when the lead is bought
    hedge_value = -frozen.legs.unit_hedge_lots * float(by_symbol[chosen.hedge].lot_size) * panel.closes[chosen.hedge].iloc[-1]
    assert lead_value == pytest.approx(1000, rel=0.01)
    assert hedge_value == pytest.approx(1000 * chosen.hedge_ratio, rel=0.01)


def test_the_birth_certificate_is_complete(result, panel):
    provenance = load(result.path).provenance
    digests = {row["symbol"]: row["sha256"] for row in provenance["data"]}
    assert digests == {file.symbol: file.sha256 for file in panel.files if file.symbol in digests}
    assert provenance["search"]["pairs_tested"] == 42
    assert float(provenance["search"]["q_value"]) < 0.05
    assert float(provenance["out_of_sample"]["net"]) == result.chosen.test.net
    assert set(provenance) >= {"code", "costs", "spans", "engle_granger", "calibration", "embargo_bars", "data_decisions", "seeds", "made_by"}
    versions = {"python", "hftkit", "numba", "numpy", "pandas", "pyarrow", "scipy", "statsmodels"}
    assert set(provenance["code"]) - {"commit"} == versions | {"kernels_sha256", "research_sha256"}
    assert provenance["made_by"] == "research.pipeline.find_and_freeze"
    row = result.scan[(result.scan["lead"] == result.chosen.lead) & (result.scan["hedge"] == result.chosen.hedge)].iloc[0]
    for key, column in (("q_value", "q_bh"), ("q_by", "q_by"), ("q_bonferroni", "q_bonferroni")):
        assert float(provenance["search"][key]) == row[column]


def test_the_band_of_the_out_of_sample_result_is_the_bootstrap_of_its_returns(result):
    seen = load(result.path).provenance["out_of_sample"]
    band, returns = seen["confidence"], result.chosen.test.frame["net"].to_numpy()
    expected = bootstrap_band(
        returns, np.sum, block=float(band["mean_block_bars"]), draws=band["draws"], level=float(band["level"]), seed=band["seed"]
    )
    assert (float(band["net"]["low"]), float(band["net"]["high"])) == pytest.approx(expected)
    assert float(band["net"]["low"]) < float(seen["net"]) < float(band["net"]["high"])
    assert float(band["sharpe"]["low"]) < float(seen["sharpe"]) < float(band["sharpe"]["high"])


def test_what_was_left_out_beforehand_is_counted(panel, instruments, tmp_path):
    found = find_and_freeze(panel, instruments, tmp_path, grid=GRID, prefilter=Prefilter(min_correlation=0.3), made_by="notebooks/x.ipynb")
    birth = load(found.path).provenance
    assert birth["made_by"] == "notebooks/x.ipynb"
    assert birth["search"]["pairs_tested"] + birth["search"]["not_tested"]["correlation below the filter"] == 42
    assert birth["search"]["pairs_tested"] < 42


def test_a_pair_of_levels_is_found_calibrated_and_frozen(panel, instruments, tmp_path, result):
    """Scan, spread, ratio and tail are of prices; a unit is worth what the quantities are at the last close; the file of logs says nothing of it."""
    found = find_and_freeze(panel, instruments, tmp_path, grid=GRID, log=False)
    chosen, frozen = found.chosen, load(found.path)
    lead, hedge = panel.closes[chosen.lead], panel.closes[chosen.hedge]
    assert frozen.parameters["spread"] == "levels"
    assert "spread" not in load(result.path).parameters
    train = chosen.split.train
    assert chosen.test_of_train.statistic == engle_granger(lead.iloc[train], hedge.iloc[train]).statistic
    spread = lead - float(frozen.parameters["hedge_ratio"]) * hedge
    tail = frozen.array("spread_tail")
    np.testing.assert_allclose(tail, spread.iloc[-tail.size :], rtol=1e-9)
    assert pack_state(frozen)[pairs.MEAN] == pytest.approx(spread.iloc[-int(frozen.parameters["window"]) :].mean())
    by_symbol = {one.symbol: one for one in frozen.instruments}
    lots = {chosen.lead: frozen.legs.unit_lead_lots, chosen.hedge: -frozen.legs.unit_hedge_lots}
    quantities = [lots[symbol] * float(by_symbol[symbol].lot_size) for symbol in (chosen.lead, chosen.hedge)]
    assert quantities[1] / quantities[0] == pytest.approx(chosen.hedge_ratio, rel=0.01)
    again = chosen.confirmation()
    part = chosen.split.validation
    assert next(iter(again)).pvalue == dickey_fuller(lead.iloc[part] - chosen.hedge_ratio * hedge.iloc[part]).pvalue_deciding
    assert (chosen.decisions(panel.closes.iloc[:3000]) == chosen.decisions(panel.closes)[:3000]).all()


def test_same_inputs_same_bytes(result, panel, instruments, tmp_path):
    again = find_and_freeze(panel, instruments, tmp_path, grid=GRID)
    assert again.path.name == result.path.name
    assert again.path.read_bytes() == result.path.read_bytes()


def test_one_pair_may_be_asked_for(panel, instruments, tmp_path):
    chosen = find_and_freeze(panel, instruments, tmp_path, grid=GRID, pair=("B1USDT", "A1USDT")).chosen
    assert (chosen.lead, chosen.hedge) == ("B1USDT", "A1USDT")
    with pytest.raises(DataError, match="W0USDT/W1USDT is no tradable discovery among 42 tested"):
        find_and_freeze(panel, instruments, tmp_path, grid=GRID, pair=("W0USDT", "W1USDT"))


def test_random_walks_are_not_traded_unless_one_insists(prices, tmp_path):
    for symbol in ("W0USDT", "W1USDT", "W2USDT"):
        candles_of(prices[symbol]).to_parquet(tmp_path / f"{symbol}.parquet")
    panel = load_panel(tmp_path)
    instruments, from_venue = find_instruments(tmp_path, panel.closes)
    assert not from_venue
    with pytest.raises(DataError, match=r"no tradable pair among.*--insist"):
        find_and_freeze(panel, instruments, tmp_path / "frozen", grid=GRID)
    insisted = find_and_freeze(panel, instruments, tmp_path / "frozen", grid=GRID, insist=True, p_values="asymptotic")
    assert "asymptotic p-values" in insisted.warnings[0]
    assert "chance" in insisted.warnings[1]
    assert set(insisted.scan["method"].dropna()) == {"asymptotic"}
    assert insisted.found.empty


def test_costs_that_eat_the_profit_stop_the_pipeline(panel, instruments, tmp_path):
    from research.pairs.costs import Costs

    with pytest.raises(DataError, match="does not earn its costs on validation"):
        find_and_freeze(panel, instruments, tmp_path, grid=GRID, costs=Costs(fee_ppm=20_000))


def test_a_unit_too_small_for_the_venue_is_refused(panel, instruments, tmp_path):
    with pytest.raises(ParamsError, match=r"is less than one lot .* or than its minimum notional \(5\)"):
        find_and_freeze(panel, instruments, tmp_path, grid=GRID, execution=Execution(unit_notional=5.0))


def test_instruments_come_from_the_folder_or_are_inferred(prices, tmp_path):
    closes = prices[["A0USDT"]]
    inferred = infer_instrument("A0USDT", closes["A0USDT"])
    assert (inferred.tick_size, inferred.lot_size) == ("0.0001", "0.01")
    (tmp_path / "instruments.json").write_text(json.dumps([{"symbol": "A0USDT", "tick_size": "0.01", "lot_size": "0.1"}]))
    known, from_venue = find_instruments(tmp_path, closes)
    assert from_venue
    assert known["A0USDT"].tick_size == "0.01"
    with pytest.raises(DataError, match="lacks B0USDT"):
        find_instruments(tmp_path, prices[["A0USDT", "B0USDT"]])
    (tmp_path / "instruments.json").write_text("[{]")
    with pytest.raises(DataError, match=r"instruments\.json: Expecting"):
        find_instruments(tmp_path, closes)


@pytest.mark.parametrize(("price", "tick", "lot"), [(64_000.0, "1", "0.00001"), (0.00001234, "0.00000001", "1"), (17.5, "0.1", "0.01")])
def test_inferred_scales_keep_money_exact(price, tick, lot):
    instrument = infer_instrument("X", pd.Series([price, price]))
    assert (instrument.tick_size, instrument.lot_size) == (tick, lot)
    assert instrument.tick_lot_e8 >= 1


@pytest.mark.parametrize(
    ("prices", "tick"),
    [
        ([6.3e-7, 6.5e-7], "0.00000001"),
        ([33.65, 33.6, 40.05], "0.01"),
        ([33.650000000000006, 0.1 + 0.2, 1e5 + 0.01], "0.01"),
        ([100_000.1, 99_999.9], "0.1"),
        ([2500.0, 3000.0], "1"),
        ([1.0842, 1.1], "0.0001"),
        ([37.123456789012, 38.2], "0.00000001"),
    ],
)
def test_a_tick_is_found_at_any_scale_of_prices(prices, tick):
    assert infer_instrument("X", pd.Series(prices)).tick_size == tick


def test_prices_that_say_no_tick_are_refused_and_guesses_are_named():
    for prices, says in (([6.301e-7, 6.5e-7], "6.301e-07 at row 0 is no multiple of 0.00000001"), ([1.0, np.nan], "row 1 is nan"), ([], "no closes")):
        with pytest.raises(DataError, match=says):
            infer_instrument("X", pd.Series(prices, dtype=float))
    assert set(GUESSED) | {"symbol"} == set(Instrument.__struct_fields__)


def test_every_figure_draws(result, tmp_path):
    chosen = result.chosen
    drawn = [
        figures.price_pair(chosen.bars.lead, chosen.bars.hedge),
        figures.spread_with_trades(chosen.test),
        figures.pair_heat_map(result.scan, [("A0USDT", "B0USDT")]),
        figures.stability_map(chosen.sweep),
        figures.equity(chosen),
        figures.out_of_sample(chosen),
    ]
    for figure in drawn:
        assert figure._repr_png_().startswith(b"\x89PNG")
        labels = [axes.get_xlabel() + axes.get_ylabel() + axes.get_title() for axes in figure.axes]
        assert any(labels)
