"""What every identity store must do. A store's own test module subclasses `IdentityStoreSuite` and opens the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from iam.credentials import AccessKeyUse, Account, Credential, new_access_key_id, new_canonical_id, new_secret
from iam.entities import Group, Role, RoleUse, User
from iam.managed_policies import AWS_MANAGED, ManagedPolicy
from iam.oidc_providers import OIDCProvider
from iam.organizations import AccountRequest, Failure
from iam.policy.errors import PolicyError
from iam.principals import (
    NO_POLICIES,
    SERVICE_ACCOUNT_ID,
    IdentityPolicies,
    PolicyText,
    Principal,
    PrincipalKind,
    root_principal,
)
from iam.store import (
    AccessKeyExists,
    AccountExists,
    AliasExists,
    EmailExists,
    EntityExists,
    EntityInUse,
    IdentityStore,
    NoSuchAccessKey,
    NoSuchAccount,
    NoSuchAccountRequest,
    NoSuchAlias,
    NoSuchGroup,
    NoSuchManagedPolicy,
    NoSuchPolicy,
    NoSuchPolicyVersion,
    NoSuchProvider,
    NoSuchRole,
    NoSuchUser,
    PoliciesTooLong,
    PolicyExists,
    PolicyInUse,
    PolicyTooLong,
    ProviderExists,
    StoreUnavailable,
    TooManyAccessKeys,
    TooManyAccounts,
    TooManyClientIds,
    TooManyGroups,
    TooManyProviders,
    TooManyTags,
    TooManyThumbprints,
    TrustPolicyTooLong,
)
from iam.trust import trusted_principals

OpenStore = Callable[[], IdentityStore]
"""Opens the same store once more, as another process would."""

ACCOUNT = Account("123456789012", "a" * 64, "owner", 1)
OTHER_ACCOUNT = Account("210987654321", "b" * 64, "other", 2)
OWN_POLICY = ManagedPolicy("ANPA1", ACCOUNT.account_id, "own", "/p/", "mine", 1, 1, 1, (("k", "v"),))
PROVIDER = OIDCProvider(ACCOUNT.account_id, "https://example.com/realms/a", 1, ("one",), ("a" * 40,), (("k", "v"),))
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
ANN = User("AIDAANN", ACCOUNT.account_id, "ann", "/", 1)
ROLE = Role(
    "AROAROLE",
    ACCOUNT.account_id,
    "Role",
    "/p/",
    1,
    '{"Version":"2012-10-17","Statement":'
    '{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}}',
)
_LONG = TrustPolicyTooLong
GROUP = Group("AGPAGROUP", ACCOUNT.account_id, "Devs", "/g/", 1)
BOB = User("AIDABOB", ACCOUNT.account_id, "bob", "/", 1)
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}'


def new_credential(account_id: str = ACCOUNT.account_id, *, active: bool = True) -> Credential:
    return Credential(new_access_key_id(), new_secret(), root_principal(account_id), active)


class IdentityStoreSuite:
    """Needs a fixture `open_store` of type OpenStore, which closes what it opened."""

    @pytest.fixture
    def store(self, open_store: OpenStore) -> IdentityStore:
        store = open_store()
        store.create_account(ACCOUNT)
        return store

    def test_an_account_is_found_by_both_ids(self, store: IdentityStore) -> None:
        assert store.account(ACCOUNT.account_id) == ACCOUNT
        assert store.account_by_canonical_id(ACCOUNT.canonical_id) == ACCOUNT

    def test_unknown_accounts(self, store: IdentityStore) -> None:
        for ask in (store.account, store.account_by_canonical_id, store.access_keys):
            for identifier in (OTHER_ACCOUNT.account_id, "", "é", "\udcff"):
                with pytest.raises(NoSuchAccount):
                    ask(identifier)

    def test_accounts_in_order(self, store: IdentityStore) -> None:
        first = Account("100000000000", new_canonical_id(), "Ärger & Söhne", 3)
        store.create_account(OTHER_ACCOUNT)
        store.create_account(first)
        assert store.accounts() == [first, ACCOUNT, OTHER_ACCOUNT]

    @pytest.mark.parametrize(
        "account",
        [
            Account(ACCOUNT.account_id, "c" * 64, "same id", 1),
            Account(OTHER_ACCOUNT.account_id, ACCOUNT.canonical_id, "same canonical id", 1),
        ],
    )
    def test_ids_are_taken_once(self, store: IdentityStore, account: Account) -> None:
        with pytest.raises(AccountExists):
            store.create_account(account)
        assert store.accounts() == [ACCOUNT]

    @pytest.mark.parametrize(
        "account",
        [
            Account("12345", "c" * 64, "short", 1),
            Account(SERVICE_ACCOUNT_ID, "c" * 64, "the service's own", 1),
            Account("123456789013", "c", "short canonical id", 1),
        ],
    )
    def test_ids_of_the_wrong_shape(self, store: IdentityStore, account: Account) -> None:
        with pytest.raises(ValueError, match="id"):
            store.create_account(account)

    @pytest.mark.parametrize(
        "account",
        [
            Account(OTHER_ACCOUNT.account_id, "c" * 64, "", 1),
            Account(OTHER_ACCOUNT.account_id, "c" * 64, "two\nlines", 1),
            Account(OTHER_ACCOUNT.account_id, "c" * 64, "x" * 129, 1),
            Account(OTHER_ACCOUNT.account_id, "c" * 64, "other", 1, "nobody"),
            Account(OTHER_ACCOUNT.account_id, "c" * 64, "other", 1, "a@b@example.com"),
            Account(OTHER_ACCOUNT.account_id, "c" * 64, "other", 1, ".a@example.com"),
            Account(OTHER_ACCOUNT.account_id, "c" * 64, "other", 1, "a@-example.com"),
            Account(OTHER_ACCOUNT.account_id, "c" * 64, "other", 1, f"{'a' * 53}@example.com"),
        ],
    )
    def test_names_and_addresses_of_the_wrong_shape(self, store: IdentityStore, account: Account) -> None:
        with pytest.raises(ValueError, match=r"account's name|e-mail"):
            store.create_account(account)
        assert store.accounts() == [ACCOUNT]

    def test_an_account_gets_another_name_and_address(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        store.update_account(ACCOUNT.account_id, email="Owner@Example.com")
        store.update_account(ACCOUNT.account_id, display_name="renamed")
        assert other.account(ACCOUNT.account_id) == replace(ACCOUNT, display_name="renamed", email="Owner@Example.com")
        assert other.account_by_email("owner@example.COM").account_id == ACCOUNT.account_id
        with pytest.raises(NoSuchAccount):
            store.account_by_email("nobody@example.com")
        with pytest.raises(NoSuchAccount):
            store.update_account(OTHER_ACCOUNT.account_id, display_name="nobody")
        with pytest.raises(ValueError, match="e-mail"):
            store.update_account(ACCOUNT.account_id, display_name="not this either", email="none")
        assert store.account(ACCOUNT.account_id).display_name == "renamed"

    def test_an_address_is_one_accounts(self, store: IdentityStore) -> None:
        store.create_account(replace(OTHER_ACCOUNT, email="a@example.com"))
        with pytest.raises(EmailExists):
            store.create_account(Account("100000000000", "c" * 64, "third", 3, "A@EXAMPLE.com"))
        with pytest.raises(EmailExists):
            store.update_account(ACCOUNT.account_id, email="A@example.com")
        store.update_account(OTHER_ACCOUNT.account_id, email="A@example.com")
        assert len(store.accounts()) == 2

    def test_the_first_account_manages_the_others(self, open_store: OpenStore) -> None:
        store = open_store()
        with pytest.raises(NoSuchAccount):
            store.management_account()
        store.create_account(OTHER_ACCOUNT)
        store.create_account(replace(ACCOUNT, created_us=0))
        assert store.management_account() == OTHER_ACCOUNT

    def test_a_suspended_accounts_keys_are_inactive_at_once(self, store: IdentityStore, open_store: OpenStore) -> None:
        credential, disabled = new_credential(), new_credential(active=False)
        other = open_store()
        for each in (credential, disabled):
            store.create_access_key(each, 1)
        assert other.find_credential(credential.access_key_id) == credential
        assert other.account_access(ACCOUNT.account_id).is_active
        store.set_account_active(ACCOUNT.account_id, False)
        for seen in (other, store):
            found = seen.find_credential(credential.access_key_id)
            assert found is not None
            assert not found.active
            assert not seen.account_access(ACCOUNT.account_id).is_active
            assert not seen.account(ACCOUNT.account_id).is_active
        assert other.access_key(credential.access_key_id).is_active
        store.set_account_active(ACCOUNT.account_id, True)
        assert other.find_credential(credential.access_key_id) == credential
        assert other.find_credential(disabled.access_key_id) == disabled
        with pytest.raises(NoSuchAccount):
            store.set_account_active(OTHER_ACCOUNT.account_id, False)

    def test_what_an_account_blocks(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        assert other.account_access(ACCOUNT.account_id).public_access_block is None
        for block in (frozenset({"one", "two"}), frozenset[str](), None):
            store.set_account_public_access_block(ACCOUNT.account_id, block)
            for seen in (other, store):
                assert seen.account_access(ACCOUNT.account_id).public_access_block == block
        assert other.account_access(OTHER_ACCOUNT.account_id).public_access_block is None
        with pytest.raises(NoSuchAccount):
            store.set_account_public_access_block(OTHER_ACCOUNT.account_id, None)

    def test_a_member_account_is_made_with_its_role_or_not_at_all(self, store: IdentityStore) -> None:
        made = AccountRequest("car-1", "other", 5, OTHER_ACCOUNT.account_id)
        role = Role("AROA1", OTHER_ACCOUNT.account_id, "admin", "/", 5, ROLE.trust_policy)
        store.create_member_account(made, OTHER_ACCOUNT, role, ADMINISTRATOR)
        assert store.account_request("car-1") == made
        assert store.role(OTHER_ACCOUNT.account_id, "admin").arn == role.arn
        assert [each.arn for each in store.attached_policies(role)] == [ADMINISTRATOR]
        again = replace(made, request_id="car-2")
        third = Account("100000000000", "c" * 64, "third", 3, "a@example.com")
        for account, wrong in ((OTHER_ACCOUNT, role), (third, replace(role, trust_policy="{}")), (third, role)):
            with pytest.raises((AccountExists, PolicyError, EntityExists)):
                store.create_member_account(again, account, wrong, ADMINISTRATOR)
        assert len(store.accounts()) == 2
        with pytest.raises(NoSuchAccountRequest):
            store.account_request("car-2")

    def test_failed_requests_are_remembered_for_a_while(
        self, store: IdentityStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("iam.store.organizations.MAX_FAILED_REQUESTS", 2)
        failed = [AccountRequest(f"car-{n}", "a", n, failure=Failure.INVALID_EMAIL) for n in range(3)]
        for each in failed:
            store.note_failed_account_request(each)
        assert [store.account_request(each.request_id) for each in failed[1:]] == failed[1:]
        with pytest.raises(NoSuchAccountRequest):
            store.account_request("car-0")

    def test_there_are_only_so_many_accounts(self, store: IdentityStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("iam.store.organizations.MAX_ACCOUNTS", 1)
        role = Role("AROA1", OTHER_ACCOUNT.account_id, "admin", "/", 5, ROLE.trust_policy)
        made = AccountRequest("car-1", "other", 5, OTHER_ACCOUNT.account_id)
        with pytest.raises(TooManyAccounts):
            store.create_member_account(made, OTHER_ACCOUNT, role, ADMINISTRATOR)

    def test_an_account_has_one_alias(self, store: IdentityStore) -> None:
        store.create_account(OTHER_ACCOUNT)
        assert store.account_alias(ACCOUNT.account_id) is None
        for alias in ("first", "second-one"):
            store.create_account_alias(ACCOUNT.account_id, alias)
            assert store.account_alias(ACCOUNT.account_id) == alias
        with pytest.raises(AliasExists):
            store.create_account_alias(OTHER_ACCOUNT.account_id, "second-one")
        with pytest.raises(NoSuchAlias):
            store.delete_account_alias(ACCOUNT.account_id, "first")
        store.delete_account_alias(ACCOUNT.account_id, "second-one")
        assert store.account_alias(ACCOUNT.account_id) is None
        for malformed in ("ab", "a--b", "-ab", "Abc", "123456789012", "a" * 64, "abc\n"):
            with pytest.raises(ValueError, match="alias"):
                store.create_account_alias(ACCOUNT.account_id, malformed)

    def test_a_credential_comes_back_whole(self, store: IdentityStore) -> None:
        for credential in (new_credential(), new_credential(active=False)):
            store.create_access_key(credential, 5)
            assert store.find_credential(credential.access_key_id) == credential

    def test_a_configured_key_is_there_once_and_active(self, store: IdentityStore, open_store: OpenStore) -> None:
        credential, other = new_credential(), open_store()
        assert store.put_configured_access_key(credential, 1)
        assert not other.put_configured_access_key(credential, 2)
        assert other.find_credential(credential.access_key_id) == credential
        assert [key.created_us for key in store.access_keys(ACCOUNT.account_id)] == [1]
        other.set_access_key_active(credential.access_key_id, False)
        assert store.put_configured_access_key(credential, 3)
        assert other.find_credential(credential.access_key_id) == credential
        changed = replace(credential, secret=new_secret())
        assert store.put_configured_access_key(changed, 4)
        assert other.find_credential(credential.access_key_id) == changed

    def test_a_configured_key_that_is_named_no_more_is_disabled(
        self, store: IdentityStore, open_store: OpenStore
    ) -> None:
        kept, gone, made_otherwise = new_credential(), new_credential(), new_credential()
        store.create_access_key(made_otherwise, 1)
        for each in (kept, gone):
            store.put_configured_access_key(each, 1)
        other = open_store()
        assert other.find_credential(gone.access_key_id) == gone
        assert store.disable_configured_access_keys_except({kept.access_key_id}) == [gone.access_key_id]
        assert store.disable_configured_access_keys_except({kept.access_key_id}) == []
        assert other.find_credential(gone.access_key_id) == replace(gone, active=False)
        for each in (kept, made_otherwise):
            assert other.find_credential(each.access_key_id) == each

    def test_a_key_that_was_made_otherwise_is_not_taken_over(self, store: IdentityStore) -> None:
        store.create_account(OTHER_ACCOUNT)
        made = new_credential()
        store.create_access_key(made, 1)
        for taken in (replace(made, secret=new_secret()), replace(made, principal=root_principal("210987654321"))):
            with pytest.raises(AccessKeyExists):
                store.put_configured_access_key(taken, 2)
        assert store.find_credential(made.access_key_id) == made
        assert store.put_configured_access_key(made, 2)
        with pytest.raises(AccessKeyExists):
            store.put_configured_access_key(replace(made, principal=root_principal("210987654321")), 2)
        with pytest.raises(NoSuchAccount):
            store.put_configured_access_key(new_credential("100000000000"), 2)

    def test_unknown_access_keys(self, store: IdentityStore) -> None:
        assert store.find_credential("AKIAUNKNOWNUNKNOWN12") is None
        assert store.find_credential("") is None
        assert store.find_credential("\udcff' OR 1=1") is None
        with pytest.raises(NoSuchAccessKey):
            store.set_access_key_active("AKIAUNKNOWNUNKNOWN12", True)
        with pytest.raises(NoSuchAccessKey):
            store.delete_access_key("AKIAUNKNOWNUNKNOWN12")

    def test_access_keys_are_listed_oldest_first(self, store: IdentityStore) -> None:
        store.create_account(OTHER_ACCOUNT)
        younger, older, others = new_credential(), new_credential(), new_credential(OTHER_ACCOUNT.account_id)
        for credential, created_us in ((younger, 9), (older, 8), (others, 7)):
            store.create_access_key(credential, created_us)
        listed = store.access_keys(ACCOUNT.account_id)
        assert [(key.access_key_id, key.created_us, key.is_active) for key in listed] == [
            (older.access_key_id, 8, True),
            (younger.access_key_id, 9, True),
        ]

    def test_an_access_key_exists_once(self, store: IdentityStore) -> None:
        credential = new_credential()
        store.create_access_key(credential, 1)
        with pytest.raises(AccessKeyExists):
            store.create_access_key(
                Credential(credential.access_key_id, new_secret(), root_principal(ACCOUNT.account_id)), 2
            )
        assert store.find_credential(credential.access_key_id) == credential

    def test_an_access_key_needs_an_account(self, store: IdentityStore) -> None:
        with pytest.raises(NoSuchAccount):
            store.create_access_key(new_credential(OTHER_ACCOUNT.account_id), 1)

    def test_only_root_users_and_users_have_access_keys(self, store: IdentityStore) -> None:
        role = Principal(PrincipalKind.ROLE_SESSION, ACCOUNT.account_id, "arn:aws:sts::1:assumed-role/r/s", "AROA1:s")
        with pytest.raises(ValueError, match="users"):
            store.create_access_key(Credential(new_access_key_id(), new_secret(), role), 1)

    @pytest.mark.parametrize(
        "user",
        [
            User("AIDAUNKNOWN", ACCOUNT.account_id, "ann", "/", 1),
            User("AIDAANN", ACCOUNT.account_id, "bob", "/", 1),
            User("AIDAANN", ACCOUNT.account_id, "ann", "/other/", 1),
            User("AIDAANN", OTHER_ACCOUNT.account_id, "ann", "/", 1),
        ],
    )
    def test_a_user_that_is_not_this_very_one_gets_no_access_key(self, store: IdentityStore, user: User) -> None:
        store.create_account(OTHER_ACCOUNT)
        store.create_user(ANN)
        with pytest.raises(NoSuchUser):
            store.create_access_key(Credential(new_access_key_id(), new_secret(), user.principal), 1)

    def test_users_by_name_in_any_case(self, store: IdentityStore) -> None:
        bob = User("AIDABOB", ACCOUNT.account_id, "Bob", "/staff/", 1)
        store.create_user(bob)
        store.create_user(ANN)
        assert store.users(ACCOUNT.account_id) == [ANN, bob]
        assert store.user(ACCOUNT.account_id, "BOB") == bob
        assert bob.arn == "arn:aws:iam::123456789012:user/staff/Bob"
        for name in ("carl", "", "\udcff", "é"):
            with pytest.raises(NoSuchUser):
                store.user(ACCOUNT.account_id, name)
        with pytest.raises(NoSuchAccount):
            store.users(OTHER_ACCOUNT.account_id)

    def test_a_user_name_is_taken_once_in_an_account(self, store: IdentityStore) -> None:
        store.create_account(OTHER_ACCOUNT)
        store.create_user(ANN)
        with pytest.raises(EntityExists):
            store.create_user(User("AIDA2", ACCOUNT.account_id, "ANN", "/x/", 2))
        with pytest.raises(EntityExists):
            store.create_user(User("AIDAANN", ACCOUNT.account_id, "carl", "/", 2))
        store.create_user(User("AIDA3", OTHER_ACCOUNT.account_id, "ann", "/", 2))
        with pytest.raises(NoSuchAccount):
            store.create_user(User("AIDA4", "100000000000", "ann", "/", 2))

    @pytest.mark.parametrize(
        ("name", "user_path"),
        [
            *[(name, "/") for name in ("", "a b", "a/b", "n" * 65, "é", "a\n")],
            *[("a", user_path) for user_path in ("", "/x", "x/", "/ /", "/" + "p" * 511 + "/")],
        ],
    )
    def test_names_and_paths_have_their_shape(self, store: IdentityStore, name: str, user_path: str) -> None:
        with pytest.raises(ValueError, match=r"name|path"):
            store.create_user(User("AIDA5", ACCOUNT.account_id, name, user_path, 1))
        assert store.users(ACCOUNT.account_id) == []

    def test_a_users_credential_has_its_policies_as_given(self, store: IdentityStore) -> None:
        store.create_user(ANN)
        store.put_inline_policy(ANN, PolicyText("b", POLICY))
        store.put_inline_policy(ANN, PolicyText("a", f" {POLICY} "))
        credential = Credential(new_access_key_id(), new_secret(), ANN.principal)
        store.create_access_key(credential, 1)
        found = store.find_credential(credential.access_key_id)
        named = ("user ann policy a", f" {POLICY} "), ("user ann policy b", POLICY)
        policies = IdentityPolicies(tuple(PolicyText(*each) for each in named))
        assert found == replace(credential, policies=policies)
        assert [key.user_name for key in store.access_keys(ACCOUNT.account_id)] == ["ann"]

    def test_policy_changes_of_others_take_effect_at_once(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        store.create_user(ANN)
        credential = Credential(new_access_key_id(), new_secret(), ANN.principal)
        store.create_access_key(credential, 1)
        for changing in (store, other):
            assert store.find_credential(credential.access_key_id) == credential
            changing.put_inline_policy(ANN, PolicyText("p", POLICY))
            found = store.find_credential(credential.access_key_id)
            assert found is not None
            assert found.policies.identity == (PolicyText("user ann policy p", POLICY),)
            changing.delete_inline_policy(ANN, "p")
            assert store.find_credential(credential.access_key_id) == credential

    def test_what_is_no_policy_is_refused(self, store: IdentityStore) -> None:
        store.create_user(ANN)
        store.put_inline_policy(ANN, PolicyText("p", POLICY))
        with pytest.raises(PolicyError):
            store.put_inline_policy(ANN, PolicyText("p", '{"Statement": []'))
        with pytest.raises(ValueError, match="policy's name"):
            store.put_inline_policy(ANN, PolicyText("a/b", POLICY))
        with pytest.raises(NoSuchUser):
            store.put_inline_policy(BOB, PolicyText("p", POLICY))
        with pytest.raises(NoSuchPolicy):
            store.delete_inline_policy(ANN, "q")
        assert store.inline_policies(ANN) == [PolicyText("p", POLICY)]

    def test_inline_policies_are_bounded_together(self, store: IdentityStore) -> None:
        store.create_user(ANN)
        long = POLICY.replace("s3:GetObject", "s3:" + "x" * 1100)
        assert 1024 < len(long) < 2048
        store.put_inline_policy(ANN, PolicyText("p", long + " " * 3000))
        store.put_inline_policy(ANN, PolicyText("p", long))
        with pytest.raises(PoliciesTooLong):
            store.put_inline_policy(ANN, PolicyText("q", long))
        assert store.inline_policies(ANN) == [PolicyText("p", long)]

    def test_a_user_goes_when_nothing_is_left_of_it(self, store: IdentityStore) -> None:
        store.create_user(ANN)
        credential = Credential(new_access_key_id(), new_secret(), ANN.principal)
        store.create_access_key(credential, 1)
        store.put_inline_policy(ANN, PolicyText("p", POLICY))
        with pytest.raises(EntityInUse):
            store.delete_entity(ANN)
        store.delete_access_key(credential.access_key_id)
        with pytest.raises(EntityInUse):
            store.delete_entity(ANN)
        store.delete_inline_policy(ANN, "p")
        store.delete_entity(ANN)
        with pytest.raises(NoSuchUser):
            store.delete_entity(ANN)

    def test_what_is_left_of_a_user_is_said(self, store: IdentityStore) -> None:
        store.create_user(ANN)
        store.put_inline_policy(ANN, PolicyText("p", POLICY))
        with pytest.raises(EntityInUse) as caught:
            store.delete_entity(ANN)
        assert (caught.value.name, caught.value.first) == ("ann", "delete policies")

    def test_a_renamed_user_keeps_keys_and_policies(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        store.create_user(ANN)
        store.create_user(BOB)
        credential = Credential(new_access_key_id(), new_secret(), ANN.principal)
        store.create_access_key(credential, 1)
        store.put_inline_policy(ANN, PolicyText("p", POLICY))
        assert other.find_credential(credential.access_key_id) is not None
        store.rename(ANN, new_name="Carl", new_path="/p/")
        carl = replace(ANN, name="Carl", path="/p/")
        assert store.user(ACCOUNT.account_id, "carl") == carl
        for each in (store, other):
            found = each.find_credential(credential.access_key_id)
            assert found is not None
            in_force = (PolicyText("user Carl policy p", POLICY),)
            assert (found.principal, found.policies.identity) == (carl.principal, in_force)
        for new_name, error in (("BOB", EntityExists), ("a b", ValueError)):
            with pytest.raises(error):
                store.rename(ANN, new_name=new_name, new_path=None)
        with pytest.raises(ValueError, match="path"):
            store.rename(ANN, new_name="dora", new_path="x")
        with pytest.raises(NoSuchUser):
            store.user(ACCOUNT.account_id, "ann")
        store.rename(ANN, new_name=None, new_path=None)
        assert store.user(ACCOUNT.account_id, "carl") == carl

    def test_tags_are_the_users_and_its_principals(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        tagged = replace(ANN, tags=(("Team", "blue"), ("b", "")))
        store.create_user(tagged)
        assert store.user(ACCOUNT.account_id, "ann") == tagged
        credential = Credential(new_access_key_id(), new_secret(), ANN.principal)  # tags are not who it is
        store.create_access_key(credential, 1)
        for changing, tags in (
            (store, (("TEAM", "red"), ("b", ""), ("ß", "x"))),
            (other, (("TEAM", "red"), ("b", ""), ("SS", "y"))),
        ):
            changing.tag(ANN, (tags[0], tags[2]))
            for each in (store, other):
                assert each.user(ACCOUNT.account_id, "ann").tags == tags
                found = each.find_credential(credential.access_key_id)
                assert found is not None
                assert found.principal.tags == tags
        store.untag(ANN, ["team", "none"])
        assert other.user(ACCOUNT.account_id, "ann").tags == (("b", ""), ("SS", "y"))
        with pytest.raises(ValueError, match="same key"):
            store.tag(ANN, (("c", ""), ("C", "")))
        with pytest.raises(TooManyTags):
            store.tag(ANN, tuple((f"k{number}", "") for number in range(49)))
        with pytest.raises(NoSuchUser):
            store.tag(BOB, ())
        with pytest.raises(NoSuchUser):
            store.untag(BOB, [])
        assert len(store.user(ACCOUNT.account_id, "ann").tags) == 2

    def test_keys_of_one_and_how_many(self, store: IdentityStore) -> None:
        store.create_user(ANN)
        root = new_credential()
        store.create_access_key(root, 1, at_most=1)
        for _ in range(2):
            store.create_access_key(Credential(new_access_key_id(), new_secret(), ANN.principal), 2, at_most=2)
        for credential in (new_credential(), Credential(new_access_key_id(), new_secret(), ANN.principal)):
            with pytest.raises(TooManyAccessKeys):
                store.create_access_key(credential, 3, at_most=1)
        assert [key.access_key_id for key in store.access_keys_of(ACCOUNT.account_id, None)] == [root.access_key_id]
        assert [key.user_name for key in store.access_keys_of(ACCOUNT.account_id, "ANN")] == ["ann", "ann"]
        assert store.access_key(root.access_key_id) == store.access_keys(ACCOUNT.account_id)[0]
        with pytest.raises(NoSuchUser):
            store.access_keys_of(ACCOUNT.account_id, "bob")
        for unknown in ("AKIAUNKNOWNUNKNOWN12", "é", "\udcff"):
            with pytest.raises(NoSuchAccessKey):
                store.access_key(unknown)

    def test_the_last_use_of_a_key(self, store: IdentityStore, open_store: OpenStore) -> None:
        credential = new_credential()
        store.create_access_key(credential, 1)
        key = credential.access_key_id
        assert store.access_key_use(key) is None
        late, early = AccessKeyUse(key, 7, "s3", "eu-1"), AccessKeyUse(key, 6, "kms", "")
        store.note_access_key_uses([late, AccessKeyUse("AKIAUNKNOWNUNKNOWN12", 1, "s3", "")])
        open_store().note_access_key_uses([early])
        assert store.access_key_use(key) == late
        assert store.access_key_use("AKIAUNKNOWNUNKNOWN12") is None
        store.delete_access_key(key)
        assert store.access_key_use(key) is None

    def test_managed_policies_are_in_force_at_once(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        store.create_policy(OWN_POLICY, POLICY)
        store.create_user(replace(ANN, boundary_arn=ADMINISTRATOR))
        credential = Credential(new_access_key_id(), new_secret(), ANN.principal)
        store.create_access_key(credential, 1)
        account_id, arn, inline = ACCOUNT.account_id, OWN_POLICY.arn, "user ann policy p"
        administrator = f"{ADMINISTRATOR} {AWS_MANAGED[ADMINISTRATOR][1].version_id}"

        def in_force() -> list[tuple[dict[str, str], str | None]]:
            found = []
            for each in (store, other):
                policies = getattr(each.find_credential(credential.access_key_id), "policies", NO_POLICIES)
                boundary = None if policies.boundary is None else policies.boundary.name
                found.append(({policy.name: policy.text for policy in policies.identity}, boundary))
            return found

        assert in_force() == [({}, administrator)] * 2
        store.put_inline_policy(ANN, PolicyText("p", POLICY))
        store.attach_policy(ANN, arn)
        assert in_force() == [({inline: POLICY, f"{arn} v1": POLICY}, administrator)] * 2
        version = store.create_policy_version(account_id, arn, f" {POLICY}", is_default=True, created_us=2)
        assert (version.number, version.is_default) == (2, True)
        assert in_force() == [({inline: POLICY, f"{arn} v2": f" {POLICY}"}, administrator)] * 2
        other.set_default_policy_version(account_id, arn, 1, now_us=3)
        other.set_boundary(ANN, arn)
        assert in_force() == [({inline: POLICY, f"{arn} v1": POLICY}, f"{arn} v1")] * 2
        assert store.policy(account_id, arn) == replace(OWN_POLICY, updated_us=3, attachments=1, boundary_uses=1)
        for as_boundary in (False, True):
            assert [each.name for each in store.entities_of_policy(account_id, arn, as_boundary=as_boundary)] == ["ann"]
        other.detach_policy(ANN, arn)
        other.set_boundary(ANN, None)
        assert in_force() == [({inline: POLICY}, None)] * 2

    def test_providers_are_kept_and_changed(self, store: IdentityStore, open_store: OpenStore) -> None:
        other, account_id, arn = open_store(), ACCOUNT.account_id, PROVIDER.arn
        store.create_account(OTHER_ACCOUNT)
        store.create_oidc_provider(PROVIDER)
        assert other.oidc_provider(account_id, arn) == PROVIDER
        store.add_client_id(account_id, arn, "two")
        other.add_client_id(account_id, arn, "one")
        other.remove_client_id(account_id, arn, "nothing")
        other.set_thumbprints(account_id, arn, ["b" * 40])
        store.tag_oidc_provider(account_id, arn, (("K", "w"), ("more", "")))
        tags = (("k", "v"), ("K", "w"), ("more", ""))  # their keys differ by case
        changed = replace(PROVIDER, client_ids=("two", "one"), thumbprints=("b" * 40,), tags=tags)
        assert [each.oidc_provider(account_id, arn) for each in (store, other)] == [changed] * 2
        other.untag_oidc_provider(account_id, arn, ["k", "K", "MORE"])
        store.remove_client_id(account_id, arn, "one")
        assert store.oidc_providers(account_id) == [replace(changed, client_ids=("two",), tags=(("more", ""),))]
        assert store.oidc_providers(OTHER_ACCOUNT.account_id) == []
        store.delete_oidc_provider(account_id, arn)
        assert other.oidc_providers(account_id) == []

    def test_what_providers_are_refused(self, store: IdentityStore) -> None:
        account_id, arn = ACCOUNT.account_id, PROVIDER.arn
        store.create_account(OTHER_ACCOUNT)
        store.create_oidc_provider(PROVIDER)
        store.create_oidc_provider(replace(PROVIDER, account_id=OTHER_ACCOUNT.account_id))
        refused: list[tuple[OIDCProvider, type[Exception]]] = [
            (PROVIDER, ProviderExists),
            (replace(PROVIDER, account_id="999999999999"), NoSuchAccount),
            (replace(PROVIDER, url="http://example.com"), ValueError),
            (replace(PROVIDER, url="https://b", thumbprints=("a" * 39,)), ValueError),
            (replace(PROVIDER, url="https://b", thumbprints=("a" * 40,) * 6), TooManyThumbprints),
            (replace(PROVIDER, url="https://b", client_ids=tuple(map(str, range(101)))), TooManyClientIds),
            (replace(PROVIDER, url="https://b", tags=tuple((str(each), "") for each in range(51))), TooManyTags),
        ]
        for provider, error in refused:
            with pytest.raises(error):
                store.create_oidc_provider(provider)
        for wrong in (f"{arn}x", "no ARN", arn.replace(account_id, OTHER_ACCOUNT.account_id), "\udcff"):
            with pytest.raises(NoSuchProvider):
                store.oidc_provider(account_id, wrong)
            with pytest.raises(NoSuchProvider):
                store.add_client_id(account_id, wrong, "c")
            with pytest.raises(NoSuchProvider):
                store.delete_oidc_provider(account_id, wrong)
        for number in range(99):
            store.create_oidc_provider(replace(PROVIDER, url=f"https://{number}.example.com"))
        with pytest.raises(TooManyProviders):
            store.create_oidc_provider(replace(PROVIDER, url="https://b"))

    def test_what_sessions_ask_for_is_as_it_is_now(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        account_id, arn = ACCOUNT.account_id, OWN_POLICY.arn
        both = (store, other)
        assert [each.find_principal(ANN.user_id) for each in both] == [None, None]
        assert [each.find_policy(account_id, arn) for each in both] == [None, None]
        store.create_user(ANN)
        store.create_policy(OWN_POLICY, POLICY)
        assert [each.find_principal(ANN.user_id) for each in both] == [(ANN, NO_POLICIES)] * 2
        assert [each.find_policy(account_id, arn) for each in both] == [PolicyText(f"{arn} v1", POLICY)] * 2
        other.attach_policy(ANN, arn)
        store.rename(ANN, new_name="eve", new_path=None)
        found = replace(ANN, name="eve"), IdentityPolicies((PolicyText(f"{arn} v1", POLICY),))
        assert [each.find_principal(ANN.user_id) for each in both] == [found] * 2
        other.detach_policy(ANN, arn)
        store.create_policy_version(account_id, arn, f" {POLICY}", is_default=True, created_us=2)
        assert [each.find_policy(account_id, arn) for each in both] == [PolicyText(f"{arn} v2", f" {POLICY}")] * 2
        other.delete_policy_version(account_id, arn, 1)
        other.delete_policy(account_id, arn)
        store.delete_entity(ANN)
        assert [each.find_principal(ANN.user_id) for each in both] == [None, None]
        assert [each.find_policy(account_id, arn) for each in both] == [None, None]

    def test_what_sessions_ask_for_in_vain(self, store: IdentityStore) -> None:
        store.create_policy(OWN_POLICY, POLICY)
        assert store.has_active_account(ACCOUNT.account_id)
        assert not store.has_active_account("999999999999")
        store.set_account_active(ACCOUNT.account_id, False)
        assert not store.has_active_account(ACCOUNT.account_id)
        found = store.find_policy(ACCOUNT.account_id, ADMINISTRATOR)
        assert found is not None and found.name == f"{ADMINISTRATOR} v1"
        assert store.find_policy(OTHER_ACCOUNT.account_id, OWN_POLICY.arn) is None
        assert store.find_policy(ACCOUNT.account_id, "arn:aws:iam::aws:policy/Nothing") is None
        assert store.find_policy(ACCOUNT.account_id, "no ARN") is None

    def test_managed_policies_have_their_shape_and_bounds(self, store: IdentityStore) -> None:
        account_id, arn = ACCOUNT.account_id, OWN_POLICY.arn
        store.create_policy(OWN_POLICY, POLICY)
        refused = [
            (OWN_POLICY, POLICY, PolicyExists),
            (replace(OWN_POLICY, policy_id="ANPA2", name="OWN"), POLICY, PolicyExists),
            (replace(OWN_POLICY, policy_id="ANPA2", name="a/b"), POLICY, ValueError),
            (replace(OWN_POLICY, policy_id="ANPA2", name="b", path="x"), POLICY, ValueError),
            (replace(OWN_POLICY, policy_id="ANPA2", name="b"), "{}", PolicyError),
            (replace(OWN_POLICY, policy_id="ANPA2", name="b", account_id="100000000000"), POLICY, NoSuchAccount),
        ]
        for policy, document, error in refused:
            with pytest.raises(error):
                store.create_policy(policy, document)
        long = POLICY.replace("s3:GetObject", "s3:" + "x" * 6000)
        store.create_policy_version(account_id, arn, long + " " * 6000, is_default=False, created_us=1)
        with pytest.raises(PolicyTooLong):
            store.create_policy_version(account_id, arn, long.replace("x", "xx"), is_default=False, created_us=1)
        with pytest.raises(NoSuchPolicyVersion):
            store.set_default_policy_version(account_id, arn, 3, now_us=1)

        def delete_version(number: int) -> None:
            store.delete_policy_version(account_id, arn, number)

        for in_use in (lambda: store.delete_policy(account_id, arn), lambda: delete_version(1)):
            with pytest.raises(PolicyInUse):
                in_use()

        delete_version(2)
        assert store.create_policy_version(account_id, arn, POLICY, is_default=False, created_us=1).number == 3
        assert [version.number for version in store.policy_versions(account_id, arn)] == [3, 1]
        delete_version(3)
        store.delete_policy(account_id, arn)
        for change in (
            lambda: store.delete_policy(account_id, arn),
            lambda: store.delete_policy(account_id, ADMINISTRATOR),
            lambda: store.tag_policy(account_id, ADMINISTRATOR, ()),
            lambda: store.policy(account_id, "x"),
        ):
            with pytest.raises(NoSuchManagedPolicy):
                change()
        assert all(policy.account_id == "aws" for policy in store.policies(account_id))

    def test_a_role_comes_back_whole(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        role = replace(
            ROLE, description="of é", max_session_seconds=43200, tags=(("k", "v"),), boundary_arn=ADMINISTRATOR
        )
        store.create_role(role)
        other.create_user(User("AIDAROLE", ACCOUNT.account_id, "role", "/", 1))
        for each in (store, other):
            assert each.role(ACCOUNT.account_id, "ROLE") == role
            assert each.entity_by_id(ROLE.role_id) == role
            assert each.roles(ACCOUNT.account_id) == [role]
        assert role.arn == "arn:aws:iam::123456789012:role/p/Role"
        assert [user.name for user in store.users(ACCOUNT.account_id)] == ["role"]
        for name in ("other", "", "\udcff"):
            with pytest.raises(NoSuchRole):
                store.role(ACCOUNT.account_id, name)
            assert store.entity_by_id(name) is None

    def test_roles_have_their_shape(self, store: IdentityStore) -> None:
        store.create_role(ROLE)
        another = replace(ROLE, role_id="AROA2", name="another")
        refused: list[tuple[Role, type[Exception]]] = [
            (replace(ROLE, role_id="AROA2"), EntityExists),
            (replace(another, role_id=ROLE.role_id), EntityExists),
            (replace(another, name="a/b"), ValueError),
            (replace(another, path="x"), ValueError),
            (replace(another, max_session_seconds=3599), ValueError),
            (replace(another, max_session_seconds=43201), ValueError),
            (replace(another, trust_policy=POLICY), PolicyError),
            (replace(another, trust_policy=ROLE.trust_policy.replace("sts:AssumeRole", "sts:" + "x" * 2048)), _LONG),
            (replace(another, boundary_arn="arn:aws:iam::aws:policy/none"), NoSuchManagedPolicy),
            (replace(another, account_id=OTHER_ACCOUNT.account_id), NoSuchAccount),
        ]
        for role, error in refused:
            with pytest.raises(error):
                store.create_role(role)
        assert store.roles(ACCOUNT.account_id) == [ROLE]

    def test_what_is_changed_of_a_role(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        store.create_role(ROLE)
        trust_policy = ROLE.trust_policy.replace("sts:AssumeRole", "sts:*")
        store.update_role(ROLE, description="new", max_session_seconds=None)
        other.update_role(ROLE, description=None, max_session_seconds=7200)
        store.set_trust_policy(ROLE, trust_policy)
        other.set_boundary(ROLE, ADMINISTRATOR)
        store.tag(ROLE, (("k", "v"), ("l", "w")))
        other.untag(ROLE, ["K"])
        changed = replace(
            ROLE,
            trust_policy=trust_policy,
            description="new",
            max_session_seconds=7200,
            tags=(("l", "w"),),
            boundary_arn=ADMINISTRATOR,
        )
        for each in (store, other):
            assert each.role(ACCOUNT.account_id, "role") == changed
        with pytest.raises(ValueError, match="session"):
            store.update_role(ROLE, description="newer", max_session_seconds=1)
        with pytest.raises(PolicyError):
            store.set_trust_policy(ROLE, "{}")
        with pytest.raises(_LONG):
            store.set_trust_policy(ROLE, trust_policy.replace("sts:*", "sts:" + "x" * 2048))
        assert store.role(ACCOUNT.account_id, "role") == changed

    def test_a_role_trusts_whom_there_is(self, store: IdentityStore) -> None:
        store.create_account(OTHER_ACCOUNT)
        store.create_user(replace(ANN, user_id="AIDAANNANNANNANNANN22", path="/p/"))
        store.create_role(replace(ROLE, role_id="AROAROLEROLEROLEROL22"))

        def trusting(*principals: str) -> Role:
            document = {"Effect": "Allow", "Principal": {"AWS": list(principals)}, "Action": "sts:AssumeRole"}
            text = json.dumps({"Version": "2012-10-17", "Statement": document})
            return replace(ROLE, role_id="AROAOTHEROTHEROTHER22", name="other", trust_policy=text)

        mine, others = f"arn:aws:iam::{ACCOUNT.account_id}", f"arn:aws:iam::{OTHER_ACCOUNT.account_id}"
        session = f"arn:aws:sts::{ACCOUNT.account_id}:assumed-role"
        known = [
            *("*", OTHER_ACCOUNT.account_id, f"{others}:root", f"{mine}:user/p/ann", f"{mine}:role/p/Role"),
            *("AIDAANNANNANNANNANN22", "AROAROLEROLEROLEROL22", f"{session}/Role/session"),
            f"arn:aws:sts::{OTHER_ACCOUNT.account_id}:federated-user/anyone",
        ]
        unknown = [
            *("100000000000", "arn:aws:iam::100000000000:root", f"{mine}:user/ann", f"{mine}:user/p/Ann"),
            *(f"{others}:user/p/ann", f"{mine}:role/Role", f"{mine}:user/p/Role", "AIDABOBBOBBOBBOBBOB22"),
            *(f"{session}/none/session", "arn:aws:sts::100000000000:federated-user/anyone"),
            "arn:aws-cn:iam::123456789012:user/p/ann",
        ]
        for name in unknown:
            with pytest.raises(PolicyError) as caught:
                store.create_role(trusting("*", name))
            assert caught.value.message == f'Invalid principal in policy: "AWS":"{name}"'
            with pytest.raises(PolicyError):
                store.set_trust_policy(replace(ROLE, role_id="AROAROLEROLEROLEROL22"), trusting(name).trust_policy)
        assert len(store.roles(ACCOUNT.account_id)) == 1
        store.create_role(trusting(*known))

    def test_who_is_trusted_stays_who_it_was(self, store: IdentityStore) -> None:
        store.create_account(OTHER_ACCOUNT)
        first, second = replace(ANN, user_id="AIDAFIRSTFIRSTFIRST22"), replace(ANN, user_id="AIDASECONDSECONDSEC22")
        store.create_user(first)
        escaped = first.arn.replace("/", r"\/")  # as some write it
        text = ROLE.trust_policy.replace('"123456789012"', f'["210987654321", "{escaped}"]')
        role = replace(ROLE, account_id=OTHER_ACCOUNT.account_id, trust_policy=text)
        store.create_role(role)

        def trusted() -> tuple[str, ...]:
            return trusted_principals(store.role(OTHER_ACCOUNT.account_id, "role").trust_policy)

        store.rename(first, new_name="Anna", new_path="/p/")
        assert trusted() == ("210987654321", "arn:aws:iam::123456789012:user/p/Anna")
        store.create_user(second)
        store.delete_entity(second)
        assert trusted() == ("210987654321", "arn:aws:iam::123456789012:user/p/Anna")
        store.delete_entity(first)
        assert trusted() == ("210987654321", first.user_id)
        store.create_user(replace(second, name="Anna", path="/p/"))
        told = store.role(OTHER_ACCOUNT.account_id, "role").trust_policy
        assert trusted() == ("210987654321", first.user_id)
        with pytest.raises(PolicyError):  # as nobody is called this any more
            store.set_trust_policy(role, told)

    def test_policies_in_force_for_a_role(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        store.create_role(ROLE)
        store.create_policy(OWN_POLICY, POLICY)
        assert other.policies_in_force(ROLE) == NO_POLICIES
        store.put_inline_policy(ROLE, PolicyText("p", POLICY))
        store.attach_policy(ROLE, OWN_POLICY.arn)
        store.set_boundary(ROLE, OWN_POLICY.arn)
        inline, text = PolicyText(f"role {ROLE.name} policy p", POLICY), PolicyText(f"{OWN_POLICY.arn} v1", POLICY)
        for each in (store, other):
            assert each.policies_in_force(ROLE) == IdentityPolicies((inline, text), text)
        used = store.policy(ACCOUNT.account_id, OWN_POLICY.arn)
        assert (used.attachments, used.boundary_uses) == (1, 1)
        for as_boundary in (False, True):
            assert [
                each.entity_id
                for each in store.entities_of_policy(ACCOUNT.account_id, OWN_POLICY.arn, as_boundary=as_boundary)
            ] == [ROLE.role_id]
        long = POLICY.replace("s3:GetObject", "s3:" + "x" * 10100)
        store.put_inline_policy(ROLE, PolicyText("p", long))
        with pytest.raises(PoliciesTooLong):
            store.put_inline_policy(ROLE, PolicyText("q", POLICY))

    def test_a_role_goes_when_nothing_is_left_of_it(self, store: IdentityStore) -> None:
        store.create_role(ROLE)
        store.put_inline_policy(ROLE, PolicyText("p", POLICY))
        store.attach_policy(ROLE, ADMINISTRATOR)
        left: list[tuple[str, Callable[[], None]]] = [
            ("delete policies", lambda: store.delete_inline_policy(ROLE, "p")),
            ("detach all policies", lambda: store.detach_policy(ROLE, ADMINISTRATOR)),
        ]
        for first, undo in left:
            with pytest.raises(EntityInUse) as caught:
                store.delete_entity(ROLE)
            assert caught.value.first == first
            undo()
        store.delete_entity(ROLE)
        store.create_role(replace(ROLE, role_id="AROANEW"))
        for change in (
            lambda: store.delete_entity(ROLE),
            lambda: store.put_inline_policy(ROLE, PolicyText("p", POLICY)),
            lambda: store.inline_policies(ROLE),
            lambda: store.policies_in_force(ROLE),
            lambda: store.attach_policy(ROLE, ADMINISTRATOR),
            lambda: store.set_trust_policy(ROLE, ROLE.trust_policy),
            lambda: store.update_role(ROLE, description="", max_session_seconds=None),
        ):
            with pytest.raises(NoSuchRole):
                change()
        assert store.entity_by_id(ROLE.role_id) is None

    def test_the_last_use_of_a_role(self, store: IdentityStore, open_store: OpenStore) -> None:
        store.create_role(replace(ROLE, last_use=RoleUse(1, "x")))
        assert store.role(ACCOUNT.account_id, "role") == ROLE
        minute = 60 * 1_000_000
        for used_us, region, told in (
            (0, "eu-1", RoleUse(0, "eu-1")),
            (14 * minute, "eu-1", RoleUse(0, "eu-1")),
            (16 * minute, "eu-1", RoleUse(16 * minute, "eu-1")),
            (15 * minute, "eu-2", RoleUse(16 * minute, "eu-1")),
            (17 * minute, "eu-2", RoleUse(17 * minute, "eu-2")),
        ):
            store.note_role_use(ROLE, used_us, region)
            assert open_store().role(ACCOUNT.account_id, "role").last_use == told
        store.note_role_use(replace(ROLE, role_id="AROANONE"), 1, "")

    def test_groups_and_who_is_in_them(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        store.create_group(GROUP)
        store.create_user(replace(ANN, name="devs"))  # names are the kind's own
        store.create_user(BOB)
        with pytest.raises(EntityExists):
            store.create_group(replace(GROUP, group_id="AGPA2", name="DEVS"))
        for each in (store, other):
            assert each.group(ACCOUNT.account_id, "devs") == each.entity_by_id(GROUP.group_id) == GROUP
            assert each.groups(ACCOUNT.account_id) == [GROUP]
        assert GROUP.arn == "arn:aws:iam::123456789012:group/g/Devs"
        with pytest.raises(NoSuchGroup):
            store.group(ACCOUNT.account_id, "ops")
        store.create_group(replace(GROUP, group_id="AGPA3", name="n" * 128))
        with pytest.raises(ValueError, match="name"):
            store.create_group(replace(GROUP, group_id="AGPA4", name="n" * 129))
        for user in (BOB, BOB, ANN):
            store.add_member(GROUP, user)
        assert [user.user_id for user in other.members(GROUP)] == [BOB.user_id, ANN.user_id]
        assert other.groups_of(BOB) == [GROUP]
        other.remove_member(GROUP, BOB)
        other.remove_member(GROUP, BOB)
        assert (store.groups_of(BOB), len(store.members(GROUP))) == ([], 1)
        store.rename(GROUP, new_name="Ops", new_path=None)
        assert other.groups_of(ANN) == [replace(GROUP, name="Ops")]
        nobody, none = replace(BOB, user_id="AIDANONE"), replace(GROUP, group_id="AGPANONE")
        for change in (store.add_member, store.remove_member):
            with pytest.raises(NoSuchUser):
                change(GROUP, nobody)
            with pytest.raises(NoSuchGroup):
                change(none, BOB)
        with pytest.raises(NoSuchGroup):
            store.members(none)
        with pytest.raises(NoSuchUser):
            store.groups_of(nobody)

    def test_a_user_is_in_ten_groups(self, store: IdentityStore) -> None:
        store.create_user(ANN)
        groups = [replace(GROUP, group_id=f"AGPA{number}", name=f"g{number}") for number in range(11)]
        for group in groups:
            store.create_group(group)
        for group in groups[:10]:
            store.add_member(group, ANN)
        with pytest.raises(TooManyGroups):
            store.add_member(groups[10], ANN)
        store.add_member(groups[0], ANN)
        assert len(store.groups_of(ANN)) == 10

    def test_members_have_the_policies_of_their_groups(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        store.create_policy(OWN_POLICY, POLICY)
        store.create_user(ANN)
        store.create_group(GROUP)
        credential = Credential(new_access_key_id(), new_secret(), ANN.principal)
        store.create_access_key(credential, 1)

        def in_force() -> list[list[str]]:
            found = [each.find_credential(credential.access_key_id) for each in (store, other)]
            return [[policy.name for policy in each.policies.identity] for each in found if each is not None]

        own, arn, managed = PolicyText("p", POLICY), OWN_POLICY.arn, f"{OWN_POLICY.arn} v1"
        hers, groups = "user ann policy p", "group Devs policy p"
        steps: list[tuple[Callable[[], None], list[str]]] = [
            (lambda: store.put_inline_policy(GROUP, own), []),
            (lambda: other.add_member(GROUP, ANN), [groups]),
            (lambda: store.put_inline_policy(ANN, own), [hers, groups]),
            (lambda: other.attach_policy(GROUP, arn), [hers, groups, managed]),
            (lambda: store.attach_policy(ANN, arn), [hers, managed, groups]),
            (lambda: store.detach_policy(ANN, arn), [hers, groups, managed]),
            (lambda: other.delete_inline_policy(ANN, "p"), [groups, managed]),
            (lambda: other.delete_inline_policy(GROUP, "p"), [managed]),
            (lambda: store.detach_policy(GROUP, arn), []),
            (lambda: store.attach_policy(GROUP, arn), [managed]),
            (lambda: other.remove_member(GROUP, ANN), []),
        ]
        for change, expected in steps:
            change()
            assert in_force() == [expected] * 2
        store.add_member(GROUP, ANN)
        store.set_boundary(ANN, ADMINISTRATOR)
        text = PolicyText(managed, POLICY)
        assert store.policies_in_force(ANN).identity == (text,)
        boundary = store.policies_in_force(ANN).boundary
        assert boundary is not None
        assert boundary.name == f"{ADMINISTRATOR} {AWS_MANAGED[ADMINISTRATOR][1].version_id}"
        long = POLICY.replace("s3:GetObject", "s3:" + "x" * 5000)
        store.put_inline_policy(GROUP, PolicyText("q", long))
        with pytest.raises(PoliciesTooLong):
            store.put_inline_policy(GROUP, PolicyText("r", POLICY))

    def test_neither_groups_with_members_go_nor_members(self, store: IdentityStore) -> None:
        store.create_user(ANN)
        store.create_group(GROUP)
        store.add_member(GROUP, ANN)
        for entity in (GROUP, ANN):
            with pytest.raises(EntityInUse) as caught:
                store.delete_entity(entity)
            assert caught.value.first == "remove users from group"
        store.remove_member(GROUP, ANN)
        store.put_inline_policy(GROUP, PolicyText("p", POLICY))
        with pytest.raises(EntityInUse) as caught:
            store.delete_entity(GROUP)
        assert (caught.value.first, caught.value.kind) == ("delete policies", GROUP.kind)
        store.delete_inline_policy(GROUP, "p")
        for entity in (GROUP, ANN):
            store.delete_entity(entity)
        assert store.groups(ACCOUNT.account_id) == []

    def test_an_access_key_id_has_its_shape(self, store: IdentityStore) -> None:
        with pytest.raises(ValueError, match="access key id"):
            store.create_access_key(Credential("a/b", new_secret(), root_principal(ACCOUNT.account_id)), 1)

    def test_changes_take_effect_at_once(self, store: IdentityStore) -> None:
        credential = new_credential()
        store.create_access_key(credential, 1)
        access_key_id = credential.access_key_id
        for is_active in (False, True, True, False):
            store.set_access_key_active(access_key_id, is_active)
            found = store.find_credential(access_key_id)
            assert found is not None
            assert found.active is is_active
        store.delete_access_key(access_key_id)
        assert store.find_credential(access_key_id) is None
        assert store.access_keys(ACCOUNT.account_id) == []

    def test_changes_of_others_take_effect_at_once(self, store: IdentityStore, open_store: OpenStore) -> None:
        other = open_store()
        credential = new_credential()
        access_key_id = credential.access_key_id
        assert store.find_credential(access_key_id) is None
        other.create_access_key(credential, 1)
        assert store.find_credential(access_key_id) == credential
        other.set_access_key_active(access_key_id, False)
        found = store.find_credential(access_key_id)
        assert found is not None
        assert not found.active
        other.delete_access_key(access_key_id)
        assert store.find_credential(access_key_id) is None
        replacement = Credential(access_key_id, new_secret(), root_principal(ACCOUNT.account_id))
        other.create_access_key(replacement, 2)
        assert store.find_credential(access_key_id) == replacement

    def test_what_was_written_is_there_when_opened_again(self, store: IdentityStore, open_store: OpenStore) -> None:
        credential = new_credential()
        store.create_access_key(credential, 1)
        store.close()
        again = open_store()
        assert again.accounts() == [ACCOUNT]
        assert again.find_credential(credential.access_key_id) == credential

    def test_a_closed_store_refuses(self, store: IdentityStore) -> None:
        credential = new_credential()
        store.create_access_key(credential, 1)
        assert store.find_credential(credential.access_key_id) is not None
        store.close()
        store.close()
        with pytest.raises(StoreUnavailable):
            store.find_credential(credential.access_key_id)
        with pytest.raises(StoreUnavailable):
            store.accounts()
