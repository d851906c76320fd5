"""Where rows are moved to: a place that is empty, and files of SQLite that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


class NotEmpty(Exception):
    """The target holds something already; the message says what."""


class Differs(Exception):
    """What arrived is not what was sent; the message says where. The target is not to be used."""


def require_absent(path: Path) -> None:
    """Raises NotEmpty."""
    if path.exists():
        raise NotEmpty(f"{path} is there already: move it away, if nobody needs it")


def remove_database(path: Path) -> None:
    """The file, and those that SQLite has beside it. Idempotent."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Until the file, or the directory, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
