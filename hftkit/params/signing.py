"""Ed25519 signatures of frozen files (RFC 8032): who released these parameters for trading.

The digest in a frozen file says that it is whole; a signature says who vouches for it. It stands beside the file, as `FILE.sig`: one line of JSON
with the signed digest, the public key and the signature over the file's bytes. The private key stays with who releases; a trading host holds
only public keys it trusts. Keys are PEM files; a private key file is readable by its owner alone.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from hftkit.errors import HftkitError, ParamsError
from hftkit.params.format import parse_frozen, read_frozen
from hftkit.reading import parse_object, read_bytes
from hftkit.system import private_files

SUFFIX = ".sig"
_MOST_BYTES = 1 << 16  # of a key or a signature


def make_key(path: Path | str) -> Path:
    """Write a new private key to `path` and its public key to `path`.pub; returns the latter. Never overwrites."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = Path(path)
    public_path = path.with_name(path.name + ".pub")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    for target, text, mode in ((path, private, 0o600), (public_path, public, 0o644)):
        try:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except OSError as error:
            raise ParamsError(f"cannot write the key {target}: {error.strerror}", "Keys are never overwritten: choose another name") from None
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text)
    return public_path


def sign(path: Path | str, key: Path | str) -> Path:
    """Sign a frozen file, verified first, with a private key file; returns the path of the signature."""
    path = Path(path)
    text = read_frozen(path)
    digest = parse_frozen(text, str(path)).digest
    private = _key(Path(key), private=True)
    body = {"digest": digest, "public_key": _raw(private.public_key()), "signature": base64.b64encode(private.sign(text)).decode()}
    target = path.with_name(path.name + SUFFIX)
    try:
        private_files.write(target, json.dumps(body, sort_keys=True) + "\n", "signature", replace=True, mode=0o644)
    except HftkitError as error:
        raise ParamsError(error.problem, error.cure) from None
    return target


def verify(path: Path | str, trusted: Path | str, text: bytes | None = None) -> str:
    """Check that one of the public keys in `trusted` (a PEM file, or a folder of *.pub) signed this frozen file. Returns that key's file name.

    `text`: the bytes of the file where they were read already, so that what is verified is what is used.
    Raises ParamsError: no signature, no trusted key, signed by another key, or other bytes than those that were signed.
    """
    from cryptography.exceptions import InvalidSignature

    path, trusted = Path(path), Path(trusted)
    keys = {_raw(_key(file, private=False)): file for file in (sorted(trusted.glob("*.pub")) if trusted.is_dir() else [trusted])}
    if not keys:
        raise ParamsError(f"there is no public key in {trusted}", "Put the PEM files (*.pub) of those who may release parameters there")
    signature = path.with_name(path.name + SUFFIX)
    try:
        body = parse_object(
            read_bytes(signature, _MOST_BYTES), lambda why: ParamsError(f"{signature} is no signature ({why})", "Sign the file again")
        )
        claimed, signed = str(body["public_key"]), base64.b64decode(body["signature"], validate=True)
    except FileNotFoundError:
        raise ParamsError(f"{path} is not signed: there is no {signature.name}", "Sign it with: hftkit params sign") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParamsError(f"{signature} is no signature ({getattr(error, 'strerror', '') or error})", "Sign the file again") from None
    if claimed not in keys:
        raise ParamsError(f"{path} is signed by a key that is not among those trusted in {trusted}", "Ask who released it, or trust that key")
    try:
        _key(keys[claimed], private=False).verify(signed, read_frozen(path) if text is None else text)
    except InvalidSignature:
        raise ParamsError(
            f"the signature of {path} does not fit its bytes", "The file or its signature was altered: use the untouched files"
        ) from None
    return keys[claimed].name


def _key(path: Path, private: bool) -> Any:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    what = "private" if private else "public"
    try:
        text = read_bytes(path, _MOST_BYTES)
        key = form.load_pem_private_key(text, None) if private else form.load_pem_public_key(text)
    except OSError as error:
        raise ParamsError(f"cannot read the {what} key {path}: {error.strerror}", "Make one with: hftkit params keygen") from None
    except (ValueError, TypeError):
        raise ParamsError(f"{path} is no {what} key in PEM form", "Make one with: hftkit params keygen") from None
    if not isinstance(key, Ed25519PrivateKey if private else Ed25519PublicKey):
        raise ParamsError(f"{path} is not an Ed25519 key", "Make one with: hftkit params keygen")
    return key


def _raw(public: Any) -> str:
    return base64.b64encode(public.public_bytes_raw()).decode()
