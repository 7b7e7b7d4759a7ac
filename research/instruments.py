"""Scales of the instruments a folder of prices belongs to: from `instruments.json`, or inferred from the prices where no venue told us."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from hftkit.errors import DataError, HftkitError
from hftkit.instruments import Instrument

FILE_NAME = "instruments.json"
_FINEST = 8  # decimals of the finest tick and of tick times lot


def load_instruments(path: Path | str) -> dict[str, Instrument]:
    """Read a JSON list of instruments (fields of hftkit.instruments.Instrument). Raises DataError naming the file."""
    path = Path(path)
    try:
        listed = msgspec.convert(json.loads(path.read_text()), list[Instrument])
    except OSError as error:
        raise DataError(f"cannot read instruments {path}: {error.strerror}", "Give a JSON list of instruments (--instruments)") from None
    except (ValueError, msgspec.ValidationError, HftkitError) as error:
        raise DataError(f"{path}: {error}", "Each needs symbol, tick_size, lot_size") from None
    return {instrument.symbol: instrument for instrument in listed}


def find_instruments(folder: Path | str, closes: pd.DataFrame) -> tuple[dict[str, Instrument], bool]:
    """Instruments of a data folder: `instruments.json` there or one level up, else inferred. The flag says that they are the venue's own."""
    for place in (Path(folder), Path(folder).resolve().parent):
        if (place / FILE_NAME).is_file():
            known = load_instruments(place / FILE_NAME)
            missing = [symbol for symbol in closes if symbol not in known]
            if missing:
                raise DataError(f"{place / FILE_NAME} lacks {', '.join(missing)}", "Add them, or load only symbols it has")
            return known, True
    return {symbol: infer_instrument(symbol, closes[symbol]) for symbol in closes}, False


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
