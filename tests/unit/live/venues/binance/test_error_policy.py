"""The error policy: every documented outcome has its reaction, and what may have executed is never called failed."""

from __future__ import annotations

import pytest

from live.venues.binance.error_policy import BY_CODE, Reaction, reaction

UNKNOWN_503 = "Unknown error, please check your request or try again later."


@pytest.mark.parametrize(
    ("status", "code", "text", "expected"),
    [
        (503, -1000, UNKNOWN_503, Reaction.QUERY),
        (503, 0, UNKNOWN_503, Reaction.QUERY),
        (503, 0, "Service Unavailable.", Reaction.RETRY_LATER),
        (503, -1001, "Internal error; unable to process your request. Please try again.", Reaction.RETRY_LATER),
        (503, -1008, "Request throttled by system-level protection. Reduce-only/close-position orders are exempt.", Reaction.RETRY_LATER),
        (408, -1007, "Timeout waiting for response from backend server.", Reaction.QUERY),
        (502, 0, "<html>bad gateway</html>", Reaction.QUERY),
        (0, 0, "TimeoutError", Reaction.QUERY),
        (429, -1003, "Too many requests", Reaction.BACK_OFF),
        (429, -1015, "Too many new orders", Reaction.BACK_OFF),
        (418, -1003, "Way too many requests; IP banned until 1790000060000.", Reaction.BACK_OFF),
        (400, -1021, "Timestamp for this request is outside of the recvWindow.", Reaction.SYNC_CLOCK),
        (400, -2019, "Margin is insufficient.", Reaction.NEVER),
        (400, -4164, "Order's notional must be no smaller than 100", Reaction.NEVER),
        (400, -4116, "ClientOrderId is duplicated.", Reaction.NEVER),
        (400, -5022, "Post Only order will be rejected.", Reaction.NEVER),
        (401, -2015, "Invalid API-key, IP, or permissions for action.", Reaction.STOP),
        (400, -1022, "Signature for this request is not valid.", Reaction.STOP),
        (403, 0, "", Reaction.BACK_OFF),
        (400, -9999, "a code of the future", Reaction.NEVER),
    ],
)
def test_documented_outcomes(status, code, text, expected):
    assert reaction(status, code, text) is expected


@pytest.mark.parametrize("status", [0, *range(500, 600)])
def test_without_the_venues_word_that_it_failed_the_outcome_is_unknown(status):
    assert reaction(status, 0, "whatever") is Reaction.QUERY


def test_the_codes_of_unknown_execution_are_never_retried():
    assert {code for code, what in BY_CODE.items() if what is Reaction.QUERY} == {-1000, -1006, -1007}
