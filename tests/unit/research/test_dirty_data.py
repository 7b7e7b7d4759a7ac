"""R-10, no silent NaN: dirty data at every boundary of research is a clear refusal or a reported exclusion, never a wrong number.

The table of policies is in docs/research.md; each row of it is a test here.
"""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError, HftkitError
from research.data.data_loader import load_panel
from research.data.instruments import infer_instrument
from research.pairs.freezing.pipeline import find_and_freeze
from research.pairs.performance import Trials, bootstrap_band, probabilistic_sharpe, sharpe
from research.pairs.strategy_optimizer import PairBars
from research.pairs.walkforward import rolling
from research.report.pair_report import report
from research.stats.cointegration import engle_granger
from research.stats.discovery.pair_scan import discoveries, scan_pairs
from research.stats.discovery.prefilter import Prefilter, illiquid
from research.stats.johansen import johansen
from research.stats.phillips_ouliaris import phillips_ouliaris
from research.stats.spread.hedge import dols_hedge_ratio, kalman_hedge_ratios, log_spread, ols_hedge_ratio, tls_hedge_ratio
from research.stats.spread_tests import (
    cusum,
    cusum_recursive,
    gregory_hansen,
    hurst_exponent,
    rolling_stability,
    variance_ratio,
    zero_crossings,
)
from research.stats.unit_root import dickey_fuller
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


WITHOUT_LAGS = ("log_spread", "ols_hedge_ratio", "tls_hedge_ratio", "kalman_hedge_ratios")


def test_a_filter_says_nothing_before_its_start(clean):
    """NaN, not a refusal: a signal must give a value for every row that it is shown (research/pairs/lookahead.py)."""
    assert np.isnan(kalman_hedge_ratios(clean["A0USDT"].iloc[:4], clean["B0USDT"].iloc[:4])).all()


@pytest.mark.parametrize("name", [name for name in PAIR_FUNCTIONS if name not in WITHOUT_LAGS])
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


def test_series_of_other_times_are_not_paired_row_by_row(clean):
    y, x = np.log(clean["A0USDT"]).iloc[:-5], np.log(clean["B0USDT"]).iloc[5:]
    for call in (engle_granger, phillips_ouliaris, gregory_hansen):
        with pytest.raises(DataError, match="other times, the first at row 0"):
            call(y, x)
    for call in (ols_hedge_ratio, tls_hedge_ratio, kalman_hedge_ratios, lambda lead, hedge: PairBars(lead, hedge, 0.8, 60_000_000_000)):
        with pytest.raises(DataError, match="other times"):
            call(np.exp(y), np.exp(x))
    assert engle_granger(y.to_numpy(), x.to_numpy()).verdict == "ok"  # arrays have no times to compare


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: scan_pairs(p.iloc[:12]), "12 rows are too few for a scan"),
        (lambda p: scan_pairs(p.to_numpy()), "prices are a ndarray"),
        (lambda p: scan_pairs(p.assign(A0USDT="x")), "not made of numbers"),
        (lambda p: scan_pairs(p * 1e300, log=False), "leaves the range of the arithmetic"),
        (lambda p: scan_pairs(p * 1e-300, log=False), "leaves the range of the arithmetic"),
        (lambda p: scan_pairs(p, maxlag=-1), "maxlag is -1"),
        (lambda p: engle_granger(p["A0USDT"], p["B0USDT"], maxlag=2.7), "maxlag is 2.7"),
        (lambda p: engle_granger(["a"] * 30, ["b"] * 30), "not made of numbers"),
        (lambda p: engle_granger([], []), "0 observations are too few"),
        (lambda p: johansen(p, 1.5), "lags is 1.5"),
        (lambda p: dickey_fuller(p["A0USDT"] * 0 + 0.1), "constant"),
        (lambda p: dickey_fuller(np.arange(60.0), "ct"), "follows its own past exactly"),
        (lambda p: dickey_fuller(p["A0USDT"].iloc[:4], "ctt"), "too few"),
        (lambda p: report(p, "A0USDT", "ZZ"), "the panel has no ZZ. It has A0USDT"),
        (lambda p: report(p, "A0USDT", "A0USDT"), "with itself is no pair"),
        (lambda p: discoveries(scan_pairs(p), fdr=2.0), "false-discovery rate of 2.0"),
        (lambda p: PairBars(p["A0USDT"], p["B0USDT"], 0.8, 0), "bars of 0 ns"),
        (lambda p: list(rolling(100, 50, 0)), "go nowhere"),  # would step by nothing for ever
        (lambda p: Trials(0, 5, 0.0, 0.1, 100), "are no trials"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(call, message, clean):
    with pytest.raises(DataError, match=message):
        call(clean)


def test_a_pair_whose_prices_spoil_after_train_says_so(clean, tmp_path):
    for symbol in ("A0USDT", "B0USDT"):
        candles_of(make_prices(1500)[symbol]).to_parquet(tmp_path / f"{symbol}.parquet")
    panel = load_panel(tmp_path)
    closes = panel.closes.copy()
    closes.iloc[-3, 0] = np.nan
    instruments = {symbol: infer_instrument(symbol, panel.closes[symbol]) for symbol in closes}
    with pytest.raises(DataError, match=r"none .* can be calibrated \(A0USDT/B0USDT: .* not finite and positive, the first nan at row 1497"):
        find_and_freeze(replace(panel, closes=closes), instruments, tmp_path / "frozen", embargo=60, insist=True)
    with pytest.raises(DataError, match="the instruments lack"):
        find_and_freeze(panel, {}, tmp_path / "frozen", embargo=60, insist=True)


@pytest.mark.parametrize(("value", "outcome"), [(-1.0, "negative or infinite volume"), (np.inf, "negative or infinite volume"), (np.nan, None)])
def test_bad_volume_is_a_fault_and_missing_volume_is_not_liquid(value, outcome, clean, tmp_path):
    candles = candles_of(clean["A0USDT"])
    candles["volume"] = candles["volume"].astype(float)
    candles.loc[7, "volume"] = value
    candles.to_parquet(tmp_path / "A.parquet")
    if outcome:
        with pytest.raises(DataError, match=outcome):
            load_panel(tmp_path)
    else:
        assert illiquid(load_panel(tmp_path).quality, Prefilter(min_turnover=1.0)) == {"A": "no volume data"}


def test_a_file_of_one_row_has_no_bar_length(clean, tmp_path):
    candles_of(clean["A0USDT"]).to_parquet(tmp_path / "A.parquet")
    candles_of(clean["B0USDT"]).iloc[:1].to_parquet(tmp_path / "B.parquet")
    with pytest.raises(DataError, match="B has a single row"):
        load_panel(tmp_path, ["A", "B"])
    assert "B has a single row" in dict(load_panel(tmp_path).excluded)["B"]  # of all files, it costs itself


def test_a_full_disk_is_one_line_and_leaves_no_half_file(clean, tmp_path):
    """A real one: files may not grow beyond a limit, which the system reports as it reports a full disk."""
    folder = tmp_path / "in"
    folder.mkdir()
    for symbol in clean:
        candles_of(clean[symbol]).to_parquet(folder / f"{symbol}.parquet")
    out = tmp_path / "out"
    out.mkdir()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    main = "from hftkit.cli.application import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", main, "scan", str(folder), "--maxlag", "1", "--out", str(out / "pairs.csv")],
        capture_output=True, text=True, preexec_fn=limit, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pairs.csv: File too large. Check the folder and its free space" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(out.iterdir()) == []
