"""Walking over the backing store: which blobs it has, and which uploads never ended."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator
from typing import Final

from gateway.storage.blobs.ids import created_ms
from gateway.storage.blobs.s3.backend import Backend, Refused
from gateway.storage.blobs.s3.documents import (
    ListedUpload,
    read_newest_part_ms,
    read_object_page,
    read_upload_page,
)
from gateway.storage.blobs.s3.location import SHARDS
from gateway.storage.errors import StorageUnavailable

_SECOND_MS: Final = 1000
"""S3 tells times to the second: what it says to be of one may be of its end."""


async def scan_blobs(backend: Backend, before_ms: int) -> AsyncIterator[bytes]:
    """See BlobStore.scan. Names that are not ours are passed over. Holds a page of each shard."""
    shards = [_shard(backend, shard, before_ms) for shard in SHARDS]
    heads: list[tuple[bytes, int]] = []
    for number, each in enumerate(shards):
        async for blob_id in each:
            heads.append((blob_id, number))
            break
    heapq.heapify(heads)
    while heads:
        blob_id, number = heads[0]
        yield blob_id
        following = await anext(shards[number], None)
        if following is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (following, number))


async def _shard(backend: Backend, shard: str, before_ms: int) -> AsyncIterator[bytes]:
    location = backend.location
    prefix = location.shard_prefix(shard)
    after = ""
    while True:
        query = [("list-type", "2"), ("prefix", prefix)]
        if after:
            query.append(("start-after", after))
        answer = await backend.call("GET", query=query)
        entries, is_truncated = read_object_page(answer.body)
        for entry in entries:
            blob_id = location.blob_id(entry.key)
            if blob_id is None:
                continue
            if created_ms(blob_id) >= before_ms:
                return
            if entry.modified_ms + _SECOND_MS <= before_ms:
                yield blob_id
        if not is_truncated or not entries:
            return
        if entries[-1].key <= after:
            raise StorageUnavailable("the backing store lists in no order")
        after = entries[-1].key


async def discard_unfinished(backend: Backend, before_ms: int) -> int:
    """Abort uploads of ours of which nothing was heard since `before_ms`; how many. Others' are left alone."""
    count = 0
    marker: tuple[str, str] | None = ("", "")
    while marker is not None:
        query = [("uploads", ""), ("prefix", backend.location.prefix)]
        if marker[0]:
            query += [("key-marker", marker[0]), ("upload-id-marker", marker[1])]
        answer = await backend.call("GET", query=query)
        page = read_upload_page(answer.body)
        for upload in page.uploads:
            if backend.location.blob_id(upload.key) is None or upload.initiated_ms + _SECOND_MS > before_ms:
                continue
            count += await _discard(backend, upload, before_ms)
        if page.next_after == marker:
            raise StorageUnavailable("the backing store lists in no order")
        marker = page.next_after
    return count


async def _discard(backend: Backend, upload: ListedUpload, before_ms: int) -> bool:
    """Its newest part is the last one listed, whose number is the highest: parts are sent in order."""
    query = [("uploadId", upload.upload_id)]
    try:
        answer = await backend.call("GET", upload.key, query=query)
        if read_newest_part_ms(answer.body) + _SECOND_MS > before_ms:
            return False
        await backend.call("DELETE", upload.key, query=query)
    except Refused as error:
        if error.status == 404:  # ended meanwhile
            return False
        raise
    return True
