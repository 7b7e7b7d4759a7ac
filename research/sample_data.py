"""The sample data in data/sample: one-minute candles of the simulator's synthetic market, with the truth beside them.

`hftkit data sample` makes all of it from hftkit/exchange/configs/sample_universe.toml; the same configuration and seed give
the same prices on every machine. docs of the columns: data/README.md.
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import Progress

from hftkit.exchange.config import SimConfig, load_config
from hftkit.exchange.tape import make_tape
from hftkit.instruments import Instrument
from hftkit.units import NS_PER_MINUTE, iso_from_ns

_FILES = Path("sample")
_SCHEMA = pa.schema([("open_time", pa.timestamp("ms", tz="UTC"))] + [(name, pa.float64()) for name in ("open", "high", "low", "close", "volume")])


def _decimals(steps: np.ndarray, size: str) -> np.ndarray:
    """Whole steps of a decimal size as the float64 nearest to the exact decimal: 2684 ticks of 0.01 give 26.84, not 26.840000000000003."""
    exponent = -int(Decimal(size).normalize().as_tuple().exponent)
    scale = max(exponent, 0)
    unit = int(Decimal(size).scaleb(scale))
    return (steps * unit) / 10.0**scale  # an exact integer divided by an exact power of ten: correctly rounded


def candle_frame(candles: np.ndarray, instrument: Instrument) -> pd.DataFrame:
    """One instrument's candles (tape.CANDLE (minutes,)) in decimal units: columns open_time (UTC), open, high, low, close, volume (base units)."""
    columns: dict[str, Any] = {"open_time": pd.to_datetime(candles["open_time"], unit="ns", utc=True).as_unit("ms")}
    for name in ("open", "high", "low", "close"):
        columns[name] = _decimals(candles[name], instrument.tick_size)
    columns["volume"] = _decimals(candles["volume"], instrument.lot_size)
    return pd.DataFrame(columns)


def truth_of(config: SimConfig) -> dict[str, Any]:
    """What the synthetic market was made of: seed, span, and the pairs that are truly cointegrated."""
    end_ns = config.start_ns + config.minutes * NS_PER_MINUTE
    pairs = [
        {
            "lead": instrument.symbol,
            "hedge": pair.hedge,
            "hedge_ratio": pair.hedge_ratio,
            "half_life_minutes": pair.half_life_minutes,
            "spread_sd_bps": pair.spread_sd_bps,
        }
        for instrument in config.instruments
        if (pair := instrument.cointegrated) is not None
    ]
    return {"seed": config.seed, "minutes": config.minutes, "start": config.start, "end": iso_from_ns(end_ns), "pairs": pairs}


def _json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def _manifest(folder: Path, config: SimConfig) -> None:
    span = {"start": config.start, "end": truth_of(config)["end"]}
    rows = []
    for path in sorted(folder.joinpath(_FILES).rglob("*")):
        if not path.is_file():
            continue
        body = path.read_bytes()
        unit = "price in quote currency, volume in base units, one row a minute" if path.suffix == ".parquet" else "JSON"
        rows.append(
            {
                "file": path.relative_to(folder).as_posix(),
                "sha256": hashlib.sha256(body).hexdigest(),
                "bytes": len(body),
                "origin": f"hftkit exchange simulator, universe {config.name}, seed {config.seed} (hftkit data sample)",
                "unit": unit,
                "span": span,
            }
        )
    _json(folder / "manifest.json", rows)


def write_sample(folder: Path, config: SimConfig, progress: Any = None) -> list[Path]:
    """Make the candles and write data/sample and data/manifest.json under `folder`. Returns the Parquet files."""
    target = folder / _FILES / "1m"
    target.mkdir(parents=True, exist_ok=True)
    candles = make_tape(config, progress=progress)
    written = []
    for row, instrument in zip(candles, config.scales, strict=True):
        table = pa.Table.from_pandas(candle_frame(row, instrument), schema=_SCHEMA, preserve_index=False).replace_schema_metadata(None)
        path = target / f"{instrument.symbol}.parquet"
        pq.write_table(table, path, compression="zstd", compression_level=19)
        written.append(path)
    _json(folder / _FILES / "instruments.json", msgspec.to_builtins(config.scales))
    _json(folder / _FILES / "truth.json", truth_of(config))
    _manifest(folder, config)
    return written


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("data"), show_default=True, help="Data folder to write into.")
@click.option("--universe", default=None, help="Of another simulator configuration: a TOML file, or `binance`. [default: the sample universe]")
@click.option("--minutes", type=click.IntRange(2), help="So many minutes. [default: the configuration's]")
def sample(out: Path, universe: str | None, minutes: int | None) -> None:
    """Make the sample data again: seven days of one-minute candles of twelve synthetic instruments.

    Examples: hftkit data sample --out data
              hftkit data sample --universe binance --minutes 5760 --out data/binance
    """
    config = load_config(universe)
    if minutes is not None:
        config = msgspec.structs.replace(config, minutes=minutes)
    with Progress(transient=True) as bar:
        task = bar.add_task(f"{len(config.instruments)} instruments", total=config.minutes)
        written = write_sample(out, config, lambda done: bar.update(task, completed=done))
    size = sum(path.stat().st_size for path in written)
    click.echo(f"wrote {len(written)} instruments x {config.minutes} minutes, {size / 1e6:.2f} MB, to {out / _FILES}")
