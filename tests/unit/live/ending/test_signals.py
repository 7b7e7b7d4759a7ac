"""Every signal that would end a process asks for a stop; a real process receives each of them."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from live.ending.signals import StopRequest

PROGRAM = """
import sys
from live.ending.signals import StopRequest, StopSignals
request = StopRequest()
StopSignals(request.set, lambda line: print(line, flush=True)).install()
print("ready", flush=True)
while not request.wait(60):
    pass
for line in sys.stdin:
    break
print("ended in order", flush=True)
"""
ENDING = ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM", "VTALRM", "PROF", "XCPU", "PWR", "IO", "STKFLT"]  # fmt: skip


@pytest.fixture
def child():
    begin = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # the tests themselves may run under nohup
    process = subprocess.Popen([sys.executable, "-c", begin + PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def test_each_signal_is_a_clean_stop_and_none_shortens_it(child):
    for i, name in enumerate(ENDING):
        child.send_signal(getattr(signal, f"SIG{name}"))
        line = child.stdout.readline()
        assert line.startswith(f"SIG{name}: ")
        assert ("stopping" in line, "does not shorten" in line, "kill -9" in line) == (i == 0, i == 1, i > 1)
    out, _ = child.communicate("go\n")
    assert out == "ended in order\n"
    assert child.returncode == 0


def test_it_is_not_suspended(child):
    child.send_signal(signal.SIGTSTP)
    assert "not suspended" in child.stdout.readline()
    for number in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGPIPE, signal.SIGXFSZ):
        child.send_signal(number)
    child.send_signal(signal.SIGTERM)
    assert "SIGTERM: stopping" in child.stdout.readline()
    assert child.communicate("go\n")[0] == "ended in order\n"


def test_nohup_keeps_its_meaning():
    command = [sys.executable, "-c", f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{PROGRAM}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert "SIGTERM: stopping" in process.stdout.readline()
    assert process.communicate("go\n")[0] == "ended in order\n"


def test_a_request_is_a_flag_to_wait_for():
    request = StopRequest()
    assert not request.wait(0.0)
    request.set()
    assert request.wait(3600)
    assert request.is_set()
    request.clear()
    assert not request.wait(0.0)
