"""How far the venue's clock is from ours, with bounds, from the round trips of its server time (MD-9).

One round trip sent at t0 and received at t1 that brought the venue's time s says: at some moment between t0 and t1 the venue's clock showed s. So the
offset s - (t0 + t1) / 2 is known to within half the round trip, whatever the two ways took (D. Mills, RFC 5905, section 8). The best of the last
samples is the one with the shortest round trip (the minimum-delay filter, RFC 5905, section 10); its bound grows with its age by the allowed drift.
Two samples whose intervals do not overlap, drift allowed for, mean that a clock has jumped: the older ones are forgotten.

The venue loop adds samples; the engine's thread and the stream threads read the estimate. So the samples are a tuple that is never changed:
`add` makes a new one and puts it in the place of the old one, and a reader works on the one it took.
"""

from __future__ import annotations

from dataclasses import dataclass

DRIFT_PPM = 100  # what two quartz clocks may run apart; a machine under NTP stays far below
RESOLUTION_NS = 1_000_000  # the venue states milliseconds
KEEP = 16


@dataclass(frozen=True)
class Sample:
    """One round trip: ns of our clock at its middle, offset of the venue's clock, half of the round trip plus the venue's resolution."""

    at_ns: int
    offset_ns: int
    bound_ns: int

    def bound_at(self, now_ns: int) -> int:
        """The bound, grown by the drift allowed since."""
        return self.bound_ns + abs(now_ns - self.at_ns) * DRIFT_PPM // 1_000_000


class ClockOffset:
    """Estimate of (venue's clock - our clock) in ns. Our clock is any clock: the caller says its time.

    Shared: handed over. One thread adds, any thread reads.
    """

    def __init__(self) -> None:
        self._samples: tuple[Sample, ...] = ()
        self.n_samples = 0
        self.n_jumps = 0

    def add(self, sent_ns: int, received_ns: int, server_ms: int) -> Sample | None:
        """Take in one round trip; None if it is impossible (received before sent)."""
        if received_ns < sent_ns:
            return None
        middle = (sent_ns + received_ns) // 2
        # a stamp cut to whole milliseconds lies half a millisecond before the true time on average
        offset = server_ms * 1_000_000 + RESOLUTION_NS // 2 - middle
        sample = Sample(middle, offset, (received_ns - sent_ns + 1) // 2 + RESOLUTION_NS // 2)
        best = self.best(middle)
        kept = self._samples
        if best is not None and abs(best.offset_ns - offset) > best.bound_at(middle) + sample.bound_ns:
            kept = ()
            self.n_jumps += 1
        self._samples = (*kept, sample)[-KEEP:]
        self.n_samples += 1
        return sample

    def best(self, now_ns: int) -> Sample | None:
        """The sample with the smallest bound now, None before the first."""
        return min(self._samples, key=lambda sample: sample.bound_at(now_ns), default=None)

    def offset_ns(self, now_ns: int) -> int:
        """The estimate; 0 before the first sample."""
        best = self.best(now_ns)
        return best.offset_ns if best is not None else 0

    def bound_ns(self, now_ns: int) -> int:
        """How wrong the estimate may be; the largest int64 before the first sample."""
        best = self.best(now_ns)
        return best.bound_at(now_ns) if best is not None else 2**63 - 1

    def certainly_beyond(self, limit_ns: int, now_ns: int) -> bool:
        """Whether even the kindest reading of the estimate is an offset larger than `limit_ns`, or nothing is known to that precision."""
        offset, bound = abs(self.offset_ns(now_ns)), self.bound_ns(now_ns)
        return offset - bound > limit_ns or bound > limit_ns
