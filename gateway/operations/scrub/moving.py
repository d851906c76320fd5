"""Blobs brought to one of the two stores of a mirror, so that it can be the only one from then on.

It is what a scrub of the mirror does, under a name of its own, as the last scrub says nothing of a store that was added
since. A pass ends with the blobs that were there when it began: later ones were written to both stores, unless by a
process that does not know of the mirror yet, which is looked for at the end.
"""

from __future__ import annotations

from typing import Final

from gateway.operations.scrub.passes import PAGE, ScrubNote, Telling
from gateway.operations.scrub.shallow import ShallowScrub
from gateway.storage.blobs.copies import copies_of
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import BlobMissing
from gateway.storage.index.interface import Index

_TIME_BYTES: Final = 6
"""With which a blob's id begins: milliseconds."""

_ID_BYTES: Final = 16

_LONGEST_WRITE_MS: Final = 3_600_000
"""A blob's id is made when its upload begins, and its row when that ends: so far back the end looks."""


class BlobMove(ShallowScrub):
    """See Pass. `number` (0, 1) is the store of the mirror that everything is brought to."""

    name = "move-blobs"

    def __init__(self, index: Index, blobs: BlobStore, telling: Telling, owner: str, number: int) -> None:
        super().__init__(index, blobs, telling, owner)
        self._target = copies_of(blobs)[number]

    async def count_late(self, note: ScrubNote) -> int:
        """How many blobs that came since the pass began are not in the store, and are not deleted either."""
        since_ms = max(note.begun_us // 1000 - _LONGEST_WRITE_MS, 0)
        after = since_ms.to_bytes(_TIME_BYTES) + bytes(_ID_BYTES - _TIME_BYTES)
        late = 0
        while rows := await self._index.list_blobs(after=after, limit=PAGE):
            for row in rows:
                if not row.is_inline and not await self._has(row.blob_id):
                    current = await self._index.get_blob(row.blob_id)
                    late += current is not None and current.condemned_us is None
            after = rows[-1].blob_id
        return late

    async def _has(self, blob_id: bytes) -> bool:
        try:
            reader = await self._target.open(blob_id)
        except BlobMissing:
            return False
        await reader.close()
        return True
