"""What many tests need: small frozen files, a machine that feeds frames to the step, and an independent frame codec (struct)."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import numpy as np

from hftkit import layout
from hftkit.codes import Control, EventKind, MessageType
from hftkit.instruments import Instrument
from hftkit.kernels.hooks import HOOKS_TYPE
from hftkit.kernels.jit import compiled_driver
from hftkit.kernels.step import step, take_frame
from hftkit.kernels.trading.strategy_risk import UNLIMITED
from hftkit.kernels.wire.decode import clear_event
from hftkit.kernels.wire.frame import check_frame
from hftkit.params.execution import BasketLeg, BasketPlan, ExecutionPlan, LegPlan, QuotesPlan
from hftkit.params.format import FrozenParams, body_of, digest_of
from hftkit.session.engine_state import EngineState, Limits, SessionConfig, build_engine_state, strategy_kernels

NOBODY = 0xFFFFFFFF
AAA = Instrument(symbol="AAAUSD", tick_size="0.01", lot_size="0.1", min_notional="5", maker_fee_ppm=20, taker_fee_ppm=100)
CCC = Instrument(symbol="CCCUSD", tick_size="0.05", lot_size="0.01", min_notional="5", maker_fee_ppm=20, taker_fee_ppm=100)
BBB = Instrument(symbol="BBBUSD", tick_size="0.05", lot_size="0.01", min_notional="5", maker_fee_ppm=20, taker_fee_ppm=100)


def frame(kind: MessageType, instrument: int, seq: int, *body: int) -> bytes:
    """A frame by hand, with struct only: the codec under test has no part in it."""
    return struct.pack(f"<HBBIq{len(body)}q", 16 + 8 * len(body), int(kind), 1, instrument & NOBODY, seq, *body)


def unpack_frames(data: bytes) -> list[tuple[MessageType, int, int, tuple[int, ...]]]:
    """(type, instrument, sequence, body) of each frame in a byte string."""
    frames = []
    while data:
        length, kind, version, instrument, seq = struct.unpack_from("<HBBIq", data)
        assert version == 1
        frames.append((MessageType(kind), instrument, seq, struct.unpack_from(f"<{(length - 16) // 8}q", data, 16)))
        data = data[length:]
    return frames


def sealed(body: FrozenParams) -> FrozenParams:
    """The same with the digest of its content."""
    return msgspec.structs.replace(body, digest=digest_of(body_of(body)))


def frozen_pair(strategy: str = "fixed_target", parameters: dict[str, Any] | None = None, **leg: Any) -> FrozenParams:
    """Frozen parameters of a pair AAAUSD / BBBUSD with 100 lead lots against -80 hedge lots a unit."""
    plan = {
        "lead": "AAAUSD",
        "hedge": "BBBUSD",
        "unit_lead_lots": 100,
        "unit_hedge_lots": -80,
        "slippage_ticks": 5,
        "hedge_deadline_ns": 1_000_000_000,
        "retry_ns": 10_000_000,
        "residual_lots": 0,
    }
    body = FrozenParams(
        schema_version=1,
        name="test-pair",
        strategy=strategy,
        strategy_version=1,
        instruments=(AAA, BBB),
        legs=LegPlan(**{**plan, **leg}),
        parameters=parameters or {"target": 1},
        arrays={},
        provenance={},
        valid_from_ns=0,
        valid_until_ns=2**62,
    )
    return sealed(body)


def frozen_by(plan: ExecutionPlan, strategy: str, parameters: dict[str, Any], instruments: tuple[Instrument, ...], **more: Any) -> FrozenParams:
    """Frozen parameters whose execution is `plan`."""
    body = FrozenParams(
        schema_version=1, name=f"test-{strategy}", strategy=strategy, strategy_version=1, instruments=instruments, execution=plan,
        parameters=parameters, provenance={}, valid_from_ns=0, valid_until_ns=2**62, **{"arrays": {}, **more},
    )  # fmt: skip
    return sealed(body)


def frozen_quotes(**plan: Any) -> FrozenParams:
    """Quotes of 90 lots 4 ticks round the middle of AAAUSD, leaning by 5 ticks where as much is held as may be."""
    wanted = QuotesPlan(**{"instrument": "AAAUSD", "max_position_lots": 150, "retry_ns": 10_000_000, **plan})
    return frozen_by(wanted, "fixed_spread", {"half_spread_ticks": "4.0", "skew_ticks": "5.0", "size_lots": 90}, (AAA,))


def frozen_basket(units: tuple[int, ...] = (100, -80, 60), **plan: Any) -> FrozenParams:
    """A basket of AAAUSD, BBBUSD and CCCUSD that always wants its target."""
    legs = tuple(BasketLeg(symbol=one.symbol, unit_lots=lots) for one, lots in zip((AAA, BBB, CCC), units, strict=True))
    wanted = BasketPlan(**{"legs": legs, "slippage_ticks": 5, "deadline_ns": 1_000_000_000, "retry_ns": 10_000_000, **plan})
    return frozen_by(wanted, "fixed_target", {"target": 1}, (AAA, BBB, CCC))


def no_limits(n_instruments: int) -> tuple[np.ndarray, ...]:
    """SLOT, LEDGER, OPEN and watch table of one strategy that has no limits and holds nothing, as the risk check takes them."""
    slots = np.zeros(1, layout.SLOT.dtype)
    for name in ("max_position", "max_exposure_e8", "max_loss_e8", "max_open_orders"):
        slots[name] = UNLIMITED
    shape = (1, n_instruments)
    return slots, np.zeros(shape, layout.LEDGER.dtype), np.zeros(shape, layout.OPEN.dtype), np.arange(n_instruments, dtype=np.int64).reshape(shape)


class Machine:
    """EngineState, strategies and the compiled step; collects what the step sends. Time is what the test says."""

    def __init__(self, frozen: FrozenParams | tuple[FrozenParams, ...] | None = None, limits: Limits | None = None, **config: Any) -> None:
        strategies = frozen if isinstance(frozen, tuple) else (frozen or frozen_pair(),)
        instruments = tuple(dict.fromkeys((AAA, BBB, *(one for each in strategies for one in each.instruments))))
        self.config = SessionConfig(epoch=1, account=7, instruments=instruments, strategies=strategies, limits=limits or Limits(), **config)
        self.rooms: EngineState = build_engine_state(self.config)
        self.strategies = strategy_kernels(self.config)
        self._step = compiled_driver(step, self.rooms, HOOKS_TYPE)
        self.now = 1_000_000_000
        self.exchange_now = 1_700_000_000_000_000_000
        self.order_seq = 0
        self.md_seq: dict[int, int] = {}
        self.sent: list[tuple[MessageType, int, int, tuple[int, ...]]] = []
        self.data_sent: list[tuple[MessageType, int, int, tuple[int, ...]]] = []

    def run(self) -> list[tuple[MessageType, int, int, tuple[int, ...]]]:
        """Step the event in rooms.event; returns the order entry frames it sent."""
        self._step(self.rooms, self.strategies)
        new = unpack_frames(self.rooms.order_out[: self.rooms.out_end[0]].tobytes())
        self.data_sent += unpack_frames(self.rooms.data_out[: self.rooms.out_end[1]].tobytes())
        self.rooms.out_end[:] = 0
        self.sent += new
        return new

    def feed(self, data: bytes, is_order_entry: bool) -> list[tuple[MessageType, int, int, tuple[int, ...]]]:
        words = np.frombuffer(data, np.int64).copy()
        verdict = check_frame(words, 0, words.size)
        if not take_frame(self.rooms, words, 0, verdict, is_order_entry, self.now):
            return []
        return self.run()

    def own(self, kind: EventKind, code: int = 0) -> list[tuple[MessageType, int, int, tuple[int, ...]]]:
        clear_event(self.rooms.event, int(kind), -1, self.now, 0, 0)
        self.rooms.event[0]["code"] = code
        return self.run()

    def timer(self, after_ns: int = 1_000_000) -> list[tuple[MessageType, int, int, tuple[int, ...]]]:
        self.now += after_ns
        return self.own(EventKind.TIMER)

    def answer(self, kind: MessageType, instrument: int, *body: int) -> list[tuple[MessageType, int, int, tuple[int, ...]]]:
        """An order entry frame from the venue: sequence and venue time are added."""
        self.order_seq += 1
        return self.feed(frame(kind, instrument, self.order_seq, self.exchange_now, *body), True)

    def bbo(self, instrument: int, bid: int, ask: int, qty: int = 1000) -> list[tuple[MessageType, int, int, tuple[int, ...]]]:
        self.md_seq[instrument] = self.md_seq.get(instrument, 0) + 1
        return self.feed(frame(MessageType.BBO, instrument, self.md_seq[instrument], self.exchange_now, bid, qty, ask, qty), False)

    def start(self) -> None:
        """Log on, enable trading, quote both books."""
        self.own(EventKind.CONTROL, int(Control.CONNECT))
        self.answer(MessageType.LOGON_ACK, NOBODY, 7, 2)
        self.own(EventKind.CONTROL, int(Control.ENABLE))
        self.sent.clear()
