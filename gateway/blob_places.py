"""Where on this machine the blob stores that the settings name lie; without what it takes to open one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.config import Settings
from gateway.storage.blobs.naming import directory_of, is_in_files, locations_of


def file_roots(settings: Settings) -> Sequence[Path]:
    """Directories in which blob stores keep what is being written, and those that are files all else."""
    named = (directory_of(location) for location in locations_of(settings.storage.blobs))
    return (settings.blobs_directory, *(directory for directory in named if directory is not None))


def lie_in_files(settings: Settings) -> bool:
    """Whether all blobs do, and none in a backing S3."""
    return all(is_in_files(location) for location in locations_of(settings.storage.blobs))
