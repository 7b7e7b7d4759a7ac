"""The pair with a moving hedge ratio: its regressions equal research's, the legs follow the ratio, and Chan's examples come out of a frozen file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.backtest.run import UNLIMITED, backtest, quotes_to_tape, session_of
from hftkit.errors import ConfigError, ParamsError
from hftkit.instruments import Instrument
from hftkit.params.format import FrozenParams, LegPlan, freeze, load
from hftkit.session.engine_state import Limits
from hftkit.strategies import moving_hedge as kernel
from live.limit_check import check_limits, unit_values
from research.pairs.dynamic_hedge import band_units, rolling_hedge_ratios, rolling_zscore, run_book
from research.stats.spread.kalman import kalman_regression
from tests.unit.research.shared_data import classic

DAY = 86_400 * 10**9
START = 1_700_000_000 * 10**9 // DAY * DAY
DAYS = 252.0
ETF = "ewa_ewc_ige_daily_2006_2012.csv"
GOLD_OIL = "gld_uso_daily_2006_2012.csv"
LOT = 1e-6  # shares
UNIT = 1_000_000  # lots: one share of the lead
RULE = {"bar_ns": DAY, "entry_z": "1", "stop_z": "1000000", "max_holding_bars": 10**6, "max_hedge_growth": "1000"}


def frozen(folder, **parameters) -> FrozenParams:
    """A file as `freeze` writes it, read again."""
    legs = LegPlan(
        lead="LEAD", hedge="HEDGE", unit_lead_lots=UNIT, unit_hedge_lots=-UNIT, slippage_ticks=5, hedge_deadline_ns=10**9, retry_ns=1, residual_lots=0
    )
    body = {
        "schema_version": 1, "name": "moving", "strategy": "moving_hedge", "strategy_version": 1, "legs": legs, "arrays": {}, "provenance": {},
        "parameters": {**RULE, **parameters}, "valid_from_ns": 0, "valid_until_ns": 2**62,
        "instruments": tuple(Instrument(symbol=symbol, tick_size="0.01", lot_size="0.000001") for symbol in ("LEAD", "HEDGE")),
    }  # fmt: skip
    return load(freeze(FrozenParams(**body), folder))


def tape(prices: pd.DataFrame) -> np.ndarray:
    """Days of quotes round the closes `prices` (lead, hedge): at the end of a day its close, and at the next morning the same once more, so that
    what is decided at a close is traded at its price."""
    ticks = np.round(prices.to_numpy() * 100).astype(np.int64)
    rows = []
    for day, (lead, hedge) in enumerate(ticks):
        end = START + day * DAY + DAY - 3600 * 10**9
        rows += [(end, 0, 0, 0), (end, 1, hedge, 10**12), (end, 0, lead, 10**12)]
        morning = end + 2 * 3600 * 10**9
        rows += [(morning + k * 10**9, k % 2, (lead, hedge)[k % 2], 10**12) for k in range(8)]
    ts, instrument, price, shown = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    wide = np.where(price > 0, 1, 0)
    return quotes_to_tape(ts, instrument, price - wide, shown, price + wide, shown)


def shares_held(params: FrozenParams, prices: pd.DataFrame) -> np.ndarray:
    """Shares (n, 2) that the engine holds at the noon after each close."""
    result = backtest(session_of(params, UNLIMITED), tape(prices))
    assert result.rejects == result.vetoes == 0
    fills = result.fills
    signed = np.where(fills[:, 2] == 0, 1, -1) * fills[:, 4]
    noons = START + (np.arange(len(prices)) + 1) * DAY + DAY // 2
    held = [[signed[(fills[:, 1] == leg) & (fills[:, 0] <= noon)].sum() for leg in (0, 1)] for noon in noons]
    return np.array(held) * LOT


def earned(shares: np.ndarray, prices: pd.DataFrame):
    """Chan's accounting of these shares, at the closes."""
    return run_book(np.ones(len(prices)), shares, prices, DAYS)


def walks(n: int = 250, seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    hedge = 40.0 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    spread = np.zeros(n)
    for t in range(1, n):
        spread[t] = 0.8 * spread[t - 1] + rng.normal(0, 0.3)
    return pd.DataFrame({"LEAD": np.round(10.0 + 0.7 * hedge + spread, 2), "HEDGE": np.round(hedge, 2)})


@pytest.mark.parametrize("spread", ["levels", "logs"])
def test_each_close_equals_researchs_kalman_regression(tmp_path, spread):
    prices = walks()
    params = kernel.pack_params(frozen(tmp_path, spread=spread, exit_z="0.5", noise="0.01", drift="0.001"))
    state = kernel.pack_state(frozen(tmp_path, spread=spread, exit_z="0.5", noise="0.01", drift="0.001"))
    values = prices if spread == "levels" else np.log(prices)
    path = kalman_regression(values["LEAD"], values["HEDGE"], drift=0.001, noise=0.01)
    for t, (lead, hedge) in enumerate(values.to_numpy()):
        kernel.kalman_close(lead, hedge, params, state)
        state[kernel.COUNT] += 1
        expected = path.slope[t], path.intercept[t], path.forecast_error[t], path.forecast_deviation[t]
        found = state[[kernel.SLOPE, kernel.LEVEL, kernel.SPREAD_NOW, kernel.STD]]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_each_close_equals_researchs_rolling_regression(tmp_path):
    prices, window = walks(), 20
    prices.loc[100:140, "HEDGE"] = 40.0  # it stands still: no slope, and the deviations are collected afresh
    file = frozen(tmp_path, model="rolling", window=window, exit_z="0")
    params, state = kernel.pack_params(file), kernel.pack_state(file)
    slope = rolling_hedge_ratios(prices["LEAD"], prices["HEDGE"], window, log=False)[:, 0]
    z = rolling_zscore(prices["LEAD"] - slope * prices["HEDGE"], window)
    for t, (lead, hedge) in enumerate(prices.to_numpy()):
        kernel.rolling_close(lead, hedge, params, state)
        state[kernel.COUNT] += 1
        found = (state[kernel.SPREAD_NOW] - state[kernel.MEAN]) / state[kernel.STD]
        np.testing.assert_allclose([state[kernel.SLOPE], found], [slope[t], z[t]], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("rule", [{"exit_z": "0.3", "noise": "0.05", "window": 10}, {"model": "rolling", "exit_z": "0", "window": 20}])
def test_the_legs_follow_the_hedge_ratio_and_the_band_is_researchs(tmp_path, rule):
    """What the engine holds is units * (1, -slope), to the lot, at every bar."""
    prices = walks()
    if "model" in rule:
        slope = rolling_hedge_ratios(prices["LEAD"], prices["HEDGE"], 20, log=False)[:, 0]
        z = rolling_zscore(prices["LEAD"] - slope * prices["HEDGE"], 20)
        first = 2 * 20 - 2
    else:
        path = kalman_regression(prices["LEAD"], prices["HEDGE"], drift=1e-4, noise=0.05)
        slope, z, first = path.slope, path.zscore, 9
    z = np.where(np.arange(len(z)) >= first, z, np.nan)
    units = band_units(z, 1.0, float(rule["exit_z"]))
    held = shares_held(frozen(tmp_path, **rule), prices)
    assert np.count_nonzero(np.diff(units)) > 10
    np.testing.assert_allclose(held[:, 0], units, atol=1e-12)
    np.testing.assert_allclose(held[:, 1], np.where(units == 0, 0.0, -units * np.nan_to_num(slope)), atol=1.01 * LOT)


def test_chan_example_3_3_through_a_frozen_file(tmp_path):
    """EWC on EWA, APR 0.262252 and Sharpe 2.361162 as printed. Whole lots of a millionth, and one day that no pair can trade: on the first his
    hedge ratio is still 0, and he is short of EWC alone."""
    data = classic(ETF)[["EWC", "EWA"]]
    prices = data.set_axis(["LEAD", "HEDGE"], axis=1)
    shares = shares_held(frozen(tmp_path, exit_z="1", window=1, drift="0.0001", noise="0.001"), prices)
    assert shares[0].tolist() == [0.0, 0.0]
    shares[0, 0] = -1.0  # his first day
    book = earned(shares, prices)
    assert book.annual_return == pytest.approx(0.262252, abs=2e-6)
    assert book.sharpe == pytest.approx(2.361162, abs=2e-5)


def test_chan_example_3_2_through_a_frozen_file(tmp_path):
    """USO on GLD, Bollinger band: APR 0.178249, Sharpe 0.964673 as printed, where the file is at hand. He drops the first regression, and so
    decides one day later than the rule."""
    data = classic(GOLD_OIL)[["USO", "GLD"]]
    prices = data.set_axis(["LEAD", "HEDGE"], axis=1)
    shares = shares_held(frozen(tmp_path, model="rolling", exit_z="0", window=20), prices)
    assert shares[38, 0] == 1.0
    shares[38] = 0.0
    book = earned(shares[20:], prices.iloc[20:])
    assert book.annual_return == pytest.approx(0.178249, abs=2e-6)
    assert book.sharpe == pytest.approx(0.964673, abs=2e-5)


def test_what_makes_no_rule_is_refused(tmp_path):
    with pytest.raises(ParamsError, match="exit_z <= entry_z < stop_z"):
        frozen(tmp_path, exit_z="2")
    with pytest.raises(ParamsError, match="a rolling regression needs a window of 3"):
        frozen(tmp_path, model="rolling", exit_z="0", window=2)


def test_a_ratio_beyond_what_the_limits_were_compared_with_is_left(tmp_path):
    """The frozen unit is a share of each; slopes of more than 1 are not traded, at any moment."""
    prices = walks()
    prices.loc[120:, "LEAD"] = np.round(prices.loc[120:, "LEAD"] + 0.6 * (prices.loc[120:, "HEDGE"] - prices.loc[120, "HEDGE"]), 2)  # 0.7 becomes 1.3
    rule = {"model": "rolling", "exit_z": "0", "window": 20}
    slope = rolling_hedge_ratios(prices["LEAD"], prices["HEDGE"], 20, log=False)[:, 0]
    free = shares_held(frozen(tmp_path / "free", **rule), prices)
    bounded = shares_held(frozen(tmp_path / "bounded", max_hedge_growth="1", **rule), prices)
    beyond = np.abs(slope) > 1.0
    assert np.count_nonzero(free[beyond]) > 10
    assert not bounded[beyond].any()
    assert np.abs(bounded[:, 1]).max() <= 1.0


def test_the_limits_are_compared_with_the_largest_unit(tmp_path):
    file = frozen(tmp_path, exit_z="0.5", max_hedge_growth="2.5")
    mids = {"LEAD": 20_000, "HEDGE": 8_000}  # 100.00 and 40.00
    assert unit_values(file, mids) == {"LEAD": 100.0, "HEDGE": 2.5 * 40.0}
    assert check_limits([file], Limits(max_exposure=200, max_position_lots=5 * UNIT // 2, max_order_lots=5 * UNIT // 2), mids) == []
    with pytest.raises(ConfigError, match=r"worth 200\.00"):
        check_limits([file], Limits(max_exposure=199, max_position_lots=5 * UNIT), mids)
    with pytest.raises(ConfigError, match=r"a unit is 2,500,000 lots"):
        check_limits([file], Limits(max_position_lots=2 * UNIT), mids)
