"""Manifest blobs: an empty body whose footer holds an object's metadata and its list of blobs.

Written for every object whose own blobs do not describe it: a completed multipart upload, and a copy that shares
blobs. Whoever has the blobs alone finds such objects by their manifests (`docs/formats/object.md`, "Footer").
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from gateway.operations.context import Call
from gateway.sealing.body_key import BodyKey
from gateway.sealing.footer import Envelope
from gateway.sealing.ids import new_id
from gateway.sealing.stream import BlobSealer
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


@asynccontextmanager
async def store_manifest(
    call: Call, data_key: BodyKey, envelope: Envelope, descriptor: bytes
) -> AsyncIterator[Manifest]:
    """Seal a manifest; on leaving without `keep` it is removed again."""
    services = call.services
    sealer = BlobSealer(data_key.first, new_id(), second_key=data_key.second)
    segments = sealer.seal(b"")
    image = b"".join((sealer.header, segments, sealer.footer(envelope, descriptor)))
    blob_id = sealer.header[16:32]
    inline = len(image) <= services.inline_limit_bytes
    if not inline:
        writer = await services.blobs.create(blob_id)
        try:
            await writer.write(image)
            await writer.commit()
        finally:
            await writer.abort()
    manifest = Manifest(NewBlob(blob_id, len(image), image if inline else None))
    try:
        yield manifest
    except OutcomeUnknown:
        raise  # a row may name it: the sweep decides, as after a cancellation
    except Exception:
        if not manifest.is_kept and not inline:
            await services.blobs.delete(blob_id)
        raise
