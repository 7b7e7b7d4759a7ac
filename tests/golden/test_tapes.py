"""Digests of whole tapes: the same bytes on every machine, in every process, with and without bounds checks.

Taken on x86-64 (the same with the code compiled for any x86-64 and for the processor at hand). A digest that differs after a change of the flow's
code means that every seed now gives another market: say so in CHANGELOG.md, and take the new one. That of the sample universe, calm, may never
change: data/sample is made of it.
"""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
import pytest

from hftkit.exchange.config import SimConfig, load_config
from hftkit.exchange.market.flow.scenarios import load_scenario
from hftkit.exchange.market.ticks import make_ticks

TRADERS = {"branching_ratio": 0.8, "excitation_half_life_s": 5.0, "maker_share": 0.75, "momentum_share": 0.1, "splitting_exponent": 1.5}


def digest(config: SimConfig, scenario: str) -> str:
    """SHA-256 over an hour's trades and samples, as little-endian int64."""
    ticks = make_ticks(config, 60, scenario=load_scenario(scenario))
    parts = (np.ascontiguousarray(rows).view("<i8").tobytes() for rows in (ticks.trades, ticks.samples))
    return hashlib.sha256(b"".join(parts)).hexdigest()[:32]


@pytest.mark.parametrize(
    ("universe", "scenario", "flow", "expected"),
    [
        (None, "calm", {}, "b0ae9f690c0f41c9ebc247f4e4f6af9e"),
        (None, "crash", {}, "9f89c9201608ad7b8555518e5a075e7d"),
        (None, "nervous", {}, "957311f2766fcf7b38de9ed1c31f3d3d"),
        (None, "calm", TRADERS, "1dfd6a94097037e9214fea3535e3e708"),
        ("stablecoins", "depeg", {}, "47a5e63984b26baab09dbf2e827aa7fe"),
    ],
)
def test_an_hour_of_the_market_is_these_bytes(universe: str | None, scenario: str, flow: dict[str, float], expected: str) -> None:
    config = load_config(universe)
    config = msgspec.structs.replace(config, flow=msgspec.structs.replace(config.flow, **flow))
    assert digest(config, scenario) == expected
