"""The strategies: one file each, found by name. See README.md for how to add one."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from hftkit.codes import Hook
from hftkit.errors import ParamsError

if TYPE_CHECKING:
    from hftkit.params.format import FrozenParams


@dataclass(frozen=True)
class Strategy:
    """What a strategy file offers as `STRATEGY`.

    `schema`: msgspec Struct of its parameters (floats, frozen as decimal text; integers). `module`: where its compiled hooks live, each
    optional: `on_book`, `on_trade`, `on_fill`, `on_timer` (kernels/hooks.py). `pack_params(frozen)` and `pack_state(frozen)` give the hooks'
    float64 arrays: its parameters, and its state seeded from the frozen model arrays. `beliefs`: what it assumes of the market, in one
    sentence. `arrays`: names of the model arrays that it reads; a frozen file with another one is refused. `policies`: those
    of execution that can do what it wishes.
    `objection(frozen, values)`: what is wrong between parameters and legs, "" if nothing is. `most_hedge_lots(frozen, values)`: hedge lots of the
    largest unit it may ask for; the limits of a session are compared with it. `state_objection(frozen, state)`: why
    the hooks must not be run on a state (float64) that comes from a file, say a place in a ring beyond its end, "" if they may.
    `state_after(before, after, state)`: the state to go on with when another frozen file takes the place of `before` in a session that runs
    (`go_on`).
    """

    name: str
    version: int
    module: str
    schema: type[msgspec.Struct]
    pack_params: Callable[[FrozenParams], np.ndarray]
    pack_state: Callable[[FrozenParams], np.ndarray]
    beliefs: str
    arrays: tuple[str, ...] = ()
    policies: tuple[str, ...] = ("pair", "single")
    objection: Callable[[FrozenParams, Any], str] = lambda frozen, values: ""
    most_hedge_lots: Callable[[FrozenParams, Any], int] = lambda frozen, values: abs(frozen.legs.unit_hedge_lots)
    state_objection: Callable[[FrozenParams, np.ndarray], str] = lambda frozen, state: ""
    state_after: Callable[[FrozenParams, FrozenParams, np.ndarray], np.ndarray] | None = None

    def go_on(self, before: FrozenParams, after: FrozenParams, state: np.ndarray) -> np.ndarray:
        """The state (float64) that the hooks go on with once the frozen file `after` has taken the place of `before`.

        A strategy that does not say (`state_after`) keeps its state where no parameter has changed, else it begins anew. Raises ParamsError for
        what cannot be changed while it runs.
        """
        state = state[: self.pack_state(before).size]
        if self.state_after is not None:
            return self.state_after(before, after, state)
        return state.copy() if before.parameters == after.parameters else self.pack_state(after)

    def check(self, frozen: FrozenParams, where: str) -> Any:
        """The parameters, validated. Raises ParamsError naming the parameter and what is allowed."""
        if frozen.strategy_version != self.version:
            raise ParamsError(f"{where} is for {self.name} version {frozen.strategy_version}, installed is version {self.version}", "Freeze again")
        again = "Calibrate and freeze again"
        if frozen.policy not in self.policies:
            raise ParamsError(f"{where}: {self.name} trades by policy {' or '.join(self.policies)}, the file names {frozen.policy}", "Freeze again")
        if unknown := sorted(set(frozen.arrays) - set(self.arrays)):
            known = f"it reads {', '.join(self.arrays)}" if self.arrays else "it reads none"
            raise ParamsError(f"{where}: the strategy {self.name} knows no array {unknown[0][:64]!r}; {known}", "A newer hftkit may, or freeze again")
        try:
            checked = msgspec.convert(frozen.parameters, self.schema, strict=False)
        except (msgspec.ValidationError, OverflowError) as error:
            raise ParamsError(f"{where}: parameter {error}", again) from None
        for name, value in msgspec.structs.asdict(checked).items():  # "nan" and "inf" are floats to msgspec
            if isinstance(value, float) and not math.isfinite(value):
                raise ParamsError(f"{where}: parameter {name} is {value}, it must be finite", again)
        problem = self.objection(frozen, checked)
        if problem:
            raise ParamsError(f"{where}: {problem}", again)
        return checked

    def hooks(self) -> dict[Hook, Any]:
        """The compiled functions that it is called through, of the signature `hftkit.kernels.hooks.HOOK_SIGNATURE`."""
        found = vars(importlib.import_module(self.module))
        return {hook: found[hook.name.lower()] for hook in Hook if hook.name.lower() in found}


_registered: dict[str, Strategy] = {}


def register(found: Strategy) -> None:
    """Have `strategy` find this one by its name in this process: of a file that is not installed."""
    _registered[found.name] = found


def strategy(name: str) -> Strategy:
    """Find a strategy: one that was registered, a file in this folder, or an entry point `hftkit.strategies` of another package."""
    if name in _registered:
        return _registered[name]
    if name.isidentifier() and not name.startswith("_"):
        try:
            return importlib.import_module(f"hftkit.strategies.{name}").STRATEGY
        except ModuleNotFoundError as error:
            if error.name != f"hftkit.strategies.{name}":
                raise
    for entry in entry_points(group="hftkit.strategies", name=name):
        return entry.load()
    raise ParamsError(f"there is no strategy {name[:64]!r}", "See hftkit/strategies/ for those that exist")
