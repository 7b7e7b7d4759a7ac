"""Bad input through the compiled venue: garbage, half frames, absurd fields, replayed sequences, a client that never reads. Others go on."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.exchange.layout import ClientState, Port
from hftkit.exchange.testing import HEARTBEAT, frame
from hftkit.layout import FRAMES
from tests.properties.test_accounts import check_conservation
from tests.unit.exchange.hand import SECOND, Hand, logon

EDGES = np.array([0, 1, 2, 3, -1, 7, 99, 100, 101, 9_900, 10_000, 10_100, 2**31, 2**40, 2**62, -(2**63), 2**63 - 1], np.int64)
ORDER_KINDS = np.array([4, 4, 4, 4, 10, 5, 5, 11, 12, 6, 7, 13, 3], np.int64)
MARKET_KINDS = np.array([8, 9, 3], np.int64)
WORDS = {int(f.type): f.words for f in FRAMES}
LENGTH = np.array([WORDS.get(kind, 2) for kind in range(256)])
PER_BATCH = 150  # they fit into an inbox


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
        prices = 10_000 + rng.integers(-60, 60, n)
        sane = np.stack([ids, rng.integers(0, 2, n), rng.integers(0, 6, n) * (rng.random(n) < 0.2), rng.integers(0, 4, n)], axis=1)
        sane = np.concatenate(
            [sane, rng.integers(0, 16, (n, 1)) * (rng.random((n, 1)) < 0.3), prices[:, None], rng.integers(1, 2000, (n, 1))], axis=1
        )
        sane = np.concatenate([sane, prices[:, None] + 3, rng.integers(0, 10**12, (n, 1))], axis=1)
        wild = rng.random((n, 9)) < np.where(rng.random((n, 1)) < 0.5, 0.0, 0.3)
        return np.where(wild, body, sane)

    def batch(self, seq: int, market: bool) -> tuple[bytes, int]:
        """(bytes, frames in them), the first with sequence `seq`; one in ten ends in something that is no frame."""
        rng, n = self.rng, PER_BATCH
        kinds = (MARKET_KINDS if market else ORDER_KINDS)[rng.integers(3 if market else len(ORDER_KINDS), size=n)]
        words = LENGTH[kinds]
        instruments = rng.choice([0, 0, 0, 1, 2, 77, 0xFFFFFFFF], size=n)
        grid = np.zeros((n, 11), np.int64)
        grid[:, 0] = (words * 8) | (kinds << 16) | (1 << 24) | (instruments << 32)
        grid[:, 1] = seq + np.arange(n)
        grid[:, 2:] = self._bodies(n, market)
        damage, tail = rng.random(), b""
        if damage < 0.02:
            grid[-1, 1] = seq  # a replayed sequence
        elif damage < 0.04:
            grid[-1, 0] ^= int(rng.integers(1, 2**32))  # another type, version, length or instrument
        elif damage < 0.10:
            tail = rng.bytes(int(rng.integers(1, 200)))  # noise, half frames
        return grid[np.arange(11) < words[:, None]].tobytes() + tail, n + bool(tail)


def fuzz(seed: int, n_inputs: int, check_every: int) -> dict[str, int]:
    """Feed at least `n_inputs` frames through one venue beside a client that behaves and one that never reads. Returns what was counted."""
    fuzzer, hand = Fuzzer(seed), Hand(max_accounts=64, order_history=4096)
    venue, inputs, batches = hand.venue, 0, 0
    deposits = int(venue.accounts["wallet_e8"].sum())
    hand.at(0)
    good, deaf = hand.enter(1), hand.connect(Port.ORDER_ENTRY)
    hand.give(deaf, logon(2))
    while inputs < n_inputs:
        port = Port.MARKET_DATA if fuzzer.rng.random() < 0.1 else Port.ORDER_ENTRY
        index = hand.connect(port)
        assert index >= 0
        if port == Port.ORDER_ENTRY:
            hand.give(index, logon(3 + batches % 40))
        for _ in range(20):
            seq = int(venue.clients[index]["seq_in"]) + 1
            data, n = fuzzer.batch(seq, port == Port.MARKET_DATA)
            hand.give(index, data)
            inputs += n
            batches += 1
            client = venue.clients[index]
            hand.drain(index)
            if client["in_bytes"]:  # half a frame: the rest never comes
                break
            if client["state"] == ClientState.CLOSING:
                break
        hand.disconnect(index)
        if venue.clients[deaf]["state"] != ClientState.CLOSING:
            hand.give(deaf, b"".join(frame(HEARTBEAT, int(venue.clients[deaf]["seq_in"]) + 1 + i, i) for i in range(20)))
        answers = hand.send(good, HEARTBEAT, batches)
        assert [m.ts_client for m in answers if m.name == "VENUE_HEARTBEAT"] == [batches]
        hand.at(batches * SECOND // 50)
        if batches % check_every < 20:
            check_conservation(venue, deposits)
            tops = venue.books.tops
            assert ((tops["bid"] == 0) | (tops["ask"] == 0) | (tops["bid"] < tops["ask"])).all()
            assert venue.books.owners["n_open"].sum() == venue.books.counters["n_open"][0] <= 256
    check_conservation(venue, deposits)
    state = venue.state[0]
    return {
        "inputs": inputs,
        "frames": int(state["n_frames_in"]),
        "malformed": int(state["n_malformed"]),
        "rejects": int(state["n_client_rejects"]),
        "fills": int(state["n_client_fills"]),
        "connections": int(state["n_connections"]),
        "deaf": int(venue.clients[deaf]["state"] == ClientState.CLOSING),
    }


def test_bad_input_is_counted_answered_and_hurts_nobody_else() -> None:
    counted = fuzz(1, 300_000, check_every=100)
    assert counted["deaf"] == 1
    assert counted["malformed"] > 50
    assert counted["rejects"] > 50_000
    assert counted["fills"] > 1_000


@pytest.mark.slow
def test_ten_million_inputs() -> None:
    counted = fuzz(2, 10_000_000, check_every=5_000)
    print(counted)
    assert counted["frames"] > 9_000_000
