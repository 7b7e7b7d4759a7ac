"""How the orders of a line leave: over the WebSocket order API, by REST while that is away, or not at all while the venue wants a pause.

    closed    429 or 418: nothing is sent until the pause is over, exits included
    socket    the same, but the session is leaving its positions, the socket is up and it was not the socket that was told to pause: only
              orders that reduce a position pass then, and a position that stays costs more than a longer pause
    REST      as configured, or the socket has been away for longer than `rest_after_s`
    socket    else; again as soon as the socket is up

The hot thread reads the way and does the rest (live/link/line_loop.py). Pure: time and state are arguments.
"""

from __future__ import annotations

from collections.abc import Callable

from hftkit.codes import OrderRoute


class OrderRoutes:
    """`rest_after_s`: patience with a socket that is away, 0 without end; `rest_only`: there is no socket; `say(event, **facts)`: the log."""

    def __init__(self, rest_after_s: float, rest_only: bool, say: Callable[..., None]) -> None:
        self._patience_s, self._rest_only, self._say = rest_after_s, rest_only, say
        self._seen_s: float | None = None
        self._paused = False
        self.way, self.n_to_rest = OrderRoute.CLOSED, 0

    def choose(self, now_s: float, allowed: bool, socket_up: bool, leaving: bool = False) -> OrderRoute:
        """The way from now on. `now_s`: any monotonic clock; `allowed`: no pause of the venue is on; `leaving`: only exits pass, and the socket
        was not told to pause."""
        if self._seen_s is None or socket_up:
            self._seen_s = now_s
        away = self._patience_s > 0 and now_s - self._seen_s > self._patience_s
        way = OrderRoute.REST if self._rest_only or away else OrderRoute.SOCKET
        if not allowed:
            way = OrderRoute.SOCKET if leaving and socket_up and not self._rest_only else OrderRoute.CLOSED
        if way is not self.way:
            self._say("order_way", way=way.text, before=self.way.text)
            self.n_to_rest += way is OrderRoute.REST
            self.way = way
        if allowed == self._paused:
            self._paused = not allowed
            self._say("resumed" if allowed else "paused", why="rate limit")
        return way
