"""The JSON scanner beside Python's json, and decimals beside Python's Decimal: they agree about every text, whole or damaged."""

from __future__ import annotations

import json
import random
import re
from decimal import Decimal

import numpy as np

from hftkit.errors import UnitError
from hftkit.kernels.wire.binance import json as scanner
from hftkit.kernels.wire.binance.decimal import REFUSED, parse_steps
from hftkit.kernels.wire.binance.names import identify, key_table
from hftkit.units import INT64_MAX, to_steps

KEYS = ["e", "E", "s", "ab", "a_key_of_24_bytes_length"]
TABLE = key_table(KEYS)
SPACE = b" \n\r\t"
JSON_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")  # leading zeros are taken: they do not change a value


def u8(data: bytes) -> np.ndarray:
    return np.frombuffer(bytearray(data), np.uint8)


def is_json(text: str) -> bool:
    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


SCALARS = ["1", "-2.5", "0", "1e5", '"x"', '"a\\"b\\u00e9"', "true", "false", "null", '""', '"]}"', "-0.0", "12.0E-3", '"\\\\"']


def some_json(rng: random.Random, depth: int = 0) -> str:
    kind = rng.random()
    if depth > 3 or kind < 0.5:
        return rng.choice(SCALARS)
    space = rng.choice(["", "", " ", "\n\t"])
    if kind < 0.75:
        return f"[{space}" + f",{space}".join(some_json(rng, depth + 1) for _ in range(rng.randint(0, 3))) + "]"
    keys = rng.sample(["e", "E", "s", "ab", "zz", KEYS[-1], "\\u0065x", KEYS[-1] + "x", ""], rng.randint(0, 4))
    return "{" + f"{space},".join(f'"{key}"{space}:{some_json(rng, depth + 1)}' for key in keys) + space + "}"


def damaged(rng: random.Random, text: str) -> str:
    letters = list(text)
    for _ in range(rng.randint(0, 2)):
        at = rng.randrange(len(letters) + 1)
        letters[at : at + rng.randint(0, 1)] = rng.choice(["", *'{}[]",:0123.eE-+tfn\\u \x01'])
    return "".join(letters)


def test_a_text_is_json_for_us_exactly_if_it_is_for_python() -> None:
    rng, whole = random.Random(1), 0
    for _ in range(40_000):
        text = damaged(rng, some_json(rng))
        after = scanner.skip_value(u8(text.encode() + b" "), 0, len(text.encode()))
        ours = after >= 0 and not text.encode()[after:].strip(SPACE)
        assert ours == is_json(text), text
        whole += ours
    assert 10_000 < whole < 35_000


def test_tokens_are_the_members_that_python_finds() -> None:
    rng, found = random.Random(2), 0
    tokens = np.zeros((scanner.MAX_DEPTH, 3), np.int64)
    for _ in range(20_000):
        text = some_json(rng)
        if not text.startswith("{"):
            continue
        data = u8(text.encode())
        after = scanner.scan_object(data, 0, data.size, TABLE, tokens, len(KEYS))
        assert after == data.size
        want = json.loads(text)
        for slot, key in enumerate(KEYS):
            kind, start, end = tokens[slot]
            assert (kind == scanner.ABSENT) == (key not in want)
            if kind == scanner.ABSENT:
                continue
            found += 1
            quoted = kind in (scanner.STRING, scanner.ESCAPED)
            span = data[start - quoted : end + quoted].tobytes()
            assert json.loads(span) == want[key]
            assert (kind == scanner.ESCAPED) == (quoted and b"\\" in span)
    assert found > 3_000


def test_escaped_keys_and_names_mean_what_they_say() -> None:
    data = u8(b'{"\\u0073":"a\\u0062","\\u00e9":1,"\\u0065\\u0020":2}')
    tokens = np.zeros((8, 3), np.int64)
    assert scanner.scan_object(data, 0, data.size, TABLE, tokens, len(KEYS)) == data.size
    assert tokens[2, 0] == scanner.ESCAPED
    assert scanner.identify_escaped(data, tokens[2, 1], tokens[2, 2], TABLE) == KEYS.index("ab")
    assert tokens[0, 0] == tokens[1, 0] == scanner.ABSENT


def test_what_is_refused_beyond_json() -> None:
    tokens = np.zeros((8, 3), np.int64)
    for text in (b'{"e":1,"e":1}', b'{"e":1,"\\u0065":1}', b'{"zz":' + b"[" * 61 + b"]" * 61 + b"}", b"[]", b"", b"{", b'{"e"', b'{"e":', b'{"e":1'):
        assert scanner.scan_object(u8(text + b" "), 0, len(text), TABLE, tokens, len(KEYS)) == scanner.BROKEN
    text = b'{"zz":1,"zz":2}'  # members nobody asks for may come twice
    assert scanner.scan_object(u8(text), 0, len(text), TABLE, tokens, len(KEYS)) == len(text)


def test_names_are_found_exactly() -> None:
    names = [f"{letter}{number}USDT" for letter in ("BTC", "1000PEPE", "A", "LONGERNAMEOFA") for number in range(50)]
    table = key_table(names)
    for i, name in enumerate(names):
        raw = name.encode()
        assert identify(u8(raw), 0, len(raw), table) == i
        for other in (raw[:-1], raw + b"X", raw.lower(), b"X" + raw, raw + b"\0"):
            assert identify(u8(other), 0, len(other), table) == (names.index(other.decode()) if other.decode() in names else -1)


def some_number(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return "".join(rng.choice("0123456789.-+eE /") for _ in range(rng.randint(0, 8)))
    text = "-" * (rng.random() < 0.1) + "".join(rng.choice("0123456789") for _ in range(rng.choice([1, 2, 5, 8, 17, 18, 19, 20])))
    if rng.random() < 0.8:
        text += "." + "".join(rng.choice("0001234567890") for _ in range(rng.choice([0, 1, 2, 3, 8, 8, 10, 20]))) + "0" * rng.choice((0, 0, 3, 30))
    return text + (rng.choice("eE") + rng.choice(["", "+", "-"]) + str(rng.randint(0, 25)) if rng.random() < 0.15 else "")


def test_decimals_become_the_steps_that_python_counts_or_are_refused() -> None:
    rng, taken = random.Random(3), 0
    for _ in range(60_000):
        text = some_number(rng)
        if re.search(r"[eE][+-]?\d{4}", text):
            continue  # Python's side takes three digits
        mantissa, decimals = rng.choice([(1, 0), (1, 1), (1, 8), (5, 2), (25, 2), (1, 3)])
        want = REFUSED
        if JSON_NUMBER.fullmatch(text):
            try:
                want = to_steps(text, Decimal(mantissa).scaleb(-decimals))
            except UnitError:
                pass
            else:
                if abs(want) * mantissa > INT64_MAX:
                    want = REFUSED  # stated: it must fit in units of the last decimal
        raw = text.encode()
        assert parse_steps(u8(raw + b"9"), 0, len(raw), mantissa, decimals) == want, (text, mantissa, decimals)
        taken += want != REFUSED
    assert taken > 10_000
