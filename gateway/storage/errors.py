"""What storage raises. It knows nothing of S3 error codes; operations translate."""

from __future__ import annotations


class StorageError(Exception):
    """Base of everything storage raises."""


class NoSuchBucket(StorageError):
    pass


class BucketExists(StorageError):
    """A bucket of that name exists; `account_id` owns it."""

    def __init__(self, account_id: str) -> None:
        super().__init__("bucket exists")
        self.account_id = account_id


class TooManyBuckets(StorageError):
    """The account has as many buckets as it may."""


class BucketNotEmpty(StorageError):
    pass


class NoSuchKey(StorageError):
    pass


class NoSuchVersion(StorageError):
    """The key has no version of that id."""


class NoSuchUpload(StorageError):
    pass


class NoSuchJob(StorageError):
    pass


class Conflict(StorageError):
    """The row changed since it was read (its revision is another one); reading it again and retrying may help."""


class BlobMissing(StorageError):
    """The index names a blob that the store does not have: an integrity event, not a client error."""


class RowDamaged(StorageError):
    """A row of the index holds what is never written there: an integrity event, not a client error."""


class StorageUnavailable(StorageError):
    """Disk full, read-only, locked or failing; nothing was changed, trying again later may help."""


class OutcomeUnknown(StorageUnavailable):
    """A write may have happened or not: the database was lost while it committed. What the row names must be kept."""
