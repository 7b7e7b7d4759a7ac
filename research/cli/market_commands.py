"""`hftkit data market-like`: measure a market, make one like it, and show both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from hftkit.errors import DataError
from hftkit.exchange.config import VolatilityConfig
from hftkit.params.format import load
from research.cli.command_options import how_to_read, resample_asked
from research.data.data_loader import load_panel
from research.data.instruments import find_instruments, find_scales
from research.market.market_facts import measure_folder
from research.market.market_like import calibrate_market, market_like_frozen, targets_of, traders_of, write_config

CHECK_MINUTES = 120


def market_like_report(
    folder: Path, symbols: Sequence[str] | None, on_gap: str, span: str, out: Path, trades_per_s: float, seed: int
) -> dict[str, Any]:
    """Writes `out`. Returns `table` (a row a symbol: what was wanted, what two hours of the made market give), `volatility` in words, `out`.

    Raises DataError for a folder that cannot be used and for fewer than three symbols.
    """
    if resample_asked():
        raise DataError("a market is measured on the bars there are", "Leave --resample out")
    facts, panel = measure_folder(folder, symbols, span=span, on_gap=on_gap, **how_to_read())
    instruments, _ = find_instruments(folder, panel.closes)
    made = calibrate_market(panel, instruments, facts=facts, trades_per_s=trades_per_s, seed=seed)
    write_config(made, out)
    wanted = targets_of(made, facts, trades_per_s)
    seen = traders_of(msgspec.structs.replace(made, volatility=VolatilityConfig(), seed=made.seed + 1), CHECK_MINUTES)
    table = facts.table[["volatility", "excess_kurtosis", "clustering"]].loc[list(made.symbols)]
    for column in ("spread_bps", "trades_per_s", "trade_size"):
        table[column], table[f"{column} made"] = wanted[column], seen[column]
    shape = made.volatility
    coarser = [
        f"{row.symbol} {instruments[row.symbol].tick_size} to {row.tick_size}"
        for row in made.instruments
        if row.tick_size != instruments[row.symbol].tick_size
    ]
    words = f"volatility factors: {shape.fast_sd:g} (10 minutes) and {shape.slow_sd:g} (12 hours) in logs, {100 * shape.common_share:.0f} % common"
    if coarser:
        words += f"\nticks made coarser, so that a book's window reaches to twice the price: {', '.join(coarser)}"
    return {"table": table.rename_axis("symbol").reset_index(), "volatility": words, "out": str(out)}


def market_with_pair(folder: Path, frozen: Path, out: Path, speed: float, seed: int) -> str:
    """Write the configuration of a market round the pair of a frozen file, made of the candles in `folder`; says how to go on. Raises DataError."""
    params = load(frozen)
    panel = load_panel(folder, on_gap="drop", span="longest", resample=resample_asked(), **how_to_read())
    made = market_like_frozen(params, panel, find_scales(folder, panel.closes).instruments, speed, seed)
    write_config(made, out)
    pair = next(row for row in made.instruments if row.cointegrated)
    assert pair.cointegrated is not None
    relation = pair.cointegrated
    return (
        f"{pair.symbol} and {relation.hedge} cointegrated with {relation.hedge_ratio:g}, half-life {relation.half_life_minutes:g} min, "
        f"deviation {relation.spread_sd_bps:g} bps; {len(made.instruments) - 2} other symbols; from {made.start}\n"
        f"written: {out}; run it with: hftkit sim --config {out} --speed {speed:g} --order-port 0 --market-port 0 --ready-file sim.json"
    )
