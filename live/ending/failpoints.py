"""A switch for drills: make one named part of the cold side fail, to see that the session still ends well (docs/operations.md).

`HFTKIT_DEBUG_FAIL=NAME`, `NAME,after_n` (it works n times first), `NAME,after_n,exit` (it raises SystemExit instead of an Exception) or
`NAME,after_n,kill` (the process ends there, as by kill -9); read once, by the engine when it starts. Without it `reach` is one comparison. Every
name stands in NAMES with where it is, so that a drill can go through all.
"""

from __future__ import annotations

import os
import signal
import threading

from hftkit.errors import ConfigError

VARIABLE = "HFTKIT_DEBUG_FAIL"
KILLS_VARIABLE = "HFTKIT_DEBUG_KILLS"  # a file: so many bytes, so many kills, whichever processes come by
NAMES: dict[str, str] = {
    "journal prepare": "engine's thread: the next segment is made",
    "journal sync": "engine's thread: the segment is written to disk",
    "journal roll": "hot thread, between two runs of its loop: the next segment is taken",
    "snapshot": "hot thread, at a segment's beginning: the state is written",
    "snapshot written": "hot thread: the state has been written",
    "notes": "engine's thread: a note of the hot thread becomes a log line",
    "log line": "every thread: a line is rendered",
    "log file": "every thread: a line is written",
    "venue turn": "engine's thread: the line is watched",
    "signals": "engine's thread: changes of what strategies want are logged",
    "watch": "engine's thread: halts are looked for",
    "page": "engine's thread: the line's rows of the telemetry page",
    "command": "engine's thread: a command is written to the control page",
    "task clock": "venue loop",
    "task requests": "venue loop",
    "task request": "venue loop: one request of the line is served",
    "task orders by REST": "venue loop",
    "task listen key": "venue loop",
    "task reconcile": "venue loop",
    "task dead man": "venue loop",
    "stream public": "stream thread",
    "stream market": "stream thread",
    "stream private": "stream thread",
    "stream orders": "stream thread",
    "ask what is left": "venue loop, at the end: the venue is asked what is open",
    "session end": "engine's thread, at the end: the last record of the journal",
    "result": "engine's thread, at the end: result.json",
    "latency": "engine's thread, at the end: latency.hlog",
    "keep page": "engine's thread, at the end: the page leaves shared memory",
}
_armed, _after, _how = "", 0, "raise"
_lock = threading.Lock()


class Drill(RuntimeError):
    """What an armed failpoint raises."""


def arm(text: str | None = None) -> None:
    """Arm what `text` says, by default the environment's. Raises ConfigError for a name that is none."""
    global _armed, _after, _how
    name, *rest = [part.strip() for part in (os.environ.get(VARIABLE, "") if text is None else text).split(",")]
    if name and (name not in NAMES or (rest and not rest[0].isdigit()) or rest[1:] not in ([], ["exit"], ["kill"])):
        raise ConfigError(f"{VARIABLE}: {name!r} is no failpoint", f"NAME[,after_n[,exit|kill]], NAME one of: {', '.join(NAMES)}")
    _armed, _after, _how = name, int(rest[0]) if rest else 0, rest[1] if len(rest) == 2 else "raise"


def _may_kill() -> bool:
    """Whether there is a kill left: the file of KILLS_VARIABLE has a byte for each; without one there always is."""
    path = os.environ.get(KILLS_VARIABLE, "")
    if not path:
        return True
    left = os.stat(path).st_size
    if left:
        os.truncate(path, left - 1)
    return left > 0


def reach(name: str) -> None:
    """Raise here if this failpoint is armed and has been passed often enough. From any thread."""
    global _after
    if name != _armed:
        return
    with _lock:
        _after -= 1
        if _after >= 0:
            return
    if _how == "kill":
        if _may_kill():
            os.kill(os.getpid(), signal.SIGKILL)
        return
    if _how == "exit":
        raise SystemExit(f"drill: {name}")
    raise Drill(f"drill: {name}")
