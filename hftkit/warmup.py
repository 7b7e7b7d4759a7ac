"""Which kernels a session needs, told by the rooms that use them.

A room registers a function under the entry point group `hftkit.warmup`. It returns a list of (label, function): calling the function
compiles the kernel for the argument types the room uses, or loads it from the disk cache. `hftkit warmup` runs them all, so that the first
`hftkit live` on a machine does not spend its first minute compiling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points

from hftkit.clock import monotonic_ns

GROUP = "hftkit.warmup"
Task = tuple[str, Callable[[], object]]


@dataclass(frozen=True)
class Warmed:
    """One kernel that is ready, and what it took."""

    label: str
    seconds: float


def find_tasks() -> tuple[list[Task], list[str]]:
    """Everything that the installed rooms compile, and a line for each room that is not installed here."""
    tasks: list[Task] = []
    skipped: list[str] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            tasks += entry.load()()
        except ModuleNotFoundError as error:
            skipped.append(f"{entry.name} skipped: {error.name} is not installed")
    return tasks, skipped


def warm_all(tasks: list[Task]) -> Iterator[Warmed]:
    """Run the tasks in order and report each when it is done. An error in a task is the caller's."""
    for label, compile_it in tasks:
        start = monotonic_ns()
        compile_it()
        yield Warmed(label, (monotonic_ns() - start) / 1e9)
