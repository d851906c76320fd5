"""Rows that somebody changed who has the database, and no seal key."""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from kms.api.secrets import SecretBytes
from kms.api.types import KeyState
from kms.store.interface import DamagedRow, SealsNotOpen
from kms.store.records import NewKey
from kms.store.sqlite import SQLiteKeyStore
from kms.store.sqlite.seals import SEALED
from tests.conformance.grants import new_grant
from tests.conformance.key_store import ACCOUNT, NOW, REGION, alias_of, new_key
from tests.kms.stores import SEAL_KEY, opened_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteKeyStore]:
    with closing(opened_store(path)) as store:
        yield store


@pytest.fixture
def stored(store: SQLiteKeyStore) -> NewKey:
    """A key with an alias and a grant."""
    new = new_key(alias="alias/a")
    store.insert_key(new)
    store.insert_grant(new_grant(new, 1), 10)
    return new


def change(path: Path, statement: str, *values: object) -> None:
    """By who has the file, and neither our triggers nor a key."""
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


def test_a_seal_is_what_the_format_says(store: SQLiteKeyStore, stored: NewKey, path: Path) -> None:
    """docs/formats/key-store-row.md, with the bytes of MessagePack put together here."""
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute(
            "SELECT account_id, region, name, key_id, created_us, updated_us, seal FROM kms_alias"
        ).fetchone()
    packed = b"\x97\xa9kms_alias" + b"".join(
        b"\xcf" + value.to_bytes(8, "big") if isinstance(value, int) else bytes([0xC4, len(value)]) + value.encode()
        for value in row[:6]
    )
    values = [value.encode() if isinstance(value, str) else value for value in row[:6]]
    assert msgspec.msgpack.decode(packed) == ["kms_alias", *values]
    mac = hmac.digest(SEAL_KEY.reveal(), b"sealgate/v1/key-store-row" + packed, "sha256")
    assert row[6] == b"\x01" + mac


def test_every_column_is_sealed(path: Path, store: SQLiteKeyStore, stored: NewKey) -> None:
    """What a migration adds must be named, or it could be changed unseen."""
    with closing(sqlite3.connect(path)) as connection:
        for table, sealed in SEALED.tables.items():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            assert {*columns} == {*sealed.columns, "seal"}
            assert [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]] == [*sealed.key]
            texts = {row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[2] == "TEXT"}
            assert texts == SEALED.texts & {*columns}


def test_every_changed_value_is_refused_and_found(store: SQLiteKeyStore, stored: NewKey, path: Path) -> None:
    key_id = stored.metadata.key_id
    reads: dict[str, Callable[[], object]] = {
        "kms_key": lambda: store.key(key_id, REGION),
        "kms_key_version": lambda: store.versions(key_id),
        "kms_alias": lambda: store.aliases(ACCOUNT, REGION, key_id=None, after="", limit=10),
        "kms_grant": lambda: store.grants(key_id, REGION, grant_id=None, grantee=None, after=0, limit=10),
    }
    named = {"account_id", "region", "key_id", "sequence", "version", "name"}
    for table, sealed in SEALED.tables.items():
        for column in sealed.columns:
            with closing(sqlite3.connect(path)) as connection:
                (value,) = connection.execute(f"SELECT {column} FROM {table}").fetchone()
                kinds = dict(connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,)))
            other = {"INTEGER": 7, "TEXT": "x", "BLOB": b"x"}[kinds[column]]
            change(path, f"UPDATE {table} SET {column} = ?", other)
            assert [row.split()[0] for row in store.prove_rows()] == [table], column
            if column not in named:  # by which it is looked for: it is not found then, or another one is
                with pytest.raises(DamagedRow):
                    reads[table]()
            change(path, f"UPDATE {table} SET {column} = ?", value)
            assert store.prove_rows() == []
            reads[table]()


def test_bytes_that_are_no_text_are_found_and_refused(store: SQLiteKeyStore, stored: NewKey, path: Path) -> None:
    change(path, "UPDATE kms_key SET description = CAST(x'ff' AS TEXT)")
    change(path, "UPDATE kms_alias SET name = CAST(x'616c6961732fff' AS TEXT)")
    assert store.prove_rows() == ["kms_key 1", f"kms_alias {ACCOUNT} {REGION} alias/\N{REPLACEMENT CHARACTER}"]
    with pytest.raises(DamagedRow):
        store.key(stored.metadata.key_id, REGION)
    with pytest.raises(DamagedRow):
        store.aliases(ACCOUNT, REGION, key_id=None, after="", limit=10)


def test_a_row_that_was_put_there_is_refused(store: SQLiteKeyStore, stored: NewKey, path: Path) -> None:
    """A grant for somebody else, copied from one that there is, with its seal."""
    columns = ", ".join(SEALED.tables["kms_grant"].columns[2:])
    change(
        path,
        f"INSERT INTO kms_grant (grant_id, {columns}, seal)"
        f" SELECT 'another', {columns.replace('grantee_principal', repr('mallory'))}, seal FROM kms_grant",
    )
    with pytest.raises(DamagedRow):
        store.grants_to(stored.metadata.key_id, REGION, ("mallory",))


def test_a_seal_is_of_one_table_and_one_key(store: SQLiteKeyStore, stored: NewKey, path: Path) -> None:
    store.insert_alias(alias_of(stored.metadata.key_id, "alias/b"))
    change(
        path, "UPDATE kms_alias SET seal = (SELECT seal FROM kms_alias WHERE name = 'alias/b') WHERE name = 'alias/a'"
    )
    with pytest.raises(DamagedRow):
        store.alias(ACCOUNT, REGION, "alias/a")
    assert store.alias(ACCOUNT, REGION, "alias/b") is not None


def test_a_changed_row_is_not_made_good_by_a_write(store: SQLiteKeyStore, stored: NewKey, path: Path) -> None:
    change(path, "UPDATE kms_key SET policy = 'all for everybody'")
    for write in (
        lambda: store.change_state(
            stored.metadata.key_id,
            REGION,
            expected=KeyState.ENABLED,
            state=KeyState.DISABLED,
            deletion_us=None,
            now_us=NOW,
        ),
        lambda: store.edit_key(stored.metadata.key_id, REGION, lambda key: key),
        lambda: store.set_policy(stored.metadata.key_id, REGION, "another"),
        lambda: store.insert_grant(new_grant(stored, 2), 10),
    ):
        with pytest.raises(DamagedRow):
            write()
    assert len(store.prove_rows()) == 1
    change(path, "UPDATE kms_key SET policy = ''")
    assert store.prove_rows() == []


def test_what_the_file_says_of_itself_proves_nothing(store: SQLiteKeyStore, stored: NewKey, path: Path) -> None:
    """Triggers and views of whoever writes the file: ours are not in it."""
    change(path, "UPDATE kms_key SET state = 'Disabled'")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE VIEW intact_key_row AS SELECT * FROM kms_key")
        connection.execute("CREATE VIEW intact_key AS SELECT * FROM kms_key")
    with pytest.raises(DamagedRow):
        store.key(stored.metadata.key_id, REGION)
    with closing(opened_store(path)) as other, pytest.raises(DamagedRow):
        other.key(stored.metadata.key_id, REGION)


def test_rows_of_another_state_are_not_taken_for_damaged(store: SQLiteKeyStore) -> None:
    """SQLite must ask about rows as they are, not as the query wants them."""
    for state in (KeyState.DISABLED, KeyState.ENABLED):
        new = new_key()
        store.insert_key(replace(new, metadata=replace(new.metadata, state=state), next_rotation_us=NOW))
    assert len(store.keys_due_for_rotation(NOW, 10)) == 1


def test_nothing_is_read_or_written_before_the_seals_are_open(
    store: SQLiteKeyStore, stored: NewKey, path: Path
) -> None:
    with closing(SQLiteKeyStore(path)) as closed:
        assert not closed.has_open_seals
        for refuse in (
            lambda: closed.key(stored.metadata.key_id, REGION),
            lambda: closed.insert_key(new_key()),
            lambda: closed.set_policy(stored.metadata.key_id, REGION, ""),
            closed.prove_rows,
        ):
            with pytest.raises(SealsNotOpen):
                refuse()
        closed.trust_rows()
        assert closed.key(stored.metadata.key_id, REGION) == store.key(stored.metadata.key_id, REGION)
        with pytest.raises(SealsNotOpen):
            closed.insert_key(new_key())


def test_another_key_proves_nothing(store: SQLiteKeyStore, stored: NewKey, path: Path) -> None:
    with closing(opened_store(path, SecretBytes(bytes(32)))) as other, pytest.raises(DamagedRow):
        other.key(stored.metadata.key_id, REGION)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER evil AFTER INSERT ON kms_alias BEGIN UPDATE kms_key SET policy = 'evil'; END",
        "ALTER TABLE kms_alias ADD COLUMN evil TEXT DEFAULT 'evil'",
    ],
)
def test_what_the_file_would_have_us_write_is_not_sealed(
    store: SQLiteKeyStore, stored: NewKey, path: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    with pytest.raises(DamagedRow, match="in the key store is not as a key service made it"):
        store.insert_alias(alias_of(stored.metadata.key_id, "alias/b"))
    assert "integrity: key store" in caplog.text
    assert store.key(stored.metadata.key_id, REGION) is not None
    assert store.prove_rows() == []
    with closing(opened_store(path)) as other, pytest.raises(DamagedRow):
        other.insert_alias(alias_of(stored.metadata.key_id, "alias/b"))
