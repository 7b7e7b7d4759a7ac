"""Make engle_granger_null.csv again: quantiles of the Engle-Granger statistic where nothing is cointegrated, by trend, lag rule and length.

    python -m research.stats.discovery.null_table --out table.csv          # some 15 minutes on two cores; goes on where it was stopped

Every row has its seed and its number of draws; the same command gives the same bytes.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click
import numpy as np

from hftkit.kernels.stats.mackinnon import TRENDS
from research.data.progress import progress
from research.stats.discovery.null_distribution import FEWEST_IN_TAIL, LEVELS, RULES, TABLE, column, read_table, simulate
from research.stats.validation import default_maxlag

# Both sides of every step of the default largest lag below 200 rows (9 to 10 at 32, 10 to 11 at 49, ..), then wider and wider.
_SHORT = (21, 22, 24, 26, 28, 31, 32, 36, 40, 44, 48, 49, 54, 60, 70, 71, 85, 100, 101, 120, 138, 170, 200)
LENGTHS = (*_SHORT, 300, 400, 500, 700, 1000, 2000, 5000)
TABULATED = (("c", "aic"), ("c", "bic"), ("c", "t-stat"), ("ct", "aic"))  # trend and lag rule; the others are simulated on demand
SEED = 20_261_130


def draws_of(n: int, trend: str, autolag: str) -> int:
    """Most draws for what is asked for most: trend "c", above all by AIC."""
    if (trend, autolag) == ("c", "aic"):
        return 200_000 if n <= 24 else int(min(max(50_000_000 // n, 100_000), 1_000_000))  # below 26 rows most take the careful road
    if trend == "c":
        return 100_000 if n <= 200 else 50_000 if n <= 1000 else 25_000
    return 40_000 if n <= 1000 else 20_000


def make_row(n: int, trend: str, autolag: str, draws: int) -> dict[str, str]:
    """One row of the table, as text."""
    lags = default_maxlag(n)
    statistics = simulate(n, TRENDS.index(trend), lags, RULES[autolag], draws, SEED)
    known = statistics[~np.isnan(statistics)]
    row = {"trend": trend, "autolag": autolag, "n": str(n), "maxlag": str(lags), "draws": str(known.size), "seed": str(SEED)}
    return row | {column(level): f"{np.quantile(known, level):.4f}" if level * known.size >= FEWEST_IN_TAIL else "" for level in LEVELS}


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=TABLE, show_default=False, help="The file to write or to go on with.")
def main(out: Path) -> None:
    """Make the table, or go on with it."""
    done = {(row["trend"], row["autolag"], int(row["n"])) for row in read_table(out)} if out.is_file() else set()
    wanted = [(n, trend, rule) for trend, rule in TABULATED for n in LENGTHS]
    with out.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["trend", "autolag", "n", "maxlag", "draws", "seed", *map(column, LEVELS)], lineterminator="\n")
        if not done:
            writer.writeheader()
        for n, trend, rule in progress([key for key in wanted if (key[1], key[2], key[0]) not in done], "null distributions"):
            writer.writerow(make_row(n, trend, rule, draws_of(n, trend, rule)))
            file.flush()


if __name__ == "__main__":
    main()
