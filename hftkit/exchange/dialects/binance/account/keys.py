"""API keys: whose account each one opens, and how its requests are verified.

Configured keys (`[binance.accounts]`) have their secrets in the environment (`HFTKIT_BINANCE_SECRET_<account>`) or in `key_file` (TOML,
`"the key" = "its secret"`; for RSA and Ed25519 a PEM public key in its place). Demo keys are made afresh at each start, one HMAC and one
Ed25519 key for each of `demo_accounts`; they are told in the ready file, which then belongs to its owner alone (mode 0600), and nowhere else.
"""

from __future__ import annotations

import os
import secrets
import string
import tomllib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hftkit.errors import ConfigError
from hftkit.exchange.dialects.binance.account.signing import ED25519, HMAC, Verifier
from hftkit.exchange.dialects.binance.config import BinanceDialectConfig

_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True)
class ClientKey:
    """One API key. `account`: account number, as on the wire of the binary dialect."""

    key: str
    account: int
    verifier: Verifier


def _random_text() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(64))


def _secrets_of(config: BinanceDialectConfig) -> dict[str, str]:
    """Secret of each configured key."""
    found: dict[str, str] = {}
    if config.key_file:
        try:
            found = {str(key): str(secret) for key, secret in tomllib.loads(Path(config.key_file).read_text()).items()}
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"cannot read key file {config.key_file}: {error}", 'One line for each key: "the key" = "its secret"') from None
    for key, account in config.accounts.items():
        if secret := os.environ.get(f"HFTKIT_BINANCE_SECRET_{account}"):
            found[key] = secret
        elif key not in found:
            raise ConfigError(
                f"the API key {key[:6]}... of account {account} has no secret", f"Set HFTKIT_BINANCE_SECRET_{account}, or binance.key_file"
            )
    return found


class KeyRing:
    """All API keys of one venue."""

    def __init__(self, keys: list[ClientKey]) -> None:
        self._keys = {key.key: key for key in keys}

    @classmethod
    def of_config(cls, config: BinanceDialectConfig) -> tuple[KeyRing, list[dict[str, object]]]:
        """The keys, and what the ready file tells about those made up now. Raises ConfigError where a secret is missing."""
        found = _secrets_of(config)
        keys = [ClientKey(key, account, Verifier(found[key])) for key, account in config.accounts.items()]
        told: list[dict[str, object]] = []
        for account in config.demo_accounts:
            key, secret = _random_text(), _random_text()
            keys.append(ClientKey(key, account, Verifier(secret)))
            told.append({"account": account, "kind": HMAC, "key": key, "secret": secret})
            private = Ed25519PrivateKey.generate()
            public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
            pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
            key = _random_text()
            keys.append(ClientKey(key, account, Verifier(public)))
            told.append({"account": account, "kind": ED25519, "key": key, "private_key": pem})
        return cls(keys), told

    def find(self, key: str) -> ClientKey | None:
        """A key by its text, None if nobody has it."""
        return self._keys.get(key)
