"""Touch memory before it is used: pages that are first written in the middle of a session would be faults in the hot path, and look like growth."""

from __future__ import annotations

from typing import Any

import numpy as np

_PAGE = 4096


def touch(*owners: Any) -> int:
    """Write every page of the arrays in the given arrays, tuples and named tuples, with what it holds. Returns the bytes touched.

    To be called before anybody else writes them.
    """
    n = 0
    for owner in owners:
        if isinstance(owner, np.ndarray):
            if owner.flags.c_contiguous and owner.flags.writeable:
                octets = owner.reshape(-1).view(np.uint8)
                octets[::_PAGE] |= 0
                n += octets.size
        elif isinstance(owner, tuple):
            n += touch(*owner)
    return n
