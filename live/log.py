"""The session's log: one JSON line an event, written by the cold side from the notes the hot loop leaves (MO-11)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import structlog

from hftkit import layout
from hftkit.codes import EventKind, Reject, Side
from live.hot_loop import NOTE_EVENT
from live.masking import MaskSecrets

_EVENT = layout.EVENT.dtype
_WANT = layout.WANT.dtype
_EXTERNAL_KINDS = frozenset({EventKind.EXTERNAL_FILL, EventKind.POSITION_CORRECTION})
_ORDER_KINDS = frozenset({EventKind.ORDER_ACK, EventKind.ORDER_REJECT, EventKind.ORDER_FILL, EventKind.ORDER_CANCELED, EventKind.CANCEL_REJECT})


class SessionLog:
    """Writes `session.log`; `secrets` masks what must not stand in it. Order events carry `client_order_id` as their correlation id."""

    def __init__(self, path: Path) -> None:
        self.secrets = MaskSecrets()
        self._stream = path.open("a", encoding="utf-8")
        self._log = structlog.wrap_logger(
            structlog.WriteLogger(self._stream),
            processors=[structlog.processors.TimeStamper(fmt="iso", utc=True), self.secrets, structlog.processors.JSONRenderer()],
        )

    def event(self, name: str, **facts: Any) -> None:
        """Log one event of the cold side."""
        self._log.info(name, **facts)

    def note(self, words: np.ndarray) -> None:
        """Log one note of the hot loop: int64 words, the kind first."""
        if words[0] == NOTE_EVENT:
            event = words[1 : 1 + _EVENT.itemsize // 8].view(_EVENT)[0]
            kind = EventKind(int(event["kind"]))
            if kind in _EXTERNAL_KINDS or (kind == EventKind.ORDER_FILL and event["client_order_id"] < 0):
                self._external(kind, event)
            elif kind in _ORDER_KINDS:
                self._log.info(
                    kind.text,
                    client_order_id=int(event["client_order_id"]),
                    instrument=int(event["instrument"]),
                    side=Side(int(event["side"])).text,
                    price_ticks=int(event["price"]),
                    qty_lots=int(event["qty"]),
                    reason=Reject(int(event["code"])).text if kind == EventKind.ORDER_REJECT else "",
                    ts_event=int(event["ts_event"]),
                )
            return
        want = words[1 : 1 + _WANT.itemsize // 8].view(_WANT)[0]
        side, reason = Side(int(want["side"])).text, Reject(int(want["reason"])).text
        self._log.warning("veto", instrument=int(want["instrument"]), side=side, qty_lots=int(want["qty"]), reason=reason)

    def _external(self, kind: EventKind, event: np.void) -> None:
        """What changed the account without an order of ours."""
        facts = {"instrument": int(event["instrument"]), "ts_event": int(event["ts_event"])}
        if kind == EventKind.POSITION_CORRECTION:
            self._log.warning("position correction", venue_lots=int(event["qty"]), ledger_lots=int(event["qty2"]), **facts)
            return
        reason = Reject(int(event["code"])) if kind == EventKind.EXTERNAL_FILL else Reject.VENUE_LIQUIDATION
        self._log.warning(
            "forced close" if reason else "fill of another client",
            side=Side(int(event["side"])).text,
            price_ticks=int(event["price"]),
            qty_lots=int(event["qty"]),
            reason=reason.text if reason else "",
            **facts,
        )

    def close(self) -> None:
        """Flush and close the file."""
        self._stream.close()
