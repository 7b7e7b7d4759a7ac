"""A recorded run as pandas, against the venue's own frames."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hftkit.errors import DataError
from hftkit.exchange.config import load_config
from hftkit.exchange.market.history.files import load_history
from hftkit.exchange.market.ticks import make_ticks
from research.market.executions import VenueRun, load_run
from research.market.market_data import load_market_data


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> VenueRun:
    """A real process: `hftkit sim --record`, from the start of the sample universe."""
    folder = tmp_path_factory.mktemp("run") / "journal"
    command = [sys.executable, "-m", "hftkit.cli", "sim", "--record", str(folder), "--order-port", "0", "--market-port", "0"]
    subprocess.run([*command, "--start-from-scratch", "--speed", "300", "--duration", "2", "--json"], check=True, capture_output=True)
    return load_run(folder)


def test_trades_are_the_tape_of_the_same_seed(recording: VenueRun) -> None:
    """Trade by trade what the market makes without any server, whatever the server's clock did."""
    config = load_config()
    made = make_ticks(config, 3).trades
    market = load_market_data(recording.folder)
    for i, instrument in enumerate(recording.instruments):
        mine = market.trades(instrument.symbol)
        wanted = made[made["instrument"] == i]
        n = min(len(mine), len(wanted))
        assert n > 20
        assert np.rint(mine["price"].to_numpy()[:n] / float(instrument.tick_size)).tolist() == wanted["price"][:n].tolist()
        assert np.rint(mine["qty"].to_numpy()[:n] / float(instrument.lot_size)).tolist() == wanted["qty"][:n].tolist()
        assert (mine["side"].to_numpy()[:n] == "buy").tolist() == (wanted["side"][:n] == 0).tolist()


def test_what_it_holds(recording: VenueRun) -> None:
    assert recording.market["seed"] == load_config().seed
    assert recording.torn == ""
    assert recording.lost == 0
    assert recording.executions.empty  # nobody was connected
    assert recording.balances.empty
    quotes = recording.quotes.dropna()
    assert (quotes["bid"] < quotes["ask"]).all()
    assert (np.diff(recording.quotes.index.asi8) >= 0).all()


def test_another_journal_is_no_recording(tmp_path: Path, recording: VenueRun) -> None:
    from hftkit.codes import RecordType
    from hftkit.session.journal import JournalWriter, words_of

    writer = JournalWriter(tmp_path / "session", 1, 1)
    writer.append(RecordType.CONFIG, 1, words_of(b'{"instruments": []}'))
    writer.close()
    with pytest.raises(DataError, match="no recording of a simulator"):
        load_run(tmp_path / "session")
    assert len(load_history(recording.folder).instruments) == 12
