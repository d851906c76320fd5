"""Whether a copy may share the ciphertext of its source: data key and blobs, as 32 bytes that are wrapped once more.

Sharing means that two wraps open one data key. Whoever wants the key of each object to open that object alone, so that
destroying it makes just that one unreadable and nothing else opens it, has copies sealed anew: for all buckets
(`storage.copy`), or for one (`sealgate bucket update --copy`), which then neither gives nor takes shared ciphertext.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.operations.context import Services
from gateway.protocol.modes import Mode
from gateway.storage.index.records import BucketRow


class CopySetting(StrEnum):
    """What an installation, or a bucket, says of copies. Stored in buckets: values never change meaning."""

    SHARE = "share"
    REENCRYPT = "reencrypt"


_UNSHARED = frozenset({Mode.SSE_C, Mode.DSSE_KMS})
"""Modes whose blobs belong to one object alone: see `gateway.operations.object.copy_anew`."""


def shares_blobs(services: Services, source: BucketRow, target: BucketRow, modes: set[Mode]) -> bool:
    """Whether a copy between the buckets refers to its source's blobs; `modes` are those of source and copy."""
    if source.account_id != target.account_id or _UNSHARED & modes:
        return False
    return all(_lets_share(services, bucket) for bucket in (source, target))


def _lets_share(services: Services, bucket: BucketRow) -> bool:
    """What an unknown value means was decided by a newer release: the stricter one is never wrong."""
    said = services.rows.open_bucket(bucket).copy
    return services.copies_share if said is None else said == CopySetting.SHARE
