"""Instruments: symbol and scales, and their compiled form.

Scales travel as decimal text in files and as integers inside. `tick_lot_e8` (the money of one lot moving one tick)
must be a whole number of 1e-8 quote units, so that P&L is exact; an instrument for which it is not is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from hftkit import layout
from hftkit.errors import UnitError
from hftkit.units import decimal, to_e8

SYMBOL_BYTES = 16


class Instrument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Scales of one instrument. Decimals as text: `tick_size="0.01"`, `lot_size="0.001"`, `min_notional="5"`."""

    symbol: str
    tick_size: str
    lot_size: str
    min_notional: str = "0"
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 0

    def __post_init__(self) -> None:
        if not (0 < len(self.symbol) <= SYMBOL_BYTES and self.symbol.isascii() and self.symbol.isprintable() and " " not in self.symbol):
            raise UnitError(f"symbol {self.symbol!r} must be 1 to {SYMBOL_BYTES} printable ASCII characters without spaces")
        for name in ("tick_size", "lot_size"):
            if decimal(getattr(self, name), f"{name} of {self.symbol}") <= 0:
                raise UnitError(f"{name} of {self.symbol} must be positive, is {getattr(self, name)}")
        if decimal(self.min_notional, f"min_notional of {self.symbol}") < 0:
            raise UnitError(f"min_notional of {self.symbol} is negative: {self.min_notional}")
        for name in ("maker_fee_ppm", "taker_fee_ppm"):
            if not -1_000_000 <= getattr(self, name) <= 1_000_000:
                raise UnitError(f"{name} of {self.symbol} is beyond a million: more than all of the notional")
        _ = self.tick_lot_e8, self.tick_size_e8, self.lot_size_e8, self.min_notional_e8  # each must be exact in e8

    @property
    def tick_lot_e8(self) -> int:
        """Money of one lot moving one tick, in 1e-8 quote units."""
        product = decimal(self.tick_size) * decimal(self.lot_size)
        try:
            return to_e8(product, f"tick_size * lot_size of {self.symbol}")
        except UnitError:
            raise UnitError(
                f"tick_size * lot_size of {self.symbol} is {product}, finer than 1e-8 quote units", "Use a coarser lot: P&L must be exact"
            ) from None

    @property
    def tick_size_e8(self) -> int:
        """Tick size in 1e-8 quote units."""
        return to_e8(self.tick_size, f"tick_size of {self.symbol}")

    @property
    def lot_size_e8(self) -> int:
        """Lot size in 1e-8 base units."""
        return to_e8(self.lot_size, f"lot_size of {self.symbol}")

    @property
    def min_notional_e8(self) -> int:
        """Smallest order value, in 1e-8 quote units."""
        return to_e8(self.min_notional, f"min_notional of {self.symbol}")

    def symbol_words(self) -> tuple[int, int]:
        """The symbol as the two int64 words of an INSTRUMENT frame."""
        raw = self.symbol.encode().ljust(SYMBOL_BYTES, b"\0")
        return int.from_bytes(raw[:8], "little", signed=True), int.from_bytes(raw[8:], "little", signed=True)


def symbol_from_words(word0: int, word1: int) -> str:
    """Inverse of `Instrument.symbol_words`."""
    raw = int(word0).to_bytes(8, "little", signed=True) + int(word1).to_bytes(8, "little", signed=True)
    return raw.rstrip(b"\0").decode("ascii", "replace")


def instrument_array(instruments: Sequence[Instrument]) -> np.ndarray:
    """The compiled form: array (n,) of layout.INSTRUMENT."""
    table = np.zeros(len(instruments), layout.INSTRUMENT.dtype)
    for row, instrument in zip(table, instruments, strict=True):
        row["tick_lot_e8"] = instrument.tick_lot_e8
        row["tick_size_e8"] = instrument.tick_size_e8
        row["lot_size_e8"] = instrument.lot_size_e8
        row["min_notional_e8"] = instrument.min_notional_e8
        row["maker_fee_ppm"] = instrument.maker_fee_ppm
        row["taker_fee_ppm"] = instrument.taker_fee_ppm
    return table
