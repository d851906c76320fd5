"""CreateGroup, GetGroup, ListGroups, UpdateGroup, DeleteGroup, and who is in a group."""

from __future__ import annotations

from dataclasses import replace

from iam.entities import EntityKind, Group, User, new_entity_id
from iam.face.call import Call, Document
from iam.face.identities import (
    entity_position,
    group_document,
    named_user,
    permitted_group,
    permitted_user,
    user_document,
)
from iam.face.paging import page
from iam.store.interface import NoSuchGroup


def create_group(call: Call) -> Document:
    request = call.request
    group = Group(
        new_entity_id(EntityKind.GROUP),
        call.account_id,
        request.text("GroupName"),
        request.text_or_none("Path") or "/",
        call.now_us,
    )
    call.require("iam:CreateGroup", group.arn)
    call.store.create_group(group)
    return {"Group": group_document(group)}


def get_group(call: Call) -> Document:
    """With a page of its members."""
    group = permitted_group(call, "iam:GetGroup")
    members = call.store.members(group)
    listed = page(call.request, "Users", members, entity_position, lambda user: user_document(user, is_whole=False))
    return {"Group": group_document(group), **listed}


def list_groups(call: Call) -> Document:
    prefix = call.request.text_or_none("PathPrefix") or "/"
    call.require("iam:ListGroups", f"arn:aws:iam::{call.account_id}:group{prefix}")
    groups = (group for group in call.store.groups(call.account_id) if group.path.startswith(prefix))
    return page(call.request, "Groups", groups, entity_position, group_document)


def list_groups_for_user(call: Call) -> Document:
    groups = call.store.groups_of(permitted_user(call, "iam:ListGroupsForUser"))
    return page(call.request, "Groups", groups, entity_position, group_document)


def update_group(call: Call) -> None:
    """Needs the permission for the group as it is called and for what it will be called, as UpdateUser does."""
    request = call.request
    group = permitted_group(call, "iam:UpdateGroup")
    name, path = request.text_or_none("NewGroupName"), request.text_or_none("NewPath")
    renamed = replace(group, name=name or group.name, path=path or group.path)
    if renamed.arn != group.arn:
        call.require("iam:UpdateGroup", renamed.arn)
    call.store.rename(group, new_name=name, new_path=path)


def delete_group(call: Call) -> None:
    call.store.delete_entity(permitted_group(call, "iam:DeleteGroup"))


def add_user_to_group(call: Call) -> None:
    """In force for every request of the user that comes after the answer, in every process."""
    call.store.add_member(*_group_and_user(call, "iam:AddUserToGroup"))


def remove_user_from_group(call: Call) -> None:
    call.store.remove_member(*_group_and_user(call, "iam:RemoveUserFromGroup"))


def _group_and_user(call: Call, action: str) -> tuple[Group, User]:
    """Where neither exists the user is told, as AWS does. Raises NoSuchUser, NoSuchGroup, IAMError(AccessDenied)."""
    try:
        group = permitted_group(call, action)
    except NoSuchGroup:
        named_user(call)
        raise
    return group, named_user(call)
