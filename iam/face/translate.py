"""What the identity store refuses, in IAM's words. The messages are those that IAM gives."""

from __future__ import annotations

from collections.abc import Callable

from iam.face.errors import IAMError, no_such_entity
from iam.store.interface import (
    IdentityStoreError,
    NoSuchAccessKey,
    NoSuchAccount,
    NoSuchPolicy,
    NoSuchUser,
    PoliciesTooLong,
    TooManyAccessKeys,
    TooManyTags,
    TooManyUsers,
    UserExists,
    UserInUse,
)
from iam.users import MAX_INLINE_CHARACTERS, MAX_USERS

ACCESS_KEYS_PER_USER = 2
"""IAM User Guide, "IAM and AWS STS quotas"."""


def to_iam_error(error: IdentityStoreError) -> IAMError:
    """An error that the table does not know is a mistake of the program: KeyError."""
    return _WORDS[type(error)](error)


def _in_use(error: IdentityStoreError) -> IAMError:
    assert isinstance(error, UserInUse)
    return IAMError("DeleteConflict", f"Cannot delete entity, must delete {error.left} first.")


def _quota(name: str, most: int) -> Callable[[IdentityStoreError], IAMError]:
    return lambda error: IAMError("LimitExceeded", f"Cannot exceed quota for {name}: {most}")


def _policies_too_long(error: IdentityStoreError) -> IAMError:
    size = f"Maximum policy size of {MAX_INLINE_CHARACTERS} bytes exceeded for user {error.name}"
    return IAMError("LimitExceeded", size)


_WORDS: dict[type[IdentityStoreError], Callable[[IdentityStoreError], IAMError]] = {
    NoSuchAccessKey: lambda error: IAMError("NoSuchEntity", f"The Access Key with id {error.name} cannot be found."),
    # The account of an access key that was good a moment ago.
    NoSuchAccount: lambda error: IAMError("InvalidClientTokenId", "The account does not exist."),
    NoSuchPolicy: lambda error: no_such_entity("user policy", error.name),
    NoSuchUser: lambda error: no_such_entity("user", error.name),
    PoliciesTooLong: _policies_too_long,
    TooManyAccessKeys: _quota("AccessKeysPerUser", ACCESS_KEYS_PER_USER),
    TooManyTags: lambda error: IAMError("LimitExceeded", "The number of tags has reached the maximum limit."),
    TooManyUsers: _quota("UsersPerAccount", MAX_USERS),
    UserExists: lambda error: IAMError("EntityAlreadyExists", f"User with name {error.name} already exists."),
    UserInUse: _in_use,
}
