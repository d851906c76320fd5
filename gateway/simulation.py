"""What would be decided about a request that nobody sends, by all that is in force in a data directory now.

The decisions are those of requests: `gateway.operations.authorisation` for S3, the KMS's own for keys, IAM's for
identities. Of a request only what is said of it is known; what policies ask for besides is told as missing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from gateway.config import Settings
from gateway.identities import identities_without_secrets, opened_index
from gateway.key_stores import open_keys
from gateway.operations.authorisation import ARN_PREFIX, ObjectTags, Permissions
from gateway.operations.condition_keys import ASKED_FOR_EXISTING_TAGS
from gateway.operations.context import PublicAccess, strictest_block, whose_block
from gateway.operations.object_owner import owner_and_grants
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.acl import ANONYMOUS_ID
from gateway.protocol.errors import S3Error
from gateway.storage.errors import NoSuchBucket, NoSuchKey
from gateway.storage.index.interface import BucketIndex, ObjectIndex
from gateway.storage.index.records import BucketRow, ObjectRow
from iam.entities import Role, User
from iam.face.authorisation import Authoriser, resource_tags
from iam.face.errors import IAMError
from iam.face.role_sessions import role_keys
from iam.policy.cache import PolicyCache
from iam.policy.decisions import Decided, Decisions
from iam.policy.given import GivenContext, Said
from iam.policy.variables import Context
from iam.principals import ANONYMOUS, NO_POLICIES, Caller, IdentityPolicies, Principal, PrincipalKind, root_principal
from iam.sessions import role_session_arn
from iam.store.interface import NoSuchEntity
from iam.store.sqlite import SQLiteIdentityStore
from kms.api.errors import KMSError
from kms.service.simulation import simulate_key_call

_ACTION = re.compile(r"(s3|kms|iam|sts|organizations):[A-Za-z0-9]+")
_PRINCIPAL = re.compile(
    r"arn:aws:(?:iam::(?P<account>\d{12}):(?:(?P<root>root)|(?P<kind>user|role)/(?:[!-~]+/)?(?P<name>[^/\s]+))"
    r"|sts::(?P<of>\d{12}):assumed-role/(?P<role>[^/\s]+)/(?P<session>[^/\s]+))"
)
_ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/(?:[!-~]+/)?([^/\s]+)")
_USER_ARN = re.compile(r"arn:aws:iam::(\d{12}):user/(?:[!-~]+/)?([^/\s]+)")
_SESSION = "simulation"
_READS = frozenset({"s3:GetObject", "s3:GetObjectVersion"})
_OF_NO_BUCKET = frozenset({"s3:CreateBucket"})
"""Done to a bucket that is not there yet, by the policies of who makes it."""


class NotSimulated(Exception):
    """The question has no answer here: what it names does not exist, or is none of ours."""


@dataclass(frozen=True, slots=True)
class Question:
    """`principal_arn` None: nobody signed the request."""

    principal_arn: str | None
    action: str
    resource_arn: str
    said: Said


@dataclass(frozen=True, slots=True)
class Answer:
    """`remarks` are what a request would meet besides: an object that is not there, a key's state."""

    decided: Decided
    remarks: tuple[str, ...] = ()


async def simulate(settings: Settings, question: Question) -> Answer:
    """Raises NotSimulated, and what opening the stores raises."""
    service = _ACTION.fullmatch(question.action)
    if service is None:
        raise NotSimulated(
            f"{question.action[:80]!r} is no action of S3, KMS, IAM, STS or Organizations, such as s3:GetObject"
        )
    with identities_without_secrets(settings) as identities:
        caller = _caller(identities, question.principal_arn)
        remarks = _of_account(identities, caller)
        match service[1]:
            case "s3":
                answer = await _of_s3(settings, identities, caller, question)
            case "kms":
                answer = _of_kms(settings, caller, question)
            case _:
                answer = _of_identities(identities, caller, question)
    return replace(answer, remarks=(*remarks, *answer.remarks))


# Who asks


def _caller(identities: SQLiteIdentityStore, arn: str | None) -> Caller:
    principal, policies = (ANONYMOUS, NO_POLICIES) if arn is None else _principal(identities, arn)
    return Caller(principal, "simulation", policies=policies)


def _principal(identities: SQLiteIdentityStore, arn: str) -> tuple[Principal, IdentityPolicies]:
    named = _PRINCIPAL.fullmatch(arn)
    if named is None:
        raise NotSimulated(f"{arn[:200]!r} is the ARN of no root user, user, role or session of a role")
    if named["root"] is not None:
        return root_principal(named["account"]), NO_POLICIES
    try:
        if named["kind"] == "user":
            user = identities.user(named["account"], named["name"])
            return user.principal, identities.policies_in_force(user)
        role = identities.role(named["account"] or named["of"], named["name"] or named["role"])
    except NoSuchEntity as error:
        raise NotSimulated(str(error)) from error
    return _session_of(role, named["session"] or _SESSION), identities.policies_in_force(role)


def _session_of(role: Role, name: str) -> Principal:
    """Of a session without policies and tags of its own."""
    return Principal(
        PrincipalKind.ROLE_SESSION,
        role.account_id,
        role_session_arn(role, name),
        f"{role.role_id}:{name}",
        issuer_arn=role.arn,
        issuer_id=role.role_id,
        tags=role.tags,
    )


def _of_account(identities: SQLiteIdentityStore, caller: Caller) -> tuple[str, ...]:
    account_id = caller.principal.account_id
    if caller.principal.kind is PrincipalKind.ANONYMOUS or identities.has_active_account(account_id):
        return ()
    return (f"account {account_id} does not exist or is suspended: its access keys are refused",)


# S3


async def _of_s3(settings: Settings, identities: SQLiteIdentityStore, caller: Caller, question: Question) -> Answer:
    action, arn = question.action, question.resource_arn
    bucket, _, key = arn.removeprefix(ARN_PREFIX).partition("/")
    if arn != "*" and (not arn.startswith(ARN_PREFIX) or not bucket):
        raise NotSimulated(f"{arn[:200]!r} is no ARN of S3's, such as {ARN_PREFIX}bucket/key")
    decisions, now = Decisions(), datetime.now(UTC)

    def conditions(known: Context) -> Context:
        return GivenContext(caller, now, known, question.said)

    permissions = Permissions(caller, conditions, PolicyCache(), _canonical_ids(identities), decisions)
    if arn == "*" or bucket == "*" or action in _OF_NO_BUCKET:
        _decide(lambda: permissions.require_of_account(action, arn))
        return Answer(_told(decisions))
    async with opened_index(settings, "simulate") as (index, keys):
        rows = SealedRows(keys.rows)
        row = await _bucket(index, bucket)
        document = rows.open_bucket(row)
        access = identities.account_access(row.account_id)
        installation = PublicAccess(is_blocked_for_all=settings.access.block_public)
        block, whose = strictest_block(installation, access, document), partial(whose_block, installation, access)
        permissions.introduce(row, document, block, whose)
        remarks = [] if access.is_active else [f"account {row.account_id}, which owns the bucket, is suspended"]
        tags, found = ObjectTags(), await _object(index, row, key)
        if found is not None:
            tags = _tags(rows, found, action)
            if action in _READS and found.wrap.key_arn is not None:
                remarks.append(f"the object is under KMS key {found.wrap.key_arn}: kms:Decrypt is needed, too")
            owned = owner_and_grants(rows, _canonical_ids(identities), row, found)
            if owned is not None:
                permissions.introduce_object(arn, *owned)
        elif key:
            remarks.append("there is no such object now: whoever may not s3:ListBucket is refused for that")
    _decide(lambda: permissions.require(action, arn, tags=tags))
    return Answer(_told(decisions), tuple(remarks))


async def _bucket(index: BucketIndex, name: str) -> BucketRow:
    try:
        return await index.get_bucket(name)
    except NoSuchBucket as error:
        raise NotSimulated(f"there is no bucket {name}") from error


async def _object(index: ObjectIndex, bucket: BucketRow, key: str) -> ObjectRow | None:
    if not key:
        return None
    try:
        return await index.get_object(bucket.bucket_id, key.encode(), None)
    except NoSuchKey:
        return None


def _tags(rows: SealedRows, row: ObjectRow, action: str) -> ObjectTags:
    if action.replace("Version", "") not in ASKED_FOR_EXISTING_TAGS:
        return ObjectTags()
    return ObjectTags(rows.open_object(row).tags)


def _canonical_ids(identities: SQLiteIdentityStore) -> Callable[[str], str]:
    return lambda account_id: identities.account(account_id).canonical_id if account_id else ANONYMOUS_ID


# Keys, and identities


def _of_kms(settings: Settings, caller: Caller, question: Question) -> Answer:
    via = next((value[0] for name, value in question.said.given.items() if name.lower() == "kms:viaservice"), None)
    named = question.resource_arn
    region = named.split(":")[3] if named.startswith("arn:aws:kms:") and named.count(":") >= 5 else settings.region
    with contextlib.closing(open_keys(settings)) as store:
        store.trust_rows()
        try:
            found = simulate_key_call(
                store, replace(caller, via_service=via), question.action, named, said=question.said, region=region
            )
        except KMSError as error:
            raise NotSimulated(error.message) from error
    return Answer(
        found.decided, () if found.state_refusal is None else (f"refused all the same: {found.state_refusal}",)
    )


def _of_identities(identities: SQLiteIdentityStore, caller: Caller, question: Question) -> Answer:
    if caller.principal.kind is PrincipalKind.ANONYMOUS:
        raise NotSimulated("IAM and STS know no anonymous requests")
    action, arn, decisions, now = question.action, question.resource_arn, Decisions(), datetime.now(UTC)

    def context_of(caller: Caller, now: datetime, known: Context) -> Context:
        return GivenContext(caller, now, known, question.said)

    authoriser = Authoriser(context_of)
    role = _entity(_ROLE_ARN, identities.role, arn)
    if action == "sts:AssumeRole":
        if not isinstance(role, Role):
            raise NotSimulated(f"there is no role {arn}")
        authoriser.trusts(caller, action, role, now=now, keys=role_keys(role), decisions=decisions)
        return Answer(_told(decisions))
    entity = role or _entity(_USER_ARN, identities.user, arn)
    keys = {} if entity is None else dict(resource_tags(entity.tags))
    if entity is not None and entity.boundary_arn is not None:
        keys["iam:permissionsboundary"] = (entity.boundary_arn,)
    _decide(lambda: authoriser.require(caller, action, arn, now=now, keys=keys, decisions=decisions))
    return Answer(_told(decisions))


def _entity(pattern: re.Pattern[str], find: Callable[[str, str], User | Role], arn: str) -> User | Role | None:
    named = pattern.fullmatch(arn)
    if named is None:
        return None
    try:
        return find(named[1], named[2])
    except NoSuchEntity:
        return None


def _decide(require: Callable[[], None]) -> None:
    """A refusal is a decision like another: it stands in the decisions."""
    with contextlib.suppress(S3Error, IAMError):
        require()


def _told(decisions: Decisions) -> Decided:
    told = decisions.told
    assert told is not None, "something was required, so that something was decided"
    return told
