"""Users as calls name them: whose they are, what may be done to them, and how they are told."""

from __future__ import annotations

from iam.face.authorisation import resource_tags
from iam.face.call import Call, Document, Value, timestamp
from iam.face.errors import IAMError
from iam.policy.variables import Context
from iam.principals import PrincipalKind
from iam.store.interface import NoSuchUser
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
    call.require(action, user.arn, {**resource_tags(user.tags), **keys}, told_as)
    return user


def user_document(user: User, *, with_tags: bool) -> Document:
    """A User; listings leave the tags out (API Reference, ListUsers)."""
    document: dict[str, Value] = {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.user_id,
        "Arn": user.arn,
        "CreateDate": timestamp(user.created_us),
    }
    if with_tags and user.tags:
        document["Tags"] = tag_list(user.tags)
    return document


def tag_list(tags: Tags) -> list[Value]:
    return [tag_document(tag) for tag in tags]


def tag_document(tag: tuple[str, str]) -> Document:
    return {"Key": tag[0], "Value": tag[1]}


def new_tags(call: Call) -> Tags:
    """The tags that a request sets. Raises IAMError(InvalidInput)."""
    tags = call.request.tags()
    if len({key.casefold() for key, _ in tags}) != len(tags):
        raise IAMError("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.casefold().startswith("aws:") for key, _ in tags):
        raise IAMError("InvalidInput", "Tag keys that begin with aws: are reserved for system use.")
    return tags
