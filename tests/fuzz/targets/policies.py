"""Policies: of identities, trust, keys and buckets; parsed, then asked about requests."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from iam.policy.bucket import parse_bucket_policy
from iam.policy.document import Policy, PolicyKind
from iam.policy.errors import PolicyError
from iam.policy.evaluation import AccessRequest, NamedPolicy, PoliciesInForce, evaluate, evaluate_key
from iam.policy.parse import parse_policy
from iam.policy.public import is_public
from iam.policy.text import spelt_keys, statement_spans
from kms.api.errors import KMSError
from kms.service.key_policies import parse_key_policy
from tests.fuzz.inputs import text_of
from tests.fuzz.target import check_bounded, target
from tests.iam.policy.checks import ACCOUNT, ANONYMOUS, KEY_ARN, ROOT, SESSION, STRANGER, USER

CONTEXT = {
    "aws:username": ("alice",),
    "aws:sourceip": ("192.0.2.7",),
    "aws:currenttime": (datetime(2026, 1, 2, tzinfo=UTC).isoformat(),),
    "aws:epochtime": ("1767312000",),
    "aws:securetransport": ("true",),
    "aws:principalarn": (USER.arn,),
    "aws:principaltag/team": ("blue",),
    "kms:encryptioncontext:a": ("b",),
    "kms:encryptioncontextkeys": ("a", "c"),
    "s3:prefix": ("photos/" + "a" * 40,),
    "s3:x-amz-acl": ("private",),
}

_WORDS = (
    b'"Version":"2012-10-17"', b'"Version":"2008-10-17"', b'"Statement":[', b'"Sid":"a"', b'"Effect":"Allow"',
    b'"Effect":"Deny"', b'"Principal":"*"', b'"Principal":{"AWS":', b'"NotPrincipal":{', b'"Service":', b'"Federated":',
    b'"CanonicalUser":', b'"Action":"*"', b'"NotAction":', b'"Resource":"*"', b'"NotResource":', b'"Condition":{',
    b'"StringEquals":{', b'"StringLike":{', b'"ForAllValues:StringLike":{', b'"ForAnyValue:StringNotEquals":{',
    b'"NumericLessThanEquals":{', b'"DateGreaterThan":{', b'"Bool":{', b'"BinaryEquals":{', b'"IpAddress":{',
    b'"ArnLike":{',
    b'"Null":{', b'IfExists":', b'"aws:username":', b'"aws:SourceIp":', b'"aws:CurrentTime":', b'"s3:prefix":',
    b"${aws:username}",
    b"${aws:PrincipalTag/team, 'x'}", b"${*}", b"${$}", b"${", b"arn:aws:s3:::bucket/*",
    b"arn:aws:kms:*:111122223333:key/*",
    b"arn:aws:iam::111122223333:root", b"arn:aws:iam::111122223333:user/alice", b'"192.0.2.0/24"', b'"2001:db8::/32"',
    b'"2026-01-01T00:00:00Z"', b'"1e400"', b"a*a*a*a*a*a*a*b", b"?", b"s3:GetObject", b"kms:Decrypt",
)  # fmt: skip


@target("policy", *_WORDS)
def policy(data: bytes) -> str:
    """Text is refused by PolicyError, bounded, or it is a policy that every request can be decided by.

    What is a policy of a kind is JSON as Python's own reader sees it, too; its statements and the keys that it asks for
    are found in the text.
    """
    outcomes = []
    for kind in PolicyKind:
        try:
            parsed = parse_policy(data, kind)
        except PolicyError as error:
            outcomes.append(_refused(error, data))
            continue
        json.loads(data)
        _check_told(parsed, data.decode("utf-8"))
        outcomes.append(_decided(parsed, kind))
    return " ".join(outcomes)


def _check_told(parsed: Policy, text: str) -> None:
    assert len(statement_spans(text)) == len(parsed.statements)
    assert {key.lower() for key in spelt_keys(text)} == parsed.condition_keys


@target("bucket-policy", *_WORDS, b"arn:aws:s3:::bucket", b"s3:*", b"s3:ListBucket", b"s3:Put*", b"s3:?*t")
def bucket_policy(data: bytes) -> str:
    """The same of a policy for the bucket `bucket`; and whether it is public can be told."""
    try:
        parsed = parse_bucket_policy(text_of(data), "bucket")
    except PolicyError as error:
        return _refused(error, data)
    return f"{_decided(parsed, PolicyKind.BUCKET)} {is_public(text_of(data))}"


@target("key-policy", *_WORDS)
def key_policy(data: bytes) -> str:
    """A key's policy is refused by KMSError, or every request can be decided by it."""
    try:
        parsed = parse_key_policy(data.decode("utf-8", "replace"))
    except KMSError as error:
        check_bounded(len(error.message.encode()), len(data))
        return error.code
    return _decided(parsed, PolicyKind.KEY)


def _refused(error: PolicyError, data: bytes) -> str:
    check_bounded(len(error.message.encode()), len(data))
    check_bounded(len(repr(error)), len(data))
    return error.fault.name


def _decided(parsed: Policy, kind: PolicyKind) -> str:
    outcomes = set()
    named = NamedPolicy("policy", parsed)
    attached = kind in (PolicyKind.IDENTITY, PolicyKind.TRUST)
    for principal in (USER, ROOT, SESSION, STRANGER, ANONYMOUS):
        for action, arn in (("s3:GetObject", f"arn:aws:s3:::bucket/{'a' * 60}"), ("kms:Decrypt", KEY_ARN)):
            request = AccessRequest(principal, action, arn, ACCOUNT, CONTEXT)
            forced = PoliciesInForce((named,)) if attached else PoliciesInForce(resource=named)
            decide = evaluate_key if kind is PolicyKind.KEY else evaluate
            decision = decide(request, forced)
            if not decision.is_allowed:
                assert decision.because(action)
            outcomes.add(decision.outcome.name)
    assert all(statement.label for statement in parsed.statements)
    return "+".join(sorted(outcomes))
