"""The store on PostgreSQL: the conformance suite, and what is its own: several nodes, and a database that goes away."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from database import connection as connection_module
from database.connection import Database, Transaction
from database.opening import open_database
from database.shared import changes
from database.shared import replica as replica_module
from database.shared.changes import Changes, Statements
from database.shared.copy import Copy, shared_tables
from database.shared.moving import move_to_database, move_to_file
from database.shared.replica import Replica
from database.shared.rows import SharedRow, every_row, tables_of
from database.shared.sharing import Sharing
from database.targets import Differs, NotEmpty
from gateway import config
from gateway.configured_identities import apply_configured, read_configured
from iam.credentials import AccessKeyUse
from iam.entities import User
from iam.principals import PolicyText
from iam.store import (
    AccountExists,
    EntityExists,
    IdentityStore,
    IdentityStoreError,
    NoSuchUser,
    OutcomeUnknown,
    SQLiteIdentityStore,
    StoreUnavailable,
)
from iam.store.database import open_database as open_sqlite
from iam.store.postgresql.sharing import ERRORS, MIGRATIONS, SHARING
from iam.store.postgresql.store import PostgreSQLIdentityStore
from tests.conformance.identities import (
    ACCOUNT,
    ANN,
    BOB,
    OTHER_ACCOUNT,
    POLICY,
    ROLE,
    IdentityStoreSuite,
    OpenStore,
    new_credential,
)
from tests.iam.store.test_sqlite import KEY, AESGCMSecretSealer
from tests.postgresql import MISSING, find_postgresql, shared_postgresql, start_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

SCHEMA = "identities"
CHANGES = Changes(SHARING)
SQL = Statements(SHARING.name)


def administer(*statements: str, url: str = "") -> list[tuple[Any, ...]]:
    """The rows of the last statement, by a connection of its own that sees the schema."""

    async def run() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url or shared_postgresql().url, server_settings={"search_path": SCHEMA})
        try:
            rows = [await connection.fetch(each) for each in statements]
        finally:
            await connection.close()
        return [tuple(row) for row in rows[-1]]

    return asyncio.run(run())


async def forget_all(transaction: Transaction) -> None:
    await CHANGES.forget_all(transaction)
    await CHANGES.set_format(transaction, SHARING.newest_schema)


def forget_identities(url: str = "") -> None:
    """As a new schema: making one for every test would take longer than the tests."""

    async def forget() -> None:
        database = await _open_database(url or shared_postgresql().url)
        await database.write(forget_all)
        await database.close()

    asyncio.run(forget())


async def _open_database(url: str, **options: Any) -> Database:
    return await open_database(
        url, ERRORS, MIGRATIONS, password=None, schema=SCHEMA, connections=4, **{"durable": False, **options}
    )


def refresh(replica: Replica) -> None:
    """Have it look now."""
    assert replica._database is not None
    assert replica._copy is not None
    replica._run(replica._confirm(replica._database, replica._copy))


def rows_of(path: Path) -> list[SharedRow]:
    with closing(sqlite3.connect(path)) as connection:
        return sorted(every_row(connection, shared_tables(connection)), key=astuple)


class Nodes:
    """Nodes that share one database, each with a directory; a replica is another process of its node."""

    def __init__(self, directory: Path, url: str = "") -> None:
        self.directory = directory
        self.url = url or shared_postgresql().url
        self._closing = ExitStack()

    def replica(self, node: str, **options: Any) -> Replica:
        open_database = partial(_open_database, self.url, **options.pop("database", {}))
        made = Replica(self.copy(node), SHARING, open_database, **options)
        self._closing.callback(made.close)
        return made

    def store(self, replica: Replica) -> PostgreSQLIdentityStore:
        made = PostgreSQLIdentityStore(replica, AESGCMSecretSealer(KEY))
        self._closing.callback(made.close)
        return made

    def open(self, node: str, **options: Any) -> PostgreSQLIdentityStore:
        return self.store(self.replica(node, **options))

    def copy(self, node: str) -> Path:
        return self.directory / f"{node}.sqlite"

    def close(self) -> None:
        self._closing.close()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    forget_identities()
    made = Nodes(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Nodes, list[Replica]]]:
    """Two of a node, and one of another."""
    forget_identities()
    nodes = Nodes(tmp_path_factory.mktemp("nodes"))
    yield nodes, [nodes.replica(node) for node in ("one", "one", "other")]
    nodes.close()


class TestPostgreSQLIdentityStore(IdentityStoreSuite):
    """With two processes of a node; another node must have the same rows after each test."""

    @pytest.fixture
    def open_store(self, processes: tuple[Nodes, list[Replica]]) -> Iterator[OpenStore]:
        nodes, (first, second, elsewhere) = processes
        assert first._database is not None
        first._run(first._database.write(forget_all))
        for replica in (first, second, elsewhere):
            refresh(replica)
        opened: list[PostgreSQLIdentityStore] = []

        def open_store() -> IdentityStore:
            opened.append(nodes.store(second if opened else first))
            return opened[-1]

        yield open_store
        for store in opened:
            store.close()
        refresh(elsewhere)
        assert rows_of(nodes.copy("one")) == rows_of(nodes.copy("other"))


# Nodes that learn of each other's changes


def wait_until(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("is_notified", [True, False])
def test_another_node_learns_of_a_change(nodes: Nodes, monkeypatch: pytest.MonkeyPatch, is_notified: bool) -> None:
    """By notification, long before it asks; or by asking."""
    if not is_notified:
        monkeypatch.setattr(replica_module, "can_notify", _cannot)
        monkeypatch.setattr(changes, "can_notify", _cannot)
    one = nodes.open("one", poll_seconds=60)
    other = nodes.open("other", poll_seconds=60 if is_notified else 0.05, stale_seconds=120)
    one.create_account(ACCOUNT)
    credential = new_credential()
    one.create_access_key(credential, 1)
    wait_until(lambda: other.find_credential(credential.access_key_id) == credential)
    one.set_access_key_active(credential.access_key_id, False)
    wait_until(lambda: other.find_credential(credential.access_key_id) == replace(credential, active=False))
    one.delete_access_key(credential.access_key_id)
    wait_until(lambda: other.find_credential(credential.access_key_id) is None)


async def _cannot(transaction: Transaction) -> bool:
    return False


def test_a_change_is_made_on_the_newest_state(nodes: Nodes) -> None:
    """Also on a node that did not hear of it yet."""
    one, other = nodes.open("one"), nodes.open("other", poll_seconds=60)
    one.create_account(ACCOUNT)
    other.create_user(ANN)
    with pytest.raises(EntityExists):
        one.create_user(replace(ANN, user_id="AIDA2"))
    one.delete_entity(ANN)
    with pytest.raises(NoSuchUser):
        other.tag(ANN, (("k", "v"),))
    other.create_user(replace(ANN, user_id="AIDA2"))  # the name that another row had


def test_of_nodes_that_change_together_none_loses_a_change(nodes: Nodes) -> None:
    nodes.open("one").create_account(ACCOUNT)

    def make_users(process: int, node: str) -> int:
        made = 0
        store = PostgreSQLIdentityStore(nodes.replica(node), AESGCMSecretSealer(KEY))
        for number in range(20):
            user = User(f"AIDA{process}X{number}", ACCOUNT.account_id, f"user{number}", "/", 1)
            with suppress(EntityExists):
                store.create_user(user)
                made += 1
            time.sleep(0.001)
        store.close()
        return made

    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(make_users, range(4), ("one", "one", "other", "other")))
    assert sum(made) == 20
    for node in ("one", "other", "new"):
        assert len(nodes.open(node).users(ACCOUNT.account_id)) == 20
    assert rows_of(nodes.copy("one")) == rows_of(nodes.copy("other")) == rows_of(nodes.copy("new"))


def test_nodes_that_start_together_with_one_configuration_agree(nodes: Nodes, tmp_path: Path) -> None:
    """A worker that was in another one's way tries again after a second."""
    keys = tmp_path / "keys"
    keys.write_text("AKIAONEONEONEONE1234 secret-of-the-first-one\n")
    keys.chmod(0o600)
    account = f'[[account]]\nid = "{ACCOUNT.account_id}"\nname = "one"\naccess_keys_file = "keys"\n'
    user = '[[account.user]]\nname = "user"\n'
    configured = read_configured(config.parse(account + user, tmp_path / "sealgate.toml"))

    def start(node: str) -> list[str]:
        told: list[str] = []
        with closing(PostgreSQLIdentityStore(nodes.replica(node), AESGCMSecretSealer(KEY))) as store:
            for _ in range(10):
                with suppress(IdentityStoreError):
                    told += apply_configured(store, configured, 1)
                    return told
        raise AssertionError("it never succeeded")

    with ThreadPoolExecutor(3) as threads:
        told = [each for some in threads.map(start, ("one", "other", "third")) for each in some]
    assert len(told) == len(set(told)) == 3  # the account, its key, the user: each was made once
    for node in ("one", "other", "third"):
        store = nodes.open(node)
        assert [each.name for each in store.users(ACCOUNT.account_id)] == ["user"]
        assert [each.access_key_id for each in store.access_keys(ACCOUNT.account_id)] == ["AKIAONEONEONEONE1234"]


def test_what_is_refused_changes_nothing_and_holds_nothing(nodes: Nodes) -> None:
    one = nodes.open("one")
    one.create_account(ACCOUNT)
    before = administer("SELECT change_no FROM identity_state")
    for _ in range(3):
        with pytest.raises(AccountExists):
            one.create_account(ACCOUNT)
    assert administer("SELECT change_no FROM identity_state") == before
    nodes.open("other").create_account(OTHER_ACCOUNT)


def test_a_change_of_nothing_is_none(nodes: Nodes) -> None:
    store = nodes.open("one")
    store.create_account(ACCOUNT)
    store.create_user(ANN)
    before = administer("SELECT change_no FROM identity_state")
    store.note_access_key_uses([AccessKeyUse("AKIAUNKNOWNUNKNOWN12", 1, "s3", "")])
    assert administer("SELECT change_no FROM identity_state") == before


def test_uses_of_keys_are_not_told_every_minute(nodes: Nodes) -> None:
    store, minute = nodes.open("one"), 60 * 1_000_000
    store.create_account(ACCOUNT)
    credential = new_credential()
    store.create_access_key(credential, 1)
    key = credential.access_key_id
    for used_us, told in ((0, 0), (14 * minute, 0), (16 * minute, 16 * minute)):
        store.note_access_key_uses([AccessKeyUse(key, used_us, "s3", "r")])
        assert store.access_key_use(key) == AccessKeyUse(key, told, "s3", "r")
    store.note_access_key_uses([AccessKeyUse(key, 17 * minute, "kms", "r")])
    assert store.access_key_use(key) == AccessKeyUse(key, 17 * minute, "kms", "r")


# Copies that are behind, ahead, or of something else


@pytest.mark.parametrize("case", ["few", "many", "forgotten"])
def test_a_node_that_was_away_catches_up(nodes: Nodes, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """By the rows that were changed, or by all rows where they are too many or not known any more."""
    away = nodes.replica("away")
    one = nodes.open("one")
    one.create_account(ACCOUNT)
    one.create_user(BOB)
    refresh(away)
    away.close()
    if case == "forgotten":
        monkeypatch.setattr(changes, "CHANGES_KEPT", 1)
    replaced: list[str] = []
    replace_copy = Copy.replace

    async def noting(copy: Copy, *arguments: Any) -> bool:
        replaced.append(case)
        return await replace_copy(copy, *arguments)

    for number in range(5):
        one.create_user(User(f"AIDA{number}", ACCOUNT.account_id, f"user{number}", "/", 1))
    one.delete_entity(BOB)
    monkeypatch.setattr(Copy, "replace", noting)
    if case == "many":
        monkeypatch.setattr(changes, "MOST_ROWS", 3)
    nodes.open("away")
    assert rows_of(nodes.copy("away")) == rows_of(nodes.copy("one"))
    assert bool(replaced) == (case != "few")
    if case == "forgotten":
        assert administer("SELECT count(*) FROM identity_row WHERE content IS NULL AND key LIKE '%BOB%'") == [(1,)]
        one.create_user(BOB)
        one.delete_entity(BOB)
        one.create_user(ANN)
        one.tag(ANN, (("k", "v"),))
        assert administer("SELECT count(*) FROM identity_row WHERE content IS NULL") == [(0,)]
        assert administer("SELECT count(*) FROM identity_change") == [(1,)]


def test_a_database_that_was_restored_is_followed(nodes: Nodes) -> None:
    """Both back, and on from there: the copies forget what is not so any more."""
    one, other = nodes.open("one"), nodes.open("other")
    one.create_account(ACCOUNT)
    tables = ("identity_state", "identity_row", "identity_change")
    administer(*(f"CREATE TABLE old_{table} AS TABLE {table}" for table in tables), "SELECT 1")
    try:
        one.create_user(ANN)
        assert one.user(ACCOUNT.account_id, "ann") == ANN
        administer(
            "BEGIN",
            *(f"DELETE FROM {table}" for table in tables),
            *(f"INSERT INTO {table} TABLE old_{table}" for table in tables),
            "COMMIT",
        )
        other.create_user(BOB)  # the number of change that Ann had
        refresh(one._replica)
        for store in (one, other, nodes.open("new")):
            assert store.users(ACCOUNT.account_id) == [BOB]
    finally:
        administer(*(f"DROP TABLE old_{table}" for table in tables))


def test_rows_that_are_no_rows_are_refused(nodes: Nodes) -> None:
    nodes.open("one").create_account(ACCOUNT)
    administer("INSERT INTO identity_row VALUES ('account; DROP TABLE role', '[]', '{}', 1)")
    with pytest.raises(StoreUnavailable, match="knows no rows"):
        nodes.open("other")
    administer("""UPDATE identity_row SET kind = 'account', content = '{"x) --": 1}' WHERE kind LIKE '%DROP%'""")
    with pytest.raises(StoreUnavailable, match="columns"):
        nodes.open("other")


def test_rows_of_an_older_schema_are_migrated(nodes: Nodes, tmp_path: Path) -> None:
    """From one whose users and their policies are other tables."""
    nodes.replica("one").close()
    path = tmp_path / "old.sqlite"
    with closing(open_sqlite(path, schema=5)) as connection:
        connection.execute(
            "INSERT INTO account (account_id, canonical_id, display_name, created_us) VALUES ('1','c','n',1)"
        )
        connection.execute(
            "INSERT INTO user (user_id, account_id, name, path, created_us) VALUES ('U','1','ann','/',1)"
        )
        connection.execute("INSERT INTO user_policy VALUES ('U', 'p', '{}')")
        old = list(every_row(connection, tables_of(connection)))
    database = nodes.replica("one")
    assert database._database is not None

    async def put_old(transaction: Transaction) -> None:
        await forget_all(transaction)
        await CHANGES.write(transaction, await CHANGES.lock(transaction), old)
        await CHANGES.set_format(transaction, 5)

    database._run(database._database.write(put_old))
    with pytest.raises(StoreUnavailable, match="format 5"):
        refresh(database)  # one that runs does not migrate
    store = nodes.open("other")
    assert administer("SELECT DISTINCT kind FROM identity_row WHERE content IS NOT NULL ORDER BY kind") == [
        ("account",),
        ("entity",),
        ("inline_policy",),
    ]
    with closing(open_sqlite(path)) as connection:
        assert rows_of(nodes.copy("other")) == sorted(every_row(connection, tables_of(connection)), key=astuple)
    assert store.seal_rows(if_unsealed=True) == 3
    assert [user.name for user in store.users("1")] == ["ann"]
    store = nodes.open("third")  # they were shared
    assert [user.name for user in store.users("1")] == ["ann"]


def test_rows_of_a_newer_schema_are_refused_and_left_alone(nodes: Nodes) -> None:
    store = nodes.open("one", poll_seconds=60)
    store.create_account(ACCOUNT)
    administer("UPDATE identity_state SET format = 99")
    with pytest.raises(StoreUnavailable, match="newer program"):
        nodes.open("other")
    with pytest.raises(StoreUnavailable, match="format 99"):
        store.create_account(OTHER_ACCOUNT)
    assert administer("SELECT count(*) FROM identity_row WHERE content IS NOT NULL") == [(1,)]


def test_no_secret_lies_in_the_database_or_the_copy(nodes: Nodes) -> None:
    store = nodes.open("one")
    store.create_account(ACCOUNT)
    credential = new_credential()
    store.create_access_key(credential, 1)
    ((row,),) = administer("SELECT content FROM identity_row WHERE kind = 'access_key'")
    secret = credential.secret.reveal()
    assert credential.access_key_id in row
    assert secret.decode() not in row
    assert secret.hex() not in row
    for file in nodes.directory.glob("one.sqlite*"):
        assert secret not in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


# A database that goes away


def test_who_cannot_ask_serves_nobody(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    store = nodes.open("one", poll_seconds=0.02, stale_seconds=2.0)
    store.create_account(ACCOUNT)
    credential = new_credential()
    store.create_access_key(credential, 1)
    is_away = True

    async def away(self: Changes, transaction: Transaction) -> Any:
        if is_away:
            raise ConnectionError("away")
        return await read_state(self, transaction)

    read_state = Changes.state
    monkeypatch.setattr(Changes, "state", away)
    assert store.find_credential(credential.access_key_id) == credential

    def is_refused() -> bool:
        try:
            store.find_credential(credential.access_key_id)
        except StoreUnavailable:
            return True
        return False

    wait_until(is_refused)
    for read in (store.accounts, lambda: store.account_access(ACCOUNT.account_id, True), store.management_account):
        with pytest.raises(StoreUnavailable):
            read()
    is_away = False
    wait_until(lambda: not is_refused())


def test_a_server_that_crashes_is_unavailable_until_it_is_back(tmp_path: Path) -> None:
    server = start_postgresql()
    database = {"patience_seconds": 1.0, "durable": True}
    nodes = Nodes(tmp_path, server.url)
    try:
        store = nodes.open("one", poll_seconds=0.05, stale_seconds=0.5, database=database)
        store.create_account(ACCOUNT)
        server.stop(signal.SIGQUIT)
        with pytest.raises(StoreUnavailable):
            store.create_account(OTHER_ACCOUNT)
        with pytest.raises(StoreUnavailable):
            nodes.open("other")
        wait_until(lambda: _raises(store.accounts))
        server.start()
        wait_until(lambda: not _raises(store.accounts))
        store.create_account(OTHER_ACCOUNT)
        assert nodes.open("other").accounts() == [ACCOUNT, OTHER_ACCOUNT]
    finally:
        nodes.close()
        server.stop(signal.SIGQUIT)


def _raises(read: Callable[[], object]) -> bool:
    try:
        read()
    except StoreUnavailable:
        return True
    return False


def test_connections_that_break_are_replaced(nodes: Nodes) -> None:
    one, other = nodes.open("one"), nodes.open("other")
    one.create_account(ACCOUNT)
    refresh(other._replica)
    administer(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sealgate'"
        " AND pid <> pg_backend_pid()"
    )
    one.create_user(ANN)
    wait_until(lambda: list(other.users(ACCOUNT.account_id)) == [ANN])


def test_a_lost_answer_to_a_commit_is_an_unknown_outcome(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The change is made or not on every node alike, this one included."""
    one, other = nodes.open("one"), nodes.open("other")
    one.create_account(ACCOUNT)

    async def lost(connection: Any, progress: Any) -> None:
        await connection.execute("COMMIT")
        monkeypatch.undo()
        raise progress.errors.unknown("the connection was lost in a commit")

    monkeypatch.setattr(connection_module, "_commit", lost)
    with pytest.raises(OutcomeUnknown):
        one.create_user(ANN)
    for store in (one, other):
        refresh(store._replica)
        assert list(store.users(ACCOUNT.account_id)) == [ANN]


def test_a_copy_that_cannot_be_written_is_behind_and_comes_after(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a crash between the two commits."""
    one, other = nodes.open("one"), nodes.open("other")
    one.create_account(ACCOUNT)

    def full(connection: sqlite3.Connection, position: changes.Position) -> None:
        monkeypatch.undo()
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(replica_module, "set_position", full)
    with pytest.raises(OutcomeUnknown):
        one.create_user(ANN)
    for store in (one, other):
        refresh(store._replica)
        assert list(store.users(ACCOUNT.account_id)) == [ANN]
    one.delete_entity(ANN)


_DYING = """
import os, signal, sys
from pathlib import Path
from database.shared import changes, replica
from tests.iam.store.test_postgresql import ANN, Nodes

step, directory, url = sys.argv[1:]
store = Nodes(Path(directory), url).open("one")

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

if step == "between the commits":
    replica.set_position = die
elif step == "before the commit":
    changes.Changes.write = die
else:
    store._changed_rows = die
store.create_user(ANN)
"""


@pytest.mark.parametrize(
    ("step", "is_made"), [("in the change", False), ("before the commit", False), ("between the commits", True)]
)
def test_a_process_that_is_killed_in_a_change_holds_nobody_up(nodes: Nodes, step: str, is_made: bool) -> None:
    """And every node, its own first, has what the database has."""
    one, other = nodes.open("one"), nodes.open("other")
    one.create_account(ACCOUNT)
    command = [sys.executable, "-c", _DYING, step, str(nodes.directory), nodes.url]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL
    began = time.monotonic()
    one.create_user(BOB)
    assert time.monotonic() - began < 15
    expected = [ANN, BOB] if is_made else [BOB]
    for store in (one, other):
        refresh(store._replica)
        assert list(store.users(ACCOUNT.account_id)) == expected


def test_everything_is_refused_after_it_was_closed(nodes: Nodes) -> None:
    store = nodes.open("one")
    store.create_account(ACCOUNT)
    store._replica.close()
    for call in (store.accounts, lambda: store.create_account(OTHER_ACCOUNT)):
        with pytest.raises(StoreUnavailable):
            call()
    store._replica.close()
    assert repr(store) == "PostgreSQLIdentityStore()"


# Moving there and back


def test_a_copy_puts_back_what_the_database_lost(nodes: Nodes, tmp_path: Path) -> None:
    """As docs/rebuild.md says."""
    node = nodes.open("one")
    node.create_account(ACCOUNT)
    node.create_user(ANN)
    credential = new_credential()
    node.create_access_key(credential, 1)
    rows = rows_of(nodes.copy("one"))
    nodes.close()
    forget_identities()
    own = tmp_path / "identities.sqlite"
    for suffix in ("", "-wal"):
        left = nodes.copy("one").with_name(f"one.sqlite{suffix}")
        if left.exists():
            shutil.copy(left, own.with_name(own.name + suffix))
    with closing(sqlite3.connect(own)) as connection:
        connection.executescript("DROP TABLE copy_position; PRAGMA wal_checkpoint(TRUNCATE);")
    assert asyncio.run(moved(nodes, move_to_database, own)) == len(rows)
    (tmp_path / "other").mkdir()
    with closing(Nodes(tmp_path / "other")) as others:
        assert others.open("node").find_credential(credential.access_key_id) == credential


def test_identities_move_there_and_back_row_by_row(nodes: Nodes, tmp_path: Path) -> None:
    path, back = tmp_path / "identities.sqlite", tmp_path / "back.sqlite"
    credential = new_credential()
    with closing(SQLiteIdentityStore(path, AESGCMSecretSealer(KEY))) as store:
        store.create_account(ACCOUNT)
        store.create_user(replace(ANN, tags=(("ключ", "значение"),)))
        store.put_inline_policy(ANN, PolicyText("p", POLICY))
        store.create_role(ROLE)
        store.create_access_key(credential, 1)
        store.note_access_key_uses([AccessKeyUse(credential.access_key_id, 7, "s3", "eu-1")])
    count = asyncio.run(moved(nodes, move_to_database, path))
    assert count == len(rows_of(path)) == 7
    node = nodes.open("one")
    assert node.find_credential(credential.access_key_id) == credential
    with pytest.raises(NotEmpty, match="already"):
        asyncio.run(moved(nodes, move_to_database, path))
    with pytest.raises(NotEmpty, match=r"identities\.sqlite is there"):
        asyncio.run(moved(nodes, move_to_file, path))
    assert asyncio.run(moved(nodes, move_to_file, back)) == 7
    assert rows_of(back) == rows_of(path)
    assert sorted(each.name for each in tmp_path.glob("*back*")) == ["back.sqlite"]
    assert stat.S_IMODE(back.stat().st_mode) == 0o600
    with closing(SQLiteIdentityStore(back, AESGCMSecretSealer(KEY))) as store:
        assert store.find_credential(credential.access_key_id) == credential
        assert store.user(ACCOUNT.account_id, "ann").tags == (("ключ", "значение"),)


@pytest.mark.parametrize("case", ["other", "missing", "dangling"])
def test_a_move_that_does_not_arrive_as_it_was_is_undone(nodes: Nodes, tmp_path: Path, case: str) -> None:
    store = nodes.open("one")
    store.create_account(ACCOUNT)
    store.create_user(ANN)
    administer(
        {
            # JSON that says the same in other words would come back as other text.
            "other": "UPDATE identity_row SET content = replace(content, ':', ' : ') WHERE kind = 'entity'",
            "missing": "INSERT INTO identity_row VALUES ('account', '[\"9\"]', '{}', 1)",
            "dangling": "DELETE FROM identity_row WHERE kind = 'account'",
        }[case]
    )
    path = tmp_path / "back.sqlite"
    with pytest.raises((Differs, StoreUnavailable)):
        asyncio.run(moved(nodes, move_to_file, path))
    assert list(tmp_path.glob("*back*")) == []


async def moved(nodes: Nodes, move: Callable[[Database, Sharing, Path], Awaitable[int]], path: Path) -> int:
    database = await _open_database(nodes.url)
    try:
        return await move(database, SHARING, path)
    finally:
        await database.close()


# Query plans


@pytest.mark.parametrize("query", [SQL.change_id, SQL.rows_since, SQL.page, SQL.forget_changes, SQL.forget_rows])
def test_no_table_is_read_from_end_to_end(nodes: Nodes, query: str) -> None:
    nodes.replica("one")
    parameters = "'', '', 10" if "$3" in query else "5, 10" if "$2" in query else "5"
    plan = administer(
        "BEGIN",
        "INSERT INTO identity_change SELECT n, '' FROM generate_series(1, 20000) n ON CONFLICT DO NOTHING",
        "INSERT INTO identity_row SELECT 'entity', n::text, CASE WHEN n % 100 > 0 THEN repeat('x', 300) END, n"
        " FROM generate_series(1, 20000) n",
        "ANALYZE identity_change, identity_row",
        "SET LOCAL plan_cache_mode = force_generic_plan",
        f"PREPARE hot AS {query}",
        f"EXPLAIN EXECUTE hot({parameters})",
    )
    text = "\n".join(line for (line,) in plan)
    assert "Index" in text
    assert "Seq Scan" not in text, text
