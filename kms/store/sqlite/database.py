"""The connections of the key store, and what its parts have in common.

One connection reads and one writes, so that a read on the event loop never waits for a commit in a thread. Writers of
other processes (`sealgate init`, tools) queue by SQLite's lock.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from database.own_schema import OwnSchema, SchemaCheck
from database.row_seals import write_with_seals
from database.shared.copy import is_copy
from database.shared.sharing import transaction
from kms.store.interface import DamagedRow, StoreUnavailable
from kms.store.migration import migrate
from kms.store.sqlite.seals import SEALED, new_seals, read_keys_by_seals

log = logging.getLogger(__name__)

BUSY_SECONDS = 4.0
"""How long a write waits for another process; below the 5 s within which the key service answers."""
_LOG_BUSY_MILLISECONDS = 500

P = ParamSpec("P")
R = TypeVar("R")


class Database:
    """The SQLite database at `path`, made (mode 0600) and migrated when opened.

    Raises StoreUnavailable when the file cannot be opened, StoreTooNew when a later release wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._must_empty_log = True
        self.seals = new_seals()
        self._schema = SchemaCheck(own_schema())
        self._writer = open_writer(path)
        try:
            self._reader = connect(path)
            for connection in (self._writer, self._reader):
                read_keys_by_seals(connection, self.seals)
            write_with_seals(self._writer, self.seals)
        except BaseException as error:
            self._writer.close()
            if isinstance(error, sqlite3.Error):
                raise StoreUnavailable(f"key store {path}: {error}") from error
            raise
        self._reader.execute("PRAGMA query_only = ON")
        self._require_own()

    def _require_own(self) -> None:
        """A copy of what nodes share must not be changed as if it were a store: nobody would learn of it."""
        if is_copy(self._reader):
            self.close()
            raise StoreUnavailable("it is a copy of keys on PostgreSQL, which kms.store does not name")

    def require_current(self) -> None:
        """What a file of this machine holds is always current."""

    def empty_log(self) -> None:
        """Checkpoint and truncate the write-ahead log, in which older pages still lie.

        While a reader of another process holds on to it this cannot be done, and is left to `finish_emptying_log`.
        """
        with self._write_lock:
            self._must_empty_log = True
            # Not for as long as a write waits: those that come meanwhile wait for this one.
            self._writer.execute(f"PRAGMA busy_timeout = {_LOG_BUSY_MILLISECONDS}")
            try:
                [(is_busy, _, _)] = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self._writer.execute(f"PRAGMA busy_timeout = {round(BUSY_SECONDS * 1000)}")
            self._must_empty_log = bool(is_busy)
        if is_busy:
            log.warning("what was destroyed still lies in the log of the key store, which another process reads")

    def finish_emptying_log(self) -> None:
        """Try again what `empty_log` could not do, or a process before this one, should it have been killed."""
        if self._must_empty_log:
            self.empty_log()

    def close(self) -> None:
        with self._read_lock, self._write_lock:
            self._reader.close()
            self._writer.close()

    # The lock of the reader is for callers in several threads; sqlite3 serialises single steps, not a whole query.

    def one(self, sql: str, parameters: tuple[object, ...]) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        self.require_current()
        with self._read_lock:
            row: tuple[Any, ...] | None = self._reader.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, parameters: dict[str, object]) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        self.require_current()
        with self._read_lock:
            return self._reader.execute(sql, parameters).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: IMMEDIATE, so that what it reads stays true until it commits."""
        with self._write_lock, self._begun():
            self._require_own_schema()
            yield self._writer

    def _require_own_schema(self) -> None:
        """What the file itself has us write would be sealed like what we write. Raises DamagedRow."""
        difference = self._schema.difference(self._writer)
        if difference is not None:
            what = f"{difference} in the key store is not as a key service made it"
            log.error("integrity: key store %s: %s", self.path, what)
            raise DamagedRow(what)

    @contextmanager
    def _begun(self) -> Iterator[None]:
        with transaction(self._writer):
            yield


@lru_cache(1)
def own_schema() -> OwnSchema:
    """What a key store of this release has."""
    return OwnSchema.made_by(migrate, SEALED.tables)


def open_writer(path: Path, *, schema: int | None = None) -> sqlite3.Connection:
    """The database at `path`, made (mode 0600) and migrated, up to `schema` if that is given.

    Raises StoreUnavailable, StoreTooNew.
    """
    try:
        path.touch(mode=0o600)
        connection = connect(path)
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"key store {path}: {error}") from error
    try:
        # WAL: readers never wait for the writer, and a commit costs one fsync.
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection, schema=schema)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise StoreUnavailable(f"key store {path}: {error}") from error
        raise
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.Error."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
    except BaseException:
        connection.close()
        raise
    return connection


class StorePart:
    """A group of the store's methods."""

    def __init__(self, database: Database) -> None:
        self._database = database


Part = TypeVar("Part", bound=StorePart)


def translated(method: Callable[Concatenate[Part, P], R]) -> Callable[Concatenate[Part, P], R]:
    """A method of a part whose SQLite errors become StoreUnavailable, those for a seal what it was for."""

    @wraps(method)
    def call(self: Part, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except sqlite3.Error as error:
            where = self._database.path
            failure = self._database.seals.take_failure()
            if failure is not None:
                if isinstance(failure, DamagedRow):
                    log.error("integrity: key store %s, %s: %s", where, method.__name__, failure)
                raise failure from None
            raise StoreUnavailable(f"key store {where}, {method.__name__}: {error}") from error

    return call
