"""Users and managed policies as calls name them: what may be done to them, and how users are told."""

from __future__ import annotations

from iam.face.authorisation import resource_tags
from iam.face.call import Call, Document, Value, timestamp
from iam.face.errors import IAMError
from iam.face.paging import page
from iam.managed_policies import ManagedPolicy, policy_name_of
from iam.policy.variables import Context
from iam.principals import PrincipalKind
from iam.store.interface import NoSuchManagedPolicy, NoSuchUser
from iam.users import Tags, User

_NOTHING: Context = {}


def permitted_user(call: Call, action: str, keys: Context = _NOTHING) -> User:
    """The user that the member UserName names, who the caller may do `action` to.

    One that does not exist is asked for all the same, so that only those are told who may. Raises NoSuchUser, and
    IAMError(AccessDenied).
    """
    return _permitted(call, action, call.request.text("UserName"), keys)


def permitted_user_or_self(call: Call, action: str, keys: Context = _NOTHING) -> User | None:
    """The same where UserName may be absent: the caller itself then, and None where that is the root user."""
    name = call.request.text_or_none("UserName")
    principal = call.caller.principal
    if name is not None:
        return _permitted(call, action, name, keys)
    if principal.kind is PrincipalKind.ROOT:
        call.require(action, principal.arn, keys)
        return None
    if principal.kind is not PrincipalKind.USER:
        raise IAMError("ValidationError", "Must specify userName when calling with non-User credentials")
    return _permitted(call, action, principal.arn.rpartition("/")[2], keys)


def _permitted(call: Call, action: str, name: str, keys: Context) -> User:
    told_as = f"user {name}"
    try:
        user = call.store.user(call.account_id, name)
    except NoSuchUser:
        call.require(action, f"arn:aws:iam::{call.account_id}:user/{name}", keys, told_as)
        raise
    boundary = {} if user.boundary_arn is None else boundary_key(user.boundary_arn)
    call.require(action, user.arn, {**resource_tags(user.tags), **boundary, **keys}, told_as)
    return user


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


def policy_arn(call: Call, member: str) -> str:
    """The ARN of a managed policy. Raises IAMError(InvalidInput)."""
    arn = call.request.text(member)
    try:
        policy_name_of(arn)
    except ValueError:
        raise IAMError("InvalidInput", f"ARN {arn} is not valid.") from None
    return arn


def user_document(user: User, *, is_whole: bool) -> Document:
    """A User; listings leave tags and boundary out (API Reference, ListUsers)."""
    document: dict[str, Value] = {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.user_id,
        "Arn": user.arn,
        "CreateDate": timestamp(user.created_us),
    }
    if is_whole and user.boundary_arn is not None:
        document["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": user.boundary_arn,
        }
    if is_whole and user.tags:
        document["Tags"] = tag_list(user.tags)
    return document


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


def new_tags(call: Call) -> Tags:
    """The tags that a request sets. Raises IAMError(InvalidInput)."""
    tags = call.request.tags()
    if len({key.casefold() for key, _ in tags}) != len(tags):
        raise IAMError("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.casefold().startswith("aws:") for key, _ in tags):
        raise IAMError("InvalidInput", "Tag keys that begin with aws: are reserved for system use.")
    return tags
