"""New parameters and new limits while a session runs: what may change, and what a change does to the engine's state (docs/operations.md).

A change is a RELOAD record of the journal: the frozen files that take the place of others, and the limits, whole, as canonical JSON, in parts like a
snapshot. It counts from the place where it stands, between two events; a session and its replay make it by the same `make_change`. Right behind it
comes the command RELOAD, an event like any other: the step looks at the limits, pulls what they forbid and has every strategy planned.

What a session trades stays: slots, names, strategies, policies, instruments. So every array keeps its size, but those of parameters and strategies'
states.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from hftkit.codes import Reject, Trading
from hftkit.errors import ConfigError, HftkitError, JournalError, UnitError
from hftkit.params.format import FrozenParams, canonical_bytes, check_digest
from hftkit.reading import parse_object, printable
from hftkit.session.engine_state import EngineState, Limits, SessionConfig, build_engine_state
from hftkit.session.journal import bytes_of, words_of
from hftkit.session.snapshot import SETTINGS
from hftkit.strategies import strategy

_LOSS = int(Reject.RISK_STRATEGY_LOSS)
_ENABLED = int(Trading.ENABLED)
_UNTOUCHED = "The journal was altered: replay the untouched copy"
_BOOK_SETTINGS = "max_quote_age_ms"


class Replacement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A frozen file takes the place of another one, in its slot."""

    slot: int
    frozen: FrozenParams


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a reload changes. `limits`: all of them, as they count from now on; None: they stay."""

    strategies: tuple[Replacement, ...] = ()
    limits: Limits | None = None

    def to_words(self) -> np.ndarray:
        """The words of its records, before they are cut into parts."""
        return words_of(canonical_bytes(msgspec.to_builtins(self)))

    @classmethod
    def from_words(cls, words: np.ndarray) -> Change:
        """Inverse of `to_words`. Raises JournalError."""

        def refuse(why: str) -> JournalError:
            return JournalError(f"a RELOAD record cannot be read: {printable(why)}", _UNTOUCHED)

        try:
            return msgspec.convert(parse_object(bytes_of(words), refuse), cls)
        except UnitError as error:
            raise refuse(error.problem) from None
        except (ValueError, OverflowError, msgspec.ValidationError) as error:
            raise refuse(str(error)) from None


def differs(before: FrozenParams, after: FrozenParams) -> str:
    """What keeps a frozen file from taking the place of another one, "" if nothing does."""
    for what, old, new in (
        ("name", before.name, after.name),
        ("strategy", before.strategy, after.strategy),
        ("strategy version", before.strategy_version, after.strategy_version),
        ("policy", before.policy, after.policy),
        ("instruments traded", before.traded, after.traded),
        ("instruments watched", before.watched, after.watched),
    ):
        if old != new:
            return (
                f"its {what} differ: {_text(new)}, the session runs {_text(old)}"
                if isinstance(old, tuple)
                else (f"its {what} is {_text(new)}, the session runs {_text(old)}")
            )
    return ""


def _text(value: object) -> str:
    return printable(", ".join(value) if isinstance(value, tuple) else str(value))[:120]


def config_after(config: SessionConfig, change: Change) -> SessionConfig:
    """The configuration that counts after a change. Raises ConfigError where the session cannot go on with it."""
    files = list(config.strategies)
    for one in change.strategies:
        if not 0 <= one.slot < len(files):
            raise ConfigError(f"there is no strategy in slot {one.slot}", f"The session runs {len(files)}")
        if why := differs(files[one.slot], one.frozen):
            raise ConfigError(
                f"{one.frozen.file_name[:80]} cannot take the place of {files[one.slot].file_name}: {why}", "Start another session for it"
            )
        files[one.slot] = one.frozen
    limits = change.limits if change.limits is not None else config.limits
    if limits.max_quote_age_ms != config.limits.max_quote_age_ms:
        raise ConfigError(
            f"{_BOOK_SETTINGS} is {config.limits.max_quote_age_ms} for the whole session, not {limits.max_quote_age_ms}",
            "Leave it out, or start another session",
        )
    return msgspec.structs.replace(config, strategies=tuple(files), limits=limits)


class Planned(NamedTuple):
    """A change of which nothing can fail any more. `fresh`: what its configuration allocates, with the strategies' states in it."""

    config: SessionConfig
    fresh: EngineState


def plan_change(rooms: EngineState, config: SessionConfig, change: Change) -> Planned:
    """All of a change that could fail; `rooms` stay as they are.

    Parameters
    ----------
    rooms
        The state as it is.
    config
        The configuration as it is.
    change
        What is to change.

    Returns
    -------
    Planned
        For `make_change`, before any other event.

    Raises
    ------
    ConfigError, ParamsError
        The session cannot go on with it.
    """
    after = config_after(config, change)
    fresh = build_engine_state(after)
    for slot, (old, new) in enumerate(zip(config.strategies, after.strategies, strict=True)):
        kept = rooms.state[slot] if old is new else strategy(new.strategy).go_on(old, new, rooms.state[slot])
        row = fresh.state[slot]
        row[:] = 0.0
        row[: min(row.size, kept.size)] = kept[: row.size]
    return Planned(after, fresh)


def make_change(rooms: EngineState, planned: Planned) -> EngineState:
    """The state to go on with: the arrays of `rooms`, written, but for `params` and `state`, which are new ones.

    Parameters, validity, plans and limits count at once. A unit counts where its strategy is flat (`units`, kernels/execution/). A strategy that its
    loss limit has stopped trades again where that limit is larger now than it was, and its loss within it.
    """
    fresh = planned.fresh
    max_loss = rooms.slots["max_loss_e8"].copy()
    for name, settings in SETTINGS.items():
        for setting in settings:
            getattr(rooms, name)[setting] = getattr(fresh, name)[setting]
    for name in ("limit", "valid_until", "units"):
        getattr(rooms, name)[...] = getattr(fresh, name)
    slots = rooms.slots
    again = (slots["reason"] == _LOSS) & (slots["max_loss_e8"] > max_loss) & (slots["equity_e8"] > -slots["max_loss_e8"])
    slots["trading"][again], slots["reason"][again] = _ENABLED, 0
    return rooms._replace(params=fresh.params, state=fresh.state)


def carry_out(rooms: EngineState, config: SessionConfig, change: Change) -> tuple[EngineState, SessionConfig]:
    """Plan a change and make it: state and configuration after it. Raises as `plan_change` does; then nothing has changed."""
    planned = plan_change(rooms, config, change)
    return make_change(rooms, planned), planned.config


def carry_out_recorded(rooms: EngineState, config: SessionConfig, words: np.ndarray) -> tuple[EngineState, SessionConfig]:
    """`carry_out` of a change that a journal holds. Raises JournalError where no session can have made it."""
    change = Change.from_words(words)
    try:
        for one in change.strategies:
            check_digest(one.frozen, f"frozen file {one.frozen.name[:64]!r} of a reload")
        return carry_out(rooms, config, change)
    except JournalError:
        raise
    except HftkitError as error:
        raise JournalError(f"a RELOAD record holds what no session takes: {error.problem}", _UNTOUCHED) from None


def follows(before: SessionConfig, after: SessionConfig) -> bool:
    """Whether reloads can have led from one configuration to the other."""
    same = msgspec.structs.replace(after, strategies=before.strategies, limits=before.limits) == before
    return (
        same
        and len(before.strategies) == len(after.strategies)
        and before.limits.max_quote_age_ms == after.limits.max_quote_age_ms
        and not any(differs(old, new) for old, new in zip(before.strategies, after.strategies, strict=True))
    )
