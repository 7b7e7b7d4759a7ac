"""Clients that say nothing, half of something, or what is no HTTP: deadlines, answers in the venue's form, and never a traceback."""

from __future__ import annotations

import json
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.contract.binance.serving import HOST, Serving, serving


@pytest.fixture(scope="module")
def hasty() -> Iterator[Serving]:
    """A venue whose deadlines are short."""
    with serving(request_timeout_s=0.5, idle_timeout_s=1.0, weight_per_minute=1_000_000) as venue:
        yield venue


def talk(venue: Serving, data: bytes, timeout: float = 10) -> bytes:
    """All that comes back until the connection is closed."""
    with closing(socket.create_connection((HOST, venue.port), timeout=timeout)) as line:
        line.sendall(data)
        return b"".join(iter(lambda: line.recv(65536), b""))


def answer_of(text: bytes) -> tuple[int, dict[str, object]]:
    """Status and body of one answer."""
    head, _, body = text.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


@pytest.mark.parametrize(
    "begun",
    [b"", b"G", b"GET /fapi/v1/ping HTTP/1.1\r\nHost: x", b"GET /fapi/v1/ping HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 900],
)
def test_half_a_request_does_not_stay(hasty: Serving, begun: bytes) -> None:
    assert talk(hasty, begun) == b""  # closed by the venue, long before the ten seconds of this socket


def test_many_half_requests_do_not_stay(hasty: Serving) -> None:
    lines = [socket.create_connection((HOST, hasty.port), timeout=30) for _ in range(200)]
    for line in lines:
        line.sendall(b"POST /fapi/v1/order HTTP/1.1\r\n")
    assert all(line.recv(1) == b"" for line in lines)
    assert hasty.ask("GET", "/fapi/v1/ping").status == 200


def test_a_body_that_does_not_come(hasty: Serving) -> None:
    status, body = answer_of(talk(hasty, b"POST /fapi/v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nsymbol="))
    assert (status, body["code"]) == (408, -1100)
    status, body = answer_of(talk(hasty, b"POST /fapi/v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: 1100000\r\n\r\n" + b"a" * 1_100_000))
    assert (status, body["code"]) == (413, -1130)


def test_an_idle_connection_is_closed(hasty: Serving) -> None:
    text = talk(hasty, b"GET /fapi/v1/ping HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer_of(text) == (200, {})


UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
BAD_TARGETS = [
    b"/fapi/v1/depth?symbol=\xc3\xa9",
    b"/\xff\xfe",
    b"/fapi/v1/depth?symbol=%zz",
    b"/fapi/v1/depth?symbol=%",
    b"/fapi/v1/depth?symbol=a%00b",
]
BAD_TARGETS += [
    b"/fapi/v1/depth?symbol=a%00b",
    b"/fapi/v1/depth?symbol=%ff",
    b"/fapi/v1/depth?symbol=%c3%28",
    b"/ws/%ff",
    b"/stream?streams=\xc3\xa9@trade",
    b"/%00",
]


@pytest.mark.parametrize("target", BAD_TARGETS)
@pytest.mark.parametrize("upgrade", [False, True])
def test_a_target_with_other_characters(hasty: Serving, target: bytes, upgrade: bool, caplog: pytest.LogCaptureFixture) -> None:
    more = (
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        if upgrade
        else b""
    )
    status, body = answer_of(talk(hasty, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n"))
    assert (status, body["code"]) == (400, -1100)
    assert not [record for record in caplog.records if record.exc_info]


def test_percent_encoded_text_is_a_matter_of_the_endpoint(hasty: Serving) -> None:
    assert hasty.ask("GET", "/fapi/v1/depth?symbol=%E5%B8%81USDT").code == -1121


def test_no_request_line_brings_a_traceback(hasty: Serving, caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(7)
    parts = [
        b"GET",
        b"POST",
        b" ",
        b"  ",
        b"/fapi/v1/ping",
        b"/",
        b"?a=b",
        b"HTTP/1.1",
        b"HTTP/9.9",
        b"\r\n",
        b"\n",
        b"\r",
        b"\x00",
        b"\xff\xc3\xa9",
        b"%",
        b"%00",
    ]
    parts += [
        b"Host: x",
        b"Content-Length: -1",
        b"Content-Length: x",
        b"Transfer-Encoding: chunked",
        b"\r\n\r\n",
        b"zz\r\n",
        b":",
        b"A" * 40_000,
        b"\x16\x03\x01",
    ]
    parts += [
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"X-MBX-APIKEY: \xff",
        b"Expect: 100-continue",
        b"\xf0\x9f\x92\xa9",
        b"[::1",
        b"//",
        b"http://",
    ]
    before = hasty.venue.internal_errors.count
    for _ in range(300):
        data = b"".join(rng.choice(parts) for _ in range(rng.randint(1, 9))) + b"\r\n\r\n"
        with closing(socket.create_connection((HOST, hasty.port), timeout=20)) as line:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            try:
                text = b"".join(iter(lambda: line.recv(65536), b""))
            except ConnectionError:
                continue
        for head in text.split(b"HTTP/1.1 ")[1:]:
            assert int(head[:3]) < 500, (data, text)
    assert hasty.venue.internal_errors.count == before
    assert not [record for record in caplog.records if record.exc_info or "Traceback" in record.getMessage()]
    assert hasty.ask("GET", "/fapi/v1/ping").status == 200


@pytest.mark.parametrize("path", [b"/ws/btcusdt@trade", b"/ws-fapi/v1"])
@pytest.mark.parametrize(("frame", "code"), [(b"\xff\x80\0\0\0\0", 1002), (b"\x83\x80\0\0\0\0", 1002), (b"\x81\x82\0\0\0\0\xff\xfe", 1007)])
def test_an_invalid_frame_is_one_line_and_a_close(hasty: Serving, path: bytes, frame: bytes, code: int, caplog: pytest.LogCaptureFixture) -> None:
    before = hasty.venue.internal_errors.count
    with closing(socket.create_connection((HOST, hasty.port), timeout=10)) as line:
        line.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            head += line.recv(65536)
        line.sendall(frame)
        rest = head.partition(b"\r\n\r\n")[2] + b"".join(iter(lambda: line.recv(65536), b""))
    assert b"\x88" in rest
    close = rest[rest.rindex(b"\x88") :]
    assert struct.unpack("!H", close[2:4])[0] == code
    assert hasty.venue.internal_errors.count == before
    lines = [record for record in caplog.records if "invalid WebSocket frame" in record.getMessage()]
    assert len(lines) == 1
    assert not [record for record in caplog.records if record.exc_info]
