"""Which key store the settings name: a file of this node's, or what nodes share on PostgreSQL."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from database.connection import PATIENCE_SECONDS, Database, Transaction
from database.opening import CONNECT_SECONDS, open_database
from database.probe import Probe, probe
from database.shared.changes import Changes
from database.shared.copy import shared_tables
from database.shared.replica import Replica
from database.shared.rows import every_row
from kms.store.interface import StoreUnavailable
from kms.store.postgresql.sharing import ERRORS, MIGRATIONS, SHARING
from kms.store.postgresql.store import PostgreSQLKeyStore
from kms.store.sqlite import SQLiteKeyStore
from kms.store.sqlite.database import open_writer

CONNECTIONS: Final = 3
"""One that is notified of changes, one that asks for them, one that makes them."""

_MAX_PASSWORD_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDatabase:
    """Where keys are that nodes share: `url` without a password (`database.location`), which is in its file."""

    url: str
    schema: str = "sealgate"
    password_file: Path | None = None
    connect_seconds: float = CONNECT_SECONDS
    operation_seconds: float = PATIENCE_SECONDS


def open_key_store(
    path: Path, database: KeyDatabase | None, *, on_change: Callable[[], object] = lambda: None
) -> SQLiteKeyStore:
    """The key store in the file `path`, made if there is none; or in `database`, with this node's copy at `path`.

    `on_change` is called, in another thread, when what was remembered of keys may be wrong: by other nodes' changes, or
    because these may not have come. Raises StoreUnavailable, StoreTooNew.
    """
    if database is None:
        return SQLiteKeyStore(path)
    return PostgreSQLKeyStore(Replica(path, SHARING, lambda: _opened(database), on_change=on_change))


async def probe_key_database(database: KeyDatabase) -> Probe:
    """Raises StoreUnavailable."""
    return await probe(
        database.url,
        ERRORS,
        MIGRATIONS,
        password=_password(database.password_file),
        schema=database.schema,
        connect_seconds=database.connect_seconds,
        shared=SHARING.name,
    )


async def replace_keys(database: KeyDatabase, source: Path) -> None:
    """Have the keys of the file `source`, a key store of this release's schema that nobody else has open, and no other.

    One transaction: every node has the keys before, and then these. Raises StoreUnavailable.
    """
    with closing(open_writer(source)) as connection:
        rows = list(every_row(connection, shared_tables(connection)))
    opened = await _opened(database)
    changes = Changes(SHARING)

    async def replace(transaction: Transaction) -> None:
        state = await changes.lock(transaction)
        if state.format > SHARING.newest_schema:
            raise StoreUnavailable("key store: the database is of a later release; use the newer program")
        await changes.forget_all(transaction)
        await changes.set_format(transaction, SHARING.newest_schema)
        await changes.write(transaction, state, rows)

    try:
        await opened.write(replace)
    finally:
        await opened.close()


async def _opened(database: KeyDatabase) -> Database:
    return await open_database(
        database.url,
        ERRORS,
        MIGRATIONS,
        password=partial(_password, database.password_file),
        schema=database.schema,
        connections=CONNECTIONS,
        connect_seconds=database.connect_seconds,
        patience_seconds=database.operation_seconds,
    )


def _password(path: Path | None) -> str | None:
    """None without a file: the server asks for none, or takes a certificate. Raises StoreUnavailable."""
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_PASSWORD_BYTES + 1)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise StoreUnavailable(f"key store: the password file {path} is open to others: chmod 600 it")
        if len(content) > _MAX_PASSWORD_BYTES:
            raise StoreUnavailable(f"key store: the password file {path} has more than {_MAX_PASSWORD_BYTES} bytes")
        return content.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise StoreUnavailable(f"key store: cannot read the password file {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise StoreUnavailable(f"key store: the password file {path} is no text") from None
