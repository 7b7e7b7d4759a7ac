"""Which session a person means: by its id, by a path of its, or because it is the only one that runs."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from hftkit.errors import HftkitError
from hftkit.session.control import CONTROL_PAGE, ControlPage
from hftkit.session.running import Running, listed
from hftkit.system.process_id import ProcessId, process_id

RESULT = "result.json"
_LIST = "`hftkit sessions` lists them"


@dataclass(frozen=True)
class FoundSession:
    """A session's folder. `process`: its engine while that runs; `running`: what the list of this machine says of it, if it does."""

    folder: Path
    process: ProcessId | None
    running: Running | None = None

    @property
    def name(self) -> str:
        """Its id."""
        return self.folder.name


def _owner(folder: Path) -> ProcessId | None:
    """The engine of a folder's control page, if it is alive."""
    with contextlib.suppress(HftkitError):
        owner = ControlPage.attach(folder / CONTROL_PAGE).owner
        return owner if owner.alive else None
    return None


def engine_of(folder: Path) -> ProcessId | None:
    """The engine of a session's folder while it runs: by its control page, and where that is gone, by the list of this machine."""
    return _owner(folder) if (folder / CONTROL_PAGE).exists() else in_folder(folder).process


def in_folder(folder: Path) -> FoundSession:
    """The session of a folder."""
    known = [running for running in listed("live") if Path(running.folder) == folder.absolute()]
    last = known[-1] if known else None
    return FoundSession(folder, last.process if last is not None and last.alive else _owner(folder), last)


def sessions(journals: Path | str | None = None) -> list[FoundSession]:
    """All that are listed, those of the dead too, and those that run in a folder of journals. The oldest first."""
    found = {running.folder: FoundSession(Path(running.folder), running.process if running.alive else None, running) for running in listed("live")}
    if journals is not None and Path(journals).is_dir():
        for page in sorted(Path(journals).glob(f"*/{CONTROL_PAGE}")):
            folder = page.parent.absolute()
            if str(folder) not in found and (owner := _owner(folder)) is not None:
                found[str(folder)] = FoundSession(folder, owner)
    return list(found.values())


def find_session(which: Path | str | None, journals: Path | str | None = None) -> FoundSession:
    """The session that `which` names: an id, its folder, a file in it; None: the only one that runs. `journals`: where folders of sessions are.

    Raises HftkitError if there is none, or more than one.
    """
    if which is None:
        alive = [found for found in sessions(journals) if found.process is not None]
        if len(alive) == 1:
            return alive[0]
        if alive:
            raise HftkitError(f"{len(alive)} sessions run: {', '.join(sorted(found.name for found in alive))}", "Name one of them")
        raise HftkitError("no session runs", "`hftkit sessions` says what is left of the last ones; or give a session's folder")
    try:
        place = Path(which)
        if place.is_dir():
            return in_folder(place)
        if place.is_file():
            return in_folder(_folder_of_page(place))
        by_name = [found for found in sessions(journals) if found.name == str(which)]
        alive = [found for found in by_name if found.process is not None]
        if len(alive) > 1:
            raise HftkitError(f"{len(alive)} sessions are called {which}: {', '.join(str(found.folder) for found in alive)}", "Give the folder")
        if by_name:
            return (alive or by_name)[-1]
        if journals is not None and place.name == str(which) and (Path(journals) / place).is_dir():
            return in_folder(Path(journals) / place)
    except (ValueError, OSError):  # a NUL, a name longer than the file system takes, a folder that may not be read
        pass
    raise HftkitError(f"no session {str(which)[:200]!r}", f"Give its id or its folder; {_LIST}")


def _folder_of_page(page: Path) -> Path:
    """The session's folder from one of its files; a telemetry page in shared memory names it."""
    if (page.parent / CONTROL_PAGE).exists():
        return page.parent
    from hftkit.session.telemetry import TelemetryReader

    return Path(TelemetryReader(page).info["journal"])


def find_simulator(ready_file: Path | str | None) -> Running:
    """The running simulator that wrote this ready file; None: the only one that runs. Raises HftkitError if there is none, or more than one."""
    alive = [running for running in listed("sim") if running.alive]
    if ready_file is None:
        if len(alive) != 1:
            raise HftkitError(f"{len(alive)} simulators run: {', '.join(r.ready_file or r.name for r in alive) or 'none'}", "Name a ready file")
        return alive[0]
    path = Path(ready_file).absolute()
    for running in alive:
        if running.ready_file == str(path):
            return running
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        process = process_id(int(json.loads(path.read_text())["pid"]))
        if process is not None:
            return Running(kind="sim", process=process, started_unix_ns=0, name=path.name, folder=str(path.parent), ready_file=str(path))
    raise HftkitError(f"no simulator runs that wrote {ready_file}", "Start one with `hftkit sim --ready-file`")
