"""Small files of others: regular ones only, bounded, read once; JSON of one shape; text that cannot steer a terminal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hftkit.errors import HftkitError
from hftkit.reading import parse_object, printable, read_bytes, read_object


def refuse(why: str) -> HftkitError:
    return HftkitError(why)


def test_a_regular_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_bytes(tmp_path / "file") == read_bytes(tmp_path / "link") == b"0123456789"
    assert read_bytes(tmp_path / "file", first=4) == b"0123"
    assert read_bytes(tmp_path / "file", whole_words=True) == b"01234567"
    assert read_bytes(tmp_path / "file", 10) == b"0123456789"
    with pytest.raises(OSError, match="more than the 9 allowed"):
        read_bytes(tmp_path / "file", 9)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for path, what in ((tmp_path / "pipe", "a pipe"), (tmp_path / "link", "a pipe"), (tmp_path, "a folder"), (Path("/dev/zero"), "a device")):
        with pytest.raises(OSError, match=what):
            read_bytes(path)
    with pytest.raises(OSError, match="NUL"):
        read_bytes("a\0b")


@pytest.mark.parametrize(
    "text", ["", "[]", "1", '"x"', "null", "{", '{"a": 1, "a": 2}', "[" * 100_000, '{"a":' * 100_000, '{"a": ' + "1" * 5000 + "}", b"\xff", b"\0"]
)
def test_json_of_another_shape_is_refused(text, tmp_path: Path) -> None:
    with pytest.raises(HftkitError):
        parse_object(text, refuse)
    (tmp_path / "file").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(HftkitError):
        read_object(tmp_path / "file", refuse)


def test_foreign_text_cannot_steer_a_terminal() -> None:
    foreign = "plain \x1b]0;owned\x07 \x1b[31m \x9b2J \r\x08 \u202e \u2028 ä€"
    shown = printable(foreign)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2028" for c in shown)
    assert shown.startswith("plain \\x1b]0;owned\\x07")
    assert shown.endswith(" ä€")
    assert printable("two\nlines\tand a tab") == "two\nlines\tand a tab"
