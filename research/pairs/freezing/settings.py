"""What a search is asked for and what it counts: the arguments that stand in a frozen file, and can be read from it again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import msgspec
import numpy as np

from hftkit.errors import ParamsError
from hftkit.params.format import text_of
from hftkit.units import NS_PER_S
from research.pairs.costs import Costs
from research.pairs.strategy_optimizer import Grid
from research.stats.discovery.pair_scan import UnitRootRule
from research.stats.discovery.prefilter import Prefilter
from research.stats.discovery.scan_p_values import Source

T = TypeVar("T")


@dataclass(frozen=True)
class Execution:
    """How a unit becomes orders. `unit_notional`: value of the lead leg in quote currency; the others as in LegPlan and PairsParams."""

    unit_notional: float = 1000.0
    slippage_ticks: int = 10
    hedge_deadline_ns: int = 2 * NS_PER_S
    retry_ns: int = NS_PER_S // 10
    residual_lots: int = 0
    maker_patience_ns: int = 0
    reprice_ticks: int = 1
    max_imbalance: float = 1.0
    valid_days: int = 30


@dataclass(frozen=True)
class Search:
    """How hard was looked: symbols, ordered pairs tested and not tested (why: how many), discoveries at `fdr`, q-values of this pair by
    Benjamini-Hochberg, Benjamini-Yekutieli and Bonferroni; how many calibrated candidates were compared on validation, and the Sharpe ratio of the
    best of them there, deflated by their number.
    """

    symbols: int
    pairs_tested: int
    discoveries: int
    fdr: float
    q_value: float
    q_by: float = math.nan
    q_bonferroni: float = math.nan
    not_tested: dict[str, int] = field(default_factory=dict)
    candidates: int = 1
    validation_deflated_sharpe: float = math.nan


@dataclass(frozen=True)
class Arguments:
    """Arguments of `find_and_freeze_many`, by the same names; of `pairs` and `count` see there. A file holds them, so that it can be made again."""

    fdr: float = 0.05
    fractions: tuple[float, float, float] = (0.5, 0.25, 0.25)
    embargo: int | None = None
    max_half_life: float = 480.0
    max_candidates: int = 5
    count: int = 1
    pairs: Sequence[tuple[str, str]] | None = None
    insist: bool = False
    zscores: Sequence[str] = ("rolling",)
    confidence: float | None = None
    unit_root_level: float | None = 0.01
    unit_root_rule: UnitRootRule = "each"
    log: bool = True
    p_values: Source = "auto"
    draws: int | None = None
    seed: int = 0
    grid: Grid | None = None
    costs: Costs | None = None
    prefilter: Prefilter = field(default_factory=Prefilter)
    execution: Execution = field(default_factory=Execution)

    def as_plain(self) -> dict[str, Any]:
        """For the frozen file."""
        return dict(as_text(asdict(self)))


def as_text(value: Any) -> Any:
    """Plain data with floats as decimal text; a figure that does not exist (NaN, infinity) becomes "none"."""
    if isinstance(value, Mapping):
        return {key: as_text(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        return as_text(value.item())
    if isinstance(value, float):
        return text_of(value) if math.isfinite(value) else "none"
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return [as_text(item) for item in value]
    return value


def read_back(plain: Any, kind: type[T], where: str, infinite: Sequence[str] = ()) -> T:
    """A dataclass from what `as_text` made of it. `infinite`: keys whose "none" means infinity; elsewhere it means NaN.

    Raises ParamsError naming `where` for data of another form.
    """
    try:
        filled = {key: ("inf" if key in infinite else "nan") if value == "none" else value for key, value in dict(plain).items()}
        return msgspec.convert(filled, kind, strict=False)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise ParamsError(f"{where} of the provenance cannot be read ({error})", "Freeze again with this version") from None
