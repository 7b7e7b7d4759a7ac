"""`hftkit live --adopt`: a session begins with what its account holds, at the mark of that moment (docs/operations.md).

The positions go to the first strategy that trades the instrument, as a correction would. One that is a whole unit of a pair is held like one that it
has entered; whatever else it is, the pair leaves it. What rests is cancelled, as at every start. The state is written into the journal before the
session's first event, so that a replay has it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hftkit.codes import LegState, Policy, RecordType
from hftkit.errors import VenueError
from hftkit.instruments import Instrument
from hftkit.session.engine_state import EngineState
from hftkit.session.snapshot import Kind, parts_of, snapshot_words
from hftkit.session.watching import watched_by_any

if TYPE_CHECKING:
    from live.engine import Engine


class Holding(NamedTuple):
    """What an account holds of one instrument. `mark`: half ticks, best bid + best ask."""

    lots: int
    mark: int


def adopt(engine: Engine, instruments: tuple[Instrument, ...]) -> None:
    """Take over what the account holds. Raises VenueError where that cannot be, in one line that says what to do."""
    holdings = engine.adapter.holdings(engine.config.venue, instruments)
    take_over(engine.rooms, instruments, holdings)
    engine.adopted = {instruments[i].symbol: one.lots for i, one in holdings.items()}
    engine.say(f"adopted: {', '.join(f'{symbol} {lots:+d} lots' for symbol, lots in engine.adopted.items()) or 'the account holds nothing'}")


def write_state(engine: Engine, now_ns: int) -> None:
    """The adopted state, behind the configuration."""
    for part in parts_of(snapshot_words(engine.rooms, Kind.GIVEN), 0):
        engine.journal.append(RecordType.SNAPSHOT, now_ns, part)
    engine.shell = engine.shell._replace(segment=engine.journal.segment)


def take_over(rooms: EngineState, instruments: tuple[Instrument, ...], holdings: Mapping[int, Holding]) -> None:
    """Put `holdings`, by instrument id, into the ledger, the strategies' accounts and the legs.

    Raises VenueError for an instrument that no strategy watches.
    """
    watched = set(watched_by_any(rooms.watch))
    if foreign := [i for i in holdings if i not in watched]:
        held = ", ".join(f"{instruments[i].symbol} {holdings[i].lots:+d} lots" for i in foreign)
        raise VenueError(
            f"the account holds {held}, which no strategy of this session watches",
            "Close that at the venue, or add a frozen file that trades it: `--adopt` takes over what will be managed",
        )
    for i, one in holdings.items():
        slot, place = next((int(slot), int(place)) for slot, place in np.argwhere(rooms.watch == i))
        for row in (rooms.ledger[i], rooms.held[slot, place]):
            row["position"] = row["corrected_qty"] = one.lots
            row["cost_e8"] = one.lots * one.mark * int(rooms.instruments[i]["tick_lot_e8"]) // 2
            row["n_corrections"], row["mark_price"], row["venue_position"] = 1, one.mark, one.lots
        if rooms.slots[slot]["policy"] == Policy.PAIR:
            rooms.legs[slot][("lead_position", "hedge_position")[place]] = one.lots
    for leg, signal in zip(rooms.legs, rooms.signal, strict=True):
        lead, hedge = int(leg["lead_position"]), int(leg["hedge_position"])
        whole = abs(lead) == int(leg["unit_lead"])
        if whole:
            leg["target"] = signal["target"] = 1 if lead > 0 else -1  # until the strategy says otherwise
        if lead or hedge:
            leg["state"] = int(LegState.OPEN if whole else LegState.EXITING)
