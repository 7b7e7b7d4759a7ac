"""The next segment of a session's journal: taken by the hot thread between two runs of its loop, with a snapshot of the state at its beginning."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from hftkit import clock
from hftkit.codes import RecordType
from hftkit.errors import JournalError
from hftkit.session.snapshot import Kind, parts_of, snapshot_words
from live.ending import failpoints

if TYPE_CHECKING:
    from live.engine import Engine

_SNAPSHOT_SHARE = 0.25  # of a segment


def next_segment(engine: Engine) -> np.ndarray | None:
    """The journal goes on in it. On a full disk that is the reserve, and the session is to stop. None: not even that is left."""
    segment = None
    try:
        failpoints.reach("journal roll")
        segment = engine.journal.roll()
    except BaseException as error:
        engine.faults.note("journal roll", error)
        with contextlib.suppress(Exception):
            segment = engine.journal.roll()
    if engine.journal.in_reserve:
        engine.faults.note("journal roll", JournalError("no room for another segment: the reserve is in use"))
    elif segment is not None:
        engine.faults.guard("snapshot", lambda: _snapshot(engine))
    return segment


def _snapshot(engine: Engine) -> None:
    """The state as the segment begins: a replay or a restart may start there. One that would take too much of the segment is left out."""
    failpoints.reach("snapshot")
    begun = clock.monotonic_ns()
    parts = parts_of(snapshot_words(engine.rooms, Kind.CHECK, engine.reload.standing), engine.snapshots + 1)
    if engine.journal.append_whole(RecordType.SNAPSHOT, begun, parts, _SNAPSHOT_SHARE):
        engine.snapshots += 1
    elif engine.snapshots == 0:
        n_words = sum(part.size for part in parts)
        engine.log.event("no_snapshot", why="it would take more than a quarter of a segment: enlarge session.segment_mb", words=n_words)
    engine.snapshot_ns = clock.monotonic_ns() - begun
    failpoints.reach("snapshot written")
