"""Where accounts and access keys are kept: `IdentityStore` is the contract, `SQLiteIdentityStore` keeps it."""

from iam.store.interface import (
    AccessKeyExists,
    AccountExists,
    IdentityStore,
    IdentityStoreError,
    NoSuchAccessKey,
    NoSuchAccount,
    NoSuchPolicy,
    NoSuchUser,
    PoliciesTooLong,
    SecretSealer,
    StoreUnavailable,
    TooManyAccessKeys,
    TooManyTags,
    TooManyUsers,
    UserExists,
    UserInUse,
)
from iam.store.sqlite import SQLiteIdentityStore

__all__ = [
    "AccessKeyExists",
    "AccountExists",
    "IdentityStore",
    "IdentityStoreError",
    "NoSuchAccessKey",
    "NoSuchAccount",
    "NoSuchPolicy",
    "NoSuchUser",
    "PoliciesTooLong",
    "SQLiteIdentityStore",
    "SecretSealer",
    "StoreUnavailable",
    "TooManyAccessKeys",
    "TooManyTags",
    "TooManyUsers",
    "UserExists",
    "UserInUse",
]
