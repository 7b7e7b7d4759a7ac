"""Files of a session are private, new, and allocated; what somebody else made is neither overwritten nor removed nor trusted."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hftkit.errors import HftkitError
from hftkit.kernels.memory import telemetry as page_kernel
from hftkit.session import pages
from hftkit.session.telemetry import DIRECTORY_OFFSET, SECTIONS_OFFSET, TelemetryReader, create_page
from hftkit.system import private_files

SIZE = 1 << 20


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_folder_is_made_for_its_owner_with_all_its_parents(tmp_path: Path) -> None:
    made = private_files.private_folder(tmp_path / "a" / "b" / "c")
    assert [mode(folder) for folder in (made, made.parent, made.parent.parent)] == [0o700] * 3
    assert private_files.private_folder(made) == made


@pytest.mark.parametrize("bits", [0o777, 0o707, 0o702])
def test_a_folder_that_everybody_may_write_is_refused(tmp_path: Path, bits: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(bits)
    with pytest.raises(HftkitError, match=r"may be written by everybody.*chmod go-w"):
        private_files.private_folder(folder)
    folder.chmod(0o1777)  # as the folder for temporary files: others may add, not take away
    assert private_files.private_folder(folder) == folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_or_group_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(HftkitError, match="belongs to another user"):
        private_files.private_folder(folder)
    os.chown(folder, 0, 12345)
    folder.chmod(0o770)
    with pytest.raises(HftkitError, match="may be written by the group 12345"):
        private_files.private_folder(folder)


def test_a_nul_in_a_name_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(HftkitError, match=r"\\x00"):
        private_files.private_folder(tmp_path / "a\0b")
    with pytest.raises(HftkitError, match=r"\\x00"):
        private_files.create(tmp_path / "a\0b")


def test_a_file_is_new_private_and_has_its_blocks(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        words = np.frombuffer(private_files.create_mapped(tmp_path / "page", SIZE, "page"), np.int64)
    finally:
        os.umask(old)
    status = (tmp_path / "page").stat()
    assert (mode(tmp_path / "page"), status.st_size, words.size * 8) == (0o600, SIZE, SIZE)
    assert status.st_blocks * 512 >= SIZE
    with pytest.raises(HftkitError, match=r"exists already.*not overwritten"):
        private_files.create(tmp_path / "page")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for make in (private_files.create, lambda path: private_files.write(path, "x")):
        with pytest.raises(HftkitError, match="exists already"):
            make(tmp_path / "link")
    assert not (tmp_path / "target").exists()
    (tmp_path / "target").write_bytes(b"x" * 8)
    with pytest.raises(HftkitError, match="cannot open"):
        private_files.map_own(tmp_path / "link")
    private_files.write(tmp_path / "link", "new", replace=True)
    assert (tmp_path / "target").read_bytes() == b"x" * 8, "what the link named is as it was"


def test_no_room_is_said_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    script = f"""
import resource, signal
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, {hard}))
from hftkit.system import private_files
try:
    private_files.create_mapped(Path({str(tmp_path / "page")!r}), {SIZE}, "telemetry page")
except private_files.HftkitError as error:
    print(error)
"""
    assert soft
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "no room for the telemetry page" in done.stdout
    assert f"{SIZE:,} bytes" in done.stdout
    assert not (tmp_path / "page").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small shared memory")
def test_a_small_shared_memory_is_refused_with_the_cure() -> None:
    script = """
from hftkit.system import private_files
try:
    private_files.create_mapped(private_files.SHARED_MEMORY / "page", 1 << 20, "telemetry page")
except private_files.HftkitError as error:
    print(error)
"""
    mount = f"mount -t tmpfs -o size=64k tmpfs /dev/shm && exec {sys.executable} -c '{script}'"
    done = subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, text=True, check=False)
    if "page" not in done.stdout:
        pytest.skip(f"no mount namespaces here: {done.stderr[:100]}")
    assert "1,048,576 bytes" in done.stdout
    assert "--shm-size" in done.stdout


def test_what_was_made_is_removed_and_what_took_its_place_is_not(tmp_path: Path) -> None:
    made = private_files.Made()
    for name in ("mine", "replaced"):
        made.note(tmp_path / name, private_files.write(tmp_path / name, name))
    (tmp_path / "replaced").unlink()
    (tmp_path / "replaced").write_text("somebody's notes")
    made.remove()
    assert not (tmp_path / "mine").exists()
    assert (tmp_path / "replaced").read_text() == "somebody's notes"


def new_page(folder: Path, name: str = "hftkit-{uid}-s-1.page") -> Path:
    path = folder / name.format(uid=os.getuid())
    create_page(path, 1, 1, {})
    return path


WRITER = """
import os, sys
from pathlib import Path
from hftkit.session.telemetry import create_page
page = create_page(Path(sys.argv[1]), 1, 1, {})
print("made", flush=True)
sys.stdin.readline()
"""


def test_the_page_of_a_live_engine_is_never_swept_and_of_a_dead_one_is(tmp_path: Path) -> None:
    path = tmp_path / f"hftkit-{os.getuid()}-session-1.page"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "made\n"
        assert (mode(path), pages.find_left(tmp_path)) == (0o600, [])
        # even with the number of a process that does not exist: the lock says that its writer lives
        with open(path, "r+b") as stream:
            stream.seek(page_kernel.PID * 8)
            stream.write((2**30).to_bytes(8, "little"))
        assert pages.find_left(tmp_path) == []
        writer.kill()
        writer.wait(30)
    left = pages.find_left(tmp_path)
    assert [page.path for page in left] == [path]
    assert pages.remove_left(left) == left[0].size > 0
    assert not path.exists()


def page_of(path: Path, pid: int, started_ns: int) -> None:
    """A page as older versions made it: no lock."""
    head = np.zeros(page_kernel.HEAD_WORDS, np.int64)
    head[page_kernel.MAGIC], head[page_kernel.PID], head[page_kernel.STARTED_UNIX_NS] = pages.PAGE_MAGIC, pid, started_ns
    path.write_bytes(head.tobytes())


def test_a_process_that_took_over_the_number_of_a_dead_one_is_not_its_writer(tmp_path: Path) -> None:
    uid = os.getuid()
    page_of(tmp_path / f"hftkit-{uid}-alive-1.page", os.getpid(), 2**62)
    page_of(tmp_path / f"hftkit-{uid}-reused-1.page", os.getpid(), 1)  # made in 1970: this process began later
    page_of(tmp_path / f"hftkit-{uid}-gone-1.page", 2**30, 2**62)
    assert sorted(page.path.name.split("-")[2] for page in pages.find_left(tmp_path)) == ["gone", "reused"]


def test_what_is_no_page_of_ours_is_never_swept(tmp_path: Path) -> None:
    uid = os.getuid()
    page_of(tmp_path / "somebody.page", 2**30, 1)
    page_of(tmp_path / f"hftkit-{uid + 1}-theirs-1.page", 2**30, 1)
    (tmp_path / f"hftkit-{uid}-notes-1.page").write_text("my notes")
    (tmp_path / f"hftkit-{uid}-folder-1.page").mkdir()
    os.mkfifo(tmp_path / f"hftkit-{uid}-pipe-1.page")
    (tmp_path / f"hftkit-{uid}-link-1.page").symlink_to(tmp_path / "somebody.page")
    assert pages.find_left(tmp_path) == []


def test_a_page_found_dead_and_made_anew_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / f"hftkit-{os.getuid()}-s-1.page"
    page_of(path, 2**30, 1)
    left = pages.find_left(tmp_path)
    path.unlink()
    create_page(path, 1, 1, {})
    assert pages.remove_left(left) == 0
    assert path.exists()


def test_a_damaged_directory_of_a_page_is_one_line(tmp_path: Path) -> None:
    path = new_page(tmp_path)
    good, room = path.read_bytes(), SECTIONS_OFFSET - DIRECTORY_OFFSET
    for text in (b"[]", b"{", b'{"info": 3, "sections": []}', b'{"info": {}, "sections": [{"name": "session"}]}', b"\xff\xfe", b"[" * 9000):
        (tmp_path / "bad").write_bytes(good[:DIRECTORY_OFFSET] + text.ljust(room, b"\0") + good[SECTIONS_OFFSET:])
        with pytest.raises(HftkitError, match="damaged"):
            TelemetryReader(tmp_path / "bad")
    first = f'"offset": {SECTIONS_OFFSET}'.encode()
    assert first in good
    far = good[DIRECTORY_OFFSET:SECTIONS_OFFSET].replace(first, b'"offset": 99999999')
    (tmp_path / "bad").write_bytes(good[:DIRECTORY_OFFSET] + far[:room].ljust(room, b"\0") + good[SECTIONS_OFFSET:])
    with pytest.raises(HftkitError, match="damaged"):
        TelemetryReader(tmp_path / "bad")
