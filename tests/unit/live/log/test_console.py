"""A session's terminal may be anything: closed, full, in memory. Nothing of it may raise or wait."""

from __future__ import annotations

import io
import os
import subprocess
import sys

from live.log.console import LINES, Console


def test_lines_arrive_in_order(tmp_path):
    with (tmp_path / "out").open("w") as stream:
        console = Console(stream)
        for i in range(100):
            console.say(f"line {i}")
        console.close()
    assert (tmp_path / "out").read_text() == "".join(f"line {i}\n" for i in range(100))


def test_a_stream_in_memory_and_none_at_all():
    stream = io.StringIO()
    console = Console(stream)
    console.say("here")
    console.close()
    assert stream.getvalue() == "here\n"
    nowhere = Console(None)
    nowhere.say("lost")
    nowhere.close()


def test_a_closed_pipe_a_full_disk_and_an_ascii_terminal_raise_nothing():
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as closed, open("/dev/full", "w") as full:
        for stream in (closed, full):
            console = Console(stream)
            console.say("lost")
            console.close()
    with open(os.devnull, "w", encoding="ascii") as stream:
        console = Console(stream)
        console.say("profit: 3 \u20ac")
        console.close()


def test_a_reader_that_reads_nothing_is_not_waited_for():
    """More than a pipe takes, and more lines than may wait: `say` comes back from each."""
    reader, writer = os.pipe()
    with open(writer, "w") as stream:
        console = Console(stream)
        for _ in range(2 * LINES):
            console.say("x" * 200)
        console.close(patience_s=0.01)
        os.set_blocking(reader, False)
        assert os.read(reader, 1 << 20).startswith(b"x" * 200)
        os.close(reader)


def test_closed_descriptors_are_never_those_of_a_file():
    """With 1 closed, the next file that is opened would be 1, and what is printed would go into it."""
    program = (
        "import os, sys; from live.log.console import keep_standard_descriptors; keep_standard_descriptors();"
        "sys.exit(0 if os.open('/dev/null', os.O_RDONLY) > 2 else 1)"
    )
    assert subprocess.run(["/bin/sh", "-c", '"$0" -c "$1" >&- <&-', sys.executable, program], check=False).returncode == 0
