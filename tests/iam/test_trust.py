"""Principals in the text of a trust policy: found wherever they stand, replaced nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iam.policy.document import PolicyKind
from iam.policy.errors import PolicyError
from iam.policy.parse import parse_policy
from iam.trust import replace_principals, trusted_principals

ANN, BOB = "arn:aws:iam::123456789012:user/ann", "arn:aws:iam::123456789012:user/bob"


def statement(principal: Any, **elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **elements}


def policy(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements[0] if len(statements) == 1 else statements})


def test_names_are_found_in_order() -> None:
    text = policy(statement({"AWS": [ANN, "*"], "Service": "ec2.amazonaws.com"}), statement({"AWS": BOB}))
    assert trusted_principals(text) == (ANN, "*", BOB)
    assert trusted_principals(policy(statement({"Federated": ANN}))) == ()


def test_a_text_that_names_nobody_of_them_stays_as_it_is() -> None:
    text = policy(statement({"AWS": BOB, "Federated": ANN}, Condition={"ArnEquals": {"aws:PrincipalArn": ANN}})) + "  "
    assert replace_principals(text, {ANN: "AIDA"}) is text


def test_names_are_replaced_in_principals_alone() -> None:
    condition = {"ArnEquals": {"aws:PrincipalArn": ANN}}
    text = policy(
        statement({"AWS": ANN, "Federated": ANN}, Condition=condition, Sid="é"),
        statement({"AWS": [BOB, ANN]}),
    )
    text = text.replace("/ann", "/\\u0061nn")  # another way to write it
    assert ANN not in text
    expected = policy(
        statement({"AWS": ["AIDA"], "Federated": ANN}, Condition=condition, Sid="é"),
        statement({"AWS": [BOB, "AIDA"]}),
    )
    assert json.loads(replace_principals(text, {ANN: "AIDA"})) == json.loads(expected)


NAME = st.sampled_from(["*", ANN, BOB, "123456789012", "AIDAANNANNANNANNANN22", "", 1, None])
PRINCIPAL = st.dictionaries(
    st.sampled_from(["AWS", "Service", "Federated", "CanonicalUser", "Other"]), NAME | st.lists(NAME, max_size=3)
)
ELEMENTS = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Action": st.sampled_from(["sts:AssumeRole", "sts:*", "*"])},
    optional={"Principal": PRINCIPAL | NAME, "NotPrincipal": PRINCIPAL | NAME, "Resource": st.just("*")},
)


@given(ELEMENTS | st.lists(ELEMENTS, min_size=1, max_size=3))
def test_whatever_is_a_trust_policy_has_principals_that_can_be_replaced(statements: Any) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    try:
        parse_policy(text, PolicyKind.TRUST)
    except PolicyError:
        return
    names = trusted_principals(text)
    replaced = replace_principals(text, dict.fromkeys(names, "AIDAOTHEROTHEROTHER22"))
    assert trusted_principals(replaced) == ("AIDAOTHEROTHEROTHER22",) * len(names)
    parse_policy(replaced, PolicyKind.TRUST)
    assert (replaced is text) is (not names)


@pytest.mark.parametrize("principal", ["*", ANN])
def test_a_principal_that_is_no_object_is_refused_before(principal: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(policy(statement(principal)), PolicyKind.TRUST)
