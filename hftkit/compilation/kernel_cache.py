"""The files of the kernel cache: trusted only if nobody else could have written them, and whole; what is damaged is compiled again.

numba unpickles and executes what it finds in its cache. So a folder that others may write is refused, with the cure; every file ends in the SHA-256
of what stands before it (a pickle ends by itself, so numba's own reader takes these files too), and one that does not fit counts as missing: the
function is compiled again, which is said once.

numba stamps a compiled function with the time of its own file, and finds it by the path of that file. Here it is the digest of every file that the
function can depend on (import_closure.py), and the name of its module: an edit compiles what it can reach and nothing else, and a copy of the
sources in another place finds what the first one has compiled.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import pickle
import resource
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile

from hftkit.compilation import import_closure, kernel_programs
from hftkit.errors import HftkitError
from hftkit.system.private_files import FILE_MODE, FOLDER_MODE, others_may_write

FORMAT = 3  # takes part in the cache's key
_DIGEST_BYTES = 32
_LEAST_SPACE = 1 << 30  # bytes of addresses; the compiler ends the process where they do not suffice
_told: set[str] = set()


def _tell(what: str, line: str) -> None:
    """One line of each kind in a process; a broken stderr changes nothing."""
    if what not in _told:
        _told.add(what)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"hftkit: {line}\n")


def trusted_folder(folder: Path) -> Path:
    """The cache folder (base/kernels/key), made 0700 where it is missing. Raises HftkitError if another user could have put files there."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY and soft < _LEAST_SPACE:
        raise HftkitError(
            f"the address space is limited to {soft >> 20:,} MB (ulimit -v): compiled kernels do not fit", "Raise it to 4,000 MB or more: ulimit -v"
        )
    chain = (folder.parents[1], folder.parent, folder)
    with contextlib.suppress(OSError):  # a folder that cannot be made is numba's and the doctor's to tell
        folder.parents[1].parent.mkdir(parents=True, exist_ok=True)
        for level in chain:
            level.mkdir(FOLDER_MODE, exist_ok=True)
    for level in chain:
        if level.is_dir() and (problem := others_may_write(level)):
            raise HftkitError(
                f"the kernel cache {level} {problem}: code that lies there is not executed",
                f"Remove it, or chmod go-w {level}, or set HFTKIT_CACHE to a folder of your own",
            )
    return folder


def _tell_not_kept(folder: Path | str, error: Exception) -> None:
    why = getattr(error, "strerror", None) or getattr(error, "problem", str(error))
    _tell("not kept", f"compiled kernels cannot be kept in {folder} ({why}): every start will compile")


class CheckedCacheFile(IndexDataCacheFile):
    """numba's index and data files of one function, checked when they are read, private when they are made."""

    def save(self, key: Any, data: Any) -> None:
        """Write one compiled overload, one process at a time; where there is no room, the next start compiles again.

        numba reads the index, picks a free file number, and writes both back without a lock: of two processes that compile the same function for
        different types at the same moment, one entry is lost, or worse, leads to the other's code.
        """
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(os.path.join(self._cache_path, "lock"), flags, FILE_MODE), "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # freed when the file is closed, or the process ends; nobody else can open it
                super().save(key, data)
        except OSError as error:
            _tell_not_kept(self._cache_path, error)

    @contextlib.contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[BinaryIO]:
        content = io.BytesIO()
        yield content
        text = content.getvalue()
        partial = f"{filepath}.tmp.{os.urandom(8).hex()}"
        try:
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE), "wb") as stream:
                stream.write(text + hashlib.sha256(text).digest())
            os.replace(partial, filepath)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise

    def _whole(self, path: str) -> bytes | None:
        """The content of a cache file; None if it is damaged. Raises FileNotFoundError, and HftkitError for a file that others may have written."""
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_uid not in (os.geteuid(), 0) or status.st_mode & stat.S_IWOTH:
                raise HftkitError(f"the kernel cache file {path} may have been written by others: it is not executed", "Remove it")
            text = stream.read()
        if hashlib.sha256(text[:-_DIGEST_BYTES]).digest() != text[-_DIGEST_BYTES:]:
            _tell("damaged", f"damaged files of the kernel cache are compiled again ({path} is the first)")
            return None
        return text[:-_DIGEST_BYTES]

    def _load_index(self) -> dict[Any, str]:
        try:
            text = self._whole(self._index_path)
        except FileNotFoundError:
            return {}
        if text is None:
            return {}
        stream = io.BytesIO(text)
        if pickle.load(stream) != self._version:
            return {}
        stamp, overloads = pickle.load(stream)
        return dict(overloads) if stamp == self._source_stamp else {}

    def _load_data(self, name: str) -> Any:
        text = self._whole(self._data_path(name))
        if text is None:
            raise OSError(f"{name} is damaged")  # numba takes that for a missing file
        return pickle.loads(text)


class _Place:
    """Where the compiled forms of one function lie: a folder for each state of its module's sources (numba calls this a locator)."""

    def __init__(self, base: Path, function: Any, source: Path) -> None:
        self._digest = import_closure.digest(source, function.__module__)
        self._folder = base / kernel_programs.place_of(function.__module__, source)
        self._line = function.__code__.co_firstlineno
        self._py_file = str(source)  # numba names it in a warning

    def ensure_cache_path(self) -> None:
        """Make the folder. Where that cannot be done, saving fails and says so."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """What the sources were."""
        return self._digest

    def get_disambiguator(self) -> str:
        """What tells two functions of one name in one file apart."""
        return str(self._line)


class _Code(CompileResultCacheImpl):
    """How compiled code is written and read: as numba does it, and the parts of a piece in files of their own."""

    def __init__(self, function: Any, base: Path, place: _Place) -> None:
        self._lineno, self._locator, self._base = function.__code__.co_firstlineno, place, base
        self._filename_base = self.get_filename_base(function.__qualname__, getattr(sys, "abiflags", ""))

    def reduce(self, data: Any) -> Any:
        """What is pickled of a compile result."""
        reduced = super().reduce(data)
        if reduced[0][1] == kernel_programs.PIECE:
            try:
                kernel_programs.write_parts(self._base, reduced[0][2])
            except (OSError, HftkitError) as error:
                _tell_not_kept(self._base, error)  # the entry will be found to lack its parts
        return reduced

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        """The compile result again; None, as if there were none, where a part of it is missing."""
        return kernel_programs.rebuild(target_context, payload, self._base)


class KernelCache(FunctionCache):
    """numba's cache of one function, at a place of ours and with files of ours. `base`: the cache folder."""

    def __init__(self, function: Any, base: Path) -> None:
        place = _Place(base, function, Path(function.__code__.co_filename))
        self._name, self._py_func, self._impl, self._cache_path = repr(function), function, _Code(function, base, place), place.get_cache_path()
        self._cache_file = CheckedCacheFile(self._cache_path, self._impl.filename_base, place.get_source_stamp())
        self.enable()


def keep(dispatcher: Any, base: Path) -> Any:
    """Keep what a numba dispatcher compiles, in the cache folder `base`. A function without a file (a notebook's cell) is left to numba."""
    if Path(dispatcher.py_func.__code__.co_filename).is_file():
        dispatcher._cache = KernelCache(dispatcher.py_func, base)
    else:
        dispatcher.enable_caching()
        dispatcher._cache._cache_file.__class__ = CheckedCacheFile
    return dispatcher
