"""What a KMS key opens. See KMSKeyIndex for the contract."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from gateway.storage.index.records import KeyedBucketKeys, KeyedObject, KeyedPage, KeyedUpload
from gateway.storage.index.sqlite.part import IndexPart
from gateway.storage.index.sqlite.versions import whole_rows
from gateway.storage.index.upload_columns import COLUMNS as UPLOAD_COLUMNS
from gateway.storage.index.upload_columns import upload_row
from gateway.storage.index.version_columns import COLUMNS

_POSITION = struct.Struct(">q16s")
"""Version of the key, uid of the row. What has another size is a place in an index that was kept otherwise."""

_FIRST: Final = _POSITION.pack(-1, b"")
_MORE_COLUMNS: Final = 5
_LAST_VERSION: Final = 2**63 - 1

_REFERENCES = """
    (SELECT refs FROM blob WHERE blob_id = coalesce(v.blob_id,
        (SELECT substr(p.blob_ids, 1, 16) FROM object_parts p WHERE p.row_uid = v.row_uid)))
"""
_LIST_OBJECTS = f"""
    SELECT {COLUMNS}, bucket_id, (SELECT name FROM bucket b WHERE b.bucket_id = v.bucket_id),
        coalesce({_REFERENCES}, 0), key_version, row_uid
    FROM object_version v
    WHERE key_arn = ? AND (key_version, row_uid) > (?, ?) ORDER BY key_version, row_uid LIMIT ?
"""  # noqa: S608  # constants only
_LIST_UPLOADS = f"""
    SELECT {UPLOAD_COLUMNS}, (SELECT name FROM bucket b WHERE b.bucket_id = u.bucket_id),
        (SELECT count(*) FROM multipart_part p WHERE p.upload_id = u.upload_id),
        (SELECT coalesce(sum(size), 0) FROM multipart_part p WHERE p.upload_id = u.upload_id)
    FROM multipart_upload u WHERE key_arn = ? AND upload_id > ? ORDER BY upload_id LIMIT ?
"""  # noqa: S608  # constants only
_COUNT_OBJECTS = "SELECT count(*) FROM object_version WHERE key_arn = ? AND key_version < ?"
_COUNT_BUCKET_KEYS = """
    SELECT b.name, k.key_version, count(*) FROM bucket_key k JOIN bucket b USING (bucket_id)
    WHERE k.key_arn = ? GROUP BY b.name, k.key_version ORDER BY b.name, k.key_version
"""


class SQLiteKMSKeys(IndexPart):
    async def list_objects_of_key(self, key_arn: str, *, after: bytes | None, limit: int) -> KeyedPage:
        start = _POSITION.unpack(after if after is not None and len(after) == _POSITION.size else _FIRST)
        with self._database.snapshot():
            rows = self._database.rows(_LIST_OBJECTS, (key_arn, *start, limit))
            objects = []
            for row in rows:
                bucket_id, name, references, *position = row[-_MORE_COLUMNS:]
                (found,) = whole_rows(self._database, bucket_id, [row[:-_MORE_COLUMNS]])
                objects.append(KeyedObject(name, found, references, _POSITION.pack(*position)))
        return KeyedPage(tuple(objects), None if len(rows) < limit else objects[-1].position)

    async def count_objects_of_key(self, key_arn: str, *, before_version: int | None = None) -> int:
        before = _LAST_VERSION if before_version is None else before_version
        ((count,),) = self._database.rows(_COUNT_OBJECTS, (key_arn, before))
        return int(count)

    async def list_uploads_of_key(self, key_arn: str, *, after: bytes, limit: int) -> Sequence[KeyedUpload]:
        rows = self._database.rows(_LIST_UPLOADS, (key_arn, after, limit))
        return [KeyedUpload(row[-3], upload_row(row[:-3]), row[-2], row[-1]) for row in rows]

    async def count_bucket_keys_of_key(self, key_arn: str) -> Sequence[KeyedBucketKeys]:
        return [KeyedBucketKeys(*row) for row in self._database.rows(_COUNT_BUCKET_KEYS, (key_arn,))]
