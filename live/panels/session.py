"""Where a running session's telemetry and control pages are, from its folder or from the page itself."""

from __future__ import annotations

from pathlib import Path

from hftkit.errors import HftkitError
from hftkit.telemetry import TelemetryReader

TELEMETRY_POINTER, CONTROL_PAGE = "telemetry.path", "control.page"


def find_pages(session: Path | str) -> tuple[TelemetryReader, Path]:
    """Telemetry reader and path of the control page. `session`: the session's folder, or its telemetry page.

    Raises HftkitError if there is no session, or none that has come as far as publishing.
    """
    place = Path(session)
    if place.is_dir():
        pointer = place / TELEMETRY_POINTER
        if not pointer.is_file():
            raise HftkitError(f"{place} has no running session", "Wait until `hftkit live` has reached its connections, or give its folder")
        return TelemetryReader(pointer.read_text().strip()), place / CONTROL_PAGE
    reader = TelemetryReader(place)
    return reader, Path(reader.info["control"])
