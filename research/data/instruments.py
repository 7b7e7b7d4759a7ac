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
GUESSED = ("tick_size", "lot_size", "min_notional", "maker_fee_ppm", "taker_fee_ppm")  # fields of an instrument that prices only suggest
_FINEST = 8  # decimals of the finest tick and of tick times lot
_COARSE = 1000.0  # ticks that a price should have at least, if it lies on no grid
_ULPS = 64.0  # roundings that a decimal may have been through


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
    return Scales(inferred, {symbol: GUESSED for symbol in inferred}, "prices")


def find_instruments(folder: Path | str, closes: pd.DataFrame) -> tuple[dict[str, Instrument], bool]:
    """The instruments of `find_scales`. The flag says that they are from a file, not guessed from prices."""
    found = find_scales(folder, closes)
    return found.instruments, found.source != "prices"


def infer_instrument(symbol: str, closes: pd.Series, taker_fee_ppm: int = 500, maker_fee_ppm: int = 200) -> Instrument:
    """Scales guessed from prices; every field of GUESSED is a guess.

    The tick is the coarsest power of ten of which all closes are multiples, whatever their size; a lot is worth about one quote unit or less; the
    minimum is 5. Fees default to what large venues ask of small accounts (5 and 2 bps). Raises DataError for prices that are not finite and positive,
    and for prices so small that 1e-8, the finest tick the engine can count, is more than a thousandth of them and does not divide them.
    """
    prices = closes.to_numpy(np.float64)
    bad = np.flatnonzero(~(np.isfinite(prices) & (prices > 0)))
    if bad.size or not prices.size:
        what = f"the close at row {bad[0]} is {prices[bad[0]]}" if bad.size else "there are no closes"
        raise DataError(f"{symbol}: {what}, which says no tick", "Give positive closes, or the scales (instruments.json)")
    decimals = next((d for d in range(_FINEST + 1) if _divides(prices, d)), _FINEST)
    if decimals == _FINEST and prices.min() * 10**_FINEST < _COARSE and not _divides(prices, _FINEST):
        row = int(np.argmin(prices))
        raise DataError(
            f"{symbol}: {prices[row]:g} at row {row} is no multiple of 0.00000001, the finest tick, which is {1e-8 / prices[row]:.1%} of it",
            "Take a thousand units as one: multiply its prices by 1000",
        )
    lot_decimals = min(max(0, math.ceil(math.log10(float(np.median(prices))))), _FINEST - decimals)
    return Instrument(
        symbol=symbol,
        tick_size=_power(decimals),
        lot_size=_power(lot_decimals),
        min_notional="5",
        maker_fee_ppm=maker_fee_ppm,
        taker_fee_ppm=taker_fee_ppm,
    )


def _divides(prices: np.ndarray, decimals: int) -> bool:
    """Whether all prices are multiples of 10 ** -decimals, up to the rounding of doubles: a tolerance that scales with the price."""
    ticks = prices * 10.0**decimals
    allowed = np.minimum(_ULPS * np.spacing(prices) * 10.0**decimals, 0.25)
    return bool((np.abs(ticks - np.rint(ticks)) <= allowed).all())


def _power(decimals: int) -> str:
    """10 ** -decimals as text."""
    return "1" if decimals == 0 else "0." + "0" * (decimals - 1) + "1"
