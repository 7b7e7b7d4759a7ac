"""Real money asks twice: orders to a real venue need an explicit flag, and the venue's host name typed by a person.

What is *not* real money is listed here: this machine, and the venue's documented test network. Every other address counts as real. The question is
asked about the final addresses, after those of a ready file were filled in (`final_addresses`); the engine takes no others. Whoever sends orders
calls in this order:

    config = final_addresses(config, wait)
    confirmed = confirm(config.venue, real_orders, ask, stakes="...", instead="...")    # `live` through require_confirmation
    check_confirmed(config.venue, confirmed)                                            # where the orders leave from
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from hftkit.errors import ConfigError
from live.config import EngineConfig, VenueConfig
from live.ready_file import read_ready_file
from live.venue import adapter

# https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info: REST and WebSocket API of the test network
TEST_HOSTS = frozenset({"demo-fapi.binance.com", "testnet.binancefuture.com"})
THIS_MACHINE = frozenset({"localhost", "0.0.0.0"})
READY_PATIENCE_S = 60.0  # a simulator that is started at the same time compiles first, or loads


def is_play_money(host: str) -> bool:
    """Whether a host is known not to trade real money. What is unknown is not: other spellings of a loopback address, a trailing dot, an IP."""
    if host in TEST_HOSTS or host in THIS_MACHINE:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def real_hosts(venue: VenueConfig) -> tuple[str, ...]:
    """The hosts, of those that orders would go to, that may be real money: the order connection's first. With `real_money` all of them are."""
    kind = adapter(venue.kind)
    hosts = dict.fromkeys(address.host for address in kind.addresses(venue))
    always = kind.always_real(venue)
    return tuple(host for host in hosts if always or not is_play_money(host))


def real_host(config: EngineConfig) -> str:
    """The host that real orders would go to, '' if this configuration sends none. Its addresses must be final."""
    if config.session.mode != "live":
        return ""
    return next(iter(real_hosts(config.venue)), "")


def final_addresses(config: EngineConfig, wait: Callable[[float], bool]) -> EngineConfig:
    """The configuration with the addresses of its ready file in it, waited for (`wait(s)` sleeps, True to give up): from now on they stand fast.

    A venue may keep `ready_file` for demo keys; addresses are read from it no more. Raises VenueError or ConfigError.
    """
    venue = config.venue
    ready = read_ready_file(Path(venue.ready_file), max(venue.connect_timeout_s, READY_PATIENCE_S), wait) if venue.ready_file else None
    kind = adapter(venue.kind)
    venue = kind.final(venue, ready)
    kind.addresses(venue)
    return msgspec.structs.replace(config, venue=venue)


def confirm(venue: VenueConfig, real_orders: bool, ask: Callable[[str], str], stakes: str, instead: str) -> tuple[str, ...]:
    """The hosts that a person has confirmed, () where no order could cost real money. `venue`: its addresses are final.

    Parameters
    ----------
    real_orders
        Whether --real-orders was given.
    ask
        Prints a prompt and returns the line that was typed.
    stakes
        What is at stake, for the prompt: "at most 1000 exposure".
    instead
        The cure without real orders, "or --mode observe".

    Raises
    ------
    ConfigError
        Real orders could leave, and the flag was not given or the host was not typed.
    """
    hosts = real_hosts(venue)
    if not hosts:
        return ()
    where = " and ".join(hosts)
    if not real_orders:
        raise ConfigError(f"this configuration would send real orders to {where}", f"Add --real-orders if that is what you want{instead}")
    if ask(f"Real orders to {where}, {stakes}. Type the host name {hosts[0]} to go on").strip() != hosts[0]:
        raise ConfigError("the host name was not typed as it is: no order was sent", f"Start again{instead}")
    return hosts


def require_confirmation(config: EngineConfig, real_orders: bool, ask: Callable[[str], str]) -> tuple[str, ...]:
    """`confirm` for a live session; one that observes sends nothing and is not asked."""
    if config.session.mode != "live":
        return ()
    limits = config.limits
    stakes = f"at most {limits.max_exposure} exposure, {limits.max_loss} loss"
    return confirm(config.venue, real_orders, ask, stakes, ", or --mode observe")


def check_confirmed(venue: VenueConfig, confirmed: Sequence[str]) -> None:
    """The lock where orders leave from: raises ConfigError if any of them could go to a real host that nobody has confirmed."""
    if unknown := [host for host in real_hosts(venue) if host not in confirmed]:
        raise ConfigError(f"orders would go to {' and '.join(unknown)}, which nobody has confirmed", "Start with `hftkit live`: it asks")
