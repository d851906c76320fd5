"""Where accounts and access keys are kept: `IdentityStore` is the contract, `SQLiteIdentityStore` keeps it."""

from iam.store.interface import (
    AccessKeyExists,
    AccountExists,
    IdentityStore,
    IdentityStoreError,
    NoSuchAccessKey,
    NoSuchAccount,
    SecretSealer,
    StoreUnavailable,
)
from iam.store.sqlite import SQLiteIdentityStore

__all__ = [
    "AccessKeyExists",
    "AccountExists",
    "IdentityStore",
    "IdentityStoreError",
    "NoSuchAccessKey",
    "NoSuchAccount",
    "SQLiteIdentityStore",
    "SecretSealer",
    "StoreUnavailable",
]
