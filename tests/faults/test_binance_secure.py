"""Whole sessions over HTTPS and WSS, with keys that sign otherwise than HMAC: real processes, real sockets, the simulator's own certificate.

Ed25519: the order connection logs on (session.logon) and orders carry no signature; every connection is replaced again and again, as after 23 hours.
RSA: orders go by REST, and a third party ends the listen key. The certificate and the keys come from the configuration alone.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hftkit.codes import Control, RecordType
from hftkit.session.child_process import Simulator
from hftkit.session.journal import JournalReader
from tests.faults.binance_drill import PATIENCE_S, SYMBOLS, Venue, assert_whole, frozen_file, said, start, trades_on, wait_for

RSA_KEY = "rsa" * 21
PARTS = ("public", "market", "private", "orders")


@pytest.fixture(scope="module")
def rsa_pem():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def venue(tmp_path_factory, rsa_pem):
    folder = tmp_path_factory.mktemp("venue")
    public = rsa_pem.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    (folder / "keys.toml").write_text(f'{RSA_KEY} = """{public}"""\n')
    universe = resources.files("hftkit.exchange").joinpath("configs", "binance_universe.toml").read_text()
    own = f'[binance]\naccounts = {{ {RSA_KEY} = 1 }}\nkey_file = "{folder}/keys.toml"\n'
    (folder / "venue.toml").write_text(universe.replace("[binance]\n", own, 1))
    with Simulator(folder, 1.0, folder / "venue.toml", ("--binance-port", "0", "--binance-tls")) as simulator:
        yield Venue(simulator)


def start_secure(params: Path, venue: Venue, folder: Path, key: dict[str, str], extra: str):
    """A session that knows the venue's addresses from the ready file, and neither its certificate nor a demo key."""
    told = json.loads(venue.simulator.ready_file.read_text())
    certificate = told["binance"].pop("certificate")
    told["binance"].pop("keys")
    (folder / "ready.json").write_text(json.dumps(told))
    (folder / "key.json").write_text(json.dumps(key))
    (folder / "key.json").chmod(0o600)
    extra += f'\nca_file = "{certificate}"\nkey_file = "{folder}/key.json"\n'
    return start(params, venue, folder, extra, folder / "ready.json")


def secrets_in(session, texts: list[str]) -> list[str]:
    everything = b"".join(path.read_bytes() for path in [*session.folder.iterdir(), session.log] if path.is_file())
    return [text for text in texts if text.encode() in everything]


def test_ed25519_over_tls_with_every_connection_replaced_again_and_again(venue, tmp_path):
    offered = next(key for key in venue.ready["binance"]["keys"] if key["account"] == 1 and key["kind"] == "ED25519")
    key = {"api_key": offered["key"], "private_key": offered["private_key"]}
    life = "reconnect_h = 0.0004\nlisten_key_minutes = 0.02\nreconcile_s = 1.0"  # 1.4 s and 1.2 s
    with start_secure(frozen_file(tmp_path), venue, tmp_path, key, life) as session:
        trades_on(session)
        wait_for(session, "two replacements of every part", lambda: all(len(said(session, "line_replaced", part=part)) >= 2 for part in PARTS))
        trades_on(session)
        session.send(Control.STOP)
        result = session.wait(PATIENCE_S)
    counters, parts = result["line"]["counters"], result["line"]["parts"]
    assert [part["n_failures"] for part in parts.values()] == [0, 0, 0, 0]
    assert [counters.get(name, 0) for name in ("depth_gaps", "trades_lost", "listen_key_expired")] == [0, 0, 0]
    assert counters["synced"] == len(SYMBOLS)  # each book was made whole once, and stayed so
    assert counters["depth_stale"] > 0  # what came twice was seen, and left
    assert not [record for record in JournalReader(session.folder) if record.type == RecordType.DISCONNECT_IN]
    assert result["line"]["rest_orders"] == 0
    assert_whole(session, venue, result)
    assert not secrets_in(session, [offered["key"], offered["private_key"].splitlines()[1]])


def test_rsa_orders_go_by_rest_and_a_listen_key_that_a_third_party_ends_is_replaced(venue, rsa_pem, tmp_path):
    text = rsa_pem.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    key = {"api_key": RSA_KEY, "private_key": text}
    with start_secure(frozen_file(tmp_path), venue, tmp_path, key, "listen_key_minutes = 0.02\nreconcile_s = 1.0") as session:
        trades_on(session)
        venue.ask("/fapi/v1/listenKey", "DELETE")
        wait_for(session, "a new user stream", lambda: said(session, "line_lost", part="private"))
        trades_on(session, 4)
        session.send(Control.STOP)
        result = session.wait(PATIENCE_S)
    assert said(session, "orders_by_rest")
    assert set(result["line"]["parts"]) == {"public", "market", "private"}
    assert result["line"]["rest_orders"] >= result["orders_sent"]
    assert_whole(session, venue, result)
    assert not secrets_in(session, [RSA_KEY, text.splitlines()[1]])
