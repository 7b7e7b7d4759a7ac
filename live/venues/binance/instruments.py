"""Instruments of a Binance-compatible venue while a session trades them: what has become of them, and their frames (exchange_info.py reads
the venue's list).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from hftkit.binance.exchange_info import Listed, listed_instruments
from hftkit.codes import MessageType
from hftkit.errors import VenueError
from hftkit.instruments import Instrument
from hftkit.kernels.wire.frame import header
from hftkit.layout import FRAME


def instrument_changes(
    instruments: Sequence[Instrument], exchange_info: Mapping[str, Any]
) -> tuple[tuple[Instrument, ...], tuple[str, ...], tuple[str, ...]]:
    """What has become of these instruments: the same with the venue's present tick and lot sizes; in words, which of them are counted otherwise
    now; and which cannot be traded now. A symbol that cannot be read any more cannot be traded."""
    now, changed, closed = [], [], []
    for ours in instruments:
        try:
            (listed,) = listed_instruments(exchange_info, [ours.symbol], {})
        except VenueError as error:
            closed.append(str(error))
            now.append(ours)
            continue
        theirs = listed.instrument
        if not listed.tradable:
            closed.append(f"{ours.symbol} is {listed.status} at the venue")
        for name in ("tick_size", "lot_size"):
            before, after = getattr(ours, name), getattr(theirs, name)
            if Decimal(before) != Decimal(after):
                changed.append(f"the {name.replace('_', ' ')} of {ours.symbol} is {after}, was {before}")
        now.append(msgspec.structs.replace(ours, tick_size=theirs.tick_size, lot_size=theirs.lot_size))
    return tuple(now), tuple(changed), tuple(closed)


def instrument_frames(instruments: Sequence[Instrument]) -> bytes:
    """INSTRUMENT frames as a binary venue would send them: the engine compares its scales with them, and the journal has them."""
    frame = FRAME[MessageType.INSTRUMENT]
    words = np.zeros((len(instruments), frame.words), np.int64)
    for i, (row, instrument) in enumerate(zip(words, instruments, strict=True)):
        symbol = instrument.symbol_words()
        fees = instrument.maker_fee_ppm, instrument.taker_fee_ppm
        scales = instrument.tick_size_e8, instrument.lot_size_e8, instrument.min_notional_e8
        row[:] = (header(int(MessageType.INSTRUMENT), frame.words, i), i + 1, *symbol, *scales, *fees, len(instruments))
    return words.tobytes()


def check_all_legs(listed: Sequence[Listed], legs: Sequence[str]) -> None:
    """Every leg of a strategy can be traded now, or none is. `legs`: symbols. Raises VenueError naming those that cannot."""
    status = {item.instrument.symbol: item for item in listed}
    closed = [f"{symbol} ({status[symbol].status})" for symbol in legs if not status[symbol].tradable]
    if closed:
        raise VenueError(
            f"the venue does not trade {', '.join(closed)} now", "A strategy is traded with all its legs or not at all: wait, or take another one"
        )
