"""Callers with policies, and keys with policies, for the tests of who may use a key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from iam.principals import Caller, IdentityPolicies, PolicyText, Principal, PrincipalKind, root_principal
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.service import KeyService
from tests.conformance.key_service import REGION

ACCOUNT = "111122223333"
OTHER = "444455556666"
ROOT = Caller(root_principal(ACCOUNT), "R")
ROOT_ARN = ROOT.principal.arn
S3 = f"s3.{REGION}.amazonaws.com"


def document(*statements: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(action: object = "kms:*", effect: str = "Allow", **more: object) -> dict[str, object]:
    return {"Effect": effect, "Action": action, "Resource": "*", **more}


def policies(*statements: Mapping[str, object]) -> IdentityPolicies:
    return (
        IdentityPolicies(identity=(PolicyText("policy Own", document(*statements)),))
        if statements
        else (IdentityPolicies())
    )


def user(name: str = "alice", *statements: Mapping[str, object], account_id: str = ACCOUNT) -> Caller:
    principal = Principal(PrincipalKind.USER, account_id, f"arn:aws:iam::{account_id}:user/{name}", f"AIDA{name}")
    return Caller(principal, "R", policies=policies(*statements))


def session(role: str = "reader", *statements: Mapping[str, object]) -> Caller:
    principal = Principal(
        PrincipalKind.ROLE_SESSION, ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/s", f"AROA{role}:s"
    )
    return Caller(principal, "R", policies=policies(*statements))


def to(*arns: str, action: object = "kms:*", effect: str = "Allow", **more: object) -> dict[str, object]:
    """A statement of a key policy."""
    return statement(action, effect, Principal={"AWS": list(arns)}, **more)


OWNER = to(ROOT_ARN, action=["kms:Put*", "kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant", "kms:TagResource"])
"""Keeps the root user in control of a key, and gives nothing else away."""


async def key_with(service: KeyService, *statements: Mapping[str, object]) -> t.KeyMetadata:
    """A key of ACCOUNT; with the default policy if no statements are given."""
    policy = document(*statements) if statements else None
    return await service.call(ROOT, t.CreateKey(policy=policy, bypass_policy_lockout_safety_check=True))


async def outcome(service: KeyService, caller: Caller, request: t.Request[object]) -> str:
    """ "ok", or the code of the refusal; of a dry run that would succeed, "ok" too."""
    try:
        await service.call(caller, request)
    except KMSError as error:
        return "ok" if error.code == "DryRunOperationException" else error.code
    return "ok"


def via_s3(caller: Caller) -> Caller:
    return replace(caller, via_service=S3)


DENIED = "AccessDeniedException"
