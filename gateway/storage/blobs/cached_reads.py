"""Files opened and read on the event loop, where the kernel has them in memory: what would wait for a disk is left to
a thread.

A hop into a thread and back costs more than what it is for: 256 KiB that are in the page cache take 9 µs to read, a
path that is in the directory cache 3 µs to open, the hop some 50 to 100 of CPU. Linux says for both whether it would
have to wait: preadv2(2) with RWF_NOWAIT, openat2(2) with RESOLVE_CACHED (5.12). Elsewhere, on file systems that know
neither, and where a sandbox forbids the call, nothing is ever in memory, and threads do it all.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Callable

_OPENAT2 = 437
"""The same number on all architectures that Python calls Linux but Alpha, which answers that it knows no such call."""

_AT_FDCWD = -100
_RESOLVE_CACHED = 0x20
_HOW = struct.pack("QQQ", os.O_RDONLY | os.O_CLOEXEC, 0, _RESOLVE_CACHED)
"""struct open_how: flags, mode, resolve."""


def open_cached(path: str) -> int | None:
    """A descriptor to read from, or None where a thread has to find out: not in memory, not there, not allowed."""
    if _openat2 is None:
        return None
    fd = _openat2(_OPENAT2, _AT_FDCWD, os.fsencode(path), _HOW, len(_HOW))
    return fd if fd >= 0 else None


def read_cached(fd: int, offset: int, length: int) -> bytearray | None:
    """Bytes [offset, offset + length), fewer only where the file ends; None where a thread has to find out."""
    if _NOWAIT is None:
        return None
    data = bytearray(length)
    have = 0
    try:
        with memoryview(data) as room:
            while have < length:
                count = os.preadv(fd, [room[have:]], offset + have, _NOWAIT)
                if not count:
                    break
                have += count
    except OSError:  # not in memory, or something is wrong, and a thread's read tells what
        return None
    if have < length:
        del data[have:]
    return data


def _system_call() -> Callable[[int, int, bytes, bytes, int], int] | None:
    if sys.platform != "linux":
        return None
    call = ctypes.PyDLL(None).syscall  # waits for nothing, hence keeps the GIL
    call.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
    call.restype = ctypes.c_long
    return call


_openat2 = _system_call()
_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)
