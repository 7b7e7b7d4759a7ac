"""What `hftkit sim` shows while it runs: books, clients, rates, lag, faults.

`look` copies figures out of the venue's arrays, `draw` makes them a page. The page is drawn by a thread of its own (`Screen`), which only reads:
the compiled loop holds no lock of the interpreter and is never waited for. A figure read while it is being written belongs to the next page;
nothing here decides anything.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hftkit.exchange.fault_page import settings_of
from hftkit.exchange.flow.agents import HOUSE_ACCOUNTS
from hftkit.exchange.history.market import FILLS, RESTED, ROW, ROWS
from hftkit.exchange.layout import ClientState, Port
from hftkit.exchange.market_data import TRADE_ROW
from hftkit.kernels.market.queue import ESTIMATES
from hftkit.units import from_steps, iso_from_ns

REFRESH_S = 0.25
WINDOW = 12  # looks that a rate is averaged over: three seconds
_PORTS = {int(Port.ORDER_ENTRY): "orders", int(Port.MARKET_DATA): "data"}


@dataclass(frozen=True)
class Look:
    """Counters and tables at one moment. `time_ns`: monotonic."""

    time_ns: int
    exchange_ns: int
    messages_in: int
    messages_out: int
    orders: int
    trades: int
    lag_ms: float
    tops: np.ndarray  # TOP (n,)
    quotes: np.ndarray  # int64 (n, 4): bid, lots, ask, lots
    n_trades: np.ndarray  # int64 (n,)
    clients: np.ndarray  # CLIENT, those connected
    indexes: np.ndarray  # their numbers
    open_orders: np.ndarray  # of each client's account
    account_ids: np.ndarray
    faults: dict[str, float]
    history: tuple[int, int, list[float]] | None  # rows worked, rows in all, filled share by estimate (empty: nothing rested)


def look(server: Any, time_ns: int) -> Look:
    """Copy what is shown. `server`: a BinaryServer."""
    venue, state = server.venue, server.venue.state[0]
    used = np.flatnonzero(venue.clients["port"] != 0)
    clients = venue.clients[used].copy()
    account = np.maximum(clients["account"], 0)
    history = None
    if server.history is not None:
        sums = server.shell.history.sums.sum(axis=0)
        shares = [float(sums[FILLS + e] / sums[RESTED]) for e in range(len(ESTIMATES))] if sums[RESTED] else []
        history = (int(server.shell.history.io[ROW]), int(server.shell.history.io[ROWS]), shares)
    return Look(
        time_ns=time_ns,
        exchange_ns=int(state["ts"]),
        messages_in=int(state["n_frames_in"]),
        messages_out=int(state["n_frames_out"]),
        orders=int(venue.books.counters[0]["n_orders"]),
        trades=int(venue.books.counters[0]["n_trades"]),
        lag_ms=server.lag_ms,
        tops=venue.books.tops.copy(),
        quotes=venue.quotes.copy(),
        n_trades=venue.sequences[:, TRADE_ROW].copy(),
        clients=clients,
        indexes=used,
        open_orders=np.where(clients["account"] >= HOUSE_ACCOUNTS, venue.books.owners["n_open"][account], 0),
        account_ids=np.where(clients["account"] >= 0, venue.accounts["id"][account], 0),
        faults=settings_of(server.shell.faults.page),
        history=history,
    )


def draw(server: Any, title: str, before: Look, now: Look, width: int, height: int) -> RenderableType:
    """A page of at most `height` lines of `width` characters. Rates are those from `before` to `now`, by wall time."""
    clients = _clients_table(now, max(1, min(len(now.clients), height // 3)), width)
    head = [_headline(server, title, now, width), _rates(before, now, width), *_history_line(now)]
    foot = [_faults_line(now, width)]
    used = (
        len(head) + len(foot) + 3 + (min(len(now.clients), max(1, height // 3)) + 2 + int(len(now.clients) > height // 3) if len(now.clients) else 1)
    )
    books = _books_table(server, before, now, max(1, height - used - 1), width)
    return Group(*head, books, clients, *foot)


def _line(width: int, *parts: tuple[str, str]) -> Text:
    text = Text.assemble(*parts, no_wrap=True, overflow="ellipsis")
    text.truncate(width, overflow="ellipsis")
    return text


def _headline(server: Any, title: str, now: Look, width: int) -> Text:
    rate = "max" if server.history is not None and server.history.rate is None else f"{server.speed:g}x"
    behind = (f"  behind {now.lag_ms:,.0f} ms", "bold red") if now.lag_ms >= 50 else ("", "")
    clock = iso_from_ns(now.exchange_ns // 10**9 * 10**9).replace("T", " ").rstrip("Z")
    return _line(width, (server.config.name, "bold"), (f"  {clock} UTC  {rate}", ""), behind, (f"  {title}", "dim"))


def _per_second(after: int, before: int, seconds: float) -> str:
    rate = (after - before) / seconds if seconds > 0 else 0.0
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _rates(before: Look, now: Look, width: int) -> Text:
    seconds = (now.time_ns - before.time_ns) / 1e9
    shown = (("in", "messages_in"), ("out", "messages_out"), ("orders", "orders"), ("trades", "trades"))
    parts = [f"{name} {_per_second(getattr(now, field), getattr(before, field), seconds)}/s" for name, field in shown]
    return _line(width, ("   ".join(parts), ""))


def _history_line(now: Look) -> list[Text]:
    if now.history is None:
        return []
    done, rows, shares = now.history
    text = f"history {done:,} of {rows:,} rows ({done / max(1, rows):.0%})"
    if shares:
        text += "   filled of what rested: " + ", ".join(f"{name} {share:.0%}" for name, share in zip(ESTIMATES, shares, strict=True))
    return [Text(text, no_wrap=True, overflow="ellipsis")]


def _table(*columns: tuple[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1), header_style="dim")
    for name, justify in columns:
        table.add_column(name, justify=justify, no_wrap=True)
    return table


def _books_table(server: Any, before: Look, now: Look, room: int, width: int) -> Table:
    names = ["book", "bid qty", "bid", "ask", "ask qty", "bps", "levels", "trades/s", "orders"]
    kept = [name for name in names if width >= 100 or (name != "orders" and (width >= 78 or name not in ("bid qty", "ask qty", "levels")))]
    table = _table(*((name, "left" if name == "book" else "right") for name in kept))
    seconds = (now.time_ns - before.time_ns) / 1e9
    instruments = server.config.scales
    busiest = np.argsort(-(now.n_trades - before.n_trades), kind="stable")
    shown = sorted(busiest[:room].tolist()) if len(instruments) > room else range(len(instruments))
    for i in shown:
        one, top, (bid, bid_qty, ask, ask_qty) = instruments[i], now.tops[i], now.quotes[i].tolist()
        spread = f"{2e4 * (ask - bid) / (ask + bid):.1f}" if bid and ask else "-"
        cells = {
            "book": one.symbol,
            "bid qty": from_steps(bid_qty, one.lot_size) if bid else "-",
            "bid": Text(from_steps(bid, one.tick_size) if bid else "-", "green"),
            "ask": Text(from_steps(ask, one.tick_size) if ask else "-", "red"),
            "ask qty": from_steps(ask_qty, one.lot_size) if ask else "-",
            "bps": spread,
            "levels": f"{top['n_bid']}/{top['n_ask']}",
            "trades/s": _per_second(int(now.n_trades[i]), int(before.n_trades[i]), seconds),
            "orders": f"{top['n_orders']:,}",
        }
        table.add_row(*(cells[name] for name in kept))
    if len(instruments) > room:
        table.caption = f"the busiest {room} of {len(instruments)}"
        table.caption_justify = "left"
    return table


def _clients_table(now: Look, room: int, width: int) -> RenderableType:
    if not len(now.clients):
        return Text("no clients", "dim")
    table = _table(
        ("client", "left"), ("port", "left"), ("account", "right"), ("state", "left"), ("msgs in", "right"), ("open", "right"), ("unsent", "right"),
        ("last seen", "right"),
    )  # fmt: skip
    for row, number, n_open, account in list(zip(now.clients, now.indexes, now.open_orders, now.account_ids, strict=True))[:room]:
        unsent = int(row["out_end"]) - int(row["out_start"])
        age = max(0.0, (now.time_ns - int(row["ts_in"])) / 1e9)
        is_orders = int(row["port"]) == int(Port.ORDER_ENTRY)
        table.add_row(
            str(number),
            _PORTS.get(int(row["port"]), "-"),
            str(account) if account > 0 else "-",
            ClientState(int(row["state"])).name.lower().replace("_", " "),
            f"{int(row['n_frames']):,}",
            f"{int(n_open):,}" if is_orders else "-",
            f"{unsent / 1024:.0f} K" if unsent else "-",
            f"{age:.1f} s ago",
        )
    if len(now.clients) > room:
        table.caption = f"{len(now.clients) - room} more"
        table.caption_justify = "left"
    return table


def _faults_line(now: Look, width: int) -> Text:
    if not now.faults:
        return Text("no faults", "dim")
    text = "   ".join(f"{name}={value:g}" for name, value in now.faults.items())
    return _line(width, ("faults  ", "bold yellow"), (text, "yellow"))


class Screen:
    """Draws the page a few times a second, on a thread of its own, until `close`."""

    def __init__(self, server: Any, title: str, clock: Callable[[], int], console: Console | None = None) -> None:
        """`clock`: monotonic ns."""
        self._server, self._title, self._clock = server, title, clock
        self._looks: deque[Look] = deque([look(server, clock())], maxlen=WINDOW)
        self._stop = threading.Event()
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(2e-4)  # the venue's thread comes back from its slice many times a second and must not wait for a page
        self._live = Live(console=console or Console(), screen=True, auto_refresh=False, transient=True)
        self._live.start()
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(REFRESH_S):
            self.refresh()

    def refresh(self) -> None:
        """Look, and draw."""
        now = look(self._server, self._clock())
        width, height = self._live.console.size
        self._live.update(draw(self._server, self._title, self._looks[0], now, width, height), refresh=True)
        self._looks.append(now)

    def close(self) -> None:
        """The terminal as it was."""
        self._stop.set()
        self._thread.join()
        self._live.stop()
        sys.setswitchinterval(self._interval)
