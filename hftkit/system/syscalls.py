"""System calls that compiled loops make themselves, without the interpreter (Linux, 64 bit).

libc functions bound by name (`types.ExternalFunction`), so that loops which use them can be cached on disk. Only shells
use this file (live/hot_loop.py, exchange/servers/): kernels never see a socket or a clock. A failed call returns -1; then
`errno()` says why. Measured here: clock_gettime 20-30 ns, recv on an empty non-blocking socket 0.2 us.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
from numba import types

from hftkit.kernels.jit import kernel

MSG_DONTWAIT = 0x40
MSG_NOSIGNAL = 0x4000
EAGAIN = 11
EINTR = 4
ENFILE = 23
EMFILE = 24
CLOCK_MONOTONIC = 1
CLOCK_BOOTTIME = 7  # goes on while the machine sleeps
POLLIN = 1
POLLOUT = 4

_i32: Any
_i32, _i64, _u64, _ptr = types.int32, types.int64, types.uint64, types.uintp

_recv: Any = types.ExternalFunction("recv", _i64(_i32, _ptr, _u64, _i32))
_send: Any = types.ExternalFunction("send", _i64(_i32, _ptr, _u64, _i32))
_read: Any = types.ExternalFunction("read", _i64(_i32, _ptr, _u64))
_write: Any = types.ExternalFunction("write", _i64(_i32, _ptr, _u64))
_clock_gettime: Any = types.ExternalFunction("clock_gettime", _i32(_i32, _ptr))
_poll: Any = types.ExternalFunction("poll", _i32(_ptr, _u64, _i32))
_sched_yield: Any = types.ExternalFunction("sched_yield", _i32())
_close: Any = types.ExternalFunction("close", _i32(_i32))
_dup: Any = types.ExternalFunction("dup", _i32(_i32))
_accept4: Any = types.ExternalFunction("accept4", _i32(_i32, _ptr, _ptr, _i32))
_epoll_wait: Any = types.ExternalFunction("epoll_wait", _i32(_i32, _ptr, _i32, _i32))
_epoll_ctl: Any = types.ExternalFunction("epoll_ctl", _i32(_i32, _i32, _i32, _ptr))
_setsockopt: Any = types.ExternalFunction("setsockopt", _i32(_i32, _i32, _i32, _ptr, types.uint32))
_errno_location: Any = types.ExternalFunction("__errno_location", types.CPointer(_i32)())


@kernel
def errno() -> int:
    """Why the last call of this thread failed."""
    return _errno_location()[0]


@kernel
def monotonic_ns(scratch: Any) -> int:
    """CLOCK_MONOTONIC in ns. `scratch`: int64 (>= 2,), overwritten."""
    _clock_gettime(CLOCK_MONOTONIC, scratch.ctypes.data)
    return scratch[0] * 1_000_000_000 + scratch[1]


@kernel
def boottime_ns(scratch: Any) -> int:
    """CLOCK_BOOTTIME in ns. `scratch`: int64 (>= 2,), overwritten."""
    _clock_gettime(CLOCK_BOOTTIME, scratch.ctypes.data)
    return scratch[0] * 1_000_000_000 + scratch[1]


@kernel
def receive(fd: int, words: Any, start_byte: int, flags: int) -> int:
    """recv into an int64 buffer from byte `start_byte` to its end. Bytes received, 0 when the peer closed, -1 see errno."""
    return _recv(fd, words.ctypes.data + np.uint64(start_byte), words.size * 8 - start_byte, flags)


@kernel
def transmit(fd: int, words: Any, start_byte: int, n_bytes: int, flags: int) -> int:
    """send `n_bytes` of an int64 buffer from byte `start_byte`. Bytes taken by the socket, -1 see errno."""
    return _send(fd, words.ctypes.data + np.uint64(start_byte), n_bytes, flags)


@kernel
def yield_processor() -> None:
    """Give the processor to another runnable thread."""
    _sched_yield()


@kernel
def wait_readable(fds: Any, timeout_ms: int) -> int:
    """poll(): wait until one of the descriptors is readable. `fds`: int64 (n,), one `struct pollfd` each (see `pollfd`)."""
    return _poll(fds.ctypes.data, fds.size, timeout_ms)


@kernel
def pollfd(fd: int) -> int:
    """A `struct pollfd {fd, events = POLLIN, revents = 0}` packed in one int64 word."""
    return fd | (POLLIN << 32)


@kernel
def ring_bell(eventfd: int, scratch: Any) -> int:
    """Wake whoever waits for this eventfd. `scratch`: int64 (>= 3,), its third word overwritten."""
    scratch[2] = 1
    return _write(eventfd, scratch.ctypes.data + np.uint64(16), 8)


@kernel
def hush_bell(eventfd: int, scratch: Any) -> int:
    """Take the rings of a non-blocking eventfd off it. `scratch`: int64 (>= 3,), its third word overwritten."""
    return _read(eventfd, scratch.ctypes.data + np.uint64(16), 8)


@kernel
def close_descriptor(fd: int) -> int:
    """close(): 0, or -1 see errno."""
    return _close(fd)


@kernel
def duplicate_descriptor(fd: int) -> int:
    """dup(): another descriptor of the same, or -1 see errno."""
    return _dup(fd)


# -- readiness of many descriptors (servers) -----------------------------------------------------------------------------

EPOLLIN = 1
EPOLLOUT = 4
EPOLLHUP = 16
EPOLLET = -(1 << 31)  # bit 31 of a signed word: tell once, not until it is taken
EPOLL_CTL_ADD = 1
EPOLL_CTL_DEL = 2
EPOLL_CTL_MOD = 3
SOL_SOCKET = 1
SO_LINGER = 13
SOCK_NONBLOCK = 0o4000
SOCK_CLOEXEC = 0o2000000
# `struct epoll_event {u32 events; u64 data}` is packed on x86-64 only: its length and the place of `data`, in 32-bit words
EPOLL_EVENT_WORDS = 3 if platform.machine() in ("x86_64", "AMD64") else 4
EPOLL_DATA_WORD = EPOLL_EVENT_WORDS - 2


@kernel
def accept_client(listener: int) -> int:
    """accept4(): a new non-blocking connection, or -1 see errno. TCP_NODELAY is inherited from the listening socket."""
    return _accept4(listener, np.uint64(0), np.uint64(0), SOCK_NONBLOCK | SOCK_CLOEXEC)


@kernel
def watch_descriptor(epoll: int, operation: int, fd: int, events: int, data: int, scratch: Any) -> int:
    """epoll_ctl(): add or change what is watched of `fd`; `data` comes back with its events. `scratch`: int32 (>= 4,), overwritten."""
    scratch[0] = events
    scratch[EPOLL_DATA_WORD] = data
    scratch[EPOLL_DATA_WORD + 1] = 0
    return _epoll_ctl(epoll, operation, fd, scratch.ctypes.data)


@kernel
def wait_events(epoll: int, ready: Any, timeout_ms: int) -> int:
    """epoll_wait(): number of ready descriptors. `ready`: int32 (n * EPOLL_EVENT_WORDS,), one `struct epoll_event` each."""
    return _epoll_wait(epoll, ready.ctypes.data, ready.size // EPOLL_EVENT_WORDS, timeout_ms)


@kernel
def reset_when_closed(fd: int, scratch: Any) -> int:
    """setsockopt(SO_LINGER, 0 s): close() will send RST and forget what was not sent. `scratch`: int32 (>= 2,), overwritten."""
    scratch[0], scratch[1] = 1, 0
    return _setsockopt(fd, SOL_SOCKET, SO_LINGER, scratch.ctypes.data, np.uint32(8))
