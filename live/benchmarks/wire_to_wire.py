"""Wire to wire over loopback TCP (NF-1): a quote goes out, an order comes back, the round trip is timed by the sender.

The same sender times three responders in one run, block by block in turns:

* the engine's own hot loop, whole: journal, book, signal, legs, risk, order table, encode, telemetry;
* a loop in C (reference_loop.c, -O2, compiled on the spot) that answers every quote and knows nothing else;
* an asyncio protocol in Python that unpacks the quote with struct and packs the order.

Each responder runs in a thread of its own on a core of its own, spinning (asyncio: its selector). The sender answers every order with
ORDER_CANCELED and pauses before the next quote, so that each round trip stands alone.
"""

from __future__ import annotations

import asyncio
import ctypes
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hftkit.benchmarks.engine_rooms import bench_config
from hftkit.benchmarks.registry import NotHere, Result, WrongAnswer
from hftkit.benchmarks.timing import percentiles
from hftkit.codes import Control, MessageType
from hftkit.kernels.hooks import HOOKS_TYPE
from hftkit.kernels.jit import compiled_driver, kernel
from hftkit.kernels.memory.telemetry import Page
from hftkit.kernels.wire.frame import header
from hftkit.layout import FRAME
from hftkit.session.control import ControlPage
from hftkit.session.engine_state import EngineState, SessionConfig, build_engine_state, strategy_kernels
from hftkit.session.journal import JournalWriter
from hftkit.system.syscalls import MSG_DONTWAIT, MSG_NOSIGNAL, monotonic_ns, receive, transmit
from live import hot_loop as hot
from live.config import LoopConfig
from live.loop_memory import loop_context
from live.venues.binary.logon import logon_frame

QUOTE, ORDER, CANCELED = FRAME[MessageType.BBO], FRAME[MessageType.NEW_ORDER], FRAME[MessageType.ORDER_CANCELED]
_QUOTE_HEADER = header(int(MessageType.BBO), QUOTE.words, 0)
_CANCELED_HEADER = header(int(MessageType.ORDER_CANCELED), CANCELED.words, 0)
_ORDER_WORDS, _QUOTE_WORDS, _CANCELED_WORDS = ORDER.words, QUOTE.words, CANCELED.words
PAUSE_NS = 30_000  # between two round trips; the quiet market of the second comparison waits QUIET_PAUSE_NS
QUIET_PAUSE_NS = 1_000_000
REPEAT_NS = 50_000_000


@kernel
def _quote(data_fd: int, sequences: Any, price: int, buffer: Any) -> None:
    sequences[0] += 1
    buffer[0] = _QUOTE_HEADER
    buffer[1] = sequences[0]
    buffer[2] = sequences[0]
    buffer[3] = price
    buffer[4] = 50
    buffer[5] = price + 2
    buffer[6] = 50
    transmit(data_fd, buffer, 0, _QUOTE_WORDS * 8, MSG_NOSIGNAL)


@kernel
def _cancel(order_fd: int, sequences: Any, buffer: Any) -> None:
    """Confirm the order in buffer[16:] as cancelled, so that the engine is free for the next."""
    sequences[1] += 1
    buffer[32] = _CANCELED_HEADER
    buffer[33] = sequences[1]
    buffer[34] = sequences[0]
    buffer[35] = buffer[16 + 2]
    buffer[36] = 1
    buffer[37] = 100
    buffer[38] = 0
    transmit(order_fd, buffer[32:], 0, _CANCELED_WORDS * 8, MSG_NOSIGNAL)


@kernel
def round_trips(order_fd: int, data_fd: int, samples: Any, sequences: Any, buffer: Any, scratch: Any, pause_ns: int, repeat_ns: int) -> int:
    """Time samples.size round trips, ns. 0, or where it went wrong: n > 0 no order, n < 0 a wrong one.

    `sequences`: int64 (3,) last market data and order entry sequence sent, and quotes repeated. The two sockets are not ordered against each
    other: a quote that overtakes the confirmation before it meets an engine with an order at work, and leads to nothing. It is
    repeated after `repeat_ns` and timed from the first one, so that no wait is hidden. (The other responders answer every quote.)
    """
    for i in range(samples.size):
        price = 1000 + i % 5
        start = monotonic_ns(scratch)
        _quote(data_fd, sequences, price, buffer)
        got = 0
        repeat_at = start + repeat_ns
        while got < _ORDER_WORDS * 8:
            n = receive(order_fd, buffer[16 : 16 + _ORDER_WORDS], got, MSG_DONTWAIT)
            if n > 0:
                got += n
                continue
            now = monotonic_ns(scratch)
            if n == 0 or now - start > 1_000_000_000:
                return i + 1
            if got == 0 and now > repeat_at:
                repeat_at = now + repeat_ns
                sequences[2] += 1
                _quote(data_fd, sequences, price, buffer)
        samples[i] = monotonic_ns(scratch) - start
        if buffer[16 + 7] != price + 2 + 5 or buffer[16 + 8] != 100:
            return -(i + 1)
        _cancel(order_fd, sequences, buffer)
        wake = monotonic_ns(scratch) + pause_ns
        while monotonic_ns(scratch) < wake:
            pass
    return 0


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end.setblocking(False)
    return near, far


@dataclass
class Responder:
    """One contestant: sockets on the sender's side, a thread on the other."""

    order: socket.socket
    data: socket.socket
    thread: threading.Thread
    sequences: np.ndarray
    stop: Callable[[], None]
    repeat_ns: int = 2**62
    state: EngineState | None = None  # of the engine, to be looked at once it stands still

    def block(self, n: int, pause_ns: int = PAUSE_NS) -> np.ndarray:
        """`n` round trips, float64 ns. Raises WrongAnswer if an order is wrong or missing."""
        samples = np.zeros(n, np.float64)
        fault = self.exchange(samples, pause_ns)
        if fault:
            raise WrongAnswer(f"round trip {abs(fault)}: {'the order is wrong' if fault < 0 else 'no order within a second'}")
        return samples

    def exchange(self, samples: np.ndarray, pause_ns: int) -> int:
        """`round_trips` over this responder's sockets."""
        scratch, buffer = np.zeros(2, np.int64), np.zeros(64, np.int64)
        return int(round_trips(self.order.fileno(), self.data.fileno(), samples, self.sequences, buffer, scratch, pause_ns, self.repeat_ns))

    def close(self) -> None:
        """End the responder's thread."""
        self.stop()
        self.data.close()
        self.thread.join(timeout=10)
        self.order.close()


def engine(folder: Path, session: SessionConfig | None = None) -> Responder:
    """The engine's hot loop, spinning, with a journal in `folder`. `session`: its configuration (`bench_config()`)."""
    import dataclasses

    import msgspec

    from live.example import example_page

    config = msgspec.structs.replace(session or bench_config(), logon_words=logon_frame(1, 1, 10**15, cancel_on_disconnect=False))
    rooms = build_engine_state(config)
    journal = JournalWriter(folder, 1, 1, 256 * 1024 * 1024)
    control = ControlPage.create(folder / "control.page")
    near_order, far_order = _tcp_pair()
    near_data, far_data = _tcp_pair()
    rooms.session[0]["heartbeat_ns"] = 2**60
    shell = loop_context(LoopConfig(wait="spin", stall_ms=0), rooms, journal, control)
    words = shell.loop[0]
    words["order_fd"], words["data_fd"], words["timer_ns"], words["next_timer"] = far_order.fileno(), far_data.fileno(), 10**15, 2**62
    page = _real_page(rooms)
    loop = compiled_driver(hot.hot_loop, rooms, HOOKS_TYPE, shell, example_page())
    strategies = strategy_kernels(config)

    def run() -> None:
        nonlocal shell
        while hot.LoopStatus(loop(rooms, strategies, shell, page)) == hot.LoopStatus.JOURNAL_FULL:
            shell = shell._replace(segment=journal.roll())
            for written in sorted(folder.glob("segment-*"))[:-1]:
                written.unlink()  # a long run would fill the disk

    thread = threading.Thread(target=run, daemon=True)
    control.post(Control.CONNECT)
    thread.start()
    responder = Responder(near_order, near_data, thread, np.array([0, 1, 0], np.int64), stop=lambda: None, repeat_ns=REPEAT_NS, state=rooms)
    _greet(responder, control, range(len(config.strategies), len(config.instruments)))
    responder = dataclasses.replace(responder, stop=lambda: _keep(far_order, far_data))
    return responder


def _keep(*_: object) -> None:
    """Holds the far sockets until the responder is closed."""


def _real_page(rooms: EngineState) -> Page:
    from hftkit.kernels.memory.histogram import COUNTS_LEN
    from live.example import example_page

    sections = ("book", "ledger", "signal", "legs", "quotes", "baskets", "slots", "held")
    return example_page()._replace(
        **{name: np.zeros_like(getattr(rooms, name)) for name in sections},
        histograms=np.zeros((6, COUNTS_LEN), np.int64),
        fills=np.zeros((512, 8), np.int64),
    )


def _greet(responder: Responder, control: ControlPage, hedges: range) -> None:
    """Play the venue until the engine trades: logon, the books of the hedges, ENABLE."""
    responder.order.settimeout(30)
    logon = responder.order.recv(FRAME[MessageType.LOGON].bytes, socket.MSG_WAITALL)
    if len(logon) != FRAME[MessageType.LOGON].bytes:
        raise WrongAnswer("the engine did not log on")
    responder.data.settimeout(30)
    responder.data.recv(FRAME[MessageType.SUBSCRIBE].bytes, socket.MSG_WAITALL)
    ack = FRAME[MessageType.LOGON_ACK]
    responder.order.sendall(struct.pack("<5q", header(int(MessageType.LOGON_ACK), ack.words, 0xFFFFFFFF), 1, 1, 1, 2))
    control.post(Control.ENABLE)
    threading.Event().wait(0.1)  # a signal seen before ENABLE would be one that was missed
    for hedge in hedges:
        responder.data.sendall(struct.pack("<7q", header(int(MessageType.BBO), QUOTE.words, hedge), 1, 1, 400, 50, 401, 50))
    for end in (responder.order, responder.data):
        end.setblocking(False)
    threading.Event().wait(0.1)


def c_loop(folder: Path) -> Responder:
    """reference_loop.c, compiled with the machine's own C compiler. Raises NotHere without one."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NotHere("no C compiler on this machine")
    library = folder / "reference_loop.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("reference_loop.c")], check=True)
    loop = ctypes.CDLL(str(library)).reference_loop
    near_order, far_order = _tcp_pair()
    near_data, far_data = _tcp_pair()
    thread = threading.Thread(target=lambda: loop(far_order.fileno(), far_data.fileno()), daemon=True)
    thread.start()
    return Responder(near_order, near_data, thread, np.zeros(3, np.int64), stop=lambda: _keep(far_order, far_data))


class _AsyncioAnswer(asyncio.Protocol):
    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send, self._data, self._n = send, b"", 0
        self.closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._data += data
        while len(self._data) >= QUOTE.bytes:
            ask = struct.unpack_from("<7q", self._data)[5]
            self._data = self._data[QUOTE.bytes :]
            self._n += 1
            self._send(struct.pack("<9q", 72 | (4 << 16) | (1 << 24), self._n, (1 << 32) | self._n, 0, 0, 1, 0, ask + 5, 100))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


def asyncio_loop() -> Responder:
    """A plain asyncio responder in Python."""
    near_order, far_order = _tcp_pair()
    near_data, far_data = _tcp_pair()

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, far_order)
        _, protocol = await loop.connect_accepted_socket(lambda: _AsyncioAnswer(transport.write), far_data)
        await protocol.closed.wait()
        transport.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    return Responder(near_order, near_data, thread, np.zeros(3, np.int64), stop=lambda: None)


def wire_to_wire(blocks: int = 7, block_size: int = 3000) -> list[Result]:
    """Round trips of the three responders, in turns, one at a time (the others are not running: they would take the cores)."""
    found: dict[str, list[np.ndarray]] = {}
    quiet: dict[str, list[np.ndarray]] = {}
    makers: dict[str, Callable[[Path], Responder]] = {"engine": engine, "c": c_loop, "asyncio": lambda _: asyncio_loop()}
    missing, repeated = "", 0
    for _ in range(blocks):
        for name, make in makers.items():
            with tempfile.TemporaryDirectory() as folder:
                try:
                    responder = make(Path(folder))
                except NotHere as reason:
                    missing = str(reason)
                    continue
                responder.block(500)  # warm-up, and the check that orders are right
                found.setdefault(name, []).append(responder.block(block_size))
                quiet.setdefault(name, []).append(responder.block(block_size // 6, QUIET_PAUSE_NS))
                repeated += int(responder.sequences[2])
                responder.close()
    pooled = {name: percentiles(np.concatenate(blocks_)) for name, blocks_ in found.items()}
    medians = {name: float(np.median([np.median(b) for b in blocks_])) / 1000 for name, blocks_ in found.items()}
    ours = {key: value / 1000 for key, value in pooled["engine"].items()}
    config = {"round_trips": blocks * block_size, "pause_us": PAUSE_NS / 1000, "wait": "spin", "journal": True, "quotes_repeated": repeated}
    results = []
    if "c" in found:
        goal = "p99 < 200 and ratio >= 0.77"  # 1 / 1.3
        results.append(
            Result("wire_to_wire", "us", medians["engine"], ours, "loop in C, -O2", medians["c"], medians["c"] / medians["engine"], config, goal)
        )
        results.append(Result("wire_to_wire.c_loop", "us", medians["c"], {k: v / 1000 for k, v in pooled["c"].items()}, config=config))
    against_asyncio = medians["asyncio"] / medians["engine"]
    config = {**config, **({"c_loop": missing} if missing else {})}
    name = "wire_to_wire.vs_asyncio"
    results.append(Result(name, "us", medians["engine"], ours, "asyncio loop in Python", medians["asyncio"], against_asyncio, config, "ratio >= 4"))
    slow, fast = (float(np.median(np.concatenate(quiet[name]))) / 1000 for name in ("asyncio", "engine"))
    quiet_p = {key: value / 1000 for key, value in percentiles(np.concatenate(quiet["engine"])).items()}
    config = {**config, "round_trips": blocks * (block_size // 6), "pause_us": QUIET_PAUSE_NS / 1000}
    results.append(Result(name + "_quiet", "us", fast, quiet_p, "asyncio loop in Python", slow, slow / fast, config, "ratio >= 4"))
    return results
