"""A telemetry snapshot as plain data for people: what every panel shows. Pure: snapshot in, values out, the time is an argument.

Money is decimal text in the quote currency, quantities and prices decimal text in the instrument's own units, latencies float microseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hftkit.codes import (
    BreakerState,
    Hop,
    LegState,
    LinePart,
    LineState,
    OrderRoute,
    Policy,
    Reject,
    SessionStatus,
    Side,
    SignalReason,
    Sync,
    Trading,
)
from hftkit.kernels.memory.telemetry import FILL_FEE_E8, FILL_INSTRUMENT, FILL_MAKER, FILL_PRICE, FILL_QTY, FILL_SIDE, FILL_TS_EVENT
from hftkit.session import fill_stats as execution
from hftkit.session.telemetry import Snapshot
from hftkit.system.space import bytes_in_words, hours_in_words
from hftkit.units import from_e8, from_steps, iso_from_ns
from live.book_watch import is_stale

STALE_NS = 2_000_000_000  # an engine that trades publishes many times a second
RECENT_FILLS = 8
ENDED = (SessionStatus.STOPPED, SessionStatus.FAILED)


@dataclass(frozen=True)
class Position:
    """One instrument: what is held, what it is worth, what it has earned."""

    symbol: str
    lots: int
    quantity: str  # base units
    average_price: str  # quote per base unit, "" when flat
    market_price: str  # mid of the last trusted book, "" before there was one
    realized: str
    unrealized: str
    fees: str
    fills: int
    not_ours: int = 0  # lots among them that the ledger took over from the venue's account, signed
    book: str = ""  # age of its quotes, "0.1 s"; "stale, 4.2 s" or "none" where they are not traded on
    stale: bool = False


@dataclass(frozen=True)
class StrategyView:
    """One strategy slot: where its signal stands against its thresholds, and where its pair stands."""

    name: str
    digest: str  # head of the frozen file's digest
    pair: str
    state: str
    target: int
    zscore: float  # standard deviations; NaN while warming up
    entry_z: float | None
    exit_z: float | None
    stop_z: float | None
    reason: str
    ts_event: int  # exchange time of the signal, ns
    bars: str  # "37/60" while the window fills, "60" after
    entries: int
    exits: int
    unwinds: int
    resting: str  # "up to 1,240 lots ahead" while the lead order rests, else ""


@dataclass(frozen=True)
class HopView:
    """Latency of one hop in microseconds; `n` values recorded."""

    name: str
    n: int
    p50: float
    p95: float
    p99: float
    p999: float
    max: float


@dataclass(frozen=True)
class FillView:
    """One fill."""

    time: str
    symbol: str
    side: str
    quantity: str
    price: str
    fee: str
    maker: bool


@dataclass(frozen=True)
class LineView:
    """One part of a line to a venue of several connections."""

    name: str
    state: str
    breaker: str
    up: bool  # connected, its breaker closed
    connects: int
    failures: int
    messages: int
    silence_s: float  # since it last brought anything; NaN before it did
    backlog: int  # bytes


@dataclass(frozen=True)
class View:
    """Everything a panel shows. `live`: the engine is running and publishing; otherwise `headline` says what is the matter."""

    session: str
    headline: str
    live: bool
    status: SessionStatus
    trading: Trading
    uptime_s: float
    age_s: float
    net_pnl: str
    realized: str
    unrealized: str
    fees: str
    funding: str  # paid, received negative
    drawdown: str
    exposure: str
    exposure_share: float  # of the limit, 0..1 and beyond; NaN without a limit
    loss_share: float
    orders: int
    fills: int
    cancels: int
    rejects: int
    vetoes: int
    filled: execution.Filled
    orders_per_s: float
    fills_per_s: float
    positions: tuple[Position, ...]
    strategies: tuple[StrategyView, ...]
    latency: tuple[HopView, ...]
    recent: tuple[FillView, ...]
    line: tuple[LineView, ...]  # empty where the venue is one pair of sockets
    clock: str  # "+1.2 ms (known to 0.4 ms)", "" where it is not estimated
    not_ours: str = ""  # orders on the account that are not this session's, in words
    disk: str = ""  # room for the journal: "4.0 GB free, 12 days at 13.1 MB an hour"
    disk_low: bool = False
    last_veto: str = ""  # reason and instrument of the last want that risk refused


def view(snapshot: Snapshot, info: dict[str, Any], now_ns: int, previous: Snapshot | None = None) -> View:
    """The view of one snapshot. `info`: the page's directory; `now_ns`: CLOCK_MONOTONIC; rates are since `previous`, 0 without it."""
    session, risk, ledger = snapshot.session, snapshot.risk, snapshot.ledger
    trading = Trading(int(risk["trading"]))
    age_ns = max(0, now_ns - snapshot.ts_published)
    ended = snapshot.status in ENDED
    stale = not ended and snapshot.ts_published > 0 and age_ns > STALE_NS
    realized, unrealized, fees, funding = (int(ledger[name].sum()) for name in ("realized_e8", "unrealized_e8", "fees_e8", "funding_e8"))
    positions = _positions(snapshot, info)
    return View(
        session=str(info.get("session", "")),
        headline=_headline(snapshot, trading, age_ns / 1e9, stale),
        live=not ended and not stale,
        status=snapshot.status,
        trading=trading,
        uptime_s=max(0, snapshot.ts_published - snapshot.started_monotonic_ns) / 1e9,
        age_s=age_ns / 1e9,
        net_pnl=from_e8(realized + unrealized - fees - funding, 2),
        realized=from_e8(realized, 2),
        unrealized=from_e8(unrealized, 2),
        fees=from_e8(fees, 2),
        funding=from_e8(funding, 2),
        drawdown=from_e8(int(risk["drawdown_e8"]), 2),
        exposure=from_e8(int(risk["exposure_e8"]), 2),
        exposure_share=_share(int(risk["exposure_e8"]), int(risk["max_exposure_e8"])),
        loss_share=_share(max(0, -int(risk["equity_e8"])), int(risk["max_loss_e8"])),
        orders=int(session["n_orders"]),
        fills=int(session["n_fills"]),
        cancels=int(session["n_canceled"]),
        rejects=int(session["n_rejects"]),
        vetoes=int(risk["n_vetoes"]),
        filled=execution.filled(ledger, snapshot.legs, session),
        orders_per_s=_rate(snapshot, previous, "n_orders"),
        fills_per_s=_rate(snapshot, previous, "n_fills"),
        positions=positions,
        strategies=_strategies(snapshot, info),
        latency=tuple(_hop(snapshot, hop) for hop in (Hop.TICK_TO_ORDER, Hop.SIGNAL, Hop.RISK, Hop.SEND, Hop.ACK, Hop.TICK)),
        recent=tuple(_fill(row, info["instruments"]) for row in reversed(snapshot.fills[-RECENT_FILLS:])),
        line=tuple(
            _line(LinePart(i), row, now_ns, snapshot.account, [p.symbol for p in positions if p.stale])
            for i, row in enumerate(snapshot.line)
            if row["state"] != LineState.OFF
        ),
        clock=_clock(snapshot.account),
        not_ours=_not_ours(snapshot.account),
        disk=_disk(snapshot),
        disk_low=snapshot.space_level > 0,
        last_veto=_last_veto(snapshot, info),
    )


def _line(part: LinePart, row: Any, now_ns: int, account: Any, stale: list[str]) -> LineView:
    """`stale`: symbols whose book is. A connection that is up has books that are not."""
    by_rest = part is LinePart.ORDERS and account["order_way"] == OrderRoute.REST
    without = stale if part is LinePart.PUBLIC and row["state"] == LineState.UP else []
    state, breaker, seen = LineState(int(row["state"])), BreakerState(int(row["breaker"])), int(row["ts_progress"])
    return LineView(
        name=f"{part.text} by REST" if by_rest else part.text,
        state=f"stale: {', '.join(stale)}" if without else state.text,
        breaker=breaker.text,
        up=state == LineState.UP and breaker == BreakerState.CLOSED and not without,
        connects=int(row["n_connects"]),
        failures=int(row["n_failures"]),
        messages=int(row["n_messages"]),
        silence_s=max(0, now_ns - seen) / 1e9 if seen else math.nan,
        backlog=int(row["backlog"]),
    )


def _disk(snapshot: Snapshot) -> str:
    if not snapshot.space_bytes_per_h:
        return ""
    hours = hours_in_words(snapshot.space_free / snapshot.space_bytes_per_h)
    return f"{bytes_in_words(snapshot.space_free)} free, {hours} at {bytes_in_words(snapshot.space_bytes_per_h)} an hour"


def _last_veto(snapshot: Snapshot, info: dict[str, Any]) -> str:
    known = snapshot.veto_reason in set(Reject) and snapshot.veto_reason and 0 <= snapshot.veto_instrument < len(info["instruments"])
    return f"{Reject(snapshot.veto_reason).text}, {info['instruments'][snapshot.veto_instrument]['symbol']}" if known else ""


def _clock(account: Any) -> str:
    bound = int(account["clock_bound_ns"])
    return f"{int(account['clock_offset_ns']) / 1e6:+.1f} ms (known to {bound / 1e6:.1f} ms)" if bound else ""


def _not_ours(account: Any) -> str:
    counted = (
        ("n_foreign", "orders of another engine of ours"),
        ("n_strangers", "open orders of strangers"),
        ("n_stranger_events", "events of strangers' orders"),
        ("n_orphans", "left by earlier sessions and cancelled"),
    )
    return ", ".join(f"{int(account[name]):,} {words}" for name, words in counted if int(account[name]))


def _headline(snapshot: Snapshot, trading: Trading, age_s: float, stale: bool) -> str:
    if stale:
        return f"no sign of life for {age_s:.0f} s"
    if snapshot.status != SessionStatus.TRADING:
        return snapshot.status.text
    if trading == Trading.HALTED:
        return f"halted: {Reject(int(snapshot.risk['halt_reason'])).text}"
    return "trading" if trading == Trading.ENABLED else trading.text


def _share(used: int, limit: int) -> float:
    return used / limit if limit > 0 else math.nan


def _rate(snapshot: Snapshot, previous: Snapshot | None, counter: str) -> float:
    if previous is None or snapshot.ts_published <= previous.ts_published:
        return 0.0
    seconds = (snapshot.ts_published - previous.ts_published) / 1e9
    return (int(snapshot.session[counter]) - int(previous.session[counter])) / seconds


def _positions(snapshot: Snapshot, info: dict[str, Any]) -> tuple[Position, ...]:
    """Instruments that a strategy trades or that were ever traded."""
    watched = {symbol for facts in info["strategies"] for symbol in facts["watched"]}
    shown = []
    for i, (row, instrument) in enumerate(zip(snapshot.ledger, info["instruments"], strict=True)):
        if instrument["symbol"] not in watched and not int(row["n_fills"]):
            continue
        lots, mark = int(row["position"]), int(row["mark_price"])
        book, is_old = _book(snapshot.book[i], snapshot.ts_published)
        quantity = from_steps(lots, instrument["lot_size"])
        shown.append(
            Position(
                symbol=instrument["symbol"],
                lots=lots,
                quantity=quantity,
                average_price=_price(Decimal(from_e8(int(row["cost_e8"]))) / Decimal(quantity), instrument) if lots else "",
                market_price=_price(Decimal(instrument["tick_size"]) * mark / 2, instrument) if mark else "",
                realized=from_e8(int(row["realized_e8"]), 2),
                unrealized=from_e8(int(row["unrealized_e8"]), 2),
                fees=from_e8(int(row["fees_e8"]), 2),
                fills=int(row["n_fills"]),
                not_ours=int(row["corrected_qty"]),
                book=book,
                stale=is_old,
            )
        )
    return tuple(shown)


def _book(b: Any, now: int) -> tuple[str, bool]:
    """Age of the quotes of a BOOK record in words, and whether they are too old to be traded on, or none."""
    if b["sync"] != Sync.SYNCED:
        return "none", True
    age = f"{max(now - int(b['ts_recv']), 0) / 1e9:.1f} s"
    return (f"stale, {age}", True) if is_stale(b, now) else (age, False)


def _price(price: Decimal, instrument: dict[str, Any]) -> str:
    """One decimal more than the tick has: an average lies between ticks."""
    exponent = Decimal(instrument["tick_size"]).normalize().as_tuple().exponent
    return f"{price:.{max(0, -int(exponent)) + 1}f}"


def _strategies(snapshot: Snapshot, info: dict[str, Any]) -> tuple[StrategyView, ...]:
    shown = []
    for slot, (signal, facts) in enumerate(zip(snapshot.signal, info["strategies"], strict=True)):
        legs, parameters = _machine(snapshot, slot), facts["parameters"]
        window, bars = parameters.get("window"), int(signal["n_bars"])
        shown.append(
            StrategyView(
                name=facts["name"],
                digest=facts["digest"][:12],
                pair="/".join(facts["watched"]),
                state=LegState(int(legs["state"])).text,
                target=int(legs["target"]),
                zscore=float(signal["zscore"]),
                entry_z=_threshold(parameters, "entry_z"),
                exit_z=_threshold(parameters, "exit_z"),
                stop_z=_threshold(parameters, "stop_z"),
                reason=SignalReason(int(signal["reason"])).text,
                ts_event=int(signal["ts_event"]),
                bars=str(bars) if window is None or bars >= int(window) else f"{bars}/{window}",
                entries=int(legs["n_entries"]),
                exits=int(legs["n_exits"]),
                unwinds=int(legs["n_unwinds"]),
                resting=_resting(snapshot.legs[slot]),
            )
        )
    return tuple(shown)


def _machine(snapshot: Snapshot, slot: int) -> Any:
    """The record with the state of a strategy's position: of a basket BASKET, else LEGS (which stays flat for one that quotes)."""
    return snapshot.baskets[slot] if snapshot.slots[slot]["policy"] == Policy.BASKET else snapshot.legs[slot]


def _resting(legs: Any) -> str:
    ahead = int(legs["queue_ahead"])
    return f"up to {ahead:,} lots ahead" if ahead and int(legs["lead_order"]) else ""


def _threshold(parameters: dict[str, Any], name: str) -> float | None:
    return float(parameters[name]) if name in parameters else None


def _hop(snapshot: Snapshot, hop: Hop) -> HopView:
    figures = snapshot.latency_us(hop)
    return HopView(hop.text, int(figures["n"]), *(figures[name] for name in ("p50", "p95", "p99", "p999", "max")))


def _fill(row: Any, instruments: list[dict[str, Any]]) -> FillView:
    instrument = instruments[int(row[FILL_INSTRUMENT])]
    return FillView(
        time=iso_from_ns(int(row[FILL_TS_EVENT]))[11:23].rstrip("Z"),
        symbol=instrument["symbol"],
        side=Side(int(row[FILL_SIDE])).text,
        quantity=from_steps(int(row[FILL_QTY]), instrument["lot_size"]),
        price=from_steps(int(row[FILL_PRICE]), instrument["tick_size"]),
        fee=from_e8(int(row[FILL_FEE_E8]), 4),
        maker=bool(row[FILL_MAKER]),
    )
