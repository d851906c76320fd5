"""Errors of the layers below, told as S3 tells them: one table, one boundary."""

from __future__ import annotations

from gateway.protocol.errors import S3Error
from gateway.sealing.errors import SealingError
from gateway.storage import errors as storage
from kms.api.errors import KMSError, KMSUnavailable

RETRY_AFTER_SECONDS = 5

_STORAGE: dict[type[storage.StorageError], str] = {
    storage.NoSuchBucket: "NoSuchBucket",
    storage.TooManyBuckets: "TooManyBuckets",
    storage.BucketNotEmpty: "BucketNotEmpty",
    storage.NoSuchKey: "NoSuchKey",
    storage.NoSuchUpload: "NoSuchUpload",
    storage.Conflict: "OperationAborted",
}

LowerError = storage.StorageError | SealingError | KMSError
"""What operations may let through; everything else that reaches the edge is a defect."""


def to_s3_error(error: LowerError, *, bucket: str | None = None, key: str | None = None) -> S3Error:
    """The S3 error for an error of storage, sealing or the KMS. `error` stays the cause for the log.

    `bucket` and `key` are those of the request: the answer repeats the name of what is missing.
    """
    if isinstance(error, KMSError):
        return _from_kms(error)
    if isinstance(error, storage.StorageUnavailable):
        return _unavailable("ServiceUnavailable", RETRY_AFTER_SECONDS)
    if isinstance(error, storage.NoSuchKey):
        return S3Error("NoSuchKey", fields=_named("Key", key))
    if isinstance(error, storage.NoSuchBucket | storage.BucketNotEmpty):
        return S3Error(_STORAGE[type(error)], fields=_named("BucketName", bucket))
    if isinstance(error, storage.StorageError) and type(error) in _STORAGE:
        return S3Error(_STORAGE[type(error)])
    return S3Error("InternalError")


def _from_kms(error: KMSError) -> S3Error:
    """KMS refusals as S3 shows them: the code behind `KMS.`, status 400 (recorded from AWS)."""
    if isinstance(error, KMSUnavailable):
        return _unavailable("ServiceUnavailable", error.retry_after_seconds)
    if error.status >= 500:
        return _unavailable("ServiceUnavailable", RETRY_AFTER_SECONDS)
    if error.code == "ThrottlingException":
        return _unavailable("SlowDown", 1)
    if error.code == "AccessDeniedException":
        return S3Error("AccessDenied", error.message)
    return S3Error(f"KMS.{error.code}", error.message)


def _named(element: str, name: str | None) -> dict[str, str]:
    return {} if name is None else {element: name}


def _unavailable(code: str, retry_after_seconds: int) -> S3Error:
    return S3Error(code, headers={"Retry-After": str(retry_after_seconds)})
