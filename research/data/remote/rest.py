"""History from a Binance-compatible REST endpoint, page by page, within its rate limits: klines, aggregate trades, funding rates.

The request weight that the server reports (X-MBX-USED-WEIGHT-1M) is watched: before it reaches the limit the rest of the minute is waited for, so
that a 429 is the exception; when one comes all the same, Retry-After is obeyed (downloads.py). Times are milliseconds, spans [start, end).
"""

from __future__ import annotations

import itertools
import json
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hftkit.clock import unix_ns
from hftkit.errors import DataError
from hftkit.units import NS_PER_MINUTE, NS_PER_S
from research.data.remote.downloads import get

_HOUR_MS = 3_600_000
_PAGE = 1000
_HEAD_ROOM = 0.9  # share of the weight limit that we use
_KLINE = ["open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count", "taker_buy_volume", "taker_buy_quote_volume"]


@dataclass(frozen=True)
class Rest:
    """An endpoint. `base`: scheme and host; `prefix`: "/api/v3" (spot) or "/fapi/v1" (USD-M futures); `weight_limit`: request weight a minute that
    the venue allows (futures 2400, spot 6000). `wait` sleeps that many seconds.
    """

    base: str
    prefix: str = "/fapi/v1"
    weight_limit: int = 2400
    wait: Callable[[float], object] = time.sleep

    def klines(self, symbol: str, interval: str, start_ms: int, end_ms: int) -> pd.DataFrame:
        """Bars with open times in the span: the columns of the archive's klines, open_time in UTC. Raises DataError where there are none."""
        rows = list(self._by_time("klines", {"symbol": symbol, "interval": interval}, start_ms, end_ms, lambda row: int(row[0])))
        self._some(rows, f"candles of {symbol} {interval}")
        values = np.array([row[: len(_KLINE)] + [0] * (len(_KLINE) - len(row)) for row in rows], np.float64)
        frame = pd.DataFrame(values, columns=_KLINE).drop(columns="close_time").astype({"count": np.int64})
        return frame.assign(open_time=_utc(frame["open_time"]))

    def aggregate_trades(self, symbol: str, start_ms: int, end_ms: int) -> pd.DataFrame:
        """Aggregate trades of the span: the columns of the archive's aggTrades. By time until the first is found, an hour a request, then by id."""
        at, rows = start_ms, list[dict[str, Any]]()
        while at < end_ms and not rows:
            stop = min(at + _HOUR_MS, end_ms) - 1
            rows = self._ask("aggTrades", {"symbol": symbol, "startTime": at, "endTime": stop, "limit": _PAGE})
            at = stop + 1
        while rows and rows[-1]["T"] < end_ms:
            page = self._ask("aggTrades", {"symbol": symbol, "fromId": rows[-1]["a"] + 1, "limit": _PAGE})
            if not page:
                break
            if page[0]["a"] <= rows[-1]["a"]:
                raise DataError(f"{self.base} answered aggregate trades out of order", "Fetch from another endpoint")
            rows += page
        rows = [row for row in rows if row["T"] < end_ms]
        self._some(rows, f"aggregate trades of {symbol}")
        return pd.DataFrame(
            {
                "agg_trade_id": np.array([row["a"] for row in rows], np.int64),
                "price": [float(row["p"]) for row in rows],
                "quantity": [float(row["q"]) for row in rows],
                "first_trade_id": np.array([row["f"] for row in rows], np.int64),
                "last_trade_id": np.array([row["l"] for row in rows], np.int64),
                "transact_time": _utc(pd.Series([row["T"] for row in rows])),
                "is_buyer_maker": [bool(row["m"]) for row in rows],
            }
        )

    def funding_rates(self, symbol: str, start_ms: int, end_ms: int) -> pd.DataFrame:
        """Funding of the span: calc_time (UTC) and last_funding_rate (fraction an interval), as in the archive's fundingRate."""
        rows = list(self._by_time("fundingRate", {"symbol": symbol}, start_ms, end_ms, lambda row: int(row["fundingTime"])))
        self._some(rows, f"funding of {symbol}")
        times = pd.Series([row["fundingTime"] for row in rows])
        return pd.DataFrame({"calc_time": _utc(times), "last_funding_rate": [float(row["fundingRate"]) for row in rows]})

    def _by_time(self, path: str, query: dict[str, Any], start_ms: int, end_ms: int, stamp: Callable[[Any], int]) -> Iterator[Any]:
        at = start_ms
        while at < end_ms:
            page = self._ask(path, {**query, "startTime": at, "endTime": end_ms - 1, "limit": _PAGE})
            stamps = [stamp(row) for row in page]
            if stamps and (stamps[0] < at or any(b <= a for a, b in itertools.pairwise(stamps))):
                raise DataError(f"{self.base} answered {path} out of order", "Fetch from another endpoint")
            yield from page
            if len(page) < _PAGE:
                return
            at = stamps[-1] + 1

    def _ask(self, path: str, query: dict[str, Any]) -> Any:
        address = f"{self.base.rstrip('/')}{self.prefix}/{path}"
        body, headers = get(f"{address}?{urllib.parse.urlencode(query)}")
        try:
            answer = json.loads(body)
        except ValueError:
            raise DataError(f"{address} answers no JSON ({body[:40]!r})", "Check the address") from None
        if not isinstance(answer, list):
            raise DataError(f"{address} answers {str(answer)[:120]}", "Check symbol, interval and times (ms)")
        used = int(headers.get("x-mbx-used-weight-1m") or 0)
        if used >= _HEAD_ROOM * self.weight_limit:
            self.wait((NS_PER_MINUTE - unix_ns() % NS_PER_MINUTE) / NS_PER_S)
        return answer

    def _some(self, rows: list[Any], what: str) -> None:
        if not rows:
            raise DataError(f"{self.base} has no {what} in this span", "Check symbol, interval and times (ms)")


def _utc(stamps: pd.Series) -> pd.Series:
    return pd.to_datetime(stamps.astype(np.int64), unit="ms", utc=True).dt.as_unit("ns")
