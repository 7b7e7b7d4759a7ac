"""The life cycle is its table, and the page shows what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

from hftkit.codes import OrderState
from hftkit.kernels.trading.orders import NEXT_STATE
from hftkit.session.state_diagrams import diagram, order_moves
from live.lifecycle import MOVES, Life, LifeCycle, moves

PAGE = Path(__file__).resolve().parents[3] / "docs/lifecycle.md"


def test_the_page_shows_the_tables():
    shown = re.findall(r"```mermaid\n.*?```", PAGE.read_text(), re.DOTALL)
    assert shown == [diagram(moves()), diagram(order_moves())], "docs/lifecycle.md: put in what hftkit/session/state_diagrams.py makes"


def test_every_state_is_reached_and_only_the_stop_is_the_end():
    assert {after for _, after in MOVES} == set(Life) - {Life.CREATED}
    assert set(Life) - {before for before, _ in MOVES} == {Life.STOPPED}


def test_a_session_that_is_stopped_does_nothing_more():
    said = []
    life = LifeCycle(lambda event, **facts: said.append(facts["state"]))
    for state in (Life.CONFIGURED, Life.CONFIGURED, Life.CONNECTING, Life.SYNCHRONISING, Life.TRADING, Life.DEGRADED, Life.TRADING, Life.FLATTENING):
        life.enter(state)
    life.enter(Life.STOPPED)
    assert said == ["configured", "connecting", "synchronising", "trading", "degraded", "trading", "flattening", "stopped"]
    assert life.n_unknown == 0
    life.enter(Life.TRADING)
    assert life.n_unknown == 1


def test_the_orders_diagram_has_each_legal_move_and_no_other():
    drawn = {(before, after) for before, after, _ in order_moves() if before and after}
    legal = {
        (OrderState(state).name, OrderState(int(after)).name)
        for state in range(NEXT_STATE.shape[0])
        for after in NEXT_STATE[state]
        if after >= 0 and after != state
    }
    assert drawn == legal
