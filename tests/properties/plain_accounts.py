"""One account's books in exact fractions: written from docs/protocol.md ("Money"), told only what happened at which price, never what it came to.

Money is in 1e-8 quote. The venue keeps whole units, so it may differ by one for each rounding: `roundings` counts them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

PPM = 1_000_000


@dataclass
class Rules:
    """What the venue charges and asks for. `unit`: value of one lot moving one tick, of each instrument."""

    unit: tuple[int, ...]
    maker_ppm: tuple[int, ...]
    taker_ppm: tuple[int, ...]
    maintenance_ppm: int


@dataclass
class PlainAccount:
    """Positions in lots, entries in ticks, money in 1e-8 quote. `pockets`: wallets of isolated positions."""

    rules: Rules
    cross: Fraction
    leverage: int
    isolated: list[bool]
    position: list[int] = field(default_factory=lambda: [0, 0])
    entry: list[Fraction] = field(default_factory=lambda: [Fraction(0), Fraction(0)])
    pockets: list[Fraction] = field(default_factory=lambda: [Fraction(0), Fraction(0)])
    roundings: int = 0

    @property
    def wallet(self) -> Fraction:
        return self.cross + sum(self.pockets)

    def cost(self, i: int) -> Fraction:
        return self.position[i] * self.entry[i] * self.rules.unit[i]

    def fee(self, i: int, price: int, qty: int, maker: bool) -> int:
        return floor(Fraction(price * qty * self.rules.unit[i] * (self.rules.maker_ppm if maker else self.rules.taker_ppm)[i], PPM))

    def trade(self, i: int, signed: int, price: int, fee: int = 0) -> Fraction:
        """A fill of `signed` lots. Returns the profit of what it closed."""
        held, unit = self.position[i], self.rules.unit[i]
        closed = min(abs(held), abs(signed)) if held * signed < 0 else 0
        opened = abs(signed) - closed
        profit = (price - self.entry[i]) * closed * unit * (1 if held > 0 else -1)
        self.roundings += closed > 0
        if self.isolated[i]:
            back = self.pockets[i] * closed / abs(held) if closed else Fraction(0)
            there = Fraction(price * opened * unit, self.leverage)
            self.pockets[i] += there - back
            self.cross += back - there
            self.roundings += 2
        if opened:
            self.entry[i] = (self.entry[i] * (abs(held) - closed) + price * opened) / (abs(held) - closed + opened)
        self.position[i] = held + signed
        self.cross += profit - fee
        return profit

    def fund(self, i: int, mark: int, rate_ppm: int) -> int:
        """One funding payment; returns what is paid, negative if it is received."""
        paid = floor(Fraction(self.position[i] * mark * self.rules.unit[i] * rate_ppm, PPM))
        if self.isolated[i]:
            self.pockets[i] -= paid
        else:
            self.cross -= paid
        return paid

    def profit(self, i: int, mark: int) -> Fraction:
        return self.position[i] * (mark - self.entry[i]) * self.rules.unit[i]

    def maintenance(self, i: int, mark: int) -> Fraction:
        return Fraction(abs(self.position[i]) * mark * self.rules.unit[i] * self.rules.maintenance_ppm, PPM)

    def equity(self, marks: list[int]) -> Fraction:
        """What the cross positions answer with."""
        return self.cross + sum((self.profit(i, mark) for i, mark in enumerate(marks) if not self.isolated[i]), Fraction(0))

    def short(self, marks: list[int]) -> Fraction:
        """By how much it lacks maintenance margin: the worst of its cross wallet and its isolated positions; negative: by how much it has more."""
        asked = sum((self.maintenance(i, mark) for i, mark in enumerate(marks) if not self.isolated[i]), Fraction(0))
        lacks = asked - self.equity(marks) if asked or not any(self.pockets) else Fraction(-PPM)
        alone = [self.maintenance(i, marks[i]) - self.pockets[i] - self.profit(i, marks[i]) for i in (0, 1) if self.isolated[i] and self.position[i]]
        return max([lacks, *alone])

    def initial(self, i: int, mark: int, bids: int, asks: int) -> Fraction:
        """Initial margin that the cross wallet must have for one instrument. `bids`, `asks`: ticks * lots of the orders that may open something."""
        value = self.position[i] * mark
        if not self.isolated[i]:
            return Fraction(max(abs(value + bids), abs(value - asks)) * self.rules.unit[i], self.leverage)
        needed = [Fraction(0)]
        for orders, held in ((bids, value), (asks, -value)):  # held: what orders of this side would add to; negative: close first
            opened = Fraction(max(0, orders + min(0, held)) * self.rules.unit[i], self.leverage)
            if opened:
                needed.append(opened - (self.pockets[i] + self.profit(i, mark) if held < 0 else 0))
        return max(needed)

    def lacks(self, marks: list[int], book: list[list[int]], i: int, side: int, added: int) -> Fraction | None:
        """What is missing for an order worth `added` ticks * lots; None: it makes nothing larger. `book`: [bids, asks] of each instrument."""
        after = [list(sums) for sums in book]
        after[i][side] += added
        needed = sum((self.initial(k, marks[k], *after[k]) for k in (0, 1)), Fraction(0))
        if self.initial(i, marks[i], *after[i]) <= self.initial(i, marks[i], *book[i]):
            return None
        return needed - self.equity(marks)
