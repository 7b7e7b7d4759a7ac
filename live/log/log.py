"""The session's log: one JSON line an event, written by the cold side from the notes the hot loop leaves (MO-11)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import structlog

from hftkit import clock, layout
from hftkit.codes import EventKind, Reject, Side
from live.ending import failpoints
from live.hot_loop import NOTE_EVENT
from live.log.log_file import LogFile
from live.log.log_limit import RepeatLimit
from live.log.masking import MaskSecrets
from live.log.rotation import rotate_if_large

_EVENT = layout.EVENT.dtype
_WANT = layout.WANT.dtype
_EXTERNAL_KINDS = frozenset({EventKind.EXTERNAL_FILL, EventKind.POSITION_CORRECTION})
_ORDER_KINDS = frozenset({EventKind.ORDER_ACK, EventKind.ORDER_REJECT, EventKind.ORDER_FILL, EventKind.ORDER_CANCELED, EventKind.CANCEL_REJECT})


class SessionLog:
    """Writes `session.log`; `secrets` masks what must not stand in it. Order events carry `client_order_id` as their correlation id.

    `event` and `note` never raise: every thread says its lines here, also while it handles a failure.

    Lines that repeat are counted instead (log_limit.py); the file is rotated at `most_bytes`, `keep` files in all (rotation.py).
    """

    def __init__(self, path: Path, most_bytes: int = 16 << 20, keep: int = 8) -> None:
        self.secrets = MaskSecrets()
        self._path, self._most_bytes, self._keep = path, most_bytes, keep
        self._repeats = RepeatLimit(clock.monotonic_s)
        self._stream = LogFile(path)
        self._log = structlog.wrap_logger(
            structlog.WriteLogger(cast(TextIO, self._stream)),
            processors=[self._repeats, structlog.processors.TimeStamper(fmt="iso", utc=True), self.secrets, structlog.processors.JSONRenderer()],
        )

    @property
    def failing(self) -> str:
        """Why lines cannot be written now, '' if they can."""
        return self._stream.failing

    def event(self, name: str, **facts: Any) -> None:
        """Log one event of the cold side."""
        self._line(self._log.info, name, facts)

    def _line(self, write: Callable[..., Any], name: str, facts: dict[str, Any]) -> None:
        try:
            failpoints.reach("log line")
            write(name, **facts)
        except BaseException as error:  # a fact that cannot be rendered: the line still says that something happened
            text = json.dumps({"event": name, "log_error": type(error).__name__, "facts": sorted(facts)})
            self._stream.write(text + "\n")

    def note(self, words: np.ndarray) -> None:
        """Log one note of the hot loop: int64 words, the kind first."""
        failpoints.reach("notes")
        if words[0] == NOTE_EVENT:
            event = words[1 : 1 + _EVENT.itemsize // 8].view(_EVENT)[0]
            kind = EventKind(int(event["kind"]))
            if kind in _EXTERNAL_KINDS or (kind == EventKind.ORDER_FILL and event["client_order_id"] < 0):
                self._external(kind, event)
            elif kind in _ORDER_KINDS:
                facts = {
                    "client_order_id": int(event["client_order_id"]),
                    "instrument": int(event["instrument"]),
                    "side": Side(int(event["side"])).text,
                    "price_ticks": int(event["price"]),
                    "qty_lots": int(event["qty"]),
                    "reason": Reject(int(event["code"])).text if kind == EventKind.ORDER_REJECT else "",
                    "ts_event": int(event["ts_event"]),
                }
                self._line(self._log.info, kind.text, facts)
            return
        want = words[1 : 1 + _WANT.itemsize // 8].view(_WANT)[0]
        side, reason = Side(int(want["side"])).text, Reject(int(want["reason"])).text
        facts = {"instrument": int(want["instrument"]), "side": side, "qty_lots": int(want["qty"]), "reason": reason}
        self._line(self._log.warning, "veto", facts)

    def flush(self) -> bool:
        """Write the lines that were kept. Whether none is left."""
        return self._stream.flush()

    def rotate(self) -> None:
        """Begin a new file if this one is large. For the cold side's turn."""
        with contextlib.suppress(OSError):  # a full disk: the lines go on where they are, and space.py says the rest
            rotate_if_large(self._path, self._stream.fileno(), self._most_bytes, self._keep)

    def _external(self, kind: EventKind, event: np.void) -> None:
        """What changed the account without an order of ours."""
        facts: dict[str, Any] = {"instrument": int(event["instrument"]), "ts_event": int(event["ts_event"])}
        if kind == EventKind.POSITION_CORRECTION:
            self._line(self._log.warning, "position correction", facts | {"venue_lots": int(event["qty"]), "ledger_lots": int(event["qty2"])})
            return
        reason = Reject(int(event["code"])) if kind == EventKind.EXTERNAL_FILL else Reject.VENUE_LIQUIDATION
        facts |= {"side": Side(int(event["side"])).text, "price_ticks": int(event["price"]), "qty_lots": int(event["qty"])}
        self._line(self._log.warning, "forced close" if reason else "fill of another client", facts | {"reason": reason.text if reason else ""})

    def close(self) -> None:
        """Say what was left out, flush and close the file."""
        for left_out in self._repeats.rest():
            self._line(self._log.info, "repeated", left_out)
        self._stream.close()
