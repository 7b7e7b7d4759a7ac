"""The synthetic data that ship: data/sample, a week of a quick market by the minute, and data/months, 17 weeks of a market to believe.

`hftkit data sample` makes all of it from the simulator's configurations (hftkit/exchange/configs), the truth beside it; the same configuration,
history and seed give the same prices on every machine. docs of the columns: data/README.md.
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
from hftkit.exchange.market.flow.scenarios import Scenario, load_scenario
from hftkit.exchange.market.tape import CANDLE, make_tape
from hftkit.instruments import Instrument
from hftkit.units import NS_PER_MINUTE, decimal, iso_from_ns
from research.market.market_like import write_config

MONTHS = "months"  # a universe, the scenario that is its history, and the folder of its data
BAR_MINUTES = 15
_LIVE_ARRIVALS_PER_S = 0.15  # of the market that goes on: thin enough to be played at 15,000 times wall time
_MEAN_BARS = 96  # over which the present mean of a spread is taken
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


def bars_of(candles: np.ndarray, minutes: int = BAR_MINUTES) -> np.ndarray:
    """Candles of one minute CANDLE (n, m) as candles of `minutes`: CANDLE (n, m // minutes). A minute without a trade says nothing; a bar without
    one repeats the last close."""
    parts = candles[:, : candles.shape[1] // minutes * minutes].reshape(len(candles), -1, minutes)
    traded = parts["n_trades"] > 0
    bars = np.zeros(parts.shape[:2], CANDLE)
    bars["open_time"] = parts["open_time"][:, :, 0]
    for name in ("volume", "n_trades"):
        bars[name] = parts[name].sum(axis=2)
    some, first = traded.any(axis=2), traded.argmax(axis=2)
    bars["close"] = parts["close"][:, :, -1]  # quiet minutes repeat the last close
    bars["open"] = np.where(some, np.take_along_axis(parts["open"], first[:, :, None], axis=2)[:, :, 0], bars["close"])
    bars["high"] = np.where(some, np.where(traded, parts["high"], 0).max(axis=2), bars["close"])
    bars["low"] = np.where(some, np.where(traded, parts["low"], np.iinfo(np.int64).max).min(axis=2), bars["close"])
    return bars


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


def history_of(config: SimConfig, history: Scenario) -> dict[str, Any]:
    """The truth of a market with a history: as `truth_of`, and what happened to each relation.

    `shifts`: for how long the mean of a spread lay elsewhere, and by how much: a move that the next one takes back. `until`: the first move that is
    not taken back, when the relation ended; null if it holds.
    """

    def time_of(minute: float) -> str:
        return iso_from_ns(config.start_ns + round(minute * NS_PER_MINUTE))

    truth = truth_of(config)
    for pair in truth["pairs"]:
        moves = sorted((event for event in history.events if pair["lead"] in event.symbols), key=lambda event: event.at_minute)
        shifts, until = [], None
        while moves and until is None:
            away, *rest = moves
            if rest and rest[0].move_bps == -away.move_bps:
                shifts.append({"from": time_of(away.at_minute), "to": time_of(rest[0].at_minute), "bps": away.move_bps})
                moves = rest[1:]
            else:
                until = time_of(away.at_minute)
        pair |= {"since": config.start, "until": until, "shifts": shifts}
    return {**truth, "bar_minutes": BAR_MINUTES}


def goes_on(config: SimConfig, bars: np.ndarray, truth: dict[str, Any]) -> SimConfig:
    """The same market from where the bars CANDLE (n, m) end, for `hftkit sim --config`.

    At their last prices, each tied partner at the present mean of its spread; what is no longer tied goes its own way. Thinner, so that it can be
    played thousands of times as fast as the clock on the wall.
    """
    ended = {pair["lead"] for pair in truth["pairs"] if pair["until"]}
    logs = {instrument.symbol: np.log(row["close"].astype(np.float64)) for instrument, row in zip(config.instruments, bars, strict=True)}
    rows = []
    for instrument in config.instruments:
        own, pair = logs[instrument.symbol], instrument.cointegrated
        last = own[-1]
        if pair is not None:
            other = pair.hedge_ratio * logs[pair.hedge]
            last = float(np.mean((own - other)[-_MEAN_BARS:]) + other[-1])
        price = format(round(float(np.exp(last))) * decimal(instrument.tick_size), "f")
        row = msgspec.structs.replace(instrument, start_price=price)
        if instrument.symbol in ended:
            yearly = float(np.diff(own).std()) * np.sqrt(365 * 24 * 60 / BAR_MINUTES)
            row = msgspec.structs.replace(row, cointegrated=None, market_beta=0.0, annual_volatility=round(float(yearly), 4))
        rows.append(row)
    flow = msgspec.structs.replace(config.flow, arrivals_per_s=_LIVE_ARRIVALS_PER_S)
    return msgspec.structs.replace(config, name="months-go-on", start=truth["end"], minutes=1, flow=flow, instruments=tuple(rows))


def _json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def _manifest(folder: Path, part: str, config: SimConfig, unit: str) -> None:
    """List the files of `folder`/`part` in `folder`/manifest.json anew; those of other parts stay as they are."""
    where = folder / "manifest.json"
    rows = [row for row in json.loads(where.read_text()) if not row["file"].startswith(f"{part}/")] if where.exists() else []
    span = {"start": config.start, "end": truth_of(config)["end"]}
    for path in folder.joinpath(part).rglob("*"):
        if not path.is_file():
            continue
        body = path.read_bytes()
        rows.append(
            {
                "file": path.relative_to(folder).as_posix(),
                "sha256": hashlib.sha256(body).hexdigest(),
                "bytes": len(body),
                "origin": f"hftkit exchange simulator, universe {config.name}, seed {config.seed} (hftkit data sample)",
                "unit": f"price in quote currency, volume in base units, {unit}" if path.suffix == ".parquet" else path.suffix[1:].upper(),
                "span": span,
            }
        )
    _json(where, sorted(rows, key=lambda row: row["file"]))


def _write(target: Path, name: str, candles: np.ndarray, config: SimConfig, truth: dict[str, Any]) -> list[Path]:
    (target / name).mkdir(parents=True, exist_ok=True)
    written = []
    for row, instrument in zip(candles, config.scales, strict=True):
        table = pa.Table.from_pandas(candle_frame(row, instrument), schema=_SCHEMA, preserve_index=False).replace_schema_metadata(None)
        path = target / name / f"{instrument.symbol}.parquet"
        pq.write_table(table, path, compression="zstd", compression_level=19)
        written.append(path)
    _json(target / "instruments.json", msgspec.to_builtins(config.scales))
    _json(target / "truth.json", truth)
    return written


def write_sample(folder: Path, config: SimConfig, progress: Any = None) -> list[Path]:
    """Make the candles of the sample universe under `folder`/sample, and the manifest. Returns the Parquet files."""
    written = _write(folder / "sample", "1m", make_tape(config, progress=progress), config, truth_of(config))
    _manifest(folder, "sample", config, "one row a minute")
    return written


def write_months(folder: Path, config: SimConfig, history: Scenario, progress: Any = None) -> list[Path]:
    """Make the bars of the months universe under `folder`/months, market.toml (the market that goes on where they end), and the manifest."""
    bars = bars_of(make_tape(config, progress=progress, scenario=history))
    truth = history_of(config, history)
    written = _write(folder / MONTHS, f"{BAR_MINUTES}m", bars, config, truth)
    write_config(goes_on(config, bars, truth), folder / MONTHS / "market.toml")
    _manifest(folder, MONTHS, config, f"one row a bar of {BAR_MINUTES} minutes")
    return written


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("data"), show_default=True, help="Data folder to write into.")
@click.option("--universe", default=None, help="Of another simulator configuration: `months`, `binance`, a TOML file. [default: the sample universe]")
@click.option("--minutes", type=click.IntRange(2), help="So many minutes. [default: the configuration's]")
def sample(out: Path, universe: str | None, minutes: int | None) -> None:
    """Make the data that ship again: seven days of one-minute candles of twelve synthetic instruments; with months, 17 weeks of 15-minute bars.

    Examples: hftkit data sample --out data
              hftkit data sample --universe months --out data
              hftkit data sample --universe binance --minutes 5760 --out data/binance
    """
    config = load_config(universe)
    if minutes is not None:
        config = msgspec.structs.replace(config, minutes=minutes)
    with Progress(transient=True) as bar:
        task = bar.add_task(f"{len(config.instruments)} instruments", total=config.minutes)

        def show(done: int) -> None:
            bar.update(task, completed=done)

        written = write_months(out, config, load_scenario(MONTHS), show) if universe == MONTHS else write_sample(out, config, show)
    size = sum(path.stat().st_size for path in written)
    click.echo(f"wrote {len(written)} instruments x {config.minutes} minutes, {size / 1e6:.2f} MB, to {written[0].parent}")
