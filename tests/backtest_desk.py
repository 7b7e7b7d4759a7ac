"""The backtest's venue without an engine: requests at their times, the answers as they would be sent."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np

from hftkit.backtest.run import BacktestVenueState, Depth, Latency, Queue, new_desk
from hftkit.codes import MessageType
from hftkit.instruments import Instrument, instrument_array
from hftkit.kernels import backtest_desk as words
from hftkit.kernels.backtest_resting import NO_ROOM, QUIET, market_until
from hftkit.kernels.backtest_venue import request
from hftkit.session.engine_state import Limits, SessionConfig
from tests.support import frame, unpack_frames

Frame = tuple[MessageType, int, int, tuple[int, ...]]


@dataclass
class DirectVenue:
    """Orders and cancels go in at a time, `answers` collects what comes out."""

    desk: BacktestVenueState
    instruments: np.ndarray
    answers: list[Frame] = field(default_factory=list)

    @classmethod
    def of(cls, tape: np.ndarray, instruments: tuple[Instrument, ...], queue: Queue, depth: Depth | None = None, capacity: int = 4096) -> DirectVenue:
        named = tuple(msgspec.structs.replace(one, symbol=f"{one.symbol}{i}") for i, one in enumerate(instruments))
        config = SessionConfig(epoch=1, account=1, instruments=named, strategies=(), limits=Limits(), order_capacity=capacity)
        return cls(new_desk(config, tape, Latency(), depth or Depth(), queue), instrument_array(instruments))

    def until(self, ts: int) -> None:
        """The tape up to `ts`, inclusive."""
        while (met := market_until(self.desk, self.instruments, ts)) != QUIET:
            assert met != NO_ROOM
            self._collect()

    def new(self, ts: int, coid: int, side: int, price: int, qty: int, tif: int = 0, flags: int = 0, instrument: int = 0) -> None:
        """A limit order, or with price 0 a market order."""
        self.order(ts, coid, side, int(price == 0), tif, flags, price, qty, instrument)

    def order(self, ts: int, coid: int, side: int, order_type: int, tif: int, flags: int, price: int, qty: int, instrument: int = 0) -> None:
        """Any order, also one that is refused."""
        self._send(ts, frame(MessageType.NEW_ORDER, instrument, 1, coid, side, order_type, tif, flags, price, qty))

    def cancel(self, ts: int, coid: int, instrument: int = 0) -> None:
        self._send(ts, frame(MessageType.CANCEL_ORDER, instrument, 1, coid))

    def _send(self, ts: int, message: bytes) -> None:
        self.until(ts)
        body = np.frombuffer(message, np.int64)
        self.desk.orders[1 : 1 + body.size] = body
        assert request(self.desk, self.instruments, 1, ts)
        self._collect()

    def _collect(self) -> None:
        loop, slots = self.desk.loop[0], int(self.desk.plan[words.ANSWER_SLOTS])
        while loop["answer_head"] < loop["answer_tail"]:
            at = int(loop["answer_head"]) % slots * words.SLOT_WORDS
            length = int(self.desk.answers[at + 1]) & 0xFFFF
            self.answers += unpack_frames(self.desk.answers[at + 1 : at + 1 + length // 8].tobytes())
            loop["answer_head"] += 1

    @property
    def fills(self) -> list[tuple[int, int, int, int]]:
        """(time, client order id, price, lots) of every fill."""
        return [(body[0], body[1], body[6], body[7]) for kind, _, _, body in self.answers if kind == MessageType.ORDER_FILL]
