"""What of files that were made to deceive is not in reach of the stores' own tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from database.own_schema import OwnSchema, SchemaCheck
from database.row_seals import RowSeals, SealedSchema, SealedTable, read_by_seals, write_with_seals
from kms.api.secrets import SecretBytes

TABLES = "CREATE TABLE owner (name TEXT PRIMARY KEY); CREATE TABLE thing (k TEXT PRIMARY KEY, v TEXT, seal BLOB)"
SCHEMA = SealedSchema(b"test", {"thing": SealedTable("intact_thing", ("k", "v"), ("k",))}, frozenset({"k", "v"}))


class Damaged(Exception):
    pass


class NotOpen(Exception):
    pass


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "database.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
    return path


@pytest.fixture
def sealed(path: Path) -> Iterator[Callable[[], sqlite3.Connection]]:
    """Connections that read and write by seals."""
    opened = []

    def connect() -> sqlite3.Connection:
        seals = RowSeals(SCHEMA, damaged=Damaged, not_open=NotOpen)
        seals.open(SecretBytes(b"k" * 32))
        connection = sqlite3.connect(path, isolation_level=None)
        opened.append(connection)
        read_by_seals(connection, seals)
        write_with_seals(connection, seals)
        return connection

    yield connect
    for connection in opened:
        connection.close()


def test_two_rows_of_one_key_prove_nothing(path: Path, sealed: Callable[[], sqlite3.Connection]) -> None:
    """A row that its own index does not know, in a file of which the schema was another one meanwhile."""
    sealed().execute("INSERT INTO thing (k, v) VALUES ('a', 'good')")
    index = "SELECT * FROM sqlite_schema WHERE name = 'sqlite_autoindex_thing_1'"
    with closing(sqlite3.connect(path, isolation_level=None)) as evil:
        row = evil.execute(index).fetchone()
        evil.execute("PRAGMA writable_schema = ON")
        evil.execute("DELETE FROM sqlite_schema WHERE name = 'sqlite_autoindex_thing_1'")
        evil.execute(
            "UPDATE sqlite_schema SET sql = 'CREATE TABLE thing (k TEXT, v TEXT, seal BLOB)' WHERE name = 'thing'"
        )
        evil.execute("PRAGMA schema_version = 100")
    with closing(sqlite3.connect(path, isolation_level=None)) as evil:
        evil.execute("INSERT INTO thing SELECT k, 'evil', seal FROM thing")
        sql = "CREATE TABLE thing (k TEXT PRIMARY KEY, v TEXT, seal BLOB)"
        evil.execute("PRAGMA writable_schema = ON")
        evil.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'thing'", (sql,))
        evil.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", row)
        evil.execute("PRAGMA schema_version = 101")
    with closing(sqlite3.connect(path)) as anybody:
        assert anybody.execute("SELECT v FROM thing NOT INDEXED ORDER BY v").fetchall() == [("evil",), ("good",)]
    for connection in (sealed(), sealed()):
        assert connection.execute("SELECT v FROM intact_thing WHERE k = 'a'").fetchall() == [("good",)]
        for query in ("SELECT v FROM intact_thing", "SELECT k FROM intact_thing WHERE v = 'evil'"):
            with pytest.raises(sqlite3.OperationalError, match="user-defined function"):
                connection.execute(query).fetchall()
        assert connection.execute("SELECT k FROM intact_thing WHERE v = 'good'").fetchall() == [("a",)]


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        (
            "CREATE TRIGGER evil AFTER INSERT ON owner BEGIN INSERT INTO thing VALUES ('a', 'b', ''); END",
            "trigger 'evil'",
        ),
        ("ALTER TABLE thing ADD COLUMN more TEXT DEFAULT 'evil'", "columns or foreign keys of thing"),
        ("ALTER TABLE thing ADD COLUMN more TEXT AS (k)", "columns or foreign keys of thing"),
        ("ALTER TABLE thing RENAME COLUMN v TO w", "columns or foreign keys of thing"),
        (
            "ALTER TABLE thing ADD COLUMN o TEXT REFERENCES owner ON DELETE SET DEFAULT",
            "columns or foreign keys of thing",
        ),
        ("DROP TABLE thing", "columns or foreign keys of thing"),
    ],
)
def test_a_schema_that_no_migration_made_is_noticed(path: Path, statement: str, difference: str) -> None:
    with closing(sqlite3.connect(path)) as migrated:
        check = SchemaCheck(OwnSchema(migrated, ["thing"]))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert check.difference(connection) is None
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("CREATE TABLE another (a)")
            other.execute("CREATE INDEX by_v ON thing (v)")
        assert check.difference(connection) is None
        with closing(sqlite3.connect(path)) as other, other:
            other.execute(statement)
        for _ in range(2):
            assert difference in str(check.difference(connection))


def test_a_trigger_of_a_migration_that_is_gone_is_noticed(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TRIGGER own AFTER INSERT ON owner BEGIN SELECT RAISE(ABORT, 'no'); END")
        check = SchemaCheck(OwnSchema(connection, ["thing"]))
        assert check.difference(connection) is None
        connection.execute("DROP TRIGGER own")
        assert check.difference(connection) == "the trigger 'own'"
