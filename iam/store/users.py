"""Users and their inline policies in the identity database: a part of `SQLiteIdentityStore`."""

from __future__ import annotations

import json
import sqlite3
from abc import abstractmethod
from collections.abc import Sequence

from iam.credentials import Account
from iam.policy.document import PolicyKind
from iam.policy.parse import parse_policy
from iam.principals import PolicyText
from iam.store.database import transaction, translated_failures
from iam.store.interface import (
    NoSuchPolicy,
    NoSuchUser,
    PoliciesTooLong,
    TooManyTags,
    TooManyUsers,
    UserExists,
    UserInUse,
)
from iam.users import (
    MAX_INLINE_CHARACTERS,
    MAX_TAGS,
    MAX_USERS,
    Tags,
    User,
    check_path,
    check_policy_name,
    check_tags,
    check_user_name,
    with_tags,
    without_tags,
)

_BEFORE_A_USER = (
    ("delete access keys", "SELECT 1 FROM access_key WHERE user_id = ?"),
    ("delete policies", "SELECT 1 FROM user_policy WHERE user_id = ?"),
    ("detach all policies", "SELECT 1 FROM user_attachment WHERE user_id = ?"),
)
"""What has to be done before a user can go, and how it is found."""


def user_of(row: tuple[str, str, str, str, int, str, str | None]) -> User:
    """The user of a row of the table `user`."""
    user_id, account_id, name, path, created_us, tags, boundary_arn = row
    return User(user_id, account_id, name, path, created_us, parse_tags(tags), boundary_arn)


def parse_tags(text: str) -> Tags:
    """What `format_tags` wrote."""
    return tuple((key, value) for key, value in json.loads(text))


def size_of(document: str) -> int:
    """Characters of a policy as quotas count them: without white space."""
    return len("".join(document.split()))


def format_tags(tags: Tags) -> str:
    """Tags as they lie in the database. Raises TooManyTags, and ValueError for what is no set of tags."""
    if len(check_tags(tags)) > MAX_TAGS:
        raise TooManyTags(f"a user or a policy has at most {MAX_TAGS} tags, not {len(tags)}")
    return json.dumps(tags, ensure_ascii=False)


def _user_exists(account_id: str, name: str) -> UserExists:
    return UserExists(f"user {name} exists already in account {account_id}", name)


class SQLiteUsers:
    """See `IdentityStore` for what the methods promise. Every change empties the cache of credentials."""

    _connection: sqlite3.Connection

    @abstractmethod
    def account(self, account_id: str) -> Account: ...

    @abstractmethod
    def _forget(self) -> None:
        """Keep nothing that was read before."""

    @abstractmethod
    def _require_boundary(self, user: User) -> None:
        """Raises NoSuchManagedPolicy where the user's boundary does not exist."""

    def create_user(self, user: User) -> None:
        row = (
            user.user_id,
            user.account_id,
            check_user_name(user.name),
            check_path(user.path),
            user.created_us,
            format_tags(user.tags),
            user.boundary_arn,
        )
        with translated_failures(), transaction(self._connection):
            self.account(user.account_id)
            (count,) = self._connection.execute(
                "SELECT count(*) FROM user WHERE account_id = ?", (user.account_id,)
            ).fetchone()
            if count >= MAX_USERS:
                raise TooManyUsers(f"an account has at most {MAX_USERS} users")
            self._require_boundary(user)
            try:
                self._connection.execute("INSERT INTO user VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError as error:
                raise _user_exists(user.account_id, user.name) from error

    def user(self, account_id: str, name: str) -> User:
        with translated_failures():
            row = None
            if account_id.isascii() and name.isascii():
                row = self._connection.execute(
                    "SELECT * FROM user WHERE account_id = ? AND name = ?", (account_id, name)
                ).fetchone()
        if row is None:
            raise NoSuchUser(f"account {account_id[:80]!r} has no user {name[:80]!r}", name)
        return user_of(row)

    def users(self, account_id: str) -> Sequence[User]:
        with translated_failures():
            self.account(account_id)
            rows = self._connection.execute("SELECT * FROM user WHERE account_id = ? ORDER BY name", (account_id,))
            return [user_of(row) for row in rows]

    def update_user(self, account_id: str, name: str, *, new_name: str | None, new_path: str | None) -> None:
        with translated_failures(), transaction(self._connection):
            user = self.user(account_id, name)
            changed = check_user_name(new_name or user.name), check_path(new_path or user.path)
            try:
                self._connection.execute(
                    "UPDATE user SET name = ?, path = ? WHERE user_id = ?", (*changed, user.user_id)
                )
            except sqlite3.IntegrityError as error:
                raise _user_exists(account_id, changed[0]) from error
        self._forget()

    def tag_user(self, account_id: str, name: str, tags: Tags) -> None:
        check_tags(tags)
        with translated_failures(), transaction(self._connection):
            user = self.user(account_id, name)
            self._set_tags(user, with_tags(user.tags, tags))
        self._forget()

    def untag_user(self, account_id: str, name: str, keys: Sequence[str]) -> None:
        with translated_failures(), transaction(self._connection):
            user = self.user(account_id, name)
            self._set_tags(user, without_tags(user.tags, keys))
        self._forget()

    def _set_tags(self, user: User, tags: Tags) -> None:
        self._connection.execute("UPDATE user SET tags = ? WHERE user_id = ?", (format_tags(tags), user.user_id))

    def delete_user(self, account_id: str, name: str) -> None:
        with translated_failures(), transaction(self._connection):
            user = self.user(account_id, name)
            for first, query in _BEFORE_A_USER:
                found = self._connection.execute(query, (user.user_id,))
                if found.fetchone() is not None:
                    raise UserInUse(f"user {user.name} cannot be deleted yet: {first} first", user.name, first)
            self._connection.execute("DELETE FROM user WHERE user_id = ?", (user.user_id,))
        self._forget()

    def put_user_policy(self, account_id: str, name: str, policy: PolicyText) -> None:
        check_policy_name(policy.name)
        parse_policy(policy.text, PolicyKind.IDENTITY)
        with translated_failures(), transaction(self._connection):
            user = self.user(account_id, name)
            others = [each.text for each in self._policies(user) if each.name != policy.name]
            size = sum(map(size_of, (*others, policy.text)))
            if size > MAX_INLINE_CHARACTERS:
                raise PoliciesTooLong(
                    f"inline policies of a user have {MAX_INLINE_CHARACTERS} characters, not {size}", user.name
                )
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
                raise NoSuchPolicy(f"user {user.name} has no policy {policy_name[:80]!r}", policy_name)
        self._forget()
