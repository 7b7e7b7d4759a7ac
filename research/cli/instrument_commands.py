"""`hftkit data instruments`: ticks, lots, minima and fees from the venue, for research and for the frozen file."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec
import pandas as pd

from research.cli.command_options import as_json_option, show
from research.data.files.file_names import symbols_of


@click.command()
@click.argument("source")
@click.option("--symbols", help="Only these, separated by commas. [default: all that are traded now]")
@click.option(
    "--for", "folder", type=click.Path(path_type=Path, file_okay=False), help="The symbols of this folder of candles; written beside them unless -o."
)
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write instruments.json here.")
@click.option("--fees-ppm", help="MAKER,TAKER in millionths, as you know them. [default: the account's where a key is there, else tier 0, guessed]")
@as_json_option
def instruments(source: str, symbols: str | None, folder: Path | None, out: Path | None, fees_ppm: str | None, as_json: bool) -> None:
    """Take the scales of instruments from the venue: SOURCE is an address, a saved exchangeInfo, a simulator's ready file or configuration.

    The simulator's own answers serve as well as Binance's. With HFTKIT_BINANCE_KEY and HFTKIT_BINANCE_SECRET in the environment the fees are the
    account's.

    \b
    Examples:
      hftkit data instruments https://fapi.binance.com --for my/candles
      hftkit data instruments exchangeInfo.json --symbols BTCUSDT,ETHUSDT -o my/instruments.json
      hftkit data instruments sim.json -o instruments.json     (the ready file of hftkit sim --binance-port 0)
      hftkit data instruments binance -o instruments.json      (a configuration of hftkit sim)
    """
    from research.data.files.price_files import symbols_in
    from research.data.instruments import FILE_NAME
    from research.data.remote.venue_instruments import venue_instruments, write_scales

    wanted = symbols_of(symbols) if symbols else symbols_in(folder) if folder is not None else None
    found = venue_instruments(source, wanted, _fees(fees_ppm))
    target = out or (folder / FILE_NAME if folder is not None else None)
    written = write_scales(found.scales, target) if target is not None else None
    rows = [{**msgspec.to_builtins(one), "guessed": list(found.scales.guessed.get(one.symbol, ()))} for one in found.scales.instruments.values()]
    if as_json:
        body = {"source": found.scales.source, "instruments": rows, "left_out": found.left_out, "file": str(written) if written else None}
        click.echo(json.dumps(body, indent=1))
        return
    table = pd.DataFrame(rows)
    table["guessed"] = [", ".join(row["guessed"]) or "-" for row in rows]
    click.echo(show(table))
    for symbol, why in found.left_out.items():
        click.echo(f"left out {symbol}: {why}", err=True)
    guess = "; fees are tier 0 of this market, guessed: state yours with --fees-ppm" if any(row["guessed"] for row in rows) else ""
    click.echo(f"{len(rows)} instruments of {found.scales.source}{guess}")
    click.echo(f"wrote {written}" if written else "written nowhere: name a file with -o")


def _fees(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        maker, taker = (int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not MAKER,TAKER in ppm: write it like 200,500", param_hint="--fees-ppm") from None
    return maker, taker
