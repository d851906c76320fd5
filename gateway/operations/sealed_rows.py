"""Index rows sealed and opened: which columns stand in the clear, and what the sealed column says.

The clear columns are the associated data of the sealed one, so whoever can write to the database cannot change them,
nor move a row to another name (docs/formats/object.md, "Index row").
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Any, Final, TypeVar

import msgspec

from gateway.operations.documents import (
    BucketDocument,
    ListedDocument,
    ObjectDocument,
    PartDocument,
    PartEntry,
    UploadDocument,
    encode,
)
from gateway.protocol.version_ids import NULL_VERSION_ID
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.format import ID_SIZE, lp, lp_length
from gateway.sealing.row import Proof, RowSealer, is_of_a_block
from gateway.storage.index.records import BatchJobRow, BucketKeyRow, BucketRow, ObjectRow, PartRow, UploadRow
from gateway.storage.index.told import Told
from iam.quickly_made import replaced

MAX_OPENED_BUCKETS = 1000
MAX_OPENED_BYTES = 16 << 20
"""A bucket's document mostly has a kilobyte or less, but may have a hundred (64 KB of CORS rules, 20 KB of policy).
Beyond either bound all are forgotten and opened again."""

PARTS_REVISION = 0
"""Of a part table, whatever the row's: for one row and one list of blobs it never changes, and 10 000 parts take 30 ms
to open and to seal again."""

_DIGEST_SIZE: Final = 32

_Document = TypeVar("_Document")
_bucket = msgspec.json.Decoder(BucketDocument)
_object = msgspec.json.Decoder(ObjectDocument)
_listed = msgspec.json.Decoder(ListedDocument)
_upload = msgspec.json.Decoder(UploadDocument)
_part = msgspec.json.Decoder(PartDocument)
_parts = msgspec.json.Decoder(list[PartEntry])


class SealedRows:
    """Seals and opens every kind of row. All `open_*` raise AuthenticationFailed for a row that was tampered with."""

    def __init__(self, sealer: RowSealer) -> None:
        self._sealer = sealer
        self._opened_buckets: dict[bytes, tuple[BucketRow, BucketDocument]] = {}
        self.opened_bytes = 0  # of the sealed columns whose documents are kept

    def seal_bucket(self, row: BucketRow, document: BucketDocument) -> BucketRow:
        return replaced(row, sealed=self._seal(row.bucket_id, row.revision, _bucket_columns(row), document))

    def open_bucket(self, row: BucketRow) -> BucketDocument:
        """Every request opens its bucket's row, so the last ones are kept: a row that is the same in all columns is
        the one that was verified."""
        known = self._opened_buckets.get(row.bucket_id)
        if known is not None and known[0] == row:
            return known[1]
        document = self.read_bucket(row)
        self._keep_opened(row, document)
        return document

    def read_bucket(self, row: BucketRow) -> BucketDocument:
        """The same for who goes through all buckets: it is not kept."""
        return self._open(row.bucket_id, row.revision, _bucket_columns(row), row.sealed, _bucket)

    def _keep_opened(self, row: BucketRow, document: BucketDocument) -> None:
        older = self._opened_buckets.pop(row.bucket_id, None)
        if older is not None:
            self.opened_bytes -= len(older[0].sealed)
        if len(self._opened_buckets) >= MAX_OPENED_BUCKETS or self.opened_bytes + len(row.sealed) > MAX_OPENED_BYTES:
            self._opened_buckets.clear()
            self.opened_bytes = 0
        self._opened_buckets[row.bucket_id] = (row, document)
        self.opened_bytes += len(row.sealed)

    def seal_object(self, row: ObjectRow, document: ObjectDocument, parts: list[PartEntry] | None = None) -> ObjectRow:
        """`parts` is for an object of several blobs, one entry for each of `row.blob_ids`."""
        opened = _untold_digest(row) + encode(document)
        sealed = self._sealer.seal(row.row_uid, row.revision, _told_columns(row), opened)
        if parts is None:
            return replaced(row, sealed=sealed)
        sealed_parts = self._seal(row.row_uid, PARTS_REVISION, _parts_columns(row), parts)
        return replaced(row, sealed=sealed, sealed_parts=sealed_parts)

    def open_object(self, row: ObjectRow) -> ObjectDocument:
        if not is_of_a_block(row.sealed):
            return self._open(row.row_uid, row.revision, _all_columns(row), row.sealed, _object)
        opened = self._sealer.open(row.row_uid, row.revision, _told_columns(row), row.sealed)
        if not hmac.compare_digest(opened[:_DIGEST_SIZE], _untold_digest(row)):
            raise AuthenticationFailed(row_uid=row.row_uid)
        return _object.decode(opened[_DIGEST_SIZE:])

    def open_told(self, told: Told) -> list[ListedDocument]:
        """What is told of the versions of a page, in their order, with the columns that tell of them proved.

        Raises AuthenticationFailed also for a row that `must_be_opened_whole`.
        """
        return [_listed.decode(opened[_DIGEST_SIZE:]) for opened in self._sealer.open_all(_proofs(told))]

    def open_parts(self, row: ObjectRow) -> list[PartEntry]:
        """The part table of an object of several blobs, in order, one entry a blob."""
        if row.sealed_parts is None:
            raise AuthenticationFailed(row_uid=row.row_uid)
        parts: list[PartEntry] = self._open(row.row_uid, PARTS_REVISION, _parts_columns(row), row.sealed_parts, _parts)
        if len(parts) != len(row.blob_ids):
            raise AuthenticationFailed(row_uid=row.row_uid)
        return parts

    def parts_of(self, row: ObjectRow, document: ObjectDocument) -> list[PartEntry] | None:
        """The part table; None of an object in one body, which `document` says, and no column that is not sealed."""
        return None if document.commitment else self.open_parts(row)

    def seal_upload(self, row: UploadRow, document: UploadDocument) -> UploadRow:
        return replaced(row, sealed=self._seal(row.upload_id, row.revision, _upload_columns(row), document))

    def open_upload(self, row: UploadRow) -> UploadDocument:
        return self._open(row.upload_id, row.revision, _upload_columns(row), row.sealed, _upload)

    def seal_part(self, row: PartRow, document: PartDocument) -> PartRow:
        return replaced(row, sealed=self._seal(row.blob_id, row.revision, _part_columns(row), document))

    def open_part(self, row: PartRow) -> PartDocument:
        return self._open(row.blob_id, row.revision, _part_columns(row), row.sealed, _part)

    def seal_bucket_key(self, row: BucketKeyRow) -> BucketKeyRow:
        """It says nothing beside its clear columns, which it holds in place."""
        return replaced(row, sealed=self._sealer.seal(row.requester[:ID_SIZE], 0, _bucket_key_columns(row), b""))

    def verify_bucket_key(self, row: BucketKeyRow) -> None:
        self._sealer.open(row.requester[:ID_SIZE], 0, _bucket_key_columns(row), row.sealed)

    def seal_job(self, row: BatchJobRow, document: msgspec.Struct) -> BatchJobRow:
        """A job says what is to be done with keys and objects: it is taken from nobody who merely has the database."""
        return replaced(row, sealed=self._seal(bytes.fromhex(row.job_id), row.revision, _job_columns(row), document))

    def open_job(self, row: BatchJobRow, decoder: msgspec.json.Decoder[_Document]) -> _Document:
        try:
            uid = bytes.fromhex(row.job_id)
        except ValueError:
            raise AuthenticationFailed from None
        return self._open(uid, row.revision, _job_columns(row), row.sealed, decoder)

    def seal_token(self, bucket_id: bytes, position: bytes) -> bytes:
        """A continuation token: a position in a bucket's listing that only this gateway can write."""
        return self._sealer.seal(bucket_id, 0, (b"continuation-token",), position)

    def open_token(self, bucket_id: bytes, token: bytes) -> bytes:
        return self._sealer.open(bucket_id, 0, (b"continuation-token",), token)

    def _seal(self, uid: bytes, revision: int, clear: tuple[bytes, ...], document: Any) -> bytes:
        return self._sealer.seal(uid, revision, clear, encode(document))

    def _open(
        self,
        uid: bytes,
        revision: int,
        clear: tuple[bytes, ...],
        sealed: bytes,
        decoder: msgspec.json.Decoder[_Document],
    ) -> _Document:
        return decoder.decode(self._sealer.open(uid, revision, clear, sealed))


def _bucket_columns(row: BucketRow) -> tuple[bytes, ...]:
    return (b"bucket", row.account_id.encode(), row.name.encode(), row.region.encode(), _numbers(row.created_us))


def _bucket_key_columns(row: BucketKeyRow) -> tuple[bytes, ...]:
    numbers = _numbers(row.key_version, row.created_us)
    return (b"bucket key", row.bucket_id, row.requester, row.key_arn.encode(), row.wrapped, numbers)


def _job_columns(row: BatchJobRow) -> tuple[bytes, ...]:
    return (b"batch job", row.job_id.encode(), row.kind.encode(), row.state.encode(), _numbers(row.created_us))


def must_be_opened_whole(sealed: bytes) -> bool:
    """Of a version's row that was sealed before listings were answered from a part of its columns."""
    return not is_of_a_block(sealed)


def _all_columns(row: ObjectRow) -> tuple[bytes, ...]:
    """Of a row that `must_be_opened_whole`."""
    wrap = row.wrap
    return (
        b"object",
        row.bucket_id,
        row.key,
        row.version_id.encode(),
        _numbers(row.kind, row.size, row.modified_us, row.part_count, wrap.mode, wrap.key_version or 0),
        wrap.key_arn.encode() if wrap.key_arn else b"",
        wrap.wrapped,
        b"".join(row.blob_ids),
        row.manifest_id or b"",
    )


def _told_columns(row: ObjectRow) -> tuple[bytes, ...]:
    return (
        _VERSION,
        row.bucket_id,
        _told_numbers(row.kind, row.size, row.modified_us),
        row.key,
        row.version_id.encode(),
    )


def _untold_digest(row: ObjectRow) -> bytes:
    """Of the columns that no listing reads: the sealed document begins with it."""
    wrap = row.wrap
    columns = (
        _untold_numbers(row.part_count, wrap.mode, wrap.key_version or 0),
        wrap.key_arn.encode() if wrap.key_arn else b"",
        wrap.wrapped,
        b"".join(row.blob_ids),
        row.manifest_id or b"",
    )
    return hashlib.sha256(lp(columns)).digest()


def _proofs(told: Told) -> list[Proof]:
    """With `associated_data` of `_told_columns` of each, written out: so a page takes a third of what it would with
    records."""
    length, framed = _LENGTHS, struct.Struct(f">16sq{len(head := lp((_VERSION, told.bucket_id)))}sI3q").pack
    return [
        (
            row_uid,
            b"".join((
                framed(row_uid, revision, head, _TOLD_NUMBERS_SIZE, kind, size, modified_us),
                length[len(key)], key, _VERSION_NAMES[version_id],
            )),
            sealed,
        )
        for key, row_uid, version_id, kind, size, modified_us, revision, sealed in told.rows
    ]  # fmt: skip


def _parts_columns(row: ObjectRow) -> tuple[bytes, ...]:
    return (b"parts", b"".join(row.blob_ids))


def _upload_columns(row: UploadRow) -> tuple[bytes, ...]:
    wrap = row.wrap
    return (
        b"upload",
        row.bucket_id,
        row.key,
        row.row_uid,
        _numbers(row.initiated_us, wrap.mode, wrap.key_version or 0),
        wrap.key_arn.encode() if wrap.key_arn else b"",
        wrap.wrapped,
    )


def _part_columns(row: PartRow) -> tuple[bytes, ...]:
    return (b"part", row.upload_id, _numbers(row.part_number, row.size, row.modified_us))


_VERSION: Final = b"version"
_TOLD_NUMBERS = struct.Struct(">3q")
_TOLD_NUMBERS_SIZE: Final = _TOLD_NUMBERS.size
_told_numbers = _TOLD_NUMBERS.pack
_untold_numbers = struct.Struct(">3q").pack
"""Numbers of fixed size need no length each: one column for all saves a third of the cost of opening a listed row."""


class _Lengths(dict[int, bytes]):
    """Of columns, as `lp` writes them; that of one longer than they mostly are is not kept."""

    def __missing__(self, length: int) -> bytes:
        return lp_length(length)


_LENGTHS = _Lengths((length, lp_length(length)) for length in range(2048))


class _VersionNames(dict[str, bytes]):
    """Of version ids, as `lp` writes them; only that of most rows is kept."""

    def __missing__(self, version_id: str) -> bytes:
        return lp((version_id.encode(),))


_VERSION_NAMES = _VersionNames({NULL_VERSION_ID: lp((NULL_VERSION_ID.encode(),))})


def _numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}q", *values)
