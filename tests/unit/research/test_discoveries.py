"""Honest discoveries: on random walks the stated level holds, filtered or not; on the simulator's market the truth is found."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hftkit.errors import DataError
from hftkit.exchange.config import load_config
from hftkit.exchange.market.tape import make_tape
from research.data.data_loader import load_panel
from research.market.sample_data import candle_frame
from research.stats.cointegration import engle_granger
from research.stats.discovery import prefilter
from research.stats.discovery.pair_scan import discoveries, scan_pairs
from research.stats.discovery.prefilter import Prefilter, illiquid
from tests.unit.research.synthetic_market import candles_of, make_prices

UNIVERSES, LEVEL = 200, 0.2


def walks(rng: np.random.Generator, n: int = 400, symbols: int = 6, common: float = 0.0) -> pd.DataFrame:
    """Random walks, none cointegrated with another; their changes share a factor with weight `common`."""
    changes = rng.normal(size=(n, symbols)) + common * rng.normal(size=(n, 1)) * rng.uniform(0.2, 1.8, symbols)
    return pd.DataFrame(np.exp(np.cumsum(changes, axis=0) * 0.005), columns=[f"W{i}" for i in range(symbols)])


def no_more_than(found: int, trials: int, level: float) -> bool:
    """Whether `found` of `trials` is compatible with a rate of `level` or less: one-sided exact binomial bound at 99.9 %."""
    return bool(stats.binomtest(found, trials, level, alternative="greater").pvalue > 0.001)


@pytest.mark.parametrize(("common", "min_correlation"), [(0.0, 0.0), (1.0, 0.0), (1.0, 0.4)])
def test_the_level_holds_on_random_walks(common, min_correlation):
    """Where no pair is real every discovery is false, so the share of false discoveries is the chance of any: it must not exceed the level.

    For independent walks, for walks that share a market factor, and with the correlation filter in front.
    """
    rng = np.random.default_rng(2026)
    counts = dict.fromkeys(("bh", "by", "bonferroni"), 0)
    for _ in range(UNIVERSES):
        scan = scan_pairs(walks(rng, common=common), autolag="bic", maxlag=4, min_correlation=min_correlation, threads=1)
        for method in counts:
            counts[method] += len(discoveries(scan, LEVEL, method=method)) > 0
    assert all(no_more_than(count, UNIVERSES, LEVEL) for count in counts.values()), counts
    assert counts["by"] <= counts["bh"]
    assert counts["bonferroni"] <= counts["bh"]
    assert counts["bh"] > 0  # the test can see something: at 20 % a few universes must show one


@pytest.mark.parametrize("trend", ["c", "ct"])
def test_p_values_of_random_walks_are_what_they_say(trend):
    """3,000 pairs that have nothing to do with each other: p at most 1, 5, 10, 50 % in such a share of them. P-values a tenth too small or too
    large fail here (checked by hand), of which the discoveries above would show nothing.
    """
    rng = np.random.default_rng(77)
    values = np.array([engle_granger(*np.cumsum(rng.normal(size=(2, 500)), axis=1), trend, 1, None).pvalue for _ in range(3000)])
    for level in (0.01, 0.05, 0.1, 0.5):
        below = int((values <= level).sum())
        assert stats.binomtest(below, values.size, level).pvalue > 0.001, (level, below / values.size)


def test_counting_can_fail():
    """Without a price for many tests the same walks would show false discoveries nearly always: the bound above is not empty."""
    rng = np.random.default_rng(2026)
    naive = sum((scan_pairs(walks(rng), autolag="bic", maxlag=4, threads=1)["pvalue"] <= LEVEL).any() for _ in range(40))
    assert not no_more_than(naive, 40, LEVEL)


def test_the_truth_of_the_simulated_market_is_found():
    config = load_config()
    truth = {frozenset((one.symbol, one.cointegrated.hedge)) for one in config.instruments if one.cointegrated}
    hits, found = dict.fromkeys(("bh", "by", "bonferroni"), 0), dict.fromkeys(("bh", "by", "bonferroni"), 0)
    seeds = (1, 2, 3)
    for seed in seeds:
        tape = make_tape(msgspec.structs.replace(config, seed=seed, minutes=2500))
        closes = {one.symbol: candle_frame(row, one).set_index("open_time")["close"] for row, one in zip(tape, config.scales, strict=True)}
        scan = scan_pairs(pd.DataFrame(closes))
        for method in hits:
            pairs = discoveries(scan, 0.05, method=method)
            names = {frozenset(pair) for pair in zip(pairs["lead"], pairs["hedge"], strict=True)}
            hits[method] += len(names & truth)
            found[method] += len(names)
    for method in hits:
        recall, precision = hits[method] / (len(seeds) * len(truth)), hits[method] / max(found[method], 1)
        assert recall >= 0.85, (method, recall)
        assert precision >= 0.85, (method, precision)


def test_filters_say_what_they_left_out_and_are_counted(prices, tmp_path):
    for symbol in prices:
        candles = candles_of(prices[symbol])
        candles["volume"] = 0.001 if symbol == "W0USDT" else 30.0
        if symbol == "W1USDT":
            candles.loc[::2, "volume"] = 0.0
        candles.drop(columns="volume" if symbol == "W2USDT" else []).to_parquet(tmp_path / f"{symbol}.parquet")
    panel = load_panel(tmp_path)
    reasons = illiquid(panel.quality, Prefilter(min_turnover=1000.0, max_zero_volume=0.1))
    assert set(reasons) == {"W0USDT", "W1USDT", "W2USDT"}
    assert (reasons["W1USDT"], reasons["W2USDT"]) == ("50.0% of its bars without volume, above 10.0%", "no volume data")
    scan = scan_pairs(panel.closes, leave_out=reasons, min_correlation=0.3)
    made = prefilter.tests_made(scan)
    assert made["ordered_pairs"] == 42
    assert made["tested"] + made["left out"] + made["correlation below the filter"] == 42
    assert made["left out"] == 42 - 4 * 3
    tested = scan[scan["verdict"] == "ok"]
    assert (tested["correlation"].abs() >= 0.3).all()
    np.testing.assert_allclose(tested["q_bonferroni"], np.minimum(tested["pvalue"] * made["tested"], 1.0))  # the price is for those tested
    row = scan[(scan["lead"] == "W0USDT") & (scan["hedge"] == "A0USDT")].iloc[0]
    assert row["verdict"].startswith("left out: W0USDT, turnover ")
    with pytest.raises(DataError, match="filters everything"):
        Prefilter(min_correlation=1.0)
    assert illiquid(panel.quality, Prefilter()) == {}


def test_a_method_must_be_known():
    with pytest.raises(DataError, match="method 'fdr' is not offered"):
        discoveries(scan_pairs(make_prices(300)), method="fdr")
