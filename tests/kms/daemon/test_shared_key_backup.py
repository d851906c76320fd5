"""Backup and restore where nodes share their keys on PostgreSQL; an archive is of either engine."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import pytest

from kms.api.types import KeyState
from kms.daemon.rotation import Place, opened
from kms.hsm.file_root import FileRoot, create_key_file
from kms.service.initialise import initialise_key_store
from kms.store.interface import StoreUnavailable
from kms.store.opening import KeyDatabase
from kms.store.records import key_bytes
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_store import NOW, REGION
from tests.kms.daemon.test_key_backup import Installation
from tests.kms.stores import trusting_store
from tests.postgresql import MISSING, find_postgresql, shared_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

SCHEMA = "shared_backup"


@dataclass(frozen=True)
class Node(Installation):
    """One of those that share a database; without one, it has a file."""

    database: KeyDatabase | None = None

    @property
    def place(self) -> Place:
        place = super().place
        return place if self.database is None else replace(place, key_database=self.database)

    def state(self, key_id: str) -> KeyState | None:
        with closing(self.place.open_keys()) as store:
            store.trust_rows()
            key = store.key(key_id, REGION)
            return None if key is None else key.metadata.state

    def disable(self, key_id: str) -> None:
        with opened(self.place) as (store, _):
            store.change_state(
                key_id, REGION, expected=KeyState.ENABLED, state=KeyState.DISABLED, deletion_us=None, now_us=NOW
            )


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    async def drop() -> None:
        connection = await asyncpg.connect(shared_postgresql().url)
        await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        await connection.close()

    asyncio.run(drop())
    made = Node(tmp_path / "one", KeyDatabase(url=shared_postgresql().url, schema=SCHEMA))
    made.place.directory.mkdir(parents=True)
    root_file, key_file = made.place.root.root_file, made.place.root.key_file
    assert root_file is not None
    assert key_file is not None
    create_key_file(key_file)
    description = FileRoot.create(root_file, key_file=key_file)
    with closing(FileRoot.open(root_file, key_file=key_file)) as root:
        place, check_value = made.place, description.check_value
        initialise_key_store(place.keys_path, root, region=REGION, check_value=check_value, database=place.key_database)
    yield made
    asyncio.run(drop())


def neighbour(node: Node, name: str, database: KeyDatabase | None) -> Node:
    """A node with the same root."""
    other = Node(node.directory.with_name(name), database)
    other.place.directory.mkdir(parents=True)
    for part in ("key", "kms/root"):
        shutil.copy(node.directory / part, other.directory / part)
    return other


def test_what_was_backed_up_comes_back_for_all_nodes(node: Node) -> None:
    other = neighbour(node, "two", node.database)
    key_id = node.make_key()
    made = node.back_up()
    assert (made.proven.keys, made.proven.unreadable) == (2, [])
    later = other.make_key()
    node.disable(key_id)
    with pytest.raises(FileExistsError):
        node.restore(replaces=False)
    kept = node.restore()
    for each in (node, other):
        assert each.state(key_id) is KeyState.ENABLED
        assert each.state(later) is None
    assert kept is not None
    with closing(trusting_store(kept)) as store:
        key = store.key(key_id, REGION)
        assert key is not None
        assert key.metadata.state is KeyState.DISABLED
        assert store.key(later, REGION) is not None
    with closing(other.place.open_keys()) as store:
        assert [act.name for act in store.acts(10)] == ["BackUpKeyStore", "RestoreKeyStore"]
        store.trust_rows()
        version = store.version(key_id, 1)
        assert version is not None
        assert key_bytes(version.key_id) in (version.record or b"")


def test_an_archive_moves_keys_from_one_engine_to_the_other(node: Node) -> None:
    key_id = node.make_key()
    node.back_up()
    alone = neighbour(node, "alone", None)
    assert alone.restore(node.archive, replaces=False) is None
    assert alone.opens(key_id)
    further = alone.make_key()
    alone.back_up()
    assert node.restore(alone.archive) is not None
    assert node.state(further) is KeyState.ENABLED


def test_a_copy_is_not_taken_for_a_key_store(node: Node) -> None:
    with pytest.raises(StoreUnavailable, match="copy of keys on PostgreSQL"):
        SQLiteKeyStore(node.place.keys_path)
