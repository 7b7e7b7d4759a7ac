"""A venue with the Binance dialect, inside the test's process, on free ports; and what tests need to reach it."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from hftkit.exchange.config import load_config
from hftkit.exchange.faults.page import write_settings
from hftkit.exchange.faults.plan import FaultPlan
from hftkit.exchange.servers.binance_service import BinanceService, at_wall_time
from hftkit.exchange.servers.binary import BinaryServer
from hftkit.exchange.testing import PlainClient

HOST = "127.0.0.1"
QUIET = Path(__file__).parent / "quiet.toml"
BTC, ETH = 0, 1


class Answer:
    """One HTTP answer: status, headers, decoded body."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers = response.status, response.headers
        self.body: Any = json.loads(response.read())

    @property
    def code(self) -> int:
        """The error code, 0 if there is none."""
        return self.body.get("code", 0) if isinstance(self.body, dict) else 0


class Serving:
    """The running venue."""

    def __init__(self, plan: FaultPlan | None = None, config_path: Path = QUIET, **binance: Any) -> None:
        config = at_wall_time(load_config(config_path))
        config = msgspec.structs.replace(config, binance=msgspec.structs.replace(config.binance, **binance))
        self.server = BinaryServer(config, plan=plan)
        self.order_port, self.market_port = self.server.start(HOST, 0, 0, time.time_ns())
        self.service = BinanceService(self.server, config)
        self.host, self.venue = self.service.host, self.service.venue
        self.host.start()
        self.ready = self.service.start(HOST, 0)
        self.url, self.ws_url, self.port = self.ready["url"], self.ready["ws_url"], self.ready["port"]

    def key(self, account: int = 1, kind: str = "HMAC") -> dict[str, Any]:
        """A demo key."""
        return next(key for key in self.ready["keys"] if (key["account"], key["kind"]) == (account, kind))

    def on_venue(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run something on the venue's thread."""
        return self.host.call_and_wait(function, *arguments)

    def faults(self, **settings: float) -> None:
        """Switch faults of the dialect."""
        write_settings(self.server.shell.faults.page, {f"binance.{name}": value for name, value in settings.items()})

    def trader(self, account: int) -> PlainClient:
        """A client of the binary dialect, logged on, its welcome read."""
        client = PlainClient(HOST, self.order_port)
        assert client.logon(account).name == "LOGON_ACK"
        for _ in range(2):
            assert client.receive().name == "POSITION"
        return client

    def ask(self, method: str, target: str, body: str = "", headers: dict[str, str] | None = None) -> Answer:
        """One request as it is written."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request(method, target, body or None, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def signed(self, method: str, path: str, account: int = 1, **params: Any) -> Answer:
        """One signed request, by hand: parameters in the query."""
        key = self.key(account)
        query = urlencode({**params, "timestamp": params.get("timestamp", time.time_ns() // 1_000_000)})
        signature = hmac.new(key["secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
        return self.ask(method, f"{path}?{query}&signature={signature}", headers={"X-MBX-APIKEY": key["key"]})

    def close(self) -> None:
        """Stop everything."""
        self.service.stop()
        self.server.close()


@contextmanager
def serving(**options: Any) -> Iterator[Serving]:
    """A venue for the time of a with block."""
    venue = Serving(**options)
    try:
        yield venue
    finally:
        venue.close()
