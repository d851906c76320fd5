"""The key store on PostgreSQL: the conformance suite, and what is its own: several nodes, and no database."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from database.connection import Database
from database.opening import open_database
from database.shared.changes import Changes
from database.shared.copy import shared_tables
from database.shared.replica import Replica
from database.shared.rows import SharedRow, every_row
from kms.api.types import KeyState
from kms.store.interface import ROOT_CHECK_VALUE, KeyConflict, StoreUnavailable
from kms.store.postgresql.sharing import ERRORS, MIGRATIONS, SHARING
from kms.store.postgresql.store import PostgreSQLKeyStore
from kms.store.records import NewKey, RootUse, StoredUsage, new_act
from kms.store.sqlite.database import open_writer
from tests.conformance.grants import GrantSuite
from tests.conformance.key_store import ACCOUNT, NOW, REGION, KeyStoreSuite, inserted, new_key, schedule
from tests.kms.store.test_roots import NEW, OLD, record, root
from tests.kms.stores import SEAL_KEY, seal_older_rows
from tests.postgresql import MISSING, PostgreSQLServer, find_postgresql, shared_postgresql, start_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

SCHEMA = "keys"


async def open_keys(url: str, **options: Any) -> Database:
    return await open_database(
        url, ERRORS, MIGRATIONS, password=None, schema=SCHEMA, connections=4, durable=False, **options
    )


def forget_keys(url: str) -> None:
    """As a new schema: making one for every test would take longer than the tests."""

    async def forget() -> None:
        database = await open_keys(url)
        changes = Changes(SHARING)
        await database.write(changes.forget_all)
        await database.write(partial(_set_format, changes))
        await database.close()

    async def _set_format(changes: Changes, transaction: Any) -> None:
        await changes.set_format(transaction, 0)

    asyncio.run(forget())


def administer(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """The rows of the last statement, by a connection of its own that sees the schema."""

    async def run() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url, server_settings={"search_path": SCHEMA})
        try:
            rows = [await connection.fetch(each) for each in statements]
        finally:
            await connection.close()
        return [tuple(row) for row in rows[-1]]

    return asyncio.run(run())


def refresh(store: PostgreSQLKeyStore) -> None:
    """Have it look now."""
    replica = store._replica
    assert replica._database is not None
    assert replica._copy is not None
    replica._run(replica._confirm(replica._database, replica._copy))


def rows_of(path: Path) -> list[SharedRow]:
    with closing(sqlite3.connect(path)) as connection:
        return sorted(every_row(connection, shared_tables(connection)), key=lambda row: (row.kind, row.key))


class Nodes:
    """Nodes that share one database, each with a directory."""

    def __init__(self, directory: Path, url: str) -> None:
        self._directory = directory
        self.url = url
        self._closing = ExitStack()
        self.changes: dict[str, int] = {}

    def open(self, node: str, **options: Any) -> PostgreSQLKeyStore:
        on_change = options.pop("on_change", lambda: None)

        def changed() -> None:
            self.changes[node] = self.changes.get(node, 0) + 1
            on_change()

        opening = partial(open_keys, self.url, **options.pop("database", {}))
        made = PostgreSQLKeyStore(Replica(self.copy(node), SHARING, opening, on_change=changed, **options))
        self._closing.callback(made.close)
        made.open_seals(SEAL_KEY)
        return made

    def copy(self, node: str) -> Path:
        return self._directory / f"{node}.sqlite"

    def close(self) -> None:
        self._closing.close()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    url = shared_postgresql().url
    forget_keys(url)
    made = Nodes(tmp_path, url)
    yield made
    made.close()


@pytest.fixture
def store(nodes: Nodes) -> PostgreSQLKeyStore:
    return nodes.open("one")


@pytest.fixture
def stored(store: PostgreSQLKeyStore) -> NewKey:
    new = new_key()
    store.insert_key(new)
    return new


class TestPostgreSQLKeyStore(KeyStoreSuite, GrantSuite):
    """Another node must have the same rows after each test."""

    @pytest.fixture(autouse=True)
    def elsewhere(self, nodes: Nodes, store: PostgreSQLKeyStore) -> Iterator[None]:
        other = nodes.open("other")
        yield
        refresh(other)
        assert rows_of(nodes.copy("one")) == rows_of(nodes.copy("other"))


def state_of(store: PostgreSQLKeyStore, key_id: str) -> KeyState:
    key = store.key(key_id, REGION)
    assert key is not None
    return key.metadata.state


def disable(store: PostgreSQLKeyStore, key_id: str) -> None:
    store.change_state(key_id, REGION, expected=KeyState.ENABLED, state=KeyState.DISABLED, deletion_us=None, now_us=NOW)


def wait_until(is_so: Any, seconds: float = 30.0) -> float:
    """How long it took."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() < begun + seconds, "it did not come to be"
        time.sleep(0.01)
    return time.monotonic() - begun


def test_what_one_node_changes_another_is_told_of_at_once(nodes: Nodes) -> None:
    here, there = nodes.open("here"), nodes.open("there", poll_seconds=60.0, stale_seconds=120.0)
    key_id = inserted(here)
    wait_until(lambda: there.key(key_id, REGION) is not None)
    before = nodes.changes["there"]
    disable(here, key_id)
    assert wait_until(lambda: state_of(there, key_id) is KeyState.DISABLED) < 5
    wait_until(lambda: nodes.changes["there"] > before)
    with pytest.raises(KeyConflict):
        disable(there, key_id)


def test_a_change_is_decided_on_what_all_nodes_did(nodes: Nodes) -> None:
    """A node that was told nothing yet sees everything in its own changes."""
    here, there = nodes.open("here"), nodes.open("there")
    key_id = inserted(here)
    disable(there, key_id)
    assert state_of(there, key_id) is KeyState.DISABLED


def test_uses_and_acts_make_nobody_forget(nodes: Nodes) -> None:
    here, there = nodes.open("here"), nodes.open("there")
    key_id = inserted(here)
    refresh(there)
    before = dict(nodes.changes)
    here.put_usage([StoredUsage(key_id, REGION, "Decrypt", NOW, "R")])
    here.add_acts([new_act("BackUpKeyStore", NOW)])
    assert here.take_job("sweep", "here", now_us=NOW, until_us=NOW + 10)
    refresh(there)
    refresh(here)
    assert there.usage(key_id, REGION) == StoredUsage(key_id, REGION, "Decrypt", NOW, "R")
    assert not there.take_job("sweep", "there", now_us=NOW + 9, until_us=NOW + 20)
    assert there.take_job("sweep", "there", now_us=NOW + 10, until_us=NOW + 20)
    assert nodes.changes == before


def test_a_use_shortly_after_another_is_not_told_to_all_nodes(store: PostgreSQLKeyStore, nodes: Nodes) -> None:
    key_id = inserted(store)
    store.put_usage([StoredUsage(key_id, REGION, "Decrypt", NOW, "first")])
    [before] = administer(nodes.url, "SELECT change_no FROM kms_state")
    store.put_usage([StoredUsage(key_id, REGION, "Decrypt", NOW + 60_000_000, "again")])
    assert administer(nodes.url, "SELECT change_no FROM kms_state") == [before]
    store.put_usage([StoredUsage(key_id, REGION, "Encrypt", NOW + 120_000_000, "other")])
    usage = store.usage(key_id, REGION)
    assert usage is not None
    assert usage.request_id == "other"


def test_of_two_nodes_that_rotate_one_does(nodes: Nodes) -> None:
    here, there = nodes.open("here"), nodes.open("there")
    new = new_key()
    here.insert_key(new)
    refresh(there)
    assert new.version is not None
    version = replace(new.version, version=2)
    failures: list[BaseException] = []

    def rotate(store: PostgreSQLKeyStore) -> None:
        try:
            store.add_version(version, expected_current=1, next_rotation_us=None)
        except KeyConflict as error:
            failures.append(error)

    threads = [threading.Thread(target=rotate, args=(each,)) for each in (here, there)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == 1


def test_roots_are_shared_with_their_records(nodes: Nodes) -> None:
    """Among them the one table whose key is bytes."""
    here, there = nodes.open("here"), nodes.open("there")
    here.set_meta(ROOT_CHECK_VALUE, b"old check")
    new = new_key()
    assert new.version is not None
    here.insert_key(replace(new, version=replace(new.version, record=record(OLD))))
    here.prepare_root(root(OLD, RootUse.CURRENT), root(NEW, RootUse.PREPARING, None), new_act("Start", NOW))
    here.switch_root(NEW, check_value=b"new check", settings="{}", now_us=NOW, act=new_act("Switch", NOW))
    refresh(there)
    assert {each.root_id: each.state for each in there.roots()} == {OLD: RootUse.OLDER, NEW: RootUse.CURRENT}
    [found] = there.versions_not_under(NEW, after=("", 0), limit=10)
    assert there.replace_records([(found, record(NEW))]) == 1
    there.retire_root(OLD, now_us=NOW, act=new_act("Retire", NOW))
    refresh(here)
    assert rows_of(nodes.copy("here")) == rows_of(nodes.copy("there"))


def test_a_record_that_another_node_destroyed_is_nowhere_on_this_one(nodes: Nodes) -> None:
    here, there = nodes.open("here"), nodes.open("there")
    new = new_key()
    here.insert_key(new)
    assert new.version is not None
    assert new.version.record is not None
    schedule(here, new.metadata.key_id, NOW)
    refresh(there)

    def is_on_disk(node: str) -> bool:
        assert new.version is not None
        assert new.version.record is not None
        files = nodes.copy(node).parent.glob(f"{node}.sqlite*")
        return any(new.version.record in file.read_bytes() for file in files)

    assert is_on_disk("here") and is_on_disk("there")
    assert len(here.destroy_expired(NOW, 10)) == 1
    refresh(there)
    assert there.destroy_expired(NOW, 10) == []  # as its sweep does
    assert not is_on_disk("here")
    assert not is_on_disk("there")


def test_the_tracking_of_uses_begins_once(nodes: Nodes) -> None:
    since = nodes.open("here").usage_tracked_since()
    time.sleep(1.1)
    assert nodes.open("there").usage_tracked_since() == since


def test_another_node_brings_its_copy_up_from_an_older_format(nodes: Nodes) -> None:
    """Rows as migration 5 had them, made with a database of that schema."""
    old = nodes.copy("old")
    new = new_key()
    with closing(open_writer(old, schema=5)) as connection:
        connection.execute(
            "INSERT INTO kms_key (key_id, account_id, region, created_us, state, description, manager, key_spec,"
            " key_usage, origin, multi_region, tags, current_version) VALUES (?, ?, ?, ?, 'Enabled', '', 'CUSTOMER',"
            " 'SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', 'AWS_KMS', 0, '[]', 1)",
            (new.metadata.key_id, ACCOUNT, REGION, NOW),
        )
        connection.execute(
            "INSERT INTO kms_key_version (key_id, version, material_id, record, created_us) VALUES (?, 1, 'ab', ?, ?)",
            (new.metadata.key_id, b"\x01", NOW),
        )
        rows = [row for row in every_row(connection, shared_tables(connection)) if row.kind != "kms_usage_tracking"]

    async def put() -> None:
        database = await open_keys(nodes.url)
        changes = Changes(SHARING)

        async def write(transaction: Any) -> None:
            await changes.write(transaction, await changes.lock(transaction), rows)
            await changes.set_format(transaction, 5)

        await database.write(write)
        await database.close()

    asyncio.run(put())
    store = nodes.open("one")
    seal_older_rows(store)
    key = store.key(new.metadata.key_id, REGION)
    assert key is not None
    assert key.metadata.key_material_id == "ab"
    assert administer(nodes.url, "SELECT format FROM kms_state") == [(SHARING.newest_schema,)]


def test_rows_of_a_later_release_are_refused(nodes: Nodes) -> None:
    nodes.open("one").close()
    administer(nodes.url, "UPDATE kms_state SET format = 9999")
    with pytest.raises(StoreUnavailable, match="9999"):
        nodes.open("other")


@pytest.fixture(scope="module")
def fragile() -> Iterator[PostgreSQLServer]:
    server = start_postgresql()
    yield server
    server.stop()


def test_without_the_database_keys_are_served_for_a_lease_and_not_longer(
    fragile: PostgreSQLServer, tmp_path: Path
) -> None:
    nodes = Nodes(tmp_path, fragile.url)
    with closing(nodes):
        hurry = {
            "poll_seconds": 0.1,
            "stale_seconds": 3.0,
            "database": {"connect_seconds": 0.5, "patience_seconds": 1.0},
        }
        store = nodes.open("one", **hurry)
        key_id = inserted(store)
        fragile.stop()
        lost, before = time.monotonic(), nodes.changes["one"]
        assert state_of(store, key_id) is KeyState.ENABLED
        while time.monotonic() < lost + 3.05:
            time.sleep(0.01)
        with pytest.raises(StoreUnavailable, match="not known"):
            store.key(key_id, REGION)
        with pytest.raises(StoreUnavailable, match="not known"):
            store.require_current()
        wait_until(lambda: nodes.changes["one"] > before)
        with pytest.raises(StoreUnavailable):
            disable(store, key_id)
        fragile.start()
        wait_until(lambda: store._replica.is_fresh)
        assert state_of(store, key_id) is KeyState.ENABLED
        disable(store, key_id)
        assert state_of(store, key_id) is KeyState.DISABLED
