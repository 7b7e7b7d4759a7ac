"""Freeze the strategy of this folder for one symbol, and send the frozen file over candles.

    python freeze_and_test.py CANDLES SYMBOL FOLDER

The strategy must be installed (`pip install --no-deps --editable .` in this folder): the file names it, and does not hold it.
"""

from __future__ import annotations

import sys

from hftkit import FrozenParams, LegPlan, digit_text, freeze_params, load_params
from research import backtest_bars, find_instruments, load_panel


def freeze(candles: str, symbol: str, folder: str) -> str:
    """Write the frozen file into `folder`; returns its path."""
    panel = load_panel(candles, [symbol])
    instruments, _ = find_instruments(candles, panel.closes)
    one = instruments[symbol]
    lots = round(1000.0 / (panel.closes[symbol].iloc[0] * float(one.lot_size)))  # a position of about 1,000
    legs = LegPlan(
        lead=symbol, hedge="", unit_lead_lots=lots, unit_hedge_lots=0,
        slippage_ticks=50, hedge_deadline_ns=60 * 10**9, retry_ns=10**9, residual_lots=0,
    )  # fmt: skip
    bars = {"bar_ns": panel.bar_ns, "fast_bars": 12, "slow_bars": 96, "band_bps": digit_text(20.0)}
    frozen = FrozenParams(
        schema_version=1, name=f"crossing-{symbol.lower()}", strategy="crossing", strategy_version=1,
        instruments=(one,), legs=legs, parameters=bars, arrays={},
        provenance={"made_by": "examples/strategy", "data": [{"symbol": one.symbol, "sha256": one.sha256} for one in panel.files]},
        valid_from_ns=0, valid_until_ns=2**62,
    )  # fmt: skip
    return str(freeze_params(frozen, folder))


def main(candles: str, symbol: str, folder: str) -> None:
    """Freeze, test, and say what came of it."""
    path = freeze(candles, symbol, folder)
    run = backtest_bars(load_params(path), load_panel(candles, [symbol]).closes)
    closed = run.trades.dropna(subset=["exit"])
    print(f"{path}\n{len(closed)} trades, {closed['gross'].sum():+.2f} before fees, {closed['net'].sum():+.2f} after")


if __name__ == "__main__":
    main(*sys.argv[1:])
