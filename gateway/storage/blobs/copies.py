"""The copies of a store that keeps more than one of each blob, one by one: for who compares and repairs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import BlobMissing

_PIECE_BYTES: Final = 1 << 20


@runtime_checkable
class HasCopies(Protocol):
    """A store over several."""

    @property
    def copies(self) -> Sequence[BlobStore]: ...


def copies_of(store: BlobStore) -> Sequence[BlobStore]:
    """The stores that each have every blob; the store itself where there is one."""
    return store.copies if isinstance(store, HasCopies) else (store,)


async def copy_blob(source: BlobStore, target: BlobStore, blob_id: bytes, stored_bytes: int) -> None:
    """Write a blob of `source` anew in `target`, in the place of what that has under its id.

    That goes first: stores overwrite nothing. The caller knows `source` to be well and keeps it. Raises BlobMissing and
    StorageUnavailable; then `target` may have none, which the next scrub sees.
    """
    reader = await source.open(blob_id, start=0, end=stored_bytes)
    try:
        await target.delete(blob_id)
        writer = await target.create(blob_id)
        try:
            for offset in range(0, stored_bytes, _PIECE_BYTES):
                length = min(_PIECE_BYTES, stored_bytes - offset)
                piece = await reader.read(offset, length)
                if len(piece) != length:
                    raise BlobMissing(f"blob {blob_id.hex()} ends before its time")
                await writer.write(piece)
            await writer.commit()
        finally:
            await writer.abort()
    finally:
        await reader.close()
