"""One synthetic market for all tests of research."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.unit.research.synthetic_market import candles_of, make_prices


@pytest.fixture(scope="session")
def prices() -> pd.DataFrame:
    return make_prices()


@pytest.fixture(scope="session")
def data_folder(prices: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("candles")
    for symbol in prices:
        candles_of(prices[symbol], volume=30_000.0).to_parquet(folder / f"{symbol}.parquet")
    return folder


@pytest.fixture
def arch_without_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's covariance sums in plain Python: compiling them takes longer than all these tests."""
    kernel = pytest.importorskip("arch.covariance.kernel", reason="arch is a development dependency")
    monkeypatch.setattr(kernel, "_cov_jit", kernel._cov_kernel)
