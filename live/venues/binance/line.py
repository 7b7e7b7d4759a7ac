"""A line to a Binance-compatible venue, cold side: its connections, its clock, its account, its limits, and what the compiled line asks for.

    streams      public (books), market (trades, marks), private (user data), orders: a thread each (live/link/stream.py)
    REST         one asyncio loop in a thread: clock, account, listen key, dead man's switch, answers to requests (live/venues/binance/tasks.py)
    hot thread   translates and trades (live/link/line_loop.py); asks through line.requests, is answered through the cold ring

What is decided here changes what may be traded only through the operator's door: PAUSE, RESUME and HALT_* go through the control page, so that
they are in the journal and a replay sees them. Nothing here places an order, except that of the REST fallback in the hot thread's name: while the
order WebSocket is away for longer than `rest_after_s`, orders go by REST, and back over the socket as soon as it is up.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from hftkit import clock
from hftkit.binance import line as binance_line
from hftkit.binance.exchange_info import Listed, fees_ppm, listed_instruments
from hftkit.binance.line import Counter, Kind, Line
from hftkit.codes import BreakerState, Control, LinePart, LineState, OrderRoute, Trading
from hftkit.errors import VenueError
from hftkit.instruments import Instrument
from hftkit.kernels.memory.byte_ring import byte_ring_push
from hftkit.kernels.wire.binance import state as words_of
from hftkit.session.engine_state import EngineState
from hftkit.session.telemetry import ColdPage
from hftkit.units import to_e8
from live.account.open_orders import OpenOrders
from live.account.reconcile import Reconciler, held_in_words
from live.config import SessionSection
from live.ending.decision import Left
from live.link.breaker import Breaker
from live.link.clock_offset import ClockOffset
from live.link.door import TradingGate
from live.link.line_loop import (
    COLD_RING,
    FRAMES,
    MARKET_RING,
    ORDERS_RING,
    PRIVATE_RING,
    PUBLIC_RING,
    THROUGH_RING,
    Wire,
    new_wire,
)
from live.link.order_way import OrderRoutes
from live.link.rate_budget import RateBudget
from live.link.raw_ring import backlog_bytes, take_all
from live.link.stream import Stream, StreamPlan
from live.link.venue_loop import VenueLoop
from live.link.websocket import Opened, open_websocket, random_mask_seed, tls_context
from live.venues.binance.account_watch import AccountWatch
from live.venues.binance.config import BinanceConfig
from live.venues.binance.end import settle, standing
from live.venues.binance.error_policy import Reaction, reaction
from live.venues.binance.fees import FeePrices
from live.venues.binance.foreign_orders import ForeignOrders
from live.venues.binance.instruments import instrument_frames
from live.venues.binance.keys import RSA, ApiKey
from live.venues.binance.line_summary import summary
from live.venues.binance.open_orders import AccountOrders, claim_account
from live.venues.binance.order_stream import OrderStream, open_order_api
from live.venues.binance.rest import BinanceRest, RestError, refusal_in_words
from live.venues.binance.rest_orders import serve_orders
from live.venues.binance.settings import ask_settings
from live.venues.binance.stream_names import market_url, private_url, public_url
from live.venues.binance.tasks import VenueTasks

_CLOCK_ROUNDS, _CANCEL_S = 5, 3.0  # seconds for threads and tasks to end
_RINGS = {LinePart.PUBLIC: PUBLIC_RING, LinePart.MARKET: MARKET_RING, LinePart.PRIVATE: PRIVATE_RING, LinePart.ORDERS: ORDERS_RING}


class BinanceLine:
    """One line. In order: `discover`, `build`, `connect`; then `turn` again and again on the engine's thread; at the end `disarm` and `stop`.

    Owner: the engine's thread; `streams` and `breakers` are built before other threads run, and the breakers have locks of their own.

    `trading`: with key, user data and orders; without, market data alone. `ready`: content of a simulator's ready file, or {}.
    """

    def __init__(
        self,
        config: BinanceConfig,
        key: ApiKey | None,
        timeout_s: float,
        control: Callable[[Control], Any],
        door: TradingGate,
        say: Callable[..., None],
        wait: Callable[[float], bool] | None = None,
        session: SessionSection | None = None,
        lease: Callable[[str, str], None] = lambda name, account: None,
    ) -> None:
        if key is not None and key.kind == RSA and config.orders != "rest":
            say("orders_by_rest", why="an RSA key: no session.logon, and a signature takes too long for the hot thread")
            config = msgspec.structs.replace(config, orders="rest")
        self.config, self.key, self.trading = config, key, key is not None
        self._timeout_s, self._control, self._door, self._say, self._wait = timeout_s, control, door, say, wait
        self._tls = tls_context(config.ca_file) if config.ca_file else None
        self.offset = ClockOffset()
        self.breakers = {part: Breaker(config.breaker) for part in LinePart}
        self.order_breaker = Breaker(config.breaker)
        self.budget = RateBudget()
        self.rest = BinanceRest(
            config.rest_url, key, self.budget, self.breakers[LinePart.REST], self.now_ms, clock.monotonic_s, self._tls, timeout_s
        )  # fmt: skip
        self.loop = VenueLoop(self._task_failed)
        self.task_breaker = Breaker(config.breaker)
        self.streams: dict[LinePart, Stream] = {}
        self.ways = OrderRoutes(config.rest_after_s, config.orders == "rest", say)
        self._session, self._lease, self.epoch = session or SessionSection(), lease, 0
        self.account_orders = AccountOrders(
            self.rest, say, self._session.orphans, self._session.strangers, self.trading and config.dead_man_s > 0
        )  # fmt: skip
        self._last_counters = np.zeros(words_of.N_COUNTERS, np.int64)
        self.fee_prices = FeePrices(self.rest, self._push, say)
        self._send_failed = 0
        self._socket_closed_until_ms = 0  # the order API itself has asked for a pause
        self._stopped = False

    def now_ms(self) -> int:
        """The venue's clock, as we estimate it; our own before the first estimate."""
        now = clock.monotonic_ns()
        offset = self.offset.offset_ns(now)
        return (now + offset if offset else clock.unix_ns()) // 1_000_000

    # -- start ------------------------------------------------------------------------------------------------------
    def discover(self, symbols: Sequence[str]) -> tuple[Listed, ...]:
        """Clock, limits, instruments and fees, before anything else. Raises VenueError in one line."""
        try:
            return self.loop.call(self._discover(symbols), self._timeout_s, self._wait)
        except RestError as error:
            raise VenueError(*refusal_in_words(self.config.rest_url, error)) from None
        except TimeoutError:
            raise VenueError(f"the venue at {self.config.rest_url} does not answer", "Is it up, and the address right?") from None
        except (ValueError, KeyError, TypeError) as error:
            raise VenueError(f"the venue at {self.config.rest_url} answers in another form ({error!r})", "Is it Binance-compatible?") from None

    async def _discover(self, symbols: Sequence[str]) -> tuple[Listed, ...]:
        await self.rest.open()
        for _ in range(_CLOCK_ROUNDS):
            sent = clock.monotonic_ns()
            body = await self.rest.read("/fapi/v1/time")
            self.offset.add(sent, clock.monotonic_ns(), int(json.loads(body)["serverTime"]))
        info = json.loads(await self.rest.read("/fapi/v1/exchangeInfo"))
        self.budget.learn(info["rateLimits"])
        fees: dict[str, tuple[int, int]] = {}
        if self.trading:
            await claim_account(self.rest, self._lease)
            self._began_ms = self.now_ms() + self.config.recv_window_ms  # what an earlier session has on its way arrives within its receive window
            await self.account_orders.clean_start(symbols, self.epoch, self._began_ms)
            settings = await ask_settings(self.rest, symbols, self.config, self._say)
            await self.fee_prices.begin(bool(settings.fee_burn))
            for symbol in symbols:
                fees[symbol] = fees_ppm(json.loads(await self.rest.read("/fapi/v1/commissionRate", {"symbol": symbol}, signed=True, weight=20)))
            rows = json.loads(await self.rest.read("/fapi/v3/positionRisk", signed=True, weight=5))
            listed = {item.instrument.symbol: item.instrument for item in listed_instruments(info, symbols, fees)}
            held = {row["symbol"]: to_e8(row["positionAmt"]) for row in rows if row["symbol"] in symbols and to_e8(row["positionAmt"])}
            if held:
                raise VenueError(*held_in_words({symbol: amount // listed[symbol].lot_size_e8 for symbol, amount in held.items()}))
        return listed_instruments(info, symbols, fees)

    def build(
        self, rooms: EngineState, loop: np.void, instruments: tuple[Instrument, ...], units: Sequence[int], page: ColdPage
    ) -> tuple[Line, Wire]:
        """The memory of the line, for the hot loop. `units`: lots of one unit of each instrument; `loop`: the hot loop's LOOP record."""
        key = self.key
        self.rooms, self.hot, self.page, self.instruments = rooms, loop, page, instruments
        unsigned = key is None or not key.hmac_secret
        self.line = binance_line.new_line(
            instruments,
            depth=self.config.feed == "depth",
            api_key="" if key is None or unsigned else key.api_key,
            secret=b"" if key is None or unsigned else key.hmac_secret,
            recv_window_ms=self.config.recv_window_ms,
            trades=binance_line.Trades.AGG_TRADE,
            snapshot_limit=self.config.book_limit,
            mask_seed=random_mask_seed(),
            order_capacity=rooms.orders.size,
        )
        self.wire = new_wire(rooms, len(instruments))
        self._bell, self._out_bell, self._rest_bell = (os.eventfd(0, os.EFD_NONBLOCK) for _ in range(3))
        loop["bell"], loop["out_bell"], loop["rest_bell"] = self._bell, self._out_bell, self._rest_bell
        loop["held_fd"] = loop["offered_fd"] = -1
        loop["order_way"] = int(OrderRoute.CLOSED)
        self._reconciler = Reconciler(units, self.config.mismatch_share)
        self._set_offset(self.offset.offset_ns(clock.monotonic_ns()))
        self.line.state[words_of.MAX_LATE] = int(rooms.book["max_age_ns"].max())
        self.tasks = VenueTasks(
            self.config, self.rest, self.offset, instruments, self._push, self._control, self._say, page.account[0], self._set_offset
        )  # fmt: skip
        if self.trading:
            rules = self._session
            self.tasks.account_orders, self.tasks.judge = self.account_orders, OpenOrders(self.epoch, self._began_ms)
            self.tasks.foreign = ForeignOrders(
                self.epoch, rules.foreign_orders == "halt", rules.strangers == "halt", page.account[0], self._say, self.tasks.halt_account
            )
            self.tasks.foreign.known |= {order.number for order in self.account_orders.cancelled}
            page.account[0]["n_orphans"] = len(self.account_orders.cancelled)
        self._account_watch = AccountWatch(self.tasks, self.loop.loop.call_soon_threadsafe, self._reconciler, instruments)
        return self.line, self.wire

    def connect(self) -> None:
        """Start the streams and the tasks. What cannot be opened now is tried again; `missing` says what is not there yet."""
        self._push(FRAMES, instrument_frames(self.instruments))
        config, symbols = self.config, [instrument.symbol for instrument in self.instruments]
        self._add_stream(
            LinePart.PUBLIC,
            Kind.MARKET,
            config.silence_s,
            lambda: self._open(public_url(config.stream_url, symbols, config.feed, config.depth_speed)),
        )
        self._add_stream(LinePart.MARKET, Kind.MARKET, config.silence_s, lambda: self._open(market_url(config.stream_url, symbols)), False)
        spawn = self.loop.spawn
        spawn(self.tasks.keep_time, "clock")
        spawn(self.tasks.watch_instruments, "instruments")
        spawn(lambda: self.tasks.serve_requests(self.line.requests), "requests")
        if self.trading:
            self.tasks.new_listen_key = self._new_listen_key
            self.tasks.reconnect = self.replace_all
            self._add_stream(LinePart.PRIVATE, Kind.USER, 0.0, self._open_private)
            if config.orders == "rest" or config.rest_after_s > 0:
                spawn(self._serve_rest, "orders by REST")
            if config.orders != "rest":
                self._add_order_stream()
            self.fee_prices.hand_over()
            spawn(lambda: self.fee_prices.keep(self.line), "fee prices")
            spawn(self.tasks.keep_listen_key, "listen key")
            spawn(lambda: self.tasks.reconcile(self.rooms, self._reconciler), "reconcile")
            if config.dead_man_s:
                spawn(lambda: self.tasks.hold_dead_man(self.rooms), "dead man")
        for stream in self.streams.values():
            stream.start()

    def _add_stream(self, part: LinePart, kind: Kind, silence_s: float, open_: Callable[[], Opened], announced: bool = True) -> None:
        config = self.config
        plan = StreamPlan(part, kind, silence_s, config.reconnect_h * 3600, config.ping_s, open_, announced, config.first_pause_s, self._may_connect)
        self.streams[part] = Stream(
            plan, self.wire.rings[_RINGS[part]], self.page.line[int(part)], self.breakers[part], self._say, self._bell, os.getpid()
        )

    def _add_order_stream(self) -> None:
        key = self.key
        assert key is not None
        plan = StreamPlan(
            LinePart.ORDERS, Kind.ORDER_API, 0.0, self.config.reconnect_h * 3600, self.config.ping_s,
            lambda: open_order_api(self.config.order_url, key, self.now_ms, self._timeout_s, self._tls),
            first_pause_s=self.config.first_pause_s, may_open=self._may_connect,
        )  # fmt: skip
        self.streams[LinePart.ORDERS] = OrderStream(
            plan,
            self.wire.rings[ORDERS_RING],
            self.page.line[int(LinePart.ORDERS)],
            self.breakers[LinePart.ORDERS],
            self._say,
            self._bell,
            seed=os.getpid(),
            loop=self.hot,
            through_ring=THROUGH_RING,
            out_bell=self._out_bell,
            take_out=lambda: take_all(self.wire.out_ring),
            answer_s=self.config.answer_s,
        )

    async def _serve_rest(self) -> None:
        account = self.page.account[0]
        await serve_orders(
            self.rest,
            self.instruments,
            self._rest_bell,
            lambda: take_all(self.wire.rest_ring),
            self._push,
            self._say,
            self.config.recv_window_ms,
            account,
        )

    def _may_connect(self) -> bool:
        """Whether the venue lets us talk to it: no pause of its own is on."""
        return self.now_ms() >= self.budget.closed_until_ms

    def _open(self, url: str) -> Opened:
        return open_websocket(url, self._timeout_s, self._tls)

    def _open_private(self) -> Opened:
        try:
            key = self.loop.call(self.tasks.make_listen_key(), self._timeout_s)
        except (RestError, TimeoutError, ValueError, KeyError) as error:
            raise VenueError(f"no listen key ({error})") from None
        return self._open(private_url(self.config.stream_url, key))

    def _new_listen_key(self) -> None:
        self.streams[LinePart.PRIVATE].drop()

    def replace_all(self) -> None:
        """Every connection anew, second first: the venue has announced that it will close."""
        for stream in self.streams.values():
            stream.replace()

    def missing(self) -> str:
        """What is not up yet, '' if all is."""
        return ", ".join(part.text for part, stream in self.streams.items() if not stream.up)

    # -- rings ------------------------------------------------------------------------------------------------------
    def _push(self, kind: int, text: bytes) -> None:
        """Into the cold ring; from the venue loop's thread, or before it has tasks. A full ring drops it: the line asks again."""
        ring, data = self.wire.rings[COLD_RING], np.frombuffer(text or b"\0", np.uint8)
        if byte_ring_push(ring.words, ring.octets, data, 0, len(text), int(kind), clock.monotonic_ns()) == 0:
            self._say("cold_ring_full", kind=int(kind), n_bytes=len(text))
        os.eventfd_write(self._bell, 1)

    def _task_failed(self, name: str, error: BaseException) -> None:
        """A task of the cold side has failed, and is going to be started again."""
        self._say("task_failed", task=name, error=repr(error))
        self.task_breaker.fail(clock.monotonic_s())
        self.page.account[0]["n_task_failures"] += 1

    def _set_offset(self, offset_ns: int) -> None:
        self.hot["venue_offset_ns"] = offset_ns

    # -- the engine's turn ------------------------------------------------------------------------------------------
    def turn(self) -> None:
        """Watch: breakers and limits open or close the operator's door; a send that failed gives the order connection up; telemetry."""
        now = clock.monotonic_s()
        counters = self.line.counters.copy()
        new = counters - self._last_counters
        self._last_counters = counters
        if new[Counter.API_ERRORS] or new[Counter.UNKNOWN_OUTCOMES]:
            self._after_error(now)
        elif new[Counter.API_ANSWERS]:
            self.order_breaker.succeed(now)
        if self.trading:
            self._account_watch.turn(new, self.rooms.ledger)
        if self.hot["send_failed"] != self._send_failed:
            self._send_failed = int(self.hot["send_failed"])
            if LinePart.ORDERS in self.streams:
                self.streams[LinePart.ORDERS].drop()
        self._choose_way(now)
        self._watch_threads()
        self._door.turn(int(self.rooms.risk["trading"][0]), self._reasons(now))

    def _reasons(self, now: float) -> set[str]:
        """Why no new position may be entered now: each a breaker that is open. (What is down stops what needs it by itself.)

        That of the order socket is none where REST takes its place; that of REST, which is asked all the time, is one until it has closed.
        """
        spared = LinePart.ORDERS if self.config.rest_after_s > 0 else None
        reasons = {f"{part.text} breaker" for part, breaker in self.breakers.items() if breaker.state is BreakerState.OPEN and part is not spared}
        if self.breakers[LinePart.REST].state is BreakerState.HALF_OPEN:
            reasons.add(f"{LinePart.REST.text} breaker")
        if self.order_breaker.tick(now) is BreakerState.OPEN:
            reasons.add("order refusals breaker")
        if self.task_breaker.tick(now) is BreakerState.OPEN:
            reasons.add("cold task breaker")
        reasons.update(self.tasks.closed)
        return reasons

    def _after_error(self, now: float) -> None:
        """An error of the order API: what the policy says. Refusals of single orders are the step's own business."""
        state = self.line.state
        status, code = int(state[words_of.N_STATUS]), int(state[words_of.LAST_ERROR])
        what = reaction(status, code)
        self._say("order_api_error", status=status, code=code, reaction=what.value)
        if what in (Reaction.QUERY, Reaction.RETRY_LATER, Reaction.BACK_OFF):
            self.order_breaker.fail(now)
        if what is Reaction.BACK_OFF:
            self._socket_closed_until_ms = self.budget.limited(self.now_ms())
        elif what is Reaction.STOP:
            self.tasks.halt(Control.HALT_VENUE, "the venue refuses this key or account", error=str(code))

    def _choose_way(self, now: float) -> None:
        if not self.trading:
            return
        stream = self.streams.get(LinePart.ORDERS)
        up, allowed = stream is not None and stream.up, self._may_connect()
        leaving = int(self.rooms.risk["trading"][0]) > Trading.PAUSED and self.now_ms() >= self._socket_closed_until_ms
        before, way = self.ways.way, self.ways.choose(now, allowed, up, leaving)
        if way is not before:
            self.hot["order_way"] = self.page.account[0]["order_way"] = int(way)
            os.eventfd_write(self._bell, 1)

    def _watch_threads(self) -> None:
        """Raises if a thread of the line is gone: what it carried is not carried any more."""
        gone = [stream.name for stream in self.streams.values() if not stream.is_alive()]
        if not self.loop.alive:
            gone.append("venue-rest")
        if gone:
            raise VenueError(f"the thread {', '.join(gone)} has ended")

    def publish(self) -> None:
        """Rows of the telemetry page that this thread owns; the streams write their own counters, the tasks the account's."""
        rows, account = self.page.line, self.page.account[0]
        rest, breaker = rows[int(LinePart.REST)], self.breakers[LinePart.REST]
        rest["state"] = int(LineState.UP if breaker.state is not BreakerState.OPEN else LineState.DOWN)
        rest["breaker"], rest["n_messages"], rest["n_failures"] = int(breaker.state), self.rest.n_calls, self.rest.n_errors
        if rest["n_messages"]:
            rest["n_connects"], rest["ts_progress"] = 1, self.rest.last_answer_ns
        for part, ring in _RINGS.items():
            rows[int(part)]["backlog"] = backlog_bytes(self.wire.rings[ring])
            rows[int(part)]["breaker"] = int(self.breakers[part].state)
        account["closed_until_ms"] = self.budget.closed_until_ms
        used = self.budget.used()
        account["weight_used"] = max((share for name, share in used.items() if name.startswith("REQUEST")), default=0.0)
        account["orders_used"] = max((share for name, share in used.items() if name.startswith("ORDERS")), default=0.0)

    # -- end --------------------------------------------------------------------------------------------------------
    def left(self, patience_s: float) -> Left:
        """What is open at the venue, asked once the hot loop is over; the tasks end first, since one of them holds the switch."""
        self.loop.cancel_tasks(min(patience_s, _CANCEL_S))
        work = settle(self.rest, self.config.dead_man_s, self.instruments, self._is_ours, self.now_ms, self.tasks.switch, patience_s, self._say)
        try:
            return self.loop.call(work, patience_s + _CANCEL_S)
        except TimeoutError:
            return Left(unknown=f"no answer within {patience_s:g} s", switch=standing(self.tasks.switch, self.config.dead_man_s))

    def _is_ours(self, client_order_id: str) -> bool:
        return client_order_id in {binance_line.client_order_id_text(int(number)) for number in self.rooms.orders["client_order_id"] if number}

    def stop(self) -> None:
        """Close everything; the dead man's switch stays as `left` has put it. A second call does nothing."""
        if self._stopped:
            return
        self._stopped = True
        for stream in self.streams.values():
            stream.stop()
        deadline = clock.monotonic_s() + _CANCEL_S
        for stream in self.streams.values():
            if stream.is_alive():
                stream.join(max(0.0, deadline - clock.monotonic_s()))
        self.loop.stop(self.rest.close())

    def summary(self) -> dict[str, Any]:
        """Counters for the session's result."""
        return summary(self)
