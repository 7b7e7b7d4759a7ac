"""The binary codec against struct, and against noise."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hftkit import layout
from hftkit.codes import EventKind, MessageType
from hftkit.kernels.wire import decode, encode
from hftkit.kernels.wire.frame import FRAME_BROKEN, FRAME_INCOMPLETE, FRAME_OK, FRAME_UNKNOWN, check_frame
from tests.support import NOBODY, frame, unpack_frames

INT = st.integers(-(2**63), 2**63 - 1)


def decoded(data, order_entry, n_instruments=4):
    words = np.frombuffer(data, np.int64).copy()
    event = np.zeros(1, layout.EVENT.dtype)
    read = decode.decode_order_entry if order_entry else decode.decode_market_data
    kind = read(words, 0, event, 77, n_instruments)
    return kind, event[0]


@given(st.integers(0, 3), st.integers(1, 2**40), st.integers(1, 2**50), st.integers(0, 1), st.integers(1, 2**40), st.integers(0, 2**40))
def test_depth_survives_the_wire(instrument, seq, ts, side, price, qty):
    kind, e = decoded(frame(MessageType.DEPTH, instrument, seq, ts, side, 1, price, qty), False)
    assert kind == EventKind.DEPTH
    assert (e["instrument"], e["seq"], e["ts_event"], e["side"], e["flags"], e["price"], e["qty"]) == (instrument, seq, ts, side, 1, price, qty)
    assert e["ts_recv"] == 77


def test_every_field_of_a_fill_arrives():
    kind, e = decoded(frame(MessageType.ORDER_FILL, 2, 5, 1000, 11, 22, 33, 1, 1, 400, 7, 3, -9), True)
    assert kind == EventKind.ORDER_FILL
    names = ("ts_event", "client_order_id", "order_id", "trade_id", "side", "flags", "price", "qty", "leaves_qty", "fee_e8")
    assert tuple(int(e[n]) for n in names) == (1000, 11, 22, 33, 1, 1, 400, 7, 3, -9)


@given(st.sampled_from(list(MessageType)), st.integers(0, 6), st.booleans(), st.data())
def test_no_body_is_trusted(kind, instrument, order_entry, data):
    """Whatever 64-bit values a frame of the right length holds, the decoder gives a known kind or MALFORMED, and never an index out of range."""
    body = [data.draw(INT) for _ in layout.FRAME[kind].fields]
    answer, e = decoded(frame(kind, instrument, data.draw(INT), *body), order_entry)
    assert answer == decode.MALFORMED or answer in set(EventKind)
    if answer != decode.MALFORMED:
        assert -1 <= e["instrument"] < 4
        assert e["side"] in (0, 1)


@given(st.binary(max_size=400))
def test_noise_is_incomplete_unknown_broken_or_a_frame(noise):
    data = noise[: len(noise) // 8 * 8]
    words = np.frombuffer(data, np.int64).copy()
    verdict = check_frame(words, 0, words.size)
    assert verdict in (FRAME_OK, FRAME_INCOMPLETE, FRAME_UNKNOWN, FRAME_BROKEN)
    if verdict == FRAME_OK:
        assert words[0] & 0xFFFF <= len(data)


def test_header_faults_are_told_apart():
    good = frame(MessageType.DEPTH, 0, 1, 1, 0, 1, 5, 5)
    words = np.frombuffer(good, np.int64).copy()
    assert check_frame(words, 0, words.size) == FRAME_OK
    assert check_frame(words, 0, words.size - 1) == FRAME_INCOMPLETE
    other_version = words.copy()
    other_version[0] ^= 3 << 24
    assert check_frame(other_version, 0, words.size) == FRAME_UNKNOWN
    unknown_type = words.copy()
    unknown_type[0] = (words[0] & ~np.int64(0xFF0000)) | (99 << 16)
    assert check_frame(unknown_type, 0, words.size) == FRAME_UNKNOWN
    odd_length = words.copy()
    odd_length[0] += 1
    assert check_frame(odd_length, 0, words.size) == FRAME_BROKEN
    assert check_frame(np.zeros(4, np.int64), 0, 4) == FRAME_BROKEN


def test_encoded_frames_read_back_with_struct():
    out = np.zeros(256, np.int64)
    order = np.zeros(1, layout.ORDER.dtype)
    o = order[0]
    o["client_order_id"], o["instrument"], o["side"], o["order_type"], o["time_in_force"], o["flags"], o["price"], o["qty"] = (
        9,
        3,
        1,
        0,
        1,
        2,
        500,
        70,
    )
    end = encode.encode_new_order(out, 0, 1, order[0])
    end = encode.encode_cancel(out, end, 2, 3, 9)
    end = encode.encode_order_query(out, end, 3, 3, 9)
    end = encode.encode_heartbeat(out, end, 4, 123)
    end = encode.encode_cancel_all(out, end, 5)
    end = encode.encode_logout(out, end, 6)
    end = encode.encode_subscribe(out, end, 7, layout.ALL_INSTRUMENTS, 6)
    end = encode.encode_snapshot_request(out, end, 8, 2)
    assert unpack_frames(out[:end].tobytes()) == [
        (MessageType.NEW_ORDER, 3, 1, (9, 1, 0, 1, 2, 500, 70)),
        (MessageType.CANCEL_ORDER, 3, 2, (9,)),
        (MessageType.ORDER_QUERY, 3, 3, (9,)),
        (MessageType.HEARTBEAT, NOBODY, 4, (123,)),
        (MessageType.CANCEL_ALL, NOBODY, 5, ()),
        (MessageType.LOGOUT, NOBODY, 6, ()),
        (MessageType.SUBSCRIBE, NOBODY, 7, (6,)),
        (MessageType.SNAPSHOT_REQUEST, 2, 8, ()),
    ]
