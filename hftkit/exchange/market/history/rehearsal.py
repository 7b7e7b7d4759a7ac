"""The same orders against the same history, under each queue estimate: the venue of the simulator without sockets, at full speed.

`rehearse` sends a list of requests of one client, each at its exchange time, through the venue's own checks, books, fees and margin, and gives back
every fill. Requests arrive after the rows of their own time. For research and tests; the engine's backtest is hftkit/backtest/run.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from hftkit.errors import DataError
from hftkit.exchange.config import SimConfig, load_config
from hftkit.exchange.core.accounts import account_index
from hftkit.exchange.core.books import new_books
from hftkit.exchange.core.filters import mark_price
from hftkit.exchange.core.layout import EXECUTION, ExecutionKind, Op, TapKind
from hftkit.exchange.core.tap import Tap
from hftkit.exchange.market.history.build import HistoryPlan, history_report, new_history
from hftkit.exchange.market.history.files import config_for
from hftkit.exchange.market.history.market import NEVER, ROW, ROWS, PlayedHistory, run_history
from hftkit.exchange.trading.orders import carry_out, client_order
from hftkit.exchange.venue import Exchange, new_venue
from hftkit.kernels.jit import compiled_driver, inner_kernel, kernel
from hftkit.kernels.market.queue import ESTIMATES
from hftkit.kernels.wire.frame import frame_type, frame_words

NEW, CANCEL = 0, 1
REQUEST = np.dtype(
    [(name, "<i8") for name in ("ts", "action", "client_order_id", "instrument", "side", "order_type", "tif", "flags", "price", "qty")]
)
FILL_COLUMNS = ("ts", "client_order_id", "instrument", "side", "maker", "price", "qty", "fee_e8")
CHUNK = 64  # rows between two looks at the drop copy: what they bring about must fit into its ring
# Words of the cursor
N_FILLS, N_REJECTS, N_REQUESTS = range(3)
REHEARSED, FILLS_FULL = 0, 1
_EXECUTION, _TRADE, _REJECTED = int(TapKind.EXECUTION), int(ExecutionKind.TRADE), int(ExecutionKind.REJECTED)
_WORD = {field.name: word for word, field in enumerate(EXECUTION.fields)}  # every field is one
_KIND, _TS, _ID, _INSTRUMENT, _SIDE = _WORD["kind"], _WORD["ts"], _WORD["client_order_id"], _WORD["instrument"], _WORD["side"]
_MAKER, _PRICE, _QTY, _FEE = _WORD["maker"], _WORD["last_price"], _WORD["last_qty"], _WORD["fee_e8"]
_OP_NEW, _OP_CANCEL = int(Op.NEW), int(Op.CANCEL)


@inner_kernel
def _gather(venue: Exchange, fills: Any, cursor: Any) -> bool:
    """Copy what happened to the orders since the last look, from the drop copy. False: no room, or the ring was too small."""
    tap, ring = venue.tap.state[0], venue.tap.ring
    mask, at = ring.size - 1, tap.tail
    while at < tap.head:
        head = ring[at & mask]
        if frame_type(head) == _EXECUTION:
            kind = ring[(at + _KIND) & mask]
            if kind == _REJECTED:
                cursor[N_REJECTS] += 1
            elif kind == _TRADE:
                if cursor[N_FILLS] >= fills.shape[0]:
                    return False
                row = fills[cursor[N_FILLS]]
                row[0], row[1], row[2] = ring[(at + _TS) & mask], ring[(at + _ID) & mask], ring[(at + _INSTRUMENT) & mask]
                row[3], row[4], row[5] = ring[(at + _SIDE) & mask], ring[(at + _MAKER) & mask], ring[(at + _PRICE) & mask]
                row[6], row[7] = ring[(at + _QTY) & mask], ring[(at + _FEE) & mask]
                cursor[N_FILLS] += 1
        at += frame_words(head)
    tap.tail = at
    return tap.n_lost == 0


@inner_kernel
def _ask(venue: Exchange, account: int, request: Any) -> None:
    command = venue.command[0]
    command.op = _OP_NEW if request.action == NEW else _OP_CANCEL
    command.instrument, command.account, command.client_order_id = request.instrument, account, request.client_order_id
    command.side, command.order_type, command.time_in_force, command.flags = request.side, request.order_type, request.tif, request.flags
    command.price, command.qty, command.trigger_price, command.expire_ts = request.price, request.qty, 0, 0
    if request.action == NEW:
        client_order(venue)
    else:
        carry_out(venue, command)


@kernel
def run_requests(venue: Exchange, history: PlayedHistory, requests: Any, fills: Any, cursor: Any, account_id: int) -> int:
    """Every request at its time, then the rest of the tape. Returns REHEARSED or FILLS_FULL.

    `requests`: REQUEST (m,) by time; `fills`: int64 (k, 8) of FILL_COLUMNS; `cursor`: int64 (3,).
    """
    account = account_index(venue.accounts, account_id)
    for r in range(requests.size + 1):
        until = requests[r].ts if r < requests.size else NEVER - 1
        while run_history(venue, history, until, CHUNK) == CHUNK:
            if not _gather(venue, fills, cursor):
                return FILLS_FULL
        if r < requests.size:
            venue.state[0].ts = max(venue.state[0].ts, until)
            _ask(venue, account, requests[r])
            cursor[N_REQUESTS] += 1
        if not _gather(venue, fills, cursor):
            return FILLS_FULL
    return REHEARSED


@dataclass(frozen=True)
class Rehearsal:
    """What came of the requests. `fills`: int64 (k, 8), columns FILL_COLUMNS; `report`: build.history_report; `venue`: as it stands at the end."""

    fills: np.ndarray
    rejects: int
    report: dict[str, Any]
    venue: Exchange

    @property
    def equity_change_e8(self) -> int:
        """Profit after fees of the account, open positions at the mark, 1e-8 quote."""
        account, total = 2, 0  # the first account behind the house's two
        for i, holding in enumerate(self.venue.holdings[account]):
            mark = int(mark_price.py_func(self.venue.books.tops.view(np.recarray)[i]))
            total += int(holding["position"]) * mark * int(self.venue.limits[i]["tick_lot_e8"]) + int(holding["cash_e8"]) - int(holding["fees_e8"])
        return total


def rehearse(plan: HistoryPlan, requests: np.ndarray, *, config: SimConfig | None = None, max_fills: int = 1_000_000) -> Rehearsal:
    """Send `requests` (REQUEST, in time order) of one account against a history. Raises DataError for requests out of order."""
    if requests.dtype != REQUEST or (np.diff(requests["ts"]) < 0).any():
        raise DataError("requests must be of dtype REQUEST and in the order of their time", "Sort them by ts")
    config = config_for(plan.history, config or load_config())
    books = new_books([one.start_ticks for one in config.instruments], config.venue.max_orders, config.venue.ladder_ticks, config.venue.n_accounts)
    venue, history = new_venue(config, books), new_history(plan, config.venue.max_orders)
    fills, cursor = np.zeros((max_fills, len(FILL_COLUMNS)), np.int64), np.zeros(3, np.int64)
    Tap(venue.tap).open()
    run = compiled_driver(run_requests, venue, history, requests, fills, cursor, 0)
    if run(venue, history, requests, fills, cursor, 1) == FILLS_FULL:
        raise DataError(f"more than {max_fills} fills", "Raise max_fills")
    assert history.io[ROW] == history.io[ROWS]
    return Rehearsal(fills[: cursor[N_FILLS]].copy(), int(cursor[N_REJECTS]), history_report(plan, history), venue)


def rehearse_all(plan: HistoryPlan, requests: np.ndarray, **options: Any) -> dict[str, Rehearsal]:
    """`rehearse` under each of the three queue estimates."""
    return {name: rehearse(HistoryPlan(**{**_fields(plan), "estimate": name}), requests, **options) for name in ESTIMATES}


def _fields(plan: HistoryPlan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in plan.__dataclass_fields__}


def small_venue(config: SimConfig | None = None, **changes: Any) -> SimConfig:
    """A configuration with other settings of the venue, such as a small ladder."""
    config = config or load_config()
    return msgspec.structs.replace(config, venue=msgspec.structs.replace(config.venue, **changes))
