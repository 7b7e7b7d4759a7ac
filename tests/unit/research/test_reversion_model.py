"""The compiled forest equals scikit-learn, through frozen text and back; the labels are what the rule did; the future teaches nothing."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.errors import DataError
from research.reversion_model import FEATURES, ReversionModel, arrays_from_texts, entries, forest_arrays, train
from research.strategy_optimizer import PairBars, Thresholds
from tests.unit.research.synthetic_market import make_prices

ensemble = pytest.importorskip("sklearn.ensemble", reason="scikit-learn is in the research extra")
RULE = Thresholds(window=60, entry_z=1.0, exit_z=0.0, stop_z=2.6, max_holding_bars=40)


@pytest.fixture(scope="module")
def bars() -> PairBars:
    prices = make_prices(n=12_000, pairs=1, walks=0)
    return PairBars(prices["A0USDT"], prices["B0USDT"], 0.8, 60_000_000_000)


@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(600, 5)).round(2)  # rounded: many values lie exactly at thresholds
    labels = (rows[:, 0] + rng.normal(size=600) > 0).astype(int)
    forest = ensemble.RandomForestClassifier(40, random_state=seed).fit(rows, labels)
    model = ReversionModel(forest_arrays(forest), None, 600)
    fresh = np.concatenate([rows, rng.normal(size=(600, 5))])
    np.testing.assert_allclose(model.probability(fresh), forest.predict_proba(fresh)[:, 1], atol=1e-9)
    again = arrays_from_texts(model.texts())
    assert all((again[name] == model.arrays[name]).all() and again[name].dtype == model.arrays[name].dtype for name in again)
    assert np.isnan(model.probability([[np.nan, 0, 0, 0, 0]])[0])


def test_entries_are_known_at_their_bar(bars):
    table = entries(bars, RULE)
    assert len(table) > 100
    assert set(table["reverted"]) == {0, 1}
    assert (table["size"] >= RULE.entry_z).all()
    cut = int(table.index[60])
    part = PairBars(bars.lead.iloc[: cut + 1], bars.hedge.iloc[: cut + 1], 0.8, bars.bar_ns)
    earlier = entries(part, RULE)
    assert (earlier[list(FEATURES)] == table.loc[earlier.index, list(FEATURES)]).all(axis=None)


def test_training_is_seeded_and_judged_out_of_sample(bars):
    model, again = train(bars, RULE, trees=20), train(bars, RULE, trees=20)
    assert all((model.arrays[name] == again.arrays[name]).all() for name in model.arrays)
    assert len(model.folds) == 5
    assert model.folds["samples"].sum() == model.samples
    probability = model.probability(entries(bars, RULE)[list(FEATURES)])
    assert ((probability >= 0) & (probability <= 1)).all()
    with pytest.raises(DataError, match="teach nothing"):
        train(bars, Thresholds(60, 1.0, 0.0, 1e6, 10**9), trees=5)
