"""What every `KeyStore` must do. A new implementation inherits from `KeyStoreSuite` and brings the fixture `store`."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from kms.api.types import KeyManager, KeyMetadata, KeyState, Tag
from kms.store.interface import AliasExists, AliasNotFound, KeyConflict, KeyStore
from kms.store.records import NewKey, StoredAlias, StoredKey, StoredUsage, StoredVersion, new_act

ACCOUNT, OTHER, REGION = "111122223333", "444455556666", "us-east-1"
NOW = 1_800_000_000_000_000


def new_key(account_id: str = ACCOUNT, *, alias: str | None = None, tags: tuple[Tag, ...] = ()) -> NewKey:
    key_id = str(uuid4())
    metadata = KeyMetadata(
        account_id=account_id,
        region=REGION,
        key_id=key_id,
        key_arn=f"arn:aws:kms:{REGION}:{account_id}:key/{key_id}",
        created_us=NOW,
        state=KeyState.ENABLED,
        description="for tests, é",
        manager=KeyManager.CUSTOMER,
        key_material_id=os.urandom(32).hex(),
    )
    assert metadata.key_material_id is not None
    version = StoredVersion(key_id, 1, metadata.key_material_id, os.urandom(160), NOW)
    stored_alias = None if alias is None else alias_of(key_id, alias, account_id)
    return NewKey(metadata, version, tags, stored_alias)


def alias_of(key_id: str, name: str, account_id: str = ACCOUNT) -> StoredAlias:
    return StoredAlias(account_id, REGION, name, key_id, NOW, NOW)


def inserted(store: KeyStore, account_id: str = ACCOUNT) -> str:
    new = new_key(account_id)
    store.insert_key(new)
    return new.metadata.key_id


def waiting(store: KeyStore) -> str:
    """A key that was made for import."""
    new = new_key()
    metadata = replace(new.metadata, origin="EXTERNAL", state=KeyState.PENDING_IMPORT, key_material_id=None)
    store.insert_key(replace(new, metadata=metadata, version=None))
    return metadata.key_id


def state_of(store: KeyStore, key_id: str) -> tuple[KeyState, bool]:
    """The state, and whether the key lacks material."""
    key = store.key(key_id, REGION)
    assert key is not None
    return key.metadata.state, key.lacks_material


def schedule(store: KeyStore, key_id: str, deletion_us: int) -> None:
    store.change_state(
        key_id,
        REGION,
        expected=KeyState.ENABLED,
        state=KeyState.PENDING_DELETION,
        deletion_us=deletion_us,
        now_us=NOW,
    )


def destroyed(keys: list[StoredKey]) -> list[str]:
    return [key.metadata.key_id for key in keys]


class KeyStoreSuite:
    def test_key_comes_back_as_inserted(self, store: KeyStore) -> None:
        new = new_key(alias="alias/one", tags=(Tag("a", "1"), Tag("é", "")))
        store.insert_key(new)
        key = store.key(new.metadata.key_id, REGION)
        assert key is not None
        assert key.metadata == new.metadata
        assert key.tags == new.tags
        assert key.key_bytes == UUID(new.metadata.key_id).bytes
        assert (key.current_version, key.destroyed_us) == (1, None)
        assert store.version(new.metadata.key_id, 1) == new.version
        assert store.alias(ACCOUNT, REGION, "alias/one") == new.alias

    def test_what_is_not_there_is_none(self, store: KeyStore) -> None:
        key_id = inserted(store)
        assert store.key(str(uuid4()), REGION) is None
        assert store.version(key_id, 2) is None
        assert store.alias(ACCOUNT, REGION, "alias/none") is None
        assert store.meta("none") is None

    def test_taken_alias_leaves_no_key_behind(self, store: KeyStore) -> None:
        store.insert_key(new_key(alias="alias/one"))
        second = new_key(alias="alias/one")
        with pytest.raises(AliasExists):
            store.insert_key(second)
        assert store.key(second.metadata.key_id, REGION) is None
        assert store.version(second.metadata.key_id, 1) is None
        assert store.count_keys(ACCOUNT, REGION) == 1

    def test_keys_are_listed_in_order_of_creation_page_by_page(self, store: KeyStore) -> None:
        mine = [inserted(store) for _ in range(5)]
        inserted(store, OTHER)
        listed: list[str] = []
        after = 0
        while page := store.keys(ACCOUNT, REGION, after=after, now_us=NOW, limit=2):
            assert len(page) <= 2
            listed += [key.metadata.key_id for key in page]
            after = page[-1].sequence
        assert listed == mine
        assert store.keys(ACCOUNT, "eu-de", after=0, now_us=NOW, limit=10) == []
        assert store.count_keys(ACCOUNT, REGION) == 5

    def test_gone_keys_are_not_listed(self, store: KeyStore) -> None:
        gone, pending, kept = inserted(store), inserted(store), inserted(store)
        schedule(store, gone, NOW + 1)
        schedule(store, pending, NOW + 3)
        listed = store.keys(ACCOUNT, REGION, after=0, now_us=NOW + 2, limit=10)
        assert [key.metadata.key_id for key in listed] == [pending, kept]

    def test_state_changes_only_from_the_expected_one(self, store: KeyStore) -> None:
        key_id = inserted(store)
        store.change_state(
            key_id,
            REGION,
            expected=KeyState.ENABLED,
            state=KeyState.DISABLED,
            deletion_us=None,
            now_us=NOW,
        )
        with pytest.raises(KeyConflict):
            schedule(store, key_id, NOW + 1)
        key = store.key(key_id, REGION)
        assert key is not None
        assert (key.metadata.state, key.metadata.deletion_us) == (KeyState.DISABLED, None)

    def test_key_past_its_window_does_not_come_back(self, store: KeyStore) -> None:
        key_id = inserted(store)
        schedule(store, key_id, NOW + 10)
        for now_us in (NOW + 10, NOW + 11):
            with pytest.raises(KeyConflict):
                store.change_state(
                    key_id,
                    REGION,
                    expected=KeyState.PENDING_DELETION,
                    state=KeyState.DISABLED,
                    deletion_us=None,
                    now_us=now_us,
                )
        store.change_state(
            key_id,
            REGION,
            expected=KeyState.PENDING_DELETION,
            state=KeyState.DISABLED,
            deletion_us=None,
            now_us=NOW + 9,
        )

    def test_unknown_key_is_a_conflict(self, store: KeyStore) -> None:
        with pytest.raises(KeyConflict):
            schedule(store, str(uuid4()), NOW)

    def test_alias_life(self, store: KeyStore) -> None:
        one, other = inserted(store), inserted(store)
        store.insert_alias(alias_of(one, "alias/a"))
        with pytest.raises(AliasExists):
            store.insert_alias(alias_of(other, "alias/a"))
        store.insert_alias(StoredAlias(OTHER, REGION, "alias/a", one, NOW, NOW))
        store.retarget_alias(ACCOUNT, REGION, "alias/a", key_id=other, now_us=NOW + 5)
        assert store.alias(ACCOUNT, REGION, "alias/a") == StoredAlias(ACCOUNT, REGION, "alias/a", other, NOW, NOW + 5)
        store.delete_alias(ACCOUNT, REGION, "alias/a")
        assert store.alias(ACCOUNT, REGION, "alias/a") is None
        with pytest.raises(AliasNotFound):
            store.delete_alias(ACCOUNT, REGION, "alias/a")
        with pytest.raises(AliasNotFound):
            store.retarget_alias(ACCOUNT, REGION, "alias/a", key_id=one, now_us=NOW)

    def test_aliases_are_listed_by_name(self, store: KeyStore) -> None:
        one, other = inserted(store), inserted(store)
        for name, key_id in (("alias/b", one), ("alias/a", other), ("alias/B", one), ("alias/a/x", one)):
            store.insert_alias(alias_of(key_id, name))

        def names(key_id: str | None = None, after: str = "", limit: int = 10) -> list[str]:
            found = store.aliases(ACCOUNT, REGION, key_id=key_id, after=after, limit=limit)
            return [alias.name for alias in found]

        assert names() == ["alias/B", "alias/a", "alias/a/x", "alias/b"]
        assert names(after="alias/a", limit=1) == ["alias/a/x"]
        assert names(key_id=one) == ["alias/B", "alias/a/x", "alias/b"]
        assert store.aliases(OTHER, REGION, key_id=None, after="", limit=10) == []

    def test_destroying_removes_material_and_aliases_and_keeps_the_id(self, store: KeyStore) -> None:
        gone, pending = inserted(store), inserted(store)
        store.insert_alias(alias_of(gone, "alias/gone"))
        schedule(store, gone, NOW + 10)
        schedule(store, pending, NOW + 20)
        assert store.expired_keys(NOW + 9, 10) == destroyed(store.destroy_expired(NOW + 9, 10)) == []
        assert destroyed(store.expired_keys(NOW + 10, 10)) == [gone]
        assert destroyed(store.destroy_expired(NOW + 10, 10)) == [gone]
        assert store.expired_keys(NOW + 10, 10) == destroyed(store.destroy_expired(NOW + 10, 10)) == []
        assert store.version(gone, 1) is None
        assert store.alias(ACCOUNT, REGION, "alias/gone") is None
        key = store.key(gone, REGION)
        assert key is not None
        assert key.destroyed_us == NOW + 10
        assert key.is_gone(NOW)
        assert store.version(pending, 1) is not None
        assert store.count_keys(ACCOUNT, REGION) == 1
        with pytest.raises(KeyConflict):
            store.insert_alias(alias_of(gone, "alias/again"))

    def test_destroys_in_batches(self, store: KeyStore) -> None:
        keys = [inserted(store) for _ in range(5)]
        for number, key_id in enumerate(keys):
            schedule(store, key_id, NOW + number)
        assert destroyed(store.expired_keys(NOW + 100, 3)) == keys[:3]
        assert destroyed(store.destroy_expired(NOW + 100, 3)) == keys[:3]
        assert destroyed(store.destroy_expired(NOW + 100, 3)) == keys[3:]

    # Editing and rotation

    def test_an_edit_is_of_the_stored_key(self, store: KeyStore) -> None:
        key_id = inserted(store)

        def edit(key: StoredKey) -> StoredKey:
            tags = (*key.tags, Tag(f"t{len(key.tags)}", "é"))
            metadata = replace(key.metadata, description="new")
            return replace(key, metadata=metadata, tags=tags, rotation_period_days=90, next_rotation_us=NOW + 5)

        store.edit_key(key_id, REGION, edit)
        store.edit_key(key_id, REGION, edit)
        key = store.key(key_id, REGION)
        assert key is not None
        assert (key.metadata.description, key.tags) == ("new", (Tag("t0", "é"), Tag("t1", "é")))
        assert (key.rotation_period_days, key.next_rotation_us) == (90, NOW + 5)

    def test_a_refused_edit_changes_nothing(self, store: KeyStore) -> None:
        key_id = inserted(store)

        def refuse(key: StoredKey) -> StoredKey:
            raise ValueError(key.metadata.key_id)

        with pytest.raises(ValueError, match=key_id):
            store.edit_key(key_id, REGION, refuse)
        schedule(store, key_id, NOW + 1)
        store.destroy_expired(NOW + 1, 10)
        with pytest.raises(KeyConflict):
            store.edit_key(key_id, REGION, lambda key: key)

    def test_a_rotation_needs_the_current_version_and_an_enabled_key(self, store: KeyStore) -> None:
        key_id = inserted(store)
        second = StoredVersion(key_id, 2, "cd" * 32, b"record 2", NOW, NOW, "ON_DEMAND")
        store.add_version(second, expected_current=1, next_rotation_us=None)
        key = store.key(key_id, REGION)
        assert key is not None
        assert (key.current_version, key.newest_version, key.metadata.key_material_id) == (2, 2, "cd" * 32)
        assert [version.version for version in store.versions(key_id)] == [1, 2]
        assert store.version(key_id, 2) == second
        third = replace(second, version=3)
        with pytest.raises(KeyConflict):
            store.add_version(third, expected_current=1, next_rotation_us=None)
        schedule(store, key_id, NOW + 1)
        with pytest.raises(KeyConflict):
            store.add_version(third, expected_current=2, next_rotation_us=None)
        assert [version.version for version in store.versions(key_id)] == [1, 2]

    def test_keys_due_for_rotation(self, store: KeyStore) -> None:
        late, later, disabled, never = [inserted(store) for _ in range(4)]
        for key_id, next_us in ((late, NOW), (later, NOW + 5), (disabled, NOW)):
            store.edit_key(
                key_id, REGION, lambda key, us=next_us: replace(key, rotation_period_days=90, next_rotation_us=us)
            )
        store.change_state(
            disabled, REGION, expected=KeyState.ENABLED, state=KeyState.DISABLED, deletion_us=None, now_us=NOW
        )
        assert destroyed(store.keys_due_for_rotation(NOW, 10)) == [late]
        assert destroyed(store.keys_due_for_rotation(NOW + 5, 10)) == [late, later]
        assert never not in destroyed(store.keys_due_for_rotation(NOW + 10**15, 10))

    # Imported material

    def test_a_key_is_enabled_by_its_material_and_pending_without(self, store: KeyStore) -> None:
        key_id = waiting(store)
        assert state_of(store, key_id) == (KeyState.PENDING_IMPORT, True)
        first = StoredVersion(key_id, 1, "ab" * 32, b"record", NOW, valid_to_us=NOW + 9, material_check=b"check")
        store.put_material(first, expected_newest=0)
        assert store.versions(key_id) == [first]
        assert state_of(store, key_id) == (KeyState.ENABLED, False)
        store.remove_material(key_id, 1)
        assert store.versions(key_id) == [replace(first, record=None, valid_to_us=None)]
        assert state_of(store, key_id) == (KeyState.PENDING_IMPORT, True)
        again = replace(first, record=b"again", valid_to_us=None, description="d")
        store.put_material(again, expected_newest=1)
        assert store.versions(key_id) == [again]
        assert state_of(store, key_id) == (KeyState.ENABLED, False)

    def test_all_versions_in_use_need_their_material(self, store: KeyStore) -> None:
        key_id = waiting(store)
        versions = [StoredVersion(key_id, n, f"{n:064x}", b"record", NOW, material_check=b"%d" % n) for n in (1, 2, 3)]
        store.put_material(versions[0], expected_newest=0)
        store.put_material(versions[1], expected_newest=1)
        store.make_current(key_id, 2, expected_current=1, now_us=NOW, rotation_type="ON_DEMAND")
        for number in (1, 2):
            store.remove_material(key_id, number)
        store.put_material(versions[1], expected_newest=2)
        assert state_of(store, key_id) == (KeyState.PENDING_IMPORT, True)
        store.put_material(versions[0], expected_newest=2)
        assert state_of(store, key_id) == (KeyState.ENABLED, False)
        store.put_material(versions[2], expected_newest=2)
        store.remove_material(key_id, 3)
        assert [version.version for version in store.versions(key_id)] == [1, 2]
        assert state_of(store, key_id) == (KeyState.ENABLED, False)

    def test_material_is_put_once_and_not_into_what_is_pending_deletion(self, store: KeyStore) -> None:
        key_id = waiting(store)
        first = StoredVersion(key_id, 1, "ab" * 32, b"record", NOW)
        store.put_material(first, expected_newest=0)
        with pytest.raises(KeyConflict):
            store.put_material(replace(first, record=b"other"), expected_newest=0)
        schedule(store, key_id, NOW + 5)
        with pytest.raises(KeyConflict):
            store.put_material(replace(first, record=b"other"), expected_newest=1)
        store.remove_material(key_id, 1)
        assert state_of(store, key_id) == (KeyState.PENDING_DELETION, True)

    def test_material_expires(self, store: KeyStore) -> None:
        early, late, never = waiting(store), waiting(store), waiting(store)
        for key_id, valid_to_us in ((early, NOW + 1), (late, NOW + 2), (never, None)):
            version = StoredVersion(key_id, 1, "ab" * 32, b"record", NOW, valid_to_us=valid_to_us)
            store.put_material(version, expected_newest=0)
        key = store.key(late, REGION)
        assert key is not None
        assert key.material_ends_us == NOW + 2
        assert key.at(NOW + 1) == key
        assert key.at(NOW + 2).metadata.state is KeyState.PENDING_IMPORT
        assert store.keys_of_expired_material(NOW, 10) == store.expire_material(NOW, 10) == []
        assert destroyed(store.keys_of_expired_material(NOW + 2, 1)) == [early]
        assert destroyed(store.expire_material(NOW + 2, 1)) == [early]
        assert destroyed(store.expire_material(NOW + 2, 10)) == [late]
        assert store.expire_material(NOW + 10**15, 10) == []
        assert [state_of(store, key_id)[0] for key_id in (early, late, never)] == [
            KeyState.PENDING_IMPORT,
            KeyState.PENDING_IMPORT,
            KeyState.ENABLED,
        ]

    def test_last_use_is_the_latest(self, store: KeyStore) -> None:
        key_id = inserted(store)
        assert store.usage(key_id, REGION) is None
        assert store.usage_tracked_since() > 0
        newest = StoredUsage(key_id, REGION, "Decrypt", NOW + 5, "R2")
        store.put_usage([StoredUsage(key_id, REGION, "Encrypt", NOW, "R1"), newest])
        store.put_usage([StoredUsage(key_id, REGION, "Encrypt", NOW + 1, "late")])
        assert store.usage(key_id, REGION) == newest

    def test_a_job_is_one_holders_until_its_lease_ends(self, store: KeyStore) -> None:
        assert store.take_job("sweep", "a", now_us=NOW, until_us=NOW + 10)
        assert store.take_job("other", "b", now_us=NOW, until_us=NOW + 10)
        assert not store.take_job("sweep", "b", now_us=NOW + 9, until_us=NOW + 20)
        assert store.take_job("sweep", "a", now_us=NOW + 9, until_us=NOW + 15)
        assert not store.take_job("sweep", "b", now_us=NOW + 14, until_us=NOW + 30)
        assert store.take_job("sweep", "b", now_us=NOW + 15, until_us=NOW + 30)
        assert not store.take_job("sweep", "a", now_us=NOW + 16, until_us=NOW + 40)

    def test_meta_is_overwritten(self, store: KeyStore) -> None:
        store.set_meta("name", b"\0one")
        store.set_meta("name", b"two")
        assert store.meta("name") == b"two"

    def test_writers_in_several_threads(self, store: KeyStore) -> None:
        key_id = inserted(store)
        won: list[bool] = []

        def disable() -> None:
            try:
                store.change_state(
                    key_id,
                    REGION,
                    expected=KeyState.ENABLED,
                    state=KeyState.DISABLED,
                    deletion_us=None,
                    now_us=NOW,
                )
                won.append(True)
            except KeyConflict:
                won.append(False)

        threads = [threading.Thread(target=disable) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == [False] * 7 + [True]

    def test_acts_wait_in_their_order_until_they_are_removed(self, store: KeyStore) -> None:
        first, second, third = (new_act(name, NOW, number=1, text="é") for name in ("First", "Second", "Third"))
        store.add_acts([first, second])
        store.add_acts([second, third])
        assert [replace(act, sequence=0) for act in store.acts(10)] == [first, second, third]
        assert [act.name for act in store.acts(1)] == ["First"]
        store.remove_acts([first, third])
        store.remove_acts([first])
        assert [act.name for act in store.acts(10)] == ["Second"]
