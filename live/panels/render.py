"""A view as HTML for notebooks and as text for terminals. Pure; whatever comes from outside is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from hftkit.codes import Trading
from hftkit.session.fill_stats import in_words
from live.panels.view import View

_GREEN, _AMBER, _RED, _GREY = "#1e8449", "#b9770e", "#b03a2e", "#717d7e"
_TRADING_COLOUR = {Trading.ENABLED: _GREEN, Trading.PAUSED: _AMBER, Trading.FLATTENING: _AMBER, Trading.STOPPING: _AMBER, Trading.HALTED: _RED}
_FONT = "font-family:sans-serif;font-size:13px;color:var(--jp-ui-font-color1,#222);"
_CELL = "padding:2px 12px 2px 0;text-align:{};white-space:nowrap;"
_RULE = "border-bottom:1px solid var(--jp-border-color2,#ddd);"


def headline_html(view: View) -> str:
    """One line: state as a coloured pill, session, uptime."""
    colour = _TRADING_COLOUR[view.trading] if view.live else _GREY if view.status.name == "STOPPED" else _RED
    pill = f"background:{colour};color:white;border-radius:10px;padding:2px 12px;font-weight:bold;"
    disk = f'<span style="margin-left:12px;color:{_RED}">disk: {escape(view.disk)}</span>' if view.disk_low else ""
    return (
        f'<div style="{_FONT}line-height:26px"><span class="hftkit-status" style="{pill}">{escape(view.headline)}</span>'
        f'<span style="margin-left:12px">session {escape(view.session)}, up {_seconds(view.uptime_s)}</span>{disk}</div>'
    )


def figures_html(view: View) -> str:
    """The figures one looks at first, side by side."""
    cards = [
        ("net P&L", view.net_pnl, _sign_colour(view.net_pnl)),
        ("unrealised", view.unrealized, _sign_colour(view.unrealized)),
        ("fees", view.fees, ""),
        ("funding", view.funding, ""),
        ("drawdown", view.drawdown, ""),
        ("exposure", f"{view.exposure}{_percent(view.exposure_share)}", ""),
        ("orders", f"{view.orders:,} ({view.orders_per_s:.1f}/s)", ""),
        ("fills", f"{view.fills:,}", ""),
        ("maker", "-" if math.isnan(view.filled.value_ratio) else f"{view.filled.value_ratio:.0%}", ""),
        ("rejects", f"{view.rejects:,}", _RED if view.rejects else ""),
        (f"vetoes, last: {view.last_veto}" if view.last_veto else "vetoes", f"{view.vetoes:,}", ""),
    ]
    boxes = "".join(
        f'<div style="margin:0 22px 6px 0;line-height:20px"><div style="font-size:11px;opacity:.7">{escape(name)}</div>'
        f'<div style="font-size:16px;font-weight:600;{f"color:{colour}" if colour else ""}">{escape(value)}</div></div>'
        for name, value, colour in cards
    )
    return f'<div style="{_FONT}display:flex;flex-wrap:wrap">{boxes}</div>'


def tables_html(view: View) -> str:
    """Positions, latency, strategies and the latest fills."""
    positions = _table(
        ("instrument", "position", "average", "market", "book", "unrealised", "realised", "fees", "fills"),
        [(p.symbol, p.quantity, p.average_price, p.market_price, p.book, p.unrealized, p.realized, p.fees, p.fills) for p in view.positions],
    )
    latency = _table(
        ("latency, µs", "p50", "p95", "p99", "p99.9", "max", "n"),
        [(h.name, *(_micro(v) if h.n else "" for v in (h.p50, h.p95, h.p99, h.p999, h.max)), f"{h.n:,}") for h in view.latency],
    )
    strategies = _table(
        ("strategy", "pair", "state", "signal", "bars", "entries", "exits", "unwinds", "rests", "parameters"),
        [(s.name, s.pair, s.state, s.reason, s.bars, s.entries, s.exits, s.unwinds, s.resting, s.digest) for s in view.strategies],
    )
    fills = _table(
        ("latest fills, UTC", "", "side", "quantity", "price", "fee", ""),
        [(f.time, f.symbol, f.side, f.quantity, f.price, f.fee, "maker" if f.maker else "taker") for f in view.recent] or [("none yet",) + ("",) * 6],
    )
    lines = _table(
        ("line", "state", "breaker", "messages", "silent, s", "connects", "failures", "backlog"),
        [
            (
                p.name,
                p.state,
                p.breaker,
                f"{p.messages:,}",
                f"{p.silence_s:.1f}" if math.isfinite(p.silence_s) else "",
                p.connects,
                p.failures,
                p.backlog,
            )
            for p in view.line
        ],
    )
    row = "display:flex;flex-wrap:wrap;gap:4px 40px;align-items:flex-start;"
    strange = f'<div style="color:{_RED};width:100%">not ours: {escape(view.not_ours)}</div>' if view.not_ours else ""
    return f'<div style="{_FONT}{row}">{strange}{positions}{latency}{strategies}{fills}{lines if view.line else ""}</div>'


def page_html(view: View, charts: Iterable[str]) -> str:
    """Everything in one piece: what is shown where widgets cannot be."""
    return f'<div style="{_FONT}">{headline_html(view)}{figures_html(view)}{"".join(charts)}{tables_html(view)}</div>'


def text_lines(view: View) -> list[str]:
    """The same for a terminal or a log, one line each."""
    lines = [
        f"{view.headline}   session {view.session}   up {_seconds(view.uptime_s)}",
        f"net P&L {view.net_pnl}   realised {view.realized}   unrealised {view.unrealized}   fees {view.fees}   funding {view.funding}"
        f"   drawdown {view.drawdown}",
        f"orders {view.orders} ({view.orders_per_s:.1f}/s)   fills {view.fills}   rejects {view.rejects}   vetoes {view.vetoes}"
        + (f" (last: {view.last_veto})" if view.last_veto else ""),
    ]
    if words := in_words(view.filled):
        lines.append(words)
    for p in view.positions:
        lines.append(
            f"{p.symbol:16} {p.quantity:>14} at {p.average_price or '-':>12}   market {p.market_price or '-':>12}   book {p.book}"
            f"   unrealised {p.unrealized}" + (f"   {p.not_ours:+,} lots are not ours" if p.not_ours else "")
        )
    for s in view.strategies:
        bands = f" (entry {s.entry_z}, exit {s.exit_z}, stop {s.stop_z})" if s.entry_z is not None else ""
        rests = f", {s.resting}" if s.resting else ""
        z = f"{s.zscore:+.2f}" if math.isfinite(s.zscore) else "-"
        lines.append(f"{s.pair:16} z {z}{bands}   {s.state}, {s.reason}{rests}")
    for part in view.line:
        silence = f"{part.silence_s:.1f} s ago" if math.isfinite(part.silence_s) else "nothing yet"
        counts = f"{part.messages:,} messages, last {silence}, {part.connects} connects, {part.failures} failures, backlog {part.backlog:,} bytes"
        lines.append(f"line {part.name:11} {part.state}, breaker {part.breaker}   {counts}")
    if view.clock:
        lines.append(f"venue's clock    {view.clock}")
    if view.not_ours:
        lines.append(f"not ours         {view.not_ours}")
    if view.disk:
        lines.append(f"{'DISK LOW' if view.disk_low else 'disk':16} {view.disk}")
    for h in view.latency:
        if h.n:
            lines.append(f"{h.name:16} p50 {_micro(h.p50)} us   p99 {_micro(h.p99)} us   max {_micro(h.max)} us   n {h.n:,}")
    return lines


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    def cells(tag: str, values: Sequence[object], extra: str) -> str:
        aligned = (_CELL.format("left" if i == 0 else "right") + extra for i in range(len(values)))
        return "".join(f'<{tag} style="{style}">{escape(str(value))}</{tag}>' for style, value in zip(aligned, values, strict=True))

    body = "".join(f'<tr style="background:none">{cells("td", row, "")}</tr>' for row in rows)
    head = cells("th", headings, f"font-weight:normal;opacity:.7;{_RULE}")
    style = "font-size:13px;line-height:20px;border-collapse:collapse;margin:6px 0;font-variant-numeric:tabular-nums"
    return f'<table style="{style}"><tr>{head}</tr>{body}</table>'


def _sign_colour(money: str) -> str:
    return _RED if money.startswith("-") else _GREEN if money.strip("0.") else ""


def _percent(share: float) -> str:
    return f" ({share:.0%})" if math.isfinite(share) else ""


def _micro(value: float) -> str:
    return f"{value:.1f}" if value < 1000 else f"{value:,.0f}"


def _seconds(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
