"""Rows of the index, as values.

Storage keeps `sealed` columns without understanding them; `gateway.sealing.row` makes and opens them. Ids
(`bucket_id`, `row_uid`, `blob_id`, `upload_id`) are 16 bytes: 48-bit Unix milliseconds, then 80 random bits.
Times are integer microseconds since the epoch, UTC. Keys are the bytes of their UTF-8 form.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from gateway.protocol.modes import Wrap
from iam.quickly_made import quickly_made


class RowKind(IntEnum):
    OBJECT = 0
    DELETE_MARKER = 1


@quickly_made
@dataclass(frozen=True, slots=True)
class BucketRow:
    bucket_id: bytes
    account_id: str
    name: str
    region: str
    created_us: int
    revision: int
    sealed: bytes


@quickly_made
@dataclass(frozen=True, slots=True)
class NewBlob:
    """A blob that a transaction makes visible.

    `inline` holds the whole blob (header, segments, footer) when it lies in the index itself; None means that the
    blob store holds it, durably, already.
    """

    blob_id: bytes
    stored_bytes: int
    inline: bytes | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class ObjectRow:
    """One object version, or a delete marker, which has no blobs.

    `blob_ids` are in part order; for a completed multipart upload the manifest blob is `manifest_id` and not among
    them. `sealed_parts` is the sealed part table of a multipart object, None for a single body; listings leave
    it None.
    """

    bucket_id: bytes
    key: bytes
    row_uid: bytes
    version_id: str
    kind: RowKind
    size: int
    modified_us: int
    wrap: Wrap
    blob_ids: tuple[bytes, ...]
    manifest_id: bytes | None
    part_count: int
    revision: int
    sealed: bytes
    sealed_parts: bytes | None = None


@dataclass(frozen=True, slots=True)
class ClientToken:
    """What a client named a request by, so as to repeat it; `request` is a digest of the parameters."""

    token: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is to go: the version `version_id` of a key, or with None its newest version.

    With `marker` nothing goes: the marker becomes the newest version of the key, replacing the version of its own
    version id if there is one (the null version, in a bucket whose versioning is suspended).
    """

    key: bytes
    version_id: str | None = None
    marker: ObjectRow | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Expiry:
    """A version that goes because of its age, and what was seen of its key when that was decided.

    `row` is as a listing gave it. `successor` is the uid of the version right above it, None for the newest one, and
    `newer` how many there must be above it. `is_only`: there was no other version. With a `marker`, which is for the
    newest version alone, nothing goes: as in a Deletion.
    """

    row: ObjectRow
    successor: bytes | None = None
    newer: int = 0
    is_only: bool = False
    marker: ObjectRow | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class VersionEntry:
    """A version in a listing; `is_latest`: there is no newer one of its key."""

    row: ObjectRow
    is_latest: bool


@quickly_made
@dataclass(frozen=True, slots=True)
class UploadRow:
    """A multipart upload in progress. `row_uid` is the one that the completed object will have."""

    upload_id: bytes
    bucket_id: bytes
    key: bytes
    row_uid: bytes
    initiated_us: int
    wrap: Wrap
    revision: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class UploadPage:
    """As an ObjectPage, ordered by (key, upload_id); `next_after` is (key, upload_id), or (common prefix, None)."""

    uploads: tuple[UploadRow, ...]
    common_prefixes: tuple[bytes, ...]
    next_after: tuple[bytes, bytes | None] | None


@quickly_made
@dataclass(frozen=True, slots=True)
class PartRow:
    """One uploaded part; `sealed` holds its ETag, checksum and the commitment of its blob."""

    upload_id: bytes
    part_number: int
    blob_id: bytes
    size: int
    modified_us: int
    revision: int
    sealed: bytes


@quickly_made
@dataclass(frozen=True, slots=True)
class BucketKeyRow:
    """A bucket key that is being written with, wrapped by the KMS as a ciphertext blob.

    `requester` is a digest, 32 bytes, of whom it is for and of the KMS key and context that were asked for.
    """

    bucket_id: bytes
    requester: bytes
    key_arn: str
    key_version: int
    wrapped: bytes
    created_us: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class KeyedObject:
    """A version that a KMS key opens. `references` counts the rows that have its first blob, this one among them: more
    than one where copies share blobs, and with them the data key. `position` is where a listing goes on after it."""

    bucket_name: str
    row: ObjectRow
    references: int
    position: bytes = b""


@dataclass(frozen=True, slots=True)
class KeyedPage:
    """`next_after` is None on the last page."""

    objects: tuple[KeyedObject, ...]
    next_after: bytes | None


@dataclass(frozen=True, slots=True)
class KeyedUpload:
    """An upload that a KMS key opens, with the number and size of its parts."""

    bucket_name: str
    row: UploadRow
    parts: int
    part_bytes: int


@dataclass(frozen=True, slots=True)
class KeyedBucketKeys:
    """How many bucket keys of a bucket a version of a KMS key opens."""

    bucket_name: str
    key_version: int
    count: int


@quickly_made
@dataclass(frozen=True, slots=True)
class BatchJobRow:
    """Work on many objects; `sealed` says what, and how far it has come."""

    job_id: str
    kind: str
    state: str
    created_us: int
    revision: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class BlobRow:
    """What the index knows of a blob. `references` counts the rows that name it; at 0 `condemned_us` is since when."""

    blob_id: bytes
    stored_bytes: int
    is_inline: bool
    references: int
    condemned_us: int | None


@dataclass(frozen=True, slots=True)
class BadBlob:
    """A blob whose bytes are not what was written; `problem` is one word."""

    blob_id: bytes
    problem: str
    found_us: int


@dataclass(frozen=True, slots=True)
class KeyEpochRow:
    """A key of the gateway's own (index key, SSE-S3 service key), wrapped by the KMS as a ciphertext blob."""

    purpose: str
    epoch: int
    wrapped: bytes
    created_us: int
