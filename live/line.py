"""A line to a Binance-compatible venue, cold side: its connections, its clock, its account, its limits, and what the compiled line asks for.

    streams      public (books), market (trades, marks), private (user data), orders: a thread each (live/feeds/stream.py)
    REST         one asyncio loop in a thread (live/venue_loop.py): clock, account, listen key, dead man's switch, answers to the line's requests
    hot thread   translates and trades (live/line_loop.py); asks through line.requests, is answered through the cold ring

What is decided here changes what may be traded only through the operator's door: PAUSE, RESUME and HALT_* go through the control page, so that they are
in the journal and a replay sees them. Nothing here places an order.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hftkit import binance_line, clock
from hftkit.binance_line import Counter, Kind, kind_of, wrap_rest_answer
from hftkit.codes import BreakerState, Control, LinePart, LineState, OrderState
from hftkit.errors import VenueError
from hftkit.instruments import Instrument
from hftkit.kernels.memory.ring import ring_pop
from hftkit.kernels.wire.binance import state as words_of
from hftkit.kernels.wire.binance.state import Request
from hftkit.rooms import Rooms
from hftkit.telemetry import ColdPage
from hftkit.units import to_e8
from live.account import Reconciler, Verdict
from live.config import BinanceConfig
from live.feeds.binance import market_url, private_url, public_url
from live.feeds.stream import Stream, StreamPlan
from live.feeds.websocket import Opened, open_websocket, random_mask_seed, tls_context
from live.gateways.binance_instruments import Listed, fees_ppm, listed_instruments
from live.gateways.binance_orders import OrderStream, open_order_api
from live.gateways.binance_rest import BinanceRest, RestError
from live.gateways.breaker import Breaker
from live.gateways.clock_offset import ClockOffset
from live.gateways.error_policy import Reaction, reaction
from live.gateways.keys import ApiKey
from live.gateways.rate_budget import Priority, RateBudget
from live.line_loop import HELD_FD, OFFERED_FD, VENUE_OFFSET_NS, Wire, new_wire, push_cold, take_order_bytes
from live.venue_loop import VenueLoop

_REQUESTS_EVERY_S = 0.005
_CLOCK_ROUNDS_AT_START = 5
_STALE_ORDER_NS = 5_000_000_000  # every order of ours is IOC: one that is not final by now has lost its answer
_FINAL = (OrderState.FREE, OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED)
_NS = 1_000_000_000
