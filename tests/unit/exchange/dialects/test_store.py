"""What the Binance dialect keeps, against pandas (candles), a plain join (aggregate trades) and the venue's own accounts (orders, fills, income)."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from hftkit.codes import MessageType
from hftkit.exchange.core.tap import Batch, Tap
from hftkit.exchange.dialects.binance.market.candles import DAY_MS, INTERVALS, KEPT, Candles, bounds
from hftkit.exchange.dialects.binance.market.store import BinanceStore
from hftkit.exchange.dialects.binance.orders.order_history import OPEN
from hftkit.exchange.testing import CANCEL_ORDER, CONDITIONAL_ORDER, NEW_ORDER, REPLACE_ORDER
from tests.unit.exchange.core.test_tap import RULES, market
from tests.unit.exchange.hand import SECOND, Hand

START_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z, a Monday


def random_trades(n: int, minutes: int) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    ms = START_MS + 47_000 + np.sort(rng.integers(0, minutes * 60_000, n))
    return pd.DataFrame({"ms": ms, "price": 1000 + rng.integers(-50, 50, n), "qty": rng.integers(1, 9, n), "bought": rng.random(n) < 0.5})


@pytest.mark.parametrize("interval", list(INTERVALS))
def test_candles_are_those_of_pandas(interval: str) -> None:
    trades = random_trades(3000, 60 * 24 * 40 if interval[-1] in "dwM" else 1400)
    candles = Candles()
    for k, row in enumerate(trades.itertuples(index=False)):
        candles.trade(row.ms, k, row.price, row.qty, row.bought)
    rows = candles.rows(interval)
    assert all(bounds(interval, row.open_ms) == (row.open_ms, row.close_ms) for row in rows)
    assert all(earlier.close_ms + 1 == later.open_ms for earlier, later in itertools.pairwise(rows))
    with_trades = [row for row in rows if row.n_trades][1 if len(rows) == KEPT else 0 :]
    frame = trades.assign(
        traded=trades.price * trades.qty,
        bought_qty=trades.qty.where(trades.bought, 0),
        bought_traded=(trades.price * trades.qty).where(trades.bought, 0),
        key=[bounds(interval, int(ms))[0] for ms in trades.ms],
    )
    groups = frame.groupby("key")
    wanted = groups.agg(
        open=("price", "first"), high=("price", "max"), low=("price", "min"), close=("price", "last"), qty=("qty", "sum"),
        traded=("traded", "sum"), n=("price", "size"), bought_qty=("bought_qty", "sum"), bought=("bought_traded", "sum"),
    )  # fmt: skip
    got = [
        (r.open_ms, r.open, r.high, r.low, r.close, r.qty, r.traded, r.n_trades, r.taker_qty, r.taker_traded)
        for r in with_trades
    ]  # fmt: skip
    assert got == [tuple(int(v) for v in row) for row in wanted.itertuples()][-len(got) :]
    assert len(got) > 1 or interval in ("1w", "1M", "3d", "1d")
    days = pd.to_datetime(trades.ms.iloc[-1], unit="ms")
    if interval == "1w":
        assert pd.to_datetime(rows[-1].open_ms, unit="ms").day_of_week == 0
    if interval == "1M":
        assert rows[-1].open_ms == pd.Timestamp(days.year, days.month, 1).value // 10**6


def test_the_last_day_is_a_window_that_moves() -> None:
    trades, candles = random_trades(4000, 60 * 30), Candles()
    assert candles.day(START_MS) is None
    for k, row in enumerate(trades.itertuples(index=False)):
        candles.trade(row.ms, k, row.price, row.qty, row.bought)
        if k % 500 == 499:
            day = candles.day(row.ms)
            first = row.ms // 60_000 * 60_000 - DAY_MS + 60_000
            within = trades.iloc[: k + 1][lambda frame, first=first: frame.ms >= first]
            assert day is not None
            assert (day.qty, day.high, day.low, day.close) == (within.qty.sum(), within.price.max(), within.price.min(), row.price)
            assert (day.n_trades, day.open, day.first_id) == (len(within), within.price.iloc[0], within.index[0])


def test_trades_of_one_taker_at_one_price_are_joined() -> None:
    venue, words, config = market(11, 20_000)
    store = BinanceStore(len(config.instruments), lambda: int(venue.state[0]["ts"]))
    batch = Batch(words)
    store.take(batch)
    joined: list[list[list[int]]] = [[] for _ in config.instruments]  # by hand: a run of trades that no level change interrupts
    open_run = [False] * len(config.instruments)
    for start, kind, i in zip(batch.starts.tolist(), batch.kinds.tolist(), batch.instruments.tolist(), strict=True):
        if kind == MessageType.DEPTH:
            open_run[i] = False
        elif kind == MessageType.TRADE:
            _, trade_id, side, price, qty = batch.words[start + 2 : start + 7].tolist()
            if open_run[i] and joined[i][-1][2:4] == [price, side]:
                joined[i][-1][1], joined[i][-1][4] = trade_id, joined[i][-1][4] + qty
            else:
                joined[i].append([trade_id, trade_id, price, side, qty])
            open_run[i] = True
    for i in range(len(config.instruments)):
        mine = [[t.first_id, t.last_id, t.price, int(t.seller_took), t.qty] for t in store.agg_trades(i)]
        assert mine == joined[i]
        assert [t.trade_id for t in store.agg_trades(i)] == list(range(1, len(mine) + 1))
        assert sum(t.qty for t in store.trades(i)) == sum(row[4] for row in joined[i])
        assert sum(c.qty for c in store.candles(i, "1m")) == sum(row[4] for row in joined[i])
    assert any(len(run) for run in joined)


def test_orders_fills_and_income_add_up_to_the_accounts() -> None:
    rng, hand = np.random.default_rng(9), Hand(**RULES)
    venue, tap = hand.venue, Tap(hand.venue.tap)
    tap.open()
    hand.at(0)
    store = BinanceStore(2, lambda: int(venue.state[0]["ts"]))
    tap.consumers.append(store.take)
    clients = [hand.enter(i + 1) for i in range(4)]
    accounts = [int(venue.clients[c]["account"]) for c in clients]
    deposits = {a: int(venue.accounts["wallet_e8"][a]) for a in accounts}
    for n in range(1, 1500):
        client, price, side = clients[rng.integers(4)], int(10_000 + rng.integers(-40, 40)), int(rng.integers(2))
        qty, kind = int(rng.integers(1, 100)) * 10, rng.integers(10)
        if kind < 7:
            hand.send(client, NEW_ORDER, n, side, 0, int(rng.integers(3)), int(rng.choice([0, 1, 4, 8])), price, qty, instrument=0)
        elif kind == 7:
            hand.send(client, CONDITIONAL_ORDER, n, side, 2, 0, 0, 0, qty, price + 30 - 60 * side, 0, instrument=0)
        elif kind == 8:
            hand.send(client, REPLACE_ORDER, max(1, n - int(rng.integers(1, 9))), price, qty, instrument=0)
        else:
            hand.send(client, CANCEL_ORDER, max(1, n - int(rng.integers(1, 9))), instrument=0)
        hand.at(n * SECOND // 10)
        for other in clients:
            hand.drain(other)
        tap.pump()
    seen = set()
    for account in accounts:
        fills, holding = store.fills(account), venue.holdings[account, 0]
        assert sum(f.qty * (1 - 2 * f.side) for f in fills) == holding["position"]
        assert sum(f.fee_e8 for f in fills) == holding["fees_e8"]
        assert deposits[account] + sum(row.amount_e8 for row in store.income(account)) == venue.accounts["wallet_e8"][account]
        filled: dict[int, int] = {}
        for fill in fills:
            filled[fill.order_id] = filled.get(fill.order_id, 0) + fill.qty
        for order in store.orders(account):
            assert order.filled == filled.get(order.order_id, 0)
            assert store.order_by_id(account, order.order_id) is order is store.order(account, order.client_order_id)
            assert (order.status in OPEN) == (order in store.open_orders(account))
            assert (order.status == "FILLED") == (order.filled == order.qty)
            seen.add(order.status)
        slots = venue.books.orders[venue.books.orders["leaves"] > 0]
        own = {int(o["order_id"]): (int(o["leaves"]), int(o["price"])) for o in slots if o["account"] == account}
        rows = store.open_orders(account)
        assert own == {o.order_id: (o.qty - o.filled, o.trigger_price if o.waiting else o.price) for o in rows}
    assert seen == {"NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"}
    assert store.funding_rates(0)
    assert {"FUNDING_FEE", "COMMISSION", "REALIZED_PNL"} <= {row.kind for a in accounts for row in store.income(a)}
