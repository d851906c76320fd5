"""Versions and uploads that go because of their age. See ExpiryIndex for the contract."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.storage.errors import NoSuchUpload
from gateway.storage.index.records import BucketRow, Expiry, UploadRow
from gateway.storage.index.sqlite.bucket_rows import require_unchanged
from gateway.storage.index.sqlite.part import IndexPart
from gateway.storage.index.sqlite.uploads import abort_upload
from gateway.storage.index.sqlite.versions import StoredVersion, find_version, place_version, remove_version

_NEWER = """
    SELECT row_uid, vsort FROM object_version WHERE bucket_id = ? AND history = 1 AND key = ? AND vsort < ?
    UNION ALL
    SELECT row_uid, vsort FROM object_version WHERE bucket_id = ? AND history = 0 AND key = ? AND vsort < ?
    ORDER BY vsort DESC LIMIT ?
"""
_HAS_OLDER = "SELECT 1 FROM object_version WHERE bucket_id = ? AND history = 1 AND key = ? AND vsort > ? LIMIT 1"


class SQLiteExpiry(IndexPart):
    async def expire_versions(self, bucket: BucketRow, expiries: Sequence[Expiry]) -> Sequence[bool]:
        def expire(connection: sqlite3.Connection) -> list[bool]:
            require_unchanged(connection, bucket)
            return [_expire(connection, each, self._clock_us()) for each in expiries]

        return await self._database.write(expire)

    async def expire_uploads(self, bucket: BucketRow, uploads: Sequence[UploadRow]) -> Sequence[bool]:
        def expire(connection: sqlite3.Connection) -> list[bool]:
            require_unchanged(connection, bucket)
            return [_abort(connection, each, self._clock_us()) for each in uploads]

        return await self._database.write(expire)


def _expire(connection: sqlite3.Connection, expiry: Expiry, now_us: int) -> bool:
    row = expiry.row
    version = find_version(connection, row.bucket_id, row.key, row.version_id)
    if version is None or not _is_as_seen(connection, expiry, version):
        return False
    if expiry.marker is not None:
        place_version(connection, expiry.marker, version, now_us)
    else:
        remove_version(connection, version, now_us)
    return True


def _is_as_seen(connection: sqlite3.Connection, expiry: Expiry, version: StoredVersion) -> bool:
    if (version.row.row_uid, version.row.revision) != (expiry.row.row_uid, expiry.row.revision):
        return False
    place = (version.row.bucket_id, version.row.key, version.vsort)
    newer = connection.execute(_NEWER, (*place, *place, max(expiry.newer, 1))).fetchall()
    if (newer[0][0] if newer else None) != expiry.successor or len(newer) < expiry.newer:
        return False
    return not (expiry.is_only and connection.execute(_HAS_OLDER, place).fetchone())


def _abort(connection: sqlite3.Connection, upload: UploadRow, now_us: int) -> bool:
    try:
        abort_upload(connection, upload.bucket_id, upload.key, upload.upload_id, now_us)
    except NoSuchUpload:  # raised before anything was changed
        return False
    return True
