"""How a strategy's wish becomes orders: the execution policies that a frozen file may name, and what each needs to know (docs/execution.md).

A file of before they had names has `legs`, which is policy `pair`, or `single` where there is no hedge. A key at its default is left out of the file.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from hftkit.params.ranges import MOST_LOTS, Range, check_range, check_ranges
from hftkit.units import INT64_MAX

MOST_BASKET_LEGS = 8  # layout.BASKET_LEGS: a frozen file must be readable without the kernels' layout

_Positive = Annotated[int, msgspec.Meta(ge=1)]
_NotNegative = Annotated[int, msgspec.Meta(ge=0)]
_LONGEST_NS = INT64_MAX // 2  # a time is added to it

_RANGES: dict[str, Range] = {
    "unit_lead_lots": (1, MOST_LOTS),
    "unit_hedge_lots": (-MOST_LOTS, MOST_LOTS),
    "unit_lots": (1, MOST_LOTS),
    "max_position_lots": (1, MOST_LOTS),
    "slippage_ticks": (0, MOST_LOTS),
    "requote_ticks": (1, MOST_LOTS),
    "front_ticks": (0, MOST_LOTS),
    "reprice_ticks": (1, MOST_LOTS),
    "residual_lots": (0, MOST_LOTS),
    "hedge_deadline_ns": (1, _LONGEST_NS),
    "deadline_ns": (1, _LONGEST_NS),
    "retry_ns": (0, _LONGEST_NS),
    "min_rest_ns": (0, _LONGEST_NS),
    "maker_patience_ns": (0, _LONGEST_NS),
}


class LegPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """How one unit of the strategy's target becomes orders in two instruments. Lots and ns are integers.

    `unit_hedge_lots` is signed: negative where the hedge is sold when the lead is bought (the usual pair). Maker first with `maker_patience_ns` > 0:
    the lead is posted at the touch for so long, moved when the touch is `reprice_ticks` away, then taken (docs/execution.md). A key at its default is
    left out of the file: files from before it was there keep their bytes.
    """

    lead: str
    hedge: str
    unit_lead_lots: _Positive
    unit_hedge_lots: int
    slippage_ticks: _NotNegative
    hedge_deadline_ns: _Positive
    retry_ns: _NotNegative
    residual_lots: _NotNegative
    maker_patience_ns: _NotNegative = 0
    reprice_ticks: _Positive = 1


class PairPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, tag_field="policy", tag="pair"):
    """Policy `pair`: a `LegPlan` under its name. `watch`: symbols that the strategy looks at besides."""

    lead: str
    hedge: str
    unit_lead_lots: _Positive
    unit_hedge_lots: int
    slippage_ticks: _NotNegative
    hedge_deadline_ns: _Positive
    retry_ns: _NotNegative
    residual_lots: _NotNegative
    maker_patience_ns: _NotNegative = 0
    reprice_ticks: _Positive = 1
    watch: tuple[str, ...] = ()

    @property
    def traded(self) -> tuple[str, ...]:
        """Symbols that it trades, in the order of their places."""
        return (self.lead, self.hedge)

    def as_legs(self) -> LegPlan:
        """The same as the section `legs`."""
        return LegPlan(**{name: getattr(self, name) for name in LegPlan.__struct_fields__})


class SinglePlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, tag_field="policy", tag="single"):
    """Policy `single`: a target position in one instrument, `unit_lots` a unit, taken at once or maker first (as the lead of a pair)."""

    instrument: str
    unit_lots: _Positive
    slippage_ticks: _NotNegative
    retry_ns: _NotNegative
    maker_patience_ns: _NotNegative = 0
    reprice_ticks: _Positive = 1
    watch: tuple[str, ...] = ()

    @property
    def traded(self) -> tuple[str, ...]:
        """Symbols that it trades, in the order of their places."""
        return (self.instrument,)

    def as_legs(self) -> LegPlan:
        """The same as a pair without a hedge."""
        return LegPlan(
            lead=self.instrument,
            hedge="",
            unit_lead_lots=self.unit_lots,
            unit_hedge_lots=0,
            slippage_ticks=self.slippage_ticks,
            hedge_deadline_ns=1,
            retry_ns=self.retry_ns,
            residual_lots=0,
            maker_patience_ns=self.maker_patience_ns,
            reprice_ticks=self.reprice_ticks,
        )


class QuotesPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, tag_field="policy", tag="quotes"):
    """Policy `quotes`: the strategy says bid and ask, price and size (SIGNAL); one post-only order a side is kept there.

    An order is moved once the wished price is `requote_ticks` away from it, and `front_ticks` further where nobody but us stands before it in its
    queue; not before it has rested for `min_rest_ns`. What it holds never passes `max_position_lots`, open quotes counted as filled.
    """

    instrument: str
    max_position_lots: _Positive
    retry_ns: _NotNegative
    requote_ticks: _Positive = 1
    front_ticks: _NotNegative = 0
    min_rest_ns: _NotNegative = 0
    watch: tuple[str, ...] = ()

    @property
    def traded(self) -> tuple[str, ...]:
        """Symbols that it trades, in the order of their places."""
        return (self.instrument,)


class BasketLeg(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lots of one instrument in a unit, signed."""

    symbol: str
    unit_lots: int


class BasketPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, tag_field="policy", tag="basket"):
    """Policy `basket`: a target position in 2 to 8 instruments, in fixed ratios. A leg without the others is unwound at `deadline_ns`."""

    legs: tuple[BasketLeg, ...]
    slippage_ticks: _NotNegative
    deadline_ns: _Positive
    retry_ns: _NotNegative
    watch: tuple[str, ...] = ()

    @property
    def traded(self) -> tuple[str, ...]:
        """Symbols that it trades, in the order of their places."""
        return tuple(leg.symbol for leg in self.legs)


ExecutionPlan: TypeAlias = PairPlan | SinglePlan | QuotesPlan | BasketPlan
NO_LEGS = LegPlan(  # of a file whose policy is neither `pair` nor `single`
    lead="", hedge="", unit_lead_lots=1, unit_hedge_lots=0, slippage_ticks=0, hedge_deadline_ns=1, retry_ns=0, residual_lots=0
)


def check_plan(plan: LegPlan | ExecutionPlan) -> None:
    """Whole numbers fit into 63 bits and their subject. Raises ValueError."""
    names = set(plan.__struct_fields__)
    check_ranges(plan, {name: allowed for name, allowed in _RANGES.items() if name in names})
    if isinstance(plan, BasketPlan):
        if not 2 <= len(plan.legs) <= MOST_BASKET_LEGS:
            raise ValueError(f"a basket has 2 to {MOST_BASKET_LEGS} legs, this one has {len(plan.legs)}")
        for leg in plan.legs:
            check_range(f"unit_lots of {leg.symbol}", leg.unit_lots, (-MOST_LOTS, MOST_LOTS))
            if leg.unit_lots == 0:
                raise ValueError(f"unit_lots of {leg.symbol} is 0: a leg needs lots")
