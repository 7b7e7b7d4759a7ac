"""The market streams: what each batch of the drop copy and the passing of time bring to whom. Everything is exchange time.

Update ids. One counter a book, the numbers of its level changes, doubled: a depth event that ends with change n has u = 2n, a snapshot taken after
change n has lastUpdateId = 2n + 1. So the first event after a snapshot always satisfies U <= lastUpdateId <= u (the documented rule), even if nothing
had happened since the event before it, whose u is below lastUpdateId.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from hftkit.codes import MessageType
from hftkit.exchange.core.layout import ExecutionKind
from hftkit.exchange.core.tap import Batch
from hftkit.exchange.dialects.binance.market.candles import Candle
from hftkit.exchange.dialects.binance.market.market import funding_rate_text, next_funding_ms
from hftkit.exchange.dialects.binance.streams import market_events as events
from hftkit.exchange.dialects.binance.streams import stream_names as names
from hftkit.exchange.dialects.binance.streams.book_ticker import BookTickers
from hftkit.exchange.dialects.binance.streams.stream_hub import Connection, StreamHub, Subscribers
from hftkit.exchange.venue import DEPTH_ROW

if TYPE_CHECKING:
    from hftkit.exchange.dialects.binance.orders.order_history import Order
    from hftkit.exchange.dialects.binance.streams.stream_faults import StreamFaults
    from hftkit.exchange.dialects.binance.venue import BinanceDialect

_DEPTH, _STATUS = int(MessageType.DEPTH), int(MessageType.MARKET_STATUS)
_DEPTH_WORDS, _STATUS_WORDS = 7, 4
_MS = 1_000_000
_AVERAGED_MS = 30_000  # the moving average of the mark price follows it with this time constant
_NOT_TIMED = (names.QUIET, names.USER, names.BOOK_TICKER, names.TRADE, names.AGG_TRADE, names.CONTRACT)


class _Depth:
    """What one depth stream has not sent yet."""

    def __init__(self, last_id: int) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.sent_id = self.last_id = last_id
        self.ts_ms = 0


class MarketStreams:
    """Produces the events of every market stream that somebody listens to."""

    def __init__(self, venue: BinanceDialect, hub: StreamHub, faults: StreamFaults) -> None:
        self.venue, self.hub, self.faults = venue, hub, faults
        symbols = venue.symbols.all
        self.texts = [events.Texts(symbol) for symbol in symbols]
        sequences = venue.venue.sequences[:, DEPTH_ROW]
        self._plain = BookTickers(symbols, sequences, combined=False)
        self._combined = BookTickers(symbols, sequences, combined=True)
        self._ticker_users: dict[int, tuple[Connection, set[int]]] = {}  # who wants which book tickers
        self._watched = np.zeros(len(symbols), np.int64)
        self._averages = [0.0] * len(symbols)
        self._averaged_ms = self._second = 0
        self._forced: dict[int, tuple[Any, int]] = {}  # largest liquidation since the last event, with ticks * lots
        hub.on_subscribers.append(self._subscribers_changed)
        venue.store.history.on_execution.append(self._execution)

    def update_id(self, instrument: int) -> int:
        """Id of the last change of a book."""
        return 2 * int(self.venue.venue.sequences[instrument, DEPTH_ROW])

    # -- a batch ---------------------------------------------------------------------------------------------------------

    def take(self, batch: Batch) -> None:
        """What a batch brings; the store has taken it before."""
        if not self.hub.connections:
            return
        now = self.hub.now_ms()
        self._trades(now)
        if not self.faults.is_silent(names.BOOK_TICKER):
            self._book_tickers(batch, now)
        if (batch.kinds == _DEPTH).any():
            self._levels(batch)
        if (batch.kinds == _STATUS).any():
            self._statuses(batch, now)

    def _trades(self, now: int) -> None:
        market = self.venue.store.market
        for kind, rows, event in (
            (names.TRADE, market.fresh, events.trade_event),
            (names.AGG_TRADE, market.fresh_joined, events.agg_trade_event),
        ):
            if self.faults.is_silent(kind):
                continue
            for instrument, row in rows:
                for subscribers in self.hub.listening(kind, instrument):
                    self.hub.publish(subscribers, event(self.texts[instrument], row, now))

    def _subscribers_changed(self, topic: names.Topic) -> None:
        if topic.kind != names.BOOK_TICKER:
            return
        self._ticker_users.clear()
        self._watched[:] = 0
        for i in range(len(self.texts)):
            for subscribers in self.hub.listening(names.BOOK_TICKER, i):
                self._watched[i] = 1
                for connection in subscribers.connections.values():
                    self._ticker_users.setdefault(connection.number, (connection, set()))[1].add(i)

    def _book_tickers(self, batch: Batch, now: int) -> None:
        for formatter, combined in ((self._plain, False), (self._combined, True)):
            users = [(connection, wanted) for connection, wanted in self._ticker_users.values() if connection.combined == combined]
            if not users:
                continue
            for frames, spans in formatter.format(batch, self._watched, now):
                self.hub.n_events += len(spans)
                for connection, wanted in users:
                    if not self.hub.frozen:
                        part = frames if len(wanted) == self._watched.sum() else _part_of(frames, spans, wanted)
                        if part:
                            self.hub.send(connection, part)

    def _levels(self, batch: Batch) -> None:
        """Remember changed levels for the depth streams of those books that somebody follows."""
        rows = batch.frames(_DEPTH, _DEPTH_WORDS)
        of_rows = batch.instruments[batch.kinds == _DEPTH]
        for i in np.unique(of_rows).tolist():
            subscriber_groups = self.hub.listening(names.DEPTH, i)
            if not subscriber_groups:
                continue
            changes = rows[of_rows == i]
            last_id, ts_ms, listed = 2 * int(changes[-1, 1]), int(changes[-1, 2]) // _MS, changes[:, [3, 5, 6]].tolist()
            for subscribers in subscriber_groups:
                before = 2 * (int(changes[0, 1]) - 1)
                if subscribers.state is None or subscribers.state.last_id != before:  # the first, or some are lost: then pu will not fit
                    subscribers.state = _Depth(before)
                depth = subscribers.state
                depth.last_id, depth.ts_ms = last_id, ts_ms
                for side, price, qty in listed:
                    if side == 0:
                        depth.bids[price] = qty
                    else:
                        depth.asks[price] = qty

    def _statuses(self, batch: Batch, now: int) -> None:
        for row, i in zip(batch.frames(_STATUS, _STATUS_WORDS).tolist(), batch.instruments[batch.kinds == _STATUS].tolist(), strict=True):
            for subscribers in self.hub.listening(names.CONTRACT):
                self.hub.publish(subscribers, events.contract_event(self.texts[i], now, "TRADING" if row[3] else "PENDING_TRADING"))

    def _execution(self, row: Any, order: Order | None) -> None:
        if order is None or row.client_order_id >= 0 or row.kind != ExecutionKind.TRADE:
            return
        largest = self._forced.get(row.instrument)
        if largest is None or row.filled >= largest[0].filled:
            self._forced[row.instrument] = (row, order.traded)

    # -- time ------------------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Events that are due by the clock."""
        now = self.hub.now_ms()
        self._follow_marks(now)
        for subscribers in list(self.hub.subscriber_groups.values()):
            topic = subscribers.topic
            if topic.kind in _NOT_TIMED or now < subscribers.due_ms:
                continue
            subscribers.due_ms = now - now % topic.period + topic.period if topic.period else now
            if not self.faults.is_silent(topic.kind):
                self._produce(subscribers, now)
        if now // 1000 != self._second:
            self._second = now // 1000
            self._forced.clear()

    def _produce(self, subscribers: Subscribers, now: int) -> None:
        try:
            _PRODUCERS[subscribers.topic.kind](self, subscribers, now)
        except Exception as error:
            self.venue.internal_errors.note(f"stream {subscribers.name}", error)
            self.hub.break_off(subscribers)

    def _follow_marks(self, now: int) -> None:
        elapsed = min(_AVERAGED_MS, now - self._averaged_ms)
        if elapsed < 100:
            return
        self._averaged_ms = now
        for i, mark in enumerate(self.venue.order_api.marks()):
            average = self._averages[i] or float(mark)
            self._averages[i] = average + (mark - average) * elapsed / _AVERAGED_MS

    def _depth(self, subscribers: Subscribers, now: int) -> None:
        depth = subscribers.state
        if depth is None or depth.last_id == depth.sent_id:
            return
        ids = (depth.sent_id + 1, depth.last_id, depth.sent_id)
        depth.sent_id = depth.last_id
        bids, asks = sorted(depth.bids.items(), reverse=True), sorted(depth.asks.items())
        depth.bids, depth.asks = {}, {}
        if not self.faults.drops_depth():
            self.hub.publish(subscribers, events.depth_event(self.texts[subscribers.topic.instrument], now, depth.ts_ms, ids, bids, asks))

    def _partial(self, subscribers: Subscribers, now: int) -> None:
        i, last_id = subscribers.topic.instrument, self.update_id(subscribers.topic.instrument)
        if subscribers.state == last_id:
            return
        before = subscribers.state if subscribers.state is not None else last_id - 2
        subscribers.state = last_id
        bids, asks = (self.venue.order_api.read_side(i, side, subscribers.topic.detail) for side in (0, 1))
        ts_ms = int(self.venue.venue.state[0]["ts"]) // _MS
        self.hub.publish(subscribers, events.depth_event(self.texts[i], now, ts_ms, (before + 1, last_id, before), bids, asks))

    def _all_book_tickers(self, subscribers: Subscribers, now: int) -> None:
        ts_ms = int(self.venue.venue.state[0]["ts"]) // _MS
        for i, quote in enumerate(self.venue.venue.quotes.tolist()):
            self.hub.publish(subscribers, events.book_ticker_event(self.texts[i], now, ts_ms, self.update_id(i), tuple(quote)))

    def _mark_of(self, i: int, now: int) -> dict[str, Any]:
        mark = self.venue.order_api.marks()[i]
        average = round(self._averages[i]) or mark
        return events.mark_fields(self.texts[i], now, mark, average, funding_rate_text(self.venue), next_funding_ms(self.venue, now))

    def _mark(self, subscribers: Subscribers, now: int) -> None:
        self.hub.publish(subscribers, events.encode(self._mark_of(subscribers.topic.instrument, now)))

    def _all_marks(self, subscribers: Subscribers, now: int) -> None:
        self.hub.publish(subscribers, msgspec.json.encode([self._mark_of(i, now) for i in range(len(self.texts))]))

    def _kline(self, subscribers: Subscribers, now: int) -> None:
        i, interval = subscribers.topic.instrument, subscribers.topic.interval
        candles = self.venue.store.market.candles(i)
        candles.advance(now)
        running = candles.running(interval)
        if running is None:
            return
        event = events.kline_event if subscribers.topic.kind == names.KLINE else events.continuous_event
        before: tuple[int, int] | None = subscribers.state
        if before is not None and before[0] != running.open_ms:
            closed = next((row for row in reversed(candles.rows(interval)) if row.open_ms == before[0]), None)
            if closed is not None:
                self.hub.publish(subscribers, event(self.texts[i], now, closed, interval, True))
        if before is None or (running.n_trades and before != (running.open_ms, running.n_trades)):
            self.hub.publish(subscribers, event(self.texts[i], now, running, interval, False))
        subscribers.state = (running.open_ms, running.n_trades)

    def _day(self, i: int) -> tuple[Candle, Any] | None:
        trades = self.venue.store.trades(i)
        return (self.venue.store.day(i), trades[-1]) if trades else None

    def _fields_of_day(self, i: int, now: int, short: bool) -> dict[str, Any] | None:
        found = self._day(i)
        if found is None:
            return None
        return events.mini_fields(self.texts[i], now, found[0]) if short else events.ticker_fields(self.texts[i], now, *found)

    def _ticker(self, subscribers: Subscribers, now: int) -> None:
        fields = self._fields_of_day(subscribers.topic.instrument, now, subscribers.topic.kind == names.MINI)
        if fields is not None:
            self.hub.publish(subscribers, events.encode(fields))

    def _all_tickers(self, subscribers: Subscribers, now: int) -> None:
        """Only symbols that have traded since the last event."""
        seen: dict[int, int] = subscribers.state or {}
        subscribers.state = {}
        rows = []
        for i in range(len(self.texts)):
            trades = self.venue.store.trades(i)
            subscribers.state[i] = trades[-1].trade_id if trades else 0
            if subscribers.state[i] != seen.get(i, 0):
                rows.append(self._fields_of_day(i, now, subscribers.topic.kind == names.ALL_MINI))
        if rows:
            self.hub.publish(subscribers, msgspec.json.encode(rows))

    def _forced_orders(self, subscribers: Subscribers, now: int) -> None:
        for i, (row, traded) in self._forced.items():
            if subscribers.topic.instrument not in (-1, i):
                continue
            fields = events.forced_fields(self.texts[i], now, row, traded)
            if subscribers.topic.kind == names.ALL_FORCED:
                fields["o"]["ps"], fields["st"] = self.texts[i].pair, 1
            self.hub.publish(subscribers, events.encode(fields))


def _part_of(frames: bytes, spans: np.ndarray, wanted: set[int]) -> bytes:
    """The frames of some instruments."""
    mine = np.isin(spans[:, 2], np.fromiter(wanted, np.int64, len(wanted)))
    return b"".join([frames[first:end] for first, end in spans[mine, :2].tolist()])


_PRODUCERS: dict[str, Any] = {
    names.DEPTH: MarketStreams._depth,
    names.PARTIAL: MarketStreams._partial,
    names.ALL_BOOK_TICKERS: MarketStreams._all_book_tickers,
    names.MARK_PRICE: MarketStreams._mark,
    names.ALL_MARK_PRICES: MarketStreams._all_marks,
    names.KLINE: MarketStreams._kline,
    names.CONTINUOUS: MarketStreams._kline,
    names.MINI: MarketStreams._ticker,
    names.TICKER: MarketStreams._ticker,
    names.ALL_MINI: MarketStreams._all_tickers,
    names.ALL_TICKERS: MarketStreams._all_tickers,
    names.FORCED: MarketStreams._forced_orders,
    names.ALL_FORCED: MarketStreams._forced_orders,
}
