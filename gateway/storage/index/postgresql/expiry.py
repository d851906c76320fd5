"""Versions and uploads that go because of their age. See ExpiryIndex for the contract.

Locks are taken in the order that `uploads` names.
"""

from __future__ import annotations

from collections.abc import Sequence

from database.connection import Transaction
from gateway.storage.errors import NoSuchUpload
from gateway.storage.index.postgresql.locks import hold_unchanged, lock_keys
from gateway.storage.index.postgresql.part import IndexPart
from gateway.storage.index.postgresql.uploads import abort_upload
from gateway.storage.index.postgresql.versions import StoredVersion, find_version, place_version, remove_version
from gateway.storage.index.records import BucketRow, Expiry, UploadRow

NEWER = """
    SELECT row_uid FROM object_version WHERE bucket_id = $1 AND key = $2 AND vsort < $3
    ORDER BY vsort DESC LIMIT $4::bigint
"""
HAS_OLDER = "SELECT 1 FROM object_version WHERE bucket_id = $1 AND key = $2 AND vsort > $3 LIMIT 1"


class PostgreSQLExpiry(IndexPart):
    async def expire_versions(self, bucket: BucketRow, expiries: Sequence[Expiry]) -> Sequence[bool]:
        async def expire(transaction: Transaction) -> list[bool]:
            await lock_keys(transaction, [(bucket.bucket_id, each.row.key) for each in expiries])
            await hold_unchanged(transaction, bucket)
            return [await _expire(transaction, each, self._clock_us()) for each in expiries]

        return await self._database.write(expire)

    async def expire_uploads(self, bucket: BucketRow, uploads: Sequence[UploadRow]) -> Sequence[bool]:
        async def expire(transaction: Transaction) -> list[bool]:
            await hold_unchanged(transaction, bucket)
            ordered = sorted(uploads, key=lambda each: each.upload_id)  # as who ends all of a bucket locks them
            aborted = {each.upload_id: await _abort(transaction, each, self._clock_us()) for each in ordered}
            return [aborted[each.upload_id] for each in uploads]

        return await self._database.write(expire)


async def _expire(transaction: Transaction, expiry: Expiry, now_us: int) -> bool:
    row = expiry.row
    version = await find_version(transaction, row.bucket_id, row.key, row.version_id)
    if version is None or not await _is_as_seen(transaction, expiry, version):
        return False
    if expiry.marker is not None:
        await place_version(transaction, expiry.marker, version, now_us)
    else:
        await remove_version(transaction, version, now_us)
    return True


async def _is_as_seen(transaction: Transaction, expiry: Expiry, version: StoredVersion) -> bool:
    if (version.row.row_uid, version.row.revision) != (expiry.row.row_uid, expiry.row.revision):
        return False
    newer = await transaction.rows(NEWER, *version.position, max(expiry.newer, 1))
    if (newer[0][0] if newer else None) != expiry.successor or len(newer) < expiry.newer:
        return False
    return not (expiry.is_only and await transaction.row(HAS_OLDER, *version.position))


async def _abort(transaction: Transaction, upload: UploadRow, now_us: int) -> bool:
    try:
        await abort_upload(transaction, upload.bucket_id, upload.key, upload.upload_id, now_us)
    except NoSuchUpload:  # raised before anything was changed
        return False
    return True
