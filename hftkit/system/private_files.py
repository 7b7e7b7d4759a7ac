"""Every file of a session or a simulator is made here: for its owner alone, never over what somebody else made, with its blocks allocated.

    private_folder    a folder 0700, or an existing one that nobody else can write
    create            a new file 0600: O_EXCL and O_NOFOLLOW, its space allocated where it will be mapped
    write             the whole content of a new file, or of one that this process may replace
    Made              files that are removed again at the end, if they are still the ones that were made

A mapped page without blocks kills whoever touches it (SIGBUS) once its file system is full; so what is mapped is allocated when it is made, and a
small shared memory is refused at the start, with the cure.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import stat
from pathlib import Path

from hftkit.errors import HftkitError

FILE_MODE, FOLDER_MODE = 0o600, 0o700
SHARED_MEMORY = Path("/dev/shm")
_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def _text(path: Path) -> str:
    from hftkit.reading import printable

    return printable(str(path))


def private_folder(path: Path, what: str = "session") -> Path:
    """The folder, made 0700 with its parents where it is missing. Raises HftkitError if others could put their files in the place of ours there."""
    try:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(FOLDER_MODE, exist_ok=True)
    except OSError as error:
        raise HftkitError(f"cannot make the {what} folder {_text(path)}: {error.strerror}", "Name a folder that you may write") from None
    except ValueError as error:  # a NUL in the name
        raise HftkitError(f"cannot make the {what} folder {_text(path)}: {error}", "Name a folder that can exist") from None
    if problem := others_may_write(path):
        raise HftkitError(f"the {what} folder {_text(path)} {problem}", f"chmod go-w {_text(path)}, or name another folder")
    return path


def others_may_write(folder: Path) -> str:
    """Why others could replace files in a folder, '' if they cannot: another owner, or write permission without the sticky bit."""
    status = folder.stat()
    if not stat.S_ISDIR(status.st_mode):
        return "is no folder"
    if status.st_uid not in (os.geteuid(), 0):
        return f"belongs to another user (id {status.st_uid})"
    if status.st_mode & stat.S_ISVTX:
        return ""  # everybody may add, nobody may take away what is not his
    if status.st_mode & stat.S_IWOTH:
        return "may be written by everybody"
    if status.st_mode & stat.S_IWGRP and status.st_gid != os.getegid():
        return f"may be written by the group {status.st_gid}"
    if status.st_mode & stat.S_IWGRP and os.getegid() != os.geteuid():  # a group of one's own has the user's number
        return f"may be written by the group {status.st_gid}"
    return ""


def create(path: Path, size: int = 0, what: str = "file") -> int:
    """A descriptor (read and write) of a new file 0600. `size`: bytes allocated at once. Raises HftkitError if it exists or there is no room."""
    try:
        descriptor = os.open(path, os.O_RDWR | _NEW, FILE_MODE)
    except FileExistsError:
        raise HftkitError(f"the {what} {_text(path)} exists already", "It is not overwritten: remove it by hand, or choose another name") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise HftkitError(f"cannot make the {what} {_text(path)}: {reason}", "Name a folder that exists and that you may write") from None
    try:
        if size:
            os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise HftkitError(f"no room for the {what} {_text(path)} of {size:,} bytes ({error.strerror})", _room_cure(path)) from None
    return descriptor


def _room_cure(path: Path) -> str:
    if SHARED_MEMORY in path.parents:
        return f"Free some of {SHARED_MEMORY} (`hftkit doctor --clean` removes pages of dead engines), or enlarge it: Docker's --shm-size=256m"
    return "Free some space there"


def create_mapped(path: Path, size: int, what: str, locked: bool = False) -> mmap.mmap:
    """A new file 0600 of `size` bytes, all allocated, mapped. `locked`: the kernel tells others that its writer lives (`has_writer`)."""
    descriptor = create(path, size, what)
    try:
        if locked:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _HELD.append(os.dup(descriptor))  # the lock lasts as long as any descriptor of this opening
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


_HELD: list[int] = []


def has_writer(descriptor: int) -> bool:
    """Whether the process that made a `locked` file still holds it. Does not wait, and holds nothing afterwards."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def map_own(path: Path, what: str = "file") -> mmap.mmap:
    """Map a whole file that this user made, read and write. Raises HftkitError for a link, another owner's file, or none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise HftkitError(f"cannot open the {what} {_text(path)}: {error}", "Is it still there, and yours?") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_size == 0:
            raise HftkitError(f"{_text(path)} is no {what} of this user", "Give the path that was printed at the start")
        return mmap.mmap(descriptor, 0)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes | str, what: str = "file", replace: bool = False, mode: int = FILE_MODE) -> os.stat_result:
    """Write a whole file; whoever looks sees nothing, or all of it. `replace`: over a file of ours; else one that exists is refused.

    Returns the status of the file that was made. Raises HftkitError.
    """
    data = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}.partial")
    descriptor = create(partial, 0, what)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(descriptor, mode)
            status = os.fstat(descriptor)
        if replace:
            partial.rename(path)
        else:
            os.link(partial, path, follow_symlinks=False)
            partial.unlink()
    except FileExistsError:
        partial.unlink(missing_ok=True)
        raise HftkitError(f"the {what} {_text(path)} exists already", "It is not overwritten: remove it by hand, or choose another name") from None
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise HftkitError(f"cannot write the {what} {_text(path)}: {error.strerror}", "Free some space there, or name another folder") from None
    return status


class Made:
    """Files that a process has made and takes away at its end: each only if it still is the one that was made."""

    def __init__(self) -> None:
        self._files: list[tuple[Path, int]] = []

    def note(self, path: Path, status: os.stat_result | None = None) -> Path:
        """Remember a file that was just made. It is held open: while it is, no other file can have its number."""
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            if status is not None and not os.path.samestat(os.fstat(descriptor), status):
                os.close(descriptor)  # somebody else's by now
            else:
                self._files.append((path.absolute(), descriptor))
        return path

    def remove(self) -> None:
        """Remove them, the last one first."""
        for path, descriptor in reversed(self._files):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor)):
                    path.unlink()
            os.close(descriptor)
        self._files.clear()
