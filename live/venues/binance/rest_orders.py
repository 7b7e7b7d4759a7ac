"""Orders over REST, where the WebSocket order API is away or not to be used: the hot thread's frames to calls, the answers as the line knows them.

Each order is posted once, at once or not at all: the line gives up an order that the venue has not seen within its receive window, so none may lie
in wait here. Where the outcome is unknown nothing is said: the step asks by ORDER_QUERY once its time-out has passed, as it does for every order
without an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from hftkit.binance.line import Kind, client_order_id_text, wrap_rest_answer
from hftkit.codes import MessageType, OrderFlag, OrderType, Side, TimeInForce
from hftkit.instruments import Instrument
from hftkit.kernels.wire.frame import frame_instrument, frame_type, frame_words
from hftkit.layout import FRAME
from hftkit.units import from_steps
from live.link.rate_budget import Priority
from live.venues.binance.error_policy import Reaction
from live.venues.binance.rest import BinanceRest, RestError

_METHODS: dict[int, str] = {MessageType.NEW_ORDER: "place", MessageType.CANCEL_ORDER: "cancel", MessageType.ORDER_QUERY: "status"}
_TIF = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}


def order_params(words: np.ndarray, instrument: Instrument) -> dict[str, Any]:
    """Parameters of POST /fapi/v1/order from the words of one NEW_ORDER frame."""
    frame = FRAME[MessageType.NEW_ORDER]

    def field(name: str) -> int:
        return int(words[frame.word(name)])

    params: dict[str, Any] = {
        "symbol": instrument.symbol,
        "side": Side(field("side")).name,
        "type": OrderType(field("order_type")).name,
        "quantity": from_steps(field("qty"), instrument.lot_size),
        "newClientOrderId": client_order_id_text(field("client_order_id")),
    }
    if field("order_type") == OrderType.LIMIT:
        post_only = field("flags") & OrderFlag.POST_ONLY
        params["timeInForce"] = "GTX" if post_only else _TIF[TimeInForce(field("time_in_force"))]
        params["price"] = from_steps(field("price"), instrument.tick_size)
    if field("flags") & OrderFlag.REDUCE_ONLY:
        params["reduceOnly"] = "true"
    return params


async def serve_orders(
    rest: BinanceRest,
    instruments: tuple[Instrument, ...],
    bell: int,
    take: Callable[[], bytes],
    push: Callable[[int, bytes], None],
    say: Callable[..., None],
    recv_window_ms: int,
    account: Any,
) -> None:
    """For ever: wait for the bell, send what the hot thread has put into the REST ring, each order as a task of its own.

    `bell`: eventfd; `take()`: the frames; `account`: the ACCOUNT record that counts them.
    """
    rung, flying = asyncio.Event(), set()
    loop = asyncio.get_running_loop()
    loop.add_reader(bell, rung.set)
    try:
        while True:
            await rung.wait()
            rung.clear()
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(bell)
            words = np.frombuffer(take(), np.int64)
            position = 0
            while position < words.size:
                n_words = int(frame_words(words[position]))
                if int(frame_type(words[position])) in _METHODS:  # LOGON, LOGOUT and HEARTBEAT are kept by the line
                    account["n_rest_orders"] += 1
                    task = asyncio.ensure_future(_serve(rest, instruments, words[position : position + n_words], push, say, recv_window_ms))
                    flying.add(task)
                    task.add_done_callback(flying.discard)
                position += n_words
    finally:
        loop.remove_reader(bell)


async def _serve(
    rest: BinanceRest,
    instruments: tuple[Instrument, ...],
    words: np.ndarray,
    push: Callable[[int, bytes], None],
    say: Callable[..., None],
    recv_window_ms: int,
) -> None:
    kind, index = int(frame_type(words[0])), int(frame_instrument(words[0]))
    instrument = instruments[index]
    client_order_id = int(words[2])
    by_id = {"symbol": instrument.symbol, "origClientOrderId": client_order_id_text(client_order_id)}
    method = _METHODS[kind]
    try:
        if kind == MessageType.NEW_ORDER:
            params = order_params(words, instrument)
            priority = Priority.HEDGE if "reduceOnly" in params else Priority.NEW
            body = await rest.once(
                "POST", "/fapi/v1/order", params, signed=True, weight=0, orders=1, priority=priority, patient=False, recv_window_ms=recv_window_ms
            )
        elif kind == MessageType.CANCEL_ORDER:
            body = await rest.once("DELETE", "/fapi/v1/order", by_id, signed=True, priority=Priority.CANCEL, patient=False)
        else:
            body = await rest.once("GET", "/fapi/v1/order", by_id, signed=True, patient=False)
        push(Kind.REST_ORDER, wrap_rest_answer(method, client_order_id, 200, body))
    except RestError as error:
        say("rest_order_failed", call=method, client_order_id=client_order_id, error=str(error), reaction=error.reaction.value)
        if error.reaction is not Reaction.QUERY:
            push(
                Kind.REST_ORDER, wrap_rest_answer(method, client_order_id, error.status, json.dumps({"code": error.code, "msg": error.text}).encode())
            )
