"""A pass over everything: under a lease, at a pace, and noted so that any process goes on with it.

What is common to both kinds of scrub. How far a pass is stands in the note of its job in the index, in the clear: a
pass must be able to run while the KMS is away, and who can write to the database could as well remove what it finds.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gateway.operations.job_lease import LEASE_SECONDS, JobLease, LeaseLost
from gateway.storage.index.interface import Index, JobIndex
from gateway.storage.index.records import BadBlob

INAUTHENTIC: Final = "inauthentic"
"""What a deep scrub says of a blob, and takes back alone: a checksum says less."""

NOTE_SECONDS: Final = 2.0
"""Between two notes of how far a pass has come, which is also how much is done twice after a crash."""

PAUSE_SECONDS: Final = 2.0
"""While the KMS is away, or has enough."""

PAGE: Final = 200


class ScrubNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a pass is, and what it found. `cursor` is where to go on; times are Unix microseconds.

    `seen` of about `total` blobs were looked at. `well` are as they were written; of `without_checksum` only lengths
    and footer say so. `bad` are not, `repaired` were made well from another copy. `unchecked` counts, by reason, the
    versions of objects that could not be looked at.
    """

    begun_us: int
    ended_us: int | None = None
    cursor: bytes = b""
    total: int = 0
    seen: int = 0
    read_bytes: int = 0
    well: int = 0
    without_checksum: int = 0
    bad: int = 0
    repaired: int = 0
    unchecked: dict[str, int] = {}
    waiting: str | None = None
    bytes_per_second: float = 0


_decoder = msgspec.json.Decoder(ScrubNote)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Telling:
    """Whom a pass tells what it finds. `integrity_event` as in Services; `count` is told outcomes as they come (`well`,
    `without_checksum`, `bad`, `repaired`, `unchecked`), `count_bytes` what was read."""

    integrity_event: Callable[[str, str], None]
    count: Callable[[str], None] = lambda _: None
    count_bytes: Callable[[int], None] = lambda _: None


@dataclass(slots=True)
class Tally:
    """What a page adds to a note."""

    note: ScrubNote
    telling: Telling
    cursor: bytes = b""
    counts: dict[str, int] = field(default_factory=dict)
    unchecked: dict[str, int] = field(default_factory=dict)
    read_bytes: int = 0
    seen: int = 0
    waiting: str | None = None

    def __post_init__(self) -> None:
        self.cursor = self.note.cursor

    def add(self, outcome: str) -> None:
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        self.telling.count(outcome)

    def pass_over(self, reason: str) -> None:
        self.unchecked[reason] = self.unchecked.get(reason, 0) + 1
        self.telling.count("unchecked")

    def result(self) -> ScrubNote:
        note = self.note
        unchecked = dict(note.unchecked)
        for reason, count in self.unchecked.items():
            unchecked[reason] = unchecked.get(reason, 0) + count
        changed = {name: getattr(note, name) + count for name, count in self.counts.items()}
        return msgspec.structs.replace(
            note,
            cursor=self.cursor,
            seen=note.seen + self.seen,
            read_bytes=note.read_bytes + self.read_bytes,
            unchecked=unchecked,
            waiting=self.waiting,
            **changed,
        )


class Pass(ABC):
    """One kind of scrub; `owner` is unique among running processes. Not for two tasks at once."""

    name: str
    """Of its job in the index."""

    def __init__(self, index: Index, telling: Telling, owner: str) -> None:
        self._index = index
        self._telling = telling
        self._lease = JobLease(index, self.name, owner, _now_us)
        self._free_at = 0.0
        self._tally = Tally(ScrubNote(0), telling)

    async def note(self) -> ScrubNote | None:
        """Of the pass that is under way or was the last. Raises StorageError."""
        return await self.note_of(self._index, self.name)

    @staticmethod
    async def note_of(index: JobIndex, name: str) -> ScrubNote | None:
        """The same, for who only wants to know."""
        stored = await index.job_note(name)
        if stored is None:
            return None
        try:
            return _decoder.decode(stored)
        except msgspec.DecodeError:
            return None  # nothing that depends on it is lost: a pass begins anew

    async def is_due(self, interval_seconds: float) -> bool:
        """Whether a pass is under way, or the last one ended so long ago."""
        note = await self.note()
        if note is None or note.ended_us is None:
            return True
        return _now_us() - note.ended_us >= interval_seconds * 1_000_000

    async def run(self, *, bytes_per_second: float = 0, anew: bool = False) -> bool:
        """Go on with the pass that is under way, else begin one, at most so fast (0: no limit); `anew`: begin anyway.

        Whether it came to the end: False if another process has it. Raises StorageError; what was noted until then is
        not done again.
        """
        if not await self._lease.take():
            return False
        try:
            note = await self.note()
            if anew or note is None or note.ended_us is not None:
                note = ScrubNote(_now_us(), total=await self._total())
            note = msgspec.structs.replace(note, bytes_per_second=bytes_per_second)
            while note.ended_us is None:
                note = await self._go_on(note)
        except LeaseLost:
            return False
        finally:
            await self._lease.finish(0)
        return True

    @abstractmethod
    async def _total(self) -> int:
        """About how many there are to be seen."""

    @abstractmethod
    async def _page(self, tally: Tally, deadline: float) -> bool:
        """Some more, until about `deadline` of the monotonic clock; whether they were the last."""

    async def _go_on(self, note: ScrubNote) -> ScrubNote:
        self._tally = tally = Tally(note, self._telling)
        is_last = await self._page(tally, time.monotonic() + NOTE_SECONDS)
        result = tally.result()
        if is_last:
            result = msgspec.structs.replace(result, ended_us=_now_us())
        await self._write(result)
        if tally.waiting is not None:
            await asyncio.sleep(PAUSE_SECONDS)
        return result

    async def _write(self, note: ScrubNote) -> None:
        await self._lease.keep()
        await self._lease.note(_encode(note))

    async def _spend(self, count: int) -> None:
        """Wait until so many more bytes may be read, and keep the lease meanwhile."""
        self._tally.read_bytes += count
        self._telling.count_bytes(count)
        await self._lease.keep()
        limit = self._tally.note.bytes_per_second
        now = time.monotonic()
        self._free_at = max(self._free_at, now)
        pause = self._free_at - now if limit else 0.0
        if limit:
            self._free_at += count / limit
        while pause > LEASE_SECONDS / 3:
            await asyncio.sleep(LEASE_SECONDS / 3)
            pause -= LEASE_SECONDS / 3
            await self._lease.keep()
        await asyncio.sleep(pause)

    async def _note_bad(self, blob_id: bytes, problem: str) -> None:
        """Keep in mind that a blob is bad. Its bytes stay where they are: what is left of it can still be read."""
        self._tally.add("bad")
        self._telling.integrity_event("blob", f"{blob_id.hex()}: {problem}, met by {self.name}")
        await self._index.put_bad_blob(BadBlob(blob_id, problem, _now_us()))


def _now_us() -> int:
    return time.time_ns() // 1000
