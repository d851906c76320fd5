"""Tuning of a worker's memory: of glibc's malloc for buffers that come and go by the hundred kilobytes, and of when
Python looks for cycles.

By default glibc maps or grows memory for each such buffer and gives it back when it is freed, so every piece of an
upload is paid for with page faults. Keeping some megabytes makes a 1 GiB PUT about four times as fast (0.9 against
3.7 GB/s into a sink, measured with 256 KiB pieces). Elsewhere (musl, macOS) there is nothing to tune.

Kept memory must not be kept many times over, though: glibc gives threads arenas of their own, and buffers that one
thread allocates and another frees pile up in each. Eight streams of 1 GiB up and down made a worker 34 to 40 MiB larger
with an arena a thread, 22 MiB with two in all, at the same speed.
"""

from __future__ import annotations

import ctypes
import gc
import platform

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8

KEPT_BYTES = 16 << 20
"""Free memory at the top of the heap that stays ours."""

ARENAS = 2
"""One for the event loop, and one that all threads beside it share: most of their allocations hold the GIL anyway."""

YOUNG_OBJECTS = 10_000
"""So many more objects made than freed, some megabytes, have the collector look for cycles among them. By default it
looks after 700, which are mostly requests under way, hence alive: 4 to 5 % of the samples of a PUT were its own."""


def keep_large_buffers() -> bool:
    """Apply the tuning to this process, before it starts a thread; False where it does not exist."""
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    settings = (
        (_M_MMAP_THRESHOLD, 8 << 20),
        (_M_TRIM_THRESHOLD, KEPT_BYTES),
        (_M_TOP_PAD, 4 << 20),
        (_M_ARENA_MAX, ARENAS),
    )
    return all(libc.mallopt(name, value) == 1 for name, value in settings)


def settle_collector() -> None:
    """Once all is set up: what is there by now stays, and need not be looked at again for as long as the process lives.

    Else each full collection walks all modules and tables, for tens of milliseconds in which nobody is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
