"""Who is in which group, in the identity database. A part of `SQLiteIdentityStore`."""

from __future__ import annotations

from collections.abc import Sequence

from iam.entities import MAX_GROUPS_OF_USER, Group, User
from iam.store.entities import SQLiteEntities
from iam.store.interface import TooManyGroups

_MEMBERS = "e.entity_id IN (SELECT user_id FROM intact_membership WHERE group_id = ?)"
_GROUPS = "e.entity_id IN (SELECT group_id FROM intact_membership WHERE user_id = ?)"


class SQLiteGroups(SQLiteEntities):
    """See `IdentityStore` for what the methods promise. Every change empties the cache of credentials."""

    def add_member(self, group: Group, user: User) -> None:
        with self._changing():
            self._require(group)
            self._require(user)
            others = [each for each in self._groups_of(user) if each.group_id != group.group_id]
            if len(others) >= MAX_GROUPS_OF_USER:
                raise TooManyGroups(f"user {user.name} is in {MAX_GROUPS_OF_USER} groups already", user.name)
            self._connection.execute(
                "INSERT OR IGNORE INTO membership (group_id, user_id) VALUES (?, ?)", (group.group_id, user.user_id)
            )
        self._forget()

    def remove_member(self, group: Group, user: User) -> None:
        with self._changing():
            self._require(group)
            self._require(user)
            self._connection.execute(
                "DELETE FROM membership WHERE group_id = ? AND user_id = ?", (group.group_id, user.user_id)
            )
        self._forget()

    def members(self, group: Group) -> Sequence[User]:
        with self._reading():
            self._require(group)
            found = self._entities(_MEMBERS, group.group_id)
            return [each for each in found if isinstance(each, User)]

    def groups_of(self, user: User) -> Sequence[Group]:
        with self._reading():
            self._require(user)
            return self._groups_of(user)

    def _groups_of(self, user: User) -> list[Group]:
        found = self._entities(_GROUPS, user.user_id)
        return [each for each in found if isinstance(each, Group)]
