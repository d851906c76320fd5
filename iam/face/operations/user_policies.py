"""PutUserPolicy, GetUserPolicy, ListUserPolicies, DeleteUserPolicy: the policies that are part of a user."""

from __future__ import annotations

from urllib.parse import quote

from iam.face.call import Call, Document
from iam.face.errors import IAMError, no_such_entity
from iam.face.identities import permitted_user
from iam.face.paging import page
from iam.policy.errors import PolicyError
from iam.principals import PolicyText


def put_user_policy(call: Call) -> None:
    """In force for every request that comes after the answer, in every process."""
    request = call.request
    user = permitted_user(call, "iam:PutUserPolicy")
    policy = PolicyText(request.text("PolicyName"), request.text("PolicyDocument"))
    try:
        call.store.put_user_policy(call.account_id, user.name, policy)
    except PolicyError as error:
        raise IAMError("MalformedPolicyDocument", error.message) from error


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
