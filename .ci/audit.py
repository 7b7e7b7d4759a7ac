"""Known holes in the tested versions, and in the oldest versions that pyproject.toml admits: asks pip-audit, says plainly when it could not ask."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def floors() -> list[str]:
    """`name==floor` of every requirement of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return [line.replace(">=", "==") for line in required]


def audit(what: str, pins: list[str]) -> int:
    """0: nothing known; 1: something is; 2: not all could be asked for."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "pins.txt"
        requirements.write_text("\n".join(pins) + "\n")
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "-r", str(requirements)]
        done = subprocess.run([sys.executable, "-m", "pip_audit", *options], capture_output=True, text=True, check=False)
    try:
        rows = json.loads(done.stdout)["dependencies"]
    except ValueError:
        last = (done.stderr.splitlines() or ["no answer"])[-1][:200]
        print(f"{what}: NOT CHECKED, the advisory database cannot be reached ({last})")
        return 2
    unasked = [row["name"] for row in rows if "skip_reason" in row]
    known = [(row, hole) for row in rows for hole in row.get("vulns", [])]
    for row, hole in known:
        print(f"{what}: {row['name']} {row['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version yet'}")
    if len(unasked) == len(rows):  # pip-audit calls that "no known vulnerabilities"
        print(f"{what}: NOT CHECKED, the advisory database cannot be reached (it knows none of {len(rows)} packages)")
    elif unasked:
        print(f"{what}: NOT CHECKED, the database does not know them: {', '.join(unasked)}")
    print(f"{what}: {len(rows) - len(unasked)} of {len(rows)} packages checked, {len(known)} known holes")
    return 1 if known else 2 if unasked else 0


if __name__ == "__main__":
    tested = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    sys.exit(max(audit("tested versions", tested), audit("floors", floors())))
