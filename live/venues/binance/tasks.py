"""What goes on over REST while a Binance line trades: each a task of the venue loop, which starts it again should it fail.

    clock         server time round trips; the offset goes to the hot thread, which stamps orders with the venue's clock
    requests      what the compiled line asks for: snapshots, orders, trades, positions, a new listen key; order events that are nobody's
    instruments   tick, lot and status of the symbols, now and then and when messages of one cannot be read; one that is counted otherwise halts
    reconcile     positions, orders, open orders and wallet every few seconds; the venue is the truth (account/reconcile.py): a position that no fill
                  explains goes into ledger and legs as a POSITION_CORRECTION, through the hot thread and its journal; at once where something says
                  that it differs
    listen key    kept alive
    dead man      countdownCancelAll per symbol, refreshed only while the hot thread shows life: a hung engine lets it run out

Answers reach the hot thread as the venue gave them, through the cold ring; it alone turns them into events, so the journal has them all.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from hftkit import clock
from hftkit.binance.line import Kind, client_order_id_text, kind_of, wrap_rest_answer
from hftkit.codes import Control, MessageType, OrderState, OrderType, TimeInForce
from hftkit.instruments import Instrument
from hftkit.kernels.memory.ring import ring_pop
from hftkit.kernels.wire.binance.state import (
    FOREIGN_CLIENT,
    FOREIGN_EXECUTION,
    FOREIGN_ID,
    FOREIGN_SYMBOL,
    REQUEST_CLIENT_ORDER_ID,
    REQUEST_INSTRUMENT,
    REQUEST_KIND,
    REQUEST_ORDER_ID,
    REQUEST_WORDS,
    Request,
)
from hftkit.kernels.wire.frame import header
from hftkit.layout import FRAME
from hftkit.session.engine_state import EngineState
from hftkit.units import to_e8
from live.account.open_orders import OpenOrders
from live.account.reconcile import Reconciler, Verdict
from live.ending import failpoints
from live.link.clock_offset import ClockOffset
from live.link.line_loop import FRAMES, ORDER_FRAME
from live.venues.binance.config import BinanceConfig
from live.venues.binance.end import Switch, set_countdown
from live.venues.binance.error_policy import Reaction
from live.venues.binance.foreign_orders import ForeignOrders
from live.venues.binance.instruments import instrument_changes, instrument_frames
from live.venues.binance.open_orders import AccountOrders
from live.venues.binance.rest import BinanceRest, RestError
from live.venues.binance.stream_names import listen_key_code

_REQUESTS_EVERY_S = 0.005
_OPEN_ORDERS_EVERY_S = 1.0  # at least, whatever reconcile_s is
_STALE_ORDER_NS = 5_000_000_000  # an IOC that is not final by now has lost its answer; one that rests may have lost a fill
_FINAL = [int(state) for state in (OrderState.FREE, OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED)]
_MS = 1_000_000
_LOOK_AGAIN_S = 0.25  # between two comparisons while something is in doubt, or a difference stands
_LOOKS = 8  # so often after a doubt
_MOST_LOOKS = 40  # in a row: they cost weight
_CLOCK_LOST_AFTER = 5  # failures in a row before an unknown clock counts as a wrong one


def _landed(flying: set[tuple[int, ...]], wanted: tuple[int, ...], task: asyncio.Task[None]) -> None:
    flying.discard(wanted)
    if not task.cancelled():  # the session is over; to ask a cancelled task would raise, and asyncio would print that
        task.exception()  # a failure was told where it happened; what is left is a bug, and asyncio would only mention it at exit


def in_flight(rooms: EngineState) -> np.ndarray:
    """bool (n,): instruments with an order whose outcome is on its way. One that rests, acknowledged and left alone, is not on its way."""
    orders = rooms.orders.copy()
    rests = (
        (orders["time_in_force"] == TimeInForce.GTC) & (orders["order_type"] == OrderType.LIMIT) & (orders["ts_ack"] > 0) & (orders["ts_cancel"] == 0)
    )
    flies = ~np.isin(orders["state"], _FINAL) & ~rests
    return np.bincount(orders["instrument"][flies], minlength=rooms.ledger.size) > 0


def is_open(rooms: EngineState, client_order_id: int) -> bool:
    """Whether the engine has an order of this id in its table, and not as ended."""
    order = rooms.orders[(client_order_id & 0xFFFFFFFF) % rooms.orders.size].copy()
    return int(order["client_order_id"]) == client_order_id and int(order["state"]) not in _FINAL


class VenueTasks:
    """The tasks of one session. Owner: the venue loop; `halt` from any thread, under its own lock.

    `push(kind, payload)`: into the cold ring; `control(code)`: the operator's door; `say(event, **facts)`: the log.
    """

    def __init__(
        self,
        config: BinanceConfig,
        rest: BinanceRest,
        offset: ClockOffset,
        instruments: tuple[Instrument, ...],
        push: Callable[[int, bytes], None],
        control: Callable[[Control], None],
        say: Callable[..., None],
        account: Any,
        on_offset: Callable[[int], None],
    ) -> None:
        self.config, self.rest, self.offset, self.instruments = config, rest, offset, instruments
        self._push, self._control, self._say, self._account, self._on_offset = push, control, say, account, on_offset
        self._symbols = [instrument.symbol for instrument in instruments]
        self.listen_key = ""
        self.new_listen_key: Callable[[], None] = lambda: None  # the user stream must be opened afresh
        self.reconnect: Callable[[], None] = lambda: None
        self.switch = Switch()
        self._halted: set[Control] = set()
        self._halt_lock = threading.Lock()
        self.closed: tuple[str, ...] = ()  # symbols that the venue does not trade now, in words
        self._changed: tuple[str, ...] = ()
        self._look = asyncio.Event()  # compare now
        self._looks_left = self._looks_in_row = 0
        self.corrected: list[dict[str, Any]] = []  # positions of the venue that went into the ledger, in order
        self.account_orders: AccountOrders | None = None  # set where the session trades, with the two below
        self.judge: OpenOrders | None = None
        self.foreign: ForeignOrders | None = None
        self._open_orders_s = float("-inf")

    def halt(self, code: Control, why: str, **facts: Any) -> None:
        """Halt trading once for a reason, and say so. From the venue loop, or the engine's thread."""
        with self._halt_lock:
            if code in self._halted:
                return
            self._halted.add(code)
        self._say("halt_asked", why=why, **facts)  # first: the engine's own line about the halt says why
        self._control(code)

    # -- clock ------------------------------------------------------------------------------------------------------
    async def ask_time(self) -> None:
        """One round trip. Raises RestError."""
        sent = clock.monotonic_ns()
        body = await self.rest.once("GET", "/fapi/v1/time")
        received = clock.monotonic_ns()
        jumps = self.offset.n_jumps
        self.offset.add(sent, received, int(json.loads(body)["serverTime"]))
        if self.offset.n_jumps > jumps:
            self._say("clock_jump", offset_ms=self.wall_offset_ns() / _MS)
        self._on_offset(self.offset.offset_ns(received))
        self._account["clock_offset_ns"] = self.wall_offset_ns()
        self._account["clock_bound_ns"] = self.offset.bound_ns(received)
        self._account["n_clock_jumps"] = self.offset.n_jumps

    def wall_offset_ns(self) -> int:
        """The venue's clock minus our wall clock. (What is estimated is its distance from the monotonic clock, which never jumps.)"""
        now = clock.monotonic_ns()
        return self.offset.offset_ns(now) - (clock.unix_ns() - now)

    async def keep_time(self) -> None:
        """Estimate for ever; alarm and halt beyond the limits (MD-9)."""
        failures, alarmed = 0, False
        while True:
            try:
                await self.ask_time()
                failures = 0
            except (RestError, ValueError, KeyError) as error:
                failures += 1
                self._say("clock_unanswered", error=str(error))
            offset, bound = abs(self.wall_offset_ns()), self.offset.bound_ns(clock.monotonic_ns())
            beyond_alarm = offset > self.config.clock_alarm_ms * _MS + bound
            if beyond_alarm and not alarmed:
                self._say("clock_alarm", offset_ms=self.wall_offset_ns() / _MS, bound_ms=bound / _MS)
            alarmed = beyond_alarm
            if offset > self.config.clock_halt_ms * _MS + bound:
                self.halt(Control.HALT_CLOCK, "the venue's clock is too far from ours", offset_ms=self.wall_offset_ns() / _MS)
            elif failures >= _CLOCK_LOST_AFTER and bound > self.config.clock_halt_ms * _MS:
                self.halt(Control.HALT_CLOCK, "the venue's clock is not known well enough", bound_ms=bound / _MS)
            await asyncio.sleep(self.config.clock_every_s)

    # -- requests of the compiled line ------------------------------------------------------------------------------
    async def serve_requests(self, requests: np.ndarray) -> None:
        """Pop the line's requests ring for ever. The line repeats what it still needs, so a failure is only told."""
        slot = np.zeros(REQUEST_WORDS, np.int64)
        flying: set[tuple[int, ...]] = set()
        while True:
            while ring_pop(requests, slot, 0):
                if slot[REQUEST_KIND] == Request.FOREIGN_ORDER:
                    self.meet_foreign(slot)
                    continue
                wanted = tuple(int(word) for word in slot[:4])
                if wanted not in flying:
                    flying.add(wanted)
                    task = asyncio.ensure_future(self._serve(wanted))
                    task.add_done_callback(partial(_landed, flying, wanted))
            await asyncio.sleep(_REQUESTS_EVERY_S)

    async def _serve(self, wanted: tuple[int, ...]) -> None:
        request = Request(wanted[REQUEST_KIND])
        instrument, client_order_id, order_id = wanted[REQUEST_INSTRUMENT], wanted[REQUEST_CLIENT_ORDER_ID], wanted[REQUEST_ORDER_ID]
        try:
            failpoints.reach("task request")
            if request is Request.SNAPSHOT:
                await self.fetch_snapshot(instrument)
            elif request is Request.ORDER:
                await self.fetch_order(instrument, client_order_id)
            elif request is Request.TRADES:
                await self.fetch_trades(instrument, order_id)
            elif request is Request.POSITIONS:
                self._push(Kind.REST_POSITION, await self.rest.read("/fapi/v3/positionRisk", signed=True, weight=5))
            elif request is Request.INSTRUMENTS:
                await self.check_instruments(self._symbols[instrument])
            elif request is Request.LISTEN_KEY:
                self.listen_key_expired(client_order_id)
            elif request is Request.RECONNECT:
                self._say("venue_will_close")
                self.reconnect()
        except RestError as error:
            self.told(request.name.lower(), error)
        except Exception as error:  # a bug of ours: the line asks again, and somebody should know why
            self._say("task_failed", task=f"request {request.name.lower()}", error=repr(error))

    def listen_key_expired(self, code: int) -> None:
        """The venue says that a listen key has expired. `code`: text_code of the one it names, 0 if it names none. Another's leaves ours alone."""
        if code not in (0, listen_key_code(self.listen_key)):
            self._say("listen_key_expired_elsewhere", why="the venue names another key than ours")
            return
        self._say("listen_key_expired")
        self.new_listen_key()

    def meet_foreign(self, slot: np.ndarray) -> None:
        """An order event that the line found to be nobody's: int64 (REQUEST_WORDS,)."""
        if self.foreign is not None:
            symbol, client = (slot[at : at + 2].tobytes().rstrip(b"\0").decode("ascii", "replace") for at in (FOREIGN_SYMBOL, FOREIGN_CLIENT))
            self.foreign.event(int(slot[FOREIGN_ID]), client, symbol, int(slot[FOREIGN_EXECUTION]), clock.monotonic_s())

    async def fetch_snapshot(self, instrument: int) -> None:
        """GET depth, for the line."""
        limit = self.config.book_limit
        weight = {100: 5, 500: 10, 1000: 20}[limit]
        body = await self.rest.read("/fapi/v1/depth", {"symbol": self._symbols[instrument], "limit": limit}, weight=weight)
        self._push(kind_of(Kind.REST_DEPTH, instrument), body)

    async def fetch_order(self, instrument: int, client_order_id: int) -> None:
        """GET order by client id, for the line. "Does not exist" is an answer too."""
        params = {"symbol": self._symbols[instrument], "origClientOrderId": client_order_id_text(client_order_id)}
        try:
            status, body = 200, await self.rest.once("GET", "/fapi/v1/order", params, signed=True)
        except RestError as error:
            if error.status != 400:
                raise
            status, body = error.status, json.dumps({"code": error.code, "msg": error.text}).encode()
        self._push(Kind.REST_ORDER, wrap_rest_answer("status", client_order_id, status, body))

    async def fetch_trades(self, instrument: int, order_id: int) -> None:
        """GET userTrades of one order, for the line."""
        params = {"symbol": self._symbols[instrument], "orderId": order_id}
        self._push(Kind.REST_TRADES, await self.rest.read("/fapi/v1/userTrades", params, signed=True, weight=5))

    def told(self, what: str, error: RestError) -> None:
        """Say that a call failed; stop trading where the error policy says so."""
        self._say("rest_failed", call=what, error=str(error), reaction=error.reaction.value)
        if error.reaction is Reaction.STOP:
            self.halt(Control.HALT_VENUE, "the venue refuses this key or account", error=str(error))

    # -- the instruments --------------------------------------------------------------------------------------------
    async def watch_instruments(self) -> None:
        """Ask for ever, now and then, whether they are still what they were."""
        while True:
            await asyncio.sleep(self.config.info_every_s)
            try:
                await self.check_instruments()
            except RestError as error:
                self.told("exchange_info", error)

    async def check_instruments(self, unreadable: str = "") -> None:
        """Compare with the venue's list. One that is counted in other ticks or lots halts the engine, which leaves its positions at market.

        The halt is its INSTRUMENT frame, so it stands in the journal. `unreadable`: the symbol whose messages made us ask. Raises RestError.
        """
        now, changed, closed = instrument_changes(self.instruments, json.loads(await self.rest.read("/fapi/v1/exchangeInfo")))
        if changed and changed != self._changed:
            self._say("halt", why="; ".join(changed), cure="freeze the parameters again with the new sizes, then start a new session")
            self._push(FRAMES, instrument_frames(now))
        elif unreadable and not changed:
            self._say(
                "unreadable", symbol=unreadable, why="messages of it cannot be read, though its tick and lot sizes have not changed; tried again"
            )
        self._changed = changed
        if closed != self.closed:
            self._say("symbols_closed" if closed else "symbols_open", why="; ".join(closed))
        self.closed = closed

    # -- the account ------------------------------------------------------------------------------------------------
    async def reconcile(self, rooms: EngineState, reconciler: Reconciler) -> None:
        """Compare with the venue for ever (AC-2)."""
        while True:
            await self._until_next_look(reconciler)
            try:
                await self._reconcile_once(rooms, reconciler)
            except RestError as error:
                self.told("reconcile", error)

    def look_now(self) -> None:
        """Something says that the account is not what we think (a reduce-only order refused, a stranger's fill): compare at once. In the loop."""
        self._looks_left = _LOOKS
        self._look.set()

    async def _until_next_look(self, reconciler: Reconciler) -> None:
        """`reconcile_s`, or until `look_now`; while something is in doubt, or differs, a moment only."""
        soon = (self._looks_left > 0 or reconciler.differs) and self._looks_in_row < _MOST_LOOKS
        self._looks_in_row = self._looks_in_row + 1 if soon else 0
        self._looks_left = max(self._looks_left - 1, 0)
        pause = min(_LOOK_AGAIN_S, self.config.reconcile_s) if soon else self.config.reconcile_s
        if soon:
            await asyncio.sleep(pause)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), pause)
        self._look.clear()

    async def _reconcile_once(self, rooms: EngineState, reconciler: Reconciler) -> None:
        ledger, fills, still = rooms.ledger, rooms.ledger[["n_fills", "n_corrections"]].copy(), ~in_flight(rooms)
        body = await self.rest.read("/fapi/v3/account", signed=True, weight=5)
        account = json.loads(body)
        held = {row["symbol"]: row["positionAmt"] for row in account["positions"]}
        venue = [round(to_e8(held.get(ins.symbol, "0")) / ins.lot_size_e8) for ins in self.instruments]
        self._account["wallet_e8"] = to_e8(account["totalWalletBalance"])
        ours = ledger["position"].tolist()
        quiet = still & ~in_flight(rooms) & (ledger[["n_fills", "n_corrections"]] == fills)
        found = reconciler.compare(ours, venue, quiet.tolist())
        self._account["n_reconciled"] = reconciler.n_compared
        if not found:
            self._account["ts_reconciled"] = clock.monotonic_ns()
        for i, (verdict, lots) in found.items():
            if verdict is not Verdict.WAIT:
                self._say("correction", symbol=self._symbols[i], verdict=verdict.name.lower(), venue_minus_ledger_lots=lots)
                self._account["n_corrections"] += 1
            if verdict is Verdict.RECOVER:
                await self._recover(rooms, i)
            elif verdict in (Verdict.ACCEPT, Verdict.HALT):
                self.correct(i, venue[i], ours[i], int(rooms.session["ts_exchange"][0]))
            if verdict is Verdict.HALT:
                self.halt(Control.HALT_ACCOUNT, "the venue's position is not the ledger's", symbol=self._symbols[i], venue_minus_ledger_lots=lots)
        if any(verdict is Verdict.RECOVER for verdict, _ in found.values()):
            self._push(Kind.REST_POSITION, await self.rest.read("/fapi/v3/positionRisk", signed=True, weight=5))
        await self.settle_orders(rooms, _STALE_ORDER_NS)
        await self.check_open_orders(rooms)

    async def check_open_orders(self, rooms: EngineState) -> None:
        """Ask what is open at the venue, cancel what an ended session has left, name what is others'."""
        now = clock.monotonic_s()
        if self.account_orders is None or self.judge is None or self.foreign is None or now - self._open_orders_s < _OPEN_ORDERS_EVERY_S:
            return
        self._open_orders_s = now
        await self.account_orders.check(
            self._symbols, self.judge, lambda number: is_open(rooms, number), self.foreign, self._account, self.halt_account
        )

    def halt_account(self, why: str) -> None:
        """Halt since the account is not ours alone."""
        self.halt(Control.HALT_ACCOUNT, why)

    def correct(self, instrument: int, venue_lots: int, ledger_lots: int, ts_event: int) -> None:
        """Have the ledger brought to the venue's position, if it still is where it was compared. `ts_event`: ns, exchange clock."""
        frame = FRAME[MessageType.POSITION_CORRECTION]
        words = np.array([header(int(frame.type), frame.words, instrument), 0, ts_event, venue_lots, ledger_lots], np.int64)
        self._push(ORDER_FRAME, words.tobytes())
        self.corrected.append({"symbol": self._symbols[instrument], "venue_lots": venue_lots, "ledger_lots": ledger_lots, "ts_event": ts_event})
        self._account["n_corrected"] += 1

    async def settle_orders(self, rooms: EngineState, older_than_ns: int) -> None:
        """Ask for every order that should have ended by now, or rests for so long: an answer may have been lost."""
        orders, now = rooms.orders.copy(), clock.monotonic_ns()
        late = orders[~np.isin(orders["state"], _FINAL) & (now - orders["ts_sent"] > older_than_ns)]
        for order in late:
            await self.fetch_order(int(order["instrument"]), int(order["client_order_id"]))

    async def _recover(self, rooms: EngineState, instrument: int) -> None:
        """Ask for the trades of the latest orders of an instrument; the line books those that it has not seen."""
        orders = rooms.orders.copy()
        recent = orders[(orders["instrument"] == instrument) & (orders["order_id"] > 0)]
        for order in np.sort(recent, order="ts_sent")[-5:]:
            await self.fetch_trades(instrument, int(order["order_id"]))

    # -- the listen key and the dead man's switch -------------------------------------------------------------------
    async def make_listen_key(self) -> str:
        """POST listenKey: a new one, or the active one extended. Raises RestError."""
        self.listen_key = str(json.loads(await self.rest.read("/fapi/v1/listenKey", method="POST"))["listenKey"])
        return self.listen_key

    async def keep_listen_key(self) -> None:
        """Extend it for ever; one that is gone is replaced, and the user stream with it."""
        while True:
            await asyncio.sleep(self.config.listen_key_minutes * 60)
            try:
                await self.rest.read("/fapi/v1/listenKey", method="PUT")
            except RestError as error:
                self.told("listen_key", error)
                self.new_listen_key()

    async def hold_dead_man(self, rooms: EngineState) -> None:
        """Re-arm countdownCancelAll at a third of its time while the hot thread's timers run. At the end: live/venues/binance/end.py."""
        seen = -1
        while True:
            timers = int(rooms.session["n_timers"][0])
            if timers != seen:
                seen = timers
                await self.arm_dead_man(int(self.config.dead_man_s * 1000))
            await asyncio.sleep(self.config.dead_man_s / 3)

    async def arm_dead_man(self, countdown_ms: int) -> None:
        """Set the countdown of every symbol."""
        for symbol in self._symbols:
            try:
                self.switch.armed.add(symbol)  # before it is known: it may have been armed all the same
                await set_countdown(self.rest, symbol, countdown_ms)
            except RestError as error:
                self.told("dead_man", error)
