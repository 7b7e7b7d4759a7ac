"""The control page's queue: commands of any number of writers, one reader, and the reader's answers. No lock anywhere.

int64 words (WORDS,):

    0 magic   1 written   2 done   3 pid, 4 start of the engine   5 key of the session   6 open: start-up is complete
    8..23     slot k: number of the command << 8 | its code; command n lies in slot (n - 1) % SLOTS
    24..151   answer k: number, code, outcome, trading, halt reason, time ns

A writer puts number and code into a slot in one indivisible operation, so a command is there as a whole or not at all: a writer that is killed
or suspended at any moment holds nobody up. `written` is a hint that every writer brings forward. Nobody writes a slot whose command has not been
answered. The reader counts by itself (`seen` is its own memory), so that nothing written here can make it run a command twice.
"""

from __future__ import annotations

from hftkit.codes import Control, Outcome, Trading
from hftkit.kernels.arrays import Int64Array, RiskArray, SessionArray
from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.intrinsics import compare_exchange, fence_release, load_acquire, store_release

MAGIC, WRITTEN, DONE, PID, STARTED, KEY, OPEN = range(7)
FIRST_SLOT, SLOTS = 8, 16
FIRST_ANSWER, ANSWER_WORDS = FIRST_SLOT + SLOTS, 8
WORDS = FIRST_ANSWER + SLOTS * ANSWER_WORDS
A_NUMBER, A_CODE, A_OUTCOME, A_TRADING, A_HALT_REASON, A_TIME = range(6)
NO_COMMAND = -1

_CODE_MASK, _CODE_BITS = 0xFF, 8
_LAST = max(int(code) for code in Control)
_PAUSE, _RESUME, _FLATTEN, _STOP = int(Control.PAUSE), int(Control.RESUME), int(Control.FLATTEN), int(Control.STOP)
_ENABLE, _CONNECT, _RELOAD = int(Control.ENABLE), int(Control.CONNECT), int(Control.RELOAD)
_ENABLED, _PAUSED, _FLATTENING = int(Trading.ENABLED), int(Trading.PAUSED), int(Trading.FLATTENING)
_STOPPING, _HALTED = int(Trading.STOPPING), int(Trading.HALTED)
_DONE, _REFUSED = int(Outcome.DONE), int(Outcome.REFUSED)


@kernel
def put_command(words: Int64Array, code: int) -> int:
    """Add a command (codes.Control). Returns its number from 1, or 0 if the last SLOTS commands have not been answered yet."""
    while True:
        written = load_acquire(words, WRITTEN)
        slot = FIRST_SLOT + written % SLOTS
        there = load_acquire(words, slot)
        if there >> _CODE_BITS == written + 1:  # published by another, who has not come to say so
            compare_exchange(words, WRITTEN, written, written + 1)
            continue
        if written - load_acquire(words, DONE) >= SLOTS:
            return 0
        if load_acquire(words, WRITTEN) == written and compare_exchange(words, slot, there, (written + 1) << _CODE_BITS | code):
            compare_exchange(words, WRITTEN, written, written + 1)
            return written + 1


@kernel
def withdraw_command(words: Int64Array, number: int, code: int) -> bool:
    """Turn command `number` (from 1) into NONE where it has not been taken yet. The reader refuses NONE."""
    if load_acquire(words, DONE) >= number:
        return False
    return compare_exchange(words, FIRST_SLOT + (number - 1) % SLOTS, number << _CODE_BITS | code, number << _CODE_BITS)


@kernel
def command_at(words: Int64Array, seen: int) -> int:
    """The code of the command after the first `seen` ones (a count), NO_COMMAND if there is none yet."""
    there = load_acquire(words, FIRST_SLOT + seen % SLOTS)
    return there & _CODE_MASK if there >> _CODE_BITS == seen + 1 else NO_COMMAND


@kernel
def admits(words: Int64Array, code: int) -> bool:
    """Whether a command code may become an event. Unknown codes may not; nor a person's, but STOP, before start-up is complete."""
    if code <= 0 or code > _LAST:
        return False
    return words[OPEN] != 0 or (code != _PAUSE and code != _RESUME and code != _FLATTEN)


@kernel
def _outcome(code: int, admitted: bool, trading: int, stop_requested: int) -> int:
    """What a command has come to, judged by the state after it."""
    if not admitted:
        return _REFUSED
    if code == _PAUSE:
        return _DONE if trading >= _PAUSED else _REFUSED
    if code == _RESUME or code == _ENABLE:
        return _DONE if trading == _ENABLED else _REFUSED
    if code == _FLATTEN:
        return _DONE if trading >= _PAUSED else _REFUSED  # paused: there was nothing to leave
    if code == _STOP:
        return _DONE if stop_requested > 0 else _REFUSED
    return _DONE if code == _CONNECT or code == _RELOAD or trading >= _STOPPING else _REFUSED  # a halt; a stop under way allows as little


@kernel
def answer_command(words: Int64Array, number: int, code: int, admitted: bool, risk: RiskArray, session: SessionArray, now: int) -> None:
    """Acknowledge command `number`. `risk` RISK (1,), `session` SESSION (1,): the state after it; `now`: ns, monotonic."""
    at = FIRST_ANSWER + (number - 1) % SLOTS * ANSWER_WORDS
    words[at + A_NUMBER] = 0
    fence_release()
    words[at + A_CODE] = code
    words[at + A_OUTCOME] = _outcome(code, admitted, risk[0].trading, session[0].stop_requested)
    words[at + A_TRADING] = risk[0].trading
    words[at + A_HALT_REASON] = risk[0].halt_reason
    words[at + A_TIME] = now
    if code == _ENABLE and admitted:
        words[OPEN] = 1
    store_release(words, at + A_NUMBER, number)
    store_release(words, DONE, number)
