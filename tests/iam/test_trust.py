"""Principals in the text of a trust policy: found wherever they stand, replaced nowhere else."""

from __future__ import annotations

import json
from typing import Any

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
