"""A pid with its start: alive, dead, recycled, suspended, of another boot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import msgspec

from hftkit.system.process_id import own_process_id, process_id


def test_this_process_is_alive_and_a_recycled_number_is_not_taken_for_it():
    me = own_process_id()
    assert me.pid == os.getpid()
    assert me.alive
    assert not msgspec.structs.replace(me, started=me.started + 1).alive
    assert not msgspec.structs.replace(me, boot="another boot").alive


def test_a_child_that_stands_still_ends_and_is_not_waited_for():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    found = process_id(child.pid)
    assert found is not None
    assert found.alive
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    assert found.suspended
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie
    assert not found.alive
    child.communicate()
    assert process_id(child.pid) is None or process_id(child.pid) != found


def test_no_such_process():
    assert process_id(0) is None
    assert process_id(2**22 + 1) is None
