"""Every version of every object opened, and all of its bytes authenticated, with the footers of its blobs.

The KMS is asked as the root user of each bucket's account, through S3: what key policies refuse to that account, or a
key that is disabled, is counted as unchecked, and so are objects by SSE-C, whose keys nobody here has. Blobs that
copies share are read once for each, since each opens them by a wrap of its own. Parts of uploads in progress belong to
no version yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from gateway.operations.download import BlobSlice, InlineSource, Source, blobs_of, open_range
from gateway.operations.jobs.rewrap_runner import OVERLOAD
from gateway.operations.scrub.checksums import read_footer
from gateway.operations.scrub.passes import INAUTHENTIC, PAGE, Pass, Tally, Telling
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.errors import S3Error
from gateway.protocol.modes import Mode
from gateway.protocol.names import BucketName, ObjectKey, object_arn
from gateway.sealing.body_key import BodyKey
from gateway.sealing.data_keys import DataKeys
from gateway.sealing.errors import SealingError
from gateway.sealing.footer import open_descriptor
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import (
    BlobMissing,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    RowDamaged,
    StorageUnavailable,
)
from gateway.storage.index.interface import Index
from gateway.storage.index.records import BlobRow, BucketRow, ObjectRow, RowKind
from gateway.storage.index.version_columns import all_blobs
from iam.principals import Caller, root_principal
from kms.api.errors import KMSError, KMSUnavailable

CUSTOMER_KEYS: Final = "SSE-C"
DAMAGED_ROW: Final = "DamagedRow"


class _Position(msgspec.Struct, frozen=True, array_like=True):
    """The version that was looked at last; without a key: the whole bucket was."""

    bucket: str = ""
    key: bytes | None = None
    version_id: str | None = None


_positions = msgspec.json.Decoder(_Position)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Reading:
    """What reading a body asks for (`gateway.operations.download.BodyServices`)."""

    index: Index
    blobs: BlobStore
    rows: SealedRows
    inline_limit_bytes: int
    integrity_event: Callable[[str, str], None]


class DeepScrub(Pass):
    """See Pass. `via_service` is who asks the KMS: `s3.REGION.amazonaws.com`."""

    name = "scrub-deep"

    def __init__(
        self,
        index: Index,
        blobs: BlobStore,
        telling: Telling,
        owner: str,
        *,
        rows: SealedRows,
        data_keys: DataKeys,
        inline_limit_bytes: int,
        via_service: str,
    ) -> None:
        super().__init__(index, telling, owner)
        self._rows = rows
        self._data_keys = data_keys
        self._via_service = via_service
        self._blobs = blobs
        self._reading = _Reading(index, blobs, rows, inline_limit_bytes, telling.integrity_event)

    async def _total(self) -> int:
        return await self._index.count_blobs()

    async def _page(self, tally: Tally, deadline: float) -> bool:
        position = _position(tally.cursor)
        bucket = await self._bucket(position)
        if bucket is None:
            return True
        after = None
        if bucket.name == position.bucket and position.key is not None:
            after = position.key, position.version_id
        try:
            page = await self._index.list_versions(
                bucket.bucket_id, prefix=b"", delimiter=b"", after=after, max_keys=PAGE, whole=True
            )
        except RowDamaged as error:
            self._row_is_damaged(tally, f"{bucket.name}: {error}")
            tally.cursor = _encode(_Position(bucket.name))
            return False
        for entry in page.entries:
            if not await self._version(tally, bucket, entry.row):
                return False
            tally.seen += len(all_blobs(entry.row))
            tally.cursor = _encode(_Position(bucket.name, entry.row.key, entry.row.version_id))
            if time.monotonic() >= deadline:
                return False
        if page.next_after is None:
            tally.cursor = _encode(_Position(bucket.name))
        return False

    async def _bucket(self, position: _Position) -> BucketRow | None:
        """The one to go on with, or the next one."""
        if position.key is not None:
            try:
                return await self._index.get_bucket(position.bucket)
            except NoSuchBucket:
                pass
        found = await self._index.all_buckets(after=position.bucket, limit=1)
        return found[0] if found else None

    async def _version(self, tally: Tally, bucket: BucketRow, listed: ObjectRow) -> bool:
        """False if it cannot be looked at for now."""
        if listed.kind is not RowKind.OBJECT:
            return True
        if listed.wrap.mode is Mode.SSE_C:
            tally.pass_over(CUSTOMER_KEYS)
            return True
        try:
            row = await self._index.get_object(bucket.bucket_id, listed.key, listed.version_id)
            await self._open(tally, bucket, row)
        except (NoSuchKey, NoSuchVersion):
            pass  # deleted meanwhile
        except (SealingError, RowDamaged) as error:
            self._row_is_damaged(tally, f"{listed.row_uid.hex()}: {type(error).__name__}")
        except KMSUnavailable as error:
            tally.waiting = str(error) or type(error).__name__
            return False
        except KMSError as error:
            if error.code in OVERLOAD:
                tally.waiting = error.code
                return False
            tally.pass_over(f"KMS.{error.code}")
        return True

    def _row_is_damaged(self, tally: Tally, which: str) -> None:
        self._telling.integrity_event("row", f"{which}, met by {self.name}")
        tally.pass_over(DAMAGED_ROW)

    async def _open(self, tally: Tally, bucket: BucketRow, row: ObjectRow) -> None:
        document = self._rows.open_object(row)
        slices = blobs_of(self._reading, row, document)
        data_key = await self._data_keys.open(
            Caller(root_principal(bucket.account_id), self.name, via_service=self._via_service),
            row.wrap,
            context=document.context or {},
            account_id=bucket.account_id,
            bucket_id=bucket.bucket_id,
            row_uid=row.row_uid,
            object_arn=object_arn(BucketName(bucket.name), ObjectKey(row.key.decode())),
        )
        noted = {blob_id for blob_id in all_blobs(row) if await self._is_noted(blob_id)}
        sizes = {each.blob_id: each for each in slices}
        for blob_id in all_blobs(row):
            if await self._is_authentic(blob_id, sizes.get(blob_id), data_key):
                tally.add("well")
                if blob_id in noted:
                    await self._index.forget_bad_blob(blob_id)
            elif await self._is_still(row, bucket):
                await self._note_bad(blob_id, INAUTHENTIC)
            else:
                return

    async def _is_still(self, row: ObjectRow, bucket: BucketRow) -> bool:
        """Whether the version has the same blobs still, and so the same key."""
        current = await self._index.get_object(bucket.bucket_id, row.key, row.version_id)
        return all_blobs(current) == all_blobs(row) and current.row_uid == row.row_uid

    async def _is_noted(self, blob_id: bytes) -> bool:
        before = (int.from_bytes(blob_id) - 1).to_bytes(len(blob_id)) if any(blob_id) else b""
        found = await self._index.list_bad_blobs(after=before, limit=1)
        return bool(found) and found[0].blob_id == blob_id and found[0].problem == INAUTHENTIC

    async def _is_authentic(self, blob_id: bytes, body: BlobSlice | None, data_key: BodyKey) -> bool:
        """`body` is None for a manifest. One that fails is read once more before it counts."""
        reading = replace(self._reading, integrity_event=_not_told)
        for _ in range(2):
            try:
                if body is not None:
                    await self._read(reading, body, data_key)
                await self._open_footer(blob_id, data_key)
            except (S3Error, SealingError, BlobMissing):
                continue
            except StorageUnavailable:
                await self._blobs.ping()  # it is away as a whole, or it is this blob
                continue
            return True
        return False

    async def _read(self, reading: _Reading, body: BlobSlice, data_key: BodyKey) -> None:
        stream = await open_range(reading, data_key, (body,), 0, body.size)
        async with aclosing(stream):
            async for piece in stream:
                await self._spend(len(piece))

    async def _open_footer(self, blob_id: bytes, data_key: BodyKey) -> None:
        row = await self._index.get_blob(blob_id)
        if row is None:
            raise BlobMissing(f"blob {blob_id.hex()} has no row")
        source = await self._source(row)
        try:
            header, footer = await read_footer(source, blob_id, row.stored_bytes)
        finally:
            await source.close()
        open_descriptor(data_key.first, header, footer, second_key=data_key.second)

    async def _source(self, row: BlobRow) -> Source:
        if row.is_inline:
            return InlineSource(await self._index.read_inline(row.blob_id))
        return await self._blobs.open(row.blob_id)


def _position(cursor: bytes) -> _Position:
    """The beginning, where there is none, or none of ours: notes stand in the clear."""
    try:
        return _positions.decode(cursor) if cursor else _Position()
    except msgspec.DecodeError:
        return _Position()


def _not_told(_kind: str, _detail: str) -> None:
    """What is found is told once, by whoever looks again."""
