"""The example configurations load, hold no secret, and real money asks twice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hftkit.config import load_config
from hftkit.errors import ConfigError
from hftkit.session.child_process import HFTKIT
from live.config import EngineConfig
from live.operate.confirm import real_host, require_confirmation

FOLDER = Path(__file__).resolve().parents[3] / "live" / "configs"
CONFIGS = sorted(FOLDER.glob("*.toml"))


def load(name: str, **overrides: object) -> EngineConfig:
    return load_config(EngineConfig, FOLDER / name, overrides, env={})


LOCAL = {f"venue.binance.{name}": f"ws://127.0.0.1:7004/{name}" for name in ("rest_url", "order_url", "stream_url")}


def never_asked(prompt: str) -> str:
    raise AssertionError(prompt)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_example_loads_and_sends_no_real_order_as_it_is(path):
    require_confirmation(load(path.name, **{**LOCAL, "venue.ready_file": ""} if "sim" in path.name else {}), real_orders=False, ask=never_asked)
    assert path.name in (FOLDER / "README.md").read_text()


def test_the_real_venue_observes_by_default():
    assert load("binance-live.toml").session.mode == "observe"
    assert real_host(load("binance-live.toml")) == ""
    assert load("binance-testnet.toml").session.mode == "live"
    assert real_host(load("binance-testnet.toml")) == ""


def test_real_orders_need_the_flag_and_the_typed_host():
    config = load("binance-live.toml", **{"session.mode": "live"})
    with pytest.raises(ConfigError, match=r"real orders to ws-fapi.binance.com.*--real-orders"):
        require_confirmation(config, real_orders=False, ask=never_asked)
    for typed in ("", "yes", "fapi.binance.com", "WS-FAPI.BINANCE.COM"):
        with pytest.raises(ConfigError, match="was not typed"):
            require_confirmation(config, real_orders=True, ask=lambda prompt, typed=typed: typed)
    require_confirmation(config, real_orders=True, ask=lambda prompt: "ws-fapi.binance.com\n")


def test_a_real_host_is_known_even_if_the_configuration_does_not_say_real_money():
    config = load("binance-testnet.toml", **{"venue.binance.rest_url": "https://fapi.binance.com"})
    assert real_host(config) == "fapi.binance.com"


def test_the_command_refuses_before_it_does_anything(tmp_path):
    command = [
        *HFTKIT,
        "live",
        "--config",
        str(FOLDER / "binance-live.toml"),
        "--mode",
        "live",
        "--params",
        "none.json",
        "--journal-dir",
        str(tmp_path),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert run.returncode == 1
    assert "would send real orders to ws-fapi.binance.com" in run.stderr
    run = subprocess.run([*command, "--real-orders"], capture_output=True, text=True, check=False, input="y\n")
    assert run.returncode == 1
    assert "no order was sent" in run.stderr
    assert not any(tmp_path.iterdir())


def test_a_secret_in_a_configuration_is_refused(tmp_path):
    path = tmp_path / "live.toml"
    path.write_text('[venue.binance]\napi_key = "abc"\n')
    with pytest.raises(ConfigError, match="is a secret in a configuration file"):
        load_config(EngineConfig, path, env={})
