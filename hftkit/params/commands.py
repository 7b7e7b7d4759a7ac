"""`hftkit params`: show, verify and compare frozen parameter files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from hftkit.clock import unix_ns
from hftkit.errors import ParamsError
from hftkit.params import signing
from hftkit.params.format import FrozenParams, check_validity, load, parse_frozen, read_frozen
from hftkit.params.text import describe
from hftkit.reading import printable
from hftkit.units import ns_from_iso

_FILE = click.Path(path_type=Path)


@click.group()
def params() -> None:
    """Show, verify and compare frozen parameter files.

    Example: hftkit params verify data/frozen/pairs-charusd-deltusd-0a2fb4c34114.json
    """


@params.command()
@click.argument("path", type=_FILE)
@click.option("--all", "everything", is_flag=True, help="Every key of the file with its value, one a line.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def show(path: Path, everything: bool, as_json: bool) -> None:
    """Print a frozen file: what it trades, with which thresholds, and where they come from.

    Example: hftkit params show data/frozen/FILE.json
    """
    frozen = load(path)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(frozen), indent=1, sort_keys=True))
        return
    if everything:
        for key, value in _flat(frozen).items():
            click.echo(printable(f"{key:48} {value}"))
        return
    try:
        click.echo(printable(describe(frozen)))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise ParamsError(f"the provenance of {path} has another form than hftkit writes", "See it with --all, or --json") from None


@params.command()
@click.argument("paths", type=_FILE, nargs=-1, required=True)
@click.option("--at", help="Also check the validity period at this time (ISO 8601 with zone, or `now`).")
@click.option("--require-signature", type=_FILE, metavar="KEYS", help="Also demand a signature by this public key, or by one of a folder of *.pub.")
def verify(paths: tuple[Path, ...], at: str | None, require_signature: Path | None) -> None:
    """Check that frozen files are whole, unaltered and understood. Exit status 1 with the reason at the first that is not.

    Example: hftkit params verify data/frozen/*.json --at now
    """
    moment = None if at is None else unix_ns() if at == "now" else ns_from_iso(at)
    for path in paths:
        text = read_frozen(path)
        frozen = parse_frozen(text, str(path))
        if moment is not None:
            check_validity(frozen, moment, str(path))
        signer = f", signed by {signing.verify(path, require_signature, text)}" if require_signature else ""
        click.echo(f"{path}: good, digest {frozen.digest}{signer}")


@params.command()
@click.argument("path", type=_FILE)
def keygen(path: Path) -> None:
    """Make an Ed25519 key pair: the private key in PATH (keep it), the public key in PATH.pub (give it to trading hosts).

    Example: hftkit params keygen ~/keys/release
    """
    click.echo(f"private key {path}, public key {signing.make_key(path)}")


@params.command()
@click.argument("paths", type=_FILE, nargs=-1, required=True)
@click.option("--key", type=_FILE, required=True, help="Private key file (hftkit params keygen).")
def sign(paths: tuple[Path, ...], key: Path) -> None:
    """Sign frozen files: a signature is written beside each, as FILE.sig.

    Example: hftkit params sign data/frozen/FILE.json --key ~/keys/release
    """
    for path in paths:
        click.echo(f"{path}: signature {signing.sign(path, key)}")


@params.command()
@click.argument("first", type=_FILE)
@click.argument("second", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def diff(first: Path, second: Path, as_json: bool) -> None:
    """Compare two frozen files, key by key. Exit status 0 if they are the same, 1 if they differ.

    Example: hftkit params diff data/frozen/OLD.json data/frozen/NEW.json
    """
    left, right = _flat(load(first)), _flat(load(second))
    changed = {key: (left.get(key), right.get(key)) for key in sorted(left.keys() | right.keys()) if left.get(key) != right.get(key)}
    if as_json:
        click.echo(json.dumps(changed, indent=1))
    else:
        for key, (old, new) in changed.items():
            click.echo(printable(f"{key}: {_missing(old)} -> {_missing(new)}"))
        click.echo(f"{len(changed)} differences")
    if changed:
        raise click.exceptions.Exit(1)


def _missing(value: Any) -> Any:
    return "(not there)" if value is None else value


def _flat(frozen: FrozenParams) -> dict[str, Any]:
    """Dotted keys to plain values; arrays by their length, ends and sum, so that a change shows without a screen of numbers."""
    found: dict[str, Any] = {}

    def walk(value: Any, key: str) -> None:
        if isinstance(value, dict):
            for name, item in value.items():
                walk(item, f"{key}.{name}" if key else name)
        elif isinstance(value, list | tuple):
            for i, item in enumerate(value):
                walk(item, f"{key}[{i}]")
        else:
            found[key] = value

    body = msgspec.to_builtins(frozen)
    arrays = body.pop("arrays")
    walk(body, "")
    for name in arrays:
        values = frozen.array(name)
        ends = f"{values[0]:.6g} .. {values[-1]:.6g}" if values.size else "empty"
        found[f"arrays.{name}"] = f"{values.size} values, {ends}, sum {float(values.sum())!r}"
    return found
