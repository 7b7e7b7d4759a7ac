"""What the dialects bring: sections, tables of a fault plan and blocks of the fault page go together."""

from __future__ import annotations

import msgspec
import numpy as np

from hftkit.exchange.config import SimConfig
from hftkit.exchange.dialects.registry import FAULT_SETTINGS, DialectSections, FaultSections
from hftkit.exchange.faults import line
from hftkit.exchange.faults.page import clear_settings, dialect_words, settings_of, words_and_values, write_settings
from hftkit.exchange.faults.plan import FaultPlan


def names(struct: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(struct)}


def test_every_dialect_with_faults_has_a_table_and_a_block() -> None:
    assert names(FaultSections) == set(FAULT_SETTINGS) <= names(FaultPlan)
    assert names(DialectSections) <= names(SimConfig)
    assert len(FAULT_SETTINGS) == line.N_DIALECTS
    for settings in FAULT_SETTINGS.values():
        words = [setting.word for setting in settings.values()]
        assert len(set(words)) == len(words)
        assert max(words) < line.DIALECT_WORDS


def test_the_blocks_of_dialects_lie_apart_and_inside_the_page() -> None:
    page = np.zeros(line.PAGE_WORDS, np.int64)
    for number, dialect in enumerate(FAULT_SETTINGS, 1):
        for words in dialect_words(page, dialect):
            assert words.size == line.DIALECT_WORDS
            assert not words.any()
            words[:] = number
    assert (page[line.DIALECT :] != 0).all()
    assert not page[: line.DIALECT].any()


def test_a_setting_of_a_dialect_is_written_read_and_cleared() -> None:
    for dialect, settings in FAULT_SETTINGS.items():
        for key, setting in settings.items():
            name, page = f"{dialect}.{key}", np.zeros(line.PAGE_WORDS, np.int64)
            write_settings(page, {name: setting.highest})
            assert settings_of(page) == {name: setting.highest}
            ((word, value),) = words_and_values(name, setting.highest)
            assert page[word] == value
            assert not page[line.ACTIVE]  # the compiled loop has nothing to do with it
            clear_settings(page)
            assert not page.any()
