"""CreateRole, GetRole, ListRoles, UpdateRole, UpdateAssumeRolePolicy, DeleteRole."""

from __future__ import annotations

from iam.entities import MIN_SESSION_SECONDS, EntityKind, Role, new_entity_id
from iam.face.authorisation import requested_tags
from iam.face.call import Call, Document
from iam.face.identities import (
    boundary_key,
    described_role,
    entity_position,
    made_role,
    new_boundary,
    new_tags,
    permitted_role,
    role_document,
)
from iam.face.paging import page
from iam.face.translate import malformed, no_such_boundary
from iam.policy.errors import PolicyError
from iam.store.interface import NoSuchManagedPolicy


def create_role(call: Call) -> Document:
    request = call.request
    request.refuse_members("MaxSigninSessionDuration")
    tags, boundary = new_tags(call), new_boundary(call)
    role = Role(
        new_entity_id(EntityKind.ROLE),
        call.account_id,
        request.text("RoleName"),
        request.text_or_none("Path") or "/",
        call.now_us,
        request.text("AssumeRolePolicyDocument"),
        request.text_or_none("Description") or "",
        request.integer_or_none("MaxSessionDuration") or MIN_SESSION_SECONDS,
        tags,
        boundary,
    )
    keys = {**requested_tags(tags), **({} if boundary is None else boundary_key(boundary))}
    call.require("iam:CreateRole", role.arn, keys)
    if tags:
        call.require("iam:TagRole", role.arn, keys)
    try:
        call.store.create_role(role)
    except NoSuchManagedPolicy as error:
        raise no_such_boundary(error.name) from error
    except PolicyError as error:
        raise malformed(error) from error
    return {"Role": made_role(role)}


def get_role(call: Call) -> Document:
    return {"Role": role_document(permitted_role(call, "iam:GetRole"), is_whole=True)}


def list_roles(call: Call) -> Document:
    prefix = call.request.text_or_none("PathPrefix") or "/"
    call.require("iam:ListRoles", f"arn:aws:iam::{call.account_id}:role{prefix}")
    roles = (role for role in call.store.roles(call.account_id) if role.path.startswith(prefix))
    return page(call.request, "Roles", roles, entity_position, lambda role: role_document(role, is_whole=False))


def update_role(call: Call) -> Document:
    request = call.request
    request.refuse_members("MaxSigninSessionDuration", "ResetMaxSigninSessionDuration")
    role = permitted_role(call, "iam:UpdateRole")
    call.store.update_role(
        role,
        description=request.text_or_none("Description"),
        max_session_seconds=request.integer_or_none("MaxSessionDuration"),
    )
    return {}


def update_role_description(call: Call) -> Document:
    role = permitted_role(call, "iam:UpdateRoleDescription")
    call.store.update_role(role, description=call.request.text("Description"), max_session_seconds=None)
    return {"Role": described_role(call.store.role(call.account_id, role.name))}


def update_assume_role_policy(call: Call) -> None:
    """In force for every session that is asked for after the answer."""
    role = permitted_role(call, "iam:UpdateAssumeRolePolicy")
    try:
        call.store.set_trust_policy(role, call.request.text("PolicyDocument"))
    except PolicyError as error:
        raise malformed(error) from error


def delete_role(call: Call) -> None:
    call.store.delete_entity(permitted_role(call, "iam:DeleteRole"))
