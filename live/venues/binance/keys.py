"""API keys of a Binance-compatible venue: loaded from the environment, a key file or a simulator's ready file; they sign, and never show.

    HFTKIT_BINANCE_KEY + HFTKIT_BINANCE_SECRET         HMAC-SHA256
    HFTKIT_BINANCE_KEY + HFTKIT_BINANCE_PRIVATE_KEY    Ed25519 or RSA, PEM text (PKCS#8) or the path of a PEM file
    [venue] key_file                                   JSON: {"api_key": ..., "secret": ...} or {"api_key": ..., "private_key": PEM or path}

A key file that others may read is refused. What is signed: REST the query string followed by the body; the WebSocket API the parameters sorted by
name, `k=v` joined with `&`, not percent-encoded (venue documentation, "signed request"). RSA is PKCS #1 v1.5 with SHA-256: half a millisecond a
signature, which the hot thread has not, and session.logon takes Ed25519 alone; so an RSA key's orders go by REST.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hftkit.errors import ConfigError

KEY_VARIABLE, SECRET_VARIABLE, PRIVATE_VARIABLE = "HFTKIT_BINANCE_KEY", "HFTKIT_BINANCE_SECRET", "HFTKIT_BINANCE_PRIVATE_KEY"
HMAC, ED25519, RSA = "HMAC", "ED25519", "RSA"
_CURE = f"Set {KEY_VARIABLE} and {SECRET_VARIABLE} (or {PRIVATE_VARIABLE}), or name a private file with venue.key_file"


class ApiKey:
    """One key pair. `str` and `repr` show four characters of the public half and nothing of the other."""

    __slots__ = ("_private", "_secret", "api_key", "kind")

    def __init__(self, api_key: str, secret: str = "", private_key: Any = None) -> None:
        self.api_key = api_key
        self._secret = secret.encode()
        self._private = private_key
        self.kind = HMAC if private_key is None else RSA if isinstance(private_key, _rsa_type()) else ED25519

    def __repr__(self) -> str:
        return f"ApiKey({mask(self.api_key)}, {self.kind})"

    @property
    def is_ed25519(self) -> bool:
        """Whether the venue allows session.logon with this key: then order frames need no signature."""
        return self.kind == ED25519

    @property
    def hmac_secret(self) -> bytes:
        """The secret that the compiled encoder signs with; empty for the other kinds. Never to be logged or journalled."""
        return self._secret

    def secrets(self) -> tuple[str, ...]:
        """The texts that must never reach a log."""
        return tuple(text for text in (self.api_key, self._secret.decode()) if text)

    def sign(self, payload: str) -> str:
        """Signature of a payload: hex for HMAC, base64 for the others."""
        if self.kind == ED25519:
            return base64.b64encode(self._private.sign(payload.encode())).decode()
        if self.kind == RSA:
            from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
            from cryptography.hazmat.primitives.hashes import SHA256

            return base64.b64encode(self._private.sign(payload.encode(), PKCS1v15(), SHA256())).decode()
        return hmac.new(self._secret, payload.encode(), hashlib.sha256).hexdigest()

    def signed_query(self, query: str) -> str:
        """The query with its signature appended, percent-encoded where base64 needs it."""
        return f"{query}&signature={quote(self.sign(query), safe='')}"

    def signed_params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of a WebSocket API call with apiKey and signature."""
        full = {**params, "apiKey": self.api_key}
        payload = "&".join(f"{name}={_text(full[name])}" for name in sorted(full))
        return {**full, "signature": self.sign(payload)}


def _rsa_type() -> type:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # late: a session with an HMAC key needs no cryptography package

    return RSAPrivateKey


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def mask(text: str) -> str:
    """What may be shown of a key: its first four characters."""
    return f"{text[:4]}***" if len(text) > 8 else "***"


def load_key(
    key_file: str = "", ready: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None, account: int = 1, kind: str = "HMAC"
) -> ApiKey:
    """The key to trade with: environment, then key file, then what a simulator's ready file offers for `account` and `kind`.

    Raises ConfigError naming the cure.
    """
    variables = os.environ if env is None else env
    if variables.get(KEY_VARIABLE):
        return _key(variables[KEY_VARIABLE], variables.get(SECRET_VARIABLE, ""), variables.get(PRIVATE_VARIABLE, ""), "the environment")
    if key_file:
        path = Path(key_file)
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigError(f"key file {path} may be read by others", f"chmod 600 {path}")
            body = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read key file {path}: {error}", _CURE) from None
        if not isinstance(body, dict):
            raise ConfigError(f"key file {path} is not a JSON object", _CURE)
        return _key(str(body.get("api_key", "")), str(body.get("secret", "")), str(body.get("private_key", "")), str(path))
    for offered in (ready or {}).get("keys", ()):
        if offered.get("account") == account and offered.get("kind") == kind:
            return _key(str(offered["key"]), str(offered.get("secret", "")), str(offered.get("private_key", "")), "the ready file")
    raise ConfigError("no API key given for the venue", _CURE)


def _key(api_key: str, secret: str, private_key: str, where: str) -> ApiKey:
    if not api_key or not api_key.isascii() or not (secret or private_key):
        raise ConfigError(f"the API key of {where} is not whole: a key and a secret or a private key are needed", _CURE)
    if not private_key:
        return ApiKey(api_key, secret)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        text = private_key if "-----BEGIN" in private_key else Path(private_key).read_text()
        loaded = load_pem_private_key(text.encode(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(f"the private key of {where} is not an unencrypted PEM key", "Give an Ed25519 or RSA key in PKCS#8 PEM form") from None
    if not isinstance(loaded, Ed25519PrivateKey | _rsa_type()):
        raise ConfigError(f"the private key of {where} is neither Ed25519 nor RSA", "Make one with `openssl genpkey -algorithm ed25519`")
    return ApiKey(api_key, "", loaded)
