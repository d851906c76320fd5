"""The part of the key store's suite about grants and policies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kms.api.types import GrantConstraints, KeyState
from kms.store.interface import GrantNotFound, KeyConflict, KeyStore, TooManyGrants
from kms.store.records import NewKey, StoredGrant

ALICE = "arn:aws:iam::101010101010:user/alice"
BOB = "arn:aws:iam::101010101010:user/bob"


def new_grant(new: NewKey, number: int = 1, **changes: object) -> StoredGrant:
    grant = StoredGrant(
        grant_id=f"{number:064x}",
        key_id=new.metadata.key_id,
        region=new.metadata.region,
        grantee_principal=ALICE,
        retiring_principal=BOB,
        issuing_account_id=new.metadata.account_id,
        name="",
        operations=("Decrypt", "Encrypt"),
        constraints=GrantConstraints(encryption_context_subset={"a": "ä"}),
        created_us=number,
        token_key=bytes([number]) * 32,
    )
    return replace(grant, **changes)  # type: ignore[arg-type]


def without_sequence(grants: list[StoredGrant]) -> list[StoredGrant]:
    return [replace(grant, sequence=0) for grant in grants]


def listed(store: KeyStore, new: NewKey, **wanted: object) -> list[StoredGrant]:
    filters: dict[str, object] = {"grant_id": None, "grantee": None, "after": 0, "limit": 10} | wanted
    return store.grants(new.metadata.key_id, new.metadata.region, **filters)  # type: ignore[arg-type]


class GrantSuite:
    """Mixed into the suite of key stores, which has the fixtures `store` and `stored`, a key that is in the store."""

    def test_grants_are_read_as_written(self, store: KeyStore, stored: NewKey) -> None:
        grant = new_grant(stored)
        assert store.insert_grant(grant, 10) == grant
        found = store.grant(grant.grant_id)
        assert found is not None
        assert without_sequence([found]) == [grant]
        assert store.grant("0" * 64) is None

    def test_grants_are_listed_by_key_grantee_id_and_retiring_principal(self, store: KeyStore, stored: NewKey) -> None:
        grants = [new_grant(stored, n, grantee_principal=ALICE if n % 2 else BOB) for n in range(1, 6)]
        for grant in grants:
            store.insert_grant(grant, 10)
        assert without_sequence(listed(store, stored)) == grants
        assert without_sequence(listed(store, stored, grantee=BOB)) == [grants[1], grants[3]]
        assert without_sequence(listed(store, stored, grant_id=grants[2].grant_id)) == [grants[2]]
        first = listed(store, stored, limit=2)
        assert without_sequence(listed(store, stored, after=first[-1].sequence)) == grants[2:]
        region, key_id = stored.metadata.region, stored.metadata.key_id
        assert without_sequence(store.grants_to(key_id, region, (BOB, "x"))) == [grants[1], grants[3]]
        assert store.grants_to(key_id, "elsewhere", (BOB,)) == []
        assert without_sequence(store.retirable_grants(region, BOB, after=0, limit=2)) == grants[:2]
        assert store.retirable_grants(region, ALICE, after=0, limit=2) == []

    def test_the_same_grant_with_a_name_is_one(self, store: KeyStore, stored: NewKey) -> None:
        first = new_grant(stored, 1, name="n")
        store.insert_grant(first, 10)
        again = store.insert_grant(new_grant(stored, 2, name="n"), 10)
        assert again.grant_id == first.grant_id
        others = [
            new_grant(stored, 3, name="m"),
            new_grant(stored, 4, name="n", operations=("Decrypt",)),
            new_grant(stored, 5, name="n", constraints=GrantConstraints()),
            new_grant(stored, 6, name="n", retiring_principal=None),
            new_grant(stored, 7),
            new_grant(stored, 8),
        ]
        for other in others:
            assert store.insert_grant(other, 10) == other

    def test_a_key_has_a_limited_number_of_grants(self, store: KeyStore, stored: NewKey) -> None:
        store.insert_grant(new_grant(stored, 1, name="n"), 1)
        with pytest.raises(TooManyGrants):
            store.insert_grant(new_grant(stored, 2), 1)
        assert store.insert_grant(new_grant(stored, 3, name="n"), 1).grant_id == f"{1:064x}"

    def test_deleted_grants_are_gone(self, store: KeyStore, stored: NewKey) -> None:
        grant = new_grant(stored)
        store.insert_grant(grant, 10)
        for key_id, region in ((stored.metadata.key_id, "elsewhere"), ("other", stored.metadata.region)):
            with pytest.raises(GrantNotFound):
                store.delete_grant(grant.grant_id, key_id, region)
        store.delete_grant(grant.grant_id, stored.metadata.key_id, stored.metadata.region)
        assert store.grant(grant.grant_id) is None
        with pytest.raises(GrantNotFound):
            store.delete_grant(grant.grant_id, stored.metadata.key_id, stored.metadata.region)

    def test_a_key_that_never_was_gets_no_grant_and_no_policy(self, store: KeyStore, stored: NewKey) -> None:
        with pytest.raises(KeyConflict):
            store.insert_grant(new_grant(stored, region="elsewhere"), 10)
        with pytest.raises(KeyConflict):
            store.set_policy(stored.metadata.key_id, "elsewhere", "{}")

    def test_the_policy_is_the_one_put_last(self, store: KeyStore, stored: NewKey) -> None:
        key_id, region = stored.metadata.key_id, stored.metadata.region
        for text in ("{}", '{"ä": 1}'):
            store.set_policy(key_id, region, text)
            key = store.key(key_id, region)
            assert key is not None
            assert key.policy == text

    def test_grants_go_with_their_key(self, store: KeyStore, stored: NewKey) -> None:
        grant = new_grant(stored)
        store.insert_grant(grant, 10)
        metadata = stored.metadata
        store.change_state(
            metadata.key_id,
            metadata.region,
            expected=metadata.state,
            state=KeyState.PENDING_DELETION,
            deletion_us=metadata.created_us + 1,
            now_us=metadata.created_us,
        )
        assert len(store.destroy_expired(metadata.created_us + 1, 10)) == 1
        assert store.grant(grant.grant_id) is None
        with pytest.raises(KeyConflict):
            store.insert_grant(new_grant(stored, 2), 10)
        with pytest.raises(KeyConflict):
            store.set_policy(metadata.key_id, metadata.region, "{}")
