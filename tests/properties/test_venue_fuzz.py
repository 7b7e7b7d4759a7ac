"""Bad input through the compiled venue: a crowd of careless, broken and hostile clients beside one that behaves and one that never reads.

Garbage, half frames that are continued later, absurd fields, replayed sequences, logons of every kind, sessions lost and resumed, several clients in
turn, markets halted meanwhile. What was answered is counted by type and reason, and the test asks that everything was.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hftkit.codes import MessageType, Reject
from hftkit.exchange.core.layout import ClientState, Port
from hftkit.exchange.testing import HEARTBEAT, LOGON, LOGOUT, frame
from hftkit.kernels.jit import kernel
from hftkit.layout import FRAME, FRAMES
from tests.properties.test_accounts import check_conservation
from tests.unit.exchange.hand import SECOND, Hand, logon

EDGES = np.array([0, 1, 2, 3, -1, 7, 99, 100, 101, 9_900, 10_000, 10_100, 2**31, 2**40, 2**62, -(2**63), 2**63 - 1], np.int64)
ORDER_KINDS = np.repeat([4, 10, 5, 11, 12, 6, 7, 13, 3], [24, 5, 6, 5, 4, 1, 4, 4, 4])
MARKET_KINDS = np.array([8, 9, 3], np.int64)
WORDS = {int(f.type): f.words for f in FRAMES}
LENGTH = np.array([WORDS.get(kind, 2) for kind in range(256)])
PER_BATCH = 150  # they fit into an inbox
CROWD = 8
INPUTS = int(os.environ.get("HFTKIT_FUZZ_INPUTS", "300000"))  # more of them: NUMBA_BOUNDSCHECK=1 HFTKIT_FUZZ_INPUTS=1000000
SECRET = b"secret"
REASON_WORD = np.zeros(256, np.int64)  # of a frame type: where its reason is, 0 if it has none
for _kind in (MessageType.ORDER_REJECT, MessageType.ORDER_CANCELED, MessageType.CANCEL_REJECT, MessageType.SESSION_REJECT):
    REASON_WORD[_kind] = FRAME[_kind].word("reason")


@kernel
def tally(send_buffer: Any, start: int, end: int, reason_word: Any, types: Any, reasons: Any) -> None:
    """Count the frames in words [start, end) of an send buffer by type and by reason."""
    at = start
    while at < end:
        kind = (send_buffer[at] >> 16) & 0xFF
        types[kind] += 1
        if reason_word[kind] > 0:
            reasons[send_buffer[at + reason_word[kind]]] += 1
        at += (send_buffer[at] & 0xFFFF) >> 3


class Fuzzer:
    """Batches of frames as a careless, broken or hostile client would send them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.next_id = 1

    def _bodies(self, n: int, market: bool) -> np.ndarray:
        """int64 (n, 9): half of the frames are orders that may well trade, the others have edges and noise anywhere."""
        rng = self.rng
        body = EDGES[rng.integers(len(EDGES), size=(n, 9))]
        if market:
            return np.where(rng.random((n, 1)) < 0.8, rng.integers(0, 8, (n, 9)), body)
        ids = self.next_id + np.arange(n) - np.where(rng.random(n) < 0.3, rng.integers(0, 50, n), 0)
        self.next_id += n
        sides = rng.integers(0, 2, n)
        rest = 10_000 + (2 * sides - 1) * rng.integers(1, 40, n)
        prices = np.where(rng.random(n) < 0.6, rest, 10_000 + rng.integers(-60, 60, n))
        sane = np.stack([ids, sides, rng.integers(0, 6, n) * (rng.random(n) < 0.2), rng.integers(0, 4, n) * (rng.random(n) < 0.3)], axis=1)
        sane = np.concatenate(
            [sane, rng.integers(0, 16, (n, 1)) * (rng.random((n, 1)) < 0.3), prices[:, None], rng.integers(1, 2000, (n, 1))], axis=1
        )
        sane = np.concatenate([sane, prices[:, None] + 3, rng.integers(0, 10**12, (n, 1))], axis=1)
        wild = rng.random((n, 9)) < np.where(rng.random((n, 1)) < 0.5, 0.0, 0.3)
        return np.where(wild, body, sane)

    def batch(self, seq: int, market: bool) -> tuple[bytes, int]:
        """(bytes, frames in them), the first with sequence `seq`; one in ten ends in something that is no frame."""
        rng, n = self.rng, 6 if market else PER_BATCH
        kinds = (MARKET_KINDS if market else ORDER_KINDS)[rng.integers(3 if market else len(ORDER_KINDS), size=n)]
        words = LENGTH[kinds]
        instruments = rng.choice([0, 0, 0, 0, 1, 1, 2, 77, 0xFFFFFFFF], size=n)
        if market and rng.random() < 0.9:  # an instrument that is not there ends the session: most know better
            instruments = rng.integers(0, 2, n)
        grid = np.zeros((n, 11), np.int64)
        grid[:, 0] = (words * 8) | (kinds << 16) | (1 << 24) | (instruments << 32)
        grid[:, 1] = seq + np.arange(n)
        grid[:, 2:] = self._bodies(n, market)
        damage, tail = rng.random(), b""
        if damage < 0.01:
            tail = frame(LOGOUT, seq + n) if rng.random() < 0.7 else logon(3, secret=SECRET, seq=seq + n)
        elif damage < 0.02:
            grid[-1, 1] = seq  # a replayed sequence
        elif damage < 0.04:
            grid[-1, 0] ^= int(rng.integers(1, 2**32))  # another type, version, length or instrument
        elif damage < 0.10:
            tail = rng.bytes(int(rng.integers(1, 200)))  # noise, half frames
        return grid[np.arange(11) < words[:, None]].tobytes() + tail, n + bool(tail)


@dataclass
class Stranger:
    """One connection of the crowd."""

    index: int
    port: Port
    rest: bytes = b""  # of a batch: sent later


class Crowd:
    """The venue, its strangers, and what they were answered."""

    def __init__(self, seed: int, keys: Path) -> None:
        keys.write_text("".join(f'{account} = "{SECRET.decode()}"\n' for account in range(100)))
        self.hand = Hand(
            max_orders=40,
            max_accounts=48,
            max_clients=CROWD + 2,
            order_history=4096,
            signed_logon=True,
            key_file=str(keys),
            orders_per_s=200,
            orders_burst=400,
            initial_balance="10",
            leverage=125,
            maintenance_margin_ppm=8_000,
            price_band_ppm=5_000,
            max_open_orders=12,
        )
        self.fuzzer = Fuzzer(seed)
        self.rng = self.fuzzer.rng
        self.types, self.reasons, self.ts = np.zeros(256, np.int64), np.zeros(1000, np.int64), 1
        self.hand.at(0)

    def logon(self, account: int, next_seq_in: int = 1, secret: bytes = SECRET, late: bool = False) -> bytes:
        """A signed LOGON; `late`: with a time that was used before."""
        self.ts += 1
        return logon(account, next_seq_in=next_seq_in, secret=secret, ts_client=1 if late else self.ts)

    def first_words(self) -> bytes:
        """How a stranger introduces itself at the order entry port: well, badly, or not at all."""
        rng, accounts = self.rng, self.hand.venue.accounts
        account, how = 3 + int(rng.integers(44)), rng.random()
        row = np.flatnonzero(accounts["id"] == account)
        sent = int(accounts["seq_out"][row[0]]) if row.size else 0
        if how < 0.45:
            return self.logon(account)
        if how < 0.8:
            return self.logon(account, next_seq_in=max(2, sent + 1 - int(rng.integers(0, 200))))
        odd = (
            self.logon(account, next_seq_in=2),
            self.logon(account, next_seq_in=sent + 10),
            self.logon(account, secret=b"no"),
            self.logon(account, late=True),
            self.logon(0),
            self.logon(90 + int(rng.integers(9))),  # more accounts than there are records
            self.logon(1),  # is here already
            frame(LOGON, 1, account, 0, 0, 0, 1, 0, 0, 0, 0, version=3),
            b"",
        )
        return odd[int(rng.integers(len(odd)))]

    def arrive(self) -> Stranger:
        port = Port.MARKET_DATA if self.rng.random() < 0.15 else Port.ORDER_ENTRY
        stranger = Stranger(self.hand.connect(port), port)
        assert stranger.index >= 0
        if port == Port.ORDER_ENTRY:
            self.hand.give(stranger.index, self.first_words())
        return stranger

    def speak(self, stranger: Stranger) -> int:
        """The rest of what it was saying, or a new batch, perhaps not to its end. Returns the frames of a new batch."""
        data, n = stranger.rest, 0
        if not data:
            seq = int(self.hand.venue.clients[stranger.index]["seq_in"]) + 1
            data, n = self.fuzzer.batch(seq, stranger.port == Port.MARKET_DATA)
        cut = int(self.rng.integers(1, len(data))) if self.rng.random() < 0.2 and len(data) > 1 else len(data)
        stranger.rest = data[cut:]
        self.hand.give(stranger.index, data[:cut])
        return n

    def read(self, index: int) -> None:
        """Take everything that was sent to a client, and count it."""
        self.hand.refill(index)
        client = self.hand.venue.clients[index]
        start, end = int(client["out_start"]), int(client["out_end"])
        tally(self.hand.venue.send_buffers[index], start // 8, end // 8, REASON_WORD, self.types, self.reasons)
        self.hand.drain(index)

    def pay_in(self) -> int:
        """Clients who have lost nearly all get new money, so that they go on trading. Returns how much in 1e-8 quote."""
        accounts = self.hand.venue.accounts
        poor = (accounts["id"] > 0) & (accounts["wallet_e8"] < 10**8)
        accounts["wallet_e8"][poor] += 10 * 10**8
        return int(poor.sum()) * 10 * 10**8

    def check(self, deposits: int) -> None:
        venue = self.hand.venue
        check_conservation(venue, deposits)
        tops = venue.books.tops
        assert ((tops["bid"] == 0) | (tops["ask"] == 0) | (tops["bid"] < tops["ask"])).all()
        assert venue.books.owners["n_open"].sum() == venue.books.counters["n_open"][0] <= 40
        assert (venue.clients["in_bytes"] < 256).all()


def fuzz(seed: int, n_inputs: int, keys: Path, check_every: int) -> tuple[dict[str, int], Crowd]:
    """Feed at least `n_inputs` frames through one venue. Returns what was counted, and the crowd with its answers."""
    crowd = Crowd(seed, keys)
    hand, rng = crowd.hand, crowd.rng
    venue, inputs, turn, deaf_ends = hand.venue, 0, 0, 0
    deposits = int(venue.accounts["wallet_e8"].sum())
    good, deaf = hand.connect(Port.ORDER_ENTRY), -1
    hand.give(good, crowd.logon(1))
    strangers = [crowd.arrive() for _ in range(CROWD)]
    while inputs < n_inputs:
        turn += 1
        place = int(rng.integers(CROWD))
        stranger = strangers[place]
        inputs += crowd.speak(stranger)
        if rng.random() < 0.9:
            crowd.read(stranger.index)
        if venue.clients[stranger.index]["state"] == ClientState.CLOSING or rng.random() < 0.03:
            crowd.read(stranger.index)
            hand.disconnect(stranger.index)
            strangers[place] = crowd.arrive()
        if deaf < 0:
            deaf = hand.connect(Port.ORDER_ENTRY)
            hand.give(deaf, crowd.logon(2))
        hand.give(deaf, b"".join(frame(HEARTBEAT, int(venue.clients[deaf]["seq_in"]) + 1 + i, i) for i in range(20)))
        if venue.clients[deaf]["state"] == ClientState.CLOSING:
            hand.disconnect(deaf)
            deaf, deaf_ends = -1, deaf_ends + 1
        crowd.read(good)
        answers = hand.send(good, HEARTBEAT, turn)
        assert [m.ts_client for m in answers if m.name == "VENUE_HEARTBEAT"] == [turn]
        if turn % 500 < 2:
            hand.halt(0, turn % 2)
        hand.at(turn * SECOND // 50)
        if turn % check_every == 0:
            crowd.check(deposits)
            deposits += crowd.pay_in()
    crowd.check(deposits)
    state = venue.state[0]
    counted = {"inputs": inputs, "deaf": deaf_ends} | {name: int(state[name]) for name in state.dtype.names if name.startswith("n_")}
    return counted, crowd


def everything_was_answered(crowd: Crowd) -> None:
    """Every frame the venue can send a client here, and every reason it can give."""
    never = {MessageType.FUNDING, MessageType.POSITION_CORRECTION, MessageType.EXTERNAL_FILL}
    types = {kind for kind in MessageType if kind >= MessageType.LOGON_ACK} - never
    assert {kind for kind in types if not crowd.types[kind]} == set()
    elsewhere = {Reject.SESSION_VENUE_FULL}  # said to those who find no place: tests/faults/test_hostile_clients.py
    elsewhere |= {Reject.VENUE_ADL, Reject.VENUE_SETTLEMENT}  # of other venues
    reasons = {reason for reason in Reject if reason >= 300} - elsewhere
    assert {reason for reason in reasons if not crowd.reasons[reason]} == set()


def test_bad_input_is_counted_answered_and_hurts_nobody_else(tmp_path: Path) -> None:
    counted, crowd = fuzz(1, INPUTS, tmp_path / "keys.toml", check_every=20)
    print(counted, {Reject(int(i)).name: int(crowd.reasons[i]) for i in crowd.reasons.nonzero()[0]})
    assert counted["deaf"] >= 1
    assert counted["n_frames_in"] > 0.5 * counted["inputs"]
    everything_was_answered(crowd)


@pytest.mark.slow
def test_ten_million_inputs(tmp_path: Path) -> None:
    counted, crowd = fuzz(2, 10_000_000, tmp_path / "keys.toml", check_every=500)
    print(counted, {Reject(int(i)).name: int(crowd.reasons[i]) for i in crowd.reasons.nonzero()[0]})
    everything_was_answered(crowd)
