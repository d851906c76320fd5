"""Every blob in two stores: `mirror(a, b)`.

A write is acknowledged when both have it, so that either may be lost. It fails when one of them does; what the other
has by then is deleted again, or is an orphan. Reads come from the first, and from the second where the first is away,
has no such blob, or gave bytes that are not what was written, which its reader is told (`BlobReader.distrust`). A store
that was away is not asked first for a while, so that not every read waits for it. What one of them has lost the scrub
makes anew from the other (`gateway/operations/scrub/`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final, TypeVar

from gateway.storage.blobs.interface import BlobReader, BlobStore, BlobWriter, Buffer
from gateway.storage.errors import BlobMissing, StorageUnavailable

T = TypeVar("T")

AVOIDED_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 5.0
"""For one copy to answer, while there is another to ask: a store by itself waits longer, and asks again."""

_log = logging.getLogger(__name__)


class MirrorBlobStore:
    """A BlobStore over two, which it closes. `told` is given a sentence when a copy of a blob is missing."""

    def __init__(self, first: BlobStore, second: BlobStore, told: Callable[[str], None] = lambda _: None) -> None:
        self.copies = (first, second)
        self._told = told
        self._avoided_until = [float("-inf"), float("-inf")]

    async def create(self, blob_id: bytes) -> MirrorBlobWriter:
        """See BlobStore."""
        return MirrorBlobWriter(self.copies, blob_id, [await copy.create(blob_id) for copy in self.copies])

    async def open(self, blob_id: bytes, *, start: int = 0, end: int = 0) -> MirrorBlobReader:
        """See BlobStore. Raises StorageUnavailable where one copy is missing and the other's store is away."""
        reader = MirrorBlobReader(self, blob_id, self._order(), start=start, end=end)
        await reader.begin()
        return reader

    async def open_copy(self, number: int, blob_id: bytes, *, start: int, end: int) -> BlobReader:
        """One copy, of that number from 0. Raises as BlobStore."""
        try:
            return await self.copies[number].open(blob_id, start=start, end=end)
        except StorageUnavailable as error:
            self.avoid(number, error)
            raise

    def avoid(self, number: int, error: StorageUnavailable) -> None:
        """Ask the other first, for a while."""
        if self._avoided_until[number] < time.monotonic():
            _log.warning("copy %d of the blobs is away: %s", number + 1, error)
        self._avoided_until[number] = time.monotonic() + AVOIDED_SECONDS

    def tell_missing(self, number: int, blob_id: bytes) -> None:
        self._told(f"{blob_id.hex()}: copy {number + 1} is missing, read from the other")

    async def delete(self, blob_id: bytes) -> None:
        """See BlobStore. Both are tried before one is given up."""
        await _both(copy.delete(blob_id) for copy in self.copies)

    async def scan(self, *, before_ms: int) -> AsyncIterator[bytes]:
        """See BlobStore. What either has."""
        first, second = (copy.scan(before_ms=before_ms) for copy in self.copies)
        async with aclosing(_merged(first, second)) as merged:
            async for blob_id in merged:
                yield blob_id

    async def discard_unfinished(self, *, before_ms: int) -> int:
        """See BlobStore."""
        return sum(await _both(copy.discard_unfinished(before_ms=before_ms) for copy in self.copies))

    async def ping(self) -> None:
        """See BlobStore. Both must be writable."""
        await _both(copy.ping() for copy in self.copies)

    async def close(self) -> None:
        """See BlobStore."""
        await _both(copy.close() for copy in self.copies)

    def _order(self) -> list[int]:
        """Those that are not avoided first."""
        now = time.monotonic()
        return sorted((0, 1), key=lambda number: self._avoided_until[number] > now)


class MirrorBlobWriter:
    """See BlobWriter. Writes to both at once."""

    def __init__(self, stores: Sequence[BlobStore], blob_id: bytes, writers: Sequence[BlobWriter]) -> None:
        self._stores = stores
        self._blob_id = blob_id
        self._writers = writers
        self._is_committing = False
        self._is_ended = False

    async def write(self, data: Buffer) -> None:
        """See BlobWriter."""
        await _both(writer.write(data) for writer in self._writers)

    async def commit(self) -> int:
        """See BlobWriter."""
        self._is_committing = True
        first, second = await _both(writer.commit() for writer in self._writers)
        if first != second:
            raise StorageUnavailable(f"blobs: one copy has {first} bytes and the other {second}")
        self._is_ended = True
        return first

    async def abort(self) -> None:
        """See BlobWriter. What one of the two has committed is deleted; should that fail, the sweep finds it."""
        if self._is_ended:
            return
        self._is_ended = True
        await _both(writer.abort() for writer in self._writers)
        if self._is_committing:
            with suppress(StorageUnavailable):
                await _both(store.delete(self._blob_id) for store in self._stores)


class MirrorBlobReader:
    """See BlobReader. Copies that failed, or are not to be trusted, are not asked again."""

    def __init__(self, mirror: MirrorBlobStore, blob_id: bytes, order: list[int], *, start: int, end: int) -> None:
        self._mirror = mirror
        self._blob_id = blob_id
        self._left = order
        self._hint = {"start": start, "end": end}
        self._current: BlobReader | None = None

    async def begin(self) -> None:
        """Open the first copy that can be opened. Raises BlobMissing if none has it, else StorageUnavailable."""
        missing: list[int] = []
        problem: StorageUnavailable | None = None
        while self._left:
            try:
                self._current = await self._in_time(self._mirror.open_copy(self._left[0], self._blob_id, **self._hint))
            except BlobMissing:
                missing.append(self._left.pop(0))
            except StorageUnavailable as error:
                self._left.pop(0)
                problem = error
            else:
                for number in missing:
                    self._mirror.tell_missing(number, self._blob_id)
                return
        raise problem or BlobMissing(f"blob {self._blob_id.hex()}")

    def stored_bytes(self) -> int:
        """See BlobReader. Of the copy that is being read."""
        return self._reader().stored_bytes()

    @property
    def waits(self) -> bool:
        """See BlobReader."""
        return self._current is None or self._current.waits

    async def read(self, offset: int, length: int) -> Buffer:
        """See BlobReader."""
        while True:
            try:
                return await self._in_time(self._reader().read(offset, length))
            except StorageUnavailable as error:
                self._mirror.avoid(self._left[0], error)
                if not await self.distrust():
                    raise
            except BlobMissing:
                if not await self.distrust():
                    raise

    async def distrust(self) -> bool:
        """See BlobReader."""
        if len(self._left) < 2:
            return False
        await self.close()
        self._left.pop(0)
        try:
            await self.begin()
        except BlobMissing:
            return False
        return True

    async def close(self) -> None:
        """See BlobReader."""
        current, self._current = self._current, None
        if current is not None:
            await current.close()

    async def _in_time(self, asking: Coroutine[Any, Any, T]) -> T:
        """Raises StorageUnavailable for a copy that does not answer soon, if there is another."""
        if len(self._left) < 2:
            return await asking
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asking
        except TimeoutError:
            error = StorageUnavailable(f"blobs: copy {self._left[0] + 1} does not answer")
            self._mirror.avoid(self._left[0], error)
            raise error from None

    def _reader(self) -> BlobReader:
        if self._current is None:
            raise BlobMissing(f"blob {self._blob_id.hex()}")
        return self._current


async def _both(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of both, or the first error once both have ended."""
    results: list[T] = []
    problem: BaseException | None = None
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(result, BaseException):
            problem = problem or result
        else:
            results.append(result)
    if problem is not None:
        raise problem
    return results


async def _merged(first: AsyncIterator[bytes], second: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Two ordered sources as one, each value once."""
    one, two = await anext(first, None), await anext(second, None)
    while one is not None or two is not None:
        if two is None or (one is not None and one <= two):
            assert one is not None
            value = one
        else:
            value = two
        yield value
        if one == value:
            one = await anext(first, None)
        if two == value:
            two = await anext(second, None)
