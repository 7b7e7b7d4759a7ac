"""research: prices into pairs, pairs into rules, rules into frozen files.

The names below are the public ones: they keep their meaning from release to release, and are imported when they are
first used. Figures are in the modules named at the end.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what the type checker reads; at run time `__getattr__` finds the same, when it is asked
    from research.backtest.event_backtest import backtest_bars as backtest_bars
    from research.backtest.event_backtest import compare_with_rule as compare_with_rule
    from research.cli.demo import run_demo as run_demo
    from research.data.data_loader import load_candles as load_candles
    from research.data.data_loader import load_panel as load_panel
    from research.data.data_loader import read_candles as read_candles
    from research.data.data_loader import sha256_of as sha256_of
    from research.data.instruments import find_instruments as find_instruments
    from research.data.remote.archive import Archive as Archive
    from research.data.remote.archive import fetch as fetch_archive
    from research.data.remote.archive_pack import pack_klines as pack_klines
    from research.data.remote.data_sql import query as query_archive
    from research.data.remote.rest import Rest as Rest
    from research.market.executions import load_run as load_run
    from research.market.feed_watch import watch_feed as watch_feed
    from research.market.history import streams_to_history as streams_to_history
    from research.market.market_data import load_market_data as load_market_data
    from research.market.market_facts import measure_folder as measure_folder
    from research.market.market_like import calibrate_market as calibrate_market
    from research.market.market_like import targets_of as targets_of
    from research.market.market_like import traders_of as traders_of
    from research.market.stylised_facts import distribution as return_distribution
    from research.market.stylised_facts import facts_of_prices as facts_of_prices
    from research.market.stylised_facts import order_flow as order_flow
    from research.pairs.basket import backtest_basket as backtest_basket
    from research.pairs.calibration import calibrate_pair as calibrate_pair
    from research.pairs.capacity import capacity as capacity_of
    from research.pairs.capacity import impacts_in as impacts_in
    from research.pairs.costs import NO_COSTS as NO_COSTS
    from research.pairs.costs import Costs as Costs
    from research.pairs.freezing.freeze import build_params as build_params
    from research.pairs.freezing.pipeline import find_and_freeze as find_and_freeze
    from research.pairs.freezing.settings import Execution as Execution
    from research.pairs.freezing.trial_ledger import TrialLedger as TrialLedger
    from research.pairs.lookahead import check_lookahead as check_lookahead
    from research.pairs.performance import bootstrap_band as bootstrap_band
    from research.pairs.performance import bootstrap_draws as bootstrap_draws
    from research.pairs.reversion_model import samples as reversion_samples
    from research.pairs.reversion_model import train as train_reversion
    from research.pairs.strategy_optimizer import Grid as Grid
    from research.pairs.strategy_optimizer import PairBars as PairBars
    from research.pairs.strategy_optimizer import run_rule as run_rule
    from research.pairs.strategy_optimizer import sweep as sweep
    from research.pairs.strategy_optimizer import walk_forward as walk_forward
    from research.pairs.walkforward import combinatorial_purged as combinatorial_purged
    from research.pairs.walkforward import three_way as three_way
    from research.report import figures as figures
    from research.report import session_figures as session_figures
    from research.report import study_figures as study_figures
    from research.report import stylised_figures as stylised_figures
    from research.report import tear_sheet as tear_sheet
    from research.report import walkforward_figures as walkforward_figures
    from research.report.pair_report import report as pair_report
    from research.report.quality_report import quality_report as quality_report
    from research.report.quality_report import report_of as quality_report_of
    from research.report.session import load_session as load_session
    from research.stats.cointegrating_regression import canonical as canonical_regression
    from research.stats.cointegrating_regression import dynamic as dynamic_least_squares
    from research.stats.cointegrating_regression import fully_modified as fully_modified
    from research.stats.cointegration import engle_granger as engle_granger
    from research.stats.discovery.known_truth import estimates as estimates_of
    from research.stats.discovery.known_truth import false_discoveries as false_discoveries
    from research.stats.discovery.known_truth import known_pair as known_pair
    from research.stats.discovery.pair_scan import discoveries as discoveries
    from research.stats.discovery.pair_scan import scan_pairs as scan_pairs
    from research.stats.discovery.prefilter import Prefilter as Prefilter
    from research.stats.johansen import johansen as johansen
    from research.stats.phillips_ouliaris import phillips_ouliaris as phillips_ouliaris
    from research.stats.spread.hedge import dols_hedge_ratio as dols_hedge_ratio
    from research.stats.spread.hedge import kalman_hedge_ratios as kalman_hedge_ratios
    from research.stats.spread.hedge import log_spread as log_spread
    from research.stats.spread.hedge import ols_hedge_ratio as ols_hedge_ratio
    from research.stats.spread.hedge import tls_hedge_ratio as tls_hedge_ratio
    from research.stats.spread.thresholds import best_entry as best_entry
    from research.stats.spread.thresholds import estimate_ou as estimate_ou
    from research.stats.spread_tests import cusum as cusum
    from research.stats.spread_tests import cusum_path as cusum_path
    from research.stats.spread_tests import cusum_recursive as cusum_recursive
    from research.stats.spread_tests import gregory_hansen as gregory_hansen
    from research.stats.spread_tests import hurst_exponent as hurst_exponent
    from research.stats.spread_tests import variance_ratio as variance_ratio
    from research.stats.spread_tests import zero_crossings as zero_crossings
    from research.stats.test_result import TestResult as TestResult
    from research.stats.unit_root import dickey_fuller as dickey_fuller
    from research.stats.vecm import error_correction as error_correction

_PUBLIC = {
    # prices
    "load_candles": "research.data.data_loader:load_candles",
    "load_panel": "research.data.data_loader:load_panel",
    "read_candles": "research.data.data_loader:read_candles",
    "sha256_of": "research.data.data_loader:sha256_of",
    "find_instruments": "research.data.instruments:find_instruments",
    "Archive": "research.data.remote.archive:Archive",
    "fetch_archive": "research.data.remote.archive:fetch",
    "pack_klines": "research.data.remote.archive_pack:pack_klines",
    "query_archive": "research.data.remote.data_sql:query",
    "Rest": "research.data.remote.rest:Rest",
    # tests and estimators
    "engle_granger": "research.stats.cointegration:engle_granger",
    "discoveries": "research.stats.discovery.pair_scan:discoveries",
    "scan_pairs": "research.stats.discovery.pair_scan:scan_pairs",
    "Prefilter": "research.stats.discovery.prefilter:Prefilter",
    "estimates_of": "research.stats.discovery.known_truth:estimates",
    "false_discoveries": "research.stats.discovery.known_truth:false_discoveries",
    "known_pair": "research.stats.discovery.known_truth:known_pair",
    "TestResult": "research.stats.test_result:TestResult",
    "dickey_fuller": "research.stats.unit_root:dickey_fuller",
    "johansen": "research.stats.johansen:johansen",
    "error_correction": "research.stats.vecm:error_correction",
    "phillips_ouliaris": "research.stats.phillips_ouliaris:phillips_ouliaris",
    "canonical_regression": "research.stats.cointegrating_regression:canonical",
    "dynamic_least_squares": "research.stats.cointegrating_regression:dynamic",
    "fully_modified": "research.stats.cointegrating_regression:fully_modified",
    "cusum": "research.stats.spread_tests:cusum",
    "cusum_path": "research.stats.spread_tests:cusum_path",
    "cusum_recursive": "research.stats.spread_tests:cusum_recursive",
    "gregory_hansen": "research.stats.spread_tests:gregory_hansen",
    "hurst_exponent": "research.stats.spread_tests:hurst_exponent",
    "variance_ratio": "research.stats.spread_tests:variance_ratio",
    "zero_crossings": "research.stats.spread_tests:zero_crossings",
    "dols_hedge_ratio": "research.stats.spread.hedge:dols_hedge_ratio",
    "kalman_hedge_ratios": "research.stats.spread.hedge:kalman_hedge_ratios",
    "log_spread": "research.stats.spread.hedge:log_spread",
    "ols_hedge_ratio": "research.stats.spread.hedge:ols_hedge_ratio",
    "tls_hedge_ratio": "research.stats.spread.hedge:tls_hedge_ratio",
    "best_entry": "research.stats.spread.thresholds:best_entry",
    "estimate_ou": "research.stats.spread.thresholds:estimate_ou",
    # rules
    "NO_COSTS": "research.pairs.costs:NO_COSTS",
    "Costs": "research.pairs.costs:Costs",
    "Grid": "research.pairs.strategy_optimizer:Grid",
    "PairBars": "research.pairs.strategy_optimizer:PairBars",
    "run_rule": "research.pairs.strategy_optimizer:run_rule",
    "sweep": "research.pairs.strategy_optimizer:sweep",
    "walk_forward": "research.pairs.strategy_optimizer:walk_forward",
    "combinatorial_purged": "research.pairs.walkforward:combinatorial_purged",
    "three_way": "research.pairs.walkforward:three_way",
    "calibrate_pair": "research.pairs.calibration:calibrate_pair",
    "capacity_of": "research.pairs.capacity:capacity",
    "impacts_in": "research.pairs.capacity:impacts_in",
    "bootstrap_band": "research.pairs.performance:bootstrap_band",
    "bootstrap_draws": "research.pairs.performance:bootstrap_draws",
    "backtest_basket": "research.pairs.basket:backtest_basket",
    "reversion_samples": "research.pairs.reversion_model:samples",
    "train_reversion": "research.pairs.reversion_model:train",
    "check_lookahead": "research.pairs.lookahead:check_lookahead",
    "Execution": "research.pairs.freezing.settings:Execution",
    "TrialLedger": "research.pairs.freezing.trial_ledger:TrialLedger",
    "build_params": "research.pairs.freezing.freeze:build_params",
    "find_and_freeze": "research.pairs.freezing.pipeline:find_and_freeze",
    "backtest_bars": "research.backtest.event_backtest:backtest_bars",
    "compare_with_rule": "research.backtest.event_backtest:compare_with_rule",
    # markets
    "load_market_data": "research.market.market_data:load_market_data",
    "load_run": "research.market.executions:load_run",
    "streams_to_history": "research.market.history:streams_to_history",
    "watch_feed": "research.market.feed_watch:watch_feed",
    "measure_folder": "research.market.market_facts:measure_folder",
    "calibrate_market": "research.market.market_like:calibrate_market",
    "targets_of": "research.market.market_like:targets_of",
    "traders_of": "research.market.market_like:traders_of",
    "return_distribution": "research.market.stylised_facts:distribution",
    "facts_of_prices": "research.market.stylised_facts:facts_of_prices",
    "order_flow": "research.market.stylised_facts:order_flow",
    # results
    "load_session": "research.report.session:load_session",
    "pair_report": "research.report.pair_report:report",
    "quality_report": "research.report.quality_report:quality_report",
    "quality_report_of": "research.report.quality_report:report_of",
    "run_demo": "research.cli.demo:run_demo",
    # modules of figures
    "figures": "research.report.figures",
    "session_figures": "research.report.session_figures",
    "study_figures": "research.report.study_figures",
    "stylised_figures": "research.report.stylised_figures",
    "walkforward_figures": "research.report.walkforward_figures",
    "tear_sheet": "research.report.tear_sheet",
}
__all__ = [
    "NO_COSTS",
    "Archive",
    "Costs",
    "Execution",
    "Grid",
    "PairBars",
    "Prefilter",
    "Rest",
    "TestResult",
    "TrialLedger",
    "backtest_bars",
    "backtest_basket",
    "best_entry",
    "bootstrap_band",
    "bootstrap_draws",
    "build_params",
    "calibrate_market",
    "calibrate_pair",
    "canonical_regression",
    "capacity_of",
    "check_lookahead",
    "combinatorial_purged",
    "compare_with_rule",
    "cusum",
    "cusum_path",
    "cusum_recursive",
    "dickey_fuller",
    "discoveries",
    "dols_hedge_ratio",
    "dynamic_least_squares",
    "engle_granger",
    "error_correction",
    "estimate_ou",
    "estimates_of",
    "facts_of_prices",
    "false_discoveries",
    "fetch_archive",
    "figures",
    "find_and_freeze",
    "find_instruments",
    "fully_modified",
    "gregory_hansen",
    "hurst_exponent",
    "impacts_in",
    "johansen",
    "kalman_hedge_ratios",
    "known_pair",
    "load_candles",
    "load_market_data",
    "load_panel",
    "load_run",
    "load_session",
    "log_spread",
    "measure_folder",
    "ols_hedge_ratio",
    "order_flow",
    "pack_klines",
    "pair_report",
    "phillips_ouliaris",
    "quality_report",
    "quality_report_of",
    "query_archive",
    "read_candles",
    "return_distribution",
    "reversion_samples",
    "run_demo",
    "run_rule",
    "scan_pairs",
    "session_figures",
    "sha256_of",
    "streams_to_history",
    "study_figures",
    "stylised_figures",
    "sweep",
    "targets_of",
    "tear_sheet",
    "three_way",
    "tls_hedge_ratio",
    "traders_of",
    "train_reversion",
    "variance_ratio",
    "walk_forward",
    "walkforward_figures",
    "watch_feed",
    "zero_crossings",
]


def __getattr__(name: str) -> object:
    """A public name, imported now. Raises AttributeError for any other."""
    where = _PUBLIC.get(name)
    if where is None:
        raise AttributeError(f"research has no public name {name!r}; `research.__all__` lists them")
    module, _, attribute = where.partition(":")
    found = import_module(module)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value  # asked once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
