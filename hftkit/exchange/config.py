"""Configuration of the simulator: a TOML file, checked key by key (configs/sample_universe.toml shows every key).

Errors name the key, the value and what is allowed.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hftkit.config import convert_body, parse_toml
from hftkit.errors import ConfigError, UnitError
from hftkit.exchange.dialects.registry import DialectSections, VenueSection
from hftkit.instruments import Instrument
from hftkit.reading import read_bytes
from hftkit.units import E8, decimal, ns_from_iso, to_steps

SAMPLE_UNIVERSE = "sample_universe.toml"
HIGHEST_LEVERAGE = 125
MAX_QUOTE_NOTIONAL = 10**8  # quote currency: a hundred times it, a scenario's most, is still far from the end of 64 bits

# Wide, but finite: TOML knows inf and nan, and comparisons with a bound refuse both.
_Rate = Annotated[float, msgspec.Meta(ge=1e-12, le=1e6)]
_Bps = Annotated[float, msgspec.Meta(gt=0, le=9000)]
_Minutes = Annotated[float, msgspec.Meta(ge=0.01, le=1e7)]
_Volatility = Annotated[float, msgspec.Meta(ge=0, le=100)]
_Factor = Annotated[float, msgspec.Meta(ge=-100, le=100)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Cointegration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """log(this) = constant + hedge_ratio * log(hedge) + Ornstein-Uhlenbeck deviation."""

    hedge: str
    hedge_ratio: _Factor
    half_life_minutes: _Minutes
    spread_sd_bps: _Bps


class Peg(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """log(this) = log(start_price) + Ornstein-Uhlenbeck deviation: a stablecoin, which arbitrage brings back to par."""

    half_life_minutes: _Minutes
    spread_sd_bps: _Bps


class InstrumentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One instrument: its scales (as in hftkit.instruments) and its fundamental value."""

    symbol: str
    tick_size: str
    lot_size: str
    start_price: str
    min_notional: str = "0"
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 0
    market_beta: _Factor = 1.0
    annual_volatility: _Volatility = 0.0  # its own, beside the market's; 365 days
    cointegrated: Cointegration | None = None  # with this or with `pegged` the two above mean nothing
    pegged: Peg | None = None
    # its own traders, where they differ from [flow]
    arrivals_per_s: _Rate | None = None
    half_spread_bps: _Bps | None = None
    depth_bps: _Bps | None = None
    max_quote_notional: str | None = None

    def __post_init__(self) -> None:
        if self.cointegrated is not None and self.pegged is not None:
            raise ValueError(f"{self.symbol} is both cointegrated and pegged, must be one of them")

    @property
    def instrument(self) -> Instrument:
        """The scales alone."""
        return Instrument(
            symbol=self.symbol,
            tick_size=self.tick_size,
            lot_size=self.lot_size,
            min_notional=self.min_notional,
            maker_fee_ppm=self.maker_fee_ppm,
            taker_fee_ppm=self.taker_fee_ppm,
        )

    @property
    def start_ticks(self) -> int:
        """Start price in ticks."""
        return to_steps(self.start_price, self.tick_size, f"start_price of {self.symbol}")

    def lots_for(self, notional: str) -> int:
        """Lots whose value at the start price is about `notional` quote units, at least 1."""
        return max(1, int(decimal(notional) * E8 / (self.start_ticks * self.instrument.tick_lot_e8)))


class FlowConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The synthetic traders, the same for every instrument."""

    arrivals_per_s: _Rate
    maker_share: _Share
    informed_share: _Share
    half_spread_bps: _Bps
    depth_bps: _Bps
    quotes_per_side: Annotated[int, msgspec.Meta(ge=1, le=256)]
    max_quote_notional: str
    momentum_share: _Share = 0.0
    branching_ratio: Annotated[float, msgspec.Meta(ge=0, le=0.95)] = 0.0  # Hawkes: arrivals that one arrival brings about; 0 is Poisson
    excitation_half_life_s: Annotated[float, msgspec.Meta(ge=0.001, le=1e6)] = 1.0
    splitting_exponent: Annotated[float, msgspec.Meta(ge=0, le=4)] = 0.0  # tail of the size of the large orders that noise takers split; 0: none

    def __post_init__(self) -> None:
        shares = self.maker_share + self.informed_share + self.momentum_share
        if shares > 1.0 + 1e-12:
            raise ValueError(f"maker_share + informed_share + momentum_share must be at most 1, is {shares:g}")
        if 0.0 < self.splitting_exponent < 1.05:
            raise ValueError(f"splitting_exponent must be 0 (no splitting) or 1.05 to 4, is {self.splitting_exponent:g}")


class VolatilityConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Stochastic volatility (flow/volatility.py): a fast and a slow factor on the logarithm of every volatility. Both sd 0: constant volatility."""

    fast_sd: Annotated[float, msgspec.Meta(ge=0, le=1.5)] = 0.0
    slow_sd: Annotated[float, msgspec.Meta(ge=0, le=1.5)] = 0.0
    fast_half_life_minutes: _Minutes = 10.0
    slow_half_life_minutes: _Minutes = 720.0
    common_share: _Share = 0.5  # part of the variance that all instruments have in common


class ExchangeSection(VenueSection, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Capacities and manners of the venue, beside those of its dialects. Everything is allocated once, at the start."""

    max_orders: Annotated[int, msgspec.Meta(ge=16, le=2**24)] = 65_536
    ladder_ticks: Annotated[int, msgspec.Meta(ge=64, le=262_144)] = 262_144
    max_accounts: Annotated[int, msgspec.Meta(ge=3, le=4096)] = 130
    order_history: Annotated[int, msgspec.Meta(ge=16, le=2**24)] = 65_536  # closed orders that ORDER_QUERY still knows
    max_open_orders: Annotated[int, msgspec.Meta(ge=1, le=1500)] = 1000  # per account; a logon lists them all
    max_order_qty: Annotated[int, msgspec.Meta(ge=1, le=2**40)] = 1_000_000_000
    wait: Literal["spin", "yield", "block"] = "block"
    min_order_qty: Annotated[int, msgspec.Meta(ge=1, le=2**40)] = 1
    price_band_ppm: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0  # 0: no band
    initial_balance: str = "10000000"  # quote currency, of every account at its first logon
    leverage: Annotated[int, msgspec.Meta(ge=1, le=125)] = 20
    maintenance_margin_ppm: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 25_000
    margin_check_ms: Annotated[int, msgspec.Meta(ge=1, le=3_600_000)] = 1000  # exchange time
    insurance_fund: str = "1000000"
    funding_interval_minutes: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 480
    funding_rate_ppm: Annotated[int, msgspec.Meta(ge=-100_000, le=100_000)] = 0

    def __post_init__(self) -> None:
        if self.maintenance_margin_ppm * self.leverage > 1_000_000:
            raise ValueError(f"maintenance_margin_ppm {self.maintenance_margin_ppm} is above the initial margin of leverage {self.leverage}")
        for name in ("initial_balance", "insurance_fund"):
            try:
                amount = decimal(getattr(self, name), f"venue.{name}")
            except UnitError as error:
                raise ValueError(str(error)) from None
            if not 0 <= amount * self.max_accounts <= 10**10:
                raise ValueError(f"{name} {getattr(self, name)} times max_accounts must be 0 to 10000000000")
        if decimal(self.initial_balance) * self.highest_leverage > 10**10:  # so that no position outgrows int64 money
            raise ValueError(
                f"initial_balance {self.initial_balance} times the highest leverage, {self.highest_leverage}, must be at most 10000000000"
            )

    @property
    def highest_leverage(self) -> int:
        """The most that an account may choose: the maintenance margin stays below the initial one."""
        return min(HIGHEST_LEVERAGE, 1_000_000 // max(1, self.maintenance_margin_ppm))

    @property
    def n_accounts(self) -> int:
        """Account records: those of clients and of the house, and two of the venue (fees, insurance fund)."""
        return self.max_accounts + 2


class SimConfig(DialectSections, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole simulator; sections of dialects beside the venue's: dialects/registry.py."""

    name: str
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    start: str
    minutes: Annotated[int, msgspec.Meta(ge=1)]  # span of the sample tape; a server continues at its end
    market_annual_volatility: _Volatility
    flow: FlowConfig
    instruments: Annotated[tuple[InstrumentConfig, ...], msgspec.Meta(min_length=1, max_length=1024)]
    venue: ExchangeSection = ExchangeSection()
    volatility: VolatilityConfig = VolatilityConfig()

    def __post_init__(self) -> None:
        try:
            ns_from_iso(self.start)
            self.venue.check_room(len(self.instruments))
            seen: set[str] = set()
            for config in self.instruments:
                _ = config.instrument
                if config.start_ticks < 1:
                    raise ValueError(f"start_price of {config.symbol} is {config.start_price!r}, must be positive")
                notional = config.max_quote_notional or self.flow.max_quote_notional
                if not 0 < decimal(notional, f"max_quote_notional of {config.symbol}") <= MAX_QUOTE_NOTIONAL:
                    raise ValueError(f"max_quote_notional of {config.symbol} is {notional!r}, must be above 0, at most {MAX_QUOTE_NOTIONAL}")
                if config.symbol in seen:
                    raise ValueError(f"instruments: symbol {config.symbol!r} appears twice, must be unique")
                pair = config.cointegrated
                if pair is not None and pair.hedge not in seen:
                    raise ValueError(f"cointegrated.hedge of {config.symbol} is {pair.hedge!r}, must be listed before it: one of {sorted(seen)}")
                seen.add(config.symbol)
                if (config.start_ticks + self.venue.ladder_ticks) * config.instrument.tick_lot_e8 > 2**59:
                    raise ValueError(f"start_price of {config.symbol} makes one lot worth more than 5 billion: choose a smaller lot_size")
        except UnitError as error:
            raise ValueError(str(error)) from None

    @property
    def start_ns(self) -> int:
        """Exchange time of the first moment, ns since 1970 UTC."""
        return ns_from_iso(self.start)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols; the position is the instrument id."""
        return tuple(config.symbol for config in self.instruments)

    def arrivals_per_s(self, index: int) -> float:
        """Mean rate of all traders of one instrument."""
        own = self.instruments[index].arrivals_per_s
        return self.flow.arrivals_per_s if own is None else own

    @property
    def scales(self) -> tuple[Instrument, ...]:
        """Instruments in id order."""
        return tuple(config.instrument for config in self.instruments)


def load_config(path: Path | str | None = None) -> SimConfig:
    """Read a simulator configuration: a TOML file, or one that ships with hftkit by its name (`binance`); None is the sample universe.

    Raises ConfigError.
    """
    where = SAMPLE_UNIVERSE if path is None else f"{path}_universe.toml"
    shipped = resources.files("hftkit.exchange").joinpath("configs", where)
    if path is None or (str(path).isidentifier() and shipped.is_file()):
        text = shipped.read_bytes()
    else:
        where = str(path)
        try:
            text = read_bytes(path, 1 << 22)
        except OSError as error:
            raise ConfigError(
                f"cannot read simulator configuration {path}: {error.strerror or error}",
                "Give a TOML file like hftkit/exchange/configs/sample_universe.toml, or `binance`",
            ) from None
    body = parse_toml(text, where)
    return convert_body(body, SimConfig, where, "hftkit/exchange/configs/sample_universe.toml shows every key", strict=True)
