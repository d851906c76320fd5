"""Identities in one SQLite file, shared by all processes of a node.

A connection belongs to the thread that opened it. Opened credentials are cached until the database changes, by
whomever: SQLite's data_version tells of other connections' commits, and this one's own empty the cache themselves.
Asking it costs about 3 µs, a cached look-up with it about 4 µs.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence, Set
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from database.own_schema import SchemaCheck
from database.row_seals import damaged_rows, read_by_seals, seal_as_they_are, write_with_seals
from iam.credentials import (
    AccessKey,
    AccessKeyUse,
    AccountAccess,
    Credential,
    check_access_key_id,
    is_access_key_id,
)
from iam.entities import Group, Role, User
from iam.principals import NO_POLICIES, IdentityPolicies, PolicyText, Principal, PrincipalKind, root_principal
from iam.secrets import Secret
from iam.store.database import TranslatedFailures, open_database, own_schema
from iam.store.interface import (
    AccessKeyExists,
    DamagedRow,
    IdentitySealer,
    NoSuchAccessKey,
    NoSuchManagedPolicy,
    NoSuchUser,
    StoreUnavailable,
    TooManyAccessKeys,
)
from iam.store.oidc_providers import SQLiteProviders
from iam.store.organizations import SQLiteOrganizations
from iam.store.policies import SQLitePolicies
from iam.store.seals import SEALED, new_seals

CACHE_CAPACITY = 10_000
"""Credentials kept open, about 1 KiB each, and what sessions ask for as often. Only what exists is cached, so that no
caller can fill it."""

K = TypeVar("K")
V = TypeVar("V")


_log = logging.getLogger(__name__)


def log_damage(what: str) -> None:
    _log.error("integrity: %s", what)


class SQLiteIdentityStore(SQLiteOrganizations, SQLitePolicies, SQLiteProviders):
    """`IdentityStore` on SQLite; see there for what its methods promise."""

    def __init__(self, path: Path, sealer: IdentitySealer, on_damage: Callable[[str], None] = log_damage) -> None:
        """Open or create the database at `path`. `on_damage` is told of rows whose seals are wrong.

        Raises StoreUnavailable.
        """
        self._path = path
        self._seals = new_seals()
        if sealer.row_key is None:
            self._seals.trust()
        else:
            self._seals.open(sealer.row_key)
        self._translated = TranslatedFailures("the identity database", self._seals, on_damage)
        self._on_damage = on_damage
        self._schema = SchemaCheck(own_schema())
        self._connection = open_database(path)
        with self._translated:
            read_by_seals(self._connection, self._seals)
            write_with_seals(self._connection, self._seals)
        self._sealer = sealer
        self._cache: dict[str, Credential] = {}
        self._access_cache: dict[str, AccountAccess] = {}
        self._principals: dict[str, tuple[User | Role, IdentityPolicies]] = {}
        self._texts: dict[tuple[str, str], PolicyText] = {}
        self._cached_version = -1

    def __repr__(self) -> str:
        return "SQLiteIdentityStore()"

    def create_access_key(self, credential: Credential, created_us: int, *, at_most: int | None = None) -> None:
        principal, access_key_id = credential.principal, check_access_key_id(credential.access_key_id)
        sealed = self._seal(credential)
        with self._changing():
            user_id = self._keeper(principal)
            if at_most is not None and len(self._keys_of(principal.account_id, user_id)) >= at_most:
                raise TooManyAccessKeys(f"{principal.arn} has {at_most} access keys already")
            row = (access_key_id, principal.account_id, sealed, int(credential.active), created_us, user_id)
            try:
                self._connection.execute(
                    "INSERT INTO access_key"
                    " (access_key_id, account_id, sealed_secret, is_active, created_us, user_id)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    row,
                )
            except sqlite3.IntegrityError as error:
                raise AccessKeyExists(f"access key {access_key_id} exists already", access_key_id) from error
        self._forget()

    def _seal(self, credential: Credential) -> bytes:
        return self._sealer.seal(_purpose(credential.access_key_id), credential.secret.reveal())

    def _keeper(self, principal: Principal) -> str | None:
        """The id of the user whose access keys the store may keep; None for a root user.

        Raises NoSuchAccount, NoSuchUser, ValueError.
        """
        if principal.kind not in {PrincipalKind.ROOT, PrincipalKind.USER}:
            raise ValueError("this store keeps the access keys of root users and users only")
        self.account(principal.account_id)
        return None if principal.kind is PrincipalKind.ROOT else self._user_id_of(principal)

    def put_configured_access_key(self, credential: Credential, created_us: int) -> bool:
        access_key_id = check_access_key_id(credential.access_key_id)
        with self._changing():
            user_id = self._keeper(credential.principal)
            row = self._connection.execute(
                "SELECT account_id, user_id, sealed_secret, is_active, is_configured FROM intact_access_key"
                " WHERE access_key_id = ?",
                (access_key_id,),
            ).fetchone()
            if row is None:
                self._connection.execute(
                    "INSERT INTO access_key"
                    " (access_key_id, account_id, sealed_secret, is_active, created_us, user_id, is_configured)"
                    " VALUES (?, ?, ?, 1, ?, ?, 1)",
                    (access_key_id, credential.principal.account_id, self._seal(credential), created_us, user_id),
                )
            else:
                account_id, owner_id, sealed, is_active, is_configured = row
                has_secret = self._open(access_key_id, sealed) == credential.secret
                is_owned = (account_id, owner_id) == (credential.principal.account_id, user_id)
                if not is_owned or not (is_configured or has_secret):
                    raise AccessKeyExists(f"access key {access_key_id} exists already", access_key_id)
                if has_secret and is_active and is_configured:
                    return False
                self._connection.execute(
                    "UPDATE access_key SET sealed_secret = ?, is_active = 1, is_configured = 1 WHERE access_key_id = ?",
                    (sealed if has_secret else self._seal(credential), access_key_id),
                )
        self._forget()
        return True

    def disable_configured_access_keys_except(self, access_key_ids: Set[str]) -> Sequence[str]:
        with self._changing():
            rows = self._connection.execute(
                "SELECT access_key_id FROM access_key WHERE is_configured = 1 AND is_active = 1 ORDER BY access_key_id"
            )
            disabled = [each for (each,) in rows.fetchall() if each not in access_key_ids and self._disable(each)]
        self._forget()
        return disabled

    def _disable(self, access_key_id: str) -> bool:
        """False for a row whose seal is wrong, which lets nobody in as it is: it keeps no gateway from its start."""
        try:
            with self._translated:
                self._connection.execute(
                    "UPDATE access_key SET is_active = 0 WHERE access_key_id = ?", (access_key_id,)
                )
        except DamagedRow:
            return False
        return True

    def _user_id_of(self, principal: Principal) -> str:
        """The id of the user that is this very principal: of the same account, path and name. Raises NoSuchUser."""
        user = self._user_by_id(principal.principal_id)
        if user is None or (user.account_id, user.arn) != (principal.account_id, principal.arn):
            raise NoSuchUser("the store knows no such user", principal.arn.rpartition("/")[2])
        return principal.principal_id

    def _user_by_id(self, user_id: str) -> User | None:
        found = self.entity_by_id(user_id)
        return found if isinstance(found, User) else None

    def access_keys(self, account_id: str) -> Sequence[AccessKey]:
        with self._reading():
            self.account(account_id)
            return self._access_keys("k.account_id = ?", account_id)

    def access_keys_of(self, account_id: str, name: str | None) -> Sequence[AccessKey]:
        with self._reading():
            self.account(account_id)
            return self._keys_of(account_id, None if name is None else self.user(account_id, name).user_id)

    def _keys_of(self, account_id: str, user_id: str | None) -> Sequence[AccessKey]:
        return self._access_keys("k.account_id = ? AND k.user_id IS ?", account_id, user_id)

    def access_key(self, access_key_id: str) -> AccessKey:
        with self._reading():
            found = self._access_keys("k.access_key_id = ?", access_key_id) if access_key_id.isascii() else []
        if not found:
            raise _no_such_access_key(access_key_id)
        return found[0]

    def _access_keys(self, condition: str, *parameters: str | None) -> list[AccessKey]:
        rows = self._connection.execute(
            "SELECT k.access_key_id, k.account_id, k.is_active, k.created_us,"  # noqa: S608  # the conditions are those above
            " (SELECT e.name FROM intact_entity AS e WHERE e.entity_id = k.user_id)"
            f" FROM intact_access_key AS k WHERE {condition} ORDER BY k.created_us, k.access_key_id",
            parameters,
        )
        return [AccessKey(key, account, bool(active), created, user) for key, account, active, created, user in rows]

    def access_key_use(self, access_key_id: str) -> AccessKeyUse | None:
        with self._reading():
            row = self._connection.execute(
                "SELECT access_key_id, used_us, service, region FROM access_key_use WHERE access_key_id = ?",
                (access_key_id,),
            ).fetchone()
        return None if row is None else AccessKeyUse(*row)

    def note_access_key_uses(self, uses: Sequence[AccessKeyUse]) -> None:
        with self._changing():
            self._connection.executemany(
                "INSERT INTO access_key_use SELECT access_key_id, ?, ?, ? FROM access_key WHERE access_key_id = ?"
                " ON CONFLICT (access_key_id) DO UPDATE SET"
                " used_us = excluded.used_us, service = excluded.service, region = excluded.region"
                " WHERE excluded.used_us > used_us",
                [(each.used_us, each.service, each.region, each.access_key_id) for each in uses],
            )

    def find_credential(self, access_key_id: str) -> Credential | None:
        with self._reading():
            self._check_caches()
            credential = self._cache.get(access_key_id)
            return credential if credential is not None else self._load(access_key_id)

    def _check_caches(self) -> None:
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._cached_version:
            self._forget()
            self._cached_version = version

    def _load(self, access_key_id: str) -> Credential | None:
        if not is_access_key_id(access_key_id):  # whatever a client sent, bytes that are no text included
            return None
        # The version was read before the row: a commit in between shows as another version at the next call, so that
        # a row can be newer than the cache's version but never older.
        row = self._connection.execute(
            "SELECT k.account_id, k.sealed_secret, k.is_active AND a.is_active, k.user_id"
            " FROM intact_access_key AS k JOIN intact_account AS a USING (account_id) WHERE k.access_key_id = ?",
            (access_key_id,),
        ).fetchone()
        if row is None:
            return None
        account_id, sealed, is_active, user_id = row
        principal, policies = root_principal(account_id), NO_POLICIES
        if user_id is not None:
            user = self._user_by_id(user_id)
            if user is None:  # it went, with its keys, since the key was read
                return None
            principal, policies = user.principal, self._policies_of(user)
        credential = Credential(access_key_id, self._open(access_key_id, sealed), principal, bool(is_active), policies)
        _bounded(self._cache)[access_key_id] = credential
        return credential

    def find_principal(self, entity_id: str) -> tuple[User | Role, IdentityPolicies] | None:
        with self._reading():
            self._check_caches()
            found = self._principals.get(entity_id)
            if found is None:
                entity = self.entity_by_id(entity_id)
                if entity is None or isinstance(entity, Group):
                    return None
                found = _bounded(self._principals)[entity_id] = entity, self._policies_of(entity)
            return found

    def find_policy(self, account_id: str, arn: str) -> PolicyText | None:
        with self._reading():
            self._check_caches()
            found = self._texts.get((account_id, arn))
            if found is None:
                try:
                    self._policy(account_id, arn)
                except NoSuchManagedPolicy:
                    return None
                found = _bounded(self._texts)[account_id, arn] = self._default_text(account_id, arn)
            return found

    def _open(self, access_key_id: str, sealed: bytes) -> Secret:
        try:
            return Secret(self._sealer.open(_purpose(access_key_id), sealed))
        except Exception as error:
            raise StoreUnavailable(f"the sealed secret of access key {access_key_id} does not open") from error

    def set_access_key_active(self, access_key_id: str, is_active: bool) -> None:
        self._change_access_key(
            "UPDATE access_key SET is_active = ?2 WHERE access_key_id = ?1", access_key_id, is_active
        )

    def delete_access_key(self, access_key_id: str) -> None:
        self._change_access_key("DELETE FROM access_key WHERE access_key_id = ?1", access_key_id)

    def _change_access_key(self, statement: str, access_key_id: str, *further: int) -> None:
        with self._changing():
            changed = self._connection.execute(statement, (access_key_id, *further)).rowcount
        self._forget()
        if not changed:
            raise _no_such_access_key(access_key_id)

    def _insert_role(self, role: Role) -> None:
        SQLitePolicies._insert_role(self, role)  # not the one that accounts ask for

    def _forget(self) -> None:
        for cache in (self._cache, self._access_cache, self._principals, self._texts):
            cache.clear()

    def seal_rows(self, *, if_unsealed: bool) -> int:
        """Seal every row, or every one that has no seal, whatever it says; how many. For a database of a release before
        there were seals, or where the operator says that it is right. Raises SealsNotOpen."""
        with self._changing():
            count = seal_as_they_are(self._connection, SEALED, if_unsealed=if_unsealed)
        self._forget()
        return count

    def prove_rows(self) -> list[str]:
        """The table and key of every row whose seal is wrong, up to some of each table. Raises SealsNotOpen."""
        with self._reading(), closing(sqlite3.connect(self._path)) as connection:
            return damaged_rows(connection, self._seals)

    def close(self) -> None:
        self._forget()
        self._connection.close()


def _bounded(cache: dict[K, V]) -> dict[K, V]:
    """The cache with room for one more."""
    if len(cache) >= CACHE_CAPACITY:
        cache.clear()
    return cache


def _purpose(access_key_id: str) -> bytes:
    """What a sealed secret is bound to: it opens in its own row and nowhere else."""
    return b"sealgate/v1/iam/access-key/" + access_key_id.encode()


def _no_such_access_key(access_key_id: str) -> NoSuchAccessKey:
    return NoSuchAccessKey(f"there is no access key {access_key_id[:128]!r}", access_key_id)
