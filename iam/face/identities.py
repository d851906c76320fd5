"""Users, groups, roles and managed policies as calls name them: what may be done to them, and how they are told."""

from __future__ import annotations

import re
from urllib.parse import quote

from iam.entities import Entity, EntityKind, Group, Role, RoleUse, User, entity_arn
from iam.face.authorisation import resource_tags
from iam.face.call import Call, Document, Value, timestamp
from iam.face.errors import IAMError, no_such_entity
from iam.face.paging import page
from iam.managed_policies import ManagedPolicy, policy_name_of
from iam.policy.variables import Context
from iam.principals import PrincipalKind
from iam.store.interface import NoSuchEntity, NoSuchManagedPolicy
from iam.tags import Fold, Tags, disregard_case

_NOTHING: Context = {}
_ENTITY_ARN = re.compile(r"arn:aws:iam::([0-9]{12}):(user|group|role)/(?:[!-.0-~]+/)*([A-Za-z0-9_+=,.@-]{1,128})")


def permitted(call: Call, kind: EntityKind, action: str, keys: Context = _NOTHING) -> Entity:
    """The entity that the member UserName, GroupName or RoleName names, which the caller may do `action` to.

    One that does not exist is asked for all the same, so that only those are told who may. Raises NoSuchEntity, and
    IAMError(AccessDenied).
    """
    return _permitted(call, kind, action, call.request.text(f"{kind.title()}Name"), keys)


def permitted_user(call: Call, action: str, keys: Context = _NOTHING) -> User:
    """See `permitted`."""
    user = permitted(call, EntityKind.USER, action, keys)
    assert isinstance(user, User)
    return user


def permitted_group(call: Call, action: str, keys: Context = _NOTHING) -> Group:
    """See `permitted`."""
    group = permitted(call, EntityKind.GROUP, action, keys)
    assert isinstance(group, Group)
    return group


def permitted_role(call: Call, action: str, keys: Context = _NOTHING) -> Role:
    """See `permitted`."""
    role = permitted(call, EntityKind.ROLE, action, keys)
    assert isinstance(role, Role)
    return role


def permitted_by_arn(call: Call, member: str, action: str) -> Entity:
    """The entity of the account that a member names by its ARN. Raises as `permitted`, and IAMError(InvalidInput)."""
    arn = call.request.text(member)
    found = _ENTITY_ARN.fullmatch(arn)
    if found is None or found[1] != call.account_id:
        raise IAMError("InvalidInput", f"Invalid Entity Arn: {arn[:512]} does not clearly define entity type and name.")
    kind, name = EntityKind(found[2]), found[3]
    entity = _permitted(call, kind, action, name, _NOTHING)
    if entity.arn != arn:
        raise no_such_entity(kind, name)
    return entity


def permitted_user_or_self(call: Call, action: str, keys: Context = _NOTHING) -> User | None:
    """The same where UserName may be absent: the caller itself then, and None where that is the root user."""
    name = call.request.text_or_none("UserName")
    principal = call.caller.principal
    if name is None and principal.kind is PrincipalKind.ROOT:
        call.require(action, principal.arn, keys)
        return None
    if name is None and principal.kind is not PrincipalKind.USER:
        raise IAMError("ValidationError", "Must specify userName when calling with non-User credentials")
    user = _permitted(call, EntityKind.USER, action, name or principal.arn.rpartition("/")[2], keys)
    assert isinstance(user, User)
    return user


def named_user(call: Call) -> User:
    """The user that the member UserName names, where what the caller needs is said of something else.

    Raises NoSuchUser.
    """
    return call.store.user(call.account_id, call.request.text("UserName"))


def _permitted(call: Call, kind: EntityKind, action: str, name: str, keys: Context) -> Entity:
    told_as = f"{kind} {name}"
    try:
        entity = _named(call, kind, name)
    except NoSuchEntity:
        call.require(action, entity_arn(kind, call.account_id, "/", name), keys, told_as)
        raise
    call.require(action, entity.arn, {**_known(entity), **keys}, told_as)
    return entity


def _named(call: Call, kind: EntityKind, name: str) -> Entity:
    match kind:
        case EntityKind.USER:
            return call.store.user(call.account_id, name)
        case EntityKind.GROUP:
            return call.store.group(call.account_id, name)
        case EntityKind.ROLE:
            return call.store.role(call.account_id, name)


def _known(entity: Entity) -> Context:
    """What policies can ask about an entity."""
    if isinstance(entity, Group):
        return {}
    boundary = {} if entity.boundary_arn is None else boundary_key(entity.boundary_arn)
    return {**resource_tags(entity.tags), **boundary}


def boundary_key(arn: str) -> Context:
    """What is known about the permissions boundary that a user has, or is given."""
    return {"iam:permissionsboundary": (arn,)}


def permitted_policy(call: Call, action: str, keys: Context = _NOTHING, *, is_changed: bool = False) -> ManagedPolicy:
    """The managed policy that the member PolicyArn names, which the caller may do `action` to.

    Nobody may change AWS's own. Raises NoSuchManagedPolicy, and IAMError: AccessDenied, InvalidInput.
    """
    arn = policy_arn(call, "PolicyArn")
    told_as = f"policy {arn}"
    try:
        policy = call.store.policy(call.account_id, arn)
    except NoSuchManagedPolicy:
        call.require(action, arn, keys, told_as)
        raise
    call.require(action, arn, {**resource_tags(policy.tags), **keys}, told_as)
    if is_changed and policy.account_id != call.account_id:
        caller = call.caller.principal.arn
        raise IAMError("AccessDenied", f"User: {caller} is not authorized to perform: {action} on resource: {told_as}")
    return policy


def policy_arn(call: Call, member: str, refused_with: str = "InvalidInput") -> str:
    """The ARN of a managed policy. Raises IAMError(`refused_with`)."""
    arn = call.request.text(member)
    try:
        policy_name_of(arn)
    except ValueError:
        raise IAMError(refused_with, f"ARN {arn} is not valid.") from None
    return arn


def new_boundary(call: Call) -> str | None:
    """The permissions boundary that a request gives to what it makes. Raises IAMError(InvalidInput)."""
    return None if call.request.text_or_none("PermissionsBoundary") is None else policy_arn(call, "PermissionsBoundary")


def user_document(user: User, *, is_whole: bool) -> Document:
    """A User; listings leave tags and boundary out (API Reference, ListUsers)."""
    return {**_identity(user), **(_particulars(user) if is_whole else {})}


def group_document(group: Group) -> Document:
    return _identity(group)


def role_document(role: Role, *, is_whole: bool) -> Document:
    """A Role; listings leave tags, boundary and last use out (API Reference, ListRoles)."""
    document = {**described_role(role), "MaxSessionDuration": role.max_session_seconds}
    if is_whole:
        document |= {**_particulars(role), "RoleLastUsed": _use_document(role.last_use)}
    return document


def made_role(role: Role) -> Document:
    """A Role as CreateRole tells it: of what it was given some (recorded in February 2026)."""
    return {**_identity(role), "AssumeRolePolicyDocument": encoded(role.trust_policy), **_particulars(role)}


def described_role(role: Role) -> Document:
    """A Role as UpdateRoleDescription tells it (recorded in February 2026)."""
    description: Document = {"Description": role.description} if role.description else {}
    return {**_identity(role), "AssumeRolePolicyDocument": encoded(role.trust_policy), **description}


def _use_document(use: RoleUse | None) -> Document:
    """Without a region for a use by a request that was not signed for one (AssumeRoleWithWebIdentity)."""
    if use is None:
        return {}
    return {"LastUsedDate": timestamp(use.used_us), **({"Region": use.region} if use.region else {})}


def _identity(entity: Entity) -> dict[str, Value]:
    kind = entity.kind.title()
    return {
        "Path": entity.path,
        f"{kind}Name": entity.name,
        f"{kind}Id": entity.entity_id,
        "Arn": entity.arn,
        "CreateDate": timestamp(entity.created_us),
    }


def _particulars(entity: User | Role) -> dict[str, Value]:
    document: dict[str, Value] = {}
    if entity.boundary_arn is not None:
        document["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": entity.boundary_arn,
        }
    if entity.tags:
        document["Tags"] = tag_list(entity.tags)
    return document


def encoded(document: str) -> str:
    """A policy document as IAM tells it: percent-encoded (RFC 3986)."""
    return quote(document, safe="")


def entity_position(entity: Entity) -> str:
    """Where an entity stands in listings: names are unique whatever their case."""
    return entity.name.lower()


def tag_list(tags: Tags) -> list[Value]:
    return [tag_document(tag) for tag in tags]


def tag_document(tag: tuple[str, str]) -> Document:
    return {"Key": tag[0], "Value": tag[1]}


def tag_page(call: Call, tags: Tags) -> Document:
    """A page of Tags. They are counted: a marker made of a key would be longer than a marker may be."""
    numbered = [(f"{place:02}", tag) for place, tag in enumerate(tags)]
    return page(call.request, "Tags", numbered, lambda each: each[0], lambda each: tag_document(each[1]))


def policy_position(policy: ManagedPolicy) -> str:
    """Where a managed policy stands in listings: an account's may have the name of one of AWS's."""
    return f"{policy.name.lower()} {policy.account_id}"


def new_tags(call: Call, fold: Fold = disregard_case) -> Tags:
    """The tags that a request sets. Raises IAMError(InvalidInput)."""
    tags = call.request.tags()
    if len({fold(key) for key, _ in tags}) != len(tags):
        note = " Please note that Tag keys are case insensitive." if fold is disregard_case else ""
        raise IAMError("InvalidInput", f"Duplicate tag keys found.{note}")
    if any(key.casefold().startswith("aws:") for key, _ in tags):
        raise IAMError("InvalidInput", "Tag keys that begin with aws: are reserved for system use.")
    return tags
