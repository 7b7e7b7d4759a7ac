"""Every published coefficient, against statsmodels' own copy of the tables, and p-values over the whole range."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.adfvalues import mackinnoncrit, mackinnonp

from hftkit.kernels.stats.mackinnon import MAX_SERIES, TRENDS, critical_values, p_value


@pytest.mark.parametrize("trend", range(4))
@pytest.mark.parametrize("n_series", range(1, MAX_SERIES + 1))
def test_p_values_equal_statsmodels(trend, n_series):
    for statistic in [-np.inf, *np.linspace(-32, 5, 371)]:
        expected = mackinnonp(statistic, regression=TRENDS[trend], N=n_series)
        assert p_value(statistic, trend, n_series) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("trend", range(4))
@pytest.mark.parametrize("n_series", range(1, MAX_SERIES + 1))
def test_critical_values_equal_statsmodels(trend, n_series):
    if trend == 0 and n_series > 1:
        expected = np.full(3, np.nan)  # not published
    else:
        expected = mackinnoncrit(N=n_series, regression=TRENDS[trend], nobs=173)
    out = np.full(3, 7.0)
    critical_values(out, trend, n_series, 173)
    np.testing.assert_allclose(out, expected, rtol=1e-13)


def test_no_statistic_no_p_value():
    assert np.isnan(p_value(np.nan, 1, 2))
