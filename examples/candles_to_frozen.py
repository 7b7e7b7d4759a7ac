"""From a folder of candles to a frozen file: load, look, test all pairs, choose on validation, freeze.

    python examples/candles_to_frozen.py data/months/15m data/frozen

The same as `hftkit freeze CANDLES --out FOLDER`, open to be changed. What each step decides: docs/research.md.
"""

from __future__ import annotations

import sys

from hftkit import DataError, load_params
from research import Costs, find_and_freeze, find_instruments, load_panel


def main(candles: str, folder: str) -> None:
    """Print what was found, and the path of the frozen file."""
    panel = load_panel(candles)
    instruments, known = find_instruments(candles, panel.closes)
    print(f"{len(panel.closes):,} bars of {panel.closes.shape[1]} symbols, scales {'from a file' if known else 'guessed'}")
    costs = Costs(fee_ppm=200.0, half_spread_bps=1.0)  # of one fill; left out, they are the instruments' own fees
    try:
        result = find_and_freeze(panel, instruments, folder, costs=costs, made_by="examples/candles_to_frozen.py")
    except DataError as refused:  # no discovery, a loss on validation, a pair that died: not trading is a result
        sys.exit(f"nothing is frozen: {refused}")
    chosen, test = result.chosen, load_params(result.path).provenance["out_of_sample"]
    print(f"{len(result.found)} of {len(result.scan)} ordered pairs pass; chosen: {chosen.lead} against {chosen.hedge}")
    print(f"on data that no choice has seen: {test['trades']} trades, net {float(test['net']):+.4f} of one leg")
    print(*result.warnings, *result.notes, sep="\n")
    print(result.path)


if __name__ == "__main__":
    main(*sys.argv[1:])
