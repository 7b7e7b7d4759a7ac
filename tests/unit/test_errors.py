"""Errors for people: one line with a cure."""

from __future__ import annotations

import inspect

import pytest

from hftkit import errors
from hftkit.errors import HftkitError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, HftkitError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_is_one_line_with_problem_and_cure(kind: type[HftkitError]) -> None:
    error = kind("port 9001 is in use", "Choose another with --port")
    assert str(error) == "port 9001 is in use. Choose another with --port"
    assert str(kind("the venue went away")) == "the venue went away"
    assert (error.problem, error.cure) == ("port 9001 is in use", "Choose another with --port")
    assert error.exit_code != 0
