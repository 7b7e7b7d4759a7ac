"""A bulk archive and a REST endpoint as real servers on real sockets, in the layout of data/remote/archive.py, with every fault on demand."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pandas as pd

# One or two days of every kind, as the archive writes it (columns and forms: the archive's own files). {ms} is the time of the row.
HEADERS = {
    "klines": "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore",
    "aggTrades": "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
    "trades": "id,price,qty,quote_qty,time,is_buyer_maker",
    "bookTicker": "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
    "bookDepth": "timestamp,percentage,depth,notional",
    "metrics": "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,sum_toptrader_long_short_ratio,"
    "count_long_short_ratio,sum_taker_long_short_vol_ratio",
    "fundingRate": "calc_time,funding_interval_hours,last_funding_rate",
}
for _name in ("markPriceKlines", "indexPriceKlines", "premiumIndexKlines"):
    HEADERS[_name] = HEADERS["klines"]
_MS = {"us": 1000, "ms": 1}


def lines(kind: str, period: str, n: int = 40, unit: str = "ms", skip: tuple[int, ...] = ()) -> list[str]:
    """`n` rows of a kind from the start of `period`, without the rows `skip`."""
    start, scale = int(pd.Timestamp(period, tz="UTC").value // 10**6), _MS[unit]
    rows = []
    for i in (i for i in range(n) if i not in skip):
        minute = (start + 60_000 * i) * scale
        text = pd.Timestamp(start + 300_000 * i, unit="ms").strftime("%Y-%m-%d %H:%M:%S")
        if kind.lower().endswith("klines"):
            rows.append(f"{minute},{10 + i},{11 + i}.5,{9 + i},{10 + i}.25,3.0,{minute + 59_999 * scale},31.5,{7 + i},1.0,10.5,0")
        elif kind == "aggTrades":
            rows.append(f"{1000 + i},{10 + i}.1,0.5,{5000 + 2 * i},{5001 + 2 * i},{minute},{'true' if i % 2 else 'false'}")
        elif kind == "trades":
            rows.append(f"{1000 + i},{10 + i}.1,0.5,5.05,{minute},{'True' if i % 2 else 'False'}")
        elif kind == "bookTicker":
            rows.append(f"{90 + 3 * i},{10 + i}.1,1.0,{10 + i}.2,2.0,{minute},{minute + 3}")
        elif kind == "bookDepth":
            half = pd.Timestamp(start + 30_000 * i, unit="ms").strftime("%Y-%m-%d %H:%M:%S")
            rows += [f"{half},{band},{100 * i}.5,1000.0" for band in ("-5", "-1.00", "-0.20", "1", "5.00")]
        elif kind == "metrics":
            rows.append(f"{text},AAAUSDT,100.{i},2000.0,{'' if i == 3 else 1.5},1.1,0.9,1.2")
        elif kind == "fundingRate":
            rows.append(f"{start + 8 * 3_600_000 * i + i % 5},8,0.0001{i}")
    return rows


def put(root: Path, name: str, rows: list[str], header: bool = False, checksum: str | None = None) -> Path:
    """Write one zip and its CHECKSUM at `name` below `root`; `checksum` forges the latter."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = name.split("/")[-2] if name.split("/")[-2] in HEADERS else name.split("/")[-3]
    kind = kind if kind in HEADERS else name.split("/")[-4]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(path.stem + ".csv"), "\n".join(([HEADERS[kind]] if header else []) + rows) + "\n")
    digest = checksum or hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".CHECKSUM").write_text(f"{digest}  {path.name}\n")
    return path


class Server(ThreadingHTTPServer):
    """Serves a folder with ranges, and REST pages; keeps its own log of what was asked; breaks off, throttles on demand."""

    root = Path()
    asked: list[str]
    break_after = 0  # bytes after which the next `breaks` answers of a zip stop
    breaks = 0
    throttle = 0
    weight = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.path} {self.headers.get('Range', '')}".strip())
        if "/v1/" in self.path or "/v3/" in self.path:
            return self._rest()
        path = self.server.root / self.path.lstrip("/")
        if not path.is_file():
            return self.send_error(404)
        body = path.read_bytes()
        start = int(self.headers["Range"].split("=")[1].split("-")[0]) if "Range" in self.headers else 0
        if start and start >= len(body):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        stop = len(body)
        if self.server.breaks and path.suffix == ".zip":
            self.server.breaks -= 1
            stop = start + self.server.break_after
        self.wfile.write(body[start:stop])
        return None

    def _rest(self) -> None:
        if self.server.throttle:
            self.server.throttle -= 1
            return self._answer(429, b"", {"Retry-After": "0"})
        asked = {key: value[0] for key, value in parse_qs(urlparse(self.path).query).items()}
        what = urlparse(self.path).path.split("/")[-1]
        start, stop, limit = int(asked.get("startTime", 0)), int(asked.get("endTime", 10**15)), int(asked["limit"])
        if asked["symbol"] == "NONE":
            return self._answer(400, b'{"code":-1121,"msg":"Invalid symbol."}', {})
        if what == "klines":
            page = [
                [t, "1", "2", "0.5", str(1 + t // 60_000 % 10_000), "7", t + 59_999, "9", 4, "3", "4", "0"] for t in _grid(start, stop, 60_000, limit)
            ]
        elif what == "fundingRate":
            page = [{"symbol": "A", "fundingRate": "0.00010000", "fundingTime": t} for t in _grid(start, stop, 28_800_000, limit)]
        else:  # one aggregate trade every 700 ms, ids in step with time
            if "startTime" in asked and stop - start >= 3_600_000:
                return self._answer(400, b'{"code":-1127,"msg":"More than 1 hour between startTime and endTime."}', {})
            times = (
                [700 * i for i in range(int(asked["fromId"]), int(asked["fromId"]) + limit)] if "fromId" in asked else _grid(start, stop, 700, limit)
            )
            page = [{"a": t // 700, "p": "10.5", "q": "0.25", "f": t // 700, "l": t // 700, "T": t, "m": t // 700 % 2 == 0} for t in times]
        return self._answer(200, json.dumps(page).encode(), {"X-MBX-USED-WEIGHT-1M": str(self.server.weight)})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _grid(start: int, stop: int, step: int, limit: int) -> list[int]:
    first = -(-start // step) * step
    return list(range(first, stop + 1, step))[:limit]


@contextmanager
def serving(root: Path) -> Iterator[Server]:
    """The server of `root`, in a thread of its own."""
    running = Server(("127.0.0.1", 0), _Handler)
    running.root, running.asked = root, []
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield running
    finally:
        running.shutdown()
        running.server_close()
