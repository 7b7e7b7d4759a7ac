"""What a file of prices says by its name: symbol, bar length, period. Names of exchanges, freqtrade, ccxt, Binance, Kraken, CryptoDataDownload."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hftkit.errors import DataError

TABLES = (".parquet", ".pq", ".feather", ".arrow", ".csv", ".tsv")
PACKED = (".gz", ".zip", ".bz2", ".xz")
_MINUTE_NS = 60 * 10**9
_UNITS = {"s": 10**9, "m": _MINUTE_NS, "h": 60 * _MINUTE_NS, "d": 1440 * _MINUTE_NS, "w": 7 * 1440 * _MINUTE_NS}
MONTH_NS = int(365.25 * 86_400 * 10**9) // 12  # a nominal month
_WORDS = {"daily": "1d", "hourly": "1h", "weekly": "1w", "monthly": "1mo", "minute": "1m", "day": "1d", "hour": "1h"}
_FRAME = re.compile(r"^(\d{1,3})(s|sec|m|min|mins|minute|minutes|h|hr|hour|hours|d|day|days|w|week|weeks|mo|mth|month|months)$", re.IGNORECASE)
_METATRADER = re.compile(r"^([MHDW])(\d{1,2})$")
_PERIOD = re.compile(r"^(?:(?:19|20)\d{2}|(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])?|[01]\d|[0-3]\d)$")
_EXCHANGES = frozenset(
    [
        "binance",
        "binanceus",
        "bitfinex",
        "bitstamp",
        "bybit",
        "coinbase",
        "gemini",
        "kraken",
        "kucoin",
        "okx",
        "okex",
        "huobi",
        "htx",
        "ftx",
        "poloniex",
        "bittrex",
        "gateio",
        "gate",
        "deribit",
        "bitmex",
        "mexc",
        "bitget",
        "cryptocom",
        "cexio",
        "exmo",
        "upbit",
        "bithumb",
        "oanda",
        "dukascopy",
        "histdata",
    ]
)
_KINDS = frozenset({"mark", "index", "premiumindex", "funding_rate", "markprice", "indexprice"})  # prices that nobody trades at
_TICKS = frozenset({"trades", "aggtrades", "bookticker", "bookdepth", "metrics", "fundingrate"})
_MARKETS = frozenset({"futures", "spot", "candles", "klines", "ohlcv", "ohlc", "prices", "history", "data"})
_MINUTES = frozenset({"1", "5", "15", "30", "60", "240", "720", "1440"})  # bar lengths of Kraken's and TradingView's names


@dataclass(frozen=True)
class FileName:
    """`symbol`: BTCUSDT of BTC-USDT, BTC/USDT:USDT, ...; `timeframe`: such as 5m, 1h, 1mo, or ""; `period`: the part of a longer series that a file
    holds (2024-01), or ""; `kind`: "" of traded prices, or mark, index, funding_rate.
    """

    symbol: str
    timeframe: str = ""
    period: str = ""
    kind: str = ""


def is_table(path: Path) -> bool:
    """Whether a folder's file is one of prices by its name: a table, packed or not, or a file as freqtrade (.json) and HistData (.txt) name it."""
    name = path.name.lower()
    if name.startswith((".", "_")):
        return False
    for packed in PACKED:
        if name.endswith(packed) and name.removesuffix(packed).endswith((".csv", ".tsv", ".txt", ".json")):
            return True
    if name.endswith(".zip") or name.endswith(TABLES):
        return True
    return name.endswith((".json", ".txt")) and bool(parse_name(path).timeframe)


def symbol_of(path: Path) -> str:
    """Symbol from a file name: see parse_name."""
    return parse_name(path).symbol


def parse_name(path: Path) -> FileName:
    """What a name says. BTCUSDT of BTCUSDT.parquet, BTC_USDT-5m.csv and BTC_USDT_USDT-1m-futures.feather (freqtrade), BTCUSDT-1m-2024-01.zip
    (Binance), BTC-USDT.csv, Binance_BTCUSDT_1h.csv (CryptoDataDownload), BTCUSDT_60.csv (Kraken's minutes).
    """
    stem = path.name
    for suffixes in (PACKED, (*TABLES, ".json", ".jsonl", ".txt")):  # packed first: .csv.gz
        for suffix in suffixes:
            if stem.lower().endswith(suffix):
                stem = stem[: -len(suffix)]
    words = [word for word in re.split(r"[-_,\s]+", stem) if word]
    symbol: list[str] = []
    timeframe = kind = ""
    period: list[str] = []
    at = 0
    while at < len(words):
        word, lower = words[at], words[at].lower()
        frame = timeframe_of(word) if at else ""
        pair = f"{lower}_{words[at + 1].lower()}" if at + 1 < len(words) else ""
        if frame and not timeframe:
            timeframe = frame
        elif at and (lower in _KINDS or pair in _KINDS):
            kind, at = (lower, at) if lower in _KINDS else (pair, at + 1)
        elif at and (timeframe or period or kind or len(word) == 8) and _PERIOD.match(word):
            period.append(word)
        elif at and lower in _TICKS:
            kind = lower
        elif (at and lower in _MARKETS) or (
            not symbol and not timeframe and lower in _EXCHANGES and at + 1 < len(words) and not timeframe_of(words[at + 1])
        ):
            pass
        elif not timeframe and not period and not kind:
            symbol.append(word)
        at += 1
    if not timeframe and len(symbol) > 1 and symbol[-1] in _MINUTES:
        minutes = int(symbol.pop())
        timeframe = f"{minutes}m" if minutes < 60 else f"{minutes // 60}h" if minutes < 1440 else "1d"
    if not period and len(symbol) > 1 and re.fullmatch(r"(19|20)\d{2}", symbol[-1]):
        period = [symbol.pop()]
    elif not timeframe and len(symbol) > 2 and re.fullmatch(r"(19|20)\d{2}", symbol[-2]) and re.fullmatch(r"[01]\d", symbol[-1]):
        period = [symbol[-2], symbol[-1]]
        symbol = symbol[:-2]
    return FileName(symbol_text("-".join(symbol)), timeframe, "-".join(period), kind)


def symbol_text(text: object) -> str:
    """A symbol as this project writes it, upper case without separators: BTCUSDT of btc-usdt, BTC/USDT, BTC_USDT and BTC/USDT:USDT."""
    bare = str(text).strip().upper()
    pair, colon, settled = bare.partition(":")
    parts = [part for part in re.split(r"[-_/\s]+", pair) if part]
    if not colon and len(parts) == 3 and parts[1] == parts[2]:
        parts = parts[:2]  # freqtrade: settled in its quote currency
    elif colon and settled and settled not in (parts[-1:] or [""]):
        parts.append(settled)  # BTC/USD:BTC is another contract than BTC/USD
    return "".join(parts)


def timeframe_of(word: str) -> str:
    """A bar length as 1m, 5m, 1h, 1d, 1w, 1mo; of "5min", "1hour", "daily", "1M" (Binance's month), "H4" (MetaTrader); "" of what is none."""
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    if re.fullmatch(r"\d{1,2}M", word):
        return f"{word[:-1]}mo"
    if found := _FRAME.match(word):
        unit = found[2].lower()
        return f"{int(found[1])}{'mo' if unit.startswith(('mo', 'mth')) else unit[0]}"
    if found := _METATRADER.match(word):
        return f"{int(found[2])}{found[1].lower()}"
    return ""


def timeframe_ns(text: str) -> int:
    """Bar length of a timeframe, ns; of months the nominal one (365.25 / 12 days). Raises DataError for what is none."""
    frame = timeframe_of(text.strip())
    if not frame or int(re.sub(r"\D", "", frame)) < 1:
        raise DataError(f"{text!r} is no bar length", "Write it as 1m, 5m, 1h, 1d, 1w or 1mo")
    count = int(re.sub(r"\D", "", frame))
    return count * MONTH_NS if frame.endswith("mo") else count * _UNITS[frame[-1]]


def timeframe_text(bar_ns: int) -> str:
    """The shortest name of a bar length: 5m of 300 s."""
    if bar_ns and bar_ns % MONTH_NS == 0:
        return f"{bar_ns // MONTH_NS}mo"
    for unit in ("w", "d", "h", "m", "s"):
        if bar_ns and bar_ns % _UNITS[unit] == 0:
            return f"{bar_ns // _UNITS[unit]}{unit}"
    return f"{bar_ns / 1e9:g} s"


def symbols_of(text: str | None) -> list[str] | None:
    """The symbols that an option names, "BTC/USDT, ethusdt" as BTCUSDT and ETHUSDT; None of none. Raises DataError for a list without any."""
    if text is None or text == "":
        return None
    found = list(dict.fromkeys(symbol_text(part) for part in re.split(r"[,;\s]+", text) if part.strip()))
    if not found:
        raise DataError(f"--symbols {text!r} names none", "Write them as BTCUSDT,ETHUSDT")
    return found
