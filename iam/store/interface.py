"""What an identity store does: one contract, one conformance suite (`tests/conformance/identities.py`).

Each method is one transaction. One that returned has made its effect durable, power loss included; one that raised
has changed nothing, but for OutcomeUnknown. What one process changed, every other process of the node sees at its next
call, those of other nodes within seconds, or when it was asked to catch up: nothing is cached beyond that. All raise
`StoreUnavailable` when the database cannot serve; trying again later may help. All but counts, and the
last use of access keys, rests on rows under seals: what needs one whose seal is wrong raises DamagedRow.

What reads does not wait for a network: a store that lives on one keeps a local copy. What changes may.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from enum import Enum
from typing import ClassVar, Protocol

from iam.credentials import AccessKey, AccessKeyUse, Account, AccountAccess, Credential
from iam.entities import Entity, EntityKind, Group, Role, User
from iam.managed_policies import ManagedPolicy, PolicyVersion
from iam.oidc_providers import OIDCProvider
from iam.organizations import AccountRequest
from iam.principals import IdentityPolicies, PolicyText
from iam.secrets import Secret
from iam.tags import Tags

CatchUp = Callable[[], Awaitable[bool]]
"""Brings here what other nodes changed. Whether that was done, and what was not found is to be looked for again."""


async def nothing_to_catch_up() -> bool:
    """Where identities are this node's alone."""
    return False


class IdentityStoreError(Exception):
    """What an identity store refuses; `name` is what the user, the policy or the key is called that it is about."""

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message)
        self.name = name


class AccountExists(IdentityStoreError):
    """The account id or the canonical id is taken."""


class EmailExists(AccountExists):
    """Another account has the e-mail address, in whatever case. `name` is the address."""


class TooManyAccounts(IdentityStoreError):
    """There would be more than `iam.organizations.MAX_ACCOUNTS`."""


class NoSuchAccountRequest(IdentityStoreError):
    """There was no such request to make an account, or it failed too long ago."""


class AliasExists(IdentityStoreError):
    """Another account has the alias."""


class NoSuchAlias(IdentityStoreError):
    """The account has no such alias."""


class AccessKeyExists(IdentityStoreError):
    """The access key id is taken."""


class NoSuchAccount(IdentityStoreError):
    """No account has this id."""


class NoSuchEntity(IdentityStoreError):
    """The account has no entity of this kind and name."""

    kind: ClassVar[EntityKind]


class NoSuchUser(NoSuchEntity):
    kind = EntityKind.USER


class NoSuchGroup(NoSuchEntity):
    kind = EntityKind.GROUP


class NoSuchRole(NoSuchEntity):
    kind = EntityKind.ROLE


NO_SUCH_ENTITY: Mapping[EntityKind, type[NoSuchEntity]] = {
    each.kind: each for each in (NoSuchUser, NoSuchGroup, NoSuchRole)
}


class EntityError(IdentityStoreError):
    """What is refused alike for users, groups and roles."""

    def __init__(self, message: str, kind: EntityKind, name: str = "") -> None:
        super().__init__(message, name)
        self.kind = kind


class EntityExists(EntityError):
    """The name, in whatever case, or the id is taken."""


class EntityInUse(EntityError):
    """The entity still has access keys, policies or members (IAM: DeleteConflict); `first` says what to do before."""

    def __init__(self, message: str, kind: EntityKind, name: str, first: str) -> None:
        super().__init__(message, kind, name)
        self.first = first


class TooManyEntities(EntityError):
    """The account would have more than `iam.entities.MAX_ENTITIES`."""


class PolicyExists(IdentityStoreError):
    """The name, in whatever case, is taken."""


class NoSuchManagedPolicy(IdentityStoreError):
    """Neither the account nor AWS has a managed policy of this ARN; or it is AWS's, and cannot be changed; or it is not
    attached. `name` is the ARN."""


class NoSuchPolicyVersion(IdentityStoreError):
    """The managed policy has no such version. `name` is its ARN with the version (`… version v3`)."""


class PolicyUse(Enum):
    """What keeps a managed policy, or a version of it, from being deleted."""

    ATTACHED = "attached"
    VERSIONS = "versions"
    DEFAULT = "default"


class PolicyInUse(IdentityStoreError):
    """The managed policy, or the version, cannot be deleted (IAM: DeleteConflict)."""

    def __init__(self, message: str, use: PolicyUse) -> None:
        super().__init__(message)
        self.use = use


class PolicyTooLong(IdentityStoreError):
    """The managed policy would exceed `iam.managed_policies.MAX_POLICY_CHARACTERS`."""


class TooManyPolicies(IdentityStoreError):
    """The account would have more managed policies than `iam.managed_policies.MAX_POLICIES`."""


class TooManyVersions(IdentityStoreError):
    """The managed policy would have more than `iam.managed_policies.MAX_VERSIONS`."""


class TooManyAttachments(EntityError):
    """The entity would have more policies attached than `iam.entities.MAX_ATTACHMENTS`."""


class TooManyGroups(IdentityStoreError):
    """The user would be in more than `iam.entities.MAX_GROUPS_OF_USER`."""


class TooManyTags(IdentityStoreError):
    """The user, role or policy would have more than `iam.tags.MAX_TAGS`."""


class TooManyAccessKeys(IdentityStoreError):
    """The user would have more access keys than the caller allows."""


class NoSuchPolicy(EntityError):
    """The entity has no inline policy of this name."""


class PoliciesTooLong(EntityError):
    """The entity's inline policies together would exceed `iam.entities.MAX_INLINE_CHARACTERS`."""


class TrustPolicyTooLong(IdentityStoreError):
    """The role's trust policy would exceed `iam.entities.MAX_TRUST_CHARACTERS`."""


class NoSuchAccessKey(IdentityStoreError):
    """No access key has this id."""


class NoSuchProvider(IdentityStoreError):
    """The account has no OpenID Connect provider of this ARN, which is `name`."""


class ProviderExists(IdentityStoreError):
    """The account has a provider of this URL, which is `name`."""


class TooManyProviders(IdentityStoreError):
    """The account would have more providers than `iam.oidc_providers.MAX_PROVIDERS`."""


class TooManyClientIds(IdentityStoreError):
    """The provider would have more than `iam.oidc_providers.MAX_CLIENT_IDS`."""


class TooManyThumbprints(IdentityStoreError):
    """The provider would have more than `iam.oidc_providers.MAX_THUMBPRINTS`."""


class StoreUnavailable(IdentityStoreError):
    """The database cannot serve, or a sealed secret does not open: nobody can be identified, so nobody is let in."""


class DamagedRow(StoreUnavailable):
    """A row is not as a gateway wrote it: damaged, or changed by somebody else. It gives nobody anything."""


class SealsNotOpen(StoreUnavailable):
    """Without the key of its seals a row can be neither proven nor written."""

    def __init__(self) -> None:
        super().__init__("the seals of the identity database's rows are not open: the root has to be there first")


class OutcomeUnknown(StoreUnavailable):
    """A change may have been made or not: the database was lost while it committed."""


class SecretSealer(Protocol):
    """Seals secrets for their rest in the database. The store never learns where the key comes from."""

    def seal(self, purpose: bytes, secret: bytes) -> bytes:
        """Encrypt and authenticate; `purpose` is bound to the result and not stored in it."""
        ...

    def open(self, purpose: bytes, sealed: bytes) -> bytes:
        """Undo `seal` for the same purpose. Raises any exception but never returns what was not sealed."""
        ...


class IdentitySealer(SecretSealer, Protocol):
    """What an identity store needs."""

    @property
    def row_key(self) -> Secret | None:
        """The key of the rows' seals. None: rows are read without proof, and cannot be written."""
        ...


class IdentityStore(Protocol):
    def create_account(self, account: Account) -> None:
        """The first one manages the others. Raises AccountExists, EmailExists, and ValueError for what has the wrong
        shape."""
        ...

    def account(self, account_id: str) -> Account:
        """Raises NoSuchAccount."""
        ...

    def account_by_canonical_id(self, canonical_id: str) -> Account:
        """Raises NoSuchAccount."""
        ...

    def account_by_email(self, email: str) -> Account:
        """By the address in any case. Raises NoSuchAccount."""
        ...

    def management_account(self) -> Account:
        """The one that was made first. Raises NoSuchAccount while there is none."""
        ...

    def accounts(self) -> Sequence[Account]:
        """All of them, by account id."""
        ...

    def update_account(self, account_id: str, *, display_name: str | None = None, email: str | None = None) -> None:
        """Give it another name or address, or both. Raises NoSuchAccount, EmailExists, ValueError."""
        ...

    def set_account_active(self, account_id: str, is_active: bool) -> None:
        """Suspend an account, or make it active again: its credentials are inactive while it is suspended. Takes
        effect before it returns, in every process. Raises NoSuchAccount."""
        ...

    def set_account_public_access_block(self, account_id: str, settings: frozenset[str] | None) -> None:
        """See `AccountAccess`. Takes effect before it returns, in every process. Raises NoSuchAccount."""
        ...

    def account_access(self, account_id: str, is_checked: bool = False) -> AccountAccess:
        """What decides about all that the account owns; of an account that the store does not know, that of one that
        blocks nothing. On the path of every request.

        `is_checked`: a credential was found for the same request before; what this process knows since is new enough,
        and is not held against the database again.
        """
        ...

    def create_member_account(self, request: AccountRequest, account: Account, role: Role, policy_arn: str) -> None:
        """Make an account, and in it a role with a managed policy; remember the request that it was made for.

        Raises TooManyAccounts, and what `create_account` and `create_role` raise.
        """
        ...

    def note_failed_account_request(self, request: AccountRequest) -> None:
        """The newest of them are remembered."""
        ...

    def account_request(self, request_id: str) -> AccountRequest:
        """Raises NoSuchAccountRequest."""
        ...

    def create_account_alias(self, account_id: str, alias: str) -> None:
        """In place of the one it had. Raises NoSuchAccount, AliasExists, ValueError for one of the wrong shape."""
        ...

    def delete_account_alias(self, account_id: str, alias: str) -> None:
        """Raises NoSuchAlias."""
        ...

    def account_alias(self, account_id: str) -> str | None:
        """Raises NoSuchAccount."""
        ...

    def create_access_key(self, credential: Credential, created_us: int, *, at_most: int | None = None) -> None:
        """Keep an access key of `credential.principal`, a root user or a user that the store knows by this ARN and id.

        Its policies are not kept: they are the user's. `at_most` is how many it may have with this one. Raises
        NoSuchAccount, NoSuchUser, AccessKeyExists, TooManyAccessKeys, and ValueError for a key or principal that cannot
        be kept.
        """
        ...

    def put_configured_access_key(self, credential: Credential, created_us: int) -> bool:
        """Have an access key that the configuration names, active and with this secret; whether anything changed.

        One that came from elsewhere stays what it is, and must be the principal's and have this very secret; from now
        on the configuration has it. Raises AccessKeyExists otherwise, and what `create_access_key` raises.
        """
        ...

    def disable_configured_access_keys_except(self, access_key_ids: Set[str]) -> Sequence[str]:
        """Disable the active ones that `put_configured_access_key` was given and that are not named; those that were
        active. Takes effect before it returns, in every process."""
        ...

    def access_keys(self, account_id: str) -> Sequence[AccessKey]:
        """The account's keys without their secrets, oldest first. Raises NoSuchAccount."""
        ...

    def access_key(self, access_key_id: str) -> AccessKey:
        """Without its secret. Raises NoSuchAccessKey."""
        ...

    def access_keys_of(self, account_id: str, name: str | None) -> Sequence[AccessKey]:
        """Those of a user, or of the root user for None, as `access_keys` gives them.

        Raises NoSuchAccount, NoSuchUser.
        """
        ...

    def access_key_use(self, access_key_id: str) -> AccessKeyUse | None:
        """The last use that was noted; None if there is none."""
        ...

    def note_access_key_uses(self, uses: Sequence[AccessKeyUse]) -> None:
        """Remember them where they are later than what is known. Keys that are gone are passed over."""
        ...

    # Entities. What is said of one is told by its value: it is found by its id, as it is now, and may have another name
    # by then. Where it is gone the method raises NoSuchUser, NoSuchGroup or NoSuchRole.

    def create_user(self, user: User) -> None:
        """Raises NoSuchAccount, EntityExists, TooManyEntities, TooManyTags, NoSuchManagedPolicy where its boundary does
        not exist, and ValueError for what has the wrong shape."""
        ...

    def create_group(self, group: Group) -> None:
        """Raises NoSuchAccount, EntityExists, TooManyEntities, and ValueError for what has the wrong shape."""
        ...

    def create_role(self, role: Role) -> None:
        """Its last use is not kept. Raises what `create_user` raises, TrustPolicyTooLong, and PolicyError for a text
        that is no trust policy."""
        ...

    def user(self, account_id: str, name: str) -> User:
        """By its name in any case. Raises NoSuchUser."""
        ...

    def group(self, account_id: str, name: str) -> Group:
        """By its name in any case. Raises NoSuchGroup."""
        ...

    def role(self, account_id: str, name: str) -> Role:
        """By its name in any case. Raises NoSuchRole."""
        ...

    def principal_exists(self, name: str) -> bool:
        """Whether there is such an account, user, role, or the role of such a session, as a policy's Principal names it
        under "AWS". Everyone is there. Raises ValueError for what is no such name."""
        ...

    def entity_by_id(self, entity_id: str) -> Entity | None:
        """By the id that is never used again; None where there is none, or no more."""
        ...

    def users(self, account_id: str) -> Sequence[User]:
        """The account's users by name, case disregarded. Raises NoSuchAccount."""
        ...

    def groups(self, account_id: str) -> Sequence[Group]:
        """The account's groups by name, case disregarded. Raises NoSuchAccount."""
        ...

    def roles(self, account_id: str) -> Sequence[Role]:
        """The account's roles by name, case disregarded. Raises NoSuchAccount."""
        ...

    def rename(self, entity: User | Group, *, new_name: str | None, new_path: str | None) -> None:
        """Give it another name or path, or both: its ARN changes with them, in every process before it returns.

        Raises EntityExists, and ValueError for a name or path of the wrong shape.
        """
        ...

    def tag(self, entity: User | Role, tags: Tags) -> None:
        """Add tags, in place of those under the same keys. Raises TooManyTags, ValueError."""
        ...

    def untag(self, entity: User | Role, keys: Sequence[str]) -> None:
        """Remove the tags under these keys, if there are any."""
        ...

    def set_boundary(self, entity: User | Role, arn: str | None) -> None:
        """Make a managed policy its permissions boundary, or take it away. Takes effect before it returns, in every
        process. Raises NoSuchManagedPolicy."""
        ...

    def update_role(self, role: Role, *, description: str | None, max_session_seconds: int | None) -> None:
        """Change what is not None. Raises ValueError."""
        ...

    def set_trust_policy(self, role: Role, text: str) -> None:
        """Takes effect before it returns, in every process. Raises PolicyError, TrustPolicyTooLong."""
        ...

    def note_role_use(self, role: Role, used_us: int, region: str) -> None:
        """Remember a use of the role, if it is later by some minutes than the one that is known."""
        ...

    def add_member(self, group: Group, user: User) -> None:
        """Put a user into a group, whose policies are then its own as well. Takes effect before it returns, in every
        process; twice is once. Raises TooManyGroups."""
        ...

    def remove_member(self, group: Group, user: User) -> None:
        """Takes effect before it returns, in every process. One who is not in the group stays so."""
        ...

    def members(self, group: Group) -> Sequence[User]:
        """The users in a group, by name."""
        ...

    def groups_of(self, user: User) -> Sequence[Group]:
        """The groups that a user is in, by name."""
        ...

    def delete_entity(self, entity: Entity) -> None:
        """Raises EntityInUse while access keys, policies or members are left."""
        ...

    def put_inline_policy(self, entity: Entity, policy: PolicyText) -> None:
        """Keep an inline policy, in place of one of the same name. Takes effect before it returns, in every process.

        Raises PoliciesTooLong, ValueError for a policy name of the wrong shape, and
        `iam.policy.errors.PolicyError` for a text that is no identity-based policy.
        """
        ...

    def inline_policies(self, entity: Entity) -> Sequence[PolicyText]:
        """By name, their texts as given."""
        ...

    def delete_inline_policy(self, entity: Entity, policy_name: str) -> None:
        """Takes effect before it returns, in every process. Raises NoSuchPolicy."""
        ...

    def attach_policy(self, entity: Entity, arn: str) -> None:
        """Takes effect before it returns, in every process; twice is once. Raises NoSuchManagedPolicy,
        TooManyAttachments."""
        ...

    def detach_policy(self, entity: Entity, arn: str) -> None:
        """Takes effect before it returns, in every process. Raises NoSuchManagedPolicy."""
        ...

    def attached_policies(self, entity: Entity) -> Sequence[ManagedPolicy]:
        """By ARN, their uses not counted."""
        ...

    def policies_in_force(self, entity: User | Role) -> IdentityPolicies:
        """Everything that decides what it may do, but for policies of a session."""
        ...

    def create_policy(self, policy: ManagedPolicy, document: str) -> None:
        """Keep a managed policy with `document` as version 1, its default.

        Raises NoSuchAccount, PolicyExists, PolicyTooLong, TooManyPolicies, TooManyTags, PolicyError, and ValueError for
        what has the wrong shape.
        """
        ...

    def policy(self, account_id: str, arn: str) -> ManagedPolicy:
        """One of the account's, or of AWS's; its uses are those of the account. Raises NoSuchManagedPolicy."""
        ...

    def policies(self, account_id: str) -> Sequence[ManagedPolicy]:
        """The account's and AWS's. Raises NoSuchAccount."""
        ...

    def policy_versions(self, account_id: str, arn: str) -> Sequence[PolicyVersion]:
        """Newest first. Raises NoSuchManagedPolicy."""
        ...

    def create_policy_version(
        self, account_id: str, arn: str, document: str, *, is_default: bool, created_us: int
    ) -> PolicyVersion:
        """A default takes effect before it returns, in every process.

        Raises NoSuchManagedPolicy, TooManyVersions, PolicyTooLong, PolicyError.
        """
        ...

    def set_default_policy_version(self, account_id: str, arn: str, number: int, *, now_us: int) -> None:
        """Takes effect before it returns, in every process. Raises NoSuchManagedPolicy, NoSuchPolicyVersion."""
        ...

    def delete_policy_version(self, account_id: str, arn: str, number: int) -> None:
        """Raises NoSuchManagedPolicy, NoSuchPolicyVersion, and PolicyInUse for the default."""
        ...

    def delete_policy(self, account_id: str, arn: str) -> None:
        """Raises NoSuchManagedPolicy, and PolicyInUse while it is attached, a boundary, or has further versions."""
        ...

    def tag_policy(self, account_id: str, arn: str, tags: Tags) -> None:
        """Add tags, in place of those under the same keys. Raises NoSuchManagedPolicy, TooManyTags, ValueError."""
        ...

    def untag_policy(self, account_id: str, arn: str, keys: Sequence[str]) -> None:
        """Remove the tags under these keys, if there are any. Raises NoSuchManagedPolicy."""
        ...

    def entities_of_policy(self, account_id: str, arn: str, *, as_boundary: bool) -> Sequence[Entity]:
        """The account's entities that it is attached to, or whose boundary it is, by name. Raises
        NoSuchManagedPolicy."""
        ...

    def create_oidc_provider(self, provider: OIDCProvider) -> None:
        """Raises NoSuchAccount, ProviderExists, TooManyProviders, TooManyClientIds, TooManyThumbprints, TooManyTags,
        and ValueError for what has the wrong shape."""
        ...

    def oidc_provider(self, account_id: str, arn: str) -> OIDCProvider:
        """Raises NoSuchProvider."""
        ...

    def oidc_providers(self, account_id: str) -> Sequence[OIDCProvider]:
        """By their URLs, schemes disregarded. Raises NoSuchAccount."""
        ...

    def delete_oidc_provider(self, account_id: str, arn: str) -> None:
        """Raises NoSuchProvider."""
        ...

    def add_client_id(self, account_id: str, arn: str, client_id: str) -> None:
        """Twice is once. Raises NoSuchProvider, TooManyClientIds."""
        ...

    def remove_client_id(self, account_id: str, arn: str, client_id: str) -> None:
        """If it is there. Raises NoSuchProvider."""
        ...

    def set_thumbprints(self, account_id: str, arn: str, thumbprints: Sequence[str]) -> None:
        """In place of those before. Raises NoSuchProvider, TooManyThumbprints, ValueError."""
        ...

    def tag_oidc_provider(self, account_id: str, arn: str, tags: Tags) -> None:
        """Add tags, in place of those under the same keys. Raises NoSuchProvider, TooManyTags, ValueError."""
        ...

    def untag_oidc_provider(self, account_id: str, arn: str, keys: Sequence[str]) -> None:
        """Remove the tags under these keys, if there are any. Raises NoSuchProvider."""
        ...

    def find_credential(self, access_key_id: str) -> Credential | None:
        """The opened credential with its principal's policies, active or not; None for an unknown id. On the path of
        every request."""
        ...

    def has_active_account(self, account_id: str) -> bool:
        """Whether there is such an account, and it is active. On the path of every request with a session."""
        ...

    def find_principal(self, entity_id: str) -> tuple[User | Role, IdentityPolicies] | None:
        """The user or role of this id, whatever it is called by now, with its policies; None if it is gone. On the path
        of every request with one of its sessions."""
        ...

    def find_policy(self, account_id: str, arn: str) -> PolicyText | None:
        """What a managed policy of the account's, or of AWS's, says now, by its ARN; None if there is none. On the path
        of every request whose session it limits."""
        ...

    def set_access_key_active(self, access_key_id: str, is_active: bool) -> None:
        """Takes effect before it returns, in every process. Raises NoSuchAccessKey."""
        ...

    def delete_access_key(self, access_key_id: str) -> None:
        """Takes effect before it returns, in every process. Raises NoSuchAccessKey."""
        ...

    def close(self) -> None:
        """Idempotent. Everything afterwards raises StoreUnavailable."""
        ...
