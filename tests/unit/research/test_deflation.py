"""The deflated Sharpe ratio is not fooled by the best of many: on independent trials, on trials that resemble each other, on whole searches of random
walks; the true number of trials arrives in the frozen file.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hftkit.errors import DataError
from hftkit.params.format import load
from hftkit.params.text import describe
from research.data.data_loader import load_panel
from research.data.instruments import infer_instrument
from research.pairs.costs import NO_COSTS, Costs
from research.pairs.freezing.freeze import Search, build_params
from research.pairs.freezing.pipeline import find_and_freeze
from research.pairs.performance import Trials, deflated_sharpe, expected_best_sharpe, mean_correlation, probabilistic_sharpe, sharpe_probability
from research.pairs.strategy_optimizer import Grid, PairBars, Sweep, run_rule, sweep, walk_forward
from research.stats.discovery.known_truth import known_pair
from research.stats.discovery.pair_scan import scan_pairs

GRID = Grid(windows=(30, 60, 120), entries=(1.0, 1.5, 2.0, 2.5), exits=(0.0, 0.5), stops=(4.0,))
MINUTE_NS = 60_000_000_000


def no_more_than(found: int, runs: int, level: float) -> bool:
    """Whether `found` of `runs` is compatible with a rate of `level` or less: one-sided exact binomial bound at 99.9 %."""
    return bool(stats.binomtest(found, runs, level, alternative="greater").pvalue > 0.001)


def independent(bars: int, deviation: float = 0.0, pairs: int = 1, sets: int = 1, correlation: float = 0.0) -> Trials:
    return Trials(pairs, sets, correlation, deviation, bars)


def test_the_example_of_the_paper():
    """Bailey and Lopez de Prado (2014): annual Sharpe 2.5 over 1250 days, skew -3, kurtosis 10, best of 100 whose annual Sharpe ratios
    have variance 1/2. They print 0.1132 for the daily Sharpe ratio by luck and 0.9004 for the probability, 0.9505 had it been the best of 46.
    """
    by_luck = expected_best_sharpe(np.sqrt(0.5 / 250), 100)
    assert by_luck == pytest.approx(0.1132, abs=5e-5)
    daily = 2.5 / np.sqrt(250)
    assert sharpe_probability(daily, by_luck, 1250, -3.0, 10.0) == pytest.approx(0.9004, abs=5e-5)
    assert sharpe_probability(daily, expected_best_sharpe(np.sqrt(0.5 / 250), 46), 1250, -3.0, 10.0) == pytest.approx(0.9505, abs=5e-5)


@pytest.mark.parametrize("trials", [2, 10, 200])
def test_the_best_by_luck_is_the_mean_maximum_of_normals(trials):
    simulated = np.max(np.random.default_rng(0).normal(size=(8000, trials)), axis=1).mean()
    assert expected_best_sharpe(0.02, trials) == pytest.approx(0.02 * simulated, rel=0.03 if trials > 2 else 0.1)


def test_fewer_trials_than_two():
    assert expected_best_sharpe(0.02, 1) == 0.0
    values = [expected_best_sharpe(1.0, trials) for trials in (1.0, 1.2, 1.6, 2.0, 2.1, 3.0)]
    assert all(before < after for before, after in itertools.pairwise(values))


def test_one_trial_is_the_plain_test():
    """Without a choice there is nothing to deflate: 5 % above 0.95, neither more nor less (2000 samples, exact binomial bounds)."""
    rng = np.random.default_rng(11)
    above = sum(deflated_sharpe(rng.normal(size=300), independent(300)) > 0.95 for _ in range(2000))
    assert no_more_than(above, 2000, 0.05)
    assert stats.binomtest(above, 2000, 0.05, alternative="less").pvalue > 0.001


@pytest.mark.parametrize(("rho", "trials"), [(0.0, 20), (0.0, 500), (0.5, 100), (0.95, 100)])
def test_the_best_of_many_without_skill_is_not_believed(rho, trials):
    """400 searches, the best of `trials` strategies shown each time: above 0.95 in 5 % of them at most, in nearly all without the deflation."""
    rng = np.random.default_rng(5)
    fooled = naive = 0
    for _ in range(400):
        returns = np.sqrt(rho) * rng.normal(size=(1, 250)) + np.sqrt(1.0 - rho) * rng.normal(size=(trials, 250))
        ratios = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
        together = ((returns - returns.mean(axis=1, keepdims=True)) / returns.std(axis=1, ddof=1, keepdims=True)).sum(axis=0)
        tried = independent(250, float(ratios.std(ddof=1)), 1, trials, mean_correlation(together, trials))
        assert tried.correlation == pytest.approx(rho, abs=0.15)
        best = returns[ratios.argmax()]
        fooled += deflated_sharpe(best, tried) > 0.95
        naive += probabilistic_sharpe(best) > 0.95
    assert no_more_than(fooled, 400, 0.05), fooled
    assert naive > 400 * (0.5 if rho < 0.9 else 0.1)


def test_mean_correlation_is_that_of_all_twos():
    rng = np.random.default_rng(3)
    returns = rng.normal(size=(7, 400)) + 0.7 * rng.normal(size=(1, 400))
    standard = (returns - returns.mean(axis=1, keepdims=True)) / returns.std(axis=1, ddof=1, keepdims=True)
    expected = np.corrcoef(returns)[np.triu_indices(7, 1)].mean()
    assert mean_correlation(standard.sum(axis=0), 7) == pytest.approx(expected, abs=1e-12)
    assert mean_correlation(standard[0], 1) == 0.0
    assert mean_correlation(np.zeros(400), 2) == 0.0  # two that cancel each other are still two


def test_a_sweep_knows_how_much_alike_its_cells_are(prices):
    bars = PairBars(prices["A0USDT"], prices["B0USDT"], 0.8, MINUTE_NS)
    swept = sweep(bars, GRID, Costs(), slice(0, 2500), pairs_tested=42)
    nets = np.array([run_rule(bars, cell, Costs(), slice(0, 2500)).frame["net"] for cell in GRID.cells()])
    assert swept.tried.correlation == pytest.approx(np.corrcoef(nets)[np.triu_indices(len(nets), 1)].mean(), abs=1e-9)
    ratios = nets.mean(axis=1) / nets.std(axis=1, ddof=1)
    assert swept.tried.deviation == pytest.approx(ratios.std(ddof=1))
    assert (swept.trials, swept.tried.sets, swept.tried.pairs, swept.tried.count) == (24, 24, 42, 42 * 24)
    rho = swept.tried.correlation
    assert swept.tried.effective == pytest.approx(42 * (rho + (1 - rho) * 24))
    by_luck = max(ratios.std(ddof=1), 1 / np.sqrt(2499)) * expected_best_sharpe(1.0, swept.tried.effective)
    assert swept.deflated_sharpe == pytest.approx(probabilistic_sharpe(swept.returns, by_luck))
    alone = sweep(bars, GRID, Costs(), slice(0, 2500))
    assert alone.chosen == swept.chosen  # the count changes what is believed, not what is chosen
    assert swept.tried.best_by_luck() > alone.tried.best_by_luck()


def best_of_a_search(rng: np.random.Generator, symbols: int, n: int = 1500) -> Sweep | None:
    """A whole search among random walks without costs: scan all pairs, sweep the three most significant, show the one that earned most."""
    index = pd.date_range("2026-01-05", periods=n, freq="min", tz="UTC")
    walks = pd.DataFrame(np.exp(np.cumsum(rng.normal(size=(n, symbols)), axis=0) * 1e-3), index).add_prefix("W")
    scan = scan_pairs(walks, autolag="bic", maxlag=3, threads=1)
    tested = scan[scan["verdict"] == "ok"]
    found = []
    for row in tested[tested["hedge_ratio"].between(0.05, 20.0)].head(3).itertuples():
        try:
            found.append(
                sweep(PairBars(walks[row.lead], walks[row.hedge], row.hedge_ratio, MINUTE_NS), GRID, NO_COSTS, threads=1, pairs_tested=len(tested))
            )
        except DataError:
            continue
    return max(found, key=lambda swept: swept.returns.mean() / swept.returns.std(), default=None)


def test_a_search_among_random_walks_is_not_believed():
    """Where nothing is there, what a search shows is believed (above 0.95) in 5 % of searches at most; undeflated in most, deflated by the
    parameter sets alone still more often than by all that was tried.
    """
    rng = np.random.default_rng(2026)
    shown = [swept for _ in range(60) if (swept := best_of_a_search(rng, 12)) is not None]
    fooled = sum(swept.deflated_sharpe > 0.95 for swept in shown)
    naive = sum(probabilistic_sharpe(swept.returns) > 0.95 for swept in shown)
    assert len(shown) > 50
    assert no_more_than(fooled, len(shown), 0.05), fooled
    assert naive > 0.6 * len(shown), naive
    ignoring = [deflated_sharpe(swept.returns, Trials(1, swept.tried.sets, swept.tried.correlation, swept.tried.deviation, 1500)) for swept in shown]
    assert np.mean(ignoring) > 0.2 + np.mean([swept.deflated_sharpe for swept in shown])


def test_a_true_pair_survives_the_deflation():
    pair = known_pair(1, 12_000)
    found = sweep(PairBars(pair["lead"], pair["hedge"], 0.8, MINUTE_NS), GRID, Costs(fee_ppm=10.0, half_spread_bps=0.25), pairs_tested=1560)
    assert found.deflated_sharpe > 0.95


def test_walk_forward_counts_the_pairs(prices):
    bars = PairBars(prices["A0USDT"], prices["B0USDT"], 0.8, MINUTE_NS)
    one, many = (walk_forward(bars, GRID, Costs(), 1500, 500, 100, pairs_tested=pairs) for pairs in (1, 1560))
    assert (one["trials"] == 24).all()
    assert (many["trials"] == 24 * 1560).all()
    np.testing.assert_allclose(many["effective_trials"], one["effective_trials"] * 1560)
    assert (many["deflated_sharpe"] <= one["deflated_sharpe"]).all()
    pd.testing.assert_series_equal(many["net"], one["net"])


def test_the_frozen_file_states_every_trial(data_folder, tmp_path):
    panel = load_panel(data_folder)
    instruments = {symbol: infer_instrument(symbol, panel.closes[symbol], taker_fee_ppm=50) for symbol in panel.closes}
    found = find_and_freeze(panel, instruments, tmp_path, grid=GRID, zscores=("rolling",))
    birth = load(found.path).provenance
    told, tried = birth["calibration"], found.chosen.sweep.tried
    assert (told["pairs_tested"], told["parameter_sets_tried"], told["trials"]) == (42, 24, 42 * 24)
    assert birth["search"]["pairs_tested"] == tried.pairs == 42
    assert float(told["effective_trials"]) == tried.effective < 42 * 24
    assert float(told["deflated_sharpe"]) == found.chosen.sweep.deflated_sharpe
    assert birth["search"]["candidates"] == len(found.candidates) == 2
    ratios = [net.mean() / net.std(ddof=1) for net in (one.validation.frame["net"].to_numpy() for one in found.candidates)]
    net = found.chosen.validation.frame["net"].to_numpy()
    expected = deflated_sharpe(net, independent(net.size, float(np.std(ratios, ddof=1)), 2))
    assert float(birth["search"]["validation_deflated_sharpe"]) == pytest.approx(expected)
    assert float(birth["out_of_sample"]["probabilistic_sharpe"]) == probabilistic_sharpe(found.chosen.test.frame["net"].to_numpy())
    text = describe(load(found.path))
    assert "24 parameter sets on each of 42 pairs: 1,008 trials" in text
    # a calibration that was not told of the search: the file counts it all the same
    forgetful = build_params(panel, instruments, found.chosen, Search(7, 10_000, 2, 0.05, 0.01))
    assert forgetful.provenance["calibration"]["trials"] == 240_000
    assert float(forgetful.provenance["calibration"]["deflated_sharpe"]) <= float(told["deflated_sharpe"])
