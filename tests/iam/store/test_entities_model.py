"""Any sequence of changes to users, groups and roles, against a model that is obvious.

Two connections take turns; after every step each tells of everybody what the model does: who there is, who is in which
group, and what is in force for whom.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from iam.credentials import Credential, new_access_key_id, new_secret
from iam.entities import Entity, EntityKind, Group, Role, User, new_entity_id
from iam.managed_policies import AWS_MANAGED
from iam.principals import PolicyText
from iam.store import EntityExists, EntityInUse, SQLiteIdentityStore
from iam.store.interface import IdentityStoreError, NoSuchManagedPolicy, NoSuchPolicy
from iam.trust import trusted_principals
from tests.conformance.identities import ACCOUNT, POLICY, ROLE
from tests.iam.store.test_sqlite import KEY, AESGCMSecretSealer

ARNS = [f"arn:aws:iam::aws:policy/{name}" for name in ("AdministratorAccess", "AmazonS3ReadOnlyAccess")]
VERSIONS = {arn: AWS_MANAGED[arn][1].version_id for arn in ARNS}
NAMES = st.sampled_from(["a", "b", "c"])
KINDS = st.sampled_from(EntityKind)
DATA = st.data()
POLICY_NAMES = st.sampled_from(["p", "q"])


@dataclass
class Known:
    """An entity of the model, with what belongs to it."""

    entity: Entity
    inline: set[str] = field(default_factory=set)
    attached: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    access_key_id: str = ""
    trusts: str = ""


def _names(known: Known) -> set[str]:
    """How its policies are called where they are in force."""
    whose = f"{known.entity.kind} {known.entity.name}"
    return {f"{whose} policy {each}" for each in known.inline} | {f"{arn} {VERSIONS[arn]}" for arn in known.attached}


class Entities(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        path = Path(self._directory.name) / "identities.sqlite"
        self._stores = [SQLiteIdentityStore(path, AESGCMSecretSealer(KEY)) for _ in range(2)]
        self._turn = 0
        self._known: dict[tuple[EntityKind, str], Known] = {}
        self._stores[0].create_account(ACCOUNT)

    def teardown(self) -> None:
        for store in self._stores:
            store.close()
        self._directory.cleanup()

    def _store(self) -> SQLiteIdentityStore:
        self._turn += 1
        return self._stores[self._turn % 2]

    def _drawn(self, data: st.DataObject, *kinds: EntityKind) -> Known:
        """One of those there are."""
        names = sorted(name for name in self._known if name[0] in kinds)
        return self._known[data.draw(st.sampled_from(names))]

    def _has(self, *kinds: EntityKind) -> bool:
        return {kind for kind, _ in self._known} >= set(kinds)

    def _refused(self, error: type[IdentityStoreError] | None, call: object, *arguments: object) -> None:
        """Make a call that is to be refused with `error`, or not to be refused."""
        assert callable(call)
        try:
            call(*arguments)
        except IdentityStoreError as refused:
            assert type(refused) is error
        else:
            assert error is None

    @rule(kind=KINDS, name=NAMES)
    def make(self, kind: EntityKind, name: str) -> None:
        store = self._store()
        identity = (new_entity_id(kind), ACCOUNT.account_id, name, "/", 1)
        entity: Entity
        trusted = next((each for each in self._known.values() if each.entity.kind is EntityKind.USER), None)
        match kind:
            case EntityKind.USER:
                entity = User(*identity)
                make = store.create_user
            case EntityKind.GROUP:
                entity = Group(*identity)
                make = store.create_group
            case EntityKind.ROLE:
                text = ROLE.trust_policy
                if trusted is not None:
                    text = text.replace(ACCOUNT.account_id, trusted.entity.arn)
                entity = Role(*identity, text)
                make = store.create_role
        is_new = (kind, name) not in self._known
        self._refused(None if is_new else EntityExists, make, entity)
        if is_new:
            known = self._known[kind, name] = Known(entity)
            if kind is EntityKind.ROLE:
                known.trusts = ACCOUNT.account_id if trusted is None else trusted.entity.entity_id
            if isinstance(entity, User):
                credential = Credential(new_access_key_id(), new_secret(), entity.principal)
                store.create_access_key(credential, 1)
                known.access_key_id = credential.access_key_id

    @precondition(lambda self: self._known)
    @rule(data=DATA)
    def delete(self, data: st.DataObject) -> None:
        known = self._drawn(data, *EntityKind)
        members = [each for each in self._known.values() if known.entity.entity_id in each.groups]
        is_in_use = bool(known.inline or known.attached or known.groups or members)
        if known.access_key_id and not is_in_use:
            self._store().delete_access_key(known.access_key_id)
        self._refused(EntityInUse if is_in_use else None, self._store().delete_entity, known.entity)
        if not is_in_use:
            del self._known[known.entity.kind, known.entity.name]

    @precondition(lambda self: self._has(EntityKind.USER))
    @rule(data=DATA, new_name=NAMES)
    def rename_a_user(self, data: st.DataObject, new_name: str) -> None:
        known = self._drawn(data, EntityKind.USER)
        name = known.entity.name
        is_taken = new_name != name and (EntityKind.USER, new_name) in self._known

        def rename() -> None:
            assert isinstance(known.entity, User)
            self._store().rename(known.entity, new_name=new_name, new_path=None)

        self._refused(EntityExists if is_taken else None, rename)
        if not is_taken:
            del self._known[EntityKind.USER, name]
            assert isinstance(known.entity, User)
            known.entity = replace(known.entity, name=new_name)
            self._known[EntityKind.USER, new_name] = known

    @precondition(lambda self: self._known)
    @rule(data=DATA, policy=POLICY_NAMES, is_put=st.booleans())
    def inline(self, data: st.DataObject, policy: str, is_put: bool) -> None:
        known = self._drawn(data, *EntityKind)
        if is_put:
            self._store().put_inline_policy(known.entity, PolicyText(policy, POLICY))
            known.inline.add(policy)
        else:
            error = None if policy in known.inline else NoSuchPolicy
            self._refused(error, self._store().delete_inline_policy, known.entity, policy)
            known.inline.discard(policy)

    @precondition(lambda self: self._known)
    @rule(data=DATA, arn=st.sampled_from(ARNS), is_attached=st.booleans())
    def attachment(self, data: st.DataObject, arn: str, is_attached: bool) -> None:
        known = self._drawn(data, *EntityKind)
        if is_attached:
            self._store().attach_policy(known.entity, arn)
            known.attached.add(arn)
        else:
            error = None if arn in known.attached else NoSuchManagedPolicy
            self._refused(error, self._store().detach_policy, known.entity, arn)
            known.attached.discard(arn)

    @precondition(lambda self: self._has(EntityKind.GROUP, EntityKind.USER))
    @rule(data=DATA, is_in=st.booleans())
    def membership(self, data: st.DataObject, is_in: bool) -> None:
        of, who = self._drawn(data, EntityKind.GROUP), self._drawn(data, EntityKind.USER)
        assert isinstance(of.entity, Group)
        assert isinstance(who.entity, User)
        if is_in:
            self._store().add_member(of.entity, who.entity)
            who.groups.add(of.entity.entity_id)
        else:
            self._store().remove_member(of.entity, who.entity)
            who.groups.discard(of.entity.entity_id)

    @invariant()
    def each_tells_what_the_model_does(self) -> None:
        for store in self._stores:
            found: list[Entity] = [
                *store.users(ACCOUNT.account_id),
                *store.groups(ACCOUNT.account_id),
                *store.roles(ACCOUNT.account_id),
            ]
            assert {(each.kind, each.name): each.entity_id for each in found} == {
                name: known.entity.entity_id for name, known in self._known.items()
            }
            for arn in ARNS:
                expected = {each.entity.entity_id for each in self._known.values() if arn in each.attached}
                attached = store.entities_of_policy(ACCOUNT.account_id, arn, as_boundary=False)
                assert {each.entity_id for each in attached} == expected
                assert store.policy(ACCOUNT.account_id, arn).attachments == len(expected)
            for known in self._known.values():
                self._check(store, known)

    def _check(self, store: SQLiteIdentityStore, known: Known) -> None:
        entity = known.entity
        if isinstance(entity, Group):
            expected = {each.entity.entity_id for each in self._known.values() if entity.group_id in each.groups}
            assert {each.user_id for each in store.members(entity)} == expected
            return
        groups = (each for each in self._known.values() if each.entity.entity_id in known.groups)
        names = set().union(*(_names(each) for each in (known, *groups)))
        policies = store.policies_in_force(entity)
        assert {each.name for each in policies.identity} == names
        assert len(policies.identity) == len(names)
        if isinstance(entity, User):
            credential = store.find_credential(known.access_key_id)
            assert credential is not None
            assert (credential.principal.arn, credential.policies) == (entity.arn, policies)
        else:
            self._check_trust(store, known)

    def _check_trust(self, store: SQLiteIdentityStore, known: Known) -> None:
        """A user is called as it is now, and by its id once it is gone."""
        users = {each.entity.entity_id: each.entity.arn for each in self._known.values()}
        told = trusted_principals(store.role(ACCOUNT.account_id, known.entity.name).trust_policy)
        assert told == (users.get(known.trusts, known.trusts),)


TestEntities = Entities.TestCase
TestEntities.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
