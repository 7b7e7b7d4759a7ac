"""Will this spread come back before it stops out? A random forest over the moments of entry, trained with purged folds, scored by a compiled kernel.

A sample is a bar at which the rule enters; its label is 1 if the trade left by its exit, 0 if it ended by a stop or the holding limit. The
features are known at the close of that bar. scikit-learn trains; what is kept is five arrays, which `hftkit.kernels.stats.forest` scores
to 1e-9 of scikit-learn, and which survive a round trip through the decimal text of a frozen file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hftkit.codes import SignalReason
from hftkit.errors import DataError
from hftkit.kernels.stats.forest import forest_probabilities
from hftkit.params import text_of
from research.costs import NO_COSTS
from research.strategy_optimizer import PairBars, Thresholds, run_rule
from research.walkforward import combinatorial_purged

CONFIDENCE = 0.8
FEATURES = ("size", "step_5", "step_20", "volatility", "crossings")
_ARRAYS = ("feature", "threshold", "left", "right", "value", "roots")
_FLOATS = ("threshold", "value")


@dataclass(frozen=True)
class ReversionModel:
    """`arrays`: of the forest, see kernels/stats/forest.py. `folds`: one row a purged fold: samples, brier, base_brier (always saying the mean),
    confident (how many), hit_rate (of those).
    """

    arrays: dict[str, np.ndarray]
    folds: pd.DataFrame
    samples: int

    def probability(self, features: Any) -> np.ndarray:
        """Probability of a return before the stop, float64 (m,), of rows of FEATURES (m, k). NaN where a feature is not finite."""
        rows = np.ascontiguousarray(features, np.float64)
        out = np.empty(len(rows))
        forest_probabilities(rows, *(self.arrays[name] for name in _ARRAYS), out)
        return out

    def texts(self) -> dict[str, tuple[str, ...]]:
        """The arrays as decimal text, for FrozenParams.arrays."""
        return {f"reversion_{name}": tuple(text_of(value) for value in self.arrays[name]) for name in _ARRAYS}


def arrays_from_texts(texts: dict[str, tuple[str, ...]]) -> dict[str, np.ndarray]:
    """Inverse of `ReversionModel.texts`: the same bits."""
    kinds = {name: np.float64 if name in _FLOATS else np.int64 for name in _ARRAYS}
    return {name: np.array([float(text) for text in texts[f"reversion_{name}"]]).astype(kind) for name, kind in kinds.items()}


def entries(bars: PairBars, thresholds: Thresholds) -> pd.DataFrame:
    """One row an entry of the rule that has ended: FEATURES at its bar, `reverted` 0 or 1; index the bar's position in `bars`."""
    frame = run_rule(bars, thresholds, NO_COSTS).frame
    target, reason, z = frame["target"].to_numpy(), frame["reason"].to_numpy(), frame["z"].to_numpy()
    steps = np.abs(np.diff(z, prepend=np.nan))
    above = pd.Series(z > 0).astype(float).diff().abs()
    known = pd.DataFrame(
        {
            "size": np.abs(z),
            "step_5": np.sign(z) * (z - pd.Series(z).shift(5).to_numpy()),
            "step_20": np.sign(z) * (z - pd.Series(z).shift(20).to_numpy()),
            "volatility": pd.Series(steps).rolling(20).mean().to_numpy(),
            "crossings": above.rolling(thresholds.window).sum().to_numpy(),
        }
    )
    before = np.concatenate([[0], target[:-1]])
    starts, ends = np.flatnonzero((before == 0) & (target != 0)), np.flatnonzero((before != 0) & (target == 0))
    starts = starts[: len(ends)]
    known = known.iloc[starts].copy()
    known["reverted"] = (reason[ends] == SignalReason.EXIT.text).astype(np.int64)
    return known.dropna()


def train(
    bars: PairBars, thresholds: Thresholds, embargo: int = 240, trees: int = 100, seed: int = 0, confidence: float = CONFIDENCE
) -> ReversionModel:
    """Train on all entries of `bars` (hand in the train span), judged on purged folds.

    Raises DataError with fewer than 50 entries or one outcome only.
    """
    from sklearn.ensemble import RandomForestClassifier

    table = entries(bars, thresholds)
    labels = table["reverted"].to_numpy()
    if len(table) < 50 or labels.min() == labels.max():
        raise DataError(
            f"{len(table)} entries, {int(labels.sum())} of them reverted, teach nothing", "Use more data, or a rule that stops now and then"
        )
    rows, at = table[list(FEATURES)].to_numpy(), table.index.to_numpy()

    def fitted(chosen: np.ndarray) -> Any:
        return RandomForestClassifier(trees, min_samples_leaf=10, random_state=seed, n_jobs=1).fit(rows[chosen], labels[chosen])

    folds = []
    for learn, judge in combinatorial_purged(len(bars.index), groups=5, held_out=1, embargo=embargo):
        inside, outside = np.isin(at, learn), np.isin(at, judge)
        if len(set(labels[inside])) < 2 or not outside.any():
            continue
        probability = fitted(inside).predict_proba(rows[outside])[:, 1]
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
    return ReversionModel(forest_arrays(fitted(np.ones(len(rows), bool))), pd.DataFrame(folds), len(rows))


def forest_arrays(forest: Any) -> dict[str, np.ndarray]:
    """The trees of a fitted RandomForestClassifier (two classes) as the arrays of kernels/stats/forest.py."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in _ARRAYS}
    at = 0
    for estimator in forest.estimators_:
        tree = estimator.tree_
        leaf = tree.children_left < 0
        shares = tree.value[:, 0, :]
        parts["feature"].append(np.where(leaf, -1, tree.feature))
        parts["threshold"].append(np.where(leaf, 0.0, tree.threshold))
        parts["left"].append(np.where(leaf, -1, tree.children_left + at))
        parts["right"].append(np.where(leaf, -1, tree.children_right + at))
        parts["value"].append(shares[:, 1] / shares.sum(axis=1))
        parts["roots"].append(np.array([at]))
        at += tree.node_count
    kinds = {name: np.float64 if name in _FLOATS else np.int64 for name in _ARRAYS}
    return {name: np.ascontiguousarray(np.concatenate(parts[name]), kinds[name]) for name in _ARRAYS}
