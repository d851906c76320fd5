"""CreateUser, GetUser, ListUsers, UpdateUser, DeleteUser, and the tags of users."""

from __future__ import annotations

from dataclasses import replace

from iam.face.authorisation import requested_tags, tag_keys
from iam.face.call import Call, Document, timestamp
from iam.face.identities import (
    boundary_key,
    new_tags,
    permitted_user,
    permitted_user_or_self,
    policy_arn,
    tag_page,
    user_document,
)
from iam.face.paging import page
from iam.face.translate import not_attachable
from iam.store.interface import NoSuchManagedPolicy
from iam.users import User, new_user_id


def create_user(call: Call) -> Document:
    request = call.request
    tags = new_tags(call)
    boundary = None if request.text_or_none("PermissionsBoundary") is None else policy_arn(call, "PermissionsBoundary")
    user = User(
        new_user_id(),
        call.account_id,
        request.text("UserName"),
        request.text_or_none("Path") or "/",
        call.now_us,
        tags,
        boundary,
    )
    keys = {**requested_tags(tags), **({} if boundary is None else boundary_key(boundary))}
    call.require("iam:CreateUser", user.arn, keys)
    try:
        call.store.create_user(user)
    except NoSuchManagedPolicy as error:
        raise not_attachable(error.name) from error
    return {"User": user_document(user, is_whole=True)}


def get_user(call: Call) -> Document:
    """Without a name the caller itself; the root user has no name."""
    user = permitted_user_or_self(call, "iam:GetUser")
    if user is not None:
        return {"User": user_document(user, is_whole=True)}
    account = call.store.account(call.account_id)
    root = call.caller.principal
    return {"User": {"UserId": root.principal_id, "Arn": root.arn, "CreateDate": timestamp(account.created_us)}}


def list_users(call: Call) -> Document:
    prefix = call.request.text_or_none("PathPrefix") or "/"
    call.require("iam:ListUsers", f"arn:aws:iam::{call.account_id}:user{prefix}")
    users = (user for user in call.store.users(call.account_id) if user.path.startswith(prefix))
    return page(call.request, "Users", users, _position, lambda user: user_document(user, is_whole=False))


def _position(user: User) -> str:
    """Names are unique whatever their case."""
    return user.name.lower()


def update_user(call: Call) -> None:
    """Needs the permission for the user as it is called and for what it will be called (API Reference, UpdateUser)."""
    request = call.request
    user = permitted_user(call, "iam:UpdateUser")
    name, path = request.text_or_none("NewUserName"), request.text_or_none("NewPath")
    renamed = replace(user, name=name or user.name, path=path or user.path)
    if renamed.arn != user.arn:
        call.require("iam:UpdateUser", renamed.arn)
    call.store.update_user(call.account_id, user.name, new_name=name, new_path=path)


def delete_user(call: Call) -> None:
    user = permitted_user(call, "iam:DeleteUser")
    call.store.delete_user(call.account_id, user.name)


def tag_user(call: Call) -> None:
    tags = new_tags(call)
    user = permitted_user(call, "iam:TagUser", requested_tags(tags))
    call.store.tag_user(call.account_id, user.name, tags)


def untag_user(call: Call) -> None:
    keys = call.request.texts("TagKeys")
    user = permitted_user(call, "iam:UntagUser", tag_keys(keys))
    call.store.untag_user(call.account_id, user.name, keys)


def list_user_tags(call: Call) -> Document:
    return tag_page(call, permitted_user(call, "iam:ListUserTags").tags)
