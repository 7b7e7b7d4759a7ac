"""One account, one engine: the lock is held by one, seen by all of this user, gone with its process, and open to nobody else."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hftkit.errors import ConfigError, VenueError
from live.account.lease import Lease, fingerprint, lease_folder, venue_name

NAME = "binance fapi.example.com:443 key 0123"
HOLD = """
import sys
from pathlib import Path
from live.account.lease import Lease
lease = Lease("night", Path("/journals/night"), Path(sys.argv[1]))
lease.take(sys.argv[2], "account 1")
print("held", flush=True)
sys.stdin.read()
"""


def lease(folder: Path, session: str = "day") -> Lease:
    return Lease(session, Path("/journals") / session, folder)


def test_the_second_is_refused_with_the_holder_named_until_the_first_lets_go(tmp_path):
    first, second = lease(tmp_path / "leases", "first"), lease(tmp_path / "leases", "second")
    first.take(NAME, "account 7 at fapi.example.com:443")
    first.take(NAME, "account 7 at fapi.example.com:443")  # held already
    with pytest.raises(VenueError, match=f"account 7 at .* is traded already: session 'first', pid {os.getpid()}, in '/journals/first'"):
        second.take(NAME, "account 7 at fapi.example.com:443")
    second.take(NAME + "4", "another account")
    first.release()
    first.release()
    second.take(NAME, "account 7")
    second.release()


def test_it_is_gone_with_its_process_however_that_ends(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[4]
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(VenueError, match=f"session 'night', pid {holder.pid}"):
            lease(tmp_path).take(NAME, "account 1")
        holder.send_signal(signal.SIGKILL)
        holder.wait(60)
    again = lease(tmp_path)
    again.take(NAME, "account 1")
    again.release()


def test_nobody_else_can_open_it(tmp_path):
    folder = tmp_path / "leases"
    folder.mkdir(mode=0o777)
    before = os.umask(0)
    try:
        held = lease(folder)
        held.take(NAME, "account 1")
    finally:
        os.umask(before)
    (path,) = folder.iterdir()
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o700, 0o600)
    held.release()


@pytest.mark.parametrize("planted", ["symlink", "fifo", "folder"])
def test_what_lies_in_its_place_is_refused_and_left_alone(tmp_path, planted):
    held = lease(tmp_path)
    held.take(NAME, "account 1")
    held.release()
    (path,) = tmp_path.iterdir()
    path.unlink()
    precious = tmp_path / "precious"
    precious.write_text("mine")
    {"symlink": lambda: path.symlink_to(precious), "fifo": lambda: os.mkfifo(path), "folder": path.mkdir}[planted]()
    with pytest.raises(ConfigError, match="XDG_STATE_HOME"):
        lease(tmp_path).take(NAME, "account 1")
    assert precious.read_text() == "mine"


def test_a_place_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be made .*XDG_STATE_HOME"):
        lease(tmp_path / "file" / "leases").take(NAME, "account 1")


def test_where_it_lies():
    assert lease_folder({"XDG_STATE_HOME": "/state"}) == Path("/state/hftkit/leases")
    assert lease_folder({}) == lease_folder({"XDG_STATE_HOME": "state"}) == Path.home() / ".local/state/hftkit/leases"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://fapi.example.com", "https://FAPI.example.com.:443/"),
        ("http://localhost:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/x", "http://localhost:8080"),
        ("wss://a.example", "https://a.example:443"),
    ],
)
def test_spellings_of_one_venue_are_one_name(one, other):
    assert venue_name(one) == venue_name(other)


def test_other_venues_and_keys_have_other_names():
    assert len({venue_name(url) for url in ("https://a.example", "https://b.example", "https://a.example:444", "http://a.example")}) == 4
    assert fingerprint("key one") != fingerprint("key two")
    assert "secret" not in fingerprint("secret")
