"""Every array and wire layout of hftkit, declared once: field, type, unit, writer.

Two kinds of layout:

* **Records** (`Record`): what the kernels share inside one process: numpy structured arrays, one writer each
  (docs/architecture.md, "the walk of a tick"). Prices are ticks, quantities lots, money 1e-8 quote units ("e8"), time ns.
* **Frames** (`Frame`): what travels on a socket. Little-endian, a whole number of 64-bit words, so that a receive buffer
  is simply an int64 array and every field is one load. Word 0 is the header, word 1 the sequence number; then the
  body, one int64 word a field. docs/protocol.md is generated from these tables (`python -m hftkit.layout`).

    word 0, low to high: length u16 (bytes, header included) | type u8 | version u8 | instrument u32
    word 1: sequence i64

Long because it is tables: whoever looks for a field finds it here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hftkit.codes import MessageType

PROTOCOL_VERSION = 1
WORD = 8  # bytes
HEADER_WORDS = 2
MAX_FRAME_WORDS = 32
BOOK_DEPTH = 512  # levels kept a side by a book replica
LEAST_WANTS = 8  # room for the intents of one step: more where more strategies may want something at once
MAX_STRATEGIES = 64
BASKET_LEGS = 8  # legs of a basket, at the most
MAX_WATCHED = 64  # instruments that one strategy may watch
NO_INSTRUMENT = -1
VENUE_IS_FINAL, POSITIONS_IN_ORDER, BY_STRATEGY = 1, 2, 4  # bits of EngineState.rules: see engine_state.SessionConfig
MONEY_SCALE = 100_000_000  # money is counted in 1e-8 of the quote currency


@dataclass(frozen=True)
class Field:
    """One field: numpy type code, unit, meaning; `count` > 1 makes it a fixed array."""

    name: str
    kind: str
    unit: str
    doc: str
    count: int = 1


@dataclass(frozen=True)
class Record:
    """A structured array shared between kernels. `writer` is the one room that may write it."""

    name: str
    writer: str
    doc: str
    fields: tuple[Field, ...]

    @property
    def dtype(self) -> np.dtype:
        """Aligned numpy structured dtype of the record."""
        return np.dtype([(f.name, f.kind) if f.count == 1 else (f.name, f.kind, (f.count,)) for f in self.fields], align=True)

    def word(self, name: str) -> int:
        """Index of a field's first word within the record, for who must read it as a word: atomically."""
        for field in self.fields:
            if field.name == name:
                return int(self.dtype.fields[name][1]) // WORD  # type: ignore[index]
        raise KeyError(f"{self.name} has no field {name!r}; it has {[f.name for f in self.fields]}")


@dataclass(frozen=True)
class Frame:
    """A wire message: header word, sequence word, then one int64 word for each field."""

    type: MessageType
    sender: str
    doc: str
    fields: tuple[Field, ...]

    @property
    def name(self) -> str:
        """Message name, as in `codes.MessageType`."""
        return self.type.name

    @property
    def words(self) -> int:
        """Length of the whole frame in 64-bit words."""
        return HEADER_WORDS + len(self.fields)

    @property
    def bytes(self) -> int:
        """Length of the whole frame in bytes, as the header states it."""
        return self.words * WORD

    def word(self, name: str) -> int:
        """Index of a body field's word within the frame."""
        for i, field in enumerate(self.fields):
            if field.name == name:
                return HEADER_WORDS + i
        raise KeyError(f"{self.name} has no field {name!r}; it has {[f.name for f in self.fields]}")


def _i(name: str, unit: str, doc: str) -> Field:
    return Field(name, "<i8", unit, doc)


def _f(name: str, unit: str, doc: str) -> Field:
    return Field(name, "<f8", unit, doc)


# --------------------------------------------------------------------------------------------------------------------
# Records: the rooms of one engine
# --------------------------------------------------------------------------------------------------------------------

INSTRUMENT = Record(
    "INSTRUMENT",
    "hftkit/instruments.py",
    "What is constant about an instrument. Index = instrument id on the wire.",
    (
        _i("tick_lot_e8", "1e-8 quote", "value of one lot moving one tick: tick_size * lot_size * 1e8"),
        _i("tick_size_e8", "1e-8 quote", "tick size"),
        _i("lot_size_e8", "1e-8 base", "lot size"),
        _i("min_notional_e8", "1e-8 quote", "smallest order value the venue takes"),
        _i("maker_fee_ppm", "1e-6", "fee of a maker fill, parts per million of notional; negative is a rebate"),
        _i("taker_fee_ppm", "1e-6", "fee of a taker fill, parts per million of notional"),
    ),
)

EVENT = Record(
    "EVENT",
    "kernels/wire/decode.py",
    "One normalised event (MD-3). One record, overwritten by each frame; fields that the kind lacks are 0.",
    (
        _i("kind", "codes.EventKind", "what happened"),
        _i("instrument", "index", "instrument id, -1 if none"),
        _i("ts_recv", "ns, monotonic", "local time at which the bytes became readable (T1)"),
        _i("ts_event", "ns, exchange clock", "the venue's own time stamp"),
        _i("seq", "count", "sequence number of the frame in its channel or session"),
        _i("side", "codes.Side", "side of the level, of the aggressor (trade) or of the order (fill)"),
        _i("flags", "bits", "DepthFlag for DEPTH, 1 = maker for ORDER_FILL"),
        _i("price", "ticks", "level, trade or fill price; bid of a BBO"),
        _i("qty", "lots", "level total, trade or fill quantity; bid quantity of a BBO; position of a POSITION, FUNDING; next sequence, LOGON_ACK"),
        _i("price2", "ticks", "ask of a BBO"),
        _i("qty2", "lots", "ask quantity of a BBO; position a POSITION_CORRECTION was compared with"),
        _i("client_order_id", "id", "our id of the order"),
        _i("order_id", "id", "the venue's id of the order"),
        _i("trade_id", "id", "the venue's id of the trade"),
        _i("leaves_qty", "lots", "what is still open of the order"),
        _i("fee_e8", "1e-8 quote", "fee of the fill, negative is a rebate; what a FUNDING has us pay, negative: receive"),
        _i("code", "code", "Reject, OrderState or Control, by kind"),
    ),
)

BOOK = Record(
    "BOOK",
    "kernels/market/book.py",
    "Top of the local replica of one instrument's book; levels are in LEVELS[instrument, side, i, (price, qty)], best last.",
    (
        _i("sync", "codes.Sync", "whether the replica may be trusted"),
        _i("seq_depth", "count", "last sequence applied from the depth channel"),
        _i("seq_trade", "count", "last sequence seen on the trade channel"),
        _i("seq_bbo", "count", "last sequence seen on the best bid/offer channel"),
        _i("ts_event", "ns, exchange clock", "time of the last change"),
        _i("ts_recv", "ns, monotonic", "local time of the last change"),
        _i("n_bid", "levels", "bid levels held"),
        _i("n_ask", "levels", "ask levels held"),
        _i("best_bid", "ticks", "0 if there is none"),
        _i("best_bid_qty", "lots", "quantity at the best bid"),
        _i("best_ask", "ticks", "0 if there is none"),
        _i("best_ask_qty", "lots", "quantity at the best ask"),
        _i("last_price", "ticks", "price of the last trade"),
        _i("last_qty", "lots", "quantity of the last trade"),
        _i("last_side", "codes.Side", "aggressor of the last trade"),
        _i("truncated", "bits", "1 bids, 2 asks: levels beyond BOOK_DEPTH were dropped: resynchronise when that side runs low"),
        _i("n_updates", "count", "changes applied"),
        _i("n_gaps", "count", "sequence gaps seen"),
        _i("n_stale", "count", "messages at or before the current sequence, ignored"),
        _i("max_age_ns", "ns", "configuration: a quote older than this is not traded on; 0: of any age, and the fields below stay 0"),
        _i("max_behind_ns", "ns", "configuration: how long a trade may be newer than the book"),
        _i("good_until", "ns, monotonic", "until when it may be traded on if nothing more is heard of it"),
        _i("hold_until", "ns, monotonic", "what is received before is old, whatever it says: our own process stood still"),
        _i("behind_ts", "ns, exchange clock", "time of the first trade that is newer than the book, 0 if there is none"),
        _i("behind_since", "ns, monotonic", "when that trade was received"),
    ),
)

SIGNAL = Record(
    "SIGNAL",
    "strategies/*.py",
    "What one strategy sees and wants. Index = strategy slot. Of an expired frozen file: target and reason by kernels/trading/validity.py.",
    (
        _i("ts_event", "ns, exchange clock", "time of the event that made it"),
        _i("target", "units", "wanted position: +1 long the spread, -1 short, 0 none"),
        _i("reason", "codes.SignalReason", "why"),
        _i("n_bars", "count", "bars in the rolling window"),
        _f("spread", "log price or price", "of lead less hedge_ratio times that of hedge"),
        _f("mean", "log price or price", "rolling mean of the spread over closed bars"),
        _f("std", "log price or price", "rolling standard deviation of the spread over closed bars"),
        _f("zscore", "std", "(spread - mean) / std; NaN while warming up"),
        _f("imbalance", "-1..1", "order book imbalance of the lead instrument"),
        _i("unit_hedge", "lots", "hedge lots of one unit from now on, where the hedge ratio moves; 0: those of the frozen file"),
        _i("bid_price", "ticks", "of a strategy that quotes: where it wishes to buy, 0: nowhere"),
        _i("bid_qty", "lots", "how much, 0: nothing"),
        _i("ask_price", "ticks", "where it wishes to sell, 0: nowhere"),
        _i("ask_qty", "lots", "how much, 0: nothing"),
    ),
)

LEGS = Record(
    "LEGS",
    "kernels/execution/pair.py",
    "The pair as one position: state, sizes and deadlines of one strategy. The first ten fields are its configuration.",
    (
        _i("lead", "index", "instrument traded first"),
        _i("hedge", "index", "instrument that follows, -1 for a single-instrument strategy"),
        _i("unit_lead", "lots", "lead lots of one unit of target"),
        _i("unit_hedge", "lots", "hedge lots of one unit, negative when the legs are opposite; follows the signal where its hedge ratio moves"),
        _i("slippage_ticks", "ticks", "how far through the touch a limit may reach"),
        _i("hedge_deadline_ns", "ns", "a residual older than this is unwound"),
        _i("retry_ns", "ns", "pause between two attempts on one leg"),
        _i("residual_lots", "lots", "residual of the hedge leg that is tolerated for ever"),
        _i("maker_patience_ns", "ns", "how long the lead is worked by post-only orders at the touch before the rest is taken; 0: taken at once"),
        _i("reprice_ticks", "ticks", "a resting order is moved once the touch is so far away from it"),
        _i("state", "codes.LegState", "where the pair stands"),
        _i("target", "units", "target being worked"),
        _i("skip", "units", "target that was missed (paused, unwound): not entered until the signal has left it"),
        _i("lead_position", "lots", "signed position of this strategy in the lead leg"),
        _i("hedge_position", "lots", "signed position of this strategy in the hedge leg"),
        _i("lead_order", "client_order_id", "working order of the lead leg, 0 if none"),
        _i("hedge_order", "client_order_id", "working order of the hedge leg, 0 if none"),
        _i("ts_naked", "ns, monotonic", "since when the residual is beyond tolerance, 0 if it is not"),
        _i("ts_state", "ns, exchange clock", "when the state was entered"),
        _i("ts_since", "ns, monotonic", "when the entry, or the exit, being worked was begun"),
        _i("take_at", "ns, monotonic", "from then on the lead is taken, not posted (maker_patience_ns > 0)"),
        _i("queue_ahead", "lots", "estimate, from above, of what stands before the resting lead order; 0 if none rests"),
        _i("lead_retry_at", "ns, monotonic", "earliest next attempt on the lead leg"),
        _i("hedge_retry_at", "ns, monotonic", "earliest next attempt on the hedge leg"),
        _i("n_entries", "count", "times OPEN was reached from FLAT"),
        _i("n_exits", "count", "times FLAT was reached again"),
        _i("n_unwinds", "count", "times UNWINDING was entered"),
        _i("n_posts", "count", "post-only orders asked for"),
        _i("n_pulls", "count", "resting orders whose cancel was asked for"),
        _i("entering_ns", "ns", "total time from FLAT to OPEN, over n_entries"),
        _i("exiting_ns", "ns", "total time from the decision to leave until FLAT, over n_exits"),
    ),
)

QUOTES = Record(
    "QUOTES",
    "kernels/execution/quotes.py",
    "Two-sided quotes of one strategy. The first six fields are its configuration.",
    (
        _i("instrument", "index", "what is quoted"),
        _i("max_position", "lots", "absolute position, open quotes counted as filled"),
        _i("requote_ticks", "ticks", "a quote is moved once its wished price is so far away"),
        _i("front_ticks", "ticks", "so much further where no more stands before it than its own size"),
        _i("min_rest_ns", "ns", "and not before it has rested for so long"),
        _i("retry_ns", "ns", "pause between two attempts on one side"),
        _i("bid_order", "client_order_id", "working order of the bid, 0 if none"),
        _i("ask_order", "client_order_id", "working order of the ask, 0 if none"),
        _i("close_order", "client_order_id", "market order that closes what is held, 0 if none"),
        _i("bid_since", "ns, monotonic", "when the bid was posted"),
        _i("ask_since", "ns, monotonic", "when the ask was posted"),
        _i("bid_ahead", "lots", "estimate, from above, of what stands before the bid"),
        _i("ask_ahead", "lots", "likewise before the ask"),
        _i("bid_retry_at", "ns, monotonic", "earliest next bid"),
        _i("ask_retry_at", "ns, monotonic", "earliest next ask"),
        _i("close_retry_at", "ns, monotonic", "earliest next attempt to close"),
        _i("n_posts", "count", "quotes asked for"),
        _i("n_pulls", "count", "quotes whose cancel was asked for"),
    ),
)

BASKET = Record(
    "BASKET",
    "kernels/execution/basket.py",
    "A basket as one position: state and deadlines of one strategy. The first four fields are its configuration.",
    (
        _i("n_legs", "count", "legs"),
        _i("slippage_ticks", "ticks", "how far through the touch a limit may reach"),
        _i("deadline_ns", "ns", "a basket that is uneven for longer is unwound"),
        _i("retry_ns", "ns", "pause between two attempts on one leg"),
        _i("state", "codes.LegState", "where the basket stands"),
        _i("target", "units", "target being worked"),
        _i("skip", "units", "target that was missed (paused, unwound): not entered until the strategy has left it"),
        _i("ts_naked", "ns, monotonic", "since when the basket is uneven, 0 if it is not"),
        _i("ts_state", "ns, exchange clock", "when the state was entered"),
        _i("ts_since", "ns, monotonic", "when the entry, or the exit, being worked was begun"),
        _i("n_entries", "count", "times OPEN was reached from FLAT"),
        _i("n_exits", "count", "times FLAT was reached again"),
        _i("n_unwinds", "count", "times UNWINDING was entered"),
        _i("entering_ns", "ns", "total time from FLAT to OPEN, over n_entries"),
        _i("exiting_ns", "ns", "total time from the decision to leave until FLAT, over n_exits"),
    ),
)

BASKET_LEG = Record(
    "BASKET_LEG",
    "kernels/execution/basket.py",
    "One leg of a basket. Index = strategy slot * BASKET_LEGS + place. The first two fields are its configuration.",
    (
        _i("instrument", "index", "what is traded"),
        _i("unit", "lots", "signed lots of one unit of target"),
        _i("order", "client_order_id", "working order, 0 if none"),
        _i("retry_at", "ns, monotonic", "earliest next attempt"),
    ),
)

WANT = Record(
    "WANT",
    "kernels/execution/pair.py",
    "One intent of a step. Risk copies it into ALLOWED, smaller or refused, never larger.",
    (
        _i("action", "codes.Action", "new order or cancel"),
        _i("strategy", "slot", "who asks"),
        _i("leg", "place", "of the instrument among those that the strategy watches; of a pair 0 lead, 1 hedge"),
        _i("instrument", "index", "what to trade"),
        _i("side", "codes.Side", "buy or sell"),
        _i("order_type", "codes.OrderType", "limit or market"),
        _i("time_in_force", "codes.TimeInForce", "how long it may rest"),
        _i("flags", "codes.OrderFlag bits", "post only, reduce only"),
        _i("price", "ticks", "limit price; 0 for a market order"),
        _i("qty", "lots", "quantity"),
        _i("client_order_id", "id", "order to cancel (CANCEL)"),
        _i("reason", "codes.Reject", "in ALLOWED: why it was refused or shrunk, 0 if it passed whole"),
    ),
)
ALLOWED = Record("ALLOWED", "kernels/trading/risk.py", "What risk lets through: same fields as WANT.", WANT.fields)

ORDER = Record(
    "ORDER",
    "kernels/trading/orders.py",
    "One slot of the order table. The slot of an order is client_order_id modulo the capacity.",
    (
        _i("client_order_id", "id", "session epoch * 2**32 + counter: deterministic, never reused"),
        _i("order_id", "id", "the venue's id, 0 until acknowledged"),
        _i("state", "codes.OrderState", "life of the order"),
        _i("strategy", "slot", "who asked for it"),
        _i("leg", "place", "of the instrument among those that the strategy watches; of a pair 0 lead, 1 hedge"),
        _i("instrument", "index", "what it trades"),
        _i("side", "codes.Side", "buy or sell"),
        _i("order_type", "codes.OrderType", "limit or market"),
        _i("time_in_force", "codes.TimeInForce", "how long it may rest"),
        _i("flags", "codes.OrderFlag bits", "post only, reduce only"),
        _i("price", "ticks", "limit price"),
        _i("qty", "lots", "quantity sent"),
        _i("filled_qty", "lots", "quantity filled so far"),
        _i(
            "ts_cancel",
            "ns, monotonic",
            "event time of the step that sent its cancel, 0 if none is under way, 1 if the venue refused it: it is queried",
        ),
        _i("ts_sent", "ns, monotonic", "event time of the step that sent it"),
        _i("ts_ack", "ns, monotonic", "event time of the first answer"),
        _i("ts_query", "ns, monotonic", "event time of the last query, 0 if none"),
        _i("reason", "codes.Reject", "why it was rejected"),
    ),
)

OPEN = Record(
    "OPEN",
    "kernels/trading/orders.py",
    "What rests or flies per instrument: the worst case that risk must assume will fill.",
    (
        _i("buy_qty", "lots", "open buy quantity"),
        _i("sell_qty", "lots", "open sell quantity"),
        _i("n_orders", "count", "open orders"),
    ),
)

LEDGER = Record(
    "LEDGER",
    "kernels/trading/ledger.py",
    "Position and money of one instrument. realized + unrealized - fees - funding = cash flow + position at mark, exactly.",
    (
        _i("position", "lots", "signed position"),
        _i("cost_e8", "1e-8 quote", "signed cost of the open position (average cost)"),
        _i("realized_e8", "1e-8 quote", "realised P&L before fees"),
        _i("fees_e8", "1e-8 quote", "fees paid, rebates negative"),
        _i("funding_e8", "1e-8 quote", "funding paid, received negative"),
        _i("unrealized_e8", "1e-8 quote", "position at mark minus its cost"),
        _i("mark_price", "half ticks", "best bid + best ask of the last trusted book"),
        _i("bought_qty", "lots", "total bought"),
        _i("sold_qty", "lots", "total sold"),
        _i("turnover_e8", "1e-8 quote", "traded notional"),
        _i("n_fills", "count", "fills"),
        _i("n_maker", "count", "fills as maker"),
        _i("maker_turnover_e8", "1e-8 quote", "notional traded as maker"),
        _i("venue_position", "lots", "last position the venue reported"),
        _i("corrected_qty", "lots", "net lots that no order of ours brought in: external fills, corrections; position = bought - sold + corrected"),
        _i("n_corrections", "count", "external fills and corrections"),
    ),
)

EXTERNAL = Record(
    "EXTERNAL",
    "kernels/trading/external.py",
    "What changed an instrument's position although no order of ours did. Index = instrument id.",
    (
        _i("n_fills", "count", "external fills taken in"),
        _i("n_forced", "count", "those of the venue itself"),
        _i("n_old", "count", "external fills left, since a correction had brought them in already"),
        _i("ts_known", "ns, exchange clock", "the last correction held what had happened until then"),
        _i("reason", "codes.Reject", "of the last one: 413, 415, 416, or 0 for another client"),
    ),
)

LIMIT = Record(
    "LIMIT",
    "hftkit/config.py",
    "Risk limits per instrument. Zero means: nothing allowed.",
    (
        _i("max_position", "lots", "absolute position, open orders counted as filled"),
        _i("max_order_qty", "lots", "largest order"),
        _i("max_order_notional_e8", "1e-8 quote", "largest order value"),
        _i("price_band_ticks", "ticks", "a limit price further than this through the opposite touch is refused"),
        _i("collar_ppm", "1e-6", "a limit price further than this from the middle of the book, to either side, is refused; 0: none"),
    ),
)

RISK = Record(
    "RISK",
    "kernels/trading/risk.py",
    "Limits and state for the whole engine (one record). The first seven fields are its configuration.",
    (
        _i("max_exposure_e8", "1e-8 quote", "sum over instruments of |position| at mark, open orders counted as filled"),
        _i("max_loss_e8", "1e-8 quote", "loss from the session's start (realised + unrealised - fees - funding) at which trading halts"),
        _i("max_orders_per_s", "1/s", "refill of the order rate bucket"),
        _i("order_burst", "count", "size of the order rate bucket"),
        _i("order_reserve", "count", "orders of the bucket that only hedges and reductions may use"),
        _i("max_open_orders", "count", "open orders over all instruments"),
        _i("max_rejects", "count", "venue rejects in a row after which trading halts"),
        _i("trading", "codes.Trading", "what is allowed now"),
        _i("halt_reason", "codes.Reject", "why trading halted"),
        _i("tokens_ns", "ns", "order rate bucket, in ns of refill: one order costs 1e9 / max_orders_per_s"),
        _i("ts_tokens", "ns, monotonic", "when the bucket was last refilled"),
        _i("equity_e8", "1e-8 quote", "P&L of the session after fees and funding, at mark"),
        _i("peak_equity_e8", "1e-8 quote", "highest equity"),
        _i("drawdown_e8", "1e-8 quote", "peak minus equity"),
        _i("exposure_e8", "1e-8 quote", "sum of |position| at mark"),
        _i("rejects_in_row", "count", "venue rejects since the last acknowledgement"),
        _i("n_vetoes", "count", "wants refused"),
        _i("n_shrunk", "count", "wants made smaller"),
        _i("max_drawdown_e8", "1e-8 quote", "configuration: fall from the highest equity at which trading halts, 0: none"),
    ),
)

SLOT = Record(
    "SLOT",
    "kernels/trading/strategy_risk.py",
    "Limits, state and counts of one strategy. Index = strategy slot. The first eight fields are its configuration.",
    (
        _i("policy", "codes.Policy", "how its wishes become orders"),
        _i("n_watched", "count", "instruments that it watches"),
        _i("n_traded", "count", "how many of them it trades: the first ones"),
        _i("max_position", "lots", "absolute position in any of its instruments, its open orders counted as filled"),
        _i("max_exposure_e8", "1e-8 quote", "sum over its instruments of |position| at mark, its open orders counted as filled"),
        _i("max_loss_e8", "1e-8 quote", "loss from the session's start at which this strategy is stopped"),
        _i("max_open_orders", "count", "its open orders"),
        _i("on_loss", "codes.Trading", "what it is brought to at its loss limit: PAUSED, nothing new; FLATTENING, left at once"),
        _i("trading", "codes.Trading", "what is allowed to it, beside what RISK allows to all"),
        _i("reason", "codes.Reject", "why it was stopped"),
        _i("equity_e8", "1e-8 quote", "its P&L after fees and funding, at mark"),
        _i("peak_equity_e8", "1e-8 quote", "highest equity"),
        _i("n_signals", "count", "times one of its hooks was called"),
        _i("n_orders", "count", "orders sent"),
        _i("n_fills", "count", "fills"),
        _i("n_rejects", "count", "orders that the venue refused"),
        _i("n_vetoes", "count", "wants that risk refused"),
    ),
)

SESSION = Record(
    "SESSION",
    "kernels/step.py",
    "What the step keeps about its own session (one record): ids, sequences, counters.",
    (
        _i("epoch", "id", "session number, high half of every client_order_id: random, never the time"),
        _i("account", "id", "account at the venue"),
        _i("heartbeat_ns", "ns", "silence on order entry after which a heartbeat is sent"),
        _i("cancel_on_disconnect", "flag", "asked for at logon"),
        _i("channels", "codes.Channel bits", "market data channels to subscribe to"),
        _i("order_timeout_ns", "ns", "an order unanswered for this long is queried, never sent again"),
        _i("logged_on", "flag", "1 after LOGON_ACK"),
        _i("instruments_ok", "flag", "1 once every INSTRUMENT frame matched the frozen scales, -1 on a mismatch"),
        _i("ts_now", "ns, monotonic", "time of the last event"),
        _i("ts_exchange", "ns, exchange clock", "latest exchange time seen"),
        _i("next_order", "count", "counter of the next client_order_id"),
        _i("first_open", "count", "no order before this counter is open"),
        _i("seq_out", "count", "last order entry sequence sent"),
        _i("seq_in", "count", "last order entry sequence received"),
        _i("seq_md_out", "count", "last market data request sent"),
        _i("ts_last_sent", "ns, monotonic", "when order entry bytes were last produced"),
        _i("stop_requested", "flag", "1 after STOP; 2 when flat and logged out"),
        _i("n_market_data", "count", "market data frames"),
        _i("n_order_entry", "count", "order entry frames"),
        _i("n_timers", "count", "timer events"),
        _i("n_malformed", "count", "frames refused by the decoder"),
        _i("n_signals", "count", "strategy evaluations"),
        _i("n_not_finite", "count", "evaluations without a finite z-score: no trade, the signal's reason says why"),
        _i("n_orders", "count", "orders sent"),
        _i("n_cancels", "count", "cancels sent"),
        _i("n_queries", "count", "order queries sent"),
        _i("n_acks", "count", "orders acknowledged"),
        _i("n_fills", "count", "fills received"),
        _i("n_canceled", "count", "cancel confirmations received"),
        _i("n_rejects", "count", "orders rejected by the venue"),
        _i("n_post_refused", "count", "post-only orders refused because they would have taken: no failure, not among the rejects"),
        _i("n_unknown", "count", "answers for orders the table does not know"),
        _i("n_illegal", "count", "answers that would be an illegal transition"),
        _i("n_sequence_gaps", "count", "gaps in the order entry session"),
    ),
)

LINE = Record(
    "LINE",
    "live/venues/binance/line.py",
    "One part of a line of several connections to a venue, for watchers. Index = codes.LinePart.",
    (
        _i("state", "codes.LineState", "whether it is up"),
        _i("breaker", "codes.BreakerState", "its circuit breaker"),
        _i("n_connects", "count", "connections made"),
        _i("n_failures", "count", "connections lost or refused"),
        _i("n_silent", "count", "connections replaced because they had fallen silent"),
        _i("n_messages", "count", "messages received (REST: answers)"),
        _i("n_bytes", "count", "bytes received"),
        _i("ts_progress", "ns, monotonic", "when it last brought anything"),
        _i("backlog", "bytes", "waiting in its ring for the hot thread"),
        _i("n_dropped", "count", "messages that found the ring full: the part is reconnected after one"),
    ),
)

ACCOUNT = Record(
    "ACCOUNT",
    "live/venues/binance/line.py",
    "What the cold side knows of a venue and its account, for watchers (one record).",
    (
        _i("clock_offset_ns", "ns", "venue's clock minus ours"),
        _i("clock_bound_ns", "ns", "how wrong that may be"),
        _i("n_clock_jumps", "count", "times a clock was seen to jump"),
        _i("n_reconciled", "count", "comparisons of the ledger with the venue's account"),
        _i("n_corrections", "count", "standing differences: told, their fills asked for, taken into the ledger at last"),
        _i("n_corrected", "count", "positions of the venue taken into the ledger, since no fill explains them"),
        _i("n_task_failures", "count", "tasks of the cold side that failed and were started again"),
        _i("order_way", "codes.OrderWay", "how orders leave"),
        _i("n_rest_orders", "count", "orders, cancels and queries by REST"),
        _i("ts_reconciled", "ns, monotonic", "when the account last agreed"),
        _i("wallet_e8", "1e-8 quote", "wallet balance as the venue states it"),
        _i("closed_until_ms", "ms, venue clock", "end of the pause after a broken rate limit, 0 if there is none"),
        _f("weight_used", "share", "fullest request weight window"),
        _f("orders_used", "share", "fullest order window"),
        _i("n_orphans", "count", "open orders of earlier sessions of ours that were cancelled"),
        _i("n_strangers", "count", "open orders of others on this account, as last seen"),
        _i("n_foreign", "count", "orders and order events of another session of ours, or of an order that we had given up"),
        _i("n_stranger_events", "count", "order events of others on this account"),
    ),
)

LOOP = Record(
    "LOOP",
    "live/hot_loop.py",
    "What the hot loop keeps between two turns (one record). From held_fd on: of a line of several connections, by live/link/line_loop.py. What the "
    "cold side writes says so.",
    (
        _i("order_fd", "descriptor", "order entry socket; by the cold side, before the loop runs"),
        _i("data_fd", "descriptor", "market data socket; by the cold side, before the loop runs"),
        _i("wait", "hot_loop.Wait", "configuration: what is done when there is nothing to do"),
        _i("timer_ns", "ns", "configuration: pause between two looks whether a timer is due"),
        _i("control_seen", "count", "commands of the control page that were taken"),
        _i("next_timer", "ns, monotonic", "when it is next looked whether a timer is due"),
        _i("order_fill", "bytes", "waiting in the receive buffer of order entry"),
        _i("data_fill", "bytes", "waiting in the receive buffer of market data"),
        _i("abandon", "flag", "1: return at once; 2: return, to be run again. By the cold side, read atomically"),
        _i("dirty", "flag", "1: something has changed since the last publication"),
        _i("since_publish", "count", "messages since the last publication"),
        _i("order_start", "words", "of the walk under way: where its frames begin in order_out"),
        _i("data_start", "words", "of the walk under way: where its frames begin in data_out"),
        _i("first_order", "count", "of the walk under way: counter of its first order"),
        _i("n_unsent", "count", "events whose orders wait in order_out for the next write"),
        _i("first_unsent", "count", "counter of the first order among them"),
        _i("unsent_since", "ns, monotonic", "when the first of them had been decided"),
        _i("t2", "ns, monotonic", "of the walk under way: when it had sensed"),
        _i("t3", "ns, monotonic", "of the walk under way: when it had decided"),
        _i("idle_ns", "ns", "configuration: longest time between two timer events"),
        _i("idle_until", "ns, monotonic", "when the next timer event comes even if nothing is due"),
        _i("stall_ns", "ns", "configuration: longest time between two looks at the clock, 0: never mind"),
        _i("seen", "ns, boot time", "last look at the clock"),
        _i("is_behind", "flag", "1: old data is still to be read"),
        _i("drained", "flag", "1: the data socket is empty"),
        _i("walked", "ns, monotonic", "when the last walk ended"),
        _i("n_stalls", "count", "times the thread stood still"),
        _i("stalled_ns", "ns", "for how long, the last time"),
        _i("silence_ns", "ns", "configuration: nothing heard for so long on order entry is a lost line, 0: never"),
        _i("feed_silence_ns", "ns", "configuration: likewise on market data"),
        _i("order_heard", "ns, monotonic", "when order entry last brought anything, 0: not yet"),
        _i("data_heard", "ns, monotonic", "when market data last brought anything, 0: not yet"),
        _i("held_fd", "descriptor", "order socket that is written; -1: none, line_loop.THROUGH_RING: the out ring"),
        _i("offered_fd", "descriptor", "order socket to take at LINE_UP; by the thread that opened it"),
        _i("venue_offset_ns", "ns", "venue's clock minus CLOCK_MONOTONIC; by the cold side"),
        _i("bell", "descriptor", "eventfd: rung for a loop that sleeps"),
        _i("out_bell", "descriptor", "eventfd: rung when something is in the out ring"),
        _i("rest_bell", "descriptor", "eventfd: rung when something is in the REST ring"),
        _i("batch_at", "words", "frames of the last message that still have to be run: the next one"),
        _i("batch_end", "words", "their end"),
        _i("batch_orders", "flag", "1: they are order entry"),
        _i("send_failed", "count", "times the order socket did not take a whole request"),
        _i("frames_out", "flag", "1: orders leave as the engine's frames through the REST ring. Out of order_way"),
        _i("order_way", "codes.OrderWay", "how orders are to leave; by the cold side, read atomically"),
        _i("n_requests", "count", "requests handed to the order socket"),
    ),
)

TAPE_LOOP = Record(
    "TAPE_LOOP",
    "kernels/backtest.py",
    "Where the run of a backtest stands (one record). Its venue's part: kernels/backtest_desk.py, backtest_resting.py and backtest_venue.py.",
    (
        _i("engine_row", "row", "next row of the tape for the engine"),
        _i("venue_row", "row", "next row of the tape for the venue"),
        _i("order_head", "count", "requests that have arrived at the venue"),
        _i("order_tail", "count", "requests sent"),
        _i("answer_head", "count", "answers that have arrived at the engine"),
        _i("answer_tail", "count", "answers given"),
        _i("next_timer", "ns, exchange clock", "of the next timer event"),
        _i("venue_seq", "count", "last order entry sequence of the venue"),
        _i("next_id", "count", "last id that the venue has given to an order or a trade"),
        _i("jitter", "count", "additions to the latency that were used"),
        _i("n_orders", "count", "orders sent"),
        _i("n_cancels", "count", "cancels sent"),
        _i("n_rejects", "count", "orders that the venue refused"),
        _i("started", "flag", "1: logged on, trading enabled"),
        _i("resting", "count", "orders that rest now"),
        _i("clear_row", "row", "rows before this one concern no resting order"),
        _i("next_funding", "ns, exchange clock", "of the next funding, backtest_desk.NEVER: none comes"),
        _i("funding_row", "row", "its row of the schedule"),
    ),
)

RECORDS = (
    *(INSTRUMENT, EVENT, BOOK, SIGNAL, LEGS, QUOTES, BASKET, BASKET_LEG, WANT, ALLOWED, ORDER, OPEN, LEDGER, EXTERNAL, LIMIT, RISK, SLOT),
    *(SESSION, LINE, ACCOUNT, LOOP, TAPE_LOOP),
)

# --------------------------------------------------------------------------------------------------------------------
# Frames: the binary protocol
# --------------------------------------------------------------------------------------------------------------------

_SIDE = _i("side", "codes.Side", "0 buy, 1 sell")
_TS = _i("ts_event", "ns, exchange clock", "venue time")
_COID = _i("client_order_id", "id", "chosen by the client, unique for ever within the account")
_OID = _i("order_id", "id", "given by the venue")

FRAMES = (
    # client to venue -----------------------------------------------------------------------------------------------
    Frame(
        MessageType.LOGON,
        "client",
        "First frame on the order entry port. The session's client-to-venue sequence starts at 1 with this frame.",
        (
            _i("account", "id", "account to trade"),
            _i("ts_client", "ns, unix", "client time, part of what is signed"),
            _i("flags", "bits", "1: cancel all open orders when the connection is lost"),
            _i("heartbeat_ns", "ns", "longest silence either side allows itself; the venue closes after three of them"),
            _i("next_seq_in", "count", "next venue-to-client sequence expected; 1 for a fresh session, more to resume"),
            _i("signature0", "bytes 0-7", "HMAC-SHA256 of words 0-6 with the account's secret; all zero where the venue asks for none"),
            _i("signature1", "bytes 8-15", ""),
            _i("signature2", "bytes 16-23", ""),
            _i("signature3", "bytes 24-31", ""),
        ),
    ),
    Frame(MessageType.LOGOUT, "client", "Ends the session; answered by LOGOUT_ACK, then the venue closes.", ()),
    Frame(MessageType.HEARTBEAT, "client", "Keeps a silent session alive; answered by VENUE_HEARTBEAT.", (_i("ts_client", "ns", "echoed"),)),
    Frame(
        MessageType.NEW_ORDER,
        "client",
        "Answered by ORDER_ACK or ORDER_REJECT, then fills and, for what an IOC or market order leaves, ORDER_CANCELED.",
        (
            _COID,
            _SIDE,
            _i("order_type", "codes.OrderType", "0 limit, 1 market"),
            _i("time_in_force", "codes.TimeInForce", "0 GTC, 1 IOC, 2 FOK"),
            _i("flags", "codes.OrderFlag bits", "1 post only, 2 reduce only, 4 expire taker, 8 expire maker"),
            _i("price", "ticks", "0 for a market order"),
            _i("qty", "lots", "greater than 0"),
        ),
    ),
    Frame(MessageType.CANCEL_ORDER, "client", "Answered by ORDER_CANCELED or CANCEL_REJECT.", (_COID,)),
    Frame(MessageType.CANCEL_ALL, "client", "Cancels every open order of the account (instrument 0xFFFFFFFF) or of one instrument.", ()),
    Frame(MessageType.ORDER_QUERY, "client", "Answered by ORDER_STATUS.", (_COID,)),
    Frame(
        MessageType.REPLACE_ORDER,
        "client",
        "New price and quantity for a resting order; keeps priority only if the price stands and the quantity shrinks.",
        (_COID, _i("price", "ticks", "new price"), _i("qty", "lots", "new total quantity, filled part included")),
    ),
    Frame(
        MessageType.SUBSCRIBE,
        "client",
        "On the market data port: channels wanted, for one instrument or all (0xFFFFFFFF). Answered by INSTRUMENT frames, "
        "then a snapshot for each instrument where DEPTH was asked for, then the stream.",
        (_i("channels", "codes.Channel bits", "1 BBO, 2 TRADE, 4 DEPTH"),),
    ),
    Frame(MessageType.SNAPSHOT_REQUEST, "client", "On the market data port: a fresh snapshot of one instrument's book.", ()),
    Frame(
        MessageType.CONDITIONAL_ORDER,
        "client",
        "A NEW_ORDER that waits for a trigger price, or ends at a date, or both. Answered like NEW_ORDER; ORDER_TRIGGERED when the last price "
        "reaches the trigger, ORDER_CANCELED with reason 412 when the date comes.",
        (
            _COID,
            _SIDE,
            _i("order_type", "codes.OrderType", "0 limit, 1 market, 2 stop market, 3 stop limit, 4 take profit market, 5 take profit limit"),
            _i("time_in_force", "codes.TimeInForce", "0 GTC, 1 IOC, 2 FOK, 3 GTD"),
            _i("flags", "codes.OrderFlag bits", "1 post only, 2 reduce only, 4 expire taker, 8 expire maker"),
            _i("price", "ticks", "limit price, 0 for the market types"),
            _i("qty", "lots", "greater than 0"),
            _i("trigger_price", "ticks", "for types 2 to 5, else ignored"),
            _i("expire_ts", "ns, exchange clock", "for GTD, else ignored"),
        ),
    ),
    Frame(
        MessageType.MASS_QUOTE,
        "client",
        "A two-sided quote in one instrument, post only, in place of the account's previous quote there. Each side is an order with its own id, "
        "answered like NEW_ORDER, after ORDER_CANCELED for what was left of the previous quote.",
        (
            _i("bid_client_order_id", "id", "of the new bid"),
            _i("ask_client_order_id", "id", "of the new ask"),
            _i("bid_price", "ticks", ""),
            _i("bid_qty", "lots", "0: no bid"),
            _i("ask_price", "ticks", ""),
            _i("ask_qty", "lots", "0: no ask"),
        ),
    ),
    Frame(MessageType.ACCOUNT_QUERY, "client", "Answered by ACCOUNT_STATUS.", ()),
    # venue to client, order entry ----------------------------------------------------------------------------------
    Frame(
        MessageType.LOGON_ACK,
        "venue",
        "The session is open; POSITION frames for every instrument follow, then ORDER_STATUS for every open order.",
        (_TS, _i("account", "id", "account"), _i("next_seq_out", "count", "next client-to-venue sequence the venue expects")),
    ),
    Frame(MessageType.LOGOUT_ACK, "venue", "The session is closed in order.", (_TS,)),
    Frame(
        MessageType.VENUE_HEARTBEAT,
        "venue",
        "Answer to HEARTBEAT, or a sign of life.",
        (_TS, _i("ts_client", "ns", "echo of the client's time, 0 if unasked")),
    ),
    Frame(MessageType.ORDER_ACK, "venue", "The order is accepted.", (_TS, _COID, _OID)),
    Frame(MessageType.ORDER_REJECT, "venue", "The order is refused and changed nothing.", (_TS, _COID, _i("reason", "codes.Reject", "why"))),
    Frame(
        MessageType.ORDER_FILL,
        "venue",
        "A trade of this order.",
        (
            _TS,
            _COID,
            _OID,
            _i("trade_id", "id", "the trade, shared by both sides"),
            _SIDE,
            _i("maker", "flag", "1 if the order was resting"),
            _i("price", "ticks", "trade price"),
            _i("qty", "lots", "traded quantity"),
            _i("leaves_qty", "lots", "still open"),
            _i("fee_e8", "1e-8 quote", "fee charged, negative is a rebate"),
        ),
    ),
    Frame(
        MessageType.ORDER_CANCELED,
        "venue",
        "The rest of the order is gone.",
        (_TS, _COID, _OID, _i("canceled_qty", "lots", "quantity removed"), _i("reason", "codes.Reject", "0 asked for, else why")),
    ),
    Frame(MessageType.CANCEL_REJECT, "venue", "Nothing to cancel.", (_TS, _COID, _i("reason", "codes.Reject", "why"))),
    Frame(
        MessageType.ORDER_STATUS,
        "venue",
        "Answer to ORDER_QUERY.",
        (
            _TS,
            _COID,
            _OID,
            _i("state", "codes.OrderState", "0 if the venue never saw the id"),
            _i("filled_qty", "lots", "filled so far"),
            _i("leaves_qty", "lots", "still open"),
        ),
    ),
    Frame(MessageType.POSITION, "venue", "Position of the account in one instrument.", (_TS, _i("position", "lots", "signed"))),
    Frame(
        MessageType.POSITION_CORRECTION,
        "line",
        "Never on a wire: what a client's own account keeper has found to stand, in the client's journal. The ledger is brought to `position`, at "
        "mark, if it still is at `ledger_position`, and the strategies' legs with it.",
        (_TS, _i("position", "lots", "signed, the venue's"), _i("ledger_position", "lots", "signed, what it was compared with")),
    ),
    Frame(
        MessageType.EXTERNAL_FILL,
        "line",
        "Never on a wire: a fill of an order that the session did not send, in a client's journal. Reason 413, 415 or 416: the venue has closed the "
        "position by itself (liquidation, auto-deleveraging, settlement); 0: another client of the account. Ledger and legs take it in.",
        (
            _TS,
            _OID,
            _i("trade_id", "id", "the trade, 0 where the venue does not say"),
            _SIDE,
            _i("price", "ticks", "trade price"),
            _i("qty", "lots", "traded quantity"),
            _i("fee_e8", "1e-8 quote", "fee charged, negative is a rebate"),
            _i("reason", "codes.Reject", "who closed it, 0: another client"),
        ),
    ),
    Frame(
        MessageType.SESSION_REJECT,
        "venue",
        "The frame or the session is refused; the venue closes after it.",
        (_TS, _i("reason", "codes.Reject", "why")),
    ),
    Frame(MessageType.ORDER_TRIGGERED, "venue", "The last price has reached the trigger: the order is active now.", (_TS, _COID, _OID)),
    Frame(
        MessageType.ACCOUNT_STATUS,
        "venue",
        "Money of the account, in all instruments together.",
        (
            _TS,
            _i("wallet_e8", "1e-8 quote", "deposits, realised profit, fees and funding"),
            _i("unrealised_e8", "1e-8 quote", "profit of the open positions at the mark"),
            _i("initial_margin_e8", "1e-8 quote", "required by positions and resting orders"),
            _i("maintenance_margin_e8", "1e-8 quote", "wallet plus unrealised below this: the venue liquidates"),
        ),
    ),
    Frame(
        MessageType.FUNDING,
        "venue",
        "Funding of one position, unasked, at each settlement: amount = position at the mark * rate, to the account of whoever is on the other side.",
        (
            _TS,
            _i("position", "lots", "signed; 0 where the venue does not say"),
            _i("rate", "1e-8", "of this settlement, positive: long positions pay; 0 where the venue does not say"),
            _i("amount_e8", "1e-8 quote", "paid by the account, negative: received"),
        ),
    ),
    # venue to client, market data ----------------------------------------------------------------------------------
    Frame(
        MessageType.INSTRUMENT,
        "venue",
        "Scales and fees of an instrument, first thing after SUBSCRIBE.",
        (
            _i("symbol0", "ascii", "symbol, bytes 0-7, zero padded"),
            _i("symbol1", "ascii", "symbol, bytes 8-15"),
            _i("tick_size_e8", "1e-8 quote", "tick size"),
            _i("lot_size_e8", "1e-8 base", "lot size"),
            _i("min_notional_e8", "1e-8 quote", "smallest order value"),
            _i("maker_fee_ppm", "1e-6", "maker fee"),
            _i("taker_fee_ppm", "1e-6", "taker fee"),
            _i("count", "count", "instruments the venue has: ids 0 .. count - 1"),
        ),
    ),
    Frame(
        MessageType.BBO,
        "venue",
        "Best bid and offer after a change; a side without orders has price 0 and quantity 0.",
        (_TS, _i("bid_price", "ticks", ""), _i("bid_qty", "lots", ""), _i("ask_price", "ticks", ""), _i("ask_qty", "lots", "")),
    ),
    Frame(
        MessageType.TRADE,
        "venue",
        "A trade.",
        (_TS, _i("trade_id", "id", ""), _i("side", "codes.Side", "aggressor"), _i("price", "ticks", ""), _i("qty", "lots", "")),
    ),
    Frame(
        MessageType.DEPTH,
        "venue",
        "New total quantity at one price level (0 removes it), or one level of a snapshot.",
        (
            _TS,
            _SIDE,
            _i("flags", "codes.DepthFlag bits", "1 last of its batch, 2 level of a snapshot"),
            _i("price", "ticks", ""),
            _i("qty", "lots", "total at this price"),
        ),
    ),
    Frame(
        MessageType.SNAPSHOT_BEGIN,
        "venue",
        "A snapshot follows: its DEPTH frames carry flag 2 and, as this frame, the sequence of the last change it includes.",
        (_TS, _i("n_bid", "levels", ""), _i("n_ask", "levels", "")),
    ),
    Frame(MessageType.SNAPSHOT_END, "venue", "The snapshot is complete; the next change has sequence + 1.", (_TS,)),
    Frame(MessageType.MARKET_STATUS, "venue", "Market open (1) or halted (0).", (_TS, _i("open", "flag", ""))),
)
FRAME = {frame.type: frame for frame in FRAMES}
ALL_INSTRUMENTS = 0xFFFFFFFF


def protocol_tables() -> str:
    """The tables of docs/protocol.md, in Markdown: one section for each frame with word offsets, units and meanings."""
    lines: list[str] = []
    for frame in FRAMES:
        lines += [f"### {frame.name} (type {int(frame.type)}, {frame.bytes} bytes, sent by the {frame.sender})", "", frame.doc, ""]
        if frame.fields:
            lines += ["| byte | field | unit | meaning |", "|---:|---|---|---|"]
            lines += [f"| {frame.word(f.name) * WORD} | {f.name} | {f.unit} | {f.doc or f.name.replace('_', ' ')} |" for f in frame.fields]
            lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(protocol_tables())
