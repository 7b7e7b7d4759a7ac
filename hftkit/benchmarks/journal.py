"""Benchmark of the journal: what an event costs that is written to it, CRC and first touch of the pages included, beside a buffered file."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import numpy as np

from hftkit.benchmarks.registry import Benchmark, Result, WrongAnswer
from hftkit.benchmarks.timing import alternate, percentiles
from hftkit.codes import MessageType, RecordType
from hftkit.kernels.arrays import Float64Array, Int64Array
from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.journal import append
from hftkit.kernels.wire.frame import header
from hftkit.layout import FRAME
from hftkit.session.journal import JournalReader, JournalWriter
from hftkit.system.syscalls import monotonic_ns

BLOCKS, BLOCK = 2_000, 500
_QUOTE = FRAME[MessageType.BBO]
_WORDS, _MARKET_DATA = _QUOTE.words, int(RecordType.MARKET_DATA_IN)


@kernel
def append_blocks(frame: Int64Array, segment: Int64Array, journal: Int64Array, samples: Float64Array, scratch: Int64Array) -> int:
    """Append the frame samples.size * BLOCK times, its second word counting; samples get ns an append. Appends that found no room."""
    failed = 0
    for i in range(samples.size):
        start = monotonic_ns(scratch)
        for _ in range(BLOCK):
            frame[1] += 1
            if append(frame, segment, journal, _MARKET_DATA, start, 0, frame.size) == 0:
                failed += 1
        samples[i] = (monotonic_ns(scratch) - start) / BLOCK
    return failed


def _frame() -> Int64Array:
    return np.array([header(int(MessageType.BBO), _WORDS, 0), 0, 1, 1000, 50, 1002, 50], np.int64)


def _check(folder: Path, n: int) -> None:
    """That every record comes back, in order, with a checksum that fits."""
    expected = 0
    for record in JournalReader(folder):
        if record.type == RecordType.MARKET_DATA_IN:
            expected += 1
            if int(record.payload[1]) != expected:
                raise WrongAnswer(f"record {expected} holds frame {int(record.payload[1])}")
    if expected != n:
        raise WrongAnswer(f"{expected} of {n} records came back")


def _buffered(path: Path, n: int) -> None:
    """The same frames as a Python program writes them: struct, a buffered file, no checksum."""
    packed = struct.Struct("<7q")
    with open(path, "wb", buffering=1 << 20) as file:
        for seq in range(n):
            file.write(packed.pack(14680120, seq, 1, 1000, 50, 1002, 50))


def journal() -> list[Result]:
    """One market data event of 56 bytes into a mapped segment: header, CRC-32C, publication (NF-8)."""
    samples, scratch, n_python = np.zeros(BLOCKS, np.float64), np.zeros(2, np.int64), 200_000
    with tempfile.TemporaryDirectory() as folder:
        for name, blocks in (("warm", samples[:10]), ("measured", samples)):
            writer = JournalWriter(Path(folder) / name, 1, 1, 256 * 1024 * 1024)
            failed = append_blocks(_frame(), writer.segment, writer.state, blocks, scratch)
            writer.close()
            if failed:
                raise WrongAnswer(f"{failed} appends found no room")
            _check(Path(folder) / name, blocks.size * BLOCK)
        rounds = alternate({"python": lambda: _buffered(Path(folder) / "python", n_python)}, rounds=3)
    found, theirs = percentiles(samples), rounds["python"].median_ns / n_python
    config = {"events": BLOCKS * BLOCK, "block": BLOCK, "event_bytes": _QUOTE.bytes, "includes": "CRC-32C, first touch of each page"}
    return [Result("journal", "ns", found["p50"], found, "struct, buffered file, no CRC", theirs, theirs / found["p50"], config, goal="p50 < 50")]


BENCHMARKS = [Benchmark("journal", journal)]
