"""Figures of stylised facts show what the functions compute, for every market given, with the bands that independent data would stay in."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from research.market.stylised_facts import autocorrelation, hill_index, lagged_correlation, order_flow
from research.report.figures import Figure
from research.report.stylised_figures import HORIZONS, flow_facts, price_facts


def bars(seed: int, n: int = 3000) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame({"close": 100 * np.exp(np.cumsum(1e-3 * random.standard_t(4, n))), "volume": random.exponential(5.0, n)})


def drawn(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def test_lagged_correlation_is_pandas_shifted() -> None:
    random = np.random.default_rng(1)
    a, b = random.standard_normal(500), random.standard_normal(500)
    b[2:] += a[:-2]  # b follows a by two
    found = lagged_correlation(a, b, np.array([-2, 0, 2]))
    assert found == pytest.approx([pd.Series(a).corr(pd.Series(b).shift(-k)) for k in (-2, 0, 2)])
    assert found[2] > 0.6 > 0.1 > abs(found[0])


def test_trades_of_one_time_and_side_are_one_taking_order() -> None:
    ts, sides = np.array([0, 0, 0, 2, 2, 5]) * 10**9, np.array([0, 0, 1, 1, 1, 1])
    flow = order_flow(ts, sides, np.array([3.0]))
    assert flow.times_s.tolist() == [0.0, 0.0, 2.0, 5.0]
    assert flow.signs.tolist() == [1, -1, -1, -1]
    random = np.random.default_rng(2)
    poisson = order_flow(np.cumsum(random.exponential(1e9, 50_000)).astype(np.int64), random.integers(0, 2, 50_000), np.zeros(0))
    assert poisson.fano(10.0) == pytest.approx(1.0, abs=0.06)


def test_six_facts_of_prices_of_two_markets() -> None:
    markets = {"one": bars(1), "two": bars(2)}
    figure = price_facts(markets, lags=100)
    tail, clustering, direction, aggregation, leverage, volume = figure.axes
    returns = np.diff(np.log(markets["one"]["close"].to_numpy()))
    assert tail.texts[0].get_text().startswith(f"{hill_index(returns - returns.mean()):.1f} ± ")
    assert direction.lines[0].get_ydata() == pytest.approx(autocorrelation(returns, 15))
    assert len(aggregation.lines[1].get_xdata()) == len(HORIZONS)
    for axes in (leverage, volume):
        inside = [np.mean(np.abs(line.get_ydata()) < 1.96 / np.sqrt(2999)) for line in axes.lines[:2]]
        assert min(inside) > 0.8  # nothing there to be found
    shown = [np.nan_to_num(line.get_ydata()) for line in clustering.lines[:2]]
    assert max(values.max() for values in shown) < 0.1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one (3,000 bars)", "two (3,000 bars)"]
    assert len(drawn(figure)) > 20_000


def test_three_facts_of_order_flow() -> None:
    random = np.random.default_rng(3)
    times = np.cumsum(random.exponential(1e9, 4000)).astype(np.int64)
    flows = {
        "coin": order_flow(times, random.integers(0, 2, 4000), random.exponential(2.0, 900)),
        "runs": order_flow(times, np.repeat(random.integers(0, 2, 400), 10), np.zeros(0)),
    }
    figure = flow_facts(flows, lags=50)
    signs, counts, quantities = figure.axes
    assert np.nanmax(signs.lines[0].get_ydata()) < 0.06
    assert signs.lines[1].get_ydata()[0] == pytest.approx(0.9, abs=0.03)
    assert counts.lines[0].get_ydata() == pytest.approx(1.0, abs=0.5)
    assert len(quantities.lines) == 2  # one market with quantities, and the exponential
    assert len(drawn(figure)) > 10_000
