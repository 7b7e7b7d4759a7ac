"""Decision trees as one flat table: the compiled score of a forest or of gradient boosting that scikit-learn has trained.

    word 0  link: MEAN (the score is a probability) or LOGISTIC (the probability is 1 / (1 + exp(-score)))
    word 1  offset    word 2  scale    score = offset + scale * sum of the leaves, one a tree
    word 3  trees, then the node at which each tree begins, then nodes of 4 words:
            feature (-1 in a leaf), threshold (the value in a leaf), node of the left child (feature <= threshold), node of the right

All float64, so that the table travels in a frozen file as it is. Children come after their parent: the walk ends. scikit-learn compares features
as float32 with float64 thresholds; so does this, or a value at a threshold would go the other way.
"""

from __future__ import annotations

import math

import numpy as np

from hftkit.kernels.arrays import Float64Array
from hftkit.kernels.jit import kernel

LINK, OFFSET, SCALE, TREES, ROOTS = range(5)
MEAN, LOGISTIC = range(2)
NODE_WORDS = 4
FEATURE, VALUE, LEFT, RIGHT = range(NODE_WORDS)  # words of a node; VALUE is the threshold of a split


@kernel
def tree_probability(features: Float64Array, table: Float64Array) -> float:
    """Probability 0..1. NaN if a feature is not finite or there is no tree: no claim, so no trade.

    `features`: float64 (k,); `table`: float64 (words,), may be longer than the trees.
    """
    trees = int(table[TREES])
    for i in range(features.size):
        if not math.isfinite(features[i]):
            return np.nan
    if trees <= 0:
        return np.nan
    nodes = ROOTS + trees
    total = 0.0
    for tree in range(trees):
        node = nodes + NODE_WORDS * int(table[ROOTS + tree])
        while table[node] >= 0.0:
            value = np.float64(np.float32(features[int(table[node])]))
            child = LEFT if value <= table[node + VALUE] else RIGHT
            node = nodes + NODE_WORDS * int(table[node + child])
        total += table[node + VALUE]
    score = table[OFFSET] + table[SCALE] * total
    return score if table[LINK] == MEAN else 1.0 / (1.0 + math.exp(-score))


@kernel
def tree_probabilities(rows: Float64Array, table: Float64Array, out: Float64Array) -> int:
    """`tree_probability` of each row of float64 (m, k) into `out` float64 (m,). Returns m."""
    for i in range(rows.shape[0]):
        out[i] = tree_probability(rows[i], table)
    return rows.shape[0]


@kernel
def check_table(table: Float64Array, n_features: int) -> int:
    """0 if `tree_probability` can walk the table safely, else the index (from 1) of the first word that is wrong.

    `table`: float64 (words,), exactly as long as its trees; `n_features`: number of features it may ask for.
    """
    if table.size <= ROOTS or (table[LINK] != MEAN and table[LINK] != LOGISTIC):
        return 1
    trees = int(table[TREES]) if 0.0 < table[TREES] < table.size else 0
    nodes = ROOTS + trees
    if trees == 0 or table[TREES] != trees or (table.size - nodes) % NODE_WORDS != 0:
        return TREES + 1
    n = (table.size - nodes) // NODE_WORDS
    for tree in range(trees):
        root = table[ROOTS + tree]
        if not 0.0 <= root < n or root != int(root):
            return ROOTS + tree + 1
    for i in range(n):
        at = nodes + NODE_WORDS * i
        feature = table[at]
        if feature < 0.0:
            continue
        if feature != int(feature) or feature >= n_features:
            return at + 1
        for child in (LEFT, RIGHT):
            below = table[at + child]
            if not i < below < n or below != int(below):
                return at + child + 1
    return 0
