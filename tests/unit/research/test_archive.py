"""The bulk archive over a real local server of the same layout: verified, resumable, cached; REST in pages; SQL over the cache."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.archive import Archive, load_klines, manifest_digest, query, rest_klines
from research.data_loader import load_panel

START = {"2024-01": 1_704_067_200_000, "2024-02": 1_706_745_600_000}


def rows(period: str, n: int = 50, scale: int = 1) -> list[list[float]]:
    return [[(START[period] + 60_000 * i) * scale, 10 + i, 11 + i, 9 + i, 10.5 + i, 3.0, 0, 0, 0, 0, 0, 0] for i in range(n)]


@pytest.fixture
def bulk(tmp_path) -> Path:
    for symbol in ("AAAUSDT", "BBBUSDT"):
        for period, header in (("2024-01", False), ("2024-02", True)):
            folder = tmp_path / "bulk/data/spot/monthly/klines" / symbol / "1m"
            folder.mkdir(parents=True, exist_ok=True)
            lines = [",".join(map(str, row)) for row in rows(period, scale=1000 if header else 1)]  # later files: header, microseconds
            text = "\n".join((["open_time,open,high,low,close,volume,a,b,c,d,e,f"] if header else []) + lines)
            path = folder / f"{symbol}-1m-{period}.zip"
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(path.stem + ".csv", text)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            path.with_name(path.name + ".CHECKSUM").write_text(f"{digest}  {path.name}\n")
    return tmp_path / "bulk"


class Server(ThreadingHTTPServer):
    """Serves a folder with ranges, and klines in pages; counts requests, breaks or slows down on demand."""

    root = Path()
    asked: list[str]
    break_after = 0
    throttle = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.path} {self.headers.get('Range', '')}".strip())
        if self.path.startswith("/api/v3/klines"):
            return self.klines()
        path = self.server.root / self.path.lstrip("/")
        if not path.is_file():
            return self.send_error(404)
        body = path.read_bytes()
        start = int(self.headers["Range"].split("=")[1].split("-")[0]) if "Range" in self.headers else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        stop = start + self.server.break_after if self.server.break_after and path.suffix == ".zip" else len(body)
        self.wfile.write(body[start:stop])
        return None

    def klines(self) -> None:
        if self.server.throttle:
            self.server.throttle -= 1
            self.send_response(429)
            self.send_header("Retry-After", "0")
            self.end_headers()
            return
        asked = {key: int(value[0]) for key, value in parse_qs(urlparse(self.path).query).items() if value[0].isdigit()}
        first = -(-(asked["startTime"] - START["2024-01"]) // 60_000)
        last = min((asked["endTime"] - START["2024-01"]) // 60_000, 2500)
        page = [[START["2024-01"] + 60_000 * i, "1", "2", "0.5", str(1 + i), "7", 0] for i in range(max(first, 0), last + 1)][: asked["limit"]]
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(bulk) -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    running.root, running.asked = bulk, []
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_folder_and_server_give_the_same_candles(bulk, server, tmp_path):
    months = ["2024-01", "2024-02"]
    local = pd.read_parquet(load_klines(Archive(str(bulk), tmp_path / "one"), "AAAUSDT", "1m", months))
    web = Archive(address(server), tmp_path / "two")
    path = load_klines(web, "AAAUSDT", "1m", months)
    pd.testing.assert_frame_equal(local, pd.read_parquet(path))
    assert len(local) == 100
    assert local["open_time"].iloc[0] == pd.Timestamp("2024-01-01", tz="UTC")
    assert local["open_time"].iloc[50] == pd.Timestamp("2024-02-01", tz="UTC")
    assert local["close"].iloc[3] == 13.5
    count = len(server.asked)
    assert load_klines(web, "AAAUSDT", "1m", months) == path
    assert len(server.asked) == count == 4  # the second load makes no request
    load_klines(web, "BBBUSDT", "1m", ["2024-01"])
    panel = load_panel(path.parent, on_gap="drop")
    assert list(panel.closes) == ["AAAUSDT", "BBBUSDT"]
    manifest = json.loads((tmp_path / "two/manifest.json").read_text())
    assert {entry["rows"] for entry in manifest.values()} == {50}
    assert len(manifest_digest(tmp_path / "two")) == 64


def test_a_broken_download_continues(server, tmp_path):
    web = Archive(address(server), tmp_path / "cache")
    server.break_after = 300
    with pytest.raises(DataError, match=r"broke off \(300 of"):
        load_klines(web, "AAAUSDT", "1m", ["2024-01"])
    assert [path.stat().st_size for path in (tmp_path / "cache").rglob("*.zip.partial")] == [300]
    server.break_after = 0
    load_klines(web, "AAAUSDT", "1m", ["2024-01"])
    assert any("bytes=300-" in line for line in server.asked)


def test_nothing_unverified_enters(bulk, server, tmp_path):
    web = Archive(address(server), tmp_path / "cache")
    with pytest.raises(DataError, match="404"):
        load_klines(web, "AAAUSDT", "1m", ["2024-03"][:1])
    zipped = bulk / "data/spot/monthly/klines/AAAUSDT/1m/AAAUSDT-1m-2024-01.zip"
    zipped.write_bytes(zipped.read_bytes()[:-5] + b"wrong")
    for archive in (web, Archive(str(bulk), tmp_path / "other")):
        with pytest.raises(DataError, match="its CHECKSUM says"):
            load_klines(archive, "AAAUSDT", "1m", ["2024-01"])
        assert not list(archive.cache.rglob("*.zip"))
        assert not list(archive.cache.rglob("*.parquet"))
    zipped.write_bytes(b"no zip at all")
    zipped.with_name(zipped.name + ".CHECKSUM").write_text(hashlib.sha256(b"no zip at all").hexdigest())
    with pytest.raises(DataError, match="holds no candles"):
        load_klines(web, "AAAUSDT", "1m", ["2024-01"])
    with pytest.raises(DataError, match="neither a month nor a day"):
        load_klines(web, "AAAUSDT", "1m", ["2024"])
    with pytest.raises(DataError, match="cannot be reached"):
        load_klines(Archive("http://127.0.0.1:9", tmp_path / "nowhere"), "AAAUSDT", "1m", ["2024-01"])


def test_rest_pages_and_waits(server):
    server.throttle = 2
    first = START["2024-01"]
    frame = rest_klines(address(server), "AAAUSDT", "1m", first + 60_000, first + 2400 * 60_000)
    assert len(frame) == 2399
    assert frame["close"].tolist() == np.arange(2.0, 2401.0).tolist()
    assert frame["open_time"].is_monotonic_increasing
    with pytest.raises(DataError, match="no candles"):
        rest_klines(address(server), "AAAUSDT", "1m", first + 10**12, first + 10**12 + 10)


def test_questions_in_sql(bulk, tmp_path):
    pytest.importorskip("duckdb", reason="duckdb is in the research extra")
    archive = Archive(str(bulk), tmp_path / "cache")
    with pytest.raises(DataError, match="no candles in the cache"):
        query(archive.cache, "SELECT 1")
    for symbol in ("AAAUSDT", "BBBUSDT"):
        load_klines(archive, symbol, "1m", ["2024-01"])
    answer = query(archive.cache, "SELECT market, symbol, count(*) AS n, max(close) AS top FROM klines GROUP BY ALL ORDER BY symbol")
    assert answer.to_dict("list") == {"market": ["spot"] * 2, "symbol": ["AAAUSDT", "BBBUSDT"], "n": [50, 50], "top": [59.5, 59.5]}
