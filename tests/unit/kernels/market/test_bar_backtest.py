"""The walk over bars against a plain twin, with the accounting done trade by trade."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.codes import SignalReason
from hftkit.kernels.market import bar_backtest as kernel
from hftkit.kernels.market.reversion import next_target


def plain_targets(z: np.ndarray, entry: float, leave: float, stop: float, limit: int) -> list[int]:
    targets, target, blocked, entered = [], 0, 0, 0
    for t, value in enumerate(z):
        target, blocked, reason = next_target.py_func(target, value, t - entered, blocked, entry, leave, stop, limit)
        if reason == SignalReason.ENTRY:
            entered = t
        targets.append(target)
    return targets


def noisy_z(n: int = 3000, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z = np.zeros(n)
    for t in range(1, n):
        z[t] = 0.93 * z[t - 1] + rng.normal() * 0.6
    z[100:110] = np.nan
    return z


def walked(z: np.ndarray, *rule: float) -> tuple[np.ndarray, np.ndarray, int]:
    targets, reasons = np.full(z.size, 99), np.full(z.size, 99)
    return targets, reasons, kernel.walk_rule(z, np.empty(0), targets, reasons, *rule, 0.0)


@pytest.mark.parametrize("rule", [(1.5, 0.0, 4.0, 50), (1.0, 0.5, 2.0, 5), (2.0, 0.25, 6.0, 1000)])
def test_walk_equals_its_plain_twin(rule):
    z = noisy_z()
    targets, reasons, entries = walked(z, *rule)
    assert targets.tolist() == plain_targets(z, *rule)
    assert entries == np.count_nonzero(reasons == SignalReason.ENTRY) > 10


def test_net_return_is_that_of_the_trades_one_by_one():
    z = noisy_z(seed=2)
    step = np.random.default_rng(3).normal(size=z.size) * 1e-3
    targets, _, entries = walked(z, 1.5, 0.0, 4.0, 50)
    net = np.full(z.size, np.nan)
    turnover = kernel.net_returns(targets, step, net, 2e-4, 1e-6)
    total, trades, t = 0.0, 0, 0
    while t < z.size:  # each trade: the steps it was held for, less two fills
        if targets[t] == 0:
            t += 1
            continue
        side, began = targets[t], t
        while t < z.size and targets[t] == side:
            t += 1
        total += side * step[began + 1 : t + 1].sum() - 2 * 2e-4 - 1e-6 * (min(t, z.size - 1) - began)
        trades += 1
    assert trades == entries
    assert net.sum() == pytest.approx(total, rel=1e-10)
    assert turnover == 2 * trades


def test_summary_of_a_known_path():
    net, targets, out = np.array([0.0, 0.02, -0.01, -0.03, 0.01]), np.array([1, 1, 1, 0, 0]), np.full(kernel.RESULT_FIELDS, np.nan)
    kernel.summarise(net, targets, out)
    assert out[kernel.NET] == pytest.approx(-0.01)
    assert out[kernel.DRAWDOWN] == pytest.approx(0.04)
    assert out[kernel.SHARPE] == pytest.approx(net.mean() / net.std(ddof=1))
    assert out[kernel.EXPOSURE] == 0.6
    assert out[kernel.DEVIATION] == pytest.approx(net.std(ddof=1))
    kernel.summarise(np.zeros(5), targets, out)
    assert out[kernel.SHARPE] == 0.0


def test_sweep_equals_one_run_a_cell():
    z = np.array([noisy_z(seed=4), noisy_z(seed=5)])
    step = np.random.default_rng(6).normal(size=z.shape[1]) * 1e-3
    cells = np.array([[0, 1.5, 0.0, 4.0, 50], [1, 1.5, 0.0, 4.0, 50], [1, 2.0, 0.5, 3.0, 20]])
    out = np.full((3, kernel.RESULT_FIELDS), np.nan)
    scratch = np.empty(step.size, np.int64), np.empty(step.size, np.int64), np.empty(step.size)
    together, expected = np.zeros(step.size), np.zeros(step.size)
    assert kernel.sweep_cells(z, np.empty((2, 0)), step, cells, *scratch, together, out, 1e-4, 0.0, 0.0) == 3
    for cell, row in zip(cells, out, strict=True):
        targets, _, entries = walked(z[int(cell[0])], *cell[1:4], int(cell[4]))
        net, one = np.empty(step.size), np.full(kernel.RESULT_FIELDS, np.nan)
        turnover = kernel.net_returns(targets, step, net, 1e-4, 0.0)
        kernel.summarise(net, targets, one)
        assert (row[kernel.TRADES], row[kernel.TURNOVER]) == (entries, turnover)
        assert row[[kernel.NET, kernel.SHARPE, kernel.DRAWDOWN]].tolist() == one[[kernel.NET, kernel.SHARPE, kernel.DRAWDOWN]].tolist()
        expected += (net - net.mean()) / net.std(ddof=1)
    np.testing.assert_allclose(together, expected, rtol=1e-9, atol=1e-12)
    never = np.array([[0, 90.0, 0.0, 99.0, 50]])  # a set that never trades resembles nothing
    assert kernel.sweep_cells(z, np.empty((2, 0)), step, never, *scratch, together, out[:1], 1e-4, 0.0, 0.0) == 0
    np.testing.assert_allclose(together, expected, rtol=1e-9, atol=1e-12)


def test_z_scores_state_their_gaps():
    z = np.full(4, 7.0)
    assert kernel.zscores(np.array([1.0, 2.0, 3.0, np.nan]), np.zeros(4), np.array([np.nan, 0.0, 2.0, 1.0]), z) == 1
    assert np.isnan(z[[0, 1, 3]]).all()
    assert z[2] == 1.5
