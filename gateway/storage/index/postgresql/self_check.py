"""What is wrong with what the tables say and no seal covers. Their pages are the server's to check."""

from __future__ import annotations

from typing import Final

from database.connection import Database
from gateway.storage.index.never import NEVER

PATIENCE_SECONDS: Final = 3600.0
"""For a statement: each reads a whole table."""

_BEFORE: Final = """
    EXISTS (SELECT FROM object_version o WHERE o.bucket_id = v.bucket_id AND o.key = v.key AND o.vsort < v.vsort)
"""
# See `versions.py` for what must hold.
_NEVER: Final = {
    "current versions that are not the newest, or no objects": f"""
        FROM object_version v WHERE is_current AND (kind != 0 OR {_BEFORE})
    """,
    "newest objects that are not current": f"""
        FROM object_version v WHERE NOT is_current AND kind = 0 AND NOT {_BEFORE}
    """,
    **NEVER,
}


async def self_check(database: Database) -> list[str]:
    """A sentence for each thing that is wrong. Raises StorageUnavailable."""
    found = []
    for what, where in _NEVER.items():
        statement = f"SELECT count(*) {where}"
        ((count,),) = await database.survey(statement, patience_seconds=PATIENCE_SECONDS)
        if count:
            found.append(f"{count} {what}")
    return found
