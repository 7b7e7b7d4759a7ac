"""What `hftkit sim` shows while it runs: rates, books with their depth, clients, faults.

`draw` makes a page of a look (look.py). The page is drawn by a thread of its own (`Screen`), which only reads: the compiled loop holds no lock of
the interpreter and is never waited for. Nothing here decides anything.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hftkit.exchange.cli.look import VenueSnapshot, look
from hftkit.exchange.core.layout import ClientState, Port
from hftkit.kernels.market.queue import ESTIMATES
from hftkit.units import from_steps, iso_from_ns

REFRESH_S = 0.25
WINDOW = 12  # looks that a rate is averaged over: three seconds
PULSE = 60  # seconds of the small curve beside the rates
BARS = " ▁▂▃▄▅▆▇█"
_PORTS = {int(Port.ORDER_ENTRY): "orders", int(Port.MARKET_DATA): "data"}


def draw(server: Any, title: str, before: VenueSnapshot, now: VenueSnapshot, width: int, height: int, pulse: Sequence[float] = ()) -> RenderableType:
    """A page of at most `height` lines of `width` characters. Rates: from `before` to `now`, wall time; `pulse`: orders/s, a second each."""
    n_clients = len(now.clients)
    shown = min(n_clients, max(1, (height - 8) // 3))
    clients = _clients_table(before, now, shown, width)
    head = [_headline(server, title, now, width), _rates(before, now, width, pulse), *_history_line(now, width)]
    foot = _faults_lines(now, width)
    gap = [Text("")] if height >= 32 else []
    used = len(head) + len(foot) + 3 * len(gap) + 2 + (shown + 2 + int(n_clients > shown) if n_clients else 1)
    room = max(1, height - used - 1)
    if len(server.config.scales) > room:
        room = max(1, room - 1)  # for the caption
    return Group(*head, *gap, _books_table(server, before, now, room, width), *gap, clients, *gap, *foot)


def _line(width: int, *parts: tuple[str, str]) -> Text:
    text = Text.assemble(*parts, no_wrap=True, overflow="ellipsis")
    text.truncate(width, overflow="ellipsis")
    return text


def _bars(values: Sequence[float], highest: float) -> str:
    """A character for each value, as high as it is beside the highest."""
    return "".join(BARS[min(len(BARS) - 1, 1 + int((len(BARS) - 2) * value / highest))] if value > 0 and highest > 0 else BARS[0] for value in values)


def _headline(server: Any, title: str, now: VenueSnapshot, width: int) -> Text:
    rate = "max" if server.history is not None and server.history.rate is None else f"{server.speed:g}x"
    behind = (f"  behind {now.lag_ms:,.0f} ms", "bold red") if now.lag_ms >= 50 else ("", "")
    clock = iso_from_ns(now.exchange_ns // 10**9 * 10**9).replace("T", " ").rstrip("Z")
    return _line(width, (server.config.name, "bold"), (f"  {clock} UTC  {rate}", ""), behind, (f"  {title}", "dim"))


def _per_second(after: int, before: int, seconds: float) -> str:
    rate = (after - before) / seconds if seconds > 0 else 0.0
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _rates(before: VenueSnapshot, now: VenueSnapshot, width: int, pulse: Sequence[float]) -> Text:
    seconds = (now.time_ns - before.time_ns) / 1e9
    shown = (("in", "messages_in"), ("out", "messages_out"), ("trades", "trades"), ("orders", "orders"))
    parts = [f"{name} {_per_second(getattr(now, field), getattr(before, field), seconds)}/s" for name, field in shown]
    text = "   ".join(parts)
    room = width - len(text) - 3
    curve = list(pulse)[-min(PULSE, room) :] if room >= 10 else []
    return _line(width, (text, ""), ("   " + _bars(curve, max(curve, default=0.0)), "cyan"))


def _history_line(now: VenueSnapshot, width: int) -> list[Text]:
    if now.history is None:
        return []
    done, rows, shares = now.history
    text = f"history {done:,} of {rows:,} rows ({done / max(1, rows):.0%})"
    if shares:
        text += "   filled of what rested: " + ", ".join(f"{name} {share:.0%}" for name, share in zip(ESTIMATES, shares, strict=True))
    return [_line(width, (text, ""))]


def _table(*columns: tuple[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1), header_style="dim")
    for name, justify in columns:
        table.add_column(name, justify=justify, no_wrap=True)
    return table


_BOOK_COLUMNS = {  # name: narrowest terminal that shows it
    "book": 0, "bid qty": 78, "bid": 0, "ask": 0, "ask qty": 78, "depth": 96, "bps": 0, "last": 110, "levels": 86, "orders": 120, "trades/s": 0,
}  # fmt: skip


def _profile(depths: np.ndarray) -> Text:
    """The best levels of both sides, bids to the left, each as high as it is beside the largest of the book."""
    highest = float(depths.max())
    return Text.assemble((_bars(depths[0][::-1].tolist(), highest), "green"), ("│", "dim"), (_bars(depths[1].tolist(), highest), "red"))


def _books_table(server: Any, before: VenueSnapshot, now: VenueSnapshot, room: int, width: int) -> Table:
    kept = [name for name, narrowest in _BOOK_COLUMNS.items() if width >= narrowest]
    table = _table(*((name, "left" if name == "book" else "center" if name == "depth" else "right") for name in kept))
    seconds = (now.time_ns - before.time_ns) / 1e9
    instruments = server.config.scales
    busiest = np.argsort(-(now.n_trades - before.n_trades), kind="stable")
    shown = sorted(busiest[:room].tolist()) if len(instruments) > room else range(len(instruments))
    for i in shown:
        one, top, (bid, bid_qty, ask, ask_qty) = instruments[i], now.tops[i], now.quotes[i].tolist()
        last, moved = int(top["last"]), int(top["last"]) - int(before.tops[i]["last"])
        cells: dict[str, str | Text] = {
            "book": one.symbol,
            "bid qty": from_steps(bid_qty, one.lot_size) if bid else "-",
            "bid": Text(from_steps(bid, one.tick_size) if bid else "-", "green"),
            "ask": Text(from_steps(ask, one.tick_size) if ask else "-", "red"),
            "ask qty": from_steps(ask_qty, one.lot_size) if ask else "-",
            "depth": _profile(now.depths[i]),
            "bps": f"{2e4 * (ask - bid) / (ask + bid):.1f}" if bid and ask else "-",
            "last": Text(from_steps(last, one.tick_size) if last else "-", "green" if moved > 0 else "red" if moved < 0 else ""),
            "levels": f"{top['n_bid']}/{top['n_ask']}",
            "orders": f"{top['n_orders']:,}",
            "trades/s": _per_second(int(now.n_trades[i]), int(before.n_trades[i]), seconds),
        }
        table.add_row(*(cells[name] for name in kept))
    if len(instruments) > room:
        table.caption = f"the busiest {room} of {len(instruments)}"
        table.caption_justify = "left"
    return table


def _clients_table(before: VenueSnapshot, now: VenueSnapshot, room: int, width: int) -> RenderableType:
    if not len(now.clients):
        return Text("no clients", "dim")
    names = ["client", "port", "account", "state", "msgs/s in", "open", "unsent", "last seen"]
    kept = [name for name in names if width >= 70 or name not in ("open", "unsent", "last seen")]
    table = _table(*((name, "left" if name in ("client", "port", "state") else "right") for name in kept))
    seconds = (now.time_ns - before.time_ns) / 1e9
    earlier = {int(number): int(row["n_frames"]) for row, number in zip(before.clients, before.indexes, strict=True)}
    rows = zip(now.clients, now.indexes, now.open_orders, now.account_ids, now.subscribed, now.engaged, strict=True)
    for row, number, n_open, account, subscribed, engaged in list(rows)[:room]:
        unsent = int(row["out_end"]) - int(row["out_start"])
        is_orders = int(row["port"]) == int(Port.ORDER_ENTRY)
        state = "subscribed" if subscribed else ClientState(int(row["state"])).name.lower().replace("_", " ")
        cells: dict[str, str | Text] = {
            "client": str(number),
            "port": _PORTS.get(int(row["port"]), "-"),
            "account": str(account) if account > 0 else "-",
            "state": Text.assemble(state, (" ~" if engaged else "", "yellow")),
            "msgs/s in": _per_second(int(row["n_frames"]), min(int(row["n_frames"]), earlier.get(int(number), 0)), seconds),
            "open": f"{int(n_open):,}" if is_orders else "-",
            "unsent": f"{unsent / 1024:.0f} K" if unsent else "-",
            "last seen": f"{max(0.0, (now.time_ns - int(row['ts_in'])) / 1e9):.1f} s ago",
        }
        table.add_row(*(cells[name] for name in kept))
    if len(now.clients) > room:
        table.caption = f"{len(now.clients) - room} more"
        table.caption_justify = "left"
    return table


def _faults_lines(now: VenueSnapshot, width: int) -> list[Text]:
    """What is switched on; and what has happened, as soon as anything has."""
    switched = "   ".join(f"{name}={value:g}" for name, value in now.faults.items())
    lines = [_line(width, ("faults  ~  ", "bold yellow"), (switched, "yellow"))] if now.faults else [Text("no faults", "dim")]
    happened = [
        f"{where.replace('_', ' ')}: "
        + ", ".join(f"{kind.replace('_', ' ')} {n:,}" for kind, n in row.items() if kind not in ("offered", "delivered"))
        for where, row in now.fault_counts.items()
        if set(row) - {"offered", "delivered"}
    ]
    return [_line(width, ("so far  " + "   ".join(happened), "dim")), *lines] if happened else lines


class Screen:
    """Draws the page a few times a second, on a thread of its own, until `close`."""

    def __init__(self, server: Any, title: str, clock: Callable[[], int], console: Console | None = None) -> None:
        """`clock`: monotonic ns."""
        self._server, self._title, self._clock = server, title, clock
        self._looks: deque[VenueSnapshot] = deque([look(server, clock())], maxlen=WINDOW)
        self._pulse: deque[float] = deque(maxlen=PULSE)
        self._last_second, self._n_looks = self._looks[0], 0
        self._stop = threading.Event()
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(2e-4)  # the venue's thread comes back from its slice many times a second and must not wait for a page
        self._live = Live(console=console or Console(), screen=True, auto_refresh=False, transient=True)
        self._live.start()
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(OSError):  # the terminal has gone
            while not self._stop.wait(REFRESH_S):
                self.refresh()

    def refresh(self) -> None:
        """VenueSnapshot, and draw."""
        now = look(self._server, self._clock())
        width, height = self._live.console.size
        self._live.update(draw(self._server, self._title, self._looks[0], now, width, height, self._pulse), refresh=True)
        self._looks.append(now)
        self._n_looks += 1
        if self._n_looks % round(1 / REFRESH_S) == 0:
            self._pulse.append((now.orders - self._last_second.orders) / max(1e-9, (now.time_ns - self._last_second.time_ns) / 1e9))
            self._last_second = now

    def close(self) -> None:
        """The terminal as it was."""
        self._stop.set()
        self._thread.join()
        with suppress(OSError):
            self._live.stop()
        sys.setswitchinterval(self._interval)
