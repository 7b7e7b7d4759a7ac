"""docs/binance-dialect.md: its snippets run as they stand, its tables name everything that is served."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hftkit.exchange.dialects.binance.fault_names import KINDS
from hftkit.exchange.dialects.binance.rest.router import ROUTES
from tests.contract.binance.serving import Serving

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "binance-dialect.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_runs_as_it_stands(venue: Serving, tmp_path: Path, number: int) -> None:
    (tmp_path / "sim.json").write_text(json.dumps({"binance": venue.ready}))
    done = subprocess.run([sys.executable, "-c", SNIPPETS[number]], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_there_are_snippets_for_three_clients() -> None:
    clients = ("ccxt", "binance.client", "binance.um_futures")
    assert [[client for client in clients if client in snippet] for snippet in SNIPPETS] == [[client] for client in clients]


def test_every_endpoint_and_fault_is_in_the_page() -> None:
    named = {(method, path) for methods, path in re.findall(r"([A-Z/]+) `(/[^`]+)`", PAGE) for method in methods.split("/")}
    assert named == set(ROUTES)
    assert set(KINDS) <= set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
