"""What each strategy of a session has done for the account, as plain data: for result.json, notebooks and backtests.

The sums are exact (hftkit/kernels/trading/attribution.py): positions, fees, funding and net P&L of the account are those of the strategies, and of
what no strategy took: fills and corrections from outside in instruments that nobody held.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import Policy, Reject, Trading
from hftkit.session.engine_state import EngineState, SessionConfig
from hftkit.units import from_e8


def by_strategy(config: SessionConfig, rooms: EngineState) -> list[dict[str, Any]]:
    """One row a strategy, in the order of their slots. Money in quote units, positions in lots."""
    return [_row(frozen.name, rooms.slots[slot], rooms.held[slot], _positions(config, rooms, slot)) for slot, frozen in enumerate(config.strategies)]


def netting(config: SessionConfig, rooms: EngineState) -> dict[str, dict[str, int]]:
    """Of each instrument in which strategies are opposite now: lots of the account, of all longs, of all shorts, and of nobody's."""
    found = {}
    for instrument, one in enumerate(config.instruments):
        lots = rooms.held["position"][rooms.watch == instrument]
        account = int(rooms.ledger["position"][instrument])
        if (lots > 0).any() and (lots < 0).any():
            found[one.symbol] = {
                "account": account,
                "long": int(lots[lots > 0].sum()),
                "short": int(lots[lots < 0].sum()),
                "of_nobody": account - int(lots.sum()),
            }
    return found


def _positions(config: SessionConfig, rooms: EngineState, slot: int) -> dict[str, int]:
    symbols = [instrument.symbol for instrument in config.instruments]
    return {symbols[i]: int(row["position"]) for i, row in zip(rooms.watch[slot], rooms.held[slot], strict=True) if i >= 0}


def _row(name: str, slot: np.void, held: np.ndarray, positions: dict[str, int]) -> dict[str, Any]:
    money = {field: int(held[f"{field}_e8"].sum()) for field in ("realized", "unrealized", "fees", "funding", "turnover")}
    net = money["realized"] + money["unrealized"] - money["fees"] - money["funding"]
    trading = Trading(int(slot["trading"]))
    return {
        "name": name,
        "policy": Policy(int(slot["policy"])).text,
        **{count: int(slot[f"n_{count}"]) for count in ("signals", "orders", "fills", "rejects", "vetoes")},
        **{field: from_e8(value, 4) for field, value in money.items()},
        "net_pnl": from_e8(net, 4),
        "positions": positions,
        "stopped": "" if trading is Trading.ENABLED else f"{trading.text}: {Reject(int(slot['reason'])).text}",
    }
