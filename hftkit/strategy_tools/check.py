"""Whether a strategy may trade: schema, no allocation, what it writes, no look into the future, a replay that is bit-equal, an end to every call.

Each step runs in a process of its own (trial.py), since compiled code that loops for ever cannot be interrupted: it is ended, and the hook is named.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

STEPS = ("schema", "writes", "look-ahead", "replay")
BOUNDED = ("schema", "writes")  # with every index checked
_CALL_S = 10.0  # between two lines of the trial once hooks are called: 400 calls take milliseconds


@dataclass(frozen=True)
class Step:
    """One step: whether it passed, and what was found."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Report:
    """All steps, up to the first that was not passed."""

    strategy: str
    steps: tuple[Step, ...]

    @property
    def passed(self) -> bool:
        """Whether it may trade."""
        return len(self.steps) == len(STEPS) and all(step.passed for step in self.steps)

    def lines(self) -> list[str]:
        """The report in words."""
        return [f"{'ok  ' if step.passed else 'FAIL'} {step.name:10} {step.found}" for step in self.steps]


def check_strategy(name: str, params: str = "", compile_s: float = 300.0, call_s: float = _CALL_S) -> Report:
    """Check the strategy in the file `name`, or installed as `name`, with the frozen file `params`, or with its own example.

    `compile_s`: longest time to import and compile; `call_s`: longest time without an answer once its hooks are called.
    """
    steps: list[Step] = []
    for step in STEPS:
        steps.append(_run(name, params, step, compile_s, call_s))
        if not steps[-1].passed:
            break
    return Report(name, tuple(steps))


def _run(name: str, params: str, step: str, compile_s: float, call_s: float) -> Step:
    command = [sys.executable, "-m", "hftkit.strategy_tools.trial", name, params, step]
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1"} if step in BOUNDED else dict(os.environ)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as trial:
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        errors: list[str] = []
        readers = [threading.Thread(target=_pass_on, args=(trial.stdout, lines)), threading.Thread(target=lambda: errors.append(trial.stderr.read()))]  # type: ignore[union-attr]
        for reader in readers:
            reader.start()
        try:
            return _follow(step, lines, errors, readers[1], compile_s, call_s)
        finally:
            trial.kill()
            for reader in readers:
                reader.join()


def _pass_on(stream: Any, lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _follow(step: str, lines: queue.SimpleQueue[str | None], errors: list[str], reader: threading.Thread, compile_s: float, call_s: float) -> Step:
    """Read what the trial says until it has come to an answer, or says nothing for too long."""
    calling, patience = "", compile_s
    while True:
        try:
            line = lines.get(timeout=patience)
        except queue.Empty:
            if calling:
                return Step(step, False, f"{calling} does not come back within {patience:g} s: it loops for ever, or takes far too long")
            return Step(step, False, f"not compiled within {patience:g} s")
        if line is None:
            reader.join()
            last = ["", *"".join(errors).strip().splitlines()][-1]
            return Step(
                step, False, f"the trial ended: {last or 'without a word; a hook has broken its memory'}{f' (in {calling})' if calling else ''}"
            )
        said = json.loads(line)
        if "calling" in said:
            calling = str(said["calling"])
            patience = compile_s if step == "replay" else call_s
        elif "passed" in said:
            return Step(step, True, str(said["found"]))
        elif "refused" in said:
            return Step(step, False, str(said["why"]))
