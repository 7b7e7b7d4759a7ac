"""What flattening an account came to, the same for every venue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Flattened:
    """`positions`, `orders`: what the venue still has at the end, in its own words; `told`: what it refused on the way, the last of each kind."""

    account: str
    canceled: int = 0
    closing_orders: int = 0
    positions: dict[str, str] = field(default_factory=dict)
    orders: list[str] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    lots: dict[str, int] = field(default_factory=dict)  # the positions as signed numbers, where the venue counts in lots
    confirmed: bool = False  # the venue has said so after the last order of ours

    @property
    def flat(self) -> bool:
        """Whether the venue has confirmed that nothing is left."""
        return self.confirmed and not self.positions and not self.orders

    @property
    def left(self) -> str:
        """What is left, in words."""
        parts = [f"position {symbol} {quantity}" for symbol, quantity in sorted(self.positions.items())]
        parts += [f"open order {order}" for order in self.orders]
        if not self.confirmed:
            parts.append("what the venue did not answer for")
        return ", ".join(parts) or "nothing"

    def as_json(self) -> dict[str, Any]:
        """Plain data for programs."""
        return {
            "account": self.account, "flat": self.flat, "confirmed": self.confirmed, "canceled": self.canceled, "closing_orders": self.closing_orders,
            "positions": self.positions, "orders": self.orders, "told": self.told,
        }  # fmt: skip
