"""Real reference data, where this machine has it: $HFTKIT_SHARED_DATA or ../shared/data beside the project. Tests without it are skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest


def shared(name: str) -> Path:
    """A file or folder of the shared data; skips the test if it is not there."""
    folder = Path(os.environ.get("HFTKIT_SHARED_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
    if not (folder / name).exists():
        pytest.skip(f"needs the reference data {name}: set HFTKIT_SHARED_DATA")
    return folder / name


def classic(name: str) -> pd.DataFrame:
    """A table of textbook data, index the first column."""
    return pd.read_csv(shared(f"classic/{name}"), index_col=0)
