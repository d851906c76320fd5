"""Where blobs lie in a directory.

`blobs/<4 hex digits>/<4 more>/<32 hex digits>` by the blob's id. An id begins with its time, so a middle directory
covers 50 days and a leaf 65 seconds: blobs written at the same time lie in one directory, and one sync of it
serves all who write (`directory_sync.py`). Random spreading would need a sync each. A leaf holds what a minute brings.

`tmp/<instance>/` holds what is being written; an instance is one process, so what a dead one left is known.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Layout:
    """Paths under `root`."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.blobs = self.root / "blobs"
        self.temporary = self.root / "tmp"

    def directory(self, blob_id: bytes) -> Path:
        name = blob_id.hex()
        return self.blobs / name[:4] / name[4:8]

    def path(self, blob_id: bytes) -> str:
        """A str: opening a Path builds one anyway."""
        name = blob_id.hex()
        return f"{self.blobs}/{name[:4]}/{name[4:8]}/{name}"

    def temporary_of(self, instance: str) -> Path:
        """Raises ValueError for a name that is not a plain word."""
        if not _INSTANCE.fullmatch(instance):
            raise ValueError(f"not a name of an instance: {instance[:80]!r}")
        return self.temporary / instance


def purge_temporary(root: str | Path, instance: str) -> None:
    """Remove what the dead process `instance` was writing. For the supervisor; raises OSError."""
    with suppress(FileNotFoundError):
        shutil.rmtree(Layout(root).temporary_of(instance))


def purge_all_temporary(root: str | Path) -> None:
    """Remove what any process was writing. Only while none runs; raises OSError."""
    with suppress(FileNotFoundError):
        shutil.rmtree(Layout(root).temporary)


def make_directory(directory: Path) -> None:
    """Make it if need be, for its owner only; its parent must exist."""
    with suppress(FileExistsError):
        os.mkdir(directory, 0o700)  # noqa: PTH102  # Path.mkdir makes no difference
