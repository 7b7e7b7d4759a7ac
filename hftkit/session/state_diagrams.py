"""Diagrams of state machines, made from the tables that the code runs on (docs/lifecycle.md holds them; a test compares)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hftkit.codes import OrderState
from hftkit.kernels.trading.orders import NEXT_STATE

ORDER_EVENTS = ("sent", "acknowledged", "filled in part", "filled", "cancelled", "rejected", "expired")  # the columns of NEXT_STATE


def diagram(moves: Iterable[tuple[str, str, str]]) -> str:
    """A mermaid state diagram of (from, to, when); "" stands for the beginning or the end. Moves between the same two states share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for before, after, when in moves:
        arrows.setdefault((before or "[*]", after or "[*]"), []).append(when)
    lines = [f"    {before} --> {after}: {', '.join(dict.fromkeys(whens))}".rstrip(": ") for (before, after), whens in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def order_moves() -> list[tuple[str, str, str]]:
    """The moves of an order, from the table of kernels/trading/orders.py."""
    moves = [("", OrderState.PENDING_SUBMIT.name, "it has an id, and is in the journal")]
    for state, event in np.argwhere(NEXT_STATE >= 0):
        after = int(NEXT_STATE[state, event])
        if after != state:
            moves.append((OrderState(int(state)).name, OrderState(after).name, ORDER_EVENTS[int(event)]))
    ends = [state for state in OrderState if state.name in ("FILLED", "CANCELED", "REJECTED", "EXPIRED")]
    return moves + [(state.name, "", "") for state in ends]
