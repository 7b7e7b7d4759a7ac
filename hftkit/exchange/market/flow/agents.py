"""The synthetic traders: makers, fundamental, momentum and noise takers, arriving as one Poisson or Hawkes process per instrument.

Each arrival looks at the fundamental value F and at the real book, and returns orders like anyone else's:

* **Maker** (house account MAKER): withdraws quotes that the fundamental has run over, now and then one at random (age), then
  fills one free place on each side: at the touch if nobody stands near it, else an exponential distance behind. Post-only.
* **Informed taker** (house account TAKER): lifts the offer if it is below F, hits the bid if it is above.
* **Momentum taker**: buys if the mid stands above its own slow average by more than a quarter half spread, sells if below.
* **Noise taker**: buys or sells at the market, whatever the price; either side, or the pieces of large orders (splitting.py).

When they arrive: arrivals.py.
After the zero-intelligence tradition (Farmer, Patelli, Zovko, PNAS 2005), anchored to F as in Glosten and Milgrom (1985).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hftkit.codes import OrderFlag, OrderType, Side, TimeInForce
from hftkit.exchange.core.ladder import find_key
from hftkit.exchange.core.layout import Op
from hftkit.exchange.core.matching import Books
from hftkit.exchange.market.flow.arrivals import next_wait_ns
from hftkit.exchange.market.flow.fundamentals import STEP_NS, advance_fundamentals
from hftkit.exchange.market.flow.random import below, natural_log, uniform
from hftkit.exchange.market.flow.splitting import next_side
from hftkit.exchange.market.flow.volatility import Volatility
from hftkit.kernels.jit import inner_kernel

MAKER, TAKER = 0, 1  # house accounts (indexes)
REFRESH = 0.15  # probability that a maker also withdraws one quote at random
NEAR = 1.6  # a side without a quote within this many half spreads of F is quoted at the touch

SLOW = 0.02  # weight of the present mid in the slow average that momentum takers look at
# What a scenario's script may do to one instrument (second column of Flow.script); the last to the market factor
SHIFT_VALUE, SCALE_VOLATILITY, SCALE_RATE, SCALE_SPREAD, SCALE_QUANTITY, SET_MAKER_SHARE, SHIFT_ANCHOR, SCALE_MARKET = range(8)

_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_LIMIT, _GTC, _IOC = int(OrderType.LIMIT), int(TimeInForce.GTC), int(TimeInForce.IOC)
_POST_ONLY = int(OrderFlag.POST_ONLY)
_NEW, _CANCEL = int(Op.NEW), int(Op.CANCEL)


class Flow(NamedTuple):
    """State of the synthetic market."""

    fundamentals: np.ndarray  # FUNDAMENTAL (n,)
    agents: np.ndarray  # AGENT (n,)
    value_states: np.ndarray  # uint64 (n + 1,): random streams of the fundamentals, the last is the market factor's
    agent_states: np.ndarray  # uint64 (n,): random streams of the agents
    market: np.ndarray  # float64 (2,): volatility per step, factor
    volatility: Volatility
    clock: np.ndarray  # int64 (2,): fundamental steps done, exchange time of step 0
    quotes: np.ndarray  # int64 (n, 2 sides, places, 2): client_order_id (0 none), price
    commands: np.ndarray  # COMMAND (4 * places + 4,): what the last arrival asks for
    excitation: np.ndarray  # float64 (n, 3): branching ratio, decay 1/s, state: intensity above the base 1/s
    momentum: np.ndarray  # float64 (n, 2): share of the arrivals, state: slow average of the mid in ticks, 0 before the first
    splitting: np.ndarray  # float64 (1,): exponent of the size of split orders, 0: none are split
    hidden: np.ndarray  # int64 (n, HIDDEN, 2): the large orders being worked, side and pieces left
    script: np.ndarray  # float64 (m, 4): step, what (SHIFT_VALUE ..), instrument, value; sorted by step
    script_at: np.ndarray  # int64 (1,): rows done


@inner_kernel
def _command(flow: Flow, n: int, op: int, instrument: int, account: int, client_order_id: int) -> int:
    row = flow.commands[n]
    row.op, row.instrument, row.account, row.client_order_id = op, instrument, account, client_order_id
    row.side, row.order_type, row.time_in_force, row.flags, row.price, row.qty = 0, _LIMIT, _GTC, 0, 0, 0
    return n + 1


@inner_kernel
def _new_order(flow: Flow, n: int, instrument: int, account: int, side: int, price: int) -> int:
    agent = flow.agents[instrument]
    agent.last_id += 1
    n = _command(flow, n, _NEW, instrument, account, agent.last_id)
    row = flow.commands[n - 1]
    row.side, row.price = side, max(1, price)
    row.qty = 1 + below(flow.agent_states, instrument, max(1, int(float(agent.max_qty) * agent.qty_scale + 0.5)))
    return n


@inner_kernel
def _withdraw(flow: Flow, books: Books, n: int, instrument: int, side: int) -> tuple[int, float]:
    """Cancel this side's quotes that are too near the value. Returns (commands, distance of the nearest quote kept)."""
    value, margin = flow.fundamentals[instrument].value, 0.5 * flow.agents[instrument].half_spread
    sign = 1.0 if side == _BUY else -1.0
    places = flow.quotes.shape[2]
    unlucky = below(flow.agent_states, instrument, places) if uniform(flow.agent_states, instrument) < REFRESH else -1
    nearest = 1e18
    for place in range(places):
        quote = flow.quotes[instrument, side, place]
        if quote[0] != 0 and find_key(books.table, MAKER, quote[0]) == 0:
            quote[0] = 0  # filled, or refused when it was sent
        if quote[0] == 0:
            continue
        distance = sign * (value - quote[1])
        if distance < margin or place == unlucky:
            n = _command(flow, n, _CANCEL, instrument, MAKER, quote[0])
            quote[0] = 0
        elif distance < nearest:
            nearest = distance
    return n, nearest


@inner_kernel
def _quote(flow: Flow, n: int, instrument: int, side: int, place: int, at_touch: bool) -> int:
    agent = flow.agents[instrument]
    distance = agent.half_spread
    if not at_touch:
        distance -= agent.depth * natural_log(1.0 - uniform(flow.agent_states, instrument))
    value = flow.fundamentals[instrument].value
    if side == _BUY:
        price = np.int64(np.floor(value - distance))
    else:
        price = np.int64(np.ceil(value + distance))
    n = _new_order(flow, n, instrument, MAKER, side, price)
    row = flow.commands[n - 1]
    row.flags = _POST_ONLY
    flow.quotes[instrument, side, place, 0] = row.client_order_id
    flow.quotes[instrument, side, place, 1] = row.price
    return n


@inner_kernel
def _fill(flow: Flow, n: int, instrument: int, side: int, nearest: float) -> int:
    """Up to two quotes in free places of one side: the touch first, if nobody stands near it."""
    wanted = 2
    at_touch = nearest > NEAR * flow.agents[instrument].half_spread
    for place in range(flow.quotes.shape[2]):
        if wanted > 0 and flow.quotes[instrument, side, place, 0] == 0:
            n = _quote(flow, n, instrument, side, place, at_touch)
            at_touch = False
            wanted -= 1
    return n


@inner_kernel
def _maker(flow: Flow, books: Books, instrument: int) -> int:
    n, nearest_bid = _withdraw(flow, books, 0, instrument, _BUY)
    n, nearest_ask = _withdraw(flow, books, n, instrument, _SELL)
    n = _fill(flow, n, instrument, _BUY, nearest_bid)
    return _fill(flow, n, instrument, _SELL, nearest_ask)


@inner_kernel
def _taker(flow: Flow, books: Books, instrument: int, informed: bool) -> int:
    value = flow.fundamentals[instrument].value
    top = books.tops[instrument]
    if informed:
        if top.ask != 0 and top.ask < value:
            side, price = _BUY, np.int64(np.floor(value))
        elif top.bid != 0 and top.bid > value:
            side, price = _SELL, np.int64(np.ceil(value))
        else:
            return 0
    else:
        side = next_side(flow.agent_states, instrument, flow.hidden[instrument], flow.splitting[0])
        price = top.ask if side == _BUY else top.bid
        if price == 0:
            return 0
    n = _new_order(flow, 0, instrument, TAKER, side, price)
    flow.commands[0].time_in_force = _IOC
    return n


@inner_kernel
def _momentum_taker(flow: Flow, books: Books, instrument: int) -> int:
    top, momentum = books.tops[instrument], flow.momentum[instrument]
    if top.bid == 0 or top.ask == 0 or momentum[1] == 0.0:
        return 0
    lead = 0.5 * np.float64(top.bid + top.ask) - momentum[1]
    if abs(lead) < 0.25 * flow.agents[instrument].half_spread:
        return 0
    side = _BUY if lead > 0.0 else _SELL
    n = _new_order(flow, 0, instrument, TAKER, side, top.ask if side == _BUY else top.bid)
    flow.commands[0].time_in_force = _IOC
    return n


@inner_kernel
def _follow_mid(flow: Flow, books: Books, instrument: int) -> None:
    top, momentum = books.tops[instrument], flow.momentum[instrument]
    if top.bid != 0 and top.ask != 0:
        mid = 0.5 * np.float64(top.bid + top.ask)
        momentum[1] = mid if momentum[1] == 0.0 else momentum[1] + SLOW * (mid - momentum[1])


@inner_kernel
def _follow_script(flow: Flow, until_step: int) -> None:
    """Carry out what the scenario has for the steps up to `until_step`, each at its own step of the fundamentals."""
    while flow.script_at[0] < flow.script.shape[0] and flow.script[flow.script_at[0], 0] <= until_step:
        row = flow.script[flow.script_at[0]]
        advance_fundamentals(flow.fundamentals, flow.value_states, flow.market, flow.volatility, flow.clock, int(row[0]))
        value, agent = flow.fundamentals[int(row[2])], flow.agents[int(row[2])]
        if row[1] == SHIFT_VALUE:
            if value.hedge < 0:
                value.x += row[3]
            else:
                value.u += row[3]
        elif row[1] == SCALE_VOLATILITY:
            value.sigma *= row[3]
            value.noise *= row[3]
        elif row[1] == SCALE_RATE:
            agent.rate *= row[3]
        elif row[1] == SCALE_SPREAD:
            agent.half_spread *= row[3]
            agent.depth *= row[3]
        elif row[1] == SCALE_QUANTITY:
            agent.qty_scale *= row[3]
        elif row[1] == SET_MAKER_SHARE:
            agent.maker_share = row[3]
        elif row[1] == SHIFT_ANCHOR:
            value.anchor += row[3]
        elif row[1] == SCALE_MARKET:
            flow.market[0] *= row[3]
        flow.script_at[0] += 1


@inner_kernel
def next_arrival(flow: Flow) -> int:
    """Instrument whose agents act next."""
    first = 0
    for i in range(1, flow.agents.size):
        if flow.agents[i].next_ns < flow.agents[first].next_ns:
            first = i
    return first


@inner_kernel
def act(flow: Flow, books: Books, instrument: int) -> int:
    """The arrival at `agents[instrument].next_ns`: brings the fundamentals up to it, decides, schedules the next one.

    Returns the number of rows of `flow.commands` to carry out, in order, at that time.
    """
    agent = flow.agents[instrument]
    now = agent.next_ns
    step = (now - flow.clock[1]) // STEP_NS
    _follow_script(flow, step)
    advance_fundamentals(flow.fundamentals, flow.value_states, flow.market, flow.volatility, flow.clock, step)
    agent.next_ns = now + next_wait_ns(flow.agent_states, instrument, agent.rate, flow.excitation[instrument])
    if flow.momentum[instrument, 0] > 0.0:
        _follow_mid(flow, books, instrument)
    draw = uniform(flow.agent_states, instrument)
    if draw < agent.maker_share:
        return _maker(flow, books, instrument)
    if draw >= 1.0 - flow.momentum[instrument, 0]:
        return _momentum_taker(flow, books, instrument)
    return _taker(flow, books, instrument, draw < agent.maker_share + agent.informed_share)


@inner_kernel
def open_book(flow: Flow, books: Books, instrument: int) -> int:
    """Quotes for every place of an empty book. Returns the number of rows of `flow.commands` to carry out."""
    n = 0
    for place in range(flow.quotes.shape[2]):
        n = _quote(flow, n, instrument, _BUY, place, place == 0)
        n = _quote(flow, n, instrument, _SELL, place, place == 0)
    return n
