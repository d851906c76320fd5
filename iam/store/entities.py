"""Users, groups and roles in the identity database, and their inline policies: a part of `SQLiteIdentityStore`."""

from __future__ import annotations

import json
import sqlite3
from abc import abstractmethod
from collections.abc import Sequence

from iam.credentials import Account
from iam.entities import (
    MAX_ENTITIES,
    MAX_INLINE_CHARACTERS,
    Entity,
    EntityKind,
    Group,
    Role,
    RoleUse,
    User,
    check_entity_name,
    check_path,
    check_policy_name,
)
from iam.policy.document import PolicyKind
from iam.policy.parse import parse_policy
from iam.principals import PolicyText
from iam.store.interface import (
    NO_SUCH_ENTITY,
    EntityExists,
    EntityInUse,
    NoSuchPolicy,
    PoliciesTooLong,
    StoreUnavailable,
    TooManyEntities,
    TooManyTags,
)
from iam.store.part import StorePart
from iam.tags import MAX_TAGS, Fold, Tags, check_tags, disregard_case, with_tags, without_tags

Row = tuple[str, str, str, str, str, int, str, str | None, str | None]

_ENTITIES = (
    "SELECT e.entity_id, e.kind, e.account_id, e.name, e.path, e.created_us, e.tags, e.boundary_arn,"
    # Not joined: SQLite would prove the seal of every role there is.
    " (SELECT json_array(r.trust_policy, r.description, r.max_session_seconds, r.used_us, r.used_region)"
    " FROM intact_role AS r WHERE r.role_id = e.entity_id)"
    " FROM intact_entity AS e"
)
_INSERT = (
    "INSERT INTO entity (entity_id, kind, account_id, name, path, created_us, tags, boundary_arn)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_BEFORE_AN_ENTITY = (
    ("delete access keys", "SELECT 1 FROM access_key WHERE user_id = ?1"),
    ("remove users from group", "SELECT 1 FROM membership WHERE user_id = ?1 OR group_id = ?1"),
    ("delete policies", "SELECT 1 FROM inline_policy WHERE entity_id = ?1"),
    ("detach all policies", "SELECT 1 FROM attachment WHERE entity_id = ?1"),
)
"""What has to be done before an entity can go, and how it is found."""


def entity_of(row: Row) -> Entity:
    """The entity of a row that `_ENTITIES` selects. Raises StoreUnavailable for half a role."""
    entity_id, kind, account_id, name, path, created_us, tags, boundary_arn, role = row
    identity = (entity_id, account_id, name, path, created_us)
    if kind == EntityKind.USER:
        return User(*identity, parse_tags(tags), boundary_arn)
    if kind == EntityKind.GROUP:
        return Group(*identity)
    if role is None:
        raise StoreUnavailable(f"the trust policy of role {entity_id} is missing")
    trust_policy, description, max_session_seconds, used_us, used_region = json.loads(role)
    last_use = None if used_us is None or used_region is None else RoleUse(used_us, used_region)
    return Role(*identity, trust_policy, description, max_session_seconds, parse_tags(tags), boundary_arn, last_use)


def parse_tags(text: str) -> Tags:
    """What `format_tags` wrote."""
    return tuple((key, value) for key, value in json.loads(text))


def format_tags(tags: Tags, fold: Fold = disregard_case) -> str:
    """Tags as they lie in the database. Raises TooManyTags, and ValueError for what is no set of tags."""
    if len(check_tags(tags, fold)) > MAX_TAGS:
        raise TooManyTags(f"a user, a role or a policy has at most {MAX_TAGS} tags, not {len(tags)}")
    return json.dumps(tags, ensure_ascii=False)


def size_of(document: str) -> int:
    """Characters of a policy as quotas count them: without white space."""
    return len("".join(document.split()))


class SQLiteEntities(StorePart):
    """See `IdentityStore` for what the methods promise. Every change empties the cache of credentials."""

    @abstractmethod
    def account(self, account_id: str) -> Account: ...

    @abstractmethod
    def _forget(self) -> None:
        """Keep nothing that was read before."""

    @abstractmethod
    def _require_policy(self, account_id: str, arn: str) -> None:
        """Raises NoSuchManagedPolicy."""

    @abstractmethod
    def _call_principal(self, arn: str, new_name: str) -> None:
        """Have trust policies call the user or role of this ARN otherwise. In a transaction of the caller's."""

    # Making and finding

    def create_user(self, user: User) -> None:
        with self._changing():
            self._insert(user, user.tags, user.boundary_arn)

    def create_group(self, group: Group) -> None:
        with self._changing():
            self._insert(group)

    def _insert(self, entity: Entity, tags: Tags = (), boundary_arn: str | None = None) -> None:
        """In a transaction of the caller's."""
        kind, account_id = entity.kind, entity.account_id
        row = (
            entity.entity_id,
            kind,
            account_id,
            check_entity_name(kind, entity.name),
            check_path(entity.path),
            entity.created_us,
            format_tags(tags),
            boundary_arn,
        )
        self.account(account_id)
        (count,) = self._connection.execute(
            "SELECT count(*) FROM entity WHERE account_id = ? AND kind = ?", (account_id, kind)
        ).fetchone()
        if count >= MAX_ENTITIES[kind]:
            raise TooManyEntities(f"an account has at most {MAX_ENTITIES[kind]} entities of kind {kind}", kind)
        if boundary_arn is not None:
            self._require_policy(account_id, boundary_arn)
        try:
            self._connection.execute(_INSERT, row)
        except sqlite3.IntegrityError as error:
            raise _entity_exists(entity, entity.name) from error

    def user(self, account_id: str, name: str) -> User:
        found = self._entity(EntityKind.USER, account_id, name)
        assert isinstance(found, User)
        return found

    def group(self, account_id: str, name: str) -> Group:
        found = self._entity(EntityKind.GROUP, account_id, name)
        assert isinstance(found, Group)
        return found

    def role(self, account_id: str, name: str) -> Role:
        found = self._entity(EntityKind.ROLE, account_id, name)
        assert isinstance(found, Role)
        return found

    def _entity(self, kind: EntityKind, account_id: str, name: str) -> Entity:
        with self._reading():
            found: list[Entity] = []
            if account_id.isascii() and name.isascii():
                found = self._entities("e.account_id = ? AND e.kind = ? AND e.name = ?", account_id, kind, name)
        if not found:
            raise NO_SUCH_ENTITY[kind](f"account {account_id[:80]!r} has no {kind} {name[:80]!r}", name)
        return found[0]

    def entity_by_id(self, entity_id: str) -> Entity | None:
        with self._reading():
            found = self._entities("e.entity_id = ?", entity_id) if entity_id.isascii() else []
        return found[0] if found else None

    def users(self, account_id: str) -> Sequence[User]:
        return [each for each in self._of_account(EntityKind.USER, account_id) if isinstance(each, User)]

    def groups(self, account_id: str) -> Sequence[Group]:
        return [each for each in self._of_account(EntityKind.GROUP, account_id) if isinstance(each, Group)]

    def roles(self, account_id: str) -> Sequence[Role]:
        return [each for each in self._of_account(EntityKind.ROLE, account_id) if isinstance(each, Role)]

    def _of_account(self, kind: EntityKind, account_id: str) -> list[Entity]:
        with self._reading():
            self.account(account_id)
            return self._entities("e.account_id = ? AND e.kind = ?", account_id, kind)

    def _entities(self, condition: str, *parameters: str) -> list[Entity]:
        """By name. The conditions are those of this package."""
        rows = self._connection.execute(f"{_ENTITIES} WHERE {condition} ORDER BY e.name", parameters)
        return [entity_of(row) for row in rows]

    def _require(self, entity: Entity) -> Entity:
        """The entity as it is now. Raises NoSuchUser, NoSuchGroup, NoSuchRole where it is gone."""
        found = self.entity_by_id(entity.entity_id)
        if found is None or (found.kind, found.account_id) != (entity.kind, entity.account_id):
            raise NO_SUCH_ENTITY[entity.kind](f"{entity.arn} does not exist", entity.name)
        return found

    # Changing and deleting

    def rename(self, entity: User | Group, *, new_name: str | None, new_path: str | None) -> None:
        with self._changing():
            found = self._require(entity)
            name = check_entity_name(entity.kind, new_name or found.name)
            row = (name, check_path(new_path or found.path), found.entity_id)
            try:
                self._connection.execute("UPDATE entity SET name = ?, path = ? WHERE entity_id = ?", row)
            except sqlite3.IntegrityError as error:
                raise _entity_exists(entity, name) from error
            self._call_principal(found.arn, self._require(entity).arn)
        self._forget()

    def tag(self, entity: User | Role, tags: Tags) -> None:
        check_tags(tags)
        with self._changing():
            self._set_tags(entity, with_tags(self._tags(entity), tags))
        self._forget()

    def untag(self, entity: User | Role, keys: Sequence[str]) -> None:
        with self._changing():
            self._set_tags(entity, without_tags(self._tags(entity), keys))
        self._forget()

    def _tags(self, entity: User | Role) -> Tags:
        found = self._require(entity)
        assert not isinstance(found, Group)
        return found.tags

    def _set_tags(self, entity: User | Role, tags: Tags) -> None:
        self._connection.execute(
            "UPDATE entity SET tags = ? WHERE entity_id = ?", (format_tags(tags), entity.entity_id)
        )

    def set_boundary(self, entity: User | Role, arn: str | None) -> None:
        with self._changing():
            self._require(entity)
            if arn is not None:
                self._require_policy(entity.account_id, arn)
            self._connection.execute("UPDATE entity SET boundary_arn = ? WHERE entity_id = ?", (arn, entity.entity_id))
        self._forget()

    def delete_entity(self, entity: Entity) -> None:
        with self._changing():
            found = self._require(entity)
            for first, query in _BEFORE_AN_ENTITY:
                if self._connection.execute(query, (found.entity_id,)).fetchone() is not None:
                    raise EntityInUse(
                        f"{found.kind} {found.name} cannot be deleted yet: {first} first", found.kind, found.name, first
                    )
            self._connection.execute("DELETE FROM entity WHERE entity_id = ?", (found.entity_id,))
            self._call_principal(found.arn, found.entity_id)
        self._forget()

    # Inline policies

    def put_inline_policy(self, entity: Entity, policy: PolicyText) -> None:
        check_policy_name(policy.name)
        parse_policy(policy.text, PolicyKind.IDENTITY)
        most = MAX_INLINE_CHARACTERS[entity.kind]
        with self._changing():
            found = self._require(entity)
            others = [each.text for each in self._inline_policies(found) if each.name != policy.name]
            size = sum(map(size_of, (*others, policy.text)))
            if size > most:
                raise PoliciesTooLong(
                    f"inline policies of a {found.kind} have {most} characters, not {size}", found.kind, found.name
                )
            self._connection.execute(
                "INSERT OR REPLACE INTO inline_policy (entity_id, name, document) VALUES (?, ?, ?)",
                (found.entity_id, policy.name, policy.text),
            )
        self._forget()

    def inline_policies(self, entity: Entity) -> Sequence[PolicyText]:
        with self._reading():
            return self._inline_policies(self._require(entity))

    def _inline_policies(self, entity: Entity) -> list[PolicyText]:
        rows = self._connection.execute(
            "SELECT name, document FROM intact_inline_policy WHERE entity_id = ? ORDER BY name", (entity.entity_id,)
        )
        return [PolicyText(*row) for row in rows]

    def delete_inline_policy(self, entity: Entity, policy_name: str) -> None:
        with self._changing():
            self._require(entity)
            deleted = self._connection.execute(
                "DELETE FROM inline_policy WHERE entity_id = ? AND name = ?", (entity.entity_id, policy_name)
            ).rowcount
            if not deleted:
                raise NoSuchPolicy(
                    f"{entity.kind} {entity.name} has no policy {policy_name[:80]!r}", entity.kind, policy_name
                )
        self._forget()


def _entity_exists(entity: Entity, name: str) -> EntityExists:
    return EntityExists(f"{entity.kind} {name} exists already in account {entity.account_id}", entity.kind, name)
