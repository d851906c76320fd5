"""Which blob store the settings name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.config import BackingSettings, Settings
from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.blobs.mirror import MirrorBlobStore
from gateway.storage.blobs.naming import directory_of, is_in_files, locations_of
from gateway.storage.blobs.s3.backend import Timing
from gateway.storage.blobs.s3.location import parse_location
from gateway.storage.blobs.s3.store import S3BlobStore
from gateway.storage.errors import StorageUnavailable


def open_blob_store(settings: Settings, instance: str, told: Callable[[str], None] = lambda _: None) -> BlobStore:
    """For one process, which calls itself `instance`. Raises StorageUnavailable; a backing store is not asked yet.

    `told` is given a sentence when a mirror lacks a copy of a blob.
    """
    first, *second = _with_backing(settings)
    store = _open(settings, instance, *first)
    return MirrorBlobStore(store, _open(settings, instance, *second[0]), told) if second else store


def open_backing_stores(settings: Settings, instance: str) -> Iterator[tuple[str, S3BlobStore]]:
    """Each bucket that storage.blobs names, by its location."""
    for location, backing in _with_backing(settings):
        if not is_in_files(location):
            yield location, _open_backing(settings, instance, location, backing)


def _with_backing(settings: Settings) -> list[tuple[str, BackingSettings]]:
    """Each location, and how its S3 is reached if it is one."""
    return list(zip(locations_of(settings.storage.blobs), (settings.backing, settings.mirror), strict=False))


def _open(settings: Settings, instance: str, location: str, backing: BackingSettings) -> BlobStore:
    if not is_in_files(location):
        return _open_backing(settings, instance, location, backing)
    directory = directory_of(location)
    if directory is not None and not directory.is_dir():  # as where a disk is not mounted: never made here
        raise StorageUnavailable(f"blobs: there is no directory {directory}")
    return FileBlobStore(
        directory or settings.blobs_directory,
        instance,
        fsync=settings.storage.fsync,
        io_uring=settings.storage.io_uring,
    )


def _open_backing(settings: Settings, instance: str, location: str, backing: BackingSettings) -> S3BlobStore:
    place = parse_location(location, endpoint=backing.endpoint, region=backing.region, addressing=backing.addressing)
    timing = Timing(
        connect_seconds=backing.connect_seconds,
        idle_seconds=backing.idle_seconds,
        attempt_seconds=backing.attempt_seconds,
    )
    return S3BlobStore(place, settings.blobs_directory, instance, connections=backing.connections, timing=timing)
