"""The user data streams: what happens to an account's orders, wallet, positions and settings, whatever dialect or fault of fate caused it.

Order of events, as seen live: of a resting order ORDER_TRADE_UPDATE NEW; of one that trades at once TRADE_LITE, ORDER_TRADE_UPDATE NEW,
ACCOUNT_UPDATE, ORDER_TRADE_UPDATE TRADE, and the last two with a TRADE_LITE before them for every further fill. Every event is made from the drop
copy's record of that moment, not from what is true when it is written. Keys in the order in which the venue sends them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hftkit.codes import OrderFlag, OrderType
from hftkit.exchange.core.layout import BalanceKind, ExecutionKind
from hftkit.exchange.dialects.binance.account.accounts import Portfolio, Position
from hftkit.exchange.dialects.binance.market.symbols import Symbol, money, ratio_text
from hftkit.exchange.dialects.binance.orders.algo_orders import TRIGGERING
from hftkit.exchange.dialects.binance.orders.order_history import CANCELED, Order
from hftkit.exchange.dialects.binance.orders.order_json import SIDE_NAMES, client_order_of
from hftkit.exchange.dialects.binance.streams import stream_names as names
from hftkit.exchange.dialects.binance.streams.market_events import Texts, encode
from hftkit.exchange.dialects.binance.streams.stream_hub import StreamHub

if TYPE_CHECKING:
    from hftkit.exchange.dialects.binance.orders.algo_orders import AlgoOrder
    from hftkit.exchange.dialects.binance.streams.stream_faults import StreamFaults
    from hftkit.exchange.dialects.binance.venue import BinanceDialect

_MS = 1_000_000
_KINDS = {ExecutionKind.NEW: "NEW", ExecutionKind.REPLACED: "AMENDMENT", ExecutionKind.TRADE: "TRADE", ExecutionKind.TRIGGERED: "NEW"}
_MARGIN_CALL = 0.8  # maintenance margin / equity from which on an account is warned
_REASONS = {BalanceKind.TAKEN_OVER: "INSURANCE_CLEAR", BalanceKind.INSURED: "INSURANCE_CLEAR"}


def _amount(text: str) -> str:
    """ "0" where there is nothing: 0.00000000 is not what the venue writes."""
    return "0" if not text.strip("-0.") else text


class UserStreams:
    """Produces the events of every account that somebody listens to."""

    def __init__(self, venue: BinanceDialect, hub: StreamHub, faults: StreamFaults) -> None:
        self.venue, self.hub, self.faults = venue, hub, faults
        self.texts = [Texts(symbol) for symbol in venue.symbols.all]
        self._held: tuple[int, int, bytes] | None = None  # account, order id: NEW of an order that may yet trade at once
        self._late: deque[tuple[int, int, str, bytes]] = deque()  # due ns, account, event, payload
        self._swapped: tuple[int, str, bytes] | None = None
        self._warned: set[int] = set()
        self._next_look_ms = 0
        venue.store.history.on_execution.append(lambda row, order: self._safely(row.account, self._execution, row, order))
        venue.store.history.on_balance.append(lambda row: self._safely(row.account, self._balance, row))
        venue.on_leverage.append(lambda account, *rest: self._safely(account, self._leverage, account, *rest))
        venue.on_margin_type.append(lambda account, symbol: self._safely(account, self._margin_type, account, symbol))
        venue.algo.on_change.append(lambda order: self._safely(order.account, self._algo, order))
        venue.listen_keys.on_close.append(self._key_ended)

    def _safely(self, account: int, make: Callable[..., None], *arguments: Any) -> None:
        """An event that cannot be made: its account's streams are broken off, since they would miss it, and nothing else happens."""
        try:
            make(*arguments)
        except Exception as error:
            self.venue.internal_errors.note("user streams", error)
            subscribers = self.hub.subscriber_groups.get(self.venue.listen_keys.key_of(account))
            if subscribers is not None:
                self.hub.break_off(subscribers)

    # -- sending ---------------------------------------------------------------------------------------------------------

    def _heard(self, account: int) -> bool:
        key = self.venue.listen_keys.key_of(account)
        return key in self.hub.subscriber_groups

    def _send(self, account: int, event: str, fields: dict[str, Any]) -> None:
        """One event to whoever listens to the account, as far as the faults let it."""
        self._pass_on(account, event, encode(fields))

    def _pass_on(self, account: int, event: str, payload: bytes) -> None:
        if self.faults.is_silent(names.USER) or self.faults.loses_user_event():
            return
        delay = self.faults.user_delay_ns
        if delay or self._late:
            self._late.append((self._now_ns() + delay, account, event, payload))
            return
        if self._swapped is not None:
            held, self._swapped = self._swapped, None
            self._publish(account, event, payload)
            self._publish(*held)
        elif self.faults.swaps_user_event():
            self._swapped = (account, event, payload)
        else:
            self._publish(account, event, payload)

    def _publish(self, account: int, event: str, payload: bytes) -> None:
        subscribers = self.hub.subscriber_groups.get(self.venue.listen_keys.key_of(account))
        if subscribers is not None:
            self.hub.publish(subscribers, payload, event)

    def _now_ns(self) -> int:
        return int(self.venue.venue.state[0]["ts"])

    def flush(self) -> None:
        """The batch is over: an order that has not traded by now rests."""
        if self._held is not None:
            (account, _, payload), self._held = self._held, None
            self._pass_on(account, "ORDER_TRADE_UPDATE", payload)

    def advance(self) -> None:
        """Events that are due by the clock: late ones, margin calls."""
        while self._late and self._late[0][0] <= self._now_ns():
            _, account, event, payload = self._late.popleft()
            self._publish(account, event, payload)
        now = self.hub.now_ms()
        if now >= self._next_look_ms:
            self._next_look_ms = now + 1000
            for account in self.venue.listen_keys.accounts():
                self._safely(account, self._look_at_margin, account, now)

    # -- orders ----------------------------------------------------------------------------------------------------------

    def _execution(self, row: Any, order: Order | None) -> None:
        if self._held is not None and (row.kind != ExecutionKind.TRADE or self._held[:2] != (row.account, row.order_id)):
            self.flush()
        if order is None or order.waiting or not self._heard(row.account):  # one that waits is an algo order
            return
        if row.kind == ExecutionKind.NEW:
            self._held = (row.account, row.order_id, encode(self._order_event(row, order)))
            return
        if row.kind == ExecutionKind.TRADE:
            self._send(row.account, "TRADE_LITE", self._trade_lite(row, order))
            self.flush()
            self._send(row.account, "ACCOUNT_UPDATE", self._account_event(row, "ORDER", row.instrument))
        self._send(row.account, "ORDER_TRADE_UPDATE", self._order_event(row, order))

    def _trade_lite(self, row: Any, order: Order) -> dict[str, Any]:
        texts, ms = self.texts[row.instrument], row.ts // _MS
        return {
            "e": "TRADE_LITE",
            "E": self.hub.now_ms(),
            "T": ms,
            "s": texts.name,
            "q": texts.qty(order.qty),
            "p": texts.price(0 if order.order_type == OrderType.MARKET else order.price),
            "m": bool(row.maker),
            "c": client_order_of(self.venue, order).client_id,
            "S": SIDE_NAMES[order.side],
            "L": texts.price(row.last_price),
            "l": texts.qty(row.last_qty),
            "t": row.trade_id,
            "i": order.order_id,
        }

    def _order_event(self, row: Any, order: Order) -> dict[str, Any]:
        texts, symbol, client_order, ms = (
            self.texts[row.instrument],
            self.venue.symbols.all[row.instrument],
            client_order_of(self.venue, order),
            row.ts // _MS,
        )
        exposure, forced = self.venue.venue.books.exposures[row.account, row.instrument], row.client_order_id < 0
        traded = row.kind == ExecutionKind.TRADE
        what = _KINDS.get(row.kind, "CANCELED" if order.status == CANCELED else "EXPIRED")
        fields = {
            "s": texts.name,
            "c": client_order.client_id,
            "S": SIDE_NAMES[order.side],
            "o": client_order.order_type,
            "f": "IOC" if forced else client_order.time_in_force,
            "q": texts.qty(order.qty),
            "p": "0" if order.order_type == OrderType.MARKET else texts.price(order.price),
            "ap": symbol.average(order.traded, order.filled) if order.filled else "0",
            "sp": texts.price(client_order.stop_price) if client_order.stop_price else "0",
            "x": "CALCULATED" if forced and traded else what,
            "X": order.status,
            "i": order.order_id,
            "l": texts.qty(row.last_qty) if traded else "0",
            "z": texts.qty(order.filled) if order.filled else "0",
            "L": texts.price(row.last_price) if traded else "0",
            "n": money(row.fee_e8) if traded else "0",
            "N": symbol.margin_asset,
            "T": ms,
            "t": row.trade_id,
            "b": _amount(texts.quote(int(exposure["open_bid"]), 5)),
            "a": _amount(texts.quote(int(exposure["open_ask"]), 5)),
            "m": bool(row.maker),
            "R": bool(order.flags & OrderFlag.REDUCE_ONLY),
            "wt": client_order.working_type,
            "ot": client_order.orig_type,
            "ps": "BOTH",
            "cp": client_order.close_position,
            "rp": _amount(money(row.realised_e8)),
            "pP": False,
            "si": 0,
            "ss": 0,
            "V": client_order.stp,
            "pm": client_order.price_match,
            "gtd": client_order.good_till,
            "er": self._ending(order, row),
        }
        if row.kind == ExecutionKind.REPLACED and client_order.modify_id is not None:
            fields["M"] = client_order.modify_id
        return {"e": "ORDER_TRADE_UPDATE", "T": ms, "E": self.hub.now_ms(), "o": fields}

    @staticmethod
    def _ending(order: Order, row: Any) -> str:
        """Why it ended: "2" is the rest of an IOC order, "9" that of a market order, "3" of an IOC order ended by self-trade prevention."""
        if row.kind != ExecutionKind.CANCELED:
            return "0"
        if order.ending == "2" and order.order_type == OrderType.MARKET:
            return "9"
        return order.ending

    # -- wallets and positions -------------------------------------------------------------------------------------------

    def _account_event(self, row: Any, reason: str, instrument: int, change: str = "0", symbol: str = "") -> dict[str, Any]:
        """Wallet and, with an instrument, position as a record left them."""
        wallet, asset, ms = money(row.wallet_e8), self.venue.symbols.margin_asset, row.ts // _MS
        cross = money(row.wallet_e8 - self.venue.store.history.isolated_total(row.account))
        positions = [self._position(row, instrument)] if instrument >= 0 else []
        body: dict[str, Any] = {"B": [{"a": asset, "wb": wallet, "cw": cross, "bc": change}], "P": positions, "m": reason}
        if symbol:
            body["S"] = symbol
        return {"e": "ACCOUNT_UPDATE", "T": ms, "E": self.hub.now_ms(), "a": body}

    def _holding(self, account: int, symbol: Symbol, lots: int, cost: int) -> Position:
        return Position(symbol, lots, cost, self.venue.mark(symbol), self.venue.leverage(account, symbol), 0, 0, 0)

    def _position(self, row: Any, instrument: int) -> dict[str, Any]:
        symbol, texts = self.venue.symbols.all[instrument], self.texts[instrument]
        holding = self._holding(row.account, symbol, row.position, row.cost_e8)
        held = row.position != 0
        return {
            "s": symbol.name,
            "pa": texts.qty(row.position) if held else "0",
            "ep": ratio_text(holding.entry) if held else "0",
            "cr": _amount(money(int(self.venue.venue.holdings[row.account, instrument]["realised_e8"]))),
            "up": _amount(money(holding.unrealised)),
            "mt": "isolated" if self.venue.is_isolated(row.account, symbol) else "cross",
            "iw": _amount(money(self.venue.store.history.isolated.get((row.account, instrument), 0))),
            "ps": "BOTH",
            "ma": symbol.margin_asset,
            "bep": ratio_text(holding.break_even) if held else "0",
        }

    def _balance(self, row: Any) -> None:
        if not self._heard(row.account) or row.kind == BalanceKind.ISOLATED:  # the fill, funding or liquidation behind that one comes next and tells
            return
        self.flush()
        if row.kind == BalanceKind.LIQUIDATION:
            self._margin_call(row.account, self.hub.now_ms())
        elif row.kind == BalanceKind.FUNDING:
            change, isolated = money(row.amount_e8), self.venue.is_isolated(row.account, self.venue.symbols.all[row.instrument])
            event = self._account_event(row, "FUNDING_FEE", row.instrument if isolated else -1, change, self.texts[row.instrument].name)
            self._send(row.account, "ACCOUNT_UPDATE", event)
        elif row.kind == BalanceKind.MARGIN_TRANSFER:
            self._send(row.account, "ACCOUNT_UPDATE", self._account_event(row, "MARGIN_TRANSFER", row.instrument))
        elif row.kind == BalanceKind.TRANSFER:
            reason = "DEPOSIT" if row.amount_e8 >= 0 else "WITHDRAW"
            self._send(row.account, "ACCOUNT_UPDATE", self._account_event(row, reason, -1, money(row.amount_e8)))
        else:
            change = money(row.amount_e8) if row.kind == BalanceKind.INSURED else "0"
            self._send(row.account, "ACCOUNT_UPDATE", self._account_event(row, _REASONS[row.kind], row.instrument, change))

    def _look_at_margin(self, account: int, now: int) -> None:
        book = Portfolio(self.venue, account)
        in_danger = book.total("cross_maintenance") > max(0, _MARGIN_CALL * book.cross_equity)
        in_danger |= any(p.is_isolated and p.lots and p.maintenance > _MARGIN_CALL * p.isolated_margin for p in book.positions)
        if in_danger and account not in self._warned:
            self._margin_call(account, now)
        if in_danger:
            self._warned.add(account)
        else:
            self._warned.discard(account)

    def _margin_call(self, account: int, now: int) -> None:
        rows, book = [], Portfolio(self.venue, account)
        for position in book.positions:
            if position.lots == 0:
                continue
            texts, margin_type = self.texts[position.symbol.index], "ISOLATED" if position.is_isolated else "CROSSED"
            row = {"s": texts.name, "ps": "BOTH", "pa": texts.qty(position.lots), "mt": margin_type, "iw": _amount(money(position.isolated_wallet))}
            rows.append({**row, "mp": texts.price(position.mark), "up": money(position.unrealised), "mm": money(position.maintenance)})
        self._send(account, "MARGIN_CALL", {"e": "MARGIN_CALL", "E": now, "cw": money(book.cross_wallet), "p": rows})

    # -- settings, conditional orders, keys ------------------------------------------------------------------------------

    def _leverage(self, account: int, symbol: Symbol, leverage: int) -> None:
        if self._heard(account):
            now = self.hub.now_ms()
            self._send(account, "ACCOUNT_CONFIG_UPDATE", {"e": "ACCOUNT_CONFIG_UPDATE", "E": now, "T": now, "ac": {"s": symbol.name, "l": leverage}})

    def _margin_type(self, account: int, symbol: Symbol) -> None:
        if self._heard(account):
            holding = self.venue.venue.holdings[account, symbol.index]
            row = SimpleNamespace(account=account, ts=self._now_ns(), wallet_e8=int(self.venue.venue.accounts[account]["wallet_e8"]))
            row.position, row.cost_e8 = int(holding["position"]), int(holding["cost_e8"])
            self._send(account, "ACCOUNT_UPDATE", self._account_event(row, "MARGIN_TYPE_CHANGE", symbol.index))

    def _algo(self, order: AlgoOrder) -> None:
        if not self._heard(order.account):
            return
        self.flush()
        texts = self.texts[order.symbol.index]
        row = self.venue.store.order_by_id(order.account, order.order_id) if order.order_id else None
        fields: dict[str, Any] = {
            "caid": order.client_id,
            "aid": order.algo_id,
            "at": "CONDITIONAL",
            "o": order.order_type,
            "s": order.symbol.name,
            "S": SIDE_NAMES[order.side],
            "ps": "BOTH",
            "f": order.time_in_force,
            "q": "0" if order.close_position else texts.qty(order.qty),
            "X": order.status,
            "ai": str(order.order_id) if order.order_id else "",
            **self._actual(order, row),
            "tp": texts.price(order.trigger) if order.trigger else "0",
            "p": texts.price(order.price) if order.price else "0",
            "V": order.stp,
            "wt": order.working_type,
            "pm": order.price_match,
            "cp": order.close_position,
            "pP": order.price_protect,
            "R": order.reduce_only,
            "tt": order.triggered_ms,
            "gtd": order.good_till,
            "rm": order.failure,
        }
        if order.is_trailing:
            fields["cr"] = ratio_text(order.callback_rate)
        self._send(order.account, "ALGO_UPDATE", {"e": "ALGO_UPDATE", "T": order.updated_ms, "E": self.hub.now_ms(), "o": fields})

    def _actual(self, order: AlgoOrder, row: Order | None) -> dict[str, str]:
        """What the matching engine has made of it. Not sent of one whose order is on the way, as seen live."""
        if order.status == TRIGGERING:
            return {}
        if row is None:
            return {"ap": "0.00000", "aq": "0.00000", "act": "0"}
        symbol, texts = order.symbol, self.texts[order.symbol.index]
        price, qty = (symbol.average(row.traded, row.filled), texts.qty(row.filled)) if row.filled else ("0", "0")
        return {"ap": price, "aq": qty, "act": "MARKET" if order.is_market else "LIMIT"}

    def _key_ended(self, key: str, account: int, expired: bool) -> None:
        subscribers = self.hub.subscriber_groups.get(key)
        if subscribers is not None and expired:
            fields = {"e": "listenKeyExpired", "E": self.hub.now_ms(), "listenKey": key}
            self.hub.publish(subscribers, encode(fields), "listenKeyExpired")
