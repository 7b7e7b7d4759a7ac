"""The records that the execution policies of a session keep: allocated, and filled in from the frozen files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hftkit import layout
from hftkit.codes import Policy
from hftkit.errors import ParamsError
from hftkit.params.execution import BasketPlan, QuotesPlan
from hftkit.params.format import FrozenParams


class PolicyRecords(NamedTuple):
    """Views of one memory, so that it can be copied and compared at once."""

    words: np.ndarray  # int64: all of them
    legs: np.ndarray  # LEGS (k,)
    quotes: np.ndarray  # QUOTES (k,), none where no strategy quotes
    baskets: np.ndarray  # BASKET (k,), none where there is no basket
    basket_legs: np.ndarray  # BASKET_LEG (k * BASKET_LEGS,), likewise


def policy_of(frozen: FrozenParams) -> Policy:
    """The policy as the engine knows it: a single instrument is a pair without a hedge."""
    if isinstance(frozen.execution, QuotesPlan):
        return Policy.QUOTES
    return Policy.BASKET if isinstance(frozen.execution, BasketPlan) else Policy.PAIR


def most_wants(frozen: FrozenParams) -> int:
    """The most that its policy wants in one step: a leg each; of quotes two, and the close."""
    return max(2, 3 if isinstance(frozen.execution, QuotesPlan) else len(frozen.traded))


def policy_records(strategies: Sequence[FrozenParams]) -> PolicyRecords:
    """Zeros for these strategies."""
    k, found = len(strategies), {policy_of(frozen) for frozen in strategies}
    n_quotes, n_baskets = (k if policy in found else 0 for policy in (Policy.QUOTES, Policy.BASKET))
    parts = ((layout.LEGS, k), (layout.QUOTES, n_quotes), (layout.BASKET, n_baskets), (layout.BASKET_LEG, n_baskets * layout.BASKET_LEGS))
    sizes = [n * record.dtype.itemsize // layout.WORD for record, n in parts]
    words, at, views = np.zeros(sum(sizes), np.int64), 0, []
    for (record, _), size in zip(parts, sizes, strict=True):
        views.append(words[at : at + size].view(record.dtype))
        at += size
    return PolicyRecords(words, *views)


def unit_table(strategies: Sequence[FrozenParams]) -> np.ndarray:
    """int64 (k, BASKET_LEGS): signed lots of each leg in a unit of each strategy; zeros where it has no units (quotes)."""
    units = np.zeros((len(strategies), layout.BASKET_LEGS), np.int64)
    for row, frozen in zip(units, strategies, strict=True):
        if isinstance(frozen.execution, BasketPlan):
            row[: len(frozen.execution.legs)] = [leg.unit_lots for leg in frozen.execution.legs]
        elif not isinstance(frozen.execution, QuotesPlan):
            row[:2] = frozen.legs.unit_lead_lots, frozen.legs.unit_hedge_lots
    return units


def fill_in(records: PolicyRecords, strategies: Sequence[FrozenParams], watch: np.ndarray) -> None:
    """Write the configuration of each strategy's policy. `watch` int64 (k, w): instruments that it watches. Raises ParamsError."""
    for slot, (frozen, watched) in enumerate(zip(strategies, watch, strict=True)):
        plan = frozen.execution
        if isinstance(plan, QuotesPlan):
            row = records.quotes[slot]
            row["instrument"], row["max_position"], row["retry_ns"] = watched[0], plan.max_position_lots, plan.retry_ns
            row["requote_ticks"], row["front_ticks"], row["min_rest_ns"] = plan.requote_ticks, plan.front_ticks, plan.min_rest_ns
        elif isinstance(plan, BasketPlan):
            row = records.baskets[slot]
            row["n_legs"], row["slippage_ticks"] = len(plan.legs), plan.slippage_ticks
            row["deadline_ns"], row["retry_ns"] = plan.deadline_ns, plan.retry_ns
            for place, leg in enumerate(plan.legs):
                one = records.basket_legs[slot * layout.BASKET_LEGS + place]
                one["instrument"], one["unit"] = watched[place], leg.unit_lots
        else:
            _fill_in_legs(records.legs[slot], frozen, watched)
            continue
        records.legs[slot]["lead"] = records.legs[slot]["hedge"] = layout.NO_INSTRUMENT


def _fill_in_legs(row: np.void, frozen: FrozenParams, watched: np.ndarray) -> None:
    plan = frozen.legs
    row["lead"], row["hedge"] = watched[0], watched[1] if plan.hedge else layout.NO_INSTRUMENT
    row["unit_lead"], row["unit_hedge"] = plan.unit_lead_lots, plan.unit_hedge_lots
    if plan.unit_lead_lots <= 0 or (plan.hedge and plan.unit_hedge_lots == 0):
        raise ParamsError(f"{frozen.name}: one unit is {plan.unit_lead_lots} and {plan.unit_hedge_lots} lots", "Both legs need lots")
    row["slippage_ticks"], row["hedge_deadline_ns"] = plan.slippage_ticks, plan.hedge_deadline_ns
    row["retry_ns"], row["residual_lots"] = plan.retry_ns, plan.residual_lots
    row["maker_patience_ns"], row["reprice_ticks"] = plan.maker_patience_ns, plan.reprice_ticks
