"""The account's open orders at a Binance-compatible venue: asked for at start and at every reconciliation, those of ended sessions cancelled.

At start the account is made ours: orders left by earlier sessions are cancelled, and asked for again until the venue shows none, before anybody asks
for positions: what filled meanwhile is then among these. Later the same question finds what came in between (live/account/open_orders.py judges).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hftkit import clock
from hftkit.binance.line import client_order_id_text
from hftkit.errors import VenueError
from live.account.lease import fingerprint, venue_name
from live.account.open_orders import OpenOrder, OpenOrders, Owner, epoch_of, in_words, order_of
from live.link.backoff import Backoff
from live.link.rate_budget import Priority
from live.venues.binance.error_policy import Reaction
from live.venues.binance.foreign_orders import ForeignOrders
from live.venues.binance.rest import UNKNOWN_ORDER, BinanceRest, RestError

ROUNDS = 6  # questions at start until no order of ours may be left
EVERYTHING_EVERY_S = 60.0  # all symbols of the account; in between the session's own
_ALL_WEIGHT = 40  # of a question without a symbol
_UNKNOWN_CANCEL = -2011
_NOT_FOUND = 404
_MOST_NAMED = 4096  # orders of others that are remembered as told


class AccountOrders:
    """`orphans`: "cancel" or "refuse"; `strangers`: "warn" or "halt"; `dead_man`: whether a countdown of ours will be on the session's symbols.

    Owner: the venue loop; read at the end, when it has nothing more to do.
    """

    def __init__(self, rest: BinanceRest, say: Callable[..., None], orphans: str, strangers: str, dead_man: bool) -> None:
        self.rest, self._say = rest, say
        self._orphans, self._strangers, self._dead_man = orphans, strangers, dead_man
        self._named: set[tuple[bool, int]] = set()
        self._asked_all_s = 0.0
        self._strangers_told_s = float("-inf")
        self._with_algo = True
        self.cancelled: list[OpenOrder] = []
        self.found: dict[Owner, list[OpenOrder]] = {}

    # -- questions ----------------------------------------------------------------------------------------------------
    async def ask(self, symbols: Sequence[str] | None) -> list[OpenOrder]:
        """What is open: of these symbols, or of the whole account. Raises RestError, VenueError for an answer of another form."""
        rows: list[OpenOrder] = []
        for params in [{"symbol": symbol} for symbol in symbols] if symbols is not None else [{}]:
            weight = 1 if params else _ALL_WEIGHT
            rows += self._rows(await self.rest.read("/fapi/v1/openOrders", params, signed=True, weight=weight), False)
            if self._with_algo:
                rows += await self._ask_algo(params, weight)
        return rows

    async def _ask_algo(self, params: dict[str, str], weight: int) -> list[OpenOrder]:
        try:
            return self._rows(await self.rest.read("/fapi/v1/openAlgoOrders", params, signed=True, weight=weight), True)
        except RestError as error:
            if error.status != _NOT_FOUND:
                raise
            self._with_algo = False  # a venue without that service has no such orders
            self._say("no_algo_orders", why=str(error))
            return []

    @staticmethod
    def _rows(body: bytes, algo: bool) -> list[OpenOrder]:
        try:
            return [order_of(row, algo) for row in json.loads(body)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise VenueError(f"the venue lists open orders in another form ({error!r})", "Is it Binance-compatible?") from None

    async def cancel(self, orders: Iterable[OpenOrder]) -> None:
        """Cancel them one by one; one that is gone already is as good. Raises RestError."""
        for order in orders:
            try:
                if order.algo:
                    await self.rest.once("DELETE", "/fapi/v1/algoOrder", {"algoId": order.order_id}, signed=True, priority=Priority.CANCEL)
                else:
                    params = {"symbol": order.symbol, "orderId": order.order_id}
                    await self.rest.once("DELETE", "/fapi/v1/order", params, signed=True, priority=Priority.CANCEL)
            except RestError as error:
                if error.code not in (_UNKNOWN_CANCEL, UNKNOWN_ORDER):
                    raise

    # -- at start -----------------------------------------------------------------------------------------------------
    async def clean_start(self, symbols: Sequence[str], epoch: int, began_ms: int) -> None:
        """Have nothing of an earlier session open, and say what is open of others. Raises VenueError where the rules say that we may not start."""
        judge, backoff = OpenOrders(epoch, began_ms), Backoff(first_s=0.1)
        for attempt in range(ROUNDS):
            self.found = judge.judge(await self.ask(None), lambda number: False)
            left = [*self.found[Owner.ORPHAN], *self.found[Owner.TWIN]]
            if any(epoch_of(order.number) == epoch for order in (*self.found[Owner.OURS], *self.found[Owner.GIVEN_UP])):
                raise VenueError(f"orders of another session with our number {epoch:08x} are open", "Start again: another number is drawn")
            if attempt == 0:
                self._meet_strangers(symbols, at_start=True)
            if not left:
                await self._check_number(symbols, epoch)
                return
            if self._orphans == "refuse":
                raise VenueError(f"orders of an earlier session are open: {in_words(left)}", 'Cancel them, or set [session] orphans = "cancel"')
            self._tell_orphans(left)
            try:
                await self.cancel(left)
            except RestError as error:
                if error.reaction is Reaction.STOP:
                    raise
                self._say("orphan_cancel_failed", error=str(error))
            await asyncio.sleep(backoff.next_s())
        raise VenueError(
            f"orders of earlier sessions stay open, or new ones appear: {in_words(left)}",
            "Does another engine of ours trade this account? Else cancel them at the venue",
        )

    async def _check_number(self, symbols: Sequence[str], epoch: int) -> None:
        """No order at the venue may have our first id: then the number is somebody's already. A venue forgets old orders; those cannot clash."""
        first = client_order_id_text(epoch << 32 | 1)
        for symbol in symbols:
            try:
                await self.rest.read("/fapi/v1/order", {"symbol": symbol, "origClientOrderId": first}, signed=True)
            except RestError as error:
                if error.code != UNKNOWN_ORDER:
                    raise
            else:
                raise VenueError(f"the venue has an order {first} already", "Start again: another session number is drawn")

    # -- while trading ------------------------------------------------------------------------------------------------
    async def check(self, symbols: Sequence[str], judge: OpenOrders, working: Callable[[int], bool], foreign: ForeignOrders, account: Any,
                    halt: Callable[[str], None]) -> None:  # fmt: skip
        """Ask and act, once. `working(id)`: whether the engine has that order open; `account`: the ACCOUNT record; `halt(why)`. Raises RestError."""
        now = clock.monotonic_s()
        everything = now - self._asked_all_s > EVERYTHING_EVERY_S
        orders = await self.ask(None if everything else symbols)
        if everything:
            self._asked_all_s = now
            account["n_strangers"] = 0
        self.found = found = judge.judge(orders, working)
        account["n_strangers"] = max(int(account["n_strangers"]), len(found[Owner.STRANGER]))
        if self._meet_strangers(symbols, at_start=False) and self._strangers == "halt":
            halt(f"a stranger has open orders on this account: {in_words(found[Owner.STRANGER])}")
        for order in found[Owner.TWIN]:
            foreign.twin(order.number, order.symbol, "open", now)
        lost = [*found[Owner.ORPHAN], *found[Owner.GIVEN_UP]]
        if found[Owner.ORPHAN] and self._orphans == "refuse":
            halt(f"orders of an earlier session are open: {in_words(found[Owner.ORPHAN])}")
            lost = found[Owner.GIVEN_UP]
        if lost:
            self._tell_orphans(lost)
            foreign.known |= {order.number for order in lost}
            account["n_orphans"] = len(self.cancelled)
            await self.cancel(lost)

    # -- words --------------------------------------------------------------------------------------------------------
    def _new(self, orders: Iterable[OpenOrder]) -> list[OpenOrder]:
        if len(self._named) > _MOST_NAMED:
            self._named.clear()
        fresh = [order for order in orders if (order.algo, order.order_id) not in self._named]
        self._named |= {(order.algo, order.order_id) for order in fresh}
        return fresh

    def _tell_orphans(self, orders: Sequence[OpenOrder]) -> None:
        if fresh := self._new(orders):
            self.cancelled += fresh
            self._say("orphans_cancelled", n=len(fresh), orders=in_words(fresh), why="left open by an earlier session of ours")

    def _meet_strangers(self, symbols: Sequence[str], at_start: bool) -> bool:
        """Name those not named before. Whether there are any. Raises VenueError at start where the rule is "halt"."""
        strangers = self.found[Owner.STRANGER]
        now = clock.monotonic_s()
        if now - self._strangers_told_s > EVERYTHING_EVERY_S and (fresh := self._new(strangers)):  # a busy stranger does not fill the log
            self._strangers_told_s = now
            under = sorted({order.symbol for order in fresh if order.symbol in symbols and not order.algo}) if self._dead_man else []
            facts = {"dead_man": f"our countdown on {', '.join(under)} would cancel them too, should this engine die"} if under else {}
            self._say("strangers_orders", n=len(fresh), orders=in_words(fresh), **facts)
        if strangers and at_start and self._strangers == "halt":
            raise VenueError(f"a stranger has open orders on this account: {in_words(strangers)}", 'Cancel them, or set [session] strangers = "warn"')
        return bool(strangers)


async def claim_account(rest: BinanceRest, take: Callable[[str, str], None]) -> None:
    """Lock the account under the names it has: the key's, and the venue's own, which is the same for every key. `take`: of live/account/lease.py."""
    assert rest.key is not None
    venue = venue_name(rest.base_url)
    take(f"binance {venue} key {fingerprint(rest.key.api_key)}", f"the account of this key at {venue}")
    try:
        rows = json.loads(await rest.read("/fapi/v2/balance", signed=True, weight=5))
    except RestError as error:
        if error.status != _NOT_FOUND:
            raise
        return
    for alias in sorted({str(row.get("accountAlias", "")) for row in rows} - {""}):
        take(f"binance {venue} account {alias}", f"account {alias} at {venue}")
