"""Real recorded messages, where this machine has them: $HFTKIT_SHARED_DATA or ../shared/data beside the project. Tests without them are skipped."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def shared(name: str) -> Path:
    """A file or folder of the shared data; skips the test if it is not there."""
    folder = Path(os.environ.get("HFTKIT_SHARED_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if (folder / name).exists():
        return folder / name
    pytest.skip(f"needs the reference data {name}: set HFTKIT_SHARED_DATA")


def recorded(name: str) -> Iterator[bytes]:
    """The messages of an l2_raw file, without their receive times."""
    with gzip.open(shared(f"l2_raw/{name}"), "rb") as lines:
        for line in lines:
            yield line.split(b" ", 1)[1].strip()


def documented(pattern: str) -> list[tuple[str, Any]]:
    """(name, message) of the single messages in ws_messages/nautilus_binance_ws."""
    folder = shared("ws_messages/nautilus_binance_ws")
    return [(path.stem, json.loads(path.read_text())) for path in sorted(folder.glob(pattern))]
