"""The operator's door, as the cold side uses it: trading is paused while any reason stands, and resumed only if nobody else keeps it paused.

PAUSE and RESUME of a person and of ours go through one control page, and the engine does not know whose they are. So the page is read along: what
others have asked for since the session began says whether the operator wants it paused. A pause of ours is lifted by us; one of his by him alone,
also one that he asked for while ours was on. A RESUME of his while a reason stands is answered with another PAUSE.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hftkit.codes import Control, Trading
from hftkit.control import FIRST_SLOT, SLOTS, WRITTEN

_SHUTS, _OPENS = (Control.PAUSE, Control.FLATTEN), (Control.RESUME, Control.ENABLE)


class Door:
    """Owner: the engine's thread.

    `commands()`: the control page's words, int64; `send(code)`: writes a command, gives its number from 1; `say(event, **facts)`: the log.
    """

    def __init__(self, commands: Callable[[], Any], send: Callable[[Control], int], say: Callable[..., None]) -> None:
        self._commands, self._send, self._say = commands, send, say
        self._seen, self._ours = 0, set[int]()
        self._operator_shut = self._shut = False

    def _look(self) -> None:
        """Read the commands that others have written since the last look."""
        words = self._commands()
        while self._seen < int(words[WRITTEN]):
            code, self._seen = int(words[FIRST_SLOT + self._seen % SLOTS]), self._seen + 1
            if self._seen in self._ours:
                self._ours.discard(self._seen)
            elif code in _SHUTS:
                self._operator_shut = True
            elif code in _OPENS:
                self._operator_shut = False
                self._shut = False  # if a reason stands, it is shut again

    def _write(self, code: Control) -> None:
        self._ours.add(self._send(code))

    def turn(self, trading: int, reasons: set[str]) -> None:
        """`trading`: codes.Trading now; `reasons`: why it is to be paused, none if it is not."""
        self._look()
        if reasons and not self._shut and trading == Trading.ENABLED:
            self._shut = True
            self._say("paused", why=", ".join(sorted(reasons)))
            self._write(Control.PAUSE)
        elif not reasons and self._shut:
            self._shut = False
            if self._operator_shut or trading > Trading.PAUSED:
                self._say("stays_paused", why="the operator wants it so" if trading <= Trading.PAUSED else Trading(trading).text)
                return
            self._say("resumed", why="no reason is left")
            self._write(Control.RESUME)
            self._look()
            if self._operator_shut:  # he asked for it in the moment before ours
                self._write(Control.PAUSE)
