"""A witness who knows the rules of the market and sees only commands and reports: it says of each event whether it was allowed to happen.

It neither matches nor queues: it remembers who was accepted when, and checks what is reported against that. A third opinion beside the two engines,
who could share a mistake. `met` counts the situations it has seen, so that a driver can be held to reach them all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from hftkit.codes import OrderFlag, OrderType, Reject, Side, TimeInForce
from hftkit.exchange.core.layout import Op, ReportKind

Report = dict[str, int]
_PREVENTION = OrderFlag.EXPIRE_TAKER | OrderFlag.EXPIRE_MAKER
_MARKETS = (OrderType.MARKET, OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET)
_NEAR = 10**9


@dataclass(eq=False)
class Known:
    """An order as its owner knows it. `stamp`: when it took its place in the queue."""

    account: int
    client_order_id: int
    instrument: int
    side: int
    kind: OrderType
    tif: TimeInForce
    flags: int
    price: int
    trigger: int
    expire_ts: int
    qty: int
    stamp: int = 0
    filled: int = 0
    waits: bool = False

    @property
    def key(self) -> tuple[int, int]:
        return self.account, self.client_order_id

    @property
    def leaves(self) -> int:
        return self.qty - self.filled

    @property
    def limit(self) -> int:
        """Worst price it takes."""
        return (_NEAR if self.side == Side.BUY else -_NEAR) if self.kind in _MARKETS else self.price

    @property
    def rises(self) -> bool:
        """Does it wait for a rise? A buyer's stop and a seller's profit are above the market."""
        is_stop = self.kind in (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)
        return is_stop if self.side == Side.BUY else not is_stop

    @property
    def name(self) -> str:
        flags = "+".join(flag.name for flag in OrderFlag if self.flags & flag) or "plain"
        return f"{self.kind.name} {self.tif.name} {flags}"


@dataclass
class Witness:
    """Watches one exchange. `windows`: (lowest, highest) price of each instrument; `capacity`: open orders it can hold."""

    windows: list[tuple[int, int]]
    capacity: int
    orders: dict[tuple[int, int], Known] = field(default_factory=dict)
    resting: dict[tuple[int, int], dict[int, list[Known]]] = field(default_factory=lambda: defaultdict(dict))
    positions: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    quotes: dict[tuple[int, int, int], int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    met: Counter[str] = field(default_factory=Counter)
    stamp: int = 0
    ids: tuple[int, int] = (0, 0)  # last order id, last trade id

    # -- what is known --------------------------------------------------------------------------------------------

    def best(self, instrument: int, side: int) -> int:
        """Best price of a side, 0 if it is empty."""
        prices = self.resting[instrument, side]
        return (max if side == Side.BUY else min)(prices) if prices else 0

    def crosses(self, order: Known) -> bool:
        """Could it trade now?"""
        other = self.best(order.instrument, 1 - order.side)
        return other != 0 and (other <= order.limit if order.side == Side.BUY else other >= order.limit)

    def room(self, order: Known) -> int:
        """Lots by which its side could bring the position towards zero."""
        return max(0, self.positions[order.account, order.instrument] * (-1 if order.side == Side.BUY else 1))

    def line(self, account: int, instrument: int, side: int) -> list[Known]:
        """An account's resting reduce-only orders of a side, the last in line at the end."""
        sign = 1 if side == Side.BUY else -1
        mine = [o for queue in self.resting[instrument, side].values() for o in queue if o.account == account and o.flags & OrderFlag.REDUCE_ONLY]
        return sorted(mine, key=lambda o: (-sign * o.price, o.stamp))

    def share(self, order: Known) -> int:
        """Lots of the position that are left for a reduce-only order: those at its price or better come first."""
        low, high = self.windows[order.instrument]
        sign, limit = (1 if order.side == Side.BUY else -1), min(high, max(low, order.limit))
        others = [o for o in self.line(order.account, order.instrument, order.side) if o.key != order.key and sign * (o.price - limit) >= 0]
        return max(0, self.room(order) - sum(o.leaves for o in others))

    def sure(self, order: Known) -> int:
        """Lots a fill-or-kill order can count on, order by order in priority."""
        sign, total = (1 if order.side == Side.BUY else -1), 0
        for price in sorted(self.resting[order.instrument, 1 - order.side], key=lambda p: sign * p):
            if sign * price > sign * order.limit:
                break
            for other in sorted(self.resting[order.instrument, 1 - order.side][price], key=lambda o: o.stamp):
                if other.account == order.account and order.flags & _PREVENTION:
                    if order.flags & OrderFlag.EXPIRE_TAKER:
                        return total
                elif not other.flags & OrderFlag.REDUCE_ONLY:
                    total += other.leaves
        return total

    def reached(self, order: Known) -> bool:
        """Has the last price reached its trigger?"""
        last = self.last[order.instrument]
        return last != 0 and (last >= order.trigger if order.rises else last <= order.trigger)

    def _take_place(self, order: Known) -> None:
        self.stamp += 1
        order.stamp = self.stamp
        self.resting[order.instrument, order.side].setdefault(order.price, []).append(order)

    def _leave_place(self, order: Known) -> None:
        queue = self.resting[order.instrument, order.side][order.price]
        queue.remove(order)
        if not queue:
            del self.resting[order.instrument, order.side][order.price]

    # -- why not --------------------------------------------------------------------------------------------------

    def _refusals(self, order: Known, ts: int) -> set[Reject]:
        """Every reason for which a new order must be refused."""
        low, high = self.windows[order.instrument]
        prices = ([order.trigger] if order.waits else []) + ([order.price] if order.kind not in _MARKETS else [])
        found = {
            Reject.VENUE_BAD_QTY: order.qty <= 0,
            Reject.BOOK_PRICE_OUT_OF_RANGE: not all(low <= price <= high for price in prices),
            Reject.VENUE_DUPLICATE_CLIENT_ORDER_ID: order.key in self.orders,
            Reject.VENUE_EXPIRED: order.tif == TimeInForce.GTD and order.expire_ts <= ts,
            Reject.BOOK_FULL: len(self.orders) >= self.capacity
            and (order.waits or (order.kind == OrderType.LIMIT and order.tif in (TimeInForce.GTC, TimeInForce.GTD))),
        }
        if order.waits:
            found[Reject.VENUE_WOULD_TRIGGER] = self.reached(order)
        else:
            found[Reject.VENUE_REDUCE_ONLY] = bool(order.flags & OrderFlag.REDUCE_ONLY) and order.qty > self.share(order)
            found[Reject.BOOK_POST_ONLY_WOULD_TAKE] = bool(order.flags & OrderFlag.POST_ONLY) and self.crosses(order)
            found[Reject.BOOK_FOK_NOT_FILLABLE] = order.tif == TimeInForce.FOK and self.sure(order) < order.qty
        return {reason for reason, holds in found.items() if holds}

    def _replace_refusals(self, order: Known | None, price: int, qty: int) -> set[Reject]:
        if order is None:
            return {Reject.BOOK_UNKNOWN_ORDER}
        if order.waits:
            return {Reject.VENUE_BAD_TYPE}
        low, high = self.windows[order.instrument]
        moved = Known(**{**vars(order), "price": price, "qty": qty})
        found = {
            Reject.VENUE_BAD_QTY: qty <= order.filled,
            Reject.BOOK_PRICE_OUT_OF_RANGE: not low <= price <= high,
            Reject.BOOK_POST_ONLY_WOULD_TAKE: bool(order.flags & OrderFlag.POST_ONLY) and self.crosses(moved),
            Reject.VENUE_REDUCE_ONLY: bool(order.flags & OrderFlag.REDUCE_ONLY) and moved.leaves > self.share(moved),
        }
        return {reason for reason, holds in found.items() if holds}

    # -- events ---------------------------------------------------------------------------------------------------

    def saw_command(self, c: Report, ts: int, reports: list[Report]) -> None:
        """One command and all that was reported of it."""
        op, key = Op(c["op"]), (c["account"], c["client_order_id"])
        self.met[op.name] += 1
        if op in (Op.CANCEL, Op.CANCEL_ALL):
            assert all(r["kind"] in (ReportKind.CANCELED, ReportKind.LEVEL, ReportKind.CANCEL_REJECT) for r in reports)
            assert (op == Op.CANCEL and key not in self.orders) == any(r["kind"] == ReportKind.CANCEL_REJECT for r in reports)
            expected = [o.key for o in self.orders.values() if o.account == c["account"] and c["instrument"] in (-1, o.instrument)]
            gone = [(r["account"], r["client_order_id"]) for r in reports if r["kind"] == ReportKind.CANCELED]
            assert gone == (expected if op == Op.CANCEL_ALL else [key] if key in self.orders else [])
            self._follow(None, [r for r in reports if r["kind"] != ReportKind.CANCEL_REJECT], "cancel")
            return
        if op == Op.REPLACE:
            self._saw_replace(self.orders.get(key), c, reports)
            return
        if op == Op.QUOTE:
            place = c["account"], c["instrument"], c["side"]
            former = self.quotes.pop(place, 0)
            if former and (c["account"], former) in self.orders:
                n = 1 if self.orders[c["account"], former].waits else 2
                assert (reports[0]["kind"], reports[0]["client_order_id"]) == (ReportKind.CANCELED, former)
                self._follow(None, reports[:n], "quote")
                reports = reports[n:]
            if c["qty"] == 0:
                assert not reports
                return
        kind, order = OrderType(c["order_type"]), self._order_of(c)
        order.waits = kind > OrderType.MARKET
        reasons = self._refusals(order, ts)
        if reports[0]["kind"] == ReportKind.REJECT:
            assert reports[0]["reason"] in reasons, (reasons, reports)
            assert len(reports) == 1
            self.met[f"{op.name} refused {reports[0]['reason']}"] += 1
            return
        assert not reasons, (reasons, reports)
        self.met[f"accepted {order.name}"] += 1
        self._accepted(reports[0], order.qty)
        if op == Op.QUOTE:
            self.quotes[c["account"], c["instrument"], c["side"]] = c["client_order_id"]
        if order.waits:
            assert len(reports) == 1
            self.orders[order.key] = order
        else:
            self._follow(order, reports[1:], op.name)

    def _order_of(self, c: Report) -> Known:
        names = {"account": "account", "client_order_id": "client_order_id", "instrument": "instrument", "side": "side", "flags": "flags"}
        names |= {"price": "price", "trigger": "trigger_price", "expire_ts": "expire_ts", "qty": "qty"}
        return Known(kind=OrderType(c["order_type"]), tif=TimeInForce(c["time_in_force"]), **{mine: c[its] for mine, its in names.items()})

    def _accepted(self, report: Report, qty: int) -> None:
        assert (report["kind"], report["order_id"], report["qty"]) == (ReportKind.ACK, self.ids[0] + 1, qty)
        self.ids = report["order_id"], self.ids[1]

    def _saw_replace(self, order: Known | None, c: Report, reports: list[Report]) -> None:
        reasons = self._replace_refusals(order, c["price"], c["qty"])
        if reports[0]["kind"] == ReportKind.REJECT:
            assert reports[0]["reason"] in reasons, (reasons, reports)
            assert len(reports) == 1
            self.met[f"REPLACE refused {reports[0]['reason']}"] += 1
            return
        assert order is not None
        assert not reasons, (reasons, reports)
        assert (reports[0]["kind"], reports[0]["qty"]) == (ReportKind.ACK, c["qty"])
        keeps = c["price"] == order.price and c["qty"] <= order.qty
        what = "partly filled" if order.filled else "whole"
        self.met[f"REPLACE {'keeps' if keeps else 'moves'} {what} {order.tif.name}"] += 1
        if keeps:
            order.qty = c["qty"]
            assert [(r["kind"], r["price"]) for r in reports[1:]] == [(ReportKind.LEVEL, order.price)]
            self._check_levels(reports[1:], {(order.instrument, order.side, order.price)})
            return
        left = (order.instrument, order.side, order.price)
        self._leave_place(order)
        order.price, order.qty = c["price"], c["qty"]
        self._follow(order, reports[1:], "REPLACE", {left})

    def saw_expiry(self, ts: int, reports: list[Report]) -> None:
        """One dated order has ended; an empty list: none is due."""
        dated = [o for o in self.orders.values() if o.tif == TimeInForce.GTD and o.expire_ts <= ts]
        if not reports:
            assert not dated
            return
        assert (reports[0]["kind"], reports[0]["reason"]) == (ReportKind.CANCELED, Reject.VENUE_EXPIRED)
        order = self.orders[reports[0]["account"], reports[0]["client_order_id"]]
        assert order in dated
        assert order.expire_ts == min(o.expire_ts for o in dated)
        self.met["expired waiting" if order.waits else "expired partly filled" if order.filled else "expired resting"] += 1
        self._follow(None, reports, "expiry")

    def saw_shed(self, instrument: int, reports: list[Report]) -> None:
        """One reduce-only order was ended because the position has no room for it; an empty list: all have room."""
        accounts = {o.account for o in self.orders.values()}
        lines = [line for account in accounts for side in (0, 1) if (line := self.line(account, instrument, side))]
        over = [line for line in lines if sum(o.leaves for o in line) > self.room(line[0])]
        if not reports:
            assert not over
            return
        assert (reports[0]["kind"], reports[0]["reason"]) == (ReportKind.CANCELED, Reject.VENUE_REDUCE_ONLY)
        order = self.orders[reports[0]["account"], reports[0]["client_order_id"]]
        assert order in [line[-1] for line in over]
        self.met["shed with a position" if self.room(order) else "shed without a position"] += 1
        self._follow(None, reports, "shed")

    def saw_trigger(self, instrument: int, reports: list[Report]) -> None:
        """One waiting order was activated; an empty list: none is due."""
        due = [o for o in self.orders.values() if o.instrument == instrument and o.waits and self.reached(o)]
        if not reports:
            assert not due
            return
        assert reports[0]["kind"] == ReportKind.TRIGGERED
        order = self.orders.pop((reports[0]["account"], reports[0]["client_order_id"]))
        assert order in due
        assert not any(o.rises == order.rises and o.trigger == order.trigger for o in due[: due.index(order)])  # at one price the oldest first
        order.waits = False
        self.met[f"triggered {order.kind.name} {order.tif.name}"] += 1
        if any(o.rises != order.rises for o in due):
            self.met["triggers due both ways"] += 1
        before = self.last[instrument]
        self._follow(order, reports[1:], "trigger")
        if self.last[instrument] != before and any(
            o.waits and self.reached(o) and o not in due for o in self.orders.values() if o.instrument == instrument
        ):
            self.met["trigger chain"] += 1

    # -- reports --------------------------------------------------------------------------------------------------

    def _follow(self, taker: Known | None, reports: list[Report], why: str, touched: set[tuple[int, int, int]] | None = None) -> None:
        """All reports after the acceptance: trades, cancels, levels; then what became of the taker."""
        levels: set[tuple[int, int, int]] = touched or set()
        traded, ended, allowed = 0, False, self.share(taker) if taker else 0
        wanted = taker.leaves if taker else 0
        for r in reports:
            if r["kind"] == ReportKind.TRADE:
                assert taker is not None
                assert not ended
                levels.add(self._saw_trade(taker, r, why))
                traded += r["qty"]
            elif r["kind"] == ReportKind.CANCELED:
                if taker is not None and (r["account"], r["client_order_id"]) == taker.key:
                    assert not ended
                    assert (r["qty"], r["filled"]) == (taker.leaves, taker.filled)
                    self._saw_rest_canceled(taker, Reject(r["reason"]), why, traded, wanted, allowed)
                    self.orders.pop(taker.key, None)
                    ended = True
                else:
                    levels |= self._saw_end(self.orders[r["account"], r["client_order_id"]], r, taker, why)
            else:
                assert r["kind"] == ReportKind.LEVEL, r
        if taker is not None:
            if taker.tif == TimeInForce.FOK and why != "REPLACE":
                assert traded in (0, wanted), (taker, reports)
            if not ended and taker.leaves:
                assert taker.kind not in _MARKETS
                assert taker.tif in (TimeInForce.GTC, TimeInForce.GTD)
                self._take_place(taker)
                assert not self.crosses(taker)
                self.orders[taker.key] = taker
                levels.add((taker.instrument, taker.side, taker.price))
            elif not taker.leaves:
                self.orders.pop(taker.key, None)
        self._check_levels([r for r in reports if r["kind"] == ReportKind.LEVEL], levels)

    def _saw_trade(self, taker: Known, r: Report, why: str) -> tuple[int, int, int]:
        maker = self.orders[r["maker_account"], r["maker_client_order_id"]]
        price = self.best(taker.instrument, 1 - taker.side)
        assert (maker.instrument, maker.side, maker.price, r["price"], r["side"]) == (taker.instrument, 1 - taker.side, price, price, taker.side)
        assert maker is min(self.resting[taker.instrument, maker.side][price], key=lambda o: o.stamp)
        assert self.crosses(taker)
        assert not taker.flags & OrderFlag.POST_ONLY
        assert maker.account != taker.account or not taker.flags & _PREVENTION
        for order in (taker, maker):
            if order.flags & OrderFlag.REDUCE_ONLY:
                assert r["qty"] <= self.room(order)
        for order, leaves, filled in ((taker, r["leaves"], r["filled"]), (maker, r["maker_leaves"], r["maker_filled"])):
            order.filled += r["qty"]
            assert (order.leaves, order.filled) == (leaves, filled)
            assert leaves >= 0 < r["qty"]
            self.positions[order.account, order.instrument] += r["qty"] if order.side == Side.BUY else -r["qty"]
        assert r["trade_id"] == self.ids[1] + 1
        self.ids = self.ids[0], r["trade_id"]
        self.last[taker.instrument] = price
        self.met[f"traded {why} {taker.tif.name}"] += 1
        if maker.account == taker.account:
            self.met["traded with itself"] += 1
        if not maker.leaves:
            self._leave_place(maker)
            del self.orders[maker.key]
        return maker.instrument, maker.side, price

    def _saw_rest_canceled(self, taker: Known, reason: Reject, why: str, traded: int, wanted: int, allowed: int) -> None:
        """What was left of an order on its way was cancelled: was that right?"""
        if reason == Reject.BOOK_SELF_TRADE:
            best = self.resting[taker.instrument, 1 - taker.side][self.best(taker.instrument, 1 - taker.side)] if self.crosses(taker) else []
            met_itself = bool(best) and min(best, key=lambda o: o.stamp).account == taker.account
            assert taker.flags & OrderFlag.EXPIRE_TAKER
            assert met_itself or taker.flags & OrderFlag.EXPIRE_MAKER
        elif reason == Reject.BOOK_NO_LIQUIDITY:
            assert taker.tif in (TimeInForce.IOC, TimeInForce.FOK) or taker.kind in _MARKETS
            assert not self.crosses(taker)
        elif reason == Reject.VENUE_REDUCE_ONLY:
            assert why == "trigger"
            assert taker.flags & OrderFlag.REDUCE_ONLY
            assert allowed < wanted
            assert traded == (0 if taker.tif == TimeInForce.FOK else min(allowed, traded))
        elif reason == Reject.BOOK_POST_ONLY_WOULD_TAKE:
            assert why == "trigger"
            assert taker.flags & OrderFlag.POST_ONLY
            assert self.crosses(taker)
            assert traded == 0
        else:
            assert (why, reason, taker.tif) == ("trigger", Reject.BOOK_FOK_NOT_FILLABLE, TimeInForce.FOK)
            assert self.sure(taker) < taker.leaves
        self.met[f"rest canceled {why} {int(reason)}"] += 1

    def _saw_end(self, order: Known, r: Report, taker: Known | None, why: str) -> set[tuple[int, int, int]]:
        """An order that was open has ended, by its owner, by its date, or because a taker met it."""
        assert (r["qty"], r["filled"]) == (order.leaves, order.filled)
        if taker is not None:
            price = self.best(order.instrument, order.side)
            assert order is min(self.resting[order.instrument, order.side][price], key=lambda o: o.stamp)
            assert not order.waits
            if r["reason"] == Reject.BOOK_SELF_TRADE:
                assert order.account == taker.account
                assert taker.flags & OrderFlag.EXPIRE_MAKER
                assert self.crosses(taker)
                self.met[f"expired maker {why} {taker.tif.name} {taker.flags & _PREVENTION}"] += 1
            else:
                assert r["reason"] == Reject.VENUE_REDUCE_ONLY
                assert order.flags & OrderFlag.REDUCE_ONLY
                assert self.room(order) == 0
                self.met["maker overshoots"] += 1
        else:
            assert r["reason"] == {"expiry": Reject.VENUE_EXPIRED, "shed": Reject.VENUE_REDUCE_ONLY}.get(why, Reject.NONE)
            self.met[f"{why} ended {'waiting' if order.waits else 'resting'}"] += 1
        del self.orders[order.key]
        if order.waits:
            return set()
        self._leave_place(order)
        return {(order.instrument, order.side, order.price)}

    def _check_levels(self, reports: list[Report], touched: set[tuple[int, int, int]]) -> None:
        """The last report of each level is its total now; every level that was touched is reported, and no other. Nothing is crossed."""
        said = {(r["instrument"], r["side"], r["price"]): r["qty"] for r in reports}
        assert set(said) == touched, (said, touched)
        for (instrument, side, price), qty in said.items():
            assert qty == sum(o.leaves for o in self.resting[instrument, side].get(price, []))
            bid, ask = self.best(instrument, Side.BUY), self.best(instrument, Side.SELL)
            assert not bid or not ask or bid < ask
