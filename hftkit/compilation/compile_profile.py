"""What compiles how long: every function that numba compiles while a block runs, with the seconds of its own, without those of what it calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hftkit.clock import monotonic_ns


@dataclass(frozen=True)
class Compiled:
    """One compilation.

    Attributes
    ----------
    module, name : str
        Of the function; a `name` that ends in ".piece" is code for the programs that call it, without machine code of its own.
    seconds : float
        Wall time of its own, without the functions that it made numba compile.
    """

    module: str
    name: str
    seconds: float


@dataclass
class _Running:
    module: str
    name: str
    began_ns: int
    inner_ns: int = 0


@dataclass
class Profile:
    """The compilations of one process, in the order in which they ended. Shared: one thread compiles, numba's lock sees to it."""

    done: list[Compiled] = field(default_factory=list)
    _stack: list[_Running] = field(default_factory=list)

    def started(self, module: str, name: str, now_ns: int) -> None:
        """A function begins to compile."""
        self._stack.append(_Running(module, name, now_ns))

    def ended(self, now_ns: int) -> None:
        """The one begun last is done."""
        if not self._stack:
            return
        one = self._stack.pop()
        whole = now_ns - one.began_ns
        if self._stack:
            self._stack[-1].inner_ns += whole
        self.done.append(Compiled(one.module, one.name, (whole - one.inner_ns) / 1e9))


@contextlib.contextmanager
def profiled() -> Iterator[Profile]:
    """While this block runs, compilations are timed; what is loaded from the disk cache is none. Imports numba."""
    from numba.core import event

    profile = Profile()

    class _Listener(event.Listener):
        def on_start(self, event: object) -> None:
            function = getattr(getattr(event, "data", {}).get("dispatcher"), "py_func", None)
            profile.started(getattr(function, "__module__", "?"), getattr(function, "__qualname__", "?"), monotonic_ns())

        def on_end(self, event: object) -> None:
            profile.ended(monotonic_ns())

    listener = _Listener()
    event.register("numba:compile", listener)
    try:
        yield profile
    finally:
        event.unregister("numba:compile", listener)


def summed(compiled: Iterable[Compiled]) -> list[tuple[Compiled, int]]:
    """Each function once, with all its seconds and how often it was compiled; the costliest first."""
    seconds: dict[tuple[str, str], float] = {}
    times: dict[tuple[str, str], int] = {}
    for one in compiled:
        key = (one.module, one.name)
        seconds[key] = seconds.get(key, 0.0) + one.seconds
        times[key] = times.get(key, 0) + 1
    return [(Compiled(*key, seconds[key]), times[key]) for key in sorted(seconds, key=lambda key: -seconds[key])]
