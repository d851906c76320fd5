"""Fakes that pass the conformance suites: an index and a blob store in memory. Simple on purpose, not fast.

MemoryIndex is also the model that real engines are compared with.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TypeVar

from gateway.storage.blobs.interface import Buffer
from gateway.storage.errors import (
    BlobMissing,
    BucketExists,
    BucketNotEmpty,
    Conflict,
    NoSuchBucket,
    NoSuchJob,
    NoSuchKey,
    NoSuchUpload,
    NoSuchVersion,
    StorageUnavailable,
    TooManyBuckets,
)
from gateway.storage.index.interface import NO_BODY, Change, CompletionPrecondition, Precondition
from gateway.storage.index.pages import ObjectPage, VersionPage
from gateway.storage.index.records import (
    BadBlob,
    BatchJobRow,
    BlobRow,
    BucketKeyRow,
    BucketRow,
    ClientToken,
    Deletion,
    Expiry,
    KeyedBucketKeys,
    KeyedObject,
    KeyedPage,
    KeyedUpload,
    KeyEpochRow,
    NewBlob,
    ObjectRow,
    PartRow,
    RowKind,
    UploadPage,
    UploadRow,
    VersionEntry,
)
from gateway.storage.index.told import Told
from tests.told import told_of

T = TypeVar("T")


@dataclass(slots=True)
class _Blob:
    new: NewBlob
    refs: int = 1
    condemned_us: int | None = None


class MemoryIndex:
    """An Index in memory. No method waits, so each is a transaction; checks come before changes."""

    def __init__(self, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._clock_us = clock_us
        self._is_open = True
        self._buckets: dict[bytes, BucketRow] = {}
        self._versions: dict[tuple[bytes, bytes], list[ObjectRow]] = {}
        self._blobs: dict[bytes, _Blob] = {}
        self._uploads: dict[bytes, UploadRow] = {}
        self._parts: dict[bytes, dict[int, PartRow]] = {}
        self._changed: set[bytes] = set()
        self._tokens: dict[tuple[bytes, str], tuple[bytes, int]] = {}
        self._bucket_keys: dict[tuple[bytes, bytes], BucketKeyRow] = {}
        self._epochs: dict[tuple[str, int], KeyEpochRow] = {}
        self._batch_jobs: dict[str, BatchJobRow] = {}
        self._jobs: dict[str, tuple[str | None, int]] = {}
        self._notes: dict[str, bytes] = {}
        self._bad_blobs: dict[bytes, BadBlob] = {}

    async def create_bucket(self, row: BucketRow, *, most: int | None = None) -> None:
        self._check_open()
        for other in self._buckets.values():
            if other.name == row.name:
                raise BucketExists(other.account_id)
        if most is not None and sum(other.account_id == row.account_id for other in self._buckets.values()) >= most:
            raise TooManyBuckets
        self._buckets[row.bucket_id] = row

    async def get_bucket(self, name: str) -> BucketRow:
        self._check_open()
        for row in self._buckets.values():
            if row.name == name:
                return row
        raise NoSuchBucket

    async def get_bucket_and_object(
        self, name: str, key: bytes, *, inline_bytes: int = NO_BODY
    ) -> tuple[BucketRow, ObjectRow | None, bytes | None]:
        bucket = await self.get_bucket(name)
        row = self._version(bucket.bucket_id, key, None)
        if row is None or row.sealed_parts is not None or not row.blob_ids or row.size > inline_bytes:
            return bucket, row, None
        return bucket, row, self._blobs[row.blob_ids[0]].new.inline

    async def list_buckets(self, account_id: str, *, prefix: str, after: str, limit: int) -> Sequence[BucketRow]:
        self._check_open()
        rows = [row for row in self._buckets.values() if row.account_id == account_id]
        rows = [row for row in rows if row.name.startswith(prefix) and row.name > after]
        return sorted(rows, key=lambda row: row.name)[:limit]

    async def all_buckets(self, *, after: str, limit: int) -> Sequence[BucketRow]:
        self._check_open()
        return sorted((row for row in self._buckets.values() if row.name > after), key=lambda row: row.name)[:limit]

    async def update_bucket(self, row: BucketRow) -> None:
        self._check_open()
        stored = self._buckets.get(row.bucket_id)
        if stored is None or stored.revision != row.revision - 1:
            raise Conflict
        self._buckets[row.bucket_id] = replace(stored, revision=row.revision, sealed=row.sealed)

    async def delete_bucket(self, bucket_id: bytes) -> None:
        self._check_open()
        if any(bucket == bucket_id and versions for (bucket, _), versions in self._versions.items()):
            raise BucketNotEmpty
        self._require_bucket(bucket_id)
        for upload in [upload for upload in self._uploads.values() if upload.bucket_id == bucket_id]:
            self._forget_upload(upload.upload_id, keep=frozenset())
        self._bucket_keys = {name: row for name, row in self._bucket_keys.items() if name[0] != bucket_id}
        del self._buckets[bucket_id]

    async def put_object(
        self, row: ObjectRow, blobs: Sequence[NewBlob], precondition: Precondition | None = None
    ) -> None:
        self._check_open()
        self._require_bucket(row.bucket_id)
        self._ask(precondition, row)
        new = {blob.blob_id for blob in blobs}
        shared = [blob_id for blob_id in _blobs_of(row) if blob_id not in new]
        for blob_id in shared:
            if blob_id not in self._blobs or not self._blobs[blob_id].refs:
                raise Conflict
        for blob_id in shared:
            self._blobs[blob_id].refs += 1
        self._place(row, blobs)

    async def get_object(self, bucket_id: bytes, key: bytes, version_id: str | None = None) -> ObjectRow:
        self._check_open()
        version = self._version(bucket_id, key, version_id)
        if version is None:
            raise NoSuchKey if version_id is None else NoSuchVersion
        return version

    async def rename_object(
        self,
        source: ObjectRow,
        row: ObjectRow,
        manifest: NewBlob,
        precondition: Precondition | None = None,
        token: ClientToken | None = None,
    ) -> None:
        self._check_open()
        if self._version(source.bucket_id, source.key, None) != source:
            raise Conflict
        if token is not None and await self.request_of_token(row.bucket_id, token.token) is not None:
            raise Conflict
        self._ask(precondition, row)
        for blob_id in row.blob_ids:
            self._blobs[blob_id].refs += 1
        await self.delete_object(source.bucket_id, Deletion(source.key))
        self._place(row, [manifest])
        if token is not None:
            self._tokens[row.bucket_id, token.token] = (token.request, self._clock_us())

    async def rewrap_object(self, old: ObjectRow, row: ObjectRow, blobs: Sequence[NewBlob]) -> None:
        self._check_open()
        if self._version(old.bucket_id, old.key, old.version_id) != old:
            raise Conflict
        for blob in blobs:
            self._blobs[blob.blob_id] = _Blob(blob)
        versions = self._versions[old.bucket_id, old.key]
        versions[versions.index(old)] = row
        kept = set(_blobs_of(row))
        self._release([blob_id for blob_id in _blobs_of(old) if blob_id not in kept])

    async def request_of_token(self, bucket_id: bytes, token: str) -> bytes | None:
        request, used_us = self._tokens.get((bucket_id, token), (None, 0))
        return request if used_us > self._clock_us() - 24 * 3600 * 1_000_000 else None

    async def change_object(self, bucket_id: bytes, key: bytes, version_id: str | None, change: Change) -> ObjectRow:
        stored = await self.get_object(bucket_id, key, version_id)
        changed = change(stored)
        versions = self._versions[bucket_id, key]
        versions[versions.index(stored)] = replace(
            stored, revision=changed.revision, sealed=changed.sealed, sealed_parts=changed.sealed_parts
        )
        return changed

    async def delete_object(
        self, bucket_id: bytes, deletion: Deletion, precondition: Precondition | None = None
    ) -> ObjectRow | None:
        self._check_open()
        version = self._version(bucket_id, deletion.key, deletion.version_id)
        if precondition:
            precondition(version)
        if deletion.marker is not None:
            self._require_bucket(bucket_id)
            self._place(deletion.marker, ())
            return None
        if version is not None:
            if version is self._version(bucket_id, deletion.key, None):
                self._note_change(bucket_id, deletion.key)
            self._versions[bucket_id, deletion.key].remove(version)
            self._release(_blobs_of(version))
        return version

    async def delete_objects(self, bucket_id: bytes, deletions: Sequence[Deletion]) -> Sequence[ObjectRow | None]:
        return [await self.delete_object(bucket_id, deletion) for deletion in deletions]

    async def list_versions(
        self,
        bucket_id: bytes,
        *,
        prefix: bytes,
        delimiter: bytes,
        after: tuple[bytes, str | None] | None,
        max_keys: int,
        whole: bool = False,
    ) -> VersionPage:
        self._check_open()
        entries = [
            VersionEntry(replace(row, sealed_parts=None), row is versions[-1])
            for (bucket, _), versions in sorted(self._versions.items())
            if bucket == bucket_id
            for row in reversed(versions)
        ]
        given = b""
        if after is not None:
            key, version_id = after
            same = [n for n, entry in enumerate(entries) if (entry.row.key, entry.row.version_id) == after]
            if same:
                entries = entries[same[0] + 1 :]
            else:
                entries = [e for e in entries if e.row.key > key or (version_id is not None and e.row.key == key)]
            if delimiter and key.startswith(prefix) and delimiter in key[len(prefix) :]:
                given = key[: key.index(delimiter, len(prefix)) + len(delimiter)]
        rows = [(e.row.key, e) for e in entries if not (given and e.row.key.startswith(given))]
        taken, prefixes, last = _page(rows, prefix, delimiter, b"", max_keys)
        next_after = None
        if last is not None:
            next_after = (last.row.key, last.row.version_id) if isinstance(last, VersionEntry) else (last, None)
        found = tuple(entry.row for entry in taken)
        told = Told(bucket_id, told_of(found))
        are_latest = tuple(entry.is_latest for entry in taken)
        return VersionPage(told, are_latest, tuple(prefixes), next_after, found if whole else None)

    async def list_objects(
        self, bucket_id: bytes, *, prefix: bytes, delimiter: bytes, after: bytes, max_keys: int
    ) -> ObjectPage:
        self._check_open()
        rows = [
            replace(versions[-1], sealed_parts=None)
            for (bucket, _), versions in sorted(self._versions.items())
            if bucket == bucket_id and versions and versions[-1].kind is RowKind.OBJECT
        ]
        taken, prefixes, last = _page([(row.key, row) for row in rows], prefix, delimiter, after, max_keys)
        if isinstance(last, ObjectRow):
            last = last.key
        return ObjectPage(Told(bucket_id, told_of(taken)), tuple(prefixes), last)

    async def read_inline(self, blob_id: bytes) -> bytes:
        self._check_open()
        blob = self._blobs.get(blob_id)
        if blob is None or blob.new.inline is None:
            raise BlobMissing
        return blob.new.inline

    def expecting(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def create_upload(self, row: UploadRow) -> None:
        self._check_open()
        self._require_bucket(row.bucket_id)
        self._uploads[row.upload_id] = row
        self._parts[row.upload_id] = {}

    async def get_upload(self, bucket_id: bytes, key: bytes, upload_id: bytes) -> UploadRow:
        self._check_open()
        row = self._uploads.get(upload_id)
        if row is None or (row.bucket_id, row.key) != (bucket_id, key):
            raise NoSuchUpload
        return row

    async def list_uploads(
        self,
        bucket_id: bytes,
        *,
        prefix: bytes,
        delimiter: bytes,
        after: tuple[bytes, bytes | None] | None,
        max_uploads: int,
    ) -> UploadPage:
        self._check_open()
        rows = [row for row in self._uploads.values() if row.bucket_id == bucket_id]
        rows.sort(key=lambda row: (row.key, row.upload_id))
        if after is not None:
            key, upload_id = after
            given = (key, upload_id if upload_id is not None else b"\xff" * 17)
            rows = [row for row in rows if (row.key, row.upload_id) > given]
            if delimiter and key.startswith(prefix) and delimiter in key[len(prefix) :]:
                common = key[: key.index(delimiter, len(prefix)) + len(delimiter)]
                rows = [row for row in rows if not row.key.startswith(common)]
        taken, prefixes, last = _page([(row.key, row) for row in rows], prefix, delimiter, b"", max_uploads)
        next_after = None
        if last is not None:
            next_after = (last.key, last.upload_id) if isinstance(last, UploadRow) else (last, None)
        return UploadPage(tuple(taken), tuple(prefixes), next_after)

    async def put_part(self, row: PartRow, blob: NewBlob) -> None:
        self._check_open()
        if row.upload_id not in self._uploads:
            raise NoSuchUpload
        parts = self._parts[row.upload_id]
        if row.part_number in parts:
            self._release([parts[row.part_number].blob_id])
        parts[row.part_number] = row
        self._blobs[blob.blob_id] = _Blob(blob)

    async def list_parts(self, upload_id: bytes, *, after: int, limit: int) -> Sequence[PartRow]:
        self._check_open()
        parts = self._parts.get(upload_id, {})
        return [parts[number] for number in sorted(parts) if number > after][:limit]

    async def complete_upload(
        self,
        upload_id: bytes,
        row: ObjectRow,
        manifest: NewBlob,
        precondition: CompletionPrecondition | None = None,
    ) -> None:
        await self.get_upload(row.bucket_id, row.key, upload_id)
        if precondition:
            precondition(self._version(row.bucket_id, row.key, None), upload_id in self._changed)
        uploaded = {part.blob_id for part in self._parts[upload_id].values()}
        wanted = frozenset(row.blob_ids)
        if not wanted <= uploaded or len(wanted) != len(row.blob_ids):
            raise Conflict
        self._forget_upload(upload_id, keep=wanted)
        self._place(row, [manifest])

    async def abort_upload(self, bucket_id: bytes, key: bytes, upload_id: bytes) -> None:
        await self.get_upload(bucket_id, key, upload_id)
        self._forget_upload(upload_id, keep=frozenset())

    async def expire_versions(self, bucket: BucketRow, expiries: Sequence[Expiry]) -> Sequence[bool]:
        self._require_unchanged(bucket)
        done = []
        for each in expiries:
            versions = self._versions.get((bucket.bucket_id, each.row.key), [])
            places = [n for n, row in enumerate(versions) if replace(row, sealed_parts=None) == each.row]
            newer = versions[places[0] + 1 :] if places else []
            is_as_seen = (
                bool(places)
                and (newer[0].row_uid if newer else None) == each.successor
                and len(newer) >= each.newer
                and not (each.is_only and len(versions) > 1)
            )
            done.append(is_as_seen)
            if is_as_seen:
                await self.delete_object(bucket.bucket_id, Deletion(each.row.key, each.row.version_id, each.marker))
        return done

    async def expire_uploads(self, bucket: BucketRow, uploads: Sequence[UploadRow]) -> Sequence[bool]:
        self._require_unchanged(bucket)
        there = [each.upload_id in self._uploads for each in uploads]
        for each in uploads:
            if each.upload_id in self._uploads:
                self._forget_upload(each.upload_id, keep=frozenset())
        return there

    async def condemned_blobs(self, *, before_us: int, limit: int) -> Sequence[bytes]:
        self._check_open()
        return self._condemned(before_us, is_inline=False)[:limit]

    async def forget_blobs(self, blob_ids: Sequence[bytes]) -> None:
        self._check_open()
        for blob_id in blob_ids:
            if blob_id in self._blobs and not self._blobs[blob_id].refs:
                del self._blobs[blob_id]
                self._bad_blobs.pop(blob_id, None)

    async def forget_inline_blobs(self, *, before_us: int, limit: int) -> int:
        self._check_open()
        blob_ids = self._condemned(before_us, is_inline=True)[:limit]
        await self.forget_blobs(blob_ids)
        return len(blob_ids)

    async def hold_blobs(self, blobs: Sequence[NewBlob]) -> None:
        self._check_open()
        for blob in blobs:
            self._blobs.setdefault(blob.blob_id, _Blob(blob))

    async def known_blobs(self, blob_ids: Sequence[bytes]) -> frozenset[bytes]:
        self._check_open()
        return frozenset(blob_ids) & self._blobs.keys()

    async def key_epochs(self, purpose: str) -> Sequence[KeyEpochRow]:
        self._check_open()
        return [row for (of, _), row in sorted(self._epochs.items()) if of == purpose]

    async def add_key_epoch(self, row: KeyEpochRow) -> None:
        self._check_open()
        if (row.purpose, row.epoch) in self._epochs:
            raise Conflict
        self._epochs[row.purpose, row.epoch] = row

    async def bucket_key(self, bucket_id: bytes, requester: bytes) -> BucketKeyRow | None:
        self._check_open()
        return self._bucket_keys.get((bucket_id, requester))

    async def put_bucket_key(self, row: BucketKeyRow, *, forget_before_us: int) -> None:
        self._check_open()
        if row.bucket_id not in self._buckets:
            raise NoSuchBucket
        kept = {name: each for name, each in self._bucket_keys.items() if each.created_us >= forget_before_us}
        self._bucket_keys = {**kept, (row.bucket_id, row.requester): row}

    async def list_objects_of_key(self, key_arn: str, *, after: bytes | None, limit: int) -> KeyedPage:
        self._check_open()
        rows = [row for versions in self._versions.values() for row in versions if row.wrap.key_arn == key_arn]
        ordered = sorted(((row.wrap.key_version or 0, row.row_uid), row) for row in rows)
        places = [(version.to_bytes(8) + uid, row) for (version, uid), row in ordered]
        page = [(place, row) for place, row in places if after is None or place > after][:limit]
        objects = [
            KeyedObject(
                self._buckets[row.bucket_id].name,
                replace(row, sealed_parts=None),
                self._blobs[row.blob_ids[0]].refs if row.blob_ids else 0,
                place,
            )
            for place, row in page
        ]
        return KeyedPage(tuple(objects), page[-1][0] if len(page) == limit else None)

    async def count_objects_of_key(self, key_arn: str, *, before_version: int | None = None) -> int:
        self._check_open()
        rows = [row for versions in self._versions.values() for row in versions if row.wrap.key_arn == key_arn]
        return sum(before_version is None or (row.wrap.key_version or 0) < before_version for row in rows)

    async def list_uploads_of_key(self, key_arn: str, *, after: bytes, limit: int) -> Sequence[KeyedUpload]:
        self._check_open()
        rows = [row for row in self._uploads.values() if row.wrap.key_arn == key_arn and row.upload_id > after]
        found = []
        for row in sorted(rows, key=lambda row: row.upload_id)[:limit]:
            parts = self._parts[row.upload_id].values()
            name = self._buckets[row.bucket_id].name
            found.append(KeyedUpload(name, row, len(parts), sum(part.size for part in parts)))
        return found

    async def count_bucket_keys_of_key(self, key_arn: str) -> Sequence[KeyedBucketKeys]:
        self._check_open()
        counted = Counter(
            (self._buckets[row.bucket_id].name, row.key_version)
            for row in self._bucket_keys.values()
            if row.key_arn == key_arn
        )
        return [KeyedBucketKeys(*where, count) for where, count in sorted(counted.items())]

    async def add_batch_job(self, row: BatchJobRow) -> None:
        self._check_open()
        if row.job_id in self._batch_jobs:
            raise Conflict
        self._batch_jobs[row.job_id] = row

    async def get_batch_job(self, job_id: str) -> BatchJobRow:
        self._check_open()
        if job_id not in self._batch_jobs:
            raise NoSuchJob
        return self._batch_jobs[job_id]

    async def list_batch_jobs(
        self, *, limit: int, kind: str | None = None, states: Sequence[str] | None = None
    ) -> Sequence[BatchJobRow]:
        self._check_open()
        found = [
            row
            for row in self._batch_jobs.values()
            if kind in (None, row.kind) and (states is None or row.state in states)
        ]
        return sorted(found, key=lambda row: (-row.created_us, row.job_id))[:limit]

    async def update_batch_job(self, row: BatchJobRow) -> None:
        self._check_open()
        stored = self._batch_jobs.get(row.job_id)
        if stored is None or stored.revision != row.revision - 1:
            raise Conflict
        self._batch_jobs[row.job_id] = replace(stored, state=row.state, revision=row.revision, sealed=row.sealed)

    async def delete_batch_job(self, job_id: str) -> None:
        self._check_open()
        self._batch_jobs.pop(job_id, None)

    async def take_job(self, name: str, owner: str, *, now_us: int, until_us: int) -> bool:
        self._check_open()
        holder, until = self._jobs.get(name, (None, 0))
        if holder != owner and until > now_us:
            return False
        self._jobs[name] = (owner, until_us)
        return True

    async def finish_job(self, name: str, owner: str, *, due_us: int) -> None:
        self._check_open()
        if self._jobs.get(name, (None, 0))[0] == owner:
            self._jobs[name] = (None, due_us)

    async def job_note(self, name: str) -> bytes | None:
        self._check_open()
        return self._notes.get(name)

    async def note_job(self, name: str, owner: str, note: bytes) -> bool:
        self._check_open()
        if self._jobs.get(name, (None, 0))[0] != owner:
            return False
        self._notes[name] = note
        return True

    async def list_blobs(self, *, after: bytes, limit: int) -> Sequence[BlobRow]:
        self._check_open()
        return [self._blob_row(blob_id) for blob_id in sorted(self._blobs) if blob_id > after][:limit]

    async def get_blob(self, blob_id: bytes) -> BlobRow | None:
        self._check_open()
        return self._blob_row(blob_id) if blob_id in self._blobs else None

    async def count_blobs(self) -> int:
        self._check_open()
        return len(self._blobs)

    async def put_bad_blob(self, bad: BadBlob) -> None:
        self._check_open()
        if bad.blob_id in self._blobs:
            earlier = self._bad_blobs.get(bad.blob_id, bad)
            self._bad_blobs[bad.blob_id] = replace(bad, found_us=earlier.found_us)

    async def list_bad_blobs(self, *, after: bytes, limit: int) -> Sequence[BadBlob]:
        self._check_open()
        return [bad for blob_id, bad in sorted(self._bad_blobs.items()) if blob_id > after][:limit]

    async def forget_bad_blob(self, blob_id: bytes) -> None:
        self._check_open()
        self._bad_blobs.pop(blob_id, None)

    async def self_check(self) -> Sequence[str]:
        self._check_open()
        return []

    async def ping(self) -> None:
        self._check_open()

    async def close(self) -> None:
        self._is_open = False

    def _check_open(self) -> None:
        if not self._is_open:
            raise StorageUnavailable("closed")

    def _require_bucket(self, bucket_id: bytes) -> None:
        if bucket_id not in self._buckets:
            raise NoSuchBucket

    def _require_unchanged(self, bucket: BucketRow) -> None:
        self._check_open()
        self._require_bucket(bucket.bucket_id)
        if self._buckets[bucket.bucket_id].revision != bucket.revision:
            raise Conflict

    def _version(self, bucket_id: bytes, key: bytes, version_id: str | None) -> ObjectRow | None:
        versions = self._versions.get((bucket_id, key), [])
        if version_id is None:
            return versions[-1] if versions else None
        return next((row for row in versions if row.version_id == version_id), None)

    def _ask(self, precondition: Precondition | None, row: ObjectRow) -> None:
        if precondition:
            precondition(self._version(row.bucket_id, row.key, None))

    def _place(self, row: ObjectRow, blobs: Iterable[NewBlob]) -> None:
        for blob in blobs:
            self._blobs[blob.blob_id] = _Blob(blob)
        versions = self._versions.setdefault((row.bucket_id, row.key), [])
        for replaced in [version for version in versions if version.version_id == row.version_id]:
            versions.remove(replaced)
            self._release(_blobs_of(replaced))
        versions.append(row)
        self._note_change(row.bucket_id, row.key)

    def _note_change(self, bucket_id: bytes, key: bytes) -> None:
        self._changed |= {
            each.upload_id for each in self._uploads.values() if (each.bucket_id, each.key) == (bucket_id, key)
        }

    def _release(self, blob_ids: Iterable[bytes]) -> None:
        for blob_id in blob_ids:
            blob = self._blobs[blob_id]
            blob.refs -= 1
            if not blob.refs:
                blob.condemned_us = self._clock_us()

    def _forget_upload(self, upload_id: bytes, keep: frozenset[bytes]) -> None:
        parts = self._parts.pop(upload_id).values()
        self._release(part.blob_id for part in parts if part.blob_id not in keep)
        del self._uploads[upload_id]

    def _blob_row(self, blob_id: bytes) -> BlobRow:
        blob = self._blobs[blob_id]
        return BlobRow(blob_id, blob.new.stored_bytes, blob.new.inline is not None, blob.refs, blob.condemned_us)

    def _condemned(self, before_us: int, *, is_inline: bool) -> list[bytes]:
        found = [
            (blob.condemned_us, blob_id)
            for blob_id, blob in self._blobs.items()
            if (blob.new.inline is not None) == is_inline
            and blob.condemned_us is not None
            and blob.condemned_us < before_us
        ]
        return [blob_id for _, blob_id in sorted(found)]


def _blobs_of(row: ObjectRow) -> tuple[bytes, ...]:
    return row.blob_ids if row.manifest_id is None else (*row.blob_ids, row.manifest_id)


def _page(
    rows: Sequence[tuple[bytes, T]], prefix: bytes, delimiter: bytes, after: bytes, size: int
) -> tuple[list[T], list[bytes], T | bytes | None]:
    """Rows, common prefixes, and the last entry if there is more: every key is looked at, one after the other."""
    entries: dict[bytes | int, T | None] = {}
    for number, (key, row) in enumerate(rows):
        if not key.startswith(prefix):
            continue
        found = key.find(delimiter, len(prefix)) if delimiter else -1
        common = key[: found + len(delimiter)] if found >= 0 else None
        if key <= after or (common is not None and after.startswith(common)):
            continue
        if common is None:
            entries[number] = row
        else:
            entries[common] = None
    shown = list(entries.items())[:size]
    last: T | bytes | None = None
    if len(entries) > size:
        name, row_or_none = shown[-1]
        last = name if isinstance(name, bytes) else row_or_none
    taken = [row for _, row in shown if row is not None]
    return taken, [name for name, _ in shown if isinstance(name, bytes)], last


class MemoryBlobStore:
    """A BlobStore in memory. Commit is the moment in which a blob appears; `clock_ms` gives its time."""

    def __init__(self, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._clock_ms = clock_ms
        self.blobs: dict[bytes, bytes] = {}
        self._committed_ms: dict[bytes, int] = {}

    async def create(self, blob_id: bytes) -> MemoryBlobWriter:
        return MemoryBlobWriter(self, blob_id)

    async def open(self, blob_id: bytes, *, start: int = 0, end: int = 0) -> MemoryBlobReader:
        if blob_id not in self.blobs:
            raise BlobMissing
        return MemoryBlobReader(self.blobs[blob_id])

    async def delete(self, blob_id: bytes) -> None:
        self.blobs.pop(blob_id, None)

    async def scan(self, *, before_ms: int) -> AsyncIterator[bytes]:
        for blob_id in sorted(self.blobs):
            if int.from_bytes(blob_id[:6]) < before_ms and self._committed_ms[blob_id] < before_ms:
                yield blob_id

    async def discard_unfinished(self, *, before_ms: int) -> int:
        return 0

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        return

    def commit(self, blob_id: bytes, data: bytes) -> None:
        self.blobs[blob_id] = data
        self._committed_ms[blob_id] = self._clock_ms()


class MemoryBlobWriter:
    def __init__(self, store: MemoryBlobStore, blob_id: bytes) -> None:
        self._store = store
        self._blob_id = blob_id
        self._data = bytearray()
        self._ended = False

    async def write(self, data: Buffer) -> None:
        assert not self._ended
        self._data += data

    async def commit(self) -> int:
        assert not self._ended
        self._ended = True
        self._store.commit(self._blob_id, bytes(self._data))
        return len(self._data)

    async def abort(self) -> None:
        self._ended = True


class MemoryBlobReader:
    waits = False

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stored_bytes(self) -> int:
        return len(self._data)

    async def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    async def distrust(self) -> bool:
        return False

    async def close(self) -> None:
        return
