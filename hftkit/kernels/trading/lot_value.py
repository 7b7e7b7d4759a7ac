"""What a lot is worth at a price, for any price that a venue may send.

The compiler takes for granted that a product of int64 does not pass 63 bits. Where one does, a check
of it against zero is left out, and a division by it ends the process. So what divides by the value
of a lot, or compares it with a limit, takes it from here.
"""

from __future__ import annotations

from hftkit.kernels.jit import inlined_kernel

BEYOND_PRICING_E8 = 2**62  # 1e-8 quote: above every limit that can be configured


@inlined_kernel
def lot_value(price: int, tick_lot_e8: int) -> int:
    """Value of a lot in 1e-8 quote at `price` (ticks, positive), BEYOND_PRICING_E8 where it would be that or more."""
    return price * tick_lot_e8 if float(price) * float(tick_lot_e8) < 4.6e18 else BEYOND_PRICING_E8
