"""The identity database's file: opening it, its settings, its migrations, its failures."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path

from database.own_schema import OwnSchema
from database.row_seals import RowSeals
from database.shared.sharing import transaction
from iam.store.interface import DamagedRow, StoreUnavailable
from iam.store.seals import SEALED

BUSY_SECONDS = 5.0
"""How long a statement waits for another process's transaction. They take milliseconds."""

_MIGRATION = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")


def open_database(path: Path, *, schema: int | None = None) -> sqlite3.Connection:
    """Open or create the database, bring its schema up to date, and return a connection in autocommit mode.

    The file is made readable by its owner alone. `schema` stops at that migration. Raises StoreUnavailable, also for a
    schema newer than this program.
    """
    try:
        path.touch(mode=0o600, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"cannot open the identity database {path}: {error}") from error
    try:
        with TranslatedFailures(f"the identity database {path}"):
            # WAL: readers never wait for a writer. FULL: a commit that returned is on disk (the default in WAL mode is
            # not). The rows are few, so that SQLite's other defaults fit.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            _migrate(connection, _migrations()[:schema])
    except BaseException:
        connection.close()
        raise
    return connection


@lru_cache(1)
def own_schema() -> OwnSchema:
    """What an identity database of this release has."""
    return OwnSchema.made_by(partial(_migrate, migrations=_migrations()), SEALED.tables)


def newest_schema() -> int:
    """The number of the last migration that this program knows."""
    return len(_migrations())


def _migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Apply what is missing, in one transaction that other processes wait for; a crash leaves the schema as it was."""
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(migrations):
            raise StoreUnavailable(
                f"the identity database has schema {version}, this program knows up to {len(migrations)}; "
                "use the newer program"
            )
        for number, script in enumerate(migrations[version:], start=version + 1):
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


def _migrations() -> list[str]:
    """The scripts in order. Their numbers are 1, 2, 3 … without gaps."""
    files = sorted(
        (entry for entry in resources.files("iam.store.migrations").iterdir() if _MIGRATION.fullmatch(entry.name)),
        key=lambda entry: entry.name,
    )
    assert [int(entry.name[:4]) for entry in files] == list(range(1, len(files) + 1))
    return [entry.read_text(encoding="utf-8") for entry in files]


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit before the first."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    assert not pending.strip(), "a migration ends with a complete statement"


class TranslatedFailures:
    """Turns SQLite's own failures (busy, full, damaged, closed) into StoreUnavailable, those for a seal into what they
    were for, and tells `on_damage` of rows whose seals are wrong. No generator, since each request enters two of them.
    """

    def __init__(
        self, what: str, seals: RowSeals | None = None, on_damage: Callable[[str], None] | None = None
    ) -> None:
        self._what = what
        self._seals = seals
        self._on_damage = on_damage

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, sqlite3.Error):
            return
        failure = None if self._seals is None else self._seals.take_failure()
        if failure is None:
            raise StoreUnavailable(f"{self._what} cannot serve: {error}") from error
        if self._on_damage is not None and isinstance(failure, DamagedRow):
            self._on_damage(str(failure))
        raise failure from None
