"""`hftkit data record`: streams of a Binance-compatible venue to disk."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--symbols", required=True, help="Comma separated: BTCUSDT,ETHUSDT.")
@click.option(
    "--streams", default="depth@100ms,trade,bookTicker", show_default=True, help="depth, bookTicker, trade, aggTrade, markPrice, kline_1m ..."
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("data/cache/recordings"), show_default=True, help="Folder.")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), help="Seconds. Default: until Ctrl-C.")
@click.option("--config", type=click.Path(dir_okay=False), help="TOML file with [venue.binance]; see live/configs/.")
@click.option("--ready-file", type=click.Path(dir_okay=False, path_type=Path), help="Addresses from `hftkit sim --binance-port --ready-file`.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def record(symbols: str, streams: str, out: Path, duration: float | None, config: str | None, ready_file: Path | None, as_json: bool) -> None:
    """Record streams of a Binance-compatible venue, one file a symbol, as they come; order book snapshots are put where they are needed.

    \b
    Example:
      hftkit data record --config live/configs/binance-live.toml --symbols BTCUSDT,ETHUSDT --duration 3600
    """
    from hftkit.config import load_config
    from live.config import EngineConfig
    from live.ready_file import read_ready_file
    from live.record.recorder import StreamRecorder, summary_line
    from live.venues.binance.adapter import urls_from_ready

    settings = load_config(EngineConfig, config)
    stop = threading.Event()
    ready = read_ready_file(ready_file, settings.venue.connect_timeout_s, stop.wait).offered() if ready_file else {}

    def say(event: str, **facts: Any) -> None:
        with contextlib.suppress(OSError):  # a terminal that is gone ends no recording
            click.echo(" ".join([event, *(f"{name}={value}" for name, value in facts.items())]), err=True)

    recorder = StreamRecorder(urls_from_ready(settings.venue.binance, ready), symbols.split(","), streams.split(","), out, say)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup has its reasons
            signal.signal(number, lambda *_: stop.set())
    summary = recorder.run(stop, duration)
    with contextlib.suppress(OSError):
        click.echo(json.dumps(summary) if as_json else summary_line(summary))
