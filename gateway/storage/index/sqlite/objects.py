"""Object versions: reading, placing and removing them. See ObjectIndex for the contract."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from gateway.storage.errors import BlobMissing, Conflict, NoSuchKey, NoSuchVersion
from gateway.storage.index.interface import Change, Precondition
from gateway.storage.index.listing import (
    Fetch,
    Position,
    Row,
    key_after_prefix,
    list_page,
    run,
    skip_given_prefix,
)
from gateway.storage.index.pages import (
    BlobBudget,
    ObjectPage,
    VersionPage,
    object_page,
    tie_of_vsort,
    version_page,
    vsort_of_tie,
)
from gateway.storage.index.records import (
    ClientToken,
    Deletion,
    NewBlob,
    ObjectRow,
)
from gateway.storage.index.sqlite.at_once import is_usual, mark_at_once, place_at_once, remove_at_once
from gateway.storage.index.sqlite.blob_rows import share_blobs
from gateway.storage.index.sqlite.bucket_rows import require_bucket
from gateway.storage.index.sqlite.client_tokens import request_of_token, use_token
from gateway.storage.index.sqlite.part import IndexPart
from gateway.storage.index.sqlite.versions import (
    GET_CURRENT,
    StoredVersion,
    add_blobs,
    change_version,
    current_version,
    find_version,
    newest_in_history,
    object_row,
    place_version,
    remove_version,
    rewrap_version,
    whole_rows,
)
from gateway.storage.index.told import Told
from gateway.storage.index.version_columns import COLUMNS, TOLD, all_blobs, told_columns

_LIST = f"""
    SELECT {TOLD} FROM object_version
    WHERE bucket_id = ? AND history = 0 AND key >= ? AND key < ? ORDER BY key LIMIT ?
"""  # noqa: S608  # constants only

# From common prefix to common prefix, a seek for each, up to the first key in none. NULs are bytes as others are here.
# A scalar query, not a join: so the key comes from the index, and no step reads a row. The last one finds NULL.
_FOUND = "instr(substr(step.key, :start), :delimiter)"
_SKIP = f"""
    WITH RECURSIVE step (key, number) AS (
        SELECT * FROM (
            SELECT key, 1 FROM object_version
            WHERE bucket_id = :bucket_id AND history = 0 AND key >= :first AND key < :end ORDER BY key LIMIT 1
        )
        UNION ALL
        SELECT (
            SELECT key FROM object_version
            WHERE bucket_id = :bucket_id AND history = 0
                AND key >= CAST(substr(step.key, 1, :start + {_FOUND} - 2) || :above AS BLOB) AND key < :end
            ORDER BY key LIMIT 1
        ), number + 1
        FROM step WHERE {_FOUND} > 0 AND number < :limit
    )
    SELECT key FROM step WHERE key IS NOT NULL
"""  # noqa: S608  # constants only

_RANGE = "bucket_id = ? AND history = {history} AND (key, vsort) > (?, ?) AND key < ?"


def _of_versions(columns: str) -> str:
    return f"""
        SELECT {columns}, vsort, history FROM object_version WHERE {_RANGE.format(history=0)}
        UNION ALL
        SELECT {columns}, vsort, history FROM object_version WHERE {_RANGE.format(history=1)}
        ORDER BY key, vsort LIMIT ?
    """  # noqa: S608  # constants only


_LIST_VERSIONS, _LIST_WHOLE_VERSIONS = _of_versions(TOLD), _of_versions(COLUMNS)


class SQLiteObjects(IndexPart):
    async def put_object(
        self, row: ObjectRow, blobs: Sequence[NewBlob], precondition: Precondition | None = None
    ) -> None:
        usual = is_usual(row, blobs)

        def put_usual(connection: sqlite3.Connection) -> tuple[None] | None:
            now_us = self._clock_us()
            if precondition:
                require_bucket(connection, row.bucket_id)
            elif place_at_once(connection, row, blobs[0], None, now_us):
                return (None,)
            current = current_version(connection, row.bucket_id, row.key)
            if precondition:
                precondition(current.row if current else None)
            return (None,) if place_at_once(connection, row, blobs[0], current, now_us) else None

        def put(connection: sqlite3.Connection) -> None:
            require_bucket(connection, row.bucket_id)
            current = current_version(connection, row.bucket_id, row.key)
            if precondition:
                precondition(current.row if current else None)
            now_us = self._clock_us()
            add_blobs(connection, blobs)
            new = {blob.blob_id for blob in blobs}
            # Sharing comes before the replaced version lets go: a copy onto itself must not condemn its own blobs.
            share_blobs(connection, [blob_id for blob_id in all_blobs(row) if blob_id not in new])
            place_version(connection, row, current, now_us)

        await self._database.write(put, put_usual if usual else None)

    async def get_object(self, bucket_id: bytes, key: bytes, version_id: str | None = None) -> ObjectRow:
        if version_id is not None:
            version = find_version(self._database, bucket_id, key, version_id)
            if version is None:
                raise NoSuchVersion
            return version.row
        current = self._database.row(GET_CURRENT, (bucket_id, key))
        if current is not None:
            return object_row(bucket_id, current)
        newest = newest_in_history(self._database, bucket_id, key)
        if newest is None:
            raise NoSuchKey
        return newest

    async def rename_object(
        self,
        source: ObjectRow,
        row: ObjectRow,
        manifest: NewBlob,
        precondition: Precondition | None = None,
        token: ClientToken | None = None,
    ) -> None:
        def rename(connection: sqlite3.Connection) -> None:
            now_us = self._clock_us()
            if token is not None:
                use_token(connection, row.bucket_id, token, now_us)
            moved = current_version(connection, source.bucket_id, source.key)
            if moved is None or moved.row != source:
                raise Conflict("the object was changed since it was read")
            current = current_version(connection, row.bucket_id, row.key)
            if precondition:
                precondition(current.row if current else None)
            # References are taken before the source lets go; its row goes before one of the same uid comes.
            share_blobs(connection, row.blob_ids)
            remove_version(connection, moved, now_us)
            add_blobs(connection, [manifest])
            place_version(connection, row, current, now_us)

        await self._database.write(rename)

    async def rewrap_object(self, old: ObjectRow, row: ObjectRow, blobs: Sequence[NewBlob]) -> None:
        def rewrap(connection: sqlite3.Connection) -> None:
            version = find_version(connection, old.bucket_id, old.key, old.version_id)
            if version is None or version.row != old:
                raise Conflict("the object was changed since it was read")
            add_blobs(connection, blobs)
            rewrap_version(connection, version, row, self._clock_us())

        await self._database.write(rewrap)

    async def request_of_token(self, bucket_id: bytes, token: str) -> bytes | None:
        return request_of_token(self._database, bucket_id, token, self._clock_us())

    async def change_object(self, bucket_id: bytes, key: bytes, version_id: str | None, change: Change) -> ObjectRow:
        def write(connection: sqlite3.Connection) -> ObjectRow:
            if version_id is None:
                version = current_version(connection, bucket_id, key)
            else:
                version = find_version(connection, bucket_id, key, version_id)
            if version is None:
                raise NoSuchKey if version_id is None else NoSuchVersion
            changed = change(version.row)
            change_version(connection, version, changed)
            return changed

        return await self._database.write(write)

    async def delete_object(
        self, bucket_id: bytes, deletion: Deletion, precondition: Precondition | None = None
    ) -> ObjectRow | None:
        def delete(connection: sqlite3.Connection) -> ObjectRow | None:
            return _delete(connection, bucket_id, deletion, precondition, self._clock_us())

        def delete_only(connection: sqlite3.Connection) -> tuple[ObjectRow | None] | None:
            version = _version_of(connection, bucket_id, deletion)
            if precondition:
                precondition(version.row if version else None)
            if deletion.marker is not None:
                is_done = version is not None and mark_at_once(connection, deletion.marker, version)
                return (None,) if is_done else None
            if version is None:
                return (None,)
            return (version.row,) if remove_at_once(connection, version, self._clock_us()) else None

        return await self._database.write(delete, delete_only)

    async def delete_objects(self, bucket_id: bytes, deletions: Sequence[Deletion]) -> Sequence[ObjectRow | None]:
        def delete(connection: sqlite3.Connection) -> list[ObjectRow | None]:
            now_us = self._clock_us()
            return [_delete(connection, bucket_id, deletion, None, now_us) for deletion in deletions]

        return await self._database.write(delete)

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
        query = _LIST_WHOLE_VERSIONS if whole else _LIST_VERSIONS
        with self._database.snapshot():
            position = self._after_version(bucket_id, after)
            pages = list_page(
                skip_given_prefix(position, prefix=prefix, delimiter=delimiter, after=after[0] if after else b""),
                prefix=prefix,
                delimiter=delimiter,
                page_size=max_keys,
                is_full=BlobBudget() if whole else None,
                tie_of=lambda row: tie_of_vsort(row[-2]),
            )
            page = run(pages, lambda fetch: self._list_versions(bucket_id, query, fetch))
            rows = [row[:-2] for row in page.rows]
            records = whole_rows(self._database, bucket_id, rows) if whole else None
        told = Told(bucket_id, list(map(told_columns, rows)) if whole else rows)
        return version_page(page, told, [row[-1] == 0 for row in page.rows], position, records)

    async def list_objects(
        self, bucket_id: bytes, *, prefix: bytes, delimiter: bytes, after: bytes, max_keys: int
    ) -> ObjectPage:
        above = key_after_prefix(delimiter)
        with self._database.snapshot():
            pages = list_page(
                skip_given_prefix((after, b"\0"), prefix=prefix, delimiter=delimiter, after=after),
                prefix=prefix,
                delimiter=delimiter,
                page_size=max_keys,
                engine_skips=above is not None,
                skips_prefixes_only=True,
            )
            skip = {"start": len(prefix) + 1, "delimiter": delimiter, "above": above}
            page = run(pages, lambda fetch: self._list(bucket_id, fetch, skip))
        return object_page(page, Told(bucket_id, page.rows))

    async def read_inline(self, blob_id: bytes) -> bytes:
        found = self._database.row("SELECT data FROM inline_blob WHERE blob_id = ?", (blob_id,))
        if found is None:
            raise BlobMissing(f"inline blob {blob_id.hex()}")
        data: bytes = found[0]
        return data

    def expecting(self) -> AbstractContextManager[None]:
        return self._database.expecting()

    def _list(self, bucket_id: bytes, fetch: Fetch, skip: Mapping[str, Any]) -> Sequence[Row]:
        # One row a key is all there is here: a tie means "after this key".
        key, tie = fetch.position
        first = key + b"\0" if tie else key
        if fetch.skips:
            bounds = {"bucket_id": bucket_id, "first": first, "end": fetch.end, "limit": fetch.limit}
            return self._database.rows(_SKIP, {**bounds, **skip})
        return self._database.rows(_LIST, (bucket_id, first, fetch.end, fetch.limit))

    def _after_version(self, bucket_id: bytes, after: tuple[bytes, str | None] | None) -> Position:
        if after is None:
            return (b"", b"")
        key, version_id = after
        if version_id is None:
            return (key + b"\0", b"")
        version = find_version(self._database, bucket_id, key, version_id)
        return (key, b"" if version is None else tie_of_vsort(version.vsort))

    def _list_versions(self, bucket_id: bytes, query: str, fetch: Fetch) -> Sequence[Row]:
        """Of each what the query asks for, vsort and history."""
        key, tie = fetch.position
        bounds = (bucket_id, key, vsort_of_tie(tie), fetch.end)
        return self._database.rows(query, (*bounds, *bounds, fetch.limit))


def _version_of(connection: sqlite3.Connection, bucket_id: bytes, deletion: Deletion) -> StoredVersion | None:
    """What a deletion is about: the version that it names, else the newest one."""
    if deletion.version_id is None:
        return current_version(connection, bucket_id, deletion.key)
    return find_version(connection, bucket_id, deletion.key, deletion.version_id)


def _delete(
    connection: sqlite3.Connection,
    bucket_id: bytes,
    deletion: Deletion,
    precondition: Precondition | None,
    now_us: int,
) -> ObjectRow | None:
    """See ObjectIndex.delete_object; inside a write transaction."""
    version = _version_of(connection, bucket_id, deletion)
    if precondition:
        precondition(version.row if version else None)
    if deletion.marker is not None:
        require_bucket(connection, bucket_id)
        place_version(connection, deletion.marker, version, now_us)
        return None
    if version is None:
        return None
    remove_version(connection, version, now_us)
    return version.row
