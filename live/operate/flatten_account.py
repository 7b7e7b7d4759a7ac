"""Flatten an account by a configuration, whatever the venue: `hftkit flatten --config FILE`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from hftkit.config import load_config
from hftkit.errors import ConfigError
from hftkit.session.running import listed
from live.config import EngineConfig, VenueConfig
from live.operate.confirm import check_confirmed, confirm, final_addresses
from live.operate.flatten_report import Flattened
from live.venue import account_text, adapter


def flatten_account(
    config: str | None,
    ready_file: str | None,
    account: int | None,
    real_orders: bool,
    anyway: bool,
    timeout_s: float,
    ask: Callable[[str], str],
) -> Flattened:
    """Cancel and close everything that an account has. Raises HftkitError where it cannot even be asked for.

    Parameters
    ----------
    config, ready_file, account
        As `hftkit live` takes them.
    real_orders, ask
        Real money asks as `live` does (live/operate/confirm.py).
    anyway
        Although a session of this machine runs on the account.
    timeout_s
        Seconds until it gives up and names what is left.
    """
    overrides: dict[str, Any] = {"venue.ready_file": ready_file, "venue.account": account}
    asked = load_config(EngineConfig, config, overrides)
    settings = final_addresses(asked, wait=threading.Event().wait)
    venue = settings.venue
    if not anyway:
        _refuse_if_traded(venue)
    confirmed = confirm(venue, real_orders, ask, stakes=f"all orders cancelled, all positions closed ({account_text(venue)})", instead="")
    check_confirmed(venue, confirmed)
    return adapter(venue.kind).flatten(venue, timeout_s, threading.Event().wait)


def _refuse_if_traded(venue: VenueConfig) -> None:
    for running in listed("live"):
        if running.alive and running.venue == account_text(venue) and running.process.pid != os.getpid():
            raise ConfigError(
                f"session {running.name} (process {running.process.pid}) trades this account now",
                f"Tell it instead: hftkit flatten {running.name}; or add --anyway",
            )
