"""A Binance-compatible venue: a line of several connections, translated at the edge (live/venues/binance/line.py, live/link/line_loop.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numba import types

from hftkit.binance import calls as binance_calls
from hftkit.binance import line as binance_line
from hftkit.codes import Control, LinePart
from hftkit.errors import ConfigError
from hftkit.instruments import Instrument
from hftkit.kernels import jit  # not a kernel source: its edits need no new cache
from hftkit.kernels.hooks import HOOKS_TYPE
from hftkit.params.format import FrozenParams
from hftkit.session.engine_state import EngineState, Limits, SessionConfig
from hftkit.session.telemetry import cold_page
from live.account.lease import Lease
from live.config import EngineConfig
from live.ending.decision import Left
from live.example import example_page
from live.limit_check import smallest_lots
from live.link.door import TradingGate
from live.link.line_loop import Wire, line_loop, new_wire
from live.ready_file import read_ready_file
from live.touch import touch
from live.venues.binance.instruments import check_all_legs
from live.venues.binance.keys import load_key
from live.venues.binance.line import BinanceLine
from live.venues.binary.logon import logon_frame

FUNCTIONS_TYPE = types.Tuple((binance_calls.TRANSLATE_TYPE, binance_calls.ENCODE_TYPE, binance_calls.ANSWER_TYPE))


def dialect() -> tuple[Any, Any, Any]:
    """translate, encode_orders and answer_data_requests, compiled: first-class functions of FUNCTIONS_TYPE."""
    return binance_calls.translator(), binance_calls.encoder(), binance_calls.answerer()


class BinanceVenue:
    """See live/venue.py for what each method is for. In observe mode there is no key, no user stream, no order connection: market data alone."""

    def __init__(
        self,
        config: EngineConfig,
        control: Callable[[Control], int],
        commands: Callable[[int], int | None],
        say: Callable[..., None],
        wait: Callable[[float], bool],
    ) -> None:
        self._config, self._control, self._commands, self._say, self._wait = config, control, commands, say, wait
        self._line: BinanceLine | None = None  # from `discover` on
        self._memory: tuple[binance_line.Line, Wire] | None = None  # from `prepare` on
        self._lease: Lease | None = None
        self._session, self._folder, self._epoch = "", Path(), 0
        self.secrets: tuple[str, ...] = ()

    def begin(self, session: str, folder: Path, epoch: int) -> None:
        """For the lock of the account and for its orders."""
        self._session, self._folder, self._epoch = session, folder, epoch

    @property
    def line(self) -> BinanceLine:
        """The line, once `discover` has made it."""
        assert self._line is not None, "discover() first"
        return self._line

    def compile(self, rooms: EngineState, shell: Any) -> None:
        """The hot loop of a line."""
        sample = (Instrument(symbol="AAAUSDT", tick_size="1", lot_size="1"),)
        line, wire = binance_line.new_line(sample, order_capacity=rooms.orders.size), new_wire(rooms, 1, 64)
        self._functions = dialect()
        self._loop = jit.compiled_driver(line_loop, rooms, HOOKS_TYPE, shell, example_page(), line, wire, FUNCTIONS_TYPE)

    def discover(self, frozen: Sequence[FrozenParams]) -> tuple[Instrument, ...]:
        """The symbols of the frozen files, as exchangeInfo has them; all that a strategy trades open for trading."""
        venue = self._config.venue
        binance, key = venue.binance, None  # its addresses are final: nothing of the ready file but its keys is read from here on
        if self._config.session.mode == "live":
            ready = read_ready_file(Path(venue.ready_file), venue.connect_timeout_s, self._wait).offered() if venue.ready_file else {}
            key = load_key(binance.key_file, ready, None, venue.account, binance.key_kind)
        if key is not None:
            self.secrets = key.secrets()
        door = TradingGate(self._commands, self._control, self._say)
        self._lease = Lease(self._session, self._folder)
        self._line = BinanceLine(
            binance, key, venue.connect_timeout_s, self._control, door, self._say, self._wait, self._config.session, self._lease.take
        )
        self._line.epoch = self._epoch
        symbols = tuple(dict.fromkeys(instrument.symbol for item in frozen for instrument in item.instruments))
        self._listed = self.line.discover(symbols)
        for item in frozen:
            check_all_legs(self._listed, item.traded)
        self._frozen = tuple(frozen)
        return tuple(item.instrument for item in self._listed)

    def limits(self, limits: Limits, frozen: Sequence[FrozenParams]) -> Limits:
        """No order larger than the venue takes, no more of them than its windows allow, with some kept for hedges."""
        rate, most = self.line.budget.order_rate()
        burst = min(limits.order_burst, most)
        largest = {item.instrument.symbol: min(item.max_lots, item.max_market_lots, limits.max_order_lots) for item in self._listed}
        for item in frozen:
            for symbol, unit in smallest_lots(item).items():
                smallest = next((listed.min_lots for listed in self._listed if listed.instrument.symbol == symbol), 0)
                if unit < smallest:
                    raise ConfigError(f"{item.file_name}: a unit of {unit} lots of {symbol} is below the venue's smallest order of {smallest}")
        return msgspec.structs.replace(
            limits,
            max_orders_per_s=min(limits.max_orders_per_s, rate),
            order_burst=burst,
            order_reserve=min(limits.order_reserve or burst // 4, max(burst - 1, 0)),
            max_order_lots_by_symbol={**largest, **{s: min(v, largest.get(s, v)) for s, v in limits.max_order_lots_by_symbol.items()}},
        )

    def logon_words(self, next_seq_in: int = 1) -> tuple[int, ...]:
        """The line keeps the session; its LOGON carries nothing secret."""
        if not self.line.trading:
            return ()
        return logon_frame(self._config.venue.account, 0, self._config.loop.heartbeat_ms * 1_000_000, cancel_on_disconnect=True, secret="")

    def prepare(self, rooms: EngineState, shell: Any, page_path: Path, config: SessionConfig) -> None:
        """The line's memory."""
        largest = [smallest_lots(item) for item in self._frozen]
        units = [max(unit.get(instrument.symbol, 0) for unit in largest) for instrument in config.instruments]
        self._memory = self.line.build(rooms, shell.loop[0], config.instruments, units, cold_page(page_path))
        touch(*self._memory)

    def connect(self) -> None:
        """Streams and tasks."""
        self.line.connect()

    def reopen(self, shell: Any, next_seq_in: int) -> tuple[int, ...]:
        """The line keeps its connections up by itself."""
        return ()

    def run(self, rooms: EngineState, strategies: np.ndarray, shell: Any, page: Any) -> int:
        """The hot loop."""
        assert self._memory is not None, "prepare() first"
        return int(self._loop(rooms, strategies, shell, page, *self._memory, self._functions))

    def turn(self) -> None:
        """Watch the line."""
        self.line.turn()

    def publish(self) -> None:
        """The line's rows."""
        self.line.publish()

    def left(self, patience_s: float, lost: tuple[str, ...]) -> tuple[Left, ...]:
        """Asked by REST. A session that only observes leaves nothing."""
        return (self.line.left(patience_s),) if self.line.trading and self._memory is not None else ()

    def refresh_books(self) -> None:
        """The public stream anew, second connection first."""
        self.line.streams[LinePart.PUBLIC].replace()

    def where(self) -> str:
        """The three addresses."""
        config = self.line.config
        return f"{config.rest_url}, streams {config.stream_url}, orders {config.order_url if self.line.trading else 'none (observe)'}"

    def missing(self) -> str:
        """Parts that are not up."""
        return self.line.missing()

    def close(self) -> None:
        """End the line."""
        if self._line is not None:
            self._line.stop()
        if self._lease is not None:
            self._lease.release()

    def stray(self, event: np.void) -> None:
        """The line lets none through: what is nobody's is told by live/venues/binance/foreign_orders.py."""

    def settled(self) -> bool:
        """Since `discover`."""
        return True

    def result(self) -> dict[str, Any]:
        """The line's counters."""
        return {"line": self.line.summary()} if self._line is not None and self._memory is not None else {}
