"""bookTicker events of a whole batch of the drop copy at once, as WebSocket text frames, compiled: at market speed they are too many for Python.

The text is what RFC 8259 (JSON) and the venue's documentation ask for; the frame is RFC 6455's, unmasked, with the length in 16 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import MessageType
from hftkit.exchange.core.tap import Batch
from hftkit.exchange.dialects.binance.market.symbols import Symbol
from hftkit.kernels.jit import inner_kernel, kernel
from hftkit.units import decimal

_BBO, _DEPTH = int(MessageType.BBO), int(MessageType.DEPTH)
LONGEST = 512  # bytes of one frame at most
_TEXT = 160  # bytes of a piece of fixed text
_ZERO, _POINT, _MINUS = (ord(c) for c in "0.-")
_NS_PER_MS = 1_000_000


@inner_kernel
def _put_integer(out: Any, at: int, value: int) -> int:
    """Decimal digits of an int64 value at byte `at` of out (n,). Returns the byte after them."""
    if value < 0:
        out[at] = _MINUS
        at, value = at + 1, -value
    end = at + 1
    rest = value // 10
    while rest > 0:
        end, rest = end + 1, rest // 10
    for i in range(end - 1, at - 1, -1):
        out[i] = _ZERO + value % 10
        value //= 10
    return end


@inner_kernel
def _put_decimal(out: Any, at: int, value: int, places: int) -> int:
    """`value` in units of 10**-places, padded to `places` digits. Returns the byte after it."""
    power = 1
    for _ in range(places):
        power *= 10
    at = _put_integer(out, at, value // power)
    if places == 0:
        return at
    out[at] = _POINT
    part = value % power
    for i in range(places):
        power //= 10
        out[at + 1 + i] = _ZERO + part // power % 10
    return at + 1 + places


@inner_kernel
def _put_text(out: Any, at: int, text: Any, n_bytes: int) -> int:
    for i in range(n_bytes):
        out[at + i] = text[i]
    return at + n_bytes


@inner_kernel
def _put_event(words: Any, start: int, texts: Any, lengths: Any, scales: Any, out: Any, at: int, update_id: int, event_ms: int) -> int:
    """The payload of one BBO frame. texts (8, n) bytes and their lengths (8,): what stands between the values. Returns the byte after it."""
    at = _put_integer(out, _put_text(out, at, texts[0], lengths[0]), update_id)
    for k in range(4):
        text, scale = texts[1 + k], k % 2
        at = _put_decimal(out, _put_text(out, at, text, lengths[1 + k]), words[start + 3 + k] * scales[scale, 0], scales[scale, 1])
    at = _put_integer(out, _put_text(out, at, texts[5], lengths[5]), words[start + 2] // _NS_PER_MS)
    at = _put_integer(out, _put_text(out, at, texts[6], lengths[6]), event_ms)
    return _put_text(out, at, texts[7], lengths[7])


@kernel
def format_tickers(
    words: Any, starts: Any, kinds: Any, instruments: Any, watched: Any, texts: Any, lengths: Any, scales: Any, ids: Any, cursor: Any, out: Any,
    spans: Any, event_ms: int,
) -> int:  # fmt: skip
    """Text frames of the BBO frames of watched instruments, as many as fit. Returns their number.

    words, starts, kinds, instruments: a Batch, int64. watched: int64 (n,) flags. texts: bytes (n, 8, _TEXT), lengths (n, 8), scales int64
    (n, 2, 2): multiplier and decimals of prices and quantities. State: ids int64 (n,), last number of the level changes, doubled (see
    streams.py); cursor int64 (1,): next frame of the batch. out: bytes (m,); spans int64 (k, 3): first byte, end, instrument.
    """
    n, end = 0, 0
    while cursor[0] < starts.size:
        f = cursor[0]
        i = instruments[f]
        if kinds[f] == _DEPTH:
            ids[i] = 2 * words[starts[f] + 1]
        elif kinds[f] == _BBO and watched[i] != 0:
            if n == spans.shape[0] or end + LONGEST > out.size:
                return n
            stop = _put_event(words, starts[f], texts[i], lengths[i], scales[i], out, end + 4, ids[i], event_ms)
            size = stop - end - 4
            out[end], out[end + 1], out[end + 2], out[end + 3] = 0x81, 126, size >> 8, size & 255
            spans[n, 0], spans[n, 1], spans[n, 2] = end, stop, i
            n, end = n + 1, stop
        cursor[0] = f + 1
    return n


def _texts(symbol: Symbol, combined: bool) -> list[bytes]:
    name = symbol.name
    head = f'{{"stream":"{name.lower()}@bookTicker","data":' if combined else ""
    pieces = (f'{head}{{"e":"bookTicker","u":', f',"s":"{name}","ps":"{name}","b":"', '","B":"', '","a":"', '","A":"', '","T":', ',"E":')
    return [piece.encode() for piece in (*pieces, ',"st":1}}' if combined else ',"st":1}')]


class BookTickers:
    """Formats bookTicker events, either plain or in the combined envelope."""

    def __init__(self, symbols: list[Symbol], last_ids: np.ndarray, *, combined: bool, most: int = 4096) -> None:
        """`last_ids`: int64 (n,), number of the last level change of each book; `most`: events of one call of the kernel."""
        self._texts = np.zeros((len(symbols), 8, _TEXT), np.uint8)
        self._lengths = np.zeros((len(symbols), 8), np.int64)
        self._scales = np.zeros((len(symbols), 2, 2), np.int64)
        for i, symbol in enumerate(symbols):
            for k, piece in enumerate(_texts(symbol, combined)):
                self._texts[i, k, : len(piece)] = np.frombuffer(piece, np.uint8)
                self._lengths[i, k] = len(piece)
            for k, (step, places) in enumerate(((symbol.tick, symbol.price_places), (symbol.lot, symbol.qty_places))):
                self._scales[i, k] = int(decimal(str(step)).scaleb(places)), places
        self.ids = 2 * last_ids
        self._cursor = np.zeros(1, np.int64)
        self._out = np.zeros(most * 256, np.uint8)
        self._spans = np.zeros((most, 3), np.int64)
        self._call(Batch(np.zeros(0, np.int64)), np.zeros(len(symbols), np.int64), 0)  # compiled now, not when somebody waits for it

    def _call(self, batch: Batch, watched: np.ndarray, event_ms: int) -> int:
        found = (batch.words, batch.starts, batch.kinds, batch.instruments)
        fixed = (self._texts, self._lengths, self._scales, self.ids, self._cursor, self._out, self._spans)
        return int(format_tickers(*found, watched, *fixed, event_ms))

    def format(self, batch: Batch, watched: np.ndarray, event_ms: int) -> list[tuple[bytes, np.ndarray]]:
        """(frames in a row, spans int64 (n, 3): first byte, end, instrument) of a batch, in its order; in more than one part if there are many."""
        parts = []
        self._cursor[0] = 0
        while self._cursor[0] < batch.starts.size:
            n = self._call(batch, watched, event_ms)
            if n:
                spans = self._spans[:n].copy()
                parts.append((self._out[: spans[-1, 1]].tobytes(), spans))
        return parts
