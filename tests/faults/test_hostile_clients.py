"""Bad clients against a real `hftkit sim` process: each gets its code or its end, and two honest sessions never notice.

One venue for all; a table of behaviours, each with the reason (codes.Reject) it must be told, None where it is just closed or goes on.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hftkit.codes import Reject
from hftkit.exchange.testing import CANCEL_ORDER, HEARTBEAT, LOGOUT, NEW_ORDER, SUBSCRIBE, Message, PlainClient, frame
from tests.faults.hostile_drill import BUY, GONE, ONE, SECRET, Drill, Honest, answer_of, reason_at_the_end, reset

CONFIG = Path(__file__).parent / "hostile.toml"


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    ready = tmp_path_factory.mktemp("hostile") / "sim.json"
    command = [sys.executable, "-m", "hftkit.cli", "sim", "--config", str(CONFIG), "--order-port", "0", "--market-port", "0"]
    secrets = {f"HFTKIT_SIM_SECRET_{account}": SECRET.decode() for account in range(1, 30)}
    process = subprocess.Popen(
        [*command, "--ready-file", str(ready), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **secrets}
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("simulator hostile")
        told = json.loads(ready.read_text())
        drill = Drill(process, told["order_port"], told["market_port"])
        drill.honest = [Honest(drill.order_port, account) for account in (1, 2)]
        for client in drill.honest:
            client.start()
        yield drill
        for client in drill.honest:
            client.stopping = True
            client.join(20)
        process.terminate()
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 0
        assert all(line.startswith("stopping with ") for line in errors.splitlines())  # clients that have vanished without a word
        summary = json.loads(output)
        assert summary["client_orders"] >= sum(client.pairs for client in drill.honest)
        assert summary["malformed"] >= 15
        assert summary["connections_refused"] >= 2
        assert summary["throttled"] > 0
    finally:
        process.kill()
        process.communicate()


# -- behaviours: each returns the reason it was told -----------------------------------------------------------------


def says(data: bytes, market: bool = False) -> Callable[[Drill], int]:
    """Connects, says that, and listens."""

    def behave(drill: Drill) -> int:
        client = drill.market() if market else drill.orders()
        client.socket.sendall(data)
        return reason_at_the_end(client)

    return behave


def after_logon(data: Callable[[PlainClient], bytes]) -> Callable[[Drill], int]:
    """Logs on as anybody should, then says that."""

    def behave(drill: Drill) -> int:
        client = drill.enter(next(drill.accounts))
        client.socket.sendall(data(client))
        return reason_at_the_end(client)

    return behave


def logon(account: int, secret: bytes, ts_client: int) -> Callable[[Drill], int]:
    def behave(drill: Drill) -> int:
        with drill.orders() as client:
            return client.logon(account, secret=secret, ts_client=ts_client).body.get("reason", 0)

    return behave


def drip(drill: Drill) -> int:
    """One byte of a LOGON at a time, and never the last."""
    client = drill.orders()
    client.socket.settimeout(0.02)
    for byte in frame(1, 1, 3, 0, 0, 0, 1, 0, 0, 0, 0)[:-1] * 20:
        try:
            client.socket.sendall(bytes([byte]))
            return client.receive().reason
        except TimeoutError:
            continue
        except GONE:
            break
    return 0


def scan(drill: Drill) -> int:
    for _ in range(50):
        for client in (drill.orders(), drill.market()):
            reset(client)
    drill.enter(next(drill.accounts)).close()  # comes after all of them
    drill.free_places(6)
    return 0


def replay_a_logon(drill: Drill) -> int:
    """Log on as an account does, be overheard, leave; then the same bytes from somebody else."""
    account, ts = next(drill.accounts), time.time_ns()
    for _ in range(2):
        client = drill.orders()
        answer = client.logon(account, secret=SECRET, ts_client=ts)
        client.close()
    return answer.reason


def reset_in_the_middle(drill: Drill) -> int:
    """Half an order, then RST; what rested goes, as was asked for at logon."""
    client = drill.enter(next(drill.accounts), cancel_on_disconnect=True)
    client.order(1, ONE, BUY, 8001, 200)
    assert client.receive().name == "ORDER_ACK"
    client.socket.sendall(frame(NEW_ORDER, client.seq + 1, 2, BUY, 0, 0, 0, 8002, 200, instrument=ONE)[:37])
    drill.level(8001, there=True)
    reset(client)
    drill.level(8001, there=False)
    return 0


def killed(drill: Drill) -> int:
    """A client's process gets SIGKILL while its orders rest: those that asked to be cancelled are, the others stay."""
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from hftkit.exchange.testing import PlainClient\n"
        "for account, price, cancels in ((int(sys.argv[3]), 8003, True), (int(sys.argv[4]), 8004, False)):\n"
        "    client = PlainClient('127.0.0.1', int(sys.argv[2]))\n"
        f"    client.logon(account, cancel_on_disconnect=cancels, secret={SECRET!r}, ts_client=time.time_ns()); client.until('POSITION')\n"
        "    client.order(1, 0, 0, price, 200); client.until('ORDER_ACK')\n"
        "    kept = globals().setdefault('kept', []); kept.append(client)\n"
        "print('resting', flush=True); sys.stdin.read()\n"
    )
    root, stays = str(Path(__file__).parents[2]), next(drill.accounts)
    arguments = [sys.executable, "-c", code, root, str(drill.order_port), str(next(drill.accounts)), str(stays)]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "resting\n"
    drill.level(8003, there=True)
    process.kill()
    process.communicate()
    drill.level(8003, there=False)
    drill.level(8004, there=True)
    with drill.enter(stays) as again:
        assert again.receive().name == "ORDER_STATUS"
        again.send(CANCEL_ORDER, 1, instrument=ONE)
        assert again.receive().name == "ORDER_CANCELED"
    return 0


def vanish(drill: Drill) -> int:
    """A peer that is gone without a word: its kernel answers nothing any more, not even acknowledgements. Its heartbeats are missed."""
    client = drill.enter(next(drill.accounts), cancel_on_disconnect=True, heartbeat_ns=100_000_000)
    client.order(1, ONE, BUY, 8005, 200)
    assert client.receive().name == "ORDER_ACK"
    refuse = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0, drop every packet
    client.socket.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HP", 1, ctypes.addressof(refuse)))  # SO_ATTACH_FILTER
    drill.level(8005, there=False)
    client.socket.setsockopt(socket.SOL_SOCKET, 27, 0)  # SO_DETACH_FILTER
    client.close()
    return 0


def half_close(drill: Drill) -> int:
    client = drill.enter(next(drill.accounts), cancel_on_disconnect=True)
    client.order(1, ONE, BUY, 8006, 200)
    assert client.receive().name == "ORDER_ACK"
    client.socket.shutdown(socket.SHUT_WR)
    assert [m.name for m in iter(lambda: answer_of(client), Message("", 0, 0, {}))] == []
    client.close()
    drill.level(8006, there=False)
    return 0


def deaf(drill: Drill) -> int:
    """Asks and asks and never reads: closed once what it was sent fills its buffer."""
    client = drill.enter(next(drill.accounts))
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        for n in range(client.seq + 1, 10**7, 500):
            client.socket.sendall(b"".join(frame(HEARTBEAT, n + i, i) for i in range(500)))
    except ConnectionError:
        n = 0
    assert n == 0, "it was never closed"
    client.close()
    return 0


def deaf_to_the_feed(drill: Drill) -> int:
    """Asks for snapshot after snapshot and reads none: it keeps its place, and is owed one."""
    client = drill.market()
    for _ in range(2000):
        client.send(9, instrument=ONE)
    drill.unharmed()
    client.send(HEARTBEAT, 77)
    while (message := client.receive()).name != "VENUE_HEARTBEAT":
        assert message.name in ("SNAPSHOT_BEGIN", "DEPTH", "SNAPSHOT_END")
    client.close()
    return 0


def flood(drill: Drill) -> int:
    """More orders than the rate allows, at once: those beyond are refused, the session goes on."""
    client = drill.enter(next(drill.accounts))
    batch = b"".join(frame(NEW_ORDER, client.seq + 1 + i, 1 + i, BUY, 0, 1, 0, 9000, 200, instrument=ONE) for i in range(4000))
    client.seq += 4000
    threading.Thread(target=client.socket.sendall, args=(batch,), daemon=True).start()
    refused, n = 0, 0
    while n < 4000:
        message = client.receive()
        if message.name in ("ORDER_ACK", "ORDER_REJECT"):
            n += 1
            assert message.client_order_id == n
        if message.name == "ORDER_REJECT":
            refused = message.reason
    client.send(HEARTBEAT, 5)
    assert client.until("VENUE_HEARTBEAT")[-1].ts_client == 5
    client.close()
    return refused


def absurd(drill: Drill) -> int:
    """Orders that cannot be: each is refused, and the session goes on."""
    big = 2**63 - 1
    with drill.enter(next(drill.accounts)) as client:
        for i, (price, qty, instrument) in enumerate(
            ((big, 200, ONE), (-big, 200, ONE), (9000, big, ONE), (9000, -1, ONE), (0, 0, ONE), (9000, 200, 77))
        ):
            client.order(1 + i, instrument, BUY, price, qty)
            message = client.receive()
            assert (message.name, message.client_order_id) == ("ORDER_REJECT", 1 + i)
        return message.reason


def leave_in_order(drill: Drill) -> int:
    """Asks much, says goodbye, and only then reads: every answer is there, LOGOUT_ACK the last."""
    client = drill.enter(next(drill.accounts))
    n = 3000
    client.socket.sendall(b"".join(frame(HEARTBEAT, client.seq + 1 + i, i) for i in range(n)) + frame(LOGOUT, client.seq + 1 + n))
    told = client.until("LOGOUT_ACK")
    assert len(told) == n + 1
    return reason_at_the_end(client)


def too_many(drill: Drill) -> int:
    """More connections than there are places."""
    drill.free_places(6)
    held = [drill.market() for _ in range(6)]
    for client in held:
        client.send(SUBSCRIBE, 1)
        client.receive()
    reasons = {reason_at_the_end(client) for client in (drill.orders(), drill.market())}
    for client in held:
        client.close()
    drill.free_places(6)
    assert len(reasons) == 1
    return reasons.pop()


def no_descriptors(drill: Drill) -> int:
    """The process may open no more files: who comes is told so, and nothing spins; with files to be had again, all is as before."""
    pid = drill.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, hard))
    held = []
    try:
        while True:
            held.append(drill.market())
            held[-1].send(HEARTBEAT, 1)
            message = held[-1].receive()
            if message.name == "SESSION_REJECT":
                break
            assert len(held) < 8
        drill.unharmed()
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        for client in held:
            client.close()
    drill.free_places(2)
    return message.reason


BEHAVIOURS: list[tuple[str, Callable[[Drill], int], int]] = [
    ("noise", says(bytes(range(1, 256)) * 400), Reject.SESSION_MALFORMED),
    ("a web browser", says(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Reject.SESSION_MALFORMED),
    ("TLS", says(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)), Reject.SESSION_MALFORMED),
    ("another version", says(frame(1, 1, 3, 0, 0, 0, 1, 0, 0, 0, 0, version=2)), Reject.SESSION_BAD_VERSION),
    ("an order before logon", says(frame(NEW_ORDER, 1, 1, BUY, 0, 0, 0, 9000, 200, instrument=ONE)), Reject.SESSION_NOT_LOGGED_ON),
    ("a heartbeat before logon", says(frame(HEARTBEAT, 1, 1)), Reject.SESSION_NOT_LOGGED_ON),
    ("silence", says(b""), Reject.SESSION_NOT_LOGGED_ON),
    ("silence at the feed", says(b"", market=True), Reject.SESSION_NOT_LOGGED_ON),
    ("half a frame, then silence", says(frame(1, 1, 3, 0, 0, 0, 1, 0, 0, 0, 0)[:40]), Reject.SESSION_NOT_LOGGED_ON),
    ("one byte at a time", drip, Reject.SESSION_NOT_LOGGED_ON),
    ("an order at the feed", says(frame(NEW_ORDER, 1, 1, BUY, 0, 0, 0, 9000, 200, instrument=ONE), market=True), Reject.SESSION_MALFORMED),
    ("an unknown instrument at the feed", says(frame(SUBSCRIBE, 1, 7, instrument=99), market=True), Reject.VENUE_UNKNOWN_INSTRUMENT),
    ("a port scanner", scan, 0),
    ("no signature", logon(1, b"", 2**62), Reject.SESSION_BAD_SIGNATURE),
    ("another's secret", logon(1, b"not the secret", 2**62), Reject.SESSION_BAD_SIGNATURE),
    ("an account without a secret", logon(99, SECRET, 2**62), Reject.SESSION_BAD_SIGNATURE),
    ("an old logon", logon(1, SECRET, 1), Reject.SESSION_BAD_SIGNATURE),
    ("a second logon", logon(1, SECRET, 2**62), Reject.SESSION_DUPLICATE_LOGON),
    ("a replayed logon", replay_a_logon, Reject.SESSION_BAD_SIGNATURE),
    ("a replayed sequence", after_logon(lambda c: frame(HEARTBEAT, c.seq + 1, 1) + frame(HEARTBEAT, c.seq + 1, 2)), Reject.SESSION_BAD_SEQUENCE),
    ("a gap in the sequence", after_logon(lambda c: frame(HEARTBEAT, c.seq + 2, 1)), Reject.SESSION_BAD_SEQUENCE),
    ("a wrong length", after_logon(lambda c: frame(HEARTBEAT, c.seq + 1, 1, 2)), Reject.SESSION_MALFORMED),
    ("absurd orders", absurd, Reject.VENUE_UNKNOWN_INSTRUMENT),
    ("RST in the middle", reset_in_the_middle, 0),
    ("half a close", half_close, 0),
    ("never reads", deaf, 0),
    ("never reads the feed", deaf_to_the_feed, 0),
    ("a flood of orders", flood, Reject.SESSION_THROTTLED),
    ("reads after it has left", leave_in_order, 0),
    ("too many connections", too_many, Reject.SESSION_VENUE_FULL),
    ("no descriptors left", no_descriptors, Reject.SESSION_VENUE_FULL),
    ("kill -9", killed, 0),
    ("vanishes", vanish, 0),
]


@pytest.mark.parametrize(("behave", "reason"), [row[1:] for row in BEHAVIOURS], ids=[row[0] for row in BEHAVIOURS])
def test_a_bad_client_meets_its_code_and_hurts_nobody(drill: Drill, behave: Callable[[Drill], int], reason: int) -> None:
    assert behave(drill) == reason
    drill.unharmed()
