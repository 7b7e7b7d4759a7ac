"""docs/own-strategy.md, run from top to bottom: the strategy of the page is frozen, backtested, traded against the simulator and replayed.

The session is slow (its processes compile the strategy): pytest -m slow tests/contract/test_own_strategy.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hftkit.session.child_process import HFTKIT, LiveSession, Simulator

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "own-strategy.md").read_text()
FILES = {name: text for name, text in re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)}
CANDLES = re.search(r"python freeze_fade.py (\S+) ", PAGE)[1]  # type: ignore[index]
SIM = re.search(r"^    hftkit sim (.*) --ready-file", PAGE, re.MULTILINE)[1].split()  # type: ignore[index]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the page as pip would install it: its module, and metadata with the entry point."""
    folder = tmp_path_factory.mktemp("package")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    entry = re.search(r'\[project\.entry-points\."hftkit\.strategies"\]\n(.*)\n', FILES["pyproject.toml"])[1]  # type: ignore[index]
    metadata = folder / "fade_strategy-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: fade-strategy\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[hftkit.strategies]\n" + entry.replace('"', "") + "\n")
    return folder


@pytest.fixture(scope="module")
def frozen(installed: Path) -> Path:
    return Path(run(installed, sys.executable, str(installed / "freeze_fade.py"), CANDLES, str(installed / "frozen")).strip())


def run(package: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, env=environment(package), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment(package: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{ROOT}"}


def test_the_page_has_the_files_that_it_speaks_of() -> None:
    assert set(FILES) == {"pyproject.toml", "fade.py", "freeze_fade.py"}


def test_it_trades_over_the_sample(installed: Path, frozen: Path) -> None:
    body = json.loads(run(installed, *HFTKIT, "backtest", str(frozen), CANDLES, "--json"))
    assert body["trades"] >= 10
    assert body["vetoes"] == 0
    assert body["gross"] > body["net"]


@pytest.mark.slow
def test_it_trades_live_and_its_replay_is_the_same(installed: Path, frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", environment(installed)["PYTHONPATH"])
    speed = float(SIM[SIM.index("--speed") + 1])
    rest = tuple(SIM[: SIM.index("--speed")] + SIM[SIM.index("--speed") + 2 :])
    with Simulator(tmp_path, speed, options=rest) as simulator:
        simulator.wait_ready()
        with LiveSession(frozen, simulator.ready_file, tmp_path / "journals", "fade", 60.0) as session:
            session.wait_until(lambda now: now.legs["n_exits"].sum() >= 1)
    result = json.loads((session.folder / "result.json").read_text())
    assert result["exit_code"] == 0
    assert result["entries"] >= 1
    assert set(result["end_positions"].values()) == {0}
    assert "identical" in run(installed, *HFTKIT, "replay", str(session.folder), "--verify")
