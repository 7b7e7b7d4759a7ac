"""The demo's report as one HTML file that needs nothing else: numbers, pictures, what each means, what to do next.

Numbers come from the same dictionary that is written to report.json, so text and pictures cannot disagree. No script, no address, no font from
elsewhere: it opens from a disk, on a telephone, and on paper.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from research.pairs.calibration import Calibration
from research.pairs.freezing.pipeline import PipelineResult

Truth = Sequence[Mapping[str, Any]]  # the entries of truth.json: lead, hedge, half-life, and `until` where the relation ended

_HOPS = {
    "signal": ("T1→T2", "book, signal"),
    "risk": ("T2→T3", "legs, risk, orders"),
    "send": ("T3→T4", "journal, send"),
    "tick_to_order": ("T1→T4", "tick to order"),
    "ack": ("T4→T5", "acknowledged by the venue"),
    "tick": ("T1→done", "every message"),
}


def write_report(
    path: Path, report: Mapping[str, Any], found: PipelineResult, truth: Truth | None, pictures: Mapping[str, bytes], commands: Sequence[str]
) -> Path:
    """Write the page. `pictures`: PNG files by the names that demo.py gives them; `commands`: what to try next, ready to be copied."""
    sections = (
        _search(report, found, truth, pictures["pairs"]),
        _candidates(found, truth),
        _calibration(report, found, pictures),
        _session(report, pictures),
        _speed(report, pictures["latency"]),
        _proof(report),
        _next(report, commands),
    )
    lead, hedge = report["pair_traded"].split("/")
    body = "".join(sections)
    path.write_text(
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>hftkit demo: {html.escape(lead)} / {html.escape(hedge)}</title><style>{_STYLE}</style></head><body>"
        f"<header><h1>From prices to a replayed session</h1><p>{_summary(report)}</p>{_cards(report)}</header>{body}"
        f"<footer>report.json beside this page holds every number of it. Took {report['wall_s']:.0f} s.</footer></body></html>\n"
    )
    return path


def _summary(report: Mapping[str, Any]) -> str:
    own = report["pairs_true"] is None
    market = "your prices, then a simulated market made like them" if own else "a synthetic market, whose truth is known"
    return (
        f"One run of <code>hftkit demo</code> on {market}. It searched for pairs, calibrated them on one span and judged them "
        f"on others, froze one file, traded it through the compiled engine against the exchange simulator, and replayed the session."
    )


def _cards(report: Mapping[str, Any]) -> str:
    outside = report["out_of_sample"]
    cards = (
        ("traded pair", html.escape(report["pair_traded"].replace("/", " / ")), f"of {report['pairs_tested']} ordered pairs tested"),
        ("out of sample", f"Sharpe {outside['sharpe']:.1f}", f"net {outside['net']:+.2%}, {outside['trades']:.0f} trades, after costs"),
        (
            "session",
            f"{float(report['net_pnl']):+,.2f}",
            f"net of {float(report['fees']):,.2f} fees, {report['fills']} fills, {report['exits']} exits",
        ),
        ("tick to order", f"{report['tick_to_order_us']['p50']:,.0f} µs", f"median; 99 %: {report['tick_to_order_us']['p99']:,.0f} µs"),
        ("replay", "identical" if report["replay_identical"] else "DIFFERENT", "every decision, every outgoing byte"),
    )
    return (
        "<div class='cards'>"
        + "".join(f"<div><b>{name}</b><strong>{value}</strong><span>{note}</span></div>" for name, value, note in cards)
        + "</div>"
    )


def _section(title: str, text: str, *parts: str) -> str:
    return f"<section><h2>{title}</h2><p>{text}</p>{''.join(parts)}</section>"


def _figure(picture: bytes, alternative: str, meaning: str) -> str:
    data = base64.b64encode(picture).decode()
    return f"<figure><img alt='{html.escape(alternative, quote=True)}' src='data:image/png;base64,{data}'><figcaption>{meaning}</figcaption></figure>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], marked: int | None = None) -> str:
    head = "".join(f"<th>{name}</th>" for name in header)
    body = ""
    for number, row in enumerate(rows):
        body += ("<tr class='chosen'>" if number == marked else "<tr>") + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def truth_of_pair(lead: str, hedge: str, truth: Truth) -> str:
    """What the generator says of two symbols: tied, tied until, or not tied."""
    for pair in truth:
        if {pair["lead"], pair["hedge"]} == {lead, hedge}:
            return f"tied until {pair['until'][:10]}" if pair.get("until") else "tied"
    return "not tied"


def _search(report: Mapping[str, Any], found: PipelineResult, truth: Truth | None, picture: bytes) -> str:
    scan = found.scan
    untested = len(scan) - report["pairs_tested"]
    tested = f"{len(scan)} ordered pairs of {found.panel.closes.shape[1]} instruments: {report['pairs_tested']} tested"
    skipped = f", {untested} left out before the test (too little correlation or too thin)" if untested else ""
    low = int((scan["pvalue"] < 0.05).sum())
    text = (
        f"{tested}{skipped}. {low} have p &lt; 0.05, which chance alone gives one test in twenty; {len(report['pairs_found'])} pairs are left when "
        f"the false-discovery rate is held at {found.search.fdr:.0%}. Only the first half of the data was looked at here."
    )
    if truth is not None:
        verdicts = [truth_of_pair(pair.split("/")[0], pair.split("/")[1], truth) for pair in report["pairs_found"]]
        tied = sum(verdict == "tied" for verdict in verdicts)
        ended = sum(verdict.startswith("tied until") for verdict in verdicts)
        text += f" The truth, known because the market is made up: of those found, {tied} are tied to this day, {ended} no longer, "
        text += f"{len(verdicts) - tied - ended} never were."
    meaning = "Each square is one regression of a lead on a hedge. Dark: the residual comes back to its mean by more than chance would explain."
    if truth is not None:
        meaning += " Framed: the pairs that the market's maker tied together."
    return _section("1. The search", text, _figure(picture, "q-values of all ordered pairs", meaning))


def _candidates(found: PipelineResult, truth: Truth | None) -> str:
    header = ["pair", "half-life", "trades", "Sharpe on train", "on validation", "what became of it"]
    if truth is not None:
        header.append("truth")
    bar_h = found.panel.bar_ns / 3.6e12
    rows = []
    for candidate in found.candidates:
        row = [
            html.escape(f"{candidate.lead} / {candidate.hedge}"),
            _hours(float(candidate.test_of_train.half_life) * bar_h),
            f"{candidate.train.trades} + {candidate.validation.trades}",
            f"{candidate.train.sharpe:.1f}",
            f"{candidate.validation.sharpe:.1f}",
            _fate(candidate, found),
        ]
        rows.append([*row, truth_of_pair(candidate.lead, candidate.hedge, truth)] if truth is not None else row)
    marked = next((n for n, one in enumerate(found.candidates) if one is found.chosen), None)
    text = (
        "Found is not tradable. Each pair found was calibrated on the first half, after costs, and then run unchanged over the next quarter, "
        "which had no part in the calibration. The best of that quarter was taken."
    )
    notes = "".join(f"<li>{html.escape(warning)}</li>" for warning in found.warnings)
    return _section("2. What became of the candidates", text, _table(header, rows, marked), f"<ul class='notes'>{notes}</ul>" if notes else "")


def _fate(candidate: Calibration, found: PipelineResult) -> str:
    if candidate is found.chosen:
        return "<b>chosen, frozen, traded</b>"
    if candidate.validation.net <= 0.0:
        return f"rejected: lost {-candidate.validation.net:.2%} on validation"
    return "earned its costs, less surely"


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"


def _calibration(report: Mapping[str, Any], found: PipelineResult, pictures: Mapping[str, bytes]) -> str:
    chosen, best = found.chosen, found.chosen.sweep.chosen
    outside = report["out_of_sample"]
    hours = best.window * found.panel.bar_ns / 3.6e12
    rule = (
        f"Enter when the spread is {best.entry_z:g} standard deviations from its mean of the last {best.window} bars ({_hours(hours)}), leave at "
        f"{best.exit_z:g}, give up at {best.stop_z:g}. One unit of {html.escape(chosen.lead)} against {chosen.hedge_ratio:.3f} of "
        f"{html.escape(chosen.hedge)}. A fill was charged {1e4 * chosen.costs.per_fill():.2f} bps; a round trip has four."
    )
    region = "Framed: the chosen cell. It was taken because its neighbours do well too; a lone dark square is luck."
    judged = (
        f"What is left on bars that had no part in any choice: Sharpe {outside['sharpe']:.2f}, net {outside['net']:+.2%} of the lead's notional, "
        f"largest drawdown {abs(outside['max_drawdown']):.2%}, in the market {outside['exposure']:.0%} of the time. {_doubt(found)}"
    )
    return _section(
        "3. Calibrated, then judged",
        rule,
        _figure(pictures["calibration"], "Sharpe ratio over window and entry threshold", region),
        _figure(pictures["out_of_sample"], "Sharpe ratio and return on train, validation and test", judged),
    )


def _doubt(found: PipelineResult) -> str:
    """How far luck reaches: the band of the test span's Sharpe ratio, and what the trials before it leave of the train span's."""
    outside, sweep = found.params.provenance["out_of_sample"], found.chosen.sweep
    low, high = (outside["confidence"]["sharpe"][end] for end in ("low", "high"))
    return (
        f"Luck alone moves that ratio between {low[:5]} and {high[:5]} (90 % of bootstrap draws). After "
        f"{sweep.tried.count:,} trials, the probability that the train span showed more than luck is {sweep.deflated_sharpe:.0%}."
    )


def _session(report: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    fees, net = float(report["fees"]), float(report["net_pnl"])
    rows = [
        ["orders", f"{report['orders_sent']} sent, {report['orders_received_by_venue']} received by the venue, {report['orders_lost']} lost, "
         f"{report['orders_duplicated']} doubled, {report['rejects']} rejected, {report['vetoes']} refused by risk"],
        ["fills", f"{report['fills']} by our books, {report['fills_at_venue']} by the venue's"],
        ["round trips", f"{report['entries']} entries, {report['exits']} exits, {report['unwinds']} unwound because the hedge was late"],
        ["profit and loss", f"realised {float(report['realized_pnl']):+,.4f}, fees {fees:,.4f}, net <b>{net:+,.4f}</b> (quote currency)"],
        ["left at the end", ", ".join(f"{html.escape(symbol)} {lots}" for symbol, lots in report["end_positions"].items()) + " lots"],
    ]  # fmt: skip
    text = (
        f"Simulator and engine are processes of their own and talk over TCP. Exchange time ran {report['exchange_speed']:,.0f} times as fast as the "
        f"clock on the wall, so that {_hours(report['exchange_hours'])} of market fit into {report['seconds']:.0f} s."
    )
    spread = "Triangles: entries. Dots: back to flat. The last point is the state after the closing orders, so the positions below end at zero."
    equity = f"Ends at {net:+,.2f}, the net result of the table above: the last point is taken after the closing fills and their fees."
    modest = f"One session of {_hours(report['exchange_hours'])} proves that the machinery works. It says next to nothing about the pair."
    return _section(
        "4. Traded",
        text,
        _table(["what", ""], rows),
        _figure(pictures["spread"], "z-score with entries and exits", spread),
        _figure(pictures["equity"], "profit and loss of the session", equity),
        f"<p>{modest}</p>",
    )


def _speed(report: Mapping[str, Any], picture: bytes) -> str:
    rows = []
    for hop, (between, what) in _HOPS.items():
        row = report["latency_us"][hop]
        rows.append([between, what, *(f"{row[key]:,.1f}" for key in ("p50", "p95", "p99", "p999", "max")), f"{row['n']:,.0f}"])
    text = (
        "Microseconds on this machine, while simulator, engine and this research shared its cores. T1: the bytes of a tick can be "
        "read. T4: the order's bytes are handed to the socket, with the journal already written. For figures beside "
        "a reference: <code>hftkit bench</code>."
    )
    meaning = "The right end is what a bad moment costs: another process on the core, not the engine's own work."
    header = ["hop", "", "50 %", "95 %", "99 %", "99.9 %", "largest", "n"]
    return _section("5. How fast", text, _table(header, rows), _figure(picture, "latency of each hop by percentile", meaning))


def _proof(report: Mapping[str, Any]) -> str:
    verdict = "the same, byte for byte" if report["replay_identical"] else "DIFFERENT: do not trade this build"
    text = (
        f"The journal held {report['replay_inputs']:,} inputs. Each was given to the same compiled step again, and "
        f"{report['replay_outputs']:,} outgoing messages and the final state were compared: <b>{verdict}</b>. "
        "A bug seen live can be reproduced at a desk."
    )
    return _section("6. Proved", text)


def _next(report: Mapping[str, Any], commands: Sequence[str]) -> str:
    text = "From here, one command at a time. Nothing below sends an order to a real venue."
    listed = "".join(f"<pre>{html.escape(command)}</pre>" for command in commands)
    doubts = (
        "<p><b>Before you believe any of this on your own prices:</b> a profit after four fills of costs is small and its error is large; a "
        "pair that was tied last month may not be tied today; the simulator's market does not lean against you. "
        "Chapters 09 and 13 of the notebooks are about that.</p>"
    )
    frozen = f"<p>The frozen file: <code>{html.escape(report['params_file'])}</code>, digest <code>{report['params_digest'][:12]}</code>.</p>"
    return _section("7. What next", text, listed, frozen, doubts)


_STYLE = """
:root{--ink:#22313f;--soft:#5b6b78;--line:#e3e8eb;--blue:#2f6690;--tint:#f4f7f9}
*{box-sizing:border-box}
body{font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:var(--ink)}
body{max-width:1040px;margin:0 auto;padding:2.2em 1.4em}
h1{font-size:2em;line-height:1.2;margin:0 0 .3em}
h2{font-size:1.3em;margin:0 0 .4em;color:var(--blue)}
p{margin:.5em 0;max-width:74ch}
section{border-top:1px solid var(--line);padding:1.8em 0 .6em}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:.8em;margin:1.4em 0 1.8em}
.cards div{background:var(--tint);border-radius:8px;padding:.8em 1em}
.cards b,.cards span{display:block;color:var(--soft);font-weight:400;font-size:.84em}
.cards strong{display:block;font-size:1.25em;line-height:1.35;overflow-wrap:anywhere}
.wide{overflow-x:auto}
table{border-collapse:collapse;margin:1em 0;font-size:.92em;font-variant-numeric:tabular-nums}
th,td{padding:.4em 1em .4em 0;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:500}
tr.chosen td{background:#eaf6ef}
figure{margin:1.4em 0}
img{max-width:100%;height:auto;display:block}
figcaption{color:var(--soft);font-size:.92em;max-width:80ch;margin-top:.3em}
.notes{color:#8a5300;font-size:.92em;max-width:84ch}
pre{background:var(--tint);border-radius:6px;padding:.6em .9em;overflow-x:auto;margin:.5em 0;font-size:.9em}
code{background:var(--tint);border-radius:4px;padding:.05em .3em;font-size:.92em}
footer{border-top:1px solid var(--line);color:var(--soft);font-size:.88em;padding:1.2em 0;margin-top:1em}
@media print{section,figure{break-inside:avoid}}
"""
