"""A self-signed certificate for tests and demonstrations: HTTPS and WSS on this machine, for clients that are told to trust it."""

from __future__ import annotations

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hftkit.clock import unix_ns
from hftkit.errors import ConfigError
from hftkit.reading import read_bytes
from hftkit.system import private_files

_LIFE = timedelta(days=30)
_COMMON_NAME = "hftkit simulator"
_NAMES = ("localhost", "127.0.0.1")


def self_signed(folder: Path, names: tuple[str, ...] = _NAMES, stem: str = "", made: private_files.Made | None = None) -> tuple[Path, Path]:
    """Write `stem`certificate.pem and `stem`private_key.pem (0600) into a folder, for these host names and addresses. Returns the two paths.

    Files of these names are used again if they are such a pair of this user; others are refused with ConfigError, never overwritten. `made` notes
    what was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    certificate_path, key_path = folder / f"{stem}certificate.pem", folder / f"{stem}private_key.pem"
    if os.path.lexists(certificate_path) or os.path.lexists(key_path):
        if not _own_pair(certificate_path, key_path, names):
            raise ConfigError(
                f"{certificate_path} and {key_path.name} are no certificate that hftkit made for this: they are not overwritten",
                "Move them away, or give --ready-file another name",
            )
        return certificate_path, key_path
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _COMMON_NAME)])
    now = datetime.fromtimestamp(unix_ns() / 1e9, UTC)
    alternatives = _alternatives(names)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for path, text in ((key_path, pem), (certificate_path, certificate.public_bytes(serialization.Encoding.PEM))):
        status = private_files.write(path, text, "certificate")
        if made is not None:
            made.note(path, status)
    return certificate_path, key_path


def _alternatives(names: tuple[str, ...]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _own_pair(certificate_path: Path, key_path: Path, names: tuple[str, ...]) -> bool:
    """Whether two files are a certificate of `self_signed` for these names, good for another day, and its key, private to this user."""
    try:
        status = key_path.stat(follow_symlinks=False)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            return False
        certificate = x509.load_pem_x509_certificate(read_bytes(certificate_path))
        key = serialization.load_pem_private_key(read_bytes(key_path), None)
        stated = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    tomorrow = datetime.fromtimestamp(unix_ns() / 1e9, UTC) + timedelta(days=1)
    return (
        certificate.issuer.rfc4514_string() == f"CN={_COMMON_NAME}"
        and list(stated) == _alternatives(names)
        and certificate.not_valid_after_utc > tomorrow
        and certificate.public_key() == key.public_key()
    )
