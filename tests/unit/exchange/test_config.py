"""Every fault of a configuration is one line that names the key, the value and what is allowed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hftkit.errors import ConfigError
from hftkit.exchange.config import load_config
from tests.unit.exchange.running import QUIET


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("quotes_per_side = 2", "quotes_per_side = 0", r">= 1.*flow\.quotes_per_side is 0"),
        ("maker_share = 1.0", "maker_share = 1.5", r"<= 1.*flow\.maker_share"),
        ("informed_share = 0.0", "informed_share = 0.5", "maker_share \\+ informed_share \\+ momentum_share must be at most 1, is 1.5"),
        ("seed = 1", "seed = 1\nsped = 3", "unknown field `sped`, perhaps seed was meant"),
        ("seed = 1", "seed = 1\nwhatever = 3", "unknown field `whatever`, allowed are binance, flow, instruments,"),
        ("quotes_per_side = 2", "quotes_per_side = 1000", r"<= 256, flow\.quotes_per_side is 1000"),
        ("arrivals_per_s = 1e-9", "arrivals_per_s = inf", r"flow\.arrivals_per_s is inf"),
        ('max_quote_notional = "100000"', 'max_quote_notional = "-1"', "max_quote_notional of ONE is '-1', must be above 0"),
        ("[venue]", "[venue]\nwait = 'sleep'", r"one of 'block', 'spin', 'yield', venue\.wait is 'sleep'"),
        ("[venue]", "[venue]\ninitial_balance = 'x'", "sim.toml: venue: venue.initial_balance 'x' is not a decimal number"),
        ('symbol = "TWO"', 'symbol = "TWO"\nmarket_beta = nan', r"instruments\[TWO\]\.market_beta is nan"),
        ("minutes = 10", "", "missing required field `minutes`"),
        ('symbol = "TWO"', 'symbol = "ONE"', "'ONE' appears twice"),
        ('start_price = "50.0"', 'start_price = "50.3"', "not a multiple of 0.5"),
        ('start_price = "50.0"', "start_price = 50.0", r"Expected `str`, got `float`.*start_price"),
        ('start = "2026-01-05T00:00:00Z"', 'start = "yesterday"', "'yesterday' is not ISO 8601"),
        (
            'start_price = "50.0"',
            'start_price = "50.0"\ncointegrated = { hedge = "SIX", hedge_ratio = 1.0, half_life_minutes = 5.0, spread_sd_bps = 9.0 }',
            r"'SIX', must be listed before it: one of \['ONE'\]",
        ),
        ("[venue]", "[venue", "is not TOML"),
        ("[venue]", "[venue]\ninitial_balance = '300000000'", r"initial_balance 300000000 times the highest leverage, 40, must be at most"),
        ('lot_size = "1"', 'lot_size = "100000000"', "start_price of TWO makes one lot worth more than 5 billion: choose a smaller lot_size"),
        ("out_words = 16384", "out_words = 100", r">= 16384.*venue\.out_words"),
        ("arrivals_per_s = ", "arrivals_per_s = nan #", r">= 1e-12, flow\.arrivals_per_s is nan"),
        ("arrivals_per_s = ", "arrivals_per_s = inf #", r"<= 1000000\.0, flow\.arrivals_per_s is inf"),
        ("depth_bps = ", "depth_bps = -1 #", r"> 0\.0, flow\.depth_bps is -1"),
        ("market_annual_volatility = ", "market_annual_volatility = inf #", r"market_annual_volatility is inf"),
        ('start_price = "50.0"', 'start_price = "0"', "start_price of TWO is '0', must be positive"),
        ('start_price = "50.0"', 'start_price = "50.0"\nmax_quote_notional = "-3"', "max_quote_notional of TWO is '-3', must be above 0"),
        (
            'start_price = "50.0"',
            'start_price = "50.0"\npegged = { half_life_minutes = 0.0, spread_sd_bps = 2.0 }',
            r"pegged\.half_life_minutes is 0",
        ),
        (
            'start_price = "50.0"',
            'start_price = "50.0"\npegged = { half_life_minutes = 9.0, spread_sd_bps = 2.0 }\n'
            'cointegrated = { hedge = "ONE", hedge_ratio = 1.0, half_life_minutes = 5.0, spread_sd_bps = 9.0 }',
            "TWO is both cointegrated and pegged",
        ),
        ("quotes_per_side = 2", "quotes_per_side = 2\nsplitting_exponent = 0.5", r"splitting_exponent must be 0 .* or 1\.05 to 4, is 0\.5"),
    ],
)
def test_faults_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "sim.toml"
    text = QUIET.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_a_send_buffer_holds_the_answer_to_a_subscription_of_everything() -> None:
    config = load_config(QUIET)
    many = tuple(msgspec.structs.replace(config.instruments[0], symbol=f"S{i}") for i in range(900))
    with pytest.raises(ValueError, match="out_words 16384 is too small for 900 instruments, must be at least 18996"):
        msgspec.structs.replace(config, instruments=many)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read simulator configuration .*nowhere\.toml"):
        load_config(tmp_path / "nowhere.toml")


def test_the_sample_universe_has_three_pairs_and_six_of_their_own() -> None:
    config = load_config()
    partners = [i for i in config.instruments if i.cointegrated is not None]
    hedges = {i.cointegrated.hedge for i in partners if i.cointegrated}
    assert (len(config.instruments), len(partners), len(hedges)) == (12, 3, 3)
