"""Rates that all workers of a node keep together: arrival times in memory that they share, looked up by hash.

Theory of operation. A limit is the generic cell rate algorithm (ITU-T I.371, Annex A): of each client one number is
kept, the time at which its next request is due if it sends at just the rate allowed. A request before that time by
more than the tolerance (`burst`) is refused; any other moves the time on by one interval. So a client is 8 bytes, and
to forget it, nothing has to be done: a time that is past means the same as none.

The supervisor makes the memory, its children map it. Names of clients are never kept: a client's places are a hash of
its name under a key that is drawn at each start, so that nobody can aim at somebody else's. Each limit has two rows,
and a client one place in each; its time is the lesser of the two (a count-min sketch with conservative update: Estan
and Varghese, "New Directions in Traffic Measurement and Accounting", 2002). So two clients that share one place do not
notice each other; a client is counted too high only if both its places are shared with busy ones. With 1000 clients at
their limit on 16384 places a row, that meets one of 270 others; it means a refusal that should not be, never a request
let through that should not be. Memory is bounded by construction: whatever clients send, there are no more places.

There are no locks. Reading and writing a place is one machine instruction each (as of `kms.epoch`), and two workers
that count the same client at the same instant may count one request instead of two: at most one more is let through
for each such meeting. Times are those of CLOCK_MONOTONIC, which all processes of a machine share and nobody can set.
"""

from __future__ import annotations

import math
import mmap
import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO

TABLE_BYTES = 8 << 20
"""All limits together take below a half of it, and memory only where something was written."""

_KEY_BYTES = 32
_HEADER_BYTES = 64
_PLACE_BYTES = 8
_SECOND_NS = 1_000_000_000

MAX_REMEMBERED = 4096
"""Names whose places a process remembers, for each limit: hashing costs three times as much as all the rest."""

_LONGEST_REMEMBERED = 256
"""Characters; ARNs and addresses are shorter. What is longer was made up, and is hashed each time."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second` requests on average, which need not be whole; `burst` at once after a pause, at least 1."""

    per_second: float
    burst: int


def name_bytes(name: str) -> bytes:
    """Any text as bytes, different ones for different texts."""
    return name.encode("utf-8", "surrogatepass")


def make_table() -> IO[bytes]:
    """Memory for one table, empty, with a key of its own: a file of no name, to be inherited by its descriptor."""
    file = os.fdopen(_nameless_file(), "r+b", buffering=0)
    file.truncate(TABLE_BYTES)
    file.write(secrets.token_bytes(_KEY_BYTES))
    return file


def _nameless_file() -> int:
    """In memory where the system has such files: the pages of others go to a disk now and then, which takes time."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("sealgate-rates")
    descriptor, path = tempfile.mkstemp(prefix="sealgate-rates-")
    Path(path).unlink()
    return descriptor


class RateTable:
    """A process's view of the table. Limits are laid out in the order in which they are asked for.

    All processes must ask for the same ones in the same order: they have the same settings, and the same code.
    """

    def __init__(self, descriptor: int) -> None:
        """Map the table behind `descriptor`, as `make_table` made it; the descriptor is not needed afterwards."""
        self._map = mmap.mmap(descriptor, TABLE_BYTES)
        self._places = memoryview(self._map).cast("Q")
        self._key = self._map[:_KEY_BYTES]
        self._next = _HEADER_BYTES // _PLACE_BYTES

    @classmethod
    def private(cls) -> RateTable:
        """A table of this process alone."""
        with make_table() as file:
            return cls(file.fileno())

    def limit(self, rate: Rate, *, places: int, canonical: Callable[[str], bytes] = name_bytes) -> Limit:
        """The next limit, with `places` (a power of two) in each of its two rows.

        `canonical` says which names are one client. Raises ValueError if the table is full.
        """
        if places & (places - 1) or not 0 < places <= 1 << 32:
            raise ValueError(f"{places} places are no power of two")
        start, self._next = self._next, self._next + 2 * places
        if self._next > len(self._places):
            raise ValueError("the table of rates is full")
        return Limit(self._places[start : self._next], self._key, rate, canonical)


class Limit:
    """One rate, kept for each of many clients."""

    def __init__(self, places: memoryview, key: bytes, rate: Rate, canonical: Callable[[str], bytes]) -> None:
        self._places = places
        self._mask = len(places) // 2 - 1
        self._key = key
        self._canonical = canonical
        self._interval_ns = max(1, round(_SECOND_NS / rate.per_second))
        self._tolerance_ns = (rate.burst - 1) * self._interval_ns
        self._remembered: dict[str, tuple[int, int]] = {}

    def take(self, name: str, now_ns: int) -> int:
        """Count one request of a client: 0 if it is within the rate; else it is not counted, and after so many
        nanoseconds the next one would be.

        `now_ns` is time.monotonic_ns(). `name` is any text, of which nothing is kept but its places.
        """
        first, second = self._remembered.get(name) or self._find(name)
        places = self._places
        at_first, at_second = places[first], places[second]
        due = at_first if at_first < at_second else at_second
        early = due - now_ns
        if early > self._tolerance_ns:
            return early - self._tolerance_ns
        due = (due if early > 0 else now_ns) + self._interval_ns
        if at_first < due:
            places[first] = due
        if at_second < due:
            places[second] = due
        return 0

    def wait(self, name: str, now_ns: int) -> int:
        """What `take` would return, without counting anything."""
        first, second = self._remembered.get(name) or self._find(name)
        early = min(self._places[first], self._places[second]) - now_ns
        return max(0, early - self._tolerance_ns)

    def _find(self, name: str) -> tuple[int, int]:
        digest = blake2b(self._canonical(name), digest_size=8, key=self._key).digest()
        found = int.from_bytes(digest[:4]) & self._mask, (int.from_bytes(digest[4:]) & self._mask) + self._mask + 1
        if len(name) <= _LONGEST_REMEMBERED:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[name] = found
        return found


def seconds_of(wait_ns: int) -> int:
    """Whole seconds that are not too short, at least 1: what Retry-After takes (RFC 9110 §10.2.3)."""
    return max(1, math.ceil(wait_ns / _SECOND_NS))
