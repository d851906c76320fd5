"""What every index must do. A test class inherits from IndexSuite and offers the fixtures `index` and `clock`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from gateway.protocol.modes import Mode, Wrap
from gateway.protocol.version_ids import format_version_id
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
from gateway.storage.index.checked_times import STEP_US, checked_time
from gateway.storage.index.interface import Index
from gateway.storage.index.pages import VersionPage
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
    KeyedUpload,
    KeyEpochRow,
    NewBlob,
    ObjectRow,
    PartRow,
    RowKind,
    UploadRow,
    VersionEntry,
)
from tests.told import keys_of, told_of

NOW_US = checked_time(1_790_000_000_000_000)
EVER_US = 2**62
WRAP = Wrap(Mode.SSE_KMS, b"wrapped", "arn:aws:kms:eu-central-1:123456789012:key/1", 3)


class Clock:
    """Microseconds that stand still until moved."""

    def __init__(self) -> None:
        self.now_us = NOW_US

    def __call__(self) -> int:
        return self.now_us


def new_id(now_us: int = NOW_US) -> bytes:
    return (now_us // 1000).to_bytes(6) + os.urandom(10)


def bucket_row(name: str = "photos", **changes: object) -> BucketRow:
    row = BucketRow(new_id(), "123456789012", name, "eu-central-1", NOW_US, 1, b"sealed bucket")
    return replace(row, **changes)  # type: ignore[arg-type]


def object_row(bucket_id: bytes, key: bytes = b"key", **changes: object) -> ObjectRow:
    row = ObjectRow(
        bucket_id=bucket_id,
        key=key,
        row_uid=new_id(),
        version_id="null",
        kind=RowKind.OBJECT,
        size=5,
        modified_us=NOW_US,
        wrap=WRAP,
        blob_ids=(new_id(),),
        manifest_id=None,
        part_count=0,
        revision=1,
        sealed=b"sealed row",
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def upload_row(bucket_id: bytes, key: bytes = b"key", **changes: object) -> UploadRow:
    row = UploadRow(new_id(), bucket_id, key, new_id(), NOW_US, WRAP, 1, b"sealed upload")
    return replace(row, **changes)  # type: ignore[arg-type]


def part_row(upload_id: bytes, part_number: int) -> PartRow:
    return PartRow(upload_id, part_number, new_id(), 5 << 20, NOW_US, 1, b"sealed part")


async def put(index: Index, row: ObjectRow, *, inline: bytes | None = None) -> ObjectRow:
    """Put a row with all its blobs new."""
    blob_ids = row.blob_ids if row.manifest_id is None else (*row.blob_ids, row.manifest_id)
    stored_bytes = 5 if inline is None else len(inline)
    await index.put_object(row, [NewBlob(blob_id, stored_bytes, inline) for blob_id in blob_ids])
    return row


def next_revision(row: ObjectRow) -> ObjectRow:
    return replace(row, revision=row.revision + 1, sealed=b"revision %d" % (row.revision + 1))


async def put_parts(index: Index, upload: UploadRow, numbers: range) -> list[PartRow]:
    parts = [part_row(upload.upload_id, number) for number in numbers]
    for part in parts:
        await index.put_part(part, NewBlob(part.blob_id, part.size))
    return parts


def completed(upload: UploadRow, parts: list[PartRow]) -> ObjectRow:
    return object_row(
        upload.bucket_id,
        upload.key,
        row_uid=upload.row_uid,
        blob_ids=tuple(part.blob_id for part in parts),
        manifest_id=new_id(),
        part_count=len(parts),
        sealed_parts=b"sealed part table",
    )


def renamed(row: ObjectRow, key: bytes) -> ObjectRow:
    return replace(row, key=key, revision=row.revision + 1, manifest_id=new_id())


def rewrapped(row: ObjectRow) -> ObjectRow:
    wrap = Wrap(Mode.SSE_KMS, new_id(), "arn:aws:kms:eu-central-1:123456789012:key/2", 7)
    return replace(row, wrap=wrap, revision=row.revision + 1, manifest_id=new_id(), sealed=new_id())


def version_row(bucket_id: bytes, number: int, key: bytes = b"key", **changes: object) -> ObjectRow:
    """A version with an id of its own, made `number` microseconds after NOW_US."""
    modified_us = NOW_US + number
    version_id = format_version_id(modified_us, new_id())
    return object_row(bucket_id, key, version_id=version_id, modified_us=modified_us, **changes)


async def many_versions(index: Index, bucket_id: bytes) -> None:
    """Keys with one version and with several, null ones and markers among them, not in the order of listings."""
    for number, key in enumerate((b"c", b"a", b"b/1", b"b/2", b"a", b"b/1", b"a", b"b/1")):
        await put(index, version_row(bucket_id, number, key))
    await put(index, object_row(bucket_id, b"a", modified_us=NOW_US + 20))
    for number, key in ((30, b"b/1"), (31, b"c")):
        marker = version_row(bucket_id, number, key, kind=RowKind.DELETE_MARKER, blob_ids=())
        await index.delete_object(bucket_id, Deletion(key, marker=marker))
    await put(index, version_row(bucket_id, 40, b"c"))


async def all_versions(index: Index, bucket_id: bytes, *, prefix: bytes = b"", delimiter: bytes = b"") -> VersionPage:
    whole = await index.list_versions(
        bucket_id, prefix=prefix, delimiter=delimiter, after=None, max_keys=1000, whole=True
    )
    told = await index.list_versions(bucket_id, prefix=prefix, delimiter=delimiter, after=None, max_keys=1000)
    assert told == replace(whole, rows=None)
    return whole


async def condemned(index: Index, before_us: int = EVER_US) -> list[bytes]:
    return list(await index.condemned_blobs(before_us=before_us, limit=1000))


class Refused(Exception):
    pass


def refuse(row: ObjectRow | None) -> None:
    raise Refused


def expect(row: ObjectRow | None) -> Callable[[ObjectRow | None], None]:
    def check(current: ObjectRow | None) -> None:
        assert current == row

    return check


def refuse_completing(row: ObjectRow | None, is_changed: bool) -> None:
    raise Refused


def expect_completing(row: ObjectRow | None) -> Callable[[ObjectRow | None, bool], None]:
    check = expect(row)
    return lambda current, _: check(current)


class IndexSuite:
    MANY_PARTS = 10_000
    """What S3 allows; fewer where putting them takes too long for a test."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    async def bucket(self, index: Index) -> BucketRow:
        row = bucket_row()
        await index.create_bucket(row)
        return row

    @pytest.fixture
    def bucket_id(self, bucket: BucketRow) -> bytes:
        return bucket.bucket_id

    # Buckets

    async def test_bucket_is_found_by_its_name(self, index: Index) -> None:
        row = bucket_row()
        await index.create_bucket(row)
        assert await index.get_bucket("photos") == row
        with pytest.raises(NoSuchBucket):
            await index.get_bucket("photo")

    async def test_a_bucket_comes_with_the_newest_version_of_a_key(self, index: Index, bucket: BucketRow) -> None:
        other = bucket_row("other-bucket")
        await index.create_bucket(other)
        await put(index, object_row(other.bucket_id, b"k"))
        assert await index.get_bucket_and_object(bucket.name, b"k") == (bucket, None, None)
        versions = [version_row(bucket.bucket_id, number, b"k") for number in range(3)]
        marker = version_row(bucket.bucket_id, 3, b"k", kind=RowKind.DELETE_MARKER)
        for row in (*versions, marker):
            await put(index, row)
            assert await index.get_bucket_and_object(bucket.name, b"k") == (bucket, row, None)
        parts = object_row(bucket.bucket_id, b"parts", blob_ids=(new_id(), new_id()), sealed_parts=b"table")
        await put(index, parts)
        assert await index.get_bucket_and_object(bucket.name, b"parts") == (bucket, parts, None)
        assert await index.get_bucket_and_object(bucket.name, b"K") == (bucket, None, None)
        with pytest.raises(NoSuchBucket):
            await index.get_bucket_and_object("no-such", b"k")

    async def test_bucket_name_is_taken_across_accounts(self, index: Index) -> None:
        await index.create_bucket(bucket_row())
        with pytest.raises(BucketExists) as caught:
            await index.create_bucket(bucket_row(account_id="210987654321"))
        assert caught.value.account_id == "123456789012"

    async def test_an_account_has_so_many_buckets(self, index: Index) -> None:
        for name in ("b-1", "b-2"):
            await index.create_bucket(bucket_row(name), most=2)
        with pytest.raises(BucketExists):
            await index.create_bucket(bucket_row("b-1"), most=2)
        with pytest.raises(TooManyBuckets):
            await index.create_bucket(bucket_row("b-3"), most=2)
        with pytest.raises(NoSuchBucket):
            await index.get_bucket("b-3")
        await index.create_bucket(bucket_row("b-4", account_id="210987654321"), most=2)
        await index.create_bucket(bucket_row("b-3"))

    async def test_buckets_are_listed_by_account_prefix_and_page(self, index: Index) -> None:
        for name in ("b-2", "a-1", "b-1", "b-3", "c-1"):
            await index.create_bucket(bucket_row(name))
        await index.create_bucket(bucket_row("b-9", account_id="210987654321"))

        async def names(prefix: str, after: str, limit: int) -> list[str]:
            rows = await index.list_buckets("123456789012", prefix=prefix, after=after, limit=limit)
            return [row.name for row in rows]

        assert await names("", "", 10) == ["a-1", "b-1", "b-2", "b-3", "c-1"]
        assert await names("b-", "", 2) == ["b-1", "b-2"]
        assert await names("b-", "b-2", 2) == ["b-3"]
        assert await names("", "b-3", 10) == ["c-1"]
        assert await names("d", "", 10) == []

    async def test_buckets_of_all_accounts_are_listed_by_page(self, index: Index) -> None:
        rows = [bucket_row(name, account_id=account) for name, account in (("b", "1" * 12), ("c", "2" * 12), ("a", ""))]
        for row in rows:
            await index.create_bucket(row)
        assert await index.all_buckets(after="", limit=2) == [rows[2], rows[0]]
        assert await index.all_buckets(after="b", limit=2) == [rows[1]]
        assert await index.all_buckets(after="c", limit=2) == []

    async def test_update_bucket_needs_the_revision_before(self, index: Index) -> None:
        row = bucket_row()
        await index.create_bucket(row)
        changed = replace(row, revision=2, sealed=b"other")
        await index.update_bucket(changed)
        assert await index.get_bucket(row.name) == changed
        for revision in (1, 2, 4):
            with pytest.raises(Conflict):
                await index.update_bucket(replace(row, revision=revision, sealed=b"stale"))
        with pytest.raises(Conflict):
            await index.update_bucket(bucket_row("unknown", revision=2))
        assert await index.get_bucket(row.name) == changed

    async def test_change_object_changes_what_is_sealed_and_nothing_else(self, index: Index, bucket_id: bytes) -> None:
        row = await put(index, object_row(bucket_id, sealed_parts=b"parts"))
        other = await put(index, object_row(bucket_id, b"other"))
        expected = replace(row, revision=2, sealed=b"newer", sealed_parts=b"newer parts")
        made = replace(expected, size=99, wrap=Wrap(Mode.SSE_S3, b""), blob_ids=(new_id(),))
        seen: list[ObjectRow] = []
        assert await index.change_object(bucket_id, b"key", None, lambda stored: seen.append(stored) or made) == made
        assert seen == [row]
        assert await index.get_object(bucket_id, b"key") == expected
        assert await index.get_object(bucket_id, b"other") == other
        page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)
        assert page.told.rows == told_of((replace(expected, sealed_parts=None), other))
        assert await condemned(index) == []

    async def test_change_object_reaches_every_version(self, index: Index, bucket_id: bytes) -> None:
        versions = [await put(index, version_row(bucket_id, number)) for number in range(3)]
        marker = version_row(bucket_id, 9, kind=RowKind.DELETE_MARKER, blob_ids=())
        await index.delete_object(bucket_id, Deletion(b"key", marker=marker))
        before = await all_versions(index, bucket_id)
        for row in versions:
            assert await index.change_object(bucket_id, b"key", row.version_id, next_revision) == next_revision(row)
            assert await index.get_object(bucket_id, b"key", row.version_id) == next_revision(row)
        assert await index.change_object(bucket_id, b"key", None, next_revision) == next_revision(marker)
        after = await all_versions(index, bucket_id)
        assert after.entries == tuple(VersionEntry(next_revision(old.row), old.is_latest) for old in before.entries)

    async def test_change_object_of_what_is_not_there(self, index: Index, bucket_id: bytes) -> None:
        await put(index, object_row(bucket_id))
        with pytest.raises(NoSuchKey):
            await index.change_object(bucket_id, b"absent", None, next_revision)
        with pytest.raises(NoSuchKey):
            await index.change_object(new_id(), b"key", None, next_revision)
        with pytest.raises(NoSuchVersion):
            await index.change_object(bucket_id, b"key", version_row(bucket_id, 1).version_id, next_revision)
        with pytest.raises(NoSuchVersion):
            await index.change_object(bucket_id, b"absent", "null", next_revision)

    async def test_a_change_that_is_refused_changes_nothing(self, index: Index, bucket_id: bytes) -> None:
        row = await put(index, object_row(bucket_id))

        def refused(_row: ObjectRow) -> ObjectRow:
            raise Refused

        with pytest.raises(Refused):
            await index.change_object(bucket_id, b"key", None, refused)
        assert await index.get_object(bucket_id, b"key") == row

    async def test_changes_that_meet_come_one_after_the_other(self, index: Index, bucket_id: bytes) -> None:
        await put(index, object_row(bucket_id))
        changes = [index.change_object(bucket_id, b"key", None, next_revision) for _ in range(20)]
        made = await asyncio.gather(*changes)
        assert sorted(row.revision for row in made) == list(range(2, 22))
        assert (await index.get_object(bucket_id, b"key")).revision == 21

    async def test_delete_bucket_refuses_while_objects_exist(self, index: Index, bucket_id: bytes) -> None:
        await put(index, object_row(bucket_id))
        with pytest.raises(BucketNotEmpty):
            await index.delete_bucket(bucket_id)
        await index.delete_object(bucket_id, Deletion(b"key"))
        await index.delete_bucket(bucket_id)
        with pytest.raises(NoSuchBucket):
            await index.get_bucket("photos")
        with pytest.raises(NoSuchBucket):
            await index.delete_bucket(bucket_id)

    async def test_delete_bucket_aborts_uploads(self, index: Index, bucket_id: bytes) -> None:
        upload = upload_row(bucket_id)
        await index.create_upload(upload)
        parts = await put_parts(index, upload, range(1, 4))
        await index.delete_bucket(bucket_id)
        assert sorted(await condemned(index)) == sorted(part.blob_id for part in parts)
        with pytest.raises(NoSuchUpload):
            await index.get_upload(bucket_id, b"key", upload.upload_id)
        assert await index.list_parts(upload.upload_id, after=0, limit=10) == []

    async def test_nothing_can_be_put_into_a_bucket_that_is_gone(self, index: Index) -> None:
        gone = new_id()
        with pytest.raises(NoSuchBucket):
            await put(index, object_row(gone))
        with pytest.raises(NoSuchBucket):
            await index.create_upload(upload_row(gone))

    # Objects

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"wrap": Wrap(Mode.SSE_S3, b"")},
            {"key": b"\x00\xff\xfe key", "sealed": b""},
            {"size": 2**40, "modified_us": 2**52, "revision": 2**40},
            {"blob_ids": (), "size": 0},
            {"blob_ids": (new_id(), new_id()), "manifest_id": new_id(), "part_count": 2, "sealed_parts": b"table"},
            {"manifest_id": new_id(), "part_count": 1, "sealed_parts": b""},
        ],
        ids=["kms", "s3", "odd-key", "large", "no-blob", "two-parts", "one-part"],
    )
    async def test_object_comes_back_as_it_was_put(
        self, index: Index, bucket_id: bytes, changes: dict[str, object]
    ) -> None:
        row = await put(index, object_row(bucket_id, **changes))  # type: ignore[arg-type]
        assert await index.get_object(bucket_id, row.key) == row
        page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=1)
        assert page.told.rows == told_of((replace(row, sealed_parts=None),))
        assert page.next_after is None
        assert await index.delete_object(bucket_id, Deletion(row.key)) == row

    async def test_missing_object_is_no_such_key(self, index: Index, bucket_id: bytes) -> None:
        await put(index, object_row(bucket_id, b"key"))
        for bucket, key in ((bucket_id, b"ke"), (bucket_id, b"key\0"), (bucket_id, b"KEY"), (new_id(), b"key")):
            with pytest.raises(NoSuchKey):
                await index.get_object(bucket, key)

    async def test_overwrite_replaces_row_and_condemns_blobs(self, index: Index, bucket_id: bytes) -> None:
        old = await put(
            index,
            object_row(bucket_id, blob_ids=(new_id(), new_id()), manifest_id=new_id(), sealed_parts=b"t", part_count=2),
        )
        new = await put(index, object_row(bucket_id, revision=2))
        assert await index.get_object(bucket_id, b"key") == new
        assert sorted(await condemned(index)) == sorted([*old.blob_ids, old.manifest_id or b""])
        assert await index.known_blobs([*old.blob_ids, *new.blob_ids, new_id()]) == {*old.blob_ids, *new.blob_ids}

    async def test_held_blobs_are_no_garbage(self, index: Index, bucket_id: bytes) -> None:
        row = await put(index, object_row(bucket_id))
        held = [NewBlob(new_id(), 7), NewBlob(new_id(), 8), NewBlob(row.blob_ids[0], 5)]
        await index.hold_blobs(held)
        await index.hold_blobs([*held, NewBlob(new_id(), 1)])
        await index.hold_blobs([])
        ids = [blob.blob_id for blob in held]
        assert await index.known_blobs(ids) == set(ids)
        await index.delete_object(bucket_id, Deletion(b"key"))
        assert await condemned(index) == list(row.blob_ids)
        await index.forget_blobs(ids)
        assert await index.known_blobs(ids) == set(ids[:2])

    async def test_same_row_uid_can_be_written_again(self, index: Index, bucket_id: bytes) -> None:
        row = await put(index, object_row(bucket_id, sealed_parts=b"1", manifest_id=new_id(), part_count=1))
        changed = replace(row, revision=2, sealed=b"other", sealed_parts=b"2")
        await index.put_object(changed, [])
        assert await index.get_object(bucket_id, b"key") == changed
        assert await condemned(index) == []

    async def test_overwrite_with_an_older_time_wins(self, index: Index, bucket_id: bytes) -> None:
        await put(index, object_row(bucket_id))
        late = await put(index, object_row(bucket_id, modified_us=NOW_US - 10**9))
        assert await index.get_object(bucket_id, b"key") == late

    async def test_precondition_sees_the_current_version(self, index: Index, bucket_id: bytes) -> None:
        row = object_row(bucket_id)
        await index.put_object(row, [NewBlob(row.blob_ids[0], 5)], expect(None))
        other = object_row(bucket_id, revision=2)
        await index.put_object(other, [NewBlob(other.blob_ids[0], 5)], expect(row))
        assert await index.delete_object(bucket_id, Deletion(b"key"), expect(other)) == other
        assert await index.delete_object(bucket_id, Deletion(b"key"), expect(None)) is None

    async def test_refused_precondition_changes_nothing(self, index: Index, bucket_id: bytes) -> None:
        row = await put(index, object_row(bucket_id))
        other = object_row(bucket_id)
        with pytest.raises(Refused):
            await index.put_object(other, [NewBlob(other.blob_ids[0], 5, b"inline")], refuse)
        with pytest.raises(Refused):
            await index.delete_object(bucket_id, Deletion(b"key"), refuse)
        assert await index.get_object(bucket_id, b"key") == row
        assert await condemned(index) == []
        assert await index.known_blobs(other.blob_ids) == frozenset()

    async def test_of_racing_conditional_creations_one_wins(self, index: Index, bucket_id: bytes) -> None:
        def if_none_match(current: ObjectRow | None) -> None:
            if current is not None:
                raise Refused

        rows = [object_row(bucket_id) for _ in range(20)]
        results = await asyncio.gather(
            *(index.put_object(row, [NewBlob(row.blob_ids[0], 5)], if_none_match) for row in rows),
            return_exceptions=True,
        )
        winners = [row for row, result in zip(rows, results, strict=True) if result is None]
        assert len(winners) == 1
        assert sum(isinstance(result, Refused) for result in results) == 19
        assert await index.get_object(bucket_id, b"key") == winners[0]
        assert await index.known_blobs([row.blob_ids[0] for row in rows]) == set(winners[0].blob_ids)

    async def test_shared_blobs_live_until_the_last_row_is_gone(self, index: Index, bucket_id: bytes) -> None:
        row = await put(index, object_row(bucket_id, b"a", manifest_id=new_id()))
        copy = replace(row, key=b"b", row_uid=new_id())
        await index.put_object(copy, [])
        await index.delete_object(bucket_id, Deletion(b"a"))
        assert await condemned(index) == []
        await index.delete_object(bucket_id, Deletion(b"b"))
        assert sorted(await condemned(index)) == sorted([*row.blob_ids, row.manifest_id or b""])

    async def test_copy_onto_itself_keeps_the_blobs(self, index: Index, bucket_id: bytes) -> None:
        row = await put(index, object_row(bucket_id))
        await index.put_object(replace(row, row_uid=new_id(), sealed=b"new metadata"), [])
        assert await condemned(index) == []
        await index.delete_object(bucket_id, Deletion(b"key"))
        assert await condemned(index) == list(row.blob_ids)

    async def test_sharing_a_condemned_or_unknown_blob_is_a_conflict(self, index: Index, bucket_id: bytes) -> None:
        live = await put(index, object_row(bucket_id, b"live"))
        row = await put(index, object_row(bucket_id, b"a"))
        await index.delete_object(bucket_id, Deletion(b"a"))
        for blob_id in (row.blob_ids[0], new_id()):
            copy = object_row(bucket_id, b"b", blob_ids=(*live.blob_ids, blob_id))
            with pytest.raises(Conflict):
                await index.put_object(copy, [])
        with pytest.raises(NoSuchKey):
            await index.get_object(bucket_id, b"b")
        await index.delete_object(bucket_id, Deletion(b"live"))
        assert set(await condemned(index)) == {*row.blob_ids, *live.blob_ids}

    async def test_delete_objects_removes_many_and_minds_none_missing(self, index: Index, bucket_id: bytes) -> None:
        rows = [await put(index, object_row(bucket_id, b"k%d" % i)) for i in range(5)]
        gone = await index.delete_objects(bucket_id, [Deletion(key) for key in (b"k0", b"missing", b"k3", b"k0")])
        assert gone == [rows[0], None, rows[3], None]
        page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)
        assert keys_of(page) == [b"k1", b"k2", b"k4"]
        assert set(await condemned(index)) == {*rows[0].blob_ids, *rows[3].blob_ids}

    async def test_buckets_do_not_see_each_others_keys(self, index: Index, bucket_id: bytes) -> None:
        other = bucket_row("other")
        await index.create_bucket(other)
        await put(index, object_row(bucket_id, b"mine"))
        theirs = await put(index, object_row(other.bucket_id, b"theirs"))
        await index.delete_object(other.bucket_id, Deletion(b"mine"))
        page = await index.list_objects(other.bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)
        assert page.told.rows == told_of((theirs,))
        assert (await index.get_object(bucket_id, b"mine")).key == b"mine"

    # Expiry

    async def test_what_is_as_it_was_seen_expires(self, index: Index, bucket: BucketRow) -> None:
        bucket_id = bucket.bucket_id
        old, current = [await put(index, version_row(bucket_id, number)) for number in (1, 2)]
        plain = await put(index, object_row(bucket_id, b"plain"))
        first, second = [await put(index, version_row(bucket_id, number, b"marked")) for number in (3, 4)]
        marker = version_row(bucket_id, 9, b"marked", kind=RowKind.DELETE_MARKER, blob_ids=())
        expiries = [
            Expiry(old, current.row_uid, 1),
            Expiry(plain),
            Expiry(first, second.row_uid, 1),
            Expiry(second, marker=marker),
        ]
        assert await index.expire_versions(bucket, expiries) == [True, True, True, True]
        left = await all_versions(index, bucket_id)
        assert [(each.row.row_uid, each.is_latest) for each in left.entries] == [
            (current.row_uid, True),
            (marker.row_uid, True),
            (second.row_uid, False),
        ]
        gone = (old, plain, first)
        assert set(await condemned(index)) == {blob_id for row in gone for blob_id in row.blob_ids}
        assert await index.expire_versions(bucket, expiries) == [False] * 4

    async def test_versions_of_one_key_expire_together_from_the_oldest_on(
        self, index: Index, bucket: BucketRow
    ) -> None:
        rows = [await put(index, version_row(bucket.bucket_id, number)) for number in range(4)]
        expiries = [Expiry(rows[n], rows[n + 1].row_uid, 2) for n in (0, 1, 2)]
        assert await index.expire_versions(bucket, expiries) == [True, True, False]
        left = await all_versions(index, bucket.bucket_id)
        assert [each.row.row_uid for each in left.entries] == [rows[3].row_uid, rows[2].row_uid]

    @pytest.mark.parametrize(
        "change", ["replaced", "revised", "newer", "newer gone", "successor gone", "older", "another of its id", "gone"]
    )
    async def test_what_is_not_as_it_was_seen_stays(self, index: Index, bucket: BucketRow, change: str) -> None:
        bucket_id = bucket.bucket_id
        rows = [await put(index, version_row(bucket_id, number)) for number in (1, 2, 3)]
        alone = await put(index, object_row(bucket_id, b"alone"))
        if change == "replaced":
            expiry = Expiry(alone)
            await put(index, object_row(bucket_id, b"alone"))
        elif change == "revised":
            expiry = Expiry(alone)
            await index.change_object(bucket_id, b"alone", None, next_revision)
        elif change == "newer":
            expiry = Expiry(rows[2])
            await put(index, version_row(bucket_id, 4))
        elif change == "newer gone":
            expiry = Expiry(rows[0], rows[1].row_uid, 2)
            await index.delete_object(bucket_id, Deletion(b"key", rows[2].version_id))
        elif change == "successor gone":
            expiry = Expiry(rows[0], rows[1].row_uid, 1)
            await index.delete_object(bucket_id, Deletion(b"key", rows[1].version_id))
        elif change == "older":
            expiry = Expiry(rows[2], is_only=True)
        elif change == "another of its id":
            expiry = Expiry(replace(alone, row_uid=new_id()))
        else:
            expiry = Expiry(alone)
            await index.delete_object(bucket_id, Deletion(b"alone"))
        before = await all_versions(index, bucket_id)
        assert await index.expire_versions(bucket, [expiry]) == [False]
        marker = version_row(bucket_id, 9, expiry.row.key, kind=RowKind.DELETE_MARKER, blob_ids=())
        assert await index.expire_versions(bucket, [replace(expiry, marker=marker)]) == [False]
        assert await all_versions(index, bucket_id) == before

    async def test_the_only_version_expires_as_such(self, index: Index, bucket: BucketRow) -> None:
        marker = version_row(bucket.bucket_id, 9, kind=RowKind.DELETE_MARKER, blob_ids=())
        await index.delete_object(bucket.bucket_id, Deletion(b"key", marker=marker))
        assert await index.expire_versions(bucket, [Expiry(marker, is_only=True)]) == [True]
        assert (await all_versions(index, bucket.bucket_id)).entries == ()

    async def test_uploads_expire(self, index: Index, bucket: BucketRow) -> None:
        uploads = [upload_row(bucket.bucket_id, key) for key in (b"a", b"b", b"c")]
        for upload in uploads:
            await index.create_upload(upload)
        parts = await put_parts(index, uploads[0], range(1, 3))
        await index.abort_upload(bucket.bucket_id, b"b", uploads[1].upload_id)
        assert await index.expire_uploads(bucket, uploads[1::-1]) == [False, True]
        assert set(await condemned(index)) == {part.blob_id for part in parts}
        page = await index.list_uploads(bucket.bucket_id, prefix=b"", delimiter=b"", after=None, max_uploads=9)
        assert page.uploads == (uploads[2],)

    async def test_nothing_expires_by_what_a_bucket_said_before(self, index: Index, bucket: BucketRow) -> None:
        row = await put(index, object_row(bucket.bucket_id))
        upload = upload_row(bucket.bucket_id)
        await index.create_upload(upload)
        await index.update_bucket(replace(bucket, revision=bucket.revision + 1, sealed=b"another"))
        with pytest.raises(Conflict):
            await index.expire_versions(bucket, [Expiry(row)])
        with pytest.raises(Conflict):
            await index.expire_uploads(bucket, [upload])
        assert (await index.get_object(bucket.bucket_id, b"key")).row_uid == row.row_uid
        assert await index.get_upload(bucket.bucket_id, b"key", upload.upload_id) == upload
        another = bucket_row("gone")
        with pytest.raises(NoSuchBucket):
            await index.expire_versions(another, [])
        with pytest.raises(NoSuchBucket):
            await index.expire_uploads(another, [])

    # Renaming

    async def test_a_renamed_object_has_its_new_name_alone_and_its_blobs(self, index: Index, bucket_id: bytes) -> None:
        old = await put(index, object_row(bucket_id))
        other = await put(index, object_row(bucket_id, b"other"))
        row = renamed(old, b"new name")
        await index.rename_object(old, row, NewBlob(row.manifest_id or b"", 6, b"inline"), expect(None))
        assert await index.get_object(bucket_id, b"new name") == row
        with pytest.raises(NoSuchKey):
            await index.get_object(bucket_id, b"key")
        page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)
        assert page.told.rows == told_of((row, other))
        assert await condemned(index) == []
        await index.delete_object(bucket_id, Deletion(b"new name"))
        assert await condemned(index) == list(old.blob_ids)

    async def test_renaming_replaces_what_has_the_name(self, index: Index, bucket_id: bytes) -> None:
        upload = upload_row(bucket_id)
        await index.create_upload(upload)
        parts = await put_parts(index, upload, range(1, 4))
        old = completed(upload, parts)
        await index.complete_upload(upload.upload_id, old, NewBlob(old.manifest_id or b"", 9))
        replaced = await put(index, object_row(bucket_id, b"taken"))
        row = renamed(old, b"taken")
        await index.rename_object(old, row, NewBlob(row.manifest_id or b"", 9), expect(replaced))
        assert await index.get_object(bucket_id, b"taken") == row
        assert set(await condemned(index)) == {*replaced.blob_ids, old.manifest_id}
        back = renamed(row, b"key")
        await index.rename_object(row, back, NewBlob(back.manifest_id or b"", 9))
        assert await index.get_object(bucket_id, b"key") == back

    async def test_an_object_that_changed_is_not_renamed(self, index: Index, bucket_id: bytes) -> None:
        old = await put(index, object_row(bucket_id))
        row = renamed(old, b"new")
        manifest = NewBlob(row.manifest_id or b"", 9)
        changed = await index.change_object(bucket_id, b"key", None, lambda stored: replace(stored, revision=7))
        with pytest.raises(Conflict):
            await index.rename_object(old, row, manifest)
        assert await index.get_object(bucket_id, b"key") == changed
        await index.delete_object(bucket_id, Deletion(b"key"))
        with pytest.raises(Conflict):
            await index.rename_object(changed, row, manifest)
        with pytest.raises(NoSuchKey):
            await index.get_object(bucket_id, b"new")
        assert await index.known_blobs([manifest.blob_id]) == frozenset()

    async def test_a_rewrapped_object_is_the_same_version(self, index: Index, bucket_id: bytes) -> None:
        older = await put(index, object_row(bucket_id, version_id="v1"))
        newer = await put(index, object_row(bucket_id, version_id="v2"))
        for old in (older, newer):
            row = rewrapped(old)
            await index.rewrap_object(old, row, [NewBlob(row.manifest_id or b"", 9)])
            assert await index.get_object(bucket_id, b"key", old.version_id) == row
            again = rewrapped(row)
            await index.rewrap_object(row, again, [NewBlob(again.manifest_id or b"", 9)])
            assert await index.get_object(bucket_id, b"key", old.version_id) == again
            assert await condemned(index) == [row.manifest_id]
            await index.forget_blobs([row.manifest_id or b""])
        current = await index.get_object(bucket_id, b"key")
        assert current is not None
        assert current.version_id == "v2"

    async def test_an_object_with_other_blobs_is_the_same_version(self, index: Index, bucket_id: bytes) -> None:
        single = object_row(bucket_id, b"single", manifest_id=new_id())
        table = b"table"
        parts = object_row(bucket_id, b"parts", blob_ids=(new_id(), new_id()), sealed_parts=table, manifest_id=new_id())
        for old in (single, parts):
            manifest = old.manifest_id or b""
            await index.put_object(old, [NewBlob(blob_id, 10) for blob_id in (*old.blob_ids, manifest)])
        kept = parts.blob_ids[1]
        changed = [
            replace(rewrapped(single), blob_ids=(new_id(),), manifest_id=None),
            replace(rewrapped(parts), blob_ids=(new_id(), kept), manifest_id=new_id(), sealed_parts=b"another"),
        ]
        for old, row in zip((single, parts), changed, strict=True):
            fresh = [blob_id for blob_id in (*row.blob_ids, row.manifest_id) if blob_id and blob_id != kept]
            await index.rewrap_object(old, row, [NewBlob(blob_id, 10) for blob_id in fresh])
            assert await index.get_object(bucket_id, row.key) == row
        gone = {*single.blob_ids, single.manifest_id, parts.blob_ids[0], parts.manifest_id}
        assert set(await index.condemned_blobs(before_us=EVER_US, limit=9)) == gone

    async def test_an_object_that_changed_is_not_rewrapped(self, index: Index, bucket_id: bytes) -> None:
        old = await put(index, object_row(bucket_id))
        row = rewrapped(old)
        manifest = NewBlob(row.manifest_id or b"", 9)
        changed = await index.change_object(bucket_id, b"key", None, lambda stored: replace(stored, revision=7))
        with pytest.raises(Conflict):
            await index.rewrap_object(old, row, [manifest])
        assert await index.get_object(bucket_id, b"key") == changed
        await index.delete_object(bucket_id, Deletion(b"key"))
        with pytest.raises(Conflict):
            await index.rewrap_object(changed, row, [manifest])
        assert await index.known_blobs([manifest.blob_id]) == frozenset()

    async def test_a_refused_renaming_changes_nothing(self, index: Index, bucket_id: bytes) -> None:
        old = await put(index, object_row(bucket_id))
        row = renamed(old, b"new")
        token = ClientToken("token", b"r" * 32)
        with pytest.raises(Refused):
            await index.rename_object(old, row, NewBlob(row.manifest_id or b"", 9), refuse, token)
        assert await index.get_object(bucket_id, b"key") == old
        assert await index.request_of_token(bucket_id, "token") is None
        assert await condemned(index) == []

    async def test_a_client_token_counts_once_and_for_a_day(self, index: Index, bucket_id: bytes, clock: Clock) -> None:
        async def rename(row: ObjectRow, key: bytes, request: bytes) -> ObjectRow:
            new = renamed(row, key)
            await index.rename_object(row, new, NewBlob(new.manifest_id or b"", 9), None, ClientToken("t", request))
            return new

        row = await rename(await put(index, object_row(bucket_id)), b"a", b"first")
        assert await index.request_of_token(bucket_id, "t") == b"first"
        assert await index.request_of_token(new_id(), "t") is None
        with pytest.raises(Conflict):
            await rename(row, b"b", b"second")
        assert await index.get_object(bucket_id, b"a") == row
        clock.now_us += 24 * 3600 * 1_000_000
        assert await index.request_of_token(bucket_id, "t") is None
        await rename(row, b"b", b"second")
        assert await index.request_of_token(bucket_id, "t") == b"second"

    # Versions

    async def test_versions_with_other_ids_stay_as_history(self, index: Index, bucket_id: bytes) -> None:
        rows = [await put(index, object_row(bucket_id, version_id=f"v{i}")) for i in range(3)]
        page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)
        assert page.told.rows == told_of((rows[2],))
        assert await condemned(index) == []
        for row in reversed(rows):
            assert await index.get_object(bucket_id, b"key") == row
            assert await index.delete_object(bucket_id, Deletion(b"key")) == row
        with pytest.raises(NoSuchKey):
            await index.get_object(bucket_id, b"key")
        assert set(await condemned(index)) == {row.blob_ids[0] for row in rows}

    async def test_older_version_of_the_same_id_is_replaced(self, index: Index, bucket_id: bytes) -> None:
        null = await put(index, object_row(bucket_id))
        other = await put(index, object_row(bucket_id, version_id="v1"))
        newer = await put(index, object_row(bucket_id))
        assert await condemned(index) == list(null.blob_ids)
        assert await index.delete_object(bucket_id, Deletion(b"key")) == newer
        assert await index.delete_object(bucket_id, Deletion(b"key")) == other
        assert await index.delete_object(bucket_id, Deletion(b"key")) is None

    async def test_delete_marker_hides_the_object_from_listings(self, index: Index, bucket_id: bytes) -> None:
        row = await put(index, object_row(bucket_id, version_id="v1"))
        marker = object_row(bucket_id, version_id="v2", kind=RowKind.DELETE_MARKER, blob_ids=())
        await index.put_object(marker, [], expect(row))
        assert await index.get_object(bucket_id, b"key") == marker
        page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)
        assert page.told.rows == told_of(())
        with pytest.raises(BucketNotEmpty):
            await index.delete_bucket(bucket_id)
        assert await index.delete_object(bucket_id, Deletion(b"key")) == marker
        assert await index.get_object(bucket_id, b"key") == row
        page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)
        assert page.told.rows == told_of((row,))

    async def test_versions_are_found_and_removed_by_id(self, index: Index, bucket_id: bytes) -> None:
        null = await put(index, object_row(bucket_id))
        rows = [await put(index, version_row(bucket_id, n)) for n in range(3)]
        for row in (null, *rows):
            assert await index.get_object(bucket_id, b"key", row.version_id) == row
        with pytest.raises(NoSuchVersion):
            await index.get_object(bucket_id, b"key", version_row(bucket_id, 1).version_id)
        with pytest.raises(NoSuchVersion):
            await index.get_object(bucket_id, b"other", "null")
        assert await index.delete_object(bucket_id, Deletion(b"key", rows[1].version_id), expect(rows[1])) == rows[1]
        assert await index.delete_object(bucket_id, Deletion(b"key", rows[1].version_id), expect(None)) is None
        assert await index.get_object(bucket_id, b"key") == rows[2]
        assert await index.delete_object(bucket_id, Deletion(b"key", rows[2].version_id)) == rows[2]
        assert await index.get_object(bucket_id, b"key") == rows[0]
        assert await index.delete_object(bucket_id, Deletion(b"key", "null")) == null
        assert await index.get_object(bucket_id, b"key") == rows[0]
        page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)
        assert page.told.rows == told_of((rows[0],))
        assert set(await condemned(index)) == {*rows[1].blob_ids, *rows[2].blob_ids, *null.blob_ids}

    async def test_markers_are_placed_by_deletion(self, index: Index, bucket_id: bytes) -> None:
        row = await put(index, version_row(bucket_id, 0))
        marker = version_row(bucket_id, 1, kind=RowKind.DELETE_MARKER, blob_ids=())
        assert await index.delete_object(bucket_id, Deletion(b"key", marker=marker), expect(row)) is None
        assert await index.get_object(bucket_id, b"key") == marker
        assert await index.get_object(bucket_id, b"key", row.version_id) == row
        fresh = version_row(bucket_id, 2, b"never was", kind=RowKind.DELETE_MARKER, blob_ids=())
        again = version_row(bucket_id, 3, kind=RowKind.DELETE_MARKER, blob_ids=())
        deletions = [Deletion(b"never was", marker=fresh), Deletion(b"key", marker=again)]
        assert await index.delete_objects(bucket_id, deletions) == [None, None]
        assert await index.get_object(bucket_id, b"never was") == fresh
        deletions = [Deletion(b"key", again.version_id), Deletion(b"key", marker.version_id)]
        assert await index.delete_objects(bucket_id, deletions) == [again, marker]
        assert await index.get_object(bucket_id, b"key") == row
        page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)
        assert page.told.rows == told_of((row,))

    async def test_null_marker_replaces_the_null_version(self, index: Index, bucket_id: bytes) -> None:
        null = await put(index, object_row(bucket_id))
        newer = await put(index, version_row(bucket_id, 0))
        marker = object_row(bucket_id, kind=RowKind.DELETE_MARKER, blob_ids=(), modified_us=NOW_US + 9)
        await index.delete_object(bucket_id, Deletion(b"key", marker=marker))
        assert await condemned(index) == list(null.blob_ids)
        page = await all_versions(index, bucket_id)
        assert [(entry.row, entry.is_latest) for entry in page.entries] == [(marker, True), (newer, False)]

    async def test_a_marker_needs_its_bucket(self, index: Index) -> None:
        marker = object_row(new_id(), kind=RowKind.DELETE_MARKER, blob_ids=())
        with pytest.raises(NoSuchBucket):
            await index.delete_object(marker.bucket_id, Deletion(b"key", marker=marker))

    async def test_versions_of_a_clock_that_went_back_keep_their_order(self, index: Index, bucket_id: bytes) -> None:
        rows = [await put(index, version_row(bucket_id, n)) for n in (5, 3, 4)]
        assert await index.get_object(bucket_id, b"key") == rows[2]
        page = await all_versions(index, bucket_id)
        assert [entry.row for entry in page.entries] == rows[::-1]
        for row in rows:
            assert await index.get_object(bucket_id, b"key", row.version_id) == row

    @pytest.mark.parametrize("max_keys", [1, 2, 3, 100])
    @pytest.mark.parametrize(
        ("prefix", "delimiter"), [(b"", b""), (b"", b"/"), (b"b/", b""), (b"b/", b"/"), (b"z", b"")]
    )
    async def test_pages_of_versions_joined_are_all_of_them(
        self, index: Index, bucket_id: bytes, prefix: bytes, delimiter: bytes, max_keys: int
    ) -> None:
        await many_versions(index, bucket_id)
        whole = await all_versions(index, bucket_id, prefix=prefix, delimiter=delimiter)
        assert whole.next_after is None
        entries: list[VersionEntry] = []
        prefixes: list[bytes] = []
        after: tuple[bytes, str | None] | None = None
        while True:
            page = await index.list_versions(
                bucket_id, prefix=prefix, delimiter=delimiter, after=after, max_keys=max_keys, whole=True
            )
            assert replace(page, rows=None) == await index.list_versions(
                bucket_id, prefix=prefix, delimiter=delimiter, after=after, max_keys=max_keys
            )
            assert len(page.entries) + len(page.common_prefixes) <= max_keys
            entries += page.entries
            prefixes += page.common_prefixes
            after = page.next_after
            if after is None:
                break
        assert (tuple(entries), tuple(prefixes)) == (whole.entries, whole.common_prefixes)
        latest = [entry.row.key for entry in entries if entry.is_latest]
        assert latest == sorted({entry.row.key for entry in entries})

    async def test_deleting_page_by_page_misses_none(self, index: Index, bucket_id: bytes) -> None:
        await many_versions(index, bucket_id)
        after: tuple[bytes, str | None] | None = None
        while True:
            page = await index.list_versions(bucket_id, prefix=b"", delimiter=b"", after=after, max_keys=2, whole=True)
            await index.delete_objects(
                bucket_id, [Deletion(entry.row.key, entry.row.version_id) for entry in page.entries]
            )
            after = page.next_after
            if after is None:
                break
        await index.delete_bucket(bucket_id)

    async def test_versions_after_a_key(self, index: Index, bucket_id: bytes) -> None:
        await many_versions(index, bucket_id)
        page = await index.list_versions(
            bucket_id, prefix=b"", delimiter=b"", after=(b"b/1", None), max_keys=100, whole=True
        )
        assert {entry.row.key for entry in page.entries} == {b"b/2", b"c"}

    # Listing

    @pytest.mark.parametrize(
        ("prefix", "delimiter", "after", "max_keys", "keys", "prefixes", "next_after"),
        [
            (b"", b"", b"", 10, [b"a", b"b/1", b"b/2", b"b/c/3", b"d\xff", b"d\xff\xff1"], [], None),
            (b"", b"/", b"", 10, [b"a", b"d\xff", b"d\xff\xff1"], [b"b/"], None),
            (b"", b"/", b"", 2, [b"a"], [b"b/"], b"b/"),
            (b"", b"/", b"b/", 10, [b"d\xff", b"d\xff\xff1"], [], None),
            (b"", b"/", b"b/1", 10, [b"d\xff", b"d\xff\xff1"], [], None),
            (b"b/", b"/", b"", 10, [b"b/1", b"b/2"], [b"b/c/"], None),
            (b"b/", b"/", b"b/1", 1, [b"b/2"], [], b"b/2"),
            (b"", b"", b"b/1", 2, [b"b/2", b"b/c/3"], [], b"b/c/3"),
            (b"d", b"\xff", b"", 10, [], [b"d\xff"], None),
            (b"", b"b/", b"", 10, [b"a", b"d\xff", b"d\xff\xff1"], [b"b/"], None),
            (b"zz", b"/", b"", 10, [], [], None),
            (b"b/", b"", b"z", 10, [], [], None),
        ],
    )
    async def test_listing(
        self,
        index: Index,
        bucket_id: bytes,
        prefix: bytes,
        delimiter: bytes,
        after: bytes,
        max_keys: int,
        keys: list[bytes],
        prefixes: list[bytes],
        next_after: bytes | None,
    ) -> None:
        for key in (b"d\xff\xff1", b"b/2", b"a", b"b/c/3", b"d\xff", b"b/1"):
            await put(index, object_row(bucket_id, key))
        page = await index.list_objects(bucket_id, prefix=prefix, delimiter=delimiter, after=after, max_keys=max_keys)
        assert keys_of(page) == keys
        assert list(page.common_prefixes) == prefixes
        assert page.next_after == next_after

    # Inline blobs

    async def test_inline_blob_comes_with_its_row(self, index: Index, bucket_id: bytes) -> None:
        body = os.urandom(16 << 10)
        row = await put(index, object_row(bucket_id), inline=body)
        assert await index.read_inline(row.blob_ids[0]) == body
        empty = await put(index, object_row(bucket_id, b"empty"), inline=b"")
        assert await index.read_inline(empty.blob_ids[0]) == b""

    async def test_inline_blob_comes_with_its_bucket_if_it_is_asked_for(self, index: Index, bucket: BucketRow) -> None:
        async def found(key: bytes, inline_bytes: int) -> bytes | None:
            return (await index.get_bucket_and_object(bucket.name, key, inline_bytes=inline_bytes))[2]

        body = os.urandom(16 << 10)
        row = await put(index, object_row(bucket.bucket_id), inline=body)
        assert await index.get_bucket_and_object(bucket.name, row.key, inline_bytes=row.size) == (bucket, row, body)
        assert await found(row.key, row.size - 1) is None
        assert (await index.get_bucket_and_object(bucket.name, row.key))[2] is None
        empty = await put(index, object_row(bucket.bucket_id, b"empty", size=0), inline=b"header")
        assert await index.get_bucket_and_object(bucket.name, empty.key) == (bucket, empty, None)
        assert await found(empty.key, 0) == b"header"
        await put(index, object_row(bucket.bucket_id, b"stored"))
        assert await found(b"stored", 1 << 40) is None
        parts = (new_id(), new_id())
        await put(index, object_row(bucket.bucket_id, b"parts", blob_ids=parts, sealed_parts=b"t"), inline=b"part")
        assert await found(b"parts", 1 << 40) is None
        await put(index, version_row(bucket.bucket_id, 1, row.key, kind=RowKind.DELETE_MARKER))
        assert await found(row.key, 1 << 40) is None

    async def test_missing_inline_blob(self, index: Index, bucket_id: bytes) -> None:
        row = await put(index, object_row(bucket_id))
        for blob_id in (new_id(), row.blob_ids[0]):
            with pytest.raises(BlobMissing):
                await index.read_inline(blob_id)

    async def test_condemned_inline_blob_stays_readable_for_a_grace(
        self, index: Index, bucket_id: bytes, clock: Clock
    ) -> None:
        row = await put(index, object_row(bucket_id), inline=b"body")
        other = await put(index, object_row(bucket_id, b"other"), inline=b"other body")
        await index.delete_object(bucket_id, Deletion(b"key"))
        assert await index.read_inline(row.blob_ids[0]) == b"body"
        assert await condemned(index) == []
        assert await index.forget_inline_blobs(before_us=clock.now_us, limit=10) == 0
        assert await index.forget_inline_blobs(before_us=clock.now_us + 1, limit=10) == 1
        with pytest.raises(BlobMissing):
            await index.read_inline(row.blob_ids[0])
        assert await index.read_inline(other.blob_ids[0]) == b"other body"

    # Uploads

    async def test_upload_is_found_only_under_its_bucket_and_key(self, index: Index, bucket_id: bytes) -> None:
        row = upload_row(bucket_id)
        await index.create_upload(row)
        assert await index.get_upload(bucket_id, b"key", row.upload_id) == row
        for wrong in (
            (bucket_id, b"other", row.upload_id),
            (new_id(), b"key", row.upload_id),
            (bucket_id, b"key", new_id()),
            (bucket_id, b"key", b"short"),
        ):
            with pytest.raises(NoSuchUpload):
                await index.get_upload(*wrong)
            with pytest.raises(NoSuchUpload):
                await index.abort_upload(*wrong)

    async def test_parts_are_listed_in_order_and_replaced(self, index: Index, bucket_id: bytes) -> None:
        upload = upload_row(bucket_id)
        await index.create_upload(upload)
        for number in (10_000, 2, 1, 7):
            await put_parts(index, upload, range(number, number + 1))
        (replaced,) = await index.list_parts(upload.upload_id, after=1, limit=1)
        (again,) = await put_parts(index, upload, range(2, 3))
        assert await condemned(index) == [replaced.blob_id]
        parts = await index.list_parts(upload.upload_id, after=0, limit=10)
        assert [part.part_number for part in parts] == [1, 2, 7, 10_000]
        assert parts[1] == again
        assert await index.list_parts(upload.upload_id, after=2, limit=1) == [parts[2]]
        assert await index.list_parts(new_id(), after=0, limit=1) == []

    async def test_part_of_a_gone_upload_leaves_nothing(self, index: Index, bucket_id: bytes) -> None:
        part = part_row(new_id(), 1)
        with pytest.raises(NoSuchUpload):
            await index.put_part(part, NewBlob(part.blob_id, 5))
        assert await index.known_blobs([part.blob_id]) == frozenset()

    async def test_complete_makes_an_object_and_condemns_the_other_parts(self, index: Index, bucket_id: bytes) -> None:
        old = await put(index, object_row(bucket_id))
        upload = upload_row(bucket_id)
        await index.create_upload(upload)
        parts = await put_parts(index, upload, range(1, 5))
        row = completed(upload, [parts[0], parts[2]])
        await index.complete_upload(upload.upload_id, row, NewBlob(row.manifest_id or b"", 9), expect_completing(old))
        assert await index.get_object(bucket_id, b"key") == row
        assert set(await condemned(index)) == {*old.blob_ids, parts[1].blob_id, parts[3].blob_id}
        with pytest.raises(NoSuchUpload):
            await index.complete_upload(upload.upload_id, row, NewBlob(new_id(), 9))
        await index.delete_object(bucket_id, Deletion(b"key"))
        expected = {*old.blob_ids, *(part.blob_id for part in parts), row.manifest_id}
        assert set(await condemned(index)) == expected

    async def test_complete_with_a_replaced_part_is_a_conflict(self, index: Index, bucket_id: bytes) -> None:
        upload = upload_row(bucket_id)
        await index.create_upload(upload)
        parts = await put_parts(index, upload, range(1, 3))
        row = completed(upload, parts)
        await put_parts(index, upload, range(2, 3))
        with pytest.raises(Conflict):
            await index.complete_upload(upload.upload_id, row, NewBlob(row.manifest_id or b"", 9))
        with pytest.raises(NoSuchKey):
            await index.get_object(bucket_id, b"key")
        assert await condemned(index) == [parts[1].blob_id]
        assert len(await index.list_parts(upload.upload_id, after=0, limit=10)) == 2

    async def test_refused_complete_keeps_the_upload(self, index: Index, bucket_id: bytes) -> None:
        upload = upload_row(bucket_id)
        await index.create_upload(upload)
        parts = await put_parts(index, upload, range(1, 3))
        row = completed(upload, parts)
        with pytest.raises(Refused):
            await index.complete_upload(upload.upload_id, row, NewBlob(row.manifest_id or b"", 9), refuse_completing)
        assert await index.list_parts(upload.upload_id, after=0, limit=10) == parts
        await index.complete_upload(upload.upload_id, row, NewBlob(row.manifest_id or b"", 9))
        assert await index.get_object(bucket_id, b"key") == row

    async def test_completing_tells_if_the_key_changed_since_the_upload_began(
        self, index: Index, bucket_id: bytes
    ) -> None:
        async def is_changed_by(change: Callable[[], Awaitable[object]]) -> bool:
            upload = upload_row(bucket_id)
            await index.create_upload(upload)
            row = completed(upload, await put_parts(index, upload, range(1, 2)))
            await change()
            seen: list[bool] = []

            def look(_: ObjectRow | None, is_changed: bool) -> None:
                seen.append(is_changed)
                raise Refused

            with pytest.raises(Refused):
                await index.complete_upload(upload.upload_id, row, NewBlob(new_id(), 9), look)
            await index.abort_upload(bucket_id, b"key", upload.upload_id)
            return seen[0]

        first, second = version_row(bucket_id, 1), version_row(bucket_id, 2)
        other = object_row(bucket_id, key=b"other")
        marker = version_row(bucket_id, 3, kind=RowKind.DELETE_MARKER, blob_ids=())
        assert not await is_changed_by(lambda: put(index, other))
        assert not await is_changed_by(lambda: index.delete_object(bucket_id, Deletion(b"key")))
        assert await is_changed_by(lambda: put(index, first))
        assert await is_changed_by(lambda: put(index, second))
        assert not await is_changed_by(lambda: index.delete_object(bucket_id, Deletion(b"key", first.version_id)))
        assert await is_changed_by(lambda: index.delete_object(bucket_id, Deletion(b"key", marker=marker)))
        assert await is_changed_by(lambda: index.delete_objects(bucket_id, [Deletion(b"key", marker.version_id)]))
        assert await is_changed_by(lambda: index.delete_object(bucket_id, Deletion(b"key", second.version_id)))

    async def test_abort_condemns_all_parts(self, index: Index, bucket_id: bytes) -> None:
        upload = upload_row(bucket_id)
        await index.create_upload(upload)
        parts = await put_parts(index, upload, range(1, 4))
        await index.abort_upload(bucket_id, b"key", upload.upload_id)
        assert set(await condemned(index)) == {part.blob_id for part in parts}
        with pytest.raises(NoSuchUpload):
            await index.abort_upload(bucket_id, b"key", upload.upload_id)

    async def test_complete_of_many_parts(self, index: Index, bucket_id: bytes) -> None:
        upload = upload_row(bucket_id)
        await index.create_upload(upload)
        parts = [part_row(upload.upload_id, number) for number in range(1, self.MANY_PARTS + 1)]
        await asyncio.gather(*(index.put_part(part, NewBlob(part.blob_id, 5)) for part in parts))
        row = completed(upload, parts)
        await index.complete_upload(upload.upload_id, row, NewBlob(row.manifest_id or b"", 9))
        assert await index.get_object(bucket_id, b"key") == row
        await index.delete_object(bucket_id, Deletion(b"key"))
        assert len(await index.condemned_blobs(before_us=EVER_US, limit=20_000)) == self.MANY_PARTS + 1

    async def test_uploads_are_listed_by_key_and_id(self, index: Index, bucket_id: bytes) -> None:
        rows = [
            upload_row(bucket_id, key, upload_id=bytes([i]) * 16)
            for i, key in enumerate([b"b/1", b"a", b"b/2", b"a", b"c", b"a"])
        ]
        for row in rows:
            await index.create_upload(row)
        by_key = sorted(rows, key=lambda row: (row.key, row.upload_id))

        async def page(delimiter: bytes, after: tuple[bytes, bytes | None] | None, limit: int) -> tuple[object, ...]:
            found = await index.list_uploads(bucket_id, prefix=b"", delimiter=delimiter, after=after, max_uploads=limit)
            return list(found.uploads), list(found.common_prefixes), found.next_after

        assert await page(b"", None, 10) == (by_key, [], None)
        assert await page(b"", None, 2) == (by_key[:2], [], (b"a", by_key[1].upload_id))
        assert await page(b"", (b"a", by_key[1].upload_id), 2) == (by_key[2:4], [], (b"b/1", by_key[3].upload_id))
        assert await page(b"", (b"a", None), 10) == (by_key[3:], [], None)
        assert await page(b"/", None, 4) == (by_key[:3], [b"b/"], (b"b/", None))
        assert await page(b"/", (b"b/", None), 4) == (by_key[5:], [], None)
        assert await page(b"/", (b"b/1", b"\xff" * 16), 4) == (by_key[5:], [], None)

    # Garbage, epochs, jobs

    async def test_condemned_blobs_are_given_oldest_first(self, index: Index, bucket_id: bytes, clock: Clock) -> None:
        rows = [await put(index, object_row(bucket_id, b"k%d" % i)) for i in range(4)]
        for i in (2, 0, 3):
            clock.now_us += 10 * STEP_US
            await index.delete_object(bucket_id, Deletion(rows[i].key))
        blobs = [rows[i].blob_ids[0] for i in (2, 0, 3)]
        assert await condemned(index, clock.now_us + 1) == blobs
        assert await condemned(index, clock.now_us) == blobs[:2]
        assert list(await index.condemned_blobs(before_us=EVER_US, limit=1)) == blobs[:1]

    async def test_forgetting_spares_blobs_that_are_referenced(self, index: Index, bucket_id: bytes) -> None:
        live = await put(index, object_row(bucket_id, b"live"))
        dead = await put(index, object_row(bucket_id, b"dead"))
        await index.delete_object(bucket_id, Deletion(b"dead"))
        both = [*live.blob_ids, *dead.blob_ids]
        assert await index.known_blobs(both) == set(both)
        await index.forget_blobs([*both, new_id()])
        assert await index.known_blobs(both) == set(live.blob_ids)
        assert await condemned(index) == []

    async def test_known_blobs_of_a_large_batch(self, index: Index, bucket_id: bytes) -> None:
        row = await put(index, object_row(bucket_id))
        ids = [new_id() for _ in range(1200)]
        assert await index.known_blobs([*ids, *row.blob_ids]) == set(row.blob_ids)
        assert await index.known_blobs([]) == frozenset()

    async def test_blobs_are_listed_in_order_whoever_names_them(
        self, index: Index, bucket_id: bytes, clock: Clock
    ) -> None:
        shared = await put(index, object_row(bucket_id, b"a"))
        await index.put_object(object_row(bucket_id, b"b", blob_ids=shared.blob_ids), [])
        inline = await put(index, object_row(bucket_id, b"c"), inline=b"bytes")
        gone = await put(index, object_row(bucket_id, b"d"))
        await index.delete_object(bucket_id, Deletion(b"d"))
        upload = upload_row(bucket_id)
        await index.create_upload(upload)
        (part,) = await put_parts(index, upload, range(1, 2))
        expected = sorted(
            [
                BlobRow(shared.blob_ids[0], 5, False, 2, None),
                BlobRow(inline.blob_ids[0], 5, True, 1, None),
                BlobRow(gone.blob_ids[0], 5, False, 0, clock.now_us),
                BlobRow(part.blob_id, part.size, False, 1, None),
            ],
            key=lambda row: row.blob_id,
        )
        assert list(await index.list_blobs(after=b"", limit=9)) == expected
        assert list(await index.list_blobs(after=expected[1].blob_id, limit=1)) == expected[2:3]
        assert [await index.get_blob(row.blob_id) for row in expected] == expected
        assert await index.get_blob(new_id()) is None
        assert await index.count_blobs() == 4

    async def test_bad_blobs_are_kept_until_they_are_well_or_gone(self, index: Index, bucket_id: bytes) -> None:
        row = await put(index, object_row(bucket_id, blob_ids=tuple(sorted(new_id() for _ in range(3)))))
        for blob_id in row.blob_ids:
            await index.put_bad_blob(BadBlob(blob_id, "damaged", 5))
        await index.put_bad_blob(BadBlob(row.blob_ids[1], "missing", 9))
        await index.put_bad_blob(BadBlob(new_id(), "damaged", 5))
        expected = [BadBlob(blob_id, "damaged", 5) for blob_id in row.blob_ids]
        expected[1] = replace(expected[1], problem="missing")
        assert list(await index.list_bad_blobs(after=b"", limit=9)) == expected
        assert list(await index.list_bad_blobs(after=row.blob_ids[0], limit=1)) == expected[1:2]
        await index.forget_bad_blob(row.blob_ids[0])
        await index.forget_bad_blob(row.blob_ids[0])
        assert list(await index.list_bad_blobs(after=b"", limit=9)) == expected[1:]
        await index.delete_object(bucket_id, Deletion(row.key))
        await index.forget_blobs(row.blob_ids)
        assert list(await index.list_bad_blobs(after=b"", limit=9)) == []

    async def test_key_epochs_are_kept_by_purpose(self, index: Index) -> None:
        rows = [KeyEpochRow("index", epoch, b"wrapped %d" % epoch, NOW_US) for epoch in (2, 1, 10)]
        for row in rows:
            await index.add_key_epoch(row)
        other = KeyEpochRow("service", 1, b"other", NOW_US)
        await index.add_key_epoch(other)
        with pytest.raises(Conflict):
            await index.add_key_epoch(KeyEpochRow("index", 2, b"second", NOW_US))
        assert list(await index.key_epochs("index")) == [rows[1], rows[0], rows[2]]
        assert list(await index.key_epochs("service")) == [other]
        assert list(await index.key_epochs("none")) == []

    async def test_bucket_keys_are_kept_by_bucket_and_requester(self, index: Index, bucket_id: bytes) -> None:
        other = bucket_row("other")
        await index.create_bucket(other)
        row = BucketKeyRow(bucket_id, b"a" * 32, "arn:aws:kms:::key/1", 1, b"wrapped", NOW_US, b"sealed")
        rows = [row, replace(row, requester=b"b" * 32), replace(row, bucket_id=other.bucket_id)]
        assert await index.bucket_key(bucket_id, row.requester) is None
        for each in rows:
            await index.put_bucket_key(each, forget_before_us=0)
        newer = replace(row, key_version=2, wrapped=b"again", created_us=NOW_US + 1)
        await index.put_bucket_key(newer, forget_before_us=NOW_US)
        assert [await index.bucket_key(each.bucket_id, each.requester) for each in rows] == [newer, *rows[1:]]
        last = replace(row, requester=b"c" * 32, created_us=NOW_US + 2)
        await index.put_bucket_key(last, forget_before_us=NOW_US + 1)
        assert [await index.bucket_key(each.bucket_id, each.requester) for each in rows] == [newer, None, None]
        assert await index.bucket_key(bucket_id, last.requester) == last

    async def test_bucket_keys_go_with_their_bucket(self, index: Index, bucket_id: bytes) -> None:
        row = BucketKeyRow(bucket_id, b"a" * 32, "arn:aws:kms:::key/1", 1, b"wrapped", NOW_US, b"sealed")
        await index.put_bucket_key(row, forget_before_us=0)
        await index.delete_bucket(bucket_id)
        assert await index.bucket_key(bucket_id, row.requester) is None
        with pytest.raises(NoSuchBucket):
            await index.put_bucket_key(row, forget_before_us=0)

    # What a KMS key opens

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_objects_of_a_kms_key_in_every_bucket(self, index: Index, bucket_id: bytes, limit: int) -> None:
        other = bucket_row("other")
        await index.create_bucket(other)
        old, others = replace(WRAP, key_version=1), Wrap(Mode.SSE_KMS, b"w", f"{WRAP.key_arn}2", 3)
        shared = new_id()
        rows = [
            object_row(bucket_id, b"old", wrap=old),
            object_row(bucket_id, b"shared", blob_ids=(shared,)),
            object_row(other.bucket_id, b"old", wrap=old),
            object_row(other.bucket_id, b"parts", blob_ids=(new_id(), new_id()), sealed_parts=b"table"),
            object_row(other.bucket_id, b"a", wrap=replace(WRAP, mode=Mode.SSE_KMS_BUCKET_KEY)),
        ]
        for row in (*rows, object_row(bucket_id, b"other key", wrap=others)):
            await index.put_object(row, [NewBlob(blob_id, 10) for blob_id in row.blob_ids])
        copies = [object_row(bucket_id, b"copy", blob_ids=(shared,)), object_row(bucket_id, b"c", wrap=others)]
        copies[1] = replace(copies[1], blob_ids=(shared,))
        for row in copies:
            await index.put_object(row, [])
        found: list[KeyedObject] = []
        after, is_last = None, False
        while not is_last:
            page = await index.list_objects_of_key(str(WRAP.key_arn), after=after, limit=limit)
            assert len(page.objects) <= limit
            if page.objects:
                again = await index.list_objects_of_key(str(WRAP.key_arn), after=page.objects[0].position, limit=limit)
                assert again.objects[: limit - 1] == page.objects[1:]
            found += [replace(each, position=b"") for each in page.objects]
            after = page.next_after
            is_last = after is None
        names = {bucket_id: "photos", other.bucket_id: "other"}
        expected = [
            KeyedObject(names[row.bucket_id], replace(row, sealed_parts=None), 3 if shared in row.blob_ids else 1)
            for row in (*rows, copies[0])
        ]
        assert sorted(found, key=str) == sorted(expected, key=str)
        assert await index.count_objects_of_key(str(WRAP.key_arn)) == len(expected)
        assert await index.count_objects_of_key(str(WRAP.key_arn), before_version=3) == 2
        versions = [each.row.wrap.key_version or 0 for each in found]
        assert versions == sorted(versions)

    async def test_uploads_and_bucket_keys_of_a_kms_key(self, index: Index, bucket_id: bytes) -> None:
        arn = str(WRAP.key_arn)
        uploads = sorted(
            (upload_row(bucket_id, upload_id=new_id(), key=key, wrap=WRAP) for key in (b"a", b"b")),
            key=lambda row: row.upload_id,
        )
        for row in (*uploads, upload_row(bucket_id, wrap=Wrap(Mode.SSE_S3, b"w"))):
            await index.create_upload(row)
        for number in (1, 7):
            part = part_row(uploads[1].upload_id, number)
            await index.put_part(part, NewBlob(part.blob_id, 10))
        expected = [KeyedUpload("photos", uploads[0], 0, 0), KeyedUpload("photos", uploads[1], 2, 2 * part.size)]
        assert list(await index.list_uploads_of_key(arn, after=b"", limit=9)) == expected
        assert list(await index.list_uploads_of_key(arn, after=b"", limit=1)) == expected[:1]
        assert list(await index.list_uploads_of_key(arn, after=uploads[0].upload_id, limit=9)) == expected[1:]
        assert list(await index.count_bucket_keys_of_key(arn)) == []
        key = BucketKeyRow(bucket_id, b"a" * 32, arn, 2, b"wrapped", NOW_US, b"sealed")
        for each in (key, replace(key, requester=b"b" * 32), replace(key, requester=b"c" * 32, key_version=1)):
            await index.put_bucket_key(each, forget_before_us=0)
        await index.put_bucket_key(replace(key, requester=b"d" * 32, key_arn="other"), forget_before_us=0)
        counted = [KeyedBucketKeys("photos", 1, 1), KeyedBucketKeys("photos", 2, 2)]
        assert list(await index.count_bucket_keys_of_key(arn)) == counted

    async def test_batch_jobs_are_changed_by_whoever_read_them_last(self, index: Index) -> None:
        row = BatchJobRow("b", "rewrap", "Active", NOW_US, 1, b"sealed")
        others = [replace(row, job_id="a"), replace(row, job_id="c", created_us=NOW_US + 1)]
        with pytest.raises(NoSuchJob):
            await index.get_batch_job("b")
        for each in (row, *others):
            await index.add_batch_job(each)
        with pytest.raises(Conflict):
            await index.add_batch_job(row)
        assert list(await index.list_batch_jobs(limit=9)) == [others[1], others[0], row]
        assert list(await index.list_batch_jobs(limit=1)) == [others[1]]
        assert list(await index.list_batch_jobs(limit=9, kind=row.kind, states=(row.state, "x")))[-1:] == [row]
        for nothing in ({"kind": "x"}, {"states": ("x",)}, {"states": ()}):
            assert not await index.list_batch_jobs(limit=9, **nothing)
        changed = replace(row, state="Complete", revision=2, sealed=b"next")
        await index.update_batch_job(changed)
        assert await index.get_batch_job("b") == changed
        for stale in (changed, replace(changed, revision=4), replace(changed, job_id="x")):
            with pytest.raises(Conflict):
                await index.update_batch_job(stale)
        assert await index.get_batch_job("b") == changed
        await index.delete_batch_job("b")
        await index.delete_batch_job("b")
        with pytest.raises(NoSuchJob):
            await index.get_batch_job("b")

    async def test_job_has_one_owner_until_its_lease_ends(self, index: Index) -> None:
        assert await index.take_job("sweep", "a", now_us=100, until_us=200)
        assert not await index.take_job("sweep", "b", now_us=199, until_us=300)
        assert await index.take_job("other", "b", now_us=199, until_us=300)
        assert await index.take_job("sweep", "a", now_us=150, until_us=250)
        assert not await index.take_job("sweep", "b", now_us=200, until_us=300)
        assert await index.take_job("sweep", "b", now_us=250, until_us=300)
        await index.finish_job("sweep", "a", due_us=0)  # lost it: no effect
        assert not await index.take_job("sweep", "a", now_us=251, until_us=300)

    async def test_only_who_has_the_lease_notes_how_far_a_job_is(self, index: Index) -> None:
        assert await index.job_note("scrub") is None
        assert not await index.note_job("scrub", "a", b"one")
        assert await index.take_job("scrub", "a", now_us=100, until_us=200)
        assert await index.job_note("scrub") is None
        assert await index.note_job("scrub", "a", b"one")
        assert await index.take_job("scrub", "b", now_us=200, until_us=300)
        assert not await index.note_job("scrub", "a", b"two")
        assert await index.job_note("scrub") == b"one"
        assert await index.note_job("scrub", "b", b"two")
        await index.finish_job("scrub", "b", due_us=0)
        assert not await index.note_job("scrub", "b", b"three")
        assert await index.job_note("scrub") == b"two"

    async def test_finished_job_waits_until_it_is_due(self, index: Index) -> None:
        assert await index.take_job("sweep", "a", now_us=100, until_us=200)
        await index.finish_job("sweep", "a", due_us=500)
        assert not await index.take_job("sweep", "a", now_us=499, until_us=600)
        assert await index.take_job("sweep", "b", now_us=500, until_us=600)

    # Life

    async def test_ping_and_close(self, index: Index, bucket_id: bytes) -> None:
        assert await index.self_check() == []
        await index.ping()
        await index.close()
        await index.close()
        for call in (
            index.ping(),
            index.get_bucket("photos"),
            index.delete_object(bucket_id, Deletion(b"key")),
            index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=1),
        ):
            with pytest.raises(StorageUnavailable):
                await call
