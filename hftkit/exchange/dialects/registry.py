"""The dialects of the simulator: what each brings to the configuration and to the fault page.

Configuration, fault plans and the fault page are made of what stands here and name no dialect themselves. To add one: its struct into the class of
the section where its keys stand, its fault settings into FAULT_SETTINGS and FaultSections (faults/line.py: one block of words more).
"""

from __future__ import annotations

import msgspec

from hftkit.exchange.dialects.binance.config import BinanceDialectConfig
from hftkit.exchange.dialects.binance.fault_names import DIALECT_SETTINGS
from hftkit.exchange.dialects.binary.config import BinaryDialectConfig
from hftkit.exchange.faults.setting import Setting

# Name of a dialect (in plans and on the command line, in place of a direction) to its settings; the order is that of the blocks on the fault page.
FAULT_SETTINGS: dict[str, dict[str, Setting]] = {"binance": DIALECT_SETTINGS}


class VenueSection(BinaryDialectConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Keys of dialects in the section `[venue]`: those of the dialect that is always served."""


class DialectSections(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sections of the dialects that are served only if their section is there."""

    binance: BinanceDialectConfig | None = None


class FaultSections(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Tables of a fault plan, one a dialect of FAULT_SETTINGS."""

    binance: dict[str, float] = {}
