"""What a trade costs: fee, half the spread, slippage, latency, funding. One object, stated in every result and frozen with the parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from hftkit.errors import DataError

FUNDING_NS = 8 * 3_600 * 10**9  # between two payments of a perpetual future, usually


@dataclass(frozen=True)
class Costs:
    """Costs of one fill of one leg. `fee_ppm`: fee in millionths of the notional; `half_spread_bps`, `slippage_bps`: in 1e-4 of the price.

    `latency_bps`: what the price runs away between decision and fill, 1e-4 of the price; `funding_bps`: paid on the value of each leg for every
    eight hours that
    it is held (a pair that is long one leg and short the other mostly pays less: the rates of the legs cancel in part).
    Each leg crosses the spread at entry and at exit, so a round trip of a pair pays four fills.
    """

    fee_ppm: float = 100.0
    half_spread_bps: float = 0.5
    slippage_bps: float = 0.25
    latency_bps: float = 0.0
    funding_bps: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0.0 <= value < 1e5:
                raise DataError(f"cost {name} = {value} is out of range", "Give zero or a positive number (fee in ppm, the others in bps)")

    def per_fill(self) -> float:
        """Fraction of the notional that one fill costs."""
        return self.fee_ppm * 1e-6 + (self.half_spread_bps + self.slippage_bps + self.latency_bps) * 1e-4

    def per_unit(self, hedge_ratio: float) -> float:
        """Cost of changing the target by one unit, both legs, as a fraction of the lead's notional."""
        return self.per_fill() * (1.0 + abs(hedge_ratio))

    def carry(self, hedge_ratio: float, bar_ns: int) -> float:
        """Funding of one unit held for one bar, both legs, as a fraction of the lead's notional."""
        return self.funding_bps * 1e-4 * (1.0 + abs(hedge_ratio)) * bar_ns / FUNDING_NS


NO_COSTS = Costs(0.0, 0.0, 0.0)
