"""Pools of threads that are all there from the start.

The standard pool starts a thread when there is work for one. A process that is out of memory then may wait for ever
for a thread that died in its first steps (`Thread.start` waits for word from it), and the work stays queued, to be done
when nobody reckons with it any more. A thread that waits costs its stack's first pages.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


def started_threads(count: int, name: str) -> ThreadPoolExecutor:
    """A pool of `count` threads that run. Raises RuntimeError if the system does not give as many."""
    pool = ThreadPoolExecutor(count, name)
    all_there = threading.Barrier(count + 1)
    try:
        for _ in range(count):  # each is kept from taking the next one's work, so that the pool must start another
            pool.submit(all_there.wait)
        all_there.wait()
    except BaseException:
        all_there.abort()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    return pool
