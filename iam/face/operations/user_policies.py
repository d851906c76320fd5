"""The policies of a user: those that are part of it, those that are attached to it, and its permissions boundary."""

from __future__ import annotations

from urllib.parse import quote

from iam.face.call import Call, Document
from iam.face.errors import IAMError, no_such_entity
from iam.face.identities import boundary_key, permitted_user, policy_arn, policy_position
from iam.face.paging import page
from iam.face.translate import not_attachable
from iam.managed_policies import ManagedPolicy
from iam.policy.errors import PolicyError
from iam.principals import PolicyText
from iam.store.interface import NoSuchManagedPolicy


def put_user_policy(call: Call) -> None:
    """In force for every request that comes after the answer, in every process."""
    request = call.request
    user = permitted_user(call, "iam:PutUserPolicy")
    policy = PolicyText(request.text("PolicyName"), request.text("PolicyDocument"))
    try:
        call.store.put_user_policy(call.account_id, user.name, policy)
    except PolicyError as error:
        raise malformed(error) from error


def malformed(error: PolicyError) -> IAMError:
    return IAMError("MalformedPolicyDocument", error.message)


def get_user_policy(call: Call) -> Document:
    user = permitted_user(call, "iam:GetUserPolicy")
    name = call.request.text("PolicyName")
    for policy in call.store.user_policies(call.account_id, user.name):
        if policy.name == name:
            return {"UserName": user.name, "PolicyName": name, "PolicyDocument": encoded(policy.text)}
    raise no_such_entity("user policy", name)


def encoded(document: str) -> str:
    """A policy document as IAM tells it: percent-encoded (RFC 3986)."""
    return quote(document, safe="")


def list_user_policies(call: Call) -> Document:
    user = permitted_user(call, "iam:ListUserPolicies")
    names = (policy.name for policy in call.store.user_policies(call.account_id, user.name))
    return page(call.request, "PolicyNames", names, lambda name: name, lambda name: name)


def delete_user_policy(call: Call) -> None:
    user = permitted_user(call, "iam:DeleteUserPolicy")
    call.store.delete_user_policy(call.account_id, user.name, call.request.text("PolicyName"))


def attach_user_policy(call: Call) -> None:
    arn = policy_arn(call, "PolicyArn")
    user = permitted_user(call, "iam:AttachUserPolicy", {"iam:policyarn": (arn,)})
    try:
        call.store.attach_user_policy(call.account_id, user.name, arn)
    except NoSuchManagedPolicy as error:
        raise not_attachable(arn) from error


def detach_user_policy(call: Call) -> None:
    arn = policy_arn(call, "PolicyArn")
    user = permitted_user(call, "iam:DetachUserPolicy", {"iam:policyarn": (arn,)})
    call.store.detach_user_policy(call.account_id, user.name, arn)


def list_attached_user_policies(call: Call) -> Document:
    user = permitted_user(call, "iam:ListAttachedUserPolicies")
    prefix = call.request.text_or_none("PathPrefix") or "/"
    attached = call.store.attached_user_policies(call.account_id, user.name)
    told = (policy for policy in attached if policy.path.startswith(prefix))
    return page(call.request, "AttachedPolicies", told, policy_position, _attached_document)


def _attached_document(policy: ManagedPolicy) -> Document:
    return {"PolicyName": policy.name, "PolicyArn": policy.arn}


def put_user_permissions_boundary(call: Call) -> None:
    arn = policy_arn(call, "PermissionsBoundary")
    user = permitted_user(call, "iam:PutUserPermissionsBoundary", boundary_key(arn))
    try:
        call.store.set_user_boundary(call.account_id, user.name, arn)
    except NoSuchManagedPolicy as error:
        raise not_attachable(arn) from error


def delete_user_permissions_boundary(call: Call) -> None:
    user = permitted_user(call, "iam:DeleteUserPermissionsBoundary")
    call.store.set_user_boundary(call.account_id, user.name, None)
