"""New parameters and limits for a session that runs: the engine's side of `hftkit reload` (docs/operations.md).

The engine's thread reads and checks what was asked for, as at the start, and has the hot loop come back. The hot thread writes it into the journal,
carries it out between two events, posts the command RELOAD and runs the loop again: nothing else stands between the record and that event but what
the loop reads first. The engine's thread then says what came of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from hftkit import clock
from hftkit.codes import Control, RecordType
from hftkit.config import convert_body, read_toml
from hftkit.errors import ConfigError, HftkitError
from hftkit.params.format import FrozenParams, check_scales, check_validity, parse_frozen, read_frozen
from hftkit.reading import printable
from hftkit.session.engine_state import Limits, SessionConfig
from hftkit.session.reload import Change, Replacement, make_change, plan_change
from hftkit.session.snapshot import parts_of
from live.config import LiveLimits
from live.hot_loop import COME_BACK, LEAVE
from live.limit_check import check_limits, half_mids, refuse_twice, say_limits
from live.operate.reload_files import Answer, NewFile, Request, put_answer, take_request
from live.segments import next_segment

if TYPE_CHECKING:
    from live.engine import Engine


@dataclasses.dataclass(frozen=True)
class _Prepared:
    """A change that was checked. `limits`: as they were asked for, before the venue narrowed them."""

    request: Request
    change: Change
    limits: LiveLimits | None
    paths: dict[int, str]  # of the new files, by slot
    answer: Answer


@dataclasses.dataclass(frozen=True)
class _TakenUp:
    """What the hot thread made of it. `command`: number of the RELOAD that follows, 0: none; `problem`: why it could not be."""

    command: int = 0
    ns: int = 0
    problem: str = ""


class Reload:
    """`turn()` on the engine's thread, `take_up()` on the hot thread.

    Shared: handed over. The engine's thread binds `_prepared`, then has the hot loop come back; the hot thread binds `_taken` and `standing`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._prepared: _Prepared | None = None
        self._taken: _TakenUp | None = None
        self._made = 0
        self.standing: SessionConfig | None = None  # the configuration, once it is another than the one that the journal begins with
        self.told: tuple[Answer, ...] = ()  # what was done, for the result

    # -- the engine's thread -----------------------------------------------------------------------------------------
    def turn(self) -> None:
        """Answer what was asked for, or look whether something is."""
        if self._prepared is not None:
            self._follow(self._prepared)
            return
        try:
            request = take_request(self._engine.folder)
        except HftkitError as error:
            self._engine.log.event("reload_refused", why=error.problem)
            return
        if request is None:
            return
        try:
            self._prepared = self._prepare(request)
        except Exception as error:  # what is asked for is no part of the engine: it is refused, and the session goes on
            self._refuse(request, _in_one_line(error))
            return
        loop = self._engine.shell.loop
        if loop["abandon"][0] != LEAVE:
            loop["abandon"] = COME_BACK

    def _refuse(self, request: Request, why: str) -> None:
        self._engine.log.event("reload_refused", why=why, params=list(request.params), limits=request.limits)
        self._answer(Answer(number=request.number, done=False, text=f"refused: {why}"))

    def _answer(self, answer: Answer) -> None:
        """To whoever waits for it; the log has it anyway."""
        try:
            put_answer(self._engine.folder, answer)
        except HftkitError as error:
            self._engine.log.event("reload_unanswered", why=error.problem)

    def _follow(self, prepared: _Prepared) -> None:
        """Say what came of a change, once it has."""
        engine, taken = self._engine, self._taken
        if taken is None and engine.thread.is_alive():
            return
        if taken is not None and taken.command and not engine.control.taken(taken.command) and engine.thread.is_alive():
            return
        self._prepared = self._taken = None
        if taken is None or taken.problem:
            self._refuse(prepared.request, taken.problem if taken is not None else "the session has ended")
            return
        answer = msgspec.structs.replace(prepared.answer, paused_ms=round(taken.ns / 1e6, 3))
        self.told = (*self.told, answer)
        self._remember(prepared)
        engine.log.event("reload", what=answer.text, params=msgspec.to_builtins(answer.params), limits=answer.limits, paused_ms=answer.paused_ms)
        self._answer(answer)
        engine.say(f"reload {answer.text}")

    def _remember(self, prepared: _Prepared) -> None:
        """In the settings, for whoever reads them later, and for the one that takes over."""
        engine = self._engine
        session = engine.config.session
        if session.params and prepared.paths:
            params = tuple(prepared.paths.get(slot, path) for slot, path in enumerate(session.params))
            session = msgspec.structs.replace(session, params=params)
            engine.report("reloaded", params=list(params))
        limits = prepared.limits if prepared.limits is not None else engine.config.limits
        engine.config = msgspec.structs.replace(engine.config, session=session, limits=limits)

    def _prepare(self, request: Request) -> _Prepared:
        """All checks of a start, for what is new. Raises HftkitError in one line."""
        engine = self._engine
        if not engine.started:
            raise ConfigError("start-up is not complete", "Ask again once it trades")
        if int(engine.rooms.session[0]["stop_requested"]) > 0 or engine.leaves:
            raise ConfigError("the session is stopping", "Start the next one with the new files")
        config = engine.session_config
        replacements, paths = self._files(request.params, config)
        limits = new_limits(engine.config.limits, request.limits) if request.limits else None
        files = _files_after(config, replacements)
        narrowed = engine.venue.limits(limits if limits is not None else engine.config.limits, files)
        if engine.observing:
            narrowed = msgspec.structs.replace(narrowed, max_open_orders=0)
        changed = limit_changes(config.limits, narrowed)
        if not replacements and not changed:
            raise ConfigError("it would change nothing: the session has these limits", "Name a file with --params or other limits with --limits")
        change = Change(strategies=replacements, limits=plain_limits(narrowed) if changed else None)
        plan_change(engine.rooms, config, change)  # tried; the hot thread does it again with the state of its moment
        check = say_limits if engine.observing else check_limits
        for line in check(files, limits if limits is not None else engine.config.limits, half_mids(engine)):
            engine.say(f"limits: {line}")
            engine.log.event("limits", why=line)
        new = tuple(
            NewFile(strategy=one.frozen.name, before=config.strategies[one.slot].digest, after=one.frozen.digest, file=one.frozen.file_name)
            for one in replacements
        )
        return _Prepared(
            request, change, limits, paths, Answer(number=request.number, done=True, text=in_words(new, changed), params=new, limits=changed)
        )

    def _files(self, params: Sequence[str], config: SessionConfig) -> tuple[tuple[Replacement, ...], dict[int, str]]:
        """The new files with their slots, and their paths by slot."""
        engine = self._engine
        offered = {instrument.symbol: instrument for instrument in config.instruments}
        now_ns = int(engine.rooms.session[0]["ts_exchange"]) or clock.unix_ns()
        names = [frozen.name for frozen in config.strategies]
        replacements: list[Replacement] = []
        paths: dict[int, str] = {}
        for path in params:
            text = read_frozen(path)
            if engine.config.session.require_signature:
                from hftkit.params.signing import verify  # late: only a host that asks for signatures needs the cryptography package

                verify(path, engine.config.session.require_signature, text)
            frozen = parse_frozen(text, path)
            if names.count(frozen.name) != 1:
                what = f"strategies: {', '.join(names)}" if frozen.name not in names else f"two strategies named {frozen.name}"
                raise ConfigError(
                    f"{path} is of {frozen.name}, the session runs {what}", "A reload replaces a file that the session runs by its name"
                )
            slot = names.index(frozen.name)
            if frozen.digest == config.strategies[slot].digest:
                raise ConfigError(f"{path} is what the session runs already", "Leave it out")
            check_scales(frozen, offered, path)
            check_validity(frozen, now_ns, path)
            if slot in paths:
                raise ConfigError(f"{paths[slot]} and {path} are both of {frozen.name}", "Name one file for each strategy")
            replacements.append(Replacement(slot=slot, frozen=frozen))
            paths[slot] = path
        after = _files_after(config, replacements)
        refuse_twice([frozen.file_name for frozen in after], after)
        return tuple(replacements), paths

    # -- the hot thread ----------------------------------------------------------------------------------------------
    def take_up(self) -> bool:
        """Write the change into the journal and carry it out. Whether the loop is to run again."""
        engine, prepared = self._engine, self._prepared
        begun = clock.monotonic_ns()
        engine.shell.loop["abandon"] = 0
        if engine.leaves:  # asked for meanwhile, and written over just now
            engine.shell.loop["abandon"] = LEAVE
        if prepared is None or self._taken is not None:
            return True
        parts = parts_of(prepared.change.to_words(), self._made + 1)
        try:
            planned = plan_change(engine.rooms, engine.session_config, prepared.change)
        except Exception as error:  # of a strategy of somebody's own, with a state that its first try had not
            self._taken = _TakenUp(problem=_in_one_line(error))
            return True
        if not engine.journal.append_whole(RecordType.RELOAD, begun, parts):
            segment = next_segment(engine)
            if segment is None:
                return False
            engine.shell = engine.shell._replace(segment=segment)
            if not engine.journal.append_whole(RecordType.RELOAD, begun, parts):
                self._taken = _TakenUp(problem="the new files are larger than a segment of the journal: enlarge session.segment_mb")
                return True
        self._made += 1
        engine.rooms, engine.session_config = make_change(engine.rooms, planned), planned.config
        self.standing = engine.session_config
        command = engine.command(Control.RELOAD)
        self._taken = _TakenUp(command, clock.monotonic_ns() - begun)
        return True


def _in_one_line(error: Exception) -> str:
    return str(error) if isinstance(error, HftkitError) else printable(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _files_after(config: SessionConfig, replacements: Sequence[Replacement]) -> tuple[FrozenParams, ...]:
    files = list(config.strategies)
    for one in replacements:
        files[one.slot] = one.frozen
    return tuple(files)


def plain_limits(limits: Limits) -> Limits:
    """The same limits as a session keeps them."""
    return Limits(**{name: getattr(limits, name) for name in Limits.__struct_fields__})


def live_limits(limits: Limits) -> LiveLimits:
    """Limits of a session as the table [limits] has them."""
    return LiveLimits(**{name: getattr(limits, name) for name in Limits.__struct_fields__})


def new_limits(limits: LiveLimits, path: str) -> LiveLimits:
    """Limits with what a TOML file says of them: a key that it does not name stays as it is. Raises ConfigError."""
    body = read_toml(path)
    if set(body) != {"limits"} or not isinstance(body["limits"], dict):
        others = ", ".join(f"[{name}]" for name in sorted(body) if name != "limits")
        what = f"holds {others} too" if "limits" in body else f"holds {others or 'nothing'}"
        raise ConfigError(f"{path} {what}: only the table [limits] can change while a session runs", "Put the new limits into a file of their own")
    merged = _merged(msgspec.to_builtins(limits), body["limits"])
    return convert_body({"limits": merged}, _Table, path, "Correct the key").limits


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    limits: LiveLimits


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        merged[name] = _merged(before if isinstance(before, dict) else {}, value) if isinstance(value, dict) else value
    return merged


def limit_changes(before: Limits, after: Limits) -> dict[str, tuple[Any, Any]]:
    """What differs, by dotted name: before, after; None where it was not set."""
    old, new = _flat(msgspec.to_builtins(before)), _flat(msgspec.to_builtins(after))
    return {name: (old.get(name), new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name)}


def _flat(body: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in body.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def in_words(files: Sequence[NewFile], limits: dict[str, tuple[Any, Any]]) -> str:
    """One line for people."""
    said = [f"{one.strategy} {one.before[:12]} -> {one.after[:12]}" for one in files]
    said += [f"{name} {_or_none(old)} -> {_or_none(new)}" for name, (old, new) in limits.items()]
    return f"done: {'; '.join(said)}"


def _or_none(value: object) -> str:
    return "none" if value is None else str(value)
