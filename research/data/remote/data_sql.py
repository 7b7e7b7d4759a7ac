"""Ask the cache of archive.py questions in SQL (DuckDB), without loading it: one view a kind of data."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hftkit.errors import DataError
from research.data.remote.archive_kinds import KINDS


def query(cache: Path | str, sql: str) -> pd.DataFrame:
    """Answer of one SQL statement. Views: every kind that the cache holds (klines, aggTrades, fundingRate, ...), each with its own columns and with
    market and symbol (bars: and interval) in front. Times are UTC. Raises DataError for an empty cache or a statement that DuckDB refuses.
    """
    import duckdb

    cache = Path(cache).resolve()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        views = [name for name in KINDS if _view(connection, cache, name)]
        if not views:
            raise DataError(f"there is nothing in the cache {cache}", "Load some data first: hftkit data fetch")
        try:
            return connection.execute(sql).df()
        except duckdb.Error as error:
            raise DataError(f"SQL: {str(error).splitlines()[0]}", f"The views are {', '.join(views)}; columns: DESCRIBE {views[0]}") from None


def _view(connection: object, cache: Path, name: str) -> bool:
    """Make the view of one kind; whether there are files of it."""
    kind, folder = KINDS[name], cache / name
    depth = 3 if kind.bars or kind.ticks else 2
    if not any(folder.glob("/".join(["*"] * (depth - 1) + ["*.parquet"]))):
        return False
    pattern = str(folder / "/".join(["*"] * (depth - 1) + ["*.parquet"])).replace("'", "''")
    market = f"split_part(filename, '/', -{depth}) AS market"
    symbol = "split_part(filename, '/', -2) AS symbol" if kind.ticks else "parse_filename(filename, true) AS symbol"
    interval = "split_part(filename, '/', -2) AS interval, " if kind.bars else ""
    own = "EXCLUDE (filename, symbol)" if "symbol" in kind.columns else "EXCLUDE (filename)"
    connection.execute(  # type: ignore[attr-defined]
        f"CREATE VIEW \"{name}\" AS SELECT {market}, {interval}{symbol}, * {own} FROM read_parquet('{pattern}', filename = true)"
    )
    return True
