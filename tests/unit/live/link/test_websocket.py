"""Opening a WebSocket against the real `websockets` server, plain and TLS: handshake, bytes after it, logon exchange, refusals."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.sync.server import serve
from websockets.uri import parse_uri

from hftkit.errors import VenueError
from live.link.websocket import ask, control_frame, open_websocket, text_frame, tls_context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    return folder


@contextlib.contextmanager
def server(handler, tls=None):
    with serve(handler, "127.0.0.1", 0, ssl=tls, compression=None) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running.socket.getsockname()[1]
        running.shutdown()
        thread.join()


def eager(connection):
    """Sends at once, then echoes."""
    connection.send("first")
    for message in connection:
        connection.send(f"<{message}>")


def received(opened, n):
    """Read frames with the library's own parser until `n` texts have come."""
    protocol = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)
    protocol.receive_data(opened.rest)
    texts = []
    while len(texts) < n:
        texts += [bytes(event.data).decode() for event in protocol.events_received() if event.opcode == 1]
        if len(texts) < n:
            protocol.receive_data(opened.connection.recv(4096))
    return texts


@pytest.mark.parametrize("secure", [False, True])
def test_nothing_that_follows_the_handshake_is_lost(certificate, secure):
    tls = None
    if secure:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with server(eager, tls) as port:
        scheme, context = ("wss", tls_context(str(certificate / "cert.pem"))) if secure else ("ws", None)
        opened = open_websocket(f"{scheme}://127.0.0.1:{port}/ws", 5, context)
        opened.connection.sendall(text_frame("hällo"))
        assert received(opened, 2) == ["first", "<hällo>"]
        opened.connection.close()


def test_a_logon_exchange_before_the_compiled_path_takes_over():
    def handler(connection):
        connection.ping("are you there")
        request = json.loads(connection.recv())
        connection.send(json.dumps({"id": request["id"], "status": 200}))
        connection.send("data at once")
        connection.recv()

    with server(handler) as port:
        opened = open_websocket(f"ws://127.0.0.1:{port}/", 5, None)
        reply, opened = ask(opened, '{"id":"logon"}', 5)
        assert json.loads(reply) == {"id": "logon", "status": 200}
        assert received(opened, 1) == ["data at once"]
        opened.connection.sendall(control_frame(8))
        opened.connection.close()


def test_a_certificate_that_is_not_trusted_is_refused(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with server(eager, tls) as port, pytest.raises(VenueError, match="certificate verify failed"):
        open_websocket(f"wss://127.0.0.1:{port}/", 5, None)
    with pytest.raises(VenueError, match="ca_file"):
        tls_context(str(certificate / "nowhere.pem"))


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", b"", b"SSH-2.0-OpenSSH\r\n\r\n"])
def test_what_is_no_websocket_is_told_in_one_line_without_the_listen_key(answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve_once():
            peer, _ = listener.accept()
            peer.recv(4096)
            peer.sendall(answer)
            peer.close()

        thread = threading.Thread(target=serve_once)
        thread.start()
        with pytest.raises(VenueError) as raised:
            open_websocket(f"ws://127.0.0.1:{listener.getsockname()[1]}/private/ws/sEcReTlIsTeNkEy", 5, None)
        thread.join()
    assert "sEcReTlIsTeNkEy" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(VenueError, match="not a ws:// or wss://"):
        open_websocket("http://127.0.0.1/", 1, None)
