"""What the identity store refuses, in IAM's words. The messages are those that IAM gives."""

from __future__ import annotations

from collections.abc import Callable

from iam.entities import MAX_ATTACHMENTS, MAX_ENTITIES, MAX_GROUPS_OF_USER, MAX_INLINE_CHARACTERS, MAX_TRUST_CHARACTERS
from iam.face.errors import IAMError, no_such_entity
from iam.managed_policies import MAX_POLICIES, MAX_POLICY_CHARACTERS, MAX_VERSIONS
from iam.oidc_providers import MAX_CLIENT_IDS, MAX_PROVIDERS, MAX_THUMBPRINTS
from iam.policy.errors import PolicyError
from iam.store.interface import (
    AliasExists,
    EntityError,
    EntityExists,
    EntityInUse,
    IdentityStoreError,
    NoSuchAccessKey,
    NoSuchAccount,
    NoSuchAccountRequest,
    NoSuchAlias,
    NoSuchEntity,
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
    PolicyUse,
    ProviderExists,
    TooManyAccessKeys,
    TooManyAttachments,
    TooManyClientIds,
    TooManyEntities,
    TooManyGroups,
    TooManyPolicies,
    TooManyProviders,
    TooManyTags,
    TooManyThumbprints,
    TooManyVersions,
    TrustPolicyTooLong,
)

ACCESS_KEYS_PER_USER = 2
"""IAM User Guide, "IAM and AWS STS quotas"."""


def to_iam_error(error: IdentityStoreError) -> IAMError:
    """An error that the table does not know is a mistake of the program: KeyError."""
    return _WORDS[type(error)](error)


def not_attachable(arn: str) -> IAMError:
    return IAMError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")


def no_such_boundary(arn: str) -> IAMError:
    return IAMError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.")


def malformed(error: PolicyError) -> IAMError:
    return IAMError("MalformedPolicyDocument", error.message)


def _no_such_entity(error: IdentityStoreError) -> IAMError:
    assert isinstance(error, NoSuchEntity)
    return no_such_entity(error.kind, error.name)


def _in_use(error: IdentityStoreError) -> IAMError:
    assert isinstance(error, EntityInUse)
    return IAMError("DeleteConflict", f"Cannot delete entity, must {error.first} first.")


def _exists(error: IdentityStoreError) -> IAMError:
    assert isinstance(error, EntityExists)
    return IAMError("EntityAlreadyExists", f"{error.kind.title()} with name {error.name} already exists.")


def _quota(name: str, most: int) -> Callable[[IdentityStoreError], IAMError]:
    return lambda error: IAMError("LimitExceeded", f"Cannot exceed quota for {name}: {most}")


def _too_many_entities(error: IdentityStoreError) -> IAMError:
    assert isinstance(error, EntityError)
    return _quota(f"{error.kind.title()}sPerAccount", MAX_ENTITIES[error.kind])(error)


def _too_many_attachments(error: IdentityStoreError) -> IAMError:
    assert isinstance(error, EntityError)
    return _quota(f"PoliciesPer{error.kind.title()}", MAX_ATTACHMENTS)(error)


def _policies_too_long(error: IdentityStoreError) -> IAMError:
    assert isinstance(error, EntityError)
    most = MAX_INLINE_CHARACTERS[error.kind]
    message = f"Maximum policy size of {most} bytes exceeded for {error.kind} {error.name}"
    return IAMError("LimitExceeded", message)


def _no_such_policy(error: IdentityStoreError) -> IAMError:
    assert isinstance(error, EntityError)
    return no_such_entity(f"{error.kind} policy", error.name)


_IN_USE = {
    PolicyUse.ATTACHED: "Cannot delete a policy attached to entities.",
    PolicyUse.DEFAULT: "Cannot delete the default version of a policy.",
    PolicyUse.VERSIONS: (
        "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The "
        "default version is deleted with the policy."
    ),
}


def _policy_in_use(error: IdentityStoreError) -> IAMError:
    assert isinstance(error, PolicyInUse)
    return IAMError("DeleteConflict", _IN_USE[error.use])


_TOO_MANY_VERSIONS = (
    f"A managed policy can have up to {MAX_VERSIONS} versions. Before you create a new version, you must delete an "
    "existing version."
)

_WORDS: dict[type[IdentityStoreError], Callable[[IdentityStoreError], IAMError]] = {
    AliasExists: lambda error: IAMError("EntityAlreadyExists", f"The account alias {error.name} already exists."),
    NoSuchAccountRequest: lambda error: IAMError(
        "CreateAccountStatusNotFoundException", "There is no request with this id."
    ),
    NoSuchAlias: lambda error: IAMError("NoSuchEntity", f"The account alias {error.name} cannot be found."),
    EntityExists: _exists,
    EntityInUse: _in_use,
    NoSuchAccessKey: lambda error: IAMError("NoSuchEntity", f"The Access Key with id {error.name} cannot be found."),
    # The account of an access key that was good a moment ago.
    NoSuchAccount: lambda error: IAMError("InvalidClientTokenId", "The account does not exist."),
    NoSuchGroup: _no_such_entity,
    NoSuchManagedPolicy: lambda error: IAMError("NoSuchEntity", f"Policy {error.name} was not found."),
    NoSuchPolicy: _no_such_policy,
    NoSuchPolicyVersion: lambda error: not_attachable(error.name),
    NoSuchProvider: lambda error: IAMError("NoSuchEntity", f"OpenIDConnect Provider not found for arn {error.name}"),
    NoSuchRole: _no_such_entity,
    NoSuchUser: _no_such_entity,
    PoliciesTooLong: _policies_too_long,
    PolicyExists: lambda error: IAMError(
        "EntityAlreadyExists", f"A policy called {error.name} already exists. Duplicate names are not allowed."
    ),
    PolicyInUse: _policy_in_use,
    PolicyTooLong: _quota("PolicySize", MAX_POLICY_CHARACTERS),
    ProviderExists: lambda error: IAMError("EntityAlreadyExists", f"Provider with url {error.name} already exists."),
    TooManyAccessKeys: _quota("AccessKeysPerUser", ACCESS_KEYS_PER_USER),
    TooManyAttachments: _too_many_attachments,
    TooManyClientIds: _quota("ClientIdsPerOpenIdConnectProvider", MAX_CLIENT_IDS),
    TooManyEntities: _too_many_entities,
    TooManyGroups: _quota("GroupsPerUser", MAX_GROUPS_OF_USER),
    TooManyPolicies: _quota("PoliciesPerAccount", MAX_POLICIES),
    TooManyProviders: _quota("OpenIdConnectProvidersPerAccount", MAX_PROVIDERS),
    TooManyThumbprints: _quota("ThumbprintsPerOpenIdConnectProvider", MAX_THUMBPRINTS),
    TooManyTags: lambda error: IAMError("LimitExceeded", "The number of tags has reached the maximum limit."),
    TooManyVersions: lambda error: IAMError("LimitExceeded", _TOO_MANY_VERSIONS),
    TrustPolicyTooLong: _quota("ACLSizePerRole", MAX_TRUST_CHARACTERS),
}
