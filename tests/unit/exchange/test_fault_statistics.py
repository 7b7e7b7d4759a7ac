"""How often and how much: each kind of fault at the rate that was set, delays with the distribution that was set, throttling exact, bursts as long
as asked for.

Bounds are five standard deviations of the binomial or geometric law; seeds are fixed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from hftkit.exchange.faults import line
from hftkit.exchange.faults.page import DIRECTIONS, KINDS, all_settings, counts_of
from hftkit.exchange.faults.plan import FaultPlan, new_faults
from hftkit.kernels.memory.histogram import COUNTS_LEN, record
from hftkit.kernels.wire.frame import header
from hftkit.session.histogram import write_hlog

MS = 1_000_000
N = 40_000
# of each direction, a frame that every kind of fault may hit: type, words
HIT = {"feed": (67, 7), "order_entry": (4, 9), "response": (35, 5)}
POSSIBLE = [(d, kind) for d in DIRECTIONS for kind in KINDS if f"{d}.{kind}_ppm" in all_settings() and kind != "disconnect"]


def weather(plan: FaultPlan, direction: str, n: int = N, every_ns: int = 1000) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    """(what arrives as words, when, what was offered, counts) of `n` frames with sequences and order ids 1, 2 ... offered one every `every_ns`."""
    code, size = HIT[direction]
    words = np.zeros((n, size), np.int64)
    words[:, 0], words[:, 1] = header(code, size, 0), 1 + np.arange(n)
    words[:, 2] = words[:, 3] = 1 + np.arange(n)  # the id stands in the second word of orders, in the third of answers
    if direction == "feed":
        words[:, 4] = 1
    times = np.arange(n, dtype=np.int64) * every_ns
    out, out_times = np.zeros(4 * words.size, np.int64), np.zeros(4 * n + 1, np.int64)
    faults = new_faults(plan, 1, 16_384)
    end = line.carry(faults, DIRECTIONS.index(direction), words.reshape(-1), times, out, out_times)
    return out[:end], out_times[: out_times[-1]], words, counts_of(faults.page)[direction]


def binomial(ppm: float, n: int = N) -> tuple[float, float]:
    share = ppm / 1e6
    return n * share, 5 * np.sqrt(n * share * (1 - share))


@pytest.mark.parametrize(("direction", "kind"), POSSIBLE)
def test_each_kind_happens_as_often_as_it_is_set_and_as_often_as_it_is_counted(direction: str, kind: str) -> None:
    settings = {f"{kind}_ppm": 20_000, **({"burst_frames": 1} if kind == "burst" else {})}
    out, _, words, counts = weather(FaultPlan(seed=3, **{direction: settings}), direction)
    expected, bound = binomial(20_000)
    happened = counts[kind]
    # a held frame cannot be held again, so fewer are reordered than are drawn
    assert abs(happened - expected) < (bound if kind != "reorder" else bound + expected * 0.04)
    size = words.shape[1]
    assert counts["offered"] == N
    if kind == "truncate":
        assert out.size == words.size - happened * (size - size // 2)
        return
    arrived = out.reshape(-1, size)
    ids = arrived[:, 3]  # unlike the sequence never repaired
    fresh = {"duplicate": 1, "drop": -1, "lose": -1, "burst": -1, "reject": 0, "late": 0, "gap": 0, "reorder": 0}[kind]
    assert len(arrived) == counts["delivered"] == N + fresh * happened
    if kind == "duplicate":
        assert np.count_nonzero(np.diff(ids) == 0) == happened
    elif kind == "reorder":
        assert sorted(ids) == list(range(1, N + 1))
        assert np.count_nonzero(np.diff(ids) < 0) == happened
    elif kind == "gap":
        assert np.count_nonzero(np.diff(arrived[:, 1]) == 2) == happened
        assert (np.diff(ids) == 1).all()
    elif kind == "lose":
        assert (np.diff(arrived[:, 1]) == 1).all()
    elif fresh < 0:
        assert N - len(set(ids)) == happened
        assert (arrived[:, 1] == ids).all()


def test_bursts_are_geometric_and_lose_the_share_that_the_two_states_say() -> None:
    """Gilbert's channel: into the bad state with p, out of it with r = 1 / mean; the share lost is p / (p + r)."""
    p, mean, n = 0.005, 20, 200_000
    out, _, _, counts = weather(FaultPlan(seed=4, feed={"burst_ppm": 1e6 * p, "burst_frames": mean}), "feed", n)
    gaps = np.diff(out.reshape(-1, 7)[:, 1]) - 1
    lengths = gaps[gaps > 0]
    deviation = np.sqrt(mean * (mean - 1.0))
    # two bursts on end look like one: the runs are a little longer than the bursts
    assert abs(lengths.mean() - mean / (1 - p)) < 5 * deviation / np.sqrt(len(lengths))
    assert abs(lengths.std() - deviation) < 0.15 * deviation
    assert abs(counts["drop"] / n - p / (p + 1 / mean)) < 5 * deviation * np.sqrt(counts["burst"]) / n + 0.003
    assert counts["drop"] == pytest.approx(counts["burst"] * mean, rel=5 * deviation / mean / np.sqrt(counts["burst"]))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, np.ndarray]:
    """A histogram of skewed latencies, and the values in it, sorted."""
    values = np.sort(np.random.default_rng(1).lognormal(13.0, 0.7, 20_000)).astype(np.int64)
    counts = np.zeros(COUNTS_LEN, np.int64)
    for value in values:
        record(counts, int(value))
    path = tmp_path_factory.mktemp("hlog") / "latency.hlog"
    write_hlog(path, {"ack": counts}, 0.0, 1.0)
    return str(path), values


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    """Largest distance of two samples' distribution functions."""
    places = np.concatenate([a, b])
    shares = [np.searchsorted(np.sort(x), places, side="right") / len(x) for x in (a, b)]
    return float(np.abs(shares[0] - shares[1]).max())


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_delays_have_the_recorded_distribution_and_frames_keep_their_order(direction: str, recorded: tuple[str, np.ndarray]) -> None:
    """Where frames are far apart each delay is a draw. Where they are close one that is held up holds up those behind it, as TCP does."""
    path, values = recorded
    plan = FaultPlan(seed=5, latency_from={direction: path}, **{direction: {"latency_us": 250}})
    far = 10**9
    _, times, _, _ = weather(plan, direction, 10_000, far)
    delays = times - np.arange(10_000) * far
    # 1e-3 of two samples of one law are farther apart than 1.95 sqrt(1/n + 1/m); the table has 1024 places, the histogram three digits
    assert kolmogorov_smirnov(delays - 250_000, values) < 1.95 * np.sqrt(1 / 10_000 + 1 / 20_000) + 1 / 1024
    close = 10_000
    out, times, _, _ = weather(plan, direction, 10_000, close)
    assert (np.diff(out.reshape(-1, HIT[direction][1])[:, 1]) == 1).all()
    assert times.tolist() == np.maximum.accumulate(np.arange(10_000) * close + delays).tolist()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_jitter_is_uniform(direction: str) -> None:
    _, times, _, _ = weather(FaultPlan(seed=6, **{direction: {"jitter_us": 4000}}), direction, 10_000, 10**9)
    delays = times - np.arange(10_000) * 10**9
    assert kolmogorov_smirnov(delays, np.arange(4 * MS)) < 1.95 / np.sqrt(10_000)


@pytest.mark.parametrize("rate", [3, 100, 7_777, 1_000_000])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_throttling_is_exact_whatever_else_happens(direction: str, rate: int) -> None:
    """Never more than the rate, doubled and reordered frames included; never less while something waits."""
    rough = {"max_per_s": rate, "duplicate_ppm": 50_000, "reorder_ppm": 50_000}
    _, times, _, counts = weather(FaultPlan(seed=7, **{direction: rough}), direction, 2_000, 1)
    apart = np.diff(times)
    assert counts["delivered"] == 2_000 + counts["duplicate"]
    assert apart.min() == apart.max() == -(-(10**9) // rate)


def test_the_weather_of_a_seed_is_the_same_in_every_process() -> None:
    """Byte for byte: this digest was taken in another process, long ago. It may change only where the faults are meant to."""
    rough = {"jitter_us": 900, "drop_ppm": 50_000, "duplicate_ppm": 50_000, "reorder_ppm": 50_000, "gap_ppm": 10_000, "burst_ppm": 2_000}
    out, times, _, _ = weather(FaultPlan(seed=5, feed=rough), "feed", 2_000)
    assert hashlib.sha256(out.tobytes() + times.tobytes()).hexdigest()[:16] == "68e4d26c5d8afa24"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_end_of_a_connection_comes_behind_what_was_sent_before_it(direction: str) -> None:
    """Also where the queue is never empty."""
    plan = FaultPlan(seed=8, **{direction: {"latency_us": 3_000, "disconnect_ppm": 5_000}})
    out, _, _, counts = weather(plan, direction, 5_000, 1_000)
    ids = out.reshape(-1, HIT[direction][1])[:, 3]
    assert ids.tolist() == list(range(1, len(ids) + 1))
    assert counts["delivered"] == len(ids) < counts["offered"] < 5_000
    assert counts["disconnect"] >= 1


def test_a_histogram_that_cannot_be_read_is_named(tmp_path: Path, recorded: tuple[str, np.ndarray]) -> None:
    from hftkit.errors import ConfigError
    from hftkit.exchange.faults.page import quantiles_ns

    (tmp_path / "noise.hlog").write_bytes(np.random.default_rng(2).bytes(4000))
    for file, says in ((tmp_path / "none.hlog", "cannot read"), (tmp_path / "noise.hlog", "noise.hlog"), (f"{recorded[0]}#tick", "it has ack")):
        with pytest.raises(ConfigError, match=says):
            quantiles_ns(file)
