"""Which identity store the settings name, for all threads of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from database.connection import Database
from database.opening import open_database
from database.probe import Probe, probe
from database.shared.replica import Replica
from gateway.config import Settings
from gateway.index_stores import database_password
from gateway.storage.errors import StorageUnavailable
from iam.store.interface import IdentitySealer, StoreUnavailable
from iam.store.postgresql.sharing import ERRORS, MIGRATIONS, SHARING
from iam.store.postgresql.store import PostgreSQLIdentityStore
from iam.store.sqlite import SQLiteIdentityStore, log_damage

CONNECTIONS: Final = 3
"""One that is notified of changes, one that asks for them, one that makes them."""


class IdentityStores:
    """Opens stores; each belongs to its thread, and is closed before this is. Any thread may call."""

    def __init__(self, settings: Settings, on_damage: Callable[[str], None] = log_damage) -> None:
        """`on_damage` is told of each row that was asked for and is not as a gateway wrote it."""
        self._settings = settings
        self._on_damage = on_damage
        self._lock = threading.Lock()
        self._replica: Replica | None = None

    def open(self, sealer: IdentitySealer) -> SQLiteIdentityStore:
        """The first call waits for the database, if identities are on one. Raises StoreUnavailable."""
        if self._settings.storage.identities == "sqlite":
            return SQLiteIdentityStore(self._settings.identities_path, sealer, self._on_damage)
        return PostgreSQLIdentityStore(self._opened_replica(), sealer, self._on_damage)

    def require_current(self) -> None:
        """Raises StoreUnavailable while stores refuse to serve, as what other nodes did is not known."""
        if self._replica is not None:
            self._replica.require_fresh()

    async def catch_up(self) -> bool:
        """See `iam.store.interface.CatchUp`."""
        return self._replica is not None and await self._replica.catch_up()

    def close(self) -> None:
        if self._replica is not None:
            self._replica.close()

    def _opened_replica(self) -> Replica:
        with self._lock:
            if self._replica is None:
                self._replica = Replica(
                    self._settings.identities_copy_path, SHARING, lambda: open_identities(self._settings)
                )
            return self._replica


async def open_identities(settings: Settings) -> Database:
    """The database that all nodes share. Raises StoreUnavailable."""
    database = settings.database
    return await open_database(
        settings.storage.index,
        ERRORS,
        MIGRATIONS,
        password=partial(_password, settings),
        schema=database.schema,
        connections=CONNECTIONS,
        connect_seconds=database.connect_seconds,
        patience_seconds=database.operation_seconds,
        durable=settings.storage.fsync,
    )


async def probe_identities(settings: Settings) -> Probe:
    """Raises StoreUnavailable."""
    return await probe(
        settings.storage.index,
        ERRORS,
        MIGRATIONS,
        password=_password(settings),
        schema=settings.database.schema,
        connect_seconds=settings.database.connect_seconds,
        shared=SHARING.name,
    )


def _password(settings: Settings) -> str | None:
    try:
        return database_password(settings)
    except StorageUnavailable as error:
        raise StoreUnavailable(str(error)) from error
