"""An index put aside whole, so that an empty one can be made in its place. Nothing of it is read, and nothing deleted.

On PostgreSQL its tables go to another schema of the database: those of identities and keys, which may share the schema
of the index, stay where they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from gateway.storage.index.moving import TABLES
from gateway.storage.index.postgresql.schema import MIGRATIONS

ALL_TABLES: Final = (*(table.name for table in TABLES), "key_lock", MIGRATIONS.table)

_LONGEST_NAME: Final = 63
"""Of PostgreSQL's identifiers, in bytes; a schema's name is ASCII (`database.schema`)."""


async def set_aside_tables(connection: Any, schema: str, suffix: str) -> str:
    """Move the index's tables out of `schema`, in one transaction; the name of the schema that has them now.

    Tables that are missing are not missed: who puts an index aside may have lost a part of it.
    """
    aside = schema[: _LONGEST_NAME - len(suffix)] + suffix
    async with connection.transaction():
        await connection.execute(f"CREATE SCHEMA {aside}")
        for table in ALL_TABLES:
            await connection.execute(f"ALTER TABLE IF EXISTS {schema}.{table} SET SCHEMA {aside}")
    return aside


def set_aside_directory(directory: Path, suffix: str) -> Path:
    """Rename the directory of an index in SQLite, if there is one. Raises OSError."""
    aside = directory.with_name(directory.name + suffix)
    if directory.exists():
        directory.rename(aside)
    return aside
