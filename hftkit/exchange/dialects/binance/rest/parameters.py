"""A request's parameters, from query, body or both, in every form that clients really send; and their values, checked.

* Query and body may both carry parameters; a name in both: the query wins. Twice in one of them: -1101.
* Any Content-Type: a body is form text, or a JSON object; an empty one is normal.
* Names of the two id lists in any case; booleans in any case; JSON lists escaped or not; numbers as text or, within JSON, as numbers.
* Unknown names are ignored.

What is signed is the text as it was sent, query directly followed by body, without the `signature` itself (signing.py).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from hftkit.exchange.dialects.binance.rest.errors import EITHER, Refusal

_LONG = 2**63 - 1
_ANY_CASE = ("orderIdList", "origClientOrderIdList")
DECIMAL_RANGE, WHOLE_RANGE = "^([0-9]{1,20})(\\.[0-9]{1,20})?$", "^[0-9]{1,20}$"  # as the venue's answers quote them
_DECIMAL = re.compile(DECIMAL_RANGE[1:-1], re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,20}(\.0)?", re.ASCII)  # the official SDK sends 60000.0 for 60000, and it is taken
# Names whose values must be numbers wherever they are sent, also where nobody asks for them.
DECIMALS = ("quantity", "price", "stopPrice", "triggerPrice", "activatePrice", "activationPrice", "callbackRate", "amount")
WHOLES = (
    *("orderId", "algoId", "fromId", "modifyId", "limit", "startTime", "endTime", "goodTillDate", "leverage", "countdownTime"),
    *("timestamp", "recvWindow"),
)
CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}", re.ASCII)
CLIENT_ID_RANGE = "^[\\.A-Z\\:/a-z0-9_-]{1,36}$"


def _pairs(text: str) -> list[tuple[str, str]]:
    """Names and values of one `a=1&b=2` text. Only the first `=` parts a name from its value, so that unescaped JSON stays whole."""
    found = (item.partition("=") for item in text.split("&") if item)
    return [(unquote_plus(name, errors="replace"), unquote_plus(value, errors="replace")) for name, _, value in found]


def _without_signature(text: str) -> str:
    return "&".join(item for item in text.split("&") if not item.startswith("signature="))


def _from_json(body: str) -> list[tuple[str, str]]:
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        raise Refusal(-1130, "body") from None
    return [(name, _as_text(value)) for name, value in fields.items()]


def _as_text(value: object) -> str:
    """A JSON value as the text it would be in a query."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode()


class Parameters:
    """The values of one request by name. Every getter raises Refusal with the venue's code for what is missing or malformed."""

    def __init__(self, values: dict[str, str], payload: str = "", signature: str = "") -> None:
        """`payload`: the text that was signed; both empty where values come from elsewhere (an item of a batch, a WebSocket request)."""
        self.values = values
        self.payload = payload
        self.signature = signature

    @classmethod
    def of_json(cls, fields: dict[str, Any]) -> Parameters:
        """From decoded JSON: an item of a batch, the params of a WebSocket request."""
        return cls({name: _as_text(value) for name, value in fields.items()})

    @classmethod
    def of_request(cls, query: str, body: bytes) -> Parameters:
        """From the query text and the body, both as they came."""
        text = body.decode("utf-8", "replace").strip("\r\n") if body else ""
        values: dict[str, str] = {}
        for pairs in (_from_json(text) if text.startswith("{") else _pairs(text), _pairs(query)):
            names = [name for name, _ in pairs]
            if len(set(names)) != len(names):
                raise Refusal(-1101)
            values.update(pairs)
        payload = _without_signature(query) + ("" if text.startswith("{") else _without_signature(text))
        return cls(values, payload, values.pop("signature", ""))

    def text(self, name: str) -> str:
        """A value, "" if it was not sent or is empty."""
        value = self.values.get(name)
        if value is None and name in _ANY_CASE:
            value = next((v for n, v in self.values.items() if n.lower() == name.lower()), None)
        return value or ""

    def __contains__(self, name: str) -> bool:
        return bool(self.text(name))

    def required(self, name: str) -> str:
        """A value that must be there (-1102)."""
        value = self.text(name)
        if not value:
            raise Refusal(-1102, name)
        return value

    def either(self, first: str, second: str) -> None:
        """One of two names must be there (-1102)."""
        if first not in self and second not in self:
            raise Refusal(-1102, first, second, text=EITHER)

    def integer(self, name: str, default: int | None = None, low: int = -_LONG, high: int = _LONG) -> int:
        """A whole number; -1102 where it is missing and has no default, -1100 for other characters, -1130 out of range."""
        value = self.text(name)
        if not value:
            if default is None:
                raise Refusal(-1102, name)
            return default
        if not _WHOLE.fullmatch(value):
            raise Refusal(-1100, name, WHOLE_RANGE)
        number = int(value.partition(".")[0])
        if not low <= number <= high:
            raise Refusal(-1130, name)
        return number

    def optional_integer(self, name: str) -> int | None:
        """A whole number, None if it was not sent."""
        return self.integer(name) if name in self else None

    def number(self, name: str) -> Decimal:
        """A decimal number that must be there; -1102 where it is missing, -1100 for anything but digits with or without a point between them."""
        value = self.required(name)
        if not _DECIMAL.fullmatch(value):
            raise Refusal(-1100, name, DECIMAL_RANGE)
        return Decimal(value)

    def check_syntax(self) -> None:
        """Everything that must be a number is written as one (-1100), whether the endpoint reads it or not."""
        for name in DECIMALS:
            if name in self:
                self.number(name)
        for name in WHOLES:
            if name in self and not _WHOLE.fullmatch(self.text(name)):
                raise Refusal(-1100, name, WHOLE_RANGE)

    def boolean(self, name: str, default: bool = False) -> bool:
        """true or false in any case (-1130 for anything else)."""
        value = self.text(name).lower()
        if value not in ("", "true", "false"):
            raise Refusal(-1130, name)
        return value == "true" if value else default

    def limit(self, default: int, most: int) -> int:
        """`limit`, clipped to `most`; -1130 below 1."""
        return min(most, self.integer("limit", default, low=1))

    def span(self) -> tuple[int | None, int | None]:
        """startTime and endTime, ms (-1023 if they are the wrong way round)."""
        start, end = self.optional_integer("startTime"), self.optional_integer("endTime")
        if start is not None and end is not None and start > end:
            raise Refusal(-1023)
        return start, end

    def client_id(self, name: str) -> str:
        """A client order id, "" if not sent; -4015 if too long, -1100 for characters that are not allowed."""
        value = self.text(name)
        if len(value) > 36:
            raise Refusal(-4015)
        if value and not CLIENT_ID.fullmatch(value):
            raise Refusal(-1100, name, CLIENT_ID_RANGE)
        return value

    def json_list(self, name: str) -> list[Any]:
        """A JSON list that must be there; -1130 for anything else."""
        try:
            return msgspec.json.decode(self.required(name).encode("utf-8", "replace"), type=list[Any])
        except (msgspec.MsgspecError, RecursionError):
            raise Refusal(-1130, name) from None
