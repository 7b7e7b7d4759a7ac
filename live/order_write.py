"""Orders to the socket: those of a burst leave in one write, and the hops of each are recorded.

A write to a socket costs as much as ten decisions or more. So where more frames have been read
already, an order waits for those that come of them: for `LONGEST_UNSENT_NS` at most, and no more
than `UNSENT_WORDS` at a time. An order that comes of the last frame read, or of a timer, leaves at
once. All of them are in the journal before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hftkit.codes import Hop
from hftkit.kernels.arrays import EngineState, Int64Array, LoopRecord
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.memory.histogram import record
from hftkit.kernels.memory.telemetry import Page
from hftkit.system.syscalls import EAGAIN, MSG_DONTWAIT, MSG_NOSIGNAL, errno, monotonic_ns, transmit

if TYPE_CHECKING:
    from live.hot_loop import LoopContext

UNSENT_WORDS = 160  # of orders in a burst that leave in one write: some 16
LONGEST_UNSENT_NS = 5_000  # how long the first of them may wait: about what a write takes

_SIGNAL_HOP, _RISK_HOP, _SEND_HOP = int(Hop.SIGNAL), int(Hop.RISK), int(Hop.SEND)
_TICK_TO_ORDER_HOP, _TICK_HOP = int(Hop.TICK_TO_ORDER), int(Hop.TICK)


@kernel
def flush(fd: int, out: Int64Array, out_end: Int64Array, which: int) -> int:
    """Send what is in an output buffer; what the socket does not take stays, moved to the front. 0, or 1 if the peer is gone."""
    total = out_end[which] * 8
    sent = 0
    while sent < total:
        n = transmit(fd, out, sent, total - sent, MSG_DONTWAIT | MSG_NOSIGNAL)
        if n < 0:
            if errno() != EAGAIN:
                return 1
            break
        sent += n
    if sent == total:
        out_end[which] = 0
    elif sent % 8 == 0:
        for i in range((total - sent) // 8):
            out[i] = out[sent // 8 + i]
        out_end[which] = (total - sent) // 8
    else:
        while sent % 8 != 0:  # a frame cut within a word: finish the word, the buffer holds whole words
            n = transmit(fd, out, sent, 8 - sent % 8, MSG_NOSIGNAL)
            if n < 0:
                return 1
            sent += n
        for i in range((total - sent) // 8):
            out[i] = out[sent // 8 + i]
        out_end[which] = (total - sent) // 8
    return 0


@inlined_kernel
def must_leave(rooms: EngineState, loop: LoopRecord) -> bool:
    """Whether the orders that wait for a write have become many, or have waited long."""
    return rooms.out_end[0] >= UNSENT_WORDS or loop.t3 - loop.unsent_since > LONGEST_UNSENT_NS


@inlined_kernel
def stamp(rooms: EngineState, shell: LoopContext, page: Page, t1: int, is_sent: bool) -> None:
    """Record the hops of the walk that is over. `is_sent`: its orders, and those that waited for the same write, have just been handed over."""
    loop = shell.loop[0]
    t4 = monotonic_ns(shell.scratch)
    last_order = rooms.session[0].next_order
    if last_order > loop.first_order:
        record(page.histograms[_SIGNAL_HOP], loop.t2 - t1)
        record(page.histograms[_RISK_HOP], loop.t3 - loop.t2)
        for counter in range(loop.first_order, last_order):
            shell.sent_at[counter % shell.sent_at.size] = loop.t3
    if is_sent:
        stamp_sent(rooms, shell, page, t1, t4)
    record(page.histograms[_TICK_HOP], t4 - t1)
    loop.dirty = 1
    loop.walked = t4


@inlined_kernel
def stamp_sent(rooms: EngineState, shell: LoopContext, page: Page, t1: int, t4: int) -> None:
    """Record that every order so far was handed to the socket at `t4`. `sent_at` held when each was decided."""
    loop, last_order = shell.loop[0], rooms.session[0].next_order
    for counter in range(loop.first_unsent, last_order):
        slot = counter % shell.sent_at.size
        record(page.histograms[_SEND_HOP], t4 - shell.sent_at[slot])
        record(page.histograms[_TICK_TO_ORDER_HOP], t4 - t1)
        shell.sent_at[slot] = t4
    loop.n_unsent, loop.first_unsent = 0, last_order


@kernel
def send_waiting(rooms: EngineState, shell: LoopContext, page: Page, t1: int) -> int:
    """Hand over the orders that wait for a write, if any. 0, or 1 if the peer is gone."""
    if shell.loop[0].n_unsent == 0:
        return 0
    fault = flush(shell.loop[0].order_fd, rooms.order_out, rooms.out_end, 0)
    stamp_sent(rooms, shell, page, t1, monotonic_ns(shell.scratch))
    return fault
