"""docs/protocol.md says what the code does: its tables are those of the layout, its codes are all there, clients written from it trade."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hftkit.codes import OrderState, Reject
from hftkit.exchange.testing import FRAMES as PLAIN_FRAMES
from hftkit.layout import FRAME, FRAMES, protocol_tables
from tests.unit.exchange.running import simulator

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_tables_are_up_to_date() -> None:
    text = DOCUMENT.read_text()
    tables = text.split("(`python -m hftkit.layout`).\n\n", 1)[1]
    assert tables.strip() == protocol_tables().strip(), "Cure: replace everything below 'Generated from' by the output of python -m hftkit.layout"


def test_every_reason_of_the_venue_and_every_state_is_listed() -> None:
    text = DOCUMENT.read_text()
    for reason in (reason for reason in Reject if reason >= 300):
        assert f"| {int(reason)} | {reason.text} |" in text
    for state in OrderState:
        assert f"{int(state)} {state.text}" in text


def test_the_plain_client_was_written_from_the_same_tables() -> None:
    venue_frames = {int(frame.type): (frame.name, tuple(field.name for field in frame.fields)) for frame in FRAMES if frame.sender == "venue"}
    assert venue_frames == PLAIN_FRAMES
    assert all(frame.words == 2 + len(frame.fields) for frame in FRAME.values())


def test_a_client_in_c_written_from_the_document_trades(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, program = Path(__file__).with_name("client.c"), tmp_path / "client"
    subprocess.run([compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True)
    with simulator() as sim:
        done = subprocess.run([program, str(sim.order_port), str(sim.market_port)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.startswith("2 instruments, ")
