"""Managed policies and permissions boundaries in the identity database: a part of `SQLiteIdentityStore`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from iam.entities import MAX_ATTACHMENTS, Entity, Group, Role, User, check_path, check_policy_name
from iam.managed_policies import (
    AWS_MANAGED,
    MAX_POLICIES,
    MAX_POLICY_CHARACTERS,
    MAX_VERSIONS,
    ManagedPolicy,
    PolicyVersion,
    policy_name_of,
)
from iam.policy.document import PolicyKind
from iam.policy.parse import parse_policy
from iam.principals import IdentityPolicies, PolicyText
from iam.store.entities import format_tags, parse_tags, size_of
from iam.store.groups import SQLiteGroups
from iam.store.interface import (
    NoSuchManagedPolicy,
    NoSuchPolicyVersion,
    PolicyExists,
    PolicyInUse,
    PolicyTooLong,
    PolicyUse,
    StoreUnavailable,
    TooManyAttachments,
    TooManyPolicies,
    TooManyVersions,
)
from iam.store.roles import SQLiteRoles
from iam.tags import Tags, check_tags, regard_case, with_tags, without_tags

_POLICIES = (
    "SELECT policy_id, account_id, name, path, description, created_us, updated_us, default_version, tags"
    " FROM intact_policy"
)
_INSERT = (
    "INSERT INTO policy (policy_id, account_id, name, path, description, created_us, updated_us, default_version,"
    " last_version, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_VERSION = "INSERT INTO policy_version (policy_id, number, document, created_us) VALUES (?, ?, ?, ?)"
_ATTACHED = "e.account_id = ? AND e.entity_id IN (SELECT entity_id FROM intact_attachment WHERE policy_arn = ?)"
_BOUNDED = "e.account_id = ? AND e.boundary_arn = ?"


class SQLitePolicies(SQLiteGroups, SQLiteRoles):
    """See `IdentityStore` for what the methods promise. Every change empties the cache of credentials."""

    def create_policy(self, policy: ManagedPolicy, document: str) -> None:
        check_policy_name(policy.name)
        check_path(policy.path)
        _check_document(document, policy.name)
        row = (
            policy.policy_id,
            policy.account_id,
            policy.name,
            policy.path,
            policy.description,
            policy.created_us,
            policy.created_us,
            1,
            1,
            format_tags(policy.tags, regard_case),
        )
        with self._changing():
            self.account(policy.account_id)
            (count,) = self._connection.execute(
                "SELECT count(*) FROM policy WHERE account_id = ?", (policy.account_id,)
            ).fetchone()
            if count >= MAX_POLICIES:
                raise TooManyPolicies(f"an account has at most {MAX_POLICIES} policies")
            try:
                self._connection.execute(_INSERT, row)
            except sqlite3.IntegrityError as error:
                raise PolicyExists(f"policy {policy.name} exists already", policy.name) from error
            self._connection.execute(_INSERT_VERSION, (policy.policy_id, 1, document, policy.created_us))

    def policy(self, account_id: str, arn: str) -> ManagedPolicy:
        with self._reading():
            return self._counted(account_id, self._policy(account_id, arn))

    def policies(self, account_id: str) -> Sequence[ManagedPolicy]:
        with self._reading():
            self.account(account_id)
            rows = self._connection.execute(f"{_POLICIES} WHERE account_id = ? ORDER BY name", (account_id,))
            found = [_policy_of(row) for row in rows] + [policy for policy, _ in AWS_MANAGED.values()]
            return [self._counted(account_id, policy) for policy in found]

    def _policy(self, account_id: str, arn: str) -> ManagedPolicy:
        """Raises NoSuchManagedPolicy."""
        if arn in AWS_MANAGED:
            return AWS_MANAGED[arn][0]
        try:
            name = policy_name_of(arn)
        except ValueError as error:
            raise NoSuchManagedPolicy("there is no such policy", arn) from error
        row = self._connection.execute(f"{_POLICIES} WHERE account_id = ? AND name = ?", (account_id, name)).fetchone()
        if row is None or _policy_of(row).arn != arn:
            raise NoSuchManagedPolicy(f"account {account_id} has no policy {arn}", arn)
        return _policy_of(row)

    def _counted(self, account_id: str, policy: ManagedPolicy) -> ManagedPolicy:
        (attachments,) = self._connection.execute(
            "SELECT count(*) FROM attachment JOIN entity USING (entity_id) WHERE policy_arn = ? AND account_id = ?",
            (policy.arn, account_id),
        ).fetchone()
        (boundary_uses,) = self._connection.execute(
            "SELECT count(*) FROM entity WHERE boundary_arn = ? AND account_id = ?", (policy.arn, account_id)
        ).fetchone()
        return replace(policy, attachments=attachments, boundary_uses=boundary_uses)

    def _own_policy(self, account_id: str, arn: str) -> ManagedPolicy:
        """One that can be changed. Raises NoSuchManagedPolicy, also for AWS's own."""
        policy = self._policy(account_id, arn)
        if policy.account_id != account_id:
            raise NoSuchManagedPolicy("AWS's own policies are not the account's to change", arn)
        return policy

    def policy_versions(self, account_id: str, arn: str) -> Sequence[PolicyVersion]:
        with self._reading():
            policy = self._policy(account_id, arn)
            if arn in AWS_MANAGED:
                return [AWS_MANAGED[arn][1]]
            return self._versions(policy)

    def _versions(self, policy: ManagedPolicy) -> list[PolicyVersion]:
        rows = self._connection.execute(
            "SELECT number, document, created_us FROM intact_policy_version WHERE policy_id = ? ORDER BY number DESC",
            (policy.policy_id,),
        )
        return [
            PolicyVersion(number, document, number == policy.default_version, created_us)
            for number, document, created_us in rows
        ]

    def create_policy_version(
        self, account_id: str, arn: str, document: str, *, is_default: bool, created_us: int
    ) -> PolicyVersion:
        with self._changing():
            policy = self._own_policy(account_id, arn)
            _check_document(document, policy.name)
            if len(self._versions(policy)) >= MAX_VERSIONS:
                raise TooManyVersions(f"policy {policy.name} has {MAX_VERSIONS} versions already", policy.name)
            (number,) = self._connection.execute(
                "UPDATE policy SET last_version = last_version + 1, updated_us = ? WHERE policy_id = ?"
                " RETURNING last_version",
                (created_us, policy.policy_id),
            ).fetchone()
            self._connection.execute(_INSERT_VERSION, (policy.policy_id, number, document, created_us))
            if is_default:
                self._set_default(policy, number, created_us)
        self._forget()
        return PolicyVersion(number, document, is_default, created_us)

    def set_default_policy_version(self, account_id: str, arn: str, number: int, *, now_us: int) -> None:
        with self._changing():
            policy = self._own_policy(account_id, arn)
            self._require_version(policy, number)
            self._set_default(policy, number, now_us)
        self._forget()

    def _set_default(self, policy: ManagedPolicy, number: int, now_us: int) -> None:
        self._connection.execute(
            "UPDATE policy SET default_version = ?, updated_us = ? WHERE policy_id = ?",
            (number, now_us, policy.policy_id),
        )

    def _require_version(self, policy: ManagedPolicy, number: int) -> None:
        if all(version.number != number for version in self._versions(policy)):
            raise NoSuchPolicyVersion(
                f"policy {policy.name} has no version v{number}", f"{policy.arn} version v{number}"
            )

    def delete_policy_version(self, account_id: str, arn: str, number: int) -> None:
        with self._changing():
            policy = self._own_policy(account_id, arn)
            self._require_version(policy, number)
            if number == policy.default_version:
                raise PolicyInUse(f"v{number} is the default version of policy {policy.name}", PolicyUse.DEFAULT)
            self._connection.execute(
                "DELETE FROM policy_version WHERE policy_id = ? AND number = ?", (policy.policy_id, number)
            )

    def delete_policy(self, account_id: str, arn: str) -> None:
        with self._changing():
            policy = self._counted(account_id, self._own_policy(account_id, arn))
            if policy.attachments or policy.boundary_uses:
                raise PolicyInUse(f"policy {policy.name} is still attached", PolicyUse.ATTACHED)
            if len(self._versions(policy)) > 1:
                raise PolicyInUse(f"policy {policy.name} still has further versions", PolicyUse.VERSIONS)
            self._connection.execute("DELETE FROM policy WHERE policy_id = ?", (policy.policy_id,))
        self._forget()

    def tag_policy(self, account_id: str, arn: str, tags: Tags) -> None:
        check_tags(tags, regard_case)
        with self._changing():
            policy = self._own_policy(account_id, arn)
            self._set_policy_tags(policy, with_tags(policy.tags, tags, regard_case))

    def untag_policy(self, account_id: str, arn: str, keys: Sequence[str]) -> None:
        with self._changing():
            policy = self._own_policy(account_id, arn)
            self._set_policy_tags(policy, without_tags(policy.tags, keys, regard_case))

    def _set_policy_tags(self, policy: ManagedPolicy, tags: Tags) -> None:
        self._connection.execute(
            "UPDATE policy SET tags = ? WHERE policy_id = ?", (format_tags(tags, regard_case), policy.policy_id)
        )

    def attach_policy(self, entity: Entity, arn: str) -> None:
        with self._changing():
            found = self._require(entity)
            self._policy(found.account_id, arn)
            attached = self._attached(found)
            if arn not in attached and len(attached) >= MAX_ATTACHMENTS:
                raise TooManyAttachments(
                    f"{found.kind} {found.name} has {MAX_ATTACHMENTS} policies attached already", found.kind, found.name
                )
            self._connection.execute(
                "INSERT OR IGNORE INTO attachment (entity_id, policy_arn) VALUES (?, ?)", (found.entity_id, arn)
            )
        self._forget()

    def detach_policy(self, entity: Entity, arn: str) -> None:
        with self._changing():
            found = self._require(entity)
            detached = self._connection.execute(
                "DELETE FROM attachment WHERE entity_id = ? AND policy_arn = ?", (found.entity_id, arn)
            ).rowcount
            if not detached:
                raise NoSuchManagedPolicy(f"{found.kind} {found.name} has no policy {arn[:80]!r} attached", arn)
        self._forget()

    def attached_policies(self, entity: Entity) -> Sequence[ManagedPolicy]:
        with self._reading():
            return [self._policy(entity.account_id, arn) for arn in self._attached(self._require(entity))]

    def _attached(self, entity: Entity) -> list[str]:
        rows = self._connection.execute(
            "SELECT policy_arn FROM intact_attachment WHERE entity_id = ? ORDER BY policy_arn", (entity.entity_id,)
        )
        return [arn for (arn,) in rows]

    def entities_of_policy(self, account_id: str, arn: str, *, as_boundary: bool) -> Sequence[Entity]:
        with self._reading():
            self._policy(account_id, arn)
            return self._entities(_BOUNDED if as_boundary else _ATTACHED, account_id, arn)

    def _require_policy(self, account_id: str, arn: str) -> None:
        self._policy(account_id, arn)

    def policies_in_force(self, entity: User | Role) -> IdentityPolicies:
        with self._reading():
            found = self._require(entity)
            assert not isinstance(found, Group)
            return self._policies_of(found)

    def _policies_of(self, entity: User | Role) -> IdentityPolicies:
        policies = self._own_policies(entity)
        if isinstance(entity, User):
            for group in self._groups_of(entity):
                policies += self._own_policies(group)
        boundary = entity.boundary_arn
        return IdentityPolicies(
            tuple({policy.name: policy for policy in policies}.values()),  # one that is attached twice counts once
            None if boundary is None else self._default_text(entity.account_id, boundary),
        )

    def _own_policies(self, entity: Entity) -> list[PolicyText]:
        """Its inline policies and those that are attached to it, with whose they are in their names."""
        attached = [self._default_text(entity.account_id, arn) for arn in self._attached(entity)]
        whose = f"{entity.kind} {entity.name} policy"
        inline = (PolicyText(f"{whose} {each.name}", each.text) for each in self._inline_policies(entity))
        return [*inline, *attached]

    def _default_text(self, account_id: str, arn: str) -> PolicyText:
        """The text in force, named by ARN and version: an inline policy may have the same name.

        A policy that is attached, or somebody's boundary, cannot be deleted. Where it is missing all the same, nobody
        is let in without what it may deny: StoreUnavailable.
        """
        if arn in AWS_MANAGED:
            version = AWS_MANAGED[arn][1]
            return PolicyText(f"{arn} {version.version_id}", version.document)
        try:
            policy = self._policy(account_id, arn)
        except NoSuchManagedPolicy as error:
            raise StoreUnavailable(f"the policy {arn} of an entity is missing") from error
        row = self._connection.execute(
            "SELECT document FROM intact_policy_version WHERE policy_id = ? AND number = ?",
            (policy.policy_id, policy.default_version),
        ).fetchone()
        if row is None:
            raise StoreUnavailable(f"version v{policy.default_version} of the policy {arn} is missing")
        return PolicyText(f"{arn} v{policy.default_version}", row[0])


def _policy_of(row: tuple[str, str, str, str, str, int, int, int, str]) -> ManagedPolicy:
    policy_id, account_id, name, path, description, created_us, updated_us, default_version, tags = row
    return ManagedPolicy(
        policy_id,
        account_id,
        name,
        path,
        description,
        created_us,
        updated_us,
        default_version,
        parse_tags(tags),
    )


def _check_document(document: str, name: str) -> None:
    """Raises PolicyError, and PoliciesTooLong."""
    parse_policy(document, PolicyKind.IDENTITY)
    if size_of(document) > MAX_POLICY_CHARACTERS:
        raise PolicyTooLong(f"a managed policy has at most {MAX_POLICY_CHARACTERS} characters", name)
