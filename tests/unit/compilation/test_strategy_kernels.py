"""A strategy that does not compile is told in one line, with its file and the line in it; a good one compiles."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace

import pytest

from hftkit.compilation import strategy_kernels
from hftkit.errors import ParamsError
from hftkit.strategies import strategy

GOOD = strategy("fixed_target")
HEAD = "from hftkit.kernels.jit import kernel\n\n\n@kernel\ndef on_book(slot, event, book, watch, held, params, state, signal):\n"
CASES = {
    "typo": ("    s = signal[slot]\n    s.targt = 1\n    return 0\n", 7, "targt"),
    "unknown_name": ("    return nothing_like_this\n", 6, "nothing_like_this"),
    "text": ("    s = signal[slot]\n    s.target = 'one'\n    return 0\n", 7, ""),
    "no_number": ("    signal[slot].target = 1\n", 4, "not an int64"),
}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A strategy whose module is written here."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, text: str):
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        monkeypatch.setattr(strategy_kernels, "strategy", lambda asked: replace(GOOD, name=asked, module=asked))
        return tmp_path / f"{name}.py"

    yield write
    for name in [*CASES, "broken_syntax", "no_kernel", "bare", "no_import"]:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", CASES)
def test_what_does_not_compile_is_told_with_file_and_line(written, name):
    body, line, word = CASES[name]
    path = written(name, HEAD + body)
    with pytest.raises(ParamsError) as refused:
        strategy_kernels.compile_strategies([name])
    text = str(refused.value)
    assert f"strategy {name}" in text
    assert f"{path}:{line}: " in text
    assert word in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("broken_syntax", "def on_book(:\n", r"broken_syntax\.py:1: "),
        ("no_kernel", "x = 1\n", "has no kernel on_book, on_trade, on_fill, on_timer"),
        ("bare", "def on_book():\n    return 1\n", "is not a kernel"),
        ("no_import", "import nothing_like_that\n", "cannot be imported"),
    ],
)
def test_what_is_no_kernel_is_told(written, name, text, words):
    written(name, text)
    with pytest.raises(ParamsError, match=words):
        strategy_kernels.compile_strategies([name])


def test_those_that_ship_compile():
    strategy_kernels.compile_strategies(["pairs", "fixed_target", "pairs"])
