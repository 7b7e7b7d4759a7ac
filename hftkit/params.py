"""Frozen parameter files: the only bridge between research and live (docs/frozen-parameters.md).

Research calls `freeze`, once; live calls `load`. The file is canonical JSON: sorted keys, no white space, integers for
lots, ticks and ns, decimals as strings, one line feed at the end; `digest` is the SHA-256 of these bytes without the
digest key. The name ends in the head of the digest, the file is read-only and never overwritten. Same inputs, same
bytes. `load` refuses anything that is off, each fault with its own message.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from hftkit.errors import ParamsError, UnitError
from hftkit.instruments import Instrument
from hftkit.units import iso_from_ns

SCHEMA_VERSION = 1
DIGEST_HEAD = 12
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)  # the name becomes part of a file name

_Positive = Annotated[int, msgspec.Meta(ge=1)]
_NotNegative = Annotated[int, msgspec.Meta(ge=0)]


class LegPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """How one unit of the strategy's target becomes orders in two instruments. Lots and ns are integers.

    `unit_hedge_lots` is signed: negative where the hedge is sold when the lead is bought (the usual pair). Maker first with `maker_patience_ns` > 0:
    the lead is posted at the touch for so long, moved when the touch is `reprice_ticks` away, then taken (docs/execution.md). A key at its default is
    left out of the file: files from before it was there keep their bytes.
    """

    lead: str
    hedge: str
    unit_lead_lots: _Positive
    unit_hedge_lots: int
    slippage_ticks: _NotNegative
    hedge_deadline_ns: _Positive
    retry_ns: _NotNegative
    residual_lots: _NotNegative
    maker_patience_ns: _NotNegative = 0
    reprice_ticks: _Positive = 1


class FrozenParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One strategy, ready to trade, with its birth certificate."""

    schema_version: int
    name: str
    strategy: str
    strategy_version: int
    instruments: tuple[Instrument, ...]
    legs: LegPlan
    parameters: dict[str, int | str]
    arrays: dict[str, tuple[str, ...]]
    provenance: dict[str, Any]
    valid_from_ns: int
    valid_until_ns: int
    digest: str = ""

    def array(self, name: str) -> np.ndarray:
        """A model array as float64 (n,). The decimals round-trip exactly."""
        return np.array([float(text) for text in self.arrays.get(name, ())], np.float64)

    @property
    def file_name(self) -> str:
        """`<name>-<head of digest>.json`."""
        return f"{self.name}-{self.digest[:DIGEST_HEAD]}.json"


def _refuse_floats(value: Any, where: str) -> None:
    if isinstance(value, float):
        raise ParamsError(f"{where} is the float {value!r}", "Freeze numbers as decimal text (params.text_of) or integers")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ParamsError(f"{where} has the key {key!r}, which is not text")
            _refuse_floats(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _refuse_floats(item, f"{where}[{i}]")


def text_of(value: float) -> str:
    """Shortest decimal text that reads back as the same float64. Raises ParamsError for NaN and infinity."""
    number = float(value)
    if not math.isfinite(number):
        raise ParamsError(f"cannot freeze {value!r}", "A frozen number must be finite")
    return repr(number)


def canonical_bytes(body: dict[str, Any]) -> bytes:
    """Canonical JSON of plain data: sorted keys, no white space, ASCII, line feed at the end."""
    _refuse_floats(body, "$")
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode() + b"\n"


def digest_of(body: dict[str, Any]) -> str:
    """SHA-256 (hex) of the canonical bytes of `body` without its `digest` key."""
    return hashlib.sha256(canonical_bytes({key: value for key, value in body.items() if key != "digest"})).hexdigest()


def freeze(params: FrozenParams, folder: Path | str) -> Path:
    """Write one frozen file into `folder` and return its path. Writing the same content twice is the same file.

    Raises ParamsError if the parameters do not pass the checks of `load`, or if another file has that name.
    """
    body = msgspec.to_builtins(params)
    body["digest"] = digest_of(body)
    text = canonical_bytes(body)
    frozen = _checked(text, f"{params.name} (being frozen)")
    path = Path(folder) / frozen.file_name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParamsError(f"cannot make the folder {path.parent}: {error.strerror}", "Freeze into a folder that you may write") from None
    if path.exists():
        if path.read_bytes() == text:
            return path
        raise ParamsError(f"{path} exists with other bytes", "Frozen files are never overwritten: remove the altered file by hand")
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        partial.write_bytes(text)
        partial.chmod(0o444)
        partial.rename(path)
    except OSError as error:
        partial.unlink(missing_ok=True)  # half a file is no file
        raise ParamsError(f"cannot write {path}: {error.strerror}", "Free some space there, or freeze into another folder") from None
    return path


def load(path: Path | str, *, now_ns: int | None = None) -> FrozenParams:
    """Read and verify a frozen file. `now_ns` (Unix ns) checks the validity period; None skips that one check.

    Raises ParamsError, one message for each fault: no such file, truncated or not JSON, altered, wrong schema version, unknown
    or missing key, wrong type, unknown strategy or strategy version, bad parameter, not yet valid, expired.
    """
    path = Path(path)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ParamsError(f"cannot read frozen parameters {path}: {error.strerror}", "Freeze one with: hftkit freeze") from None
    frozen = _checked(text, str(path))
    if now_ns is not None:
        check_validity(frozen, now_ns, str(path))
    return frozen


def check_validity(frozen: FrozenParams, now_ns: int, where: str) -> None:
    """Refuse parameters outside their validity period. `now_ns`: the venue's time where there is one, Unix ns. Raises ParamsError."""
    if now_ns < frozen.valid_from_ns:
        raise ParamsError(f"{where} is not valid before {iso_from_ns(frozen.valid_from_ns)}", "Wait, or freeze again")
    if now_ns >= frozen.valid_until_ns:
        raise ParamsError(f"{where} expired at {iso_from_ns(frozen.valid_until_ns)}", "Calibrate on newer data and freeze again")


def _checked(text: bytes, where: str) -> FrozenParams:
    again = "Use the untouched file, or freeze again"
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParamsError(f"{where} is truncated or not JSON ({error})", again) from None
    if not isinstance(body, dict):
        raise ParamsError(f"{where} is not a JSON object", again)
    version = body.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ParamsError(f"{where} has schema_version {version!r}, this hftkit reads {SCHEMA_VERSION}", "Freeze again with this version")
    stated = body.get("digest")
    actual = digest_of(body)
    if stated != actual:
        raise ParamsError(f"{where} was altered: digest says {str(stated)[:DIGEST_HEAD]}, content gives {actual[:DIGEST_HEAD]}", again)
    if text != canonical_bytes(body):
        raise ParamsError(f"{where} is not in canonical form (white space, key order or number format was changed)", again)
    try:
        frozen = msgspec.convert(body, FrozenParams, strict=True)
    except msgspec.ValidationError as error:
        raise ParamsError(f"{where}: {error}", again) from None
    except UnitError as error:  # an instrument that contradicts itself
        raise ParamsError(f"{where}: {error.problem}", again) from None
    _check_consistent(frozen, where, again)
    from hftkit.strategies import strategy  # strategies import layout only; late, so that params has no arrow to kernels

    strategy(frozen.strategy).check(frozen, where)
    return frozen


def _check_consistent(frozen: FrozenParams, where: str, again: str) -> None:
    """What the types alone cannot say. Raises ParamsError."""
    if not _NAME.fullmatch(frozen.name):
        raise ParamsError(f"{where}: name {frozen.name!r} cannot be a file name", "Use letters, digits, dot, dash and underscore")
    if frozen.valid_until_ns <= frozen.valid_from_ns:
        raise ParamsError(f"{where} has an empty validity period", again)
    symbols = [instrument.symbol for instrument in frozen.instruments]
    if len(set(symbols)) != len(symbols):
        raise ParamsError(f"{where} names an instrument twice: {symbols}", again)
    if frozen.legs.lead == frozen.legs.hedge:
        raise ParamsError(f"{where}: both legs are {frozen.legs.lead!r}", again)
    for symbol in {frozen.legs.lead, frozen.legs.hedge} - {""}:
        if symbol not in symbols:
            raise ParamsError(f"{where}: leg {symbol!r} is not among its instruments {symbols}", again)
    for name, texts in frozen.arrays.items():
        for i, text in enumerate(texts):
            if not _is_finite_number(text):
                raise ParamsError(f"{where}: arrays.{name}[{i}] is {text!r}, not a finite decimal number", again)


def _is_finite_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def check_scales(frozen: FrozenParams, venue: dict[str, Instrument], where: str) -> None:
    """Refuse to trade if the venue's scales differ from those that research used. Raises ParamsError naming both."""
    for instrument in frozen.instruments:
        offered = venue.get(instrument.symbol)
        if offered is None:
            raise ParamsError(f"{where}: the venue has no {instrument.symbol}", f"It offers {sorted(venue)}")
        for name in ("tick_size_e8", "lot_size_e8"):
            if getattr(instrument, name) != getattr(offered, name):
                plain = name.removesuffix("_e8")
                raise ParamsError(
                    f"{where}: {plain} of {instrument.symbol} was {getattr(instrument, plain)} in research, the venue says {getattr(offered, plain)}",
                    "Calibrate and freeze again with the venue's scales",
                )
        if offered.min_notional_e8 > instrument.min_notional_e8:
            raise ParamsError(
                f"{where}: min_notional of {instrument.symbol} was {instrument.min_notional} in research, the venue now asks {offered.min_notional}",
                "Calibrate and freeze again with the venue's scales",
            )
