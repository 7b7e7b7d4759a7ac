"""From a recorded tape to the arrays that a venue plays, and what came of it: the three estimates side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hftkit.errors import ConfigError
from hftkit.exchange.core.books import new_commands
from hftkit.exchange.market.history.files import HistoryTape
from hftkit.exchange.market.history.market import (
    AT_MAX,
    CANDLES,
    ESTIMATE,
    FILLS,
    GRADES,
    HOLD,
    MOST_CHANGES,
    N_FULL,
    N_ORDERS,
    N_OUTSIDE,
    N_PRINTS,
    N_WITHHELD,
    PARTICIPATION,
    RESTED,
    ROW,
    ROWS,
    VOLUME,
    WORDS,
    PlayedHistory,
)
from hftkit.kernels.market.queue import ESTIMATES, ROW_WORDS

CANDLE_PARTICIPATION = 0.1  # of a candle's volume: it says what traded, not what one more order could have had
_PPM = 1_000_000


@dataclass(frozen=True)
class HistoryPlan:
    """How a history is played.

    `estimate`: of the place in the queue, one of queue.ESTIMATES; `participation`: part of a print that clients may have (None: 0.1 where there are
    candles, else all); `rate`: exchange seconds per second, None for as fast as clients can follow; `hold`: the clock stands until the first
    client connects.
    """

    history: HistoryTape
    estimate: str = "neutral"
    participation: float | None = None
    rate: float | None = 1.0
    hold: bool = False

    def __post_init__(self) -> None:
        if self.estimate not in ESTIMATES:
            raise ConfigError(f"queue estimate {self.estimate!r} is not known", f"Allowed: {', '.join(ESTIMATES)}")
        if self.participation is not None and not 0 < self.participation <= 1:
            raise ConfigError(f"participation {self.participation} is out of range", "Allowed: more than 0, at most 1")

    @property
    def participation_ppm(self) -> int:
        """The part of a print that clients may have, in millionths."""
        if self.participation is None:
            return round(CANDLE_PARTICIPATION * _PPM) if CANDLES in self.history.grades else _PPM
        return round(self.participation * _PPM)


def new_history(plan: HistoryPlan | None, max_orders: int = 0) -> PlayedHistory:
    """The arrays of a history for books of `max_orders`; None: one without rows, for a venue with a synthetic market."""
    n = len(plan.history.instruments) if plan is not None else 1
    history = PlayedHistory(
        tape=plan.history.tape.reshape(-1) if plan is not None else np.zeros(0, np.int64),
        plan=np.zeros(WORDS, np.int64),
        io=np.zeros(WORDS, np.int64),
        grades=np.array(plan.history.grades if plan is not None else [0], np.int64),
        shown=np.zeros((n, 2), np.int64),
        typical=np.zeros(n, np.int64),
        queued=np.zeros((1 + max_orders, ROW_WORDS), np.int64),
        taken=np.zeros(3, np.int64),
        sums=np.zeros((n, WORDS), np.int64),
        changes=np.zeros((MOST_CHANGES, WORDS), np.int64),
        command=new_commands(1),
    )
    if plan is not None:
        history.io[ROWS] = len(plan.history.tape)
        history.plan[ESTIMATE], history.plan[PARTICIPATION] = ESTIMATES.index(plan.estimate), plan.participation_ppm
        history.plan[AT_MAX], history.plan[HOLD] = plan.rate is None, plan.hold
    return history


def history_report(plan: HistoryPlan, history: PlayedHistory) -> dict[str, Any]:
    """What a run was, and what clients' resting orders got of it by each estimate. Lots by instrument; `filled_share` of the lots that rested."""
    rows = []
    for i, instrument in enumerate(plan.history.instruments):
        sums = history.sums[i]
        if sums[N_ORDERS] == 0:
            continue
        rested = int(sums[RESTED])
        rows.append(
            {
                "symbol": instrument.symbol,
                "grade": GRADES[plan.history.grades[i]],
                "orders": int(sums[N_ORDERS]),
                "rested_lots": rested,
                "volume_lots": int(sums[VOLUME]),
                **{f"{name}_lots": int(sums[FILLS + e]) for e, name in enumerate(ESTIMATES)},
                **{f"{name}_share": round(int(sums[FILLS + e]) / rested, 6) for e, name in enumerate(ESTIMATES)},
            }
        )
    return {
        "name": plan.history.name,
        "digest": plan.history.digest,
        "estimate": plan.estimate,
        "participation": plan.participation_ppm / _PPM,
        "rows": int(history.io[ROW]),
        "of_rows": int(history.io[ROWS]),
        "prints": int(history.sums[:, N_PRINTS].sum()),
        "quotes_outside_the_books": int(history.io[N_OUTSIDE]),
        "quotes_withheld": int(history.io[N_WITHHELD]),
        "quotes_without_room": int(history.io[N_FULL]),
        "queue": rows,
    }


def queue_table(report: dict[str, Any]) -> list[str]:
    """The three estimates side by side, as lines of text."""
    if not report["queue"]:
        return ["no order rested in the queues of history"]
    lines = [
        f"{'filled of what rested':<22}{'rested lots':>14}"
        + "".join(f"{name + ('*' if name == report['estimate'] else ''):>16}" for name in ESTIMATES)
    ]
    for row in report["queue"]:
        shares = "".join(f"{row[f'{name}_share']:>16.1%}" for name in ESTIMATES)
        lines.append(f"{row['symbol'] + ' (' + row['grade'] + ')':<22}{row['rested_lots']:>14,}{shares}")
    return [*lines, "* what clients were told; the others are what the same orders would have been filled while they lived"]
