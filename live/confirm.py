"""Real money asks twice: orders to a real venue need an explicit flag and the venue's host name typed by a person."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from hftkit.errors import ConfigError
from live.config import EngineConfig

_REAL_HOSTS = ("binance.com",)
_PLAY_HOSTS = ("demo-", "testnet.")


def real_host(config: EngineConfig) -> str:
    """The host that real orders would go to, '' if this configuration sends none."""
    if config.venue.kind != "binance" or config.session.mode != "live":
        return ""
    binance = config.venue.binance
    for url in (binance.order_url, binance.rest_url):
        host = urlsplit(url).hostname or ""
        known = any(host == real or host.endswith(f".{real}") for real in _REAL_HOSTS) and not host.startswith(_PLAY_HOSTS)
        if known or (binance.real_money and host):
            return host
    return binance.rest_url if binance.real_money else ""


def require_confirmation(config: EngineConfig, real_orders: bool, ask: Callable[[str], str]) -> None:
    """Raises ConfigError unless no real order can leave, or --real-orders was given and the host was typed. `ask(prompt)` reads one line."""
    host = real_host(config)
    if not host:
        return
    if not real_orders:
        raise ConfigError(f"this configuration would send real orders to {host}", "Add --real-orders if that is what you want, or --mode observe")
    typed = ask(f"Real orders to {host}, at most {config.limits.max_exposure} exposure, {config.limits.max_loss} loss. Type the host name to go on")
    if typed.strip() != host:
        raise ConfigError("the host name was not typed as it is: no order was sent", "Start again, or use --mode observe")
