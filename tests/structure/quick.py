"""The unit tests of `make check`: those that neither compile an engine nor start a command, and are quick. Prints their files.

An engine is a program of many kernels that `compiled_driver` makes: minutes from an empty cache. Whether a test file can reach one is
read off the imports of everything that it imports (hftkit/compilation/import_closure.py). So a new test is in as soon as it is written.
"""

from __future__ import annotations

import re
from pathlib import Path

from hftkit.compilation.import_closure import sources
from tests.structure.sources import PACKAGES, ROOT, name

ENGINE = ("compiled_driver(", "entry_points(group=GROUP")  # what an entry point leads to is not seen here either
COMMAND = re.compile(r"\bsubprocess\b|\bCliRunner\b|\bchild_process\b|\bHFTKIT\b")  # what a command imports is not seen here
# Right by that rule, and left out: of a run of them all these files took four fifths of the time.
SLOW = {
    "tests/unit/exchange/core/test_ladder.py",
    "tests/unit/exchange/dialects/binance/rest/test_parameters.py",
    "tests/unit/exchange/dialects/test_stream_hub.py",
    "tests/unit/exchange/market/flow/test_market.py",
    "tests/unit/exchange/market/flow/test_scenarios.py",
    "tests/unit/exchange/market/flow/test_traders.py",
    "tests/unit/exchange/market/flow/test_volatility.py",
    "tests/unit/exchange/test_fault_statistics.py",
    "tests/unit/kernels/memory/test_memory.py",
    "tests/unit/kernels/stats/test_adf.py",
    "tests/unit/kernels/wire/test_binance_json.py",
    "tests/unit/kernels/wire/test_binance_market.py",
    "tests/unit/kernels/wire/test_binance_orders.py",
    "tests/unit/research/data/test_calendars.py",
    "tests/unit/research/data/test_data_loader.py",
    "tests/unit/research/pairs/freezing/test_cautions.py",
    "tests/unit/research/pairs/freezing/test_pipeline.py",
    "tests/unit/research/pairs/test_confirmation.py",
    "tests/unit/research/pairs/test_vectorbt_check.py",
    "tests/unit/research/report/test_stylised_figures.py",
    "tests/unit/research/stats/discovery/test_known_truth.py",
    "tests/unit/research/stats/discovery/test_null_distribution.py",
    "tests/unit/research/stats/discovery/test_wild_bootstrap.py",
    "tests/unit/research/stats/test_cointegrating_regression.py",
    "tests/unit/research/stats/test_johansen.py",
    "tests/unit/research/stats/test_phillips_ouliaris.py",
    "tests/unit/research/stats/test_spread_tests.py",
    "tests/unit/research/stats/test_vecm.py",
    "tests/unit/research/test_agreement.py",
    "tests/unit/research/test_deflation.py",
    "tests/unit/research/test_discoveries.py",
    "tests/unit/research/test_odd_files.py",
}


def reaches_an_engine(path: Path) -> str:
    """The first file by which a test file can compile an engine, "" if none."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for source in sources(path, module):
        inside = source.is_relative_to(ROOT) and (name(source).split("/")[0] in PACKAGES or name(source).startswith("tests/"))
        if inside and source.name != "jit.py" and source != Path(__file__) and any(mark in source.read_text(encoding="utf-8") for mark in ENGINE):
            return name(source)
    return ""


def candidates() -> list[Path]:
    """Unit tests that need no engine and start no command."""
    found = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))
    return [path for path in found if not COMMAND.search(path.read_text(encoding="utf-8")) and not reaches_an_engine(path)]


def quick_tests() -> list[str]:
    """Those of them that are quick."""
    return [name(path) for path in candidates() if name(path) not in SLOW]


if __name__ == "__main__":
    print("\n".join(quick_tests()))
