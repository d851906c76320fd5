"""The blast radius of a KMS key: what it opens, by bucket and version of its material, and what nothing else opens.

Counted from index rows, each of which is verified. A version is opened by nothing else if its row's wrap, and the wrap
that the footers of its blobs hold, are under this key, and so is every other version that shares its blobs. Counting
is over pages, in memory bounded by the number of blobs that are shared: what is written meanwhile may be left out.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from gateway.operations.first_wrap import first_key
from gateway.operations.sealed_rows import SealedRows
from gateway.sealing.errors import SealingError
from gateway.storage.index.interface import KMSKeyIndex
from gateway.storage.index.records import KeyedObject, KeyedUpload

PAGE: Final = 200
"""Rows between two looks at the event loop: some 5 ms."""


@dataclass(slots=True)
class Count:
    """`bytes` are of plaintext."""

    number: int = 0
    bytes: int = 0

    def add(self, size: int, number: int = 1) -> None:
        self.number += number
        self.bytes += size


@dataclass(slots=True)
class Opened:
    """What is opened in one bucket, or by one version of the key's material.

    `only` are those of `versions` that nothing else opens, as far as can be told; `uploads` are in progress, and their
    bytes those of their parts.
    """

    versions: Count = field(default_factory=Count)
    only: Count = field(default_factory=Count)
    uploads: Count = field(default_factory=Count)
    parts: int = 0
    bucket_keys: int = 0


@dataclass(slots=True)
class KeyUsage:
    """What the key `key_arn` opens. `damaged` rows name it and are not authentic: the key opens nothing by them."""

    key_arn: str
    by_bucket: dict[str, Opened] = field(default_factory=lambda: defaultdict(Opened))
    by_version: dict[int, Opened] = field(default_factory=lambda: defaultdict(Opened))
    total: Opened = field(default_factory=Opened)
    damaged: int = 0

    @property
    def is_none(self) -> bool:
        total = self.total
        return not (total.versions.number or total.uploads.number or total.bucket_keys or self.damaged)

    def of(self, bucket: str, version: int | None) -> tuple[Opened, Opened, Opened]:
        return self.by_bucket[bucket], self.by_version[version or 0], self.total


class Witness(Protocol):
    """Told of each version that is counted, for a list of them."""

    def see(self, each: KeyedObject, *, is_damaged: bool) -> None:
        """A row that names the key."""
        ...

    def only(self, row_uid: bytes) -> None:
        """One that was seen, and that nothing else opens."""
        ...


@dataclass(slots=True)
class _Shared:
    """Versions under the key that share blobs with others: whether those are under it as well is known at the end."""

    references: int = 0
    found: list[KeyedObject] = field(default_factory=list)


async def count_usage(
    index: KMSKeyIndex,
    rows: SealedRows,
    key_arn: str,
    progress: Callable[[int], None] = lambda _: None,
    witness: Witness | None = None,
) -> KeyUsage:
    """Raises StorageUnavailable. `progress` is given the number of versions counted so far."""
    usage = KeyUsage(key_arn)
    shared: dict[bytes, _Shared] = defaultdict(_Shared)
    done = 0
    async for each in objects_of_key(index, key_arn):
        _count_object(usage, shared, rows, each, witness)
        done += 1
        if not done % PAGE:
            progress(done)
    for group in shared.values():
        if len(group.found) >= group.references:
            for found in group.found:
                _count_only(usage, found, witness)
    async for upload in _uploads_of_key(index, key_arn):
        _count_upload(usage, rows, upload)
    for keys in await index.count_bucket_keys_of_key(key_arn):
        for opened in usage.of(keys.bucket_name, keys.key_version):
            opened.bucket_keys += keys.count
    progress(done)
    return usage


async def objects_of_key(index: KMSKeyIndex, key_arn: str) -> AsyncIterator[KeyedObject]:
    """All object versions whose wrap names the key."""
    after: bytes | None = None
    while True:
        page = await index.list_objects_of_key(key_arn, after=after, limit=PAGE)
        for each in page.objects:
            yield each
        after = page.next_after
        if after is None:
            return
        await asyncio.sleep(0)


async def _uploads_of_key(index: KMSKeyIndex, key_arn: str) -> AsyncIterator[KeyedUpload]:
    after = b""
    while uploads := await index.list_uploads_of_key(key_arn, after=after, limit=PAGE):
        for each in uploads:
            yield each
        after = uploads[-1].row.upload_id
        await asyncio.sleep(0)


def _count_object(
    usage: KeyUsage, shared: dict[bytes, _Shared], rows: SealedRows, each: KeyedObject, witness: Witness | None
) -> None:
    row = each.row
    try:
        first = first_key(row.wrap, rows.open_object(row))
    except SealingError:
        usage.damaged += 1
        if witness is not None:
            witness.see(each, is_damaged=True)
        return
    if witness is not None:
        witness.see(each, is_damaged=False)
    for opened in usage.of(each.bucket_name, row.wrap.key_version):
        opened.versions.add(row.size)
    if first != usage.key_arn:
        return
    if each.references > 1:
        group = shared[row.blob_ids[0]]
        group.references = max(group.references, each.references)
        # Without what of the row is long: groups are kept until the end.
        group.found.append(replace(each, row=replace(row, sealed=b"", blob_ids=())))
    else:
        _count_only(usage, each, witness)


def _count_only(usage: KeyUsage, each: KeyedObject, witness: Witness | None) -> None:
    for opened in usage.of(each.bucket_name, each.row.wrap.key_version):
        opened.only.add(each.row.size)
    if witness is not None:
        witness.only(each.row.row_uid)


def _count_upload(usage: KeyUsage, rows: SealedRows, each: KeyedUpload) -> None:
    try:
        rows.open_upload(each.row)
    except SealingError:
        usage.damaged += 1
        return
    for opened in usage.of(each.bucket_name, each.row.wrap.key_version):
        opened.uploads.add(each.part_bytes)
        opened.parts += each.parts


def told_usage(usage: KeyUsage) -> dict[str, int]:
    """In a few numbers, for a line of the audit trail."""
    total = usage.total
    return {
        "buckets": len(usage.by_bucket),
        "versions": total.versions.number,
        "bytes": total.versions.bytes,
        "versionsOfNoOtherKey": total.only.number,
        "bytesOfNoOtherKey": total.only.bytes,
        "uploads": total.uploads.number,
        "bucketKeys": total.bucket_keys,
        "damagedRows": usage.damaged,
    }
