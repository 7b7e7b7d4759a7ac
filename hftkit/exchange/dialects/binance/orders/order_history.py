"""Every account's orders, fills and income, kept from the drop copy's EXECUTION and BALANCE records. The oldest closed ones are forgotten."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hftkit.codes import OrderType, Reject
from hftkit.exchange.core.layout import BALANCE, EXECUTION, BalanceKind, ExecutionKind

KEPT_ORDERS = 10_000  # closed orders of one account
KEPT_ROWS = 20_000  # fills, and rows of income, of one account, for certain

Execution: Any = namedtuple("Execution", [field.name for field in EXECUTION.fields])  # type: ignore[misc]
Balance: Any = namedtuple("Balance", [field.name for field in BALANCE.fields])  # type: ignore[misc]

NEW, PARTIALLY_FILLED, FILLED = "NEW", "PARTIALLY_FILLED", "FILLED"
CANCELED, EXPIRED, EXPIRED_IN_MATCH = "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"
OPEN = (NEW, PARTIALLY_FILLED)
# Why the venue ended an order: what it is called here, and the venue's code of the reason ("er" of ORDER_TRADE_UPDATE).
ENDINGS: dict[int, tuple[str, str]] = {
    Reject.NONE: (CANCELED, "0"),
    Reject.BOOK_SELF_TRADE: (EXPIRED_IN_MATCH, "1"),
    Reject.BOOK_NO_LIQUIDITY: (EXPIRED, "2"),
    Reject.VENUE_REDUCE_ONLY: (EXPIRED, "4"),
    Reject.VENUE_LIQUIDATION: (EXPIRED, "5"),
}
_OTHER_ENDING = (EXPIRED, "0")
_INCOME_OF: dict[int, str] = {
    BalanceKind.FUNDING: "FUNDING_FEE",
    BalanceKind.TAKEN_OVER: "REALIZED_PNL",
    BalanceKind.INSURED: "INSURANCE_CLEAR",
    BalanceKind.TRANSFER: "TRANSFER",
}


@dataclass(slots=True)
class Order:
    """One order as the last of its events left it. Prices ticks, quantities lots, times ns."""

    account: int
    instrument: int
    order_id: int
    client_order_id: int
    side: int
    order_type: int  # codes.OrderType; of a conditional order after its trigger what it became
    orig_type: int
    time_in_force: int
    flags: int
    price: int
    trigger_price: int
    qty: int
    created_ns: int
    updated_ns: int
    filled: int = 0
    traded: int = 0  # sum of price * quantity of its fills
    status: str = NEW
    waiting: bool = False
    triggered_ns: int = 0
    ending: str = "0"  # why it ended, as ORDER_TRADE_UPDATE tells it


class Fill(NamedTuple):
    """One fill of an account."""

    account: int
    instrument: int
    order_id: int
    trade_id: int
    side: int
    price: int
    qty: int
    maker: bool
    fee_e8: int
    realised_e8: int
    ts: int


class Income(NamedTuple):
    """One change of a wallet."""

    account: int
    instrument: int  # -1: of none
    kind: str
    amount_e8: int
    ts: int
    income_id: int
    trade_id: int  # 0: none


@dataclass
class _Account:
    orders: dict[int, Order] = field(default_factory=dict)  # by order id: the order of placing
    by_client_id: dict[int, Order] = field(default_factory=dict)
    open: dict[int, Order] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    income: list[Income] = field(default_factory=list)
    margin_moves: list[Any] = field(default_factory=list)  # Balance rows

    def forget(self) -> None:
        """Keep the newest closed orders, fills and incomes."""
        if len(self.orders) - len(self.open) > KEPT_ORDERS + KEPT_ORDERS // 8:
            closed = [order for order in self.orders.values() if order.order_id not in self.open]
            for order in closed[:-KEPT_ORDERS]:
                del self.orders[order.order_id]
                if self.by_client_id.get(order.client_order_id) is order:
                    del self.by_client_id[order.client_order_id]
        tables: tuple[list[Any], ...] = (self.fills, self.income, self.margin_moves)
        for rows in tables:
            if len(rows) >= 2 * KEPT_ROWS:
                del rows[:-KEPT_ROWS]


class OrderHistory:
    """Of all accounts (indexes of their records). Listeners hear each record right after it was entered."""

    def __init__(self) -> None:
        self._accounts: dict[int, _Account] = {}
        self._n_income = 0
        self.isolated: dict[tuple[int, int], int] = {}  # wallets of isolated positions, 1e-8 quote, by account and instrument
        self.on_execution: list[Callable[[Any, Order | None], None]] = []
        self.on_entry: list[Callable[[Order], None]] = []  # an order is in the books; heard after on_execution, so after its own event
        self.on_balance: list[Callable[[Any], None]] = []

    def _account(self, account: int) -> _Account:
        found = self._accounts.get(account)
        if found is None:
            found = self._accounts[account] = _Account()
        return found

    # -- what the drop copy says -----------------------------------------------------------------------------------------

    def execution(self, row: Any) -> None:
        """One EXECUTION record (an Execution)."""
        owner = self._account(row.account)
        order = owner.orders.get(row.order_id)
        if row.kind == ExecutionKind.NEW:
            order = self._begin(owner, row)
        if order is not None:
            self._apply(owner, order, row)
        for hear in self.on_execution:
            hear(row, order)
        if order is not None and not order.waiting and row.kind in (ExecutionKind.NEW, ExecutionKind.TRIGGERED):
            for learn in self.on_entry:
                learn(order)

    def _begin(self, owner: _Account, row: Any) -> Order:
        order = Order(
            account=row.account,
            instrument=row.instrument,
            order_id=row.order_id,
            client_order_id=row.client_order_id,
            side=row.side,
            order_type=row.order_type,
            orig_type=row.order_type,
            time_in_force=row.time_in_force,
            flags=row.flags,
            price=row.price,
            trigger_price=row.trigger_price,
            qty=row.qty,
            created_ns=row.ts,
            updated_ns=row.ts,
            waiting=row.order_type not in (OrderType.LIMIT, OrderType.MARKET),
        )
        owner.orders[order.order_id] = owner.by_client_id[order.client_order_id] = owner.open[order.order_id] = order
        return order

    def _apply(self, owner: _Account, order: Order, row: Any) -> None:
        order.updated_ns, order.filled = row.ts, row.filled
        if row.kind == ExecutionKind.REPLACED:
            order.price, order.qty = row.price, row.qty
        elif row.kind == ExecutionKind.TRIGGERED:
            order.waiting, order.order_type, order.price, order.triggered_ns = False, row.order_type, row.price, row.ts
        elif row.kind == ExecutionKind.TRADE:
            order.traded += row.last_price * row.last_qty
            order.status = PARTIALLY_FILLED if row.leaves else FILLED
            self._fill(owner, row)
        elif row.kind == ExecutionKind.CANCELED:
            order.status, order.ending = ENDINGS.get(row.reason, _OTHER_ENDING)
        if order.status not in OPEN and owner.open.pop(order.order_id, None) is not None:
            owner.forget()

    def _fill(self, owner: _Account, row: Any) -> None:
        owner.fills.append(
            Fill(
                row.account,
                row.instrument,
                row.order_id,
                row.trade_id,
                row.side,
                row.last_price,
                row.last_qty,
                bool(row.maker),
                row.fee_e8,
                row.realised_e8,
                row.ts,
            )
        )
        if row.realised_e8:
            self._earn(owner, row.account, row.instrument, "REALIZED_PNL", row.realised_e8, row.ts, row.trade_id)
        if row.fee_e8:
            self._earn(owner, row.account, row.instrument, "COMMISSION", -row.fee_e8, row.ts, row.trade_id)

    def _earn(self, owner: _Account, account: int, instrument: int, kind: str, amount_e8: int, ts: int, trade_id: int = 0) -> None:
        self._n_income += 1
        owner.income.append(Income(account, instrument, kind, amount_e8, ts, self._n_income, trade_id))

    def balance(self, row: Any) -> None:
        """One BALANCE record of an account (a Balance)."""
        if row.kind in (BalanceKind.ISOLATED, BalanceKind.MARGIN_TRANSFER):
            place = (row.account, row.instrument)
            self.isolated[place] = self.isolated.get(place, 0) + row.amount_e8
            self._account(row.account).margin_moves.append(row)
        kind = _INCOME_OF.get(row.kind)
        if kind is not None and row.amount_e8:
            self._earn(self._account(row.account), row.account, row.instrument, kind, row.amount_e8, row.ts)
        for hear in self.on_balance:
            hear(row)

    # -- what is asked ---------------------------------------------------------------------------------------------------

    def order(self, account: int, client_order_id: int) -> Order | None:
        """The last order that bore this id."""
        return self._account(account).by_client_id.get(client_order_id)

    def order_by_id(self, account: int, order_id: int) -> Order | None:
        """An order by the venue's id."""
        return self._account(account).orders.get(order_id)

    def orders(self, account: int, instrument: int = -1) -> list[Order]:
        """Oldest first; of one instrument, or (-1) of all."""
        return [order for order in self._account(account).orders.values() if instrument in (-1, order.instrument)]

    def open_orders(self, account: int, instrument: int = -1) -> list[Order]:
        """Those that are open, waiting ones included, oldest first."""
        return [order for order in self._account(account).open.values() if instrument in (-1, order.instrument)]

    def fills(self, account: int, instrument: int = -1) -> list[Fill]:
        """Oldest first."""
        return [fill for fill in self._account(account).fills if instrument in (-1, fill.instrument)]

    def isolated_total(self, account: int) -> int:
        """What all isolated positions of an account hold, 1e-8 quote."""
        return sum(amount for (owner, _), amount in self.isolated.items() if owner == account)

    def margin_moves(self, account: int, instrument: int) -> list[Any]:
        """What went to and from the wallet of an isolated position (Balance rows), oldest first."""
        return [row for row in self._account(account).margin_moves if row.instrument == instrument]

    def income(self, account: int) -> list[Income]:
        """Oldest first."""
        return self._account(account).income
