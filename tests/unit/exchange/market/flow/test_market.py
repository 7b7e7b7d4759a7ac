"""The synthetic market: fundamentals that do what the configuration says, a book that stays near them."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.exchange.config import load_config
from hftkit.exchange.core.matching import new_reports
from hftkit.exchange.market.flow.build import new_market
from hftkit.exchange.market.flow.fundamentals import advance_fundamentals
from hftkit.exchange.market.tape import CANDLE, _open_books, _run, make_tape
from research.stats.cointegration import engle_granger


def paths(minutes: int, seed: int) -> np.ndarray:
    """Log fundamentals, (minutes, n)."""
    flow, _ = new_market(load_config(), seed)
    rows = np.empty((minutes, len(flow.fundamentals)))
    for m in range(minutes):
        advance_fundamentals(flow.fundamentals, flow.value_states, flow.market, flow.volatility, flow.clock, (m + 1) * 60)
        rows[m] = flow.fundamentals["x"]
    return rows


def test_fundamentals_have_the_configured_volatility_half_life_and_deviation() -> None:
    config, x = load_config(), paths(30_000, 11)
    for i, instrument in enumerate(config.instruments):
        pair = instrument.cointegrated
        if pair is None:
            expected = np.hypot(instrument.annual_volatility, instrument.market_beta * config.market_annual_volatility) / np.sqrt(365 * 1440)
            assert np.diff(x[:, i]).std() == pytest.approx(expected, rel=0.03)
        else:
            u = x[:, i] - pair.hedge_ratio * x[:, config.symbols.index(pair.hedge)]
            assert u.std() * 1e4 == pytest.approx(pair.spread_sd_bps, rel=0.12)
            rho, truth = float(u[1:] @ u[:-1] / (u[:-1] @ u[:-1])), 2.0 ** (-1.0 / pair.half_life_minutes)
            assert abs(rho - truth) < 3.0 * np.sqrt((1.0 - truth**2) / len(u))  # standard error of an AR(1) coefficient


def test_pairs_of_another_seed_are_found_by_the_projects_own_engle_granger() -> None:
    config = load_config()
    logs = np.log(make_tape(config, 3000, seed=77)["close"])
    for i, row in enumerate(config.instruments):
        if row.cointegrated is not None:
            found = engle_granger(logs[i], logs[config.symbols.index(row.cointegrated.hedge)], maxlag=1, autolag=None)
            assert found.pvalue < 1e-4
            assert found.hedge_ratio == pytest.approx(row.cointegrated.hedge_ratio, rel=0.05)
            assert found.half_life == pytest.approx(row.cointegrated.half_life_minutes, rel=0.35)
    assert engle_granger(logs[6], logs[7], maxlag=1, autolag=None).pvalue > 0.05


def test_another_seed_is_another_market_not_the_same_one_shifted() -> None:
    a, b = (np.diff(paths(2_000, seed), axis=0) for seed in (1, 2))
    for lag in range(3):
        assert abs(np.corrcoef(a[lag:, 0], b[: len(b) - lag, 0])[0, 1]) < 0.1


def test_skipping_ahead_gives_the_same_fundamentals() -> None:
    config = load_config()
    walked, _ = new_market(config)
    advance_fundamentals(walked.fundamentals, walked.value_states, walked.market, walked.volatility, walked.clock, 90 * 60)
    skipped, _ = new_market(config, skip_minutes=90)
    assert (walked.fundamentals["value"] == skipped.fundamentals["value"]).all()


def test_the_same_seed_is_the_same_tape() -> None:
    config = load_config()
    assert make_tape(config, 20).tobytes() == make_tape(config, 20).tobytes()
    assert make_tape(config, 20, seed=5).tobytes() != make_tape(config, 20).tobytes()


def test_the_book_is_two_sided_and_its_mid_follows_the_fundamental() -> None:
    config = load_config()
    flow, books = new_market(config)
    reports, candles = new_reports(books), np.zeros((12, 60), CANDLE)
    _open_books(flow, books, reports, candles, config.start_ns)
    spreads, gaps = [], []
    for second in range(1, 1800):
        _run(flow, books, reports, candles, config.start_ns, config.start_ns + second * 1_000_000_000)
        bid, ask, value = books.tops["bid"], books.tops["ask"], flow.fundamentals["value"]
        assert (bid > 0).all()
        assert (bid < ask).all()
        spreads.append((ask - bid) / value * 1e4)
        gaps.append(((bid + ask) / 2 / value - 1) * 1e4)
    spread = np.mean(spreads, axis=0)
    assert ((spread > 1.0) & (spread < 5.0)).all()
    assert (np.std(gaps, axis=0) < spread).all()
    assert (books.tops["n_bid"] >= 4).all()
