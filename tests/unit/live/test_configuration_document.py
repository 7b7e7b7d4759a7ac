"""docs/configuration.md against the code: every key of the engine's TOML, what is allowed, its default; none that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hftkit.config import load_config
from hftkit.session.engine_state import _LIMIT_RANGES, StrategyLimits
from live.config import EngineConfig

PAGE = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"
ROW = re.compile(r"^\| `(?P<key>[a-z_]+)` \| (?P<allowed>[^|]+) \| (?P<default>[^|]+) \| (?P<meaning>[^|]+) \|$", re.MULTILINE)


def described(kind: type[msgspec.Struct], table: str = "") -> Iterator[tuple[str, str, str, str]]:
    """(table, key, allowed, default) of every key that is no table itself, as the page writes them."""
    for field in msgspec.structs.fields(kind):
        info = next(one for one in msgspec.inspect.type_info(kind).fields if one.encode_name == field.encode_name)  # type: ignore[attr-defined]
        default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        if isinstance(default, msgspec.Struct):
            yield from described(type(default), f"{table}.{field.encode_name}" if table else field.encode_name)
        else:
            yield table, field.encode_name, allowed(info.type, field.encode_name), text_of(default)


def allowed(kind: Any, key: str) -> str:
    """What a value may be, in the page's words."""
    if isinstance(kind, msgspec.inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values if value != "") + (", empty" if "" in kind.values else "")
    if isinstance(kind, msgspec.inspect.UnionType):
        return allowed(next(one for one in kind.types if not isinstance(one, msgspec.inspect.NoneType)), key)
    if isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        word = "integer" if isinstance(kind, msgspec.inspect.IntType) else "number"
        low, high = _LIMIT_RANGES.get(key, (kind.ge, kind.le))
        parts = [f"≥ {low:,}" if low is not None else "", f"> {kind.gt:g}" if kind.gt is not None else ""]
        parts += [f"≤ {high:,}" if high is not None else "", f"< {kind.lt:g}" if kind.lt is not None else ""]
        return ", ".join([word, *(part for part in parts if part)])
    if key == "options":
        return "table"
    if key == "strategy":
        return "table: name = limits"
    names = {"StrType": "text", "BoolType": "true, false", "DictType": "table: symbol = lots", "VarTupleType": "list of texts"}
    return names[type(kind).__name__]


def text_of(default: Any) -> str:
    """A default as TOML writes it."""
    if default is None:
        return "absent"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, str):
        return f"`{default}`" if default else "empty"
    if isinstance(default, int | float):
        return f"{default:,}" if isinstance(default, int) else f"{default:g}"
    return "none"


def on_the_page() -> dict[tuple[str, str], tuple[str, str]]:
    found = {}
    for table, body in re.findall(r"^## `\[([a-zA-Z_.]+)\]`[^\n]*\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for row in ROW.finditer(body):
            assert len(row["meaning"]) > 0
            found[table, row["key"]] = row["allowed"], row["default"]
    return found


def test_the_page_has_every_key_with_what_is_allowed_and_its_default() -> None:
    keys = [*described(EngineConfig), *described(StrategyLimits, "limits.strategy.NAME")]
    code = {(table, key): (may, default) for table, key, may, default in keys}
    page = on_the_page()
    assert len(code) > 60
    assert sorted(code.keys() - page.keys()) == [], "keys that docs/configuration.md lacks: add a row to their table"
    assert sorted(page.keys() - code.keys()) == [], "keys on docs/configuration.md that do not exist"
    assert {key: page[key] for key in code if page[key] != code[key]} == {}, "the page says something else than the code"
    assert {key: code[key] for key in code if page[key] != code[key]} == {}


@pytest.mark.parametrize("block", re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL) if PAGE.exists() else [], ids=lambda text: text[:20])
def test_the_examples_load(block: str, tmp_path: Path) -> None:
    file = tmp_path / "engine.toml"
    file.write_text(block)
    assert load_config(EngineConfig, file, env={}) != EngineConfig()


def test_the_environment_overrides_as_the_page_says(tmp_path: Path) -> None:
    name, value = re.search(r"`(HFTKIT_[A-Z_]+)=(\d+)`", PAGE.read_text()).groups()  # type: ignore[union-attr]
    changed = load_config(EngineConfig, None, env={name: value})
    assert changed.limits.max_loss == int(value) != EngineConfig().limits.max_loss
