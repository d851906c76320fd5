from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iam.policy.bucket import parse_bucket_policy
from iam.policy.cache import PolicyCache
from iam.policy.document import PolicyKind
from iam.policy.errors import MESSAGES, Fault, PolicyError
from iam.policy.parse import MAX_BYTES, parse_policy
from tests.iam.policy.checks import ROOT_ARN, document, statement

WITH_PRINCIPAL = {**statement(), "Principal": "*"}
KEY, BUCKET, IDENTITY, TRUST = PolicyKind.KEY, PolicyKind.BUCKET, PolicyKind.IDENTITY, PolicyKind.TRUST
ANYONE = {"AWS": "*"}


def changed(**changes: object) -> str:
    """A key policy with members of its statement replaced; None takes them out."""
    return document({name: value for name, value in {**WITH_PRINCIPAL, **changes}.items() if value is not None})


REFUSED = [
    (KEY, "", Fault.NOT_JSON),
    (KEY, "[]", Fault.NOT_JSON),
    (KEY, "{", Fault.NOT_JSON),
    (KEY, '{"a": NaN}', Fault.NOT_JSON),
    (KEY, "[" * 20_000, Fault.NOT_JSON),
    (KEY, "\ud800", Fault.NOT_JSON),
    (KEY, " " * 32_769, Fault.TOO_LARGE),
    (BUCKET, " " * 20_481, Fault.TOO_LARGE),
    (KEY, "{}", Fault.MISSING_STATEMENT),
    (KEY, '{"Statement": []}', Fault.SYNTAX),
    (KEY, '{"Statement": [1]}', Fault.SYNTAX),
    (KEY, '{"Statement": [{"Effect": "Allow", "Effect": "Deny"}]}', Fault.SYNTAX),
    (KEY, document(WITH_PRINCIPAL, version="2015-10-17"), Fault.VERSION),
    (KEY, json.dumps({"Version": [], "Statement": [WITH_PRINCIPAL]}), Fault.VERSION),
    (IDENTITY, document(statement(), version="2008-10-17"), Fault.VERSION),
    (KEY, json.dumps({"Statement": [WITH_PRINCIPAL], "Author": "me"}), Fault.UNKNOWN_ELEMENT),
    (KEY, changed(effect="Allow"), Fault.UNKNOWN_ELEMENT),
    (KEY, changed(Effect=None), Fault.MISSING_EFFECT),
    (KEY, changed(Effect="allow"), Fault.INVALID_EFFECT),
    (KEY, changed(Effect={}), Fault.INVALID_EFFECT),
    (KEY, changed(Sid=1), Fault.SYNTAX),
    (IDENTITY, document(statement(Sid="a b")), Fault.SYNTAX),
    (KEY, document({**WITH_PRINCIPAL, "Sid": "a"}, {**WITH_PRINCIPAL, "Sid": "a"}), Fault.DUPLICATE_SID),
    (KEY, changed(Principal=None), Fault.MISSING_PRINCIPAL),
    (IDENTITY, changed(), Fault.PROHIBITED_PRINCIPAL),
    (KEY, changed(NotPrincipal="*"), Fault.SYNTAX),
    (KEY, changed(NotAction="kms:*"), Fault.SYNTAX),
    (KEY, changed(NotResource="*"), Fault.SYNTAX),
    (KEY, changed(Principal="arn:aws:iam::1:root"), Fault.INVALID_PRINCIPAL),
    (KEY, changed(Principal=[]), Fault.INVALID_PRINCIPAL),
    (KEY, changed(Principal={}), Fault.INVALID_PRINCIPAL),
    (KEY, changed(Principal={"AWS": "123"}), Fault.INVALID_PRINCIPAL),
    (KEY, changed(Principal={"AWS": "arn:aws:iam::111122223333:user/*"}), Fault.INVALID_PRINCIPAL),
    (KEY, changed(Principal={"AWS": "arn:aws:iam::111122223333:group/g"}), Fault.INVALID_PRINCIPAL),
    (KEY, changed(Principal={"Service": "*"}), Fault.INVALID_PRINCIPAL),
    (KEY, changed(Principal={"GCP": "x"}), Fault.INVALID_PRINCIPAL),
    (KEY, changed(Principal={"AWS": [1]}), Fault.SYNTAX),
    (IDENTITY, document({"Effect": "Allow", "Resource": "*"}), Fault.MISSING_ACTION),
    (KEY, changed(Action="Decrypt"), Fault.INVALID_ACTION),
    (KEY, changed(Action="kms:De crypt"), Fault.INVALID_ACTION),
    (KEY, changed(Action="k*:Decrypt"), Fault.INVALID_ACTION),
    (KEY, changed(Action=[]), Fault.SYNTAX),
    (IDENTITY, document({"Effect": "Allow", "Action": "*"}), Fault.MISSING_RESOURCE),
    (IDENTITY, document(statement(resource="bucket/*")), Fault.INVALID_RESOURCE),
    (BUCKET, changed(Action="s3:*", Resource="bucket"), Fault.INVALID_RESOURCE),
    (TRUST, changed(Principal=ANYONE, Action="sts:AssumeRole"), Fault.PROHIBITED_RESOURCE),
    (
        TRUST,
        changed(Principal=ANYONE, Action="sts:AssumeRole", Resource=None, NotResource="*"),
        Fault.PROHIBITED_NOT_RESOURCE,
    ),
    (TRUST, changed(Principal=ANYONE, Action="*", Resource=None), Fault.INVALID_ACTION),
    (TRUST, changed(Principal=ANYONE, Action=["sts:AssumeRole", "s3:GetObject"], Resource=None), Fault.INVALID_ACTION),
    (TRUST, changed(Action="sts:*", Resource=None, Principal="*"), Fault.PROHIBITED_PRINCIPAL),
    (TRUST, changed(Action="sts:*", Resource=None, Principal=None), Fault.MISSING_PRINCIPAL),
    (TRUST, changed(Action="sts:*", Resource=None, Principal=None, NotPrincipal="*"), Fault.ALLOW_NOT_PRINCIPAL),
    (
        TRUST,
        changed(Effect="Deny", Action="sts:*", Resource=None, Principal=None, NotPrincipal="*"),
        Fault.PROHIBITED_NOT_PRINCIPAL,
    ),
    (KEY, changed(Condition=[]), Fault.SYNTAX),
    (KEY, changed(Condition={"StringEquals": "x"}), Fault.SYNTAX),
    (KEY, changed(Condition={"StringEquals": {"k": {}}}), Fault.SYNTAX),
    (KEY, changed(Condition={"StringEqual": {"k": "v"}}), Fault.INVALID_CONDITION),
    (KEY, changed(Condition={"NumericEquals": {"k": "v"}}), Fault.INVALID_CONDITION),
]


@pytest.mark.parametrize(("kind", "text", "fault"), REFUSED)
def test_what_is_no_policy_is_refused_with_the_fault(kind: PolicyKind, text: str, fault: Fault) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(text, kind)
    assert refused.value.fault is fault


ACCEPTED = [
    (KEY, changed()),
    (KEY, changed(Action=None)),
    (KEY, changed(Resource=None)),
    (KEY, changed(Principal={"AWS": ["*", "111122223333", ROOT_ARN, "AIDAALICE0000000000A"]})),
    (KEY, changed(Principal={"Service": "logs.eu-central-1.amazonaws.com"})),
    (KEY, changed(Condition={"NumericLessThan": {"kms:x": 10}, "Bool": {"aws:SecureTransport": True}})),
    (KEY, json.dumps({"Statement": WITH_PRINCIPAL})),
    (BUCKET, changed(Action="s3:*", Resource="arn:aws:s3:::bucket/*")),
    (TRUST, changed(Principal=ANYONE, Action="sts:AssumeRole", Resource=None)),
    (TRUST, changed(Action=["sts:AssumeRole", "sts:Tag*"], Resource=None, Principal={"AWS": "*"})),
    (TRUST, changed(Action="sts:AssumeRoleWithWebIdentity", Resource=None, Principal={"Federated": "x.example"})),
    (IDENTITY, document(statement(action=["kms:*", "S3:get*"], resource=["*", "arn:aws:s3:::b"]))),
]


@pytest.mark.parametrize(("kind", "text"), ACCEPTED)
def test_policies_are_accepted(kind: PolicyKind, text: str) -> None:
    assert len(parse_policy(text, kind).statements) == 1


@pytest.mark.parametrize("kind", PolicyKind)
def test_every_fault_has_a_message_in_each_services_words(kind: PolicyKind) -> None:
    of_buckets = {Fault.ACTION_RESOURCE, Fault.CONDITION_ACTION, Fault.CONDITION_KEY}
    assert {*MESSAGES[kind], *of_buckets} == set(Fault)


def test_messages_are_aws_s() -> None:
    cases = [
        (IDENTITY, "{", "Syntax errors in policy."),
        (BUCKET, changed(Principal=None), "Missing required field Principal"),
        (KEY, changed(Principal={"AWS": "x"}), "Policy contains a statement with one or more invalid principals."),
        (IDENTITY, document(statement(resource="b")), 'Resource b must be in ARN format or "*".'),
        (
            TRUST,
            changed(Action="sts:*", Resource=None, Principal={"AWS": "x"}),
            'Invalid principal in policy: "AWS":"x"',
        ),
        (
            TRUST,
            changed(Action="sts:*", Resource=None, Principal={"Service": "x"}),
            'Invalid principal in policy: "SERVICE":"x"',
        ),
    ]
    for kind, text, message in cases:
        with pytest.raises(PolicyError) as refused:
            parse_policy(text, kind)
        assert refused.value.message == message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["Allow", "*", "kms:*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("Version", "Id", "Statement", "Sid", "Effect", "Principal", "NotPrincipal", "AWS", "Service"),
                    *("Action", "NotAction", "Resource", "NotResource", "Condition", "Bool", "Null", "DateEquals"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from(PolicyKind))
def test_parsing_is_total(text: bytes, kind: PolicyKind) -> None:
    try:
        parse_policy(text, kind)
    except PolicyError as refused:
        assert refused.message


GOOD = st.sampled_from([document(statement(), statement("Deny", action=["s3:Get*", "kms:Decrypt"], resource=["*"]))])


@given(GOOD.map(json.loads), st.lists(st.integers(0, 3), min_size=1, max_size=4), JSON, st.sampled_from(PolicyKind))
def test_parsing_is_total_for_what_is_almost_a_policy(
    policy: Any, path: list[int], instead: Any, kind: PolicyKind
) -> None:
    """A member of a good document, as deep as `path` leads, is something else."""
    within: Any = policy
    for number, step in enumerate(path, start=1):
        if not isinstance(within, dict | list) or not within:
            break
        name = list(within)[step % len(within)] if isinstance(within, dict) else step % len(within)
        if number == len(path):
            within[name] = instead
        else:
            within = within[name]
    text = json.dumps(policy)
    for parse in (lambda: parse_policy(text, kind), lambda: parse_bucket_policy(text, "bucket")):
        try:
            parse()
        except PolicyError as refused:
            assert refused.message


@given(st.sampled_from(["DateEquals", "NumericEquals", "IpAddress", "BinaryEquals"]), st.text(max_size=30))
def test_values_of_any_text_are_parsed_or_refused(operator: str, value: str) -> None:
    try:
        parse_policy(changed(Condition={operator: {"k": value}}), KEY)
    except PolicyError as refused:
        assert refused.fault is Fault.INVALID_CONDITION


def test_the_cache_gives_the_same_policy_and_the_same_refusal() -> None:
    cache = PolicyCache()
    assert cache.policy(changed(), KEY) is cache.policy(changed(), KEY)
    for _ in range(2):
        with pytest.raises(PolicyError) as refused:
            cache.policy("{", KEY)
        assert refused.value.fault is Fault.NOT_JSON


def test_the_cache_is_bounded_by_text() -> None:
    cache = PolicyCache(max_characters=3 * len(changed(Sid="0")))
    policies = [cache.policy(changed(Sid=str(number)), KEY) for number in range(4)]
    assert cache.policy(changed(Sid="3"), KEY) is policies[3]
    assert cache.policy(changed(Sid="0"), KEY) is not policies[0]


def test_limits_are_those_of_the_services() -> None:
    assert MAX_BYTES[KEY] == 32 * 1024
    assert MAX_BYTES[BUCKET] == 20 * 1024


def test_a_policy_knows_what_it_asks_about() -> None:
    asks = {
        "StringEquals": {"aws:PrincipalTag/Team": "${s3:ExistingObjectTag/Owner}"},
        "Null": {"s3:RequestObjectTagKeys": "true"},
        "StringLike": {"s3:prefix": ["a", "${aws:username}/*", "${*}"]},
    }
    policy = parse_policy(
        document(
            {**statement(), "Condition": asks},
            {**statement(), "Effect": "Deny", "Resource": ["*", "arn:aws:s3:::b/${aws:userid, 'x'}"]},
        ),
        IDENTITY,
    )
    assert policy.condition_keys == {
        "aws:principaltag/team",
        "s3:existingobjecttag/owner",
        "s3:requestobjecttagkeys",
        "s3:prefix",
        "aws:username",
        "aws:userid",
    }
    assert parse_policy(document(statement()), IDENTITY).condition_keys == frozenset()
    escaped = document({**statement(), "Condition": {"StringEquals": {"KEY": "x"}}}).replace(
        "KEY", "\\u0061ws:SourceIp"
    )
    assert parse_policy(escaped, IDENTITY).condition_keys == {"aws:sourceip"}
