"""Manifest blobs: an empty body whose footer holds an object's metadata and its list of blobs.

Written for every object whose own blobs do not describe it: a completed multipart upload, and a copy that shares
blobs. Whoever has the blobs alone finds such objects by their manifests (`docs/formats/object.md`, "Footer"): so
a manifest lies where the body lies, in the index only if that does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace

from gateway.operations.context import Call
from gateway.sealing.body_key import BodyKey
from gateway.sealing.footer import Envelope
from gateway.sealing.ids import new_id
from gateway.sealing.stream import BlobSealer
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import OutcomeUnknown
from gateway.storage.index.records import NewBlob, ObjectRow


@dataclass(slots=True)
class Manifest:
    """A manifest that is durable or travels inside the transaction. `keep` says that a row now names it."""

    blob: NewBlob
    is_kept: bool = field(default=False)

    def attach(self, row: ObjectRow) -> ObjectRow:
        """The row that names this manifest, still to be sealed."""
        return replace(row, manifest_id=self.blob.blob_id)

    def keep(self) -> None:
        self.is_kept = True


def store_manifest(
    call: Call, data_key: BodyKey, envelope: Envelope, descriptor: bytes, *, single_bytes: int | None
) -> AbstractAsyncContextManager[Manifest]:
    """See `seal_manifest`."""
    services = call.services
    return seal_manifest(
        services.blobs,
        data_key,
        envelope,
        descriptor,
        single_bytes=single_bytes,
        inline_limit_bytes=services.inline_limit_bytes,
    )


@asynccontextmanager
async def seal_manifest(
    blobs: BlobStore,
    data_key: BodyKey,
    envelope: Envelope,
    descriptor: bytes,
    *,
    single_bytes: int | None,
    inline_limit_bytes: int,
) -> AsyncIterator[Manifest]:
    """Seal a manifest; on leaving without `keep` it is removed again.

    `single_bytes` is the size of an object in one body, None for one of several blobs, which never lie in the index.
    """
    sealer = BlobSealer(data_key.first, new_id(), second_key=data_key.second)
    segments = sealer.seal(b"")
    image = b"".join((sealer.header, segments, sealer.footer(envelope, descriptor)))
    blob_id = sealer.header[16:32]
    inline = single_bytes is not None and max(single_bytes, len(image)) <= inline_limit_bytes
    if not inline:
        writer = await blobs.create(blob_id)
        try:
            await writer.write(image)
            await writer.commit()
        finally:
            await writer.abort()
    manifest = Manifest(NewBlob(blob_id, len(image), image if inline else None))
    try:
        yield manifest
    except (OutcomeUnknown, MemoryError):
        raise  # a row may name it: the sweep decides, as after a cancellation
    except Exception:
        if not manifest.is_kept and not inline:
            await blobs.delete(blob_id)
        raise
