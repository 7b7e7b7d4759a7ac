"""A frozen file in words: what it trades, with which thresholds, and how it came to be. For `hftkit params show`.

Provenance grew over time and an old file is a good file: what one does not hold is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hftkit.params.execution import BasketPlan, QuotesPlan
from hftkit.params.format import FrozenParams
from hftkit.units import iso_from_ns

_WIDTH = 16


def describe(frozen: FrozenParams) -> str:
    """The file as text, section by section."""
    lines = [
        f"{frozen.name}: strategy {frozen.strategy} version {frozen.strategy_version}",
        _line("digest", frozen.digest),
        _line("valid", f"{iso_from_ns(frozen.valid_from_ns)} .. {iso_from_ns(frozen.valid_until_ns)} (exchange time)"),
        "",
        "trades",
        *_trades(frozen),
        "",
        "parameters",
        *(_line(name, value) for name, value in frozen.parameters.items()),
        *(_line(name, _array(frozen, name)) for name in frozen.arrays),
    ]
    origin = list(_origin(frozen.provenance))
    return "\n".join([*lines, "", "where it comes from", *origin] if origin else lines)


def _line(name: str, value: Any) -> str:
    return f"  {name:{_WIDTH}} {value}"


def _trades(frozen: FrozenParams) -> Iterator[str]:
    legs, plan = frozen.legs, frozen.execution
    lots = {legs.lead: legs.unit_lead_lots, legs.hedge: legs.unit_hedge_lots}
    if isinstance(plan, BasketPlan):
        lots = {leg.symbol: leg.unit_lots for leg in plan.legs}
    for instrument in frozen.instruments:
        unit = f"one unit {lots.get(instrument.symbol, 0):+d} lots" if instrument.symbol in lots else ""
        scale = f"tick {instrument.tick_size}, lot {instrument.lot_size}, minimum notional {instrument.min_notional}"
        yield _line(instrument.symbol, f"{unit:24} {scale}, fees {instrument.maker_fee_ppm}/{instrument.taker_fee_ppm} ppm")
    if plan is not None:
        yield _line("policy", frozen.policy)
    if isinstance(plan, QuotesPlan):
        yield _line("quotes", f"{plan.instrument}, at most {plan.max_position_lots:,} lots held; moved when {plan.requote_ticks} ticks away")
        return
    if isinstance(plan, BasketPlan):
        yield _line("execution", f"slippage {plan.slippage_ticks} ticks, every leg within {plan.deadline_ns / 1e9:g} s")
        return
    if legs.maker_patience_ns:
        move = f"moved when the touch is {legs.reprice_ticks} ticks away"
        yield _line("maker first", f"{legs.lead} posted at the touch for {legs.maker_patience_ns / 1e9:g} s, {move}, then taken")
    yield _line(
        "execution", f"slippage {legs.slippage_ticks} ticks, hedge within {legs.hedge_deadline_ns / 1e9:g} s, residual {legs.residual_lots} lots"
    )


def _array(frozen: FrozenParams, name: str) -> str:
    values = frozen.array(name)
    return f"{values.size} values, {values[0]:.6g} .. {values[-1]:.6g}" if values.size else "empty"


def _origin(birth: dict[str, Any]) -> Iterator[str]:
    """Lines about the provenance, those whose figures are there."""
    made = birth.get("made_by")
    if made:
        yield _line("made by", made)
    for row in birth.get("data", []):
        yield _line("data", f"{row['symbol']} {row['rows']} rows, {row['first']} .. {row['last']}, sha256 {row['sha256'][:12]}")
    if "universe" in birth:
        yield _line("universe", f"{len(birth['universe'])} files looked at, prices sha256 {birth.get('panel_sha256', '')[:12]}")
    for decision in birth.get("data_decisions", []):
        yield _line("decision", decision)
    spans = birth.get("spans", {})
    for name in (name for name in ("train", "validation", "test") if name in spans):
        yield _line(name, f"{spans[name]['first']} .. {spans[name]['last']}")
    search = birth.get("search", {})
    if search:
        others = ", ".join(f"{count} {why}" for why, count in search.get("not_tested", {}).items())
        yield _line(
            "search", f"{search['pairs_tested']} ordered pairs of {search['symbols']} symbols tested{f', not tested: {others}' if others else ''}"
        )
        yield _line(
            "", f"{search['discoveries']} found at a false-discovery rate of {_short(search['fdr'])}; q-value of this pair {_q_values(search)}"
        )
    found = birth.get("engle_granger", {})
    if found:
        yield _line(
            "Engle-Granger",
            f"t {_short(found['statistic'])}, p {_short(found['pvalue'])}, lag {found['lag']}, half-life {_short(found['half_life_bars'])} bars",
        )
    tried = birth.get("calibration", {})
    if tried:
        yield _line("calibration", _tried(tried))
        yield _line("", f"deflated Sharpe probability {_short(tried['deflated_sharpe'])} (train){_validated(search)}")
        if "chosen_by" in tried:
            yield _line("", f"thresholds: {tried['chosen_by']}")
        for name in ("train", "validation"):
            if name in tried:
                yield _line(f"  {name}", _result(tried[name]))
        if "train_is" in tried:
            yield _line("", f"train is {tried['train_is']}")
    seen = birth.get("out_of_sample", {})
    if seen:
        believed = f", probability of a Sharpe ratio above 0: {_short(seen['probabilistic_sharpe'])}" if "probabilistic_sharpe" in seen else ""
        yield _line("out of sample", _result(seen) + believed)
        band = seen.get("confidence", {})
        for name in ("net", "sharpe"):
            if name in band:
                low, high = _short(band[name]["low"]), _short(band[name]["high"])
                yield _line("", f"{name} {low} .. {high} with {float(band['level']):.0%} confidence ({band['method']}, {band['draws']} draws)")
    if "test_span" in birth:
        yield _line("", f"other trials that had looked at the test span before: {birth['test_span'].get('looks_before', 'not recorded')}")
    again = birth.get("cointegration_again", {})
    for i, name in enumerate(name for name in ("validation", "test", "together") if name in again):
        yield _line("tested again" if i == 0 else "", _again(name, again[name], again["level"]))
    if "capacity" in birth:
        yield from _carried(birth["capacity"])
    for symbol, fields in birth.get("guessed", {}).items():
        yield _line("guessed", f"{', '.join(fields)} of {symbol}: no venue has told them")
    for warning in birth.get("warnings", []):
        yield _line("WARNING", warning)
    if birth.get("costs"):
        yield _line("costs", ", ".join(f"{name} {_cost(value)}" for name, value in birth["costs"].items()))
    if birth.get("seeds"):
        yield _line("seeds", ", ".join(f"{name} {value}" for name, value in birth["seeds"].items()))
    if birth.get("code"):
        yield _line("code", ", ".join(f"{name} {str(value)[:12]}" for name, value in birth["code"].items()))


def _again(span: str, row: dict[str, Any], level: Any) -> str:
    """Cointegration on one span after train."""
    if row["pvalue"] == "none":
        return f"{span}: too short ({row['bars']} bars)"
    verdict = "reverts" if float(row["pvalue"]) <= float(level) else "not confirmed"
    anew = f"estimated anew: hedge ratio {_short(row['hedge_ratio_anew'])}, p {_short(row['pvalue_anew'])}"
    return f"{span}: p {_short(row['pvalue'])} of a unit root in the frozen spread, {verdict} ({anew})"


def _carried(amounts: dict[str, Any]) -> Iterator[str]:
    """How much money the pair can carry, beside the unit."""
    yield _line("capacity", f"a unit is {_short(amounts['unit_notional'])}")
    for name in ("validation", "test"):
        row = amounts.get(name, "")
        if isinstance(row, dict):
            earns = row["most_profit"] != "none"
            text = f"most profit at {_short(row['most_profit'])}, nothing left at {_short(row['nothing_left'])}" if earns else "earns at no size"
            yield _line("", f"{name}: {text}")
        elif row:
            yield _line("", f"{name}: {row}")


def _cost(value: Any) -> str:
    return "/".join(_short(one) for one in value) if isinstance(value, list) else _short(value)


def _tried(calibration: dict[str, Any]) -> str:
    """How much was tried before this pair and these thresholds were taken."""
    sets = f"{calibration['parameter_sets_tried']} parameter sets"
    if "trials" not in calibration:
        return f"{sets} tried"
    effective = f"{float(calibration['effective_trials']):,.0f}"
    return f"{sets} on each of {calibration['pairs_tested']} pairs: {calibration['trials']:,} trials, like {effective} independent ones"


def _validated(search: dict[str, Any]) -> str:
    if "validation_deflated_sharpe" not in search:
        return ""
    return f", {_short(search['validation_deflated_sharpe'])} (validation, best of {search['candidates']} candidates)"


def _q_values(search: dict[str, Any]) -> str:
    """q-values by the corrections that the file holds."""
    others = [f"{_short(search[key])} ({name})" for key, name in (("q_by", "Benjamini-Yekutieli"), ("q_bonferroni", "Bonferroni")) if key in search]
    return ", ".join([f"{_short(search['q_value'])} (Benjamini-Hochberg)", *others])


def _result(run: dict[str, Any]) -> str:
    return f"{run['trades']} trades, net {_short(run['net'])}, Sharpe {_short(run['sharpe'])}, drawdown {_short(run['max_drawdown'])}"


def _short(value: Any) -> str:
    """Decimal text to four figures; what is no number as it is."""
    try:
        return f"{float(value):.4g}"
    except (TypeError, ValueError):
        return str(value)
