"""What ships for the first commands of docs/live-binance.md: candles that the simulator makes again, and a frozen file that its venue accepts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import pandas as pd

from hftkit.exchange.config import load_config
from hftkit.exchange.market.tape import make_tape
from hftkit.params.format import check_scales, load
from hftkit.units import ns_from_iso
from research.market.sample_data import candle_frame

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data" / "binance"
(FROZEN,) = DATA.glob("pairs-*.json")
CONFIG = msgspec.structs.replace(load_config("binance"), minutes=5760)


def test_the_candles_regenerate() -> None:
    for row, instrument in zip(make_tape(CONFIG, minutes=120), CONFIG.scales, strict=True):
        committed = pd.read_parquet(DATA / "sample" / "1m" / f"{instrument.symbol}.parquet")
        assert len(committed) == CONFIG.minutes
        pd.testing.assert_frame_equal(candle_frame(row, instrument), committed.head(120), check_exact=True)


def test_the_manifest_names_every_file_and_its_digest() -> None:
    rows = {row["file"]: row for row in json.loads((DATA / "manifest.json").read_text())}
    assert set(rows) == {path.relative_to(DATA).as_posix() for path in (DATA / "sample").rglob("*") if path.is_file()}
    for name, row in rows.items():
        body = (DATA / name).read_bytes()
        assert (row["sha256"], row["bytes"]) == (hashlib.sha256(body).hexdigest(), len(body)), name


def test_the_frozen_file_is_of_these_candles_and_the_simulators_venue_takes_it() -> None:
    frozen = load(FROZEN)
    check_scales(frozen, {one.symbol: one for one in CONFIG.scales}, FROZEN.name)
    assert "guessed" not in frozen.provenance
    for row in frozen.provenance["data"]:
        assert row["sha256"] == hashlib.sha256((DATA / "sample" / "1m" / row["file"]).read_bytes()).hexdigest()
    assert frozen.valid_until_ns > ns_from_iso("2035-01-01T00:00:00Z")
    assert float(frozen.provenance["out_of_sample"]["net"]) > 0
    (truth,) = [pair for pair in json.loads((DATA / "sample" / "truth.json").read_text())["pairs"] if pair["lead"] == frozen.legs.lead]
    assert truth["hedge"] == frozen.legs.hedge
    assert FROZEN.name in (ROOT / "docs" / "live-binance.md").read_text()
