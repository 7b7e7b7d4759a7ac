"""Keys: published signature vectors, three ways to load, and nothing to see in a log."""

from __future__ import annotations

import base64
import io
import json
import urllib.parse

import pytest
import structlog
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hftkit.errors import ConfigError
from live.log.masking import MaskSecrets
from live.venues.binance.keys import ApiKey, load_key

# Published by the venue's documentation; the second is computed over query + body without separator.
SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
PAYLOAD = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943"
SIGNATURE = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"


@pytest.fixture(scope="module")
def pem():
    private = Ed25519PrivateKey.generate()
    text = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    return text, private.public_key()


def test_the_published_hmac_vector():
    key = ApiKey("k" * 64, SECRET)
    assert key.sign(PAYLOAD) == SIGNATURE
    assert key.signed_query(PAYLOAD) == f"{PAYLOAD}&signature={SIGNATURE}"


def test_websocket_parameters_are_sorted_and_plain():
    """As three third-party clients do it: apiKey included, sorted, booleans in lower case, nothing percent-encoded."""
    import hashlib
    import hmac

    signed = ApiKey("KEY", "s3cret").signed_params({"symbol": "BTCUSDT", "reduceOnly": True, "timestamp": 1, "note": "a b/c"})
    payload = "apiKey=KEY&note=a b/c&reduceOnly=true&symbol=BTCUSDT&timestamp=1"
    assert signed["signature"] == hmac.new(b"s3cret", payload.encode(), hashlib.sha256).hexdigest()


def test_ed25519_signatures_verify_with_the_public_key(pem):
    text, public = pem
    key = load_key(env={"HFTKIT_BINANCE_KEY": "a-public-key", "HFTKIT_BINANCE_PRIVATE_KEY": text})
    assert key.is_ed25519
    query = key.signed_query("a=1&b=2")
    signature = urllib.parse.parse_qs(query)["signature"][0]
    public.verify(base64.b64decode(signature), b"a=1&b=2")  # raises if it does not fit


def test_rsa_signatures_verify_with_the_public_key_and_as_another_client_makes_them(tmp_path):
    """The official connector signs with an RSA key of the same file: PKCS #1 v1.5 is deterministic, so the texts must be equal."""
    from binance.lib.authentication import rsa_signature

    private = rsa.generate_private_key(65537, 2048)
    text = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "rsa.pem"
    path.write_bytes(text)
    key = load_key(env={"HFTKIT_BINANCE_KEY": "a-public-key", "HFTKIT_BINANCE_PRIVATE_KEY": str(path)})
    assert (key.kind, key.is_ed25519, key.hmac_secret) == ("RSA", False, b"")
    signature = key.sign(PAYLOAD)
    private.public_key().verify(base64.b64decode(signature), PAYLOAD.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert signature == rsa_signature(text, PAYLOAD).decode()


def test_another_kind_of_key_is_refused_in_one_line(tmp_path):
    text = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ConfigError, match="neither Ed25519 nor RSA"):
        load_key(env={"HFTKIT_BINANCE_KEY": "a-public-key", "HFTKIT_BINANCE_PRIVATE_KEY": text.decode()})


def test_a_key_file_must_be_private(tmp_path, pem):
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"api_key": "a-public-key", "private_key": pem[0]}))
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="may be read by others"):
        load_key(str(path), env={})
    path.chmod(0o600)
    assert load_key(str(path), env={}).is_ed25519


@pytest.mark.parametrize("body", ["[]", "{}", '{"api_key": "x"}', '{"secret": "x"}', '{"api_key": "x", "private_key": "/nowhere.pem"}', "not json"])
def test_half_a_key_is_refused_in_one_line_without_its_text(tmp_path, body):
    path = tmp_path / "key.json"
    path.write_text(body)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as raised:
        load_key(str(path), env={})
    assert "\n" not in str(raised.value)


def test_the_environment_goes_before_the_ready_file():
    ready = {
        "keys": [{"account": 2, "kind": "HMAC", "key": "other", "secret": "s"}, {"account": 1, "kind": "HMAC", "key": "ready-key", "secret": "s"}]
    }
    assert load_key(ready=ready, env={}).api_key == "ready-key"
    assert load_key(ready=ready, env={"HFTKIT_BINANCE_KEY": "env-key", "HFTKIT_BINANCE_SECRET": "s"}).api_key == "env-key"
    with pytest.raises(ConfigError, match="no API key"):
        load_key(env={})


def logged(secrets, **facts) -> str:
    stream = io.StringIO()
    processors = [MaskSecrets(secrets), structlog.processors.JSONRenderer()]
    structlog.wrap_logger(structlog.WriteLogger(stream), processors=processors).info("event", **facts)
    return stream.getvalue()


def test_a_key_shows_nothing_of_itself():
    key = ApiKey("vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A", SECRET)
    assert key.api_key not in f"{key} {key!r}"
    assert SECRET not in f"{key} {key!r} {vars(type(key))}"
    line = logged(
        key.secrets(),
        url=f"https://venue/fapi/v1/order?{key.signed_query(PAYLOAD)}",
        headers={"X-MBX-APIKEY": key.api_key, "nested": [{"deep": SECRET}]},
        error=ValueError(f"bad {SECRET}"),
        raw=SECRET.encode(),
        listenKey="pq-abcdefgh",
    )
    assert key.api_key not in line
    assert SECRET not in line
    assert SIGNATURE not in line
    assert "pq-abcdefgh" not in line
    assert "symbol=BTCUSDT" in line  # what is no secret stays readable


_TEXTS = st.text(max_size=20)
_NESTED = st.recursive(_TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8)


@given(st.text(min_size=6, alphabet=st.characters(codec="ascii", categories=("L", "N"))), _NESTED)
def test_a_secret_is_masked_at_any_depth(secret, rest):
    if secret in json.dumps({"facts": rest, "event": "event"}):
        return
    masked = MaskSecrets([secret])(None, "info", {"event": "event", "facts": {"rest": rest, "inner": [f"<{secret}>", {secret: [secret]}]}})
    assert secret not in json.dumps(masked)
