"""Numbers as files write them, into float64: decimal points and commas, thousands, K and M, and the decimals that a float32 was made of."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from hftkit.errors import DataError

_POINT, _COMMA = ".", ","
_SPACES = re.compile(r"(?<=\d)[\s\u00a0\u2009\u202f'’_](?=\d)")
_CURRENCY = re.compile(r"^[$€£¥₹]\s*|\s*[$€£¥₹]$")
_TIMES = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_DECIMALS_FLOAT32 = 9  # significant digits that tell any two float32 apart


def numbers(columns: dict[str, pd.Series], path: Path, decimal: str = "") -> pd.DataFrame:
    """Columns as float64; a cell that is no number is NaN, for `audit` to name.

    Parameters
    ----------
    columns : by field (open, high, low, close, volume), each (n,), numbers or text.
    path : the file, for messages.
    decimal : "." or "," where the file itself does not show which it uses; "": only what is certain.

    Raises
    ------
    DataError if the file writes decimals in both ways, or in one that may be either ("1,234"), naming the row.
    """
    if decimal not in ("", _POINT, _COMMA):
        raise DataError(f"{decimal!r} is no decimal sign", 'Choose "." or "," (--decimal)')
    text = {name: _bare(column, name == "volume") for name, column in columns.items() if not pd.api.types.is_numeric_dtype(column)}
    sign = _sign(text, columns, path, decimal) if text else _POINT
    result = {}
    for name, column in columns.items():
        if name in text:
            result[name] = _converted(text[name], sign) * (_scale(column) if name == "volume" else 1.0)
        else:
            result[name] = shortest(column.to_numpy()) if column.dtype == np.float32 else column.to_numpy(np.float64)
    return pd.DataFrame(result)


def _bare(column: pd.Series, volume: bool) -> pd.Series:
    bare = column.astype("string").str.strip().str.replace(_SPACES, "", regex=True).str.replace(_CURRENCY, "", regex=True)
    return bare.str.replace(r"[KMBTkmbt]$", "", regex=True) if volume else bare


def _scale(column: pd.Series) -> np.ndarray:
    return column.astype("string").str.strip().str[-1:].str.upper().map(_TIMES).fillna(1.0).to_numpy(np.float64)


def _sign(text: dict[str, pd.Series], columns: dict[str, pd.Series], path: Path, decimal: str) -> str:
    """The decimal sign of a file: the one that some cell proves."""
    proof: dict[str, tuple[int, str]] = {}
    open_question: tuple[int, str] | None = None
    for name, cells in text.items():
        column = cells.where(cells.str.fullmatch(r"[+-]?[\d.,]+(?:[eE][+-]?\d+)?").fillna(False))
        commas, points = column.str.count(","), column.str.count(r"\.")
        last_comma, last_point = column.str.rfind(","), column.str.rfind(".")
        three = column.str.fullmatch(r"[+-]?[1-9]\d{0,2}[.,]\d{3}").fillna(False)
        comma = (
            ((commas == 1) & (points == 0) & ~three) | ((points >= 1) & (commas == 1) & (last_comma > last_point)) | ((points > 1) & (commas == 0))
        )
        point = (
            ((points == 1) & (commas == 0) & ~three) | ((commas >= 1) & (points == 1) & (last_point > last_comma)) | ((commas > 1) & (points == 0))
        )
        for sign, found in ((_COMMA, comma), (_POINT, point)):
            rows = np.flatnonzero(found.fillna(False).to_numpy(bool))
            if rows.size and sign not in proof:
                proof[sign] = int(rows[0]), str(columns[name].iloc[rows[0]])
        doubtful = np.flatnonzero(((commas == 1) & (points == 0) & three).fillna(False).to_numpy(bool))
        if doubtful.size and open_question is None:
            open_question = int(doubtful[0]), str(columns[name].iloc[doubtful[0]])
    for name, column in columns.items():  # what a reader made a number of has been read with a point
        if name not in text and _POINT not in proof and column.dtype.kind == "f":
            values = column.to_numpy(np.float64)
            rows = np.flatnonzero(np.isfinite(values) & (values != np.rint(values)))
            if rows.size:
                proof[_POINT] = int(rows[0]), str(column.iloc[rows[0]])
    if len(proof) == 2:
        (a, one), (b, two) = proof[_COMMA], proof[_POINT]
        raise DataError(f"{path}: row {a} has {one!r}, row {b} has {two!r}: decimals are written in two ways", "Write them in one way")
    if proof:
        sign = next(iter(proof))
        if decimal and decimal != sign:
            raise DataError(f"{path}: row {proof[sign][0]} has {proof[sign][1]!r}: its decimal sign is {sign!r}", "Leave --decimal out for this file")
        return sign
    if decimal:
        return decimal
    if open_question is not None:
        row, cell = open_question
        raise DataError(f"{path}: row {row} has {cell!r}, which may be a thousand or a decimal", 'Say it with --decimal "." or --decimal ","')
    return _POINT


def _converted(text: pd.Series, sign: str) -> np.ndarray:
    group = "," if sign == _POINT else "."
    grouped = text.str.fullmatch(rf"[+-]?\d{{1,3}}(?:\{group}\d{{3}})+(?:\{sign}\d*)?").fillna(False)
    plain = text.where(~grouped, text.str.replace(group, "", regex=False))
    if sign == _COMMA:
        plain = plain.str.replace(",", ".", regex=False).where(~plain.str.contains(".", regex=False).fillna(False), pd.NA)
    return pd.to_numeric(plain.astype(object), errors="coerce").to_numpy(np.float64)


def shortest(values: np.ndarray) -> np.ndarray:
    """The shortest decimals that the same float32 has, float64 (n,): 33.65 of the float32 33.650001525878906.

    Prices are decimals; a program that kept them as float32 wrote each as the nearest double of the nearest float32. A float32 holds any decimal
    of up to six digits exactly so; of more, the shortest that is the same float32 is taken.
    """
    single = np.asarray(values, np.float32)
    result = single.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        places = np.floor(np.log10(np.abs(result)))
    left = np.isfinite(places)
    for digits in range(1, _DECIMALS_FLOAT32 + 1):
        decimals = np.where(left, digits - 1 - places, 0.0)
        power = np.power(10.0, np.abs(decimals))
        near = np.where(decimals >= 0, np.rint(result * power) / power, np.rint(result / power) * power)
        same = left & (near.astype(np.float32) == single)
        result = np.where(same, near, result)
        left &= ~same
        if not left.any():
            break
    return result


def was_float32(values: np.ndarray) -> bool:
    """Whether doubles are the images of float32 and not decimals in their own right: every one is a float32, and some are not their shortest."""
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        return bool(finite.size) and bool((finite.astype(np.float32) == finite).all()) and bool((shortest(finite) != finite).any())
