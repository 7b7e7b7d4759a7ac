"""What a trade costs: fee, half the spread, slippage, latency, funding. One object, stated in every result and frozen with the parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from hftkit.errors import DataError

FUNDING_NS = 8 * 3_600 * 10**9  # between two payments of a perpetual future, usually


@dataclass(frozen=True)
class Costs:
    """Costs of one fill of one leg. `fee_ppm`: fee in millionths of the notional; `half_spread_bps`, `slippage_bps`: in 1e-4 of the price.

    `latency_bps`: what the price runs away between decision and fill, 1e-4 of the price; `funding_bps`: paid on the value of each leg for every
    eight hours that
    it is held (a pair that is long one leg and short the other mostly pays less: the rates of the legs cancel in part).
    Each leg crosses the spread at entry and at exit, so a round trip of a pair pays four fills.
    `half_ticks_bps`: half a tick of lead and of hedge in 1e-4 of the price, below which no half spread
    can be: ask and bid are at least a tick apart (see `with_ticks`).
    """

    fee_ppm: float = 100.0
    half_spread_bps: float = 0.5
    slippage_bps: float = 0.25
    latency_bps: float = 0.0
    funding_bps: float = 0.0
    half_ticks_bps: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        named = asdict(self)
        lead, hedge = named.pop("half_ticks_bps")
        for name, value in {**named, "half tick of the lead": lead, "half tick of the hedge": hedge}.items():
            if not 0.0 <= value < 1e5:
                raise DataError(f"cost {name} = {value} is out of range", "Give zero or a positive number (fee in ppm, the others in bps)")

    def with_ticks(self, ticks: tuple[float, float], prices: tuple[float, float]) -> Costs:
        """The same with half a tick as the floor of the half spread.

        `ticks`: tick sizes of lead and hedge; `prices`: a usual price of each.
        """
        lead, hedge = (5e3 * tick / price for tick, price in zip(ticks, prices, strict=True))
        return replace(self, half_ticks_bps=(lead, hedge))

    def half_spread_of(self, leg: int) -> float:
        """Half spread that a fill of leg 0 (lead) or 1 (hedge) is charged, 1e-4 of the price."""
        return max(self.half_spread_bps, self.half_ticks_bps[leg])

    def per_fill(self, leg: int = 0) -> float:
        """Fraction of the notional that one fill of this leg costs (0: lead, 1: hedge)."""
        return self.fee_ppm * 1e-6 + (self.half_spread_of(leg) + self.slippage_bps + self.latency_bps) * 1e-4

    def per_unit(self, hedge_ratio: float) -> float:
        """Cost of changing the target by one unit, both legs, as a fraction of the lead's notional."""
        return self.per_fill(0) + abs(hedge_ratio) * self.per_fill(1)

    def in_words(self) -> str:
        """One line for people."""
        halves = [self.half_spread_of(leg) for leg in (0, 1)]
        half = f"{halves[0]:.4g} bps" if halves[0] == halves[1] else f"{halves[0]:.4g} (lead) and {halves[1]:.4g} (hedge) bps"
        more = [(self.latency_bps, "latency"), (self.funding_bps, "funding every 8 h")]
        rest = "".join(f", {name} {value:g} bps" for value, name in more if value)
        return f"fee {self.fee_ppm:g} ppm, half spread {half}, slippage {self.slippage_bps:g} bps{rest}"

    def raised(self, names: tuple[str, str]) -> str:
        """What half a tick has raised, in words; "" where it is below the half spread that was asked for."""
        above = [f"{self.half_ticks_bps[leg]:.2g} bps of {names[leg]}" for leg in (0, 1) if self.half_ticks_bps[leg] > self.half_spread_bps]
        return f"half a tick is more than a half spread of {self.half_spread_bps:g} bps: counted with {' and '.join(above)}" if above else ""

    def carry(self, hedge_ratio: float, bar_ns: int) -> float:
        """Funding of one unit held for one bar, both legs, as a fraction of the lead's notional."""
        return self.funding_bps * 1e-4 * (1.0 + abs(hedge_ratio)) * bar_ns / FUNDING_NS


NO_COSTS = Costs(0.0, 0.0, 0.0)
