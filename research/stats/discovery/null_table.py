"""Make the tables of quantiles under the null hypothesis again, by trend, lag rule and length: Engle-Granger's, and Dickey-Fuller's of one series.

    python -m research.stats.discovery.null_table --out table.csv                 # some 15 minutes on two cores; goes on where it was stopped
    python -m research.stats.discovery.null_table --unit-root --out table.csv     # 10 minutes; dickey_fuller_null.csv

Every row has its seed and its number of draws; the same command gives the same bytes.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click
import numpy as np

from hftkit.kernels.stats.mackinnon import TRENDS
from research.data.progress import progress
from research.stats.discovery.null_distribution import (
    FEWEST_IN_TAIL,
    LEVELS,
    RULES,
    TABLE,
    UNIT_ROOT_TABLE,
    column,
    read_table,
    simulate,
    simulate_unit_root,
)
from research.stats.validation import default_maxlag

# Both sides of every step of the default largest lag below 200 rows (9 to 10 at 32, 10 to 11 at 49, ..), then wider and wider.
_SHORT = (21, 22, 24, 26, 28, 31, 32, 36, 40, 44, 48, 49, 54, 60, 70, 71, 85, 100, 101, 120, 138, 170, 200)
LENGTHS = (*_SHORT, 300, 400, 500, 700, 1000, 2000, 5000)
TABULATED = (("c", "aic"), ("c", "bic"), ("c", "t-stat"), ("ct", "aic"))  # trend and lag rule; the others are simulated on demand
UNIT_ROOT_LENGTHS = (28, 31, 32, 40, 48, 49, 60, 70, 71, 85, 100, 101, 138, 200, 300, 500, 1000, 2000)
UNIT_ROOT_TABULATED = (("c", "aic"),)  # how a frozen spread is tested
SEED = 20_261_130


def draws_of(n: int, trend: str, autolag: str) -> int:
    """Most draws for what is asked for most: trend "c", above all by AIC."""
    if (trend, autolag) == ("c", "aic"):
        return 200_000 if n <= 24 else int(min(max(50_000_000 // n, 100_000), 1_000_000))  # below 26 rows most take the careful road
    if trend == "c":
        return 100_000 if n <= 200 else 50_000 if n <= 1000 else 25_000
    return 40_000 if n <= 1000 else 20_000


def unit_root_draws_of(n: int) -> int:
    """Draws for a row of Dickey-Fuller's table: fewer where each takes milliseconds."""
    return 100_000 if n <= 200 else 40_000 if n <= 500 else 20_000


def make_row(n: int, trend: str, autolag: str, draws: int, unit_root: bool = False) -> dict[str, str]:
    """One row of the table, as text; `unit_root`: of the Dickey-Fuller test of one series."""
    lags = default_maxlag(n)
    statistics = (simulate_unit_root if unit_root else simulate)(n, TRENDS.index(trend), lags, RULES[autolag], draws, SEED)
    known = statistics[~np.isnan(statistics)]
    row = {"trend": trend, "autolag": autolag, "n": str(n), "maxlag": str(lags), "draws": str(known.size), "seed": str(SEED)}
    return row | {column(level): f"{np.quantile(known, level):.4f}" if level * known.size >= FEWEST_IN_TAIL else "" for level in LEVELS}


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=None, help="The file to write or to go on with. Default: the committed one.")
@click.option("--unit-root", is_flag=True, help="Dickey-Fuller's test of one series instead of Engle and Granger's of a pair.")
def main(out: Path | None, unit_root: bool) -> None:
    """Make the table, or go on with it."""
    path = out or (UNIT_ROOT_TABLE if unit_root else TABLE)
    done = {(row["trend"], row["autolag"], int(row["n"])) for row in read_table(path)} if path.is_file() else set()
    rules, lengths = (UNIT_ROOT_TABULATED, UNIT_ROOT_LENGTHS) if unit_root else (TABULATED, LENGTHS)
    wanted = [(n, trend, rule) for trend, rule in rules for n in lengths]
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["trend", "autolag", "n", "maxlag", "draws", "seed", *map(column, LEVELS)], lineterminator="\n")
        if not done:
            writer.writeheader()
        for n, trend, rule in progress([key for key in wanted if (key[1], key[2], key[0]) not in done], "null distributions"):
            draws = unit_root_draws_of(n) if unit_root else draws_of(n, trend, rule)
            writer.writerow(make_row(n, trend, rule, draws, unit_root))
            file.flush()


if __name__ == "__main__":
    main()
