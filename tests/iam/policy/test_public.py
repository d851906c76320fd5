from __future__ import annotations

import json
from typing import Any

import pytest

from iam.policy.bucket import parse_bucket_policy
from iam.policy.public import is_public

ARN = "arn:aws:iam::123456789012:user/ann"


def policy(principal: object = "*", effect: str = "Allow", **condition: dict[str, object]) -> str:
    statement: dict[str, Any] = {
        "Effect": effect,
        "Principal": principal,
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::bucket/*",
        "Condition": condition,
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    parse_bucket_policy(text, "bucket")
    return text


PUBLIC: dict[str, str] = {
    "everyone": policy(),
    "every principal of AWS": policy({"AWS": "*"}),
    "everyone among others": policy({"AWS": [ARN, "*"]}),
    "wherever from": policy(IpAddress={"aws:SourceIp": "0.0.0.0/0"}),
    "half the internet": policy(IpAddress={"aws:SourceIp": ["10.0.0.0/8", "128.0.0.0/1"]}),
    "most of IPv6": policy(IpAddress={"aws:SourceIp": "2000::/3"}),
    "but from some": policy(NotIpAddress={"aws:SourceIp": "192.0.2.0/24"}),
    "a variable": policy(StringEquals={"aws:SourceVpc": "${aws:PrincipalTag/vpc}"}),
    "a wildcard": policy(StringLike={"aws:SourceVpc": "vpc-*"}),
    "one fixed and one that is not": policy(StringLike={"aws:SourceVpc": ["vpc-1", "*"]}),
    "if it exists": policy(StringEqualsIfExists={"aws:SourceVpc": "vpc-1"}),
    "all of none": policy(**{"ForAllValues:StringEquals": {"aws:SourceVpc": "vpc-1"}}),
    "another key": policy(StringEquals={"aws:Referer": "public/"}),
    "the referrer": policy(StringLike={"aws:Referer": "https://example.com/*"}),
    "not one": policy(StringNotEquals={"aws:SourceVpc": "vpc-1"}),
}

NOT_PUBLIC: dict[str, str] = {
    "a user": policy({"AWS": ARN}),
    "an account": policy({"AWS": "123456789012"}),
    "a service": policy({"Service": "logging.s3.amazonaws.com"}),
    "a canonical user": policy({"CanonicalUser": "0" * 64}),
    "nobody": policy(effect="Deny"),
    "a network": policy(IpAddress={"aws:SourceIp": "192.0.2.0/24"}),
    "private networks": policy(IpAddress={"aws:SourceIp": ["10.0.0.0/8", "172.16.0.0/12", "2001:db8::/32"]}),
    "a VPC": policy(StringEquals={"aws:SourceVpc": "vpc-1"}),
    "one of two": policy(**{"ForAnyValue:StringLike": {"AWS:SourceVpce": ["vpce-1", "vpce-2"]}}),
    "with another condition": policy(StringLike={"aws:Referer": "*"}, ArnEquals={"aws:SourceArn": ARN}),
    "what nothing equals": policy(StringEquals={"aws:Referer": []}),
}


@pytest.mark.parametrize("text", PUBLIC.values(), ids=PUBLIC)
def test_public(text: str) -> None:
    assert is_public(text)


@pytest.mark.parametrize("text", NOT_PUBLIC.values(), ids=NOT_PUBLIC)
def test_not_public(text: str) -> None:
    assert not is_public(text)


def test_one_public_statement_is_enough() -> None:
    statements = [json.loads(text)["Statement"][0] for text in (NOT_PUBLIC["a user"], PUBLIC["everyone"])]
    assert is_public(json.dumps({"Version": "2012-10-17", "Statement": statements}))


def test_everyone_but_some_is_public() -> None:
    document = json.loads(policy())
    statement = document["Statement"][0]
    statement["NotPrincipal"] = {"AWS": ARN}
    del statement["Principal"]
    document["Statement"] = statement
    assert is_public(json.dumps(document))
