"""The statements that decided a request, as they are now: found by the names that decisions give them.

Read where they are kept: identities and keys in databases that need no secret, bucket policies in the index, whose rows
the service's own keys open. What cannot be found is told with the reason.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.config import Settings
from gateway.identities import identities_without_secrets, opened_index
from gateway.key_stores import open_keys
from gateway.operations.sealed_rows import SealedRows
from gateway.sealing.errors import SealingError
from gateway.storage.errors import NoSuchBucket, StorageError
from iam.entities import Group, Role, User
from iam.managed_policies import AWS_MANAGED
from iam.policy.parse import text_digest
from iam.store.interface import IdentityStoreError, NoSuchEntity, NoSuchManagedPolicy
from iam.store.sqlite import SQLiteIdentityStore
from kms.api.errors import KMSError
from kms.hsm.interface import RootError
from kms.service.key_policies import policy_text
from kms.store.interface import StoreError
from kms.store.records import StoredKey

_STATEMENT = r', statement (?P<label>\d+|".*?")(?=; |$)'
_NAMED = re.compile(
    r"(?P<policy>"
    r"(?P<kind>user|group|role) (?P<entity>\S+) policy (?P<name>\S+)"
    r"|(?P<arn>arn:aws:iam::\S+) v(?P<version>\d+)"
    r"|(?P<bucket>bucket policy)(?:, which [^;]*?)?"
    r"|(?P<key>key policy)"
    r"|(?P<session>session policy)"
    r"|trust policy of arn:aws:iam::(?P<trusting>\d{12}):role/(?:\S+/)?(?P<role>[^/\s]+)"
    r")" + _STATEMENT
)


_UNREADABLE = (IdentityStoreError, StorageError, SealingError, KMSError, RootError, StoreError, OSError)
"""The root is away, a database is locked, a record is damaged: the rest is told all the same."""


@dataclass(frozen=True, slots=True)
class FoundStatement:
    """`text` is the statement's JSON as it is now, None if it is not there; `remark` what is to be known of it."""

    policy: str
    label: str
    text: Any
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What names are about: the account of the caller, the bucket and the key of the request. `digests` are those of
    the policies that decided, as they were then; empty if nobody noted them."""

    account_id: str
    bucket: str | None
    key_arn: str | None
    digests: frozenset[str] = frozenset()


async def statements_of(settings: Settings, decided_by: str, subject: Subject) -> list[FoundStatement]:
    """Those that `decided_by` names."""
    found = []
    for named in _NAMED.finditer(decided_by):
        label = named["label"]
        try:
            text, remark = await _policy_text(settings, named, subject)
        except (NoSuchEntity, NoSuchManagedPolicy, NoSuchBucket) as error:
            text, remark = None, f"it is not there any more: {error}"
        except _UNREADABLE as error:
            text, remark = None, f"it cannot be read now: {error}"
        statement = None if text is None else _statement(text, label)
        if text is not None and remark is None:
            remark = _changed(text, statement, subject.digests)
        found.append(FoundStatement(named["policy"], label, statement, remark))
    return found


def _changed(text: str, statement: Any, digests: frozenset[str]) -> str | None:
    is_other = bool(digests) and text_digest(text) not in digests
    if statement is None:
        return "the policy was changed since: it has no such statement any more"
    return "the policy was changed since" if is_other else None


async def _policy_text(settings: Settings, named: re.Match[str], subject: Subject) -> tuple[str | None, str | None]:
    """The policy as it is now, and a remark. Raises IdentityStoreError, and what `opened_index` raises."""
    if named["session"] is not None:
        return None, "it came with the session's credentials, and is kept nowhere"
    if named["bucket"] is not None:
        return await _bucket_policy(settings, subject.bucket)
    if named["key"] is not None:
        return _key_policy(settings, subject.key_arn)
    with identities_without_secrets(settings) as store:
        if named["role"] is not None:
            return store.role(named["trusting"], named["role"]).trust_policy, None
        if named["arn"] is not None:
            return _managed(store, subject.account_id, named["arn"], int(named["version"]))
        return _inline(store, subject.account_id, named["kind"], named["entity"], named["name"])


def _inline(
    store: SQLiteIdentityStore, account_id: str, kind: str, name: str, policy_name: str
) -> tuple[str | None, str | None]:
    find: dict[str, Callable[[str, str], User | Group | Role]] = {
        "user": store.user,
        "group": store.group,
        "role": store.role,
    }
    for policy in store.inline_policies(find[kind](account_id, name)):
        if policy.name == policy_name:
            return policy.text, None
    return None, "the policy was deleted since"


def _managed(store: SQLiteIdentityStore, account_id: str, arn: str, version: int) -> tuple[str | None, str | None]:
    """A version never changes; another may be in force."""
    if arn in AWS_MANAGED:
        return AWS_MANAGED[arn][1].document, None
    versions = store.policy_versions(account_id, arn)
    in_force = next(each.number for each in versions if each.is_default)
    for each in versions:
        if each.number == version:
            return each.document, None if version == in_force else f"version v{in_force} is in force now"
    return None, f"the version was deleted since; v{in_force} is in force now"


async def _bucket_policy(settings: Settings, bucket: str | None) -> tuple[str | None, str | None]:
    if bucket is None:
        return None, "the line does not name the bucket"
    async with opened_index(settings, "why") as (index, keys):
        document = SealedRows(keys.rows).open_bucket(await index.get_bucket(bucket))
    return (None, "the policy was deleted since") if document.policy is None else (document.policy, None)


def _key_policy(settings: Settings, key_arn: str | None) -> tuple[str | None, str | None]:
    key = stored_key(settings, key_arn)
    return (None, "the key is not there any more") if key is None else (policy_text(key), None)


def stored_key(settings: Settings, key_arn: str | None) -> StoredKey | None:
    """The record of a KMS key, without anything secret. Raises StoreError."""
    parts = (key_arn or "").split(":")
    if len(parts) != 6:
        return None
    with contextlib.closing(open_keys(settings)) as keys:
        keys.trust_rows()
        return keys.key(parts[5].removeprefix("key/"), parts[3])


def _statement(text: str, label: str) -> Any:
    """By its Sid, which stands in quotes, or by its number from 1."""
    for number, statement in enumerate(_statements(text), start=1):
        if label == (f'"{statement["Sid"]}"' if statement.get("Sid") else str(number)):
            return statement
    return None


def _statements(text: str) -> Iterator[dict[str, Any]]:
    statements = json.loads(text)["Statement"]
    yield from statements if isinstance(statements, list) else [statements]
