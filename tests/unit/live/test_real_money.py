"""What is not known to be play money is real money, whatever route its address came by, and the engine takes no address that nobody confirmed."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from hftkit.config import load_config
from hftkit.errors import ConfigError, HftkitError
from live.config import EngineConfig
from live.engine import Engine
from live.operate.confirm import check_confirmed, confirm, final_addresses, is_play_money, real_hosts, require_confirmation

PLAY = ("127.0.0.1", "127.8.9.1", "::1", "localhost", "0.0.0.0", "demo-fapi.binance.com", "testnet.binancefuture.com")
REAL = (
    "fapi.binance.com",
    "fapi.binance.com.",
    "testnet.binance.com",
    "demo-x.binance.com",
    "demo-fapi.binance.com.evil.example",
    "xtestnet.binancefuture.com",
    "testnet.binancefuture.com.",
    "52.84.150.34",
    "127.1",
    "2130706433",
    "localhost.",
    "10.0.0.1",
    "::ffff:52.84.150.34",
    "xn--fapi-bnance-5db.com",
)
AMBIGUOUS = (
    "https://user@fapi.binance.com",
    "https://127.0.0.1@fapi.binance.com",
    "https://127.0.0.1\\@fapi.binance.com",
    "https://fapi.binance.com#@127.0.0.1",
    "https://fapi.binance.com?x=127.0.0.1",
    "https://fapi.binance.com%2e",
    "https://fapi.bin\u0430nce.com",
    "https://127.0.0.1:99999",
    "https://127.0.0.1\n.binance.com",
    "https://[::1]evil.com",
    "http://a..b",
    "http://" + "a" * 64,
    "http://-x.com",
    "http://[::1",
    "http://[127.0.0.1]",
    "fapi.binance.com",
    "ftp://127.0.0.1/x",
    "https://",
    "",
)


def config(rest: str, orders: str = "ws://127.0.0.1/ws-fapi/v1", **more: object) -> EngineConfig:
    urls = {"venue.binance.rest_url": rest, "venue.binance.order_url": orders, "venue.binance.stream_url": "ws://127.0.0.1"}
    return load_config(EngineConfig, None, {"venue.kind": "binance", **urls, **more}, env={})


def url(host: str) -> str:
    return f"https://[{host}]:443/x" if ":" in host else f"https://{host}:443/x"


def never_asked(prompt: str) -> str:
    raise AssertionError(prompt)


@pytest.mark.parametrize("host", PLAY)
def test_this_machine_and_the_test_network_are_play_money(host):
    assert is_play_money(host)
    for spelt in (host, host.upper()):
        for one in (config(url(spelt)), config("http://127.0.0.1", url(spelt).replace("https", "wss"))):
            assert require_confirmation(one, real_orders=False, ask=never_asked) == ()


@pytest.mark.parametrize("host", REAL)
def test_everything_else_is_real_money(host):
    for one in (config(url(host)), config("http://127.0.0.1", url(host).replace("https", "wss"))):
        with pytest.raises(ConfigError, match="would send real orders"):
            require_confirmation(one, real_orders=False, ask=never_asked)
        with pytest.raises(ConfigError, match="nobody has confirmed"):
            check_confirmed(one.venue, ("127.0.0.1",))
        assert require_confirmation(one, real_orders=True, ask=lambda prompt: f" {host}\n") == (host,)
        assert real_hosts(one.venue) == (host,)


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_an_address_that_could_be_read_in_two_ways_is_refused(text):
    for one in (config(text), config("http://127.0.0.1", text)):
        with pytest.raises(ConfigError, match="no plain address") as caught:
            require_confirmation(one, real_orders=True, ask=never_asked)
        assert "\n" not in str(caught.value)


def test_the_addresses_of_a_ready_file_are_asked_about(tmp_path):
    path = tmp_path / "ready.json"
    path.write_text(json.dumps({"binance": {"url": "https://fapi.binance.com", "ws_url": "wss://fstream.binance.com"}}))
    given = load_config(EngineConfig, None, {"venue.kind": "binance", "venue.ready_file": str(path)}, env={})
    final = final_addresses(given, threading.Event().wait)
    with pytest.raises(ConfigError, match=r"real orders to fstream\.binance\.com and fapi\.binance\.com"):
        require_confirmation(final, real_orders=False, ask=never_asked)
    path.write_text(json.dumps({"binance": {"url": "http://127.0.0.1:1", "ws_url": "ws://127.0.0.1:1"}}))
    assert final.venue.binance.rest_url == "https://fapi.binance.com", "what was confirmed stands fast"
    assert require_confirmation(final_addresses(given, threading.Event().wait), real_orders=False, ask=never_asked) == ()


def test_a_binary_venue_on_another_machine_may_be_real_too(tmp_path):
    path = tmp_path / "ready.json"
    given = load_config(EngineConfig, None, {"venue.ready_file": str(path)}, env={})
    path.write_text(json.dumps({"host": "gateway.broker.example", "order_port": 7001, "market_port": 7002}))
    final = final_addresses(given, threading.Event().wait)
    assert real_hosts(final.venue) == ("gateway.broker.example",)
    path.write_text(json.dumps({"host": "127.0.0.1", "order_port": 7001, "market_port": 7002}))
    assert real_hosts(final_addresses(given, threading.Event().wait).venue) == ()


def test_a_session_that_observes_is_not_asked_and_a_flatten_is():
    one = config("https://fapi.binance.com", **{"session.mode": "observe"})
    assert require_confirmation(one, real_orders=False, ask=never_asked) == ()
    with pytest.raises(ConfigError, match=r"real orders to fapi\.binance\.com"):
        confirm(one.venue, False, never_asked, "all positions closed", "")


def test_real_money_stays_real_on_any_address():
    one = config("http://127.0.0.1", **{"venue.binance.real_money": True})
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1"):
        require_confirmation(one, real_orders=False, ask=never_asked)


def test_the_engine_is_locked_without_the_confirmation():
    with pytest.raises(ConfigError, match="nobody has confirmed"):
        Engine(config("https://fapi.binance.com"), print)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "3",
        "null",
        '"text"',
        "{",
        "",
        "\x00",
        "[" * 100_000,
        '{"a":' * 50_000,
        '{"order_port": 0}',
        '{"host": 5}',
        '{"binance": []}',
        '{"binance": {"url": 7}}',
        '{"binance": {"keys": {"a": 1}}}',
        '{"binance": {"keys": [{"account": "x"}]}}',
        '{"binance": {"url": "http://127.0.0.1", "url": "https://fapi.binance.com"}}',
        f'{{"order_port": {"9" * 5000}}}',
        '{"host": "\\u001b]0;owned\\u0007", "order_port": 1, "market_port": 2}',
        '{"host": "", "order_port": 1, "market_port": 2}',
        '{"host": "127.0.0.1 evil", "order_port": 1, "market_port": 2}',
        '{"host": "127.0.0.1"}',
    ],
)
@pytest.mark.parametrize("kind", ["binary", "binance"])
def test_a_ready_file_of_another_shape_is_one_line(tmp_path, content, kind):
    path: Path = tmp_path / "ready.json"
    path.write_text(content)
    given = load_config(EngineConfig, None, {"venue.kind": kind, "venue.ready_file": str(path)}, env={})
    with pytest.raises(HftkitError) as caught:
        final_addresses(given, threading.Event().wait)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()
    assert caught.value.cure
