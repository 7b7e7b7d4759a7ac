"""Files of recorded streams: each oddity is read as far as it is whole, and said in one line; symbols stay apart.

The oracle is the generator: it knows the book that its own messages lead to, and which of them a test has taken away.
"""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import MessageType, Side
from hftkit.errors import DataError
from hftkit.exchange.market.history.files import check_tape
from hftkit.instruments import Instrument
from research.cli.data_commands import data
from research.market.history import read_history, streams_to_history
from research.market.stream_files import pauses, read_lines, read_streams

MS = 1_767_571_200_000
SCALES = {name: Instrument(symbol=name, tick_size="0.1", lot_size="0.001") for name in ("AAAUSDT", "BBBUSDT")}
DEPTH, TRADE = int(MessageType.DEPTH), int(MessageType.TRADE)


def recorded(symbol: str, n: int = 60, seed: int = 1, first_id: int = 1000, raw: bool = False) -> tuple[list[bytes], dict[tuple[int, int], float]]:
    """Lines of a depth stream with its snapshot and trades, and the book (side, price in tenths) that they lead to."""
    rng, book = random.Random(seed), {(side, price): 1.0 for side in (0, 1) for price in (range(995, 1000) if side == 0 else range(1000, 1005))}
    lines, last = [], first_id

    def line(at: int, stream: str, payload: dict[str, object]) -> None:
        body = payload if raw else {"stream": f"{symbol.lower()}@{stream}", "data": payload}
        lines.append(f"{(MS + at) * 10**6} {json.dumps(body, separators=(',', ':'))}\n".encode())

    levels = [[f"{price / 10:.1f}", "1.000"] for side, price in book if side == 0], [[f"{price / 10:.1f}", "1.000"] for side, price in book if side]
    snapshot = {"lastUpdateId": last, "E": MS, "T": MS, "bids": levels[0], "asks": levels[1]}
    line(0, "snapshot", {**snapshot, "s": symbol} if raw else snapshot)
    for i in range(1, n + 1):
        before, last = last, last + rng.randint(1, 9)
        changes: dict[str, list[list[str]]] = {"b": [], "a": []}
        for name, side in (("b", 0), ("a", 1)):
            price = rng.randrange(995, 1000) if side == 0 else rng.randrange(1000, 1005)
            qty = rng.choice([0.0, 0.5, 2.25])
            changes[name].append([f"{price / 10:.1f}", f"{qty:.3f}"])
            book[side, price] = qty
        at = i * 100
        update = {"e": "depthUpdate", "E": MS + at, "T": MS + at, "s": symbol, "U": before + 1, "u": last, "pu": before, **changes}
        line(at, "depth@100ms", update)
        if i % 5 == 0:
            line(at, "trade", {"e": "trade", "E": MS + at, "T": MS + at, "s": symbol, "t": i, "p": "100.0", "q": "0.001", "m": i % 2 == 0})
    return lines, {key: qty for key, qty in book.items() if qty}


def book_of(tape: np.ndarray, number: int = 0) -> dict[tuple[int, int], float]:
    """The book that the depth rows of an instrument lead to."""
    book: dict[tuple[int, int], float] = {}
    for row in tape[(tape[:, 0] >> 16 & 0xFF == DEPTH) & (tape[:, 0] >> 32 == number)].tolist():
        book[int(row[3] != int(Side.BUY)), row[5]] = row[6] / 1000
    return {key: qty for key, qty in book.items() if qty}


def made_of(path: Path, **options: object):
    return check_tape(streams_to_history([path], instruments=SCALES, **options), str(path))  # type: ignore[arg-type]


def written(folder: Path, content: bytes, name: str = "AAAUSDT-1.jsonl") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def members(lines: list[bytes], a_member: int = 10) -> list[bytes]:
    return [gzip.compress(b"".join(lines[at : at + a_member])) for at in range(0, len(lines), a_member)]


def test_a_whole_file_gives_its_book_and_nothing_to_say(tmp_path: Path) -> None:
    lines, book = recorded("AAAUSDT")
    for name, content in (("AAAUSDT.jsonl", b"".join(lines)), ("AAAUSDT.jsonl.gz", b"".join(members(lines)))):
        made = made_of(written(tmp_path, content, name))
        assert (book_of(made.tape), made.origin["remarks"], made.origin["breaks"]) == (book, [], 0)
        assert (made.tape[:, 0] >> 16 & 0xFF == TRADE).sum() == 12


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [b"\xef\xbb\xbf" + lines[0], *lines[1:]],
        lambda lines: [line.replace(b"\n", b"\r\n") for line in lines],
        lambda lines: [*lines, b"\n", b"\r\n", b"  \n"],
        lambda lines: [*lines[:-1], lines[-1].rstrip()],
        lambda lines: [line[line.index(b"{") :] for line in lines],
        lambda lines: [*lines, *lines[10:20]],
    ],
    ids=["byte order mark", "CRLF", "blank last lines", "no last newline", "no receive times", "lines that come twice"],
)
def test_what_is_only_another_way_to_write_it_changes_nothing(tmp_path: Path, change) -> None:
    lines, book = recorded("AAAUSDT")
    made = made_of(written(tmp_path, b"".join(change(lines))))
    assert book_of(made.tape) == book
    assert [line for line in made.origin["remarks"] if "out of order" not in line] == []
    assert np.array_equal(made.tape, made_of(written(tmp_path, b"".join(lines))).tape)


def test_lines_in_mixed_order_are_put_in_order_and_said(tmp_path: Path) -> None:
    lines, book = recorded("AAAUSDT")
    mixed = lines.copy()
    random.Random(3).shuffle(mixed)
    made = made_of(written(tmp_path, b"".join(mixed)))
    assert (book_of(made.tape), made.origin["breaks"]) == (book, 0)
    assert ["out of order" in line for line in made.origin["remarks"]] == [True]


def test_a_hole_is_said_with_its_place_and_size(tmp_path: Path) -> None:
    lines, _ = recorded("AAAUSDT")
    depth = [i for i, line in enumerate(lines) if b"depthUpdate" in line]
    gone, behind = depth[20:29], json.loads(lines[depth[29]].split(b" ", 1)[1])["data"]
    before = json.loads(lines[depth[19]].split(b" ", 1)[1])["data"]
    kept = [line for i, line in enumerate(lines) if i not in gone]
    made = made_of(written(tmp_path, b"".join(kept)))
    number = kept.index(lines[depth[29]]) + 1
    assert made.origin["breaks"] == 1
    (said,) = made.origin["remarks"]
    assert said.startswith(f"AAAUSDT: AAAUSDT-1.jsonl, line {number}: a hole in the depth before 2026-01-05T00:00:03")
    assert said.endswith(f"({behind['pu'] - before['u']} update ids, 1.000 s)")


def test_a_time_without_messages_is_said() -> None:
    stamps = np.arange(0, 100 * 10**8, 10**8)
    assert pauses(stamps) == []
    (said,) = pauses(np.concatenate([stamps, stamps + 50 * 10**9]))
    assert said == "no message for 40.1 s from 1970-01-01T00:00:09.900000000Z"
    assert pauses(stamps[:1]) == []


def test_two_symbols_of_a_file_are_two_instruments_and_can_be_chosen(tmp_path: Path) -> None:
    (a, book_a), (b, book_b) = recorded("AAAUSDT"), recorded("BBBUSDT", seed=2, first_id=77)
    both = written(tmp_path, b"".join(line for pair in zip(a, b, strict=True) for line in pair), "both.jsonl")
    made = made_of(both)
    assert [one.symbol for one in made.instruments] == ["AAAUSDT", "BBBUSDT"]
    assert (book_of(made.tape, 0), book_of(made.tape, 1), made.origin["breaks"]) == (book_a, book_b, 0)
    alone = read_history(both, symbols=["BBBUSDT"])
    assert [one.symbol for one in alone.instruments] == ["BBBUSDT"]
    assert len(alone.tape) == (made.tape[:, 0] >> 32 == 1).sum()
    with pytest.raises(DataError, match=r"no CCCUSDT in both.jsonl. It holds AAAUSDT, BBBUSDT"):
        read_history(both, symbols=["CCCUSDT"])
    apart = tmp_path / "apart"
    apart.mkdir()
    written(apart, b"".join(a), "AAAUSDT-1.jsonl"), written(apart, b"".join(b), "BBBUSDT-1.jsonl")
    assert np.array_equal(read_history(apart).tape, made.tape)


def test_plain_payloads_are_read_and_a_snapshot_without_a_name_belongs_to_the_only_symbol(tmp_path: Path) -> None:
    lines, book = recorded("AAAUSDT", raw=True)
    assert book_of(made_of(written(tmp_path, b"".join(lines))).tape) == book
    nameless = lines[0].replace(b',"s":"AAAUSDT"', b"")
    assert nameless != lines[0]
    assert book_of(made_of(written(tmp_path, b"".join([nameless, *lines[1:]]), "of_somebody.jsonl")).tape) == book
    other, _ = recorded("BBBUSDT", raw=True, seed=2)
    remarks = made_of(written(tmp_path, b"".join([nameless, *lines[1:], *other]), "both.jsonl")).origin["remarks"]
    assert "left out 1 lines that are snapshots of no symbol, in a file of several" in remarks
    assert any(line.startswith("AAAUSDT: 60 depth messages without a snapshot") for line in remarks)


def test_a_snapshot_that_arrives_behind_newer_changes_does_not_undo_them(tmp_path: Path) -> None:
    """Without a time of its own (spot): it stands where it was received, the changes it is older than stay."""
    lines, book = recorded("AAAUSDT")
    late = json.loads(lines[0].split(b" ", 1)[1])
    del late["data"]["T"], late["data"]["E"]
    moved = [*lines[1:20], json.dumps(late).encode() + b"\n", *lines[20:]]
    made = made_of(written(tmp_path, b"".join(moved)))
    assert (book_of(made.tape), made.origin["breaks"]) == (book, 0)
    again = [*lines[:20], json.dumps(late).encode() + b"\n", *lines[20:]]
    made = made_of(written(tmp_path, b"".join(again)))
    assert (book_of(made.tape), made.origin["breaks"]) == (book, 0)


def test_update_ids_that_begin_anew_are_said_and_wait_for_the_next_snapshot(tmp_path: Path) -> None:
    first, _ = recorded("AAAUSDT", first_id=50_000)
    second, book = recorded("AAAUSDT", seed=5, first_id=10)
    later = [line.replace(str(MS)[:7].encode(), str(MS + 10**7)[:7].encode()) for line in second]
    made = made_of(written(tmp_path, b"".join([*first, *later])))
    assert (book_of(made.tape), made.origin["breaks"]) == (book, 1)
    assert "the update ids begin anew at 2026-01-05T02:46:40" in made.origin["remarks"][0]
    assert made.origin["remarks"][1].startswith("AAAUSDT: no message for 9994.0 s")


def test_other_streams_and_lines_that_are_no_message_are_left_out_and_counted(tmp_path: Path) -> None:
    lines, book = recorded("AAAUSDT")
    odd = [
        b'1 {"stream":"aaausdt@markPrice","data":{"e":"markPriceUpdate","p":"1"}}\n',
        b'{"result":null,"id":1}\n',
        b"17 {broken\n",
        b'{"stream":"!bookTicker","data":{"s":"AAAUSDT","b":"nan","B":"1","a":"2","A":"1"}}\n',
        b'{"stream":"aaausdt@depth","data":{"b":[],"a":[]}}\n',
        b'{"stream":"!ticker@arr","data":[]}\n',
        b"\x00\xff\n",
    ]
    made = made_of(written(tmp_path, b"".join([*lines[:5], *odd, *lines[5:]])))
    assert book_of(made.tape) == book
    assert made.origin["remarks"][:4] == [
        "left out 1 lines of other streams (markPrice)",
        "left out 1 lines of other streams (answers)",
        "left out 4 lines that are no message",
        "left out 1 lines of other streams (ticker@arr)",
    ]
    assert "line 8 is no recorded message" in made.origin["remarks"][4]
    for content in (b"", b"\n\n", b"".join(odd), b"\x1f\x8b", "{}".encode("utf-16")):
        with pytest.raises(DataError):
            read_streams([written(tmp_path, content, "x.jsonl")])


LINES, _ = recorded("AAAUSDT", n=40)
WHOLE = b"".join(members(LINES, 8))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(WHOLE)))
def test_a_file_cut_at_any_byte_gives_the_whole_lines_before_it_and_says_so_once(tmp_path_factory, cut: int) -> None:
    path = written(tmp_path_factory.getbasetemp(), WHOLE[:cut], "cut.jsonl.gz")
    remarks: list[str] = []
    got = [line for _, line in read_lines(path, remarks)]
    assert got == [line.strip() for line in LINES[: len(got)]]
    starts = np.cumsum([0, *(len(member) for member in members(LINES, 8))])
    whole = int(np.searchsorted(starts, cut, side="right")) - 1
    assert len(got) >= min(8 * whole, len(LINES))
    if cut in starts:
        assert remarks == []
    elif cut - starts[whole] >= 2:
        assert len(remarks) == 1
        assert "cut" in remarks[0] or "damaged" in remarks[0]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.integers(1, 200))
def test_damage_costs_the_members_it_hits_and_no_others(tmp_path_factory, at: int, flip: int, length: int) -> None:
    content = bytearray(WHOLE)
    for i in range(at, min(at + length, len(content))):
        content[i] ^= flip
    remarks: list[str] = []
    path = written(tmp_path_factory.getbasetemp(), bytes(content), "hit.jsonl.gz")
    got = {line for _, line in read_lines(path, remarks)}
    starts = np.cumsum([0, *(len(member) for member in members(LINES, 8))])
    for i in range(len(starts) - 1):
        hit = starts[i] < at + length and starts[i + 1] > at
        if not hit and i > 0 and content[:2] == b"\x1f\x8b":
            assert {line.strip() for line in LINES[8 * i : 8 * i + 8]} <= got


def test_the_command_says_what_was_missing_and_fails_only_where_nothing_is_usable(tmp_path: Path) -> None:
    lines, _ = recorded("AAAUSDT")
    path = written(tmp_path, b"".join(members(lines))[:-30], "AAAUSDT-1.jsonl.gz")
    done = CliRunner().invoke(data, ["history", str(path), str(tmp_path / "h.npz")], catch_exceptions=False)
    assert done.exit_code == 0
    assert "AAAUSDT-1.jsonl.gz is cut: read up to line" in done.stdout
    with pytest.raises(DataError, match="taken whole"):
        read_history(path, start="2026-01-05")
