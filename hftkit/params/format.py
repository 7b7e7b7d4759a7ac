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
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hftkit.errors import HftkitError, ParamsError, UnitError
from hftkit.instruments import Instrument
from hftkit.params.execution import NO_LEGS, ExecutionPlan, LegPlan, PairPlan, SinglePlan, check_plan
from hftkit.params.ranges import MOST_LOTS, check_range, check_ranges
from hftkit.reading import read_bytes
from hftkit.system import private_files
from hftkit.units import INT64_MAX, is_plain, iso_from_ns

SCHEMA_VERSION = 1
DIGEST_HEAD = 12
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)  # the name becomes part of a file name

_DEEPEST = 64  # levels of JSON
_MOST_NUMBERS = 1_000_000  # in all arrays of a file
_LONGEST_TEXT = 256  # of a parameter


class FrozenParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One strategy, ready to trade, with its birth certificate.

    How it trades stands in `execution`, which names a policy, or in `legs`, as in files of before policies had names. `legs` of policy `pair` or
    `single` is made from it; of any other it is NO_LEGS.
    """

    schema_version: int
    name: str
    strategy: str
    strategy_version: int
    instruments: tuple[Instrument, ...]
    legs: LegPlan = NO_LEGS
    execution: ExecutionPlan | None = None
    parameters: dict[str, int | str]
    arrays: dict[str, tuple[str, ...]]
    provenance: dict[str, Any]
    valid_from_ns: int
    valid_until_ns: int
    digest: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.execution, PairPlan | SinglePlan):
            msgspec.structs.force_setattr(self, "legs", self.execution.as_legs())

    @property
    def policy(self) -> str:
        """Name of its execution policy."""
        if self.execution is not None:
            return str(self.execution.__struct_config__.tag)
        return "pair" if self.legs.hedge else "single"

    @property
    def traded(self) -> tuple[str, ...]:
        """Symbols of the instruments that the strategy trades, in the order of their places."""
        if self.execution is not None:
            return self.execution.traded
        return tuple(symbol for symbol in (self.legs.lead, self.legs.hedge) if symbol)

    def array(self, name: str) -> np.ndarray:
        """A model array as float64 (n,). The decimals round-trip exactly."""
        return np.array([float(text) for text in self.arrays.get(name, ())], np.float64)

    @property
    def watched(self) -> tuple[str, ...]:
        """Symbols of the instruments that the strategy watches, in the order in which its hooks find them; those that it trades come first."""
        return self.traded + (self.execution.watch if self.execution is not None else ())

    @property
    def file_name(self) -> str:
        """`<name>-<head of digest>.json`."""
        return f"{self.name}-{self.digest[:DIGEST_HEAD]}.json"


def _refuse_floats(value: Any, where: str, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise ParamsError(f"{where[:80]}... is nested more than {_DEEPEST} deep", "Nothing that is frozen needs that")
    if isinstance(value, float):
        raise ParamsError(f"{where} is the float {value!r}", "Freeze numbers as decimal text (params.text_of) or integers")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ParamsError(f"{where} has the key {key!r}, which is not text")
            _refuse_floats(item, f"{where}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _refuse_floats(item, f"{where}[{i}]", depth + 1)


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


def body_of(params: FrozenParams) -> dict[str, Any]:
    """What a frozen file of these parameters holds, as plain data."""
    body = msgspec.to_builtins(params)
    if params.execution is not None:
        body.pop("legs", None)  # made from it
    return body


def freeze(params: FrozenParams, folder: Path | str) -> Path:
    """Write one frozen file into `folder` and return its path. Writing the same content twice is the same file.

    Raises ParamsError if the parameters do not pass the checks of `load`, or if another file has that name.
    """
    body = body_of(params)
    body["digest"] = digest_of(body)
    text = canonical_bytes(body)
    frozen = parse_frozen(text, f"{params.name} (being frozen)")
    path = Path(folder) / frozen.file_name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParamsError(f"cannot make the folder {path.parent}: {error.strerror}", "Freeze into a folder that you may write") from None
    if path.exists():
        if path.read_bytes() == text:
            return path
        raise ParamsError(f"{path} exists with other bytes", "Frozen files are never overwritten: remove the altered file by hand")
    try:
        private_files.write(path, text, "frozen file", mode=0o444)
    except HftkitError as error:
        raise ParamsError(error.problem, "Free some space there, or freeze into another folder") from None
    return path


def read_frozen(path: Path | str) -> bytes:
    """The bytes of a frozen file, read once: what is verified is what is used. Regular files only. Raises ParamsError."""
    try:
        return read_bytes(path)
    except OSError as error:
        raise ParamsError(f"cannot read frozen parameters {path}: {error.strerror or error}", "Freeze one with: hftkit freeze") from None


def load(path: Path | str, *, now_ns: int | None = None) -> FrozenParams:
    """Read and verify a frozen file. `now_ns` (Unix ns) checks the validity period; None skips that one check.

    Raises ParamsError, one message for each fault: no such file, truncated or not JSON, altered, wrong schema version, unknown
    or missing key, wrong type, unknown strategy or strategy version, bad parameter, not yet valid, expired.
    """
    frozen = parse_frozen(read_frozen(path), str(path))
    if now_ns is not None:
        check_validity(frozen, now_ns, str(path))
    return frozen


def check_validity(frozen: FrozenParams, now_ns: int, where: str) -> None:
    """Refuse parameters outside their validity period. `now_ns`: the venue's time where there is one, Unix ns. Raises ParamsError."""
    if now_ns < frozen.valid_from_ns:
        raise ParamsError(f"{where} is not valid before {iso_from_ns(frozen.valid_from_ns)}", "Wait, or freeze again")
    if now_ns >= frozen.valid_until_ns:
        cure = "Calibrate on newer data and freeze again; a rehearsal may use --valid-days"
        raise ParamsError(f"{where} expired at {iso_from_ns(frozen.valid_until_ns)}", cure)


def parse_frozen(text: bytes, where: str) -> FrozenParams:
    """Verify the bytes of a frozen file, `where` they come from. Raises ParamsError as `load` does."""
    again = "Use the untouched file, or freeze again"
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParamsError(f"{where} is truncated or not JSON ({error})", again) from None
    if not isinstance(body, dict):
        raise ParamsError(f"{where} is not a JSON object", again)
    version = body.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ParamsError(f"{where} has schema_version {repr(version)[:40]}, this hftkit reads {SCHEMA_VERSION}", "Freeze again with this version")
    stated = body.get("digest")
    try:
        actual = digest_of(body)
    except ParamsError as error:
        raise ParamsError(f"{where}: {error.problem}", error.cure) from None
    except (ValueError, RecursionError) as error:
        raise ParamsError(f"{where} cannot be written as canonical JSON ({error})", again) from None
    if stated != actual:
        raise ParamsError(f"{where} was altered: digest says {str(stated)[:DIGEST_HEAD]}, content gives {actual[:DIGEST_HEAD]}", again)
    if text != canonical_bytes(body):
        raise ParamsError(f"{where} is not in canonical form (white space, key order or number format was changed)", again)
    if ("legs" in body) == ("execution" in body):
        raise ParamsError(f"{where} must say how it trades, in `legs` or in `execution`: in one of them", again)
    try:
        frozen = msgspec.convert(body, FrozenParams, strict=True)
    except msgspec.ValidationError as error:
        raise ParamsError(f"{where}: {error}", again) from None
    except UnitError as error:  # an instrument that contradicts itself
        raise ParamsError(f"{where}: {error.problem}", again) from None
    except OverflowError:
        raise ParamsError(f"{where} holds a number that is out of range", again) from None
    check_frozen(frozen, where)
    return frozen


def check_digest(frozen: FrozenParams, where: str) -> None:
    """Whether parameters still are those of the digest that they state, if they state one. Raises ParamsError."""
    if frozen.digest and digest_of(body_of(frozen)) != frozen.digest:
        raise ParamsError(f"{where} was altered: its digest does not fit its content", "Use the untouched file, or freeze again")


def check_frozen(frozen: FrozenParams, where: str) -> None:
    """Everything about frozen parameters but their form and digest: in range, consistent, the strategy's own rules. Raises ParamsError."""
    again = "Use the untouched file, or freeze again"
    try:
        _check_ranges(frozen)
    except ValueError as error:
        raise ParamsError(f"{where}: {error}", again) from None
    _check_consistent(frozen, where, again)
    from hftkit.strategies import strategy  # strategies import layout only; late, so that params has no arrow to kernels

    strategy(frozen.strategy).check(frozen, where)


def _check_ranges(frozen: FrozenParams) -> None:
    """Whole numbers fit into 63 bits and their subject. Raises ValueError."""
    check_ranges(frozen, {"valid_from_ns": (0, INT64_MAX), "valid_until_ns": (0, INT64_MAX), "strategy_version": (1, MOST_LOTS)})
    check_plan(frozen.execution or frozen.legs)
    for name, value in frozen.parameters.items():
        if isinstance(value, str):
            if len(value) > _LONGEST_TEXT:
                raise ValueError(f"parameter {name} has {len(value)} characters, at most {_LONGEST_TEXT} make sense")
        else:
            check_range(f"parameter {name}", value, (-INT64_MAX, INT64_MAX))
    total = sum(len(texts) for texts in frozen.arrays.values())
    if total > _MOST_NUMBERS:
        raise ValueError(f"the arrays hold {total:,} numbers, at most {_MOST_NUMBERS:,} are read")


def _check_consistent(frozen: FrozenParams, where: str, again: str) -> None:
    """What the types alone cannot say. Raises ParamsError."""
    if not _NAME.fullmatch(frozen.name):
        raise ParamsError(f"{where}: name {frozen.name!r} cannot be a file name", "Use letters, digits, dot, dash and underscore")
    if frozen.valid_until_ns <= frozen.valid_from_ns:
        raise ParamsError(f"{where} has an empty validity period", again)
    symbols = [instrument.symbol for instrument in frozen.instruments]
    if len(set(symbols)) != len(symbols):
        raise ParamsError(f"{where} names an instrument twice: {symbols}", again)
    if frozen.execution is None and frozen.legs.lead == frozen.legs.hedge:
        raise ParamsError(f"{where}: both legs are {frozen.legs.lead!r}", again)
    if frozen.execution is None and not frozen.legs.lead:
        raise ParamsError(f"{where}: the lead is no symbol", again)
    watched = frozen.watched
    if len(set(watched)) != len(watched):
        raise ParamsError(f"{where} watches an instrument twice: {list(watched)}", again)
    for symbol in watched:
        if symbol not in symbols:
            raise ParamsError(f"{where}: leg {symbol!r} is not among its instruments {symbols}", again)
    for name, texts in frozen.arrays.items():
        for i, text in enumerate(texts):
            if not _is_finite_number(text):
                raise ParamsError(f"{where}: arrays.{name}[{i}] is {text!r}, not a finite decimal number", again)


def _is_finite_number(text: str) -> bool:
    return len(text) <= _LONGEST_TEXT and is_plain(text) and math.isfinite(float(text))


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
