"""A frozen file is made again from its provenance, byte for byte; what has changed since is named."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from hftkit.errors import DataError, ParamsError
from hftkit.params import format as params
from hftkit.params.format import load
from research.cli.reproduce_commands import reproduce as command
from research.data.data_loader import load_panel
from research.data.instruments import infer_instrument
from research.pairs.freezing import reproduce as module
from research.pairs.freezing.pipeline import find_and_freeze
from research.pairs.freezing.reproduce import reproduce
from research.pairs.strategy_optimizer import Grid

GRID = Grid(windows=(60, 120), entries=(1.5, 2.0), exits=(0.0,), stops=(5.0,))
OLD = Path(__file__).parents[4] / "golden" / "frozen" / "pairs-a1usdt-b1usdt-33f58952b138.json"


@pytest.fixture(scope="module")
def panel(data_folder):
    return load_panel(data_folder)


@pytest.fixture(scope="module")
def instruments(panel):
    return {symbol: infer_instrument(symbol, panel.closes[symbol], taker_fee_ppm=50) for symbol in panel.closes}


@pytest.fixture(scope="module")
def path(panel, instruments, tmp_path_factory):
    return find_and_freeze(panel, instruments, tmp_path_factory.mktemp("frozen"), grid=GRID).path


def test_the_provenance_names_all_that_went_in(path, panel):
    birth = load(path).provenance
    assert {row["symbol"]: row["sha256"] for row in birth["universe"]} == {one.symbol: one.sha256 for one in panel.files}
    assert len(birth["universe"]) == 7
    asked = birth["arguments"]
    assert asked["grid"]["windows"] == [60, 120]
    assert (asked["fdr"], asked["max_half_life"], asked["unit_root_level"]) == ("0.05", "480.0", "0.01")
    assert asked["fractions"] == ["0.5", "0.25", "0.25"]
    assert set(asked["prefilter"]) == {"min_turnover", "max_zero_volume", "min_correlation"}
    assert (asked["p_values"], asked["draws"], asked["seed"]) == ("auto", None, 0)
    assert {"trend", "autolag", "maxlag", "most_draws", "p_values", "rows"} == set(birth["scan"])
    assert birth["calibration"]["min_trades"] == 10
    assert [one["lead"][1:] for one in birth["candidates"]] == [one["hedge"][1:] for one in birth["candidates"]]
    assert {"numpy", "pandas", "statsmodels", "scipy", "research_sha256", "kernels_sha256"} <= set(birth["code"])
    assert birth["loading"]["on_gap"] == "refuse"


def test_the_same_bytes(path, data_folder, tmp_path):
    made = reproduce(path, data_folder, tmp_path)
    assert made.same
    assert made.path.read_bytes() == path.read_bytes()
    done = CliRunner().invoke(command, [str(path), "--data", str(data_folder), "--json"])
    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["same"], answer["differences"]) == (0, True, {})


def test_one_byte_of_one_file_is_refused_by_its_name(path, data_folder, tmp_path):
    """Of a symbol that is not in the pair: the q-value depends on it too."""
    folder = tmp_path / "data"
    shutil.copytree(data_folder, folder)
    target = folder / "W2USDT.parquet"
    text = bytearray(target.read_bytes())
    text[len(text) // 2] ^= 1
    target.write_bytes(text)
    with pytest.raises(DataError, match=r"W2USDT\.parquet has changed: the file was made from bytes with SHA-256"):
        reproduce(path, folder)
    target.unlink()
    with pytest.raises(DataError, match=r"there is no W2USDT\.parquet of W2USDT"):
        reproduce(path, folder)


def test_a_symbol_more_is_refused(path, data_folder, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data_folder, folder)
    shutil.copy(folder / "W2USDT.parquet", folder / "NEWUSDT.parquet")
    with pytest.raises(DataError, match=r"NEWUSDT\.parquet of NEWUSDT was not there when the file was made"):
        reproduce(path, folder)


def test_a_version_that_differs_is_named(path, data_folder, tmp_path, monkeypatch):
    here = module.code_of()
    monkeypatch.setattr(module, "code_of", lambda learned=False: {**here, "numpy": "1.0", "research_sha256": "0" * 64})
    lines: list[str] = []
    made = reproduce(path, data_folder, tmp_path, lines.append)
    assert lines == list(made.code)
    assert [line.split(":")[0] for line in lines] == ["numpy", "research_sha256"]
    assert f"made with {here['numpy']}, here is 1.0" in lines[0]


def test_figures_that_do_not_follow_are_shown_in_a_table(path, data_folder, tmp_path):
    """A file that was whole and signed off, with another profit in it than its rule makes."""
    honest = load(path)
    birth = {**honest.provenance, "out_of_sample": {**honest.provenance["out_of_sample"], "net": "0.99"}}
    forged = params.freeze(params.FrozenParams(**{**fields_of(honest), "provenance": birth}), tmp_path)
    assert load(forged)
    done = CliRunner().invoke(command, [str(forged), "--data", str(data_folder)])
    assert done.exit_code == 1
    assert f"provenance.out_of_sample.net: 0.99 -> {honest.provenance['out_of_sample']['net']}" in done.output
    assert "not the same: 2 keys differ" in done.output  # and the digest


def fields_of(frozen):
    return {name: getattr(frozen, name) for name in frozen.__struct_fields__}


def test_files_that_hold_no_arguments_are_refused_in_one_line(data_folder, panel, instruments, tmp_path):
    with pytest.raises(ParamsError, match="was frozen before its arguments were kept with it"):
        reproduce(OLD, data_folder)
    cut = find_and_freeze(replace(panel, closes=panel.closes.iloc[:3900]), instruments, tmp_path, grid=GRID)
    with pytest.raises(DataError, match="the same files give other prices than the file was made of"):
        reproduce(cut.path, data_folder)
