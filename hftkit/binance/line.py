"""A Binance line: the memory between the venue's bytes and the engine's frames, and how a shell uses it.

The engine knows one internal message, hftkit's binary frame. A line translates at the edge, compiled and allocation-free, on the hot thread:

    translate(line, payload, start, n_bytes, kind, t_recv, words, position) -> position
        One payload (uint8) becomes whole frames in `words` (int64), appended from `position`; the new end is returned. There must be ROOM_WORDS
        free, else nothing is taken and -1 is returned. `kind` is `Kind`, for REST_DEPTH with the instrument and for LINE_UP, LINE_DOWN with the Kind
        of the line above its low byte (`kind_of`). MARKET, REST_DEPTH and LINE_* of MARKET give market data frames, all others order
        entry frames: `words` is the buffer that the engine reads that kind from. Never fails: what is malformed is counted in line.counters.
    encode_orders(line, words, start, end, ts_unix_ms, out, position) -> position
        The engine's order entry frames words[start:end] become masked WebSocket frames of the order API in `out` (uint8), appended. LOGON, LOGOUT
        and HEARTBEAT are kept by the line: call `translate` with Kind.DUE afterwards, and whenever line.state[LOGON_DUE or LOGOUT_DUE] is set.
    answer_data_requests(line, words, start, end, target, position) -> position
        The engine's market data requests (SUBSCRIBE, SNAPSHOT_REQUEST) are answered from the line's own books, in `target`.

All three have fixed signatures (`TRANSLATE_TYPE`, `ENCODE_TYPE`, `ANSWER_TYPE` of hftkit/binance/calls.py), to be handed to a loop as
first-class functions.

What a shell does: `new_line(...)`; connect; when the market sockets are subscribed give LINE_UP of MARKET, when order API and user stream are both
open, LINE_UP of ORDER_API and LINE_UP of USER (LOGON_ACK follows both); pop `line.requests` (kernels/memory/ring.py, `Request` and its words) on the
cold side, fetch, and push the answer as its kind. A request is repeated by the line while its need stands (every RETRY_NS of message time), so
one that failed may be dropped. LINE_DOWN empties the books of that line at once: nothing trades on them. A second connection that overlaps the
first needs neither: what comes twice is left, by update id and trade id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hftkit import layout
from hftkit.errors import ConfigError
from hftkit.instruments import Instrument
from hftkit.kernels.memory.ring import format_ring, ring_words
from hftkit.kernels.wire.binance import state as s
from hftkit.kernels.wire.binance.fees import NAME_BYTES
from hftkit.kernels.wire.binance.names import identity_words, key_table
from hftkit.kernels.wire.binance.state import Counter, Kind, Trades
from hftkit.kernels.wire.link import kind_of as kind_of
from hftkit.kernels.wire.sha256 import SCRATCH_WORDS, key_midstates
from hftkit.units import decimal


class Line(NamedTuple):
    """Every array of one line, n instruments. Records: kernels/wire/binance/state.py."""

    state: np.ndarray  # int64 (STATE_WORDS,)
    counters: np.ndarray  # int64 (N_COUNTERS,), index Counter
    symbol_table: np.ndarray  # int64 (slots, KEY_COLUMNS): symbol -> instrument
    symbols: np.ndarray  # uint8 (n, SYMBOL_BYTES)
    scales: np.ndarray  # SCALE (n,)
    sync: np.ndarray  # SYNC (n,)
    levels: np.ndarray  # int64 (n, 2, BOOK_DEPTH, 2): price, lots; best last, as in kernels/market/book.py
    over: np.ndarray  # int64 (n, OVER_LEVELS, 3): side, price, lots: where a bookTicker has changed the engine's book
    buffer: np.ndarray  # int64 (n, BUFFER_WORDS): depth events waiting for a snapshot
    mark: np.ndarray  # MARK (n,)
    tracks: np.ndarray  # TRACK (order capacity,)
    positions: np.ndarray  # int64 (n,): scratch for one positionRisk answer
    outside: np.ndarray  # OUTSIDE (n,)
    fee_assets: np.ndarray  # FEE_ASSET (FEE_ASSETS,)
    funded: np.ndarray  # int64 (n,): exchange time ns of the last funding payment told to the engine
    requests: np.ndarray  # ring towards the cold side, REQUEST_SLOTS of REQUEST_WORDS
    note: np.ndarray  # int64 (REQUEST_WORDS,): the request being written
    incoming: np.ndarray  # int64 (2, EVENT_LEVELS, 2): levels of the message being read
    tokens: np.ndarray  # int64 (TOKENS, 3): members of the object being read
    inner: np.ndarray  # int64 (TOKENS, 3): members of an object within it
    number: np.ndarray  # int64 (8,): numbers on their way out of a kernel
    key: np.ndarray  # int64 (KEY_WORDS,): HMAC midstates of the secret, zero if unsigned
    api_key: np.ndarray  # uint8 (length,)
    hash_words: np.ndarray  # int64 (SCRATCH_WORDS,)
    text: np.ndarray  # uint8 (TEXT_BYTES,): what is signed


def is_order_entry(kind: int) -> bool:
    """Whether `translate` of this `kind` writes order entry frames; else market data frames."""
    low, subject = kind & 0xFF, kind >> 8
    return low not in (Kind.MARKET, Kind.REST_DEPTH) and not (low in (Kind.LINE_UP, Kind.LINE_DOWN) and subject == Kind.MARKET)


def client_order_id_text(client_order_id: int) -> str:
    """The venue's text of an engine's order id: `hk` and 16 hex digits; parsed back by the kernels, never looked up."""
    return f"hk{client_order_id:016x}"


def wrap_rest_answer(method: str, client_order_id: int, http_status: int, body: bytes) -> bytes:
    """A REST answer of an order endpoint in the shape of the order API. `method`: "place", "cancel", "status" or "modify"."""
    letter = {"place": "n", "cancel": "c", "status": "q", "modify": "m"}[method]
    try:
        json.loads(body)
    except ValueError:
        body = b"null"  # a page of some proxy: its status is all we know
    return b'{"id":"%s%016x","status":%d,"%s":%s}' % (
        letter.encode(),
        client_order_id,
        http_status,
        b"result" if http_status == 200 else b"error",
        body,
    )


def counters(line: Line) -> dict[str, int]:
    """All counters by name, in lower case."""
    return {counter.name.lower(): int(line.counters[counter]) for counter in Counter}


def fee_price_words(asset: str, price_e8: int) -> bytes:
    """The payload of Kind.FEE_PRICE: what one of `asset` is worth, in 1e-8 of the quote asset. Of an asset with a name of 1 to 8 ASCII bytes."""
    name = asset.encode("ascii")
    if not 0 < len(name) <= NAME_BYTES:
        raise ValueError(f"{asset!r} must have 1 to {NAME_BYTES} bytes")
    return np.array([int.from_bytes(name, "little"), len(name), price_e8], np.int64).tobytes()


def fees_by_asset(line: Line) -> dict[str, dict[str, int]]:
    """What was charged in each asset: fills, those at the expected rate, commission in 1e-8 of it and of the quote asset."""
    found = {}
    for row in line.fee_assets[line.fee_assets["n_bytes"] > 0]:
        name = int(row["name"]).to_bytes(8, "little").rstrip(b"\0").decode("ascii", "replace")
        found[name] = {column: int(row[column]) for column in ("price_e8", "n_fills", "n_at_rate", "paid_e8", "quote_e8")}
    return found


def _mantissa(text: str) -> tuple[int, int]:
    _, digits, exponent = decimal(text).normalize().as_tuple()
    number = int("".join(map(str, digits)))
    assert isinstance(exponent, int)
    return (number * 10**exponent, 0) if exponent > 0 else (number, -exponent)


def _scales(instruments: Sequence[Instrument], depth: bool) -> np.ndarray:
    table = np.zeros(len(instruments), s.SCALE.dtype)
    for row, instrument in zip(table, instruments, strict=True):
        row["tick_mantissa"], row["tick_decimals"] = _mantissa(instrument.tick_size)
        row["lot_mantissa"], row["lot_decimals"] = _mantissa(instrument.lot_size)
        row["symbol_bytes"], row["depth"] = len(instrument.symbol), int(depth)
        row["tick_lot_e8"], row["maker_fee_ppm"], row["taker_fee_ppm"] = instrument.tick_lot_e8, instrument.maker_fee_ppm, instrument.taker_fee_ppm
    return table


def new_line(
    instruments: Sequence[Instrument],
    *,
    depth: bool = True,
    api_key: str = "",
    secret: bytes = b"",
    recv_window_ms: int = 5000,
    trades: Trades = Trades.TRADE,
    snapshot_limit: int = 1000,
    quote_asset: str = "USDT",
    mask_seed: int = 0x9E3779B97F4A7C15,
    order_capacity: int = 4096,
) -> Line:
    """Allocate a line. Instrument ids are the order of `instruments`; `depth`: books from diff depth (else from bookTicker alone).

    With `secret`, each request is signed with HMAC-SHA256; without, the connection must be logged on (session.logon) by the shell. `mask_seed`: 64
    random bits for the masking keys (RFC 6455). `order_capacity`: of the engine's order table. Raises ConfigError for what cannot be a line.
    """
    symbols = [instrument.symbol for instrument in instruments]
    if not symbols or len(set(symbols)) != len(symbols):
        raise ConfigError(f"a line needs different symbols, at least one; got {symbols}")
    if secret and not api_key:
        raise ConfigError("a secret without its API key", "Give both, or neither for a logged-on session")
    if not api_key.isascii() or not api_key.isprintable() or '"' in api_key or "\\" in api_key:
        raise ConfigError("the API key holds characters that no key has")  # and is not shown
    n = len(symbols)
    line = Line(
        state=np.zeros(s.STATE_WORDS, np.int64),
        counters=np.zeros(s.N_COUNTERS, np.int64),
        symbol_table=key_table(symbols),
        symbols=np.zeros((n, s.SYMBOL_BYTES), np.uint8),
        scales=_scales(instruments, depth),
        sync=np.zeros(n, s.SYNC.dtype),
        levels=np.zeros((n, 2, layout.BOOK_DEPTH, 2), np.int64),
        over=np.zeros((n, s.OVER_LEVELS, 3), np.int64),
        buffer=np.zeros((n, s.BUFFER_WORDS), np.int64),
        mark=np.zeros(n, s.MARK.dtype),
        tracks=np.zeros(order_capacity, s.TRACK.dtype),
        positions=np.zeros(n, np.int64),
        outside=np.zeros(n, s.OUTSIDE.dtype),
        fee_assets=np.zeros(s.FEE_ASSETS, s.FEE_ASSET.dtype),
        funded=np.zeros(n, np.int64),
        requests=format_ring(np.zeros(ring_words(s.REQUEST_SLOTS, s.REQUEST_WORDS), np.int64), s.REQUEST_SLOTS, s.REQUEST_WORDS),
        note=np.zeros(s.REQUEST_WORDS, np.int64),
        incoming=np.zeros((2, s.EVENT_LEVELS, 2), np.int64),
        tokens=np.zeros((s.TOKENS, 3), np.int64),
        inner=np.zeros((s.TOKENS, 3), np.int64),
        number=np.zeros(8, np.int64),
        key=key_midstates(0, _short_key(secret)),
        api_key=np.frombuffer(api_key.encode(), np.uint8).copy(),
        hash_words=np.zeros(SCRATCH_WORDS, np.int64),
        text=np.zeros(s.TEXT_BYTES, np.uint8),
    )
    for row, symbol in zip(line.symbols, symbols, strict=True):
        row[: len(symbol)] = np.frombuffer(symbol.encode(), np.uint8)
    line.state[s.SIGNED] = int(bool(secret))
    line.state[s.RECV_WINDOW] = recv_window_ms
    line.state[s.MASK_STATE] = np.uint64(mask_seed or 1).astype(np.int64)
    line.state[s.USE_TRADES] = int(trades)
    line.state[s.SNAPSHOT_LIMIT] = snapshot_limit
    line.state[[s.WEIGHT_1M, s.ORDERS_10S, s.ORDERS_1M]] = -1
    line.state[[s.QUOTE0, s.QUOTE1, s.QUOTE_BYTES]] = (*identity_words(quote_asset.encode())[:2], len(quote_asset))
    line.fee_assets[0] = (line.state[s.QUOTE0], len(quote_asset), layout.MONEY_SCALE, 0, 0, 0, 0)
    return line


def _short_key(secret: bytes) -> bytes:
    """RFC 2104: a key longer than a block is replaced by its digest."""
    return hashlib.sha256(secret).digest() if len(secret) > 64 else secret
