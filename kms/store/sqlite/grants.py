"""Grants."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from kms.api.types import GrantConstraints
from kms.store.interface import GrantNotFound, TooManyGrants
from kms.store.records import StoredGrant
from kms.store.sqlite.aliases import require_key
from kms.store.sqlite.database import StorePart, translated

_operations = msgspec.json.Decoder(tuple[str, ...])
_constraints = msgspec.json.Decoder(GrantConstraints)

_COLUMNS = (
    "grant_id, key_id, region, grantee_principal, retiring_principal, issuing_account_id, name, operations,"
    " constraints, created_us, token_key"
)
_SELECT = f"SELECT {_COLUMNS}, sequence FROM intact_grant"  # noqa: S608 - constant


class SQLiteGrants(StorePart):
    """The part of `KeyStore` about grants."""

    @translated
    def insert_grant(self, grant: StoredGrant, limit: int) -> StoredGrant:
        with self._database.transaction() as connection:
            require_key(connection, grant.key_id, grant.region)
            for present in _same_name(connection, grant):
                if grant.is_retry_of(present):
                    return present
            # Without a look at their seals: there may be many, and nothing rests on this but a quota.
            (count,) = connection.execute(
                "SELECT count(*) FROM kms_grant WHERE key_id = ? AND region = ?", (grant.key_id, grant.region)
            ).fetchone()
            if count >= limit:
                raise TooManyGrants(grant.key_id)
            _insert(connection, grant)
        return grant

    @translated
    def grant(self, grant_id: str) -> StoredGrant | None:
        row = self._database.one(f"{_SELECT} WHERE grant_id = ?", (grant_id,))
        return _grant(row) if row else None

    @translated
    def grants_to(self, key_id: str, region: str, grantees: Sequence[str]) -> list[StoredGrant]:
        rows = self._database.all(
            f"{_SELECT} WHERE key_id = :key_id AND region = :region"  # noqa: S608 - constant
            " AND grantee_principal IN (SELECT value FROM json_each(:grantees)) ORDER BY sequence",
            {"key_id": key_id, "region": region, "grantees": msgspec.json.encode(grantees).decode()},
        )
        return [_grant(row) for row in rows]

    @translated
    def grants(
        self, key_id: str, region: str, *, grant_id: str | None, grantee: str | None, after: int, limit: int
    ) -> list[StoredGrant]:
        rows = self._database.all(
            f"{_SELECT} WHERE key_id = :key_id AND region = :region AND sequence > :after"
            " AND (:grant_id IS NULL OR grant_id = :grant_id)"
            " AND (:grantee IS NULL OR grantee_principal = :grantee) ORDER BY sequence LIMIT :limit",
            {
                "key_id": key_id,
                "region": region,
                "grant_id": grant_id,
                "grantee": grantee,
                "after": after,
                "limit": limit,
            },
        )
        return [_grant(row) for row in rows]

    @translated
    def retirable_grants(self, region: str, retiring: str, *, after: int, limit: int) -> list[StoredGrant]:
        rows = self._database.all(
            f"{_SELECT} WHERE region = :region AND retiring_principal = :retiring AND sequence > :after"
            " ORDER BY sequence LIMIT :limit",
            {"region": region, "retiring": retiring, "after": after, "limit": limit},
        )
        return [_grant(row) for row in rows]

    @translated
    def delete_grant(self, grant_id: str, key_id: str, region: str) -> None:
        with self._database.transaction() as connection:
            deleted = connection.execute(
                "DELETE FROM kms_grant WHERE grant_id = ? AND key_id = ? AND region = ?", (grant_id, key_id, region)
            )
            if deleted.rowcount != 1:
                raise GrantNotFound(grant_id)


def _same_name(connection: sqlite3.Connection, grant: StoredGrant) -> list[StoredGrant]:
    rows = connection.execute(
        f"{_SELECT} WHERE key_id = ? AND region = ? AND grantee_principal = ? AND name = ?",
        (grant.key_id, grant.region, grant.grantee_principal, grant.name),
    )
    return [_grant(row) for row in rows]


def _insert(connection: sqlite3.Connection, grant: StoredGrant) -> None:
    connection.execute(
        f"INSERT INTO kms_grant ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constant
        (
            grant.grant_id,
            grant.key_id,
            grant.region,
            grant.grantee_principal,
            grant.retiring_principal,
            grant.issuing_account_id,
            grant.name,
            msgspec.json.encode(grant.operations).decode(),
            msgspec.json.encode(grant.constraints).decode(),
            grant.created_us,
            grant.token_key,
        ),
    )


def _grant(row: tuple[Any, ...]) -> StoredGrant:
    grant_id, key_id, region, grantee, retiring, issuing_account_id, name, operations, constraints = row[:9]
    created_us, token_key, sequence = row[9:]
    return StoredGrant(
        grant_id,
        key_id,
        region,
        grantee,
        retiring,
        issuing_account_id,
        name,
        _operations.decode(operations),
        _constraints.decode(constraints),
        created_us,
        token_key,
        sequence,
    )
