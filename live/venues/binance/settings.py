"""How an account of a Binance-compatible venue is set, asked at start and compared with the configuration, before anything is sent.

    position mode     one-way is needed: in hedge mode every order is refused (-4061), so the session is refused instead, with the cure
    margin type,      of each symbol, and multi-assets mode: compared where [venue.binance] says what is expected. A difference refuses the
    leverage          session, or is told and trading begins, as `settings_differ` says
    fee burn          with it fees come in BNB: their price is asked for before the first order (binance_fees.py)

What a venue does not answer (a compatible one may lack an endpoint) is not known, told in the log, and no reason to refuse.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hftkit.errors import VenueError
from live.venues.binance.config import BinanceConfig
from live.venues.binance.error_policy import Reaction
from live.venues.binance.rest import BinanceRest, RestError


class SymbolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol of an account. `margin_type`: "crossed" or "isolated"."""

    margin_type: str
    leverage: int


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue says; None and an absent symbol: it does not say."""

    hedge_mode: bool | None = None
    multi_assets: bool | None = None
    fee_burn: bool | None = None
    symbols: dict[str, SymbolSettings] = {}


async def _flag(rest: BinanceRest, path: str, name: str) -> bool | None:
    value = await _answer(rest, path)
    flag = value.get(name) if isinstance(value, dict) else None
    return flag if isinstance(flag, bool) else None


async def _answer(rest: BinanceRest, path: str) -> Any:
    """The answer, None where the venue has no such endpoint. Raises RestError where it refuses key or account, or does not answer at all."""
    try:
        return json.loads(await rest.read(path, signed=True, weight=30))
    except RestError as error:
        if error.reaction is not Reaction.NEVER:
            raise
    except ValueError:
        pass
    return None


async def read_settings(rest: BinanceRest, symbols: Sequence[str]) -> AccountSettings:
    """Ask for all of them. Raises RestError."""
    hedge_mode = await _flag(rest, "/fapi/v1/positionSide/dual", "dualSidePosition")
    if hedge_mode is None:
        hedge_mode = await _flag(rest, "/fapi/v1/accountConfig", "dualSidePosition")
    rows = await _answer(rest, "/fapi/v1/symbolConfig")
    found: dict[str, SymbolSettings] = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("symbol") in symbols:
            margin_type = "isolated" if str(row.get("marginType", "")).upper() == "ISOLATED" else "crossed"
            found[str(row["symbol"])] = SymbolSettings(margin_type=margin_type, leverage=int(row.get("leverage", 0)))
    return AccountSettings(
        hedge_mode=hedge_mode,
        multi_assets=await _flag(rest, "/fapi/v1/multiAssetsMargin", "multiAssetsMargin"),
        fee_burn=await _flag(rest, "/fapi/v1/feeBurn", "feeBurn"),
        symbols=found,
    )


def differences(settings: AccountSettings, config: BinanceConfig) -> list[str]:
    """What is not as the configuration expects, in words. Position mode: `check_settings`."""
    found = []
    if config.multi_assets is not None and settings.multi_assets is not None and settings.multi_assets != config.multi_assets:
        found.append(f"multi-assets mode is {'on' if settings.multi_assets else 'off'}, not {'on' if config.multi_assets else 'off'}")
    for symbol, row in settings.symbols.items():
        if config.margin_type and row.margin_type != config.margin_type:
            found.append(f"{symbol} has {row.margin_type} margin, not {config.margin_type}")
        if config.leverage and row.leverage != config.leverage:
            found.append(f"{symbol} has leverage {row.leverage}, not {config.leverage}")
    return found


def check_settings(settings: AccountSettings, config: BinanceConfig, say: Callable[..., None]) -> None:
    """Tell them, and raise VenueError, one line with the cure, where this account cannot be traded with this configuration."""
    say(
        "account_settings",
        position_mode={None: "not told", True: "hedge", False: "one-way"}[settings.hedge_mode],
        multi_assets=settings.multi_assets,
        fee_burn=settings.fee_burn,
        symbols={symbol: f"{row.margin_type} {row.leverage}x" for symbol, row in settings.symbols.items()},
    )
    if settings.hedge_mode:
        raise VenueError(
            "the account is in hedge mode (dual position side), where the venue refuses every order of a one-way client (-4061)",
            "With no position and no order open, set one-way mode: Preferences, Position Mode, or POST /fapi/v1/positionSide/dual "
            "with dualSidePosition=false",
        )
    found = differences(settings, config)
    if found and config.settings_differ == "refuse":
        cure = 'Change the account or [venue.binance] margin_type, leverage, multi_assets; or settings_differ = "warn" to trade all the same'
        raise VenueError(f"the account is not set as configured: {'; '.join(found)}", cure)
    if found:
        say("settings_differ", found=found)


async def ask_settings(rest: BinanceRest, symbols: Sequence[str], config: BinanceConfig, say: Callable[..., None]) -> AccountSettings:
    """Ask, tell, check. Raises RestError, VenueError."""
    settings = await read_settings(rest, symbols)
    check_settings(settings, config, say)
    return settings
