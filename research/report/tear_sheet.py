"""The tear sheet of a backtest: what it earned, when, at what cost and risk; as figures and as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator, PercentFormatter

from research.backtest.event_backtest import PairBacktest, bar_ns_of, legs_of
from research.pairs.performance import bootstrap_band, drawdowns, summary
from research.report.figures import BLUE, GREEN, GREY, INK, ORANGE, RED, Figure, bare, legend, stacked, thin, time_axis

_LABELS = {
    "net_return": ("net return on the unit's lead leg", "{:.2%}"),
    "annual_return": ("annual return, arithmetic: profits of a fixed size, not compounded", "{:.1%}"),
    "sharpe": ("Sharpe ratio, annualised", "{:.2f}"),
    "sortino": ("Sortino ratio, annualised", "{:.2f}"),
    "calmar": ("Calmar ratio", "{:.2f}"),
    "max_drawdown": ("largest drawdown, share of the unit's lead leg", "{:.2%}"),
    "var_95": ("value at risk 95 %, one bar", "{:.3%}"),
    "expected_shortfall_95": ("expected shortfall 95 %, one bar", "{:.3%}"),
    "trades": ("round trips", "{:.0f}"),
    "win_rate": ("winning", "{:.0%}"),
    "profit_factor": ("profit factor", "{:.2f}"),
    "average_bars": ("average bars in a trade", "{:.1f}"),
    "probabilistic_sharpe": ("probability that the Sharpe ratio is above 0", "{:.1%}"),
    "turnover": ("turnover, units of the lead leg", "{:.0f}"),
    "exposure": ("share of bars with a position", "{:.0%}"),
    "bars_a_year": ("bars a year, by the data's calendar", "{:,.0f}"),
}


def figures_of(run: PairBacktest) -> pd.Series:
    """All figures of a run (performance.summary) with turnover (of capital) and exposure (share of bars)."""
    figures = summary(run.returns, run.trades, bar_ns_of(run.frozen, run.bars))
    lead = run.fills[run.fills["symbol"] == run.frozen.legs.lead]
    figures["turnover"] = float((lead["price"] * lead["qty"]).sum() / run.capital)
    figures["exposure"] = float((run.bars["target"] != 0).mean())
    return figures


def cost_split(run: PairBacktest) -> pd.Series:
    """Quote currency: `gross` before all costs, `fees`, `crossing` (the touch against the mid of its bar), `slippage` (beyond the touch),
    `funding`, `net`.

    gross = fees + crossing + slippage + funding + net.
    """
    fees, slippage, funding = float(run.fills["fee"].sum()), float(run.fills["slippage"].sum()), float(run.funding["paid"].sum())
    crossing = float(run.fills["cost"].sum()) - slippage
    net = float(run.bars["equity"].iloc[-1])
    gross = net + fees + crossing + slippage + funding
    return pd.Series({"gross": gross, "fees": fees, "crossing": crossing, "slippage": slippage, "funding": funding, "net": net})


def equity_figure(run: PairBacktest) -> Figure:
    """Running return after and before costs, drawdown and position below."""
    figure, (axes, below, last) = stacked(3, 5.6, ratios=(4, 1.4, 1))
    equity = run.bars["equity"] / run.capital
    paid = pd.concat([run.fills["fee"] + run.fills["cost"], run.funding["paid"].astype(float)]).groupby(level=0).sum().cumsum()
    before = equity + paid.reindex(equity.index, method="ffill").fillna(0.0) / run.capital
    for series, color, width, name in ((before, GREY, 0.9, "before costs"), (equity, BLUE, 1.3, "after costs")):
        axes.plot(thin(series).index, thin(series), color=color, lw=width, label=name)
    axes.axhline(0, color=INK, lw=0.5)
    axes.set_ylabel("return on the\nlead's notional")
    axes.set_title(f"{' / '.join(legs_of(run.frozen))}: {len(run.trades)} round trips on the live step")
    legend(axes, 2)
    fall = pd.Series(drawdowns(run.returns.to_numpy(), compounded=False), run.bars.index)
    below.fill_between(thin(fall).index, thin(fall), color=RED, alpha=0.5, lw=0)
    below.set_ylabel("drawdown")
    for one in (axes, below):
        one.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        one.tick_params(labelbottom=False)
    last.fill_between(run.bars.index, run.bars["target"], step="post", color=ORANGE, alpha=0.6, lw=0)
    last.set_ylabel("position\n(units)")
    last.set_yticks([-1, 0, 1])
    last.set_ylim(-1.3, 1.3)
    time_axis(last)
    return figure


def calendar_figure(run: PairBacktest) -> Figure:
    """Net return by calendar cell: years x months; months x days, or days x hours, where the run is too short for that to say anything."""
    returns = run.returns
    index = pd.DatetimeIndex(returns.index) - pd.Timedelta(1, "ns")  # a bar that closes at midnight belongs to the day before
    span = index[-1] - index[0]
    if span > pd.Timedelta(400, "D"):
        rows, columns, names = index.strftime("%Y"), index.month, ("year", "month")
    elif span > pd.Timedelta(20, "D"):
        rows, columns, names = index.strftime("%Y-%m"), index.day, ("month", "day of the month")
    else:
        rows, columns, names = index.strftime("%m-%d"), index.hour, ("day", "hour (UTC)")
    grid = pd.pivot_table(pd.DataFrame({"r": rows, "c": columns, "v": returns.to_numpy()}), index="r", columns="c", values="v", aggfunc="sum")
    figure = Figure(figsize=(9.0, min(8.0, 1.5 + 0.36 * len(grid))), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    largest = float(np.nanmax(np.abs(grid.to_numpy()))) or 1.0
    image = axes.imshow(grid, cmap=colormaps["RdBu"].with_extremes(bad="#eef1f3"), vmin=-largest, vmax=largest, aspect="auto")
    axes.set_xticks(range(grid.shape[1]), [str(column) for column in grid.columns], fontsize=8)
    axes.set_yticks(range(grid.shape[0]), list(grid.index), fontsize=8)
    axes.set_xlabel(names[1])
    axes.set_ylabel(names[0])
    axes.set_title("Net return by time", fontsize=11)
    bar = figure.colorbar(image, ax=axes, pad=0.01)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    bare(axes)
    return figure


def trades_figure(run: PairBacktest) -> Figure:
    """Net of each round trip, and where the gross result went."""
    figure = Figure(figsize=(9.0, 3.2), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    net = run.trades["net"].dropna().to_numpy(np.float64)
    if len(net):
        bins = np.histogram_bin_edges(net, min(40, max(8, len(net) // 4)))
        for part, color, name in ((net[net > 0], GREEN, "won"), (net[net <= 0], RED, "lost")):
            left.hist(part, bins=bins, color=color, alpha=0.75, label=f"{name}: {len(part)}")
        left.axvline(net.mean(), color=INK, lw=1.0, ls="--", label=f"mean {net.mean():.2f}")
        left.legend(fontsize=8, frameon=False)
    left.set_xlabel("net of a round trip (quote currency)")
    left.set_ylabel("round trips")
    split = cost_split(run)
    names = ["before costs", "fees", "crossing the spread", "slippage by size", "funding", "net"]
    values = [split["gross"], *(-split[cost] for cost in ("fees", "crossing", "slippage", "funding")), split["net"]]
    bars = right.barh(names, values, color=[GREY, *[ORANGE] * 4, GREEN if split["net"] > 0 else RED])
    right.bar_label(bars, fmt="%.2f", fontsize=8, padding=3)
    right.invert_yaxis()
    right.axvline(0, color=INK, lw=0.6)
    low, high = right.get_xlim()
    right.set_xlim(low - 0.28 * (high - low), high + 0.22 * (high - low))
    right.xaxis.set_major_locator(MaxNLocator(4))
    right.set_xlabel("quote currency")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=9)
    return figure


def write_tear_sheet(run: PairBacktest, path: Path) -> Path:
    """One HTML file with all figures, the table of figures with a bootstrap band of the net return, and the list of trades."""
    figures = figures_of(run)
    low, high = bootstrap_band(run.returns.to_numpy(), draws=500)
    rows = "".join(f"<tr><td>{label}</td><td>{_number(figures[name], form)}</td></tr>" for name, (label, form) in _LABELS.items())
    rows += f"<tr><td>net return, 90 % bootstrap band</td><td>{low:.2%} .. {high:.2%}</td></tr>"
    pictures = "".join(_picture(figure) for figure in (equity_figure(run), calendar_figure(run), trades_figure(run)))
    table = run.trades.copy()
    table["side"] = table["side"].map({1: "buy the spread", -1: "sell the spread"})
    listed = table.to_html(index=False, border=0, float_format=lambda value: f"{value:.4f}", na_rep="open")
    name, first, last = html.escape(run.frozen.name), run.bars.index[0], run.bars.index[-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{name}</title><style>{_STYLE}</style><body><h1>{name}</h1>"
        f"<p>{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, {len(run.bars)} bars, {run.engine.events} events, {run.engine.orders} orders, "
        f"{len(run.fills)} fills; frozen file {run.frozen.digest[:12] or 'not written'}; final state {run.engine.digest[:12]}</p>"
        f"<table>{rows}</table>{pictures}<h2>Round trips</h2>{listed}</body></html>\n"
    )
    return path


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;color:#22313f;max-width:1000px;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .9em .2em 0;text-align:right;border-bottom:1px solid #e3e8eb}"
    "td:first-child,th:first-child{text-align:left}img{max-width:100%;margin:.6em 0}"
)


def _number(value: float, form: str) -> str:
    return form.format(value) if np.isfinite(value) else "none"


def _picture(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return f"<img alt='' src='data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}'>"
