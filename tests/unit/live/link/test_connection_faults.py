"""Each way in which a connection can fail, on real sockets: the line names the cause and a cure, and none blames the key."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from hftkit.errors import VenueError
from live.link.breaker import Breaker
from live.link.connection_faults import explain, page_in_words
from live.link.rate_budget import RateBudget
from live.link.websocket import open_websocket
from live.venues.binance.error_policy import Reaction
from live.venues.binance.keys import ApiKey
from live.venues.binance.rest import BinanceRest, RestError, refusal_in_words
from live.venues.binary.discovery import connect

PAGE = b"<html><head><title>502 Bad Gateway</title></head></html>"
NOT_HTTP = b"\x18\x00\x22\x01\xff\xff\xff\xff" * 3


def http(status: str, body: bytes, extra: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nContent-Type: text/html\r\n{extra}\r\n".encode() + body


@contextlib.contextmanager
def server(answer: bytes | None) -> Iterator[int]:
    """A server that reads a request and gives these bytes, then closes; None: it never says a word."""
    listening = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listening.accept()
                kept.append(peer)
                if answer is not None:
                    peer.recv(4096)
                    peer.sendall(answer)
                    peer.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for peer in kept:
            peer.close()
        thread.join(10)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def by_rest(url: str, timeout_s: float = 5.0) -> RestError:
    async def ask() -> RestError:
        client = BinanceRest(url, ApiKey("the-key", "the-secret"), RateBudget(()), Breaker(), lambda: 1, lambda: 1.0, timeout_s=timeout_s)
        await client.open()
        try:
            with pytest.raises(RestError) as caught:
                await client.once("GET", "/fapi/v1/time", signed=True)
            return caught.value
        finally:
            await client.close()

    return asyncio.run(ask())


def by_websocket(url: str, timeout_s: float = 5.0) -> str:
    with pytest.raises(VenueError) as caught:
        open_websocket(url, timeout_s, None)
    return str(caught.value)


CASES = {
    "a closed connection": (b"", "closes the connection without an answer"),
    "another protocol": (NOT_HTTP, "does not speak HTTP there"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_answers_in_the_venues_place(name):
    answer, words = CASES[name]
    with server(answer) as port:
        problem, cure = refusal_in_words(f"http://127.0.0.1:{port}", by_rest(f"http://127.0.0.1:{port}"))
        shown = by_websocket(f"ws://127.0.0.1:{port}/ws")
    for line in (f"{problem}. {cure}", shown):
        assert words in line
        assert "port of another service" in line
        assert "key" not in line
        assert "\n" not in line
    assert "cannot be reached" in problem


def test_nobody_listens():
    port = closed_port()
    error = by_rest(f"http://127.0.0.1:{port}")
    problem, cure = refusal_in_words(f"http://127.0.0.1:{port}", error)
    assert problem == f"the venue at http://127.0.0.1:{port} cannot be reached: nobody listens there (connection refused)"
    assert cure == "Start the venue, or correct host and port"
    assert "nobody listens there" in by_websocket(f"ws://127.0.0.1:{port}/ws")
    with pytest.raises(VenueError, match=f"cannot reach the order entry port 127.0.0.1:{port}: nobody listens there"):
        connect("127.0.0.1", port, "order entry", 0.0)


def test_a_host_without_an_address_and_a_silent_one():
    for line in (str(by_rest("http://no-such-venue.invalid")), by_websocket("ws://no-such-venue.invalid/ws")):
        assert "its host name cannot be found" in line
    with server(None) as port:
        assert str(by_rest(f"http://127.0.0.1:{port}", 0.2)) == "no answer in time"
        assert "no answer in time" in by_websocket(f"ws://127.0.0.1:{port}/ws", 0.2)


def test_tls_where_there_is_none_and_a_certificate_that_nobody_knows(tmp_path):
    with server(NOT_HTTP) as port:
        assert str(by_rest(f"https://127.0.0.1:{port}")) == "it does not speak TLS there"
        assert "does not speak TLS there" in by_websocket(f"wss://127.0.0.1:{port}/ws")
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    untrusted.verify_message = "self-signed certificate"
    cause, cure = explain(untrusted)
    assert "not trusted (certificate verify failed: self-signed certificate)" in cause
    assert "ca_file" in cure


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http("502 Bad Gateway", PAGE), "a web page titled '502 Bad Gateway' instead of the venue's JSON (HTTP 502)"),
        (http("200 OK", PAGE), "instead of the venue's JSON (HTTP 200)"),
        (http("302 Found", b"", "Location: https://elsewhere.example/\r\n"), "it points elsewhere (HTTP 302)"),
    ],
)
def test_a_proxys_page_is_no_answer_and_a_redirection_is_not_followed(answer, words):
    with server(answer) as port:
        error = by_rest(f"http://127.0.0.1:{port}")
    problem, cure = refusal_in_words("http://v", error)
    assert words in problem
    assert "key" not in problem + cure
    if b"200 OK" in answer:
        assert error.reaction is Reaction.QUERY, "an order answered by a page may have been placed"


def test_an_address_that_is_none():
    assert str(by_rest("")) == str(by_rest("fapi.example.com")) == "its address is not one"


def test_a_status_instead_of_a_websocket():
    with server(http("403 Forbidden", PAGE)) as port:
        assert "it answers HTTP 403 Forbidden instead of a WebSocket" in by_websocket(f"ws://127.0.0.1:{port}/ws")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [(401, -2015, "refused the key"), (429, -1003, "wants a pause"), (400, -1021, "time stamp"), (503, -1001, "fails"), (400, -1121, "refused")],
)
def test_only_an_answer_about_the_key_blames_it(status, code, words):
    problem, cure = refusal_in_words("http://v", RestError(status, code, "text"))
    assert words in problem
    assert ("key" in problem + cure) == (code == -2015)


def test_what_is_wrapped_is_looked_through():
    inner = OSError(errno.ENETUNREACH, "Network is unreachable")
    outer = RuntimeError("wrapped")
    outer.__cause__ = inner
    assert explain(outer)[0] == "no way leads there (Network is unreachable)"
    outer.__cause__ = outer  # a circle ends
    assert explain(outer)[0] == "wrapped"
    assert explain(ValueError())[0] == "ValueError"


@pytest.mark.parametrize("body", [b"", b'{"code":-1}', b"[]", b"  {}", b"Service unavailable"])
def test_what_is_no_page_is_left_to_be_read(body):
    assert page_in_words(200, body) == ""
