"""What is wrong with the database as such: its pages, and what its tables say that no seal covers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.storage.errors import StorageUnavailable
from gateway.storage.index.sqlite.connection import Database

_MOST_FOUND: Final = 100
"""By a check of the database's structure, before it gives up."""

_SAME_KEY: Final = "o.bucket_id = v.bucket_id AND o.key = v.key"
# See `versions.py` and `version_columns.py` for what must hold.
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
    "versions that stand behind the place that their time gives them": f"""
        FROM object_version WHERE vsort > {2**63 - 1} - modified_us
    """,
    "versions whose list of blobs is not where they say": """
        FROM object_version v WHERE has_parts != EXISTS (SELECT 1 FROM object_parts p WHERE p.row_uid = v.row_uid)
    """,
    "versions of another number of blobs than they say": """
        FROM object_version v WHERE blob_count != CASE WHEN has_parts
            THEN (SELECT length(p.blob_ids) / 16.0 FROM object_parts p WHERE p.row_uid = v.row_uid)
            ELSE blob_id IS NOT NULL END
    """,
    "blobs without references that are not condemned, or condemned with some": """
        FROM blob WHERE (refs = 0) != (condemned_us IS NOT NULL) OR refs < 0
    """,
    "inline blobs that are not where they say, or of another length": """
        FROM blob b LEFT JOIN inline_blob i USING (blob_no)
        WHERE is_inline != (i.blob_no IS NOT NULL) OR is_inline AND length(i.data) != stored_bytes
    """,
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
