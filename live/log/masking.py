"""Secrets never reach a log: a structlog processor that blanks them wherever they stand in an event (MO-11, MO-12)."""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from typing import Any

MASK = "***"
# Signatures and listen keys travel in texts of requests: what follows these names is blanked, whatever the value.
_NAMED = re.compile(r"(?i)((?:signature|listen_?key|api_?key|secret|x-mbx-apikey|private_key)[\"']?\s*[=:]\s*[\"']?)([^\s&\"',}]+)")
_SECRET_NAMES = re.compile(r"(?i)^(signature|listen_?key|api_?key|secret|x-mbx-apikey|private_key|password|token)$")


class MaskSecrets:
    """Blank the given texts, and the value of every key or parameter that names a secret, at any depth of an event."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted({text for text in secrets if len(text) >= 4}, key=len, reverse=True)

    def learn(self, *secrets: str) -> None:
        """Blank these texts too from now on (a listen key, say)."""
        self._secrets = sorted({*self._secrets, *(text for text in secrets if len(text) >= 4)}, key=len, reverse=True)

    def text(self, value: str) -> str:
        """A text with its secrets blanked."""
        for secret in self._secrets:
            value = value.replace(secret, MASK)
        return _NAMED.sub(rf"\g<1>{MASK}", value)

    def _clean(self, value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            return MASK if _SECRET_NAMES.match(name) and value else self.text(value)
        if isinstance(value, bytes):
            return self.text(value.decode("utf-8", "replace"))
        if isinstance(value, dict):
            return {self.text(str(key)): self._clean(inner, str(key)) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._clean(inner) for inner in value]
        if isinstance(value, BaseException):
            return self.text(f"{type(value).__name__}: {value}")
        return value

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
        """The structlog processor."""
        return {self.text(name): self._clean(value, name) for name, value in event.items()}
