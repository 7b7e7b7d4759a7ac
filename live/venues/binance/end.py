"""The last questions to a Binance-compatible venue: what is open, once the hot loop is over (docs/operations.md).

Orders of ours that still rest are cancelled. The dead man's switch (countdownCancelAll) is the last thing to go: it is let go only where
the venue itself has said that no order and no position is open; else it stays armed, and the venue cancels what rests when it runs out.
No order is placed here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from hftkit import clock
from hftkit.instruments import Instrument
from hftkit.units import to_e8
from live.ending.decision import Left
from live.link.rate_budget import Priority
from live.venues.binance.rest import BinanceRest, RestError

_RETRY_S = 0.3
_OPEN_ORDERS_WEIGHT = 40  # of all symbols


class Switch:
    """Symbols whose countdown runs, as far as is known.

    Owner: the venue loop; read by the engine's thread once the loop has nothing more to do with it.
    """

    def __init__(self) -> None:
        self.armed: set[str] = set()


def standing(switch: Switch, dead_man_s: float) -> str:
    """What the operator must know of a switch that stays armed, '' where none is."""
    if not switch.armed:
        return ""
    return f"the dead man's switch stays armed: the venue cancels every order of {', '.join(sorted(switch.armed))} within {dead_man_s:g} s"


async def set_countdown(rest: BinanceRest, symbol: str, countdown_ms: int, insist: bool = False) -> None:
    """POST countdownCancelAll of one symbol; 0 stops it. Raises RestError."""
    params = {"symbol": symbol, "countdownTime": countdown_ms}
    if insist:
        await rest.once("POST", "/fapi/v1/countdownCancelAll", params, signed=True, weight=10, priority=Priority.CANCEL, patient=False, insist=True)
    else:
        await rest.read("/fapi/v1/countdownCancelAll", params, signed=True, weight=10, method="POST")


async def settle(
    rest: BinanceRest,
    dead_man_s: float,
    instruments: tuple[Instrument, ...],
    is_ours: Callable[[str], bool],
    now_ms: Callable[[], int],
    switch: Switch,
    patience_s: float,
    say: Callable[..., None],
) -> Left:
    """Ask what is open in our symbols, cancel what is ours, let the switch go if nothing is. Within `patience_s`; never raises RestError."""
    deadline, why = clock.monotonic_s() + patience_s, ""
    cancelled = False
    while True:
        pause_s = (rest.budget.closed_until_ms - now_ms()) / 1000
        remaining = deadline - clock.monotonic_s()
        if pause_s > remaining:
            why = f"it wants silence for {pause_s:.0f} s (HTTP 418 or 429)"
            break
        try:
            await asyncio.sleep(max(0.0, pause_s))
            orders, positions = await asyncio.wait_for(_open(rest, instruments), max(0.1, deadline - clock.monotonic_s()))
            if not cancelled and (ours := [order for order in orders if is_ours(str(order["clientOrderId"]))]):
                cancelled = True
                await asyncio.wait_for(_cancel(rest, ours, say), max(0.1, deadline - clock.monotonic_s()))
                continue
            if not orders and not positions:
                await asyncio.wait_for(_disarm(rest, switch, say), max(0.1, deadline - clock.monotonic_s()))
            return Left(positions, tuple(_in_words(order) for order in orders), switch=standing(switch, dead_man_s))
        except (RestError, TimeoutError, ValueError, KeyError, TypeError) as error:
            why = str(error) or "no answer in time"
            if clock.monotonic_s() + _RETRY_S > deadline:
                break
            await asyncio.sleep(_RETRY_S)
    return Left(unknown=why, switch=standing(switch, dead_man_s))


async def _open(rest: BinanceRest, instruments: tuple[Instrument, ...]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    lots = {instrument.symbol: instrument.lot_size_e8 for instrument in instruments}
    body = await rest.once(
        "GET", "/fapi/v1/openOrders", signed=True, weight=_OPEN_ORDERS_WEIGHT, priority=Priority.CANCEL, patient=False, insist=True
    )
    orders = [row for row in json.loads(body) if row["symbol"] in lots]
    body = await rest.once("GET", "/fapi/v3/positionRisk", signed=True, weight=5, priority=Priority.CANCEL, patient=False, insist=True)
    held: dict[str, int] = {}
    for row in json.loads(body):
        if row["symbol"] in lots and to_e8(row["positionAmt"]):
            held[row["symbol"]] = held.get(row["symbol"], 0) + round(to_e8(row["positionAmt"]) / lots[row["symbol"]])
    return orders, held


async def _cancel(rest: BinanceRest, orders: list[dict[str, Any]], say: Callable[..., None]) -> None:
    for order in orders:
        params = {"symbol": order["symbol"], "origClientOrderId": order["clientOrderId"]}
        try:
            await rest.once("DELETE", "/fapi/v1/order", params, signed=True, priority=Priority.CANCEL, patient=False, insist=True)
            say("cancelled_at_end", symbol=order["symbol"], client_order_id=order["clientOrderId"])
        except RestError as error:
            say("rest_failed", call="cancel at end", error=str(error), reaction=error.reaction.value)


async def _disarm(rest: BinanceRest, switch: Switch, say: Callable[..., None]) -> None:
    for symbol in sorted(switch.armed):
        try:
            await set_countdown(rest, symbol, 0, insist=True)
            switch.armed.discard(symbol)
        except RestError as error:
            say("rest_failed", call="dead man", error=str(error), reaction=error.reaction.value)
    if not switch.armed:
        say("dead_man_disarmed", why="the venue says that nothing is open")


def _in_words(order: dict[str, Any]) -> str:
    return f"{order['symbol']} {str(order['side']).lower()} {order['origQty']} ({order['clientOrderId']})"
