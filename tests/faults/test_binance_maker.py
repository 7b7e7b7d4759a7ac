"""Maker first against the Binance dialect: one session in which resting orders meet lost, swapped and repeated user events, an order of unknown
outcome, a cut of the user stream, and the venue's own dead man's switch. Real processes; the venue's order list is the judge.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from hftkit.binance.line import client_order_id_text
from hftkit.codes import Control
from hftkit.params.format import freeze, load
from hftkit.session.child_process import LiveSession, Simulator
from tests.faults.binance_drill import PATIENCE_S, SYMBOLS, Venue, assert_whole, frozen_file, start, trades_on, wait_for


def resting(session: LiveSession) -> str:
    """Client order id of the order that rests now, '' if none does."""
    leg = session.telemetry().legs[0]
    return client_order_id_text(int(leg["lead_order"])) if int(leg["queue_ahead"]) and int(leg["lead_order"]) else ""


def expire_one(session: LiveSession, venue: Venue) -> None:
    """Let the venue cancel an order of ours that it holds, and see that the engine takes it in and goes on."""
    ended: list[str] = []
    tried: set[str] = set()

    def one_is_gone() -> bool:
        """Each order is tried once: the venue counts our questions too."""
        order_id = resting(session)
        if order_id and order_id not in tried:
            tried.add(order_id)
            before, status = session.telemetry().legs[0]["n_pulls"], "NEW"
            venue.ask("/fapi/v1/countdownCancelAll", "POST", symbol=SYMBOLS[0], countdownTime=1)
            for _ in range(10):
                if status not in ("NEW", "PARTIALLY_FILLED"):
                    break
                status = venue.ask("/fapi/v1/order", symbol=SYMBOLS[0], origClientOrderId=order_id)["status"]
            if status == "CANCELED" and session.telemetry().legs[0]["n_pulls"] == before:
                ended.append(order_id)
        return bool(ended)

    wait_for(session, "an order ended by the dead man's switch", one_is_gone)
    wait_for(session, "the engine to take it in", lambda: client_order_id_text(int(session.telemetry().legs[0]["lead_order"])) != ended[0])


def test_resting_orders_survive_a_rough_session_and_end_flat(tmp_path: Path) -> None:
    frozen = load(frozen_file(tmp_path / "taker"))
    legs = msgspec.structs.replace(frozen.legs, maker_patience_ns=7 * 10**8, reprice_ticks=20)
    params = freeze(msgspec.structs.replace(frozen, legs=legs), tmp_path / "maker")
    with Simulator(tmp_path, 1.0, Path("binance"), ("--binance-port", "0")) as simulator:
        venue = Venue(simulator)
        with start(params, venue, tmp_path) as session:
            wait_for(session, "a maker fill", lambda: int(session.telemetry().ledger["n_maker"].sum()) > 0)
            venue.fault(lose_user_next=2, unknown_next=1)
            trades_on(session)
            venue.fault(swap_user_next=3)
            expire_one(session, venue)
            venue.fault(cut_streams=1)
            trades_on(session)
            session.send(Control.STOP)
            result = session.wait(PATIENCE_S)
        done = result["execution"]
        assert_whole(session, venue, result, lost=done["posts_refused"])
        open_orders = [order for symbol in SYMBOLS for order in venue.ask("/fapi/v1/openOrders", symbol=symbol)]
    assert not open_orders
    assert done["maker_fills"] > 0
    assert done["lead_ratio"] > 0
    assert done["cancels_sent"] > 0
    assert result["line"]["counters"]["cancels_encoded"] == done["cancels_sent"]
