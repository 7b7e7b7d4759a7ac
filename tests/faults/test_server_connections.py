"""Connections that end, badly or slowly, over real sockets: what was sent still arrives, and a client finds out as it would with a real venue."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from hftkit.codes import OrderState, Reject
from hftkit.errors import HftkitError
from hftkit.exchange.config import load_config
from hftkit.exchange.faults import plan as faults_room
from hftkit.exchange.faults.line import AT_END, BEAT, INBOUND, STAGED
from hftkit.exchange.faults.page import counts_of, write_settings
from hftkit.exchange.faults.plan import FaultControl
from hftkit.exchange.servers.binary import BinaryServer
from hftkit.exchange.servers.loop import N_GRAVES, N_TURNS
from hftkit.exchange.testing import HEARTBEAT, LOGON, NEW_ORDER, ORDER_QUERY, PlainClient, frame, parse
from tests.faults.test_server_faults import controlled, to_the_end
from tests.unit.exchange.running import HOST, QUIET, Running, simulator

BUY = 0


def in_force(sim: Running, **settings: float) -> None:
    """Set, and wait until the venue has worked through two turns: it has read what was sent before, and has acted on what was set."""
    page = sim.server.shell.faults.page
    write_settings(page, {name.replace("__", "."): value for name, value in settings.items()})
    for _ in range(2):
        last, left = page[BEAT], 10**8
        while page[BEAT] == last and left:
            left -= 1
        assert left, "the server stands still"


def logged_on(sim: Running, account: int, next_seq_in: int = 1) -> PlainClient:
    """A session, as soon as the venue lets it: it may not know yet that the last one has ended, or be down."""
    while True:
        client = sim.orders()
        try:
            if client.logon(account, next_seq_in=next_seq_in).name == "LOGON_ACK":
                return client
        except (EOFError, ConnectionError):
            pass
        client.close()


def state_of(client: PlainClient, order: int) -> OrderState:
    client.send(ORDER_QUERY, order, instrument=0)
    answers = client.until("ORDER_STATUS")
    while answers[-1].client_order_id != order:
        answers = client.until("ORDER_STATUS")
    return OrderState(answers[-1].state)


def test_faults_switched_on_in_the_middle_of_a_frame_wait_for_its_end() -> None:
    with simulator() as sim, sim.trader(7) as client:
        data = frame(NEW_ORDER, 2, 1, BUY, 0, 0, 0, 9000, 200, instrument=0)
        client.socket.sendall(data[:20])
        in_force(sim)
        in_force(sim, order_entry__latency_us=1000)
        client.socket.sendall(data[20:])
        client.seq += 1
        assert client.receive().name == "ORDER_ACK"
        client.order(2, 0, BUY, 9001, 200)
        assert client.receive().client_order_id == 2


def test_orders_under_way_arrive_although_their_sender_has_gone() -> None:
    with simulator() as sim, sim.trader(7) as client:
        in_force(sim, order_entry__latency_us=200_000)
        for i in range(5):
            client.order(1 + i, 0, BUY, 9000 + i, 200)
        client.close()
        in_force(sim, order_entry__latency_us=0)
        with logged_on(sim, 7) as again:
            assert [state_of(again, 1 + i) for i in range(5)] == [OrderState.SUBMITTED] * 5


def test_an_order_that_was_the_last_thing_sent_is_accepted_and_its_answer_comes_with_the_next_connection() -> None:
    with simulator() as sim, sim.trader(7) as client:
        in_force(sim, order_entry__disconnect_next=1, response__latency_us=200_000)
        client.order(1, 0, BUY, 9000, 200)
        with pytest.raises((EOFError, ConnectionError)):
            to_the_end(client)
        in_force(sim, response__latency_us=0)
        with logged_on(sim, 7, next_seq_in=4) as again:
            answer = again.receive()
            assert (answer.name, answer.client_order_id, answer.seq) == ("ORDER_ACK", 1, 4)


@pytest.mark.parametrize("direction", ["response", "order_entry"])
def test_a_session_with_hidden_losses_cannot_be_resumed_and_a_fresh_one_tells_the_truth(direction: str) -> None:
    """The two sides number it differently: sent again by number, a client would take a fill twice, or send an order twice."""
    with simulator() as sim, sim.trader(7) as client:
        in_force(sim, **{f"{direction}__lose_next": 1})
        client.order(1, 0, BUY, 9000, 200)
        client.order(2, 0, BUY, 9001, 200)
        last = client.receive()
        assert last.client_order_id == 2
        client.close()
        answer = None
        while answer is None or answer.reason == Reject.SESSION_DUPLICATE_LOGON:
            with sim.orders() as again:
                answer = again.logon(7, next_seq_in=last.seq + 1)
        assert (answer.name, answer.reason) == ("SESSION_REJECT", Reject.SESSION_RESEND_TOO_OLD)
        with logged_on(sim, 7) as fresh:
            assert state_of(fresh, 1) == (OrderState.SUBMITTED if direction == "response" else OrderState.FREE)


@pytest.mark.parametrize(("value", "error"), [(1, EOFError), (2, ConnectionResetError)])
def test_a_cut_is_a_fin_or_a_reset(value: int, error: type[Exception]) -> None:
    with simulator() as sim, sim.trader(7) as client, sim.data(0) as data:
        in_force(sim, response__cut=value)
        with pytest.raises(error):
            client.receive()
        data.send(HEARTBEAT, 5)
        assert data.receive().ts_client == 5
        assert counts_of(sim.server.shell.faults.page)["response"]["ended"] == 1


def test_a_connection_that_vanishes_says_nothing_and_its_session_is_over() -> None:
    """No FIN, no RST: only a heartbeat that does not come tells the client. Its orders went with it, as it had asked."""
    with simulator() as sim, sim.trader(7, cancel_on_disconnect=True) as client:
        client.order(1, 0, BUY, 9000, 200)
        assert client.receive().name == "ORDER_ACK"
        in_force(sim, order_entry__vanish=1)
        client.order(2, 0, BUY, 9001, 200)
        with logged_on(sim, 7) as again:
            assert (state_of(again, 1), state_of(again, 2)) == (OrderState.CANCELED, OrderState.FREE)
        client.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.socket.recv(1)
        buried: list[PlainClient] = []
        for _ in range(sim.server.shell.faults.graves.size):
            buried.append(sim.orders())
            while sim.server.shell.io[N_GRAVES] <= len(buried):  # the venue may not have accepted it when it saw the setting
                in_force(sim, order_entry__vanish=1)
        client.socket.setblocking(True)
        with pytest.raises(ConnectionResetError):  # the venue keeps so many dead ones, and closes the oldest at last
            client.socket.recv(1)
        for one in buried:
            one.close()


def test_a_venue_that_is_down_turns_newcomers_away_and_comes_back() -> None:
    with simulator() as sim, sim.trader(7) as client:
        client.order(1, 0, BUY, 9000, 200)
        last = client.receive().seq
        in_force(sim, order_entry__down_ms=600_000)
        with pytest.raises((EOFError, ConnectionError)):
            to_the_end(client)
        for _ in range(3):
            with sim.orders() as refused, pytest.raises((EOFError, ConnectionError)):
                refused.logon(7)
        assert counts_of(sim.server.shell.faults.page)["order_entry"]["turned_away"] == 3
        in_force(sim, order_entry__down_ms=50)  # a new outage takes the place of the old one, and passes
        with logged_on(sim, 7, next_seq_in=last + 1) as again:
            assert state_of(again, 1) == OrderState.SUBMITTED


def test_a_trickle_of_bytes_is_whole_in_the_end() -> None:
    with simulator() as sim, sim.trader(7) as client:
        in_force(sim, response__bytes_per_s=2000)
        for i in range(4):
            client.order(1 + i, 0, BUY, 9000 + i, 200)
        received, parts = b"", []
        while len(received) < 4 * 40:
            parts.append(len(part := client.socket.recv(4096)))
            received += part
        assert min(parts) < 40  # less than a frame at a time
        messages, rest = parse(received)
        assert rest == b""
        assert [m.client_order_id for m in messages] == [1, 2, 3, 4]


@pytest.mark.parametrize("settings", [{"response.max_per_s": 1}, {"response.bytes_per_s": 1}, {"response.freeze_ms": 600_000}])
def test_fair_weather_comes_at_once_to_a_line_that_is_throttled_or_frozen(settings: dict[str, float]) -> None:
    """What waits goes out: nobody waits for the ten minutes that were asked for."""
    with simulator() as sim, sim.trader(7) as client:
        in_force(sim, **settings)
        for i in range(30):
            client.order(1 + i, 0, BUY, 9000 + i, 200)
        in_force(sim)
        write_settings(sim.server.shell.faults.page, dict.fromkeys(settings, 0))
        assert [client.receive().client_order_id for _ in range(30)] == list(range(1, 31))


def test_a_full_queue_pushes_back_on_the_sender_loses_nothing_and_costs_nothing() -> None:
    """Orders into a frozen venue, more than its queue holds; meanwhile the loop sleeps. Then all are answered in order."""
    server = BinaryServer(load_config(QUIET))
    port, _ = server.start(HOST, 0, 0)
    page = server.shell.faults.page
    client = socket.create_connection((HOST, port))
    client.settimeout(0.0)
    client.sendall(frame(LOGON, 1, 7, 0, 0, 0, 1, 0, 0, 0, 0))

    def sending(data: bytes, until: Callable[[], bool]) -> bytes:
        """Slices of the server, and as much of `data` as the socket takes meanwhile; returns what is left."""
        for _ in range(4000):
            server.run_slice(1_000_000)
            with suppress(BlockingIOError):
                data = data[client.send(data) :] if data else data
            if until():
                return data
        raise AssertionError("it took for ever")

    sending(b"", lambda: int(server.venue.state[0]["n_frames_in"]) == 1)
    write_settings(page, {"order_entry.freeze_ms": 600_000})
    n = 20_000
    orders = b"".join(frame(NEW_ORDER, 2 + i, 1 + i, BUY, 0, 0, 0, 8000, 200, instrument=0) for i in range(n))
    line, stage = server.shell.faults.lines[0, INBOUND], server.shell.faults.stage[0]
    left = sending(orders, lambda: line[STAGED] == stage.size * 8)
    before = int(server.shell.io[N_TURNS])
    server.run_slice(200_000_000)
    assert int(server.shell.io[N_TURNS]) - before < 60  # it does not ask a socket again and again that it will not read
    write_settings(page, {"order_entry.freeze_ms": 0})
    received = b""

    def all_answered() -> bool:
        nonlocal received
        with suppress(BlockingIOError):
            received += client.recv(1 << 20)
        return len(received) == 40 + 2 * 32 + n * 40  # LOGON_ACK, two POSITIONs, the answers

    sending(left, all_answered)
    answers = [m for m in parse(received)[0] if m.name in ("ORDER_ACK", "ORDER_REJECT")]
    assert [m.client_order_id for m in answers] == list(range(1, n + 1))
    client.close()
    server.close()


def test_a_half_closed_client_is_written_to_while_its_orders_are_under_way() -> None:
    """Its socket is full when orders are held up; it shuts its sending side and reads: it gets what waited for room, then the end."""
    server = BinaryServer(load_config(QUIET))
    port, _ = server.start(HOST, 0, 0)
    page, full, line = server.shell.faults.page, server.shell.full, server.shell.faults.lines[0, INBOUND]
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((HOST, port))
    client.sendall(frame(LOGON, 1, 7, 0, 0, 0, 1, 0, 0, 0, 0))

    def slices_until(happened: Callable[[], bool]) -> None:
        for _ in range(10_000):
            if happened():
                return
            server.run_slice(1_000_000)
        raise AssertionError("it took for ever")

    slices_until(lambda: server.shell.fds[0] >= 0)
    with socket.socket(fileno=os.dup(server.shell.fds[0])) as its_side:
        its_side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    asked = 0
    while not full[0]:
        client.sendall(frame(HEARTBEAT, 2 + asked, asked))
        asked += 1
        server.run_slice(200_000)
    write_settings(page, {"order_entry.freeze_ms": 600_000})
    client.sendall(frame(HEARTBEAT, 2 + asked, asked))
    client.shutdown(socket.SHUT_WR)
    slices_until(lambda: bool(line[AT_END]))
    client.settimeout(0.0)
    parts: list[bytes] = []

    def reads(at_least: int) -> bool:
        """Whether so many bytes have come, or the end."""
        with suppress(BlockingIOError):
            parts.append(client.recv(1 << 16))
        return parts[-1:] == [b""] or sum(map(len, parts)) >= at_least

    slices_until(lambda: reads(40 + 2 * 32 + asked * 32))  # LOGON_ACK, two POSITIONs, every answer that waited
    answers, rest = parse(b"".join(parts))
    assert rest == b""
    assert [m.ts_client for m in answers if m.name == "VENUE_HEARTBEAT"] == list(range(asked))
    write_settings(page, {"order_entry.freeze_ms": 0})
    slices_until(lambda: reads(2**62))
    client.close()
    server.close()


def test_a_controller_hears_that_the_simulator_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with simulator(fault_page=tmp_path / "page"):
        control: FaultControl = controlled(tmp_path, tmp_path / "page")
        control.set(feed__latency_us=5)
        assert control.counts["feed"]["offered"] == 0
        with pytest.raises(HftkitError, match="no histogram was given"):
            control.set(feed__recorded=1)
    monkeypatch.setattr(faults_room, "PATIENCE_S", 0.2)
    for act in (control.clear, lambda: control.set(feed__cut=1), lambda: control.counts):
        with pytest.raises(HftkitError, match="does not answer: it has ended, or stands still"):
            act()
