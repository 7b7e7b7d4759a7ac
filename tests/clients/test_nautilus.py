"""nautilus_trader as a live node: reconciles, trades, rests and cancels, starts again with an open position; both sides agree on the wallet."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.clients.sim import CLIENTS, ROOT, simulator, stop, wait_for

PYTHON = CLIENTS / "nautilus_trader" / "bin" / "python"
PROBE = Path(__file__).with_name("probe_nautilus.py")
PATIENCE_S = 600


def run(folder: Path, phase: int) -> dict[str, Any]:
    """One life of the node: its result."""
    result = folder / f"result{phase}.json"
    with (folder / f"node{phase}.log").open("wb") as log:
        command = [str(PYTHON), str(PROBE), str(folder / "sim.json"), str(phase), str(result)]
        node = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_for(lambda: result.exists() and result.stat().st_size > 0, f"the result of phase {phase}", PATIENCE_S, node)
    finally:
        stop(node)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


@pytest.mark.clients
@pytest.mark.skipif(not PYTHON.exists(), reason="nautilus_trader is not installed: make test-clients")
def test_nautilus_reconciles_trades_and_starts_again(tmp_path: Path) -> None:
    with simulator(tmp_path) as venue:
        first = run(tmp_path, 1)
        assert first["events"].count("OrderFilled") >= 1
        assert first["events"].count("OrderCanceled") == (2 if first["algo"] else 1)
        assert not [event for event in first["events"] if "Rejected" in event or "Denied" in event or ":" in event], first["events"]
        assert Decimal(first["positions"]["BTCUSDT-PERP.BINANCE"]) == Decimal("0.020")
        assert venue.signed("/fapi/v1/openOrders") == venue.signed("/fapi/v1/openAlgoOrders") == []
        second = run(tmp_path, 2)
        assert Decimal(second["found"]) == Decimal("0.020")
        assert second["positions"] == {}
        assert venue.signed("/fapi/v3/positionRisk") == []
        assert Decimal(second["wallet"]) == Decimal(venue.wallet())
    logs = "".join((tmp_path / f"node{phase}.log").read_text() for phase in (1, 2))
    assert "[ERROR]" not in logs, [line for line in logs.splitlines() if "[ERROR]" in line][:20]
    stops = "with" if first["algo"] else "without"
    print(f"\nnautilus_trader {first['version']} ({stops} orders of the Algo service): wallet {second['wallet']}")
