"""Which code a session ran: recorded at its beginning, compared by a replay that differs, so that it names the cause."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hftkit.errors import ParamsError
from hftkit.kernels import jit  # not a kernel source: its edits need no new cache
from hftkit.strategies import strategy

_SHOWN = 12  # hex digits


def source_digest(name: str) -> str:
    """SHA-256 (hex) of the file that a strategy's kernel is in; '' if there is no such strategy, or no file."""
    try:
        found = importlib.util.find_spec(strategy(name).module)
        return hashlib.sha256(Path(found.origin).read_bytes()).hexdigest() if found is not None and found.origin else ""
    except (ParamsError, OSError, ImportError, ValueError):
        return ""


def code_identity(strategies: Iterable[str]) -> dict[str, Any]:
    """Digests of the kernels and of each strategy's source, as plain data for SESSION_BEGIN."""
    return {"kernels": jit.sources_digest(), "strategies": {name: source_digest(name) for name in sorted(set(strategies))}}


def code_differs(recorded: Mapping[str, Any]) -> str:
    """How the code of this installation differs from that of a session, in words; '' if it does not, as far as the session has said."""
    found = []
    strategies = recorded.get("strategies")
    for name, digest in strategies.items() if isinstance(strategies, Mapping) else ():
        now = source_digest(str(name))
        if digest and now != digest:
            found.append(f"the source of strategy {name} differs from the session's ({str(digest)[:_SHOWN]}, now {now[:_SHOWN] or 'absent'})")
    kernels = recorded.get("kernels")
    if isinstance(kernels, str) and kernels != jit.sources_digest():
        found.append(f"the kernels' sources differ from the session's ({kernels[:_SHOWN]}, now {jit.sources_digest()[:_SHOWN]})")
    return "; ".join(found)
