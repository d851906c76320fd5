"""Managed policies: CreatePolicy and what is done with them, their versions, their tags, and who has them."""

from __future__ import annotations

from iam.entities import Entity, EntityKind
from iam.face.authorisation import requested_tags, tag_keys
from iam.face.call import Call, Document, Value, timestamp
from iam.face.errors import IAMError
from iam.face.identities import (
    encoded,
    entity_position,
    new_tags,
    permitted_policy,
    policy_position,
    tag_list,
    tag_page,
)
from iam.face.paging import page, part
from iam.face.translate import malformed, not_attachable
from iam.managed_policies import ManagedPolicy, PolicyVersion, new_policy_id, parse_version_id
from iam.policy.errors import PolicyError
from iam.store.interface import NoSuchManagedPolicy
from iam.tags import regard_case


def create_policy(call: Call) -> Document:
    request = call.request
    tags = new_tags(call, regard_case)
    policy = ManagedPolicy(
        new_policy_id(),
        call.account_id,
        request.text("PolicyName"),
        request.text_or_none("Path") or "/",
        request.text_or_none("Description") or "",
        call.now_us,
        call.now_us,
        default_version=1,
        tags=tags,
    )
    for action in ("iam:CreatePolicy", "iam:TagPolicy") if tags else ("iam:CreatePolicy",):
        call.require(action, policy.arn, requested_tags(tags), f"policy {policy.name}")
    try:
        call.store.create_policy(policy, request.text("PolicyDocument"))
    except PolicyError as error:
        raise malformed(error) from error
    told: Document = {"Tags": tag_list(tags)} if tags else {}
    return {"Policy": {**policy_document(policy), **told}}  # without its description (recorded in February 2026)


def get_policy(call: Call) -> Document:
    policy = permitted_policy(call, "iam:GetPolicy")
    return {"Policy": {**policy_document(policy), **description_of(policy), "Tags": tag_list(policy.tags)}}


def description_of(policy: ManagedPolicy) -> Document:
    """The member that tells it, if it has one."""
    return {"Description": policy.description} if policy.description else {}


def policy_document(policy: ManagedPolicy) -> Document:
    """A Policy as listings tell it: without description and tags (API Reference, ListPolicies)."""
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": f"v{policy.default_version}",
        "AttachmentCount": policy.attachments,
        "PermissionsBoundaryUsageCount": policy.boundary_uses,
        "IsAttachable": True,
        "CreateDate": timestamp(policy.created_us),
        "UpdateDate": timestamp(policy.updated_us),
    }


def list_policies(call: Call) -> Document:
    request = call.request
    prefix, scope = request.text_or_none("PathPrefix") or "/", request.text_or_none("Scope") or "All"
    usage = request.text_or_none("PolicyUsageFilter")
    resource = f"arn:aws:iam::{call.account_id}:policy{prefix}"
    call.require("iam:ListPolicies", resource, told_as=f"policy path {prefix}")

    def is_asked_for(policy: ManagedPolicy) -> bool:
        is_local = policy.account_id == call.account_id
        return (
            policy.path.startswith(prefix)
            and (scope == "All" or is_local == (scope == "Local"))
            and (policy.attachments > 0 or not request.flag("OnlyAttached"))
            and (usage is None or _uses(policy, usage) > 0)
        )

    found = filter(is_asked_for, call.store.policies(call.account_id))
    return page(request, "Policies", found, policy_position, policy_document)


def _uses(policy: ManagedPolicy, usage: str) -> int:
    return policy.boundary_uses if usage == "PermissionsBoundary" else policy.attachments


def delete_policy(call: Call) -> None:
    policy = permitted_policy(call, "iam:DeletePolicy", is_changed=True)
    call.store.delete_policy(call.account_id, policy.arn)


def create_policy_version(call: Call) -> Document:
    policy = permitted_policy(call, "iam:CreatePolicyVersion", is_changed=True)
    try:
        version = call.store.create_policy_version(
            call.account_id,
            policy.arn,
            call.request.text("PolicyDocument"),
            is_default=call.request.flag("SetAsDefault"),
            created_us=call.now_us,
        )
    except PolicyError as error:
        raise malformed(error) from error
    return {"PolicyVersion": version_document(version)}


def get_policy_version(call: Call) -> Document:
    policy, number = _version(call, "iam:GetPolicyVersion")
    for version in call.store.policy_versions(call.account_id, policy.arn):
        if version.number == number:
            return {"PolicyVersion": {"Document": encoded(version.document), **version_document(version)}}
    raise _no_such_version(call)


def list_policy_versions(call: Call) -> Document:
    """Newest first, as positions fall with it."""
    policy = permitted_policy(call, "iam:ListPolicyVersions")
    versions = call.store.policy_versions(call.account_id, policy.arn)
    return page(call.request, "Versions", versions, _place, version_document)


def _place(version: PolicyVersion) -> str:
    return f"{10**9 - version.number:09}"


def version_document(version: PolicyVersion) -> Document:
    return {
        "VersionId": version.version_id,
        "IsDefaultVersion": version.is_default,
        "CreateDate": timestamp(version.created_us),
    }


def set_default_policy_version(call: Call) -> None:
    policy, number = _version(call, "iam:SetDefaultPolicyVersion", is_changed=True)
    call.store.set_default_policy_version(call.account_id, policy.arn, number, now_us=call.now_us)


def delete_policy_version(call: Call) -> None:
    policy, number = _version(call, "iam:DeletePolicyVersion", is_changed=True)
    call.store.delete_policy_version(call.account_id, policy.arn, number)


def _version(call: Call, action: str, *, is_changed: bool = False) -> tuple[ManagedPolicy, int]:
    """The policy, and the number of the version, that a request names. Raises IAMError; see `permitted_policy`."""
    try:
        policy = permitted_policy(call, action, is_changed=is_changed)
    except NoSuchManagedPolicy as error:
        raise _no_such_version(call) from error
    number = parse_version_id(call.request.text("VersionId"))
    if number is None:
        raise _no_such_version(call)
    return policy, number


def _no_such_version(call: Call) -> IAMError:
    return not_attachable(f"{call.request.text('PolicyArn')} version {call.request.text('VersionId')[:32]}")


def list_entities_for_policy(call: Call) -> Document:
    """Users, groups and roles make one listing, which pages go through."""
    request = call.request
    policy = permitted_policy(call, "iam:ListEntitiesForPolicy")
    usage, prefix = request.text_or_none("PolicyUsageFilter"), request.text_or_none("PathPrefix") or "/"
    wanted = request.text_or_none("EntityFilter")
    entities: dict[str, Entity] = {}
    for as_boundary in (False, True):
        if usage in {None, "PermissionsBoundary" if as_boundary else "PermissionsPolicy"}:
            found = call.store.entities_of_policy(call.account_id, policy.arn, as_boundary=as_boundary)
            entities |= {each.entity_id: each for each in found if each.path.startswith(prefix)}
    asked_for = (each for each in entities.values() if wanted in {None, each.kind.title()})
    told, more = part(request, asked_for, lambda each: f"{each.kind}/{entity_position(each)}")
    lists: dict[str, list[Value]] = {f"Policy{kind.title()}s": [] for kind in EntityKind}
    for each in told:
        lists[f"Policy{each.kind.title()}s"].append(_entity_document(each))
    return {**lists, **more}


def _entity_document(entity: Entity) -> Document:
    return {f"{entity.kind.title()}Name": entity.name, f"{entity.kind.title()}Id": entity.entity_id}


def tag_policy(call: Call) -> None:
    tags = new_tags(call, regard_case)
    policy = permitted_policy(call, "iam:TagPolicy", requested_tags(tags), is_changed=True)
    call.store.tag_policy(call.account_id, policy.arn, tags)


def untag_policy(call: Call) -> None:
    keys = call.request.texts("TagKeys")
    policy = permitted_policy(call, "iam:UntagPolicy", tag_keys(keys), is_changed=True)
    call.store.untag_policy(call.account_id, policy.arn, keys)


def list_policy_tags(call: Call) -> Document:
    policy = permitted_policy(call, "iam:ListPolicyTags")
    return tag_page(call, policy.tags)
