"""Messages between a supervisor and its processes (live/recovery/channel.py)."""

from __future__ import annotations

from live.recovery.channel import Channel


def test_messages_stay_whole_and_the_end_is_seen():
    ours, theirs = Channel.pair()
    ours.send("start", resume="/a", numbers=list(range(20_000)))
    ours.send("second")
    first = theirs.receive()
    assert first is not None
    assert (first["at"], len(first["numbers"])) == ("start", 20_000)
    assert theirs.receive() == {"at": "second"}
    ours.close()
    assert theirs.receive() is None
    theirs.send("nobody hears it")
    theirs.close()
