"""CreateUser, GetUser, ListUsers, UpdateUser, DeleteUser."""

from __future__ import annotations

from dataclasses import replace

from iam.entities import EntityKind, User, new_entity_id
from iam.face.authorisation import requested_tags
from iam.face.call import Call, Document, timestamp
from iam.face.identities import (
    boundary_key,
    entity_position,
    new_boundary,
    new_tags,
    permitted_user,
    permitted_user_or_self,
    user_document,
)
from iam.face.paging import page
from iam.face.translate import no_such_boundary
from iam.store.interface import NoSuchManagedPolicy


def create_user(call: Call) -> Document:
    request = call.request
    tags, boundary = new_tags(call), new_boundary(call)
    user = User(
        new_entity_id(EntityKind.USER),
        call.account_id,
        request.text("UserName"),
        request.text_or_none("Path") or "/",
        call.now_us,
        tags,
        boundary,
    )
    keys = {**requested_tags(tags), **({} if boundary is None else boundary_key(boundary))}
    call.require("iam:CreateUser", user.arn, keys)
    if tags:  # User Guide, "Tags for IAM resources": setting them is a right of its own, also when something is made
        call.require("iam:TagUser", user.arn, keys)
    try:
        call.store.create_user(user)
    except NoSuchManagedPolicy as error:
        raise no_such_boundary(error.name) from error
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
    return page(call.request, "Users", users, entity_position, lambda user: user_document(user, is_whole=False))


def update_user(call: Call) -> None:
    """Needs the permission for the user as it is called and for what it will be called (API Reference, UpdateUser)."""
    request = call.request
    user = permitted_user(call, "iam:UpdateUser")
    name, path = request.text_or_none("NewUserName"), request.text_or_none("NewPath")
    renamed = replace(user, name=name or user.name, path=path or user.path)
    if renamed.arn != user.arn:
        call.require("iam:UpdateUser", renamed.arn)
    call.store.rename(user, new_name=name, new_path=path)


def delete_user(call: Call) -> None:
    call.store.delete_entity(permitted_user(call, "iam:DeleteUser"))
