"""What is said of books that age, and what is done about them: each change once, and not without end."""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit import layout
from hftkit.codes import Sync
from live.book_watch import BookWatch

S = 1_000_000_000


class Scene:
    """Two books that are watched, and all that was said and done."""

    def __init__(self, halt_after_s: float = 0.0) -> None:
        self.book = np.zeros(3, layout.BOOK.dtype)
        self.book["sync"], self.book["max_age_ns"], self.book["max_behind_ns"] = int(Sync.SYNCED), 2 * S, 2 * S
        self.now, self.said, self.done = 1000 * S, list[tuple[str, dict[str, Any]]](), list[str]()
        self.watch = BookWatch(
            ("OTHER", "ETHUSDT", "BTCUSDT"), (1, 2), lambda event, **facts: self.said.append((event, facts)),
            lambda: self.done.append("refresh"), lambda: self.done.append("halt"), halt_after_s,
        )  # fmt: skip
        self.move(1, 2)

    def move(self, *which: int) -> None:
        for i in which:
            self.book[i]["ts_recv"], self.book[i]["good_until"], self.book[i]["behind_ts"] = self.now, self.now + 2 * S, 0

    def trade(self, i: int) -> None:
        b = self.book[i]
        b["seq_trade"] += 1
        if not b["behind_ts"]:
            b["behind_ts"], b["behind_since"], b["good_until"] = 1, self.now, min(int(b["good_until"]), self.now + 2 * S)

    def go(self, seconds: float, *moving: int, trades: int = 0, held: tuple[int, ...] = ()) -> None:
        for _ in range(round(seconds * 10)):
            self.now += S // 10
            self.move(*moving)
            if trades:
                self.trade(trades)
            self.watch.turn(self.now, self.book, set(held))

    def names(self) -> list[str]:
        return [event for event, _ in self.said]


def test_each_change_is_said_once_with_its_reason() -> None:
    scene = Scene()
    scene.go(5, 2, trades=1)
    ((event, facts),) = scene.said
    assert (event, facts["symbol"]) == ("book_stale", "ETHUSDT")
    assert facts["why"].startswith("no depth event for 2.")
    assert facts["why"].endswith("s while trades arrive")
    scene.go(3, 1, 2)
    assert scene.names() == ["book_stale", "book_fresh"]
    assert 2.5 < scene.said[-1][1]["after_s"] < 3.5


def test_the_reason_names_what_else_is_known() -> None:
    scene = Scene()
    scene.go(3, 2)
    assert scene.said[-1][1]["why"].endswith("while other books move")
    silent = Scene()
    silent.go(3)
    assert [facts["why"][-2:] for _, facts in silent.said] == [" s", " s"]
    stalled = Scene()
    stalled.book["hold_until"], stalled.book["good_until"] = stalled.now + 5 * S, 0
    stalled.go(1)
    assert all("our own process stood still" in facts["why"] for _, facts in stalled.said)
    behind = Scene()
    behind.trade(1)
    behind.book[1]["ts_recv"] = behind.now + 2 * S
    behind.now += 2 * S
    behind.go(1, 2)
    assert "the book is behind: a trade" in behind.said[0][1]["why"]


def test_a_book_that_is_loaded_anew_is_told_of_only_if_it_stays_away() -> None:
    scene = Scene()
    scene.book[1]["sync"] = int(Sync.EMPTY)
    scene.go(0.8, 2)
    assert scene.said == []
    scene.go(1, 2)
    assert "no whole book" in scene.said[0][1]["why"]
    scene.book[1]["sync"] = int(Sync.SYNCED)
    scene.go(1, 1, 2)
    assert scene.names() == ["book_stale", "book_fresh"]


def test_a_symbol_that_comes_and_goes_does_not_fill_the_log() -> None:
    scene = Scene()
    for _ in range(40):
        scene.go(2.5, 2)
        scene.go(0.5, 1, 2)
    assert scene.names().count("book_stale") == 5
    assert scene.names().count("book_often_stale") == 1
    scene.go(61, 1, 2)
    scene.go(3, 2)
    assert scene.names()[-1] == "book_stale"


def test_a_stream_on_which_one_symbol_is_silent_is_opened_afresh_now_and_then() -> None:
    scene = Scene()
    scene.go(9, 2)
    assert scene.done == []
    scene.go(120, 2)
    assert scene.done == ["refresh", "refresh"]
    quiet = Scene()
    quiet.go(120)  # everything is: the line itself sees to that
    assert quiet.done == []


def test_a_position_in_a_stale_book_is_left_after_a_while_once() -> None:
    scene = Scene(halt_after_s=30)
    scene.go(60, 2)
    assert "halt" not in scene.done
    scene.go(30, 2, held=(1, 2))
    assert scene.done.count("halt") == 1
    assert [facts["symbol"] for event, facts in scene.said if event == "halt"] == ["ETHUSDT"]
    held = Scene(halt_after_s=0)
    held.go(100, 2, held=(1, 2))
    assert "halt" not in held.done
