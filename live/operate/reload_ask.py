"""`hftkit reload`: ask a running session to take new files, and wait for what comes of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from hftkit.clock import monotonic_s
from hftkit.errors import ConfigError, HftkitError
from hftkit.session.control import CONTROL_PAGE, ControlPage
from hftkit.session.find_session import FoundSession
from live.operate.operate import DONE, NOBODY, REFUSED, SILENT, holdings, what_to_do
from live.operate.reload_files import Answer, Request, answer_to, put_request, take_back

_POLL_S = 0.01


@dataclass(frozen=True)
class Asked:
    """What it came to. `what`: DONE, REFUSED, NOBODY or SILENT; `text`: one line for people; `answer`: the engine's own."""

    session: str
    what: str
    text: str
    answer: Answer | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data for programs."""
        answer = self.answer if self.answer is not None else Answer(number=0, done=False, text="")
        body = msgspec.to_builtins(answer)
        return {
            "session": self.session, "command": "reload", "outcome": self.what, "text": self.text,
            "params": body["params"], "limits": body["limits"], "paused_ms": answer.paused_ms,
        }  # fmt: skip


def ask_reload(found: FoundSession, params: Sequence[str], limits: str, timeout_s: float) -> Asked:
    """Ask for new frozen files and limits, and wait for the engine's answer. Raises ConfigError where nothing is asked for."""
    if not params and not limits:
        raise ConfigError("nothing to reload", "Name a frozen file with --params, or a TOML file with --limits")
    process = found.process
    if process is None:
        try:
            process = ControlPage.attach(found.folder / CONTROL_PAGE).owner
        except HftkitError as error:
            return _nobody(found, error.problem)
    if not process.alive:
        return _nobody(found, "no engine runs")
    request = Request(
        number=secrets.randbits(62) + 1,
        params=tuple(str(Path(path).absolute()) for path in params),
        limits=str(Path(limits).absolute()) if limits else "",
    )
    try:
        put_request(found.folder, request)
    except HftkitError as error:
        return Asked(found.name, SILENT, f"reload was not asked for: {error.problem}")
    started = monotonic_s()
    while True:
        alive = process.alive
        answer = answer_to(found.folder, request.number)
        if answer is not None:
            return Asked(found.name, DONE if answer.done else REFUSED, f"reload {answer.text}", answer)
        if not alive:
            take_back(found.folder)
            return _nobody(found, "the engine has just ended")
        if monotonic_s() - started > timeout_s:
            fate = "it was taken back" if take_back(found.folder) else "the engine has taken it, and `session.log` will say what came of it"
            return Asked(found.name, SILENT, f"reload was not answered in {timeout_s:g} s, {fate} (process {process.pid})")
        time.sleep(_POLL_S)


def _nobody(found: FoundSession, why: str) -> Asked:
    held = holdings(found.folder)
    return Asked(found.name, NOBODY, f"nobody received this: {why}; {held.text}. {what_to_do(found, held)}")
