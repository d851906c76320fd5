"""Every blob checked by its checksums, without any key; a copy that is bad is made anew from one that is well.

Blobs come in the order of their ids, and a pass ends with those that were there when it began. A blob that fails is
read once more before it counts: memory and cables err as well.
"""

from __future__ import annotations

import time
from typing import Final

from gateway.operations.scrub.checksums import check_inline, check_stored
from gateway.operations.scrub.passes import INAUTHENTIC, PAGE, Pass, Tally, Telling
from gateway.sealing.errors import SealingError
from gateway.storage.blobs.copies import copies_of, copy_blob
from gateway.storage.blobs.ids import created_ms
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import BlobMissing, StorageUnavailable
from gateway.storage.index.interface import Index
from gateway.storage.index.records import BlobRow

WELL: Final = "well"
WITHOUT_CHECKSUM: Final = "without_checksum"
MISSING: Final = "missing"
DAMAGED: Final = "damaged"
UNREADABLE: Final = "unreadable"
_FOUND_HERE: Final = frozenset({MISSING, DAMAGED, UNREADABLE})


class ShallowScrub(Pass):
    """See Pass."""

    name = "scrub"

    def __init__(self, index: Index, blobs: BlobStore, telling: Telling, owner: str) -> None:
        super().__init__(index, telling, owner)
        self._blobs = blobs

    async def _total(self) -> int:
        return await self._index.count_blobs()

    async def _page(self, tally: Tally, deadline: float) -> bool:
        rows = await self._index.list_blobs(after=tally.cursor, limit=PAGE)
        # The first PAGE bad ones from here on have among them all of these rows that are bad.
        noted = {bad.blob_id: bad for bad in await self._index.list_bad_blobs(after=tally.cursor, limit=PAGE)}
        for row in rows:
            if created_ms(row.blob_id) * 1000 >= tally.note.begun_us:
                return True
            if row.condemned_us is None:
                bad = noted.get(row.blob_id)
                await self._blob(tally, row, known_as=bad.problem if bad else None)
            tally.seen += 1
            tally.cursor = row.blob_id
            if time.monotonic() >= deadline:
                return False
        return len(rows) < PAGE

    async def _blob(self, tally: Tally, row: BlobRow, *, known_as: str | None) -> None:
        if row.is_inline:
            verdicts = [await self._inline_verdict(row)]
        else:
            verdicts = [await self._verdict(copy, row) for copy in copies_of(self._blobs)]
        bad = [verdict for verdict in verdicts if verdict in _FOUND_HERE]
        if not bad:
            tally.add(WITHOUT_CHECKSUM if WITHOUT_CHECKSUM in verdicts else WELL)
            if known_as not in {None, INAUTHENTIC}:
                await self._index.forget_bad_blob(row.blob_id)
            return
        current = await self._index.get_blob(row.blob_id)
        if current is None or current.condemned_us is not None:
            return  # deleted meanwhile
        if WELL in verdicts or (WITHOUT_CHECKSUM in verdicts and set(bad) == {MISSING}):
            await self._repair(tally, row, verdicts)
        else:
            await self._note_bad(row.blob_id, bad[0])

    async def _verdict(self, store: BlobStore, row: BlobRow) -> str:
        verdict = ""
        for _ in range(2):
            try:
                return (
                    WELL if await check_stored(store, row.blob_id, row.stored_bytes, self._spend) else WITHOUT_CHECKSUM
                )
            except SealingError:
                verdict = DAMAGED
            except BlobMissing:
                verdict = MISSING
            except StorageUnavailable:
                await store.ping()  # it is away as a whole, or it is this blob
                verdict = UNREADABLE
        return verdict

    async def _inline_verdict(self, row: BlobRow) -> str:
        try:
            blob = await self._index.read_inline(row.blob_id)
            await self._spend(len(blob))
            return WELL if await check_inline(row.blob_id, blob, row.stored_bytes) else WITHOUT_CHECKSUM
        except SealingError:
            return DAMAGED
        except BlobMissing:
            return MISSING

    async def _repair(self, tally: Tally, row: BlobRow, verdicts: list[str]) -> None:
        copies = copies_of(self._blobs)
        good = copies[verdicts.index(WELL if WELL in verdicts else WITHOUT_CHECKSUM)]
        for number, (copy, verdict) in enumerate(zip(copies, verdicts, strict=True), 1):
            if verdict not in _FOUND_HERE:
                continue
            if verdict != MISSING:  # all are, in a store that was added
                self._telling.integrity_event("blob", f"{row.blob_id.hex()}: copy {number} is {verdict}, and made anew")
            await self._spend(row.stored_bytes)
            await copy_blob(good, copy, row.blob_id, row.stored_bytes)
            if await self._verdict(copy, row) in _FOUND_HERE:
                await self._note_bad(row.blob_id, f"copy {number}: {verdict}")
                return
        tally.add("repaired")
        await self._index.forget_bad_blob(row.blob_id)
