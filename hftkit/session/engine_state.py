"""The memory of one engine: every room of the walk, allocated once (docs/architecture.md).

Live, backtest and replay build the same rooms from the same `SessionConfig` and give them to the same `step`; that is why they
agree. The configuration is plain data, kept whole in the journal's CONFIG record.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec
import numpy as np

from hftkit import layout
from hftkit.codes import Trading
from hftkit.errors import ConfigError, ParamsError, UnitError
from hftkit.instruments import Instrument, instrument_array
from hftkit.params.format import FrozenParams, canonical_bytes, check_digest, check_frozen
from hftkit.params.ranges import MOST_LOTS, MOST_MONEY, check_range, check_ranges
from hftkit.reading import parse_object, printable
from hftkit.strategies import strategy
from hftkit.units import INT64_MAX

OUT_WORDS = 4096  # output buffer; one step writes at most a few hundred words
OUT_RESERVE = 512
MAX_BEHIND_MS = 2000  # the longest that a trade may be newer than the book, where quotes have an age limit
_MOVING_FIELDS = 1  # the last fields of SIGNAL: 0 where the hedge ratio does not move, likewise
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
            config = msgspec.convert({"venue_is_final": False, **parse_object(text, refuse)}, cls)
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
    want: np.ndarray  # WANT (MAX_WANTS,)
    allowed: np.ndarray  # ALLOWED (MAX_WANTS,)
    orders: np.ndarray  # ORDER (capacity,)
    open_qty: np.ndarray  # OPEN (n,)
    ledger: np.ndarray  # LEDGER (n,)
    external: np.ndarray  # EXTERNAL (n,)
    refused: np.ndarray  # int64 (k, 2): orders of lead and hedge that the venue has refused, one after the other
    rules: np.ndarray  # int64 (1,): bits layout.VENUE_IS_FINAL, POSITIONS_IN_ORDER
    limit: np.ndarray  # LIMIT (n,)
    risk: np.ndarray  # RISK (1,)
    session: np.ndarray  # SESSION (1,)
    valid_until: np.ndarray  # int64 (k,) exchange time, ns, from which a slot's frozen file enters nothing new
    params: np.ndarray  # float64 (k, p)
    state: np.ndarray  # float64 (k, s)
    order_out: np.ndarray  # int64 (OUT_WORDS,) frames for the order entry socket
    data_out: np.ndarray  # int64 (OUT_WORDS,) frames for the market data socket
    out_end: np.ndarray  # int64 (2,) words used in order_out, data_out
    logon: np.ndarray  # int64 (words,) the LOGON frame
    signal_words: np.ndarray  # int64 view of signal
    allowed_words: np.ndarray  # int64 view of allowed
    legs_words: np.ndarray  # int64 view of legs
    tried_legs: np.ndarray  # LEGS (k,) scratch of kernels/due.py: what planning would make of the legs
    tried_words: np.ndarray  # int64 view of tried_legs
    tried_want: np.ndarray  # WANT (MAX_WANTS,) scratch of kernels/due.py


STATE_ROOMS = ("book", "levels", "signal", "legs", "orders", "open_qty", "ledger", "risk", "session", "state")
LATER_ROOMS = ("external", "refused")  # of sessions with VENUE_IS_FINAL: older journals end with a digest that knows nothing of them


def build_engine_state(config: SessionConfig) -> EngineState:
    """Allocate and initialise all rooms. Raises ParamsError or ConfigError where the parts do not fit together."""
    n = len(config.instruments)
    k = len(config.strategies)
    if not 1 <= k <= layout.MAX_STRATEGIES:
        raise ConfigError(f"{k} frozen files given, an engine runs 1 to {layout.MAX_STRATEGIES}")
    for frozen in config.strategies:
        check_frozen(frozen, frozen.name[:64])
    ids = {instrument.symbol: i for i, instrument in enumerate(config.instruments)}
    packed = [strategy(frozen.strategy).pack_params(frozen) for frozen in config.strategies]
    states = [strategy(frozen.strategy).pack_state(frozen) for frozen in config.strategies]
    signal = np.zeros(k, layout.SIGNAL.dtype)
    signal["zscore"] = np.nan
    allowed = np.zeros(layout.MAX_WANTS, layout.ALLOWED.dtype)
    legs, tried = _legs(config, ids), np.zeros(k, layout.LEGS.dtype)
    rooms = EngineState(
        instruments=instrument_array(config.instruments),
        event=np.zeros(1, layout.EVENT.dtype),
        book=np.zeros(n, layout.BOOK.dtype),
        levels=np.zeros((n, 2, layout.BOOK_DEPTH, 2), np.int64),
        signal=signal,
        legs=legs,
        want=np.zeros(layout.MAX_WANTS, layout.WANT.dtype),
        allowed=allowed,
        orders=np.zeros(config.order_capacity, layout.ORDER.dtype),
        open_qty=np.zeros(n, layout.OPEN.dtype),
        ledger=np.zeros(n, layout.LEDGER.dtype),
        external=np.zeros(n, layout.EXTERNAL.dtype),
        refused=np.zeros((k, 2), np.int64),
        rules=np.array([layout.VENUE_IS_FINAL * config.venue_is_final + layout.POSITIONS_IN_ORDER * config.positions_in_order], np.int64),
        limit=_limit(config),
        risk=_risk(config.limits),
        session=np.zeros(1, layout.SESSION.dtype),
        valid_until=_valid_until(config),
        params=_stack(packed),
        state=_stack(states),
        order_out=np.zeros(OUT_WORDS, np.int64),
        data_out=np.zeros(OUT_WORDS, np.int64),
        out_end=np.zeros(2, np.int64),
        logon=np.array(config.logon_words, np.int64),
        signal_words=signal.view(np.int64),
        allowed_words=allowed.view(np.int64),
        legs_words=legs.view(np.int64),
        tried_legs=tried,
        tried_words=tried.view(np.int64),
        tried_want=np.zeros(layout.MAX_WANTS, layout.WANT.dtype),
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


def _legs(config: SessionConfig, ids: dict[str, int]) -> np.ndarray:
    legs = np.zeros(len(config.strategies), layout.LEGS.dtype)
    for row, frozen in zip(legs, config.strategies, strict=True):
        plan = frozen.legs
        for symbol in (plan.lead, plan.hedge):
            if symbol and symbol not in ids:
                raise ParamsError(f"{frozen.name}: the venue has no {symbol}", f"It offers {sorted(ids)}")
        row["lead"] = ids[plan.lead]
        row["hedge"] = ids[plan.hedge] if plan.hedge else layout.NO_INSTRUMENT
        row["unit_lead"], row["unit_hedge"] = plan.unit_lead_lots, plan.unit_hedge_lots
        if plan.unit_lead_lots <= 0 or (plan.hedge and plan.unit_hedge_lots == 0):
            raise ParamsError(f"{frozen.name}: one unit is {plan.unit_lead_lots} and {plan.unit_hedge_lots} lots", "Both legs need lots")
        row["slippage_ticks"], row["hedge_deadline_ns"] = plan.slippage_ticks, plan.hedge_deadline_ns
        row["retry_ns"], row["residual_lots"] = plan.retry_ns, plan.residual_lots
        row["maker_patience_ns"], row["reprice_ticks"] = plan.maker_patience_ns, plan.reprice_ticks
    return legs


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
    row["trading"] = int(Trading.PAUSED)  # until start-up is complete
    return risk


def state_digest(rooms: EngineState) -> bytes:
    """SHA-256 (32 bytes) over every state room: two engines with the same digest are in the same state, bit for bit."""
    digest = hashlib.sha256()
    for name in STATE_ROOMS + (LATER_ROOMS if rooms.rules[0] & layout.VENUE_IS_FINAL else ()):
        room: Any = getattr(rooms, name)
        if name == "book" and not room["max_age_ns"].any():
            room = room.view(np.int64).reshape(room.size, -1)[:, :-_AGE_FIELDS]
        if name == "signal" and not room["unit_hedge"].any():
            room = room.view(np.int64).reshape(room.size, -1)[:, :-_MOVING_FIELDS]
        digest.update(np.ascontiguousarray(room).tobytes())
    return digest.digest()


def strategy_kernels(config: SessionConfig) -> tuple[Any, ...]:
    """The compiled kernels of a session, one a slot, padded to MAX_STRATEGIES so that one compiled loop serves any number."""
    kernels = [strategy(frozen.strategy).kernel() for frozen in config.strategies]
    return tuple(kernels + [kernels[0]] * (layout.MAX_STRATEGIES - len(kernels)))
