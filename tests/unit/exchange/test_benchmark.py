"""The matching benchmark checks its answers, and its stream is the mix it says."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.benchmarks import exchange
from hftkit.benchmarks.registry import WrongAnswer


def test_the_stream_is_the_stated_mix() -> None:
    commands = exchange.mixed_stream(1, 500, 20_000)
    timed = commands[500:]
    assert (commands[:500]["op"] == 1).all()
    assert np.mean(timed["op"] == 2) == pytest.approx(0.25, abs=0.01)
    assert np.mean(timed["time_in_force"] == 1) == pytest.approx(0.05, abs=0.01)


def test_a_wrong_engine_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = exchange.mixed_stream(1, 500, 5_000)
    exchange._check(commands)
    monkeypatch.setattr(exchange, "apply", lambda *_: 0)
    with pytest.raises(WrongAnswer):
        exchange._check(commands)
