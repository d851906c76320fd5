"""The databases that are files of the data directory, and whether each can be used at all.

Looked at before anything is started, since SQLite makes a database anew where there is none, deletes the log of one
that is empty, and names no file when it complains; and for health, since a process that has a file open does not notice
that it is gone. It takes a moment whatever the size is; `sealgate doctor` reads every page.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from gateway.config import Settings

BUSY_SECONDS = 5.0
"""How long a look waits for a lock, which nobody holds for long."""

_RESTORE = "restore it from a backup (docs/backup.md)"


class DatabaseUnusable(Exception):
    """A database must not be served with; the message names its file, what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """Its name for users, its file, where its migrations are, the query that tells the last one applied, what to do."""

    what: str
    path: Path
    migrations: str
    remedy: str
    schema_query: str = "PRAGMA user_version"

    @property
    def newest_schema(self) -> int:
        return _newest_schema(self.migrations)

    def schema(self) -> int:
        """Raises sqlite3.Error."""
        with self.open() as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema")  # is more than the header, which alone may be well
            return int(connection.execute(self.schema_query).fetchone()[0] or 0)

    @contextlib.contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        place = f"{self.path.as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(place, uri=True, timeout=BUSY_SECONDS)) as connection:
            yield connection

    def trouble(self) -> str | None:
        """A sentence that names the file, says why it cannot be used, and what to do; None if it can."""
        if (why := self._why_unusable()) is not None:
            return f"the {self.what} {self.path} {why}: {self.remedy}"
        try:
            present = self.schema()
        except sqlite3.Error as error:
            if _is_of_content(error):
                return f"the {self.what} {self.path} is damaged, or none of ours ({error}): {self.remedy}"
            return f"the {self.what} {self.path} cannot be read: {error}"
        if not present:
            return f"the {self.what} {self.path} holds nothing: {self.remedy}"
        if present > self.newest_schema:
            newer = f"schema {present}; this one knows up to {self.newest_schema}"
            return f"the {self.what} {self.path} was written by a newer Sealgate ({newer}): use that one"
        return None

    def _why_unusable(self) -> str | None:
        """Of its file. It is not opened: closing it would drop locks that SQLite has on it in this process."""
        if not self.path.exists():
            return "is missing"
        if not self.path.is_file():
            return "is no file"
        if not os.access(self.path, os.R_OK | os.W_OK):
            return "may not be read and written by this user"
        return None if self.path.stat().st_size else "is empty"


@lru_cache(8)
def _newest_schema(package: str) -> int:
    return sum(file.name.endswith(".sql") for file in resources.files(package).iterdir())


def _is_of_content(error: sqlite3.Error) -> bool:
    """Whether it speaks of what is in the file: that a table is missing is SQLITE_ERROR."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # https://www.sqlite.org/rescode.html: the primary result code
    return code in {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def database_files(settings: Settings) -> tuple[DatabaseFile, ...]:
    """The key store first, if it is one. A copy of what nodes share is none: it is made anew."""
    found = []
    if settings.key_database is None:
        remedy = f"{_RESTORE}; without it no object can be read"
        found.append(DatabaseFile("key store", settings.keys_path, "kms.store.migrations", remedy))
    if settings.storage.identities == "sqlite":
        found.append(
            DatabaseFile("identity database", settings.identities_path, "iam.store.migrations", _RESTORE),
        )
    if settings.storage.index == "sqlite":
        remedy = f"{_RESTORE}, or put it aside and make it anew from the blobs (docs/rebuild.md)"
        query = "SELECT max(number) FROM schema_migration"
        package = "gateway.storage.index.sqlite.migrations"
        found.append(DatabaseFile("index", settings.index_path, package, remedy, query))
    return tuple(found)


def troubles(databases: Sequence[DatabaseFile]) -> list[str]:
    """Of those that cannot be used. Blocks for a moment."""
    return [trouble for each in databases if (trouble := each.trouble()) is not None]


def require_not_migrated_beneath(settings: Settings) -> None:
    """For commands, which bring databases to their release's schema as they open them.

    Raises DatabaseUnusable while a gateway of an earlier release serves, which would not understand them any more.
    """
    older = [each.path for each in database_files(settings) if each.path.exists() and _is_older(each)]
    if older and _is_served(settings):
        names = ", ".join(map(str, older))
        raise DatabaseUnusable(
            f"the gateway that serves is of an earlier release than this command, which would migrate {names}"
            " beneath it: stop it, and start it with this release first"
        )


def _is_older(database: DatabaseFile) -> bool:
    """One that cannot be read is for whoever opens it."""
    try:
        return database.schema() < database.newest_schema
    except sqlite3.Error:
        return False


def _is_served(settings: Settings) -> bool:
    """Whether a supervisor, or a child that it left behind, has the data directory's lock."""
    try:
        with (settings.run_directory / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def require_usable(settings: Settings) -> None:
    """Raises DatabaseUnusable for databases that cannot be served with."""
    if found := troubles(database_files(settings)):
        raise DatabaseUnusable("\n".join(found))
