"""Scales from the venue itself: exchangeInfo of an address or a file, or a simulator's configuration, as `instruments.json` for research.

`SOURCE` is one of

* the address of a Binance-compatible server (https://fapi.binance.com, https://api.binance.com, a simulator's), asked for
  /fapi/v1/exchangeInfo and, where there is no such path, for /api/v3/exchangeInfo;
* a saved exchangeInfo (JSON with `symbols`);
* the ready file of `hftkit sim`, whose server is asked, fees of its demo account among the answers;
* a simulator's configuration (TOML), or the name of one that ships: `binance`.

exchangeInfo has no fees. They are those of the account where a key is there to ask with (GET commissionRate, signed; Binance documents it under
"User Commission Rate"), those that the caller states, or else tier 0 of the market, marked as guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from hftkit.binance.exchange_info import DEFAULT_FEES_PPM, SPOT_FEES_PPM, fees_ppm, listed_instruments
from hftkit.clock import unix_ns
from hftkit.errors import ConfigError, DataError, HftkitError
from hftkit.instruments import Instrument
from hftkit.reading import read_bytes
from research.data.instruments import Scales
from research.data.progress import progress
from research.data.remote.downloads import NotThere, get, is_web

FEES = ("maker_fee_ppm", "taker_fee_ppm")
MOST_ASKED = 100  # symbols whose fees are asked for: each costs a weight of 20 of the venue's 2,400 a minute
_PATHS = {"/fapi/v1/exchangeInfo": "USD-M futures", "/api/v3/exchangeInfo": "spot"}


@dataclass(frozen=True)
class VenueScales:
    """`scales`: what was asked for; `left_out`: symbol -> why it cannot be counted in ticks and lots or is not traded now."""

    scales: Scales
    left_out: dict[str, str]


@dataclass(frozen=True)
class _Key:
    """An HMAC key pair of the venue. Never printed."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return "_Key(...)"


def venue_instruments(
    source: str,
    symbols: Sequence[str] | None = None,
    fees: tuple[int, int] | None = None,
    environment: Mapping[str, str] | None = None,
) -> VenueScales:
    """Scales of `symbols` (None: of all that are traded now) from a source as above.

    `fees`: maker and taker in ppm, as the caller knows them. `environment`: where HFTKIT_BINANCE_KEY and HFTKIT_BINANCE_SECRET are looked up
    [default: the process's].

    Raises DataError for a source that cannot be read, is no exchangeInfo, or lacks a named symbol.
    """
    variables = os.environ if environment is None else environment
    key = _Key(variables["HFTKIT_BINANCE_KEY"], variables["HFTKIT_BINANCE_SECRET"]) if _has_key(variables) else None
    if is_web(source):
        info, market, base = _asked(source)
        return _of_info(info, market, source, symbols, fees, base, key)
    if source.endswith(".toml") or (source.isidentifier() and not Path(source).exists()):
        return _of_config(source, symbols, fees)
    body = _object(Path(source))
    ready = body.get("binance")
    if isinstance(ready, dict) and "url" in ready:
        info, market, base = _asked(str(ready["url"]))
        return _of_info(info, market, f"the simulator of {source}", symbols, fees, base, _demo_key(ready) or key)
    if "order_port" in body and "symbols" in body:
        cure = "Start it with --binance-port 0, or name its configuration (a TOML file, `binance`)"
        raise DataError(f"the simulator of {source} does not serve exchangeInfo", cure)
    return _of_info(body, _market_of(body), Path(source).name, symbols, fees, None, None)


def write_scales(scales: Scales, path: Path) -> Path:
    """Write `instruments.json`: a row an instrument, `guessed` where something is. Raises DataError where it cannot be written."""
    rows = [
        {**msgspec.to_builtins(one), **({"guessed": list(scales.guessed[one.symbol])} if scales.guessed.get(one.symbol) else {})}
        for one in scales.instruments.values()
    ]
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(rows, indent=1) + "\n")
        partial.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}", "Name a place that you may write (-o)") from None
    return path


def _has_key(variables: Mapping[str, str]) -> bool:
    return bool(variables.get("HFTKIT_BINANCE_KEY") and variables.get("HFTKIT_BINANCE_SECRET"))


def _demo_key(ready: Mapping[str, Any]) -> _Key | None:
    """The first HMAC demo key that a simulator offers."""
    for row in ready.get("keys") or []:
        if isinstance(row, dict) and row.get("kind") == "HMAC" and row.get("key") and row.get("secret"):
            return _Key(str(row["key"]), str(row["secret"]))
    return None


def _asked(source: str) -> tuple[dict[str, Any], str, str]:
    """exchangeInfo of an address, its market, and the address without the path."""
    parts = urllib.parse.urlsplit(source)
    base = f"{parts.scheme}://{parts.netloc}"
    paths = [parts.path] if parts.path.rstrip("/").endswith("exchangeInfo") else list(_PATHS)
    for number, path in enumerate(paths):
        try:
            body, _ = get(f"{base}{path}")
        except NotThere:
            if number + 1 < len(paths):
                continue
            raise DataError(f"{base} has no {' and no '.join(paths)}", "Give the address of a Binance-compatible server, or a saved file") from None
        return _parsed(body, f"{base}{path}"), _PATHS.get(path.rstrip("/"), "USD-M futures" if "/fapi/" in path else "spot"), base
    raise AssertionError("unreachable")


def _object(path: Path) -> dict[str, Any]:
    try:
        return _parsed(read_bytes(path), str(path))
    except OSError as error:
        cure = "Give an address, a saved exchangeInfo, or a simulator's ready file"
        raise DataError(f"cannot read {path}: {error.strerror or error}", cure) from None


def _parsed(text: bytes, where: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise DataError(f"{where} is no exchangeInfo: it is no JSON object", "Give the answer of /fapi/v1/exchangeInfo or /api/v3/exchangeInfo")
    return body


def _market_of(info: Mapping[str, Any]) -> str:
    rows = [row for row in info.get("symbols", []) if isinstance(row, dict)] if isinstance(info.get("symbols"), list) else []
    return "USD-M futures" if any("contractType" in row for row in rows) else "spot"


def _of_info(
    info: Mapping[str, Any],
    market: str,
    source: str,
    symbols: Sequence[str] | None,
    fees: tuple[int, int] | None,
    base: str | None,
    key: _Key | None,
) -> VenueScales:
    if not isinstance(info.get("symbols"), list):
        raise DataError(f"{source} is no exchangeInfo: it has no list of symbols", "Give the answer of /fapi/v1/exchangeInfo or /api/v3/exchangeInfo")
    if any(isinstance(row, dict) and "contractSize" in row for row in info["symbols"]):
        raise DataError(f"{source} lists coin-margined contracts", "hftkit trades USD-M futures and spot scales: use fapi or api")
    named = [str(row.get("symbol")) for row in info["symbols"] if isinstance(row, dict)]
    wanted = list(dict.fromkeys(symbols)) if symbols is not None else named
    if missing := [symbol for symbol in wanted if symbol not in named]:
        some = ", ".join(sorted(named)[:5])
        raise DataError(f"{source} has no {', '.join(missing)}", f"It lists {len(named)} symbols ({some}, ...): leave these out, see --symbols")
    assumed = fees or (SPOT_FEES_PPM if market == "spot" else DEFAULT_FEES_PPM)
    instruments, left_out = dict[str, Instrument](), dict[str, str]()
    for symbol in wanted:
        try:
            (listed,) = listed_instruments(info, [symbol], {symbol: assumed})
        except HftkitError as error:
            left_out[symbol] = str(error)
            continue
        if symbols is None and not listed.tradable:
            left_out[symbol] = f"{listed.status} at the venue"
            continue
        instruments[symbol] = listed.instrument
    if not instruments:
        raise DataError(f"no symbol of {source} can be used ({'; '.join(left_out.values())[:200] or 'it lists none'})", "Name others: --symbols")
    asked: dict[str, tuple[int, int]] = {}
    if fees is None and base is not None and key is not None and len(instruments) <= MOST_ASKED:
        asked = {symbol: _account_fees(base, market, symbol, key) for symbol in progress(list(instruments), "fees of the account")}
    known = {
        symbol: msgspec.structs.replace(one, maker_fee_ppm=asked[symbol][0], taker_fee_ppm=asked[symbol][1]) if symbol in asked else one
        for symbol, one in instruments.items()
    }
    guessed: dict[str, tuple[str, ...]] = {} if fees is not None else {symbol: FEES for symbol in known if symbol not in asked}
    return VenueScales(Scales(known, guessed, f"{source} ({market})"), left_out)


def _account_fees(base: str, market: str, symbol: str, key: _Key) -> tuple[int, int]:
    """Maker and taker fee of the account, ppm. Raises DataError where the venue refuses."""
    path = "/fapi/v1/commissionRate" if market != "spot" else "/api/v3/account/commission"
    query = urllib.parse.urlencode({"symbol": symbol, "timestamp": unix_ns() // 1_000_000, "recvWindow": 10_000})
    signature = hmac.new(key.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    answer = _parsed(get(f"{base}{path}?{query}&signature={signature}", headers={"X-MBX-APIKEY": key.key})[0], path)
    if market == "spot":
        rates = answer.get("standardCommission", {})
        answer = {"symbol": symbol, "makerCommissionRate": rates.get("maker"), "takerCommissionRate": rates.get("taker")}
    return fees_ppm(answer)


def _of_config(source: str, symbols: Sequence[str] | None, fees: tuple[int, int] | None) -> VenueScales:
    """A simulator's own configuration: everything is known."""
    from hftkit.exchange.config import load_config

    try:
        config = load_config(source)
    except ConfigError as error:
        raise DataError(error.problem, error.cure) from None
    known = {one.symbol: one for one in config.scales}
    wanted = list(symbols) if symbols is not None else list(known)
    if missing := [symbol for symbol in wanted if symbol not in known]:
        raise DataError(f"the simulator {config.name} has no {', '.join(missing)}", f"It has {', '.join(known)}")
    chosen = {symbol: known[symbol] for symbol in wanted}
    if fees is not None:
        chosen = {symbol: msgspec.structs.replace(one, maker_fee_ppm=fees[0], taker_fee_ppm=fees[1]) for symbol, one in chosen.items()}
    return VenueScales(Scales(chosen, {}, f"the simulator {config.name}"), {})
