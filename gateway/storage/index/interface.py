"""What an index does: one contract, one conformance suite (`tests/conformance/index.py`), any number of engines.

Each method is one transaction. A method that returned has made its effect durable (power loss included); a method
that raised has changed nothing, unless the docstring says otherwise. All raise `StorageUnavailable` when the database
cannot serve; those that write raise `OutcomeUnknown`, a kind of it, when it was lost while it committed. Listings are
ordered by the bytes of the key. Methods may be cancelled: the transaction then either happened whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

from gateway.storage.index.pages import ObjectPage, VersionPage
from gateway.storage.index.records import (
    BadBlob,
    BatchJobRow,
    BlobRow,
    BucketKeyRow,
    BucketRow,
    ClientToken,
    Deletion,
    Expiry,
    KeyedBucketKeys,
    KeyedPage,
    KeyedUpload,
    KeyEpochRow,
    NewBlob,
    ObjectRow,
    PartRow,
    UploadPage,
    UploadRow,
)

Precondition = Callable[[ObjectRow | None], None]
"""Given the newest version of the key (None: there is none; it may be a delete marker) inside the writing transaction,
perhaps in another thread. Raises to refuse: the transaction is rolled back and the exception reaches the caller
unchanged. Must be quick, and must not touch the index."""

CompletionPrecondition = Callable[[ObjectRow | None, bool], None]
"""The same for `complete_upload`. The second argument: whether the newest version of the key became another one, by a
write or a deletion, since the upload was created."""

Change = Callable[[ObjectRow], ObjectRow]
"""Given a version as it stands (it may be a delete marker) inside the writing transaction, gives its next revision. It
may raise, must be quick, and must not touch the index: as a precondition."""


NO_BODY: Final = -1
"""For `get_bucket_and_object`: no object is so small."""


class BucketIndex(Protocol):
    async def create_bucket(self, row: BucketRow, *, most: int | None = None) -> None:
        """Raises BucketExists, naming the owner, if the name is taken; TooManyBuckets if the account has `most`."""
        ...

    async def get_bucket(self, name: str) -> BucketRow:
        """Raises NoSuchBucket. Never blocks on writers: on the hot path of every request."""
        ...

    async def get_bucket_and_object(
        self, name: str, key: bytes, *, inline_bytes: int = NO_BODY
    ) -> tuple[BucketRow, ObjectRow | None, bytes | None]:
        """What `get_bucket` gives, and what `get_object` gives of the newest version of a key, None if there is none.

        Of an object of at most `inline_bytes` bytes also what `read_inline` gives of its one blob; None where that is
        not in the index, or may not be. At once, which costs little more than either. Raises NoSuchBucket, and
        RowDamaged of the version.
        """
        ...

    async def list_buckets(self, account_id: str, *, prefix: str, after: str, limit: int) -> Sequence[BucketRow]:
        """At most `limit` buckets of the account with name > `after`, ordered by name."""
        ...

    async def all_buckets(self, *, after: str, limit: int) -> Sequence[BucketRow]:
        """The same of every account."""
        ...

    async def update_bucket(self, row: BucketRow) -> None:
        """Replace configuration (`sealed`). Raises Conflict unless the stored revision is `row.revision - 1`."""
        ...

    async def delete_bucket(self, bucket_id: bytes) -> None:
        """Raises BucketNotEmpty while any object version exists; uploads in progress are aborted with it.

        Raises NoSuchBucket if it is gone already.
        """
        ...


class ObjectIndex(Protocol):
    async def put_object(
        self, row: ObjectRow, blobs: Sequence[NewBlob], precondition: Precondition | None = None
    ) -> None:
        """Make `row` the current version of its key, replacing the version of the same version id if there is one.

        `blobs` are the new blobs that the row brings; blobs in `row.blob_ids` that are not in `blobs` are shared
        (copy) and gain a reference; Conflict if one of them was condemned meanwhile. Blobs of a replaced version lose
        a reference and are condemned at zero. Raises NoSuchBucket if the bucket is gone.
        """
        ...

    async def get_object(self, bucket_id: bytes, key: bytes, version_id: str | None = None) -> ObjectRow:
        """The newest version, or the one of that id, with `sealed_parts`; it may be a delete marker.

        Raises NoSuchKey, or with `version_id` NoSuchVersion.
        """
        ...

    async def rename_object(
        self,
        source: ObjectRow,
        row: ObjectRow,
        manifest: NewBlob,
        precondition: Precondition | None = None,
        token: ClientToken | None = None,
    ) -> None:
        """Give an object another name: `source` goes, `row` becomes the newest version of its key, as by put_object.

        `row` has the blobs of `source` and the new manifest; it may have its uid, too. Precondition and replacement
        concern the key of `row`. Raises Conflict if `source` is not the newest version of its key any more or was
        changed since it was read, and for a `token` that was used; a token is remembered for a day.
        """
        ...

    async def rewrap_object(self, old: ObjectRow, row: ObjectRow, blobs: Sequence[NewBlob]) -> None:
        """Put `row` in the place of the version `old`: another revision, with another wrap, manifest, or other blobs.

        All else of both is the same, the number of blobs too. `blobs` are new; those of `old` that `row` has no more
        lose a reference. Raises Conflict if the version is gone or was changed since it was read.
        """
        ...

    async def request_of_token(self, bucket_id: bytes, token: str) -> bytes | None:
        """The digest of the request that used a client token, while it is remembered."""
        ...

    async def change_object(self, bucket_id: bytes, key: bytes, version_id: str | None, change: Change) -> ObjectRow:
        """Let `change` write the next revision of the newest version, or of the one of that id; the row that it made.

        Of what it gives, `revision`, `sealed` and `sealed_parts` are written; all else stays, and so does the version's
        place. Raises NoSuchKey, or with `version_id` NoSuchVersion.
        """
        ...

    async def delete_object(
        self, bucket_id: bytes, deletion: Deletion, precondition: Precondition | None = None
    ) -> ObjectRow | None:
        """Do one deletion; the row that went, or None if there was none. Blobs lose a reference.

        The precondition is given the version that is named, else the newest one. When the newest version goes, the one
        before it becomes the newest. Raises NoSuchBucket for a marker in a bucket that is gone.
        """
        ...

    async def delete_objects(self, bucket_id: bytes, deletions: Sequence[Deletion]) -> Sequence[ObjectRow | None]:
        """Up to 1 000 deletions in one transaction, in order; what went for each, as above."""
        ...

    async def list_versions(
        self,
        bucket_id: bytes,
        *,
        prefix: bytes,
        delimiter: bytes,
        after: tuple[bytes, str | None] | None,
        max_keys: int,
        whole: bool = False,
    ) -> VersionPage:
        """All versions and delete markers by key, newest first, after `after`; (key, None) means after all of that key.

        After a version that is gone, the listing goes on with all versions of its key: whoever deletes page by page
        misses none. If `whole`, the page has the rows themselves, too, and may end early (`MAX_PAGE_BLOBS`); raises
        RowDamaged.
        """
        ...

    async def list_objects(
        self, bucket_id: bytes, *, prefix: bytes, delimiter: bytes, after: bytes, max_keys: int
    ) -> ObjectPage:
        """Current versions with key > `after`, grouped by `delimiter` (b"" for none); `max_keys` is 1..1000.

        With `after` inside or equal to a common prefix, that whole prefix counts as given already. Costs grow with the
        page, not with the bucket: it seeks from prefix to prefix.
        """
        ...

    async def read_inline(self, blob_id: bytes) -> bytes:
        """The inline blob. Raises BlobMissing."""
        ...

    def expecting(self) -> AbstractContextManager[None]:
        """Entered by who is about to write and waits for something else before, for milliseconds as a rule: others'
        writes may wait a little for the end of the block, to be made durable together with the one that follows it."""
        ...


class UploadIndex(Protocol):
    async def create_upload(self, row: UploadRow) -> None:
        """Raises NoSuchBucket if the bucket is gone."""
        ...

    async def get_upload(self, bucket_id: bytes, key: bytes, upload_id: bytes) -> UploadRow:
        """Raises NoSuchUpload, also when the upload belongs to another bucket or key."""
        ...

    async def list_uploads(
        self,
        bucket_id: bytes,
        *,
        prefix: bytes,
        delimiter: bytes,
        after: tuple[bytes, bytes | None] | None,
        max_uploads: int,
    ) -> UploadPage:
        """Uploads in order of (key, upload_id), after `after`; (key, None) means after every upload of that key."""
        ...

    async def put_part(self, row: PartRow, blob: NewBlob) -> None:
        """Store a part, replacing the one of the same number, whose blob is condemned. Raises NoSuchUpload."""
        ...

    async def list_parts(self, upload_id: bytes, *, after: int, limit: int) -> Sequence[PartRow]:
        """Parts with number > `after` in order of number."""
        ...

    async def complete_upload(
        self,
        upload_id: bytes,
        row: ObjectRow,
        manifest: NewBlob,
        precondition: CompletionPrecondition | None = None,
    ) -> None:
        """Turn an upload into an object: as put_object; the parts that are not in `row.blob_ids` are condemned.

        Raises NoSuchUpload if the upload is gone (completed or aborted meanwhile), Conflict if a part was replaced
        since it was read (its blob is no longer among the upload's parts).
        """
        ...

    async def abort_upload(self, bucket_id: bytes, key: bytes, upload_id: bytes) -> None:
        """Condemn all parts and forget the upload. Raises NoSuchUpload."""
        ...


class ExpiryIndex(Protocol):
    """Versions and uploads that go because of what `bucket` says, as it was read: both methods raise Conflict if it was
    changed since, NoSuchBucket if it is gone. Whoever changed it knows that nothing goes afterwards by what it said."""

    async def expire_versions(self, bucket: BucketRow, expiries: Sequence[Expiry]) -> Sequence[bool]:
        """Do those whose key still is as it was seen, as `delete_objects` does deletions; which ones were done."""
        ...

    async def expire_uploads(self, bucket: BucketRow, uploads: Sequence[UploadRow]) -> Sequence[bool]:
        """Abort those that are still there; which ones were."""
        ...


class GarbageIndex(Protocol):
    async def condemned_blobs(self, *, before_us: int, limit: int) -> Sequence[bytes]:
        """Ids of blobs in the blob store without references since before `before_us`, oldest first."""
        ...

    async def forget_blobs(self, blob_ids: Sequence[bytes]) -> None:
        """Drop the rows of condemned blobs whose bytes are gone from the store. Unknown ids are no error."""
        ...

    async def forget_inline_blobs(self, *, before_us: int, limit: int) -> int:
        """Drop up to `limit` inline blobs without references since before `before_us`, bytes and all; how many."""
        ...

    async def hold_blobs(self, blobs: Sequence[NewBlob]) -> None:
        """Record blobs of the blob store with a reference that no row has, so that no sweep deletes them.

        Those that have a row already stay as they are.
        """
        ...

    async def known_blobs(self, blob_ids: Sequence[bytes]) -> frozenset[bytes]:
        """Which of `blob_ids` have a row (referenced or condemned); the rest are orphans."""
        ...


class BlobIndex(Protocol):
    """Blobs as such, whoever names them, and those that were found to be bad."""

    async def list_blobs(self, *, after: bytes, limit: int) -> Sequence[BlobRow]:
        """Blobs with id > `after`, condemned ones too, in order of id, which begins with their time."""
        ...

    async def get_blob(self, blob_id: bytes) -> BlobRow | None: ...

    async def count_blobs(self) -> int:
        """How many there are; of very many, an estimate."""
        ...

    async def put_bad_blob(self, bad: BadBlob) -> None:
        """Note a blob as bad; one that was noted before keeps its time. The note goes with its blob: no effect for one
        that is gone."""
        ...

    async def list_bad_blobs(self, *, after: bytes, limit: int) -> Sequence[BadBlob]:
        """Those with id > `after` in order of id."""
        ...

    async def forget_bad_blob(self, blob_id: bytes) -> None:
        """It is well again. Idempotent."""
        ...


class KeyEpochIndex(Protocol):
    async def key_epochs(self, purpose: str) -> Sequence[KeyEpochRow]:
        """In order of epoch."""
        ...

    async def add_key_epoch(self, row: KeyEpochRow) -> None:
        """Raises Conflict if that epoch exists."""
        ...


class BucketKeyIndex(Protocol):
    async def bucket_key(self, bucket_id: bytes, requester: bytes) -> BucketKeyRow | None: ...

    async def put_bucket_key(self, row: BucketKeyRow, *, forget_before_us: int) -> None:
        """In place of an earlier one of that requester; some of those made before `forget_before_us` go, of whatever
        bucket. They go with their bucket as well. Raises NoSuchBucket."""
        ...


class KMSKeyIndex(Protocol):
    """What a KMS key opens: rows whose wrap names it. Listings are not of one moment; what is written meanwhile may be
    left out."""

    async def list_objects_of_key(self, key_arn: str, *, after: bytes | None, limit: int) -> KeyedPage:
        """Object versions, without `sealed_parts`, by version of the key; `after` is a page's `next_after`."""
        ...

    async def count_objects_of_key(self, key_arn: str, *, before_version: int | None = None) -> int:
        """How many `list_objects_of_key` has; those under earlier versions of the key than `before_version`."""
        ...

    async def list_uploads_of_key(self, key_arn: str, *, after: bytes, limit: int) -> Sequence[KeyedUpload]:
        """Multipart uploads in progress with upload id > `after`, in its order."""
        ...

    async def count_bucket_keys_of_key(self, key_arn: str) -> Sequence[KeyedBucketKeys]:
        """Bucket keys that are being written with."""
        ...


class BatchJobIndex(Protocol):
    async def add_batch_job(self, row: BatchJobRow) -> None:
        """Raises Conflict if one of that id exists."""
        ...

    async def get_batch_job(self, job_id: str) -> BatchJobRow:
        """Raises NoSuchJob."""
        ...

    async def list_batch_jobs(
        self, *, limit: int, kind: str | None = None, states: Sequence[str] | None = None
    ) -> Sequence[BatchJobRow]:
        """The newest first: of one kind, in one of these states, if they are named."""
        ...

    async def update_batch_job(self, row: BatchJobRow) -> None:
        """Write state and sealed column. Raises Conflict unless the stored revision is `row.revision - 1`."""
        ...

    async def delete_batch_job(self, job_id: str) -> None:
        """Idempotent."""
        ...


class JobIndex(Protocol):
    async def take_job(self, name: str, owner: str, *, now_us: int, until_us: int) -> bool:
        """Take or prolong the lease of a background job until `until_us`.

        False if another owner has it or it is not due. `owner` is unique among running processes. A lease that was not
        finished is free after its time.
        """
        ...

    async def finish_job(self, name: str, owner: str, *, due_us: int) -> None:
        """Give the lease back; nobody gets it before `due_us`. No effect if it was lost meanwhile."""
        ...

    async def job_note(self, name: str) -> bytes | None:
        """What was noted last of a job."""
        ...

    async def note_job(self, name: str, owner: str, note: bytes) -> bool:
        """Note how far a job has come; False, and nothing is noted, if `owner` has not its lease any more."""
        ...


class Index(
    BucketIndex,
    ObjectIndex,
    UploadIndex,
    ExpiryIndex,
    GarbageIndex,
    BlobIndex,
    KeyEpochIndex,
    BucketKeyIndex,
    KMSKeyIndex,
    BatchJobIndex,
    JobIndex,
    Protocol,
):
    async def self_check(self) -> Sequence[str]:
        """What is wrong with the files of the engine, where it can tell, and with what its tables say beside seals.

        A sentence each. Reads all of them, and nothing else is served by this connection meanwhile: not for a gateway
        that serves. Raises StorageUnavailable, by an engine that is elsewhere.
        """
        ...

    async def ping(self) -> None:
        """Answers if reads work; raises StorageUnavailable."""
        ...

    async def close(self) -> None:
        """Commit what is under way, then close. Further calls raise StorageUnavailable."""
        ...
