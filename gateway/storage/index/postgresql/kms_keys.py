"""What a KMS key opens. See KMSKeyIndex for the contract."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from gateway.storage.index.postgresql.part import IndexPart
from gateway.storage.index.records import KeyedBucketKeys, KeyedObject, KeyedPage, KeyedUpload
from gateway.storage.index.upload_columns import COLUMNS as UPLOAD_COLUMNS
from gateway.storage.index.upload_columns import upload_row
from gateway.storage.index.version_columns import COLUMNS, row_of_columns

_POSITION = struct.Struct(">qq")
_FIRST: Final = _POSITION.pack(-1, 0)
_MORE_COLUMNS: Final = 6
_LAST_VERSION: Final = 2**63 - 1

_BLOB_IDS = "(SELECT p.blob_ids FROM object_parts p WHERE p.row_uid = v.row_uid)"
_FIRST_BLOB = f"coalesce(v.blob_id, substring({_BLOB_IDS} FROM 1 FOR 16))"
LIST_OBJECTS = f"""
    SELECT {COLUMNS}, CASE WHEN has_parts THEN {_BLOB_IDS} END, bucket_id,
        (SELECT name FROM bucket b WHERE b.bucket_id = v.bucket_id),
        coalesce((SELECT refs FROM blob b WHERE b.blob_id = {_FIRST_BLOB}), 0),
        key_version, version_no
    FROM object_version v
    WHERE key_arn = $1 AND (key_version, version_no) > ($2, $3) ORDER BY key_version, version_no LIMIT $4
"""  # noqa: S608  # constants only
COUNT_OBJECTS = "SELECT count(*) FROM object_version WHERE key_arn = $1 AND key_version < $2"
LIST_UPLOADS = f"""
    SELECT {UPLOAD_COLUMNS}, (SELECT name FROM bucket b WHERE b.bucket_id = u.bucket_id),
        (SELECT count(*) FROM multipart_part p WHERE p.upload_id = u.upload_id),
        (SELECT coalesce(sum(size), 0)::bigint FROM multipart_part p WHERE p.upload_id = u.upload_id)
    FROM multipart_upload u WHERE key_arn = $1 AND upload_id > $2 ORDER BY upload_id LIMIT $3
"""  # noqa: S608  # constants only
COUNT_BUCKET_KEYS = """
    SELECT b.name, k.key_version, count(*) FROM bucket_key k JOIN bucket b USING (bucket_id)
    WHERE k.key_arn = $1 GROUP BY b.name, k.key_version ORDER BY b.name, k.key_version
"""


class PostgreSQLKMSKeys(IndexPart):
    async def list_objects_of_key(self, key_arn: str, *, after: bytes | None, limit: int) -> KeyedPage:
        position = _POSITION.unpack(after or _FIRST)
        rows = await self._database.rows(LIST_OBJECTS, key_arn, *position, limit)
        objects = []
        for row in rows:
            columns = row[:-_MORE_COLUMNS]
            blob_ids, bucket_id, name, references, *place = row[-_MORE_COLUMNS:]
            found = row_of_columns(bucket_id, columns, blob_ids, None)
            objects.append(KeyedObject(name, found, references, _POSITION.pack(*place)))
        return KeyedPage(tuple(objects), None if len(rows) < limit else objects[-1].position)

    async def count_objects_of_key(self, key_arn: str, *, before_version: int | None = None) -> int:
        before = _LAST_VERSION if before_version is None else before_version
        ((count,),) = await self._database.rows(COUNT_OBJECTS, key_arn, before)
        return int(count)

    async def list_uploads_of_key(self, key_arn: str, *, after: bytes, limit: int) -> Sequence[KeyedUpload]:
        rows = await self._database.rows(LIST_UPLOADS, key_arn, after, limit)
        return [KeyedUpload(row[-3], upload_row(row[:-3]), row[-2], row[-1]) for row in rows]

    async def count_bucket_keys_of_key(self, key_arn: str) -> Sequence[KeyedBucketKeys]:
        return [KeyedBucketKeys(*row) for row in await self._database.rows(COUNT_BUCKET_KEYS, key_arn)]
