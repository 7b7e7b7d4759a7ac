"""Every example of examples/, executed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hftkit import load_params
from tests.structure.sources import ROOT

EXAMPLES = ROOT / "examples"
TESTED = {"candles_to_frozen.py", "simulator_client.py", "strategy/crossing.py", "strategy/freeze_and_test.py"}
FEW = ("ALFAUSD", "JULIUSD", "KILOUSD")


def run(*command: str, path: Path | None = None) -> str:
    places = [*([str(path)] if path else []), str(ROOT)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few") / "15m"
    folder.mkdir()
    for symbol in FEW:
        shutil.copy(ROOT / "data" / "months" / "15m" / f"{symbol}.parquet", folder)
    shutil.copy(ROOT / "data" / "months" / "instruments.json", folder.parent)
    return folder


def test_no_example_is_left_out() -> None:
    assert {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.py") if "build" not in path.parts} == TESTED


def test_every_example_is_in_the_readme() -> None:
    text = (EXAMPLES / "README.md").read_text()
    missing = [one for one in sorted(TESTED) if f"({one})" not in text]
    assert not missing, f"Cure: a row of the table in examples/README.md for {missing}"


def test_candles_become_a_frozen_file(candles: Path, tmp_path: Path) -> None:
    told = run("examples/candles_to_frozen.py", str(candles), str(tmp_path))
    frozen = load_params(told.splitlines()[-1])
    assert {frozen.legs.lead, frozen.legs.hedge} <= set(FEW)
    assert "3 symbols, scales from a file" in told
    assert frozen.provenance["made_by"] == "examples/candles_to_frozen.py"
    assert frozen.provenance["out_of_sample"]["trades"] == int(re.search(r"seen: (\d+) trades", told)[1])  # type: ignore[index]


def test_a_client_places_cancels_and_trades() -> None:
    told = run("examples/simulator_client.py")
    assert "order 1 is gone: ORDER_CANCELED" in told
    fills = len(re.findall(r"^order 2: bought ", told, re.MULTILINE))
    assert fills >= 1
    assert f"the venue counted 2 orders and {fills} fills of this client" in told


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The strategy's package as pip installs it; built in a copy, so that nothing is left in examples/."""
    folder = tmp_path_factory.mktemp("strategy")
    shutil.copytree(EXAMPLES / "strategy", folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    run("-m", "pip", "install", *options, "--target", str(folder / "installed"), str(folder / "source"))
    return folder / "installed"


def test_a_strategy_of_another_package_is_frozen_and_tested(candles: Path, installed: Path, tmp_path: Path) -> None:
    told = run("examples/strategy/freeze_and_test.py", str(candles), "ALFAUSD", str(tmp_path), path=installed)
    path, result = told.splitlines()
    frozen = json.loads(Path(path).read_text())
    assert (frozen["strategy"], frozen["legs"]["lead"], frozen["legs"]["hedge"]) == ("crossing", "ALFAUSD", "")
    trades, gross, net = re.match(r"(\d+) trades, (\S+) before fees, (\S+) after", result).groups()  # type: ignore[union-attr]
    assert int(trades) > 20
    assert float(gross) > float(net)
    shown = run("-m", "hftkit.cli", "backtest", path, str(candles), "--json", path=installed)
    assert json.loads(shown)["trades"] == int(trades)
