"""Roles in the identity database: trust policies, sessions, last use. A part of `SQLiteIdentityStore`."""

from __future__ import annotations

from iam.entities import MAX_TRUST_CHARACTERS, Role, check_session_seconds
from iam.policy.document import PolicyKind
from iam.policy.errors import Fault, PolicyError
from iam.policy.parse import parse_policy
from iam.policy.principals import principal_set
from iam.store.entities import SQLiteEntities, size_of
from iam.store.interface import NoSuchAccount, NoSuchEntity, TrustPolicyTooLong
from iam.trust import replace_principals, trusted_principals

USE_PRECISION_US = 15 * 60 * 1_000_000
"""A further use of a role is written down if it is this much later: a write waits for the disk, and empties the caches
of credentials in every process. AWS tells of uses with a delay of up to four hours."""


_MAY_TRUST = "SELECT role_id, trust_policy FROM role WHERE instr(trust_policy, ?) OR instr(trust_policy, '\\')"
"""Roles that can name an ARN: a text that has it, or an escape of JSON, in which it can hide. Their seals are proven
when they are changed."""


class SQLiteRoles(SQLiteEntities):
    """See `IdentityStore` for what the methods promise."""

    def create_role(self, role: Role) -> None:
        with self._changing():
            self._insert_role(role)

    def _insert_role(self, role: Role) -> None:
        """In a transaction of the caller's."""
        row = (role.role_id, role.trust_policy, role.description, check_session_seconds(role.max_session_seconds))
        _check_trust_policy(role.trust_policy, role.name)
        self._require_principals(role.trust_policy)
        self._insert(role, role.tags, role.boundary_arn)
        self._connection.execute(
            "INSERT INTO role (role_id, trust_policy, description, max_session_seconds) VALUES (?, ?, ?, ?)", row
        )

    def update_role(self, role: Role, *, description: str | None, max_session_seconds: int | None) -> None:
        if max_session_seconds is not None:
            check_session_seconds(max_session_seconds)
        with self._changing():
            self._require(role)
            self._connection.execute(
                "UPDATE role SET description = coalesce(?, description),"
                " max_session_seconds = coalesce(?, max_session_seconds) WHERE role_id = ?",
                (description, max_session_seconds, role.role_id),
            )
        self._forget()

    def set_trust_policy(self, role: Role, text: str) -> None:
        _check_trust_policy(text, role.name)
        with self._changing():
            self._require(role)
            self._require_principals(text)
            self._connection.execute("UPDATE role SET trust_policy = ? WHERE role_id = ?", (text, role.role_id))
        self._forget()

    def note_role_use(self, role: Role, used_us: int, region: str) -> None:
        with self._reading():
            known = self._connection.execute(
                "SELECT used_us, used_region FROM intact_role WHERE role_id = ?", (role.role_id,)
            ).fetchone()
        if known in {None, (None, None)}:
            is_news = known is not None
        else:
            is_news = used_us > known[0] + (USE_PRECISION_US if known[1] == region else 0)
        if is_news:
            with self._changing():
                self._connection.execute(
                    "UPDATE role SET used_us = ?, used_region = ? WHERE role_id = ?", (used_us, region, role.role_id)
                )

    def _require_principals(self, trust_policy: str) -> None:
        """Raises PolicyError where the policy trusts somebody who does not exist."""
        for name in trusted_principals(trust_policy):
            if not self.principal_exists(name):
                raise PolicyError(PolicyKind.TRUST, Fault.INVALID_PRINCIPAL, f'"AWS":"{name}"')

    def principal_exists(self, name: str) -> bool:
        named = principal_set([name])
        if named.unique_ids:
            return self.entity_by_id(name) is not None
        try:
            for account_id in named.accounts:
                self.account(account_id)
            for arn in named.arns:
                return self._has_arn(arn)
        except (NoSuchAccount, NoSuchEntity):
            return False
        return True

    def _has_arn(self, arn: str) -> bool:
        """Of a user, a role or a session. Raises NoSuchAccount, NoSuchEntity."""
        *_, account_id, resource = arn.split(":", 5)
        kind, _, path_and_name = resource.partition("/")
        name = path_and_name.rpartition("/")[2]
        match kind:
            case "user":
                return self.user(account_id, name).arn == arn
            case "role":
                return self.role(account_id, name).arn == arn
            case "assumed-role":
                self.role(account_id, path_and_name.partition("/")[0])
            case _:
                self.account(account_id)
        return True

    def _call_principal(self, arn: str, new_name: str) -> None:
        for role_id, text in self._connection.execute(_MAY_TRUST, (arn,)).fetchall():
            changed = replace_principals(text, {arn: new_name})
            if changed != text:
                self._connection.execute("UPDATE role SET trust_policy = ? WHERE role_id = ?", (changed, role_id))


def _check_trust_policy(text: str, name: str) -> None:
    """Raises PolicyError, and TrustPolicyTooLong."""
    parse_policy(text, PolicyKind.TRUST)
    if size_of(text) > MAX_TRUST_CHARACTERS:
        raise TrustPolicyTooLong(f"a trust policy has at most {MAX_TRUST_CHARACTERS} characters", name)
