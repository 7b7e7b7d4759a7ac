"""What the venue knows of a recorded run (`hftkit sim --record FOLDER`) beside the market: executions, balances, every best quote, as pandas.

Trades, levels and candles of the same folder: research/market/market_data.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hftkit.codes import MessageType, RecordType, Reject, Side
from hftkit.errors import DataError
from hftkit.exchange.core.layout import BALANCE, EXECUTION, BalanceKind, ExecutionKind, TapKind
from hftkit.instruments import Instrument
from hftkit.session.journal import JournalReader, instruments_of, json_of

E8 = 1e8
_EXECUTION_COLUMNS = ("account_id", "client_order_id", "order_id", "qty", "filled", "leaves", "last_price", "last_qty", "trade_id", "maker")


@dataclass(frozen=True)
class VenueRun:
    """Everything by exchange time (UTC); prices and quantities in quote and base units, money in quote units.

    `quotes`: symbol, bid, bid_qty, ask, ask_qty (NaN where a side is empty). `executions`: one row an event of a client's order: symbol, account_id,
    event, side, prices, quantities, fee, realised, reason, wallet, position. `balances`: wallets and positions that changed without a trade.
    `market`: what the market was. `lost`: records that did not fit into the drop copy. `torn`: why the journal was cut, '' if it was not.
    """

    folder: Path
    instruments: tuple[Instrument, ...]
    quotes: pd.DataFrame
    executions: pd.DataFrame
    balances: pd.DataFrame
    market: dict[str, Any]
    lost: int
    torn: str


def load_run(folder: Path | str) -> VenueRun:
    """Read the journal of a recorded run. Raises JournalError for a damaged one, DataError for one of another kind."""
    reader = JournalReader(folder)
    config: dict[str, Any] = {}
    market: dict[int, list[np.ndarray]] = {int(MessageType.BBO): []}
    copies: dict[int, list[np.ndarray]] = {int(kind): [] for kind in TapKind}
    widths = {int(TapKind.EXECUTION): EXECUTION.dtype.itemsize // 8, int(TapKind.BALANCE): BALANCE.dtype.itemsize // 8, int(TapKind.LOST): 3}
    for words, records in reader.chunks():
        for at, n_words, _ in records[records[:, 2] == RecordType.CONFIG]:
            config = json_of(words[at : at + n_words])
        for record_type, wanted, width in ((RecordType.MARKET_DATA_IN, market, None), (RecordType.DROP_COPY, copies, widths)):
            chosen = records[(records[:, 2] == record_type) & (records[:, 1] > 0)]
            at, kind = chosen[:, 0], words[chosen[:, 0]] >> 16 & 0xFF
            for code, parts in wanted.items():
                n_words = 7 if width is None else width[code]
                parts.append(words[at[(kind == code) & (chosen[:, 1] >= n_words)][:, None] + np.arange(n_words)])
    if "market" not in config:
        raise DataError(f"{folder} is no recording of a simulator", "Load the journal of a session with research.report.session.load_session")
    instruments = instruments_of(config)
    executions = _stack(copies[int(TapKind.EXECUTION)]).view(EXECUTION.dtype).reshape(-1)
    balances = _stack(copies[int(TapKind.BALANCE)]).view(BALANCE.dtype).reshape(-1)
    return VenueRun(
        Path(folder),
        instruments,
        _quotes(_stack(market[int(MessageType.BBO)]), instruments),
        _executions(executions, instruments),
        _balances(balances, instruments),
        config["market"],
        int(sum(part[:, 2].sum() for part in copies[int(TapKind.LOST)])),
        reader.torn,
    )


def _stack(parts: list[np.ndarray]) -> np.ndarray:
    return np.ascontiguousarray(np.concatenate(parts))


def _scales(numbers: np.ndarray, instruments: tuple[Instrument, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Symbol, tick and lot of each row; rows of no instrument have none."""
    names = np.array([*(one.symbol for one in instruments), ""], object)
    tick = np.array([*(float(one.tick_size) for one in instruments), np.nan])
    lot = np.array([*(float(one.lot_size) for one in instruments), np.nan])
    return names[numbers], tick[numbers], lot[numbers]


def _utc(ts: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(ts, utc=True), name="time").as_unit("ns")


def _quotes(rows: np.ndarray, instruments: tuple[Instrument, ...]) -> pd.DataFrame:
    symbol, tick, lot = _scales(rows[:, 0] >> 32, instruments)
    columns: dict[str, Any] = {"symbol": symbol}
    for at, name in ((3, "bid"), (5, "ask")):
        columns[name] = np.where(rows[:, at] > 0, rows[:, at] * tick, np.nan)
        columns[f"{name}_qty"] = rows[:, at + 1] * lot
    return pd.DataFrame(columns, index=_utc(rows[:, 2]))


def _executions(rows: np.ndarray, instruments: tuple[Instrument, ...]) -> pd.DataFrame:
    symbol, tick, lot = _scales(rows["instrument"], instruments)
    frame = pd.DataFrame({name: rows[name] for name in _EXECUTION_COLUMNS}, index=_utc(rows["ts"]))
    frame.insert(0, "symbol", symbol)
    frame.insert(1, "event", [ExecutionKind(kind).name.lower() for kind in rows["kind"]])
    frame.insert(2, "side", [Side(side).text if side >= 0 else "" for side in rows["side"]])
    frame["last_price"] = np.where(rows["last_price"] > 0, rows["last_price"] * tick, np.nan)
    frame["price"] = np.where(rows["price"] > 0, rows["price"] * tick, np.nan)
    for name in ("qty", "filled", "leaves", "last_qty"):
        frame[name] = rows[name] * lot
    frame["position"] = rows["position"] * lot
    for name in ("fee", "realised", "wallet"):
        frame[name] = rows[f"{name}_e8"] / E8
    frame["reason"] = [Reject(reason).text if reason else "" for reason in rows["reason"]]
    return frame


def _balances(rows: np.ndarray, instruments: tuple[Instrument, ...]) -> pd.DataFrame:
    symbol, _, lot = _scales(rows["instrument"], instruments)
    columns = {
        "symbol": symbol,
        "event": [BalanceKind(kind).name.lower() for kind in rows["kind"]],
        "account_id": rows["account_id"],
        "amount": rows["amount_e8"] / E8,
        "wallet": rows["wallet_e8"] / E8,
        "position": rows["position"] * lot,
    }
    return pd.DataFrame(columns, index=_utc(rows["ts"]))
