"""Rows of the identity database that somebody changed who has the database, and no key of its seals."""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from database.row_seals import SealedSchema
from iam.credentials import new_access_key_id
from iam.entities import EntityKind, User, new_entity_id
from iam.principals import PolicyText
from iam.secrets import Secret
from iam.store import DamagedRow, SQLiteIdentityStore, StoreUnavailable
from iam.store.interface import SealsNotOpen
from iam.store.seals import SEALED
from tests.iam.store.one_of_each import (
    ACCOUNT,
    CREDENTIAL,
    GROUP,
    MANAGED,
    POLICY,
    REQUEST,
    ROLE,
    TRUST,
    USER,
    put_one_of_each,
)
from tests.iam.store.test_sqlite import KEY, ROW_KEY, AESGCMSecretSealer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "identities.sqlite"


@pytest.fixture
def damage() -> list[str]:
    """What the store told of."""
    return []


@pytest.fixture
def store(path: Path, damage: list[str]) -> Iterator[SQLiteIdentityStore]:
    """With a row in each table."""
    with closing(SQLiteIdentityStore(path, AESGCMSecretSealer(KEY), damage.append)) as made:
        put_one_of_each(made)
        yield made


def change(path: Path, statement: str, *values: object) -> None:
    """By who has the file, and neither our triggers nor a key."""
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


def test_a_seal_is_what_the_format_says(store: SQLiteIdentityStore, path: Path) -> None:
    """docs/formats/identity-row.md."""
    with closing(sqlite3.connect(path)) as connection:
        group_id, user_id, seal = connection.execute("SELECT group_id, user_id, seal FROM membership").fetchone()
    packed = msgspec.msgpack.encode(["membership", group_id.encode(), user_id.encode()])
    assert packed[0:1] + packed[1:12] == b"\x93\xaamembership"
    assert seal == b"\x01" + hmac.digest(ROW_KEY.reveal(), b"sealgate/v1/identity-row" + packed, "sha256")


def test_every_column_of_every_table_is_sealed(store: SQLiteIdentityStore, path: Path) -> None:
    """What a migration adds must be named, or it could be changed unseen."""
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert tables == {*SEALED.tables, "access_key_use"}  # when a key was last used lets nobody in
        for table, sealed in SEALED.tables.items():
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            assert {row[1] for row in columns} == {*sealed.columns, "seal"}
            assert [row[1] for row in sorted(columns, key=lambda row: row[5]) if row[5]] == [*sealed.key]
            assert {row[1] for row in columns if row[2] == "TEXT"} == SEALED.texts & {row[1] for row in columns}


def test_every_changed_value_is_refused_and_found(store: SQLiteIdentityStore, path: Path, damage: list[str]) -> None:
    account_id = ACCOUNT.account_id
    reads: dict[str, Callable[[], object]] = {
        "account": store.accounts,
        "account_request": lambda: store.account_request(REQUEST.request_id),
        "access_key": lambda: store.find_credential(CREDENTIAL.access_key_id),
        "entity": lambda: store.find_principal(USER.user_id),
        "role": lambda: store.role(account_id, ROLE.name),
        "membership": lambda: store.find_credential(CREDENTIAL.access_key_id),
        "inline_policy": lambda: store.find_credential(CREDENTIAL.access_key_id),
        "attachment": lambda: store.find_credential(CREDENTIAL.access_key_id),
        "policy": lambda: store.find_policy(account_id, MANAGED.arn),
        "policy_version": lambda: store.find_policy(account_id, MANAGED.arn),
        "oidc_provider": lambda: store.oidc_providers(account_id),
    }
    assert reads.keys() == SEALED.tables.keys()
    named = {"request_id", "access_key_id", "entity_id", "role_id", "group_id", "user_id", "name", "number"}
    named |= {"account_id", "policy_id", "policy_arn"}  # by which it is looked for: it is not found then
    for table, sealed in SEALED.tables.items():
        for column in sealed.columns:
            with closing(sqlite3.connect(path)) as connection:
                kinds = dict(connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,)))
                row = " AND ".join(f"{key} = ?" for key in sealed.key)
                if table == "entity":  # of several rows the user's
                    key: tuple[object, ...] = (USER.user_id,)
                else:
                    key = connection.execute(f"SELECT {', '.join(sealed.key)} FROM {table}").fetchone()
                (value,) = connection.execute(f"SELECT {column} FROM {table} WHERE {row}", key).fetchone()
            other: object = {"INTEGER": 77, "TEXT": "x", "BLOB": b"x"}[kinds[column]]
            if column.startswith("is_"):
                other = 1 - value
            elif column == "kind":
                other = "group"
            elif (table, column) in {("account_request", "failure"), ("account_request", "account_id")}:
                continue  # one of them alone may not be changed: below
            changed_key = tuple(other if each == column else at for each, at in zip(sealed.key, key, strict=True))
            change(path, f"UPDATE {table} SET {column} = ? WHERE {row}", other, *key)
            assert [each.split()[0] for each in store.prove_rows()] == [table], (table, column)
            if column not in named or (table, column) == ("access_key", "user_id"):
                damage.clear()
                with pytest.raises(DamagedRow):
                    reads[table]()
                assert len(damage) == 1, (table, column)
                assert f"row {table} " in damage[0]
            change(path, f"UPDATE {table} SET {column} = ? WHERE {row}", value, *changed_key)
            assert store.prove_rows() == []
            reads[table]()
    change(path, "UPDATE account_request SET failure = 'EMAIL_ALREADY_EXISTS', account_id = NULL")
    with pytest.raises(DamagedRow):
        reads["account_request"]()


def test_rights_that_somebody_put_there_let_nobody_in(store: SQLiteIdentityStore, path: Path) -> None:
    """With the seal of another row, and with none."""
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    for seal in ("(SELECT seal FROM attachment)", "NULL"):
        change(path, f"INSERT INTO attachment SELECT ?, ?, {seal}", USER.user_id, admin)
        with pytest.raises(DamagedRow):
            store.find_credential(CREDENTIAL.access_key_id)
        with pytest.raises(DamagedRow):
            store.attach_policy(USER, admin)
        change(path, "DELETE FROM attachment WHERE policy_arn = ?", admin)
    found = store.find_credential(CREDENTIAL.access_key_id)
    assert found == replace(CREDENTIAL, policies=store.policies_in_force(USER))


def test_a_changed_row_is_not_made_good_by_a_write(store: SQLiteIdentityStore, path: Path) -> None:
    change(path, "UPDATE role SET trust_policy = ?", TRUST.replace("111122223333", "*"))
    for write in (
        lambda: store.update_role(ROLE, description="new", max_session_seconds=None),
        lambda: store.set_trust_policy(ROLE, TRUST),
        lambda: store.tag(ROLE, (("a", "b"),)),
        lambda: store.note_role_use(ROLE, 10**15, "us-east-1"),
    ):
        with pytest.raises(DamagedRow):
            write()
    assert store.prove_rows() == [f"role {ROLE.role_id}"]


def test_others_are_let_in(store: SQLiteIdentityStore, path: Path) -> None:
    other = User(new_entity_id(EntityKind.USER), ACCOUNT.account_id, "ben", "/", 9)
    credential = replace(CREDENTIAL, access_key_id=new_access_key_id(), principal=other.principal)
    store.create_user(other)
    store.create_access_key(credential, 10)
    change(path, "UPDATE inline_policy SET document = '{}'")
    with pytest.raises(DamagedRow):
        store.find_credential(CREDENTIAL.access_key_id)
    assert store.find_credential(credential.access_key_id) == credential


def test_a_damaged_key_of_the_configuration_keeps_no_gateway_from_its_start(
    store: SQLiteIdentityStore, path: Path, damage: list[str]
) -> None:
    configured = replace(CREDENTIAL, access_key_id=new_access_key_id())
    store.put_configured_access_key(configured, 9)
    change(path, "UPDATE access_key SET is_configured = 1 WHERE access_key_id = ?", CREDENTIAL.access_key_id)
    assert store.disable_configured_access_keys_except(set()) == [configured.access_key_id]
    assert len(damage) == 1
    with pytest.raises(DamagedRow):
        store.find_credential(CREDENTIAL.access_key_id)


def test_rows_without_seals_are_sealed_as_they_are_if_that_is_asked_for(store: SQLiteIdentityStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in SEALED.tables:
            connection.execute(f"UPDATE {table} SET seal = NULL")
    assert len(store.prove_rows()) == 13
    with pytest.raises(DamagedRow):
        store.find_credential(CREDENTIAL.access_key_id)
    change(path, "UPDATE membership SET seal = x'01'")
    assert store.seal_rows(if_unsealed=True) == 12  # what has a seal, though a wrong one, keeps it
    assert [each.split()[0] for each in store.prove_rows()] == ["membership"]
    assert store.seal_rows(if_unsealed=False) == 13
    assert store.prove_rows() == []
    assert store.find_credential(CREDENTIAL.access_key_id) == replace(
        CREDENTIAL, policies=store.policies_in_force(USER)
    )


def test_without_the_key_rows_are_told_and_not_written(store: SQLiteIdentityStore, path: Path) -> None:
    with closing(SQLiteIdentityStore(path, AESGCMSecretSealer(KEY, None))) as told:
        assert told.users(ACCOUNT.account_id) == [USER]
        for refuse in (
            lambda: told.tag(USER, (("a", "b"),)),
            lambda: told.attach_policy(USER, MANAGED.arn),
            told.prove_rows,
        ):
            with pytest.raises(SealsNotOpen):
                refuse()
    assert store.prove_rows() == []


def test_another_key_proves_nothing(store: SQLiteIdentityStore, path: Path) -> None:
    sealer = AESGCMSecretSealer(KEY, Secret(bytes(32)))
    with closing(SQLiteIdentityStore(path, sealer)) as other, pytest.raises(DamagedRow):
        other.find_credential(CREDENTIAL.access_key_id)


def test_half_a_policy_and_half_a_role_let_nobody_in(store: SQLiteIdentityStore, path: Path) -> None:
    change(path, "DELETE FROM policy_version")
    change(path, "DELETE FROM role")
    with pytest.raises(StoreUnavailable, match="missing"):
        store.find_credential(CREDENTIAL.access_key_id)
    with pytest.raises(StoreUnavailable, match="missing"):
        store.find_principal(ROLE.role_id)


def test_what_is_asked_for_is_proven_and_no_more(store: SQLiteIdentityStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many others there are."""
    for number in range(50):
        user = User(new_entity_id(EntityKind.USER), ACCOUNT.account_id, f"user{number}", "/", 9)
        store.create_user(user)
        store.add_member(GROUP, user)
        store.attach_policy(user, MANAGED.arn)
        store.put_inline_policy(user, PolicyText("p", POLICY))
        store.create_access_key(replace(CREDENTIAL, access_key_id=new_access_key_id(), principal=user.principal), 9)
        store.create_role(replace(ROLE, role_id=new_entity_id(EntityKind.ROLE), name=f"role{number}"))
    proven: list[str] = []
    seal = SealedSchema.seal

    def noting(schema: SealedSchema, key: Secret, table: str, values: Sequence[int | bytes | None]) -> bytes:
        proven.append(table)
        return seal(schema, key, table, values)

    monkeypatch.setattr(SealedSchema, "seal", noting)
    for find, at_most in (
        (lambda: store.find_credential(CREDENTIAL.access_key_id), 11),
        (lambda: store.find_principal(ROLE.role_id), 3),
        (lambda: store.find_policy(ACCOUNT.account_id, MANAGED.arn), 3),
        (lambda: store.account_access(ACCOUNT.account_id), 1),
        (lambda: store.role(ACCOUNT.account_id, ROLE.name), 2),
        (lambda: store.account_by_email("A@example.com"), 1),
        (lambda: store.access_keys_of(ACCOUNT.account_id, USER.name), 4),
    ):
        proven.clear()
        find()
        assert 0 < len(proven) <= at_most, proven
        find()


def test_what_a_trigger_of_the_file_writes_is_not_sealed(
    store: SQLiteIdentityStore, path: Path, damage: list[str]
) -> None:
    """Whoever puts one there would have us write what it says."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TRIGGER evil AFTER UPDATE ON entity BEGIN UPDATE role SET description = 'evil'; END")
    with pytest.raises(DamagedRow, match="evil"):
        store.tag(USER, (("a", "b"),))
    assert len(damage) == 1
    assert store.role(ACCOUNT.account_id, ROLE.name) == ROLE
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TRIGGER evil")
    store.tag(USER, (("a", "b"),))
