"""What misleads a reader is said, each kind on a case made for it; what loses money is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from hftkit.params.format import load
from research.data.data_loader import load_panel
from research.data.instruments import infer_instrument
from research.pairs.calibration import Calibration, calibrate_pair
from research.pairs.capacity import Impact, capacity, impacts_of
from research.pairs.costs import Costs
from research.pairs.freezing.cautions import cautions_of, edges
from research.pairs.freezing.freeze import Execution, Search, cautions_for, freeze_pair
from research.pairs.freezing.pipeline import costs_with_ticks, find_and_freeze, find_and_freeze_many
from research.pairs.strategy_optimizer import Grid, sweep
from research.pairs.walkforward import three_way
from tests.unit.research.synthetic_market import candles_of, make_prices

GRID = Grid(windows=(60, 120), entries=(1.5, 2.0), exits=(0.0,), stops=(5.0,))


@pytest.fixture(scope="module")
def panel(data_folder):
    return load_panel(data_folder)


@pytest.fixture(scope="module")
def instruments(panel):
    return {symbol: infer_instrument(symbol, panel.closes[symbol], taker_fee_ppm=50) for symbol in panel.closes}


@pytest.fixture(scope="module")
def good(panel) -> Calibration:
    return calibrate_pair(panel, "A0USDT", "B0USDT", three_way(len(panel.closes), embargo=240), Costs(50.0), GRID, ticks=(1e-4, 1e-4))


def texts(found: Calibration, unit: float | None = None, carried=None) -> str:
    return " | ".join(one.text for one in cautions_of(found, found.confirmation(), carried or {}, unit))


def test_a_good_pair_is_only_too_good(good):
    """The synthetic market is made to be easy: that is exactly what is said of it."""
    said = texts(good)
    assert "hardly ever seen in a real market" in said
    for word in ("not cointegrated", "reverts neither", "does not earn", "luck"):
        assert word not in said


def test_weak_evidence_and_a_loss_are_said(panel):
    walk = calibrate_pair(panel, "W0USDT", "W1USDT", three_way(len(panel.closes), embargo=240), Costs(), GRID, min_trades=1)
    said = texts(walk)
    assert f"not cointegrated at 5 % on the train span (finite p {walk.test_of_train.pvalue_finite:.3g})" in said
    assert ("does not earn its costs on validation" in said) == (walk.validation.net <= 0)
    assert walk.confirmation().dead == ("reverts neither on validation nor on test" in said)


def test_the_edge_of_the_grid_is_said_where_the_ratio_still_rises(good):
    bars, split = good.bars, good.split
    wide = sweep(bars, Grid(windows=(60, 120), entries=(0.5, 1.0, 1.5, 2.0, 2.5, 3.0), exits=(0.0,), stops=(5.0,)), Costs(50.0), split.train)
    best = wide.chosen.entry_z
    ladder = sorted(wide.table["entry_z"].unique())
    beyond = [value for value in ladder if value > best]
    cut = Grid(windows=(60, 120), entries=beyond, exits=(0.0,), stops=(5.0,))
    narrow = sweep(bars, cut, Costs(50.0), split.train, min_trades=1)
    said = " ".join(one.text for one in edges(narrow))
    assert narrow.chosen.entry_z == beyond[0]
    assert f"the chosen entry_z of {beyond[0]:g} is the smallest that was tried" in said
    assert "entry_z" not in " ".join(one.text for one in edges(wide))


def test_luck_and_size_are_said(good):
    lucky = replace(good, sweep=replace(good.sweep, tried=replace(good.sweep.tried, pairs=10**9, deviation=5.0)))
    assert "more likely the luck of" in texts(lucky)
    law = Impact(0.03, 1e6)
    carried = {"test": capacity(good.test, good.hedge_ratio, law, law)}
    limit = carried["test"].exhausted
    assert "impact leaves nothing" in texts(good, limit * 1.01, carried)
    assert "earns less on test" in texts(good, limit * 0.9, carried)
    assert "unit of" not in texts(good, carried["test"].best * 0.99, carried)


def test_a_unit_above_the_capacity_is_refused_unless_one_insists(panel, instruments, good, tmp_path):
    laws = impacts_of(panel, "A0USDT", "B0USDT")
    assert laws is not None
    limit = min(capacity(run, good.hedge_ratio, *laws).exhausted for run in (good.validation, good.test))
    search, big = Search(7, 42, 2, 0.05, 0.01), Execution(unit_notional=1.5 * limit)
    with pytest.raises(DataError, match=r"above what the pair can carry .*--unit-notional \d+ .*--insist"):
        freeze_pair(panel, instruments, good, search, tmp_path, big)
    birth = load(freeze_pair(panel, instruments, good, search, tmp_path, big, insist=True)).provenance
    assert any("above what the pair can carry" in line for line in birth["warnings"])
    assert float(birth["capacity"]["unit_notional"]) == 1.5 * limit
    assert float(birth["capacity"]["test"]["nothing_left"]) == capacity(good.test, good.hedge_ratio, *laws).exhausted


def test_a_pair_that_is_dead_out_of_sample_is_refused_unless_one_insists(tmp_path):
    """A true pair in train whose spread turns into a walk afterwards; 6,000 bars, so that one seed is as good as another."""
    rng = np.random.default_rng(7)
    n = 6000
    hedge, spread = np.cumsum(rng.normal(size=n)) * 6e-4, np.zeros(n)
    for t in range(1, n):
        spread[t] = (0.966 if t < n // 2 else 1.0) * spread[t - 1] + rng.normal() * 8e-4
    closes = make_prices(n, pairs=0, walks=2, seed=3).assign(AUSDT=100 * np.exp(0.8 * hedge + spread), BUSDT=50 * np.exp(hedge)).round(4)
    for symbol in closes:
        candles_of(closes[symbol]).to_parquet(tmp_path / f"{symbol}.parquet")
    panel = load_panel(tmp_path)
    instruments = {symbol: infer_instrument(symbol, panel.closes[symbol], taker_fee_ppm=10) for symbol in panel.closes}
    options = {"grid": GRID, "pair": ("AUSDT", "BUSDT"), "costs": Costs(0.0, 0.0, 0.0), "unit_root_level": None}
    with pytest.raises(DataError, match="reverts neither on validation nor on test"):
        find_and_freeze(panel, instruments, tmp_path / "frozen", **options)
    insisted = find_and_freeze(panel, instruments, tmp_path / "frozen", insist=True, **options)
    birth = load(insisted.path).provenance
    assert any("reverts neither" in line for line in birth["warnings"])
    assert float(birth["cointegration_again"]["test"]["pvalue"]) > 0.1


def test_half_a_tick_is_the_floor_of_the_half_spread(panel, instruments):
    costs = Costs(100.0, 0.5, 0.25)
    floored = costs.with_ticks((0.01, 0.5), (100.0, 50.0))  # half a tick: 0.5 bps and 50 bps
    assert floored.half_ticks_bps == (0.5, 50.0)
    assert floored.per_fill(0) == pytest.approx(costs.per_fill())
    assert floored.per_fill(1) == pytest.approx(1e-4 + (50.0 + 0.25) * 1e-4)
    assert floored.per_unit(0.8) == pytest.approx(floored.per_fill(0) + 0.8 * floored.per_fill(1))
    assert "50 bps of HEDGE" in floored.raised(("LEAD", "HEDGE"))
    assert "LEAD" not in floored.raised(("LEAD", "HEDGE"))
    split = three_way(len(panel.closes), embargo=240)
    fine, said = costs_with_ticks(costs, instruments, panel, split, "A0USDT", "B0USDT")
    assert said == ""
    assert fine.half_ticks_bps[0] == pytest.approx(0.5e-4 / panel.closes["A0USDT"].iloc[split.train].median() * 1e4)


def test_several_pairs_are_frozen_at_once_without_a_symbol_in_two(panel, instruments, tmp_path):
    both = find_and_freeze_many(panel, instruments, tmp_path, count=5, grid=GRID)
    assert {frozenset((one.chosen.lead, one.chosen.hedge)) for one in both} == {frozenset({"A0USDT", "B0USDT"}), frozenset({"A1USDT", "B1USDT"})}
    assert len({one.path for one in both}) == 2
    alone = find_and_freeze(panel, instruments, tmp_path, grid=GRID)
    assert alone.path == both[0].path or alone.params.legs == both[0].params.legs
    named = find_and_freeze_many(panel, instruments, tmp_path, pairs=[("B1USDT", "A1USDT"), ("B0USDT", "A0USDT")], grid=GRID)
    assert {(one.chosen.lead, one.chosen.hedge) for one in named} == {("B1USDT", "A1USDT"), ("B0USDT", "A0USDT")}


def test_what_removed_the_pairs_is_named(panel, instruments, tmp_path):
    with pytest.raises(DataError, match=r"of 42 ordered pairs .*half-life above 0\.5 bars"):
        find_and_freeze(panel, instruments, tmp_path, grid=GRID, max_half_life=0.5)
    with pytest.raises(DataError, match=r"its q-value is "):
        find_and_freeze(panel, instruments, tmp_path, grid=GRID, pair=("W0USDT", "W1USDT"))
    with pytest.raises(DataError, match="the panel has no NOPE"):
        find_and_freeze(panel, instruments, tmp_path, grid=GRID, pair=("A0USDT", "NOPE"))
    upside = pd.DataFrame({"U0USDT": 1e4 / panel.closes["A0USDT"], "B0USDT": panel.closes["B0USDT"]})
    short = replace(panel, closes=upside)
    with pytest.raises(DataError, match=r"U0USDT/B0USDT can be frozen even if one insists: its hedge ratio -\d"):
        find_and_freeze(short, instruments, tmp_path, grid=GRID, pair=("U0USDT", "B0USDT"), insist=True)


def test_the_file_holds_what_was_said(panel, instruments, good, tmp_path):
    birth = load(
        freeze_pair(panel, instruments, good, Search(7, 42, 2, 0.05, 0.01), tmp_path, guessed={"A0USDT": ("tick_size",), "W0USDT": ("lot_size",)})
    ).provenance
    assert birth["guessed"] == {"A0USDT": ["tick_size"]}
    counted = replace(good, sweep=replace(good.sweep, tried=replace(good.sweep.tried, pairs=42)))  # the file knows of the search
    assert birth["warnings"] == [one.text for one in cautions_for(panel, counted, Execution())]
    for one in good.confirmation():
        row = birth["cointegration_again"][one.span]
        assert (float(row["pvalue"]), float(row["pvalue_asymptotic"]), row["p_values"]) == (one.pvalue, one.pvalue_asymptotic, "finite")
    tested = good.test_of_train
    assert (float(birth["engle_granger"]["pvalue"]), float(birth["engle_granger"]["pvalue_finite"])) == (tested.pvalue, tested.pvalue_finite)


def test_an_embargo_shorter_than_the_holding_limit_is_said(panel, good, instruments, tmp_path):
    assert not [one for one in cautions_for(panel, good, Execution()) if "embargo" in one.text]
    short = find_and_freeze(panel, instruments, tmp_path, grid=GRID, embargo=60)
    assert any("the embargo of 60 bars is shorter than the holding limit of 240" in line for line in short.warnings)
    longer = find_and_freeze(panel, instruments, tmp_path, grid=replace(GRID, max_holding_bars=400))
    assert longer.split.embargo == 400
    assert longer.params.provenance["arguments"]["embargo"] is None
    assert (longer.split.train.stop, longer.split.validation.start) == (2000, 2400)
