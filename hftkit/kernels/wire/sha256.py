"""HMAC-SHA256 (FIPS 180-4, RFC 2104) of a LOGON frame or of any text, so that venue and engine sign and verify without an interpreter.

A key enters as its two midstates (`key_midstates`, made once, outside the loop): the secret itself is not kept. All words are 32 bit,
held in int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.kernels.arrays import Int64Array, OctetArray
from hftkit.kernels.jit import inlined_kernel, kernel

_MASK = 0xFFFFFFFF
MESSAGE_WORDS = 7  # 64-bit words of a LOGON frame that are signed
STATE = 8
SCRATCH_WORDS = 64 + 2 * STATE  # message schedule, and two states
KEY_WORDS = 1 + 2 * STATE  # account number, inner and outer midstate


def _root_bits(degree: int, n: int) -> np.ndarray:
    """The first 32 bits of the fractional parts of the roots of the first n primes: the constants of FIPS 180-4, 4.2.2 and 5.3.3."""
    primes = [p for p in range(2, 400) if all(p % q for q in range(2, p))][:n]
    found = []
    for prime in primes:
        target, root = prime << (32 * degree), 0
        for bit in range(40, -1, -1):
            if (root | 1 << bit) ** degree <= target:
                root |= 1 << bit
        found.append(root & _MASK)
    return np.array(found, np.int64)


_K = _root_bits(3, 64)
_START = _root_bits(2, STATE)


@inlined_kernel
def _rotate(x: int, n: int) -> int:
    return ((x >> n) | (x << (32 - n))) & _MASK


@kernel
def compress(scratch: Int64Array, state: Int64Array) -> None:
    """One block: `scratch[:16]` are its words, `state`: int64 (8,), updated. `scratch`: int64 (>= 64,), overwritten."""
    for t in range(16, 64):
        a, b = scratch[t - 15], scratch[t - 2]
        s0 = _rotate(a, 7) ^ _rotate(a, 18) ^ (a >> 3)
        s1 = _rotate(b, 17) ^ _rotate(b, 19) ^ (b >> 10)
        scratch[t] = (scratch[t - 16] + s0 + scratch[t - 7] + s1) & _MASK
    a, b, c, d, e, f, g, h = state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
    for t in range(64):
        s1 = _rotate(e, 6) ^ _rotate(e, 11) ^ _rotate(e, 25)
        t1 = (h + s1 + ((e & f) ^ (~e & _MASK & g)) + _K[t] + scratch[t]) & _MASK
        s0 = _rotate(a, 2) ^ _rotate(a, 13) ^ _rotate(a, 22)
        t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) & _MASK
        h, g, f, e, d, c, b, a = g, f, e, (d + t1) & _MASK, c, b, a, (t1 + t2) & _MASK
    state[0], state[1], state[2], state[3] = (state[0] + a) & _MASK, (state[1] + b) & _MASK, (state[2] + c) & _MASK, (state[3] + d) & _MASK
    state[4], state[5], state[6], state[7] = (state[4] + e) & _MASK, (state[5] + f) & _MASK, (state[6] + g) & _MASK, (state[7] + h) & _MASK


def key_midstates(account: int, secret: bytes) -> np.ndarray:
    """int64 (KEY_WORDS,): the account number and the two states of HMAC after the padded key. `secret`: at most 64 bytes."""
    row, scratch = np.zeros(KEY_WORDS, np.int64), np.zeros(64, np.int64)
    row[0] = account
    for first, pad in ((1, 0x36), (1 + STATE, 0x5C)):
        block = bytes(byte ^ pad for byte in secret.ljust(64, b"\0"))
        scratch[:16] = np.frombuffer(block, ">u4")
        row[first : first + STATE] = _START
        compress(scratch, row[first : first + STATE])
    return row


@inlined_kernel
def _swap(word: int) -> int:
    """The other byte order of 32 bits."""
    return ((word & 0xFF) << 24) | ((word & 0xFF00) << 8) | ((word >> 8) & 0xFF00) | ((word >> 24) & 0xFF)


@kernel
def _outer_hash(state: Int64Array, key: Int64Array, scratch: Int64Array) -> None:
    """HMAC's second half in place: the digest of the inner hash in `state`, hashed again after the outer key."""
    for i in range(STATE):
        scratch[i] = state[i]
        state[i] = key[1 + STATE + i]
    scratch[8] = 0x80000000
    for i in range(9, 15):
        scratch[i] = 0
    scratch[15] = (64 + 32) * 8
    compress(scratch, state)


@kernel
def hmac_sha256(text: OctetArray, n: int, key: Int64Array, scratch: Int64Array) -> None:
    """HMAC-SHA256 (RFC 2104, FIPS 180-4) of text[:n] (uint8). `key`: midstates (sha256.key_midstates). Digest: scratch[64:72], 32 bit words."""
    digest = scratch[64 : 64 + STATE]
    for i in range(STATE):
        digest[i] = key[1 + i]
    for block in range((n + 9 + 63) // 64):
        for w in range(16):
            word: Any = 0
            first = block * 64 + 4 * w
            for i in range(first, first + 4):
                byte = np.int64(text[i]) if i < n else (128 if i == n else 0)
                word = (word << 8) | byte
            scratch[w] = word
        if block * 64 + 64 >= n + 9:
            scratch[14], scratch[15] = 0, (64 + n) * 8
        compress(scratch, digest)
    _outer_hash(digest, key, scratch)


@kernel
def signature_matches(words: Int64Array, at: int, signature_at: int, key: Int64Array, scratch: Int64Array) -> bool:
    """Is `words[signature_at:][:4]` the HMAC of `words[at:][:7]`? `key`: one row of `key_midstates`.

    `scratch`: int64 (SCRATCH_WORDS,), overwritten.
    """
    state = scratch[64 : 64 + STATE]
    for i in range(MESSAGE_WORDS):
        scratch[2 * i] = _swap(words[at + i] & _MASK)
        scratch[2 * i + 1] = _swap((words[at + i] >> 32) & _MASK)
    scratch[14], scratch[15] = 0x80000000, 0
    for i in range(STATE):
        state[i] = key[1 + i]
    compress(scratch, state)
    for i in range(15):
        scratch[i] = 0
    scratch[15] = (64 + MESSAGE_WORDS * 8) * 8  # bits, the padded key included
    compress(scratch, state)
    _outer_hash(state, key, scratch)
    different = 0  # looks at every word, whatever the first one says
    for i in range(4):
        different |= (words[signature_at + i] & _MASK) ^ _swap(state[2 * i])
        different |= ((words[signature_at + i] >> 32) & _MASK) ^ _swap(state[2 * i + 1])
    return different == 0
