"""The evaluator against a second one that was written from the prose, on generated policies and requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from iam.policy.evaluation import AccessRequest, NamedPolicy, Outcome, PoliciesInForce, evaluate, evaluate_key
from iam.principals import Principal
from tests.iam.policy import reference
from tests.iam.policy.checks import (
    ACCOUNT,
    KEY_ARN,
    OTHER,
    OTHER_ROOT,
    ROLE_ARN,
    ROOT,
    SESSION,
    SESSION_ARN,
    STRANGER,
    USER,
    USER_ARN,
    identity,
    resource,
)

Statement = dict[str, Any]

VALUES = st.sampled_from(["a", "b", "ab", "10", "true"])
CONTEXTS = st.dictionaries(
    st.sampled_from(["aws:one", "aws:two", "aws:three"]), st.lists(VALUES, min_size=1, max_size=2).map(tuple)
)
WANTED = st.lists(st.sampled_from(["a", "b", "a*", "?b", "${aws:one}", "x${aws:two}", "*"]), min_size=1, max_size=2)
CONDITION = st.one_of(
    st.tuples(
        st.builds(
            lambda quantifier, operator, suffix: quantifier + operator + suffix,
            st.sampled_from(["", "ForAllValues:", "ForAnyValue:"]),
            st.sampled_from(["StringEquals", "StringNotEquals", "StringLike", "StringNotLike"]),
            st.sampled_from(["", "IfExists"]),
        ),
        WANTED,
    ),
    st.tuples(st.sampled_from(["NumericLessThan", "NumericLessThanIfExists"]), st.just(["11"])),
    st.tuples(st.sampled_from(["Bool", "ForAnyValue:Bool"]), st.just(["true"])),
    st.tuples(st.just("Null"), st.sampled_from([["true"], ["false"]])),
)
CONDITIONS = st.dictionaries(st.sampled_from(["aws:One", "aws:Two", "aws:Three"]), CONDITION, max_size=2)
ACTIONS = st.lists(
    st.sampled_from(["*", "kms:*", "KMS:Dec*", "kms:Encrypt", "s3:*", "kms:?ecrypt"]), min_size=1, max_size=2
)
RESOURCES = st.lists(
    st.sampled_from(["*", KEY_ARN, f"arn:aws:kms:*:{ACCOUNT}:key/*", "arn:aws:s3:::b/*", "arn:aws:kms:${aws:one}:x:y"]),
    min_size=1,
    max_size=2,
)
PRINCIPALS = st.lists(
    st.sampled_from(["*", USER_ARN, ROLE_ARN, SESSION_ARN, ACCOUNT, OTHER, STRANGER.arn]), min_size=1, max_size=3
)
CALLERS: list[tuple[Principal, Mapping[str, str]]] = [
    (USER, {"kind": "user", "arn": USER_ARN, "account": ACCOUNT}),
    (SESSION, {"kind": "session", "arn": SESSION_ARN, "role": ROLE_ARN, "account": ACCOUNT}),
    (ROOT, {"kind": "root", "arn": ROOT.arn, "account": ACCOUNT}),
    (STRANGER, {"kind": "user", "arn": STRANGER.arn, "account": OTHER}),
    (OTHER_ROOT, {"kind": "root", "arn": OTHER_ROOT.arn, "account": OTHER}),
]


@st.composite
def statements(draw: st.DrawFn, *, of_resource: bool = False) -> Statement:
    made: Statement = {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        draw(st.sampled_from(["Action", "Action", "NotAction"])): draw(ACTIONS),
        draw(st.sampled_from(["Resource", "Resource", "NotResource"])): draw(RESOURCES),
    }
    conditions: dict[str, dict[str, list[str]]] = {}
    for key, (operator, wanted) in draw(CONDITIONS).items():
        conditions.setdefault(operator, {})[key] = wanted
    if conditions:
        made["Condition"] = conditions
    if of_resource:
        made[draw(st.sampled_from(["Principal", "Principal", "NotPrincipal"]))] = {"AWS": draw(PRINCIPALS)}
    return made


def policy(made: list[Statement] | None) -> NamedPolicy | None:
    return identity(*made) if made else None


OWN = st.lists(statements(), min_size=1, max_size=3)
ON_RESOURCE = st.lists(statements(of_resource=True), min_size=1, max_size=3)
OUTCOMES = {Outcome.ALLOWED: "allow", Outcome.EXPLICIT_DENY: "deny", Outcome.IMPLICIT_DENY: "none"}


@settings(max_examples=200)
@given(
    st.sampled_from(CALLERS),
    st.sampled_from(["kms:Decrypt", "kms:Encrypt"]),
    CONTEXTS,
    OWN,
    st.none() | OWN,
    st.none() | OWN,
    ON_RESOURCE,
    st.booleans(),
)
def test_both_evaluators_agree(
    caller: tuple[Principal, Mapping[str, str]],
    action: str,
    context: dict[str, tuple[str, ...]],
    own: list[Statement],
    boundary: list[Statement] | None,
    session: list[Statement] | None,
    on_resource: list[Statement],
    is_key: bool,
) -> None:
    principal, described = caller
    of_session = policy(session)
    policies = PoliciesInForce(
        (identity(*own),),
        policy(boundary),
        None if of_session is None else (of_session,),
        resource(*on_resource),
    )
    decision = (evaluate_key if is_key else evaluate)(
        AccessRequest(principal, action, KEY_ARN, ACCOUNT, context), policies
    )
    assert OUTCOMES[decision.outcome] == reference.decide(
        caller=described,
        owner=ACCOUNT,
        action=action,
        resource=KEY_ARN,
        context=context,
        identity=own,
        boundary=boundary,
        session=session,
        on_resource=on_resource,
        is_key=is_key,
    )
