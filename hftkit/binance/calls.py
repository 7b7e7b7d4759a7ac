"""The compiled entry points of a Binance line, with their fixed types (hftkit/binance/line.py says what they do).

`translator()`, `encoder()` and `answerer()` compile them once, or load them from disk; a loop takes them as arguments of `TRANSLATE_TYPE`,
`ENCODE_TYPE` and `ANSWER_TYPE`, as it takes strategies.
"""

from __future__ import annotations

import functools
from typing import Any

import numba
import numpy as np
from numba import types

from hftkit.binance.line import new_line
from hftkit.instruments import Instrument
from hftkit.kernels.jit import array_type, kernel_with_signature
from hftkit.kernels.wire.binance import translate as entry

_WORDS, _BYTES = array_type(np.int64), array_type(np.uint8)
_I = types.int64
LINE_TYPE = numba.typeof(new_line([Instrument(symbol="X", tick_size="1", lot_size="1")], order_capacity=1))
TRANSLATE_SIGNATURE = _I(LINE_TYPE, _BYTES, _I, _I, _I, _I, _WORDS, _I)
ENCODE_SIGNATURE = _I(LINE_TYPE, _WORDS, _I, _I, _I, _BYTES, _I)
ANSWER_SIGNATURE = _I(LINE_TYPE, _WORDS, _I, _I, _WORDS, _I)
TRANSLATE_TYPE = types.FunctionType(TRANSLATE_SIGNATURE)
ENCODE_TYPE = types.FunctionType(ENCODE_SIGNATURE)
ANSWER_TYPE = types.FunctionType(ANSWER_SIGNATURE)


@functools.cache
def translator() -> Any:
    """translate(line, payload, start, n_bytes, kind, t_recv, words, position) -> position."""
    return kernel_with_signature(TRANSLATE_SIGNATURE)(entry.translate)


@functools.cache
def encoder() -> Any:
    """encode_orders(line, words, start, end, ts_unix_ms, out, position) -> position."""
    return kernel_with_signature(ENCODE_SIGNATURE)(entry.encode_orders)


@functools.cache
def answerer() -> Any:
    """answer_data_requests(line, words, start, end, target, position) -> position."""
    return kernel_with_signature(ANSWER_SIGNATURE)(entry.answer_data_requests)
