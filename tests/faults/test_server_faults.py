"""Faults over real sockets, seen by a plain client; no live engine here."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from hftkit.codes import OrderState, Reject
from hftkit.errors import HftkitError
from hftkit.exchange.cli.fault_commands import faults as command
from hftkit.exchange.config import load_config
from hftkit.exchange.faults.line import OUTBOUND, TX_END, TX_START
from hftkit.exchange.faults.page import write_settings
from hftkit.exchange.faults.plan import FaultControl, FaultPlan, ScriptLine
from hftkit.exchange.servers.binary import BinaryServer
from hftkit.exchange.servers.loop import N_TURNS, START_MONO, START_TS
from hftkit.exchange.testing import HEARTBEAT, LOGON, NEW_ORDER, ORDER_QUERY, SUBSCRIBE, FollowerBook, PlainClient, frame, parse
from tests.unit.exchange.running import HOST, simulator

BUY, SELL = 0, 1


def controlled(folder: Path, page: Path) -> FaultControl:
    ready = folder / "sim.json"
    ready.write_text(json.dumps({"faults": str(page)}))
    return FaultControl(ready)


def to_the_end(client: PlainClient) -> None:
    """Read until the venue has closed."""
    while True:
        client.receive()


def follow(data: PlainClient, book: FollowerBook) -> None:
    """Apply DEPTH frames until they do not fit."""
    while True:
        message = data.receive()
        if message.name == "DEPTH":
            book.apply(message)


def test_latency_is_really_there_and_answers_keep_their_order() -> None:
    plan = FaultPlan(order_entry={"latency_us": 30_000}, response={"latency_us": 20_000})
    with simulator(plan=plan) as sim, sim.trader(7) as client:
        before = time.monotonic_ns()
        client.order(1, 0, BUY, 9000, 200)
        client.order(2, 0, BUY, 9001, 200)
        assert [client.receive().client_order_id for _ in range(2)] == [1, 2]
        assert time.monotonic_ns() - before >= 50_000_000
        sim.stop()
        counts = sim.server.summary()["faults"]
        assert counts["order_entry"]["delivered"] == 3
        assert counts["response"]["delivered"] == sum(1 for _ in range(2)) + 3


def test_an_order_is_accepted_and_the_answer_is_lost() -> None:
    with simulator(plan=FaultPlan(response={"lose_next": 1})) as sim, sim.trader(7) as client:
        client.order(1, 0, BUY, 9000, 200)
        client.order(2, 0, BUY, 9001, 200)
        first = client.receive()
        assert (first.name, first.client_order_id) == ("ORDER_ACK", 2)
        assert first.seq == 4  # LOGON_ACK and two POSITIONs before it: no gap to be seen
        client.send(ORDER_QUERY, 1, instrument=0)
        status = client.receive()
        assert (status.client_order_id, status.state) == (1, OrderState.SUBMITTED)


def test_an_order_is_lost_on_its_way() -> None:
    with simulator(plan=FaultPlan(order_entry={"lose_next": 1})) as sim, sim.trader(7) as client:
        client.order(1, 0, BUY, 9000, 200)
        client.order(2, 0, BUY, 9001, 200)
        assert client.receive().client_order_id == 2
        client.send(ORDER_QUERY, 1, instrument=0)
        assert client.receive().state == OrderState.FREE


@pytest.mark.parametrize("reason", [0, int(Reject.VENUE_PRICE_BAND)])
def test_a_reject_storm_is_answered_and_numbered(reason: int) -> None:
    with simulator(plan=FaultPlan(order_entry={"reject_next": 3, "reject_reason": reason})) as sim, sim.trader(7) as client:
        for i in range(5):
            client.order(1 + i, 0, BUY, 9000, 200)
        answers = [client.receive() for _ in range(5)]
        assert [a.name for a in answers] == ["ORDER_REJECT"] * 3 + ["ORDER_ACK"] * 2
        assert {a.reason for a in answers[:3]} == {reason or int(Reject.SESSION_THROTTLED)}
        assert [a.seq for a in answers] == list(range(4, 9))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"drop_next": 1}, Reject.SESSION_BAD_SEQUENCE), ({"duplicate_next": 1}, Reject.SESSION_BAD_SEQUENCE), ({"truncate_next": 1}, None)],
)
def test_the_venue_ends_a_session_whose_orders_arrive_damaged(settings: dict[str, float], reason: Reject | None) -> None:
    with simulator() as sim, sim.trader(7) as client, sim.trader(8) as other:
        write_settings(sim.server.shell.faults.page, {f"order_entry.{name}": value for name, value in settings.items()})
        client.socket.sendall(b"".join(frame(NEW_ORDER, 2 + i, 1 + i, BUY, 0, 0, 0, 9000, 200, instrument=0) for i in range(3)))
        last = client.until("SESSION_REJECT")[-1]
        assert reason is None or last.reason == reason
        with pytest.raises((EOFError, ConnectionResetError)):
            client.receive()
        other.send(HEARTBEAT, 9)
        assert other.receive().ts_client == 9


def test_feed_gaps_are_seen_by_the_follower_and_a_snapshot_heals_them() -> None:
    with simulator() as sim, sim.data() as data, sim.trader(1) as trader:
        book = FollowerBook()
        for message in data.until("SNAPSHOT_END"):
            if message.instrument == 0 and message.name != "INSTRUMENT" and message.name != "BBO":
                book.apply(message)
        data.until("SNAPSHOT_END")
        write_settings(sim.server.shell.faults.page, {"feed.drop_next": 1})
        for i in range(3):
            trader.order(1 + i, 0, BUY, 8000 + i, 200)
            trader.receive()
        with pytest.raises(ValueError, match="gap"):
            follow(data, book)
        data.send(9, instrument=0)
        for message in data.until("SNAPSHOT_END"):
            if message.name.startswith("SNAPSHOT") or (message.name == "DEPTH" and (message.flags & 2)):
                book.apply(message)
        assert {8000, 8001, 8002} <= set(book.levels[BUY])


def test_a_freeze_holds_everything_and_loses_nothing() -> None:
    with simulator() as sim, sim.trader(7) as client:
        before = time.monotonic_ns()
        write_settings(sim.server.shell.faults.page, {"response.freeze_ms": 150})
        for i in range(10):
            client.order(1 + i, 0, BUY, 9000 + i, 200)
        assert [client.receive().client_order_id for _ in range(10)] == list(range(1, 11))
        assert time.monotonic_ns() - before > 100_000_000


@pytest.mark.parametrize("how", ["cut", "disconnect_next"])
def test_a_disconnect_ends_order_entry_and_leaves_the_feed(how: str) -> None:
    with simulator() as sim, sim.data() as data, sim.trader(7, cancel_on_disconnect=True) as client:
        client.order(1, 0, BUY, 8000, 200)
        client.receive()
        write_settings(sim.server.shell.faults.page, {f"order_entry.{how}": 1})
        if how == "disconnect_next":
            client.send(HEARTBEAT, 1)
        with pytest.raises((EOFError, ConnectionResetError)):
            to_the_end(client)
        while not ((m := data.receive()).name == "DEPTH" and m.price == 8000 and m.qty == 0):
            pass
        with sim.trader(7) as again:
            again.send(HEARTBEAT, 2)
            assert again.receive().ts_client == 2


def test_a_script_runs_by_the_clock() -> None:
    plan = FaultPlan(script=(ScriptLine(after_s=0.2, set={"order_entry.cut": 1}),))
    with simulator(plan=plan) as sim, sim.trader(7) as client, pytest.raises((EOFError, ConnectionResetError)):
        to_the_end(client)


def test_switching_on_and_off_in_a_busy_market_keeps_every_book_right() -> None:
    """Latency comes and goes under a running stream: no frame is cut, lost or doubled by the switching itself."""
    from hftkit.exchange.config import load_config

    with simulator(load_config(), speed=600.0, skip_minutes=10_080) as sim, sim.data() as client:
        page = sim.server.shell.faults.page
        books: dict[int, FollowerBook] = {}
        for n in range(30_000):
            if n % 3_000 == 0:
                write_settings(page, {"feed.latency_us": 3000.0 * (n // 3000 % 2), "feed.jitter_us": 2000.0 * (n // 3000 % 2)})
            message = client.receive()
            books.setdefault(message.instrument, FollowerBook()).apply(message)
        assert all(len(book.levels[side]) > 3 for book in books.values() for side in (BUY, SELL))
        assert len(books) == 12


def test_garbage_is_still_garbage_through_the_lines() -> None:
    with simulator(plan=FaultPlan(order_entry={"latency_us": 100})) as sim, sim.orders() as bad, sim.trader(7) as good:
        bad.socket.sendall(b"\xff" * 4096)
        assert bad.receive().reason == Reject.SESSION_MALFORMED
        with pytest.raises((EOFError, ConnectionResetError)):
            bad.receive()
        good.socket.sendall(frame(NEW_ORDER, 2, 1, BUY, 0, 0, 0, 9000, 200, instrument=0)[:20])
        good.socket.sendall(frame(NEW_ORDER, 2, 1, BUY, 0, 0, 0, 9000, 200, instrument=0)[20:])
        assert good.receive().name == "ORDER_ACK"


def test_the_page_is_switched_from_the_command_line(tmp_path: Path) -> None:
    page = tmp_path / "page"
    with simulator(fault_page=page) as sim, sim.trader(7) as client:
        control = controlled(tmp_path, page)
        ready = str(tmp_path / "sim.json")
        run = CliRunner().invoke
        assert run(command, ["--sim", ready, "set", "order_entry.reject_next=1"]).exit_code == 0
        client.order(1, 0, BUY, 9000, 200)
        assert client.receive().name == "ORDER_REJECT"
        control.set(feed__latency_us=500)
        shown = json.loads(run(command, ["--sim", ready, "show", "--json"]).stdout)
        assert shown["settings"] == {"feed.latency_us": 500}
        assert shown["counts"]["order_entry"]["reject"] == 1
        assert "feed.latency_us=500" in run(command, ["--sim", ready, "show"]).output
        assert run(command, ["--sim", ready, "clear"]).exit_code == 0
        assert control.settings == {}
        assert "latency_us" in run(command, ["names"]).output
        with pytest.raises(HftkitError, match="is not a setting"):
            run(command, ["--sim", ready, "set", "feed.latency_us"], catch_exceptions=False)
    with pytest.raises(HftkitError, match="no fault page behind"):
        FaultControl(tmp_path / "nothing.json")


def test_a_client_that_never_reads_under_faults_does_not_hold_up_others() -> None:
    with simulator(plan=FaultPlan(feed={"latency_us": 100})) as sim:
        lazy = PlainClient("127.0.0.1", sim.market_port)
        lazy.send(SUBSCRIBE, 7)
        with sim.orders() as client:
            client.send(LOGON, 3, 0, 0, 0, 1, 0, 0, 0, 0)
            assert client.receive().name == "LOGON_ACK"
        lazy.close()


def test_a_full_socket_is_left_to_epoll_and_loses_nothing() -> None:
    """A client that does not read, with delayed frames for it: the loop sleeps until there is room, instead of trying again and again."""
    config = load_config()
    server = BinaryServer(config, speed=2000.0, plan=FaultPlan(feed={"latency_us": 1}))
    _, port = server.start(HOST, 0, 0)
    data = socket.socket()
    data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    data.connect((HOST, port))
    data.sendall(frame(SUBSCRIBE, 1, 7))
    line = server.shell.faults.lines
    for _ in range(2000):
        server.run_slice(5_000_000)
        if (line[:, OUTBOUND, TX_START] != line[:, OUTBOUND, TX_END]).any():
            break
    assert (line[:, OUTBOUND, TX_START] != line[:, OUTBOUND, TX_END]).any(), "the socket was never full"
    server.shell.io[START_TS] = int(server.venue.state[0]["ts"])  # the market stands from here on
    server.shell.io[START_MONO] = 2**62
    server.shell.speed[0] = 1e-12
    turns, before = 100, 0
    for _ in range(500):  # first what a busy machine has left undone
        server.run_slice(20_000_000)
        turns, before = int(server.shell.io[N_TURNS]) - before, int(server.shell.io[N_TURNS])
        if turns < 6:
            break
    server.run_slice(200_000_000)
    assert int(server.shell.io[N_TURNS]) - before < 60  # one in 10 ms; an attempt a millisecond would make 200
    data.settimeout(0.0)
    received = b""
    for _ in range(2000):
        server.run_slice(1_000_000)
        try:
            received += data.recv(1 << 16)
        except BlockingIOError:
            if not (line[:, OUTBOUND, TX_START] != line[:, OUTBOUND, TX_END]).any():
                break
    messages, rest = parse(received)
    assert rest == b""
    for instrument in range(len(config.instruments)):
        numbers = [message.seq for message in messages if message.name == "TRADE" and message.instrument == instrument]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    data.close()
    server.close()
