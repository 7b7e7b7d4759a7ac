"""Order entry over loopback TCP: orders acknowledged per second, sustained, by one client and by 64.

The simulator's server is a process of its own, whose memory is what is reported; a compiled loop here is all the clients. What is counted as one
order is a pair: a new limit order, checked by every filter, margined, acknowledged and resting in the book, and the cancel that takes it out again,
acknowledged too. So each order is two requests and two answers, and there are no fills. The book stays small, memory flat, and every answer is
checked: its sequence, its kind, its id.

Batched: a client writes PAIRS pairs with one send and keeps a few such batches under way, as a busy gateway does; the socket's cost is
shared by many requests. Single: a client sends one pair and waits for its answers before the next: every order pays its own system calls.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from typing import Any

import msgspec
import numpy as np

from hftkit.benchmarks.registry import Benchmark, Result, WrongAnswer
from hftkit.clock import monotonic_ns
from hftkit.codes import MessageType
from hftkit.exchange.config import SimConfig, load_config
from hftkit.exchange.servers.binary import BinaryServer
from hftkit.exchange.testing import frame
from hftkit.kernels.jit import kernel
from hftkit.kernels.wire.frame import header
from hftkit.layout import FRAME, HEADER_WORDS, WORD
from hftkit.system.syscalls import MSG_DONTWAIT, MSG_NOSIGNAL, receive, transmit, yield_processor
from hftkit.system.syscalls import monotonic_ns as compiled_monotonic_ns

SECONDS = 60.0
PAIRS = 48  # new orders and cancels in one batch
SINGLE_SECONDS = 10.0
WINDOW = 24  # batches under way, all clients together, at the least one each
PRICE_BELOW = 100  # ticks below the best bid: the orders rest
_NEW, _CANCEL = int(MessageType.NEW_ORDER), int(MessageType.CANCEL_ORDER)
_NEW_WORDS, _CANCEL_WORDS = FRAME[MessageType.NEW_ORDER].words, FRAME[MessageType.CANCEL_ORDER].words
_ACK, _CANCELED = int(MessageType.ORDER_ACK), int(MessageType.ORDER_CANCELED)
_PAIR_WORDS = _NEW_WORDS + _CANCEL_WORDS
_B = HEADER_WORDS
# columns of the clients' state
FD, SEQ_OUT, SEQ_IN, NEXT_ID, EXPECTED_ID, OPEN, SENT, FILL, ACKED, WRONG, COLUMNS = range(11)


@kernel
def _write_batch(words: Any, client: Any, price: int, qty: int) -> None:
    at, pairs = 0, words.size // _PAIR_WORDS
    for _ in range(pairs):
        words[at], words[at + 1], words[at + _B] = header(_NEW, _NEW_WORDS, 0), client[SEQ_OUT] + 1, client[NEXT_ID]
        for i in range(1, 5):
            words[at + _B + i] = 0  # buy, limit, good till cancelled, no flags
        words[at + _B + 5], words[at + _B + 6] = price, qty
        at += _NEW_WORDS
        words[at], words[at + 1], words[at + _B] = header(_CANCEL, _CANCEL_WORDS, 0), client[SEQ_OUT] + 2, client[NEXT_ID]
        at += _CANCEL_WORDS
        client[SEQ_OUT] += 2
        client[NEXT_ID] += 1
    client[OPEN] += 2 * pairs
    client[SENT] = 0


@kernel
def _read_answers(words: Any, client: Any) -> None:
    """Check and count every whole frame received: an ACK and a CANCELED of each id, in turn, without a gap in the sequence."""
    at, end = 0, client[FILL] // WORD
    while end - at >= 2 and end - at >= (words[at] & 0xFFFF) >> 3:
        kind = (words[at] >> 16) & 0xFF
        expected = _ACK if client[OPEN] % 2 == 0 else _CANCELED
        if kind != expected or words[at + 1] != client[SEQ_IN] + 1 or words[at + _B + 1] != client[EXPECTED_ID]:
            client[WRONG] += 1
        client[SEQ_IN] += 1
        client[OPEN] -= 1
        if kind == _ACK:
            client[ACKED] += 1
        else:
            client[EXPECTED_ID] += 1
        at += (words[at] & 0xFFFF) >> 3
    n_words = (client[FILL] + WORD - 1) // WORD
    for i in range(at, n_words):
        words[i - at] = words[i]
    client[FILL] -= at * WORD


@kernel
def _pump(clients: Any, out: Any, inbox: Any, clock: Any, until: int, price: int, qty: int, window: int) -> int:
    """All clients until `until` (ns, monotonic), then until all is answered. `window`: batches under way. Returns the connections that failed."""
    n, failed, busy = clients.shape[0], 0, 1
    batch_bytes = out.shape[1] * WORD
    batch_requests = 2 * (out.shape[1] // _PAIR_WORDS)
    while failed == 0 and busy > 0:
        now = compiled_monotonic_ns(clock)
        busy, moved = 0, 0
        for c in range(n):
            client = clients[c]
            if now < until and client[SENT] == batch_bytes and client[OPEN] <= (window - 1) * batch_requests:
                _write_batch(out[c], client, price, qty)
            if client[SENT] < batch_bytes:
                sent = transmit(client[FD], out[c], client[SENT], batch_bytes - client[SENT], MSG_DONTWAIT | MSG_NOSIGNAL)
                client[SENT] += max(0, sent)
            if client[OPEN] > 0:
                got = receive(client[FD], inbox[c], client[FILL], MSG_DONTWAIT)
                if got > 0:
                    client[FILL] += got
                    _read_answers(inbox[c], client)
                    moved += 1
                failed += got == 0
            busy += client[OPEN] > 0 or now < until
        if moved == 0:
            yield_processor()
    return failed


def _quiet() -> SimConfig:
    """The sample universe with traders that are silent after their first quotes."""
    config = load_config()
    flow = msgspec.structs.replace(config.flow, arrivals_per_s=1e-9)
    return msgspec.structs.replace(config, flow=flow, venue=msgspec.structs.replace(config.venue, wait="yield"))


def _connect(port: int, account: int) -> tuple[socket.socket, int]:
    """A client logged on. Returns its socket and the last sequence it has received."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(frame(int(MessageType.LOGON), 1, account, 0, 0, 0, 1, 0, 0, 0, 0))
    welcome = b""
    expected = FRAME[MessageType.LOGON_ACK].bytes + 12 * FRAME[MessageType.POSITION].bytes
    while len(welcome) < expected:
        welcome += connection.recv(expected - len(welcome))
    return connection, 13


def _resident_mb(pid: int) -> float:
    """Exact, page by page: /proc/PID/statm is some hundred kilobytes off."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        (line,) = (line for line in file if line.startswith("Rss:"))
    return round(int(line.split()[1]) * 1024 / 1e6, 2)


def serve() -> None:
    """The venue's process: tells its port and best bid, serves until its input ends, sums up."""
    server = BinaryServer(_quiet())
    port, _ = server.start("127.0.0.1", 0, 0)
    print(json.dumps({"port": port, "bid": int(server.venue.books.tops[0]["bid"])}), flush=True)
    stop = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    while not stop.is_set():
        server.run_slice()
    server.close()
    print(json.dumps(server.summary()), flush=True)


def sustained(n_clients: int, seconds: float, pairs: int = PAIRS) -> tuple[float, dict[str, Any]]:
    """(orders acknowledged per second, what else was seen); `pairs` of a new order and its cancel go out with one send.

    Raises WrongAnswer if an answer is missing, wrong or out of turn.
    """
    venue = subprocess.Popen([sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    sockets: list[socket.socket] = []
    try:
        assert venue.stdout is not None
        told = json.loads(venue.stdout.readline())
        clients = np.zeros((n_clients, COLUMNS), np.int64)
        for c in range(n_clients):
            connection, clients[c, SEQ_IN] = _connect(told["port"], 1 + c)
            connection.setblocking(False)
            sockets.append(connection)
            clients[c, FD], clients[c, SEQ_OUT], clients[c, NEXT_ID], clients[c, EXPECTED_ID] = connection.fileno(), 1, 1, 1
        rate, seen = _measure(venue.pid, told["bid"] - PRICE_BELOW, clients, seconds, pairs)
        summary = json.loads(venue.communicate(timeout=30)[0])
        if summary["client_orders"] != clients[:, ACKED].sum():
            raise WrongAnswer(f"order entry: the venue counts {summary['client_orders']} orders, the clients {clients[:, ACKED].sum()}")
    finally:
        for connection in sockets:
            connection.close()
        venue.kill()
        venue.communicate()
    return rate, {**seen, "clients": n_clients, "pairs_in_a_batch": pairs, "open_orders_after": summary["open_orders"]}


def _measure(venue_pid: int, price: int, clients: np.ndarray, seconds: float, pairs: int) -> tuple[float, dict[str, Any]]:
    out, inbox = np.zeros((len(clients), pairs * _PAIR_WORDS), np.int64), np.zeros((len(clients), 4096), np.int64)
    clock, window, qty = np.zeros(2, np.int64), max(1, WINDOW // len(clients)) if pairs > 1 else 1, 100
    clients[:, SENT] = out.shape[1] * WORD
    _pump(clients, out, inbox, clock, monotonic_ns() + int(0.2e9), price, qty, window)  # compiles
    before, memory, start = int(clients[:, ACKED].sum()), _resident_mb(venue_pid), monotonic_ns()
    failed = _pump(clients, out, inbox, clock, start + int(seconds * 1e9), price, qty, window)
    elapsed = (monotonic_ns() - start) / 1e9
    acked = int(clients[:, ACKED].sum()) - before
    unanswered, wrong = int(clients[:, OPEN].sum()), int(clients[:, WRONG].sum())
    if failed or unanswered or wrong or not acked:
        raise WrongAnswer(f"order entry: {failed} connections failed, {unanswered} requests unanswered, {wrong} answers wrong, {acked} acknowledged")
    end = _resident_mb(venue_pid)
    seen = {"seconds": round(elapsed, 2), "orders": acked, "lost": 0, "venue_memory_start_mb": memory, "venue_memory_end_mb": end}
    return acked / elapsed, {**seen, "venue_memory_growth_mb": round(end - memory, 2)}


def order_entry(seconds: float = SECONDS) -> list[Result]:
    """Orders acknowledged per second over loopback TCP; each order is also cancelled, so twice as many requests are answered."""
    results: list[Result] = []
    for n_clients, pairs in ((1, PAIRS), (64, PAIRS), (1, 1), (64, 1)):
        rate, seen = sustained(n_clients, seconds if pairs > 1 else min(seconds, SINGLE_SECONDS), pairs)
        first = results[0].value if results else None
        results.append(
            Result(
                name=f"order_entry_{n_clients}_client{'s' if n_clients > 1 else ''}{'_single' if pairs == 1 else ''}",
                unit="orders/s",
                value=rate,
                reference="one client in batches, same run" if first is not None else "",
                reference_value=first,
                ratio=rate / first if first is not None else None,
                config=seen,
                goal="> 500000" if pairs > 1 else None,
            )
        )
    return results


BENCHMARKS = [Benchmark("order_entry", order_entry)]

if __name__ == "__main__":
    serve()
