"""A recorded run as pandas, against the venue's own frames."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from hftkit.exchange.config import load_config
from hftkit.exchange.history.files import load_history
from hftkit.exchange.tape import make_tape
from research.data_quality import audit
from research.recording import Recording, load_recording


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A real process: `hftkit sim --record`, from the start of the sample universe."""
    folder = tmp_path_factory.mktemp("run") / "journal"
    command = [sys.executable, "-m", "hftkit.cli", "sim", "--record", str(folder), "--order-port", "0", "--market-port", "0"]
    subprocess.run([*command, "--start-from-scratch", "--speed", "300", "--duration", "2", "--json"], check=True, capture_output=True)
    return load_recording(folder)


def test_trades_are_the_tape_of_the_same_seed(recording: Recording) -> None:
    """Candles of the recording equal the candles that the market makes without any server."""
    config = load_config()
    minutes = int((recording.trades.index[-1] - pd.Timestamp(config.start)).total_seconds() // 60)
    assert minutes >= 2
    tape = make_tape(config, minutes)
    for i, instrument in enumerate(recording.instruments):
        bars = recording.candles()[instrument.symbol]
        for candle in tape[i][:minutes]:
            if candle["n_trades"]:
                bar = bars.loc[pd.Timestamp(int(candle["open_time"]), tz="UTC")]
                ticks = [round(bar[name] / float(instrument.tick_size)) for name in ("open", "high", "low", "close")]
                assert ticks == [candle["open"], candle["high"], candle["low"], candle["close"]]
                assert round(bar["volume"] / float(instrument.lot_size)) == candle["volume"]


def test_what_it_holds(recording: Recording) -> None:
    assert recording.market["seed"] == load_config().seed
    assert recording.torn == ""
    assert recording.lost == 0
    assert recording.executions.empty  # nobody was connected
    assert recording.balances.empty
    quotes = recording.quotes.dropna()
    assert (quotes["bid"] < quotes["ask"]).all()
    assert (np.diff(recording.quotes.index.asi8) >= 0).all()
    assert not audit(recording.candles()[recording.instruments[0].symbol]).faults


def test_another_journal_is_no_recording(tmp_path: Path, recording: Recording) -> None:
    from hftkit.codes import RecordType
    from hftkit.journal import JournalWriter, words_of

    writer = JournalWriter(tmp_path / "session", 1, 1)
    writer.append(RecordType.CONFIG, 1, words_of(b'{"instruments": []}'))
    writer.close()
    with pytest.raises(DataError, match="no recording of a simulator"):
        load_recording(tmp_path / "session")
    assert len(load_history(recording.folder).instruments) == 12
