"""The Binance benchmarks compare answers before they time anything: all kinds agree, and a wrong answer is found."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from hftkit.benchmarks import binance
from hftkit.benchmarks.registry import WrongAnswer


@pytest.mark.parametrize("kind", binance._KINDS)
def test_the_three_readers_agree(kind: str) -> None:
    make, struct, *_ = binance._KINDS[kind]
    messages, data, starts = binance._texts(make, 60)
    readers = {"msgspec": msgspec.json.Decoder(struct).decode, "orjson": lambda raw: binance._members(orjson.loads(raw))}
    binance._check(kind, messages, data, starts, readers)


def test_a_wrong_answer_is_found() -> None:
    make, struct, *_ = binance._KINDS["bookTicker"]
    messages, data, starts = binance._texts(make, 5)
    other = [message.replace(b'"3.250"', b'"3.251"') for message in messages]
    with pytest.raises(WrongAnswer, match="ours"):
        binance._check("bookTicker", other, data, starts, {"msgspec": msgspec.json.Decoder(struct).decode})
