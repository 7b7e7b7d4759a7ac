"""The stated false-discovery rate holds: a light version of the study in docs/research.md, which counts 500 universes a kind and length."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from research.stats.discovery.false_discovery_study import KINDS, band, count, main, read, table, universe


@pytest.mark.parametrize(("kind", "n", "universes"), [("normal", 30, 40), ("copies", 60, 20), ("drift", 100, 20), ("bounce", 60, 20)])
def test_no_more_universes_report_a_pair_than_stated(kind, n, universes):
    """Nominal 5 %; never above the 99 % band. Asymptotic p-values of the same universes are above it, but for copies."""
    found = count(kind, n, 0, universes, threads=1)
    high = band(universes)[1]
    assert found["auto"] <= high
    if kind != "copies":
        assert found["asymptotic"] > high


def test_universes_are_what_they_say():
    rng = np.random.default_rng
    for kind in KINDS:
        prices = universe(kind, 400, rng(1))
        assert prices.shape == (400, 10)
        assert (prices > 0).all(axis=None)
        assert prices.equals(universe(kind, 400, rng(1)))
    changes = {kind: np.log(universe(kind, 4000, rng(2))).diff().dropna().to_numpy() for kind in KINDS}
    assert np.corrcoef(changes["bounce"][1:, 0], changes["bounce"][:-1, 0])[0, 1] == pytest.approx(-1 / 3, abs=0.05)
    squares = changes["garch"] ** 2
    assert np.mean([np.corrcoef(one[1:], one[:-1])[0, 1] for one in squares.T]) == pytest.approx(0.18, abs=0.06)  # Bollerslev 1986: 0.179
    assert np.corrcoef(changes["factor"].T)[np.triu_indices(10, 1)].mean() > 0.3
    assert np.corrcoef(changes["copies"].T)[0, 7] > 0.999


def test_the_study_goes_on_where_it_stopped_and_prints_its_table(tmp_path):
    out = tmp_path / "study.csv"
    command = ["--out", str(out), "--kinds", "normal", "--rows", "30,40", "--threads", "1"]
    CliRunner().invoke(main, [*command, "--universes", "25"], catch_exceptions=False)
    first = out.read_text()
    text = CliRunner().invoke(main, [*command, "--universes", "30"], catch_exceptions=False).output
    assert out.read_text().startswith(first)
    counts = read(out)
    assert counts["universes"].tolist() == [30, 30]
    assert text.splitlines() == list(table(counts))
    assert len(text.splitlines()) == 4
