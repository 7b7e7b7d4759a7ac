"""The compiled HMAC-SHA256 against Python's hmac."""

from __future__ import annotations

import hmac

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.kernels.wire.sha256 import SCRATCH_WORDS, key_midstates, signature_matches


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=56, max_size=56), st.binary(min_size=1, max_size=64), st.integers(0, 255))
def test_only_the_right_signature_matches(message: bytes, secret: bytes, bit: int) -> None:
    key, scratch = key_midstates(7, secret), np.zeros(SCRATCH_WORDS, np.int64)
    signature = hmac.new(secret, message, "sha256").digest()
    words = np.frombuffer(bytes(8) + message + signature, np.int64).copy()
    assert signature_matches(words, 1, 8, key, scratch)
    words.view(np.uint8)[64 + bit // 8] ^= np.uint8(1 << bit % 8)
    assert not signature_matches(words, 1, 8, key, scratch)
