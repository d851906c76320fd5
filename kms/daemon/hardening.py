"""What keeps the keys of this process out of core dumps, debuggers and swap, as far as the system permits."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import sys

log = logging.getLogger(__name__)

_PR_SET_DUMPABLE = 4  # prctl(2)
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # mlockall(2)


def harden() -> None:
    """No core dump, no ptrace by the same user, no other's access to new files, memory locked where allowed."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        log.warning("PR_SET_DUMPABLE: %s", os.strerror(ctypes.get_errno()))
    _lock_memory(libc)


def _lock_memory(libc: ctypes.CDLL) -> None:
    """Lock all memory, or none: a limited lock would let some later allocation fail and end the process."""
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        log.info("memory is not locked: RLIMIT_MEMLOCK is limited; keys may reach swap (LimitMEMLOCK=infinity helps)")
        return
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        log.info("memory is not locked: %s", os.strerror(ctypes.get_errno()))
