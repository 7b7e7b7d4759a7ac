"""Scales of the instruments a folder of prices belongs to: from `instruments.json`, or inferred from the prices where no venue told us."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from hftkit.errors import DataError, HftkitError
from hftkit.instruments import Instrument

FILE_NAME = "instruments.json"
_FINEST = 8  # decimals of the finest tick and of tick times lot


@dataclass(frozen=True)
class Scales:
    """Instruments by symbol, and how far they are known. `guessed`: symbol -> fields that no venue has told; `source`: where from, in words."""

    instruments: dict[str, Instrument]
    guessed: dict[str, tuple[str, ...]]
    source: str

    def in_words(self, symbols: Iterable[str]) -> str:
        """What of these symbols is guessed, "" if nothing is."""
        rows = {symbol: self.guessed[symbol] for symbol in symbols if self.guessed.get(symbol)}
        if not rows:
            return ""
        fields = ", ".join(dict.fromkeys(name for names in rows.values() for name in names))
        return f"{fields} of {', '.join(rows)}: guessed from {self.source}; the venue's own: hftkit data instruments URL -o instruments.json"


def load_scales(path: Path | str) -> Scales:
    """Read a JSON list of instruments: the fields of hftkit.instruments.Instrument, and optionally `guessed`, names of those that are guesses.

    Raises DataError naming the file.
    """
    path = Path(path)
    try:
        rows = msgspec.convert(json.loads(path.read_text()), list[dict[str, str | int | list[str]]])
        guessed = {str(row.get("symbol")): _guessed(row.pop("guessed", [])) for row in rows}
        listed = msgspec.convert(rows, list[Instrument])
    except OSError as error:
        raise DataError(f"cannot read instruments {path}: {error.strerror}", "Give a JSON list of instruments (--instruments)") from None
    except (ValueError, msgspec.ValidationError, HftkitError) as error:
        raise DataError(f"{path}: {error}", "Each needs symbol, tick_size, lot_size") from None
    return Scales({instrument.symbol: instrument for instrument in listed}, {name: fields for name, fields in guessed.items() if fields}, path.name)


def _guessed(names: object) -> tuple[str, ...]:
    fields = [name for name in Instrument.__struct_fields__ if name != "symbol"]
    if not isinstance(names, list) or not set(names) <= set(fields):
        raise ValueError(f"guessed is {names!r}, it may name {', '.join(fields)}")
    return tuple(name for name in fields if name in names)


def load_instruments(path: Path | str) -> dict[str, Instrument]:
    """The instruments of `load_scales`."""
    return load_scales(path).instruments


def find_scales(folder: Path | str, closes: pd.DataFrame, path: Path | str | None = None) -> Scales:
    """Scales of a data folder: the file `path` where one is given, else `instruments.json` there or one level up, else inferred from the prices.

    Raises DataError where a file lacks a symbol of `closes`.
    """
    places = [Path(path)] if path is not None else [Path(folder) / FILE_NAME, Path(folder).resolve().parent / FILE_NAME]
    for place in places:
        if path is not None or place.is_file():
            known = load_scales(place)
            missing = [symbol for symbol in closes if symbol not in known.instruments]
            if missing:
                raise DataError(f"{place} lacks {', '.join(missing)}", "Add them, or load only symbols it has (--symbols)")
            return known
    inferred = {symbol: infer_instrument(symbol, closes[symbol]) for symbol in closes}
    return Scales(inferred, {symbol: tuple(name for name in Instrument.__struct_fields__ if name != "symbol") for symbol in inferred}, "prices")


def find_instruments(folder: Path | str, closes: pd.DataFrame) -> tuple[dict[str, Instrument], bool]:
    """The instruments of `find_scales`. The flag says that they are from a file, not guessed from prices."""
    found = find_scales(folder, closes)
    return found.instruments, found.source != "prices"


def infer_instrument(symbol: str, closes: pd.Series, taker_fee_ppm: int = 500, maker_fee_ppm: int = 200) -> Instrument:
    """Scales guessed from prices: the tick is the coarsest power of ten that divides all closes, a lot is worth about one quote unit or less.

    Fees default to what large venues ask of small accounts (5 and 2 bps).
    """
    prices = closes.to_numpy(np.float64)
    decimals = next((d for d in range(_FINEST + 1) if np.allclose(prices * 10**d, np.round(prices * 10**d), rtol=1e-12, atol=1e-6)), _FINEST)
    lot_decimals = min(max(0, math.ceil(math.log10(float(np.median(prices))))), _FINEST - decimals)
    return Instrument(
        symbol=symbol,
        tick_size=_power(decimals),
        lot_size=_power(lot_decimals),
        min_notional="5",
        maker_fee_ppm=maker_fee_ppm,
        taker_fee_ppm=taker_fee_ppm,
    )


def _power(decimals: int) -> str:
    """10 ** -decimals as text."""
    return "1" if decimals == 0 else "0." + "0" * (decimals - 1) + "1"
