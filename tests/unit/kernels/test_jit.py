"""The compile policy: the cache sees every source that a kernel freezes in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.caching import IndexDataCacheFile

from hftkit.kernels import jit
from hftkit.kernels.wire import frame

ROOT = Path(__file__).resolve().parents[3]
# header() lives in wire/frame.py and freezes in PROTOCOL_VERSION of layout.py.
PROBE = """
import json
from hftkit.kernels import jit
from hftkit.kernels.wire.frame import header
value = header(1, 2, 0)
print(json.dumps({"value": value, "key": jit.cache_folder().name, "hits": sum(header.stats.cache_hits.values())}))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package in a folder of its own, to be edited."""
    shutil.copytree(ROOT / "hftkit", tmp_path / "hftkit", ignore=shutil.ignore_patterns("__pycache__", "exchange", "benchmarks"))
    return tmp_path


def probe(copy: Path, **environment: str) -> dict[str, object]:
    env = {**os.environ, "PYTHONPATH": str(copy), "HFTKIT_CACHE": str(copy / "cache"), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run([sys.executable, "-c", PROBE], cwd=copy, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    stamp = path.stat()
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # even the time stamp does not give the change away


def test_a_constant_changed_in_another_file_reaches_a_cached_kernel(copy: Path) -> None:
    first = probe(copy)
    assert first["value"] == 16 | 1 << 16 | 1 << 24
    again = probe(copy)
    assert (again["value"], again["key"], again["hits"]) == (first["value"], first["key"], 1)  # unchanged: from disk
    edit(copy / "hftkit" / "layout.py", "PROTOCOL_VERSION = 1", "PROTOCOL_VERSION = 7")
    edited = probe(copy)
    assert edited["hits"] == 0
    assert edited["value"] == 16 | 1 << 16 | 7 << 24


def test_an_edit_compiles_what_can_reach_it_and_nothing_else(copy: Path) -> None:
    probe(copy)
    edit(copy / "hftkit" / "kernels" / "bits.py", '"""', '"""Edited. ')  # no import of frame.py leads there
    assert probe(copy)["hits"] == 1


def test_a_copy_of_the_sources_finds_what_another_has_compiled(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    probe(copy)
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(copy / "hftkit", other / "hftkit")
    assert probe(other, HFTKIT_CACHE=str(copy / "cache"))["hits"] == 1


def test_a_kernel_changed_in_its_own_file_is_compiled_again(copy: Path) -> None:
    first = probe(copy)
    edit(copy / "hftkit" / "kernels" / "wire" / "frame.py", "(message_type << 16)", "(message_type << 17)")
    assert first["hits"] == 0
    edited = probe(copy)
    assert edited["hits"] == 0
    assert edited["value"] == 16 | 1 << 17 | 1 << 24


def test_bounds_checks_have_a_cache_of_their_own(copy: Path) -> None:
    assert probe(copy, NUMBA_BOUNDSCHECK="0")["key"] != probe(copy, NUMBA_BOUNDSCHECK="1")["key"]


def test_the_digest_covers_kernels_and_their_constants_and_nothing_else() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in jit.kernel_sources()}
    assert {"hftkit/layout.py", "hftkit/codes.py", "hftkit/kernels/jit.py", "hftkit/kernels/wire/frame.py", "hftkit/system/syscalls.py"} <= names
    assert not {"hftkit/cli/application.py", "hftkit/params/format.py"} & names  # editing these must not cost a minute of compiling


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HFTKIT_CACHE", str(tmp_path / "a"))
    assert jit.cache_folder().parent == tmp_path / "a" / "kernels"
    monkeypatch.delenv("HFTKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert jit.cache_folder().parent == tmp_path / "b" / "hftkit" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert jit.cache_folder().parent == tmp_path / ".cache" / "hftkit" / "kernels"


def test_the_policy_is_nogil_cached_and_exact() -> None:
    options = frame.header.targetoptions
    assert options["nopython"]
    assert options["nogil"]
    assert not options["fastmath"]
    assert options["error_model"] == "numpy"
    assert frame.header.py_func(1, 2, 0) == frame.header(1, 2, 0)


@jit.inner_kernel
def _shifted(value: int, by: int) -> int:
    return value + by


@jit.kernel
def _shifted_twice(value: int) -> int:
    return _shifted(value, 1) + _shifted(1, value) + _shifted(2, 3)


def test_calls_with_constants_do_not_compile_apart() -> None:
    for function in (_shifted, _shifted_twice):
        function._cache.disable()  # compiled here, whatever an earlier run has left on disk
    assert _shifted_twice(10) == 27
    assert len(_shifted.signatures) == 1


SAVE_MANY = """
import sys
from hftkit.compilation.kernel_cache import CheckedCacheFile
file = CheckedCacheFile(sys.argv[1], "one_function", 0)
for i in range(100):
    file.save((sys.argv[2], i), f"{sys.argv[2]} {i}")
"""


def test_processes_that_compile_one_function_at_once_keep_each_others_code(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", SAVE_MANY, str(tmp_path), name], cwd=ROOT) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    index = IndexDataCacheFile(str(tmp_path), "one_function", 0)
    assert [index.load((name, i)) for name in "ab" for i in range(100)] == [f"{name} {i}" for name in "ab" for i in range(100)]
