"""One blob on its way into the backing store.

Up to PART_BYTES it is one PutObject; beyond, a multipart upload, of which one part is sent while the next one fills.
Nothing is there before the last request succeeded, and then all of it is, durably: that is what S3 promises. Each part
is signed with its SHA-256 and told with its CRC32C, so that what arrives otherwise than it was sent is refused;
`If-None-Match: *` sees to it that no blob ever takes another one's place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from gateway.storage.blobs.interface import Buffer
from gateway.storage.blobs.s3.backend import Answer, Backend, Refused
from gateway.storage.blobs.s3.bodies import Document
from gateway.storage.blobs.s3.documents import (
    NotCompleted,
    UploadedPart,
    check_completed,
    read_upload_id,
    write_parts,
)
from gateway.storage.blobs.s3.spool import Spool
from gateway.storage.errors import StorageUnavailable

PART_BYTES: Final = 8 << 20
"""S3 takes 10 000 parts of at least 5 MiB: 78 GiB a blob, where a client's body has 5 GiB at most."""

MAX_PARTS: Final = 10_000
_ALGORITHM: Final = {"x-amz-checksum-algorithm": "CRC32C"}
_CHECKSUM: Final = "x-amz-checksum-crc32c"
_IF_NEW: Final = {"if-none-match": "*"}
_COMPLETING_ATTEMPTS: Final = 3


class S3BlobWriter:
    """See BlobWriter. After an error, or a cancelled call, only `abort` is left.

    `background` runs what must be done though nobody waits for it any more.
    """

    def __init__(
        self,
        backend: Backend,
        key: str,
        *,
        spool: Callable[[], Spool],
        background: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._backend = backend
        self._key = key
        self._new_spool = spool
        self._background = background
        self._is_open = True
        self._is_ended = False
        self._is_perhaps_there = False
        """A request that makes the blob was sent: `abort` takes it back."""
        self._part = spool()
        self._sending: asyncio.Task[None] | None = None
        self._creating: asyncio.Task[str] | None = None
        """Of a multipart upload. It goes on when a call that waits for it is cancelled: what it made must be known."""
        self._parts: list[UploadedPart] = []
        self._stored_bytes = 0

    async def write(self, data: Buffer) -> None:
        """See BlobWriter."""
        assert self._is_open
        rest = memoryview(data).cast("B")
        while rest:
            if self._part.length == PART_BYTES:
                await self._send_part()
            taken = rest[: PART_BYTES - self._part.length]
            await self._part.append(taken)
            self._stored_bytes += len(taken)
            rest = rest[len(taken) :]

    async def commit(self) -> int:
        """See BlobWriter."""
        assert self._is_open
        self._is_open = False
        upload_id = None
        if self._creating is not None:
            upload_id = await self._send_part()
            await self._settle()
        self._is_perhaps_there = True
        try:
            await (self._put_whole() if upload_id is None else self._complete(upload_id))
        except Refused:
            self._is_perhaps_there = False  # what is there under its name, if anything, is not this blob
            raise
        self._is_ended = True
        self._part.close()
        return self._stored_bytes

    async def abort(self) -> None:
        """See BlobWriter. Takes effect also when the waiting for it is cancelled."""
        if self._is_ended:
            return
        self._is_open, self._is_ended = False, True
        if self._creating is None and not self._is_perhaps_there:
            self._part.close()
            return
        await asyncio.shield(self._background(self._discard()))

    async def _put_whole(self) -> None:
        headers = {**_IF_NEW, _CHECKSUM: self._part.crc32c}
        try:
            answer = await self._backend.call("PUT", self._key, headers=headers, body=self._part)
        except Refused as error:
            if error.attempts == 1 or not await self._was_made(error):
                raise
        else:
            _compare(answer, self._part)

    async def _send_part(self) -> str:
        """Hand over the part that is full, once the one before it has arrived; the upload's id."""
        await self._settle()
        if self._creating is None:
            self._creating = asyncio.create_task(self._create())
        upload_id = await asyncio.shield(self._creating)
        if len(self._parts) == MAX_PARTS:
            raise StorageUnavailable(f"a blob of more than {MAX_PARTS} parts of {PART_BYTES} bytes")
        part, self._part = self._part, self._new_spool()
        self._sending = asyncio.create_task(self._upload(upload_id, part, len(self._parts) + 1))
        return upload_id

    async def _create(self) -> str:
        answer = await self._backend.call("POST", self._key, query=[("uploads", "")], headers=_ALGORITHM)
        return read_upload_id(answer.body)

    async def _settle(self) -> None:
        if self._sending is not None:
            await self._sending
            self._sending = None

    async def _upload(self, upload_id: str, part: Spool, number: int) -> None:
        query = [("partNumber", str(number)), ("uploadId", upload_id)]
        try:
            answer = await self._backend.call(
                "PUT", self._key, query=query, headers={_CHECKSUM: part.crc32c}, body=part
            )
            _compare(answer, part)
            self._parts.append(UploadedPart(number, _etag(answer), part.crc32c))
        finally:
            part.close()

    async def _complete(self, upload_id: str) -> None:
        document = Document(write_parts(self._parts))
        query = [("uploadId", upload_id)]
        for number in range(_COMPLETING_ATTEMPTS):
            try:
                answer = await self._backend.call("POST", self._key, query=query, headers=_IF_NEW, body=document)
                check_completed(answer.body)
            except NotCompleted as error:
                problem = error
            except Refused as error:
                if number + error.attempts == 1 or not await self._was_made(error):
                    raise
                return
            else:
                return
        raise StorageUnavailable(f"the backing store did not complete an upload: {problem}")

    async def _was_made(self, error: Refused) -> bool:
        """Whether a refusal says that an earlier attempt made the blob, whose answer was lost."""
        if error.status not in (404, 412):
            return False
        try:
            answer = await self._backend.call("HEAD", self._key)
        except Refused:
            return False
        return answer.headers.get("Content-Length") == str(self._stored_bytes)

    async def _discard(self) -> None:
        """What cannot be discarded now is swept: a blob without a row, an upload without an end."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        self._part.close()
        with suppress(StorageUnavailable):
            if self._creating is not None:
                upload_id = await self._creating
                await self._backend.call("DELETE", self._key, query=[("uploadId", upload_id)])
        with suppress(StorageUnavailable):
            if self._is_perhaps_there:
                await self._backend.call("DELETE", self._key)


def _compare(answer: Answer, part: Spool) -> None:
    """What the backing store says it has; one that knows no checksums says nothing. Raises StorageUnavailable."""
    told = answer.headers.get(_CHECKSUM)
    if told is not None and told != part.crc32c:
        raise StorageUnavailable("the backing store has other bytes than were sent")


def _etag(answer: Answer) -> str:
    etag = answer.headers.get("ETag", "")
    if not etag or len(etag) > 256 or not etag.isascii() or set(etag) & set("<>&"):
        raise StorageUnavailable("the backing store answered a part without an ETag")
    return etag
