"""R-10, no silent NaN: dirty data at every boundary of research is a clear refusal or a reported exclusion, never a wrong number.

The table of policies is in docs/research.md; each row of it is a test here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError, HftkitError
from research.cointegration import discoveries, engle_granger, scan_pairs
from research.data_loader import load_panel
from research.hedge import dols_hedge_ratio, kalman_hedge_ratios, log_spread, ols_hedge_ratio, tls_hedge_ratio
from research.johansen import johansen
from research.pair_report import report
from research.performance import bootstrap_band, probabilistic_sharpe, sharpe
from research.spread_tests import (
    cusum,
    cusum_recursive,
    gregory_hansen,
    hurst_exponent,
    phillips_ouliaris,
    rolling_stability,
    variance_ratio,
    zero_crossings,
)
from research.unit_root import dickey_fuller
from tests.unit.research.synthetic_market import candles_of, make_prices

N = 400


@pytest.fixture(scope="module")
def clean() -> pd.DataFrame:
    return make_prices(N)


def dirt(kind: str, clean: pd.DataFrame) -> pd.DataFrame:
    """The same prices with A0USDT spoiled."""
    bad = clean.copy()
    place = bad.columns.get_loc("A0USDT")
    if kind in ("nan", "zero", "negative", "infinite"):
        bad.iloc[N // 2, place] = {"nan": np.nan, "zero": 0.0, "negative": -5.0, "infinite": np.inf}[kind]
    elif kind == "all nan":
        bad["A0USDT"] = np.nan
    elif kind == "constant":
        bad["A0USDT"] = 100.1
    elif kind == "duplicate stamps":
        bad.index = bad.index.where(np.arange(N) != 7, bad.index[6])
    elif kind == "disorder":
        bad = bad.iloc[[1, 0, *range(2, N)]]
    return bad


PAIR_FUNCTIONS = {
    "engle_granger": lambda y, x: engle_granger(np.log(y), np.log(x)),
    "phillips_ouliaris": lambda y, x: phillips_ouliaris(np.log(y), np.log(x)),
    "gregory_hansen": lambda y, x: gregory_hansen(np.log(y), np.log(x), lag=1),
    "johansen": lambda y, x: johansen(np.log(pd.DataFrame({"y": y, "x": x}))),
    "ols_hedge_ratio": ols_hedge_ratio,
    "tls_hedge_ratio": tls_hedge_ratio,
    "dols_hedge_ratio": dols_hedge_ratio,
    "kalman_hedge_ratios": kalman_hedge_ratios,
    "log_spread": lambda y, x: log_spread(y, x, 0.8),
    "rolling_stability": lambda y, x: rolling_stability(pd.DataFrame({"y": y, "x": x}), "y", "x", 200, 50),
    "report": lambda y, x: report(pd.DataFrame({"y": y, "x": x}), "y", "x"),
}
SPREAD_FUNCTIONS = {
    "hurst": hurst_exponent,
    "variance_ratio": variance_ratio,
    "cusum": cusum,
    "cusum_recursive": cusum_recursive,
    "zero_crossings": zero_crossings,
    "dickey_fuller": dickey_fuller,
}


@pytest.mark.parametrize("kind", ["nan", "zero", "negative", "infinite", "all nan"])
@pytest.mark.parametrize("name", PAIR_FUNCTIONS)
def test_a_pair_with_bad_prices_is_refused_everywhere(name, kind, clean):
    bad = dirt(kind, clean)
    with np.errstate(all="ignore"), pytest.raises(DataError, match=r"finite|positive"):
        PAIR_FUNCTIONS[name](bad["A0USDT"], bad["B0USDT"])


@pytest.mark.parametrize("name", [name for name in PAIR_FUNCTIONS if name != "log_spread"])
def test_a_constant_series_is_refused_everywhere(name, clean):
    bad = dirt("constant", clean)
    for first, second in (("A0USDT", "B0USDT"), ("B0USDT", "A0USDT")):
        with pytest.raises(DataError, match=r"constant|variance|does not move"):
            PAIR_FUNCTIONS[name](bad[first], bad[second])


@pytest.mark.parametrize("name", SPREAD_FUNCTIONS)
def test_a_spread_that_is_not_finite_is_refused(name):
    spread = np.random.default_rng(0).normal(size=200)
    spread[17] = np.nan
    with pytest.raises(DataError, match="not finite, the first at row 17"):
        SPREAD_FUNCTIONS[name](spread)


@pytest.mark.parametrize("name", [name for name in PAIR_FUNCTIONS if name not in ("log_spread", "ols_hedge_ratio", "tls_hedge_ratio")])
def test_fewer_rows_than_lags_is_refused(name, clean):
    with pytest.raises(DataError, match=r"too few|hold no window|make no filter"):
        PAIR_FUNCTIONS[name](clean["A0USDT"].iloc[:4], clean["B0USDT"].iloc[:4])


@pytest.mark.parametrize("kind", ["nan", "zero", "negative", "infinite", "all nan"])
def test_a_scan_refuses_bad_prices_or_leaves_the_symbol_out(kind, clean):
    bad = dirt(kind, clean)
    with pytest.raises(DataError, match="A0USDT: price"):
        scan_pairs(bad)
    scan = scan_pairs(bad, on_bad="exclude")
    touched = (scan["lead"] == "A0USDT") | (scan["hedge"] == "A0USDT")
    assert scan.loc[touched, "verdict"].str.startswith("left out: A0USDT, ").all()
    assert scan.loc[touched, ["pvalue", "statistic", "q_bh"]].isna().all(axis=None)
    without = scan_pairs(clean.drop(columns="A0USDT"))
    pd.testing.assert_frame_equal(scan[~touched].reset_index(drop=True), without)  # the others do not notice
    assert "A0USDT" not in set(discoveries(scan)["lead"]) | set(discoveries(scan)["hedge"])
    with pytest.raises(DataError, match="not a decision"):
        scan_pairs(bad, on_bad="repair")


@pytest.mark.parametrize(("kind", "message"), [("duplicate stamps", "strictly increasing"), ("disorder", "strictly increasing")])
def test_a_scan_refuses_times_that_are_out_of_order(kind, message, clean):
    with pytest.raises(DataError, match=message):
        scan_pairs(dirt(kind, clean))


def test_every_row_of_a_scan_has_a_number_or_a_reason(clean):
    bad = dirt("constant", clean)
    bad["TWICE"] = bad["B0USDT"] ** 2
    bad["NOISE"] = np.exp(np.random.default_rng(1).normal(size=N) * 0.01)
    bad.iloc[3, bad.columns.get_loc("W0USDT")] = np.nan
    scan = scan_pairs(bad, on_bad="exclude")
    numbers = scan[["statistic", "pvalue", "q_bh", "q_by", "q_bonferroni", "hedge_ratio", "half_life"]]
    ok = scan["verdict"] == "ok"
    assert numbers[ok].notna().all(axis=None)
    assert set(scan.loc[~ok, "verdict"].str.split(":").str[0]) == {"constant series", "collinear", "stationary series", "left out"}
    assert discoveries(scan, 1.0)["verdict"].eq("ok").all()


def test_one_symbol_and_a_thousand(clean):
    with pytest.raises(DataError, match="1 symbols make no pair"):
        scan_pairs(clean[["A0USDT"]])
    rng = np.random.default_rng(0)
    many = pd.DataFrame(np.exp(np.cumsum(rng.normal(size=(60, 1000)), axis=0) * 0.01), columns=[f"S{i:03d}" for i in range(1000)])
    scan = scan_pairs(many, maxlag=0, autolag=None, min_correlation=0.45)
    assert len(scan) == 999_000
    assert scan.loc[scan["verdict"] == "ok", "pvalue"].notna().all()


def test_a_folder_of_mixed_frequencies_or_one_symbol(clean, tmp_path):
    candles_of(clean["A0USDT"]).to_parquet(tmp_path / "A.parquet")
    with pytest.raises(DataError, match="1 symbols make no pair"):
        scan_pairs(load_panel(tmp_path).closes)
    candles_of(clean["B0USDT"]).iloc[::5].to_parquet(tmp_path / "B.parquet")
    with pytest.raises(DataError, match="bars of 300 s"):
        load_panel(tmp_path)


def test_near_collinear_series_say_so_or_agree_with_a_careful_computation(clean):
    """From well apart to the same: a statistic that the careful road confirms, or the verdict "collinear"; never something in between."""
    base = np.log(clean["B0USDT"].to_numpy())
    rng = np.random.default_rng(3)
    noise = np.cumsum(rng.normal(size=N))
    verdicts = []
    for exponent in range(2, 17):
        y = base + noise * 10.0**-exponent
        found = engle_granger(y, base, maxlag=2, autolag=None)
        verdicts.append(found.verdict)
        if found.verdict == "ok":
            wide = engle_granger(noise, base, maxlag=2, autolag=None)  # in exact arithmetic the same residual but for its scale
            assert found.statistic == pytest.approx(wide.statistic, abs=1e-3)
        else:
            assert (found.statistic, found.pvalue) == (-np.inf, 0.0) or np.isnan(found.pvalue)
    assert verdicts[0] == "ok"
    assert verdicts[-1] != "ok"
    assert verdicts == sorted(verdicts, key=lambda verdict: verdict != "ok")


def test_figures_of_a_run_have_no_silent_nan_and_no_wrong_number():
    returns = np.random.default_rng(0).normal(size=300)
    returns[7] = np.nan
    with pytest.raises(DataError, match="1 of 300 returns are not finite, the first at row 7"):
        bootstrap_band(returns)
    constant = np.full(300, 0.1)  # its standard deviation is 1e-17 by arithmetic: a Sharpe ratio of 1e17 would be a wrong number
    assert np.isnan(sharpe(constant, 365.0))
    assert np.isnan(probabilistic_sharpe(constant))
    assert bootstrap_band(constant) == pytest.approx((30.0, 30.0))


def test_all_refusals_are_of_one_family():
    assert issubclass(DataError, HftkitError)
