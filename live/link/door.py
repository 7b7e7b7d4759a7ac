"""The operator's door, as the cold side uses it: trading is paused while any reason stands, and resumed only if nobody else keeps it paused.

PAUSE and RESUME of a person and of ours go through one control page, and the engine does not know whose they are. So the page is read along: what
others have asked for since the session began says whether the operator wants it paused. A pause of ours is lifted by us; one of his by him alone,
also one that he asked for while ours was on. A RESUME of his while a reason stands is answered with another PAUSE.
"""

from __future__ import annotations

from collections.abc import Callable

from hftkit.codes import Control, Trading
from hftkit.session.control import LOST

_SHUTS, _OPENS = (Control.PAUSE, Control.FLATTEN), (Control.RESUME, Control.ENABLE)


class TradingGate:
    """Owner: the engine's thread.

    `command(n)`: code of the page's n-th command, None if there is none yet; `send(code)`: writes one, gives its number from 1, 0 if it cannot
    now; `say(event, **facts)`: the log.
    """

    def __init__(self, command: Callable[[int], int | None], send: Callable[[Control], int], say: Callable[..., None]) -> None:
        self._command, self._send, self._say = command, send, say
        self._seen, self._ours = 0, set[int]()
        self._operator_shut = self._shut = False

    def _look(self) -> None:
        """Read the commands that others have written since the last look."""
        while (code := self._command(self._seen + 1)) is not None:
            self._seen += 1
            if self._seen in self._ours:
                self._ours.discard(self._seen)
            elif code in _SHUTS:
                self._operator_shut = True
            elif code in _OPENS:
                self._operator_shut = False
                self._shut = False  # if a reason stands, it is shut again
            elif code == LOST:
                self._operator_shut = True  # in a burst of them: it may have been a PAUSE, and a RESUME puts it right

    def _write(self, code: Control) -> bool:
        number = self._send(code)
        if number:
            self._ours.add(number)
        return number > 0

    def turn(self, trading: int, reasons: set[str]) -> None:
        """`trading`: codes.Trading now; `reasons`: why it is to be paused, none if it is not."""
        self._look()
        if reasons and not self._shut and trading == Trading.ENABLED:
            if self._write(Control.PAUSE):  # if not, in the next turn
                self._shut = True
                self._say("paused", why=", ".join(sorted(reasons)))
        elif not reasons and self._shut:
            if self._operator_shut or trading > Trading.PAUSED:
                self._shut = False
                self._say("stays_paused", why="the operator wants it so" if trading <= Trading.PAUSED else Trading(trading).text)
                return
            if not self._write(Control.RESUME):
                return
            self._shut = False
            self._say("resumed", why="no reason is left")
            self._look()
            if self._operator_shut:  # he asked for it in the moment before ours
                self._write(Control.PAUSE)
