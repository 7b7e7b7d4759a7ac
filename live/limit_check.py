"""The limits of a session against the units of its frozen files, before it trades: a unit that cannot be held would leave half a pair.

Risk makes orders smaller, it never asks. A position or exposure limit below one unit therefore ends in a leg without its other, vetoes, and
unwinds. Such a session is refused. What merely makes a unit go out in several orders is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hftkit.errors import ConfigError
from hftkit.instruments import Instrument
from hftkit.layout import MONEY_SCALE
from hftkit.params.execution import BasketPlan, QuotesPlan
from hftkit.params.format import FrozenParams
from hftkit.session.engine_state import Limits
from hftkit.strategies import strategy

if TYPE_CHECKING:
    from live.engine import Engine


def unit_lots(frozen: FrozenParams) -> dict[str, int]:
    """Lots of each leg in the largest unit that the strategy may ask for, by symbol."""
    if isinstance(frozen.execution, QuotesPlan):
        return {frozen.execution.instrument: 1}  # quotes are made smaller where there is no room: one lot is all that they need
    if isinstance(frozen.execution, BasketPlan):
        return {leg.symbol: abs(leg.unit_lots) for leg in frozen.execution.legs}
    rule = strategy(frozen.strategy)
    lots = {frozen.legs.lead: frozen.legs.unit_lead_lots}
    return {**lots, frozen.legs.hedge: rule.most_hedge_lots(frozen, rule.check(frozen, frozen.name))} if frozen.legs.hedge else lots


def smallest_lots(frozen: FrozenParams) -> dict[str, int]:
    """Lots of the smallest order that a strategy would send, by symbol: a unit of each leg; of quotes all that it may hold, since sizes vary."""
    plan = frozen.execution
    if isinstance(plan, QuotesPlan):
        return {plan.instrument: plan.max_position_lots}
    if isinstance(plan, BasketPlan):
        return {leg.symbol: abs(leg.unit_lots) for leg in plan.legs}
    lots = {frozen.legs.lead: frozen.legs.unit_lead_lots}
    return {**lots, frozen.legs.hedge: abs(frozen.legs.unit_hedge_lots)} if frozen.legs.hedge else lots


def unit_values(frozen: FrozenParams, half_mids: Mapping[str, int]) -> dict[str, float]:
    """Value of each leg of the largest unit in quote currency. `half_mids`: bid + ask in ticks (twice the mid) by symbol."""
    lots = unit_lots(frozen)
    scales: dict[str, Instrument] = {one.symbol: one for one in frozen.instruments}
    return {symbol: count * half_mids[symbol] / 2 * scales[symbol].tick_lot_e8 / MONEY_SCALE for symbol, count in lots.items() if symbol in half_mids}


def check_limits(strategies: Sequence[FrozenParams], limits: Limits, half_mids: Mapping[str, int]) -> list[str]:
    """Warnings, one a line. Raises ConfigError where a unit of a strategy can never be held whole."""
    warnings = []
    whole = 0.0
    for frozen in strategies:
        values = unit_values(frozen, half_mids)
        whole += sum(values.values())
        for symbol, lots in unit_lots(frozen).items():
            most = limits.max_position_lots_by_symbol.get(symbol, limits.max_position_lots)
            if lots > most:
                raise _too_small(frozen, f"max_position_lots allows {most:,} lots of {symbol}", f"a unit is {lots:,} lots", f"{lots}")
            at_once = limits.max_order_lots_by_symbol.get(symbol, limits.max_order_lots)
            if lots > at_once:
                warnings.append(f"{frozen.name}: a unit of {lots:,} lots of {symbol} goes out in several orders: max_order_lots is {at_once:,}")
            value = values.get(symbol, 0.0)
            if value > limits.max_order_notional:
                warnings.append(
                    f"{frozen.name}: a unit of {symbol} is worth {value:,.2f} and goes out in several orders: max_order_notional is "
                    f"{limits.max_order_notional:,}"
                )
        held = sum(values.values())
        if held > limits.max_exposure:
            worth = f"one unit of all legs is worth {held:,.2f}" if len(frozen.traded) > 1 else f"one unit is worth {held:,.2f}"
            raise _too_small(frozen, f"max_exposure allows {limits.max_exposure:,}", worth, f"{int(held * 1.2) + 1}")
    if len(strategies) > 1 and whole > limits.max_exposure:
        warnings.append(
            f"all {len(strategies)} strategies at once are worth {whole:,.2f}, max_exposure allows {limits.max_exposure:,}: some will wait"
        )
    return warnings


def _too_small(frozen: FrozenParams, limit: str, unit: str, enough: str) -> ConfigError:
    name = limit.split(" ", 1)[0]
    return ConfigError(
        f"the limits are below one unit of {frozen.file_name}: {limit}, {unit}",
        f"Set {name} in [limits] to {enough} or more, or freeze a smaller unit (hftkit freeze --unit-notional)",
    )


def say_limits(strategies: Sequence[FrozenParams], limits: Limits, half_mids: Mapping[str, int]) -> list[str]:
    """The same for a session that sends no order: what would refuse it is a warning."""
    try:
        return check_limits(strategies, limits, half_mids)
    except ConfigError as error:
        return [str(error)]


def half_mids(engine: Engine) -> dict[str, int]:
    """Bid + ask of this moment in ticks (twice the mid), by symbol."""
    book = engine.rooms.book
    return {one.symbol: int(book["best_bid"][i] + book["best_ask"][i]) for i, one in enumerate(engine.session_config.instruments)}


def check_session(engine: Engine, frozen: Sequence[FrozenParams]) -> None:
    """Whether the limits can hold a unit of each strategy at the prices of this moment. Raises ConfigError; warnings are said and logged."""
    check = say_limits if engine.observing else check_limits
    for line in check(frozen, engine.config.limits, half_mids(engine)):
        engine.say(f"limits: {line}")
        engine.log.event("limits", why=line)


def refuse_twice(paths: Sequence[str], strategies: Sequence[FrozenParams]) -> None:
    """One frozen file in two slots would trade twice its size under limits meant for one. Raises ConfigError."""
    digests = [frozen.digest for frozen in strategies]
    again = {path for i, path in enumerate(paths) if path in paths[:i]} | {
        one.file_name for i, one in enumerate(strategies) if one.digest in digests[:i]
    }
    if again:
        raise ConfigError(f"{', '.join(sorted(again))} is given twice", "Name each frozen file once; for a larger size freeze a larger unit")
