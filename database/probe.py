"""What `sealgate doctor` asks of a database that holds a store. Nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from database.errors import StoreErrors
from database.schema import Migrations

_LOOK = """
    SELECT current_setting('server_version'), current_setting('server_encoding'),
        current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on',
        coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), FALSE),
        current_setting('max_connections')::bigint
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """`schema` is the number of the last migration, 0 for none; `is_durable`: it syncs what it acknowledged.

    `format` is that of rows that nodes share (`database.shared`), 0 for none.
    """

    version: str
    encoding: str
    is_durable: bool
    is_encrypted: bool
    max_connections: int
    schema: int
    format: int = 0


async def probe(
    url: str,
    errors: StoreErrors,
    migrations: Migrations,
    *,
    password: str | None,
    schema: str,
    connect_seconds: float,
    shared: str | None = None,
) -> Probe:
    """`shared` is the name of rows that nodes share. Raises `errors.unavailable`."""
    try:
        connection = await asyncpg.connect(
            url, password=password, timeout=connect_seconds, command_timeout=connect_seconds
        )
        try:
            version, encoding, is_durable, is_encrypted, most = await connection.fetchrow(_LOOK)
            applied = await migrations.applied(connection, schema)
            format_ = 0
            if shared is not None and applied:
                format_ = await connection.fetchval(f"SELECT format FROM {schema}.{shared}_state")  # noqa: S608
            return Probe(version, encoding, is_durable, is_encrypted, most, applied, format_)
        finally:
            await connection.close(timeout=connect_seconds)
    except Exception as error:
        raise errors.refused(error) from error
