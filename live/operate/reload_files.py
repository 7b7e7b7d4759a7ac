"""The two files by which `hftkit reload` and an engine talk, in the session's folder: a request, which the engine takes away, and its answer.

Both are private (0600) and whole or not there at all. The request names files; what counts is what the engine itself reads and verifies.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from hftkit.errors import HftkitError
from hftkit.system import private_files

REQUEST, ANSWER = "reload.request", "reload.answer"
_MOST_BYTES = 1 << 20


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is asked for. `number`: chosen by whoever asks, names the answer; `params`, `limits`: absolute paths, "" for none."""

    number: int
    params: tuple[str, ...] = ()
    limits: str = ""


class NewFile(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen file that has taken the place of another: digests before and after."""

    strategy: str
    before: str
    after: str
    file: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request. `text`: in words; `limits`: by name, before and after; `paused_ms`: how long the hot loop stood still for it."""

    number: int
    done: bool
    text: str
    params: tuple[NewFile, ...] = ()
    limits: dict[str, tuple[int | str | None, int | str | None]] = {}
    paused_ms: float = 0.0


def put_request(folder: Path, request: Request) -> None:
    """Lay a request down. Raises HftkitError where another one is there, or the folder cannot be written."""
    private_files.write(folder / REQUEST, msgspec.json.encode(request), "reload request")


def take_back(folder: Path) -> bool:
    """Remove a request that the engine has not taken. Whether it was there."""
    try:
        (folder / REQUEST).unlink()
    except OSError:
        return False
    return True


def take_request(folder: Path) -> Request | None:
    """The request that lies there, taken away; None if there is none. Raises HftkitError for one that the engine's user has not written alone."""
    path = folder / REQUEST
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        take_back(folder)
        raise HftkitError(f"{path} cannot be read: {error.strerror}", "Ask with: hftkit reload") from None
    with open(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        take_back(folder)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise HftkitError(f"{path} is not a private file of the engine's user", "Ask with: hftkit reload, as the user that runs the engine")
        text = stream.read(_MOST_BYTES)
    try:
        return msgspec.json.decode(text, type=Request)
    except (ValueError, msgspec.DecodeError):
        raise HftkitError(f"{path} is no request", "Ask with: hftkit reload") from None


def put_answer(folder: Path, answer: Answer) -> None:
    """Say what came of it."""
    private_files.write(folder / ANSWER, msgspec.json.encode(answer), "reload answer", replace=True)


def answer_to(folder: Path, number: int) -> Answer | None:
    """The answer to a request, None if it is not there (yet)."""
    try:
        found = msgspec.json.decode((folder / ANSWER).read_bytes(), type=Answer)
    except (OSError, ValueError, msgspec.DecodeError):
        return None
    return found if found.number == number else None
