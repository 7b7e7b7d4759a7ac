"""Percentiles and .hlog export of the compiled histograms, through the `hdrhistogram` package (MO-10)."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter

from hftkit.kernels.memory.histogram import COUNTS_LEN, HIGHEST_NS, SIGNIFICANT_DIGITS
from hftkit.system import private_files

PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}


def to_hdr(counts: np.ndarray) -> HdrHistogram:
    """An HdrHistogram holding the counts (int64 (COUNTS_LEN,)) of a compiled histogram, values in ns."""
    if counts.shape != (COUNTS_LEN,):
        raise ValueError(f"counts must have shape ({COUNTS_LEN},), have {counts.shape}")
    histogram = HdrHistogram(1, HIGHEST_NS, SIGNIFICANT_DIGITS)
    for index in np.flatnonzero(counts):
        histogram.record_value(histogram.get_value_from_index(int(index)), int(counts[index]))
    return histogram


def percentiles_us(counts: np.ndarray) -> dict[str, float]:
    """p50, p95, p99, p999, max in microseconds, and the number of values `n`; zeros when nothing was recorded."""
    histogram = to_hdr(counts)
    n = int(histogram.get_total_count())
    result = {name: (histogram.get_value_at_percentile(p) / 1000 if n else 0.0) for name, p in PERCENTILES.items()}
    result["max"] = histogram.get_max_value() / 1000 if n else 0.0
    result["n"] = n
    return result


def write_hlog(path: Path | str, named_counts: dict[str, np.ndarray], start_s: float, end_s: float) -> None:
    """Write histograms as one standard .hlog file, one tagged interval line for each name. Times in Unix seconds, values in ns.

    The lines are written here because hdrhistogram 0.10 writes no tags (it reads them); the payload is its own encoding.
    """
    stream = io.StringIO()
    writer = HistogramLogWriter(stream)
    writer.output_log_format_version()
    writer.output_comment(f"[StartTime: {start_s:.3f} (seconds since epoch)]")
    writer.output_legend()
    for name, counts in named_counts.items():
        histogram = to_hdr(counts)
        payload = histogram.encode().decode("ascii")
        stream.write(f"Tag={name},{0.0:.3f},{end_s - start_s:.3f},{histogram.get_max_value() / 1e6:.3f},{payload}\n")
    private_files.write(Path(path), stream.getvalue(), "histogram log", replace=True)
