"""Addresses as they are compared: one reading, or none. What a host is decides whether real money is asked for (live/operate/confirm.py)."""

from __future__ import annotations

import ipaddress
import re

from hftkit.errors import ConfigError

# Scheme, host, port, path and nothing else: a user, a query, a fragment, a percent sign or a backslash is read in different ways by different readers
_ADDRESS = re.compile(r"(https?|wss?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\])(?::([0-9]{1,5}))?((?:/[A-Za-z0-9._~-]+)*/?)", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)


def host_of_url(url: str, name: str) -> str:
    """The host of a plain address. Raises ConfigError for anything that could be read in two ways."""
    whole = _ADDRESS.fullmatch(url)
    if whole is None or int(whole[3] or 1) not in range(1, 65536) or not _is_host(whole[2].strip("[]")):
        raise ConfigError(
            f"{name} is {url!r}, which is no plain address", "Write scheme://host:port/path, without user, query, percent sign or other marks"
        )
    return whole[2].strip("[]").lower()


def host_of(host: str, name: str) -> str:
    """A host name or address as it is compared. Raises ConfigError for anything that is neither."""
    if not _is_host(host):
        raise ConfigError(f"{name} is {host!r}, which is neither a host name nor an address", "Write it like 127.0.0.1 or venue.example.com")
    return host.lower()


def _is_host(host: str) -> bool:
    """A name of labels as DNS has them, or an address."""
    if ":" in host:
        try:
            return ipaddress.ip_address(host).version == 6
        except ValueError:
            return False
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in host.removesuffix(".").split("."))
