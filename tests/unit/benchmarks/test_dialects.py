"""The bookTicker benchmark times only what gives the right bytes."""

from __future__ import annotations

import pytest

from hftkit.benchmarks import dialects
from hftkit.benchmarks.registry import WrongAnswer


def test_both_ways_give_the_same_bytes_and_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    (result,) = dialects.book_ticker()
    assert result.ratio == pytest.approx(result.value / (result.reference_value or 1))
    monkeypatch.setattr(dialects, "_with_msgspec", lambda *_: b"")
    with pytest.raises(WrongAnswer):
        dialects.book_ticker()
