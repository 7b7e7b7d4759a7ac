"""The view of a real telemetry page: figures a person can check by hand."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from hftkit.clock import monotonic_ns
from hftkit.codes import LegState, LinePart, LineState, OrderRoute, Reject, SessionStatus, SignalReason, Sync, Trading
from hftkit.session.telemetry import TelemetryReader, cold_page
from live.panels.render import tables_html, text_lines
from live.panels.view import STALE_NS, View, view
from tests.panel_session import PageSession


@pytest.fixture
def session(tmp_path: Path) -> PageSession:
    made = PageSession(tmp_path)
    made.trade()
    return made


def look(session: PageSession, late_ns: int = 0) -> View:
    session.publish()
    reader = TelemetryReader(session.page_path)
    return view(reader.read(), reader.info, monotonic_ns() + late_ns)


def test_positions_are_in_the_instruments_own_units(session: PageSession) -> None:
    aaa, bbb = look(session).positions
    assert (aaa.symbol, aaa.lots, aaa.quantity, aaa.average_price, aaa.market_price) == ("AAA", 250, "2.50", "101.500", "102.000")
    assert (bbb.symbol, bbb.lots, bbb.quantity, bbb.average_price, bbb.market_price) == ("BBB", -300, "-3.00", "99.000", "98.750")
    assert (aaa.unrealized, bbb.unrealized) == ("1.25", "0.75")  # 2.5 * 0.50 and 3 * 0.25
    assert (aaa.realized, aaa.fees) == ("3.50", "0.12")


def test_money_adds_up(session: PageSession) -> None:
    seen = look(session)
    assert (seen.realized, seen.unrealized, seen.fees) == ("7.00", "2.00", "0.25")
    assert seen.net_pnl == "8.75"  # 7 + 2 - 0.24691356


def test_a_flat_instrument_has_no_average_and_an_untraded_one_no_market(tmp_path: Path) -> None:
    aaa, _ = look(PageSession(tmp_path)).positions
    assert (aaa.lots, aaa.average_price, aaa.market_price) == (0, "", "")


def test_rates_are_between_two_snapshots(session: PageSession) -> None:
    reader = TelemetryReader(session.page_path)
    session.publish(10**9)
    first = reader.read()
    session.rooms.session[0]["n_orders"] += 30
    session.publish(3 * 10**9)
    second = reader.read()
    assert view(second, reader.info, 3 * 10**9, first).orders_per_s == 15.0
    assert view(second, reader.info, 3 * 10**9).orders_per_s == 0.0
    assert view(second, reader.info, 3 * 10**9, second).orders_per_s == 0.0


@pytest.mark.parametrize(
    ("status", "trading", "headline", "live"),
    [
        (SessionStatus.TRADING, Trading.ENABLED, "trading", True),
        (SessionStatus.TRADING, Trading.PAUSED, "paused", True),
        (SessionStatus.TRADING, Trading.FLATTENING, "flattening", True),
        (SessionStatus.TRADING, Trading.HALTED, "halted: risk loss limit", True),
        (SessionStatus.CONNECTIONS, Trading.PAUSED, "connections", True),
        (SessionStatus.STOPPED, Trading.STOPPING, "stopped", False),
        (SessionStatus.FAILED, Trading.ENABLED, "failed", False),
    ],
)
def test_the_headline_says_what_matters_most(session: PageSession, status: SessionStatus, trading: Trading, headline: str, live: bool) -> None:
    session.status(status)
    session.rooms.risk[0]["trading"], session.rooms.risk[0]["halt_reason"] = int(trading), int(Reject.RISK_LOSS_LIMIT)
    seen = look(session)
    assert (seen.headline, seen.live) == (headline, live)


def test_an_engine_that_went_silent_is_not_shown_as_trading(session: PageSession) -> None:
    seen = look(session, late_ns=3 * STALE_NS)
    assert not seen.live
    assert seen.headline == "no sign of life for 6 s"


def test_a_stopped_engine_is_stopped_however_old_its_page_is(session: PageSession) -> None:
    session.status(SessionStatus.STOPPED)
    assert look(session, late_ns=100 * STALE_NS).headline == "stopped"


def test_the_strategy_shows_signal_thresholds_and_pair(session: PageSession) -> None:
    legs, signal = session.rooms.legs[0], session.rooms.signal[0]
    legs["state"], legs["target"], legs["n_entries"] = int(LegState.OPEN), -1, 3
    signal["zscore"], signal["reason"] = 1.75, int(SignalReason.HOLD)
    (seen,) = look(session).strategies
    assert (seen.pair, seen.state, seen.target, seen.zscore, seen.reason, seen.entries) == ("AAA/BBB", "open", -1, 1.75, "hold", 3)
    assert (seen.entry_z, seen.exit_z, seen.stop_z, seen.bars, seen.digest) == (2.0, 0.5, 4.0, "10", "0123456789ab")


def test_a_filling_window_says_how_far_it_is(session: PageSession) -> None:
    session.rooms.signal[0]["n_bars"], session.rooms.signal[0]["zscore"] = 4, math.nan
    (seen,) = look(session).strategies
    assert seen.bars == "4/10"
    assert math.isnan(seen.zscore)


def test_latency_percentiles_agree_with_numpy(session: PageSession) -> None:
    values = np.arange(2_000, 9_000, 7) / 1000
    hop = next(hop for hop in look(session).latency if hop.name == "tick to order")
    assert hop.n == values.size
    for name, q in (("p50", 50), ("p95", 95), ("p99", 99)):
        assert getattr(hop, name) == pytest.approx(np.percentile(values, q), rel=0.01)  # two or three digits are kept


def test_fills_are_newest_first_and_readable(session: PageSession) -> None:
    (fill,) = look(session).recent
    assert dataclasses.astuple(fill) == ("09:00:00", "AAA", "buy", "2.50", "101.50", "0.0406", True)


def test_shares_of_limits(session: PageSession) -> None:
    risk = session.rooms.risk[0]
    risk["exposure_e8"], risk["max_exposure_e8"], risk["equity_e8"], risk["max_loss_e8"] = 50, 200, -30, 60
    seen = look(session)
    assert (seen.exposure_share, seen.loss_share) == (0.25, 0.5)
    risk["max_exposure_e8"] = 0
    assert math.isnan(look(session).exposure_share)


def test_maker_fills_and_the_queue_are_shown(session: PageSession) -> None:
    from live.panels.render import text_lines

    assert look(session).strategies[0].resting == ""
    ledger, legs = session.rooms.ledger, session.rooms.legs[0]
    ledger["n_maker"], ledger["turnover_e8"], ledger["maker_turnover_e8"] = [4, 0], [100, 100], [60, 0]
    legs["lead_order"], legs["queue_ahead"], legs["n_posts"] = 7, 1240, 3
    seen = look(session)
    assert (seen.filled.maker_ratio, seen.filled.value_ratio, seen.filled.lead_ratio) == (0.5, 0.3, 0.6)
    assert seen.strategies[0].resting == "up to 1,240 lots ahead"
    text = "\n".join(text_lines(seen))
    assert "maker 50% of fills, 30% of value, 60% of the lead; 3 posted" in text
    assert "up to 1,240 lots ahead" in text


def test_lots_that_are_not_ours_and_orders_by_rest_are_shown(session: PageSession) -> None:
    from live.panels.render import text_lines

    session.rooms.ledger["corrected_qty"] = [-200, 0]
    cold = cold_page(session.page_path)
    cold.line["state"][LinePart.ORDERS], cold.account["order_way"] = LineState.DOWN, OrderRoute.REST
    text = "\n".join(text_lines(look(session)))
    assert text.count("-200 lots are not ours") == 1
    assert "line orders by REST down" in text


def test_orders_that_are_not_ours_are_said(session: PageSession) -> None:
    assert look(session).not_ours == ""
    account = cold_page(session.page_path).account[0]
    account["n_foreign"], account["n_strangers"], account["n_orphans"] = 1200, 2, 1
    seen = look(session)
    assert seen.not_ours == "1,200 orders of another engine of ours, 2 open orders of strangers, 1 left by earlier sessions and cancelled"
    assert f"not ours         {seen.not_ours}" in text_lines(seen)
    assert f"not ours: {seen.not_ours}" in tables_html(seen)


def test_a_stale_book_is_shown_as_stale_and_its_stream_not_as_up(session: PageSession) -> None:
    book = session.rooms.book
    book["sync"], book["max_age_ns"] = int(Sync.SYNCED), 2 * 10**9
    book["ts_recv"], book["good_until"] = 10**9, 3 * 10**9
    book[1]["ts_recv"], book[1]["good_until"] = 4 * 10**9, 6 * 10**9
    session.publish(int(5.2e9))
    cold_page(session.page_path).line["state"][LinePart.PUBLIC] = LineState.UP
    reader = TelemetryReader(session.page_path)
    seen = view(reader.read(), reader.info, int(5.2e9))
    assert [(p.book, p.stale) for p in seen.positions] == [("stale, 4.2 s", True), ("1.2 s", False)]
    public = next(part for part in seen.line if part.name == LinePart.PUBLIC.text)
    assert (public.state, public.up) == ("stale: AAA", False)
    assert "stale: AAA" in "\n".join(text_lines(seen))
    book[1]["sync"] = int(Sync.EMPTY)
    session.publish(int(5.2e9))
    assert view(reader.read(), reader.info, int(5.2e9)).positions[1].book == "none"
