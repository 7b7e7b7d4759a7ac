"""REST of a Binance-compatible USD-M futures venue: one persistent session, signed, inside the rate budget, behind a breaker.

What may have executed is never sent again: `submit` posts once, and where the outcome is unknown it asks by client order id until the venue has
answered. Reads are tried again after a pause. Runs on the cold side's asyncio loop; the hot thread never waits for it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp

from hftkit.errors import VenueError
from live.link.backoff import Backoff
from live.link.breaker import Breaker
from live.link.connection_faults import explain, page_in_words
from live.link.rate_budget import Priority, RateBudget
from live.venues.binance.error_policy import Reaction, reaction
from live.venues.binance.keys import ApiKey

RECV_WINDOW_MS = 5000
READ_ATTEMPTS = 4
RETRY_FIRST_S = 0.2  # the venue's advice after a failure for certain: 200, 400, 800 ms
NOT_SENT = -1015  # what a request is refused with that the budget does not let go at once
NOT_VISIBLE_YET = 3  # an order may not be visible at once: so many answers "does not exist" in a row count as one
UNKNOWN_ORDER = -2013


class RestError(Exception):
    """The venue refused, or did not answer: `status` 0 without an answer, `code` 0 without a body, and what to do about it."""

    def __init__(self, status: int, code: int, text: str, page: str = "", cure: str = "") -> None:
        super().__init__(page or (f"HTTP {status}, code {code}: {text}" if status else text))
        self.status, self.code, self.text = status, code, text
        self.page, self.cure = page, cure  # what answered in the venue's place; what to do where the way to the venue is broken
        self.reaction = reaction(status, code, text)


class BinanceRest:
    """`now_ms`: the venue's clock as we estimate it; `monotonic_s`: for the breaker; `sleep` is replaced in tests by a clock they own."""

    def __init__(
        self,
        base_url: str,
        key: ApiKey | None,
        budget: RateBudget,
        breaker: Breaker,
        now_ms: Callable[[], int],
        monotonic_s: Callable[[], float],
        tls: ssl.SSLContext | None = None,
        timeout_s: float = 5.0,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self.base_url, self.key, self.budget, self.breaker = base_url.rstrip("/"), key, budget, breaker
        self._now_ms, self._monotonic_s, self._sleep = now_ms, monotonic_s, sleep
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None
        self.n_calls = self.n_errors = self.last_answer_ns = 0

    async def open(self) -> None:
        """Make the session; its connections stay open between calls."""
        connector = aiohttp.TCPConnector(limit=8, keepalive_timeout=60, ssl=self._tls if self._tls is not None else True)
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def once(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        signed: bool = False,
        weight: int = 1,
        orders: int = 0,
        priority: Priority = Priority.QUERY,
        patient: bool = True,
        insist: bool = False,
        recv_window_ms: int = RECV_WINDOW_MS,
    ) -> bytes:
        """One request, sent once: the body of a 200. Raises RestError. A breaker that is open refuses at once, unless we `insist`: the session ends.

        `patient` waits for the budget. An order is not: sent late it would meet another market, and after its sender has given it up.
        """
        while (wait := self.budget.wait_ms(priority, self._now_ms(), weight, orders)) > 0:
            if not patient:
                raise RestError(429, NOT_SENT, f"not sent: the rate budget is closed for {wait} ms")
            await self._sleep(wait / 1000)
        if not self.breaker.allow(self._monotonic_s()) and not insist:
            raise RestError(503, -1001, "not sent: the REST breaker is open")
        query = urlencode(params or {})
        headers = {"X-MBX-APIKEY": self.key.api_key} if self.key is not None else {}
        if signed:
            if self.key is None:
                raise VenueError(f"{path} needs an API key", "Give one: see docs/live-binance.md")
            stamp = urlencode({"recvWindow": recv_window_ms, "timestamp": self._now_ms()})
            query = self.key.signed_query(f"{query}&{stamp}" if query else stamp)
        status, body, answer, broken = await self._exchange(method, f"{path}?{query}" if query else path, headers)
        self.n_calls += 1
        self.last_answer_ns = int(self._monotonic_s() * 1e9)
        self.budget.observe_headers(answer, self._now_ms())
        if status == 200 and not page_in_words(status, body):
            self.breaker.succeed(self._monotonic_s())
            return body
        error = RestError(0, 0, *broken) if broken else _error(status, body)
        self.n_errors += 1
        if error.reaction is Reaction.BACK_OFF:
            self.budget.limited(self._now_ms(), answer.get("Retry-After", ""), error.text)
        if error.status == 0 or status >= 500 or error.reaction is Reaction.BACK_OFF:
            self.breaker.fail(self._monotonic_s())
        else:
            self.breaker.succeed(self._monotonic_s())  # it answered: the way to the venue is whole
        raise error

    async def _exchange(
        self, method: str, target: str, headers: Mapping[str, str]
    ) -> tuple[int, bytes, Mapping[str, str], tuple[str, str, str] | None]:
        """Status, body, headers; without an answer status 0, and text, page and cure of the error. A redirection is not followed: the key goes to no
        other host."""
        from yarl import URL

        assert self._session is not None, "open() first"
        try:
            url = URL(self.base_url + target, encoded=True)
            async with self._session.request(method, url, headers=headers, allow_redirects=False) as response:
                return response.status, await response.read(), response.headers, None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            cause, cure = explain(error)
            return 0, b"", {}, (cause, "", cure)

    async def read(self, path: str, params: Mapping[str, Any] | None = None, *, signed: bool = False, weight: int = 1, method: str = "GET") -> bytes:
        """A call without lasting effect: tried again after a pause while the failure is a passing one. Raises RestError."""
        backoff = Backoff(first_s=RETRY_FIRST_S)
        for attempt in range(READ_ATTEMPTS):
            try:
                return await self.once(method, path, params, signed=signed, weight=weight)
            except RestError as error:
                again = error.reaction in (Reaction.RETRY_LATER, Reaction.QUERY)
                if not again or attempt + 1 == READ_ATTEMPTS or "breaker" in error.text:
                    raise
                await self._sleep(backoff.next_s())
        raise AssertionError("unreachable")

    async def submit(self, params: Mapping[str, Any], priority: Priority = Priority.NEW) -> dict[str, Any] | None:
        """Place an order: posted once. The venue's order object, or None if it is certain that the order does not exist.

        Raises RestError where the venue refused it for certain. `params` must hold newClientOrderId: it is what an unknown outcome is asked by.
        """
        client_id = str(params["newClientOrderId"])
        try:
            return json.loads(await self.once("POST", "/fapi/v1/order", params, signed=True, weight=0, orders=1, priority=priority))
        except RestError as error:
            if error.reaction is not Reaction.QUERY:
                raise
        return await self.resolve(str(params["symbol"]), client_id)

    async def resolve(self, symbol: str, client_id: str) -> dict[str, Any] | None:
        """Ask for an order until the venue has answered: its object, or None once it has said often enough that there is none."""
        backoff, missing = Backoff(first_s=RETRY_FIRST_S), 0
        while True:
            try:
                body = await self.once("GET", "/fapi/v1/order", {"symbol": symbol, "origClientOrderId": client_id}, signed=True)
                return json.loads(body)
            except RestError as error:
                if error.code == UNKNOWN_ORDER:
                    missing += 1
                    if missing >= NOT_VISIBLE_YET:
                        return None
                elif error.reaction is Reaction.STOP:
                    raise
            await self._sleep(backoff.next_s())


def _error(status: int, body: bytes) -> RestError:
    try:
        said = json.loads(body)
        code, text = int(said["code"]), str(said["msg"])
    except (ValueError, KeyError, TypeError):
        code, text = 0, body[:200].decode("utf-8", "replace")
        if page := page_in_words(status, body):
            # a page with status 200 is no answer at all: what was asked for may have happened
            return RestError(
                0 if status == 200 else status, code, text, page, "Correct the address: a proxy, a portal or another server answers there"
            )
    return RestError(status, code, text)


def refusal_in_words(url: str, error: RestError) -> tuple[str, str]:
    """Problem and cure of an error that keeps a session from starting."""
    if error.cure:
        return f"the venue at {url} cannot be reached: {error}", error.cure
    if error.reaction is Reaction.STOP:
        return f"the venue at {url} refused the key ({error})", "Check the key, its permissions and the addresses it may be used from"
    if error.reaction is Reaction.BACK_OFF:
        return f"the venue at {url} wants a pause ({error})", "Too many requests from this address: wait, then start again"
    if error.reaction is Reaction.SYNC_CLOCK:
        return f"the venue at {url} finds our time stamp wrong ({error})", "Set this machine's clock"
    if error.status >= 500:
        return f"the venue at {url} fails ({error})", "Start again once it is well"
    return f"the venue at {url} refused ({error})", "Check [venue.binance]: is it a Binance-compatible venue of USD-M futures?"
