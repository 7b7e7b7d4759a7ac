"""Send buffers: fixed size, never grown. A frame goes in whole or not at all; the shell takes bytes from the front."""

from __future__ import annotations

from typing import Any

from hftkit.codes import Reject
from hftkit.exchange.layout import ClientState
from hftkit.exchange.venue import Venue
from hftkit.kernels.jit import inlined_kernel, inner_kernel
from hftkit.kernels.wire.venue_codec import encode_session_reject
from hftkit.layout import MAX_FRAME_WORDS, WORD

_CLOSING = int(ClientState.CLOSING)
_THROTTLED = int(Reject.SESSION_THROTTLED)


@inner_kernel
def make_room(client: Any, outbox: Any, n_words: int) -> bool:
    """Is there room for `n_words` more? Moves what is unsent to the front if that helps."""
    end = client.out_end // WORD
    if end + n_words <= outbox.size:
        return True
    start = client.out_start // WORD
    if end - start + n_words > outbox.size:
        return False
    for i in range(start, end):
        outbox[i - start] = outbox[i]
    client.out_start -= start * WORD
    client.out_end -= start * WORD
    return True


@inner_kernel
def sent(venue: Venue, index: int, n_bytes: int) -> None:
    """The shell has sent `n_bytes` from the front of a client's outbox."""
    client = venue.clients[index]
    client.out_start += n_bytes
    if client.out_start == client.out_end:
        client.out_start = client.out_end = 0


@inner_kernel
def reserve(venue: Venue, index: int) -> int:
    """Word at which the next order entry frame of a client begins. -1: none, because its session is ending.

    A client that lets its answers pile up is closed: order entry answers cannot be dropped, and must not be waited for.
    """
    client = venue.clients[index]
    if client.state == _CLOSING:
        return -1
    if not make_room(client, venue.outboxes[index], MAX_FRAME_WORDS):
        client.state = _CLOSING
        client.close_reason = _THROTTLED
        return -1
    return client.out_end // WORD


@inlined_kernel
def next_sequence(venue: Venue, index: int) -> int:
    """Sequence number of the frame being written to a client's session."""
    venue.clients[index].seq_out += 1
    return venue.clients[index].seq_out


@inlined_kernel
def commit(venue: Venue, index: int, n_words: int) -> None:
    """A frame of `n_words` was written at the end of a client's outbox."""
    client = venue.clients[index]
    client.out_end += n_words * WORD
    client.ts_out = venue.state[0].ts_mono
    venue.state[0].n_frames_out += 1


@inner_kernel
def refuse_session(venue: Venue, index: int, reason: int) -> None:
    """SESSION_REJECT, then the connection is closed by the shell."""
    at = reserve(venue, index)
    if at >= 0:
        seq = next_sequence(venue, index)
        commit(venue, index, encode_session_reject(venue.outboxes[index], at, seq, venue.state[0].ts, reason))
    venue.clients[index].state = _CLOSING
    venue.clients[index].close_reason = reason
