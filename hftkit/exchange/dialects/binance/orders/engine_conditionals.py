"""Conditional orders of the binary dialect, shown by the Algo service too: one venue, whatever the dialect.

The matching engine keeps them, triggers them and ends them; here each has an AlgoOrder beside it that follows the drop copy. (Conditional orders of
this dialect are kept by algo.py and reach the matching engine, and the binary dialect, as the orders they become.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hftkit.codes import OrderFlag, OrderType, Reject
from hftkit.exchange.core.layout import ExecutionKind
from hftkit.exchange.dialects.binance.orders.algo_orders import AlgoOrder
from hftkit.exchange.dialects.binance.orders.order_history import Order
from hftkit.exchange.dialects.binance.orders.order_json import TYPE_NAMES, stp_of, time_in_force_of

if TYPE_CHECKING:
    from hftkit.exchange.dialects.binance.venue import BinanceDialect

_MS = 1_000_000
_MARKET_KINDS = (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET)


class EngineConditionals:
    """Follows the executions of one venue."""

    def __init__(self, venue: BinanceDialect) -> None:
        self.venue = venue
        self._open: dict[tuple[int, int], AlgoOrder] = {}  # by account and client order id, until triggered or ended
        venue.store.history.on_execution.append(self._execution)

    def _execution(self, row: Any, order: Order | None) -> None:
        place = (row.account, row.client_order_id)
        if row.kind == ExecutionKind.NEW and order is not None and order.waiting:
            self._open[place] = self._begin(row, order)
            self.venue.algo.add(self._open[place])
        elif row.kind == ExecutionKind.TRIGGERED and place in self._open:
            algo = self._open.pop(place)
            self.venue.algo.trigger(algo, row.ts // _MS)
            self.venue.algo.expect(algo, row.client_order_id)
        elif row.kind == ExecutionKind.CANCELED and place in self._open:
            self._end(self._open.pop(place), row)

    def _begin(self, row: Any, order: Order) -> AlgoOrder:
        algo = AlgoOrder(
            algo_id=self.venue.algo.next_id(),
            client_id=str(row.client_order_id),
            account=row.account,
            symbol=self.venue.symbols.all[row.instrument],
            side=row.side,
            order_type=TYPE_NAMES[row.order_type],
            time_in_force="GTC" if row.order_type in _MARKET_KINDS else time_in_force_of(order),
            qty=row.qty,
            price=0 if row.order_type in _MARKET_KINDS else row.price,
            trigger=row.trigger_price,
            created_ms=row.ts // _MS,
        )
        algo.reduce_only, algo.stp = bool(row.flags & OrderFlag.REDUCE_ONLY), stp_of(order)
        algo.good_till, algo.updated_ms, algo.engine_id = row.expire_ts // _MS, row.ts // _MS, row.client_order_id
        return algo

    def _end(self, algo: AlgoOrder, row: Any) -> None:
        status = {Reject.NONE: "CANCELED", Reject.VENUE_INSUFFICIENT_MARGIN: "REJECTED"}.get(Reject(row.reason), "EXPIRED")
        algo.failure = "Margin is insufficient." if status == "REJECTED" else ""
        self.venue.algo.end(algo, status, row.ts // _MS)
