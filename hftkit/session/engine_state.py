"""The memory of one engine: every room of the walk, allocated once (docs/architecture.md).

Live, backtest and replay build the same rooms from the same `SessionConfig` and give them to the same `step`; that is why they
agree. The configuration is plain data, kept whole in the journal's CONFIG record.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from hftkit import layout
from hftkit.codes import Hook, Trading
from hftkit.errors import ConfigError, UnitError
from hftkit.instruments import Instrument, instrument_array
from hftkit.params.format import FrozenParams, canonical_bytes, check_digest, check_frozen
from hftkit.params.ranges import MOST_LOTS, MOST_MONEY, check_range, check_ranges
from hftkit.reading import parse_object, printable
from hftkit.session.policy_records import fill_in, most_wants, policy_of, policy_records, unit_table
from hftkit.session.watching import watch_table, watchers_of
from hftkit.strategies import strategy
from hftkit.strategies.hook_table import hook_table
from hftkit.units import INT64_MAX

UNLIMITED = 2**62  # kernels/trading/strategy_risk.py
OUT_WORDS = 3584  # output buffer, beside what one step may write
MAX_BEHIND_MS = 2000  # the longest that a trade may be newer than the book, where quotes have an age limit
_MOVING_FIELDS, _QUOTED_FIELDS = 1, 4  # the last fields of SIGNAL: 0 where the hedge ratio does not move, where nothing is quoted, likewise
_DRAWDOWN_FIELDS = 1  # the last fields of RISK: 0 without a drawdown limit, likewise
_AGE_FIELDS = 6  # the last fields of BOOK: 0 without an age limit, so a journal of before they existed ends in the digest that it holds


_LIMIT_RANGES = {
    "max_position_lots": (0, MOST_LOTS),
    "max_order_lots": (0, MOST_LOTS),
    "max_order_notional": (0, MOST_MONEY),
    "max_exposure": (0, MOST_MONEY),
    "max_loss": (0, MOST_MONEY),
    "price_band_ticks": (0, MOST_LOTS),
    "max_orders_per_s": (1, 10_000_000),
    "order_burst": (0, 1_000_000_000),
    "order_reserve": (0, 1_000_000_000),
    "max_open_orders": (0, 1_000_000_000),
    "max_rejects": (0, MOST_LOTS),
    "max_quote_age_ms": (0, 86_400_000),  # a day; 0: of any age
    "price_collar_bps": (0, 10_000),
    "max_drawdown": (0, MOST_MONEY),
}
_STRATEGY_RANGES = {
    "max_position_lots": (0, MOST_LOTS),
    "max_exposure": (0, MOST_MONEY),
    "max_loss": (0, MOST_MONEY),
    "max_open_orders": (0, 1_000_000_000),
}
_DAY_NS = 86_400 * 1_000_000_000
_SESSION_RANGES = {
    "epoch": (0, 2**31 - 1),  # the high half of every client order id
    "account": (0, INT64_MAX),
    "heartbeat_ns": (0, _DAY_NS),
    "order_timeout_ns": (0, _DAY_NS),
    "order_capacity": (1, 1 << 20),
    "channels": (0, 63),
}
MAX_INSTRUMENTS = 4096


class StrategyLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Limits of one strategy, beside those of the account; None: none of its own. Money in whole quote units, quantities in lots.

    At `max_loss` it is stopped alone: paused (it enters nothing new, its own exits go on), or left at once.
    """

    max_position_lots: int | None = None
    max_exposure: int | None = None
    max_loss: int | None = None
    max_open_orders: int | None = None
    on_loss: Literal["pause", "flatten"] = "flatten"

    def __post_init__(self) -> None:
        for name, allowed in _STRATEGY_RANGES.items():
            if getattr(self, name) is not None:
                check_range(name, getattr(self, name), allowed)


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Risk limits. Money in whole quote units, quantities in lots; `positions` and `order_qty` may name single symbols."""

    max_position_lots: int = 1_000_000
    max_order_lots: int = 1_000_000
    max_order_notional: int = 100_000
    max_exposure: int = 250_000
    max_loss: int = 5_000
    price_band_ticks: int = 200
    max_orders_per_s: int = 1_000
    order_burst: int = 100
    order_reserve: int = 0
    max_open_orders: int = 64
    max_rejects: int = 10
    max_position_lots_by_symbol: dict[str, int] = {}
    max_order_lots_by_symbol: dict[str, int] = {}
    max_quote_age_ms: int = 0  # no order is priced on an older quote; 0: of any age. `hftkit live` has a default of its own
    price_collar_bps: int = 0  # no limit price further from the middle of the book, to either side; 0: any
    max_drawdown: int = 0  # fall from the highest P&L of the session at which trading halts; 0: none
    strategy: dict[str, StrategyLimits] = {}  # of single strategies, by the name of their frozen file

    def __post_init__(self) -> None:
        check_ranges(self, _LIMIT_RANGES)
        for name in ("max_position_lots_by_symbol", "max_order_lots_by_symbol"):
            for symbol, lots in getattr(self, name).items():
                check_range(f"{name}.{symbol}", lots, (0, MOST_LOTS))
        if self.order_reserve >= max(self.order_burst, 1):
            raise ValueError(f"order_reserve is {self.order_reserve}: must be below order_burst {self.order_burst}, or nothing could be entered")


class SessionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that decides how a session behaves; the order of `instruments` is the venue's instrument id."""

    epoch: int
    account: int
    instruments: tuple[Instrument, ...]
    strategies: tuple[FrozenParams, ...]
    limits: Limits
    heartbeat_ns: int = 1_000_000_000
    order_timeout_ns: int = 2_000_000_000
    cancel_on_disconnect: bool = True
    order_capacity: int = 4096
    channels: int = 6  # codes.Channel bits: TRADE and DEPTH
    logon_words: tuple[int, ...] = ()  # the LOGON frame as it was sent
    venue_is_final: bool = True  # external fills and corrections reach the legs, refusals grow pauses; false in journals from before
    positions_in_order: bool = False  # a POSITION frame stands where it belongs among the fills: what differs is taken in at once
    by_strategy: bool = True  # each strategy has accounts and limits of its own, and is planned when it is concerned; false in journals from before
    watch_validity: bool = False  # a frozen file enters nothing new once it has expired by the venue's clock; journals from before have no such rule

    def __post_init__(self) -> None:
        """Everything here reaches a kernel without another look. Raises ValueError."""
        check_ranges(self, _SESSION_RANGES)
        if not 1 <= len(self.instruments) <= MAX_INSTRUMENTS:
            raise ValueError(f"{len(self.instruments)} instruments: allowed are 1 to {MAX_INSTRUMENTS}")
        symbols = {instrument.symbol for instrument in self.instruments}
        if len(symbols) != len(self.instruments):
            raise ValueError("an instrument is named twice")
        if len(self.logon_words) > layout.MAX_FRAME_WORDS:
            raise ValueError(f"logon_words has {len(self.logon_words)} words: a frame has at most {layout.MAX_FRAME_WORDS}")
        for word in self.logon_words:
            check_range("a word of logon_words", word, (-INT64_MAX - 1, INT64_MAX))

    def to_bytes(self) -> bytes:
        """Canonical JSON: the same configuration gives the same bytes."""
        return canonical_bytes(msgspec.to_builtins(self))

    @classmethod
    def from_bytes(cls, text: bytes) -> SessionConfig:
        """Inverse of `to_bytes`. Raises ConfigError on anything else, a frozen file that was altered among it."""

        def refuse(why: str) -> ConfigError:
            return ConfigError(
                f"the session configuration cannot be read: {printable(why)}", "The journal was altered, or written by another version"
            )

        try:
            config = msgspec.convert({"venue_is_final": False, "by_strategy": False, **parse_object(text, refuse)}, cls)
        except UnitError as error:  # an instrument that contradicts itself
            raise refuse(error.problem) from None
        except (ValueError, OverflowError, msgspec.ValidationError) as error:
            raise refuse(str(error)) from None
        for frozen in config.strategies:
            check_digest(frozen, f"frozen file {frozen.name[:64]!r} of the session")
        return config


class EngineState(NamedTuple):
    """Every array of one engine. dtype and writer of each: hftkit/layout.py. `*_words` are int64 views of the same memory."""

    instruments: np.ndarray  # INSTRUMENT (n,)
    event: np.ndarray  # EVENT (1,)
    book: np.ndarray  # BOOK (n,)
    levels: np.ndarray  # int64 (n, 2, BOOK_DEPTH, 2)
    signal: np.ndarray  # SIGNAL (k,)
    legs: np.ndarray  # LEGS (k,)
    quotes: np.ndarray  # QUOTES (k,), none where no strategy quotes
    baskets: np.ndarray  # BASKET (k,), likewise
    basket_legs: np.ndarray  # BASKET_LEG (k * BASKET_LEGS,)
    want: np.ndarray  # WANT (wants,): what all strategies together may want in one step
    allowed: np.ndarray  # ALLOWED (wants,)
    orders: np.ndarray  # ORDER (capacity,)
    open_qty: np.ndarray  # OPEN (n,)
    ledger: np.ndarray  # LEDGER (n,)
    external: np.ndarray  # EXTERNAL (n,)
    refused: np.ndarray  # int64 (k, w): orders in each place that the venue has refused, one after the other
    rules: np.ndarray  # int64 (1,): bits layout.VENUE_IS_FINAL, POSITIONS_IN_ORDER, BY_STRATEGY
    limit: np.ndarray  # LIMIT (n,)
    risk: np.ndarray  # RISK (1,)
    slots: np.ndarray  # SLOT (k,)
    held: np.ndarray  # LEDGER (k, w): what each strategy holds in each instrument that it watches
    open_held: np.ndarray  # OPEN (k, w): its open orders there
    watch: np.ndarray  # int64 (k, w): instruments that each strategy watches, -1 beyond them; of a pair: lead, hedge
    watcher_start: np.ndarray  # int64 (n + 1,): where the watchers of each instrument begin
    watchers: np.ndarray  # int64 (m, 2): slot and place of each watcher, by instrument and slot
    touched: np.ndarray  # int64 (k + 1,): number of the slots that the event concerns, and which
    session: np.ndarray  # SESSION (1,)
    valid_until: np.ndarray  # int64 (k,) exchange time, ns, from which a slot's frozen file enters nothing new
    units: np.ndarray  # int64 (k, BASKET_LEGS) signed lots of each leg in a unit, by the frozen file; taken over where a strategy is flat
    params: np.ndarray  # float64 (k, p)
    state: np.ndarray  # float64 (k, s)
    order_out: np.ndarray  # int64 (words,) frames for the order entry socket
    data_out: np.ndarray  # int64 (words,) frames for the market data socket
    out_end: np.ndarray  # int64 (2,) words used in order_out, data_out
    logon: np.ndarray  # int64 (words,) the LOGON frame
    signal_words: np.ndarray  # int64 view of signal
    allowed_words: np.ndarray  # int64 view of allowed
    legs_words: np.ndarray  # int64 view of legs, quotes, baskets and basket_legs: one memory
    tried_legs: np.ndarray  # scratch of kernels/due.py: what planning would make of the legs
    tried_quotes: np.ndarray  # likewise
    tried_baskets: np.ndarray
    tried_basket_legs: np.ndarray
    tried_words: np.ndarray  # int64 view of the four
    tried_want: np.ndarray  # WANT (wants,) scratch of kernels/due.py


STATE_ROOMS = ("book", "levels", "signal", "legs", "orders", "open_qty", "ledger", "risk", "session", "state")
LATER_ROOMS = ("external", "refused")  # of sessions with VENUE_IS_FINAL: older journals end with a digest that knows nothing of them
POLICY_ROOMS = ("quotes", "baskets", "basket_legs")  # empty where no strategy has such a policy
STRATEGY_ROOMS = ("slots", "held", "open_held")  # of sessions with BY_STRATEGY and several strategies: of one alone they say nothing new


def build_engine_state(config: SessionConfig) -> EngineState:
    """Allocate and initialise all rooms. Raises ParamsError or ConfigError where the parts do not fit together."""
    n = len(config.instruments)
    k = len(config.strategies)
    if not 1 <= k <= layout.MAX_STRATEGIES:
        raise ConfigError(f"{k} frozen files given, an engine runs 1 to {layout.MAX_STRATEGIES}", "Trade the others in a second session")
    for frozen in config.strategies:
        check_frozen(frozen, frozen.name[:64])
    ids = {instrument.symbol: i for i, instrument in enumerate(config.instruments)}
    packed = [strategy(frozen.strategy).pack_params(frozen) for frozen in config.strategies]
    states = [strategy(frozen.strategy).pack_state(frozen) for frozen in config.strategies]
    signal = np.zeros(k, layout.SIGNAL.dtype)
    signal["zscore"] = np.nan
    wants = max(layout.LEAST_WANTS, sum(most_wants(frozen) for frozen in config.strategies))
    allowed = np.zeros(wants, layout.ALLOWED.dtype)
    watch = watch_table(config.strategies, ids)
    watcher_start, watchers = watchers_of(watch, n)
    out_reserve = 384 + 16 * wants  # kernels/step.py, out_reserve
    kept, tried = policy_records(config.strategies), policy_records(config.strategies)
    fill_in(kept, config.strategies, watch)
    rooms = EngineState(
        instruments=instrument_array(config.instruments),
        event=np.zeros(1, layout.EVENT.dtype),
        book=np.zeros(n, layout.BOOK.dtype),
        levels=np.zeros((n, 2, layout.BOOK_DEPTH, 2), np.int64),
        signal=signal,
        legs=kept.legs,
        quotes=kept.quotes,
        baskets=kept.baskets,
        basket_legs=kept.basket_legs,
        want=np.zeros(wants, layout.WANT.dtype),
        allowed=allowed,
        orders=np.zeros(config.order_capacity, layout.ORDER.dtype),
        open_qty=np.zeros(n, layout.OPEN.dtype),
        ledger=np.zeros(n, layout.LEDGER.dtype),
        external=np.zeros(n, layout.EXTERNAL.dtype),
        refused=np.zeros(watch.shape, np.int64),
        rules=_rules(config),
        limit=_limit(config),
        risk=_risk(config.limits),
        slots=_slots(config, watch),
        held=np.zeros(watch.shape, layout.LEDGER.dtype),
        open_held=np.zeros(watch.shape, layout.OPEN.dtype),
        watch=watch,
        watcher_start=watcher_start,
        watchers=watchers,
        touched=np.zeros(k + 1, np.int64),
        session=np.zeros(1, layout.SESSION.dtype),
        valid_until=_valid_until(config),
        units=unit_table(config.strategies),
        params=_stack(packed),
        state=_stack(states),
        order_out=np.zeros(OUT_WORDS + out_reserve, np.int64),
        data_out=np.zeros(OUT_WORDS + out_reserve, np.int64),
        out_end=np.zeros(2, np.int64),
        logon=np.array(config.logon_words, np.int64),
        signal_words=signal.view(np.int64),
        allowed_words=allowed.view(np.int64),
        legs_words=kept.words,
        tried_legs=tried.legs,
        tried_quotes=tried.quotes,
        tried_baskets=tried.baskets,
        tried_basket_legs=tried.basket_legs,
        tried_words=tried.words,
        tried_want=np.zeros(wants, layout.WANT.dtype),
    )
    rooms.book["max_age_ns"] = config.limits.max_quote_age_ms * 1_000_000
    rooms.book["max_behind_ns"] = min(config.limits.max_quote_age_ms, MAX_BEHIND_MS) * 1_000_000
    session = rooms.session[0]
    session["epoch"], session["account"], session["next_order"] = config.epoch, config.account, 1
    session["first_open"] = 1
    session["heartbeat_ns"], session["order_timeout_ns"] = config.heartbeat_ns, config.order_timeout_ns
    session["cancel_on_disconnect"] = int(config.cancel_on_disconnect)
    session["channels"] = config.channels
    return rooms


def _stack(rows: list[np.ndarray]) -> np.ndarray:
    table = np.zeros((len(rows), max(row.size for row in rows)), np.float64)
    for target, row in zip(table, rows, strict=True):
        target[: row.size] = row
    return table


def _rules(config: SessionConfig) -> np.ndarray:
    chosen = {layout.VENUE_IS_FINAL: config.venue_is_final, layout.POSITIONS_IN_ORDER: config.positions_in_order}
    return np.array([sum(bit for bit, on in {**chosen, layout.BY_STRATEGY: config.by_strategy}.items() if on)], np.int64)


def _slots(config: SessionConfig, watch: np.ndarray) -> np.ndarray:
    """SLOT (k,): each strategy's policy and limits. Raises ConfigError for limits of a strategy that the session does not run."""
    slots = np.zeros(len(config.strategies), layout.SLOT.dtype)
    slots["n_watched"] = (watch >= 0).sum(axis=1)
    slots["n_traded"] = [len(frozen.traded) for frozen in config.strategies]
    slots["policy"] = [policy_of(frozen) for frozen in config.strategies]
    if not config.by_strategy and slots["policy"].any():
        raise ConfigError("only pairs trade without accounts by strategy", "Leave by_strategy at its default")
    names = [frozen.name for frozen in config.strategies]
    if unknown := sorted(set(config.limits.strategy) - set(names)):
        raise ConfigError(f"limits.strategy names {unknown[0][:64]}, which the session does not run", f"It runs {', '.join(names)}")
    for row, name in zip(slots, names, strict=True):
        limits = config.limits.strategy.get(name, StrategyLimits())
        row["max_position"] = _or_none(limits.max_position_lots, 1)
        row["max_exposure_e8"] = _or_none(limits.max_exposure, layout.MONEY_SCALE)
        row["max_loss_e8"] = _or_none(limits.max_loss, layout.MONEY_SCALE)
        row["max_open_orders"] = _or_none(limits.max_open_orders, 1)
        row["on_loss"] = int(Trading.PAUSED if limits.on_loss == "pause" else Trading.FLATTENING)
    return slots


def _or_none(limit: int | None, scale: int) -> int:
    return UNLIMITED if limit is None else limit * scale


def _valid_until(config: SessionConfig) -> np.ndarray:
    ends = [frozen.valid_until_ns if config.watch_validity else INT64_MAX for frozen in config.strategies]
    return np.array(ends, np.int64)


def _limit(config: SessionConfig) -> np.ndarray:
    limits = config.limits
    table = np.zeros(len(config.instruments), layout.LIMIT.dtype)
    table["max_position"] = limits.max_position_lots
    table["max_order_qty"] = limits.max_order_lots
    table["max_order_notional_e8"] = limits.max_order_notional * layout.MONEY_SCALE
    table["price_band_ticks"] = limits.price_band_ticks
    table["collar_ppm"] = limits.price_collar_bps * 100
    symbols = [instrument.symbol for instrument in config.instruments]
    for key, column in (("max_position_lots_by_symbol", "max_position"), ("max_order_lots_by_symbol", "max_order_qty")):
        for symbol, lots in getattr(limits, key).items():
            if symbol not in symbols:
                raise ConfigError(f"limits.{key} names {symbol}, which the venue does not have", f"It offers {symbols}")
            table[column][symbols.index(symbol)] = lots
    return table


def _risk(limits: Limits) -> np.ndarray:
    risk = np.zeros(1, layout.RISK.dtype)
    row = risk[0]
    row["max_exposure_e8"] = limits.max_exposure * layout.MONEY_SCALE
    row["max_loss_e8"] = limits.max_loss * layout.MONEY_SCALE
    row["max_orders_per_s"], row["order_burst"] = limits.max_orders_per_s, limits.order_burst
    row["order_reserve"] = limits.order_reserve
    row["max_open_orders"], row["max_rejects"] = limits.max_open_orders, limits.max_rejects
    row["max_drawdown_e8"] = limits.max_drawdown * layout.MONEY_SCALE
    row["trading"] = int(Trading.PAUSED)  # until start-up is complete
    return risk


def _used_signal(room: np.ndarray) -> np.ndarray:
    """SIGNAL without the last fields that nobody uses: journals from before they existed end in the digest that they hold."""
    if any(room[name].any() for name in ("bid_price", "bid_qty", "ask_price", "ask_qty")):
        return room
    unused = _QUOTED_FIELDS + (0 if room["unit_hedge"].any() else _MOVING_FIELDS)
    return room.view(np.int64).reshape(room.size, -1)[:, :-unused]


def state_digest(rooms: EngineState) -> bytes:
    """SHA-256 (32 bytes) over every state room: two engines with the same digest are in the same state, bit for bit."""
    digest = hashlib.sha256()
    later = LATER_ROOMS if rooms.rules[0] & layout.VENUE_IS_FINAL else ()
    shared = STRATEGY_ROOMS if rooms.rules[0] & layout.BY_STRATEGY and rooms.slots.size > 1 else ()
    for name in STATE_ROOMS + later + POLICY_ROOMS + shared:
        room: Any = getattr(rooms, name)
        if name == "book" and not room["max_age_ns"].any():
            room = room.view(np.int64).reshape(room.size, -1)[:, :-_AGE_FIELDS]
        if name == "signal":
            room = _used_signal(room)
        if name == "risk" and not room["max_drawdown_e8"].any():
            room = room.view(np.int64).reshape(room.size, -1)[:, :-_DRAWDOWN_FIELDS]
        digest.update(np.ascontiguousarray(room).tobytes())
    return digest.digest()


def strategy_kernels(config: SessionConfig) -> np.ndarray:
    """The table of the hooks of a session's strategies, int64 (k, hooks), compiled: what the step takes as `strategies`."""
    return hook_table(hooks_of(config))


def hooks_of(config: SessionConfig) -> list[dict[Hook, Any]]:
    """The hooks of a session's strategies, as Python sees them."""
    return [strategy(frozen.strategy).hooks() for frozen in config.strategies]
