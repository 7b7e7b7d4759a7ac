"""Codes: unique, in their bands, each with a text."""

from __future__ import annotations

import enum
import inspect

import pytest

from hftkit import codes
from hftkit.codes import Code, MessageType, OrderFlag, RecordType, Reject, Side

ENUMS = [member for _, member in inspect.getmembers(codes, inspect.isclass) if issubclass(member, Code) and member is not Code]
BANDS = {"RISK": 100, "ORDERS": 200, "SESSION": 300, "VENUE": 400, "BOOK": 500}


@pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)
def test_every_number_means_one_thing(kind: type[Code]) -> None:
    enum.unique(kind)  # raises on an alias


@pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)
def test_every_code_has_a_text_for_people(kind: type[Code]) -> None:
    texts = [member.text for member in kind]
    assert len(set(texts)) == len(texts)
    assert all(text and text == text.lower() and "_" not in text for text in texts)


@pytest.mark.parametrize("reject", [reject for reject in Reject if reject is not Reject.NONE], ids=lambda reject: reject.name)
def test_a_reject_number_alone_says_which_room_refused(reject: Reject) -> None:
    band = BANDS[reject.name.split("_")[0]]
    assert band < reject < band + 100


def test_message_types_are_in_their_bands() -> None:
    market_data = {"INSTRUMENT", "BBO", "TRADE", "DEPTH", "SNAPSHOT_BEGIN", "SNAPSHOT_END", "MARKET_STATUS"}
    assert {message.name for message in MessageType if 64 <= message < 96} == market_data
    answers = {message.name for message in MessageType if 32 <= message < 64}
    assert {"LOGON_ACK", "ORDER_ACK", "ORDER_REJECT", "ORDER_FILL", "POSITION", "SESSION_REJECT"} <= answers


def test_message_types_fit_in_the_header_byte() -> None:
    assert all(0 < message < 256 for message in MessageType)


def test_record_types_say_whether_a_record_goes_into_step_or_comes_out() -> None:
    inputs = {record.name for record in RecordType if 16 <= record < 32}
    outputs = {record.name for record in RecordType if 32 <= record < 48}
    assert all(name.endswith("_IN") for name in inputs)
    assert outputs == {"ORDER_ENTRY_OUT", "MARKET_DATA_OUT", "DECISION"}


def test_the_side_gives_the_sign_of_a_position_change() -> None:
    assert [1 - 2 * side for side in (Side.BUY, Side.SELL)] == [1, -1]


def test_flags_are_single_bits() -> None:
    for kind in (OrderFlag, codes.DepthFlag, codes.Channel):
        assert all(flag.bit_count() == 1 for flag in kind)
