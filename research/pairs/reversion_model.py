"""Will this spread come back before it stops out? A forest or gradient boosting, trained with purged folds, frozen as one array, scored by a
compiled kernel.

A sample is a bar at which a trade may begin (entry_z <= |z| < stop_z); its label is 1 if a trade begun there leaves by its exit, 0 if it ends by
the stop or
the holding limit. The features are known at that bar (hftkit/kernels/market/reversion_features.py, the very function that runs live). Neighbouring
samples share most of their future, so folds are purged by an embargo of at least the holding limit. scikit-learn trains; what is kept
is one table, which `hftkit.kernels.stats.forest` scores to 1e-9 of scikit-learn, and which survives the decimal text of a frozen file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from hftkit.kernels.market.bar_backtest import outcomes
from hftkit.kernels.market.reversion_features import FEATURES
from hftkit.kernels.stats.forest import LOGISTIC, MEAN, tree_probabilities
from research.data.progress import progress
from research.pairs.strategy_optimizer import Gate, PairBars, Thresholds, Training
from research.pairs.walkforward import combinatorial_purged

CONFIDENCE = 0.8
Kind = Literal["forest", "boosting"]


@dataclass(frozen=True)
class ReversionModel:
    """`table`: the trees, float64 (words,), see kernels/stats/forest.py. `folds`: one row a purged fold: samples, brier, base_brier (always saying
    the mean), confident (how many), hit_rate (of those). `judged`: one row a sample, probability from a model that had not seen it, and what
    happened. `unseen`, `training`: see Gate.
    """

    table: np.ndarray
    folds: pd.DataFrame
    judged: pd.DataFrame
    samples: int
    unseen: np.ndarray | None = None
    training: Training | None = None

    def probability(self, features: Any) -> np.ndarray:
        """Probability of a return before the stop, float64 (m,), of rows of FEATURES (m, 5). NaN where a feature is not finite."""
        rows = np.ascontiguousarray(features, np.float64)
        out = np.empty(len(rows))
        tree_probabilities(rows, self.table, out)
        return out

    def gate(self, confidence: float = CONFIDENCE) -> Gate:
        """The model as a filter of entries, for the sweep, the event-driven backtest and the frozen file."""
        return Gate(self.table, confidence, self.unseen, self.training)

    def calibration(self, bins: int = 8) -> pd.DataFrame:
        """Said against happened, in bins of equal numbers of out-of-fold samples: columns said, happened, samples."""
        places = pd.qcut(self.judged["probability"], bins, duplicates="drop")
        grouped = self.judged.groupby(places, observed=True)
        table = pd.DataFrame({"said": grouped["probability"].mean(), "happened": grouped["reverted"].mean(), "samples": grouped.size()})
        return table.reset_index(drop=True)


def samples(bars: PairBars, thresholds: Thresholds, span: slice = slice(None)) -> pd.DataFrame:
    """One row a bar at which a trade may begin and has ended within `span`: FEATURES, `reverted` 0 or 1; index the bar's position in `bars`."""
    z = bars.z(thresholds.window, thresholds.zscore)
    positions = np.arange(z.size)[span]
    labels = np.empty(positions.size, np.int64)
    outcomes(z[span], labels, thresholds.entry_z, thresholds.exit_z, thresholds.stop_z, thresholds.max_holding_bars)
    table = pd.DataFrame(bars.features(thresholds.window, thresholds.zscore)[span], positions, list(FEATURES))
    table["reverted"] = labels
    return table[labels >= 0].dropna()


def train(
    bars: PairBars,
    thresholds: Thresholds,
    span: slice = slice(None),
    kind: Kind = "forest",
    trees: int = 60,
    embargo: int | None = None,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> ReversionModel:
    """Train on the samples of `span` (the train span), judged on five purged folds. `embargo` in bars, default the holding limit.

    Raises DataError with fewer than 50 samples or one outcome only.
    """
    known = samples(bars, thresholds, span)
    labels, rows, at = known["reverted"].to_numpy(), known[list(FEATURES)].to_numpy(), known.index.to_numpy()
    if len(known) < 50 or labels.min() == labels.max():
        raise DataError(
            f"{len(known)} moments of entry, {int(labels.sum())} of them reverted, teach nothing", "Use more data, or a rule that stops now and then"
        )
    first, n = int(np.arange(len(bars.index))[span][0]), len(np.arange(len(bars.index))[span])
    apart = thresholds.max_holding_bars if embargo is None else embargo
    folds, judged = [], []
    features, unseen = bars.features(thresholds.window, thresholds.zscore), np.full(len(bars.index), np.nan)
    for learn, judge in progress(list(combinatorial_purged(n, groups=5, held_out=1, embargo=min(apart, n))), f"purged folds of the {kind}"):
        inside, outside = np.isin(at, learn + first), np.isin(at, judge + first)
        if len(set(labels[inside])) < 2 or not outside.any():
            continue
        fitted = _fitted(kind, trees, seed, rows[inside], labels[inside])
        probability = fitted.predict_proba(rows[outside])[:, 1]
        belief = np.empty(judge.size)
        tree_probabilities(np.ascontiguousarray(features[judge + first]), table_of(fitted), belief)
        unseen[judge + first] = belief
        truth = labels[outside]
        sure = probability >= confidence
        folds.append(
            {
                "samples": int(outside.sum()),
                "brier": float(np.mean((probability - truth) ** 2)),
                "base_brier": float(np.mean((labels[inside].mean() - truth) ** 2)),
                "confident": int(sure.sum()),
                "hit_rate": float(truth[sure].mean()) if sure.any() else float("nan"),
            }
        )
        judged.append(pd.DataFrame({"probability": probability, "reverted": truth}, at[outside]))
    if not judged:
        raise DataError("no fold holds both outcomes once it is purged", "Use more data or a shorter holding limit")
    made = Training(thresholds, first, first + n, kind, trees, apart, seed, len(rows))
    table = table_of(_fitted(kind, trees, seed, rows, labels))
    return ReversionModel(table, pd.DataFrame(folds), pd.concat(judged).sort_index(), len(rows), unseen, made)


def _fitted(kind: Kind, trees: int, seed: int, rows: np.ndarray, labels: np.ndarray) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

    leaf = max(10, len(rows) // 50)
    if kind == "boosting":
        model = GradientBoostingClassifier(
            n_estimators=trees, max_depth=3, learning_rate=0.05, subsample=0.7, min_samples_leaf=leaf, random_state=seed
        )
    else:
        model = RandomForestClassifier(trees, max_depth=6, min_samples_leaf=leaf, random_state=seed, n_jobs=1)
    return model.fit(rows, labels)


def table_of(model: Any) -> np.ndarray:
    """A fitted RandomForestClassifier or GradientBoostingClassifier (two classes) as the table of kernels/stats/forest.py."""
    from sklearn.ensemble import GradientBoostingClassifier

    boosted = isinstance(model, GradientBoostingClassifier)
    estimators = [tree for row in model.estimators_ for tree in row] if boosted else model.estimators_
    roots, nodes, at = [], [], 0
    for estimator in estimators:
        tree = estimator.tree_
        leaf = tree.children_left < 0
        shares = tree.value[:, 0, :]
        value = shares[:, 0] if boosted else shares[:, 1] / shares.sum(axis=1)
        columns = (
            np.where(leaf, -1, tree.feature),
            np.where(leaf, value, tree.threshold),
            np.where(leaf, -1, tree.children_left + at),
            np.where(leaf, -1, tree.children_right + at),
        )
        nodes.append(np.column_stack(columns).astype(np.float64))
        roots.append(float(at))
        at += tree.node_count
    link, offset, scale = MEAN, 0.0, 1.0 / len(roots)
    if boosted:
        prior = float(model.init_.class_prior_[1])
        link, offset, scale = LOGISTIC, float(np.log(prior / (1.0 - prior))), float(model.learning_rate)
    return np.concatenate([[link, offset, scale, len(roots)], roots, np.concatenate(nodes).ravel()]).astype(np.float64)
