"""Each kind of fault on a stream of frames, without sockets: what arrives, in which order, when."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from hftkit.errors import ConfigError
from hftkit.exchange.faults import line
from hftkit.exchange.faults.page import counts_of, quantiles_ns, settings_of, write_settings
from hftkit.exchange.faults.plan import FaultPlan, load_plan, new_faults, shipped_plans
from hftkit.exchange.testing import frame, parse
from hftkit.kernels.memory.histogram import COUNTS_LEN, record
from hftkit.session.histogram import write_hlog

DEPTH, TRADE, ACK, FILL, NEW, BEAT = 67, 66, 35, 37, 4, 34
MS = 1_000_000


def depth(seq: int, flags: int = 1) -> bytes:
    return frame(DEPTH, seq, 1000 + seq, 0, flags, 100, 5, instrument=2)


def ack(seq: int, order: int) -> bytes:
    return frame(ACK, seq, 1000, order, 500 + order, instrument=2)


def fill(seq: int, order: int) -> bytes:
    return frame(FILL, seq, 1000, order, 500 + order, 9, 0, 0, 100, 1, 0, 0, instrument=2)


def new_order(seq: int) -> bytes:
    return frame(NEW, seq, seq, 0, 0, 0, 0, 100, 1, instrument=2)


def carried(plan: FaultPlan, direction: int, frames: list[bytes], every_ns: int = MS) -> tuple[bytes, list[int], dict[str, int]]:
    """(what arrives, when, counts) of frames offered one every `every_ns`."""
    faults = new_faults(plan, 1, 16_384)
    words = np.frombuffer(b"".join(frames), np.int64).copy()
    times = 10**9 + np.arange(len(frames)) * every_ns
    out, out_times = np.zeros(4 * words.size + 64, np.int64), np.zeros(4 * len(frames) + 8, np.int64)
    end = line.carry(faults, direction, words, times, out, out_times)
    name = ("feed", "order_entry", "response")[direction]
    return out[:end].tobytes(), (out_times[: out_times[-1]] - 10**9).tolist(), counts_of(faults.page)[name]


def sequences(data: bytes) -> list[int]:
    messages, rest = parse(data)
    assert rest == b""
    return [m.seq for m in messages]


def test_fair_weather_changes_nothing() -> None:
    frames = [depth(i) for i in range(1, 9)]
    data, times, counts = carried(FaultPlan(), line.FEED, frames)
    assert data == b"".join(frames)
    assert times == [i * MS for i in range(8)]
    assert counts == {"offered": 8, "delivered": 8}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("drop_next", [2, 3, 4]),
        ("duplicate_next", [1, 1, 2, 3, 4]),
        ("reorder_next", [2, 1, 3, 4]),
        ("gap_next", [2, 3, 4, 5]),
    ],
)
def test_one_fault_on_the_feed(fault: str, expected: list[int]) -> None:
    data, _, counts = carried(FaultPlan(feed={fault: 1}), line.FEED, [depth(i) for i in range(1, 5)])
    assert sequences(data) == expected
    assert counts[fault.split("_")[0]] == 1


def test_snapshots_and_session_frames_come_whole() -> None:
    frames = [depth(7, flags=2), frame(BEAT, 3, 1000, 0)]
    data, _, counts = carried(FaultPlan(feed={"drop_ppm": 1e6}), line.FEED, frames)
    assert data == b"".join(frames)
    assert "drop" not in counts


def test_truncation_leaves_the_first_half() -> None:
    frames = [depth(1), depth(2)]
    data, _, _ = carried(FaultPlan(feed={"truncate_next": 1}), line.FEED, frames)
    assert data == frames[0][: len(frames[0]) // 16 * 8] + frames[1]


def test_a_reordered_frame_does_not_wait_for_ever() -> None:
    data, times, _ = carried(FaultPlan(feed={"reorder_next": 1}), line.FEED, [depth(1), frame(TRADE, 1, 1000, 1, 0, 100, 1, instrument=2)])
    assert [m.name for m in parse(data)[0]] == ["TRADE", "DEPTH"]
    assert times[1] == line.REORDER_NS


def test_a_lost_acknowledgement_takes_the_orders_other_answers_and_nobody_can_see_it() -> None:
    frames = [ack(1, 50), fill(2, 50), ack(3, 51), fill(4, 51), fill(5, 50), ack(6, 52)]
    data, _, counts = carried(FaultPlan(response={"lose_next": 1}), line.RESPONSE, frames)
    messages = parse(data)[0]
    assert [(m.seq, m.client_order_id) for m in messages] == [(1, 51), (2, 51), (3, 52)]
    assert counts["lose"] == 1


def test_several_lost_acknowledgements_take_all_their_answers() -> None:
    frames = [ack(1, 50), ack(2, 51), ack(3, 52), fill(4, 50), fill(5, 52), fill(6, 51)]
    data, _, _ = carried(FaultPlan(response={"lose_next": 2}), line.RESPONSE, frames)
    assert [(m.name, m.seq, m.client_order_id) for m in parse(data)[0]] == [("ORDER_ACK", 1, 52), ("ORDER_FILL", 2, 52)]


def test_frames_without_a_number_keep_none_behind_a_gap() -> None:
    status = frame(70, 0, 1000, 1, instrument=2)
    data, _, _ = carried(FaultPlan(feed={"gap_next": 1}), line.FEED, [depth(1), status, depth(2)])
    assert sequences(data) == [2, 0, 3]


def test_a_lost_order_never_reaches_the_venue_and_the_rest_is_renumbered() -> None:
    data, _, _ = carried(FaultPlan(order_entry={"lose_next": 1}), line.ORDER_ENTRY, [new_order(1), new_order(2), new_order(3)])
    words = np.frombuffer(data, np.int64).reshape(2, -1)
    assert words[:, 1].tolist() == [1, 2]
    assert words[:, 2].tolist() == [2, 3]


def test_latency_keeps_the_order_and_adds_up() -> None:
    plan = FaultPlan(seed=3, feed={"latency_us": 2000, "jitter_us": 5000})
    data, times, _ = carried(plan, line.FEED, [depth(i) for i in range(1, 401)])
    delays = np.array(times) - np.arange(400) * MS
    assert sequences(data) == list(range(1, 401))
    assert delays.min() >= 2 * MS
    assert delays.max() <= 7 * MS
    assert delays.std() > 0.3 * MS
    assert (np.diff(times) >= 0).all()


def test_a_late_acknowledgement_delays_what_stands_behind_it() -> None:
    plan = FaultPlan(response={"late_us": 50_000, "late_next": 1})
    _, times, _ = carried(plan, line.RESPONSE, [ack(1, 50), fill(2, 50), ack(3, 51)])
    assert times == [50 * MS] * 3


def test_throttling_spaces_the_frames() -> None:
    _, times, _ = carried(FaultPlan(order_entry={"max_per_s": 100}), line.ORDER_ENTRY, [new_order(i) for i in range(1, 6)], every_ns=1)
    assert np.diff(times).tolist() == [10 * MS] * 4


def test_clock_skew_is_in_the_frames_only() -> None:
    data, times, _ = carried(FaultPlan(feed={"skew_us": -3}), line.FEED, [depth(1)])
    assert parse(data)[0][0].ts_event == 1001 - 3000
    assert times == [0]


def test_recorded_latency_has_the_recorded_distribution(tmp_path: Path) -> None:
    counts = np.zeros(COUNTS_LEN, np.int64)
    values = np.random.default_rng(1).lognormal(13.0, 0.5, 5000)
    for value in values:
        record(counts, int(value))
    write_hlog(tmp_path / "latency.hlog", {"tick": np.zeros(COUNTS_LEN, np.int64), "ack": counts}, 0.0, 1.0)
    table = quantiles_ns(f"{tmp_path / 'latency.hlog'}#ack")
    assert np.quantile(table, [0.1, 0.5, 0.9]) == pytest.approx(np.quantile(values, [0.1, 0.5, 0.9]), rel=0.02)
    plan = FaultPlan(latency_from={"feed": f"{tmp_path / 'latency.hlog'}#ack"})
    _, times, _ = carried(plan, line.FEED, [depth(i) for i in range(1, 501)], every_ns=100 * MS)
    delays = np.array(times) - np.arange(500) * 100 * MS
    assert np.median(delays) == pytest.approx(np.median(values), rel=0.1)
    with pytest.raises(ConfigError, match="tag nothing"):
        quantiles_ns(f"{tmp_path / 'latency.hlog'}#nothing")


def test_the_same_seed_makes_the_same_weather_and_another_one_another() -> None:
    frames = [depth(i) for i in range(1, 2001)]
    rough = {"jitter_us": 900, "drop_ppm": 50_000, "duplicate_ppm": 50_000, "reorder_ppm": 50_000, "gap_ppm": 10_000}
    first, second, other = (carried(FaultPlan(seed=seed, feed=rough), line.FEED, frames) for seed in (5, 5, 6))
    assert first == second
    assert first[0] != other[0]
    assert first[2]["drop"] == pytest.approx(100, abs=35)


def test_a_script_switches_settings_when_they_are_due() -> None:
    plan = load_plan("silent_venue")
    faults = new_faults(plan, 1, 64)
    reject = line.SETTINGS + line.ORDER_ENTRY * line.BLOCK + line.NEXT + line.REJECT
    line.run_script(faults, 4_999 * MS, 0)
    assert faults.page[reject] == 0
    line.run_script(faults, 5_000 * MS, 0)
    assert faults.page[reject] == 20
    now = 777
    line.run_script(faults, 20_000 * MS, now)
    frozen = [int(faults.page[line.SETTINGS + d * line.BLOCK + line.FROZEN]) for d in range(3)]
    assert frozen == [now + 500 * MS, 0, now + 500 * MS]
    assert 0 < settings_of(faults.page)["feed.freeze_ms"] <= 500  # what is left of it
    assert counts_of(faults.page)["response"]["freeze"] == 1
    line.run_script(faults, 20_000 * MS, now + 500 * MS)
    assert "feed.freeze_ms" not in settings_of(faults.page)


def test_a_page_without_a_fault_left_is_inactive_again() -> None:
    """A count that has run out, a freeze that is over: the server takes the direct path again, without being told."""
    faults = new_faults(FaultPlan(feed={"drop_next": 1, "freeze_ms": 5}), 1, 64)
    line.run_script(faults, 0, 1)
    faults.page[line.SETTINGS + line.NEXT + line.DROP] = 0  # struck
    line.run_script(faults, 0, 4 * MS)
    assert faults.page[line.ACTIVE] == 1
    line.run_script(faults, 0, 40 * MS)
    assert faults.page[line.ACTIVE] == 0
    write_settings(faults.page, {"feed.freeze_ms": 60_000, "feed.drop_ppm": 9})
    line.run_script(faults, 0, 50 * MS)
    write_settings(faults.page, {"feed.drop_ppm": 0})  # another setting that ends does not thaw what is frozen
    assert faults.page[line.ACTIVE] == 1
    write_settings(faults.page, {"feed.freeze_ms": 0})
    assert settings_of(faults.page) == {}


def test_settings_are_read_back_and_cleared() -> None:
    faults = new_faults(FaultPlan(feed={"latency_us": 500}), 1, 64)
    write_settings(faults.page, {"response.skew_us": -20, "feed.drop_ppm": 5})
    assert settings_of(faults.page) == {"feed.latency_us": 500, "feed.drop_ppm": 5, "response.skew_us": -20}
    assert faults.page[line.ACTIVE] == 1
    write_settings(faults.page, {"response.skew_us": 0, "feed.drop_ppm": 0, "feed.latency_us": 0})
    assert faults.page[line.ACTIVE] == 0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"feed.latnecy_us": 1}, "no fault setting 'feed.latnecy_us'.* did you mean feed.latency_us"),
        ({"feed.latency_ms": 1}, "did you mean feed.latency_us"),
        ({"skew_us": 1}, "did you mean feed.skew_us or response.skew_us\\?"),
        ({"weather": 1}, "`hftkit faults names` lists them all"),
        ({"order_entry.skew_us": 1}, "skew cannot happen to the order entry"),
        ({"feed.drop_next": 1.5}, "whole numbers from 0 to 1000000000"),
        ({"feed.latency_us": float("nan")}, "feed.latency_us is nan"),
        ({"feed.drop_next": "many"}, "feed.drop_next is 'many'"),
        ({"latency_us": 1}, "write DIRECTION.NAME"),
        ({"feed.lose_ppm": 1}, "lose cannot happen to the feed"),
        ({"feed.drop_ppm": 2e6}, "0 to 1000000"),
        ({"feed.latency_us": -1}, "feed.latency_us is -1"),
        ({"order_entry.reject_reason": 77}, "give a reason code"),
    ],
)
def test_a_wrong_setting_is_refused_and_nothing_is_written(settings: dict[str, float], says: str) -> None:
    page = new_faults(FaultPlan(), 1, 64).page
    with pytest.raises(ConfigError, match=says):
        write_settings(page, {"feed.latency_us": 5, **settings})
    assert settings_of(page) == {}


def test_plans_that_ship_with_hftkit_are_valid_and_a_bad_file_names_the_key(tmp_path: Path) -> None:
    assert {"rough_sea", "lossy_feed", "silent_venue", "lost_line"} <= set(shipped_plans())
    for name in shipped_plans():
        assert not load_plan(name).is_fair
    (tmp_path / "plan.toml").write_text("[feed]\ndorp_ppm = 3\n")
    with pytest.raises(ConfigError, match=r"feed\.dorp_ppm"):
        load_plan(tmp_path / "plan.toml")
    with pytest.raises(ConfigError, match=r"there is no fault plan .*rough_sea"):
        load_plan(tmp_path / "none.toml")


@pytest.mark.parametrize("direction", [line.FEED, line.ORDER_ENTRY, line.RESPONSE])
def test_no_frame_is_invented_and_memory_is_never_left(direction: int) -> None:
    """Everything at once, for many frames: what arrives is a frame that was sent, or half of one."""
    every = {"drop": 50_000, "duplicate": 80_000, "reorder": 80_000, "gap": 20_000, "truncate": 0}
    kinds = {f"{kind}_ppm": float(ppm) for kind, ppm in every.items()} | {"jitter_us": 3000.0}
    makers = {line.FEED: depth, line.ORDER_ENTRY: new_order, line.RESPONSE: lambda i: ack(i, i)}
    name = ("feed", "order_entry", "response")[direction]
    frames = [makers[direction](i) for i in range(1, 3001)]
    data, times, counts = carried(FaultPlan(**{name: kinds}), direction, frames, every_ns=10_000)
    size = len(frames[0])
    assert len(data) == size * counts["delivered"]
    assert counts["delivered"] == 3000 - counts["drop"] + counts["duplicate"]
    bodies = {f[16:] for f in frames}
    assert all(data[at + 16 : at + size] in bodies for at in range(0, len(data), size))
    assert struct.unpack_from("<H", data)[0] == size
    assert times == sorted(times)
