"""What goes out: fixed send buffers, and each account's memory of the frames it was sent.

A frame goes into a send buffer whole or not at all; the server takes bytes from the front. Answers of order entry are written into `venue.message`
and then `post`ed: numbered by account, kept in the account's log (a ring: the oldest frames go first) so that a client that comes back can have
them again, and put into the send buffer of its connection if there is one.
"""

from __future__ import annotations

from typing import Any

from hftkit.codes import Reject
from hftkit.exchange.core.books import PAGE
from hftkit.exchange.core.layout import ClientState
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inlined_kernel, inner_kernel
from hftkit.kernels.wire.frame import frame_words
from hftkit.kernels.wire.venue_codec import encode_heartbeat, encode_session_reject
from hftkit.layout import WORD

_PAGE_WORDS = PAGE // WORD
_CLOSING = int(ClientState.CLOSING)
_VENUE_FULL = int(Reject.SESSION_VENUE_FULL)
_THROTTLED, _TOO_OLD, _BAD_SEQUENCE = int(Reject.SESSION_THROTTLED), int(Reject.SESSION_RESEND_TOO_OLD), int(Reject.SESSION_BAD_SEQUENCE)


@inner_kernel
def touch_words(words: Any) -> None:
    """Make the operating system give an int64 array its memory now: not page by page, while somebody waits for what is written there."""
    for page in range(0, words.size, _PAGE_WORDS):
        words[page] = 0


@inner_kernel
def make_room(client: Any, send_buffer: Any, n_words: int) -> bool:
    """Is there room for `n_words` more? Moves what is unsent to the front if that helps."""
    end = client.out_end // WORD
    if end + n_words <= send_buffer.size:
        return True
    start = client.out_start // WORD
    if end - start + n_words > send_buffer.size:
        return False
    for i in range(start, end):
        send_buffer[i - start] = send_buffer[i]
    client.out_start -= start * WORD
    client.out_end -= start * WORD
    return True


@inner_kernel
def sent(venue: Exchange, index: int, n_bytes: int) -> None:
    """The shell has sent `n_bytes` from the front of a client's send buffer."""
    client = venue.clients[index]
    client.out_start += n_bytes
    if client.out_start == client.out_end:
        client.out_start = client.out_end = 0


@inlined_kernel
def commit(venue: Exchange, index: int, n_words: int) -> None:
    """A frame of `n_words` was written at the end of a client's send buffer."""
    client = venue.clients[index]
    client.out_end += n_words * WORD
    client.ts_out = venue.state[0].ts_mono
    venue.state[0].n_frames_out += 1


@inner_kernel
def deliver(venue: Exchange, index: int, n_words: int) -> None:
    """Put the message into a client's send buffer.

    A client that lets its answers pile up is closed: order entry answers cannot be dropped, and must not be waited for.
    """
    client, send_buffer = venue.clients[index], venue.send_buffers[index]
    if client.state == _CLOSING:
        return
    if not make_room(client, send_buffer, n_words):
        client.state = _CLOSING
        client.close_reason = _THROTTLED
        return
    at = client.out_end // WORD
    for i in range(n_words):
        send_buffer[at + i] = venue.message[i]
    commit(venue, index, n_words)


# -- messages to accounts ---------------------------------------------------------------------------------------------


@inlined_kernel
def listens(venue: Exchange, account: int) -> bool:
    """Does anybody want to hear from this account: now, or when the connection is back?"""
    return venue.accounts[account].session != 0


@inlined_kernel
def next_message_sequence(venue: Exchange, account: int) -> int:
    """Sequence number of the message being written to an account."""
    venue.accounts[account].seq_out += 1
    return venue.accounts[account].seq_out


@inner_kernel
def _keep(venue: Exchange, account: int, n_words: int) -> None:
    owner, log = venue.accounts[account], venue.log[account]
    mask = log.size - 1
    while owner.log_end + n_words - owner.log_start > log.size:
        owner.log_start += frame_words(log[owner.log_start & mask])
        owner.log_seq += 1
    for i in range(n_words):
        log[(owner.log_end + i) & mask] = venue.message[i]
    owner.log_end += n_words


@inner_kernel
def post(venue: Exchange, account: int, n_words: int) -> None:
    """The message, numbered with `next_message_sequence`, goes to its account."""
    _keep(venue, account, n_words)
    if venue.accounts[account].client >= 0:
        deliver(venue, venue.accounts[account].client, n_words)


@inner_kernel
def fresh_log(venue: Exchange, account: int) -> None:
    """A new session begins: nothing sent, nothing kept."""
    owner = venue.accounts[account]
    touch_words(venue.log[account])
    owner.session, owner.seq_out, owner.log_seq = 1, 0, 1
    owner.log_start = owner.log_end = 0


@inner_kernel
def can_resume(venue: Exchange, account: int, next_seq: int) -> int:
    """Reject code, 0 if everything from sequence `next_seq` on is still kept."""
    owner = venue.accounts[account]
    if owner.session == 0 or next_seq < owner.log_seq:
        return _TOO_OLD
    return _BAD_SEQUENCE if next_seq > owner.seq_out + 1 else 0


@inner_kernel
def resend(venue: Exchange, account: int, next_seq: int) -> None:
    """Everything from sequence `next_seq` on again, byte for byte; `can_resume` said that it is there."""
    owner, log = venue.accounts[account], venue.log[account]
    mask, at = log.size - 1, owner.log_start
    for seq in range(owner.log_seq, owner.seq_out + 1):
        n_words = frame_words(log[at & mask])
        if seq >= next_seq:
            for i in range(n_words):
                venue.message[i] = log[(at + i) & mask]
            deliver(venue, owner.client, n_words)
            venue.state[0].n_resent += 1
        at += n_words


# -- words about the connection itself -------------------------------------------------------------------------------


@inlined_kernel
def next_sequence(venue: Exchange, index: int) -> int:
    """Sequence number of a frame about a client's session: of its account if it has logged on, else of the connection."""
    client = venue.clients[index]
    if client.account >= 0:
        return next_message_sequence(venue, client.account)
    client.seq_out += 1
    return client.seq_out


@inner_kernel
def tell(venue: Exchange, index: int, n_words: int) -> None:
    """The message, numbered with `next_sequence`, goes to its client."""
    if venue.clients[index].account >= 0:
        post(venue, venue.clients[index].account, n_words)
    else:
        deliver(venue, index, n_words)


@inner_kernel
def refuse_session(venue: Exchange, index: int, reason: int) -> None:
    """SESSION_REJECT, then the connection is closed by the shell.

    It ends a connection and not the session: one that is resumed must not be told again, so the account's log has a heartbeat with its number.
    """
    client, ts, seq = venue.clients[index], venue.state[0].ts, next_sequence(venue, index)
    if client.account >= 0:
        _keep(venue, client.account, encode_heartbeat(venue.message, 0, seq, ts, 0))
    deliver(venue, index, encode_session_reject(venue.message, 0, seq, ts, reason))
    client.state = _CLOSING
    client.close_reason = reason


@inner_kernel
def turn_away(venue: Exchange) -> int:
    """SESSION_REJECT to a connection that finds no place, in `venue.message`. Returns its length in bytes."""
    venue.state[0].n_refused += 1
    return encode_session_reject(venue.message, 0, 1, venue.state[0].ts, _VENUE_FULL) * WORD
