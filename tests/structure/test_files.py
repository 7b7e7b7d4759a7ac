"""Files are made in one place (hftkit/system/private_files.py): private, new, allocated. Nothing else opens for writing, unless it says why."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.structure.sources import name, python_files, report

# Who else writes, and why it may. No file of a session or a simulator that holds orders, keys or memory shared with others.
EXCEPTIONS = {
    "hftkit/system/private_files.py": "the one place",
    "hftkit/compilation/kernel_cache.py": "the kernel cache, by the same rules: numba names the files",
    "hftkit/evidence/commands.py": "a page and rows that a user names",
    "hftkit/session/journal.py": "segments are made through a descriptor of their folder, 0600 and O_EXCL, and cut at the end",
    "hftkit/session/control.py": "the control page, by rules of its own",
    "hftkit/params/signing.py": "keys: O_EXCL, the private one 0600",
    "hftkit/session/child_process.py": "what a child process prints",
    "hftkit/exchange/market/history/files.py": "a history that a user makes for himself",
    "hftkit/exchange/cli.py": "a file that a user names",
    "live/log/log_file.py": "the session's log: appended to, 0600, kept in memory while the disk is full",
    "live/log/rotation.py": "the session's log is rotated: a new file behind the same descriptor",
    "hftkit/session/running.py": "the list of what runs: 0600, by rules of its own",
    "live/log/console.py": "the terminal",
    "live/account/lease.py": "the lock of an account: opened by every engine of it, 0600, without following links",
    "live/record/recording_file.py": "recordings of market data: continued after a kill",
}
BENCHMARKS = ("hftkit/benchmarks/", "live/benchmarks/")
WRITERS = {"write_text", "write_bytes", "save", "savez", "savez_compressed", "tofile", "copyfile", "copy2", "mkstemp"}
WRITE_FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"}


def writes(node: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, what) of each call that opens a file for writing."""
    for call in ast.walk(node):
        if not isinstance(call, ast.Call):
            continue
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        owner = call.func.value.id if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) else ""
        if called in WRITERS and owner not in ("private_files", "self", "file"):
            yield call.lineno, called
        elif called == "open" and owner == "os":
            if WRITE_FLAGS & {n.attr for n in ast.walk(call) if isinstance(n, ast.Attribute)}:
                yield call.lineno, "os.open"
        elif called == "open":
            modes = [a.value for a in [*call.args, *(k.value for k in call.keywords)] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if any(set(mode) <= set("rwxabt+U") and set(mode) & set("wxa+") for mode in modes):
                yield call.lineno, f"open {modes}"


def test_files_are_made_in_one_place() -> None:
    violations = [
        f"{name(path)}:{line} {what}"
        for path in python_files("hftkit", "live")
        if name(path) not in EXCEPTIONS and not name(path).startswith(BENCHMARKS)
        for line, what in writes(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not violations, report(violations, "Cure: private_files.write, create or create_mapped; or say in EXCEPTIONS why not.")


@pytest.mark.parametrize(
    "line",
    ["open(p, 'w')", "p.open('ab')", "open(p, mode='r+b')", "p.write_text('x')", "os.open(p, os.O_WRONLY | os.O_CREAT, 0o600)", "gzip.open(p, 'wb')"],
)
def test_a_file_opened_for_writing_would_be_found(line: str) -> None:
    assert list(writes(ast.parse(line)))
    assert not list(writes(ast.parse("open(p, 'rb'); p.read_bytes(); os.open(p, os.O_RDONLY)")))
