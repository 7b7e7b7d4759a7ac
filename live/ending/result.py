"""What a session came to, as plain data: written to result.json, read by the demo's report and by notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from hftkit.codes import Hop, OrderState, SessionStatus
from hftkit.session import fill_stats as execution
from hftkit.session.attribution import by_strategy, netting
from hftkit.session.histogram import percentiles_us
from hftkit.session.watching import watched_by_any
from hftkit.units import from_e8

if TYPE_CHECKING:
    from live.engine import Engine

FINAL_STATES = (OrderState.FREE, OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED)


def peak_resident_mb() -> float:
    """Peak resident set of this process in MB. From /proc: getrusage would count what the parent held before it became this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def session_result(engine: Engine, status: SessionStatus) -> dict[str, Any]:
    """Counts, money (quote units), positions (lots) and latency (microseconds) of a finished session."""
    rooms, ledger, session = engine.rooms, engine.rooms.ledger, engine.rooms.session[0]
    states = rooms.orders["state"]
    open_orders = int(np.sum(~np.isin(states, FINAL_STATES)))
    traded = watched_by_any(rooms.watch)
    symbols = [instrument.symbol for instrument in engine.session_config.instruments]
    return {
        "session": engine.folder.name,
        "status": status.name.lower(),
        "journal": str(engine.folder),
        "params": [frozen.file_name for frozen in engine.session_config.strategies],
        "params_digest": [frozen.digest for frozen in engine.session_config.strategies],
        "orders_sent": int(session["n_orders"]),
        "acks": int(session["n_acks"]),
        "fills": int(session["n_fills"]),
        "cancels": int(session["n_canceled"]),
        "rejects": int(session["n_rejects"]),
        "execution": execution.as_json(execution.filled(rooms.ledger, rooms.legs, session)),
        "vetoes": int(rooms.risk[0]["n_vetoes"]),
        "queries": int(session["n_queries"]),
        "orders_without_outcome": open_orders,
        "unknown_answers": int(session["n_unknown"]),
        "illegal_transitions": int(session["n_illegal"]),
        "malformed_frames": int(session["n_malformed"]),
        "market_data_frames": int(session["n_market_data"]),
        "book_gaps": int(rooms.book["n_gaps"].sum()),
        "signals": int(session["n_signals"]),
        "signals_not_finite": int(session["n_not_finite"]),
        "entries": int(rooms.legs["n_entries"].sum() + rooms.baskets["n_entries"].sum()),
        "exits": int(rooms.legs["n_exits"].sum() + rooms.baskets["n_exits"].sum()),
        "unwinds": int(rooms.legs["n_unwinds"].sum() + rooms.baskets["n_unwinds"].sum()),
        "realized_pnl": from_e8(int(rooms.ledger["realized_e8"].sum()), 4),
        "unrealized_pnl": from_e8(int(rooms.ledger["unrealized_e8"].sum()), 4),
        "fees": from_e8(int(rooms.ledger["fees_e8"].sum()), 4),
        "funding": from_e8(int(ledger["funding_e8"].sum()), 4),
        "net_pnl": from_e8(int((ledger["realized_e8"] + ledger["unrealized_e8"] - ledger["fees_e8"] - ledger["funding_e8"]).sum()), 4),
        "turnover": from_e8(int(rooms.ledger["turnover_e8"].sum()), 2),
        "max_drawdown_at_end": from_e8(int(rooms.risk[0]["drawdown_e8"]), 4),
        "end_positions": {symbols[i]: int(rooms.ledger["position"][i]) for i in traded},
        "by_strategy": by_strategy(engine.session_config, rooms),
        "netting": netting(engine.session_config, rooms),
        "corrected_lots": {symbols[i]: int(rooms.ledger["corrected_qty"][i]) for i in np.flatnonzero(rooms.ledger["n_corrections"])},
        "halt_reason": int(rooms.risk[0]["halt_reason"]),
        "continues": engine.past.folder.name if engine.past is not None else "",
        "line_outages_ms": [round(ms, 3) for ms in engine.reconnect.outages_ms],
        "snapshots": engine.snapshots,
        "reloads": [msgspec.to_builtins(one) for one in engine.reload.told],
        "unknown_moves": engine.life.n_unknown,
        "startup_s": round(getattr(engine, "startup_s", 0.0), 3),
        "resident_mb": peak_resident_mb(),
        **engine.venue.result(),
        "latency_us": {hop.name.lower(): percentiles_us(engine.page.histograms[int(hop)]) for hop in Hop},
    }
