"""Decimal text and integers: exact both ways, or refused."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftkit.errors import UnitError
from hftkit.units import E8, INT64_MAX, decimal, from_e8, from_steps, iso_from_ns, ns_from_iso, to_e8, to_steps

INT64 = st.integers(-INT64_MAX, INT64_MAX)
STEPS = st.sampled_from(["0.01", "0.05", "0.00000001", "1", "0.25", "2.5", "1000", "0.0123456789012345", "1e-3", "7e2"])


@given(INT64, STEPS)
def test_steps_survive_the_trip_through_text(steps: int, step: str) -> None:
    text = from_steps(steps, step)
    assert to_steps(text, step) == steps
    assert Fraction(text) == steps * Fraction(step)  # an independent exact arithmetic


@given(INT64)
def test_e8_survives_the_trip_through_text(amount: int) -> None:
    assert to_e8(from_e8(amount)) == amount
    assert Fraction(from_e8(amount)) == Fraction(amount, E8)


@given(st.decimals(-(10**9), 10**9, allow_nan=False, places=6), st.sampled_from(["0.01", "0.05", "3", "0.5"]))
def test_rounding_agrees_with_fractions(value: Decimal, step: str) -> None:
    ratio = Fraction(value) / Fraction(step)
    floor, ceiling = ratio.__floor__(), ratio.__ceil__()
    assert to_steps(value, step, rounding="down") == floor
    assert to_steps(value, step, rounding="up") == ceiling
    nearest = to_steps(value, step, rounding="nearest")
    assert abs(nearest - ratio) <= Fraction(1, 2)
    if floor == ceiling:
        assert to_steps(value, step) == floor
    else:
        with pytest.raises(UnitError, match="not a multiple"):
            to_steps(value, step)


def test_the_refusal_names_the_nearest_multiples() -> None:
    with pytest.raises(UnitError) as refused:
        to_steps("100.03", "0.05", "price of BTCUSDT")
    assert str(refused.value) == "price of BTCUSDT 100.03 is not a multiple of 0.05. Nearest multiples: 100.00 and 100.05"
    with pytest.raises(UnitError, match=r"Nearest multiples: -100\.05 and -100\.00"):
        to_steps("-100.03", "0.05")


@pytest.mark.parametrize("value", [0.1, 2.0, float("nan"), float("inf"), np.float64(0.1)])
def test_a_float_is_refused(value: float) -> None:
    with pytest.raises(UnitError, match="floats never carry a price"):
        decimal(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-Infinity", "sNaN", Decimal("nan"), Decimal("-inf")])
def test_not_finite_is_refused(text: str | Decimal) -> None:
    with pytest.raises(UnitError, match="not finite"):
        decimal(text)


@pytest.mark.parametrize("text", ["", " ", "abc", "1,5", "0x10", "1.2.3", "--1", "1_000", " 1", "1\n", "１２", "1e9999", None, (0, (1,), 0), b"1"])
def test_what_is_not_plain_decimal_text_is_refused(text: object) -> None:
    with pytest.raises(UnitError, match="not a decimal number"):
        decimal(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), ("-0.5", Fraction(-1, 2)), (".5", Fraction(1, 2)), ("5.", 5), ("+1e-8", Fraction(1, E8)), (7, 7)]
)
def test_plain_decimal_text_is_read(text: str, value: Fraction) -> None:
    assert Fraction(decimal(text)) == value


@pytest.mark.parametrize("text", ["92233720368547758.08", "1e300", "-1e300", "123456789012345678901234567890"])
def test_more_than_63_bits_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match=r"2\*\*63"):
        to_steps(text, "0.01")


def test_the_largest_int64_passes() -> None:
    assert to_steps("92233720368547758.07", "0.01") == INT64_MAX


@pytest.mark.parametrize("step", ["0", "-0.01"])
def test_a_step_that_is_not_positive_is_refused(step: str) -> None:
    with pytest.raises(UnitError, match="not positive"):
        to_steps("1", step)


@given(INT64)
def test_time_survives_the_trip_through_text_to_the_nanosecond(ns: int) -> None:
    assert ns_from_iso(iso_from_ns(ns)) == ns


@given(st.datetimes(min_value=datetime(1700, 1, 1), max_value=datetime(2250, 1, 1), timezones=st.just(UTC)))
def test_time_agrees_with_the_calendar_of_the_standard_library(moment: datetime) -> None:
    seconds = int((moment.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    assert ns_from_iso(moment.isoformat()) == seconds * 10**9 + moment.microsecond * 1000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:00:01.5+00:00", 1_500_000_000),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2026-01-31T09:00:00Z", 1_769_850_000_000_000_000),  # date -u -d 2026-01-31T09:00:00Z +%s
    ],
)
def test_known_times(text: str, ns: int) -> None:
    assert ns_from_iso(text) == ns


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-01-31T09:00:00", "no time zone"),
        ("2026-01-31", "no time zone"),
        ("yesterday", "not ISO 8601"),
        ("2026-02-30T00:00:00Z", "not ISO 8601"),
        ("2026-01-31T09:00:00.1234567891Z", "finer than a nanosecond"),
        ("20260131T090000.1234567Z", "not ISO 8601"),
    ],
)
def test_a_time_that_would_need_a_guess_is_refused(text: str, why: str) -> None:
    with pytest.raises(UnitError, match=why):
        ns_from_iso(text)


def test_a_time_beyond_63_bits_is_refused() -> None:
    with pytest.raises(UnitError, match="63 bits"):
        iso_from_ns(10**30)
