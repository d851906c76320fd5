"""Which index the settings name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import asyncpg

from database.probe import Probe, probe
from gateway.config import Settings
from gateway.private_files import NotPrivate, read_private
from gateway.storage.errors import StorageUnavailable
from gateway.storage.index.interface import Index
from gateway.storage.index.moving import move_to_postgresql, move_to_sqlite
from gateway.storage.index.postgresql.index import open_postgresql_index
from gateway.storage.index.postgresql.schema import ERRORS, MIGRATIONS
from gateway.storage.index.setting_aside import set_aside_directory, set_aside_tables
from gateway.storage.index.sqlite.index import open_sqlite_index

_MAX_PASSWORD_BYTES = 4096


async def open_index(settings: Settings) -> Index:
    """For one process. Raises StorageUnavailable."""
    if settings.storage.index == "sqlite":
        return await open_sqlite_index(settings.index_path, durable=settings.storage.fsync)
    database = settings.database
    return await open_postgresql_index(
        settings.storage.index,
        password=partial(database_password, settings),
        schema=database.schema,
        connections=database.connections,
        connect_seconds=database.connect_seconds,
        patience_seconds=database.operation_seconds,
        durable=settings.storage.fsync,
    )


async def probe_index(settings: Settings) -> Probe:
    """Of an index on PostgreSQL. Raises StorageUnavailable."""
    database = settings.database
    return await probe(
        settings.storage.index,
        ERRORS,
        MIGRATIONS,
        password=database_password(settings),
        schema=database.schema,
        connect_seconds=database.connect_seconds,
    )


async def move_index(settings: Settings, to: str, told: Callable[[int, int], None]) -> int:
    """From where the settings say to `to`, "sqlite" or the URL of a database; how many rows.

    One of both is SQLite, and nobody else uses either (`storage.index.moving`). Raises
    NotEmpty, Differs, StorageUnavailable.
    """
    url = settings.storage.index if to == "sqlite" else to
    there = replace(settings, storage=replace(settings.storage, index=url))
    await (await open_index(there)).close()  # has the newest schema from now on
    async with _connected(there) as connection:
        if to == "sqlite":
            return await move_to_sqlite(connection, settings.database.schema, settings.index_path, told)
        return await move_to_postgresql(settings.index_path, connection, settings.database.schema, told)


async def set_index_aside(settings: Settings) -> str:
    """Put what is left of the index where nothing looks for it; where that is. Nobody else uses it.

    Raises StorageUnavailable.
    """
    suffix = time.strftime("_aside_%Y%m%d%H%M%S", time.gmtime())
    if settings.storage.index == "sqlite":
        try:
            return str(await asyncio.to_thread(set_aside_directory, settings.index_path.parent, suffix))
        except OSError as error:
            raise StorageUnavailable(f"index: it cannot be put aside: {error.strerror}") from error
    async with _connected(settings) as connection:
        try:
            return f"schema {await set_aside_tables(connection, settings.database.schema, suffix)}"
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise ERRORS.refused(error) from error


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Any]:
    """A connection whose statements may take as long as they need."""
    database = settings.database
    try:
        connection = await asyncpg.connect(
            settings.storage.index,
            password=database_password(settings),
            timeout=database.connect_seconds,
            server_settings={"application_name": "sealgate", "search_path": database.schema, "statement_timeout": "0"},
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise ERRORS.refused(error) from error
    try:
        if await connection.fetchval("SELECT current_setting('synchronous_commit')") == "off":
            await connection.execute("SET synchronous_commit = on")
        yield connection
    finally:
        connection.terminate()


def database_password(settings: Settings) -> str | None:
    """None without a file: the server asks for none, or takes a certificate. Raises StorageUnavailable."""
    path = settings.database.password_file
    if path is None:
        return None
    try:
        return read_private(path, _MAX_PASSWORD_BYTES).decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise StorageUnavailable(f"database: cannot read the password file {path}: {error.strerror}") from error
    except NotPrivate as error:
        raise StorageUnavailable(f"database: the password file {error}") from error
    except UnicodeDecodeError:
        raise StorageUnavailable(f"database: the password file {path} is no text") from None
