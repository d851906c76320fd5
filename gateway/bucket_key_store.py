"""Where workers share the bucket keys that they write with: the index, each row sealed under the index key."""

from __future__ import annotations

from collections.abc import Callable

from gateway.config import KMSSettings
from gateway.operations.sealed_rows import SealedRows
from gateway.sealing.bucket_keys import BucketKey, BucketKeyLimits, BucketKeys
from gateway.sealing.errors import AuthenticationFailed
from gateway.storage.index.interface import BucketKeyIndex
from gateway.storage.index.records import BucketKeyRow
from kms.api.service import KeyService


def open_bucket_keys(
    settings: KMSSettings,
    kms: KeyService,
    index: BucketKeyIndex,
    rows: SealedRows,
    *,
    epoch: Callable[[], int],
    integrity_event: Callable[[str, str], None],
) -> BucketKeys:
    """Those of a process, shared by the index, as the settings bound them."""
    limits = BucketKeyLimits(settings.bucket_key_seconds, settings.bucket_key_life_seconds, settings.bucket_key_wraps)
    return BucketKeys(kms, IndexBucketKeys(index, rows, integrity_event), epoch, limits)


class IndexBucketKeys:
    """Implements `gateway.sealing.bucket_keys.BucketKeyStore`.

    A row that was tampered with might hold a key that somebody knows: it is an integrity event, and not used.
    """

    def __init__(self, index: BucketKeyIndex, rows: SealedRows, integrity_event: Callable[[str, str], None]) -> None:
        self._index = index
        self._rows = rows
        self._integrity_event = integrity_event

    async def find(self, bucket_id: bytes, requester: bytes) -> BucketKey | None:
        row = await self._index.bucket_key(bucket_id, requester)
        if row is None:
            return None
        try:
            self._rows.verify_bucket_key(row)
        except AuthenticationFailed:
            self._integrity_event("row", f"bucket key of bucket {bucket_id.hex()}, requester {requester.hex()}")
            return None
        return BucketKey(row.key_arn, row.key_version, row.wrapped, row.created_us)

    async def keep(self, bucket_id: bytes, requester: bytes, made: BucketKey, *, forget_before_us: int) -> None:
        row = BucketKeyRow(
            bucket_id, requester, made.key_arn, made.key_version, made.wrapped, made.created_us, sealed=b""
        )
        await self._index.put_bucket_key(self._rows.seal_bucket_key(row), forget_before_us=forget_before_us)
