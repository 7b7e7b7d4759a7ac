"""Messages in Binance's documented shapes with numbers of our own, and a line to feed them to. Used by the tests of kernels/wire/binance."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from hftkit.binance.calls import answerer, encoder, translator
from hftkit.binance.line import Kind, Line, counters, kind_of, new_line
from hftkit.codes import MessageType, Sync
from hftkit.instruments import Instrument
from hftkit.kernels.market.book import BOOK_LOST, BOOK_QUIET, apply_to_book
from hftkit.kernels.memory.ring import ring_pop
from hftkit.kernels.wire.binance.state import REQUEST_WORDS
from hftkit.kernels.wire.decode import MALFORMED, decode_market_data
from hftkit.kernels.wire.encode import encode_cancel, encode_heartbeat, encode_new_order, encode_order_query
from hftkit.kernels.wire.frame import FRAME_OK, check_frame, frame_instrument, frame_type, frame_words
from hftkit.layout import BOOK, BOOK_DEPTH, EVENT, FRAME, ORDER

INSTRUMENTS = (
    Instrument(symbol="BTCUSDT", tick_size="0.10", lot_size="0.001"),
    Instrument(symbol="ETHUSDT", tick_size="0.01", lot_size="0.001"),
    Instrument(symbol="1000PEPEUSDT", tick_size="0.0000100", lot_size="1"),
)
MS = 1790000000000
EPOCH = 1_700_000_001 << 32
COID = EPOCH + 1


def text(message: Any) -> bytes:
    """A message as the venue writes it: no white space."""
    return json.dumps(message, separators=(",", ":")).encode()


def ticker(u: int = 101, b: str = "64000.10", a: str = "64000.20", symbol: str = "BTCUSDT", bq: str = "3.250", aq: str = "1.004") -> dict[str, Any]:
    return {
        **{"e": "bookTicker", "u": u, "s": symbol, "ps": symbol, "b": b, "B": bq, "a": a, "A": aq},
        **{"T": MS + 123, "E": MS + 125, "st": 1},
    }


def depth(first: int, last: int, previous: int, b: Any = (), a: Any = (), symbol: str = "BTCUSDT") -> dict[str, Any]:
    return {
        **{"e": "depthUpdate", "E": MS + 131, "T": MS + 123, "s": symbol, "ps": symbol, "U": first, "u": last, "pu": previous},
        **{"b": [list(x) for x in b], "a": [list(x) for x in a], "st": 1},
    }


def agg_trade(trade_id: int = 7, price: str = "64000.20", qty: str = "0.015") -> dict[str, Any]:
    return {
        **{"e": "aggTrade", "E": MS + 140, "a": trade_id, "s": "BTCUSDT", "p": price, "q": qty, "nq": qty, "f": 1, "l": 2},
        **{"T": MS + 101, "m": False, "st": 1},
    }


def trade(trade_id: int = 7, price: str = "64000.20", qty: str = "0.010", maker: bool = False, x: str = "MARKET") -> dict[str, Any]:
    return {
        **{"e": "trade", "E": MS + 102, "T": MS + 101, "s": "BTCUSDT", "t": trade_id, "p": price, "q": qty, "X": x, "m": maker, "st": 1},
    }


def mark_price() -> dict[str, Any]:
    return {
        **{"e": "markPriceUpdate", "E": MS + 1000, "s": "BTCUSDT", "p": "64001.53120000", "ap": "64001.20117000", "P": "64018.40021000"},
        **{"i": "64020.11893617", "r": "0.00010000", "T": MS + 6400000, "st": 1},
    }


def snapshot(last: int, bids: Any, asks: Any) -> dict[str, Any]:
    return {"lastUpdateId": last, "E": MS + 130, "T": MS + 123, "bids": [list(x) for x in bids], "asks": [list(x) for x in asks]}


def order_update(x: str = "NEW", status: str = "NEW", coid: int = COID, **changes: Any) -> dict[str, Any]:
    order = {
        **{"s": "BTCUSDT", "c": f"hk{coid:016x}", "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "0.010", "p": "64000.20", "ap": "0", "sp": "0"},
        **{"x": x, "X": status, "i": 700800901, "l": "0.000", "z": "0.000", "L": "0", "n": "0", "N": "USDT", "T": MS + 1000, "t": 0, "b": "0"},
        **{"a": "0", "m": False, "R": False, "wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "BOTH", "cp": False, "rp": "0", "pP": False, "si": 0},
        **{"ss": 0, "V": "EXPIRE_MAKER", "pm": "NONE", "gtd": 0, "er": "0"},
        **changes,
    }
    return {"e": "ORDER_TRADE_UPDATE", "T": MS + 1000, "E": MS + 1001, "o": order}


def fill(qty: str, total: str, trade_id: int, status: str = "PARTIALLY_FILLED", coid: int = COID, **changes: Any) -> dict[str, Any]:
    changes = {"l": qty, "z": total, "L": "64000.20", "t": trade_id, "n": "0.06400020", **changes}
    return order_update("TRADE", status, coid, **changes)


def account_update(amount: str = "0.002") -> dict[str, Any]:
    row = {"s": "BTCUSDT", "pa": amount, "ep": "64000.20", "cr": "0", "up": "0.00266240", "mt": "cross", "iw": "0", "ps": "BOTH", "ma": "USDT"}
    wallet = {"a": "USDT", "wb": "999.93599980", "cw": "999.93599980", "bc": "0"}
    return {"e": "ACCOUNT_UPDATE", "T": MS + 1000, "E": MS + 1001, "a": {"B": [wallet], "P": [{**row, "bep": "64032.2001"}], "m": "ORDER"}}


def funding_fee(change: str = "-0.01280015", symbol: str | None = "BTCUSDT", at_ms: int = MS + 1000) -> dict[str, Any]:
    wallet = {"a": "USDT", "wb": "999.92319965", "cw": "999.92319965", "bc": change}
    named = {"S": symbol} if symbol else {}
    return {"e": "ACCOUNT_UPDATE", "T": at_ms, "E": at_ms + 1, "a": {"B": [wallet], "P": [], "m": "FUNDING_FEE", **named}}


def api_answer(letter: str = "n", coid: int = COID, **result: Any) -> dict[str, Any]:
    order = {
        **{"orderId": 700800901, "symbol": "BTCUSDT", "status": "NEW", "clientOrderId": f"hk{coid:016x}", "price": "64000.20", "origQty": "0.010"},
        **{"executedQty": "0.000", "cumQty": "0.000", "timeInForce": "GTC", "type": "LIMIT", "reduceOnly": False, "side": "BUY"},
        **{"updateTime": MS + 150, **result},
    }
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400, "count": 12},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300, "count": 3},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200, "count": 4},
    ]
    return {"id": f"{letter}{coid:016x}", "status": 200, "result": order, "rateLimits": limits}


def api_error(code: int, letter: str = "n", coid: int = COID, status: int = 400) -> dict[str, Any]:
    return {"id": f"{letter}{coid:016x}", "status": status, "error": {"code": code, "msg": "no"}}


USER_OTHERS: tuple[dict[str, Any], ...] = (
    {
        **{"e": "TRADE_LITE", "E": MS, "T": MS, "s": "BTCUSDT", "q": "0.002", "p": "64000.20", "m": False, "c": f"hk{COID:016x}"},
        **{"S": "BUY", "L": "64000.20", "l": "0.002", "t": 6100200301, "i": 700800901},
    },
    {"e": "listenKeyExpired", "E": MS, "listenKey": "pq"},
    {"e": "ACCOUNT_CONFIG_UPDATE", "E": MS, "T": MS, "ac": {"s": "BTCUSDT", "l": 25}},
    {"e": "ACCOUNT_CONFIG_UPDATE", "E": MS, "T": MS, "ai": {"j": True}},
    {"e": "MARGIN_CALL", "E": MS, "cw": "3.16", "p": [{"s": "BTCUSDT", "ps": "BOTH", "pa": "0.002", "mt": "CROSSED", "iw": "0", "mp": "61000.00"}]},
    {"e": "ALGO_UPDATE", "T": MS, "E": MS, "o": {"caid": "hk-stop-1", "aid": 2148719, "at": "CONDITIONAL", "o": "STOP_MARKET", "s": "BTCUSDT"}},
)
POSITIONS: list[dict[str, Any]] = [{"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.002", "entryPrice": "63990.0", "adl": 2}]
USER_TRADES: list[dict[str, Any]] = [
    {
        **{"buyer": True, "commission": "0.05119200", "commissionAsset": "USDT", "id": 61, "maker": False, "orderId": 700800901},
        **{"price": "63990.00", "qty": "0.002", "quoteQty": "127.98", "side": "BUY", "positionSide": "BOTH", "symbol": "BTCUSDT", "time": MS + 1000},
    }
]


class Frame:
    """One frame out of `words`, by field name."""

    def __init__(self, words: np.ndarray) -> None:
        self.type = MessageType(frame_type(int(words[0])))
        self.instrument = frame_instrument(int(words[0]))
        self.seq = int(words[1])
        self.fields = {field.name: int(words[2 + i]) for i, field in enumerate(FRAME[self.type].fields)}

    def __getattr__(self, name: str) -> int:
        return self.fields[name]

    def __repr__(self) -> str:
        return f"{self.type.name}({self.instrument}, {self.seq}, {self.fields})"


def frames_of(words: np.ndarray) -> list[Frame]:
    found, at = [], 0
    while at < words.size:
        assert check_frame(words, at, words.size) == FRAME_OK
        n = frame_words(int(words[at]))
        found.append(Frame(words[at : at + n]))
        at += n
    return found


class Replica:
    """The engine's own books, fed with frames as the engine is: decoded, then applied."""

    def __init__(self, n: int = len(INSTRUMENTS)) -> None:
        self.event, self.book = np.zeros(1, EVENT.dtype), np.zeros(n, BOOK.dtype)
        self.levels = np.zeros((n, 2, BOOK_DEPTH, 2), np.int64)

    def take(self, words: np.ndarray) -> int:
        """Apply all frames; the last outcome that was not quiet."""
        at, outcome = 0, BOOK_QUIET
        while at < words.size:
            assert check_frame(words, at, words.size) == FRAME_OK
            assert decode_market_data(words, at, self.event, 1, self.book.size) != MALFORMED
            applied = apply_to_book(self.event, self.book, self.levels)
            assert applied != BOOK_LOST, "the line's own sequence has a gap"
            outcome = applied or outcome
            at += frame_words(int(words[at]))
        return outcome

    def is_synced(self, i: int = 0) -> bool:
        return bool(self.book[i]["sync"] == Sync.SYNCED)

    def sides(self, i: int = 0) -> tuple[dict[int, int], dict[int, int]]:
        b = self.book[i]
        bids, asks = self.levels[i, 0, : b["n_bid"]], self.levels[i, 1, : b["n_ask"]]
        return dict(map(tuple, bids.tolist())), dict(map(tuple, asks.tolist()))


class Hand:
    """A line with its buffers."""

    def __init__(self, **options: Any) -> None:
        self.line: Line = new_line(INSTRUMENTS, **options)
        self.words = np.zeros(9000, np.int64)
        self.out = np.zeros(1 << 16, np.uint8)
        self.now = 1_000_000_000

    def give_bytes(self, payload: bytes, kind: Kind = Kind.MARKET, subject: int = 0) -> np.ndarray:
        self.now += 1_000_000
        data = np.frombuffer(bytearray(b"\x22" + payload + b"\x22"), np.uint8)  # the message is not alone in its buffer
        end = translator()(self.line, data, 1, len(payload), kind_of(kind, subject), self.now, self.words, 0)
        assert 0 <= end <= 8192
        return self.words[:end].copy()

    def give(self, message: Any, kind: Kind = Kind.MARKET, subject: int = 0) -> list[Frame]:
        return frames_of(self.give_bytes(message if isinstance(message, bytes) else text(message), kind, subject))

    def count(self, name: str) -> int:
        return counters(self.line)[name]

    def requests(self) -> list[list[int]]:
        found, slot = [], np.zeros(REQUEST_WORDS, np.int64)
        while ring_pop(self.line.requests, slot, 0):
            found.append(slot[:4].tolist())
        return found

    def answer(self, words: np.ndarray) -> list[Frame]:
        end = answerer()(self.line, words, 0, words.size, self.words, 0)
        return frames_of(self.words[:end].copy())

    def encode(self, words: np.ndarray, ms: int = MS) -> bytes:
        return self.out[: encoder()(self.line, words, 0, words.size, ms, self.out, 0)].tobytes()

    def place(
        self, coid: int = COID, instrument: int = 0, side: int = 0, qty: int = 10, price: int = 640002, kind: int = 0, tif: int = 0, flags: int = 0
    ) -> bytes:
        order = np.zeros(1, ORDER.dtype)
        row = order[0]
        row["client_order_id"], row["instrument"], row["side"], row["qty"], row["price"] = coid, instrument, side, qty, price
        row["order_type"], row["time_in_force"], row["flags"] = kind, tif, flags
        words = np.zeros(32, np.int64)
        return self.encode(words[: encode_new_order(words, 0, 1, order[0])])

    def cancel(self, coid: int = COID, instrument: int = 0) -> bytes:
        words = np.zeros(32, np.int64)
        return self.encode(words[: encode_cancel(words, 0, 1, instrument, coid)])

    def query(self, coid: int = COID, instrument: int = 0) -> bytes:
        words = np.zeros(32, np.int64)
        return self.encode(words[: encode_order_query(words, 0, 1, instrument, coid)])

    def heartbeat(self, ts: int = 5) -> bytes:
        words = np.zeros(32, np.int64)
        return self.encode(words[: encode_heartbeat(words, 0, 1, ts)])
