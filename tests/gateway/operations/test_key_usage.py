"""What a key opens, and what nothing else opens, against a plain count over any set of objects."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.commands.version_list import Fate, VersionList
from gateway.operations.documents import ObjectDocument
from gateway.operations.first_wrap import SERVICE_KEY
from gateway.operations.key_usage import Count, count_usage
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.modes import Mode, Wrap
from gateway.sealing.row import RowSealer
from gateway.storage.index.records import NewBlob, ObjectRow
from kms.api.secrets import SecretBytes
from tests.conformance.index import bucket_row, object_row
from tests.fakes import MemoryIndex

KEY, OTHER = (f"arn:aws:kms:us-east-1:111122223333:key/{number}" for number in "12")
BUCKETS = ("first", "second")


@dataclass(frozen=True)
class Object:
    """Whose wrap its row has, whose the footers of its blobs, and whose blobs it shares (a number: of which group)."""

    bucket: int
    size: int
    key: str
    key_version: int
    first_key: str
    group: int | None
    is_damaged: bool


OBJECTS = st.lists(
    st.builds(
        Object,
        st.integers(0, 1),
        st.integers(0, 1 << 40),
        st.sampled_from([KEY, KEY, OTHER, SERVICE_KEY]),
        st.integers(1, 3),
        st.sampled_from([KEY, KEY, OTHER, SERVICE_KEY]),
        st.none() | st.integers(0, 3),
        st.sampled_from([False] * 9 + [True]),
    ),
    max_size=30,
)


def fates(objects: list[Object]) -> list[Fate | None]:
    """None for what the key does not open."""

    def opens_alone(each: Object) -> bool:
        sharers = [other for other in objects if other.group == each.group] if each.group is not None else [each]
        return all(other.key == other.first_key == KEY and not other.is_damaged for other in sharers)

    told: list[Fate | None] = []
    for each in objects:
        if each.key != KEY:
            told.append(None)
        elif each.is_damaged:
            told.append(Fate.DAMAGED)
        else:
            told.append(Fate.UNREADABLE if opens_alone(each) else Fate.OTHER_WRAPS)
    return told


def row_of(rows: SealedRows, bucket_id: bytes, number: int, each: Object, blob_id: bytes) -> ObjectRow:
    is_service = each.key == SERVICE_KEY
    wrap = Wrap(Mode.SSE_S3, b"w") if is_service else Wrap(Mode.SSE_KMS, b"w", each.key, each.key_version)
    row = object_row(bucket_id, str(number).encode(), size=each.size, wrap=wrap, blob_ids=(blob_id,))
    document = ObjectDocument("etag", first_key=None if each.first_key == each.key else each.first_key)
    sealed = rows.seal_object(row, document)
    return replace(sealed, size=each.size + 1) if each.is_damaged else sealed


@given(objects=OBJECTS)
def test_as_a_plain_count(objects: list[Object]) -> None:
    # Objects that share blobs were first written under one key: that of the first of them.
    first_of = {each.group: each.first_key for each in reversed(objects) if each.group is not None}
    objects = [each if each.group is None else replace(each, first_key=first_of[each.group]) for each in objects]
    asyncio.run(check(objects))


async def check(objects: list[Object]) -> None:
    index, rows = MemoryIndex(), SealedRows(RowSealer({1: SecretBytes(bytes(32))}, 1))
    buckets = [bucket_row(name) for name in BUCKETS]
    for bucket in buckets:
        await index.create_bucket(bucket)
    blobs: dict[int, bytes] = {}
    uids: list[bytes] = []
    for number, each in enumerate(objects):
        is_new = each.group not in blobs
        blob_id = hashlib.sha256(str(number).encode()).digest()[:16] if is_new else blobs[each.group or 0]
        if each.group is not None:
            blobs[each.group] = blob_id
        row = row_of(rows, buckets[each.bucket].bucket_id, number, each, blob_id)
        uids.append(row.row_uid)
        await index.put_object(row, [NewBlob(blob_id, 10)] if is_new else [])
    expected = fates(objects)
    with VersionList() as versions:
        usage = await count_usage(index, rows, KEY, witness=versions)
        lines = list(versions.lines())
        assert versions.digest() == (hashlib.sha256(b"".join(lines)).hexdigest(), len(lines))
        assert {fate: versions.count(fate) for fate in Fate} == {fate: expected.count(fate) for fate in Fate}
    told = [json.loads(line) for line in lines]
    known = {uid.hex(): fate.value for uid, fate in zip(uids, expected, strict=True) if fate is not None}
    assert [each["rowId"] for each in told] == sorted(known)
    assert {each["rowId"]: each["fate"] for each in told} == known
    assert usage.damaged == expected.count(Fate.DAMAGED)
    counted = Counter[tuple[str, int, bool]]()
    sizes = Counter[tuple[str, int, bool]]()
    for each, fate in zip(objects, expected, strict=True):
        if fate in {Fate.UNREADABLE, Fate.OTHER_WRAPS}:
            place = (BUCKETS[each.bucket], each.key_version, fate is Fate.UNREADABLE)
            counted[place] += 1
            sizes[place] += each.size

    def plain(*, bucket: str | None = None, version: int | None = None, is_only: bool) -> Count:
        chosen = [
            place
            for place in counted
            if bucket in {None, place[0]} and version in {None, place[1]} and (place[2] or not is_only)
        ]
        return Count(sum(counted[place] for place in chosen), sum(sizes[place] for place in chosen))

    assert set(usage.by_bucket) == {place[0] for place in counted}
    assert set(usage.by_version) == {place[1] for place in counted}
    for bucket, opened in usage.by_bucket.items():
        assert opened.versions == plain(bucket=bucket, is_only=False)
        assert opened.only == plain(bucket=bucket, is_only=True)
    for version, opened in usage.by_version.items():
        assert opened.versions == plain(version=version, is_only=False)
        assert opened.only == plain(version=version, is_only=True)
    assert (usage.total.versions, usage.total.only) == (plain(is_only=False), plain(is_only=True))
