"""Which blob store the settings name."""

from __future__ import annotations

from gateway.config import Settings
from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.blobs.s3.backend import Timing
from gateway.storage.blobs.s3.location import parse_location
from gateway.storage.blobs.s3.store import S3BlobStore


def open_blob_store(settings: Settings, instance: str) -> BlobStore:
    """For one process, which calls itself `instance`. Raises StorageUnavailable; a backing store is not asked yet."""
    if settings.storage.blobs == "file":
        return FileBlobStore(settings.blobs_directory, instance, fsync=settings.storage.fsync)
    return open_backing_store(settings, instance)


def open_backing_store(settings: Settings, instance: str) -> S3BlobStore:
    """The bucket that storage.blobs names."""
    backing = settings.backing
    location = parse_location(
        settings.storage.blobs, endpoint=backing.endpoint, region=backing.region, addressing=backing.addressing
    )
    timing = Timing(
        connect_seconds=backing.connect_seconds,
        idle_seconds=backing.idle_seconds,
        attempt_seconds=backing.attempt_seconds,
    )
    return S3BlobStore(location, settings.blobs_directory, instance, connections=backing.connections, timing=timing)
