"""Passes over lifecycle rules, on an index in memory: what goes, what stays, and how a pass goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from gateway.operations.documents import BucketDocument, ObjectDocument, UploadDocument
from gateway.operations.lifecycle import passes
from gateway.operations.lifecycle.passes import JOB, LifecyclePasses, Pace
from gateway.operations.sealed_rows import SealedRows
from gateway.operations.versioning import Versioning, marker_row, version_id_in
from gateway.protocol.lifecycle import Filter, Lifecycle, LifecycleDays, LifecycleRule
from gateway.protocol.modes import Mode, Wrap
from gateway.sealing.ids import new_id
from gateway.sealing.row import RowSealer
from gateway.storage.errors import RowDamaged, StorageUnavailable
from gateway.storage.index.records import BucketRow, Deletion, Expiry, NewBlob, ObjectRow, RowKind, UploadRow
from kms.api.secrets import SecretBytes
from tests.fakes import MemoryIndex

DAY_US = 86_400_000_000
NOON_US = 20_000 * DAY_US + DAY_US // 2
PACE = Pace(3600, 0)


def rule(rule_id: str = "r", prefix: str = "", **members: object) -> LifecycleRule:
    members = {"filter": Filter(prefix), **members}
    return LifecycleRule(rule_id=rule_id, is_enabled=True, **members)  # type: ignore[arg-type]


class World:
    """One index, a clock that stands still until it is moved, and a bucket."""

    def __init__(self) -> None:
        self.now_us = NOON_US
        self.index = MemoryIndex(lambda: self.now_us)
        self.rows = SealedRows(RowSealer({1: SecretBytes(bytes(32))}, 1))
        self.events: list[str] = []
        self.counted: list[str] = []
        self.versioning = Versioning.NEVER
        self.bucket = BucketRow(new_id(), "1" * 12, "bucket", "us-east-1", 1, 0, b"")

    async def make(self, *rules: LifecycleRule, versioning: Versioning = Versioning.NEVER) -> None:
        self.versioning = versioning
        self.bucket = self.sealed(self.bucket, *rules)
        await self.index.create_bucket(self.bucket)

    def sealed(self, row: BucketRow, *rules: LifecycleRule) -> BucketRow:
        document = BucketDocument(versioning=self.versioning.value or None, lifecycle=Lifecycle(rules))
        return self.rows.seal_bucket(row, document)

    async def change(self, *rules: LifecycleRule) -> None:
        self.bucket = self.sealed(replace(self.bucket, revision=self.bucket.revision + 1), *rules)
        await self.index.update_bucket(self.bucket)

    async def put(self, key: str, *, size: int = 5, tags: dict[str, str] | None = None) -> ObjectRow:
        version_id = version_id_in(self.versioning, self.now_us)
        row = ObjectRow(
            bucket_id=self.bucket.bucket_id,
            key=key.encode(),
            row_uid=new_id(),
            version_id=version_id,
            kind=RowKind.OBJECT,
            size=size,
            modified_us=self.now_us,
            wrap=Wrap(Mode.SSE_S3, b"wrapped"),
            blob_ids=(new_id(),),
            manifest_id=None,
            part_count=0,
            revision=0,
            sealed=b"",
        )
        row = self.rows.seal_object(row, ObjectDocument(etag="e", commitment=b"c", tags=tags or {}))
        await self.index.put_object(row, [NewBlob(row.blob_ids[0], 5)])
        return row

    async def delete(self, key: str) -> ObjectRow:
        version_id = version_id_in(self.versioning, self.now_us)
        marker = marker_row(self.rows, self.bucket.bucket_id, key.encode(), version_id, self.now_us)
        await self.index.delete_object(self.bucket.bucket_id, Deletion(key.encode(), marker=marker))
        return marker

    async def upload(self, key: str) -> UploadRow:
        wrap = Wrap(Mode.SSE_S3, b"wrapped")
        row = UploadRow(new_id(), self.bucket.bucket_id, key.encode(), new_id(), self.now_us, wrap, 0, b"")
        row = self.rows.seal_upload(row, UploadDocument())
        await self.index.create_upload(row)
        return row

    def passes(self, owner: str = "one") -> LifecyclePasses:
        return LifecyclePasses(
            self.index,
            self.rows,
            LifecycleDays(),
            PACE,
            owner=owner,
            integrity_event=lambda kind, detail: self.events.append(f"{kind} {detail}"),
            count=self.counted.append,
            clock_us=lambda: self.now_us,
        )

    async def run(self) -> dict[str, int]:
        """What a pass did that is due."""
        note = await self.passes().run_if_due()
        assert note is not None
        assert note.ended_us is not None
        assert sorted(self.counted) == sorted(name for name, count in note.counts.items() for _ in range(count))
        self.counted.clear()
        return note.counts

    async def after(self, days: float) -> dict[str, int]:
        self.now_us += round(days * DAY_US)
        return await self.run()

    async def versions(self) -> list[tuple[str, str]]:
        page = await self.index.list_versions(
            self.bucket.bucket_id, prefix=b"", delimiter=b"", after=None, max_keys=100_000, whole=True
        )
        return [(entry.row.key.decode(), entry.row.kind.name) for entry in page.entries]

    async def keys(self) -> list[str]:
        return [key for key, _ in await self.versions()]

    async def uploads(self) -> list[str]:
        page = await self.index.list_uploads(
            self.bucket.bucket_id, prefix=b"", delimiter=b"", after=None, max_uploads=1000
        )
        return [row.key.decode() for row in page.uploads]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(autouse=True)
def without_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "REST", 0.0)


# Current versions


async def test_what_is_old_enough_and_covered_goes(world: World) -> None:
    sizes = Filter("s/", {"tag": "yes"}, larger_than=4, smaller_than=10, is_and=True)
    await world.make(rule("logs", "log/", expires_after_days=2), rule("sizes", filter=sizes, expires_after_days=2))
    await world.put("a")
    await world.put("log/1")
    for key, size, tags in (("s/1", 5, "yes"), ("s/2", 4, "yes"), ("s/3", 10, "yes"), ("s/4", 5, "no"), ("s/5", 5, "")):
        await world.put(key, size=size, tags={"tag": tags} if tags else None)
    assert await world.after(2.4) == {}  # the third midnight is not yet there
    await world.put("log/2")
    assert await world.after(0.1) == {"current": 2}
    assert await world.keys() == ["a", "log/2", "s/2", "s/3", "s/4", "s/5"]
    assert await world.index.condemned_blobs(before_us=2**62, limit=9)


async def test_a_date(world: World) -> None:
    await world.make(rule(expires_on=20_002))
    await world.put("a")
    assert await world.after(1.4) == {}
    assert await world.after(0.1) == {"current": 1}
    await world.put("b")
    assert await world.after(1) == {"current": 1}


async def test_a_rule_that_is_off(world: World) -> None:
    await world.make(replace(rule(expires_after_days=1, noncurrent_days=1), is_enabled=False))
    await world.put("a")
    assert await world.after(10) == {}
    assert await world.keys() == ["a"]


async def test_with_versioning_a_marker_is_made(world: World) -> None:
    await world.make(rule(expires_after_days=1), versioning=Versioning.ENABLED)
    await world.put("a")
    assert await world.after(2) == {"current": 1}
    assert await world.versions() == [("a", "DELETE_MARKER"), ("a", "OBJECT")]
    assert await world.after(10) == {}, "there is another version below the marker"


async def test_with_versioning_suspended_the_null_version_goes(world: World) -> None:
    await world.make(rule(expires_after_days=1), versioning=Versioning.ENABLED)
    await world.put("kept")
    world.versioning = Versioning.SUSPENDED
    await world.change(rule(expires_after_days=1))
    await world.put("gone")
    assert await world.after(2) == {"current": 2}
    assert await world.versions() == [("gone", "DELETE_MARKER"), ("kept", "DELETE_MARKER"), ("kept", "OBJECT")]


# Noncurrent versions and markers


async def test_noncurrent_versions_go_by_when_they_were_replaced(world: World) -> None:
    await world.make(rule(noncurrent_days=2), versioning=Versioning.ENABLED)
    await world.put("a")
    assert await world.after(30) == {}
    await world.put("a")
    assert await world.after(1) == {}
    await world.put("a")
    assert await world.after(2) == {"noncurrent": 1}
    assert await world.after(2) == {"noncurrent": 1}
    assert await world.after(30) == {}
    assert await world.keys() == ["a"]


@pytest.mark.parametrize("page", [1, 2, 3, 200])
async def test_newer_noncurrent_versions_are_kept_whatever_their_age(
    world: World, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "PAGE", page)
    await world.make(rule(noncurrent_days=1, newer_noncurrent_versions=5), versioning=Versioning.ENABLED)
    made = [(await world.put("a")).row_uid for _ in range(10)]
    await world.put("b")
    assert await world.after(9) == {"noncurrent": 4}
    left = await world.index.list_versions(
        world.bucket.bucket_id, prefix=b"a", delimiter=b"", after=None, max_keys=99, whole=True
    )
    assert [entry.row.row_uid for entry in left.entries] == made[:3:-1]


async def test_more_versions_than_are_decided_about_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "PAGE", 3)
    monkeypatch.setattr(passes, "MAX_PENDING", 5)
    await world.make(rule(noncurrent_days=1), versioning=Versioning.ENABLED)
    for _ in range(40):
        await world.put("a")
    world.now_us += 9 * DAY_US
    while await world.run():
        world.now_us += 3_600_000_000
    assert await world.keys() == ["a"]


async def test_a_marker_that_is_alone_goes(world: World) -> None:
    markers = rule("markers", removes_expired_markers=True)
    await world.make(markers, rule("old", noncurrent_days=1), versioning=Versioning.ENABLED)
    for key in ("a", "b"):
        await world.put(key)
        await world.delete(key)
    await world.put("b")
    assert await world.after(3) == {"noncurrent": 3}
    assert await world.after(1) == {"marker": 1}
    assert await world.versions() == [("b", "OBJECT")]


async def test_days_count_for_markers_too(world: World) -> None:
    await world.make(rule(expires_after_days=5), versioning=Versioning.ENABLED)
    await world.delete("a")
    assert await world.after(5) == {}
    assert await world.after(1) == {"marker": 1}
    assert await world.keys() == []


async def test_markers_have_no_tags(world: World) -> None:
    await world.make(rule(filter=Filter(tags={"a": "b"}), expires_after_days=1), versioning=Versioning.ENABLED)
    await world.delete("a")
    assert await world.after(9) == {}


# Uploads


@pytest.mark.parametrize("page", [1, 200])
async def test_uploads_are_aborted(world: World, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "PAGE", page)
    await world.make(rule(prefix="a/", abort_after_days=1), rule(prefix="c/", abort_after_days=9))
    for key in ("a/1", "a/1", "a/2", "b", "c/1"):
        await world.upload(key)
    assert await world.after(1) == {}
    await world.upload("a/3")
    assert await world.after(1) == {"upload": 3}
    assert await world.uploads() == ["a/3", "b", "c/1"]


# What a pass reads, and whose turn it is


async def test_only_prefixes_of_rules_are_listed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.make(
        rule("one", "a/", expires_after_days=1),
        rule("two", "a/b/", noncurrent_days=1),
        rule("three", "c", expires_after_days=1),
        rule("uploads", "u", abort_after_days=1),
        replace(rule("off", "x", expires_after_days=1), is_enabled=False),
    )
    listed: list[bytes] = []
    list_versions = MemoryIndex.list_versions

    async def noted(self: MemoryIndex, bucket_id: bytes, **where: object) -> object:
        assert isinstance(where["prefix"], bytes)
        listed.append(where["prefix"])
        return await list_versions(self, bucket_id, **where)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryIndex, "list_versions", noted)
    await world.run()
    assert listed == [b"a/", b"c"]


async def test_a_pass_is_due_once_an_interval(world: World) -> None:
    await world.make()
    assert await world.passes().run_if_due() is not None
    world.now_us += 3_599_000_000
    assert await world.passes("two").run_if_due() is None
    world.now_us += 1_000_000
    assert await world.passes("two").run_if_due() is not None


async def test_another_process_goes_on_where_one_stopped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "PAGE", 2)
    monkeypatch.setattr(passes, "NOTE_SECONDS", 0.0)
    await world.make(rule(expires_after_days=1))
    for number in range(9):
        await world.put(f"k{number}")
    world.now_us += 3 * DAY_US
    expire = MemoryIndex.expire_versions
    left = 2

    async def failing(self: MemoryIndex, bucket: BucketRow, expiries: Sequence[Expiry]) -> Sequence[bool]:
        nonlocal left
        left -= 1
        if left < 0:
            raise StorageUnavailable("away")
        return await expire(self, bucket, expiries)

    monkeypatch.setattr(MemoryIndex, "expire_versions", failing)
    with pytest.raises(StorageUnavailable):
        await world.passes().run_if_due()
    gone = 9 - len(await world.keys())
    assert 0 < gone < 9
    left = 1000
    listed: list[object] = []
    list_versions = MemoryIndex.list_versions

    async def noted(self: MemoryIndex, bucket_id: bytes, **where: object) -> object:
        listed.append(where["after"])
        return await list_versions(self, bucket_id, **where)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryIndex, "list_versions", noted)
    note = await world.passes("two").run_if_due()
    assert note is not None
    assert note.counts == {"current": 9}
    assert listed[0] != (b"", None)
    assert await world.keys() == []


async def test_one_process_at_a_time(world: World) -> None:
    await world.make(rule(expires_after_days=1))
    assert await world.index.take_job(JOB, "other", now_us=world.now_us, until_us=world.now_us + 1)
    assert await world.passes().run_if_due() is None


# What changes meanwhile


def while_expiring(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Have `change` happen once, after something was decided and before it is done."""
    expire = MemoryIndex.expire_versions
    pending = [change]

    async def changed(self: MemoryIndex, bucket: BucketRow, expiries: Sequence[Expiry]) -> Sequence[bool]:
        if pending:
            made = pending.pop()()
            if asyncio.iscoroutine(made):
                await made
        return await expire(self, bucket, expiries)

    monkeypatch.setattr(MemoryIndex, "expire_versions", changed)


async def test_what_is_written_meanwhile_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.make(rule(expires_after_days=1))
    await world.put("a")
    while_expiring(monkeypatch, lambda: world.put("a"))
    assert await world.after(2) == {}
    assert await world.keys() == ["a"]


async def test_what_is_tagged_meanwhile_is_decided_about_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.make(rule(filter=Filter(tags={"go": "yes"}), expires_after_days=1))
    await world.put("a", tags={"go": "yes"})

    def untagged(row: ObjectRow) -> ObjectRow:
        document = replace_tags(world.rows.open_object(row), {})
        return world.rows.seal_object(replace(row, revision=row.revision + 1), document)

    while_expiring(monkeypatch, lambda: world.index.change_object(world.bucket.bucket_id, b"a", None, untagged))
    assert await world.after(2) == {}
    assert await world.after(1) == {}
    assert await world.keys() == ["a"]


async def test_nothing_goes_by_rules_that_were_removed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.make(rule(expires_after_days=1))
    await world.put("a")
    while_expiring(monkeypatch, world.change)
    assert await world.after(2) == {}
    assert await world.keys() == ["a"]


async def test_versioning_that_is_enabled_meanwhile_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.make(rule(expires_after_days=1))
    await world.put("a")
    world.versioning = Versioning.ENABLED
    while_expiring(monkeypatch, lambda: world.change(rule(expires_after_days=1)))
    assert await world.after(2) == {"current": 1}
    assert await world.versions() == [("a", "DELETE_MARKER"), ("a", "OBJECT")]


async def test_a_bucket_that_goes_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.make(rule(expires_after_days=1))
    await world.put("a")

    async def remove() -> None:
        await world.index.delete_object(world.bucket.bucket_id, Deletion(b"a"))
        await world.index.delete_bucket(world.bucket.bucket_id)

    while_expiring(monkeypatch, remove)
    assert await world.after(2) == {}


async def test_what_became_current_again_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.make(rule(noncurrent_days=1), versioning=Versioning.ENABLED)
    await world.put("a")
    current = await world.put("a")
    deletion = Deletion(b"a", current.version_id)
    while_expiring(monkeypatch, lambda: world.index.delete_object(world.bucket.bucket_id, deletion))
    assert await world.after(3) == {}
    assert await world.versions() == [("a", "OBJECT")]


# What was never written


async def test_rows_that_were_tampered_with_stay(world: World) -> None:
    await world.make(rule(expires_after_days=1))
    row = await world.put("a")
    versions = world.index._versions[row.bucket_id, row.key]
    versions[0] = replace(row, modified_us=1)
    assert await world.run() == {}
    assert await world.keys() == ["a"]
    assert len(world.events) == 1


async def test_a_bucket_that_was_tampered_with_is_passed_over(world: World) -> None:
    await world.make(rule(expires_after_days=1))
    await world.put("a")
    other = BucketRow(new_id(), "1" * 12, "a-bucket", "us-east-1", 1, 0, b"")
    await world.index.create_bucket(replace(other, sealed=b"nothing" * 9))
    assert await world.after(2) == {"current": 1}
    assert len(world.events) == 1


async def test_a_bucket_that_cannot_be_listed_is_passed_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.make(rule(expires_after_days=1))
    await world.put("a")
    other = BucketRow(new_id(), "1" * 12, "a-bucket", "us-east-1", 1, 0, b"")
    await world.index.create_bucket(world.sealed(other, rule(expires_after_days=1)))
    list_versions = MemoryIndex.list_versions

    async def damaged(self: MemoryIndex, bucket_id: bytes, **where: object) -> object:
        if bucket_id == other.bucket_id:
            raise RowDamaged("it is of kind 9")
        return await list_versions(self, bucket_id, **where)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryIndex, "list_versions", damaged)
    assert await world.after(2) == {"current": 1}
    assert len(world.events) == 1


def replace_tags(document: ObjectDocument, tags: dict[str, str]) -> ObjectDocument:
    return ObjectDocument(etag=document.etag, commitment=document.commitment, tags=tags)
