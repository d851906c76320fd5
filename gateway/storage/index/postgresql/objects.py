"""Object versions: reading, placing and removing them. See ObjectIndex for the contract."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from database.connection import Transaction
from gateway.storage.errors import BlobMissing, Conflict, NoSuchBucket, NoSuchKey, NoSuchVersion
from gateway.storage.index.interface import Change, Precondition
from gateway.storage.index.listing import Fetch, Position, list_page, skip_given_prefix
from gateway.storage.index.pages import (
    BlobBudget,
    ObjectPage,
    VersionPage,
    object_page,
    tie_of_vsort,
    version_page,
    vsort_of_tie,
)
from gateway.storage.index.postgresql.blob_rows import add_blobs, share_blobs
from gateway.storage.index.postgresql.client_tokens import request_of_token, use_token
from gateway.storage.index.postgresql.listing_queries import can_skip, listing_queries, run_listing
from gateway.storage.index.postgresql.locks import lock_keys, lock_keys_in_bucket
from gateway.storage.index.postgresql.part import IndexPart
from gateway.storage.index.postgresql.versions import (
    StoredVersion,
    change_version,
    find_version,
    newest_version,
    place_version,
    remove_version,
    rewrap_version,
    whole_rows,
)
from gateway.storage.index.records import ClientToken, Deletion, NewBlob, ObjectRow
from gateway.storage.index.told import Told
from gateway.storage.index.version_columns import COLUMNS, TOLD, all_blobs, told_columns

LIST_CURRENT = listing_queries("object_version", TOLD, where="is_current")
LIST_VERSIONS = listing_queries("object_version", f"{TOLD}, vsort, is_current", tie="vsort")
LIST_WHOLE_VERSIONS = listing_queries("object_version", f"{COLUMNS}, vsort, is_current", tie="vsort")


class PostgreSQLObjects(IndexPart):
    async def put_object(
        self, row: ObjectRow, blobs: Sequence[NewBlob], precondition: Precondition | None = None
    ) -> None:
        async def put(transaction: Transaction) -> None:
            if not await lock_keys_in_bucket(transaction, row.bucket_id, [row.key]):
                raise NoSuchBucket
            newest = await newest_version(transaction, row.bucket_id, row.key)
            if precondition:
                precondition(newest.row if newest else None)
            await add_blobs(transaction, blobs)
            new = {blob.blob_id for blob in blobs}
            # Sharing comes before the replaced version lets go: a copy onto itself must not condemn its own blobs.
            await share_blobs(transaction, [blob_id for blob_id in all_blobs(row) if blob_id not in new])
            await place_version(transaction, row, newest, self._clock_us())

        await self._database.write(put)

    async def get_object(self, bucket_id: bytes, key: bytes, version_id: str | None = None) -> ObjectRow:
        async def get(transaction: Transaction) -> ObjectRow:
            return (await _version(transaction, bucket_id, key, version_id)).row

        return await self._database.ask(get)

    async def rename_object(
        self,
        source: ObjectRow,
        row: ObjectRow,
        manifest: NewBlob,
        precondition: Precondition | None = None,
        token: ClientToken | None = None,
    ) -> None:
        async def rename(transaction: Transaction) -> None:
            now_us = self._clock_us()
            await lock_keys(transaction, [(source.bucket_id, source.key), (row.bucket_id, row.key)])
            if token is not None:
                await use_token(transaction, row.bucket_id, token, now_us)
            moved = await newest_version(transaction, source.bucket_id, source.key)
            if moved is None or moved.row != source:
                raise Conflict("the object was changed since it was read")
            newest = await newest_version(transaction, row.bucket_id, row.key)
            if precondition:
                precondition(newest.row if newest else None)
            # References are taken before the source lets go; its row goes before one of the same uid comes.
            await share_blobs(transaction, row.blob_ids)
            await remove_version(transaction, moved, now_us)
            await add_blobs(transaction, [manifest])
            await place_version(transaction, row, newest, now_us)

        await self._database.write(rename)

    async def rewrap_object(self, old: ObjectRow, row: ObjectRow, blobs: Sequence[NewBlob]) -> None:
        async def rewrap(transaction: Transaction) -> None:
            await lock_keys(transaction, [(old.bucket_id, old.key)])
            version = await find_version(transaction, old.bucket_id, old.key, old.version_id)
            if version is None or version.row != old:
                raise Conflict("the object was changed since it was read")
            await add_blobs(transaction, blobs)
            await rewrap_version(transaction, version, row, self._clock_us())

        await self._database.write(rewrap)

    async def request_of_token(self, bucket_id: bytes, token: str) -> bytes | None:
        return await request_of_token(self._database, bucket_id, token, self._clock_us())

    async def change_object(self, bucket_id: bytes, key: bytes, version_id: str | None, change: Change) -> ObjectRow:
        async def write(transaction: Transaction) -> ObjectRow:
            await lock_keys(transaction, [(bucket_id, key)])
            version = await _version(transaction, bucket_id, key, version_id)
            changed = change(version.row)
            await change_version(transaction, version, changed)
            return changed

        return await self._database.write(write)

    async def delete_object(
        self, bucket_id: bytes, deletion: Deletion, precondition: Precondition | None = None
    ) -> ObjectRow | None:
        (gone,) = await self._delete_all(bucket_id, [deletion], precondition)
        return gone

    async def delete_objects(self, bucket_id: bytes, deletions: Sequence[Deletion]) -> Sequence[ObjectRow | None]:
        return await self._delete_all(bucket_id, deletions, None)

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
        async def list_all(transaction: Transaction) -> VersionPage:
            position = await _after_version(transaction, bucket_id, after)
            pages = list_page(
                skip_given_prefix(position, prefix=prefix, delimiter=delimiter, after=after[0] if after else b""),
                prefix=prefix,
                delimiter=delimiter,
                page_size=max_keys,
                is_full=BlobBudget() if whole else None,
                tie_of=lambda row: tie_of_vsort(row[-2]),
                engine_skips=can_skip(delimiter),
            )
            listing = await run_listing(
                transaction,
                LIST_WHOLE_VERSIONS if whole else LIST_VERSIONS,
                pages,
                bucket_id,
                position=lambda fetch: (fetch.position[0], vsort_of_tie(fetch.position[1])),
                prefix=prefix,
                delimiter=delimiter,
            )
            rows = [row[:-2] for row in listing.rows]
            records = await whole_rows(transaction, bucket_id, rows) if whole else None
            told = Told(bucket_id, list(map(told_columns, rows)) if whole else rows)
            return version_page(listing, told, [row[-1] for row in listing.rows], position, records)

        return await self._database.read(list_all)

    async def list_objects(
        self, bucket_id: bytes, *, prefix: bytes, delimiter: bytes, after: bytes, max_keys: int
    ) -> ObjectPage:
        async def list_current(transaction: Transaction) -> ObjectPage:
            pages = list_page(
                skip_given_prefix((after, b"\0"), prefix=prefix, delimiter=delimiter, after=after),
                prefix=prefix,
                delimiter=delimiter,
                page_size=max_keys,
                engine_skips=can_skip(delimiter),
            )
            listing = await run_listing(
                transaction,
                LIST_CURRENT,
                pages,
                bucket_id,
                position=_first_key,
                prefix=prefix,
                delimiter=delimiter,
            )
            return object_page(listing, Told(bucket_id, listing.rows))

        return await self._database.read(list_current)

    async def read_inline(self, blob_id: bytes) -> bytes:
        found = await self._database.row("SELECT data FROM inline_blob WHERE blob_id = $1", blob_id)
        if found is None:
            raise BlobMissing(f"inline blob {blob_id.hex()}")
        data: bytes = found[0]
        return data

    def expecting(self) -> AbstractContextManager[None]:
        return nullcontext()  # each writes by a connection of its own

    async def _delete_all(
        self, bucket_id: bytes, deletions: Sequence[Deletion], precondition: Precondition | None
    ) -> list[ObjectRow | None]:
        async def delete(transaction: Transaction) -> list[ObjectRow | None]:
            now_us = self._clock_us()
            keys = [deletion.key for deletion in deletions]
            has_bucket = await lock_keys_in_bucket(transaction, bucket_id, keys)
            return [
                await _delete(transaction, bucket_id, deletion, precondition, now_us, has_bucket=has_bucket)
                for deletion in deletions
            ]

        return await self._database.write(delete)


async def _version(transaction: Transaction, bucket_id: bytes, key: bytes, version_id: str | None) -> StoredVersion:
    """The newest version, or the one of that id. Raises NoSuchKey, or with `version_id` NoSuchVersion."""
    if version_id is None:
        version = await newest_version(transaction, bucket_id, key)
    else:
        version = await find_version(transaction, bucket_id, key, version_id)
    if version is None:
        raise NoSuchKey if version_id is None else NoSuchVersion
    return version


async def _delete(
    transaction: Transaction,
    bucket_id: bytes,
    deletion: Deletion,
    precondition: Precondition | None,
    now_us: int,
    *,
    has_bucket: bool,
) -> ObjectRow | None:
    """See ObjectIndex.delete_object; the key is locked."""
    key, version_id, marker = deletion.key, deletion.version_id, deletion.marker
    if version_id is None:
        version = await newest_version(transaction, bucket_id, key)
    else:
        version = await find_version(transaction, bucket_id, key, version_id)
    if precondition:
        precondition(version.row if version else None)
    if marker is not None:
        if not has_bucket:
            raise NoSuchBucket
        await place_version(transaction, marker, version, now_us)
        return None
    if version is None:
        return None
    await remove_version(transaction, version, now_us)
    return version.row


async def _after_version(
    transaction: Transaction, bucket_id: bytes, after: tuple[bytes, str | None] | None
) -> Position:
    if after is None:
        return (b"", b"")
    key, version_id = after
    if version_id is None:
        return (key + b"\0", b"")
    version = await find_version(transaction, bucket_id, key, version_id)
    return (key, b"" if version is None else tie_of_vsort(version.vsort))


def _first_key(fetch: Fetch) -> tuple[object, ...]:
    """One row a key is all there is here: a tie means "after this key"."""
    key, tie = fetch.position
    return (key + b"\0" if tie else key,)
