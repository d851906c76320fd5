"""Whether an S3 is one that blobs can be kept in; for `sealgate doctor`."""

from __future__ import annotations

import os
import time

from gateway.storage.blobs.s3.documents import NotADocument, read_versioning
from gateway.storage.blobs.s3.store import S3BlobStore
from gateway.storage.errors import StorageUnavailable

_DATA = b"sealgate doctor"


async def probe(store: S3BlobStore) -> str | None:
    """Write a blob, read it, try to overwrite it, delete it; what is wrong, or None.

    Raises StorageUnavailable for a store that does not do the first of these.
    """
    blob_id = (time.time_ns() // 1_000_000).to_bytes(6) + os.urandom(10)
    await _write(store, blob_id)
    try:
        reader = await store.open(blob_id, end=len(_DATA))
        found = await reader.read(0, len(_DATA))
        await reader.close()
        if found != _DATA:
            return "it does not give back what was written"
        try:
            await _write(store, blob_id)
        except StorageUnavailable:
            pass
        else:
            return "it overwrites blobs: it does not know If-None-Match"
        answer = await store.backend.call("GET", query=[("versioning", "")])
        try:
            if read_versioning(answer.body) == "Enabled":
                return "its bucket keeps versions, so that what is deleted stays: suspend that, or expire old versions"
        except NotADocument:
            return "it does not tell whether its bucket keeps versions"
    finally:
        await store.delete(blob_id)
    return None


async def _write(store: S3BlobStore, blob_id: bytes) -> None:
    writer = await store.create(blob_id)
    try:
        await writer.write(_DATA)
        await writer.commit()
    finally:
        await writer.abort()
