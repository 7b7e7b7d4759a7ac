"""Decimal text <-> integer ticks, lots, money and time. The only place outside the kernels where price text becomes a number.

Why integers: 0.1 + 0.2 is not 0.3 in binary floating point, and two programs that round differently are two strategies.
A price is a whole number of ticks, a quantity a whole number of lots, money a whole number of 1e-8 quote units ("e8"),
time a whole number of nanoseconds. Conversion is exact or refused, never rounded silently.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Context, Decimal, DecimalException
from typing import Literal

from hftkit.errors import UnitError

E8 = 100_000_000
NS_PER_S = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_S
INT64_MAX = 2**63 - 1

Rounding = Literal["exact", "down", "up", "nearest"]

# Python's Decimal also reads "1_000", " 1 " and digits of other scripts; a price file that holds those is damaged.
_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
# Decimal rounds to 28 digits unless told otherwise: enough digits for 2**63 steps of any step that fits in e8 arithmetic.
_EXACT = Context(prec=100)
_TIME = re.compile(r"(?P<until_seconds>.+\d{2}:\d{2}:\d{2})(?:[.,](?P<fraction>\d+))?(?P<zone>Z|[+-]\d{2}:?\d{2}|)")


def is_plain(text: str) -> bool:
    """Whether a text is a decimal number as files hold it: digits, one point, an exponent of at most three digits; nothing else that Python reads."""
    return _PLAIN.fullmatch(text) is not None


def decimal(text: str | int | Decimal, what: str = "value") -> Decimal:
    """Parse decimal text. Raises UnitError for a float, NaN, infinity or anything that is not a plain number."""
    if isinstance(text, float):
        raise UnitError(f"{what} is the float {text!r}", "Pass decimal text, such as '0.05': floats never carry a price")
    if isinstance(text, str) and text.strip().lstrip("+-").lower() in {"nan", "snan", "inf", "infinity"}:
        raise UnitError(f"{what} {text!r} is not finite")
    if not isinstance(text, int | Decimal) and not (isinstance(text, str) and _PLAIN.fullmatch(text)):
        raise UnitError(f"{what} {text!r} is not a decimal number", "Write it like 0.05 or 1250")
    value = Decimal(text)
    if not value.is_finite():
        raise UnitError(f"{what} {text!r} is not finite")
    return value


def to_steps(text: str | int | Decimal, step: str | Decimal, what: str = "value", rounding: Rounding = "exact") -> int:
    """Number of `step`s in a decimal: price text -> ticks, quantity text -> lots.

    Raises UnitError if `rounding` is "exact" and the value is not a multiple, if the step is not positive, or if the
    result does not fit in 63 bits.
    """
    size = decimal(step, "step")
    if size <= 0:
        raise UnitError(f"step {step!r} of {what} is not positive")
    value = decimal(text, what)
    try:
        quotient, remainder = _EXACT.divmod(value, size)  # truncates towards zero
    except DecimalException:
        raise UnitError(f"{what} {text} is more than 2**63 steps of {step}") from None
    steps = int(quotient)
    if remainder != 0:
        if rounding == "exact":
            below = (quotient - (1 if value < 0 else 0)) * size
            raise UnitError(f"{what} {text} is not a multiple of {step}", f"Nearest multiples: {below:f} and {below + size:f}")
        sign = 1 if value > 0 else -1
        away = {"down": value < 0, "up": value > 0, "nearest": abs(remainder) * 2 >= size}[rounding]
        steps += sign if away else 0
    if abs(steps) > INT64_MAX:
        raise UnitError(f"{what} {text} is more than 2**63 steps of {step}")
    return steps


def from_steps(steps: int, step: str | Decimal) -> str:
    """Decimal text of a number of steps: 4512 ticks of 0.05 -> '225.60'. Exact."""
    return format(_EXACT.multiply(Decimal(int(steps)), decimal(step, "step")), "f")


def to_e8(text: str | int | Decimal, what: str = "amount", rounding: Rounding = "exact") -> int:
    """Decimal text -> integer 1e-8 units."""
    return to_steps(text, Decimal(1).scaleb(-8), what, rounding)


def from_e8(amount: int, places: int = 8) -> str:
    """Integer 1e-8 units -> decimal text with `places` decimals (rounded half to even for display)."""
    return format(Decimal(int(amount)).scaleb(-8), f".{places}f")


def ns_from_iso(text: str) -> int:
    """ISO 8601 time -> Unix ns. A time without a zone is refused: UTC is a decision, not a guess; so is more than nine decimals."""
    example = "Write it like 2026-01-31T09:00:00+00:00"
    # Apart, because datetime.fromisoformat silently drops what is finer than a microsecond.
    parts = _TIME.fullmatch(text)
    fraction = (parts["fraction"] or "") if parts else ""
    if len(fraction) > 9:
        raise UnitError(f"time {text!r} is finer than a nanosecond", example)
    if parts is None and re.search("[.,]", text):
        raise UnitError(f"time {text!r} is not ISO 8601 in its usual form", example)
    try:
        moment = datetime.fromisoformat(parts["until_seconds"] + parts["zone"] if parts else text)
    except ValueError:
        raise UnitError(f"time {text!r} is not ISO 8601", example) from None
    if moment.tzinfo is None:
        raise UnitError(f"time {text!r} has no time zone", "Append +00:00 or Z")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * NS_PER_S + delta.microseconds * 1000 + int(fraction.ljust(9, "0"))


def iso_from_ns(ns: int) -> str:
    """Unix ns (63 bits) -> ISO 8601 UTC with nanoseconds where they are not zero: '2026-01-31T09:00:00.000000001Z'."""
    if abs(int(ns)) > INT64_MAX:
        raise UnitError(f"time {ns} ns does not fit in 63 bits")
    seconds, rest = divmod(int(ns), NS_PER_S)
    base = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{base}.{rest:09d}Z" if rest else f"{base}Z"
