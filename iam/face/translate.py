"""What the identity store refuses, in IAM's words. The messages are those that IAM gives."""

from __future__ import annotations

from collections.abc import Callable

from iam.face.errors import IAMError, no_such_entity
from iam.managed_policies import MAX_ATTACHMENTS, MAX_POLICIES, MAX_POLICY_CHARACTERS, MAX_VERSIONS
from iam.store.interface import (
    IdentityStoreError,
    NoSuchAccessKey,
    NoSuchAccount,
    NoSuchManagedPolicy,
    NoSuchPolicy,
    NoSuchPolicyVersion,
    NoSuchUser,
    PoliciesTooLong,
    PolicyExists,
    PolicyInUse,
    PolicyTooLong,
    PolicyUse,
    TooManyAccessKeys,
    TooManyAttachments,
    TooManyPolicies,
    TooManyTags,
    TooManyUsers,
    TooManyVersions,
    UserExists,
    UserInUse,
)
from iam.users import MAX_INLINE_CHARACTERS, MAX_USERS

ACCESS_KEYS_PER_USER = 2
"""IAM User Guide, "IAM and AWS STS quotas"."""


def to_iam_error(error: IdentityStoreError) -> IAMError:
    """An error that the table does not know is a mistake of the program: KeyError."""
    return _WORDS[type(error)](error)


def not_attachable(arn: str) -> IAMError:
    return IAMError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")


def _in_use(error: IdentityStoreError) -> IAMError:
    assert isinstance(error, UserInUse)
    return IAMError("DeleteConflict", f"Cannot delete entity, must {error.first} first.")


def _quota(name: str, most: int) -> Callable[[IdentityStoreError], IAMError]:
    return lambda error: IAMError("LimitExceeded", f"Cannot exceed quota for {name}: {most}")


def _policies_too_long(error: IdentityStoreError) -> IAMError:
    size = f"Maximum policy size of {MAX_INLINE_CHARACTERS} bytes exceeded for user {error.name}"
    return IAMError("LimitExceeded", size)


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
    NoSuchAccessKey: lambda error: IAMError("NoSuchEntity", f"The Access Key with id {error.name} cannot be found."),
    # The account of an access key that was good a moment ago.
    NoSuchAccount: lambda error: IAMError("InvalidClientTokenId", "The account does not exist."),
    NoSuchManagedPolicy: lambda error: IAMError("NoSuchEntity", f"Policy {error.name} was not found."),
    NoSuchPolicyVersion: lambda error: not_attachable(error.name),
    PolicyExists: lambda error: IAMError(
        "EntityAlreadyExists", f"A policy called {error.name} already exists. Duplicate names are not allowed."
    ),
    PolicyInUse: _policy_in_use,
    PolicyTooLong: _quota("PolicySize", MAX_POLICY_CHARACTERS),
    TooManyAttachments: _quota("PoliciesPerUser", MAX_ATTACHMENTS),
    TooManyPolicies: _quota("PoliciesPerAccount", MAX_POLICIES),
    TooManyVersions: lambda error: IAMError("LimitExceeded", _TOO_MANY_VERSIONS),
    NoSuchPolicy: lambda error: no_such_entity("user policy", error.name),
    NoSuchUser: lambda error: no_such_entity("user", error.name),
    PoliciesTooLong: _policies_too_long,
    TooManyAccessKeys: _quota("AccessKeysPerUser", ACCESS_KEYS_PER_USER),
    TooManyTags: lambda error: IAMError("LimitExceeded", "The number of tags has reached the maximum limit."),
    TooManyUsers: _quota("UsersPerAccount", MAX_USERS),
    UserExists: lambda error: IAMError("EntityAlreadyExists", f"User with name {error.name} already exists."),
    UserInUse: _in_use,
}
