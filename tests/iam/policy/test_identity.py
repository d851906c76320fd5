"""What IAM answers to documents that are no identity-based policies: recorded from IAM by moto's tests of policies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iam.policy.document import PolicyKind
from iam.policy.errors import PolicyError
from iam.policy.parse import parse_policy

GOOD: dict[str, Any] = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::example_bucket"}
SYNTAX = "Syntax errors in policy."
VERSION = "Policy document must be version 2012-10-17 or greater."
LEGACY = "The policy failed legacy parsing"
ACTIONS = "Policy statement must contain actions."
RESOURCES = "Policy statement must contain resources."
VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
COLONS = "Actions/Condition can contain only one colon."
SIDS = "Statement IDs (SID) in a single policy must be unique."
IAM_PATH = (
    'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/,'
    " server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/."
)


def with_(**changes: Any) -> dict[str, Any]:
    """A good statement with other members; those that are None are left out."""
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not None}


def under(operator: str, values: Any) -> dict[str, Any]:
    return with_(Condition={operator: {"a": values}})


def document(*statements: Any, **top: Any) -> str:
    whole = {"Version": "2012-10-17", "Statement": list(statements), **top}
    return json.dumps({name: value for name, value in whole.items() if value is not None})


REFUSED: list[tuple[str, str]] = [
    ("This is not a json document", SYNTAX),
    (document(GOOD, Version=None), VERSION),
    (document(GOOD, Version="2008-10-17"), VERSION),
    (document(GOOD, Version="2013-10-17"), SYNTAX),
    (document(Statement=None), SYNTAX),
    (document("afd"), SYNTAX),
    (document(), SYNTAX),
    (document(GOOD, **{"Extra field": "value"}), SYNTAX),
    (document(with_(**{"Extra field": "value"})), SYNTAX),
    (document(GOOD, Id=["cd3a324d2343d942772346-34234234423404"]), SYNTAX),
    (document(GOOD, Id={}), SYNTAX),
    # Effect
    (document(with_(Effect=None)), SYNTAX),
    (document(with_(Effect="invalid")), SYNTAX),
    (document(with_(Effect="denY")), LEGACY),
    (document(with_(Effect="denY"), Version=None), VERSION),
    (document(with_(Effect="allow", Action=None, Resource="arn:aws:s3:us-east-1::example_bucket")), LEGACY),
    (document(with_(Effect="aLLow", Sid="sdf"), {"Sid": "sdf", "Effect": "Allow"}), LEGACY),
    # Sid
    (document(with_(Sid={})), SYNTAX),
    (document(with_(Sid=[])), SYNTAX),
    (document(with_(Sid="sdf"), {"Sid": "sdf", "Effect": "Allow"}), SIDS),
    (document(with_(Sid="sdf"), {"Sid": "sdf", "Effect": "Allow"}, Version=None), VERSION),
    # Action
    (document(with_(Action="invalid")), VENDOR),
    (document(with_(Action=None, NotAction="")), VENDOR),
    (document(with_(Action="invalid", Resource=None)), VENDOR),
    (document(with_(Action="a a:ListBucket")), "Vendor a a is not valid"),
    (document(with_(Action="s3:List:Bucket")), COLONS),
    (document(with_(Action="s3s:ListBucket"), with_(Action="s:3s:ListBucket")), COLONS),
    (document(with_(Action=None)), ACTIONS),
    (document({"Effect": "Allow"}), ACTIONS),
    (document(with_(Action=[])), ACTIONS),
    (document({"Effect": "Deny"}, GOOD), ACTIONS),
    (document(with_(Action=[[]])), SYNTAX),
    (document(with_(Action={})), SYNTAX),
    (document(with_(NotAction="s3s:ListBucket", Action=[])), SYNTAX),
    (document(with_(NotAction="s3:ListBucket", Action="iam:dsf")), SYNTAX),
    # Resource
    (document(with_(Resource="invalid resource")), 'Resource invalid resource must be in ARN format or "*".'),
    (document(with_(Resource="")), 'Resource  must be in ARN format or "*".'),
    (document(with_(Resource=["adf"])), 'Resource adf must be in ARN format or "*".'),
    (document(with_(Action="s:3:ListBucket", Resource="sdfsadf")), 'Resource sdfsadf must be in ARN format or "*".'),
    (
        document(with_(Action=None, NotAction="s3s:ListBucket", Resource="a:bsdfdsafsad")),
        'Partition "bsdfdsafsad" is not valid for resource "arn:bsdfdsafsad:*:*:*:*".',
    ),
    (document(with_(Resource="a:b:cadfsdf")), 'Partition "b" is not valid for resource "arn:b:cadfsdf:*:*:*".'),
    (document(with_(Resource="a:b:c:d:e:f:g:h")), 'Partition "b" is not valid for resource "arn:b:c:d:e:f:g:h".'),
    (
        document(with_(Resource="aws:s3:::example_bucket")),
        'Partition "s3" is not valid for resource "arn:s3:::example_bucket:*".',
    ),
    (
        document(with_(Resource=["arn:error:s3:::example_bucket", "arn:error:s3::example_bucket"])),
        'Partition "error" is not valid for resource "arn:error:s3:::example_bucket".',
    ),
    (document(with_(Resource=None)), RESOURCES),
    (document(with_(Resource=[])), RESOURCES),
    (document(with_(Resource={"a": "arn:aws:s3:::example_bucket"})), SYNTAX),
    (document(with_(Effect="Deny", Resource=["adfdf", {}])), SYNTAX),
    (document(with_(NotResource=[])), SYNTAX),
    (document(with_(NotResource="*")), SYNTAX),
    (document(with_(Resource="arn:aws:iam:::example_bucket")), IAM_PATH),
    (document(with_(Resource="arn:aws:s3::example_bucket")), LEGACY),
    (document(with_(Action=None, Resource="arn:aws:s3::example_bucket")), LEGACY),
    (document(with_(Resource=None, NotResource="arn:aws:s3::example_bucket")), LEGACY),
    (document(with_(Resource="arn:aws::::example_bucket")), LEGACY),
    (document(with_(Resource="arn:aws::fdsasf")), LEGACY),
    (
        document(with_(Resource="arn:aws")),
        "Resource vendor must be fully qualified and cannot contain regexes.",
    ),
    (
        document(with_(Resource="arn:aws:iam:us-east-1::example_bucket")),
        "IAM resource arn:aws:iam:us-east-1::example_bucket cannot contain region information.",
    ),
    (
        document(with_(Resource="arn:aws:s3:us-east-1::example_bucket")),
        "Resource arn:aws:s3:us-east-1::example_bucket can not contain region information.",
    ),
    # Condition
    (document(with_(Condition=[])), SYNTAX),
    (document(with_(Condition="a")), SYNTAX),
    (document(with_(Condition={"a": "b"})), SYNTAX),
    (document(with_(Condition={"DateGreaterThan": "b"})), SYNTAX),
    (document(with_(Condition={"DateGreaterThan": []})), SYNTAX),
    (document(under("DateGreaterThan", {})), SYNTAX),
    (document(with_(Action=None, Condition={"DateGreaterThan": {"a": {}}})), SYNTAX),
    (document(under("x", "1")), SYNTAX),
    (document(under("ForAnyValue::StringEqualsIfExists", "asf")), SYNTAX),
    (document(with_(Condition=[{"ForAllValues:StringEquals": {"aws:TagKeys": "Department"}}])), SYNTAX),
    (document(under("DateGreaterThan", "sdfdsf")), LEGACY),
    (document(under("DateGreaterThan", "sdfdsf"), Version=None), VERSION),
    (document(with_(Action=None, Condition={"DateGreaterThan": {"a": "sdfdsf"}})), LEGACY),
    (document(under("DateLessThanEquals", "234-13")), LEGACY),
    (document(under("DateLessThanEquals", "2016-12-13t2:00:00.593194+1")), LEGACY),
    (document(under("DateLessThanEquals", "2016-12-13t2:00:00.1999999999+10:59")), LEGACY),
    (document(under("DateLessThan", "9223372036854775808")), LEGACY),
    (document({**under("DateGreaterThan", "sdfdsf"), "Resource": "arn:error:s3:::example_bucket"}), LEGACY),
    # Not in those tests
    (document(with_(Principal="*")), "Policy document should not specify a principal."),
    (document(with_(Principal={"AWS": "*"}, Resource=None)), "Policy document should not specify a principal."),
    (
        document(with_(Resource="arn:aws:s*:::b")),
        "Resource vendor must be fully qualified and cannot contain regexes.",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_is_no_policy_is_answered_as_iam_does(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(text, PolicyKind.IDENTITY)
    assert refused.value.message == message


TAKEN: list[dict[str, Any]] = [
    GOOD,
    with_(Action="iam: asdf safdsf af "),
    with_(Resource=["arn:aws:s3:::example_bucket", "*"]),
    with_(Action="*"),
    with_(Action="service-prefix:action-name", Resource="*"),
    with_(Action="fsx:ListBucket"),
    with_(Action="s3.s:ListBucket"),
    with_(Action="s3-s:ListBucket"),
    with_(Action="aaaaaadsfdsafsadfsadfaaaaa:ListBucket"),
    with_(Action=None, NotAction="s3:ListBucket"),
    with_(Action=None, NotAction="s3:ListBucket", Resource=None, NotResource="*"),
    with_(Resource=None, NotResource=["arn:aws:s3:::HRBucket/Payroll", "arn:aws:s3:::HRBucket/Payroll/*"]),
    with_(Resource="arn:aws:iam:::user/example_bucket"),
    with_(Resource="arn:aws:iam::*:user/${aws:username}"),
    with_(Resource="arn:aws:s33:::example_bucket"),
    with_(Resource="arn:aws:fdsasf"),
    with_(Resource="arn:aws:cloudwatch:us-east-1::example_bucket"),
    with_(Resource="arn:aws:invalid-service:us-east-1::example_bucket"),
    with_(Resource="arn:aws:s3:us-east-1:111122223333:accesspoint/a"),
    with_(Resource="arn:aws:s3:us-east-1:111122223333:job/0f0e0d0c-1111-4222-8333-abcdefabcdef"),
    with_(Condition={}),
    with_(Condition={"DateGreaterThan": {}}),
    with_(Condition={"a": {}}),
    with_(Condition={"x": {}, "y": {}}),
    under("DateGreaterThan", []),
    under("DateGreaterThan", "01T"),
    under("DateLessThanEquals", "2019-07-01T13:20:15Z"),
    under("DateLessThanEquals", "2016-12-13T21:20:37.593194+00:00"),
    under("DateLessThanEquals", "2016-12-13t2:00:00.593194+23"),
    under("DateLessThan", "-292275054"),
    under("DateLessThan", "2026-06"),
    under("StringEqualsIfExists", "asf"),
    under("ForAnyValue:StringEqualsIfExists", "asf"),
    with_(Sid="dsfsdfsdfsdfsdfsadfsd"),
    with_(Sid=""),
]


@pytest.mark.parametrize("statement", TAKEN)
def test_what_iam_takes_is_taken(statement: dict[str, Any]) -> None:
    assert len(parse_policy(document(statement), PolicyKind.IDENTITY).statements) == 1


def test_messages_quote_a_bounded_part_of_what_is_wrong() -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(document(with_(Resource="x" * 100_000)), PolicyKind.IDENTITY)
    assert len(refused.value.message) < 300
