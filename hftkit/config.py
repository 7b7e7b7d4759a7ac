"""Configuration files: TOML, with overrides from the environment, validated; errors name the key, the value and what is allowed (NF-8).

A configuration is a msgspec Struct. `HFTKIT_VENUE__ORDER_PORT=9001` overrides `order_port` in the table `[venue]`. Secrets are not
configuration: they come from the environment or a key file at the moment of use, and never stand in a TOML.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from hftkit.errors import ConfigError
from hftkit.reading import read_bytes

ENV_PREFIX = "HFTKIT_"
NOT_CONFIGURATION = frozenset({"HFTKIT_CACHE", "HFTKIT_SHARED_DATA", "HFTKIT_SECRET"})
_SECRET_WORDS = ("secret", "password", "private_key", "api_key")

_MOST_BYTES = 1 << 22
_DEEPEST = 32

T = TypeVar("T", bound=msgspec.Struct)


def load_config(kind: type[T], path: Path | str | None, overrides: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> T:
    """Read a configuration: defaults, then the TOML file, then the environment, then `overrides` (dotted keys, None means not given).

    Raises ConfigError naming the key, the value and what is allowed; also for an unknown key, and for a secret in the file.
    """
    body: dict[str, Any] = {}
    where = "the configuration"
    if path is not None:
        where = str(path)
        body = read_toml(path)
        _refuse_secrets(body, where)
    for name, value in (os.environ if env is None else env).items():
        if name.startswith(ENV_PREFIX) and name not in NOT_CONFIGURATION and "__" in name:
            _put(body, name.removeprefix(ENV_PREFIX).lower().split("__"), value, name)
    for key, value in (overrides or {}).items():
        if value is not None:
            _put(body, key.split("."), value, key)
    return convert_body(body, kind, where, "Correct the key, or remove it to take the default")


def convert_body(body: dict[str, Any], kind: type[T], where: str, cure: str, strict: bool = False) -> T:
    """The body of a configuration, checked. `where`: what it is, for people; `cure`: what to do about a key that does not fit. Raises ConfigError."""
    try:
        config = msgspec.convert(body, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {explain(error, body, kind)}", cure) from None
    except OverflowError:
        raise ConfigError(f"{where}: a number is out of range", cure) from None
    refuse_endless(config, where)
    return config


def read_toml(path: Path | str) -> dict[str, Any]:
    """A TOML file as plain data. Raises ConfigError: not a regular file, no UTF-8, no TOML, nested without end, thousands of digits."""
    try:
        text = read_bytes(path, _MOST_BYTES)
    except OSError as error:
        raise ConfigError(f"cannot read configuration {path}: {error.strerror or error}", "Give an existing file with --config") from None
    return parse_toml(text, str(path))


def parse_toml(text: bytes, where: str) -> dict[str, Any]:
    """TOML as plain data, `where` it comes from. Raises ConfigError as `read_toml` does."""
    try:
        body = tomllib.loads(text.decode())
        too_deep = _depth(body) > _DEEPEST
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}", "Save it as UTF-8 text") from None
    except RecursionError:
        too_deep = True
    except ValueError as error:  # TOMLDecodeError among them, and what Python says to an integer of 5,000 digits
        raise ConfigError(f"{where} is not TOML: {error}") from None
    if too_deep:
        raise ConfigError(f"{where} is nested too deeply", "A configuration has tables of tables at the most")
    return body


def _depth(value: Any) -> int:
    level, deepest = [value], 0
    while level := [item for one in level for item in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())]:
        deepest += 1
    return deepest


def refuse_endless(config: Any, where: str, path: str = "") -> None:
    """No number of a configuration is NaN or infinite: every comparison with it would go one way."""
    if isinstance(config, float) and not math.isfinite(config):
        raise ConfigError(f"{where}: {path} is {config}, it must be a finite number", "Correct the key, or remove it to take the default")
    if isinstance(config, msgspec.Struct):
        for name, value in msgspec.structs.asdict(config).items():
            refuse_endless(value, where, f"{path}.{name}" if path else name)
    elif isinstance(config, dict):
        for name, value in config.items():
            refuse_endless(value, where, f"{path}.{name}")
    elif isinstance(config, list | tuple):
        for i, value in enumerate(config):
            refuse_endless(value, where, f"{path}[{i}]")


def _put(body: dict[str, Any], keys: list[str], value: Any, name: str) -> None:
    for key in keys[:-1]:
        inner = body.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{name} names a table, but {key} is the value {inner!r}")
        body = inner
    body[keys[-1]] = value


def explain(error: Exception, body: Mapping[str, Any], kind: type) -> str:
    """msgspec's message with what it leaves out: the value at its path, the keys or values that are allowed, the one that was meant.

    `body`: what was converted into `kind`.
    """
    text, _, path = str(error).partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    value, node, where = _walk(path, body, msgspec.inspect.type_info(kind))
    prefix = f"{where}: " if where else ""
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", text):
        keys = sorted(field.encode_name for field in getattr(node, "fields", ()))
        near = difflib.get_close_matches(unknown[1], keys, n=1)
        return f"{prefix}{text}, " + (f"perhaps {near[0]} was meant" if near else f"allowed are {', '.join(keys)}")
    if text.startswith("Invalid enum value"):
        text = f"Expected one of {', '.join(map(repr, getattr(node, 'values', ())))}"
    if value is _MISSING or isinstance(value, dict | list):
        return prefix + text
    return f"{text}, {where} is {value!r}"


_MISSING = object()


def _walk(path: str, value: Any, node: Any) -> tuple[Any, Any, str]:
    """(value, msgspec's description of its type, path with the symbol of a list's element) at a path like `flow.rate` or `instruments[3].symbol`."""
    where = ""
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        node = _struct_or_list(node)
        if key:
            where += f".{key}" if where else key
            node = next((field.type for field in getattr(node, "fields", ()) if field.encode_name == key), None)
            value = value.get(key, _MISSING) if isinstance(value, dict) else _MISSING
        else:
            node = getattr(node, "item_type", None)
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else _MISSING
            symbol = value.get("symbol") if isinstance(value, dict) else None
            where += f"[{symbol or index}]"
    return value, _struct_or_list(node), where


def _struct_or_list(node: Any) -> Any:
    """What a type is apart from None."""
    inner = [one for one in getattr(node, "types", ()) if not isinstance(one, msgspec.inspect.NoneType)]
    return inner[0] if inner else node


def _refuse_secrets(body: Mapping[str, Any], where: str, path: str = "") -> None:
    for key, value in body.items():
        if isinstance(value, dict):
            _refuse_secrets(value, where, f"{path}{key}.")
        elif any(word in key.lower() for word in _SECRET_WORDS) and not key.endswith("_file"):
            raise ConfigError(f"{where}: {path}{key} is a secret in a configuration file", "Put it into the environment or a key file")
