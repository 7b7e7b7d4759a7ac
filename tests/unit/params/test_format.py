"""Frozen parameter files: the same inputs give the same bytes, and whatever is off is refused, each fault with its own message."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftkit.errors import ParamsError
from hftkit.instruments import Instrument
from hftkit.params.format import FrozenParams, LegPlan, canonical_bytes, check_scales, digest_of, freeze, load, text_of
from hftkit.strategies import strategy

DAY_NS = 86_400 * 10**9
FROM_NS = 1_769_850_000 * 10**9  # 2026-01-31T09:00:00Z
AAA = Instrument(symbol="AAA", tick_size="0.01", lot_size="0.001", min_notional="5")
BBB = Instrument(symbol="BBB", tick_size="0.05", lot_size="0.01", min_notional="5")


def params(**changes: Any) -> FrozenParams:
    """A small valid parameter set of the pairs strategy."""
    plain: dict[str, Any] = {
        "schema_version": 1,
        "name": "pairs-AAA-BBB",
        "strategy": "pairs",
        "strategy_version": strategy("pairs").version,
        "instruments": (AAA, BBB),
        "legs": LegPlan(
            lead="AAA",
            hedge="BBB",
            unit_lead_lots=100,
            unit_hedge_lots=-80,
            slippage_ticks=2,
            hedge_deadline_ns=10**9,
            retry_ns=10**8,
            residual_lots=1,
        ),
        "parameters": {
            "hedge_ratio": "0.8125",
            "bar_ns": 60 * 10**9,
            "window": 4,
            "entry_z": "2.0",
            "exit_z": "0.5",
            "stop_z": "4.0",
            "max_holding_bars": 240,
            "max_imbalance": "0.9",
        },
        "arrays": {"spread_tail": ("0.1", "-0.25", "1e-05", "0.30000000000000004")},
        "provenance": {"data": {"file": "prices.csv", "sha256": "00" * 32}, "pairs_tried": 132, "q_value": "0.0004"},
        "valid_from_ns": FROM_NS,
        "valid_until_ns": FROM_NS + 30 * DAY_NS,
    }
    return FrozenParams(**{**plain, **changes})


def test_maker_settings_at_their_defaults_leave_the_bytes_as_they_were(tmp_path: Path) -> None:
    legs = params().legs
    assert set(json.loads(freeze(params(), tmp_path).read_bytes())["legs"]) == set(legs.__struct_fields__) - {"maker_patience_ns", "reprice_ticks"}
    patient = freeze(params(legs=msgspec.structs.replace(legs, maker_patience_ns=5 * 10**8, reprice_ticks=3)), tmp_path)
    assert (load(patient).legs.maker_patience_ns, load(patient).legs.reprice_ticks) == (5 * 10**8, 3)
    for key, value in (("maker_patience_ns", -1), ("reprice_ticks", 0)):
        with pytest.raises(ParamsError, match=key):
            load(resealed(patient, lambda body, key=key, value=value: body["legs"].update({key: value})))


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    return freeze(params(), tmp_path)


def resealed(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a frozen file with changed content and a digest that fits it: what a careless program would write."""
    body = json.loads(path.read_bytes())
    change(body)
    body["digest"] = digest_of(body)
    altered = path.parent / "resealed.json"
    altered.write_bytes(canonical_bytes(body))
    return altered


# --- what a good file is ----------------------------------------------------------------------------------------------


def test_what_was_frozen_is_what_is_loaded(frozen: Path) -> None:
    loaded = load(frozen, now_ns=FROM_NS)
    assert msgspec.structs.replace(loaded, digest="") == params()


def test_the_digest_is_sha256_of_the_file_without_its_digest(frozen: Path) -> None:
    text = frozen.read_bytes()
    stated = json.loads(text)["digest"]
    without = text.replace(f'"digest":"{stated}",'.encode(), b"")
    assert hashlib.sha256(without).hexdigest() == stated
    assert frozen.name == f"pairs-AAA-BBB-{stated[:12]}.json"


def test_the_file_is_canonical_json(frozen: Path) -> None:
    text = frozen.read_bytes()
    assert text.endswith(b"}\n")
    assert text.isascii()
    body = json.loads(text)
    assert json.dumps(body, sort_keys=True, separators=(",", ":")).encode() + b"\n" == text


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    reordered = dict(reversed(params().parameters.items()))
    first, second = freeze(params(), tmp_path / "a"), freeze(params(parameters=reordered), tmp_path / "b")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_freezing_the_same_again_is_the_same_file(frozen: Path) -> None:
    stamp = frozen.stat().st_mtime_ns
    assert freeze(params(), frozen.parent) == frozen
    assert frozen.stat().st_mtime_ns == stamp
    assert sorted(path.name for path in frozen.parent.iterdir()) == [frozen.name]  # no partial file is left


def test_a_frozen_file_is_read_only(frozen: Path) -> None:
    assert frozen.stat().st_mode & 0o777 == 0o444


def test_a_frozen_file_is_never_overwritten(frozen: Path) -> None:
    os.chmod(frozen, 0o644)
    frozen.write_bytes(b"somebody's notes")
    with pytest.raises(ParamsError, match=r"exists with other bytes.*never overwritten"):
        freeze(params(), frozen.parent)
    assert frozen.read_bytes() == b"somebody's notes"


def test_arrays_come_back_bit_for_bit(frozen: Path) -> None:
    array = load(frozen).array("spread_tail")
    assert array.dtype == np.float64
    assert array.tobytes() == np.array([0.1, -0.25, 1e-5, 0.1 + 0.2]).tobytes()
    assert load(frozen).array("absent").shape == (0,)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_survives_its_text(value: float) -> None:
    assert np.float64(float(text_of(value))).tobytes() == np.float64(value).tobytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.nan])
def test_a_number_that_is_not_finite_cannot_be_frozen(value: float) -> None:
    with pytest.raises(ParamsError, match="must be finite"):
        text_of(value)


def test_a_float_cannot_be_frozen(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"\$\.provenance\.cost\[1\] is the float 0\.25"):
        freeze(params(provenance={"cost": ["0.1", 0.25]}), tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- damage -----------------------------------------------------------------------------------------------------------


def test_any_flipped_byte_is_refused(frozen: Path) -> None:
    text = frozen.read_bytes()
    copy = frozen.parent / "copy.json"
    for position in range(len(text)):
        for mask in (0x01, 0x20, 0x80):
            copy.write_bytes(text[:position] + bytes([text[position] ^ mask]) + text[position + 1 :])
            with pytest.raises(ParamsError):
                load(copy)


def test_any_truncation_is_refused(frozen: Path) -> None:
    text = frozen.read_bytes()
    copy = frozen.parent / "copy.json"
    for length in range(len(text)):
        copy.write_bytes(text[:length])
        with pytest.raises(ParamsError):
            load(copy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "truncated or not JSON"),
        (b'{"schema_version":1,', "truncated or not JSON"),
        (b"\xff\xfe\x00", "truncated or not JSON"),
        (b"[" * 100_000, "truncated or not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "schema_version None"),
    ],
)
def test_what_is_no_frozen_file_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text)
    with pytest.raises(ParamsError, match=message):
        load(path)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"cannot read .*No such file.*hftkit freeze"):
        load(tmp_path / "absent.json")


def test_an_altered_value_shows_both_digests(frozen: Path) -> None:
    copy = frozen.parent / "copy.json"
    copy.write_bytes(frozen.read_bytes().replace(b'"entry_z":"2.0"', b'"entry_z":"1.0"'))
    with pytest.raises(ParamsError, match=r"was altered: digest says [0-9a-f]{12}, content gives [0-9a-f]{12}"):
        load(copy)


@pytest.mark.parametrize(
    "respell",
    [
        lambda text: text.replace(b'{"arrays"', b'{ "arrays"'),
        lambda text: text + b"\n",
        lambda text: text[:-1],
        lambda text: text.replace(b'"pairs"', b'"\\u0070airs"'),
        lambda text: text.replace(b'"schema_version":1', b'"schema_version":1,"schema_version":1'),
        lambda text: json.dumps(json.loads(text), indent=1).encode(),
    ],
    ids=["space", "line feed added", "line feed removed", "escape", "key twice", "indented"],
)
def test_the_same_content_in_another_spelling_is_refused(frozen: Path, respell: Callable[[bytes], bytes]) -> None:
    copy = frozen.parent / "copy.json"
    copy.write_bytes(respell(frozen.read_bytes()))
    with pytest.raises(ParamsError, match="not in canonical form"):
        load(copy)


# --- content that must not be traded, with a digest that fits ---------------------------------------------------------

FAULTS: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("unknown key", lambda b: b.update(comment="x"), "unknown field `comment`"),
    ("unknown key inside", lambda b: b["legs"].update(side="buy"), r"unknown field `side` - at `\$.legs`"),
    ("missing key", lambda b: b.pop("valid_until_ns"), "missing required field `valid_until_ns`"),
    ("missing key inside", lambda b: b["instruments"][1].pop("tick_size"), "missing required field `tick_size`"),
    ("wrong version", lambda b: b.update(schema_version=2), "schema_version 2, this hftkit reads 1"),
    ("version as text", lambda b: b.update(schema_version="1"), "schema_version '1'"),
    ("wrong type", lambda b: b["legs"].update(unit_lead_lots="100"), r"Expected `int`, got `str` - at `\$.legs.unit_lead_lots`"),
    ("no lead lots", lambda b: b["legs"].update(unit_lead_lots=0), r"Expected `int` >= 1 - at `\$.legs.unit_lead_lots`"),
    ("negative time", lambda b: b["legs"].update(retry_ns=-1), r"\$.legs.retry_ns"),
    ("empty validity", lambda b: b.update(valid_until_ns=b["valid_from_ns"]), "empty validity period"),
    ("leg without instrument", lambda b: b["legs"].update(hedge="CCC"), r"leg 'CCC' is not among its instruments \['AAA', 'BBB'\]"),
    ("one leg twice", lambda b: b["legs"].update(hedge="AAA"), "both legs are 'AAA'"),
    ("instrument twice", lambda b: b["instruments"].append(b["instruments"][0]), "names an instrument twice"),
    ("inexact scales", lambda b: b["instruments"][0].update(lot_size="0.0000001"), "finer than 1e-8"),
    ("unknown strategy", lambda b: b.update(strategy="alchemy"), "there is no strategy 'alchemy'"),
    ("strategy by path", lambda b: b.update(strategy="../pairs"), "there is no strategy"),
    ("strategy version", lambda b: b.update(strategy_version=99), "is for pairs version 99, installed is version"),
    ("parameter missing", lambda b: b["parameters"].pop("window"), "missing required field `window`"),
    ("parameter unknown", lambda b: b["parameters"].update(magic=1), "unknown field `magic`"),
    ("parameter out of range", lambda b: b["parameters"].update(window=1), r"parameter Expected `int` >= 2 - at `\$.window`"),
    ("thresholds disordered", lambda b: b["parameters"].update(exit_z="3.0"), "exit_z < entry_z < stop_z"),
    ("parameter infinite", lambda b: b["parameters"].update(stop_z="inf"), "parameter stop_z is inf, it must be finite"),
    ("parameter not a number", lambda b: b["parameters"].update(hedge_ratio="nan"), "hedge_ratio"),
    ("array text", lambda b: b["arrays"]["spread_tail"].append("much"), r"arrays.spread_tail\[4\] is 'much'"),
    ("array nan", lambda b: b["arrays"]["spread_tail"].append("nan"), r"arrays.spread_tail\[4\] is 'nan'"),
    ("name with a path", lambda b: b.update(name="../../x"), "cannot be a file name"),
]


@pytest.mark.parametrize(("change", "message"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_each_fault_has_its_own_message(frozen: Path, change: Callable[[dict[str, Any]], None], message: str) -> None:
    with pytest.raises(ParamsError, match=message) as refused:
        load(resealed(frozen, change))
    assert "\n" not in str(refused.value)


def test_a_resealed_file_without_a_fault_loads(frozen: Path) -> None:
    """The faults above are refused for themselves, not for the way the test writes them."""
    assert load(resealed(frozen, lambda body: None)) == load(frozen)


def test_what_load_would_refuse_is_not_frozen(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"being frozen.*exit_z < entry_z"):
        freeze(params(parameters={**params().parameters, "entry_z": "0.1"}), tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- time and venue ---------------------------------------------------------------------------------------------------


def test_the_validity_period_is_half_open(frozen: Path) -> None:
    load(frozen, now_ns=FROM_NS)
    load(frozen, now_ns=FROM_NS + 30 * DAY_NS - 1)
    with pytest.raises(ParamsError, match=r"not valid before 2026-01-31T09:00:00Z"):
        load(frozen, now_ns=FROM_NS - 1)
    with pytest.raises(ParamsError, match=r"expired at 2026-03-02T09:00:00Z.*freeze again"):
        load(frozen, now_ns=FROM_NS + 30 * DAY_NS)


def venue(**changes: Instrument) -> dict[str, Instrument]:
    return {"AAA": AAA, "BBB": BBB, **changes}


def changed(instrument: Instrument, **scales: str) -> Instrument:
    return Instrument(**{**msgspec.structs.asdict(instrument), **scales})


def test_equal_scales_pass_in_any_spelling() -> None:
    check_scales(params(), venue(AAA=changed(AAA, tick_size="0.010", min_notional="5.0"), CCC=changed(AAA, symbol="CCC")), "x.json")
    check_scales(params(), venue(AAA=changed(AAA, min_notional="1")), "x.json")  # asking less does no harm


@pytest.mark.parametrize(
    ("offered", "message"),
    [
        ({"BBB": changed(BBB, tick_size="0.1")}, r"tick_size of BBB was 0\.05 in research, the venue says 0\.1"),
        ({"AAA": changed(AAA, lot_size="0.01")}, r"lot_size of AAA was 0\.001 in research, the venue says 0\.01"),
        ({"AAA": changed(AAA, min_notional="10")}, r"min_notional of AAA was 5 in research, the venue now asks 10"),
    ],
)
def test_scales_that_changed_since_research_are_refused(offered: dict[str, Instrument], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        check_scales(params(), venue(**offered), "x.json")


def test_an_instrument_the_venue_lacks_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"the venue has no BBB.*offers \['AAA'\]"):
        check_scales(params(), {"AAA": AAA}, "x.json")


def test_the_check_printed_in_the_documents_works(frozen: Path) -> None:
    document = (Path(__file__).resolve().parents[3] / "docs" / "frozen-parameters.md").read_text()
    script = document.split("<<'END'\n")[1].split("    END\n")[0].replace("\n    ", "\n").strip()
    for path, verdict in ((frozen, "True"), (resealed(frozen, lambda body: body["legs"].update(slippage_ticks=3)), "True")):
        assert subprocess.run([sys.executable, "-", str(path)], input=script, capture_output=True, text=True, check=True).stdout.strip() == verdict
    altered = frozen.parent / "altered.json"
    altered.write_bytes(frozen.read_bytes().replace(b'"window":4', b'"window":5'))
    assert subprocess.run([sys.executable, "-", str(altered)], input=script, capture_output=True, text=True, check=True).stdout.strip() == "False"
