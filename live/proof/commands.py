"""Command line of the long proofs: `hftkit soak`, `hftkit chaos`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import msgspec

from hftkit.system import private_files
from live.proof.soak import Sample, Soak
from live.proof.soak import soak as run_soak


@click.command()
@click.option("--params", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="The frozen file that is traded.")
@click.option("--hours", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="Of wall time.")
@click.option("--dialect", type=click.Choice(["binary", "binance"]), default="binary", show_default=True, help="What the session speaks.")
@click.option("--speed", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="Exchange seconds a second.")
@click.option("--sim-config", metavar="FILE", type=click.Path(path_type=Path), help="Configuration of the simulator, or `binance`.")
@click.option("--config", "live_config", metavar="FILE", type=click.Path(path_type=Path, exists=True), help="Configuration of the session.")
@click.option("--every", "every_s", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Seconds between two looks.")
@click.option("--out", metavar="FOLDER", type=click.Path(path_type=Path), help="Keep logs and journal here [default: nowhere].")
@click.option("--verify", is_flag=True, help="Replay the whole journal at the end.")
@click.option("--json", "json_file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write every look here.")
def soak(
    params: Path, hours: float, dialect: str, speed: float, sim_config: Path | None, live_config: Path | None, every_s: float,
    out: Path | None, verify: bool, json_file: Path | None,
) -> None:  # fmt: skip
    """Run a session against the simulator for hours, and say whether it grows.

    Memory, descriptors and threads of engine and venue, size of the journal. The exit status is 1 if
    the session did not end flat, or its replay differs.

    \b
    Example:
      hftkit soak --params data/frozen/pairs-....json --hours 8 --json soak.json
    """
    with tempfile.TemporaryDirectory(prefix="hftkit-soak-") as scratch:
        report = run_soak(
            params, out or Path(scratch) / "soak", hours, dialect=dialect, speed=speed, sim_config=sim_config, live_config=live_config,
            every_s=every_s, verify=verify, said=_say,
        )  # fmt: skip
    if json_file is not None:
        private_files.write(json_file, msgspec.json.format(msgspec.json.encode(report)), "report", replace=True)
    for line in in_words(report):
        click.echo(line)
    sys.exit(0 if report.exit_code in (0, 3) and report.replay_identical is not False else 1)


def _say(sample: Sample) -> None:
    click.echo(
        f"{sample.seconds / 3600:7.3f} h  engine {sample.engine.rss_mb:.1f} MB, {sample.engine.descriptors} descriptors | "
        f"venue {sample.venue.rss_mb:.1f} MB | {sample.messages:,} messages, {sample.orders:,} orders, {sample.fills:,} fills",
        err=True,
    )


def in_words(report: Soak) -> list[str]:
    """The report for people, one line a subject."""
    lines = [
        f"{report.hours:.2f} h at speed {report.speed:g}, {report.dialect}: {report.messages:,} messages, {report.orders:,} orders, "
        f"{report.fills:,} fills; exit status {report.exit_code}"
    ]
    for name, found in (("engine", report.engine), ("venue", report.venue)):
        lines.append(
            f"{name}: {found.rss_mb_first:.1f} -> {found.rss_mb_last:.1f} MB (most {found.rss_mb_most:.1f}, {found.rss_mb_per_hour:+.2f} an hour), "
            f"descriptors {found.descriptors_first} -> {found.descriptors_last}, {found.threads_last} threads"
        )
    lines.append(f"journal: {report.journal_mb:.1f} MB, {report.journal_mb_per_hour:.1f} an hour")
    if report.replay_identical is not None:
        lines.append("replay: identical" if report.replay_identical else "replay: DIFFERS")
    return lines


@click.command()
@click.option("--kills", type=click.IntRange(0), default=20, show_default=True, help="SIGKILLs at random moments.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the moments.")
@click.option("--dialect", type=click.Choice(["binary"]), default="binary", show_default=True, help="What the session speaks.")
@click.option("--boundaries", is_flag=True, help="The engine also ends itself at each named boundary, before and after.")
@click.option("--params", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="What is traded [default: a pair that trades often].")
@click.option("--sim-config", metavar="FILE", type=click.Path(path_type=Path), help="Configuration of the simulator.")
@click.option(
    "--longest", "longest_s", type=click.FloatRange(0), default=6.0, show_default=True, help="Seconds of trading before a kill, at the most."
)
@click.option("--speed", type=click.FloatRange(0, min_open=True), default=120.0, show_default=True, help="Exchange seconds a second.")
@click.option("--out", metavar="FOLDER", type=click.Path(path_type=Path), help="Keep journals and the venue's record here [default: nowhere].")
@click.option("--json", "json_file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write the report here.")
def chaos(
    kills: int, seed: int, dialect: str, boundaries: bool, params: Path | None, sim_config: Path | None, longest_s: float, speed: float,
    out: Path | None, json_file: Path | None,
) -> None:  # fmt: skip
    """Kill the engine of a supervised session again and again, and compare its journals with the venue's own record.

    The exit status is 1 if an order or a fill was lost or doubled, the ledgers differ, something is left open, or a replay differs.

    \b
    Example:
      hftkit chaos --kills 50 --seed 1 --json chaos.json
    """
    from live.proof.chaos import chaos as run_chaos

    with tempfile.TemporaryDirectory(prefix="hftkit-chaos-") as scratch:
        report = run_chaos(
            out or Path(scratch) / "chaos", kills, seed, params=params, speed=speed, longest_s=longest_s, at_boundaries=boundaries,
            sim_config=sim_config,
            said=lambda line: click.echo(line, err=True),
        )  # fmt: skip
    text = msgspec.json.format(msgspec.json.encode(report))
    if json_file is not None:
        private_files.write(json_file, text, "report", replace=True)
    times = report.recovery_ms
    click.echo(
        f"{report.kills} kills, {report.sessions} sessions, {report.orders:,} orders, {report.fills:,} fills: {report.orders_lost} orders lost, "
        f"{report.orders_doubled} doubled, fills {_same(report.fills_equal)}, ledgers {_same(report.ledger_equal)}, {report.left_open} left open"
    )
    click.echo(f"from death to trading: p50 {times.p50:.0f} ms, p99 {times.p99:.0f} ms, most {times.max:.0f} ms ({times.n} measured)")
    click.echo("replay: identical" if report.replay_identical else "replay: DIFFERS")
    for problem in report.problems:
        click.echo(problem)
    sys.exit(0 if report.holds else 1)


def _same(equal: bool) -> str:
    return "equal" if equal else "DIFFER"
