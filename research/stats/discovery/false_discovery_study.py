"""How often a scan reports a pair where there is none: universes of walks, by kind of market and length.

    python -m research.stats.discovery.false_discovery_study --universes 500 --out study.csv      # hours for all; goes on where it was stopped
    python -m research.stats.discovery.false_discovery_study --out study.csv --kinds t3,garch --rows 100,200 --universes 100

In each universe no pair is cointegrated (a copy with its own original is no false pair), so the false-discovery rate is the share of universes that
report any. The same statistics are judged three times: by the p-values a scan decides by ("auto"), by those of the finite sample for all, and
by the asymptotic ones. A universe depends only on kind, length and its number.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pandas as pd
from scipy.stats import binom

from research.data.progress import progress
from research.stats.discovery.multiple_testing import benjamini_hochberg
from research.stats.discovery.null_distribution import RULES, null_distribution
from research.stats.discovery.pair_scan import scan_pairs
from research.stats.validation import default_maxlag

KINDS = {
    "normal": "normal changes",
    "t3": "changes of Student's t with 3 degrees of freedom",
    "garch": "GARCH(1,1) each of its own: 0.05 + 0.1 e^2 + 0.85 h",
    "drift": "one volatility for all, its log a walk that ends 1.5 from its start (standard deviation)",
    "bounce": "normal changes, and each price half a spread off, up or down: half a spread = the deviation of a change",
    "factor": "a common factor with loadings 0.2 to 1.8, as large as the changes of their own",
    "copies": "seven walks and near copies of three of them",
}
ROWS = (30, 40, 60, 100, 200, 500, 1000, 5000)
LEVEL, SYMBOLS = 0.05, 10
FIELDS = ("kind", "n", "first", "universes", "auto", "finite", "asymptotic", "bootstrapped", "tested", "low_auto", "low_asymptotic")
_A_ROW = 25  # universes counted in one row of the file


def universe(kind: str, n: int, rng: np.random.Generator, symbols: int = SYMBOLS) -> pd.DataFrame:
    """Prices of a universe without a cointegrated pair, one column a symbol (W0 ..; W0C is the copy of W0), `n` rows. Kinds: KINDS."""
    changes = rng.normal(size=(n, symbols))
    if kind == "t3":
        changes = rng.standard_t(3, size=(n, symbols))
    elif kind == "garch":
        changes = _garch(rng, n, symbols)
    elif kind == "drift":
        changes *= np.exp(np.cumsum(rng.normal(size=(n, 1)), axis=0) * 1.5 / np.sqrt(n))
    elif kind == "factor":
        changes += rng.normal(size=(n, 1)) * rng.uniform(0.2, 1.8, symbols)
    walks = np.cumsum(changes, axis=0)
    if kind == "bounce":
        walks += rng.choice([-1.0, 1.0], size=walks.shape)
    names = [f"W{i}" for i in range(symbols)]
    if kind == "copies":
        walks[:, symbols - 3 :] = walks[:, :3] + 1e-4 * rng.normal(size=(n, 3))
        names[symbols - 3 :] = ["W0C", "W1C", "W2C"]
    return pd.DataFrame(np.exp(0.01 * walks), columns=names)


def _garch(rng: np.random.Generator, n: int, symbols: int, before: int = 200) -> np.ndarray:
    noise = rng.normal(size=(n + before, symbols))
    variance, changes = np.ones(symbols), np.empty_like(noise)
    for t in range(n + before):
        changes[t] = np.sqrt(variance) * noise[t]
        variance = 0.05 + 0.1 * changes[t] ** 2 + 0.85 * variance
    return changes[before:]


def judge(prices: pd.DataFrame, threads: int | None = None) -> dict[str, float]:
    """Whether a false pair is reported at 5 % by each sort of p-value; pairs tested and bootstrapped; shares of p-values below 5 %."""
    scan = scan_pairs(prices, threads=threads)
    n = len(prices)
    null = null_distribution(n, 1, default_maxlag(n), RULES["aic"], True)
    real = np.array([a.rstrip("C") == b.rstrip("C") for a, b in zip(scan["lead"], scan["hedge"], strict=True)])
    asymptotic = scan["pvalue_asymptotic"].to_numpy()
    by = {"auto": scan["q_bh"].to_numpy(), "finite": benjamini_hochberg(null.p_values(asymptotic)), "asymptotic": benjamini_hochberg(asymptotic)}
    found = {name: float((~real & (q <= LEVEL)).any()) for name, q in by.items()}
    tested = scan["pvalue"].notna().to_numpy()
    return found | {
        "bootstrapped": float(scan["draws"].notna().sum()),
        "tested": float(tested.sum()),
        "low_auto": float((scan["pvalue"].to_numpy()[tested] < 0.05).sum()),
        "low_asymptotic": float((asymptotic[tested] < 0.05).sum()),
    }


def count(kind: str, n: int, first: int, universes: int, threads: int | None = None) -> dict[str, float | str]:
    """Sums over the universes number `first` .. `first` + `universes` - 1 of a kind and length."""
    total: dict[str, float] = dict.fromkeys(FIELDS[4:], 0.0)
    for number in range(first, first + universes):
        rng = np.random.default_rng((list(KINDS).index(kind), n, number))
        for name, value in judge(universe(kind, n, rng), threads).items():
            total[name] += value
    return {"kind": kind, "n": n, "first": first, "universes": universes, **total}


def band(universes: int, level: float = LEVEL, confidence: float = 0.99) -> tuple[int, int]:
    """Counts between which a rate of `level` stays with `confidence`: binomial quantiles."""
    tail = (1.0 - confidence) / 2.0
    return int(binom.ppf(tail, universes, level)), int(binom.ppf(1.0 - tail, universes, level))


def read(path: Path) -> pd.DataFrame:
    """Counts by kind and length so far: one row each, in the order of KINDS."""
    rows = pd.read_csv(path).drop(columns="first").groupby(["kind", "n"], as_index=False).sum()
    return rows.sort_values(["kind", "n"], key=lambda part: part.map(list(KINDS).index) if part.name == "kind" else part, ignore_index=True)


def table(counts: pd.DataFrame) -> Iterator[str]:
    """The counts as a table in Markdown: universes with a false pair, in bold where above the band of the nominal rate."""
    yield "| kind | rows | universes | nominal, 99 % band | scan | finite sample for all | asymptotic | bootstrapped | p < 0.05: scan, asymptotic |"
    yield "|---|---:|---:|---|---:|---:|---:|---:|---|"
    for row in counts.itertuples():
        low, high = band(int(row.universes))
        marked = [f"**{int(value)}**" if value > high else str(int(value)) for value in (row.auto, row.finite, row.asymptotic)]
        share = f"{row.low_auto / row.tested:.1%}, {row.low_asymptotic / row.tested:.1%}"
        nominal = f"{row.universes * LEVEL:.0f}, {low} .. {high}"
        yield f"| {row.kind} | {row.n} | {row.universes} | {nominal} | {' | '.join(marked)} | {row.bootstrapped / row.tested:.0%} | {share} |"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Counts so far (CSV); goes on with it.")
@click.option("--universes", type=click.IntRange(1), default=500, show_default=True)
@click.option("--kinds", default=",".join(KINDS), help="Separated by commas.")
@click.option("--rows", default=",".join(map(str, ROWS)), help="Lengths, separated by commas.")
@click.option("--threads", type=click.IntRange(1), help="[default: all cores]")
def main(out: Path, universes: int, kinds: str, rows: str, threads: int | None) -> None:
    """Count, or go on counting, and print the table."""
    started = out.is_file() and out.stat().st_size > 0
    done = {(row.kind, row.n): int(row.universes) for row in read(out).itertuples()} if started else {}
    cells = [(kind, int(n)) for n in rows.split(",") for kind in kinds.split(",")]
    wanted = [(kind, n, first) for kind, n in cells for first in range(done.get((kind, n), 0), universes, _A_ROW)]
    with out.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if not started:
            writer.writeheader()
        for kind, n, first in progress(wanted, "universes"):
            writer.writerow(count(kind, n, first, min(_A_ROW, universes - first), threads))
            file.flush()
    for line in table(read(out)):
        click.echo(line)


if __name__ == "__main__":
    main()
