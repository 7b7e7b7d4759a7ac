"""The notebook's panel: a running engine's state, and buttons to pause, resume, flatten and stop it.

The panel reads the telemetry page from this process; the engine does not notice. It refreshes in a thread of its own, so it moves while a cell
runs. One panel a session: when a cell is run again, the panel it made before is closed. Errors are shown in the panel, never swallowed.
Where widgets cannot be rendered (a committed notebook, an export) the same figures appear as static HTML.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets

from hftkit.clock import monotonic_ns
from hftkit.codes import Control
from hftkit.session.find_session import in_folder
from hftkit.session.telemetry import Snapshot
from live.operate.operate import DONE, give
from live.panels.draw import DrawnSeries, zscore_svg
from live.panels.render import figures_html, headline_html, page_html, tables_html, text_lines
from live.panels.session import find_pages
from live.panels.view import ENDED, View, view

REFRESH_S = 0.5
ANSWER_S = 3.0  # an engine answers within a turn of its loop
_BUTTONS = (
    (Control.PAUSE, "Pause", "pause", "no new entries; open positions are still managed"),
    (Control.RESUME, "Resume", "play", "trade again"),
    (Control.FLATTEN, "Flatten", "compress", "leave every position, then stay paused"),
    (Control.STOP, "Stop", "stop", "flatten, log out, end the session"),
)
_STYLE = {Control.RESUME: "success", Control.FLATTEN: "warning", Control.STOP: "danger"}


class EnginePanel:
    """A panel on a session: its folder, its id, its telemetry page, or None for the only one that runs. Show it as the last expression of a cell;
    `close()` ends it.

    `refresh_s`: seconds between two looks. Raises HftkitError if there is no session.
    """

    _open: ClassVar[dict[str, EnginePanel]] = {}

    def __init__(self, session: Path | str | None = None, refresh_s: float = REFRESH_S) -> None:
        self._reader, control = find_pages(session)
        self._folder = control.parent
        key = str(self._reader.path.resolve())
        if key in EnginePanel._open:
            EnginePanel._open[key].close()
        EnginePanel._open[key] = self
        self._key = key
        self._previous: Snapshot | None = None
        self._histories = [DrawnSeries() for _ in self._reader.info["strategies"]]
        self._headline, self._figures, self._tables = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self._charts = [ipywidgets.HTML() for _ in self._histories]
        self._message = ipywidgets.HTML()
        self._buttons = [self._button(*button) for button in _BUTTONS]
        top = ipywidgets.HBox([self._headline, *self._buttons], layout=ipywidgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="6px"))
        layout = ipywidgets.Layout(padding="10px", border="1px solid var(--jp-border-color2, #ddd)")
        self.widget = ipywidgets.VBox([top, self._message, self._figures, *self._charts, self._tables], layout=layout)
        self._finished = threading.Event()
        self._lock = threading.RLock()  # the refreshing thread and the cell that shows the panel both look
        self.refresh()
        self._thread = threading.Thread(target=self._run, args=(refresh_s,), name="hftkit-panel", daemon=True)
        self._thread.start()

    def _button(self, code: Control, text: str, icon: str, tooltip: str) -> ipywidgets.Button:
        button = ipywidgets.Button(description=text, icon=icon, tooltip=tooltip, button_style=_STYLE.get(code, ""))
        button.layout.width = "100px"
        button.on_click(lambda _: self.send(code))
        return button

    def send(self, code: Control) -> None:
        """Give the engine a command, as the buttons do. What came of it is shown in the panel: done, refused, or nobody listens and what is held."""
        try:
            told = give(in_folder(self._folder), code, ANSWER_S)
        except Exception as error:  # shown to the operator, who pressed the button
            self._say(f"{code.text} was not sent: {error}", failed=True)
            return
        self._say(told.text, failed=told.what != DONE)

    def _say(self, text: str, failed: bool = False) -> None:
        from html import escape

        colour = "#b03a2e" if failed else "inherit"
        self._message.value = f'<div class="hftkit-message" style="font-family:sans-serif;font-size:12px;color:{colour}">{escape(text)}</div>'

    def current(self) -> View:
        """A view of this moment, from the page."""
        with self._lock:
            snapshot = self._reader.read()
            shown = view(snapshot, self._reader.info, monotonic_ns(), self._previous)
            self._previous = snapshot
            for history, strategy in zip(self._histories, shown.strategies, strict=True):
                history.add(strategy)
            return shown

    def refresh(self) -> View:
        """Look once and update what is shown, in place."""
        shown = self.current()
        self._headline.value, self._figures.value, self._tables.value = headline_html(shown), figures_html(shown), tables_html(shown)
        for chart, text in zip(self._charts, self._drawn(shown), strict=True):
            chart.value = text
        if shown.status in ENDED:
            for button in self._buttons:
                button.disabled = True
        return shown

    def _drawn(self, shown: View) -> list[str]:
        with self._lock:
            return [zscore_svg(history, strategy) for history, strategy in zip(self._histories, shown.strategies, strict=True)]

    def _run(self, refresh_s: float) -> None:
        while not self._finished.wait(refresh_s):
            try:
                if self.refresh().status in ENDED:
                    return  # nothing will change any more: the last picture stays
            except Exception as error:  # a panel shows what went wrong and tries again; it has nobody above it to tell
                self._say(f"cannot read the engine's page: {error}", failed=True)

    def close(self) -> None:
        """End the refreshing and take the widgets away. Closing twice is fine."""
        self._finished.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)
        if EnginePanel._open.get(self._key) is self:
            del EnginePanel._open[self._key]
        for widget in (*self._buttons, *self._charts, self._headline, self._figures, self._tables, self._message, self.widget):
            widget.close()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        shown = self.current()
        bundle = dict(self.widget._repr_mimebundle_() or {})
        return {**bundle, "text/html": page_html(shown, self._drawn(shown)), "text/plain": "\n".join(text_lines(shown))}
