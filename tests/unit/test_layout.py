"""Layouts: offsets that a C programmer would expect, frames of whole words, tables that can be printed."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from hftkit import layout
from hftkit.codes import MessageType
from hftkit.layout import FRAME, FRAMES, HEADER_WORDS, RECORDS, WORD, Frame, Record, protocol_tables

C_TYPES = {"<i8": ctypes.c_int64, "<f8": ctypes.c_double, "<i4": ctypes.c_int32, "<u4": ctypes.c_uint32, "|u1": ctypes.c_uint8, "u1": ctypes.c_uint8}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_a_record_lies_in_memory_as_the_same_c_struct(record: Record) -> None:
    fields = [(f.name, C_TYPES[f.kind] if f.count == 1 else C_TYPES[f.kind] * f.count) for f in record.fields]
    struct = type(record.name, (ctypes.Structure,), {"_fields_": fields})
    assert record.dtype.itemsize == ctypes.sizeof(struct)
    assert record.dtype.fields is not None
    for field in record.fields:
        assert record.dtype.fields[field.name][1] == getattr(struct, field.name).offset, field.name


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_a_record_is_a_whole_number_of_words(record: Record) -> None:
    assert record.dtype.itemsize % WORD == 0
    assert np.zeros(3, record.dtype).view(np.int64).size == 3 * record.dtype.itemsize // WORD


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_body_words_follow_the_header_without_holes(frame: Frame) -> None:
    assert [frame.word(field.name) for field in frame.fields] == list(range(HEADER_WORDS, frame.words))
    assert frame.bytes == 8 * (2 + len(frame.fields))
    assert frame.words <= layout.MAX_FRAME_WORDS
    assert len({field.name for field in frame.fields}) == len(frame.fields)


def test_every_message_type_has_exactly_one_frame() -> None:
    assert sorted(frame.type for frame in FRAMES) == sorted(MessageType)
    assert set(FRAME) == set(MessageType)


def test_the_sender_is_in_the_band_of_the_type() -> None:
    assert all((frame.sender == "client") == (frame.type < 32) for frame in FRAMES)


def test_an_unknown_field_is_refused_with_those_that_exist() -> None:
    with pytest.raises(KeyError, match=r"BBO has no field 'bid'.*bid_price"):
        FRAME[MessageType.BBO].word("bid")


def test_allowed_has_the_fields_of_want() -> None:
    assert layout.ALLOWED.dtype == layout.WANT.dtype


def test_known_offsets_of_the_protocol() -> None:
    # Counted by hand: header 8, sequence 8, then one word each.
    assert FRAME[MessageType.NEW_ORDER].bytes == 72
    assert FRAME[MessageType.NEW_ORDER].word("price") * WORD == 56
    assert FRAME[MessageType.ORDER_FILL].word("qty") * WORD == 72
    assert FRAME[MessageType.LOGOUT].bytes == 16


def test_the_protocol_tables_name_every_frame_and_field() -> None:
    text = protocol_tables()
    for frame in FRAMES:
        section = text.split(f"### {frame.name} (type {int(frame.type)}, {frame.bytes} bytes")[1].split("###")[0]
        for field in frame.fields:
            assert f"| {frame.word(field.name) * 8} | {field.name} | {field.unit} |" in section
