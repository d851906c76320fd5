"""What is wrong with the database as such: its pages, and what its tables say that no seal covers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.storage.errors import StorageUnavailable
from gateway.storage.index.never import NEVER
from gateway.storage.index.sqlite.connection import Database

_MOST_FOUND: Final = 100
"""By a check of the database's structure, before it gives up."""

_SAME_KEY: Final = "o.bucket_id = v.bucket_id AND o.key = v.key"
# See `versions.py` for what must hold.
_NEVER: Final = {
    "versions that are neither current nor history": "FROM object_version WHERE history NOT IN (0, 1)",
    "current versions that are not the newest, or no objects": f"""
        FROM object_version v WHERE history = 0 AND (kind != 0
            OR EXISTS (SELECT 1 FROM object_version o WHERE {_SAME_KEY} AND o.history = 1 AND o.vsort < v.vsort)
            OR EXISTS (SELECT 1 FROM object_version o WHERE {_SAME_KEY} AND o.history = 0 AND o.vsort != v.vsort))
    """,  # noqa: S608  # constants only
    "newest objects that are not current": f"""
        FROM object_version v WHERE history = 1 AND kind = 0
            AND NOT EXISTS (SELECT 1 FROM object_version o WHERE {_SAME_KEY} AND o.history = 0)
            AND NOT EXISTS (SELECT 1 FROM object_version o WHERE {_SAME_KEY} AND o.history = 1 AND o.vsort < v.vsort)
    """,  # noqa: S608  # constants only
    **NEVER,
}


def self_check(database: Database) -> Iterator[str]:
    """A sentence for each thing that is wrong. Blocks for as long as reading the whole database takes."""
    try:
        for (text,) in database.rows(f"PRAGMA integrity_check({_MOST_FOUND})"):
            if text != "ok":
                yield str(text)
        for table, row, parent, _ in database.rows("PRAGMA foreign_key_check"):
            yield f"row {row} of {table} belongs to no row of {parent}"
        for what, where in _NEVER.items():
            ((count,),) = database.rows(f"SELECT count(*) {where}")  # constants only
            if count:
                yield f"{count} {what}"
    except StorageUnavailable as error:
        yield str(error)
