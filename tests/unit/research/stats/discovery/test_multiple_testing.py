"""q-values against statsmodels' multipletests."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from hftkit.errors import DataError
from research.stats.discovery.multiple_testing import benjamini_hochberg, benjamini_yekutieli, bonferroni


@pytest.mark.parametrize("n", [1, 2, 50])
def test_equals_statsmodels(n):
    p_values = np.random.default_rng(n).uniform(size=n) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p_values), multipletests(p_values, method="fdr_bh")[1], rtol=1e-12)
    np.testing.assert_allclose(benjamini_yekutieli(p_values), multipletests(p_values, method="fdr_by")[1], rtol=1e-12)
    np.testing.assert_allclose(bonferroni(p_values), multipletests(p_values, method="bonferroni")[1], rtol=1e-12)


def test_what_is_no_probability_is_refused():
    for correct in (benjamini_hochberg, benjamini_yekutieli, bonferroni):
        with pytest.raises(DataError, match="outside 0"):
            correct(np.array([0.1, 1.2]))


def test_tests_that_were_not_made_are_not_counted():
    assert benjamini_hochberg(np.array([np.nan, 0.01, 0.04]))[1:].tolist() == pytest.approx([0.02, 0.04])
    assert bonferroni(np.array([np.nan, 0.01, 0.04]))[1:].tolist() == pytest.approx([0.02, 0.08])
