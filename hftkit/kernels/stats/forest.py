"""Decision trees as flat arrays: the compiled score of a random forest that scikit-learn has trained.

All trees in one table. Row of a split: feature index, threshold, rows of the left (value <= threshold) and right child; row of a leaf: feature -1 and
its probability. scikit-learn compares features as float32 with float64 thresholds; so does this, or a value at a threshold would go the other way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hftkit.kernels.jit import kernel


@kernel
def forest_probability(features: Any, feature: Any, threshold: Any, left: Any, right: Any, value: Any, roots: Any) -> float:
    """Mean of the leaf probabilities over the trees, 0..1. NaN if a feature is not finite or there is no tree: no claim, so no trade.

    `features`: float64 (k,); `feature`, `left`, `right` int64 (n,), `threshold`, `value` float64 (n,); `roots` int64 (trees,) first rows.
    """
    for i in range(features.size):
        if not math.isfinite(features[i]):
            return np.nan
    if roots.size == 0:
        return np.nan
    total = 0.0
    for tree in range(roots.size):
        row = roots[tree]
        while feature[row] >= 0:
            row = left[row] if np.float64(np.float32(features[feature[row]])) <= threshold[row] else right[row]
        total += value[row]
    return total / roots.size


@kernel
def forest_probabilities(rows: Any, feature: Any, threshold: Any, left: Any, right: Any, value: Any, roots: Any, out: Any) -> int:
    """`forest_probability` of each row of float64 (m, k) into `out` float64 (m,). Returns m."""
    for i in range(rows.shape[0]):
        out[i] = forest_probability(rows[i], feature, threshold, left, right, value, roots)
    return rows.shape[0]
