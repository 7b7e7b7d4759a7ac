"""Two hundred files as people have them: each read to its truth, or refused in one line that names the file and the cure. None is misread."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.errors import DataError
from research.data.data_loader import load_candles
from research.data.files.candle_columns import Reading
from tests.unit.research.odd_files import FILES


def test_there_are_more_than_two_hundred():
    assert len(FILES) > 200
    assert len({one.title for one in FILES}) == len(FILES)


@pytest.mark.parametrize("odd", FILES, ids=lambda one: one.title)
def test_it_is_read_right_or_refused(odd, tmp_path):
    path = tmp_path / odd.name
    odd.make(path)
    reading = Reading(**odd.reading)
    if odd.truth is None:
        with pytest.raises(DataError, match=odd.refusal) as caught:
            load_candles(path, reading=reading)
        assert "\n" not in str(caught.value)
        assert odd.name in str(caught.value) or "time zone" in str(caught.value)
        assert caught.value.cure
        return
    frame = load_candles(path, reading=reading)
    assert list(frame.columns) == list(odd.truth.columns)
    np.testing.assert_array_equal(frame.index.asi8, odd.truth.index.asi8)
    for name in frame:
        np.testing.assert_allclose(frame[name], odd.truth[name], rtol=1e-13, err_msg=name)
    assert frame["close"].tolist() == odd.truth["close"].tolist()  # to the last digit: a price is a decimal
