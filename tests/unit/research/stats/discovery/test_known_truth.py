"""The yardsticks themselves: known pairs have the truth they claim; the studies and their pictures; an archive packed is an archive read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from research.data.data_loader import read_candles
from research.data.remote.archive import Archive, fetch
from research.data.remote.archive_pack import pack_klines
from research.pairs.performance import bootstrap_band
from research.report import study_figures
from research.stats.discovery.known_truth import estimates, false_discoveries, known_pair
from research.stats.spread_tests import cusum, cusum_path
from tests.unit.research.synthetic_market import candles_of


def test_a_known_pair_has_the_truth_it_claims():
    pair = np.log(known_pair(0, 200_000, hedge_ratio=0.8, half_life_bars=20.0, spread_sd=0.003))
    spread = (pair["lead"] - np.log(100.0)) - 0.8 * (pair["hedge"] - np.log(50.0))
    assert spread.std() == pytest.approx(0.003, rel=0.02)
    assert spread.autocorr(20) == pytest.approx(0.5, abs=0.02)  # that is what a half-life of 20 bars means
    assert pair["hedge"].diff().std() == pytest.approx(0.0006, rel=0.01)
    shifted = known_pair(0, 1000, shift_at=600)
    assert np.log(shifted["lead"] / known_pair(0, 1000)["lead"]).iloc[[599, 600]].tolist() == pytest.approx([0.0, 0.009])


def test_estimators_approach_the_truth_and_half_lives_come_out_short():
    found = estimates(30, (500, 4000))
    short, long = (found[found["rows"] == n] for n in (500, 4000))
    for name in ("OLS", "TLS", "DOLS", "Kalman"):
        assert long[name].median() == pytest.approx(0.8, abs=0.05)
    for name in ("OLS", "DOLS"):
        assert (long[name] - 0.8).abs().median() < (short[name] - 0.8).abs().median()
    assert short["half_life"].median() < long["half_life"].median() < 20.5  # least squares of a short sample reverts too fast
    bounced = estimates(20, (4000,), bounce=0.002)
    assert bounced["half_life"].median() < 0.7 * long["half_life"].median()  # noise of measurement reverts at once


def test_random_walks_have_their_price():
    counts = false_discoveries(40, symbols=8, rows=200)
    assert counts["p_value"].mean() > 1.0
    assert (counts["bonferroni"] <= counts["bh"]).all()
    assert (counts["bh"] > 0).mean() < 0.2


def test_pictures_draw():
    counts, found = false_discoveries(5, symbols=4, rows=100), estimates(3, (300, 600))
    pair = known_pair(1, 600, shift_at=300)
    spread = np.log(pair["lead"]) - 0.8 * np.log(pair["hedge"])
    draws = np.random.default_rng(0).normal(0.1, 0.05, 500)
    for figure in (
        study_figures.price_of_many_tests(counts, 0.05),
        study_figures.against_truth(found, 0.8, 20.0),
        study_figures.cusum_path(spread, cusum(spread), cusum_path(spread)),
        study_figures.band(draws, 0.1, *np.percentile(draws, [5, 95]), "net"),
    ):
        assert figure._repr_png_()[:4] == b"\x89PNG"
    assert bootstrap_band(draws, np.mean)[0] < 0.1


@pytest.mark.parametrize("daily", [False, True])
def test_a_packed_archive_is_read_back_to_the_bit(prices, tmp_path, daily):
    candles = candles_of(prices["A0USDT"]).set_index("open_time")
    zips = pack_klines(candles, tmp_path / "own", "A0USDT", daily=daily)
    assert len(zips) == (3 if daily else 1)
    (found,) = fetch(Archive(str(tmp_path / "own"), tmp_path / "cache"), "A0USDT", [path.stem[-10:] if daily else "2026-01" for path in zips])
    back = read_candles(found.path)
    pd.testing.assert_frame_equal(back, candles, check_freq=False, check_index_type=False)
    before = [path.read_bytes() for path in zips]
    assert [path.read_bytes() for path in pack_klines(candles, tmp_path / "own", "A0USDT", daily=daily)] == before
