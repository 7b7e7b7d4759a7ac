"""freqtrade in live mode with stops on the exchange, with the configuration of docs/binance-dialect.md: trades, a restart, stops, equal wallets."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.clients.sim import CLIENTS, ROOT, Venue, simulator, stop, wait_for

PYTHON = CLIENTS / "freqtrade" / "bin" / "python"
PAGE = (ROOT / "docs" / "binance-dialect.md").read_text()
PATIENCE_S = 900


def documented(venue: Venue) -> dict[str, Any]:
    """The configuration of the page, with the addresses and keys of a simulator."""
    (text,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    config: dict[str, Any] = json.loads(text.replace("http://127.0.0.1:8080", venue.url))
    config["exchange"] |= {"key": venue.key["key"], "secret": venue.key["secret"]}
    return config


def run(folder: Path, phase: int) -> subprocess.Popen[bytes]:
    """The bot as a process."""
    command = [
        str(PYTHON),
        "-m",
        "freqtrade",
        "trade",
        "--config",
        str(folder / "config.json"),
        "--strategy",
        "Probe",
        "--strategy-path",
        str(folder),
    ]
    command += ["--userdir", str(folder / "user"), "--db-url", f"sqlite:///{folder}/trades.sqlite", "--no-color"]
    with (folder / f"bot{phase}.log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "HFTKIT_PHASE": str(phase)})


def trades(folder: Path) -> list[dict[str, Any]]:
    """The bot's own books."""
    if not (folder / "trades.sqlite").exists():
        return []
    with sqlite3.connect(folder / "trades.sqlite", timeout=30) as base:
        base.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in base.execute("select * from trades order by id")]
        except sqlite3.OperationalError:
            return []


@pytest.mark.clients
@pytest.mark.skipif(not PYTHON.exists(), reason="freqtrade is not installed: make test-clients")
def test_freqtrade_trades_stops_and_starts_again(tmp_path: Path) -> None:
    version = subprocess.run([str(PYTHON), "-c", "import freqtrade; print(freqtrade.__version__)"], capture_output=True, text=True, check=True).stdout
    shutil.copy(Path(__file__).with_name("probe_freqtrade.py"), tmp_path / "probe.py")
    (tmp_path / "user").mkdir()
    with simulator(tmp_path) as venue:
        (tmp_path / "config.json").write_text(json.dumps(documented(venue)))
        before = Decimal(venue.wallet())
        bot = run(tmp_path, 1)
        try:
            (waiting,) = wait_for(lambda: venue.signed("/fapi/v1/openAlgoOrders"), "the stop of the first trade", PATIENCE_S, bot)
            assert (waiting["orderType"], waiting["side"], waiting["reduceOnly"]) == ("STOP_MARKET", "SELL", True)
        finally:
            stop(bot)
        (held,) = venue.signed("/fapi/v3/positionRisk")
        (trade,) = trades(tmp_path)
        assert (trade["is_open"], Decimal(str(trade["amount"]))) == (1, Decimal(held["positionAmt"]))
        bot = run(tmp_path, 2)
        try:
            wait_for(
                lambda: len(trades(tmp_path)) == 3 and not any(row["is_open"] for row in trades(tmp_path)), "three closed trades", PATIENCE_S, bot
            )
        finally:
            stop(bot)
        assert venue.signed("/fapi/v3/positionRisk") == venue.signed("/fapi/v1/openAlgoOrders") == venue.signed("/fapi/v1/openOrders") == []
        done = trades(tmp_path)
        assert [row["exit_reason"] for row in done] == ["was open", "stoploss_on_exchange", "stoploss_on_exchange"]
        earned = sum(Decimal(str(row["close_profit_abs"])) for row in done)
        assert abs(before + earned - Decimal(venue.wallet())) < Decimal("0.000001")  # the bot counts in floating point
    logs = "".join((tmp_path / f"bot{phase}.log").read_text() for phase in (1, 2))
    assert " ERROR " not in logs, [line for line in logs.splitlines() if " ERROR " in line]
    print(f"\nfreqtrade {version.strip()}: {len(done)} trades, wallet {before + earned:.8f}")
