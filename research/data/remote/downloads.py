"""Bytes from a bulk archive (http(s) address or folder) and from REST endpoints: resumed, retried, and every failure as one clear line.

A download goes to a `.partial` file and continues where it stopped (HTTP range). 418 and 429 wait as long as the server says. Nothing here
knows what the bytes mean: digests and layouts are checked by who asked for them (research/data/remote/archive.py).
"""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import IncompleteRead
from pathlib import Path

from hftkit.errors import DataError

TIMEOUT_S = 30
ATTEMPTS = 4  # of one download: each takes up where the last one stopped
_CHUNK = 1 << 20
_BROKEN = (urllib.error.URLError, TimeoutError, ConnectionError, IncompleteRead)


class NotThere(DataError):
    """The source answers, and has no such file (404, or no such path in a folder)."""


def is_web(base: str) -> bool:
    """Whether `base` is an http(s) address rather than a folder."""
    return base.startswith(("http://", "https://"))


def read_text(base: str, name: str) -> str:
    """A small file below `base`. Raises NotThere or DataError."""
    if is_web(base):
        return get(f"{base.rstrip('/')}/{name}")[0].decode(errors="replace")
    return _local(base, name).read_text(errors="replace")


def bring(base: str, name: str, partial: Path) -> None:
    """Bring a file below `base` to `partial`, continuing what is already there; tries again while a broken line still makes progress."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    if not is_web(base):
        source = _local(base, name)
        try:
            shutil.copyfile(source, partial)
        except OSError as error:
            raise no_room(partial, error) from None
        return
    address = f"{base.rstrip('/')}/{name}"
    for attempt in range(ATTEMPTS):
        before = _size(partial)
        try:
            return _download(address, partial)
        except _BROKEN as error:
            if attempt + 1 == ATTEMPTS or _size(partial) == before:
                reason = getattr(error, "reason", error)
                raise DataError(f"{address} broke off ({reason})", "Load again: it continues where it stopped") from None


def get(address: str, retries: int = 5, headers: Mapping[str, str] | None = None) -> tuple[bytes, Mapping[str, str]]:
    """Body and headers of an address, asked with `headers`. Waits on 418 and 429 as long as Retry-After says.

    Raises NotThere for 404, DataError for anything else.
    """
    for attempt in range(retries + 1):
        try:
            with urllib.request.urlopen(urllib.request.Request(address, headers=dict(headers or {})), timeout=TIMEOUT_S) as answer:
                return bytes(answer.read()), {key.lower(): value for key, value in answer.headers.items()}
        except urllib.error.HTTPError as error:
            if error.code in (418, 429) and attempt < retries:
                time.sleep(float(error.headers.get("Retry-After") or 2**attempt))
                continue
            raise _refusal(address, error) from None
        except _BROKEN as error:
            raise DataError(f"{address} cannot be reached ({getattr(error, 'reason', error)})", "Check the address, or use a local copy") from None
    raise AssertionError("unreachable")


def _download(address: str, partial: Path) -> None:
    """One attempt. Raises one of _BROKEN where the line breaks, so that the caller may continue."""
    have = _size(partial)
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to fetch: the digest decides whether it is the right file
            return
        raise _refusal(address, error) from None
    with answer:
        try:
            file = partial.open("ab" if have and answer.status == 206 else "wb")
        except OSError as error:
            raise no_room(partial, error) from None
        expected = (have if answer.status == 206 else 0) + int(answer.headers.get("Content-Length") or 0)
        arrived = have if answer.status == 206 else 0
        try:
            while chunk := answer.read1(_CHUNK):
                arrived += len(chunk)
                try:
                    file.write(chunk)
                    file.flush()
                except OSError as error:
                    raise no_room(partial, error) from None
        finally:
            _close(file)
        if arrived < expected:
            raise ConnectionError(f"{arrived} of {expected} bytes arrived")


def _close(file: object) -> None:
    """Close; what could not be flushed was reported by the write before."""
    try:
        file.close()  # type: ignore[attr-defined]
    except OSError:
        return


def _refusal(address: str, error: urllib.error.HTTPError) -> DataError:
    kind = NotThere if error.code == 404 else DataError
    return kind(f"{address} answers {error.code} ({error.reason})", "Check market, kind, symbol, interval and period")


def no_room(path: Path, error: OSError) -> DataError:
    """The one line for a file that could not be written (full disk, quota, no permission)."""
    return DataError(f"cannot write {path}: {error.strerror or error}", "Make room on the disk, then load again: it continues where it stopped")


def _local(base: str, name: str) -> Path:
    path = Path(base) / name
    if not path.is_file():
        raise NotThere(f"there is no {path}", "Check market, kind, symbol, interval and period")
    return path


def _size(partial: Path) -> int:
    return partial.stat().st_size if partial.is_file() else 0
