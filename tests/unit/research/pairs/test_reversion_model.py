"""The compiled trees equal scikit-learn, through frozen text and back; features are those of a plain twin; labels what the rule did; the future
teaches nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.codes import SignalReason
from hftkit.errors import DataError
from hftkit.kernels.stats.forest import ROOTS, TREES, check_table, tree_probability
from hftkit.params.format import text_of
from research.pairs.costs import NO_COSTS
from research.pairs.reversion_model import ReversionModel, samples, table_of, train
from research.pairs.strategy_optimizer import PairBars, Thresholds, run_rule
from tests.unit.research.synthetic_market import make_prices

ensemble = pytest.importorskip("sklearn.ensemble", reason="scikit-learn is in the research extra")
RULE = Thresholds(window=60, entry_z=1.0, exit_z=0.0, stop_z=2.6, max_holding_bars=40)


@pytest.fixture(scope="module")
def bars() -> PairBars:
    prices = make_prices(n=12_000, pairs=1, walks=0)
    return PairBars(prices["A0USDT"], prices["B0USDT"], 0.8, 60_000_000_000)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["forest", "boosting"])
def test_equals_scikit_learn(kind, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(600, 5)).round(2)  # rounded: many values lie exactly at thresholds
    labels = (rows[:, 0] + rng.normal(size=600) > 0).astype(int)
    make = ensemble.RandomForestClassifier if kind == "forest" else ensemble.GradientBoostingClassifier
    fitted = make(n_estimators=40, random_state=seed).fit(rows, labels)
    table = table_of(fitted)
    assert check_table(table, 5) == 0
    model = ReversionModel(table, pd.DataFrame(), pd.DataFrame(), 600)
    fresh = np.concatenate([rows, rng.normal(size=(600, 5))])
    np.testing.assert_allclose(model.probability(fresh), fitted.predict_proba(fresh)[:, 1], atol=1e-9, rtol=0)
    again = np.array([float(text_of(value)) for value in table])
    assert again.tobytes() == table.tobytes()
    assert np.isnan(model.probability([[np.nan, 0, 0, 0, 0]])[0])


def test_trees_that_cannot_be_walked_are_found():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 5))
    table = table_of(ensemble.RandomForestClassifier(3, max_depth=3, random_state=0).fit(rows, (rows[:, 1] > 0).astype(int)))
    root = ROOTS + int(table[TREES])
    for word, value in ((0, 7.0), (TREES, 0.0), (TREES, 1e9), (ROOTS, 1e6), (root, 5.0), (root + 2, 0.0), (root + 3, 1e9), (root + 2, 1.5)):
        broken = table.copy()
        broken[word] = value
        assert check_table(broken, 5) > 0, (word, value)
    assert check_table(table[:-1], 5) > 0
    assert np.isnan(tree_probability(np.zeros(5), np.zeros(8)))


def test_features_are_those_of_a_plain_twin(bars):
    z = pd.Series(bars.z(60))
    sign = np.where(z > 0, 1.0, -1.0)
    twin = pd.DataFrame(
        {
            "size": z.abs(),
            "step_5": sign * (z - z.shift(5)),
            "step_20": sign * (z - z.shift(20)),
            "volatility": z.diff().abs().rolling(20).mean(),
            "crossings": ((z > 0) != (z.shift() > 0)).astype(float).rolling(60).sum(),
        }
    )
    ours = bars.features(60)
    whole = np.isfinite(ours).all(axis=1)
    assert whole.sum() == len(z) - 120  # the window, then 60 z-scores
    np.testing.assert_allclose(ours[whole], twin.to_numpy()[whole], atol=1e-9)


def test_samples_are_known_at_their_bar_and_labelled_by_the_rule(bars):
    table = samples(bars, RULE)
    assert len(table) > 500
    assert set(table["reverted"]) == {0, 1}
    assert table["size"].between(RULE.entry_z, RULE.stop_z, inclusive="left").all()
    frame = run_rule(bars, RULE, NO_COSTS).frame
    target, reason = frame["target"].to_numpy(), frame["reason"].to_numpy()
    before = np.concatenate([[0], target[:-1]])
    starts, ends = np.flatnonzero((before == 0) & (target != 0)), np.flatnonzero((before != 0) & (target == 0))
    checked = 0
    for start, end in zip(starts, ends, strict=False):  # every trade that the rule really made has the label of its end
        if start in table.index:
            assert table.loc[start, "reverted"] == (reason[end] == SignalReason.EXIT.text)
            checked += 1
    assert checked > 100
    cut = int(table.index[300])
    part = PairBars(bars.lead.iloc[: cut + 1], bars.hedge.iloc[: cut + 1], 0.8, bars.bar_ns)
    earlier = samples(part, RULE)
    assert (earlier == table.loc[earlier.index]).all(axis=None)
    assert samples(bars, RULE, slice(2000, 3000)).index.to_series().between(2000, 2999).all()


@pytest.mark.parametrize("kind", ["forest", "boosting"])
def test_training_is_seeded_and_judged_out_of_sample(bars, kind):
    span = slice(1000, 9000)
    model, again = (train(bars, RULE, span, kind, trees=15) for _ in range(2))
    assert model.table.tobytes() == again.table.tobytes()
    assert len(model.folds) == 5
    assert model.folds["samples"].sum() == model.samples == len(model.judged) == len(samples(bars, RULE, span))
    curve = model.calibration()
    assert curve["samples"].sum() == model.samples
    assert curve[["said", "happened"]].stack().between(0, 1).all()
    with pytest.raises(DataError, match="teach nothing"):
        train(bars, Thresholds(60, 1.0, 0.0, 1e6, 10**9), trees=5)


def test_the_gate_takes_only_what_it_believes_in(bars):
    model = train(bars, RULE, slice(0, 6000), trees=15)
    free, gated = run_rule(bars, RULE, NO_COSTS), run_rule(bars, RULE, NO_COSTS, gate=model.gate(0.6))
    assert 0 < gated.trades < free.trades
    belief = model.probability(bars.features(60))
    entered = gated.frame["reason"] == SignalReason.ENTRY.text
    assert (belief[entered.to_numpy()] >= 0.6).all()
    refused = gated.frame["reason"] == SignalReason.LOW_CONFIDENCE.text
    assert refused.any()
    assert not (belief[refused.to_numpy()] >= 0.6).any()
