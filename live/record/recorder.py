"""Write the streams of a Binance-compatible venue to disk as they come: one gzip file a symbol, one message a line, nothing interpreted away.

What was received is on disk a second later, in whole gzip members (recording_file.py): a kill loses that second, no more. Holes are said as they
are seen, one line each: a depth event that is missing, a symbol without a message for some seconds.

    <receive time, unix ns> {"stream":"btcusdt@depth@100ms","data":{...}}

The order book snapshot stands among them as stream `btcusdt@snapshot`, whenever the depth stream begins or its chain breaks (`pu` is not the last
`u`), so that a book can be followed from the file alone. `hftkit data history` and the simulator read these files.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hftkit import clock, layout
from hftkit.binance.line import Kind
from hftkit.codes import LinePart, LineState
from hftkit.errors import ConfigError, DataError
from hftkit.kernels.memory.byte_ring import VIEW_KIND, VIEW_TIME, VIEW_WORDS, byte_ring_front, byte_ring_release
from live.link.breaker import Breaker
from live.link.rate_budget import RateBudget
from live.link.raw_ring import payload, raw_ring
from live.link.stream import Stream, StreamPlan
from live.link.venue_loop import VenueLoop
from live.link.websocket import open_websocket, tls_context
from live.record.recording_file import RecordingFile
from live.venues.binance.config import BinanceConfig
from live.venues.binance.rest import BinanceRest, RestError

ROUTES = {
    "depth": LinePart.PUBLIC, "bookTicker": LinePart.PUBLIC, "trade": LinePart.PUBLIC,
    "aggTrade": LinePart.MARKET, "markPrice": LinePart.MARKET, "kline_1m": LinePart.MARKET, "forceOrder": LinePart.MARKET,
}  # fmt: skip
RING_WORDS = 1 << 20
_TURN_S = 0.02
_SNAPSHOT_LIMIT = 1000
_PAUSE_NS = 5_000_000_000  # a symbol without a message for so long is said
_SYMBOL = re.compile(r"[A-Z0-9_]{2,32}")


class _Envelope(msgspec.Struct):
    stream: str
    data: msgspec.Raw


class _Chain(msgspec.Struct):
    u: int
    pu: int = -1


class StreamRecorder:
    """Records until stopped. `streams`: names as in ROUTES, with an optional speed (`depth@100ms`)."""

    def __init__(self, config: BinanceConfig, symbols: Sequence[str], streams: Sequence[str], folder: Path, say: Callable[..., None]) -> None:
        symbols = list(dict.fromkeys(symbol.strip().upper() for symbol in symbols if symbol.strip()))
        streams = list(dict.fromkeys(name.strip() for name in streams if name.strip()))
        unknown = [name for name in streams if name.split("@")[0] not in ROUTES] + [name for name in symbols if not _SYMBOL.fullmatch(name)]
        if unknown or not symbols or not streams:
            raise ConfigError(f"cannot record {unknown or 'nothing'}", f"Streams are {', '.join(ROUTES)}; give at least one, and at least one symbol")
        self._config, self._symbols, self._say, self._folder = config, symbols, say, folder
        self._names = {f"{symbol.lower()}@{name}" for symbol in self._symbols for name in streams}
        tls = tls_context(config.ca_file) if config.ca_file else None
        self._offset_ns = clock.unix_ns() - clock.monotonic_ns()
        self._budget, self._last_u = RateBudget(), dict.fromkeys(self._symbols, 0)
        self._rest = BinanceRest(config.rest_url, None, self._budget, Breaker(), lambda: clock.unix_ns() // 1_000_000, clock.monotonic_s, tls)
        self._loop = VenueLoop(lambda name, error: say("task_failed", task=name, error=repr(error)))
        self._files: dict[str, RecordingFile] = {}
        self._heard_ns = dict.fromkeys(self._symbols, 0)
        self.n_messages = dict.fromkeys(self._symbols, 0)
        self.n_snapshots = self.n_breaks = self.n_unreadable = 0
        self._open_streams(tls)

    def _open_streams(self, tls: Any) -> None:
        self._streams, self._rings = [], []
        for part in (LinePart.PUBLIC, LinePart.MARKET):
            names = sorted(name for name in self._names if ROUTES[name.split("@")[1]] is part)
            if not names:
                continue
            url = f"{self._config.stream_url.rstrip('/')}/{part.text}/stream?streams={'/'.join(names)}"
            ring, status = raw_ring(RING_WORDS), np.zeros(1, layout.LINE.dtype)[0]
            plan = StreamPlan(
                part, Kind.MARKET, 0.0, self._config.reconnect_h * 3600, 10.0, lambda url=url: open_websocket(url, 10.0, tls)  # type: ignore[misc]
            )  # fmt: skip
            self._streams.append(Stream(plan, ring, status, Breaker(), self._say, -1))
            self._rings.append(ring)

    def run(self, stop: threading.Event, duration_s: float | None) -> dict[str, Any]:
        """Until `stop` or the duration; returns what was written. Raises DataError once that is not possible any more."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._loop.stop(self._rest.close())
            raise DataError(f"the folder {self._folder} cannot be made ({error.strerror})", "Give another one with --out") from None
        started = clock.unix_ns() // 1_000_000_000
        self._files = {symbol: RecordingFile(self._folder, f"{symbol}-{started}") for symbol in self._symbols}
        end = clock.monotonic_s() + duration_s if duration_s else float("inf")
        try:
            self._loop.call(self._rest.open(), 10)
            for stream in self._streams:
                stream.start()
            while not stop.wait(_TURN_S) and clock.monotonic_s() < end:
                self._turn()
        finally:
            self._end()
        return self.summary()

    def _turn(self) -> None:
        """Take what has come; write what has waited for long enough."""
        view = np.zeros(VIEW_WORDS, np.int64)
        for ring in self._rings:
            while byte_ring_front(ring.words, view):
                if view[VIEW_KIND] == Kind.MARKET:
                    self._write(payload(ring, view), int(view[VIEW_TIME]))
                byte_ring_release(ring.words, view)
        for file in self._files.values():
            file.flush(clock.monotonic_s())

    def _end(self) -> None:
        """Close everything; the files in any case, each for itself."""
        for stream in self._streams:
            stream.stop()
        for stream in self._streams:
            if stream.is_alive():
                stream.join(5)
        failed: Exception | None = None
        try:
            self._turn()
            self._loop.stop(self._rest.close())
        except Exception as error:
            failed = error
        for file in self._files.values():
            try:
                file.close(clock.monotonic_s())
            except DataError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _write(self, message: bytes, t_recv: int) -> None:
        try:
            envelope = msgspec.json.decode(message, type=_Envelope)
            symbol = envelope.stream.split("@")[0].upper()
            file = self._files[symbol]
        except (msgspec.MsgspecError, KeyError):
            self.n_unreadable += 1  # an answer to a subscription, or not what was asked for
            return
        file.add(b"%d %s\n" % (t_recv + self._offset_ns, message))
        self.n_messages[symbol] += 1
        if self._heard_ns[symbol] and t_recv - self._heard_ns[symbol] > _PAUSE_NS:
            self._say("pause", symbol=symbol, seconds=round((t_recv - self._heard_ns[symbol]) / 1e9, 1))
        self._heard_ns[symbol] = t_recv
        if "@depth" in envelope.stream:
            self._follow(symbol, envelope.data)

    def _follow(self, symbol: str, data: msgspec.Raw) -> None:
        try:
            chain = msgspec.json.decode(data, type=_Chain)
        except msgspec.MsgspecError:
            self.n_unreadable += 1
            return
        if chain.pu != self._last_u[symbol]:
            if self._last_u[symbol] != 0:
                self.n_breaks += 1
                self._say("break", symbol=symbol, update_ids=chain.pu - self._last_u[symbol], after=self._last_u[symbol])
            self._loop.spawn(partial(self._snapshot, symbol), f"snapshot {symbol}")
        self._last_u[symbol] = chain.u

    async def _snapshot(self, symbol: str) -> None:
        await asyncio.sleep(0.2)  # the stream must reach beyond the snapshot
        try:
            body = await self._rest.read("/fapi/v1/depth", {"symbol": symbol, "limit": _SNAPSHOT_LIMIT}, weight=20)
        except RestError as error:
            self._last_u[symbol] = 0  # the next message asks again
            self._say("snapshot_failed", symbol=symbol, error=str(error))
            return
        self._files[symbol].add(b'%d {"stream":"%s@snapshot","data":%s}\n' % (clock.unix_ns(), symbol.lower().encode(), body))
        self.n_snapshots += 1

    def summary(self) -> dict[str, Any]:
        """What was written, and what went wrong."""
        return {
            "files": {symbol: str(file.path) for symbol, file in self._files.items()},
            "messages": dict(self.n_messages),
            "snapshots": self.n_snapshots,
            "breaks": int(self.n_breaks),
            "unreadable": self.n_unreadable,
            "reconnects": sum(max(int(stream.status["n_connects"]) - 1, 0) for stream in self._streams),
            "lost": sum(int(stream.status["n_dropped"]) for stream in self._streams),
            "closed": all(int(stream.status["state"]) == LineState.CLOSED for stream in self._streams),
        }


def summary_line(summary: dict[str, Any]) -> str:
    """The summary for people."""
    return (
        f"{sum(summary['messages'].values()):,} messages of {len(summary['messages'])} symbols, {summary['snapshots']} snapshots, "
        f"{summary['breaks']} breaks, {summary['reconnects']} reconnects, {summary['lost']} lost: {json.dumps(summary['files'])}"
    )
