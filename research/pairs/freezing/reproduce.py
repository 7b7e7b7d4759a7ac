"""Make a frozen file again from its own provenance and the data it names, and say what differs.

Data and code come first: a file of prices that has another digest refuses the reproduction by its name, and a version or source that is not
that of the file is named in one line. Then the same function is called with the same arguments, and the bytes are compared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec

from hftkit.errors import DataError, ParamsError
from hftkit.instruments import Instrument
from hftkit.params import format as params
from hftkit.params.format import FrozenParams
from hftkit.strategies.pairs import TREES_ARRAY
from research.data.data_loader import Panel, Reading, load_panel, sha256_of
from research.data.instruments import Scales
from research.pairs.calibration import calibrate_pair
from research.pairs.costs import Costs
from research.pairs.freezing.freeze import build_params
from research.pairs.freezing.freeze_strategy import freeze_strategy
from research.pairs.freezing.pipeline import find_and_freeze_many
from research.pairs.freezing.provenance import code_of, panel_digest
from research.pairs.freezing.settings import Arguments, Execution, Search, read_back
from research.pairs.freezing.trial_ledger import NotedLooks
from research.pairs.reversion_model import train
from research.pairs.strategy_optimizer import Grid, Thresholds, Training
from research.pairs.walkforward import Split

_AGAIN = "Freeze again with this version"
_SOURCES = ("kernels_sha256", "research_sha256")


@dataclass(frozen=True)
class Reproduction:
    """`path`: the file made again; `same`: whether its bytes are those of the original; `code`: versions and sources that differ, one line each;
    `differences`: key -> (in the file, made again); `taken_over`: what was copied from the file, not computed.
    """

    path: Path
    same: bool
    code: tuple[str, ...]
    differences: dict[str, tuple[Any, Any]]
    taken_over: tuple[str, ...]


def reproduce(file: Path | str, data: Path | str, out: Path | str | None = None, told: Callable[[str], None] = lambda line: None) -> Reproduction:
    """Make the frozen file `file` again from the prices in `data`.

    Parameters
    ----------
    file : the frozen file.
    data : folder (or file) of the prices it was made of.
    out : folder for the file made again; a temporary one by default.
    told : called with each line about code that differs, before the work begins.

    Raises
    ------
    DataError
        A file of prices is missing, new or has other bytes: the first one by its name.
    ParamsError
        The file holds no arguments (it was frozen before they were kept), or it cannot be read.
    """
    text = params.read_frozen(file)
    frozen = params.parse_frozen(text, str(file))
    birth = frozen.provenance
    if "arguments" not in birth or "universe" not in birth:
        raise ParamsError(f"{file} was frozen before its arguments were kept with it: there is nothing to repeat", _AGAIN)
    _same_files(birth["universe"], Path(data))
    code = other_code(birth["code"])
    for line in code:
        told(line)
    panel = _panel(birth, Path(data))
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="hftkit-reproduce-"))
    route = birth["arguments"].get("route")
    if route not in _ROUTES:
        raise ParamsError(f"{file} was made by the route {route!r}, which this version does not know", _AGAIN)
    path, taken_over = _ROUTES[route](frozen, panel, folder)
    again = path.read_bytes()
    if again != text and not any(key in line for line in code for key in _SOURCES):
        path = _with_commit(path, birth["code"])
        again = path.read_bytes()
    return Reproduction(path, again == text, code, _differences(text, again), taken_over)


def other_code(stated: dict[str, str]) -> tuple[str, ...]:
    """Versions and source digests of the file that are not those here. The commit is a name for sources whose digests are compared."""
    here = code_of(learned="scikit-learn" in stated)
    names = [name for name in (*stated, *(name for name in here if name not in stated)) if name != "commit"]
    return tuple(
        f"{name}: the file was made with {_short(stated.get(name))}, here is {_short(here.get(name))}"
        for name in names
        if stated.get(name) != here.get(name)
    )


def _short(value: Any) -> str:
    return "none" if value is None else str(value)[:12]


def _same_files(universe: list[dict[str, str]], data: Path) -> None:
    """Refuse prices that are not those of the file, before anything is read of them."""
    for row in universe:
        found = [data] if data.is_file() else [data / row["file"]] if (data / row["file"]).is_file() else sorted(data.rglob(row["file"]))
        if not found:
            raise DataError(f"there is no {row['file']} of {row['symbol']} in {data}", "Give the folder that the file was made from (--data)")
        digests = [sha256_of(path) for path in found]
        if row["sha256"] not in digests:
            raise DataError(
                f"{found[0]} has changed: the file was made from bytes with SHA-256 {row['sha256'][:12]}, these have {digests[0][:12]}",
                "Give the data that it was made from; on new data freeze anew",
            )


def _panel(birth: dict[str, Any], data: Path) -> Panel:
    """The panel loaded as it was, refused if anything else is in it."""
    loading = dict(birth["loading"])
    if not loading:
        raise DataError("the prices of this file were not loaded from files (load_panel)", "Only what was loaded from files can be loaded again")
    panel = load_panel(data, loading.pop("symbols"), reading=Reading(**loading.pop("reading")), **loading)
    known = {(row["symbol"], row["sha256"]) for row in birth["universe"]}
    for one in panel.files:
        if (one.symbol, one.sha256) not in known:
            raise DataError(f"{one.name} of {one.symbol} was not there when the file was made", "Give a folder without it")
    if panel_digest(panel) != birth["panel_sha256"]:
        raise DataError(
            "the same files give other prices than the file was made of: the panel was altered after it was loaded, or is loaded otherwise now",
            "Freeze what load_panel returns, unaltered",
        )
    return panel


def _found_and_frozen(frozen: FrozenParams, panel: Panel, folder: Path) -> tuple[Path, tuple[str, ...]]:
    birth = frozen.provenance
    plain = {key: value for key, value in birth["arguments"].items() if key not in ("route", "instruments")}
    asked = read_back(plain, Arguments, "arguments", infinite=("max_half_life",))
    instruments = {row["symbol"]: msgspec.convert(row, Instrument) for row in birth["arguments"]["instruments"]}
    looks = birth["test_span"]["looks_before"]
    ledger = NotedLooks(looks) if isinstance(looks, int) else None
    given = {field.name: getattr(asked, field.name) for field in fields(asked)}
    with tempfile.TemporaryDirectory() as place:
        made = find_and_freeze_many(panel, instruments, place, made_by=birth["made_by"], guessed=_guessed(frozen), ledger=ledger, **given)
        for one in made:
            if (one.chosen.lead, one.chosen.hedge) == (frozen.legs.lead, frozen.legs.hedge):
                copied = [*(["guessed"] if _guessed(frozen) else []), *(["test_span.looks_before"] if ledger else [])]
                return params.freeze(one.params, folder), tuple(copied)
    pairs = ", ".join(f"{one.chosen.lead}/{one.chosen.hedge}" for one in made)
    raise DataError(f"the same search freezes {pairs}, not {frozen.legs.lead}/{frozen.legs.hedge}", "Compare the versions named above")


def _built(frozen: FrozenParams, panel: Panel, folder: Path) -> tuple[Path, tuple[str, ...]]:
    birth, legs = frozen.provenance, frozen.legs
    tried, values = birth["calibration"], frozen.parameters
    learnt, judged, unseen = (slice(*birth["spans"][name]["bars"]) for name in ("train", "validation", "test"))
    split = Split(learnt, judged, unseen, birth["embargo_bars"])
    rule = Thresholds(
        int(values["window"]), float(values["entry_z"]), float(values["exit_z"]), float(values["stop_z"]), int(values["max_holding_bars"]),
        str(values.get("zscore", "rolling")),
    )  # fmt: skip
    ticks = float(tried["ticks"][0]), float(tried["ticks"][1])
    found = calibrate_pair(
        panel, legs.lead, legs.hedge, split, read_back(birth["costs"], Costs, "costs"), read_back(tried["grid"], Grid, "calibration.grid"),
        tried["min_trades"], ticks, pairs_tested=tried["pairs_tested"], log=values.get("spread") != "levels",
    )  # fmt: skip
    if found.sweep.chosen != rule or "by hand" in tried["chosen_by"]:
        found = found.with_rule(rule)
    if TREES_ARRAY in frozen.arrays:
        if "model" not in birth:
            raise ParamsError("the model in this file says nothing of its training: it cannot be made again", "Take gates from train_reversion")
        plain = dict(birth["model"])
        confidence = float(plain.pop("confidence"))
        how = read_back(plain, Training, "model")
        model = train(found.bars, how.thresholds, slice(how.first, how.end), how.kind, how.trees, how.embargo, how.seed)
        found = found.gated(model.gate(confidence))
    execution = read_back(birth["arguments"]["execution"], Execution, "arguments.execution")
    made = build_params(
        panel, {one.symbol: one for one in frozen.instruments}, found, read_back(birth["search"], Search, "search"), execution, birth["made_by"],
        _guessed(frozen), birth["arguments"]["said"],
    )  # fmt: skip
    return params.freeze(made, folder), ("search", "arguments.said", *(("guessed",) if _guessed(frozen) else ()))


def _by_hand(frozen: FrozenParams, panel: Panel, folder: Path) -> tuple[Path, tuple[str, ...]]:
    birth = frozen.provenance
    scales = Scales({one.symbol: one for one in frozen.instruments}, _guessed(frozen), "the frozen file")
    execution = read_back(birth["arguments"]["execution"], Execution, "arguments.execution")
    values = birth["arguments"]["values"]
    path = freeze_strategy(panel, scales, frozen.strategy, frozen.legs.lead, frozen.legs.hedge, values, folder, execution, birth["made_by"])
    return path, ("parameters",)


_ROUTES: dict[Any, Callable[[FrozenParams, Panel, Path], tuple[Path, tuple[str, ...]]]] = {
    "find_and_freeze": _found_and_frozen,
    "build_params": _built,
    "freeze_strategy": _by_hand,
}


def _guessed(frozen: FrozenParams) -> dict[str, tuple[str, ...]]:
    return {symbol: tuple(names) for symbol, names in frozen.provenance.get("guessed", {}).items()}


def _with_commit(path: Path, stated: dict[str, str]) -> Path:
    """The same file under the commit of the original: another name for the same sources, by their digests."""
    made = params.load(path)
    code = {key: value for key, value in made.provenance["code"].items() if key != "commit"}
    if "commit" in stated:
        code["commit"] = stated["commit"]
    named = msgspec.structs.replace(made, provenance={**made.provenance, "code": code})
    if named.provenance == made.provenance:
        return path
    path.unlink()
    return params.freeze(named, path.parent)


def _differences(first: bytes, second: bytes) -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose values differ between two files."""
    left, right = (_flat(msgspec.json.decode(text)) for text in (first, second))
    return {key: (left.get(key), right.get(key)) for key in sorted(left.keys() | right.keys()) if left.get(key) != right.get(key)}


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {name: found for part, item in value.items() for name, found in _flat(item, f"{key}.{part}" if key else part).items()}
    if isinstance(value, list):
        return {name: found for i, item in enumerate(value) for name, found in _flat(item, f"{key}[{i}]").items()}
    return {key: value}
