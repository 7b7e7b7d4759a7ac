"""New parameters and limits at any moment of a session: its replay is the same, from the beginning and from a snapshot behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.session.engine_state import Limits, StrategyLimits, state_digest
from hftkit.session.reload import Change, Replacement
from hftkit.session.replay import LAST_SNAPSHOT, compare_ways, replay
from tests.journal_fuzz import Tape, seal, traded
from tests.support import frozen_pair

EVENTS = 45  # of `traded`, at the least
CHANGES = (
    Change(strategies=(Replacement(slot=0, frozen=frozen_pair(parameters={"target": -1})),)),
    Change(strategies=(Replacement(slot=0, frozen=frozen_pair(parameters={"target": 0})),)),
    Change(strategies=(Replacement(slot=0, frozen=frozen_pair(unit_lead_lots=50, unit_hedge_lots=-40)),)),
    Change(strategies=(Replacement(slot=0, frozen=frozen_pair(maker_patience_ns=10**9)),)),
    Change(limits=Limits(max_position_lots=60)),
    Change(limits=Limits(max_loss=0)),
    Change(limits=Limits(max_drawdown=1, strategy={"test-pair": StrategyLimits(max_loss=0, on_loss="pause")})),
)


class Reloaded(Tape):
    """A session that takes changes up before events of a number, and leaves a snapshot behind each."""

    def __init__(self, changes: dict[int, list[Change]]) -> None:
        super().__init__()
        self.changes, self.events, self.snapshots = changes, 0, 0

    def run(self) -> list[Any]:
        """The event, and after it what comes then."""
        found = super().run()
        self.events += 1
        for change in self.changes.pop(self.events, []):
            self.reload(change)
            self.snapshots += 1
            self.snapshot(self.snapshots)
        return found


@given(when=st.lists(st.tuples(st.integers(1, EVENTS), st.sampled_from(CHANGES)), min_size=1, max_size=3))
@settings(max_examples=60)
def test_a_reload_at_any_event_is_replayed_the_same(tmp_path_factory: pytest.TempPathFactory, when: list[tuple[int, Change]]) -> None:
    folder: Path = tmp_path_factory.getbasetemp() / "reload"
    changes: dict[int, list[Change]] = {}
    for at, change in when:
        changes.setdefault(at, []).append(change)
    tape = Reloaded(changes)
    traded(tape)
    assert tape.reloads >= 1
    seal(tape.rows, folder)
    whole = replay(folder)
    assert whole.identical, whole.difference
    assert (whole.reloads, whole.config, state_digest(whole.rooms)) == (tape.reloads, tape.config, state_digest(tape.rooms))
    part = replay(folder, from_snapshot=LAST_SNAPSHOT)
    assert part.identical, part.difference
    compare_ways(whole, part)
    assert part.identical, part.difference
    assert (part.config, part.limits_reloaded) == (whole.config, whole.limits_reloaded)
    for name in ("params", "units", "limit", "valid_until"):
        assert getattr(part.rooms, name).tobytes() == getattr(tape.rooms, name).tobytes()


def test_every_array_has_its_one_writer_through_a_reload(tmp_path: Path) -> None:
    tape = Reloaded({20: [CHANGES[2]], 30: [CHANGES[4], CHANGES[0]]})
    traded(tape)
    seal(tape.rows, tmp_path / "j")
    found = replay(tmp_path / "j", check_writers=True)
    assert found.identical, found.difference
    assert found.writers is not None
    assert found.writers.report() == ()
