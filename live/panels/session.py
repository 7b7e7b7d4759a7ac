"""Where a running session's telemetry and control pages are, from its folder or from the page itself."""

from __future__ import annotations

from pathlib import Path

from hftkit.errors import HftkitError
from hftkit.session.control import CONTROL_PAGE
from hftkit.session.find_session import find_session
from hftkit.session.telemetry import TelemetryReader

TELEMETRY_POINTER = "telemetry.path"


def find_pages(session: Path | str | None) -> tuple[TelemetryReader, Path]:
    """Telemetry reader and path of the control page. `session`: its folder, its telemetry page or its id; None: the only one that runs.

    Raises HftkitError if there is no session, or none that has come as far as publishing.
    """
    place = Path(session) if session is not None else Path()
    if session is None or (not place.exists() and place.name == str(session)):  # a bare name is an id
        place = find_session(session).folder
    if place.is_dir():
        pointer = place / TELEMETRY_POINTER
        if not pointer.is_file():
            raise HftkitError(f"{place} has no running session", "Wait until `hftkit live` has reached its connections, or give its folder")
        return TelemetryReader(pointer.read_text().strip()), place / CONTROL_PAGE
    reader = TelemetryReader(place)
    return reader, Path(reader.info["control"])
