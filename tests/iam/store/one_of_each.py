"""An identity store with a row in each table."""

from __future__ import annotations

from iam.credentials import Account, Credential, new_access_key_id, new_secret
from iam.entities import EntityKind, Group, Role, User, new_entity_id
from iam.managed_policies import ManagedPolicy
from iam.oidc_providers import OIDCProvider
from iam.organizations import AccountRequest
from iam.principals import PolicyText
from iam.store import SQLiteIdentityStore

ACCOUNT = Account("111122223333", "a" * 64, "main", 1, "a@example.com")
POLICY = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}'
TRUST = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",'
    ' "Principal": {"AWS": "111122223333"}}}'
)
USER = User(new_entity_id(EntityKind.USER), ACCOUNT.account_id, "ann", "/", 2)
GROUP = Group(new_entity_id(EntityKind.GROUP), ACCOUNT.account_id, "staff", "/", 3)
ROLE = Role(new_entity_id(EntityKind.ROLE), ACCOUNT.account_id, "auditor", "/", 4, TRUST, "looks", 3600)
MANAGED = ManagedPolicy("ANPA" + "A" * 16, ACCOUNT.account_id, "everything", "/", "", 5, 5, 1)
PROVIDER = OIDCProvider(ACCOUNT.account_id, "https://id.example.com", 6, ("app",), ())
REQUEST = AccountRequest("car-" + "1" * 32, "main", 7, ACCOUNT.account_id)
CREDENTIAL = Credential(new_access_key_id(), new_secret(), USER.principal)


def put_one_of_each(store: SQLiteIdentityStore) -> None:
    store.create_account(ACCOUNT)
    store.create_user(USER)
    store.create_group(GROUP)
    store.create_role(ROLE)
    store.add_member(GROUP, USER)
    store.create_policy(MANAGED, POLICY)
    store.attach_policy(GROUP, MANAGED.arn)
    store.put_inline_policy(USER, PolicyText("p", POLICY))
    store.create_access_key(CREDENTIAL, 8)
    store.create_oidc_provider(PROVIDER)
    with store._changing():
        store._insert_request(REQUEST)
