"""Secrets of the accounts, where logons must be signed: from the environment or from a key file, never from the configuration."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import numpy as np

from hftkit.errors import ConfigError
from hftkit.exchange.dialects.binary.config import BinaryDialectConfig
from hftkit.kernels.wire.sha256 import KEY_WORDS, key_midstates

_VARIABLE = re.compile(r"HFTKIT_SIM_SECRET_(\d+)")  # HFTKIT_SIM_SECRET_7: of account 7


def _from_file(path: Path) -> dict[int, str]:
    try:
        rows = tomllib.loads(path.read_text())
        return {int(account): str(secret) for account, secret in rows.items()}
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read key file {path}: {error}", 'One line for each account: 7 = "its secret"') from None


def load_keys(config: BinaryDialectConfig) -> np.ndarray:
    """int64 (n, KEY_WORDS): what signatures are verified with, (1, KEY_WORDS) of zeros where logons need none. Raises ConfigError."""
    if not config.signed_logon:
        return np.zeros((1, KEY_WORDS), np.int64)
    secrets = _from_file(Path(config.key_file)) if config.key_file else {}
    for name, value in os.environ.items():
        if found := _VARIABLE.fullmatch(name):
            secrets[int(found[1])] = value
    if not secrets:
        raise ConfigError("venue.signed_logon is set but no account has a secret", "Set HFTKIT_SIM_SECRET_<account>, or venue.key_file")
    for account, secret in secrets.items():
        if not 1 <= len(secret.encode()) <= 64:
            raise ConfigError(f"the secret of account {account} has {len(secret.encode())} bytes", "Allowed: 1 to 64 bytes")
    return np.array([key_midstates(account, secret.encode()) for account, secret in sorted(secrets.items())])
