"""Price files as a history: what each becomes, and that real recordings give the market they were recorded from."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from shared_data import shared

from hftkit.codes import MessageType, Side
from hftkit.errors import DataError
from hftkit.exchange.config import load_config
from hftkit.exchange.market.history.build import HistoryPlan
from hftkit.exchange.market.history.files import CANDLES, DEPTH, QUOTES, TRADES, check_tape, load_history
from hftkit.exchange.market.history.rehearsal import REQUEST, rehearse
from hftkit.instruments import Instrument
from research.cli.data_commands import data
from research.market.history import candles_to_history, read_history, ticks_to_history

SCALES = {"ABC": Instrument(symbol="ABC", tick_size="0.1", lot_size="0.01")}
TRADE, BBO = int(MessageType.TRADE), int(MessageType.BBO)
BUY, SELL = int(Side.BUY), int(Side.SELL)


def part(tape: np.ndarray, kind: int) -> np.ndarray:
    return tape[tape[:, 0] >> 16 & 0xFF == kind]


def test_a_candle_is_four_prints_with_all_its_volume() -> None:
    index = pd.DatetimeIndex(["2026-01-05T00:00Z", "2026-01-05T00:01Z", "2026-01-05T00:02Z"])
    frame = pd.DataFrame(
        {"open": [10.0, 10.5, 10.4], "high": [10.9, 10.6, 10.4], "low": [9.8, 10.1, 10.4], "close": [10.5, 10.2, 10.4], "volume": [1.03, 4.0, 0.0]},
        index=index,
    )
    made = check_tape(candles_to_history({"ABC": frame}, SCALES), "here")
    prints = part(made.tape, TRADE)
    assert prints[:, 5].tolist() == [100, 98, 109, 105, 105, 106, 101, 102]  # the rising bar makes its low first, the falling one its high
    assert prints[:, 6].tolist() == [25, 25, 25, 28, 100, 100, 100, 100]
    assert prints[:, 4].tolist() == [BUY, SELL, BUY, SELL, SELL, BUY, SELL, BUY]
    assert ((prints[:, 2] - prints[0, 2]) // 10**9).tolist() == [0, 20, 40, 59, 60, 80, 100, 119]
    quotes = part(made.tape, BBO)
    assert (quotes[:, 3] == prints[:, 5] - 1).all()
    assert (quotes[:, 5] == prints[:, 5] + 1).all()
    assert made.grades == (CANDLES,)


def test_trades_and_book_tickers_in_the_order_of_time() -> None:
    at = pd.to_datetime(["2026-01-05T00:00:00.001Z", "2026-01-05T00:00:00.002Z", "2026-01-05T00:00:00.003Z"])
    traded = pd.DataFrame({"price": [10.1, 10.0, 10.1], "quantity": [0.5, 0.25, 1.0], "transact_time": at, "is_buyer_maker": [False, True, False]})
    quoted = pd.DataFrame(
        {
            "best_bid_price": [10.0, 9.9],
            "best_bid_qty": [1.0, 2.0],
            "best_ask_price": [10.1, 10.1],
            "best_ask_qty": [3.0, 4.0],
            "transaction_time": at[:2],
        }
    )
    both = ticks_to_history({"ABC": traded}, {"ABC": quoted}, SCALES)
    assert [(int(row[0]) >> 16 & 0xFF, int(row[5])) for row in both.tape] == [(TRADE, 101), (BBO, 101), (TRADE, 100), (BBO, 101), (TRADE, 101)]
    assert part(both.tape, TRADE)[:, 4].tolist() == [BUY, SELL, BUY]
    assert both.grades == (QUOTES,)
    alone = ticks_to_history({"ABC": traded}, {}, None)
    assert alone.grades == (TRADES,)
    assert (alone.instruments[0].tick_size, alone.instruments[0].lot_size) == ("0.1", "0.01")
    assert part(alone.tape, BBO)[:, [3, 5]].tolist() == [[100, 101], [100, 101], [100, 101]]  # the print stands on the touched side


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    index = pd.DatetimeIndex(["2026-01-05T00:00Z"])
    bars = pd.DataFrame({"open": [10.03], "high": [10.9], "low": [9.8], "close": [10.5], "volume": [1.0]}, index=index)
    with pytest.raises(DataError, match=r"10\.03 is no multiple of 0\.1"):
        candles_to_history({"ABC": bars}, SCALES)
    with pytest.raises(DataError, match="without open, high, low or volume"):
        candles_to_history({"ABC": bars[["close"]]}, SCALES)
    with pytest.raises(DataError, match="no column is_buyer_maker"):
        ticks_to_history({"ABC": pd.DataFrame({"price": [1.0], "quantity": [1.0], "time": index})}, {}, SCALES)
    with pytest.raises(DataError, match="there is nothing at"):
        read_history(tmp_path / "none")
    (tmp_path / "x.jsonl").write_text("17 {broken\n")
    with pytest.raises(DataError, match="line 1 is no recorded message"):
        read_history(tmp_path / "x.jsonl")


def ticks(n: int = 40) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Aggregate trades and book tickers in the columns of the archive, times as its CSV files have them: epoch milliseconds."""
    ms, odd = 1_767_571_200_000 + 100 * np.arange(n), np.arange(n) % 2 == 1
    traded = pd.DataFrame(
        {"agg_trade_id": np.arange(n), "price": np.where(odd, 10.1, 10.0), "quantity": 0.5, "transact_time": ms, "is_buyer_maker": ~odd}
    )
    quoted = {"update_id": np.arange(n), "best_bid_price": 10.0, "best_bid_qty": 1.0, "best_ask_price": 10.1, "best_ask_qty": 2.0}
    return traded, pd.DataFrame({**quoted, "transaction_time": ms})


def test_a_folder_of_days_and_of_both_kinds_is_one_history(tmp_path: Path) -> None:
    traded, quoted = ticks()
    traded.iloc[:20].to_csv(tmp_path / "ABCUSDT-aggTrades-2026-01-05.csv", index=False)
    traded.iloc[20:].to_csv(tmp_path / "ABCUSDT-aggTrades-2026-01-06.csv", index=False)
    with pytest.raises(DataError, match="no usable row"):
        read_history(tmp_path, end="2026-01-01")
    quoted.assign(transaction_time=pd.to_datetime(quoted["transaction_time"], unit="ms", utc=True)).to_parquet(
        tmp_path / "ABCUSDT-bookTicker.parquet"
    )
    made = read_history(tmp_path)
    assert made.grades == (QUOTES,)
    assert made.first_ns == 1_767_571_200_000 * 10**6
    assert (len(part(made.tape, TRADE)), len(part(made.tape, BBO))) == (40, 40)
    assert part(made.tape, TRADE)[:, 4].tolist() == [SELL, BUY] * 20
    assert [row["name"] for row in made.origin["files"]] == [path.name for path in sorted(tmp_path.iterdir())]
    half = read_history(tmp_path, start="2026-01-05T00:00:02", symbols=["ABCUSDT"])
    assert len(half.tape) == 40
    with pytest.raises(DataError, match="there is no file of XYZ"):
        read_history(tmp_path, symbols=["XYZ"])
    traded.rename(columns={"agg_trade_id": "id"}).to_csv(tmp_path / "ABCUSDT-trades-2026-01-05.csv", index=False)
    with pytest.raises(DataError, match="the same twice"):
        read_history(tmp_path)


def test_rows_that_cannot_have_happened_are_left_out_and_said(tmp_path: Path) -> None:
    traded, quoted = ticks()
    dirty = pd.concat([traded, traded.iloc[:5]]).astype({"price": float, "quantity": float}).reset_index(drop=True)
    dirty.loc[7, "price"], dirty.loc[8, "price"], dirty.loc[9, "quantity"], dirty.loc[10, "quantity"] = np.nan, -1.0, 0.0, np.inf
    dirty = dirty.sample(frac=1, random_state=1)
    dirty.to_csv(tmp_path / "ABCUSDT.csv", index=False)
    made = check_tape(read_history(tmp_path / "ABCUSDT.csv"), "here")
    assert len(part(made.tape, TRADE)) == 36
    assert made.origin["left_out"] == {"ABCUSDT trades: no positive number": 4, "ABCUSDT trades: id seen before": 5}
    wrong = quoted.assign(best_bid_price=np.where(np.arange(40) < 3, 10.1, 10.0), best_ask_qty=np.where(np.arange(40) == 20, 0.0, 2.0))
    wrong.to_parquet(tmp_path / "quotes-of-somebody.parquet")
    arguments = ["history", str(tmp_path / "quotes-of-somebody.parquet"), str(tmp_path / "h.npz"), "--symbols", "ABCUSDT"]
    said = CliRunner().invoke(data, arguments, catch_exceptions=False).stdout
    assert "left out 3 rows: ABCUSDT quotes: bid not below the ask" in said
    assert "left out 1 rows: ABCUSDT quotes: no positive number" in said
    assert load_history(tmp_path / "h.npz").instruments[0].symbol == "ABCUSDT"
    wrong.assign(best_bid_price=11.0).to_parquet(tmp_path / "quotes-of-somebody.parquet")
    with pytest.raises(DataError, match="no usable row"):
        read_history(tmp_path / "quotes-of-somebody.parquet", symbols=["ABCUSDT"])


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("ABCUSDT.csv", b"", "0 bytes"),
        ("ABCUSDT.parquet", b"PAR1 and then nothing", "cannot be read"),
        ("ABCUSDT.csv", b"price,quantity,time,is_buyer_maker\n", "no rows"),
        ("ABCUSDT.csv", b"price,quantity,time,is_buyer_maker\n1.0,1.0,1767571200000,t\n", "is_buyer_maker holds 't'"),
        ("ABCUSDT.csv", b"price,quantity,time,is_buyer_maker\n1.0,1.0,,true\n", "no time"),
        ("ABCUSDT.csv", b"price,is_buyer_maker,time\n1.0,true,1767571200000\n", "no column quantity"),
        ("quotes of a long name.csv", b"open_time,open,high,low,close,volume\n1767571200000,1,1,1,1,1\n", "--symbols"),
        ("ABCUSDT.csv", bytes(range(256)) * 50, "cannot be read"),
    ],
)
def test_files_that_are_no_ticks_are_refused_in_one_line(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=what):
        read_history(tmp_path / name)


def test_the_command_writes_a_file_that_the_simulator_reads(tmp_path: Path) -> None:
    source = Path(__file__).resolve().parents[4] / "data" / "sample" / "1m"
    arguments = ["history", str(source), str(tmp_path / "h.npz"), "--symbols", "ALFAUSD,BRAVUSD", "--end", "2026-01-05T02:00", "--json"]
    done = CliRunner().invoke(data, arguments, catch_exceptions=False)
    body = json.loads(done.stdout)
    made = load_history(tmp_path / "h.npz")
    assert body["digest"] == made.digest
    assert [one.symbol for one in made.instruments] == ["ALFAUSD", "BRAVUSD"]
    assert len(made.origin["files"]) == 2
    assert made.last_ns - made.first_ns < 2 * 3600 * 10**9


def test_a_recorded_depth_stream_becomes_the_book_it_was_recorded_from() -> None:
    """Against a dictionary fed with the same lines, and the best quotes that the venue sent beside the depth."""
    path = shared("l2_raw/binance_usdm_ethusdt_20240808.jsonl.gz")
    made = check_tape(read_history(path), "real")
    assert made.grades == (DEPTH,)
    assert made.origin["breaks"] == 0
    assert made.instruments[0].symbol == "ETHUSDT"
    book: dict[str, dict[str, float]] = {"b": {}, "a": {}}
    last, traded = 0, 0.0
    changes: list[dict[str, object]] = []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            message = json.loads(line.split(" ", 1)[1])
            if "lastUpdateId" in message:
                last = message["lastUpdateId"]
                book = {"b": {p: float(q) for p, q in message["bids"]}, "a": {p: float(q) for p, q in message["asks"]}}
            elif "@depth" in message["stream"]:
                changes.append(message["data"])
            elif "@trade" in message["stream"]:
                traded += float(message["data"]["q"])
    for change in changes:
        if change["u"] > last:
            for side in ("b", "a"):
                for price, qty in change[side]:  # type: ignore[attr-defined]
                    book[side][price] = float(qty)
    done = rehearse(HistoryPlan(made), np.zeros(0, REQUEST), config=load_config())
    top, tick = done.venue.books.tops[0], float(made.instruments[0].tick_size)
    assert top["bid"] * tick == pytest.approx(max(float(p) for p, q in book["b"].items() if q))
    assert top["ask"] * tick == pytest.approx(min(float(p) for p, q in book["a"].items() if q))
    levels = done.venue.books.levels[0]
    for side in ("b", "a"):
        for price, qty in book[side].items():
            index = round(float(price) / tick) - int(top["base"])
            mine = float(price) / tick <= top["bid"] + 0.5 if side == "b" else float(price) / tick >= top["ask"] - 0.5
            if mine and abs(float(price) / tick - top["bid"]) < 50_000:
                assert levels[index]["qty"] * float(made.instruments[0].lot_size) == pytest.approx(qty, abs=1e-9)
    assert done.report["queue"] == []
    assert part(made.tape, TRADE)[:, 6].sum() * float(made.instruments[0].lot_size) == pytest.approx(traded)
