"""Managed policies as values: those of an account, and the few of AWS's own that are known here.

Source: IAM User Guide, "Managed policies and inline policies", "Versioning IAM policies", "IAM and AWS STS quotas".
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass

from iam.tags import Tags

AWS_ACCOUNT_ID = "aws"
"""Where an ARN has an account id, for the policies that are AWS's."""

MAX_POLICY_CHARACTERS = 6144
"""Of one version, white space not counted."""
MAX_POLICIES = 1500
"""Of an account."""
MAX_VERSIONS = 5

_ARN = re.compile(r"arn:aws:iam::(?P<account>aws|[0-9]{12}):policy/(?:[!-.0-~]+/)*(?P<name>[A-Za-z0-9_+=,.@-]{1,128})")
_VERSION_ID = re.compile(r"v([1-9][0-9]{0,8})")
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """`attachments` are the entities that it is attached to, `boundary_uses` those whose permissions boundary it is."""

    policy_id: str
    account_id: str
    name: str
    path: str
    description: str
    created_us: int
    updated_us: int
    default_version: int
    tags: Tags = ()
    attachments: int = 0
    boundary_uses: int = 0

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:policy{self.path}{self.name}"


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """`number` counts from 1, and is never used again."""

    number: int
    document: str
    is_default: bool
    created_us: int

    @property
    def version_id(self) -> str:
        return f"v{self.number}"


def policy_name_of(arn: str) -> str:
    """The name at the end of a managed policy's ARN. Raises ValueError for what is no such ARN."""
    found = _ARN.fullmatch(arn)
    if found is None:
        raise ValueError("an ARN of a managed policy is arn:aws:iam::ACCOUNT:policy/PATH/NAME")
    return found["name"]


def account_of(arn: str) -> str | None:
    """The account id in a managed policy's ARN, or AWS_ACCOUNT_ID; None for what is no such ARN."""
    found = _ARN.fullmatch(arn)
    return None if found is None else found["account"]


def parse_version_id(text: str) -> int | None:
    """None for what no version here is called."""
    found = _VERSION_ID.fullmatch(text)
    return None if found is None else int(found[1])


def new_policy_id() -> str:
    """`ANPA` and 17 characters of base32, the shape of AWS's."""
    return "ANPA" + "".join(secrets.choice(_BASE32) for _ in range(17))


def _aws_managed(
    policy_id: str, name: str, description: str, *, version: int, created: int, updated: int, actions: str
) -> tuple[ManagedPolicy, PolicyVersion]:
    """`actions` stand with blanks between them; times in seconds."""
    listed = actions.split()
    statement = {"Effect": "Allow", "Action": listed if len(listed) > 1 else actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=4)
    updated_us = updated * 1_000_000
    policy = ManagedPolicy(
        policy_id, AWS_ACCOUNT_ID, name, "/", description, created * 1_000_000, updated_us, default_version=version
    )
    return policy, PolicyVersion(version, document, is_default=True, created_us=updated_us)


AWS_MANAGED = {
    policy.arn: (policy, version)
    for policy, version in (
        _aws_managed(
            "ANPAIWMBCKSKIEE64ZLYK",
            "AdministratorAccess",
            "Provides full access to AWS services and resources.",
            version=1,
            created=1423247986,
            updated=1423247986,
            actions="*",
        ),
        _aws_managed(
            "ANPAIFIR6V6BVTRAHWINE",
            "AmazonS3FullAccess",
            "Provides full access to all buckets via the AWS Management Console.",
            version=2,
            created=1423248058,
            updated=1632773797,
            actions="s3:* s3-object-lambda:*",
        ),
        _aws_managed(
            "ANPAIZTJ4DXE7G6AGAE6M",
            "AmazonS3ReadOnlyAccess",
            "Provides read only access to all buckets via the AWS Management Console.",
            version=3,
            created=1423248059,
            updated=1691703099,
            actions="s3:Get* s3:List* s3:Describe* s3-object-lambda:Get* s3-object-lambda:List*",
        ),
        _aws_managed(
            "ANPAJNPP7PPPPMJRV2SA4",
            "AWSKeyManagementServicePowerUser",
            "Provides access to AWS Key Management Service (KMS).",
            version=2,
            created=1423248040,
            updated=1488848111,
            actions=(
                "kms:CreateAlias kms:CreateKey kms:DeleteAlias kms:Describe* kms:GenerateRandom kms:Get* kms:List* "
                "kms:TagResource kms:UntagResource iam:ListGroups iam:ListRoles iam:ListUsers"
            ),
        ),
        _aws_managed(
            "ANPAI7XKCFMBPM3QQRRVQ",
            "IAMFullAccess",
            "Provides full access to IAM via the AWS Management Console.",
            version=2,
            created=1423248038,
            updated=1561146000,
            actions=(
                "iam:* organizations:DescribeAccount organizations:DescribeOrganization "
                "organizations:DescribeOrganizationalUnit organizations:DescribePolicy organizations:ListChildren "
                "organizations:ListParents organizations:ListPoliciesForTarget organizations:ListRoots "
                "organizations:ListPolicies organizations:ListTargetsForPolicy"
            ),
        ),
        _aws_managed(
            "ANPAJKSO7NDY4T57MWDSQ",
            "IAMReadOnlyAccess",
            "Provides read only access to IAM via the AWS Management Console.",
            version=4,
            created=1423248039,
            updated=1516907487,
            actions=(
                "iam:GenerateCredentialReport iam:GenerateServiceLastAccessedDetails iam:Get* iam:List* "
                "iam:SimulateCustomPolicy iam:SimulatePrincipalPolicy"
            ),
        ),
    )
}
"""Those of AWS's own policies whose services are here, with their default versions, by ARN. Source: AWS Managed Policy
Reference Guide."""
