"""Each kind of trader leaves its print on the tape, and it is gone when its share is nothing."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from hftkit.exchange.config import SimConfig, load_config
from hftkit.exchange.market.flow.build import new_market
from hftkit.exchange.market.flow.fundamentals import advance_fundamentals
from hftkit.exchange.market.tape import make_tape
from hftkit.exchange.market.ticks import Ticks, make_ticks
from research.market.stylised_facts import order_flow_autocorrelation

CONFIG = load_config()


def with_flow(**changes: float) -> SimConfig:
    return msgspec.structs.replace(CONFIG, flow=msgspec.structs.replace(CONFIG.flow, **changes))


def per_minute(**flow: float) -> np.ndarray:
    """Trades by minute of a market with these flow settings, all instruments, int64 (n, minutes)."""
    return make_tape(with_flow(**flow), 240)["n_trades"]


def test_hawkes_arrivals_keep_the_rate_and_cluster() -> None:
    poisson, hawkes = per_minute(), per_minute(branching_ratio=0.8, excitation_half_life_s=1.0)
    assert hawkes.mean() == pytest.approx(poisson.mean(), rel=0.12)
    assert (hawkes.var(axis=1) / hawkes.mean(axis=1)).mean() > 2.0 * (poisson.var(axis=1) / poisson.mean(axis=1)).mean()


def signs_after_a_move(config: SimConfig) -> float:
    """Correlation of a trade's side with the direction of the mid over the 30 seconds before it, the mean over the instruments."""
    ticks = make_ticks(config, 120)
    found = []
    for i in range(len(config.instruments)):
        trades = ticks.trades[ticks.trades["instrument"] == i]
        second = (trades["ts"] - config.start_ns) // 1_000_000_000
        trades, second = trades[second > 40], second[second > 40]
        mid = (ticks.samples["bid"][:, i] + ticks.samples["ask"][:, i]) / 2
        found.append(np.corrcoef(1 - 2 * trades["side"], np.sign(mid[second - 1] - mid[second - 31]))[0, 1])
    return float(np.mean(found))


def test_momentum_traders_buy_after_a_rise_and_sell_after_a_fall() -> None:
    base, followers = with_flow(maker_share=0.8), with_flow(maker_share=0.8, momentum_share=0.15)
    assert abs(signs_after_a_move(base)) < 0.1
    assert signs_after_a_move(followers) > 0.4


def values(seconds: int) -> np.ndarray:
    """Fundamental value of every instrument at each second, ticks."""
    flow, _ = new_market(CONFIG)
    rows = np.empty((seconds, len(CONFIG.instruments)))
    for s in range(seconds):
        advance_fundamentals(flow.fundamentals, flow.value_states, flow.market, flow.volatility, flow.clock, s + 1)
        rows[s] = flow.fundamentals["value"]
    return rows


def towards_value(ticks: Ticks, worth: np.ndarray) -> float:
    """Share of the trades that buy below the value of that second, or sell above it."""
    trades = ticks.trades
    second = (trades["ts"] - CONFIG.start_ns) // 1_000_000_000
    trades, second = trades[(second > 0) & (second < len(worth))], second[(second > 0) & (second < len(worth))]
    gain = (worth[second - 1, trades["instrument"]] - trades["price"]) * (1 - 2 * trades["side"])
    return float((gain > 0).mean())


def test_fundamental_traders_take_what_is_mispriced() -> None:
    minutes = 60
    worth = values(60 * minutes)
    without, with_them = (make_ticks(with_flow(maker_share=0.6, informed_share=share), minutes) for share in (0.0, 0.3))
    assert towards_value(with_them, worth) > towards_value(without, worth) + 0.1


def test_noise_traders_toss_a_coin_or_split_large_orders() -> None:
    """Nobody but makers and noise: signs without memory, or with one that is still there fifty trades later."""
    memory = {}
    for exponent in (0.0, 1.5):
        trades = make_ticks(with_flow(informed_share=0.0, splitting_exponent=exponent), 360).trades
        rows = [order_flow_autocorrelation(trades["side"][trades["instrument"] == i], 60) for i in range(12)]
        memory[exponent] = np.mean(rows, axis=0)
    # an order that trades with several quotes is several trades of one side: lags of a few trades show it even for a coin
    assert np.abs(memory[0.0][5:]).max() < 0.02
    assert memory[1.5][5:10].mean() > 0.07
    assert memory[1.5][45:].mean() > 0.02


def test_without_makers_a_book_empties() -> None:
    left = make_ticks(with_flow(maker_share=0.0), 5).samples[-1]
    assert (np.minimum(left["bid_depth"], left["ask_depth"]) < make_ticks(CONFIG, 5).samples[-1]["bid_depth"] / 2).all()
