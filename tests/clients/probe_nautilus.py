"""A nautilus_trader node for tests/clients/test_nautilus.py, run inside its virtual environment.

Usage: python probe_nautilus.py READY_FILE PHASE RESULT_FILE. Phase 1: connect, buy at the market, rest a limit order and cancel it, and where this
nautilus knows the Algo service a stop-limit order that triggers, rests and is cancelled; leave with the position open. Phase 2: start again, find the
position by reconciliation, close it. What happened is written as JSON.
"""

import json
import sys
from decimal import Decimal
from pathlib import Path

import nautilus_trader
from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
from nautilus_trader.adapters.binance.config import BinanceDataClientConfig, BinanceExecClientConfig
from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory, BinanceLiveExecClientFactory
from nautilus_trader.config import InstrumentProviderConfig, LiveExecEngineConfig, LoggingConfig, StrategyConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide, OrderStatus
from nautilus_trader.model.identifiers import InstrumentId, TraderId, Venue
from nautilus_trader.model.objects import Currency
from nautilus_trader.trading.strategy import Strategy

READY, PHASE, RESULT = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
KNOWS_ALGO = tuple(int(part) for part in nautilus_trader.__version__.split(".")[:2]) >= (1, 222)
INSTRUMENT = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")


class Probe(Strategy):
    """One step after another, each begun when the one before is done."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id="PROBE-000", external_order_claims=[INSTRUMENT]))
        self.steps, self.events, self.order, self.found = self.plan(), [], None, "0"
        self.noted = set()
        self.asked_to_cancel = False

    def on_start(self) -> None:
        """What the reconciliation has found; quotes drive the steps."""
        self.found = str(sum((position.signed_decimal_qty() for position in self.cache.positions_open()), Decimal(0)))
        self.instrument = self.cache.instrument(INSTRUMENT)
        self.subscribe_quote_ticks(INSTRUMENT)

    def on_event(self, event: object) -> None:
        """Note the names of all order events, once an order.

        nautilus 1.231 tells the end of an order that an Algo order has become twice: once for ORDER_TRADE_UPDATE, and once for
        the FINISHED of ALGO_UPDATE; the venue sends both.
        """
        name = type(event).__name__
        if name.startswith("Order") and (event.client_order_id, name) not in self.noted:
            self.noted.add((event.client_order_id, name))
            self.events.append(name)

    def on_quote_tick(self, tick: object) -> None:
        """Go on with the plan where the last step is done."""
        try:
            next(self.steps)
        except StopIteration:
            self.finish()
        except Exception as error:
            self.events.append(f"{type(error).__name__}: {error}")
            self.finish()

    def send(self, make: object, side: OrderSide, qty: str, **more: object) -> object:
        """A new order."""
        self.order = make(instrument_id=INSTRUMENT, order_side=side, quantity=self.instrument.make_qty(Decimal(qty)), **more)
        self.submit_order(self.order)
        return self.order

    def price(self, factor: str) -> object:
        """Part of the last bid."""
        return self.instrument.make_price(self.cache.quote_tick(INSTRUMENT).bid_price.as_decimal() * Decimal(factor))

    def plan(self):
        """The steps of this phase; yields while waiting."""
        while self.cache.quote_tick(INSTRUMENT) is None:
            yield
        if PHASE == 2:
            order = self.send(self.order_factory.market, OrderSide.SELL, self.found, reduce_only=True)
            while order.status != OrderStatus.FILLED:
                yield
            return
        order = self.send(self.order_factory.market, OrderSide.BUY, "0.020")
        while order.status != OrderStatus.FILLED:
            yield
        yield from self.cancelled(self.send(self.order_factory.limit, OrderSide.BUY, "0.020", price=self.price("0.97")))
        if KNOWS_ALGO:
            stop = {"trigger_price": self.price("1.0006"), "price": self.price("0.97")}
            yield from self.cancelled(self.send(self.order_factory.stop_limit, OrderSide.BUY, "0.020", **stop), after="OrderUpdated")

    def cancelled(self, order: object, after: str = "OrderAccepted"):
        """Wait for an event of the order, cancel it, wait for its end."""
        seen = len(self.events)
        while after not in self.events[seen:]:
            yield
        self.cancel_order(order)
        while order.status != OrderStatus.CANCELED:
            yield

    def finish(self) -> None:
        """Write the result, and stop the node."""
        if RESULT.exists():
            return
        account = self.portfolio.account(Venue("BINANCE"))
        total = account.balance_total(Currency.from_str("USDT"))
        positions = {str(position.instrument_id): str(position.signed_decimal_qty()) for position in self.cache.positions_open()}
        result = {"version": nautilus_trader.__version__, "algo": KNOWS_ALGO, "found": self.found, "events": self.events}
        RESULT.write_text(json.dumps({**result, "positions": positions, "wallet": str(total.as_decimal())}))


def main() -> None:
    """Build the node, and run it until the result is there."""
    ready = json.loads(READY.read_text())["binance"]
    key = next(key for key in ready["keys"] if (key["account"], key["kind"]) == (1, "HMAC"))
    provider = InstrumentProviderConfig(load_ids=frozenset([INSTRUMENT]))
    common = {
        "api_key": key["key"],
        "api_secret": key["secret"],
        "account_type": getattr(BinanceAccountType, "USDT_FUTURES", None) or BinanceAccountType.USDT_FUTURE,
        "base_url_http": ready["url"],
        "instrument_provider": provider,
    }
    streams = {"base_url_ws": ready["ws_url"]}
    if "base_url_ws_stream" in BinanceExecClientConfig.__struct_fields__:
        orders = {"base_url_ws": f"{ready['ws_url']}/ws-fapi/v1", "base_url_ws_stream": ready["ws_url"]}
    else:
        orders = streams
    node = TradingNode(
        TradingNodeConfig(
            trader_id=TraderId("HFTKIT-001"),
            logging=LoggingConfig(log_level="INFO", log_colors=False),
            exec_engine=LiveExecEngineConfig(reconciliation=True),
            data_clients={"BINANCE": BinanceDataClientConfig(**common, **streams)},
            exec_clients={"BINANCE": BinanceExecClientConfig(**common, **orders)},
            timeout_connection=120.0,
            timeout_reconciliation=60.0,
            timeout_portfolio=60.0,
            timeout_disconnection=20.0,
            timeout_post_stop=2.0,
        )
    )
    node.trader.add_strategy(Probe())
    node.add_data_client_factory("BINANCE", BinanceLiveDataClientFactory)
    node.add_exec_client_factory("BINANCE", BinanceLiveExecClientFactory)
    node.build()
    try:
        node.run()
    finally:
        node.dispose()


if __name__ == "__main__":
    main()
