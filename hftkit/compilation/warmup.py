"""Which kernels a session needs, told by the rooms that use them.

A room registers a function under the entry point group `hftkit.warmup`. It returns a list of (label, function): calling the function
compiles the kernel for the argument types the room uses, or loads it from the disk cache. `hftkit warmup` runs them all, on all cores, so that the
first `hftkit live` on a machine does not spend its first minute compiling. A room lists what takes longest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import chain, zip_longest
from multiprocessing import get_context

from hftkit.clock import monotonic_ns
from hftkit.compilation.compile_profile import Compiled, profiled

GROUP = "hftkit.warmup"
Task = tuple[str, Callable[[], object]]


@dataclass(frozen=True)
class Warmed:
    """One kernel that is ready, what it took, and what was compiled for it: nothing where the disk cache had it."""

    label: str
    seconds: float
    compiled: tuple[Compiled, ...] = ()


def find_tasks() -> tuple[list[Task], list[str]]:
    """Everything that the installed rooms compile, and a line for each room that is not installed here.

    One of each room in turn, in the order in which the room lists them: rooms share little, so that what compiles at the same time is not the same.
    """
    rooms: list[list[Task]] = []
    skipped: list[str] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            rooms.append(entry.load()())
        except ModuleNotFoundError as error:
            skipped.append(f"{entry.name} skipped: {error.name} is not installed")
    return [task for task in chain.from_iterable(zip_longest(*rooms)) if task is not None], skipped


def _warm_one(label: str) -> Warmed:
    """Find one task again in a process of its own, and run it."""
    return _run(label, dict(find_tasks()[0])[label])


def _run(label: str, compile_it: Callable[[], object]) -> Warmed:
    start = monotonic_ns()
    with profiled() as profile:
        compile_it()
    return Warmed(label, (monotonic_ns() - start) / 1e9, tuple(profile.done))


def warm_all(tasks: list[Task], jobs: int = 1) -> Iterator[Warmed]:
    """Run the tasks, `jobs` at a time, and report each, in their order, when it is done. An error in a task is the caller's."""
    if jobs > 1 and len(tasks) > 1:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            yield from pool.map(_warm_one, [label for label, _ in tasks])
        return
    for label, compile_it in tasks:
        yield _run(label, compile_it)
