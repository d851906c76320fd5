"""Identities in one SQLite file, shared by all processes of a node.

A connection belongs to the thread that opened it. Opened credentials are cached until the database changes, by
whomever: SQLite's data_version tells of other connections' commits, and this one's own empty the cache themselves.
Asking it costs about 3 µs, a cached look-up with it about 4 µs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from iam.credentials import (
    AccessKey,
    Account,
    Credential,
    check_access_key_id,
    check_account_id,
    check_canonical_id,
    is_access_key_id,
)
from iam.principals import NO_POLICIES, IdentityPolicies, PolicyText, Principal, PrincipalKind, root_principal
from iam.secrets import Secret
from iam.store.database import open_database, transaction, translated_failures
from iam.store.interface import (
    AccessKeyExists,
    AccountExists,
    NoSuchAccessKey,
    NoSuchAccount,
    NoSuchUser,
    SecretSealer,
    StoreUnavailable,
)
from iam.store.users import SQLiteUsers
from iam.users import User

CACHE_CAPACITY = 10_000
"""Credentials kept open, about 1 KiB each. Only access keys that exist are cached, so that no caller can fill it."""


class SQLiteIdentityStore(SQLiteUsers):
    """`IdentityStore` on SQLite; see there for what its methods promise."""

    def __init__(self, path: Path, sealer: SecretSealer) -> None:
        """Open or create the database at `path`. Raises StoreUnavailable."""
        self._connection = open_database(path)
        self._sealer = sealer
        self._cache: dict[str, Credential] = {}
        self._cached_version = -1

    def __repr__(self) -> str:
        return "SQLiteIdentityStore()"

    def create_account(self, account: Account) -> None:
        row = (
            check_account_id(account.account_id),
            check_canonical_id(account.canonical_id),
            account.display_name,
            account.created_us,
        )
        with translated_failures():
            try:
                self._connection.execute("INSERT INTO account VALUES (?, ?, ?, ?)", row)
            except sqlite3.IntegrityError as error:
                raise AccountExists(f"account {account.account_id} or its canonical id exists already") from error

    def account(self, account_id: str) -> Account:
        return self._one_account("SELECT * FROM account WHERE account_id = ?", account_id)

    def account_by_canonical_id(self, canonical_id: str) -> Account:
        return self._one_account("SELECT * FROM account WHERE canonical_id = ?", canonical_id)

    def _one_account(self, query: str, identifier: str) -> Account:
        with translated_failures():
            row = self._connection.execute(query, (identifier,)).fetchone() if identifier.isascii() else None
        if row is None:
            raise NoSuchAccount(f"there is no account {identifier[:80]!r}")
        return Account(*row)

    def accounts(self) -> Sequence[Account]:
        with translated_failures():
            return [Account(*row) for row in self._connection.execute("SELECT * FROM account ORDER BY account_id")]

    def create_access_key(self, credential: Credential, created_us: int) -> None:
        principal = credential.principal
        if principal.kind not in {PrincipalKind.ROOT, PrincipalKind.USER}:
            raise ValueError("this store keeps the access keys of root users and users only")
        access_key_id = check_access_key_id(credential.access_key_id)
        sealed = self._sealer.seal(_purpose(access_key_id), credential.secret.reveal())
        with translated_failures(), transaction(self._connection):
            self.account(principal.account_id)
            user_id = None if principal.kind is PrincipalKind.ROOT else self._user_id_of(principal)
            row = (access_key_id, principal.account_id, sealed, int(credential.active), created_us, user_id)
            try:
                self._connection.execute(
                    "INSERT INTO access_key"
                    " (access_key_id, account_id, sealed_secret, is_active, created_us, user_id)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    row,
                )
            except sqlite3.IntegrityError as error:
                raise AccessKeyExists(f"access key {access_key_id} exists already") from error
        self._forget()

    def _user_id_of(self, principal: Principal) -> str:
        """The id of the user that is this very principal: of the same account, path and name. Raises NoSuchUser."""
        row = self._connection.execute("SELECT * FROM user WHERE user_id = ?", (principal.principal_id,)).fetchone()
        if row is None or User(*row).principal != principal:
            raise NoSuchUser("the store knows no such user")
        return principal.principal_id

    def access_keys(self, account_id: str) -> Sequence[AccessKey]:
        with translated_failures():
            self.account(account_id)
            rows = self._connection.execute(
                "SELECT k.access_key_id, k.account_id, k.is_active, k.created_us, u.name FROM access_key AS k"
                " LEFT JOIN user AS u USING (user_id)"
                " WHERE k.account_id = ? ORDER BY k.created_us, k.access_key_id",
                (account_id,),
            )
            return [
                AccessKey(key, account, bool(active), created, user) for key, account, active, created, user in rows
            ]

    def find_credential(self, access_key_id: str) -> Credential | None:
        with translated_failures():
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            if version != self._cached_version:
                self._cache.clear()
                self._cached_version = version
            credential = self._cache.get(access_key_id)
            return credential if credential is not None else self._load(access_key_id)

    def _load(self, access_key_id: str) -> Credential | None:
        if not is_access_key_id(access_key_id):  # whatever a client sent, bytes that are no text included
            return None
        # The version was read before the row: a commit in between shows as another version at the next call, so that
        # a row can be newer than the cache's version but never older.
        row = self._connection.execute(
            "SELECT account_id, sealed_secret, is_active, user_id FROM access_key WHERE access_key_id = ?",
            (access_key_id,),
        ).fetchone()
        if row is None:
            return None
        account_id, sealed, is_active, user_id = row
        identity = (root_principal(account_id), NO_POLICIES) if user_id is None else self._identity_of(user_id)
        if identity is None:
            return None
        principal, policies = identity
        credential = Credential(access_key_id, self._open(access_key_id, sealed), principal, bool(is_active), policies)
        if len(self._cache) >= CACHE_CAPACITY:
            self._cache.clear()
        self._cache[access_key_id] = credential
        return credential

    def _identity_of(self, user_id: str) -> tuple[Principal, IdentityPolicies] | None:
        """None where the user went, with its keys, since the key was read."""
        row = self._connection.execute("SELECT * FROM user WHERE user_id = ?", (user_id,)).fetchone()
        if row is None:
            return None
        policies = self._connection.execute(
            "SELECT name, document FROM user_policy WHERE user_id = ? ORDER BY name", (user_id,)
        )
        return User(*row).principal, IdentityPolicies(tuple(PolicyText(*policy) for policy in policies))

    def _open(self, access_key_id: str, sealed: bytes) -> Secret:
        try:
            return Secret(self._sealer.open(_purpose(access_key_id), sealed))
        except Exception as error:
            raise StoreUnavailable(f"the sealed secret of access key {access_key_id} does not open") from error

    def set_access_key_active(self, access_key_id: str, is_active: bool) -> None:
        self._change_access_key(
            "UPDATE access_key SET is_active = ? WHERE access_key_id = ?", (int(is_active), access_key_id)
        )

    def delete_access_key(self, access_key_id: str) -> None:
        self._change_access_key("DELETE FROM access_key WHERE access_key_id = ?", (access_key_id,))

    def _change_access_key(self, statement: str, parameters: tuple[object, ...]) -> None:
        with translated_failures():
            changed = self._connection.execute(statement, parameters).rowcount
        self._forget()
        if not changed:
            raise NoSuchAccessKey(f"there is no access key {parameters[-1]}")

    def _forget(self) -> None:
        self._cache.clear()

    def close(self) -> None:
        self._forget()
        self._connection.close()


def _purpose(access_key_id: str) -> bytes:
    """What a sealed secret is bound to: it opens in its own row and nowhere else."""
    return b"sealgate/v1/iam/access-key/" + access_key_id.encode()
