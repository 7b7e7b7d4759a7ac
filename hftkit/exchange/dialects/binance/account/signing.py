"""Is a request signed with its key? HMAC-SHA256 (hex), RSA (PKCS#1 v1.5 with SHA-256, base64) and Ed25519 (base64). Source: the venue's
documentation of request security; the published HMAC vector is a test.

What counts is the text as it was sent. One client signs the decoded text of what it sends encoded (section 9.3 of the reference): so the
decoded text is tried second.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any
from urllib.parse import unquote, unquote_plus

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from hftkit.errors import ConfigError

HMAC, RSA, ED25519 = "HMAC", "RSA", "ED25519"


class Verifier:
    """One key's way of signing. `secret`: the text of an HMAC secret, or a public key as PEM."""

    def __init__(self, secret: str) -> None:
        """Raises ConfigError for a PEM that is not an RSA or Ed25519 public key."""
        self._secret = b""
        self._public: Any = None
        if not secret.lstrip().startswith("-----BEGIN"):
            self.kind, self._secret = HMAC, secret.encode()
            return
        try:
            self._public = load_pem_public_key(secret.strip().encode())
        except ValueError as error:
            raise ConfigError(f"a public key cannot be read: {error}", "Give a PEM block that begins with BEGIN PUBLIC KEY") from None
        if isinstance(self._public, Ed25519PublicKey):
            self.kind = ED25519
        elif isinstance(self._public, RSAPublicKey):
            self.kind = RSA
        else:
            raise ConfigError("a public key is neither RSA nor Ed25519", "The venue signs with HMAC secrets, RSA or Ed25519 keys")

    def _accepts(self, payload: bytes, signature: str) -> bool:
        if self.kind == HMAC:
            expected = hmac.new(self._secret, payload, hashlib.sha256).hexdigest()
            return hmac.compare_digest(expected.encode(), signature.lower().encode())
        try:
            raw = base64.b64decode(signature.replace(" ", "+"), validate=True)  # a plus that was not escaped arrives as a blank
            if self.kind == ED25519:
                self._public.verify(raw, payload)
            else:
                self._public.verify(raw, payload, PKCS1v15(), SHA256())
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True

    def verifies(self, payload: str, signature: str) -> bool:
        """Does `signature` belong to `payload`, as sent or as decoded?"""
        if not signature:
            return False
        forms = dict.fromkeys((payload, unquote(payload, errors="replace"), unquote_plus(payload, errors="replace")))
        return any(self._accepts(form.encode("utf-8", "surrogateescape"), signature) for form in forms)
