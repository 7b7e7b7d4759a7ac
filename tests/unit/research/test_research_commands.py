"""The research commands from the outside: what they print, what they write, how they fail."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from click.testing import CliRunner

from hftkit.errors import DataError, ParamsError
from hftkit.params.commands import params
from hftkit.params.format import load
from research.cli import backtest_commands, commands, data_commands, notebook_commands
from tests.unit.research.bulk_archive import lines, put, serving
from tests.unit.research.synthetic_market import candles_of


def invoke(command, *arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def frozen(data_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    answer = json.loads(invoke(commands.freeze, data_folder, "--fee-ppm", 50, "--out", folder, "--json").stdout)
    return answer, folder


def test_scan_answers_a_program_and_a_person(data_folder, tmp_path):
    answer = json.loads(invoke(commands.scan, data_folder, "--json").stdout)
    assert len(answer["pairs"]) == 42
    assert {frozenset((row["lead"], row["hedge"])) for row in answer["found"]} == {frozenset({"A0USDT", "B0USDT"}), frozenset({"A1USDT", "B1USDT"})}
    text = invoke(commands.scan, data_folder, "--top", 3, "--out", tmp_path / "scan.csv").output
    assert "2 pairs found at a false-discovery rate of 0.05" in text
    assert len(pd.read_csv(tmp_path / "scan.csv")) == 42


def test_calibrate_draws_and_reports(data_folder, tmp_path):
    asked = (commands.calibrate, "A0USDT", "B0USDT", data_folder, "--fee-ppm", 50, "--json")
    closed = json.loads(invoke(*asked, "--figures", tmp_path / "closed").stdout)
    assert (set(closed["spans"]), closed["test_span"]) == ({"train", "validation"}, "closed")
    assert [row["span"] for row in closed["cointegration_again"]] == ["validation"]
    assert len(list((tmp_path / "closed").glob("*.png"))) == 4
    answer = json.loads(invoke(*asked, "--figures", tmp_path / "open", "--open-test").stdout)
    assert answer["hedge_ratio"] == pytest.approx(0.8, abs=0.05)
    assert set(answer["spans"]) == {"train", "validation", "test"}
    assert answer["test_span"] == {"looks_before": 0}
    assert len(list((tmp_path / "open").glob("*.png"))) == 7
    assert 0 < answer["capacity_halves"] < answer["capacity_best"] < answer["capacity_exhausted"]
    assert "null hypothesis" in invoke(commands.calibrate, "A0USDT", "B0USDT", data_folder, "--fee-ppm", 50).output


def test_calibrate_tries_the_kinds_of_zscore_it_is_told(data_folder):
    text = invoke(commands.calibrate, "A0USDT", "B0USDT", data_folder, "--fee-ppm", 50, "--zscore", "ewma,kalman").output
    assert "zscore ewma" in text or "zscore kalman" in text
    one = invoke(commands.calibrate, "A0USDT", "B0USDT", data_folder, "--fee-ppm", 50, "--json").output
    two = invoke(commands.calibrate, "A0USDT", "B0USDT", data_folder, "--fee-ppm", 50, "--zscore", "rolling,ewma", "--json").output
    assert json.loads(two)["trials"] == 2 * json.loads(one)["trials"]


def test_levels_are_a_choice_of_calibrate_freeze_and_so_of_the_backtest(data_folder, tmp_path):
    logs, levels = (
        json.loads(invoke(commands.calibrate, "A0USDT", "B0USDT", data_folder, "--fee-ppm", 50, "--json", *more).stdout)
        for more in ((), ("--levels",))
    )
    assert (logs["spread"], levels["spread"]) == ("logs", "levels")
    assert logs["hedge_ratio"] != levels["hedge_ratio"]
    answer = json.loads(invoke(commands.freeze, data_folder, "--fee-ppm", 50, "--levels", "--out", tmp_path, "--json").stdout)
    assert load(answer["path"]).parameters["spread"] == "levels"
    assert "levels" in invoke(params, "show", answer["path"]).output
    assert json.loads(invoke(backtest_commands.backtest, answer["path"], data_folder, "--json").stdout)["trades"] > 0
    with pytest.raises(DataError, match="--levels is of a calibrated pair"):
        invoke(commands.freeze, data_folder, "--strategy", "fixed_target", "--lead", "A0USDT", "--set", "target=1", "--levels")


def test_freeze_writes_one_verified_file(frozen):
    answer, folder = frozen
    assert [str(path) for path in folder.iterdir()] == [answer["path"]]
    assert answer["digest"][:12] in answer["path"]
    assert "good, digest " + answer["digest"] in invoke(params, "verify", answer["path"]).output
    shown = invoke(params, "show", answer["path"]).output
    assert answer["digest"] in shown
    for words in (
        "made by          hftkit freeze",
        "42 ordered pairs of 7 symbols tested",
        "with 90% confidence (stationary bootstrap, 1000 draws)",
        "Bonferroni",
    ):
        assert words in shown
    assert "provenance.code.kernels_sha256" in invoke(params, "show", answer["path"], "--all").output
    assert json.loads(invoke(params, "show", answer["path"], "--json").stdout)["digest"] == answer["digest"]


def test_params_diff_names_what_changed(frozen, data_folder, tmp_path):
    answer, _ = frozen
    other = json.loads(invoke(commands.freeze, data_folder, "--fee-ppm", 50, "--unit-notional", 500, "--out", tmp_path, "--json").stdout)
    changed = json.loads(invoke(params, "diff", answer["path"], other["path"], "--json").stdout)
    assert {
        "digest",
        "legs.unit_lead_lots",
        "legs.unit_hedge_lots",
        "provenance.capacity.unit_notional",
        "provenance.arguments.execution.unit_notional",
    } == set(changed)
    assert invoke(params, "diff", answer["path"], other["path"]).exit_code == 1
    assert invoke(params, "diff", answer["path"], answer["path"]).exit_code == 0


def test_params_verify_refuses_what_is_off(frozen):
    answer, folder = frozen
    altered = folder.parent / "altered.json"
    with open(answer["path"], "rb") as file:
        altered.write_bytes(file.read().replace(b'"window":', b'"window":1', 1))
    with pytest.raises(ParamsError, match="was altered"):
        invoke(params, "verify", altered)
    with pytest.raises(ParamsError, match="expired at"):
        invoke(params, "verify", answer["path"], "--at", "2030-01-01T00:00:00Z")
    with pytest.raises(ParamsError, match="not valid before"):
        invoke(params, "verify", answer["path"], "--at", "2020-01-01T00:00:00Z")


def test_data_check_lists_faults_and_fails(data_folder, prices, tmp_path):
    assert "7 files, no faults" in invoke(data_commands.data, "check", data_folder).output
    bad = candles_of(prices["W0USDT"])
    bad.loc[5, "close"] = float("nan")
    bad.to_parquet(tmp_path / "BAD.parquet")
    (tmp_path / "EMPTY.parquet").write_bytes(b"")
    result = invoke(data_commands.data, "check", tmp_path)
    assert result.exit_code == 1
    assert "row 5" in result.output
    assert "EMPTY.parquet is empty" in result.output
    answer = json.loads(invoke(data_commands.data, "check", tmp_path, "--json").stdout)
    assert len(answer["faults"]) == 2


def test_data_describe_gives_digests(data_folder):
    answer = json.loads(invoke(data_commands.data, "describe", data_folder, "--json").stdout)
    assert answer["bars"] == 4000
    assert all(len(row["sha256"]) == 64 for row in answer["files"])


def test_data_fetch_shows_what_it_did_and_asks_nothing_twice(tmp_path):
    root, cache = tmp_path / "bulk", tmp_path / "cache"
    for symbol in ("AAAUSDT", "BBBUSDT"):
        for month in ("2024-01", "2024-02"):
            put(root, f"data/futures/um/monthly/klines/{symbol}/1m/{symbol}-1m-{month}.zip", lines("klines", month, skip=(4,)))
    options = ["fetch", "--market", "futures/um", "--symbols", "aaausdt,BBBUSDT", "--from", "2024-01", "--to", "2024-02", "--cache", cache]
    with serving(root) as server:
        first = invoke(data_commands.data, *options, "--base", server.address)
        asked = len(server.asked)
        second = json.loads(invoke(data_commands.data, *options, "--base", server.address, "--json").stdout)
        assert asked == len(server.asked) == 8  # the server's own log: the second call asks nothing
        with pytest.raises(DataError, match="404"):
            invoke(data_commands.data, *options, "--base", server.address, "--interval", "5m")
    assert first.output.splitlines()[1].split()[:2] == ["AAAUSDT", "78"]
    assert [(row["symbol"], row["fetched"], row["reused"], len(row["gaps"])) for row in second] == [("AAAUSDT", 0, 2, 3), ("BBBUSDT", 0, 2, 3)]
    statement = "SELECT symbol, count(*) AS bars FROM klines GROUP BY symbol ORDER BY symbol"
    assert "AAAUSDT    78" in invoke(data_commands.data, "sql", statement, "--cache", cache).output
    assert json.loads(invoke(data_commands.data, "sql", statement, "--cache", cache, "--json").stdout)[1] == {"symbol": "BBBUSDT", "bars": 78}


def test_refusals_are_for_people(tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        invoke(commands.scan, tmp_path / "none")
    with pytest.raises(DataError, match="there is no notebook"):
        invoke(notebook_commands.notebook, "run", tmp_path / "none.ipynb")


GROUPS = [data_commands.data, *data_commands.data.commands.values(), notebook_commands.notebook, params]


@pytest.mark.parametrize("command", [commands.scan, commands.calibrate, commands.freeze, *GROUPS, *params.commands.values()])
def test_every_command_helps_with_an_example(command):
    assert re.search(r"Examples?:\s+hftkit", invoke(command, "--help").output)


def test_a_notebook_runs_in_place_and_a_failing_one_names_its_error(tmp_path):
    import nbformat

    path = tmp_path / "00_small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(6 * 7)")]), path)
    assert "executed in" in invoke(notebook_commands.notebook, "run", path).output
    book = nbformat.read(path, as_version=4)
    assert book.cells[0].outputs[0].text == "42\n"
    assert "execution" not in book.cells[0].metadata
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 1 == 2, 'no'")]), path)
    with pytest.raises(DataError, match=r"00_small\.ipynb failed: AssertionError: no"):
        invoke(notebook_commands.notebook, "run", path)
