"""Users and their inline policies in the identity database: a part of `SQLiteIdentityStore`."""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from collections.abc import Sequence

from iam.credentials import Account
from iam.policy.document import PolicyKind
from iam.policy.parse import parse_policy
from iam.principals import PolicyText
from iam.store.database import transaction, translated_failures
from iam.store.interface import NoSuchPolicy, NoSuchUser, PoliciesTooLong, UserExists, UserInUse
from iam.users import MAX_INLINE_CHARACTERS, User, check_path, check_policy_name, check_user_name


class SQLiteUsers:
    """See `IdentityStore` for what the methods promise. Every change empties the cache of credentials."""

    _connection: sqlite3.Connection

    @abstractmethod
    def account(self, account_id: str) -> Account: ...

    @abstractmethod
    def _forget(self) -> None:
        """Keep nothing that was read before."""

    def create_user(self, user: User) -> None:
        row = (user.user_id, user.account_id, check_user_name(user.name), check_path(user.path), user.created_us)
        with translated_failures(), transaction(self._connection):
            self.account(user.account_id)
            try:
                self._connection.execute("INSERT INTO user VALUES (?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError as error:
                raise UserExists(f"user {user.name} exists already in account {user.account_id}") from error

    def user(self, account_id: str, name: str) -> User:
        with translated_failures():
            row = None
            if account_id.isascii() and name.isascii():
                row = self._connection.execute(
                    "SELECT * FROM user WHERE account_id = ? AND name = ?", (account_id, name)
                ).fetchone()
        if row is None:
            raise NoSuchUser(f"account {account_id[:80]!r} has no user {name[:80]!r}")
        return User(*row)

    def users(self, account_id: str) -> Sequence[User]:
        with translated_failures():
            self.account(account_id)
            rows = self._connection.execute("SELECT * FROM user WHERE account_id = ? ORDER BY name", (account_id,))
            return [User(*row) for row in rows]

    def delete_user(self, account_id: str, name: str) -> None:
        with translated_failures(), transaction(self._connection):
            user = self.user(account_id, name)
            try:
                self._connection.execute("DELETE FROM user WHERE user_id = ?", (user.user_id,))
            except sqlite3.IntegrityError as error:
                raise UserInUse(f"user {user.name} still has access keys or policies: delete them first") from error
        self._forget()

    def put_user_policy(self, account_id: str, name: str, policy: PolicyText) -> None:
        check_policy_name(policy.name)
        parse_policy(policy.text, PolicyKind.IDENTITY)
        with translated_failures(), transaction(self._connection):
            user = self.user(account_id, name)
            others = [each.text for each in self._policies(user) if each.name != policy.name]
            size = sum(len("".join(text.split())) for text in (*others, policy.text))
            if size > MAX_INLINE_CHARACTERS:
                raise PoliciesTooLong(f"inline policies of a user have {MAX_INLINE_CHARACTERS} characters, not {size}")
            self._connection.execute(
                "INSERT OR REPLACE INTO user_policy VALUES (?, ?, ?)", (user.user_id, policy.name, policy.text)
            )
        self._forget()

    def user_policies(self, account_id: str, name: str) -> Sequence[PolicyText]:
        with translated_failures():
            return self._policies(self.user(account_id, name))

    def _policies(self, user: User) -> list[PolicyText]:
        rows = self._connection.execute(
            "SELECT name, document FROM user_policy WHERE user_id = ? ORDER BY name", (user.user_id,)
        )
        return [PolicyText(*row) for row in rows]

    def delete_user_policy(self, account_id: str, name: str, policy_name: str) -> None:
        with translated_failures(), transaction(self._connection):
            user = self.user(account_id, name)
            deleted = self._connection.execute(
                "DELETE FROM user_policy WHERE user_id = ? AND name = ?", (user.user_id, policy_name)
            ).rowcount
            if not deleted:
                raise NoSuchPolicy(f"user {user.name} has no policy {policy_name[:80]!r}")
        self._forget()
