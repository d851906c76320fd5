from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kms.store.interface import ROOT_CHECK_VALUE, KeyConflict, StoreUnavailable
from kms.store.records import RootRecords, RootUse, StoredRoot, WrappedVersion, new_act
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_store import NOW, new_key
from tests.kms.stores import opened_store

OLD, NEW = b"o" * 16, b"n" * 16


def record(root_id: bytes, *, form: int = 2, is_hsm: bool = False) -> bytes:
    """As docs/formats/cmk-record.md lays it out, as far as the root's id."""
    head = bytes([form, 1]) + bytes(4) + (bytes([2 if is_hsm else 1]) if form == 2 else b"")
    return head + root_id + os.urandom(150)


def root(root_id: bytes, use: RootUse, check_value: bytes | None = b"check") -> StoredRoot:
    return StoredRoot(root_id, "sealgate-root", "{}", check_value, use, NOW, NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteKeyStore]:
    store = opened_store(tmp_path / "keys.sqlite")
    store.set_meta(ROOT_CHECK_VALUE, b"old check")
    yield store
    store.close()


def insert(store: SQLiteKeyStore, content: bytes) -> str:
    new = new_key()
    assert new.version is not None
    store.insert_key(replace(new, version=replace(new.version, record=content)))
    return new.metadata.key_id


def switched(store: SQLiteKeyStore) -> None:
    store.prepare_root(root(OLD, RootUse.CURRENT), root(NEW, RootUse.PREPARING, None), new_act("Start", NOW))
    store.switch_root(NEW, check_value=b"new check", settings="{}", now_us=NOW, act=new_act("Switch", NOW))


def test_no_root_is_known_before_the_first_rotation(store: SQLiteKeyStore) -> None:
    assert (store.roots(), store.current_root_id(), store.root_check_value()) == ([], None, b"old check")


def test_the_switch_is_one_step(store: SQLiteKeyStore) -> None:
    switched(store)
    assert store.current_root_id() == NEW
    assert store.meta(ROOT_CHECK_VALUE) == b"new check"
    assert {each.root_id: each.state for each in store.roots()} == {OLD: RootUse.OLDER, NEW: RootUse.CURRENT}


def test_one_rotation_at_a_time(store: SQLiteKeyStore) -> None:
    store.prepare_root(root(OLD, RootUse.CURRENT), root(NEW, RootUse.PREPARING, None), new_act("Start", NOW))
    with pytest.raises(KeyConflict):
        store.prepare_root(root(OLD, RootUse.CURRENT), root(b"x" * 16, RootUse.PREPARING, None), new_act("No", NOW))
    store.abandon_root(NEW, new_act("Abandon", NOW))
    with pytest.raises(KeyConflict):
        store.switch_root(NEW, check_value=b"c", settings="{}", now_us=NOW, act=new_act("No", NOW))
    assert store.current_root_id() == OLD
    assert store.root_check_value() == b"old check"


@pytest.mark.parametrize("form", [1, 2])
def test_records_are_found_by_their_root_and_replaced_as_they_were_read(store: SQLiteKeyStore, form: int) -> None:
    key_id = insert(store, record(OLD, form=form))
    insert(store, record(NEW))
    insert(store, record(OLD, is_hsm=True))
    [found] = store.versions_not_under(NEW, after=("", 0), limit=10)
    assert (found.key_id, found.version) == (key_id, 1)
    assert store.records_by_root() == [
        RootRecords(NEW, False, 1),
        RootRecords(OLD, False, 1),
        RootRecords(OLD, True, 1),
    ]
    assert store.replace_records([(WrappedVersion(key_id, 1, b"another"), record(NEW))]) == 0
    assert store.replace_records([(found, record(NEW))]) == 1
    assert store.versions_not_under(NEW, after=("", 0), limit=10) == []


def test_a_root_that_is_needed_is_not_retired(store: SQLiteKeyStore) -> None:
    switched(store)
    insert(store, record(OLD, is_hsm=True))
    for root_id in (OLD, NEW, b"x" * 16):
        with pytest.raises(KeyConflict):
            store.retire_root(root_id, now_us=NOW, act=new_act("No", NOW))


@pytest.mark.parametrize("form", [1, 2])
def test_no_record_comes_under_a_retired_root(store: SQLiteKeyStore, form: int) -> None:
    switched(store)
    store.retire_root(OLD, now_us=NOW, act=new_act("Retire", NOW))
    with pytest.raises(StoreUnavailable, match="retired root"):
        insert(store, record(OLD, form=form))
    under_new = record(NEW)
    key_id = insert(store, under_new)
    with pytest.raises(StoreUnavailable, match="retired root"):
        store.replace_records([(WrappedVersion(key_id, 1, under_new), record(OLD, form=form))])


def test_each_step_is_told_with_it_and_one_that_failed_is_not(store: SQLiteKeyStore) -> None:
    switched(store)
    with pytest.raises(KeyConflict):
        store.switch_root(NEW, check_value=b"c", settings="{}", now_us=NOW, act=new_act("No", NOW))
    store.retire_root(OLD, now_us=NOW, act=new_act("Retire", NOW))
    with pytest.raises(KeyConflict):
        store.retire_root(OLD, now_us=NOW, act=new_act("No", NOW))
    store.abandon_root(b"x" * 16, new_act("No", NOW))
    assert [act.name for act in store.acts(10)] == ["Start", "Switch", "Retire"]


def test_where_a_root_is_can_be_written_down_anew(store: SQLiteKeyStore) -> None:
    store.place_root(root(OLD, RootUse.CURRENT))
    assert (store.current_root_id(), [each.settings for each in store.roots()]) == (OLD, ["{}"])
    store.place_root(replace(root(OLD, RootUse.OLDER), settings='{"kind": "file"}'))
    assert store.roots() == [replace(root(OLD, RootUse.CURRENT), settings='{"kind": "file"}')]
    with pytest.raises(StoreUnavailable):
        store.place_root(root(NEW, RootUse.CURRENT))
