"""One venue for the tests of a file; each test cleans up after itself with `fresh`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.binance.serving import BTC, ETH, Serving, serving


@pytest.fixture(scope="module")
def running() -> Iterator[Serving]:
    """The venue of this file."""
    with serving(orders_per_10s=100_000, orders_per_minute=100_000, weight_per_minute=1_000_000) as venue:
        yield venue


@pytest.fixture
def venue(running: Serving) -> Serving:
    """The same without anybody's orders."""

    def clean() -> None:
        for account in range(2, 6):
            for instrument in (BTC, ETH):
                running.venue.order_api.cancel_everything(account, instrument)
        running.venue.catch_up()
        for instrument in (BTC, ETH):
            for order in running.venue.algo.waiting(instrument):
                running.venue.algo.end(order, "CANCELED", running.venue.now_ms())

    running.on_venue(clean)
    return running
