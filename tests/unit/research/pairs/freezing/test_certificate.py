"""Every figure in a frozen file is of the rule in it: swapped thresholds, costs, prices or models are refused by the name of a figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hftkit.errors import ParamsError
from hftkit.params.format import freeze, load
from research.data.data_loader import load_panel
from research.data.instruments import infer_instrument
from research.pairs.calibration import calibrate_pair
from research.pairs.costs import Costs
from research.pairs.freezing.freeze import Search, build_params
from research.pairs.freezing.reproduce import reproduce
from research.pairs.performance import deflated_sharpe
from research.pairs.reversion_model import train
from research.pairs.strategy_optimizer import Gate, Grid, PairBars, Thresholds, run_rule
from research.pairs.walkforward import three_way

GRID = Grid(windows=(60, 120), entries=(1.5, 2.0), exits=(0.0,), stops=(5.0,))
OTHER = Thresholds(60, 1.0, 0.0, 2.6, 40)
SEARCH = Search(7, 42, 2, 0.05, 0.01)


@pytest.fixture(scope="module")
def panel(data_folder):
    return load_panel(data_folder)


@pytest.fixture(scope="module")
def instruments(panel):
    return {symbol: infer_instrument(symbol, panel.closes[symbol], taker_fee_ppm=50) for symbol in panel.closes}


@pytest.fixture(scope="module")
def calibration(panel):
    return calibrate_pair(panel, "A0USDT", "B0USDT", three_way(len(panel.closes), embargo=240), Costs(50.0), GRID, ticks=(1e-4, 1e-4))


def test_thresholds_swapped_after_the_runs_are_refused(panel, instruments, calibration):
    swapped = replace(calibration, sweep=replace(calibration.sweep, chosen=OTHER))
    with pytest.raises(ParamsError, match=r"trades on train of A0USDT/B0USDT is \d+ in the calibration, and \d+ by the rule that would be frozen"):
        build_params(panel, instruments, swapped, SEARCH)


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        (lambda c: replace(c, costs=Costs(500.0)), "net on train"),
        (lambda c: replace(c, hedge_ratio=c.hedge_ratio * 1.001), "the hedge ratio"),
        (lambda c: replace(c, test=c.validation), "trades on test|net on test"),
        (lambda c: replace(c, sweep=replace(c.sweep, tried=replace(c.sweep.tried, sets=1))), "the deflated Sharpe ratio"),
    ],
)
def test_any_altered_figure_is_refused_by_name(panel, instruments, calibration, change, figure):
    with pytest.raises(ParamsError, match=figure):
        build_params(panel, instruments, change(calibration), SEARCH)


def test_other_prices_are_refused(panel, instruments, calibration):
    closes = panel.closes.copy()
    closes.iloc[-30:, closes.columns.get_loc("A0USDT")] *= 1.01
    with pytest.raises(ParamsError, match=r"on test of A0USDT/B0USDT"):
        build_params(replace(panel, closes=closes), instruments, calibration, SEARCH)


def test_a_rule_set_by_hand_has_its_own_figures(panel, instruments, calibration, tmp_path):
    """Net of the file against a plain walk over the bars of the span, in Python."""
    hand = calibration.with_rule(OTHER)
    frozen = load(freeze(build_params(panel, instruments, hand, SEARCH), tmp_path))
    told = frozen.provenance["calibration"]
    assert "by hand" in told["chosen_by"]
    assert told["parameter_sets_tried"] == len(GRID.cells()) + 1
    assert float(frozen.parameters["entry_z"]) == OTHER.entry_z
    for span, figures in (("train", told["train"]), ("validation", told["validation"]), ("test", frozen.provenance["out_of_sample"])):
        part = getattr(hand.split, span)
        assert float(figures["net"]) == pytest.approx(plain_net(panel, calibration, part), abs=1e-12)
    assert float(told["deflated_sharpe"]) == deflated_sharpe(hand.train.frame["net"].to_numpy(), replace(hand.sweep.tried, pairs=42))


def plain_net(panel, calibration, part):
    """What OTHER earns over `part`: z against the window before, enter, leave, wait after a stop until z is inside again, one bar at a time."""
    lead, hedge = (np.log(panel.closes[name].to_numpy()) for name in ("A0USDT", "B0USDT"))
    spread = lead - calibration.hedge_ratio * hedge
    cost = calibration.costs.per_unit(calibration.hedge_ratio)
    prices = panel.closes[["A0USDT", "B0USDT"]].to_numpy()
    held, age, waits = 0, 0, False
    net, last = 0.0, part.stop - 1
    for t in range(part.start, part.stop):
        if t > part.start:
            a, b = prices[t] / prices[t - 1] - 1.0
            net += held * (a - calibration.hedge_ratio * b)
        before = spread[t - OTHER.window : t]
        z = (spread[t] - before.mean()) / before.std(ddof=1) if before.size == OTHER.window else np.nan
        target, age = held, age + 1
        if np.isnan(z):
            pass
        elif abs(z) >= OTHER.stop_z:
            target, waits = 0, True
        elif held:
            if -held * z <= OTHER.exit_z:
                target = 0
            elif age >= OTHER.max_holding_bars:
                target, waits = 0, True
        elif abs(z) < OTHER.entry_z:
            waits = False
        elif not waits:
            target, age = (-1 if z > 0 else 1), 0
        net -= (abs(target - held) + (abs(target) if t == last else 0)) * cost
        held = target
    return net


@pytest.fixture(scope="module")
def gated(calibration):
    pytest.importorskip("sklearn.ensemble", reason="scikit-learn is in the research extra")
    hand = calibration.with_rule(OTHER)
    return hand.gated(train(hand.bars, OTHER, hand.split.train, trees=10).gate(0.6))


def test_train_of_a_gated_rule_is_believed_by_folds_that_had_not_seen_it(gated, panel, instruments, tmp_path):
    hand, gate = gated.with_rule(OTHER), gated.gate
    in_sample = run_rule(hand.bars, OTHER, hand.costs, hand.split.train, gate)
    assert gated.train.net != in_sample.net
    entered = (gated.train.frame["reason"] == "entry").to_numpy()
    assert entered.any()
    assert (gate.unseen[hand.split.train][entered] >= 0.6).all()
    judged = train(hand.bars, OTHER, hand.split.train, trees=10).judged
    np.testing.assert_allclose(gate.unseen[judged.index], judged["probability"], atol=1e-9)  # scikit-learn's own, fold by fold
    path = freeze(build_params(panel, instruments, gated, SEARCH), tmp_path)
    told = load(path).provenance
    assert float(told["calibration"]["train"]["net"]) == gated.train.net
    assert told["calibration"]["train_is"].startswith("out of sample for the model")
    assert float(told["calibration"]["deflated_sharpe"]) == deflated_sharpe(gated.train.frame["net"].to_numpy(), replace(gated.sweep.tried, pairs=42))
    assert (told["seeds"]["model"], told["model"]["trees"]) == (0, 10)
    assert told["code"]["scikit-learn"]


def test_a_gated_file_of_the_notebook_is_made_again(gated, panel, instruments, data_folder, tmp_path):
    path = freeze(build_params(panel, instruments, gated, SEARCH), tmp_path / "one")
    made = reproduce(path, data_folder, tmp_path / "two")
    assert (made.same, made.differences) == (True, {})
    assert made.path.read_bytes() == path.read_bytes()


def test_a_table_from_elsewhere_is_named_in_sample(gated, panel, instruments):
    hand = gated.with_rule(OTHER)
    told = build_params(panel, instruments, hand.gated(Gate(gated.gate.table, 0.6)), SEARCH).provenance["calibration"]
    assert told["train_is"].startswith("in-sample")
    assert told["deflated_sharpe"] == "none"


def test_models_that_are_not_what_they_say_are_refused(gated, panel, instruments):
    hand, gate = gated.with_rule(OTHER), gated.gate
    table = gate.table.copy()
    table[-3] = 0.123
    with pytest.raises(ParamsError, match="the trees of the gate are not those that its training makes"):
        build_params(panel, instruments, hand.gated(replace(gate, table=table)), SEARCH)
    unseen = np.where(np.isnan(gate.unseen), np.nan, 1.0)
    with pytest.raises(ParamsError, match="the probabilities of the gate's folds"):
        build_params(panel, instruments, hand.gated(replace(gate, unseen=unseen)), SEARCH)
    peeked = train(hand.bars, OTHER, trees=5).gate(0.6)
    with pytest.raises(ParamsError, match="the reversion model was trained on bars up to 4000, the train span ends at 2000"):
        build_params(panel, instruments, hand.gated(peeked), SEARCH)


def test_bars_of_other_prices_do_not_hide_behind_the_panel(panel, instruments, calibration):
    """The tail that trades is of the panel's closes, whatever bars the calibration carries."""
    lead, hedge = calibration.bars.lead * 1.5, calibration.bars.hedge
    shifted = replace(calibration, bars=PairBars(lead, hedge, calibration.hedge_ratio, panel.bar_ns, (1e-4, 1e-4)))
    honest = build_params(panel, instruments, calibration, SEARCH)
    assert build_params(panel, instruments, shifted, SEARCH).arrays == honest.arrays
