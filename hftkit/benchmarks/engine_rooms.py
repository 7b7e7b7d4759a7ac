"""A small engine for benchmarks: two instruments, one strategy that always wants the position, risk limits that never refuse."""

from __future__ import annotations

import msgspec

from hftkit.instruments import Instrument
from hftkit.params.format import FrozenParams, LegPlan, digest_of
from hftkit.session.engine_state import Limits, SessionConfig

LEAD = Instrument(symbol="LEADUSD", tick_size="0.01", lot_size="0.1", min_notional="5", maker_fee_ppm=20, taker_fee_ppm=100)
HEDGE = Instrument(symbol="HEDGEUSD", tick_size="0.05", lot_size="0.01", min_notional="5", maker_fee_ppm=20, taker_fee_ppm=100)
RETRY_NS = 2_000


def bench_config() -> SessionConfig:
    """Session configuration of the benchmark engine: every change of the lead book with no order at work leads to one order."""
    plan = LegPlan(
        lead="LEADUSD",
        hedge="HEDGEUSD",
        unit_lead_lots=100,
        unit_hedge_lots=-80,
        slippage_ticks=5,
        hedge_deadline_ns=1_000_000_000,
        retry_ns=RETRY_NS,
        residual_lots=0,
    )
    body = FrozenParams(
        schema_version=1,
        name="bench",
        strategy="fixed_target",
        strategy_version=1,
        instruments=(LEAD, HEDGE),
        legs=plan,
        parameters={"target": 1},
        arrays={},
        provenance={},
        valid_from_ns=0,
        valid_until_ns=2**62,
    )
    frozen = msgspec.structs.replace(body, digest=digest_of(msgspec.to_builtins(body)))
    limits = Limits(max_orders_per_s=10_000_000, order_burst=1_000_000, max_open_orders=1000, max_rejects=1_000_000)
    return SessionConfig(epoch=1, account=1, instruments=(LEAD, HEDGE), strategies=(frozen,), limits=limits, channels=1)
