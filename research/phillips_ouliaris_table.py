"""Quantiles of the limits of Phillips and Ouliaris's statistics, by simulation: the table, and the function that made it.

P. C. B. Phillips and S. Ouliaris (1990), Econometrica 58.1, 165-193, theorems 4.1 to 4.3; their own tables have 10,000 draws of 500 steps.
Here 100,000 draws, seed 1990, at 1,000 steps and at every second of the same steps: each quantile is twice the finer one less the coarser,
which takes out the error of discretisation of order 1 / steps. Standard error of the probability at a 5 % point: 0.0012 or less.

    .venv/bin/python -m research.phillips_ouliaris_table
"""

from __future__ import annotations

import numpy as np

PROBABILITIES = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999)
STATISTICS = ("Za", "Pu", "Pz")
TRENDS = ("n", "c", "ct", "ctt")
MOST_REGRESSORS = 5
DRAWS, STEPS, SEED = 100_000, 1000, 1990


def quantiles(statistic: str, trend: str, regressors: int) -> np.ndarray:
    """Row of the table, float64 (17,) at PROBABILITIES. `statistic` of STATISTICS, `trend` of TRENDS, 1 to 5 regressors."""
    return _ROWS[statistic, trend, regressors]


def simulate(draws: int = DRAWS, steps: int = STEPS, seed: int = SEED) -> dict[tuple[str, str, int], np.ndarray]:
    """The table anew: quantiles float64 (17,) by statistic, trend and number of regressors."""
    rng = np.random.default_rng(seed)
    keys = [(trend, k) for trend in TRENDS for k in range(1, MOST_REGRESSORS + 1)]
    found: dict[tuple[str, str, int], list[np.ndarray]] = {(name, *key): [] for key in keys for name in STATISTICS}
    block = 250
    for first in range(0, draws, block):
        walk = np.cumsum(rng.normal(size=(min(block, draws - first), steps, MOST_REGRESSORS + 1)), axis=1)
        for trend in TRENDS:
            fine, coarse = _flat(walk, trend), _flat(walk[:, 1::2] / np.sqrt(2.0), trend)
            for k in range(1, MOST_REGRESSORS + 1):
                both = np.stack([_statistics(part[:, :, : k + 1]) for part in (fine, coarse)])
                for column, name in enumerate(STATISTICS):
                    found[name, trend, k].append(both[:, :, column])
    table = {}
    for key, parts in found.items():
        fine_values, coarse_values = np.concatenate(parts, axis=1)
        table[key] = 2.0 * np.quantile(fine_values, PROBABILITIES) - np.quantile(coarse_values, PROBABILITIES)
    return table


def _flat(walk: np.ndarray, trend: str) -> np.ndarray:
    """Walks (draws, steps, m) without their trend."""
    if trend == "n":
        return walk
    time = np.linspace(-1.0, 1.0, walk.shape[1])
    basis, _ = np.linalg.qr(np.vander(time, len(trend)))
    return np.asarray(walk - basis @ (basis.T @ walk))


def _statistics(walk: np.ndarray) -> np.ndarray:
    """Za, Pu and Pz of walks (draws, steps, m) with independent steps of variance one, the first column on the others: (draws, 3)."""
    n = walk.shape[1]
    gram = np.swapaxes(walk, 1, 2) @ walk
    slopes = np.linalg.solve(gram[:, 1:, 1:], gram[:, 1:, :1])
    residual = (walk[:, :, :1] - walk[:, :, 1:] @ slopes)[:, :, 0]
    square = (residual[:, :-1] ** 2).sum(axis=1)
    za = n * (residual[:, :-1] * np.diff(residual, axis=1)).sum(axis=1) / square
    pu = n**2 / (residual**2).sum(axis=1)
    pz = n**2 * np.trace(np.linalg.inv(gram), axis1=1, axis2=2)
    return np.column_stack([za, pu, pz])


_TABLE = """
"""
_ROWS = {
    (statistic, trend, int(k)): np.array(values, np.float64) for statistic, trend, k, *values in (line.split() for line in _TABLE.split("\n") if line)
}

if __name__ == "__main__":
    for (statistic_, trend_, k_), row in simulate().items():
        print(statistic_, trend_, k_, " ".join(f"{value:.5g}" for value in row))
