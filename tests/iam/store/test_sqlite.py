"""The SQLite store: the conformance suite, and what is its own: files, migrations, sealing, failures."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from iam.credentials import AccessKeyUse
from iam.entities import User
from iam.secrets import Secret
from iam.store import EntityInUse, IdentitySealer, IdentityStore, SQLiteIdentityStore, StoreUnavailable
from iam.store import sqlite as sqlite_store
from tests.conformance.identities import ACCOUNT, POLICY, IdentityStoreSuite, OpenStore, new_credential

KEY = bytes(range(32))
ROW_KEY = Secret(bytes(range(32, 64)))
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


class AESGCMSecretSealer:
    """The least that keeps the contract of `IdentitySealer`."""

    __slots__ = ("_aead", "row_key")

    def __init__(self, key: bytes, row_key: Secret | None = ROW_KEY) -> None:
        self._aead = AESGCM(key)
        self.row_key = row_key

    def seal(self, purpose: bytes, secret: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._aead.encrypt(nonce, secret, purpose)

    def open(self, purpose: bytes, sealed: bytes) -> bytes:
        return self._aead.decrypt(sealed[:12], sealed[12:], purpose)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "identities.sqlite"


OpenWith = Callable[[IdentitySealer], SQLiteIdentityStore]


@pytest.fixture
def open_with(path: Path) -> Iterator[OpenWith]:
    opened: list[SQLiteIdentityStore] = []

    def open_with(sealer: IdentitySealer) -> SQLiteIdentityStore:
        opened.append(SQLiteIdentityStore(path, sealer))
        return opened[-1]

    yield open_with
    for store in opened:
        store.close()


@pytest.fixture
def open_store(open_with: OpenWith) -> OpenStore:
    def open_store() -> IdentityStore:
        return open_with(AESGCMSecretSealer(KEY))

    return open_store


class TestSQLiteIdentityStore(IdentityStoreSuite):
    pass


class CountingSealer(AESGCMSecretSealer):
    __slots__ = ("opened",)

    def __init__(self) -> None:
        super().__init__(KEY)
        self.opened = 0

    def open(self, purpose: bytes, sealed: bytes) -> bytes:
        self.opened += 1
        return super().open(purpose, sealed)


def test_a_credential_is_opened_once_until_the_database_changes(open_with: OpenWith) -> None:
    sealer = CountingSealer()
    store, other = open_with(sealer), open_with(AESGCMSecretSealer(KEY))
    store.create_account(ACCOUNT)
    credential = new_credential()
    store.create_access_key(credential, 1)
    for _ in range(5):
        store.find_credential(credential.access_key_id)
    assert sealer.opened == 1
    other.create_access_key(new_credential(), 2)
    for _ in range(5):
        store.find_credential(credential.access_key_id)
    assert sealer.opened == 2


def test_the_cache_is_bounded(open_with: OpenWith, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "CACHE_CAPACITY", 2)
    store = open_with(AESGCMSecretSealer(KEY))
    store.create_account(ACCOUNT)
    credentials = [new_credential() for _ in range(5)]
    for credential in credentials:
        store.create_access_key(credential, 1)
    for credential in credentials * 2:
        assert store.find_credential(credential.access_key_id) == credential
        assert len(store._cache) <= 2


def test_no_secret_lies_in_the_files(open_with: OpenWith, path: Path) -> None:
    store = open_with(AESGCMSecretSealer(KEY))
    store.create_account(ACCOUNT)
    credential = new_credential()
    store.create_access_key(credential, 1)
    files = list(path.parent.iterdir())
    assert any(credential.access_key_id.encode() in file.read_bytes() for file in files)
    assert not any(credential.secret.reveal() in file.read_bytes() for file in files)


def test_the_files_are_their_owners_alone(open_with: OpenWith, path: Path) -> None:
    open_with(AESGCMSecretSealer(KEY)).create_account(ACCOUNT)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_commit_is_on_disk_when_it_returns(open_with: OpenWith) -> None:
    connection = open_with(AESGCMSecretSealer(KEY))._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_another_sealing_key_opens_nobody(open_with: OpenWith) -> None:
    store = open_with(AESGCMSecretSealer(KEY))
    store.create_account(ACCOUNT)
    credential = new_credential()
    store.create_access_key(credential, 1)
    with pytest.raises(StoreUnavailable, match="does not open"):
        open_with(AESGCMSecretSealer(bytes(32))).find_credential(credential.access_key_id)


def test_a_secret_moved_to_another_row_does_not_open(open_with: OpenWith, path: Path) -> None:
    store = open_with(AESGCMSecretSealer(KEY))
    store.create_account(ACCOUNT)
    first, second = new_credential(), new_credential()
    store.create_access_key(first, 1)
    store.create_access_key(second, 2)
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE access_key SET sealed_secret = (SELECT sealed_secret FROM access_key WHERE access_key_id = ?)",
            (first.access_key_id,),
        )
    connection.close()
    assert store.find_credential(first.access_key_id) == first
    with pytest.raises(StoreUnavailable):
        store.find_credential(second.access_key_id)


def test_a_newer_schema_is_refused(open_with: OpenWith, path: Path) -> None:
    open_with(AESGCMSecretSealer(KEY)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreUnavailable, match="schema 99"):
        open_with(AESGCMSecretSealer(KEY))


def test_a_file_that_is_no_database_is_refused(open_with: OpenWith, path: Path) -> None:
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreUnavailable):
        open_with(AESGCMSecretSealer(KEY))


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        SQLiteIdentityStore(tmp_path / "missing" / "identities.sqlite", AESGCMSecretSealer(KEY))


def test_a_failed_migration_leaves_the_schema_as_it_was(
    open_with: OpenWith, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_with(AESGCMSecretSealer(KEY)).create_account(ACCOUNT)
    from iam.store import database

    released = database._migrations()
    broken = "CREATE TABLE extra (a);\n-- a comment; with a semicolon\nINSERT INTO missing VALUES (1);\n"
    monkeypatch.setattr(database, "_migrations", lambda: [*released, broken])
    with pytest.raises(StoreUnavailable, match="missing"):
        open_with(AESGCMSecretSealer(KEY))
    monkeypatch.undo()
    store = open_with(AESGCMSecretSealer(KEY))
    assert store.accounts() == [ACCOUNT]
    assert store._connection.execute("SELECT name FROM sqlite_schema WHERE name = 'extra'").fetchone() is None


def test_of_the_accounts_of_an_earlier_release_the_oldest_manages_the_others(
    open_with: OpenWith, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from iam.store import database

    released = database._migrations()
    monkeypatch.setattr(database, "_migrations", lambda: released[:4])
    database.open_database(path).close()
    with sqlite3.connect(path) as connection:
        for account_id, created_us in (("111111111111", 3), ("222222222222", 1), ("333333333333", 2)):
            connection.execute(
                "INSERT INTO account VALUES (?, ?, ?, ?)", (account_id, account_id * 5 + "abcd", "a", created_us)
            )
    connection.close()
    monkeypatch.undo()
    store = open_with(AESGCMSecretSealer(KEY))
    store.seal_rows(if_unsealed=True)
    assert store.management_account().account_id == "222222222222"
    assert [(each.email, each.is_active) for each in store.accounts()] == [(None, True)] * 3


def test_users_of_an_earlier_release_keep_what_they_had(
    open_with: OpenWith, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys with their uses, policies, a boundary: from before groups and roles."""
    from iam.store import database

    released = database._migrations()
    monkeypatch.setattr(database, "_migrations", lambda: released[:5])
    database.open_database(path).close()
    sealed = AESGCMSecretSealer(KEY).seal(b"sealgate/v1/iam/access-key/AKIAOLDOLDOLDOLDOLD1", b"secret")
    user = ("AIDA1", ACCOUNT.account_id, "ann", "/p/", 5, "[]", READ_ONLY)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(
            "INSERT INTO account (account_id, canonical_id, display_name, created_us) VALUES (?, ?, ?, ?)",
            astuple(ACCOUNT)[:4],
        )
        for statement, row in (
            ("INSERT INTO user VALUES (?, ?, ?, ?, ?, ?, ?)", user),
            ("INSERT INTO user_policy VALUES (?, ?, ?)", ("AIDA1", "p", POLICY)),
            ("INSERT INTO user_attachment VALUES (?, ?)", ("AIDA1", READ_ONLY)),
            (
                "INSERT INTO access_key VALUES (?, ?, ?, ?, ?, ?, 1)",
                ("AKIAOLDOLDOLDOLDOLD1", ACCOUNT.account_id, sealed, 1, 6, "AIDA1"),
            ),
            ("INSERT INTO access_key_use VALUES (?, ?, ?, ?)", ("AKIAOLDOLDOLDOLDOLD1", 7, "s3", "eu-1")),
        ):
            connection.execute(statement, row)
    connection.close()
    monkeypatch.undo()
    store = open_with(AESGCMSecretSealer(KEY))
    store.seal_rows(if_unsealed=True)
    ann = User("AIDA1", ACCOUNT.account_id, "ann", "/p/", 5, (), READ_ONLY)
    assert store.user(ACCOUNT.account_id, "ann") == ann
    credential = store.find_credential("AKIAOLDOLDOLDOLDOLD1")
    assert credential is not None
    assert (credential.principal, credential.secret.reveal()) == (ann.principal, b"secret")
    inline, managed = (policy.name for policy in credential.policies.identity)
    assert (inline, managed.partition(" ")[0]) == ("user ann policy p", READ_ONLY)
    assert store.access_key_use("AKIAOLDOLDOLDOLDOLD1") == AccessKeyUse("AKIAOLDOLDOLDOLDOLD1", 7, "s3", "eu-1")
    assert store._connection.execute("SELECT is_configured FROM access_key").fetchall() == [(1,)]
    assert store._connection.execute("PRAGMA foreign_key_check").fetchall() == []
    with pytest.raises(EntityInUse):
        store.delete_entity(ann)
    store.delete_access_key("AKIAOLDOLDOLDOLDOLD1")
    assert store.access_key_use("AKIAOLDOLDOLDOLDOLD1") is None


def test_a_writer_elsewhere_is_waited_for_or_unavailable(
    open_with: OpenWith, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iam.store.database.BUSY_SECONDS", 0.0)
    store = open_with(AESGCMSecretSealer(KEY))
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        store.create_account(ACCOUNT)
    assert store.accounts() == []  # readers never wait
    blocker.execute("ROLLBACK")
    blocker.close()
    store.create_account(ACCOUNT)
    assert store.accounts() == [ACCOUNT]


def test_repr_is_blank(open_with: OpenWith) -> None:
    assert repr(open_with(AESGCMSecretSealer(KEY))) == "SQLiteIdentityStore()"
