"""A ledger of trials: what was calibrated on which prices, and how often a test span was looked at (embedded DuckDB, a file that a team may share).

A test span is known by its prices, not by a name: each of its UTC days is the SHA-256 of the day's times and closes of the two legs. So the same
days count in a longer file, a file of another name, and for the pair in the other direction. A trial is known by its prices, spans, rule, costs
and model; the same trial again is no second look, so that freezing again gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from hftkit.clock import monotonic_s, unix_ns
from hftkit.errors import DataError
from hftkit.params.format import canonical_bytes
from research.data.data_loader import Panel
from research.pairs.calibration import Calibration
from research.pairs.freezing.settings import as_text

DEFAULT = Path("data/trials.duckdb")
VARIABLE = "HFTKIT_TRIALS"
VERSION = 1
_WAIT_S = 10.0  # for another writer
_SCHEMA = (
    "CREATE TABLE ledger (version INTEGER)",
    """CREATE TABLE trials (
        trial TEXT PRIMARY KEY, made_by TEXT, noted_ns BIGINT, opened_ns BIGINT, lead TEXT, hedge TEXT, first_ns BIGINT, end_ns BIGINT,
        rule TEXT, parameter_sets BIGINT, pairs_tested BIGINT, train_sharpe DOUBLE, validation_sharpe DOUBLE, test_sharpe DOUBLE)""",
    "CREATE TABLE test_days (trial TEXT, day TEXT)",
)


class Looks(Protocol):
    """Who knows how often a test span was looked at."""

    def note(self, panel: Panel, calibration: Calibration, made_by: str) -> None:
        """A calibration whose test span stays closed."""

    def open(self, panel: Panel, calibration: Calibration, made_by: str) -> int:
        """The test span of a calibration is looked at; returns how many other trials had looked at days of it before."""


class TrialLedger:
    """A ledger in a file; made when it is first written. Every call opens it, writes in one transaction and closes it, so that others may write.

    Raises DataError, in one line, for a ledger of another version, a file that is none, and one that another writer holds for ten seconds.
    """

    def __init__(self, path: Path | str = DEFAULT, wait_s: float = _WAIT_S) -> None:
        self.path, self.wait_s = Path(path), wait_s

    def note(self, panel: Panel, calibration: Calibration, made_by: str) -> None:
        """See Looks."""
        with self._connected() as connection:
            self._write(connection, panel, calibration, made_by)

    def open(self, panel: Panel, calibration: Calibration, made_by: str) -> int:
        """See Looks."""
        with self._connected() as connection:
            trial = self._write(connection, panel, calibration, made_by)
            earlier = connection.execute("SELECT opened_ns FROM trials WHERE trial = ?", [trial]).fetchone()
            if earlier is not None and earlier[0] is not None:
                return self._before(connection, trial)
            last = connection.execute("SELECT coalesce(max(opened_ns), 0) FROM trials").fetchone()
            now = max(unix_ns(), int(last[0]) + 1 if last else 0)  # a clock that was set back changes no order
            connection.execute("UPDATE trials SET opened_ns = ?, test_sharpe = ? WHERE trial = ?", [now, _finite(calibration.test.sharpe), trial])
            connection.executemany("INSERT INTO test_days VALUES (?, ?)", [[trial, day] for day in test_days(panel, calibration)])
            return self._before(connection, trial)

    def looks(self, panel: Panel, calibration: Calibration) -> int:
        """How many other trials looked at days of this calibration's test span before it did, or so far where it did not. Writes nothing."""
        if not self.path.exists():
            return 0
        trial = trial_of(panel, calibration)
        with self._connected() as connection:
            if connection.execute("SELECT 1 FROM trials WHERE trial = ? AND opened_ns IS NOT NULL", [trial]).fetchone():
                return self._before(connection, trial)
            found = connection.execute(
                "SELECT count(DISTINCT trial) FROM test_days WHERE list_contains(?, day) AND trial <> ?",
                [list(test_days(panel, calibration)), trial],
            ).fetchone()
            return int(found[0]) if found else 0

    def table(self) -> pd.DataFrame:
        """All trials, in the order in which they were noted."""
        with self._connected() as connection:
            return connection.execute("SELECT * FROM trials ORDER BY noted_ns, trial").df()

    def _write(self, connection: Any, panel: Panel, calibration: Calibration, made_by: str) -> str:
        trial, index, test = trial_of(panel, calibration), panel.closes.index, calibration.split.test
        tried = calibration.sweep.tried
        row = [
            trial, made_by, unix_ns(), None, calibration.lead, calibration.hedge, index[test.start].value, index[test.stop - 1].value + panel.bar_ns,
            canonical_bytes(as_text(asdict(calibration.sweep.chosen))).decode().strip(), tried.sets, tried.pairs,
            _finite(calibration.train.sharpe), _finite(calibration.validation.sharpe), None,
        ]  # fmt: skip
        connection.execute("INSERT OR IGNORE INTO trials VALUES (" + ", ".join("?" * len(row)) + ")", row)
        return trial

    def _before(self, connection: Any, trial: str) -> int:
        """Other trials that had opened days of this trial's test span before it did."""
        found = connection.execute(
            """SELECT count(DISTINCT other.trial) FROM test_days AS mine JOIN test_days AS other USING (day)
               JOIN trials AS me ON me.trial = mine.trial JOIN trials AS they ON they.trial = other.trial
               WHERE mine.trial = ? AND other.trial <> ? AND they.opened_ns < me.opened_ns""",
            [trial, trial],
        ).fetchone()
        return int(found[0])

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        import duckdb

        connection = self._wait(duckdb)
        try:
            tables = {name for (name,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall()}
            if not tables:
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute("INSERT INTO ledger VALUES (?)", [VERSION])
            elif "ledger" not in tables:
                raise DataError(f"{self.path} is a database of something else", "Name another file for the trials (--ledger)")
            else:
                ((version,),) = connection.execute("SELECT version FROM ledger").fetchall()
                if version != VERSION:
                    raise DataError(
                        f"the ledger of trials {self.path} has version {version}, this hftkit reads {VERSION}", "Use the hftkit that wrote it"
                    )
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        except duckdb.Error as error:
            raise DataError(f"the ledger of trials {self.path}: {str(error).splitlines()[0]}", "Check the file, or name another (--ledger)") from None
        finally:
            connection.close()

    def _wait(self, duckdb: Any) -> Any:
        """A connection; another process that writes is waited for."""
        until = monotonic_s() + self.wait_s
        while True:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                return duckdb.connect(str(self.path))
            except OSError as error:
                raise DataError(f"cannot keep trials in {self.path}: {error.strerror}", "Name another file (--ledger)") from None
            except duckdb.Error as error:
                if "lock" not in str(error).lower():
                    raise DataError(f"{self.path} is no ledger of trials ({str(error).splitlines()[0]})", "Name another file (--ledger)") from None
                if monotonic_s() >= until:
                    why = f"another process has held the ledger of trials {self.path} for {self.wait_s:g} s"
                    raise DataError(why, "Wait for it to end, and run again") from None
                time.sleep(0.05)


class NotedLooks:
    """What a frozen file says of its looks, for its reproduction: history cannot be computed again."""

    def __init__(self, before: int) -> None:
        self.before = before

    def note(self, panel: Panel, calibration: Calibration, made_by: str) -> None:
        """Nothing is noted."""

    def open(self, panel: Panel, calibration: Calibration, made_by: str) -> int:
        """What the file says."""
        return self.before


def ledger_path(given: Path | str | None = None) -> Path:
    """Where the trials are kept: as given, else $HFTKIT_TRIALS, else data/trials.duckdb."""
    return Path(given or os.environ.get(VARIABLE) or DEFAULT)


def trial_of(panel: Panel, calibration: Calibration) -> str:
    """Identity of a trial, SHA-256 (hex): prices of the legs, spans, hedge ratio, rule, costs, model."""
    gate, split = calibration.gate, calibration.split
    closes = panel.closes[[calibration.lead, calibration.hedge]]
    body = {
        "prices": _digest(closes),
        "spans": [[part.start, part.stop] for part in (split.train, split.validation, split.test)],
        "hedge_ratio": calibration.hedge_ratio,
        "log": calibration.bars.log,
        "rule": asdict(calibration.sweep.chosen),
        "costs": asdict(calibration.costs),
        "model": [hashlib.sha256(gate.table.tobytes()).hexdigest(), gate.confidence] if gate else None,
    }
    return hashlib.sha256(canonical_bytes(dict(as_text(body)))).hexdigest()


def test_days(panel: Panel, calibration: Calibration) -> tuple[str, ...]:
    """Digests of the UTC days of the test span, from the closes of both legs, whichever is the lead."""
    closes = panel.closes[sorted((calibration.lead, calibration.hedge))]
    inside = pd.DatetimeIndex(closes.index[calibration.split.test]).floor("D").unique()
    days = pd.DatetimeIndex(closes.index).floor("D")
    return tuple(sorted({_digest(closes[days == day]) for day in inside}))


def _digest(closes: pd.DataFrame) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(pd.DatetimeIndex(closes.index).as_unit("ns").asi8, "<i8").tobytes())
    digest.update(np.ascontiguousarray(closes.to_numpy(np.float64), "<f8").tobytes())
    return digest.hexdigest()


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
