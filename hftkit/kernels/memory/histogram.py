"""Latency histogram with the bucket layout of HdrHistogram, recorded by compiled code (MO-10).

Values in ns from 1 to HIGHEST_NS at three significant digits: the counts array is exactly the one that the `hdrhistogram`
package would hold, so it is handed over for percentiles and .hlog export (hftkit/session/histogram.py).
Source of the index formula: the HdrHistogram reference implementation's published description (bucket and sub-bucket index).
"""

from __future__ import annotations

from hftkit.kernels.arrays import Int64Array
from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.intrinsics import leading_zeros

HIGHEST_NS = 10_000_000_000  # ten seconds; what is longer is counted in the last bucket
SIGNIFICANT_DIGITS = 3
SUB_BUCKET_COUNT = 2048  # smallest power of two that separates 2 * 10**3 values
SUB_BUCKET_HALF = SUB_BUCKET_COUNT // 2
SUB_BUCKET_HALF_BITS = 10
BUCKET_COUNT = 24  # 2048 << 23 is the first range that holds HIGHEST_NS
COUNTS_LEN = (BUCKET_COUNT + 1) * SUB_BUCKET_HALF


@kernel
def counts_index(value_ns: int) -> int:
    """Index of the counts bucket of a value; negative values count as 0, too large ones as HIGHEST_NS."""
    value = min(max(value_ns, 0), HIGHEST_NS)
    bucket = 64 - leading_zeros(value | (SUB_BUCKET_COUNT - 1)) - (SUB_BUCKET_HALF_BITS + 1)
    sub_bucket = value >> bucket
    return ((bucket + 1) << SUB_BUCKET_HALF_BITS) + sub_bucket - SUB_BUCKET_HALF


@kernel
def record(counts: Int64Array, value_ns: int) -> None:
    """Count one value (ns) in `counts` (int64, (COUNTS_LEN,))."""
    counts[counts_index(value_ns)] += 1
