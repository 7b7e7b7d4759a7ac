"""Signatures: the venue's published vector, and keys made here with the cryptography package."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from hftkit.errors import ConfigError
from hftkit.exchange.dialects.binance.account.keys import KeyRing
from hftkit.exchange.dialects.binance.account.signing import ED25519, HMAC, RSA, Verifier
from hftkit.exchange.dialects.binance.config import BinanceDialectConfig

# Published in the venue's documentation ("SIGNED Endpoint Examples for POST /fapi/v1/order").
SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
PAYLOAD = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943"
SIGNATURE = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"


def pem_of(private: object) -> str:
    public = private.public_key()  # type: ignore[attr-defined]
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def test_the_published_vector() -> None:
    verifier = Verifier(SECRET)
    assert verifier.kind == HMAC
    assert verifier.verifies(PAYLOAD, SIGNATURE)
    assert verifier.verifies(PAYLOAD, SIGNATURE.upper())  # the case of hex digits means nothing
    assert not verifier.verifies(PAYLOAD.replace("9000", "9001"), SIGNATURE)
    assert not verifier.verifies(PAYLOAD, "")
    assert not verifier.verifies(PAYLOAD, "é")


def test_ed25519_and_rsa_keys() -> None:
    ours = ed25519.Ed25519PrivateKey.generate()
    signature = base64.b64encode(ours.sign(PAYLOAD.encode())).decode()
    verifier = Verifier(pem_of(ours))
    assert verifier.kind == ED25519
    assert verifier.verifies(PAYLOAD, signature)
    assert verifier.verifies(PAYLOAD, signature.replace("+", " "))  # a plus that was not escaped
    assert not verifier.verifies(PAYLOAD + "&a=1", signature)
    assert not verifier.verifies(PAYLOAD, "not base64!")
    theirs = rsa.generate_private_key(65537, 2048)
    signature = base64.b64encode(theirs.sign(PAYLOAD.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
    verifier = Verifier(pem_of(theirs))
    assert verifier.kind == RSA
    assert verifier.verifies(PAYLOAD, signature)
    assert not verifier.verifies(PAYLOAD[:-1], signature)


def test_the_text_as_sent_and_the_text_decoded() -> None:
    import hashlib
    import hmac

    plain = "orderIdList=[1001, 1002]&symbol=BTCUSDT&timestamp=1"
    sent = f"orderIdList={quote('[1001, 1002]')}&symbol=BTCUSDT&timestamp=1"
    for signed in (plain, sent):
        assert Verifier("s").verifies(sent, hmac.new(b"s", signed.encode(), hashlib.sha256).hexdigest())


def test_other_keys_are_refused_when_they_are_configured() -> None:
    with pytest.raises(ConfigError, match="neither RSA nor Ed25519"):
        Verifier(pem_of(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(ConfigError, match="cannot be read"):
        Verifier("-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----")


def test_configured_keys_have_their_secrets_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    config = BinanceDialectConfig(accounts={"abc": 7}, demo_accounts=())
    with pytest.raises(ConfigError, match="HFTKIT_BINANCE_SECRET_7"):
        KeyRing.of_config(config)
    monkeypatch.setenv("HFTKIT_BINANCE_SECRET_7", SECRET)
    ring, told = KeyRing.of_config(config)
    key = ring.find("abc")
    assert key is not None
    assert key.account == 7
    assert key.verifier.verifies(PAYLOAD, SIGNATURE)
    assert (ring.find("abd"), told) == (None, [])


def test_a_key_file(tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "keys.toml"
    file.write_text(f'abc = "{SECRET}"\n')
    ring, _ = KeyRing.of_config(BinanceDialectConfig(accounts={"abc": 7}, key_file=str(file), demo_accounts=()))
    key = ring.find("abc")
    assert key is not None
    assert key.verifier.verifies(PAYLOAD, SIGNATURE)


def test_demo_keys_are_new_every_time_and_work() -> None:
    (one, told), (_, again) = (KeyRing.of_config(BinanceDialectConfig(demo_accounts=(5,))) for _ in range(2))
    assert [row["kind"] for row in told] == [HMAC, ED25519]
    assert {row["key"] for row in told}.isdisjoint({row["key"] for row in again})
    private = serialization.load_pem_private_key(str(told[1]["private_key"]).encode(), None)
    key = one.find(str(told[1]["key"]))
    assert key is not None
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    assert key.verifier.verifies(PAYLOAD, base64.b64encode(private.sign(PAYLOAD.encode())).decode())
