"""Configuration files: TOML, with overrides from the environment, validated; errors name the key, the value and what is allowed (NF-8).

A configuration is a msgspec Struct. `HFTKIT_VENUE__ORDER_PORT=9001` overrides `order_port` in the table `[venue]`. Secrets are not
configuration: they come from the environment or a key file at the moment of use, and never stand in a TOML.
"""

from __future__ import annotations

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
        raise ConfigError(f"{where}: {with_value(error, body)}", "Correct the key, or remove it to take the default") from None


def _put(body: dict[str, Any], keys: list[str], value: Any, name: str) -> None:
    for key in keys[:-1]:
        inner = body.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{name} names a table, but {key} is the value {inner!r}")
        body = inner
    body[keys[-1]] = value


def with_value(error: Exception, body: Mapping[str, Any]) -> str:
    """msgspec's message, with the offending value in place of the path where that leads to one: `events[1].rate is -3`."""
    text = str(error)
    if " - at `$." not in text:
        return text
    path = text.split(" - at `$.")[1].rstrip("`")
    value: Any = body
    for key in re.findall(r"[^.\[\]]+", path):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return text
    if isinstance(value, (dict, list)):
        return text  # a whole table says nothing: the message names the key
    return f"{text.split(' - at')[0]}, {path} is {value!r}"


def _refuse_secrets(body: Mapping[str, Any], where: str, path: str = "") -> None:
    for key, value in body.items():
        if isinstance(value, dict):
            _refuse_secrets(value, where, f"{path}{key}.")
        elif any(word in key.lower() for word in _SECRET_WORDS) and not key.endswith("_file"):
            raise ConfigError(f"{where}: {path}{key} is a secret in a configuration file", "Put it into the environment or a key file")
