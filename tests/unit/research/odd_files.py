"""Files of candles as people have them: every one with its truth, the frame that it holds or what its refusal says. Seeded.

`FILES` are the cases: forms of time, layouts of exchanges and platforms, packings and encodings, ways to write numbers, and files that must be refused.
Each case makes its bytes from the same forty bars, so that the truth never depends on the reader.
"""
# ruff: noqa: E501  (a case a line: what a file looks like is read at a glance)

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

N = 40
FIELDS = ["open", "high", "low", "close", "volume"]


def bars(n: int = N, seed: int = 8, start: str = "2024-12-31 23:40", step: str = "1min", price: float = 1234.5, decimals: int = 2) -> pd.DataFrame:
    """Forty bars over the turn of a year, prices of so many decimals, index open_time (UTC)."""
    rng = np.random.default_rng(seed)
    close = np.round(price * np.exp(np.cumsum(rng.normal(size=n)) * 1e-3), decimals)
    close[3] = np.round(price + 10.0**-decimals, decimals)  # a last decimal that is not 0
    opened = np.r_[close[0], close[:-1]]
    tick = 10.0**-decimals
    high, low = np.round(np.maximum(opened, close) + 3 * tick, decimals), np.round(np.minimum(opened, close) - 2 * tick, decimals)
    volume = np.round(rng.gamma(2.0, 5000.0, n), 1)
    index = pd.date_range(start, periods=n, freq=step, tz="UTC", name="open_time").as_unit("ns")
    return pd.DataFrame(dict(zip(FIELDS, (opened, high, low, close, volume), strict=True)), index=index)


@dataclass(frozen=True)
class OddFile:
    """`make(path)` writes the file; `truth`: its candles, or `refusal`: a pattern of what is said instead. `reading`: arguments of Reading."""

    title: str
    name: str
    make: Callable[[Path], object]
    truth: pd.DataFrame | None = None
    refusal: str = ""
    reading: dict[str, object] = field(default_factory=dict)


TRUTH = bars()
FILES: list[OddFile] = []


def ms(frame: pd.DataFrame) -> np.ndarray:
    return frame.index.as_unit("ms").asi8


def text_of(
    frame: pd.DataFrame, stamps: object, separator: str = ",", head: str = "time,open,high,low,close,volume", fields: list[str] = FIELDS
) -> str:
    """CSV of a frame with these stamps first."""
    lines = [head.replace(",", separator)] if head else []
    for stamp, row in zip(stamps, frame[fields].itertuples(index=False), strict=True):
        lines.append(separator.join([str(stamp), *(repr(float(value)) for value in row)]))
    return "\n".join(lines) + "\n"


def add(
    title: str, content: str | bytes, truth: pd.DataFrame | None = TRUTH, refusal: str = "", name: str = "BTC-USDT.csv", **reading: object
) -> None:
    body = content.encode() if isinstance(content, str) else content
    FILES.append(OddFile(title, name, lambda path: path.write_bytes(body), None if refusal else truth, refusal, reading))


def local(form: str, zone: str = "UTC") -> list[str]:
    return list(TRUTH.index.tz_convert(zone).strftime(form))


# -- forms of time -------------------------------------------------------------------------------------------------------

S = TRUTH.index.as_unit("s").asi8
TIMES: dict[str, object] = {
    "epoch s": S,
    "epoch ms": S * 1000,
    "epoch us": S * 10**6,
    "epoch ns": S * 10**9,
    "epoch s with a fraction": [f"{value}.0" for value in S],
    "ms, then us from 2025 on (Binance)": np.where(S < 1735689600, S * 1000, S * 10**6),
    "s, then ms": np.where(S < 1735689600, S, S * 1000),
    "us, then ns": np.where(S < 1735689600, S * 10**6, S * 10**9),
    "date as a number to the minute": local("%Y%m%d%H%M"),
    "date as a number to the second": local("%Y%m%d%H%M%S"),
    "Excel days": [f"{value / 86400 + 25569:.9f}" for value in S],
    "MATLAB days": [f"{value / 86400 + 719529:.9f}" for value in S],
    "ISO with Z": local("%Y-%m-%dT%H:%M:%SZ"),
    "ISO, naive": local("%Y-%m-%d %H:%M:%S"),
    "ISO to the minute": local("%Y-%m-%dT%H:%M"),
    "ISO with an offset": local("%Y-%m-%d %H:%M:%S+05:30", "Asia/Kolkata"),
    "ISO with fractions": local("%Y-%m-%d %H:%M:%S.000000000"),
    "ISO, offset without colon": local("%Y-%m-%dT%H:%M:%S-0500", "Etc/GMT+5"),
    "slashes, year first": local("%Y/%m/%d %H:%M"),
    "dots, year first (MetaTrader)": local("%Y.%m.%d %H:%M"),
    "day first, slashes": local("%d/%m/%Y %H:%M"),
    "month first, slashes": local("%m/%d/%Y %H:%M"),
    "month first, half days": local("%m/%d/%Y %I:%M %p"),
    "day first, dots, ms (Dukascopy)": local("%d.%m.%Y %H:%M:%S.000"),
    "day first, dots, GMT+0100 (Dukascopy)": local("%d.%m.%Y %H:%M:%S.000 GMT+0100", "Etc/GMT-1"),
    "month by name": local("%d-%b-%Y %H:%M"),
    "month by name, first": [f'"{text}"' for text in local("%b %d, %Y %I:%M %p")],
    "day and time without signs (HistData)": local("%Y%m%d %H%M%S"),
    "two digits of a year": local("%d/%m/%y %H:%M"),
    "day of the week before": local("%a %d %b %Y %H:%M:%S GMT"),
}
for form, stamps in TIMES.items():
    for separator, said in ((",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        add(f"{form}, {said}", text_of(TRUTH, stamps, separator))

NEW_YORK = bars(start="2024-11-03 03:30", step="30min")  # over the hour that comes twice
add("clock of New York, given", text_of(NEW_YORK, NEW_YORK.index.tz_convert("America/New_York").strftime("%Y-%m-%d %H:%M")), NEW_YORK,
    time_zone="America/New_York")  # fmt: skip
add(
    "offsets of New York over the change", text_of(NEW_YORK, [stamp.isoformat() for stamp in NEW_YORK.index.tz_convert("America/New_York")]), NEW_YORK
)
DAYS = bars(start="2023-12-15", step="1D")
for form in ("%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%b %d, %Y", "%d %B %Y"):
    add(
        f"days as {form}",
        text_of(DAYS, [f'"{text}"' if "," in text else text for text in DAYS.index.strftime(form)], head="date,open,high,low,close,volume"),
        DAYS,
    )
add("days as Excel days", text_of(DAYS, DAYS.index.as_unit("s").asi8 // 86400 + 25569, head="date,open,high,low,close,volume"), DAYS)
EARLY = bars(start="1969-12-20", step="1D")
for unit, factor in (("s", 1), ("ms", 1000)):
    add(
        f"epoch {unit} from before 1970 on",
        text_of(long := bars(3000, start="1966-01-01", step="5D", decimals=1), long.index.as_unit("s").asi8 * factor),
        long,
    )
MONTHS = bars(start="2020-01-01", step="MS")
for form in ("%Y-%m", "%Y%m", "%b %Y", "%Y-%m-%d"):
    add(f"months as {form}", text_of(MONTHS, MONTHS.index.strftime(form), head="month,open,high,low,close,volume"), MONTHS)
QUARTERS = bars(start="2010-01-01", step="QS")
add(
    "quarters",
    text_of(QUARTERS, [f"{stamp.year}Q{(stamp.month + 2) // 3}" for stamp in QUARTERS.index], head="period,open,high,low,close,volume"),
    QUARTERS,
)
for day_first in (True, False):  # twelve days of which nothing shows the order
    few = bars(12, start="2024-03-01" if day_first else "2024-01-03", step="1D" if day_first else "MS")
    few = bars(12, start="2024-03-01", step="1D")
    add(
        f"a date order that is given, day first {day_first}",
        text_of(few, few.index.strftime("%d/%m/%Y" if day_first else "%m/%d/%Y")),
        few,
        day_first=day_first,
    )
add("ends of bars (Binance), said", text_of(TRUTH, ms(TRUTH) + 59_999, head="close_time,open,high,low,close,volume"), stamps="close")
add("ends of bars on the minute, said", text_of(TRUTH, ms(TRUTH) + 60_000), stamps="close")
LATE = ms(TRUTH) + np.where(np.arange(N) >= 20, 14_789, 0)
add("late by 14.789 s from some bar on (Binance 2017, 2018), snapped", text_of(TRUTH, LATE), snap=True)
add("all late by 14.789 s, snapped", text_of(TRUTH, ms(TRUTH) + 14_789), snap=True)
add("jitter of milliseconds, snapped", text_of(TRUTH, ms(TRUTH) + np.random.default_rng(1).integers(-8, 9, N)), snap=True)

# -- layouts -------------------------------------------------------------------------------------------------------------


def columns(names: str, values: dict[str, object], separator: str = ",", head: str | None = None) -> str:
    """CSV with these columns; `values` beside those of the bars."""
    frame = TRUTH.reset_index(drop=True).assign(**values)
    return frame[names.split(",")].to_csv(
        index=False, sep=separator, header=names.split(",") if head is None else (head.split(",") if head else False)
    )


ISO, MS = local("%Y-%m-%d %H:%M:%S"), ms(TRUTH)
EXTRA = {"quote": 1.5, "count": 3, "taker": 0.5, "takerq": 0.25, "ignore": 0, "end": MS + 59_999, "t": MS, "iso": ISO, "s": S}
NO_VOLUME = TRUTH.drop(columns="volume")
LAYOUTS: dict[str, tuple[str, pd.DataFrame]] = {
    "Binance archive, 12 columns": (columns("t,open,high,low,close,volume,end,quote,count,taker,takerq,ignore", EXTRA, head=""), TRUTH),
    "Binance archive with its header": (columns("t,open,high,low,close,volume,end,quote,count,taker,takerq,ignore", EXTRA,
        head="open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"), TRUTH),
    "eleven columns": (columns("t,open,high,low,close,volume,end,quote,count,taker,takerq", EXTRA, head=""), TRUTH),
    "ccxt, 6 columns": (columns("t,open,high,low,close,volume", EXTRA, head=""), TRUTH),
    "five columns, no volume": (columns("t,open,high,low,close", EXTRA, head=""), NO_VOLUME),
    "Kraken, 7 columns": (columns("s,open,high,low,close,volume,count", EXTRA, head=""), TRUTH),
    "Coinbase order": (columns("s,low,high,open,close,volume", EXTRA, head=""), TRUTH),
    "Bitfinex order": (columns("t,open,close,high,low,volume", EXTRA, head=""), TRUTH),
    "OKX, 9 columns": (columns("t,open,high,low,close,volume,quote,taker,ignore", EXTRA, head=""), TRUTH),
    "vectorbt": (columns("iso,open,high,low,close,volume", EXTRA, head="Open time,Open,High,Low,Close,Volume"), TRUTH),
    "yfinance of old": (columns("iso,open,high,low,close,close,volume".replace("close,close", "close,quote"), EXTRA, head="Date,Open,High,Low,Close,Adj Close,Volume"), TRUTH),
    "yfinance of today": ("Price,Close,High,Low,Open,Volume\nTicker,SPY,SPY,SPY,SPY,SPY\nDate,,,,,\n" + columns("iso,close,high,low,open,volume", EXTRA, head=""), TRUTH),
    "CryptoDataDownload": ("https://www.CryptoDataDownload.com\n" + TRUTH.assign(unix=S, date=ISO, symbol="BTC/USDT", **{"Volume BTC": TRUTH["volume"], "Volume USDT": 7.0})[
        ["unix", "date", "symbol", "open", "high", "low", "close", "Volume BTC", "Volume USDT"]].iloc[::-1].to_csv(index=False), TRUTH),
    "Alpha Vantage": (columns("iso,open,high,low,close,volume", EXTRA, head="timestamp,1. open,2. high,3. low,4. close,5. volume"), TRUTH),
    "CoinMarketCap": (columns("iso,end,open,high,low,close,volume,t", EXTRA, ";", head="timeOpen,timeClose,open,high,low,close,volume,marketCap"), TRUTH),
    "Polygon": (columns("volume,quote,open,close,high,low,t,count", EXTRA, head="v,vw,o,c,h,l,t,n"), TRUTH),
    "TradingView": (columns("s,open,high,low,close,volume", EXTRA, head="time,open,high,low,close,Volume"), TRUTH),
    "MetaTrader": (TRUTH.assign(d=local("%Y.%m.%d"), c=local("%H:%M:%S"), s=0, r=2)[["d", "c", *FIELDS, "s", "r"]].to_csv(index=False, sep="\t",
        header=["<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<TICKVOL>", "<REALVOL>", "<SPREAD>"]), TRUTH),
    "stooq": (TRUTH.assign(k="BTCUSDT", p=1, d=local("%Y%m%d"), c=local("%H%M%S"), i=0)[["k", "p", "d", "c", *FIELDS, "i"]].to_csv(index=False,
        header=["<TICKER>", "<PER>", "<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>", "<OPENINT>"]), TRUTH),
    "Dukascopy": (columns("d,open,high,low,close,volume", {"d": local("%d.%m.%Y %H:%M:%S.000 GMT+0000")}, head="Gmt time,Open,High,Low,Close,Volume"), TRUTH),
    "HistData": (text_of(TRUTH, local("%Y%m%d %H%M%S"), ";", head=""), TRUTH),
    "date and time apart, no header": (text_of(TRUTH, local("%Y.%m.%d,%H:%M"), head=""), TRUTH),
    "freqtrade": (columns("iso,open,high,low,close,volume", EXTRA, head="date,open,high,low,close,volume"), TRUTH),
    "a leftover index": (columns("ignore,t,open,high,low,close,volume", {**EXTRA, "ignore": range(3, N + 3)}, head=",unix,open,high,low,close,volume"), TRUTH),
    "a leftover column called index": (columns("ignore,t,open,high,low,close,volume", {**EXTRA, "ignore": range(3, N + 3)}, head="index,unix,open,high,low,close,volume"), TRUTH),
    "the time as index without a name": (columns("iso,open,high,low,close,volume", EXTRA, head=",open,high,low,close,volume"), TRUTH),
    "an epoch beside a local clock": (columns("d,t,open,high,low,close,volume", {**EXTRA, "d": local("%Y-%m-%d %H:%M", "Asia/Tokyo")},
        head="date,timestamp,open,high,low,close,volume"), TRUTH),
    "Heikin-Ashi beside": (columns("t,open,high,low,close,volume,quote,taker", EXTRA, head="time,open,high,low,close,volume,ha_open,ha_close"), TRUTH),
    "other order of columns": (columns("close,volume,t,low,high,open", EXTRA, head="CLOSE,VOLUME,TIMESTAMP,LOW,HIGH,OPEN"), TRUTH),
    "only closes": (columns("t,close", EXTRA, head="timestamp,close"), TRUTH[["close"]]),
    "only adjusted closes": (columns("iso,close", EXTRA, head="Date,Adj Close"), TRUTH[["close"]]),
    "a price instead of a close (Investing)": (columns("iso,close,open,high,low", EXTRA, head="Date,Price,Open,High,Low"), NO_VOLUME),
    "a separator at the end of rows": (text_of(TRUTH, MS).replace("\n", ",\n"), TRUTH),
    "separators at the end of rows but not of the header": (text_of(TRUTH, MS, head="").replace("\n", ",\n").join(["time,open,high,low,close,volume\n", ""]), TRUTH),
    "comments first": ("# of a vendor\n# 1 minute\n" + text_of(TRUTH, MS), TRUTH),
    "sep= first (Excel)": ("sep=;\n" + text_of(TRUTH, MS, ";"), TRUTH),
    "blank lines": (text_of(TRUTH, MS).replace("\n", "\n\n"), TRUTH),
    "quoted cells": ("\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text_of(TRUTH, MS).split("\n") if line), TRUTH),
    "blanks after commas": (text_of(TRUTH, MS).replace(",", ", "), TRUTH),
    "newest first": (text_of(TRUTH.iloc[::-1], MS[::-1]), TRUTH),
    "a constant symbol column": (columns("k,t,open,high,low,close,volume", {**EXTRA, "k": "BTC/USDT"}, head="symbol,time,open,high,low,close,volume"), TRUTH),
}  # fmt: skip
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zip": lambda body: zipped({"candles.csv": body}),
    "zip of macOS": lambda body: zipped({"a/candles.csv": body, "__MACOSX/._candles.csv": b"\0"}),
    "BOM": lambda body: b"\xef\xbb\xbf" + body, "CRLF": lambda body: body.replace(b"\n", b"\r\n"), "CR": lambda body: body.replace(b"\n", b"\r"),
    "UTF-16": lambda body: body.decode().encode("utf-16"), "Windows-1252": lambda body: body,
}  # fmt: skip


def zipped(files: dict[str, bytes]) -> bytes:
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, body in files.items():
            packed.writestr(name, body)
    return place.getvalue()


_packing = list(PACKINGS)
for number, (layout, (content, truth)) in enumerate(LAYOUTS.items()):
    add(layout, content, truth)
    packing = _packing[number % len(_packing)]
    name = f"BTC-USDT.csv.{packing.split()[0]}" if packing.split()[0] in ("gz", "bz2", "xz", "zip") else "BTC-USDT.csv"
    add(f"{layout}, {packing}", PACKINGS[packing](content.encode()), truth, name=name)
add(
    "a name of Windows-1252",
    text_of(TRUTH, MS, head="time,open,high,low,close,volume,\xfcber").encode("cp1252").replace(b"\n", b",1\n").replace(b"\xfcber,1", b"\xfcber"),
)
LISTS = [[int(stamp), *map(float, row)] for stamp, row in zip(MS, TRUTH.itertuples(index=False), strict=True)]
add("freqtrade's JSON", json.dumps(LISTS), name="BTC_USDT-1m.json")
add("a venue's JSON of text", json.dumps([[row[0], *map(str, row[1:])] for row in LISTS]), name="BTC_USDT-1m.json")
add("JSON of objects", json.dumps([dict(zip(["time", *FIELDS], row, strict=True)) for row in LISTS]), name="BTC_USDT-1m.json")

# -- numbers -------------------------------------------------------------------------------------------------------------


def written(form: Callable[[float], str], separator: str = ",", volume: Callable[[float], str] = repr) -> str:
    lines = [separator.join(["time", *FIELDS])]
    lines += [
        separator.join([str(stamp), *(form(value) for value in row[:-1]), volume(row[-1])])
        for stamp, row in zip(MS, TRUTH.to_numpy().tolist(), strict=True)
    ]
    return "\n".join(lines) + "\n"


def german(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


comma = lambda value: repr(value).replace(".", ",")  # noqa: E731
for separator in (";", "\t", "|"):
    add(f"decimal commas between {separator!r}", written(comma, separator, comma))
    add(f"decimal commas and points of thousands between {separator!r}", written(german, separator, comma))
    add(f"blanks of thousands between {separator!r}", written(lambda v: german(v).replace(".", "\u202f"), separator, comma))
add("decimal commas in quotes", written(lambda v: f'"{comma(v)}"', ",", lambda v: f'"{comma(v)}"'))
add("commas of thousands in quotes", written(lambda v: f'"{v:,.2f}"', ",", lambda v: f'"{v:,.1f}"'))
add("apostrophes of thousands", written(lambda v: f"{v:,.2f}".replace(",", "'")))
add("dollars", written(lambda v: f'"${v:,.2f}"'))
add("exponents", written(lambda v: f"{v:.6e}", ",", lambda v: f"{v:.6e}"))
THOUSANDS = TRUTH.assign(volume=np.round(TRUTH["volume"] / 1000, 2) * 1000)
add("volumes in K", text_of(THOUSANDS, MS).split("\n")[0] + "\n" + "\n".join(
    ",".join([str(stamp), *map(repr, row[:-1]), f"{row[-1] / 1000:.2f}K"]) for stamp, row in zip(MS, THOUSANDS.to_numpy().tolist(), strict=True)), THOUSANDS)  # fmt: skip
WHOLE = bars(decimals=0, price=5432.0)
WHOLE["volume"] = 7.0
add("whole numbers with commas of thousands, said", "time;open;high;low;close;volume\n" + "\n".join(
    ";".join([str(stamp), *(f"{v:,.0f}" for v in row[:4]), "7"]) for stamp, row in zip(MS, WHOLE.to_numpy().tolist(), strict=True)), WHOLE, decimal=".")  # fmt: skip
for price, decimals in ((33.65, 2), (0.0001234, 7), (64_123.5, 1), (1.0842, 4)):
    exact = bars(price=price, decimals=decimals, seed=decimals)
    single = exact[FIELDS[:4]].astype(np.float32)
    table = single.assign(volume=exact["volume"]).reset_index()
    FILES.append(OddFile(f"float32 in Parquet, prices of {price}", "X.parquet", table.to_parquet, exact))
    FILES.append(OddFile(f"float32 in feather, prices of {price}", "X.feather", table.to_feather, exact))
    add(f"float32 dumped as text, prices of {price}", text_of(single.astype(float).assign(volume=exact["volume"]), MS), exact)

# -- refused -------------------------------------------------------------------------------------------------------------


def spoiled(row: int, **cells: object) -> pd.DataFrame:
    frame = TRUTH.copy()
    for name, value in cells.items():
        frame.iloc[row, FIELDS.index(name)] = value
    return frame


def refuse(title: str, content: str | bytes, says: str, name: str = "BAD.csv", **reading: object) -> None:
    add(title, content, None, says, name, **reading)


for row in (0, 7, N - 1):
    for title, cells, says in (
        ("NaN", {"close": np.nan}, f"row {row} .*NaN or not a number"),
        ("infinite", {"high": np.inf}, f"row {row} .*NaN or not a number"),
        ("zero", {"low": 0.0}, f"row {row} .*zero or negative"),
        ("negative", {"low": -1.0}, f"row {row} .*zero or negative"),
        ("high below low", {"high": 1.0}, f"row {row} .*outside low .. high"),
        ("negative volume", {"volume": -1.0}, f"row {row} .*negative or infinite volume"),
    ):
        refuse(f"{title} at row {row}", text_of(spoiled(row, **cells), MS), says)
    lines = text_of(TRUTH, MS).split("\n")
    refuse(f"no number at row {row}", "\n".join([*lines[: row + 1], lines[row + 1].replace(repr(float(TRUTH["close"].iloc[row])), "n.a."), *lines[row + 2 :]]),
           f"row {row} .*(NaN or not a number|outside)")  # fmt: skip
    refuse(
        f"no time at row {row}", "\n".join([*lines[: row + 1], "," + lines[row + 1].split(",", 1)[1], *lines[row + 2 :]]), f"row {row} has no time"
    )
    refuse(f"a row too long at row {row}", "\n".join([*lines[: row + 1], lines[row + 1] + ",1,2", *lines[row + 2 :]]), "columns")
few = bars(12, start="2024-03-01", step="1D")
for form in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%y"):
    refuse(f"twelve days as {form}", text_of(few, few.index.strftime(form)), r"no row shows which is the day in dates like .*--date-order")
refuse(
    "days first and months first",
    text_of(TRUTH, [*local("%d/%m/%Y %H:%M")[:20], *local("%m/%d/%Y %H:%M")[:20]]),
    "begins with a day, row .* with a month",
)
refuse("an order that the dates contradict", text_of(TRUTH, local("%d/%m/%Y %H:%M")), "begins with a day", day_first=False)
refuse("with and without an offset", text_of(TRUTH, [*local("%Y-%m-%dT%H:%M:%SZ")[:20], *local("%Y-%m-%dT%H:%M:%S")[20:]]), "row 20 .*has no offset")
refuse("a zone by letters", text_of(TRUTH, local("%m/%d/%Y %H:%M EST")), "by letters, which several zones share")
refuse("an hour that the clock skips", text_of(b := bars(start="2024-03-10 01:00"), b.index.tz_localize(None) + pd.Timedelta("1h")), "row 0 .*clock changes",
       time_zone="America/New_York")  # fmt: skip
refuse("a zone that is none", text_of(TRUTH, ISO), "no time zone 'New York'", time_zone="New York")
refuse("words for times", text_of(TRUTH, ["yesterday"] * N), r"holds no times \('yesterday'\)")
refuse("a counter for times", text_of(TRUTH, range(N)), "holds no times .*row 0 is no epoch")
refuse("an epoch in minutes", text_of(TRUTH, S // 60), "holds no times|lie from")
refuse("an epoch with one row of another kind", text_of(TRUTH, [*S[:20], 202501010000, *S[21:]]), "row 20 is no epoch")
refuse("a month 13", text_of(TRUTH, ["2024-13-01"] * N), "holds no times")
refuse("30 February", text_of(TRUTH, [*local("%d/%m/%Y %H:%M")[:30], *["30/02/2025 00:00"] * 10]), "'30/02/2025 00:00' at row 30")
refuse("year 2500", text_of(TRUTH, local("2500-%m-%d %H:%M")), "year 2500")
refuse("epoch lost in spreadsheets", text_of(TRUTH, [f"{value * 1000:.5e}" for value in S]), "repeats the time")
refuse("repeated bars", text_of(TRUTH.iloc[[0, 1, 1, 2]], MS[[0, 1, 1, 2]]), "row 2 .*repeats the time")
refuse("disorder", text_of(TRUTH.iloc[[0, 2, 1, 3]], MS[[0, 2, 1, 3]]), "row 2 .*is earlier")
refuse("late bars, not asked to snap", text_of(TRUTH, LATE), r"row 20 .*by at most 14\.789 s \(--snap\)")
refuse("snapping ends of bars", text_of(TRUTH, MS + 59_999), "they are ends of bars. Read them with --stamps close", snap=True)
refuse("bars of two lengths", text_of(TRUTH, np.r_[MS[:30], MS[29] + np.arange(1, 11) * 90_000]), "is not a whole number of 60 s bars")
refuse(
    "only ends of bars", text_of(TRUTH, MS + 59_999, head="close_time,open,high,low,close,volume"), "says when bars end: read it with --stamps close"
)
refuse("no close", columns("t,open,high,low", EXTRA, head="time,open,high,low"), "no close column among .*Name them")
refuse("no time", columns("open,high,low,close", EXTRA), "no time column among .*Name them")
refuse("two closes that differ", columns("t,close,quote", EXTRA, head="time,close,Close"), "two columns .* that differ")
refuse("trades", columns("t,close,volume,ignore", EXTRA, head="time,price,qty,is_buyer_maker"), "looks like trades")
refuse("two symbols", columns("k,t,close", {**EXTRA, "k": ["A", "B"] * 20}, head="symbol,time,close"), "holds 2 symbols")
refuse(
    "one symbol written twice",
    columns("k,t,close", {**EXTRA, "k": ["BTC/USDT", "BTCUSDT"] * 20}, head="symbol,time,close"),
    "are one symbol, BTCUSDT",
)
refuse("a row without its symbol", columns("k,t,close", {**EXTRA, "k": ["A"] * 39 + [None]}, head="symbol,time,close"), "row 39 has no symbol")
refuse("three columns without a header", columns("t,close,volume", EXTRA, head=""), "no header, and its 3 columns say too little")
refuse("twelve columns that are not Binance's", columns("t,open,high,low,close,volume,quote,quote,count,taker,takerq,ignore".replace("quote,quote", "quote,s"), EXTRA, head=""),
       "no close times in the seventh")  # fmt: skip
refuse("decimal commas between commas", written(comma).replace("time,", "time,", 1), "its header has 6 columns, its rows")
refuse("decimals in two ways", written(lambda v: comma(v) if v > 1234 else repr(v), ";"), "decimals are written in two ways")
refuse("thousands or decimals", "time;close\n" + "\n".join(f"{stamp};1,{234 + i}" for i, stamp in enumerate(MS)), "may be a thousand or a decimal")
refuse("a decimal sign that the numbers contradict", written(comma, ";", comma), "its decimal sign is ','", decimal=".")
refuse("0 bytes", b"", r"is empty \(0 bytes\)")
refuse("blanks", b" \n\n ", "nothing but blanks")
refuse("a header alone", "time,open,high,low,close\n", "has no rows")
refuse("one line of prose", "nothing here", "is no table")
refuse("a web page", "<!DOCTYPE html><html><body>404</body></html>", "a web page or an error of a server")
refuse("a server's error", "<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "a web page or an error of a server", "BAD.zip")
refuse("an answer of an API", '{"code":-1121,"msg":"Invalid symbol."}', "holds an answer, no table")
refuse("a pointer of Git LFS", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "pointer of Git LFS")
refuse("bytes that are no text", bytes(range(256)) * 50, "cannot be read")
GOOD = text_of(TRUTH, MS).encode()
refuse("half a zip", zipped({"a.csv": GOOD})[:-40], r"cannot be read \(zip", "BAD.zip")
refuse("a damaged zip", zipped({"a.csv": GOOD})[:200] + b"\0" * 40 + zipped({"a.csv": GOOD})[240:], r"cannot be read \(zip", "BAD.zip")
refuse("two files in a zip", zipped({"a.csv": GOOD, "b.csv": GOOD}), r"holds 2 files \(a\.csv, b\.csv\)\. Unpack", "BAD.zip")
refuse("no file in a zip", zipped({}), "holds 0 files|cannot be read", "BAD.zip")
refuse("half a gz", gzip.compress(GOOD)[:-30], r"cannot be read \(gzip", "BAD.csv.gz")
refuse("half an xz", lzma.compress(GOOD)[:-30], r"cannot be read \(xz", "BAD.csv.xz")
refuse("no Parquet", b"PAR1 and then nothing", "cannot be read", "BAD.parquet")
refuse("a spreadsheet", b"PK\x03\x04", "is a .xlsx file, which is not read here. Save it as CSV", "BAD.xlsx")
refuse("JSON that is no list of candles", "[[1, 2], [3]]", "not of candles", "BAD-1m.json")


def _misread(path: Path) -> None:
    """Milliseconds that somebody took for nanoseconds."""
    TRUTH.reset_index(drop=True).assign(open_time=pd.to_datetime(MS, unit="ns")).to_parquet(path)


FILES.append(OddFile("an epoch taken in a wrong unit, in Parquet", "BAD.parquet", _misread, None, "an epoch that was taken in a wrong unit"))
