"""What of the index is kept beside the blobs as well: the wrapped keys of the service, and the rows of buckets.

A rebuild of the index takes objects from the blobs' footers. Those do not say how buckets are called and set; and no
footer can be opened by a key that was lost with the index. Both are small and change seldom, so that a file has a copy:
DATA/store/index-notes (docs/formats/index-notes.md). Nothing of it is in the clear that is not so in the index.

Each gateway keeps the notes of its own data directory, some seconds behind the index, wherever that is.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import msgspec

from gateway.private_files import sync_directory
from gateway.sealing.epochs import INDEX_KEY, SERVICE_KEY
from gateway.storage.errors import StorageError
from gateway.storage.index.records import BucketRow, KeyEpochRow

_log = logging.getLogger(__name__)

VERSION: Final = 1
KEEP_SECONDS: Final = 10.0
"""Between two looks at the index; a hundred times as long as a look takes, where that is more."""
PAGE: Final = 100
MAX_LINE_BYTES: Final = 1 << 22
"""A bucket's document may have a hundred kilobytes, and twice that in Base64 twice."""
MAX_EPOCHS: Final = 10_000


class NotesError(Exception):
    """The notes cannot be read, or not be written: the message says why."""


class NotedIndex(Protocol):
    """What the notes are taken from: a part of `gateway.storage.index.interface.Index`."""

    async def all_buckets(self, *, after: str, limit: int) -> Sequence[BucketRow]: ...

    async def key_epochs(self, purpose: str) -> Sequence[KeyEpochRow]: ...


class _Heading(msgspec.Struct, frozen=True, tag="sealgate index notes", tag_field="is"):
    version: int


class _Epoch(msgspec.Struct, frozen=True, tag="epoch", tag_field="is"):
    purpose: str
    epoch: int
    wrapped: bytes
    created_us: int


class _Bucket(msgspec.Struct, frozen=True, tag="bucket", tag_field="is"):
    bucket_id: bytes
    account_id: str
    name: str
    region: str
    created_us: int
    revision: int
    sealed: bytes


class _End(msgspec.Struct, frozen=True, tag="end", tag_field="is"):
    """The last line: how many lines are before it, so that a file that was cut is not taken for a whole one."""

    lines: int


_encode = msgspec.json.Encoder().encode
_Line = _Heading | _Epoch | _Bucket | _End
_line: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)


@dataclass(slots=True)
class Notes:
    """The notes as they were read. Buckets are what whoever wrote the file says until their seal was opened."""

    epochs: list[KeyEpochRow] = field(default_factory=list)
    buckets: list[BucketRow] = field(default_factory=list)

    async def key_epochs(self, purpose: str) -> Sequence[KeyEpochRow]:
        """As `KeyEpochIndex` has it: the KMS authenticates them when it opens them."""
        return sorted((row for row in self.epochs if row.purpose == purpose), key=lambda row: row.epoch)

    async def add_key_epoch(self, row: KeyEpochRow) -> None:
        """As `KeyEpochIndex` has it; nobody makes a key in a copy."""
        raise AssertionError(f"epoch {row.epoch} of {row.purpose} is to be made in the index")


def read_notes(path: Path) -> Notes:
    """Read the notes of a data directory. Blocks. Raises NotesError, OSError."""
    notes = Notes()
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b"")):
            parsed = _parse(path, number, line)
            if isinstance(parsed, _End):
                if parsed.lines != number or file.read(1):
                    break
                return notes
            if isinstance(parsed, _Epoch):
                notes.epochs.append(KeyEpochRow(*msgspec.structs.astuple(parsed)))
                if len(notes.epochs) > MAX_EPOCHS:
                    break
            elif isinstance(parsed, _Bucket):
                notes.buckets.append(BucketRow(*msgspec.structs.astuple(parsed)))
    raise NotesError(f"{path} is damaged, or was cut")


def _parse(path: Path, number: int, line: bytes) -> _Line:
    try:
        parsed = _line.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotesError(f"{path}: line {number + 1} is damaged") from None
    if isinstance(parsed, _Heading) != (number == 0):
        raise NotesError(f"{path} is no file of index notes, or is damaged")
    if isinstance(parsed, _Heading) and parsed.version != VERSION:
        raise NotesError(f"{path} is of version {parsed.version}, this program knows {VERSION}; use the newer program")
    return parsed


class NoteKeeper:
    """Keeps the notes at `path` up to date with an index, for one process at a time."""

    def __init__(self, path: Path, index: NotedIndex) -> None:
        self._path = path
        self._index = index
        self._noted = b""

    async def keep(self) -> bool:
        """Write the notes, whole or not at all, if the index says something else than they did; whether it did.

        An index without keys is none yet, and not noted. Raises NotesError where the notes hold keys that the index
        does not have: it is another index than the one that opens what lies here, and they are the only copy. Raises
        StorageUnavailable, OSError.
        """
        seen = await self._digest()
        if seen == self._noted:
            return False
        epochs = [row for purpose in (INDEX_KEY, SERVICE_KEY) for row in await self._index.key_epochs(purpose)]
        await asyncio.to_thread(self._refuse_loss, epochs)
        if not epochs:
            return False
        partial = self._path.with_name(f"{self._path.name}.{os.getpid()}.partial")
        try:
            await self._write(partial, epochs)
            await asyncio.to_thread(self._put_in_place, partial)
        finally:
            partial.unlink(missing_ok=True)
        self._noted = seen
        return True

    async def _digest(self) -> bytes:
        """Of which buckets there are, and of their revisions, and how many epochs: all that can change."""
        digest = hashlib.sha256()
        for purpose in (INDEX_KEY, SERVICE_KEY):
            for epoch in await self._index.key_epochs(purpose):
                digest.update(b"%d" % epoch.epoch + epoch.wrapped)
        async for page in self._pages():
            digest.update(b"".join(b"%s%d;" % (row.bucket_id, row.revision) for row in page))
        return digest.digest()

    async def _pages(self) -> AsyncIterator[Sequence[BucketRow]]:
        after = ""
        while page := await self._index.all_buckets(after=after, limit=PAGE):
            yield page
            after = page[-1].name
            await asyncio.sleep(0)  # a page is a millisecond: others have their turn

    def _refuse_loss(self, epochs: Sequence[KeyEpochRow]) -> None:
        try:
            earlier = read_notes(self._path)
        except FileNotFoundError:
            return
        kept = {(row.purpose, row.epoch): row.wrapped for row in epochs}
        for row in earlier.epochs:
            if kept.get((row.purpose, row.epoch)) != row.wrapped:
                raise NotesError(
                    f"{self._path} holds the key {row.purpose} of epoch {row.epoch}, which the index does not have: "
                    "it is another index than that of the blobs here"
                )

    async def _write(self, partial: Path, epochs: Sequence[KeyEpochRow]) -> None:
        file = await asyncio.to_thread(_create, partial)
        try:
            lines = [_encode(_Heading(VERSION))]
            lines += [_encode(_Epoch(row.purpose, row.epoch, row.wrapped, row.created_us)) for row in epochs]
            count = len(lines)
            await asyncio.to_thread(file.write, _joined(lines))
            async for page in self._pages():
                lines = [_encode(_bucket(row)) for row in page]
                count += len(lines)
                await asyncio.to_thread(file.write, _joined(lines))
            await asyncio.to_thread(_finish, file, _joined([_encode(_End(count))]))
        finally:
            await asyncio.to_thread(file.close)

    def _put_in_place(self, partial: Path) -> None:
        partial.replace(self._path)
        sync_directory(self._path.parent)


class NoteTaking:
    """Keeps the notes up to date beside all else that a worker does, if no other worker of the data directory does."""

    def __init__(self, keeper: NoteKeeper, lock_path: Path) -> None:
        self._keeper = keeper
        self._lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._is_held = False
        self._told = ""

    async def run(self) -> None:
        while True:
            began = time.monotonic()
            await self._keep()
            await asyncio.sleep(max(KEEP_SECONDS, 100 * (time.monotonic() - began)))

    async def close(self) -> None:
        """After `run` was cancelled: note what is new since."""
        await self._keep()
        os.close(self._lock)

    async def _keep(self) -> None:
        """What fails is told in the log, once, and tried again: the notes are behind then, and nothing else is."""
        if not self._is_held and not self._take():
            return
        try:
            await self._keeper.keep()
        except (NotesError, StorageError, OSError) as error:
            if str(error) != self._told:
                _log.error("index notes: %s", error)
            self._told = str(error)
        else:
            self._told = ""

    def _take(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._is_held = True
        return True


def _bucket(row: BucketRow) -> _Bucket:
    return _Bucket(row.bucket_id, row.account_id, row.name, row.region, row.created_us, row.revision, row.sealed)


def _joined(lines: Sequence[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _create(path: Path) -> BinaryIO:
    path.unlink(missing_ok=True)  # of a process that had this number and died
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _finish(file: BinaryIO, last: bytes) -> None:
    file.write(last)
    file.flush()
    os.fsync(file.fileno())
