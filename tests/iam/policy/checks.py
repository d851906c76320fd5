"""Short ways to write policies, principals and requests for the tests of the evaluator."""

from __future__ import annotations

import json
from collections.abc import Mapping

from iam.policy.document import PolicyKind
from iam.policy.evaluation import AccessRequest, NamedPolicy, PoliciesInForce
from iam.policy.parse import parse_policy
from iam.principals import Principal, PrincipalKind, root_principal

ACCOUNT = "111122223333"
OTHER = "444455556666"
KEY_ARN = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
USER_ARN = f"arn:aws:iam::{ACCOUNT}:user/alice"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/reader"
SESSION_ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/s1"
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"

USER = Principal(PrincipalKind.USER, ACCOUNT, USER_ARN, "AIDAALICE0000000000A")
SESSION = Principal(PrincipalKind.ROLE_SESSION, ACCOUNT, SESSION_ARN, "AROAREADER000000000A:s1")
FEDERATED = Principal(
    PrincipalKind.FEDERATED_USER,
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
    f"{ACCOUNT}:bob",
    issuer_arn=USER_ARN,
    issuer_id="AIDAALICE0000000000A",
)
ROOT = root_principal(ACCOUNT)
STRANGER = Principal(PrincipalKind.USER, OTHER, f"arn:aws:iam::{OTHER}:user/bob", "AIDABOB0000000000000")
OTHER_ROOT = root_principal(OTHER)
ANONYMOUS = Principal(PrincipalKind.ANONYMOUS, "", "", "")


def document(*statements: Mapping[str, object], version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def statement(
    effect: str = "Allow", action: object = "kms:*", resource: object = "*", **more: object
) -> dict[str, object]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def identity(*statements: Mapping[str, object], name: str = "identity") -> NamedPolicy:
    return NamedPolicy(name, parse_policy(document(*statements), PolicyKind.IDENTITY))


def resource(*statements: Mapping[str, object]) -> NamedPolicy:
    return NamedPolicy("key policy", parse_policy(document(*statements), PolicyKind.KEY))


def request(
    principal: Principal = USER,
    action: str = "kms:Decrypt",
    context: Mapping[str, tuple[str, ...]] | None = None,
    resource_arn: str = KEY_ARN,
) -> AccessRequest:
    return AccessRequest(principal, action, resource_arn, ACCOUNT, context or {})


NOTHING = PoliciesInForce()
