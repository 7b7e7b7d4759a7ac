"""How an account is set, asked of a scripted server: what is refused, what is told, what a venue does not answer."""

from __future__ import annotations

import pytest

from hftkit.errors import VenueError
from live.venues.binance.config import BinanceConfig
from live.venues.binance.fees import FeePrices
from live.venues.binance.rest import RestError
from live.venues.binance.settings import AccountSettings, SymbolSettings, check_settings, read_settings
from tests.unit.live.venues.binance.test_rest import Scripted, talk

ONE_WAY, HEDGE = (200, {"dualSidePosition": False}), (200, {"dualSidePosition": True})
CONFIG_ROWS = [
    {"symbol": "BTCUSDT", "marginType": "CROSSED", "isAutoAddMargin": False, "leverage": 20, "maxNotionalValue": "80000000"},
    {"symbol": "ETHUSDT", "marginType": "ISOLATED", "isAutoAddMargin": False, "leverage": 5, "maxNotionalValue": "80000000"},
    {"symbol": "DOGEUSDT", "marginType": "CROSSED", "isAutoAddMargin": False, "leverage": 1, "maxNotionalValue": "80000000"},
]
REST_OF_IT = ((200, CONFIG_ROWS), (200, {"multiAssetsMargin": True}), (200, {"feeBurn": True}))
NO_SUCH_PATH = (404, {"code": -5000, "msg": "Path is invalid"})
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def asked(*script) -> AccountSettings:
    server = Scripted(*script)
    settings, _ = talk(server, lambda client: read_settings(client, SYMBOLS))
    assert server.script == []
    return settings


def test_everything_is_asked_and_read():
    settings = asked(ONE_WAY, *REST_OF_IT)
    assert (settings.hedge_mode, settings.multi_assets, settings.fee_burn) == (False, True, True)
    assert settings.symbols == {
        "BTCUSDT": SymbolSettings(margin_type="crossed", leverage=20),
        "ETHUSDT": SymbolSettings(margin_type="isolated", leverage=5),
    }


def test_what_a_venue_does_not_answer_is_not_known_and_refuses_nothing():
    said = []
    settings = asked(NO_SUCH_PATH, NO_SUCH_PATH, NO_SUCH_PATH, (200, {}), NO_SUCH_PATH)
    assert settings == AccountSettings()
    check_settings(settings, BinanceConfig(margin_type="isolated", leverage=3, multi_assets=False), lambda event, **facts: said.append(facts))
    assert said[0]["position_mode"] == "not told"
    assert asked(NO_SUCH_PATH, (200, {"feeTier": 0, "dualSidePosition": True}), *REST_OF_IT).hedge_mode


def test_a_refused_key_is_no_missing_endpoint():
    with pytest.raises(RestError, match="-2015"):
        asked((401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}))


def test_hedge_mode_is_refused_in_one_line_with_the_cure():
    with pytest.raises(VenueError, match="hedge mode") as raised:
        check_settings(asked(HEDGE, *REST_OF_IT), BinanceConfig(), lambda event, **facts: None)
    assert "dualSidePosition=false" in str(raised.value)
    assert "\n" not in str(raised.value.args[0])


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({}, []),
        ({"margin_type": "crossed"}, ["ETHUSDT has isolated margin, not crossed"]),
        ({"leverage": 20}, ["ETHUSDT has leverage 5, not 20"]),
        ({"multi_assets": False}, ["multi-assets mode is on, not off"]),
        ({"multi_assets": True, "margin_type": "isolated"}, ["BTCUSDT has crossed margin, not isolated"]),
    ],
)
def test_what_is_expected_is_compared_and_refused_or_told(expected, found):
    settings, said = asked(ONE_WAY, *REST_OF_IT), []
    check_settings(settings, BinanceConfig(settings_differ="warn", **expected), lambda event, **facts: said.append((event, facts)))
    assert [facts["found"] for event, facts in said if event == "settings_differ"] == ([found] if found else [])
    if found:
        with pytest.raises(VenueError, match=found[0]):
            check_settings(settings, BinanceConfig(**expected), lambda event, **facts: None)
    else:
        check_settings(settings, BinanceConfig(**expected), lambda event, **facts: None)


@pytest.mark.parametrize(
    ("asset", "answer", "price"),
    [
        ("BNB", (200, {"symbol": "BNBUSDT", "markPrice": "600.12345678", "indexPrice": "600.1"}), 60_012_345_678),
        ("BNB", (400, {"code": -1121, "msg": "Invalid symbol."}), 0),
        ("BNFCR", (400, {"code": -1121, "msg": "Invalid symbol."}), 100_000_000),
        ("USDC", (200, {"symbol": "USDCUSDT", "markPrice": "0.99980000"}), 99_980_000),
        ("BNB", (200, {"symbol": "BNBUSDT"}), 0),
        ("BNB", (200, []), 0),
    ],
)
def test_the_price_of_a_fee_asset(asset, answer, price):
    async def act(client):
        prices = FeePrices(client, lambda kind, payload: None, lambda event, **facts: None)
        await prices.ask(asset)
        return prices.known

    known, _ = talk(Scripted(answer), act)
    assert known == {asset: price}
