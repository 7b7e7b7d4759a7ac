"""One account has one engine: a lock that every engine of this user sees, held for life.

The lock is an flock on a private file (0600, in a 0700 folder of this user alone), so nobody else can hold it, and it is gone the moment its process
is, however that ends. What the file says (who holds it) is for people. An account has a lock for each name that it is known by: the venue's own
name for it, and the API key. Other machines are beyond it: they are noticed at the venue (live/venues/binance/foreign_orders.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from hftkit import clock
from hftkit.errors import ConfigError, VenueError

STATE_VARIABLE = "XDG_STATE_HOME"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})
_DEFAULT_PORT = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_LONGEST = 4096  # bytes read of what a holder has written


def lease_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where this user's leases lie: $XDG_STATE_HOME/hftkit/leases, by default ~/.local/state/hftkit/leases. Raises ConfigError without a home."""
    base = Path(environment.get(STATE_VARIABLE, ""))  # a relative one would be another place for every working folder: passed over, as its rules say
    try:
        return (base if base.is_absolute() else Path.home() / ".local" / "state") / "hftkit" / "leases"
    except RuntimeError:
        raise ConfigError("this user has no home folder for the lock of the account", f"Set HOME or {STATE_VARIABLE}") from None


def venue_name(url: str) -> str:
    """Host and port of an address in one spelling: "https://FAPI.example.com./x" is "fapi.example.com:443", every loopback name is "loopback"."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    return f"{'loopback' if host in _LOOPBACK else host}:{parts.port or _DEFAULT_PORT.get(parts.scheme, 0)}"


def fingerprint(secret: str) -> str:
    """What stands for an API key where it must not be shown."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


def _private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ConfigError(f"{folder} is not a folder of this user", f"Remove it, or set {STATE_VARIABLE} to a private folder")
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def _open(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
        os.close(fd)
        raise ConfigError(f"{path} is not a file of this user", f"Remove it, or set {STATE_VARIABLE} to a private folder")
    os.fchmod(fd, 0o600)
    return fd


def _holder(fd: int) -> str:
    """Who holds it, in words; what cannot be read is left out."""
    try:
        told = json.loads(os.pread(fd, _LONGEST, 0))
        return f"session {str(told['session'])[:100]!r}, pid {int(told['pid'])}, in {str(told['folder'])[:300]!r}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another engine of this user"


class Lease:
    """The locks of one account. Hold the object for as long as the account is traded.

    Owner: the engine's thread; the venue loop takes a lock while that thread waits for it.
    """

    def __init__(self, session: str, folder: Path, leases: Path | None = None) -> None:
        self._told = {"pid": os.getpid(), "session": session, "folder": str(folder), "since_unix_ns": clock.unix_ns()}
        self._folder = leases
        self._held: dict[str, int] = {}

    def take(self, name: str, account: str) -> None:
        """Lock the account under one of its names. `name`: the same text for every engine that means this account; `account`: in words, for people.

        Raises VenueError naming the holder if it is taken, ConfigError if the lock cannot be made. Taking what is held already does nothing.
        """
        if name in self._held:
            return
        folder = self._folder or lease_folder()
        path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.lease"
        try:
            _private_folder(folder)
            fd = _open(path)
        except OSError as error:
            raise ConfigError(
                f"the lock of the account, {path}, cannot be made ({error.strerror or error})", f"Set {STATE_VARIABLE} to a private, writable folder"
            ) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(fd)
            os.close(fd)
            if not isinstance(error, BlockingIOError):
                raise ConfigError(f"{path} cannot be locked ({error.strerror})", f"Set {STATE_VARIABLE} to a folder on a local disk") from None
            raise VenueError(
                f"{account} is traded already: {holder}", "One account has one engine: stop that one first, or trade with another account"
            ) from None
        with contextlib.suppress(OSError):  # a full disk: it is held all the same
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps({**self._told, "account": account}).encode()[:_LONGEST], 0)
        self._held[name] = fd

    def release(self) -> None:
        """Give all locks back. A second call does nothing."""
        while self._held:
            os.close(self._held.popitem()[1])
