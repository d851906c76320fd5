"""What `sealgate doctor` asks of a database that holds the index. Nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg

from gateway.storage.index.postgresql.index import refused

_LOOK = """
    SELECT current_setting('server_version'), current_setting('server_encoding'),
        current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on',
        coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), FALSE),
        current_setting('max_connections')::bigint
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """`schema` is the number of the last migration, 0 for none; `is_durable`: it syncs what it acknowledged."""

    version: str
    encoding: str
    is_durable: bool
    is_encrypted: bool
    max_connections: int
    schema: int


async def probe(url: str, *, password: str | None, schema: str, connect_seconds: float) -> Probe:
    """Raises StorageUnavailable."""
    try:
        connection = await asyncpg.connect(
            url, password=password, timeout=connect_seconds, command_timeout=connect_seconds
        )
        try:
            version, encoding, is_durable, is_encrypted, most = await connection.fetchrow(_LOOK)
            return Probe(version, encoding, is_durable, is_encrypted, most, await _migration(connection, schema))
        finally:
            await connection.close(timeout=connect_seconds)
    except Exception as error:
        raise refused(error) from error


async def _migration(connection: Any, schema: str) -> int:
    if not await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{schema}.schema_migration"):
        return 0
    return int(await connection.fetchval(f"SELECT coalesce(max(number), 0) FROM {schema}.schema_migration"))  # noqa: S608
