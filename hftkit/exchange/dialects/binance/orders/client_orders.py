"""What the dialect knows of an order beside what the venue does: its client id as text, and words that mean nothing to the matching engine.

The venue's client order ids are integers, this protocol's are texts. Each order of the dialect gets the next integer above NUMBER_BASE, out of
reach of the ids that clients of the binary dialect count up from; their orders show here with the integer as text, the venue's own as "autoclose-n".
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field

NUMBER_BASE = 1 << 62
_KEPT = 200_000
_LETTERS = string.ascii_letters + string.digits


def new_client_id() -> str:
    """A client id as the venue makes one up: 22 letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(22))


@dataclass
class ClientOrder:
    """One order of the dialect. `number`: its client order id inside the venue."""

    client_id: str
    number: int
    order_type: str = "LIMIT"
    orig_type: str = "LIMIT"
    time_in_force: str = "GTC"
    stp: str = "EXPIRE_MAKER"
    price_match: str = "NONE"
    good_till: int = 0  # ms
    close_position: bool = False
    working_type: str = "CONTRACT_PRICE"
    price_protect: bool = False
    stop_price: int = 0  # ticks, of the conditional order that it came from
    n_amendments: int = 0
    amendments: list[dict[str, object]] = field(default_factory=list)
    modify_id: int | None = None  # of the amendment under way or done last


class ClientOrders:
    """All client orders, by account and number, and by account and text (the last order that bore it)."""

    def __init__(self) -> None:
        self._by_number: dict[tuple[int, int], ClientOrder] = {}
        self._by_text: dict[tuple[int, str], int] = {}
        self._last = NUMBER_BASE

    def next_number(self) -> int:
        """The next client order id of the dialect."""
        self._last += 1
        return self._last

    def keep(self, account: int, client_order: ClientOrder) -> None:
        """Remember a client order; the oldest ones are forgotten beyond some 200,000."""
        self._by_number[account, client_order.number] = client_order
        self._by_text[account, client_order.client_id] = client_order.number
        if len(self._by_number) > _KEPT:
            (owner, number), oldest = next(iter(self._by_number.items()))
            del self._by_number[owner, number]
            if self._by_text.get((owner, oldest.client_id)) == number:
                del self._by_text[owner, oldest.client_id]

    def drop(self, account: int, client_order: ClientOrder) -> None:
        """The order was refused: it never was."""
        self._by_number.pop((account, client_order.number), None)
        if self._by_text.get((account, client_order.client_id)) == client_order.number:
            del self._by_text[account, client_order.client_id]

    def of(self, account: int, number: int) -> ClientOrder | None:
        """The client order of an order, None for one that came another way."""
        return self._by_number.get((account, number))

    def text_of(self, account: int, number: int) -> str:
        """The client id to show for any order."""
        client_order = self._by_number.get((account, number))
        if client_order is not None:
            return client_order.client_id
        return str(number) if number >= 0 else f"autoclose-{-number}"

    def number_of(self, account: int, client_id: str) -> int | None:
        """The number behind a client id: the dialect's last order of that name, or an order of the binary dialect. None: neither."""
        number = self._by_text.get((account, client_id))
        if number is None and client_id.isascii() and client_id.isdigit() and len(client_id) <= 19 and int(client_id) < NUMBER_BASE:
            return int(client_id)
        if number is None and client_id.startswith("autoclose-") and client_id[10:].isdigit() and len(client_id) <= 28:
            return -int(client_id[10:])
        return number
