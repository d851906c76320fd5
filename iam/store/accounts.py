"""Accounts in the identity database: a part of `SQLiteIdentityStore`."""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from collections.abc import Sequence

from iam.credentials import (
    Account,
    AccountAccess,
    check_account_alias,
    check_account_id,
    check_canonical_id,
    check_display_name,
    check_email,
)
from iam.store.interface import AccountExists, AliasExists, EmailExists, NoSuchAccount, NoSuchAlias
from iam.store.part import StorePart

_ACCOUNTS = "SELECT account_id, canonical_id, display_name, created_us, email, is_active FROM intact_account"
_NOBODY = AccountAccess(is_active=True, public_access_block=None)


class SQLiteAccounts(StorePart):
    """See `IdentityStore` for what the methods promise. A change empties what is cached."""

    _access_cache: dict[str, AccountAccess]

    @abstractmethod
    def _forget(self) -> None:
        """Keep nothing that was read before."""

    @abstractmethod
    def _check_caches(self) -> None:
        """Keep nothing that another connection may have changed since it was read."""

    def create_account(self, account: Account) -> None:
        with self._changing():
            self._insert_account(account)
        self._forget()

    def _insert_account(self, account: Account) -> None:
        """In a transaction of the caller's."""
        email = None if account.email is None else check_email(account.email)
        row = (
            check_account_id(account.account_id),
            check_canonical_id(account.canonical_id),
            check_display_name(account.display_name),
            account.created_us,
            email,
            int(account.is_active),
        )
        self._require_free_email(email, account.account_id)
        try:
            self._connection.execute(
                "INSERT INTO account"
                " (account_id, canonical_id, display_name, created_us, email, is_active, is_management)"
                " SELECT ?, ?, ?, ?, ?, ?, NOT EXISTS (SELECT 1 FROM account)",
                row,
            )
        except sqlite3.IntegrityError as error:
            raise AccountExists(f"account {account.account_id} or its canonical id exists already") from error

    def account(self, account_id: str) -> Account:
        return self._one_account(f"{_ACCOUNTS} WHERE account_id = ?", account_id)

    def account_by_canonical_id(self, canonical_id: str) -> Account:
        return self._one_account(f"{_ACCOUNTS} WHERE canonical_id = ?", canonical_id)

    def account_by_email(self, email: str) -> Account:
        return self._one_account(f"{_ACCOUNTS} WHERE email = ? COLLATE NOCASE", email)

    def management_account(self) -> Account:
        with self._reading():
            row = self._connection.execute(f"{_ACCOUNTS} WHERE is_management = 1").fetchone()
        if row is None:
            raise NoSuchAccount("there is no account yet")
        return _account_of(row)

    def _one_account(self, query: str, identifier: str) -> Account:
        with self._reading():
            row = self._connection.execute(query, (identifier,)).fetchone() if identifier.isascii() else None
        if row is None:
            raise NoSuchAccount(f"there is no account {identifier[:80]!r}")
        return _account_of(row)

    def accounts(self) -> Sequence[Account]:
        with self._reading():
            return [_account_of(row) for row in self._connection.execute(f"{_ACCOUNTS} ORDER BY account_id")]

    def update_account(self, account_id: str, *, display_name: str | None = None, email: str | None = None) -> None:
        with self._changing():
            account = self.account(account_id)
            changed_email = account.email if email is None else check_email(email)
            self._require_free_email(changed_email, account_id)
            self._connection.execute(
                "UPDATE account SET display_name = ?, email = ? WHERE account_id = ?",
                (
                    account.display_name if display_name is None else check_display_name(display_name),
                    changed_email,
                    account_id,
                ),
            )
        self._forget()

    def _require_free_email(self, email: str | None, account_id: str) -> None:
        if email is None:
            return
        taken = self._connection.execute(
            "SELECT 1 FROM account WHERE email = ? COLLATE NOCASE AND account_id != ?", (email, account_id)
        )
        if taken.fetchone() is not None:
            raise EmailExists(f"another account has the e-mail address {email}", email)

    def set_account_active(self, account_id: str, is_active: bool) -> None:
        self._change_account(account_id, "is_active", int(is_active))

    def set_account_public_access_block(self, account_id: str, settings: frozenset[str] | None) -> None:
        self._change_account(
            account_id, "public_access_block", None if settings is None else " ".join(sorted(settings))
        )

    def _change_account(self, account_id: str, column: str, value: int | str | None) -> None:
        with self._changing():
            changed = self._connection.execute(
                f"UPDATE account SET {column} = ? WHERE account_id = ?",  # noqa: S608  # the columns are those above
                (value, account_id),
            ).rowcount
        self._forget()
        if not changed:
            raise NoSuchAccount(f"there is no account {account_id[:80]!r}")

    def account_access(self, account_id: str, is_checked: bool = False) -> AccountAccess:
        with self._reading():
            if not is_checked:
                self._check_caches()
            access = self._access_cache.get(account_id)
            return access if access is not None else self._load_access(account_id)

    def _load_access(self, account_id: str) -> AccountAccess:
        row = self._connection.execute(
            "SELECT is_active, public_access_block FROM intact_account WHERE account_id = ?", (account_id,)
        ).fetchone()
        if row is None:  # not remembered, so that names made up by nobody fill no cache
            return _NOBODY
        is_active, settings = row
        block = None if settings is None else frozenset(settings.split())
        access = self._access_cache[account_id] = AccountAccess(bool(is_active), block)
        return access

    def has_active_account(self, account_id: str) -> bool:
        access = self.account_access(account_id)
        return access is not _NOBODY and access.is_active

    def create_account_alias(self, account_id: str, alias: str) -> None:
        check_account_alias(alias)
        with self._changing():
            self.account(account_id)
            try:
                self._connection.execute("UPDATE account SET alias = ? WHERE account_id = ?", (alias, account_id))
            except sqlite3.IntegrityError as error:
                raise AliasExists(f"another account has the alias {alias}", alias) from error

    def delete_account_alias(self, account_id: str, alias: str) -> None:
        with self._changing():
            deleted = self._connection.execute(
                "UPDATE account SET alias = NULL WHERE account_id = ? AND alias = ?", (account_id, alias)
            ).rowcount
        if not deleted:
            raise NoSuchAlias(f"account {account_id} has no alias {alias[:80]!r}", alias)

    def account_alias(self, account_id: str) -> str | None:
        with self._reading():
            self.account(account_id)
            (alias,) = self._connection.execute(
                "SELECT alias FROM intact_account WHERE account_id = ?", (account_id,)
            ).fetchone()
        return None if alias is None else str(alias)


def _account_of(row: tuple[str, str, str, int, str | None, int]) -> Account:
    account_id, canonical_id, display_name, created_us, email, is_active = row
    return Account(account_id, canonical_id, display_name, created_us, email, bool(is_active))
