"""A venue is a folder: a third adapter, of a package of its own, trades a session without a line of hftkit changed for it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hftkit.session.child_process import HFTKIT, Simulator
from hftkit.session.replay import replay
from live.config import VenueConfig
from live.venue import adapter
from tests.contract.gate_venue.adapter import relay
from tests.faults.test_live_session import frozen_for_sample

WORD = "open-please"


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which the adapter's package is installed: its entry point, and where its code lies."""
    info = tmp_path / "site" / "gate_venue-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gate-venue\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[hftkit.venues]\ngate = gate_venue.adapter:ADAPTER\n")
    paths = [str(tmp_path / "site"), str(Path(__file__).parent)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH", "")])])}


@contextlib.contextmanager
def gate(ports: dict[str, int]) -> Iterator[int]:
    """A gate before a venue: a word and the name of a port, answered by + or -."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                word, _, name = near.makefile("r").readline().strip().partition(" ")
                if word != WORD or name not in ports:
                    near.sendall(b"-")
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", ports[name]))
                near.sendall(b"+")
                relay(near, far)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])


def write_config(folder: Path, port: int, word: str = WORD) -> Path:
    lines = f'[venue]\nkind = "gate"\n[venue.options]\nhost = "127.0.0.1"\nport = {port}\nword = "{word}"\n[session]\njournal_dir = "{folder}/j"\n'
    (folder / "live.toml").write_text(lines)
    return folder / "live.toml"


def test_a_venue_of_another_package_trades_a_session(tmp_path: Path, installed: dict[str, str]) -> None:
    frozen = frozen_for_sample(tmp_path / "frozen")
    with Simulator(tmp_path, 600.0) as simulator:
        simulator.wait_ready()
        ready = json.loads(simulator.ready_file.read_text())
        with gate({"order": ready["order_port"], "market": ready["market_port"]}) as port:
            options = ["--params", str(frozen), "--config", str(write_config(tmp_path, port)), "--duration", "6", "--session-id", "one", "--json"]
            run = subprocess.run([*HFTKIT, "live", *options], env=installed, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["orders_sent"] > 4
    assert result["orders_without_outcome"] == 0
    assert not any(result["end_positions"].values())
    assert replay(tmp_path / "j" / "one").identical


def test_its_own_section_is_checked_by_itself(tmp_path: Path, installed: dict[str, str]) -> None:
    frozen = frozen_for_sample(tmp_path / "frozen")
    config = write_config(tmp_path, 1)
    config.write_text(config.read_text().replace("word =", "words ="))
    run = subprocess.run(
        [*HFTKIT, "live", "--params", str(frozen), "--config", str(config)], env=installed, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert "[venue.options]" in run.stderr
    assert "words" in run.stderr


def test_a_kind_that_nobody_offers_is_named_with_those_there_are() -> None:
    with pytest.raises(Exception, match=r"venue\.kind is 'nowhere', which no adapter is installed for") as caught:
        adapter("nowhere")
    assert "binance, binary" in str(caught.value) + str(getattr(caught.value, "cure", ""))


def test_the_adapters_that_ship_agree_with_the_default() -> None:
    assert adapter(VenueConfig().kind).place(VenueConfig()) == "127.0.0.1:7001"
