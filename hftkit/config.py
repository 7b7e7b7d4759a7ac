"""Configuration files: TOML, with overrides from the environment, validated; errors name the key, the value and what is allowed (NF-8).

A configuration is a msgspec Struct. `HFTKIT_VENUE__ORDER_PORT=9001` overrides `order_port` in the table `[venue]`. Secrets are not
configuration: they come from the environment or a key file at the moment of use, and never stand in a TOML.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from hftkit.errors import ConfigError

ENV_PREFIX = "HFTKIT_"
NOT_CONFIGURATION = frozenset({"HFTKIT_CACHE", "HFTKIT_SHARED_DATA", "HFTKIT_SECRET"})
_SECRET_WORDS = ("secret", "password", "private_key", "api_key")

T = TypeVar("T", bound=msgspec.Struct)


def load_config(kind: type[T], path: Path | str | None, overrides: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> T:
    """Read a configuration: defaults, then the TOML file, then the environment, then `overrides` (dotted keys, None means not given).

    Raises ConfigError naming the key, the value and what is allowed; also for an unknown key, and for a secret in the file.
    """
    body: dict[str, Any] = {}
    where = "the configuration"
    if path is not None:
        where = str(path)
        try:
            body = tomllib.loads(Path(path).read_text())
        except OSError as error:
            raise ConfigError(f"cannot read configuration {path}: {error.strerror}", "Give an existing file with --config") from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path} is not TOML: {error}", "Save it as UTF-8 text") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path} is not TOML: {error}") from None
        _refuse_secrets(body, where)
    for name, value in (os.environ if env is None else env).items():
        if name.startswith(ENV_PREFIX) and name not in NOT_CONFIGURATION and "__" in name:
            _put(body, name.removeprefix(ENV_PREFIX).lower().split("__"), value, name)
    for key, value in (overrides or {}).items():
        if value is not None:
            _put(body, key.split("."), value, key)
    try:
        return msgspec.convert(body, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {explain(error, body, kind)}", "Correct the key, or remove it to take the default") from None


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
