"""Why a connection to a venue did not come about, in one line with its cure. Pure: an exception, or what came in place of an answer, to words.

Whoever connects lets the exception through to here, so that REST, WebSockets and the binary sockets say the same of the same fault.
A fault of the way to the venue never blames the API key.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator

_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)
_GONE = ("ServerDisconnectedError", "IncompleteReadError", "EOFError", "ConnectionClosed")
_NO_HTTP = ("BadStatusLine", "BadHttpMessage", "InvalidMessage", "LineTooLong", "ClientPayloadError", "ClientResponseError", "InvalidHeader")
_NO_URL = ("InvalidURL",)
_NO_NAME, _NO_WEBSOCKET = ("ClientConnectorDNSError",), ("InvalidHandshake",)
_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,80}?)\s*</title", re.IGNORECASE)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what lies behind it: causes, and what the HTTP client has wrapped."""
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in seen and len(seen) < 8:
        seen.append(found)
        yield found
        inner = [getattr(found, name, None) for name in ("certificate_error", "os_error")]
        found = next((one for one in inner if isinstance(one, BaseException) and one not in seen), None) or found.__cause__ or found.__context__


def _is_named(error: BaseException, names: tuple[str, ...]) -> bool:
    """By name: a session of the binary protocol has neither the HTTP nor the WebSocket library in it."""
    return any(kind.__name__ in names for kind in type(error).__mro__)


def explain(error: BaseException) -> tuple[str, str]:
    """Cause and cure of an exception that a connection attempt has raised."""
    for one in _chain(error):
        if isinstance(one, socket.gaierror) or _is_named(one, _NO_NAME):
            why = getattr(one, "strerror", "") or getattr(getattr(one, "os_error", None), "strerror", "") or "no address"
            return f"its host name cannot be found ({why})", "Correct the address, or see to this machine's network and name server"
        if isinstance(one, ssl.SSLCertVerificationError):
            why = str(getattr(one, "verify_message", "") or one.reason or "not valid")
            return (
                f"its TLS certificate is not trusted (certificate verify failed: {why})",
                "Correct the address or this machine's clock; for a certificate of the venue's own set ca_file",
            )
        if isinstance(one, ssl.SSLError):
            return "it does not speak TLS there", "Is this an http:// or ws:// address, or the port of another service?"
        if isinstance(one, ConnectionRefusedError):
            return "nobody listens there (connection refused)", "Start the venue, or correct host and port"
        if isinstance(one, TimeoutError):
            return "no answer in time", "Is the address right, and does a firewall or proxy swallow the traffic?"
        if isinstance(one, OSError) and one.errno in _UNREACHABLE:
            return f"no way leads there ({one.strerror})", "Correct the address, or see to this machine's network"
        if isinstance(one, ConnectionError | EOFError) or _is_named(one, _GONE):
            return "it closes the connection without an answer", "Is this the port of another service, or an https:// address asked as http://?"
        if _is_named(one, _NO_URL):
            return "its address is not one", "Give the whole address, with http:// or https://"
        if _is_named(one, _NO_HTTP):
            return "it does not speak HTTP there", "Is this the port of another service?"
        if _is_named(one, _NO_WEBSOCKET):
            return str(one), "Correct the address: a proxy, or another server, answers there"
    text = str(error) or type(error).__name__
    return text, "Is the venue up, and the address right?"


def page_in_words(status: int, body: bytes) -> str:
    """What came instead of the venue's JSON, in words; '' if it may be the venue's."""
    head = body[:2048].lstrip()
    if 300 <= status < 400:
        return f"it points elsewhere (HTTP {status})"
    if not head.startswith(b"<"):
        return ""
    title = _TITLE.search(head)
    named = f" titled {title[1].decode('utf-8', 'replace')!r}" if title else ""
    return f"a web page{named} instead of the venue's JSON (HTTP {status})"
