"""The lowest versions that pyproject.toml admits, as pins for pip: `make test-lowest` installs them.

Tools that only look at the source (ruff, mypy) are left out, and so are other people's clients: a client is tested in the
version that its users have, and brings requirements of its own. Their tests skip.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("demo", "research", "dev")
LEFT_OUT = {"ruff", "mypy", "ccxt", "binance-futures-connector", "python-binance", "binance-sdk-derivatives-trading-usds-futures"}


def lowest() -> list[str]:
    """`name==version` of every requirement of hftkit and its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [*project["dependencies"], *(line for extra in EXTRAS for line in project["optional-dependencies"][extra])]
    names = {line: re.split(r"[<>=\[]", line)[0] for line in required}
    return [line.replace(">=", "==") for line, name in names.items() if name != "hftkit" and name not in LEFT_OUT]


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest()) + "\n")
