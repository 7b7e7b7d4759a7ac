"""The birth certificate in a frozen file: which data, which code, which arguments, how many were tried, what was found, how it did where
nothing was chosen (docs/frozen-parameters.md). Everything that went in is named, so that `hftkit params reproduce` can make the same bytes again.
"""

from __future__ import annotations

import hashlib
import math
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from hftkit.kernels.jit import sources_digest
from hftkit.units import iso_from_ns
from research.data.data_loader import Panel
from research.pairs.calibration import Calibration
from research.pairs.capacity import Capacity, capacity, impacts_of
from research.pairs.freezing.cautions import cautions_of
from research.pairs.freezing.certificate import SPANS, believed, deflated
from research.pairs.freezing.settings import Execution, Search, as_text
from research.pairs.performance import Trials, bootstrap_band, deflated_sharpe, probabilistic_sharpe, sharpe

BOOTSTRAP_SEED, BOOTSTRAP_DRAWS, CONFIDENCE = 0, 1000, 0.9
_VERSIONS = ("hftkit", "numba", "numpy", "pandas", "pyarrow", "scipy", "statsmodels")
_RESEARCH = Path(__file__).resolve().parents[2]
_WINGS = ("data", "stats", "pairs")  # of research: what a frozen file is made by


def provenance_of(
    panel: Panel,
    calibration: Calibration,
    search: Search,
    execution: Execution,
    made_by: str,
    guessed: dict[str, tuple[str, ...]],
    said: Sequence[str],
    record: dict[str, Any],
) -> dict[str, Any]:
    """All of it, as text. `calibration`: recomputed (certificate.py); `record`: `arguments` of the search with their
    `route`, and what else it has to tell (`scan`, `candidates`)."""
    found = calibration.test_of_train
    calibration, chance = deflated(calibration, search.pairs_tested)  # whatever calibrate was told
    tried, gate = calibration.sweep.tried, calibration.gate
    index = panel.closes.index
    spans = {name: getattr(calibration.split, name) for name in SPANS}
    unseen = calibration.test.frame["net"].to_numpy()
    confirmation, carried = calibration.confirmation(), carried_by(panel, calibration)
    cautions = cautions_of(calibration, confirmation, carried, execution.unit_notional)
    ours = {symbol: list(guessed[symbol]) for symbol in (calibration.lead, calibration.hedge) if guessed.get(symbol)}
    looks = int(known) if (known := str(record.get("test_span", {}).get("looks_before", ""))).isdecimal() else 0
    by_hand = "set by hand after the sweep, counted as one more trial"
    body = {
        **data_of(panel, (calibration.lead, calibration.hedge)),
        "embargo_bars": calibration.split.embargo,
        "spans": {
            name: {
                "first": iso_from_ns(index[part.start].value),
                "last": iso_from_ns(index[part.stop - 1].value),
                "bars": [part.start, part.stop],
            }
            for name, part in spans.items()
        },
        "code": code_of(learned=gate is not None),
        "made_by": made_by,
        "test_span": {"looks_before": "not recorded"},
        **record,
        "seeds": {"bootstrap": BOOTSTRAP_SEED, **({"model": gate.training.seed} if gate and gate.training else {})},
        "search": asdict(search),
        "engle_granger": {
            "null_hypothesis": found.null_hypothesis,
            "statistic": found.statistic,
            "pvalue": found.pvalue,
            "pvalue_finite": found.pvalue_finite,
            "lag": found.lag,
            "nobs": found.nobs,
            "trend": found.trend,
            "autolag": found.autolag or "none",
            "half_life_bars": found.half_life,
        },
        "calibration": {
            "parameter_sets_tried": tried.sets,
            "pairs_tested": tried.pairs,
            "trials": tried.count,
            "effective_trials": tried.effective,
            "mean_correlation": tried.correlation,
            "sharpe_by_luck": tried.best_by_luck() * math.sqrt(panel.bars_a_year),
            "chosen_by": by_hand if calibration.by_hand else "mean Sharpe ratio of the cell and its grid neighbours, train span",
            "deflated_sharpe": chance,
            "grid": asdict(calibration.grid) if calibration.grid else "none",
            "min_trades": calibration.min_trades,
            "ticks": calibration.bars.ticks,
            "train": calibration.train.summary(),
            "validation": calibration.validation.summary(),
            **({"train_is": believed(calibration)} if gate else {}),
        },
        "out_of_sample": {
            **calibration.test.summary(),
            "probabilistic_sharpe": probabilistic_sharpe(unseen),
            **({"deflated_sharpe": deflated_sharpe(unseen, Trials(looks + 1, 1, 0.0, 0.0, unseen.size))} if looks else {}),
            "confidence": _confidence(calibration, panel.bars_a_year),
        },
        "cointegration_again": confirmation.as_plain(),
        "capacity": {"unit_notional": execution.unit_notional, **{name: _amounts(carry) for name, carry in carried.items()}},
        "warnings": [*said, *(caution.text for caution in cautions)],
        "costs": asdict(calibration.costs),
        **({"model": {"confidence": gate.confidence, **asdict(gate.training)}} if gate and gate.training else {}),
        **({"guessed": ours} if ours else {}),
    }
    return dict(as_text(body))


def data_of(panel: Panel, symbols: Sequence[str]) -> dict[str, Any]:
    """Which files, which decisions about them, which span: the provenance's keys `data` (of `symbols`), `universe` (of all that were looked at),
    `left_out`, `loading` (arguments of load_panel), `panel_sha256`, `data_decisions` and `span`.
    """
    index = panel.closes.index
    return {
        "data": [
            {"symbol": f.symbol, "file": f.name, "sha256": f.sha256, "rows": f.rows, "first": iso_from_ns(f.first_ns), "last": iso_from_ns(f.last_ns)}
            for f in panel.files
            if f.symbol in symbols
        ],
        "universe": [{"symbol": f.symbol, "file": f.name, "sha256": f.sha256} for f in panel.files],
        "left_out": dict(panel.excluded),
        "loading": panel.loading,
        "panel_sha256": panel_digest(panel),
        "data_decisions": list(panel.decisions),
        "span": {"first": iso_from_ns(index[0].value), "end": iso_from_ns(panel.end_ns), "bars": len(index)},
    }


def panel_digest(panel: Panel) -> str:
    """SHA-256 (hex) of the symbols, times (int64 ns) and closes (float64) of a panel: what was computed with, however it was made."""
    digest = hashlib.sha256("\n".join(map(str, panel.closes)).encode())
    digest.update(np.ascontiguousarray(panel.closes.index.as_unit("ns").asi8, "<i8").tobytes())
    digest.update(np.ascontiguousarray(panel.closes.to_numpy(np.float64), "<f8").tobytes())
    return digest.hexdigest()


def code_of(learned: bool = False) -> dict[str, str]:
    """Versions, the digests of the sources of kernels and research, and the commit of research, where it is in git; `learned`: a model is in it."""
    names = (*_VERSIONS, "scikit-learn") if learned else _VERSIONS
    commit = research_commit()
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in names},
        "kernels_sha256": sources_digest(),
        "research_sha256": research_digest(),
        **({"commit": commit} if commit else {}),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


@cache
def research_digest() -> str:
    """SHA-256 (hex) over the names and bytes of the sources and tables of research/data, stats and pairs."""
    digest = hashlib.sha256()
    for path in sorted(path for wing in _WINGS for path in (_RESEARCH / wing).rglob("*") if path.suffix in (".py", ".csv")):
        digest.update(path.relative_to(_RESEARCH).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def research_commit() -> str:
    """The last commit that changed research, "" outside git. It is a name for the sources; what counts is their digest."""
    try:
        done = subprocess.run(
            ["git", "-C", str(_RESEARCH), "log", "-1", "--format=%H", "--", "."], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def carried_by(panel: Panel, calibration: Calibration) -> dict[str, Capacity | None]:
    """How much money the pair can carry, on validation and on test; None where volumes are not known."""
    laws = impacts_of(panel, calibration.lead, calibration.hedge)
    runs = {"validation": calibration.validation, "test": calibration.test}
    ratios = {name: calibration.bars.money_ratio(getattr(calibration.split, name)) for name in runs}
    return {name: capacity(run, ratios[name], *laws) if laws else None for name, run in runs.items()}


def _amounts(carried: Capacity | None) -> dict[str, float] | str:
    """Notionals of the lead leg of a unit."""
    if carried is None:
        return "not estimated: no volumes"
    return {"most_profit": carried.best, "half_the_return": carried.halves, "nothing_left": carried.exhausted}


def _confidence(calibration: Calibration, year: float) -> dict[str, Any]:
    """Bands of the test span's result by the stationary bootstrap: what chance makes of so few trades."""
    returns = calibration.test.frame["net"].to_numpy()
    block = min(max(2.0 * calibration.test_of_train.half_life, 10.0), returns.size / 4.0)
    bands = {
        name: bootstrap_band(returns, statistic, block=block, draws=BOOTSTRAP_DRAWS, level=CONFIDENCE, seed=BOOTSTRAP_SEED)
        for name, statistic in (("net", _total), ("sharpe", lambda part: sharpe(part, year)))
    }
    head = {"level": CONFIDENCE, "draws": BOOTSTRAP_DRAWS, "mean_block_bars": block, "seed": BOOTSTRAP_SEED, "method": "stationary bootstrap"}
    return {**head, **{name: {"low": low, "high": high} for name, (low, high) in bands.items()}}


def _total(returns: np.ndarray) -> float:
    return float(returns.sum())
