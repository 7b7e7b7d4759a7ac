"""Three policies in one live session against the simulator: a pair, quotes and a basket share an account; the replay makes every byte again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hftkit.instruments import Instrument
from hftkit.params.execution import BasketLeg, BasketPlan, QuotesPlan
from hftkit.params.format import FrozenParams, freeze, text_of
from hftkit.session.child_process import LiveSession, Simulator
from hftkit.session.replay import replay
from research import johansen, load_panel
from tests.faults.test_live_session import frozen_for_sample

ROOT = Path(__file__).resolve().parents[2]
BASKET = ("CHARUSD", "DELTUSD", "BRAVUSD")


def instruments(*symbols: str) -> tuple[Instrument, ...]:
    listed = {row["symbol"]: row for row in json.loads((ROOT / "data/sample/instruments.json").read_text())}
    return tuple(msgspec.convert(listed[symbol], Instrument) for symbol in symbols)


def frozen_quotes(folder: Path) -> Path:
    """Quotes round the middle of one symbol."""
    plan = QuotesPlan(instrument="ECHOUSD", max_position_lots=3000, retry_ns=10**6, requote_ticks=2, min_rest_ns=10**7)
    return freeze(
        FrozenParams(
            schema_version=1,
            name="quotes",
            strategy="fixed_spread",
            strategy_version=1,
            instruments=instruments("ECHOUSD"),
            execution=plan,
            parameters={"half_spread_ticks": "1.5", "skew_ticks": "4.0", "size_lots": 1000},
            arrays={},
            provenance={},
            valid_from_ns=0,
            valid_until_ns=2**62,
        ),
        folder,
    )


def frozen_basket(folder: Path) -> Path:
    """The first Johansen vector of three symbols of the sample, with its mean and deviation."""
    logs = np.log(load_panel(ROOT / "data/sample/1m", list(BASKET)).closes[list(BASKET)].iloc[:3000])
    weights = np.asarray(johansen(logs).vectors)[:, 0][:3]
    weights = weights / abs(weights[0])
    spread = logs.to_numpy() @ weights
    scales, last = instruments(*BASKET), np.exp(logs.iloc[-1].to_numpy())
    lots = [round(2000 * w / (price * float(one.lot_size))) for w, price, one in zip(weights, last, scales, strict=True)]
    legs = tuple(BasketLeg(symbol=symbol, unit_lots=n) for symbol, n in zip(BASKET, lots, strict=True))
    rule = {"mean": text_of(spread.mean()), "std": text_of(spread.std() / 50), "entry_z": "0.5", "exit_z": "0.1", "stop_z": "1e6"}
    return freeze(
        FrozenParams(
            schema_version=1,
            name="basket",
            strategy="basket_reversion",
            strategy_version=1,
            instruments=scales,
            execution=BasketPlan(legs=legs, slippage_ticks=20, deadline_ns=10**9, retry_ns=10**6),
            parameters={**rule, "bar_ns": 60_000_000_000, "max_holding_bars": 5},
            arrays={"weights": tuple(text_of(w) for w in weights)},
            provenance={},
            valid_from_ns=0,
            valid_until_ns=2**62,
        ),
        folder,
    )


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveSession, dict]]:
    """One session with all three, that has ended."""
    folder = tmp_path_factory.mktemp("policies")
    files = [frozen_for_sample(folder), frozen_quotes(folder), frozen_basket(folder)]
    (folder / "engine.toml").write_text("[limits]\nmax_exposure = 1000000\n[limits.strategy.quotes]\nmax_position_lots = 2000\n")
    options = ("--config", str(folder / "engine.toml"), *(part for path in files[1:] for part in ("--params", str(path))))
    with Simulator(folder, 300.0) as simulator:
        simulator.wait_ready()
        with LiveSession(files[0], simulator.ready_file, folder / "journals", "session", 90.0, options) as session:
            session.wait_until(lambda now: now.slots["n_fills"].min() > 0 and now.baskets["n_exits"].max() > 0)
        yield session, json.loads((session.folder / "result.json").read_text())


def test_each_policy_trades_and_all_end_flat(ended):
    _, result = ended
    assert result["exit_code"] == 0
    assert result["orders_without_outcome"] == result["illegal_transitions"] == result["unknown_answers"] == 0
    assert set(result["end_positions"].values()) == {0}
    rows = {row["name"]: row for row in result["by_strategy"]}
    assert [row["policy"] for row in rows.values()] == ["pair", "quotes", "basket"]
    assert all(row["fills"] > 0 for row in rows.values())
    assert sum(row["fills"] for row in rows.values()) == result["fills"]
    assert sum(row["orders"] for row in rows.values()) == result["orders_sent"]
    for money in ("fees", "net_pnl", "turnover"):
        assert sum(float(row[money]) for row in rows.values()) == pytest.approx(float(result[money]), abs=0.01)


def test_the_replay_is_identical_and_the_limit_of_the_quotes_was_never_passed(ended):
    session, _ = ended
    again = replay(session.folder, sample_every_ns=1)
    assert again.identical, again.difference
    assert again.ended
    quotes = again.fills[again.fills[:, 1] == int(again.rooms.quotes[1]["instrument"])]
    held = np.cumsum(np.where(quotes[:, 2] == 0, quotes[:, 4], -quotes[:, 4]))
    assert len(held) > 0
    assert np.abs(held).max() <= 2000
