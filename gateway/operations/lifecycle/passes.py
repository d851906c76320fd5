"""Passes over all buckets that have lifecycle rules: what is due goes.

Theory of operation. A pass is a job of the index: whoever gets its lease goes on with it, on whatever node, from where
its note says; when it has ended nobody gets the lease before the next one is due. In each bucket whose sealed document
has rules, only keys under prefixes of rules are listed. What expires by what was listed is removed in small
transactions, each of which first looks whether bucket and key still are as they were seen: a version that was replaced,
tagged or made current meanwhile stays, and is decided about anew by the next pass. A bucket that was changed is read
again at once.

What a process had done after its last note when it died is looked at again, and harms nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec

from gateway.operations.documents import ObjectDocument
from gateway.operations.job_lease import LEASE_SECONDS, JobLease, LeaseLost
from gateway.operations.lifecycle.deciding import Action, Decision, Expiring, KeyWalk
from gateway.operations.sealed_rows import SealedRows
from gateway.operations.versioning import Versioning, marker_row, version_id_in
from gateway.protocol.lifecycle import LifecycleDays, prefixes_to_visit
from gateway.sealing.errors import AuthenticationFailed
from gateway.storage.errors import Conflict, NoSuchBucket, RowDamaged
from gateway.storage.index.interface import Index
from gateway.storage.index.records import BucketRow, ObjectRow, UploadRow

_log = logging.getLogger(__name__)

JOB: Final = "lifecycle"
PAGE: Final = 200
BATCH: Final = 50
"""Versions or uploads that go in one transaction."""

MAX_PENDING: Final = 5000
"""Versions of one key about which is decided before the first of them go; the rest is for the next pass."""

BUCKETS: Final = 100
NOTE_SECONDS: Final = 2.0
"""Between two notes of how far a pass has come, which is also how much is looked at twice after a crash."""

REST: Final = 4.0
"""For each second of work so many of rest: a pass takes a fifth of one process's time."""
MAX_REST_SECONDS: Final = 1.0


class LifecycleNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a pass is: buckets with names before `bucket` are done, and of this one all keys up to `after_key`, of
    uploads if `in_uploads`. Times are Unix microseconds; `counts` are what was done, by Action."""

    begun_us: int
    ended_us: int | None = None
    bucket: str = ""
    is_bucket_done: bool = False
    in_uploads: bool = False
    after_key: bytes = b""
    buckets: int = 0
    changed: int = 0
    counts: dict[str, int] = {}


_decoder = msgspec.json.Decoder(LifecycleNote)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Pace:
    """`every_seconds` from the begin of one pass to that of the next, `removals_per_second` at most (0: no limit)."""

    every_seconds: float
    removals_per_second: float


class LifecyclePasses:
    """`owner` is unique among running processes; `count` is told what was done. Not for two tasks at once."""

    def __init__(
        self,
        index: Index,
        rows: SealedRows,
        days: LifecycleDays,
        pace: Pace,
        *,
        owner: str,
        integrity_event: Callable[[str, str], None],
        count: Callable[[str], None] = lambda _: None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._index = index
        self._rows = rows
        self._days = days
        self._pace = pace
        self._lease = JobLease(index, JOB, owner, clock_us)
        self._integrity_event = integrity_event
        self._count = count
        self._clock_us = clock_us
        self._noted = 0.0
        self._note = LifecycleNote(0)

    async def run_if_due(self) -> LifecycleNote | None:
        """Go on with the pass that nobody goes on with, or begin one that is due; what it did, None if it is not for
        us. Raises StorageError; what was noted until then is not looked at again."""
        if not await self._lease.take():
            return None
        due_us = 0
        try:
            await self._begin_or_resume()
            await self._run()
            due_us = self._note.begun_us + int(self._pace.every_seconds * 1_000_000)
        except LeaseLost:
            return None
        finally:
            await self._lease.finish(due_us)
        self._tell()
        return self._note

    async def _begin_or_resume(self) -> None:
        stored = await self._index.job_note(JOB)
        note = None
        if stored is not None:
            with suppress(msgspec.DecodeError):  # nothing that depends on it is lost: a pass begins anew
                note = _decoder.decode(stored)
        is_resumed = note is not None and note.ended_us is None
        self._note = note if note is not None and is_resumed else LifecycleNote(self._clock_us())

    async def _run(self) -> None:
        if self._note.bucket and not self._note.is_bucket_done:
            with suppress(NoSuchBucket):
                await self._visit(await self._index.get_bucket(self._note.bucket))
        while buckets := await self._index.all_buckets(after=self._note.bucket, limit=BUCKETS):
            for row in buckets:
                self._move(bucket=row.name, is_bucket_done=False, in_uploads=False, after_key=b"")
                await self._visit(row)
                self._move(is_bucket_done=True)
                await self._keep()
        self._move(ended_us=self._clock_us())
        await self._write_note()

    async def _visit(self, row: BucketRow) -> None:
        """One bucket, read anew where it was changed meanwhile; one that cannot be listed holds up no other."""
        bucket_id, is_counted = row.bucket_id, False
        while row.bucket_id == bucket_id:
            try:
                rules = self._expiring(row)
                if rules is None:
                    return
                if not is_counted:
                    self._move(buckets=self._note.buckets + 1)
                    is_counted = True
                if not self._note.in_uploads:
                    await self._visit_versions(row, rules)
                    self._move(in_uploads=True, after_key=b"")
                await self._visit_uploads(row, rules)
                return
            except Conflict:
                row = await self._read_again(row)
            except NoSuchBucket:
                return
            except RowDamaged as error:
                self._integrity_event("row", f"bucket {row.bucket_id.hex()}: {error}, met by lifecycle")
                return

    async def _read_again(self, row: BucketRow) -> BucketRow:
        try:
            return await self._index.get_bucket(row.name)
        except NoSuchBucket:
            return BucketRow(b"", "", row.name, "", 0, 0, b"")  # another one than any

    def _expiring(self, row: BucketRow) -> Expiring | None:
        """What the bucket says, None if it has no rules."""
        try:
            document = self._rows.read_bucket(row)
        except AuthenticationFailed as error:
            self._integrity_event("row", f"bucket {row.bucket_id.hex()}: {error}, met by lifecycle")
            return None
        if document.lifecycle is None:
            return None
        versioning = Versioning(document.versioning or "")
        return Expiring(
            document.lifecycle, versioning, self._days, self._tags, partial(self._marker, row.bucket_id, versioning)
        )

    async def _visit_versions(self, row: BucketRow, rules: Expiring) -> None:
        for prefix in prefixes_to_visit(rules.of_versions()):
            walk = KeyWalk(rules, self._clock_us())
            after: tuple[bytes, str | None] | None = (self._note.after_key, None)
            while after is not None:
                begun = time.monotonic()
                page = await self._index.list_versions(
                    row.bucket_id, prefix=prefix.encode(), delimiter=b"", after=after, max_keys=PAGE, whole=True
                )
                decisions = [decision for entry in page.entries for decision in walk.see(entry)]
                if page.next_after is None:
                    decisions += walk.end()
                elif walk.pending >= MAX_PENDING:
                    decisions += walk.take()
                await self._rest(begun)
                await self._expire(row, decisions)
                await self._advance([entry.row.key for entry in page.entries], is_last=page.next_after is None)
                after = page.next_after

    async def _visit_uploads(self, row: BucketRow, rules: Expiring) -> None:
        for prefix in prefixes_to_visit(rules.of_uploads()):
            after: tuple[bytes, bytes | None] | None = (self._note.after_key, None)
            while after is not None:
                begun = time.monotonic()
                page = await self._index.list_uploads(
                    row.bucket_id, prefix=prefix.encode(), delimiter=b"", after=after, max_uploads=PAGE
                )
                now_us = self._clock_us()
                due = [(upload, rule_id) for upload in page.uploads if (rule_id := rules.upload(upload, now_us))]
                await self._rest(begun)
                await self._abort(row, due)
                await self._advance([upload.key for upload in page.uploads], is_last=page.next_after is None)
                after = page.next_after

    async def _expire(self, row: BucketRow, decisions: Sequence[Decision]) -> None:
        sound = [each for each in decisions if self._opened(each.expiry.row) is not None]
        for start in range(0, len(sound), BATCH):
            batch = sound[start : start + BATCH]
            done = await self._index.expire_versions(row, [each.expiry for each in batch])
            for each, is_done in zip(batch, done, strict=True):
                gone = each.expiry.row
                self._note_done(row, each.action, gone.key, gone.version_id, each.rule_id, is_done=is_done)
            await self._spend(len(batch))

    async def _abort(self, row: BucketRow, due: Sequence[tuple[UploadRow, str]]) -> None:
        for start in range(0, len(due), BATCH):
            batch = due[start : start + BATCH]
            done = await self._index.expire_uploads(row, [upload for upload, _ in batch])
            for (upload, rule_id), is_done in zip(batch, done, strict=True):
                self._note_done(row, Action.UPLOAD, upload.key, upload.upload_id.hex(), rule_id, is_done=is_done)
            await self._spend(len(batch))

    def _note_done(
        self, row: BucketRow, action: Action, key: bytes, which: str, rule_id: str, *, is_done: bool
    ) -> None:
        if not is_done:
            self._move(changed=self._note.changed + 1)
            return
        counts = dict(self._note.counts)
        counts[action] = counts.get(action, 0) + 1
        self._move(counts=counts)
        self._count(action)
        where = f"{row.name}/{key.decode(errors='replace')}"
        _log.info("lifecycle: expired %s %r, %s, by rule %r", action.value, where, which, rule_id)

    def _opened(self, row: ObjectRow) -> ObjectDocument | None:
        """None of what was never written: nothing goes because of it."""
        try:
            return self._rows.open_object(row)
        except AuthenticationFailed as error:
            self._integrity_event("row", f"object {row.row_uid.hex()}: {error}, met by lifecycle")
            return None

    def _tags(self, row: ObjectRow) -> Mapping[str, str]:
        """None of what was never written, so that no rule with tags covers it."""
        document = self._opened(row)
        return {} if document is None else document.tags

    def _marker(self, bucket_id: bytes, versioning: Versioning, key: bytes) -> ObjectRow:
        now_us = self._clock_us()
        return marker_row(self._rows, bucket_id, key, version_id_in(versioning, now_us), now_us)

    # How far it is, and whose turn it is

    def _move(self, **changes: object) -> None:
        self._note = msgspec.structs.replace(self._note, **changes)

    async def _advance(self, keys: Sequence[bytes], *, is_last: bool) -> None:
        """All of a page's keys are done, but for the last one unless the listing ended there."""
        done = keys[-1:] if is_last else [key for key in keys if key != keys[-1]][-1:]
        if done:
            self._move(after_key=done[0])
        await self._keep()

    async def _keep(self) -> None:
        await self._lease.keep()
        if time.monotonic() - self._noted > NOTE_SECONDS:
            await self._write_note()

    async def _write_note(self) -> None:
        self._noted = time.monotonic()
        await self._lease.note(_encode(self._note))

    async def _rest(self, begun: float) -> None:
        await asyncio.sleep(min(REST * (time.monotonic() - begun), MAX_REST_SECONDS))

    async def _spend(self, removals: int) -> None:
        if self._pace.removals_per_second:
            await asyncio.sleep(min(removals / self._pace.removals_per_second, LEASE_SECONDS / 3))
        await self._keep()

    def _tell(self) -> None:
        note = self._note
        seconds = ((note.ended_us or note.begun_us) - note.begun_us) / 1_000_000
        counts = ", ".join(f"{action.value} {note.counts.get(action, 0)}" for action in Action)
        _log.log(
            logging.INFO if note.buckets else logging.DEBUG,
            "lifecycle: a pass over %d buckets with rules took %.1f s; expired: %s; changed meanwhile: %d",
            note.buckets,
            seconds,
            counts,
            note.changed,
        )
