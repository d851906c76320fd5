"""What an identity store does: one contract, one conformance suite (`tests/conformance/identities.py`).

Each method is one transaction. One that returned has made its effect durable, power loss included; one that raised
has changed nothing. What one process changed, every other process sees at its next call: nothing is cached beyond
that. All raise `StoreUnavailable` when the database cannot serve; trying again later may help.

The methods do not wait for a network: a store that lives on one keeps a local copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from iam.credentials import AccessKey, Account, Credential


class IdentityStoreError(Exception):
    """What an identity store refuses."""


class AccountExists(IdentityStoreError):
    """The account id or the canonical id is taken."""


class AccessKeyExists(IdentityStoreError):
    """The access key id is taken."""


class NoSuchAccount(IdentityStoreError):
    """No account has this id."""


class NoSuchAccessKey(IdentityStoreError):
    """No access key has this id."""


class StoreUnavailable(IdentityStoreError):
    """The database cannot serve, or a sealed secret does not open: nobody can be identified, so nobody is let in."""


class SecretSealer(Protocol):
    """Seals secrets for their rest in the database. The store never learns where the key comes from."""

    def seal(self, purpose: bytes, secret: bytes) -> bytes:
        """Encrypt and authenticate; `purpose` is bound to the result and not stored in it."""
        ...

    def open(self, purpose: bytes, sealed: bytes) -> bytes:
        """Undo `seal` for the same purpose. Raises any exception but never returns what was not sealed."""
        ...


class IdentityStore(Protocol):
    def create_account(self, account: Account) -> None:
        """Raises AccountExists, and ValueError for ids of the wrong shape."""
        ...

    def account(self, account_id: str) -> Account:
        """Raises NoSuchAccount."""
        ...

    def account_by_canonical_id(self, canonical_id: str) -> Account:
        """Raises NoSuchAccount."""
        ...

    def accounts(self) -> Sequence[Account]:
        """All of them, by account id."""
        ...

    def create_access_key(self, credential: Credential, created_us: int) -> None:
        """Keep an access key of the root user of `credential.principal.account_id`.

        Raises NoSuchAccount, AccessKeyExists, and ValueError for a key or principal that cannot be kept.
        """
        ...

    def access_keys(self, account_id: str) -> Sequence[AccessKey]:
        """The account's keys without their secrets, oldest first. Raises NoSuchAccount."""
        ...

    def find_credential(self, access_key_id: str) -> Credential | None:
        """The opened credential, active or not; None for an unknown id. On the path of every request."""
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
