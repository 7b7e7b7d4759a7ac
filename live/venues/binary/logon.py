"""The LOGON frame of a binary venue, signed with the account's secret where there is one, and what may follow it at once."""

from __future__ import annotations

import hashlib
import hmac
import os

import numpy as np

from hftkit.codes import MessageType, Reject
from hftkit.kernels.wire.encode import encode_cancel_all
from hftkit.kernels.wire.frame import header
from hftkit.layout import ALL_INSTRUMENTS, FRAME

SECRET_VARIABLE = "HFTKIT_SECRET"  # the only place a secret comes from; it is never logged and never journalled
_LOGON = FRAME[MessageType.LOGON]


def logon_frame(
    account: int, ts_unix_ns: int, heartbeat_ns: int, *, cancel_on_disconnect: bool, next_seq_in: int = 1, secret: str | None = None
) -> tuple[int, ...]:
    """The words of a LOGON frame with sequence 1; the signature is zero without a secret (None: that of the environment)."""
    words = np.zeros(_LOGON.words, np.int64)
    words[0] = header(int(MessageType.LOGON), _LOGON.words, ALL_INSTRUMENTS)
    words[1] = 1
    words[_LOGON.word("account")] = account
    words[_LOGON.word("ts_client")] = ts_unix_ns
    words[_LOGON.word("flags")] = int(cancel_on_disconnect)
    words[_LOGON.word("heartbeat_ns")] = heartbeat_ns
    words[_LOGON.word("next_seq_in")] = next_seq_in
    secret = os.environ.get(SECRET_VARIABLE, "") if secret is None else secret
    if secret:
        first = _LOGON.word("signature0")
        digest = hmac.new(secret.encode(), words[:first].tobytes(), hashlib.sha256).digest()
        words[first : first + 4] = np.frombuffer(digest, np.int64)
    return tuple(int(word) for word in words)


def cancel_all_frame(sequence: int) -> tuple[int, ...]:
    """The words of a CANCEL_ALL over all instruments."""
    words = np.zeros(FRAME[MessageType.CANCEL_ALL].words, np.int64)
    encode_cancel_all(words, 0, sequence)
    return tuple(int(word) for word in words)


def refusal_in_words(reason: int, account: int) -> tuple[str, str]:
    """Problem and cure of a SESSION_REJECT."""
    if reason == Reject.SESSION_DUPLICATE_LOGON:
        return (
            f"account {account} is logged on already: another engine trades it, or one that died and whose end the venue has not noticed",
            "One account has one engine: stop the other one; a dead one is forgotten after three heartbeats",
        )
    if reason in (Reject.SESSION_UNKNOWN_ACCOUNT, Reject.SESSION_BAD_SIGNATURE):
        return f"the venue refused the session ({Reject(reason).text})", f"Check venue.account, and {SECRET_VARIABLE} in the environment"
    return f"the venue refused the session ({Reject(reason).text})", ""
