"""The simulator over real sockets, seen by a plain client that shares no code with it."""

from __future__ import annotations

import socket

import pytest

from hftkit.codes import OrderState, Reject
from hftkit.errors import VenueError
from hftkit.exchange.config import load_config
from hftkit.exchange.servers.binary import BinaryServer
from hftkit.exchange.servers.listening import listen
from hftkit.exchange.testing import (
    CANCEL_ALL,
    CANCEL_ORDER,
    HEARTBEAT,
    LOGOUT,
    ORDER_QUERY,
    REPLACE_ORDER,
    SNAPSHOT_REQUEST,
    SUBSCRIBE,
    FollowerBook,
    PlainClient,
    frame,
)
from hftkit.instruments import symbol_from_words
from tests.unit.exchange.running import HOST, follow, simulator

BUY, SELL = 0, 1
IOC, FOK = 1, 2
POST_ONLY, REDUCE_ONLY = 1, 2
ONE = 0  # instrument: tick 0.01, lot 0.001, so that one tick times one lot is 1e-5, or 1000 units of 1e-8


def test_an_order_lives_from_ack_to_cancel_and_the_venue_remembers_it() -> None:
    with simulator() as sim, sim.trader(7) as client:
        client.order(1, ONE, BUY, 9000, 200)
        ack = client.receive()
        assert (ack.name, ack.client_order_id) == ("ORDER_ACK", 1)
        client.send(ORDER_QUERY, 1, instrument=ONE)
        status = client.receive()
        assert (status.state, status.filled_qty, status.leaves_qty, status.order_id) == (OrderState.SUBMITTED, 0, 200, ack.order_id)
        client.send(REPLACE_ORDER, 1, 9001, 150, instrument=ONE)
        assert client.receive().name == "ORDER_ACK"
        client.send(CANCEL_ORDER, 1, instrument=ONE)
        canceled = client.receive()
        assert (canceled.name, canceled.canceled_qty, canceled.reason) == ("ORDER_CANCELED", 150, 0)
        client.send(ORDER_QUERY, 1, instrument=ONE)
        assert client.receive().state == OrderState.CANCELED
        client.send(ORDER_QUERY, 99, instrument=ONE)
        assert client.receive().state == OrderState.FREE
        client.send(CANCEL_ORDER, 1, instrument=ONE)
        assert client.receive().reason == Reject.BOOK_UNKNOWN_ORDER
        client.order(1, ONE, BUY, 9000, 200)
        assert client.receive().reason == Reject.VENUE_DUPLICATE_CLIENT_ORDER_ID
        client.send(LOGOUT)
        assert client.receive().name == "LOGOUT_ACK"
        with pytest.raises(EOFError):
            client.receive()


def test_two_clients_trade_and_money_adds_up() -> None:
    with simulator() as sim, sim.trader(1) as maker, sim.trader(2) as taker:
        maker.order(10, ONE, SELL, 9950, 300)
        assert maker.receive().name == "ORDER_ACK"
        taker.order(20, ONE, BUY, 9960, 500, tif=IOC)
        ack, fill, rest = (taker.receive() for _ in range(3))
        assert (ack.name, fill.name, rest.name) == ("ORDER_ACK", "ORDER_FILL", "ORDER_CANCELED")
        assert (fill.price, fill.qty, fill.leaves_qty, fill.maker, fill.side) == (9950, 300, 200, 0, BUY)
        assert (rest.canceled_qty, rest.reason) == (200, Reject.BOOK_NO_LIQUIDITY)
        assert fill.fee_e8 == 9950 * 300 * 1000 * 300 // 1_000_000
        other = maker.receive()
        assert (other.name, other.trade_id, other.maker, other.leaves_qty) == ("ORDER_FILL", fill.trade_id, 1, 0)
        assert other.fee_e8 == 9950 * 300 * 1000 * -25 // 1_000_000
        taker.send(ORDER_QUERY, 20, instrument=ONE)
        status = taker.receive()
        assert (status.state, status.filled_qty) == (OrderState.CANCELED, 300)
        sim.stop()
        holdings = sim.server.venue.holdings
        assert holdings["position"].sum(axis=0).tolist() == [0, 0]
        assert holdings["cash_e8"].sum(axis=0).tolist() == [0, 0]
        assert sorted(holdings["position"][:, ONE].tolist())[:: len(holdings) - 1] == [-300, 300]
        assert sim.server.venue.books.owners["n_open"][2:].max() == 0


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ((5, BUY, 9000, 200), Reject.VENUE_UNKNOWN_INSTRUMENT),
        ((ONE, 2, 9000, 200), Reject.VENUE_BAD_TYPE),
        ((ONE, BUY, 0, 200), Reject.VENUE_BAD_PRICE),
        ((ONE, BUY, -5, 200), Reject.VENUE_BAD_PRICE),
        ((ONE, BUY, 9000, 0), Reject.VENUE_BAD_QTY),
        ((ONE, BUY, 9000, 2**62), Reject.VENUE_BAD_QTY),
        ((ONE, BUY, 9000, 1), Reject.VENUE_MIN_NOTIONAL),
        ((ONE, BUY, 2**62, 200), Reject.BOOK_PRICE_OUT_OF_RANGE),
        ((ONE, BUY, 50_000, 200, 0, POST_ONLY), Reject.BOOK_POST_ONLY_WOULD_TAKE),
        ((ONE, BUY, 50_000, 90_000_000, FOK), Reject.BOOK_FOK_NOT_FILLABLE),
        ((ONE, SELL, 9000, 200, IOC, REDUCE_ONLY), Reject.VENUE_REDUCE_ONLY),
    ],
)
def test_a_bad_order_is_refused_with_its_reason(order: tuple[int, ...], reason: Reject) -> None:
    with simulator() as sim, sim.trader(1) as client:
        client.order(1, *order)
        message = client.receive()
        assert (message.name, message.reason) == ("ORDER_REJECT", reason)
        client.send(HEARTBEAT, 123)
        assert client.receive().ts_client == 123  # the session goes on


def test_open_orders_per_account_are_limited_and_cancel_all_frees_them() -> None:
    with simulator() as sim, sim.trader(1) as client:
        for i in range(20):
            client.order(1 + i, ONE, BUY, 8000 + i, 200)
            assert client.receive().name == "ORDER_ACK"
        client.order(50, ONE, BUY, 8000, 200)
        assert client.receive().reason == Reject.VENUE_TOO_MANY_ORDERS
        client.send(CANCEL_ALL)
        assert {client.receive().client_order_id for _ in range(20)} == set(range(1, 21))
        client.order(51, ONE, BUY, 8000, 200)
        assert client.receive().name == "ORDER_ACK"


@pytest.mark.parametrize("cancels", [True, False])
def test_orders_after_a_lost_connection(cancels: bool) -> None:
    with simulator() as sim:
        with sim.trader(1, cancel_on_disconnect=cancels) as client:
            client.order(1, ONE, BUY, 8000, 200)
            client.receive()
        with sim.data() as watcher:  # a new connection is served after the old one was noticed gone, or shows that it was not
            book = FollowerBook()
            while not (book.whole and (8000 in book.levels[BUY]) is not cancels):
                message = watcher.receive()
                if message.instrument == ONE:
                    book.apply(message)
        with sim.orders() as again:
            assert again.logon(1).name == "LOGON_ACK"
            welcome = again.until("VENUE_HEARTBEAT") if again.send(HEARTBEAT, 0) is None else []
            assert [m.client_order_id for m in welcome if m.name == "ORDER_STATUS"] == ([] if cancels else [1])


def test_the_market_data_of_a_busy_market_rebuilds_the_venues_books() -> None:
    with simulator(load_config(), speed=600.0, skip_minutes=10_080) as sim:
        books: dict[int, FollowerBook] = {}
        with sim.data() as client:
            follow(client, books, 20_000)
            client.send(SNAPSHOT_REQUEST, instrument=3)
            follow(client, books, 5_000)
            sim.stop()
            client.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):  # all that was sent before the stop
                follow(client, books, 10**9)
            compare = {i: sim.book(i) for i in range(12)}
            unsent = sim.server.venue.clients[0]
            assert unsent["out_start"] == unsent["out_end"]
        assert {i: book.levels for i, book in books.items()} == compare
        assert all(book.whole for book in books.values())
        assert all(len(book.levels[side]) > 3 for book in books.values() for side in (BUY, SELL))


def test_instruments_come_first_and_trades_and_quotes_agree_with_the_book() -> None:
    with simulator() as sim, sim.data() as data, sim.trader(1) as client:
        first = data.until("SNAPSHOT_END")
        scales = [m for m in first if m.name == "INSTRUMENT"]
        assert [symbol_from_words(m.symbol0, m.symbol1) for m in scales] == ["ONE", "TWO"]
        assert (scales[0].tick_size_e8, scales[0].taker_fee_ppm, scales[0].maker_fee_ppm) == (1_000_000, 300, -25)
        data.until("SNAPSHOT_END")
        client.order(1, ONE, BUY, 50_000, 1000, tif=IOC)
        client.until("ORDER_FILL")
        messages = data.until("BBO")
        assert [m.name for m in messages if m.name != "TRADE"][-2:] == ["DEPTH", "BBO"]
        trades = [m for m in messages if m.name == "TRADE"]
        depths = [m for m in messages if m.name == "DEPTH"]
        assert sum(m.qty for m in trades) == 1000
        assert [m.flags & 1 for m in depths] == [0] * (len(depths) - 1) + [1]
        assert (messages[-1].ask_price, messages[-1].ask_qty) == (depths[-1].price, depths[-1].qty) or depths[-1].qty == 0


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        (frame(4, 1, 1, 0, 0, 0, 0, 9000, 200, instrument=0), Reject.SESSION_NOT_LOGGED_ON),
        (frame(1, 2, 7, 0, 0, 0, 1, 0, 0, 0, 0), Reject.SESSION_BAD_SEQUENCE),
        (frame(1, 1, 7, 0, 0, 0, 1, 0, 0, 0, 0, version=9), Reject.SESSION_BAD_VERSION),
        (frame(1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0), Reject.SESSION_UNKNOWN_ACCOUNT),
        (frame(1, 1, -1, 0, 0, 0, 1, 0, 0, 0, 0), Reject.SESSION_UNKNOWN_ACCOUNT),
        (frame(99, 1), Reject.SESSION_MALFORMED),
        (frame(8, 1, 7), Reject.SESSION_NOT_LOGGED_ON),
        (frame(HEARTBEAT, 1, 7), Reject.SESSION_NOT_LOGGED_ON),
        (frame(LOGOUT, 1), Reject.SESSION_NOT_LOGGED_ON),
        (b"\x07" * 64, Reject.SESSION_MALFORMED),
        (b"\x00" * 8, Reject.SESSION_MALFORMED),
        (b"\xff" * 4096, Reject.SESSION_MALFORMED),
    ],
)
def test_what_cannot_be_understood_ends_that_session_and_no_other(garbage: bytes, reason: Reject) -> None:
    with simulator() as sim, sim.trader(1) as good, sim.orders() as bad:
        bad.socket.sendall(garbage)
        message = bad.receive()
        assert (message.name, message.reason) == ("SESSION_REJECT", reason)
        with pytest.raises((EOFError, ConnectionResetError)):
            bad.receive()
        good.send(HEARTBEAT, 5)
        assert good.receive().ts_client == 5
        sim.stop()
        assert sim.server.summary()["malformed"] == 1


def test_a_second_logon_of_an_account_is_refused() -> None:
    with simulator() as sim, sim.trader(1) as first, sim.orders() as second:
        assert second.logon(1).reason == Reject.SESSION_DUPLICATE_LOGON
        first.send(HEARTBEAT, 6)
        assert first.receive().ts_client == 6


def test_frames_arrive_byte_by_byte_and_many_at_once() -> None:
    with simulator() as sim, sim.orders() as client:
        stream = frame(1, 1, 7, 0, 0, 0, 1, 0, 0, 0, 0)
        for i in range(len(stream)):
            client.socket.sendall(stream[i : i + 1])
        assert client.receive().name == "LOGON_ACK"
        client.socket.sendall(b"".join(frame(3, 2 + i, i) for i in range(500)))
        echoes = [m.ts_client for m in client.until("POSITION") + [client.receive() for _ in range(501)] if m.name == "VENUE_HEARTBEAT"]
        assert echoes == list(range(500))


def test_a_client_that_never_reads_is_dropped_to_a_snapshot_and_nobody_else_notices() -> None:
    config = load_config()
    with simulator(config, speed=3000.0, skip_minutes=10) as sim:
        slow = PlainClient.__new__(PlainClient)
        slow.socket = socket.socket()
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.socket.settimeout(10)
        slow.socket.connect((HOST, sim.market_port))
        slow.seq, slow._rest, slow._inbox = 0, b"", []
        slow.send(SUBSCRIBE, 7)
        with sim.data() as good:
            books: dict[int, FollowerBook] = {}
            for _ in range(2_000):  # ten million messages: far more than any socket buffer holds
                if sim.server.venue.state["n_dropped"][0] > 0:
                    break
                follow(good, books, 5_000)
            assert sim.server.venue.state["n_dropped"][0] > 0
        begins = 0
        while begins < 24:  # the first twelve, and twelve more after the drop
            begins += slow.receive().name == "SNAPSHOT_BEGIN"
        slow.close()


def test_connections_beyond_the_capacity_are_told_so_and_closed() -> None:
    with simulator() as sim:
        held = [sim.trader(1 + i) for i in range(6)] + [sim.data(), sim.data()]
        with sim.orders() as refused:
            assert refused.receive().reason == Reject.SESSION_VENUE_FULL
            with pytest.raises((EOFError, ConnectionResetError)):
                refused.receive()
        for client in held:
            client.close()
        sim.stop()
        assert sim.server.summary()["connections_refused"] == 1


def test_connections_inherit_what_finds_peers_that_vanished() -> None:
    for patient in (True, False):
        with listen(HOST, 0, "test", patient) as listener, socket.create_connection(listener.getsockname()):
            listener.setblocking(True)
            accepted, _ = listener.accept()
            with accepted:
                options = [accepted.getsockopt(socket.IPPROTO_TCP, o) for o in (socket.TCP_NODELAY, socket.TCP_KEEPIDLE, socket.TCP_USER_TIMEOUT)]
                assert options == [1, 10, 0 if patient else 20_000]
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_it_listens_on_both_families_of_addresses() -> None:
    with listen("::1", 0, "test") as listener:
        assert listener.family == socket.AF_INET6


def test_a_port_in_use_is_one_clear_line() -> None:
    with simulator() as sim:
        other = BinaryServer(load_config(__file__.replace("test_binary_server.py", "quiet.toml")))
        with pytest.raises(VenueError, match=f"port {sim.order_port} .*in use"):
            other.start(HOST, sim.order_port, 0)
