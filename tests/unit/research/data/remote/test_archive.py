"""The bulk archive over a real local server of the same layout: every kind, verified, resumed, re-issued, cached; gaps; SQL over the cache."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from hftkit.errors import DataError
from research.data.data_loader import load_panel
from research.data.remote.archive import Archive, fetch, manifest_digest, periods_between
from research.data.remote.archive_kinds import KINDS
from research.data.remote.data_sql import query
from tests.unit.research.bulk_archive import Server, lines, put, serving

JANUARY, FEBRUARY = "2024-01", "2024-02"


@pytest.fixture
def bulk(tmp_path) -> Path:
    root, spot = tmp_path / "bulk", Archive("", Path(), "spot")
    for symbol in ("AAAUSDT", "BBBUSDT"):
        for period, header, unit in ((JANUARY, False, "ms"), (FEBRUARY, True, "us")):  # newer files: header, microseconds
            put(root, spot.zip_name("klines", symbol, period, "1m"), lines("klines", period, unit=unit), header)
    return root


@pytest.fixture
def server(bulk) -> Iterator[Server]:
    with serving(bulk) as running:
        yield running


@pytest.fixture
def web(server, tmp_path) -> Archive:
    return Archive(server.address, tmp_path / "cache")


def test_folder_and_server_give_the_same_candles_and_the_second_call_asks_nothing(bulk, server, web, tmp_path):
    months = [JANUARY, FEBRUARY]
    (local,) = fetch(Archive(str(bulk), tmp_path / "one"), "AAAUSDT", months)
    one, two = fetch(web, ["AAAUSDT", "BBBUSDT"], months)
    pd.testing.assert_frame_equal(local.frame(), one.frame())
    frame = one.frame()
    assert (one.rows, one.fetched, one.reused, two.symbol) == (80, 2, 0, "BBBUSDT")
    assert frame["open_time"].iloc[[0, 40]].tolist() == [pd.Timestamp("2024-01-01", tz="UTC"), pd.Timestamp("2024-02-01", tz="UTC")]
    assert list(frame) == [
        "open_time",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "quote_volume",
        "count",
        "taker_buy_volume",
        "taker_buy_quote_volume",
    ]
    assert (frame["close"].iloc[3], frame["count"].iloc[3]) == (13.25, 10)
    asked = len(server.asked)
    again = fetch(web, ["AAAUSDT", "BBBUSDT"], months)
    assert len(server.asked) == asked == 8  # a CHECKSUM and a zip each; the second load makes no request
    assert [result.reused for result in again] == [2, 2]
    assert list(load_panel(one.path.parent, on_gap="drop").closes) == ["AAAUSDT", "BBBUSDT"]
    manifest = json.loads((web.cache / "manifest.json").read_text())
    entry = manifest["files"]["data/spot/monthly/klines/AAAUSDT/1m/AAAUSDT-1m-2024-01.zip"]
    path = bulk / "data/spot/monthly/klines/AAAUSDT/1m/AAAUSDT-1m-2024-01.zip"
    assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (entry["rows"], entry["revision"], entry["first"], entry["origin"]) == (40, 1, "2024-01-01T00:00:00+00:00", server.address)
    assert len(manifest_digest(web.cache)) == 64


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_read(kind, header, tmp_path):
    form = KINDS[kind]
    archive = Archive(str(tmp_path / "bulk"), tmp_path / "cache", "futures/um")
    spans = [["2024-03-01", "2024-03-02"]] if "daily" in form.spans else []
    spans += [[JANUARY, FEBRUARY]] if "monthly" in form.spans else []
    for periods in spans:
        for period in periods:
            rows = lines(kind, period)
            if kind in ("aggTrades", "trades") and period == periods[1]:  # ids go on
                rows = [row.replace(row[:4], str(int(row[:4]) + 40), 1) for row in rows]
            put(tmp_path / "bulk", archive.zip_name(kind, "AAAUSDT", period, "1m"), rows[::-1] if kind == "metrics" else rows, header)
        (found,) = fetch(archive, "AAAUSDT", periods, kind, "1m")
        frame = found.frame()
        times = frame[form.time]
        assert (str(times.dtype), times.is_monotonic_increasing) == ("datetime64[ns, UTC]", True)
        assert pd.Timestamp(periods[0], tz="UTC") in set(times)
        assert set(form.columns) - set(form.dropped) == set(frame)
        assert len(frame) == found.rows == frame.drop_duplicates().shape[0]
    if kind == "bookDepth":
        assert sorted(frame["percentage"].unique()) == [-5.0, -1.0, -0.2, 1.0, 5.0]
        assert frame["depth"].iloc[5:10].tolist() == [100.5] * 5
    if kind in ("aggTrades", "trades"):
        assert frame["is_buyer_maker"].iloc[:3].tolist() == [False, True, False]
        assert found.gaps == ()
    if kind == "metrics":
        entries = json.loads((archive.cache / "manifest.json").read_text())["files"].values()
        assert {(entry["resorted"], entry["nan"]) for entry in entries} == {(40, 1)}
    if kind == "fundingRate":
        assert frame["last_funding_rate"].iloc[7] == 0.00017
        assert [gap["missing"] for gap in found.gaps] == [93 - 40]  # January goes on after these rows


@pytest.mark.parametrize(
    ("market", "asked", "message"),
    [
        ("spot", ("bookTicker", "A", "2024-01-01", ""), "the spot market has no bookTicker"),
        ("futures/um", ("fundingRate", "A", "2024-01-01", ""), "fundingRate comes in monthly files only. Give months"),
        ("futures/um", ("metrics", "A", "2024-01", ""), "metrics comes in daily files only. Give days"),
        ("futures/um", ("klines", "A", "2024-01", "7m"), "'7m' is no bar length"),
        ("futures/um", ("candles", "A", "2024-01", "1m"), "'candles' is no kind .* Choose of klines"),
        ("spot", ("klines", "A", "2024", "1m"), "neither a month nor a day"),
    ],
)
def test_what_the_archive_never_has_is_said_before_asking(market, asked, message):
    with pytest.raises(DataError, match=message):
        Archive("", Path(), market).zip_name(*asked)


def test_a_month_of_trades_takes_the_place_of_its_days(tmp_path):
    archive = Archive(str(tmp_path / "bulk"), tmp_path / "cache")
    for period in ("2024-01-01", "2024-02-01", JANUARY):
        put(tmp_path / "bulk", archive.zip_name("trades", "A", period), lines("trades", period))
    (days,) = fetch(archive, "A", ["2024-01-01", "2024-02-01"], "trades")
    assert days.rows == 80
    (found,) = fetch(archive, "A", [JANUARY], "trades")
    assert sorted(path.stem for path in found.path.iterdir()) == [JANUARY, "2024-02-01"]
    assert (found.rows, len(found.frame())) == (80, 80)


def test_a_broken_download_is_continued_in_the_same_call_and_in_the_next(server, web):
    server.break_after, server.breaks = 300, 1
    fetch(web, "AAAUSDT", [JANUARY])
    assert [line.split()[-1] for line in server.asked if "Range" in line or "bytes=" in line] == ["bytes=300-"]
    server.breaks, server.break_after = 99, 0  # nothing more arrives at all
    with pytest.raises(DataError, match=r"broke off \(0 of .* bytes arrived\)\. Load again"):
        fetch(web, "BBBUSDT", [JANUARY])
    server.breaks, server.break_after = 4, 200  # four broken attempts of one call
    with pytest.raises(DataError, match="broke off"):
        fetch(web, "BBBUSDT", [JANUARY])
    (partial,) = web.cache.rglob("*.zip.partial")
    assert partial.stat().st_size == 800
    server.breaks = 0
    fetch(web, "BBBUSDT", [JANUARY])
    assert server.asked[-1].endswith("bytes=800-")
    assert not partial.exists()


def test_what_was_left_half_loaded_of_another_revision_is_loaded_anew(bulk, server, web):
    server.breaks, server.break_after = 4, 100
    with pytest.raises(DataError, match="broke off"):
        fetch(web, "AAAUSDT", [JANUARY])
    server.breaks = 0
    put(bulk, web.zip_name("klines", "AAAUSDT", JANUARY, "1m"), lines("klines", JANUARY, n=50), header=True)
    assert fetch(web, "AAAUSDT", [JANUARY])[0].rows == 50


def test_nothing_unverified_enters(bulk, web, tmp_path):
    with pytest.raises(DataError, match=r"404 .*\. Check market"):
        fetch(web, "AAAUSDT", ["2024-03"])
    name = web.zip_name("klines", "AAAUSDT", JANUARY, "1m")
    put(bulk, name, lines("klines", JANUARY), checksum="0" * 64)
    for archive in (web, Archive(str(bulk), tmp_path / "other")):
        with pytest.raises(DataError, match="its CHECKSUM says 000000000000"):
            fetch(archive, "AAAUSDT", [JANUARY])
        assert not list(archive.cache.rglob("*.zip"))
        assert not list(archive.cache.rglob("*.parquet"))
    with pytest.raises(DataError, match="cannot be reached"):
        fetch(Archive("http://127.0.0.1:9", tmp_path / "nowhere"), "AAAUSDT", [JANUARY])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda path: path.read_bytes()[:-60], "holds no klines"),  # truncated, with a CHECKSUM of the truncated bytes
        (lambda path: b"no zip at all", "holds no klines"),
        (lambda path: b"", "holds no klines"),
    ],
)
def test_a_zip_that_cannot_be_read_is_refused(bulk, web, body, message):
    path = bulk / web.zip_name("klines", "AAAUSDT", JANUARY, "1m")
    path.write_bytes(body(path))
    path.with_name(path.name + ".CHECKSUM").write_text(hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(DataError, match=message):
        fetch(web, "AAAUSDT", [JANUARY])
    assert not list(web.cache.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1704067200000,1,2,3"], "4 columns instead of 11"),
        ([], "holds no klines"),
        ([*lines("klines", JANUARY, 2), *lines("klines", JANUARY, 2, "us")], "milliseconds and in microseconds"),
        ([lines("klines", JANUARY, 1)[0].replace("10.25", "ten")], "holds no klines"),
    ],
)
def test_another_layout_is_refused(bulk, web, rows, message):
    put(bulk, web.zip_name("klines", "AAAUSDT", JANUARY, "1m"), rows, header=False)
    with pytest.raises(DataError, match=message):
        fetch(web, "AAAUSDT", [JANUARY])


def test_a_reissued_file_is_a_new_revision(bulk, server, web):
    (first,) = fetch(web, ["AAAUSDT"], [JANUARY, FEBRUARY])
    name = web.zip_name("klines", "AAAUSDT", JANUARY, "1m")
    old = hashlib.sha256((web.cache / name).read_bytes()).hexdigest()
    put(bulk, name, [row.replace(".25,", ".5,") for row in lines("klines", JANUARY, n=38)])
    assert fetch(web, "AAAUSDT", [JANUARY, FEBRUARY])[0].frame().equals(first.frame())  # not asked, not seen
    (second,) = fetch(web, "AAAUSDT", [JANUARY, FEBRUARY], refresh=True)
    assert (second.revised, second.reused, second.rows) == (1, 1, 78)
    assert second.frame()["close"].iloc[0] == 10.5
    entry = json.loads((web.cache / "manifest.json").read_text())["files"][name]
    assert (entry["revision"], entry["superseded"]) == (2, [old])
    assert hashlib.sha256((web.cache / f"{name}.r1").read_bytes()).hexdigest() == old
    zips = [line for line in server.asked if line.endswith(".zip")]
    fetch(web, "AAAUSDT", [JANUARY, FEBRUARY], refresh=True)
    assert [line for line in server.asked if line.endswith(".zip")] == zips  # unchanged: only the checksums were asked for


def test_gaps_and_missing_files_are_in_the_ledger(bulk, server, web):
    put(bulk, web.zip_name("klines", "AAAUSDT", FEBRUARY, "1m"), lines("klines", FEBRUARY, skip=(5, 6, 20)))
    (found,) = fetch(web, "AAAUSDT", [FEBRUARY, "2024-03"], on_missing="record")
    assert [(gap["missing"], gap["after"][11:16]) for gap in found.gaps] == [(2, "00:04"), (1, "00:19")]
    assert found.missing == (web.zip_name("klines", "AAAUSDT", "2024-03", "1m"),)
    ledger = json.loads((web.cache / "gaps.json").read_text())
    assert ledger["klines/spot/1m/AAAUSDT"] == {"files": list(found.missing), "rows": list(found.gaps)}
    asked = len(server.asked)
    fetch(web, "AAAUSDT", [FEBRUARY, "2024-03"], on_missing="record")
    assert len(server.asked) == asked  # what the archive lacks is remembered as well
    put(bulk, found.missing[0], lines("klines", "2024-03"))
    (whole,) = fetch(web, "AAAUSDT", [FEBRUARY, "2024-03"], on_missing="record", refresh=True)
    assert (whole.missing, whole.rows) == ((), 77)
    with pytest.raises(DataError, match="not a decision"):
        fetch(web, "AAAUSDT", [FEBRUARY], on_missing="guess")
    with pytest.raises(DataError, match="has none of the files"):
        fetch(web, "CCCUSDT", [FEBRUARY], on_missing="record")


def test_gaps_of_trades_are_gaps_of_their_ids(tmp_path):
    archive = Archive(str(tmp_path / "bulk"), tmp_path / "cache", "futures/um")
    put(tmp_path / "bulk", archive.zip_name("aggTrades", "AAAUSDT", "2024-03-01"), lines("aggTrades", "2024-03-01", n=30, skip=(7,)))
    later = [row.replace(row[:4], str(int(row[:4]) + 35), 1) for row in lines("aggTrades", "2024-03-02", n=5)]
    put(tmp_path / "bulk", archive.zip_name("aggTrades", "AAAUSDT", "2024-03-02"), later)
    (found,) = fetch(archive, "AAAUSDT", ["2024-03-01", "2024-03-02"], "aggTrades")
    assert [gap["missing"] for gap in found.gaps] == [1, 5]  # within the first day, and over midnight


def test_a_month_and_its_days_make_one_series(bulk, web, tmp_path):
    put(bulk, web.zip_name("klines", "AAAUSDT", "2024-01-01", "1m"), lines("klines", "2024-01-01", n=45))
    (found,) = fetch(web, "AAAUSDT", [JANUARY, "2024-01-01"])
    assert found.rows == 45
    found.path.write_bytes(b"damaged")
    assert fetch(web, "AAAUSDT", [JANUARY])[0].frame()["open_time"].is_unique  # made again from the verified zips


def full_disk(path: Path) -> None:
    """From here on every byte written to `path` meets a full device (ENOSPC from the kernel)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/dev/full")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("where", ["zip over http", "zip from a folder", "parquet", "manifest"])
def test_a_full_disk_is_one_clear_line_and_loses_nothing(bulk, server, tmp_path, where):
    archive = Archive(server.address if where != "zip from a folder" else str(bulk), tmp_path / "cache")
    name = archive.zip_name("klines", "AAAUSDT", JANUARY, "1m")
    parquet = archive.parquet("klines", "AAAUSDT", "1m")
    partial = {
        "parquet": parquet.with_name(f".{parquet.name}.partial"),
        "manifest": archive.cache / ".manifest.json.partial",
    }.get(where, archive.cache / f"{name}.partial")
    full_disk(partial)
    with pytest.raises(DataError, match=r"cannot write .*No space left on device.*Make room on the disk"):
        fetch(archive, "AAAUSDT", [JANUARY])
    partial.unlink(missing_ok=True)
    assert fetch(archive, "AAAUSDT", [JANUARY])[0].rows == 40


def test_a_quota_stops_the_download_and_it_continues(server, tmp_path):
    """A file size limit of the operating system (a quota) in a process of its own: one line, and the bytes that fitted are kept."""
    cache = tmp_path / "cache"
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from research.data.remote.archive import Archive, fetch\nfrom hftkit.errors import DataError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "try:\n    fetch(Archive(sys.argv[1], Path(sys.argv[2])), 'AAAUSDT', ['2024-01'])\nexcept DataError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, server.address, str(cache)], capture_output=True, text=True, check=False)
    assert re.search("cannot write .*File too large", done.stdout), done.stdout + done.stderr
    assert [path.stat().st_size for path in cache.rglob("*.zip.partial")] == [500]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 500
    assert fetch(Archive(server.address, cache), "AAAUSDT", [JANUARY])[0].rows == 40
    assert server.asked[-1].endswith("bytes=500-")


def test_periods():
    assert periods_between("2023-12", "2024-02") == ["2023-12", "2024-01", "2024-02"]
    assert periods_between("2024-02-28", "2024-03-01") == ["2024-02-28", "2024-02-29", "2024-03-01"]
    for first, last, message in (("2024-01", "2024-01-02", "neither two"), ("2024-02", "2024-01", "is before"), ("2024-13", "2024-14", "no dates")):
        with pytest.raises(DataError, match=message):
            periods_between(first, last)
    with pytest.raises(DataError, match="nothing is asked"):
        fetch(Archive("", Path("x")), "A", [])


def test_a_damaged_manifest_is_named(bulk, tmp_path):
    archive = Archive(str(bulk), tmp_path / "cache")
    fetch(archive, "AAAUSDT", [JANUARY])
    (archive.cache / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"manifest\.json is damaged"):
        fetch(archive, "AAAUSDT", [JANUARY])
    (archive.cache / "manifest.json").unlink()
    assert fetch(archive, "AAAUSDT", [JANUARY])[0].reused == 1  # the zip was there, and its CHECKSUM says that it is right


def test_questions_in_sql(bulk, tmp_path):
    pytest.importorskip("duckdb", reason="duckdb is in the research extra")
    archive = Archive(str(bulk), tmp_path / "cache")
    with pytest.raises(DataError, match="nothing in the cache"):
        query(archive.cache, "SELECT 1")
    fetch(archive, ["AAAUSDT", "BBBUSDT"], [JANUARY])
    answer = query(archive.cache, "SELECT market, symbol, interval, count(*) AS n, max(close) AS top FROM klines GROUP BY ALL ORDER BY symbol")
    expected = {"market": ["spot"] * 2, "symbol": ["AAAUSDT", "BBBUSDT"], "interval": ["1m"] * 2, "n": [40, 40], "top": [49.25, 49.25]}
    assert answer.to_dict("list") == expected
    um = Archive(str(tmp_path / "bulk2"), archive.cache, "futures/um")
    for kind, period in (("aggTrades", "2024-03-01"), ("metrics", "2024-03-01"), ("fundingRate", JANUARY)):
        put(tmp_path / "bulk2", um.zip_name(kind, "AAAUSDT", period), lines(kind, period))
        fetch(um, "AAAUSDT", [period], kind)
        assert query(archive.cache, f'SELECT market, symbol, count(*) AS n FROM "{kind}" GROUP BY ALL').values.tolist() == [
            ["futures-um", "AAAUSDT", 40]
        ]
    with pytest.raises(DataError, match=r"SQL: .*nonsense.*The views are klines, aggTrades, metrics, fundingRate"):
        query(archive.cache, "SELECT nonsense FROM klines")
