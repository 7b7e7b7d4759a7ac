"""A finished session as research data: its journal becomes pandas by replaying it.

Live becomes research: the spread and z-score are recomputed by the very step that traded, the fills are the venue's own frames.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hftkit.codes import Side
from hftkit.errors import JournalError
from hftkit.session.replay import FILL_COLUMNS, SAMPLE_COLUMNS, ReplayResult, replay

E8 = 1e8


@dataclass(frozen=True)
class Session:
    """`signal`: one row a sample (UTC exchange time): spread, mean, std, zscore, equity (quote), lead_position, hedge_position (lots).

    Its last row is the state at the end of the session, after the closing fills: `equity` there is `net_pnl` of the result.
    `fills`: one row a fill: symbol, side, price, qty (base units), fee (quote), maker, client_order_id. `result`: the engine's own
    result.json, {} where the session did not end. `replayed`: the verdict of the replay that made all this.
    """

    folder: Path
    signal: pd.DataFrame
    fills: pd.DataFrame
    result: dict[str, Any]
    replayed: ReplayResult

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters of the first strategy that are numbers."""
        found = {}
        for name, value in self.replayed.config.strategies[0].parameters.items():
            with contextlib.suppress(ValueError):  # a word, as which z-score
                found[name] = float(value)
        return found

    @property
    def hours(self) -> float:
        """Exchange time from the first sample to the last, hours."""
        return float((self.signal.index[-1] - self.signal.index[0]).total_seconds()) / 3600.0 if len(self.signal) else 0.0

    @property
    def legs(self) -> tuple[str, str]:
        """Symbols of the first strategy's lead and hedge; the hedge is "" where one instrument is traded alone."""
        plan = self.replayed.config.strategies[0].legs
        return plan.lead, plan.hedge


def load_session(folder: Path | str, sample_every_ns: int = 1_000_000_000, max_samples: int = 200_000) -> Session:
    """Load the session whose journal is in `folder`, the signal sampled once per `sample_every_ns` of exchange time, more coarsely where that would
    be more than `max_samples` rows.

    Raises JournalError where the journal cannot be trusted or its replay differs.
    """
    folder = Path(folder)
    replayed = replay(folder, sample_every_ns=sample_every_ns, max_samples=max_samples)
    if not replayed.identical:
        raise JournalError(f"the replay of {folder} differs: {replayed.difference}", "Check it with: hftkit replay --verify")
    signal = pd.DataFrame(replayed.samples, columns=list(SAMPLE_COLUMNS))
    signal.index = pd.to_datetime(signal.pop("ts_event").astype(np.int64), utc=True)
    signal["equity"] = signal.pop("equity_e8") / E8
    fills = pd.DataFrame(replayed.fills, columns=list(FILL_COLUMNS))
    fills.index = pd.to_datetime(fills.pop("ts_event"), utc=True)
    instruments = replayed.config.instruments
    ids = fills.pop("instrument")
    fills.insert(0, "symbol", [instruments[i].symbol for i in ids])
    fills["side"] = [Side(side).text for side in fills["side"]]
    fills.insert(2, "price", fills.pop("price_ticks") * [float(instruments[i].tick_size) for i in ids])
    fills.insert(3, "qty", fills.pop("qty_lots") * [float(instruments[i].lot_size) for i in ids])
    fills["fee"] = fills.pop("fee_e8") / E8
    result_file = folder / "result.json"
    result = json.loads(result_file.read_text()) if result_file.exists() else {}
    return Session(folder, signal, fills, result, replayed)
